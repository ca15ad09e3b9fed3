//! One node: a machine with containerd, kubelet and kube-proxy.

use super::daemon::Daemon;
use super::machine::Machine;
use super::network::{self, CONTROL, PODS, node_address, pod_range};
use super::programs;
use super::volumes;
use crate::command::succeed;
use anyhow::{Context, Result};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// How long containerd may take to answer.
const READY_LIMIT: Duration = Duration::from_secs(60);
/// How long an image may take to be unpacked.
const IMPORT_LIMIT: Duration = Duration::from_secs(180);

/// The image that every bed has: of the first container of every pod, and of a small server of files.
pub const POD_IMAGE: &str = "localhost/pod:1";

/// One node. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) number: u8,
    /// How many there are in all.
    nodes: u8,
    folder: PathBuf,
    /// The folder of the files by which it reaches the API server.
    configs: PathBuf,
    cgroup: String,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    // In the order in which they are dropped: the machine takes all with it.
    machine: Machine,
    daemons: Vec<Daemon>,
}

impl Node {
    /// A node that does not run yet.
    pub(super) fn new(number: u8, nodes: u8, bed: &Path, cgroup: &str) -> Self {
        Self {
            number,
            nodes,
            folder: bed.join(format!("node-{number}")),
            configs: bed.to_owned(),
            cgroup: format!("/{cgroup}/node-{number}"),
            running: None,
        }
    }

    pub(super) fn name(&self) -> String {
        format!("node-{}", self.number)
    }

    /// Its folder, which outlives its machine.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The first process of its machine; none if it does not run.
    pub(super) fn pid(&self) -> Option<i32> {
        Some(self.running.as_ref()?.machine.pid())
    }

    /// Makes its machine and its link, starts containerd, and mounts its volumes.
    ///
    /// # Errors
    /// If containerd does not answer in time.
    pub(super) fn boot(&mut self) -> Result<()> {
        fs::create_dir_all(&self.folder)?;
        let machine = Machine::start(&self.folder, &self.name())?;
        network::link_node(&machine, self.number, self.nodes)?;
        volumes::mount_all(machine.pid(), &self.folder)?;
        self.write_settings()?;
        let mut running = Running {
            machine,
            daemons: Vec::new(),
        };
        let pid = running.machine.pid();
        let mut containerd = Machine::enter(pid, Path::new("containerd"));
        containerd
            .arg("--config")
            .arg(self.folder.join("containerd.toml"));
        let mut containerd = Daemon::spawn("containerd", &self.folder, &mut containerd)?;
        containerd.wait_until("an answer of containerd", READY_LIMIT, || {
            let mut ask = Machine::enter(pid, Path::new("ctr"));
            Ok(Some(succeed(ask.arg("version"), READY_LIMIT)?))
        })?;
        running.daemons.push(containerd);
        self.running = Some(running);
        Ok(())
    }

    /// Starts kube-proxy and the kubelet.
    ///
    /// # Errors
    /// If they cannot be started.
    pub(super) fn join(&mut self) -> Result<()> {
        let folder = self.folder.clone();
        let settings = |name: &str| format!("--config={}", folder.join(name).display());
        let name = self.name();
        let config = self
            .configs
            .join(format!("system-node-{name}.kubeconfig"))
            .display()
            .to_string();
        let kubelet = [
            settings("kubelet.json"),
            format!("--kubeconfig={config}"),
            format!("--hostname-override={name}"),
            format!("--node-ip={}", node_address(self.number)),
            format!(
                "--node-labels=topology.kubernetes.io/zone=zone-{}",
                self.number
            ),
        ];
        self.spawn("kube-proxy", &[settings("kube-proxy.json")])?;
        self.spawn("kubelet", &kubelet)
    }

    fn spawn(&mut self, name: &str, arguments: &[String]) -> Result<()> {
        let running = self.running.as_mut().context("the node does not run")?;
        let mut command = Machine::enter(running.machine.pid(), &programs::kube()?);
        command.arg(name).args(arguments);
        let daemon = Daemon::spawn(name, &self.folder, &mut command)?;
        running.daemons.push(daemon);
        Ok(())
    }

    /// Takes in an image from its archive.
    ///
    /// # Errors
    /// If containerd refuses it.
    pub(super) fn import(&self, archive: &Path) -> Result<()> {
        let arguments = ["--namespace", "k8s.io", "images", "import"];
        let mut import = self.command("ctr")?;
        succeed(import.args(arguments).arg(archive), IMPORT_LIMIT).map(drop)
    }

