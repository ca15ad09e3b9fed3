//! etcd and an API server, with controllers and scheduler if wanted.

use super::daemon::Daemon;
use super::kubeconfig::{User, token_table};
use super::kubectl::Kubectl;
use super::machine::Machine;
use super::programs;
use crate::chance::mix;
use crate::command::succeed;
use anyhow::{Context, Result};
use serde_json::Value;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tempfile::TempDir;

/// How long it may take until the API server answers, on a busy machine.
const READY_LIMIT: Duration = Duration::from_secs(120);
/// How long a small program may take.
const CALL_LIMIT: Duration = Duration::from_secs(30);

const API_PORT: u16 = 6443;
const ETCD_PORT: u16 = 2379;
const ETCD_PEER_PORT: u16 = 2380;

/// The addresses of Services.
pub(super) const SERVICES: &str = "198.18.128.0/17";
/// The first of them: the API server's own.
const API_SERVICE: Ipv4Addr = Ipv4Addr::new(198, 18, 128, 1);

/// Every call is noted but those of the components themselves.
const AUDIT_POLICY: &str = "\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  userGroups: [system:nodes, system:masters]
- level: None
  users: [system:apiserver, system:kube-controller-manager, system:kube-scheduler, system:kube-proxy]
- level: None
  userGroups: [system:serviceaccounts:kube-system]
- level: Metadata
";

/// What is started besides etcd and the API server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The controllers: of Deployments, StatefulSets, garbage, namespaces, service accounts and so on.
    pub controllers: bool,
    /// The scheduler.
    pub scheduler: bool,
}

/// Where a control plane runs, and who else has a token.
#[derive(Debug)]
pub(super) struct Place<'a> {
    /// The folder of its files.
    pub(super) folder: &'a Path,
    /// The address of the API server.
    pub(super) address: Ipv4Addr,
    /// The machine that it runs in; none for processes of this machine that end with this one.
    pub(super) machine: Option<&'a Machine>,
    /// Names and groups of users besides the components and the administrator.
    pub(super) users: &'a [(String, &'static str)],
}

/// A running control plane. Dropping it ends all its processes.
#[derive(Debug)]
pub struct ControlPlane {
    daemons: Vec<Daemon>,
    /// How the API server is started again.
    api_server: Vec<String>,
    enter: Option<i32>,
    folder: PathBuf,
    kubectl: Kubectl,
    /// Goes with it, where nothing else keeps its files.
    _own_folder: Option<TempDir>,
}

impl ControlPlane {
    /// Starts one on an address of this machine that nothing else uses, such as 127.83.4.19. Several
    /// may run at once.
    ///
    /// # Errors
    /// If it does not answer in time; the error has the end of the log.
    pub fn start(options: Options) -> Result<Self> {
        let own_folder = TempDir::with_prefix("mdfs-kube-")?;
        let place = Place {
            folder: own_folder.path(),
            address: free_address()?,
            machine: None,
            users: &[],
        };
        let mut plane = Self::start_in(&place, options)?;
        plane._own_folder = Some(own_folder);
        Ok(plane)
    }

    pub(super) fn start_in(place: &Place<'_>, options: Options) -> Result<Self> {
        let Place {
            folder,
            address,
            machine,
            users: _,
        } = place;
        let url = format!("https://{address}:{API_PORT}");
        write_files(place, &url)?;
        let path = |name: &str| folder.join(name).display().to_string();
        let etcd_url = format!("http://{address}:{ETCD_PORT}");
        let etcd = etcd_arguments(&path("etcd"), *address, &etcd_url);
        let api_server = api_server_arguments(&path, *address, &etcd_url, machine.is_none());

        let mut plane = Self {
            daemons: Vec::new(),
            api_server,
            enter: machine.map(Machine::pid),
            folder: folder.to_path_buf(),
            kubectl: Kubectl::new(&folder.join("admin.kubeconfig"))?,
            _own_folder: None,
        };
        plane.spawn("etcd", &etcd)?;
        plane.start_api_server()?;
        let config = |user: &str| path(&format!("system-{user}.kubeconfig"));
        if options.controllers {
            let config = config("kube-controller-manager");
            let arguments = [
                format!("--kubeconfig={config}"),
                format!("--authentication-kubeconfig={config}"),
                format!("--authorization-kubeconfig={config}"),
                format!("--bind-address={address}"),
                format!("--root-ca-file={}", path("ca.crt")),
                format!(
                    "--service-account-private-key-file={}",
                    path("service-account.key")
                ),
                "--use-service-account-credentials=true".to_owned(),
                "--leader-elect=false".to_owned(),
                "--node-monitor-grace-period=20s".to_owned(),
                "--node-monitor-period=2s".to_owned(),
            ];
            plane.spawn("kube-controller-manager", &arguments)?;
        }
        if options.scheduler {
            let config = config("kube-scheduler");
            let arguments = [
                format!("--kubeconfig={config}"),
                format!("--authentication-kubeconfig={config}"),
                format!("--authorization-kubeconfig={config}"),
                format!("--bind-address={address}"),
                "--leader-elect=false".to_owned(),
            ];
            plane.spawn("kube-scheduler", &arguments)?;
        }
        if options.controllers {
            // No pod is admitted before its account is there.
            plane.kubectl.wait(
                "the default service account",
                READY_LIMIT,
                &["get", "serviceaccounts", "--namespace", "default"],
                |found| {
                    let some = found.pointer("/items/0").is_some();
                    Ok(some.then_some(()))
                },
            )?;
        }
        Ok(plane)
    }

