//! The folder of a development cluster: disks, secrets, and the state of the last run.

use super::state::DevState;
use anyhow::{Context, Result, bail};
use mdfs_core::id::ClusterId;
use rustix::fs::{FlockOperation, flock};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where a development cluster keeps its data unless told otherwise.
pub(crate) const DEFAULT: &str = "./mdfs-data";

/// The folder, locked for as long as a value of this type lives.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    root: PathBuf,
    default: bool,
    _lock: Arc<File>,
}

impl Folder {
    /// Opens the folder, makes what is missing of it, and locks it.
    pub(super) fn open(path: &Path) -> Result<Self> {
        std::fs::create_dir_all(path)
            .with_context(|| format!("cannot make the folder {}", path.display()))?;
        let root = std::path::absolute(path).context("cannot find the present folder")?;
        let lock = root.join("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&lock)
            .with_context(|| format!("cannot open {}", lock.display()))?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            bail!("another cluster runs on {}", root.display());
        }
        let default = path == Path::new(DEFAULT);
        let folder = Self {
            root,
            default,
            _lock: Arc::new(file),
        };
        for secret in [folder.root_token(), folder.cluster_key(), folder.link_key()] {
            make_secret(&secret)?;
        }
        Ok(folder)
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Whether commands find the cluster without being told.
    pub(super) fn is_default(&self) -> bool {
        self.default
    }

    pub(super) fn root_token(&self) -> PathBuf {
        self.root.join("root-token")
    }

    pub(super) fn cluster_key(&self) -> PathBuf {
        self.root.join("cluster-key")
    }

    pub(super) fn link_key(&self) -> PathBuf {
        self.root.join("link-key")
    }

    /// The id of the cluster, which masters are told before it begins; none in a folder that an earlier
    /// version made.
    ///
    /// # Errors
    /// If it cannot be read or made.
    pub(super) fn cluster_id(&self) -> Result<Option<ClusterId>> {
        let file = self.root.join("cluster-id");
        let mut disks = (0..self.known_workers()?).map(|number| self.worker(number));
        if self.read_state()?.is_none() && !disks.any(|disk| disk.join("identity").exists()) {
            let mut bits = [0; 16];
            mdfs_service::chance::fill(&mut bits);
            // Nobody was told another.
            write_file(&file, &ClusterId::from_bytes(bits).to_string())?;
        }
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", file.display()));
            }
        };
        let id = text.trim().parse();
        let id = id.with_context(|| format!("{} is no id of a cluster", file.display()))?;
        Ok(Some(id))
    }

    /// The disk of a worker; they are numbered from 0.
    pub(super) fn worker(&self, number: u16) -> PathBuf {
        self.root.join(worker_name(number))
    }

    /// How many workers have a disk here, gaps included.
    pub(super) fn known_workers(&self) -> Result<u16> {
        let mut known = 0;
        let entries = std::fs::read_dir(&self.root)
            .with_context(|| format!("cannot list {}", self.root.display()))?;
        for entry in entries {
            let name = entry.with_context(|| format!("cannot list {}", self.root.display()))?;
            let name = name.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix("worker-"));
            if let Some(number) = number.and_then(|number| number.parse::<u16>().ok()) {
                known = known.max(number.saturating_add(1));
            }
        }
        Ok(known)
    }

    /// What the last run wrote, if there was one.
    pub(super) fn read_state(&self) -> Result<Option<DevState>> {
        DevState::read(&self.root.join("dev.json"))
    }

    /// Leaves word of how this cluster is reached, for commands and for the next run.
    pub(super) fn write_state(&self, state: &DevState) -> Result<()> {
        state.write(&self.root.join("dev.json"))
    }
}

/// What a master is called; they are numbered from 0 too.
pub(super) fn master_name(number: usize) -> String {
    format!("master-{number}")
}

/// What a worker is called.
pub(super) fn worker_name(number: u16) -> String {
    format!("worker-{number}")
}

/// Writes 256 random bits, unless the file is there.
fn make_secret(file: &Path) -> Result<()> {
    let is_there = file.try_exists();
    if is_there.with_context(|| format!("cannot read {}", file.display()))? {
        return Ok(());
    }
    let mut bits = [0; 32];
    mdfs_service::chance::fill(&mut bits);
    let text: String = bits.iter().map(|byte| format!("{byte:02x}")).collect();
    write_file(file, &text)
}

/// Writes a line that nobody else may read. A crash leaves what was there, or the line.
fn write_file(file: &Path, line: &str) -> Result<()> {
    let staged = file.with_extension("staged");
    let write = || {
        let mut create = OpenOptions::new();
        create.write(true).create(true).truncate(true).mode(0o600);
        let mut created = create.open(&staged)?;
        writeln!(created, "{line}")?;
        created.sync_all()?;
        std::fs::rename(&staged, file)
    };
    write().with_context(|| format!("cannot write {}", file.display()))
}