    /// Gives an image that it has another name too.
    ///
    /// # Errors
    /// If it does not have it.
    pub(super) fn rename(&self, image: &str, name: &str) -> Result<()> {
        let mut tag = self.command("ctr")?;
        tag.args([
            "--namespace",
            "k8s.io",
            "images",
            "tag",
            "--force",
            image,
            name,
        ]);
        succeed(&mut tag, IMPORT_LIMIT).map(drop)
    }

    /// A command that runs on it.
    ///
    /// # Errors
    /// If it does not run.
    pub(super) fn command(&self, program: &str) -> Result<Command> {
        let pid = self
            .pid()
            .with_context(|| format!("{} does not run", self.name()))?;
        Ok(Machine::enter(pid, Path::new(program)))
    }

    /// Cuts its power: kubelet, containerd, all containers and its link are gone at once.
    ///
    /// # Errors
    /// If it does not run.
    pub(super) fn cut(&mut self) -> Result<()> {
        let running = self.running.take();
        let Running { machine, daemons } =
            running.with_context(|| format!("{} does not run", self.name()))?;
        machine.cut()?;
        drop(daemons);
        Ok(())
    }

    /// The ends of its logs.
    pub(super) fn log_tails(&self) -> String {
        let daemons = self.running.iter().flat_map(|running| &running.daemons);
        daemons
            .map(|daemon| {
                format!(
                    "{} of {}:\n{}\n",
                    daemon.name(),
                    self.name(),
                    daemon.log_tail()
                )
            })
            .collect()
    }

    fn write_settings(&self) -> Result<()> {
        let write = |name: &str, text: &str| {
            let path = self.folder.join(name);
            fs::write(&path, text).with_context(|| format!("write {}", path.display()))
        };
        let networks = self.folder.join("networks");
        fs::create_dir_all(&networks)?;
        let network = json!({
            "cniVersion": "0.4.0",
            "name": "bed",
            "plugins": [{
                "type": "bridge",
                "bridge": "pods",
                "isGateway": true,
                "hairpinMode": true,
                "ipam": {
                    "type": "host-local",
                    "dataDir": "/run/addresses",
                    "ranges": [[{ "subnet": pod_range(self.number) }]],
                    "routes": [{ "dst": "0.0.0.0/0" }],
                },
            }],
        });
        write("networks/bed.conflist", &network.to_string())?;
        write("resolv.conf", &format!("nameserver {CONTROL}\n"))?;
        write("containerd.toml", &containerd_settings(&networks))?;
        let kubelet = self.kubelet_settings();
        write("kubelet.json", &kubelet.to_string())?;
        let name = self.name();
        write(
            "kube-proxy.json",
            &proxy_settings(&name, &self.configs).to_string(),
        )
    }

    fn kubelet_settings(&self) -> serde_json::Value {
        json!({
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
            // Nobody but the API server and the tests can reach it.
            "authentication": { "anonymous": { "enabled": true }, "webhook": { "enabled": false } },
            "authorization": { "mode": "AlwaysAllow" },
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": self.cgroup,
            "cgroupsPerQOS": false,
            "enforceNodeAllocatable": [],
            "failSwapOn": false,
            "clusterDNS": [CONTROL],
            "clusterDomain": "cluster.local",
            "resolvConf": self.folder.join("resolv.conf"),
            "nodeStatusUpdateFrequency": "4s",
            "nodeLeaseDurationSeconds": 20,
            // How full the machine's disk is does not matter here, and no image can be fetched again.
            "evictionHard": { "memory.available": "1Mi", "nodefs.available": "0%", "imagefs.available": "0%" },
            "imageGCHighThresholdPercent": 100,
        })
    }
}

/// What kube-proxy is told on the node, or the control plane, of this name.
pub(super) fn proxy_settings(name: &str, configs: &Path) -> serde_json::Value {
    json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clientConnection": { "kubeconfig": configs.join("system-kube-proxy.kubeconfig") },
        "hostnameOverride": name,
        "clusterCIDR": PODS,
        // The limits of connections are the machine's, and not to be changed from here.
        "conntrack": {
            "maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s",
        },
    })
}

fn containerd_settings(networks: &Path) -> String {
    let networks = networks.display();
    // AppArmor is not there; scores below one's own need a right that the machine may not have.
    format!(
        "version = 2\n\
         [plugins.\"io.containerd.grpc.v1.cri\"]\n\
         sandbox_image = \"{POD_IMAGE}\"\n\
         disable_apparmor = true\n\
         restrict_oom_score_adj = true\n\
         [plugins.\"io.containerd.grpc.v1.cri\".cni]\n\
         bin_dir = \"/usr/lib/cni\"\n\
         conf_dir = \"{networks}\"\n\
         [plugins.\"io.containerd.grpc.v1.cri\".containerd]\n\
         snapshotter = \"overlayfs\"\n"
    )
}