    /// `kubectl` with all rights.
    pub fn kubectl(&self) -> &Kubectl {
        &self.kubectl
    }

    /// The file by which the administrator reaches the API server.
    pub fn kubeconfig(&self) -> &Path {
        self.kubectl.config()
    }

    /// `kubectl` with the rights of a service account.
    ///
    /// # Errors
    /// If there is no such account.
    pub fn as_service_account(&self, namespace: &str, name: &str) -> Result<Kubectl> {
        let arguments = ["create", "token", name, "--namespace", namespace];
        let token = self.kubectl.call(&arguments)?;
        let admin = fs::read_to_string(self.kubeconfig())?;
        let mut config: Value = serde_json::from_str(&admin)?;
        let old = config.pointer_mut("/users/0/user/token");
        *old.context("a kubeconfig has a token")? = Value::String(token);
        let path = self.folder.join(format!("{namespace}-{name}.kubeconfig"));
        fs::write(&path, config.to_string())?;
        Kubectl::new(&path)
    }

    /// The calls so far of everybody but the components and the administrator, as the API server noted
    /// them: events of `audit.k8s.io/v1`, without bodies.
    ///
    /// # Errors
    /// If there are none.
    pub fn audit(&self) -> Result<Vec<Value>> {
        let log = fs::read_to_string(self.folder.join("audit.log"))?;
        // The last line may be half written.
        let whole = log
            .rsplit_once('\n')
            .map(|(whole, _)| whole)
            .unwrap_or_default();
        let lines = whole.lines();
        Ok(lines.map(serde_json::from_str).collect::<Result<_, _>>()?)
    }

    /// Kills the API server, and waits until it is gone. Asked to end, it would wait for open watches,
    /// and those who lose it would be told.
    ///
    /// # Errors
    /// If it does not run.
    pub fn stop_api_server(&mut self) -> Result<()> {
        let place = self
            .daemons
            .iter()
            .position(|daemon| daemon.name() == "kube-apiserver");
        let place = place.context("the API server does not run")?;
        drop(self.daemons.remove(place));
        Ok(())
    }

    /// The process id of the API server.
    ///
    /// # Errors
    /// If it does not run.
    pub fn api_server_pid(&self) -> Result<i32> {
        let mut daemons = self.daemons.iter();
        let found = daemons.find(|daemon| daemon.name() == "kube-apiserver");
        found.context("the API server does not run")?.pid()
    }

    /// Starts the API server, and waits until it answers.
    ///
    /// # Errors
    /// If it does not in time.
    pub fn start_api_server(&mut self) -> Result<()> {
        let arguments = self.api_server.clone();
        self.spawn("kube-apiserver", &arguments)?;
        let kubectl = self.kubectl.clone();
        let api_server = self.daemons.last_mut().context("it was just started")?;
        api_server.wait_until("an API server that is ready", READY_LIMIT, || {
            Ok(Some(kubectl.call(&["get", "--raw", "/readyz"])?))
        })?;
        Ok(())
    }

    /// The ends of all logs.
    pub fn log_tails(&self) -> String {
        let tail = |daemon: &Daemon| format!("{}:\n{}\n", daemon.name(), daemon.log_tail());
        self.daemons.iter().map(tail).collect()
    }

    /// Ends all processes, the last started first.
    pub(super) fn end(&mut self) {
        while self.daemons.pop().is_some() {}
    }

