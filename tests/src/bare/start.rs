//! From nothing to servers that serve.

use super::{Bare, Options, READY_LIMIT};
use crate::api::Api;
use crate::content::Content;
use crate::dev_cluster::Process;
use crate::isolation::mount_memory;
use crate::wait::wait_for;
use crate::{disks, program};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// Where a server listens that has a machine of its own.
const PORT: u16 = 8080;

/// One server, and how it is started.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) process: Process,
    pub(super) child: Option<Child>,
    /// Whether a signal stopped it.
    pub(super) stopped: bool,
    arguments: Vec<String>,
}

impl Bare {
    /// Makes everything that servers need, and starts none.
    pub(super) fn install(options: Options) -> Result<Self> {
        let folder = match &options.folder {
            Some(place) => TempDir::with_prefix_in("mdfs-test-", place)?,
            None => TempDir::with_prefix("mdfs-test-")?,
        };
        for secret in ["cluster-key", "root-token", "link-key"] {
            make_secret(&folder.path().join(secret))?;
        }
        let token = fs::read_to_string(folder.path().join("root-token"))?;
        let mut cluster = Self {
            servers: Default::default(),
            network: options.network,
            folder,
            token: token.trim().to_owned(),
            cluster_id: String::new(),
        };
        let mut masters = Vec::new();
        for number in 0..options.masters {
            let name = format!("m{number}");
            let address = cluster.place(&name)?;
            masters.push(format!("http://{address}"));
            let mut arguments = cluster.shared("master", address, &options.flags)?;
            arguments.extend(["--root-token-file".to_owned(), cluster.path("root-token")?]);
            arguments.extend(["--link-key-file".to_owned(), cluster.path("link-key")?]);
            arguments.extend(words(&options.master_flags));
            cluster.add("master", &name, address, None, arguments);
        }
        for number in 0..options.workers {
            let name = format!("w{number}");
            let address = cluster.place(&name)?;
            let disk = cluster.folder().join(&name);
            match options.disk_bytes {
                Some(bytes) => mount_memory(&disk, bytes)?,
                None => fs::create_dir(&disk)?,
            }
            // A folder in it, so that something else can be on that file system.
            let data_dir = disk.join("disk");
            let mut arguments = cluster.shared("worker", address, &options.flags)?;
            arguments.extend([
                "--data-dir".to_owned(),
                cluster.path(&format!("{name}/disk"))?,
            ]);
            arguments.extend(["--name".to_owned(), name.clone()]);
            let masters = masters.iter();
            arguments.extend(masters.flat_map(|url| ["--master".to_owned(), url.clone()]));
            cluster.add("worker", &name, address, Some(data_dir), arguments);
        }
        Ok(cluster)
    }

    /// Starts a server that does not run.
    ///
    /// # Errors
    /// If it runs, or cannot be started.
    pub fn start_server(&mut self, name: &str) -> Result<()> {
        let log = self.log_file();
        let log = OpenOptions::new().append(true).create(true).open(log)?;
        let server = self.servers.get_mut(name);
        let server = server.with_context(|| format!("no server is called {name}"))?;
        ensure!(server.child.is_none(), "{name} runs");
        let program = program::mdfs()?;
        let mut command = match &self.network {
            Some(network) => network.command(name, &program)?,
            None => Command::new(program),
        };
        command
            .args(&server.arguments)
            // The C library otherwise keeps a heap for each thread, and freed buffers in all of them.
            .env("MALLOC_ARENA_MAX", "2")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let child = command.spawn().with_context(|| format!("start {name}"))?;
        server.process.pid = i32::try_from(child.id())?;
        server.child = Some(child);
        Ok(())
    }

    /// Has the cluster begin, and waits until all workers are live and every master answers for it.
    pub(super) fn begin(&mut self) -> Result<()> {
        let workers = self.role("worker");
        let founders = if workers.len() < 3 { 1 } else { 3 };
        let founders: Vec<_> = workers.iter().take(founders).collect();
        let copies = workers.len().min(2);
        wait_for("beginning", READY_LIMIT, || {
            self.none_ended()?;
            let id = |it: &&Process| {
                let data_dir = it.data_dir.as_deref().context("a worker has a disk")?;
                disks::disk_id(data_dir)
            };
            let disks = founders.iter().map(id).collect::<Result<Vec<_>>>()?;
            let order = json!({ "disks": disks, "replicas": copies });
            let answer = self.ask("POST", "/v1/admin/bootstrap", Some(&order))?;
            let status = answer.status();
            ensure!((200..300).contains(&status), "{}", answer.problem());
            Ok(Some(()))
        })?;
        let live = u64::try_from(workers.len())?;
        let mut cluster_id = None;
        for master in self.role("master") {
            wait_for("master that serves", READY_LIMIT, || {
                self.none_ended()?;
                let status = self.status_of(&master)?;
                let number = |field: &str| status.get(field).and_then(Value::as_u64);
                ensure!(number("live_workers") == Some(live), "{status}");
                cluster_id = status
                    .get("cluster_id")
                    .and_then(Value::as_str)
                    .map(str::to_owned);
                Ok(Some(()))
            })
            .with_context(|| master.name.clone())?;
        }
        self.cluster_id = cluster_id.context("a master tells the cluster's id")?;
        let mut connection = Api::connect(self)?;
        crate::transfer::put(&mut connection, "begun", Content::new(0), 1)?;
        Ok(())
    }

    fn add(
        &mut self,
        role: &str,
        name: &str,
        address: SocketAddr,
        data_dir: Option<PathBuf>,
        arguments: Vec<String>,
    ) {
        let process = Process {
            role: role.to_owned(),
            name: name.to_owned(),
            pid: 0,
            data_dir,
            url: Some(format!("http://{address}")),
        };
        let server = Server {
            process,
            child: None,
            stopped: false,
            arguments,
        };
        self.servers.insert(name.to_owned(), server);
    }

    /// Where a new server listens.
    fn place(&mut self, name: &str) -> Result<SocketAddr> {
        match &mut self.network {
            Some(network) => {
                let address = network.join(name)?;
                Ok(SocketAddr::new(IpAddr::V4(address), PORT))
            }
            None => Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?),
        }
    }

    fn shared(
        &self,
        role: &str,
        address: SocketAddr,
        flags: &[(&str, &str)],
    ) -> Result<Vec<String>> {
        let mut arguments = vec![role.to_owned()];
        arguments.extend(["--listen".to_owned(), address.to_string()]);
        arguments.extend(["--cluster-key-file".to_owned(), self.path("cluster-key")?]);
        arguments.extend(["--threads".to_owned(), "1".to_owned()]);
        let own = std::process::id().to_string();
        arguments.extend(["--exit-with-parent".to_owned(), own]);
        arguments.extend(words(flags));
        Ok(arguments)
    }

    fn path(&self, name: &str) -> Result<String> {
        let path = self.folder().join(name).into_os_string();
        let path = path.into_string();
        path.ok().context("the folder is not UTF-8")
    }
}

fn words(flags: &[(&str, &str)]) -> Vec<String> {
    let flags = flags.iter();
    flags
        .flat_map(|(flag, value)| [flag.to_string(), value.to_string()])
        .collect()
}

/// Writes 256 random bits.
fn make_secret(file: &std::path::Path) -> Result<()> {
    let mut bits = [0_u8; 32];
    File::open("/dev/urandom")?.read_exact(&mut bits)?;
    let text: String = bits.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut options = OpenOptions::new();
    let mut created = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)?;
    Ok(std::io::Write::write_all(&mut created, text.as_bytes())?)
}
