//! A whole cluster: control plane, nodes, cluster DNS and volumes.

use super::control_plane::{ControlPlane, Options, Place as ControlPlace};
use super::daemon::Daemon;
use super::kubectl::Kubectl;
use super::machine::Machine;
use super::network::{self, CONTROL};
use super::node::{Node, POD_IMAGE, proxy_settings};
use super::programs;
use super::provisioner::{Places, Provisioner};
use super::remains::{self, Remains};
use super::volumes::{self, Place};
use crate::command::succeed;
use crate::program::repository;
use crate::wait::wait_for;
use anyhow::{Context, Result};
use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// How long it may take until all nodes are ready, on a busy machine.
const READY_LIMIT: Duration = Duration::from_secs(120);
/// How long an image may take to be made.
const IMAGE_LIMIT: Duration = Duration::from_secs(25 * 60);

/// A running cluster. Dropping it ends it; so does the end of this process, however it comes.
#[derive(Debug)]
pub struct Bed {
    provisioner: Provisioner,
    // The machines end before what has its files in the folder.
    nodes: Vec<Node>,
    helpers: Vec<Daemon>,
    plane: ControlPlane,
    _control: Machine,
    places: Places,
    remains: Remains,
}

impl Bed {
    /// Starts a cluster of so many nodes, `node-1` and on, and waits until all are ready. Each has the
    /// images of these archives.
    ///
    /// The calling thread is moved into the cluster's network and stays there, with every thread and
    /// process that it starts: pods and Services are reached from it by their addresses, and nothing
    /// else is.
    ///
    /// # Errors
    /// If it is not ready in time; the error has the ends of the logs.
    pub fn start(nodes: u8, images: &[PathBuf]) -> Result<Self> {
        remains::sweep()?;
        let remains = Remains::new()?;
        let folder = remains.folder().to_owned();
        // Before this thread loses sight of the machine's own network.
        let mut images = images.to_vec();
        images.push(pod_image(&folder)?);
        let control = Machine::start(&folder.join("control"), "control")?;
        fs::write(folder.join("control.pid"), control.pid().to_string())?;
        network::enter(&control)?;
        network::make_bridge()?;

        let nodes: Vec<Node> = (1..=nodes)
            .map(|number| Node::new(number, nodes, &folder, remains.cgroup()))
            .collect();
        let users: Vec<(String, &str)> = nodes
            .iter()
            .map(|node| (format!("system:node:{}", node.name()), "system:nodes"))
            .collect();
        let place = ControlPlace {
            folder: &folder,
            address: CONTROL,
            machine: Some(&control),
            users: &users,
        };
        let everything = Options {
            controllers: true,
            scheduler: true,
        };
        let plane = ControlPlane::start_in(&place, everything)?;
        plane.kubectl().apply(&volumes::classes())?;
        let places = Places::default();
        let mut bed = Self {
            provisioner: Provisioner::start(plane.kubectl(), &places),
            nodes: Vec::new(),
            helpers: Vec::new(),
            plane,
            _control: control,
            places,
            remains,
        };
        let ready = bed.start_nodes(nodes, &images);
        ready.map_err(|error| error.context(bed.log_tails()))?;
        Ok(bed)
    }

    fn start_nodes(&mut self, nodes: Vec<Node>, images: &[PathBuf]) -> Result<()> {
        for mut node in nodes {
            node.boot()?;
            for image in images {
                node.import(image)?;
            }
            node.join()?;
            self.nodes.push(node);
        }
        self.note_places();
        self.start_dns()?;
        self.start_proxy()?;
        for node in &self.nodes {
            self.wait_node(&node.name())?;
        }
        Ok(())
    }

    /// Cluster DNS, where every pod asks for names.
    fn start_dns(&mut self) -> Result<()> {
        let config = self.plane.kubeconfig().display();
        let settings = format!(
            ".:53 {{\n errors\n kubernetes cluster.local in-addr.arpa {{\n  kubeconfig {config}\n  ttl 2\n }}\n}}\n"
        );
        let file = self.remains.folder().join("Corefile");
        fs::write(&file, settings)?;
        let arguments = ["-conf".to_owned(), file.display().to_string()];
        let mut dns = self.helper("coredns", &arguments)?;
        dns.wait_until("cluster DNS", READY_LIMIT, || {
            Ok(Some(TcpStream::connect((CONTROL, 53))?))
        })?;
        self.helpers.push(dns);
        Ok(())
    }

    /// The rules of Services in the control plane's network, where the tests are. They are those of any
    /// node.
    fn start_proxy(&mut self) -> Result<()> {
        let first = self.nodes.first().context("a bed has nodes")?.name();
        let settings = proxy_settings(&first, self.remains.folder());
        let file = self.remains.folder().join("kube-proxy.json");
        fs::write(&file, settings.to_string())?;
        let proxy = self.helper("kube-proxy", &[format!("--config={}", file.display())])?;
        self.helpers.push(proxy);
        Ok(())
    }

    fn helper(&self, name: &str, arguments: &[String]) -> Result<Daemon> {
        let mut command = Machine::enter(self._control.pid(), &programs::kube()?);
        command.arg(name).args(arguments);
        Daemon::spawn(name, self.remains.folder(), &mut command)
    }

    /// The control plane.
    pub fn plane(&mut self) -> &mut ControlPlane {
        &mut self.plane
    }

    /// `kubectl` with all rights.
    pub fn kubectl(&self) -> &Kubectl {
        self.plane.kubectl()
    }