    /// Starts a component of the program `kube`.
    fn spawn(&mut self, name: &str, arguments: &[String]) -> Result<()> {
        let mut command = match self.enter {
            Some(pid) => Machine::enter(pid, &programs::kube()?),
            None => {
                let mut command = Command::new(programs::kube()?);
                command.env("MDFS_ENDS_WITH_PARENT", "yes");
                command
            }
        };
        command.arg(name).args(arguments);
        self.daemons
            .push(Daemon::spawn(name, &self.folder, &mut command)?);
        Ok(())
    }
}

fn write_files(place: &Place<'_>, url: &str) -> Result<()> {
    let folder = place.folder;
    let mut keys = Command::new(programs::kube()?);
    keys.arg("keys").arg(folder);
    keys.args([place.address.to_string(), API_SERVICE.to_string()]);
    succeed(&mut keys, CALL_LIMIT)?;
    let components = [
        ("admin", "system:masters"),
        ("system:kube-controller-manager", ""),
        ("system:kube-scheduler", ""),
        ("system:kube-proxy", ""),
    ];
    let components = components.into_iter();
    let others = place.users.iter();
    let everybody = components.chain(others.map(|(name, group)| (name.as_str(), *group)));
    let users = everybody.map(|(name, group)| User::new(name, group));
    let users = users.collect::<Result<Vec<_>>>()?;
    for user in &users {
        user.write_config(folder, url)?;
    }
    fs::write(folder.join("tokens.csv"), token_table(&users))?;
    fs::write(folder.join("audit-policy.yaml"), AUDIT_POLICY)?;
    Ok(())
}

fn etcd_arguments(data: &str, address: Ipv4Addr, url: &str) -> Vec<String> {
    let peer = format!("http://{address}:{ETCD_PEER_PORT}");
    vec![
        format!("--data-dir={data}"),
        format!("--listen-client-urls={url}"),
        format!("--advertise-client-urls={url}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=default={peer}"),
        // What is stored here is of no use after a crash of the machine.
        "--unsafe-no-fsync".to_owned(),
        "--log-level=warn".to_owned(),
    ]
}

fn api_server_arguments(
    path: &impl Fn(&str) -> String,
    address: Ipv4Addr,
    etcd: &str,
    is_bare: bool,
) -> Vec<String> {
    let mut arguments = vec![
        format!("--etcd-servers={etcd}"),
        format!("--bind-address={address}"),
        format!("--advertise-address={address}"),
        format!("--secure-port={API_PORT}"),
        format!("--service-cluster-ip-range={SERVICES}"),
        format!("--tls-cert-file={}", path("apiserver.crt")),
        format!("--tls-private-key-file={}", path("apiserver.key")),
        format!("--token-auth-file={}", path("tokens.csv")),
        "--authorization-mode=Node,RBAC".to_owned(),
        format!("--requestheader-client-ca-file={}", path("ca.crt")),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!("--service-account-key-file={}", path("service-account.key")),
        format!(
            "--service-account-signing-key-file={}",
            path("service-account.key")
        ),
        format!("--audit-policy-file={}", path("audit-policy.yaml")),
        format!("--audit-log-path={}", path("audit.log")),
        "--allow-privileged=true".to_owned(),
        // Names of nodes are known to nobody.
        "--kubelet-preferred-address-types=InternalIP".to_owned(),
        // There is one member, and it keeps nothing that a deadline of a minute could save.
        "--shutdown-delay-duration=0s".to_owned(),
    ];
    if is_bare {
        // An address of this machine cannot be anybody's endpoint.
        arguments.push("--endpoint-reconciler-type=none".to_owned());
    }
    arguments
}

/// An address of this machine alone on which the ports that are needed are free.
fn free_address() -> Result<Ipv4Addr> {
    static DRAWN: AtomicU64 = AtomicU64::new(0);
    for _ in 0..100 {
        let drawn = DRAWN.fetch_add(1, Ordering::Relaxed);
        let [_, first, second, third, ..] =
            mix(u64::from(std::process::id()) << 20 | drawn).to_be_bytes();
        // Not 127.0.0.x, where everything else listens, nor the last of a network.
        let address = Ipv4Addr::new(127, first.max(1), second, third.clamp(1, 254));
        let ports = [API_PORT, ETCD_PORT, ETCD_PEER_PORT];
        let is_free = |port: u16| TcpListener::bind((address, port)).is_ok();
        if ports.into_iter().all(is_free) {
            return Ok(address);
        }
    }
    anyhow::bail!("no address of 127.0.0.0/8 is free")
}