    /// A folder that goes with the bed.
    pub fn folder(&self) -> &Path {
        self.remains.folder()
    }

    /// The names of all nodes.
    pub fn nodes(&self) -> Vec<String> {
        self.nodes.iter().map(Node::name).collect()
    }

    /// Takes in an image on every node that runs.
    ///
    /// # Errors
    /// If containerd refuses it.
    pub fn import(&self, archive: &Path) -> Result<()> {
        let mut running = self.nodes.iter().filter(|node| node.pid().is_some());
        running.try_for_each(|node| node.import(archive))
    }

    /// Gives an image another name too, on every node that runs.
    ///
    /// # Errors
    /// If a node does not have it.
    pub fn rename(&self, image: &str, name: &str) -> Result<()> {
        let mut running = self.nodes.iter().filter(|node| node.pid().is_some());
        running.try_for_each(|node| node.rename(image, name))
    }

    /// A command that runs on a node, in all its namespaces.
    ///
    /// # Errors
    /// If the node does not run.
    pub fn on_node(&self, name: &str, program: &str) -> Result<Command> {
        self.node(name)?.command(program)
    }

    /// Where the files of volumes are, now and later.
    pub fn mounts(&self) -> Mounts {
        Mounts(Arc::clone(&self.places))
    }

    /// Cuts the power of a node: kubelet, containerd, all containers and the link are gone at once.
    ///
    /// # Errors
    /// If it does not run.
    pub fn cut_node(&mut self, name: &str) -> Result<()> {
        self.node_mut(name)?.cut()?;
        self.note_places();
        Ok(())
    }

    /// Starts a node again that was cut. Its disk is as it was.
    ///
    /// # Errors
    /// If its containerd does not answer in time.
    pub fn start_node(&mut self, name: &str) -> Result<()> {
        let node = self.node_mut(name)?;
        node.boot()?;
        node.join()?;
        self.note_places();
        Ok(())
    }

    /// Waits until a node is ready.
    ///
    /// # Errors
    /// If it is not in time.
    pub fn wait_node(&self, name: &str) -> Result<()> {
        let what = format!("condition Ready of {name}");
        let ready = "{.status.conditions[?(@.type==\"Ready\")].status}";
        let output = format!("--output=jsonpath={ready}");
        wait_for(&what, READY_LIMIT, || {
            let found = self.kubectl().call(&["get", "node", name, &output])?;
            Ok((found == "True").then_some(()))
        })
    }

    /// The ends of all logs.
    pub fn log_tails(&self) -> String {
        let mut tails = self.plane.log_tails();
        for node in &self.nodes {
            tails.push_str(&node.log_tails());
        }
        tails
    }

    /// Keeps the cluster until the input has a line, or ends.
    ///
    /// # Errors
    /// If the input cannot be read.
    pub fn hold(self) -> Result<()> {
        println!("to look inside: cargo xtask kube -- kubectl get pods --all-namespaces");
        println!("Enter ends the cluster");
        std::io::stdin().read_line(&mut String::new())?;
        Ok(())
    }

    fn node(&self, name: &str) -> Result<&Node> {
        let found = self.nodes.iter().find(|node| node.name() == name);
        found.with_context(|| format!("no node is called {name}"))
    }

    fn node_mut(&mut self, name: &str) -> Result<&mut Node> {
        let found = self.nodes.iter_mut().find(|node| node.name() == name);
        found.with_context(|| format!("no node is called {name}"))
    }

    /// Tells the provisioner what runs where.
    fn note_places(&self) {
        let place = |node: &Node| {
            let place = Place {
                folder: node.folder().to_owned(),
                pid: node.pid(),
            };
            (node.name(), place)
        };
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        *places = self.nodes.iter().map(place).collect();
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        self.provisioner.stop();
        self.nodes.clear();
        self.helpers.clear();
        // Its watches end with the API server.
        self.plane.end();
        self.provisioner.join();
    }
}

/// Where this process sees the files of volumes, for as long as the bed is there.
#[derive(Clone, Debug)]
pub struct Mounts(Places);

impl Mounts {
    /// The files of a volume that is mounted on a node; none while the node does not run.
    pub fn path(&self, node: &str, volume: &str) -> Option<PathBuf> {
        let places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let pid = places.get(node)?.pid?;
        let inside = volumes::mount_point(volume);
        Some(PathBuf::from(format!("/proc/{pid}/root{inside}")))
    }
}

/// The first process of the control plane's machine, and the folder, of a bed that another process
/// holds; none if there is none.
///
/// # Errors
/// If its files cannot be read.
pub fn running() -> Result<Option<(i32, PathBuf)>> {
    let Some(folder) = remains::running()? else {
        return Ok(None);
    };
    let pid = fs::read_to_string(folder.join("control.pid"))?;
    Ok(Some((pid.trim().parse()?, folder)))
}

/// The image of a static program under this name, as an archive in `folder`.
///
/// # Errors
/// If it cannot be made.
pub fn image(folder: &Path, program: &Path, name: &str) -> Result<PathBuf> {
    let stem = name.replace(['/', ':'], "-");
    let archive = folder.join(format!("{stem}.tar"));
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["run", "--quiet", "--package", "xtask", "--", "image"]);
    cargo.args(["--name", name, "--program"]).arg(program);
    cargo.arg("--output").arg(&archive);
    succeed(cargo.current_dir(repository()?), IMAGE_LIMIT)?;
    Ok(archive)
}

fn pod_image(folder: &Path) -> Result<PathBuf> {
    image(folder, &programs::pod()?, POD_IMAGE)
}
