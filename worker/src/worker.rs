//! A worker: its settings, and its disk once that is open.

use crate::config::Config;
use crate::directory::Directory;
use crate::disk::{Disk, RealDisk};
use crate::error::{self, Error};
use crate::masters::Masters;
use crate::metrics::Metrics;
use crate::node::Node;
use crate::store::{self, ChunkStore, StoreSettings};
use crate::transfer::peers::Peers;
use crate::voter::VoterStorage;
use crate::voter::driver::{self, VoterEnd, VoterHandle};
use mdfs_client::link::Network;
use mdfs_core::id::DiskId;
use mdfs_core::log::voter::{Voter, VoterSettings};
use mdfs_protocol::access::ClusterKey;
use mdfs_service::{CallDied, Machine};
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use tokio_util::sync::CancellationToken;

/// A worker. Clones are the same one. Made closed; [`Worker::open`] opens its disk.
#[derive(Clone, Debug)]
pub struct Worker {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: Config,
    machine: Machine,
    network: Network,
    metrics: Arc<Metrics>,
    directory: Directory,
    masters: Masters,
    node: OnceLock<Arc<Node>>,
    leaving: CancellationToken,
}

impl Worker {
    /// A worker with its disk still closed.
    ///
    /// # Errors
    /// If a setting cannot work.
    pub fn new(config: Config, machine: impl Into<Machine>) -> Result<Self, Error> {
        Self::on(config, machine.into(), Network::real())
    }

    /// As [`Worker::new`], on a network.
    ///
    /// # Errors
    /// If a setting cannot work.
    pub fn on(config: Config, machine: Machine, network: Network) -> Result<Self, Error> {
        config.check()?;
        let metrics = Arc::new(Metrics::new(&machine.clock, config.scrub_every)?);
        let directory = Directory::default();
        let masters = Masters::default();
        let (node, leaving) = (OnceLock::new(), CancellationToken::new());
        Ok(Self {
            inner: Arc::new(Inner {
                config,
                machine,
                network,
                metrics,
                directory,
                masters,
                node,
                leaving,
            }),
        })
    }

    /// Opens the disk of the data directory, which is made if there is none, and starts the voter.
    /// Returns what tells when the voter has ended.
    ///
    /// # Errors
    /// If the directory cannot be made or another process has it, or what is on it is not ours.
    /// Nothing on a disk that is refused was changed. A damaged log is no error: the chunks are
    /// served, and the voter refuses all that it is asked.
    ///
    /// # Cancel safety
    /// The disk may be opened and closed again after the future was dropped.
    pub async fn open(&self) -> Result<VoterEnd, Error> {
        let data_dir = self.inner.config.data_dir.clone();
        let made = self.inner.machine.threads.run(move || make_dir(&data_dir));
        let operation = "make the data directory";
        made.await
            .map_err(|CallDied| Error::CallDied)?
            .map_err(|source| Error::System { operation, source })?;
        let disk = RealDisk::new(self.inner.config.data_dir.clone(), true);
        self.open_on(Arc::new(disk)).await
    }

    /// Opens `disk` in place of the data directory. See [`Worker::open`].
    ///
    /// # Errors
    /// As [`Worker::open`].
    pub async fn open_on(&self, disk: Arc<dyn Disk>) -> Result<VoterEnd, Error> {
        let inner = Arc::clone(&self.inner);
        let threads = &self.inner.machine.threads;
        let opened = threads.run(move || inner.open_blocking(disk));
        let (node, end) = opened.await.map_err(|CallDied| Error::CallDied)??;
        let _ = self.inner.node.set(Arc::new(node));
        Ok(end)
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// Where the other disks are.
    pub fn directory(&self) -> &Directory {
        &self.inner.directory
    }

    /// The masters that it beats at.
    pub(crate) fn masters(&self) -> &Masters {
        &self.inner.masters
    }

    /// The disk's id, once it is open.
    pub fn disk(&self) -> Option<DiskId> {
        self.inner.node.get().map(|node| node.disk())
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    /// The open disk.
    pub(crate) fn node(&self) -> Result<Arc<Node>, Error> {
        self.inner.node.get().cloned().ok_or(Error::NotReady {
            doing: "opening its disk",
        })
    }

    /// Reads every block of every chunk, over and over, until `stop` fires.
    ///
    /// # Errors
    /// If the disk is not open.
    ///
    /// # Cancel safety
    /// May be dropped.
    pub async fn scrub(&self, stop: CancellationToken) -> Result<(), Error> {
        let node = self.node()?;
        let scrub = node.scrub.clone();
        scrub.run(node, self.inner.config.scrub_every, stop).await;
        Ok(())
    }

    /// Whether the caller knows the cluster key.
    pub(crate) fn admits(&self, authorization: Option<&str>) -> bool {
        let admits = |key: &ClusterKey| key.admits(authorization);
        let Config {
            cluster_key,
            other_cluster_key,
            ..
        } = &self.inner.config;
        admits(cluster_key) || other_cluster_key.as_ref().is_some_and(admits)
    }

    /// From now on the worker says that it is about to stop.
    pub(crate) fn leave(&self) {
        self.inner.leaving.cancel();
    }

    /// Fires when the worker is about to stop.
    pub(crate) fn leaving(&self) -> &CancellationToken {
        &self.inner.leaving
    }
}

impl Inner {
    fn open_blocking(&self, disk: Arc<dyn Disk>) -> Result<(Node, VoterEnd), Error> {
        let Config {
            reserve_bytes,
            capacity_bytes,
            cluster_key,
            limits,
            ..
        } = &self.config;
        let settings = StoreSettings {
            reserve_bytes: *reserve_bytes,
            capacity_bytes: *capacity_bytes,
            most_staged: limits.most_staged,
            staged_idle: limits.staged_idle,
            most_open: limits.most_open,
            ..StoreSettings::default()
        };
        let fresh = DiskId::from_u128(self.machine.chance.random_u128());
        let store = ChunkStore::open(disk, settings, fresh)?;
        let (handle, end) = self.start_voter(&store)?;
        let cluster = store.identity().cluster;
        let peers = Peers::new(&self.network, cluster_key, cluster, self.directory.clone())?;
        let metrics = Arc::clone(&self.metrics);
        let (machine, config) = (&self.machine, &self.config);
        let node = Node::new(store, handle, peers, metrics, machine, config)?;
        let identity = node.identity();
        tracing::info!(
            disk = %identity.disk,
            cluster = identity.cluster.map(|cluster| cluster.to_string()),
            generation = identity.generation.0,
            "the disk is open"
        );
        Ok((node, end))
    }
    /// Starts the voter; or, if the log on the disk is damaged or gone, what refuses in its place:
    /// a voter that forgot what it promised must not vote, but the chunks are as good as before.
    fn start_voter(&self, store: &ChunkStore) -> Result<(VoterHandle, VoterEnd), Error> {
        let Config { lease, limits, .. } = &self.config;
        let settings = VoterSettings {
            lease: *lease,
            ..VoterSettings::DEFAULT
        };
        let open = || -> Result<_, Error> {
            let storage = VoterStorage::open(store)?;
            let voter = Voter::restore(storage.load()?, self.machine.clock.now(), settings)?;
            Ok((voter, storage))
        };
        let started = match open() {
            Ok((voter, storage)) => {
                // The store the tables are on knows of their failure itself: it makes the disk
                // read-only.
                let failed = || tracing::error!("the voter takes no part in the log any more");
                let machine = self.machine.clone();
                driver::start(voter, storage, machine, limits.voter_inbox, failed)
            }
            Err(error) if is_log_damage(&error) => {
                let cause = error::chain(&error);
                tracing::error!(
                    %error,
                    cause,
                    "the metadata log of this disk cannot be used: the voter refuses all that it \
                     is asked, the chunks are served"
                );
                driver::start_refusing(&self.machine.threads, limits.voter_inbox)
            }
            Err(error) => return Err(error),
        };
        started.map_err(|source| Error::System {
            operation: "start the voter",
            source,
        })
    }
}

/// Whether only the metadata log cannot be used, because of what is in it.
fn is_log_damage(error: &Error) -> bool {
    matches!(
        error,
        Error::CorruptLog(_)
            | Error::Store(store::Error::LogDamaged { .. } | store::Error::LogMissing { .. })
    )
}

/// Makes a directory with all above it that are missing, durably.
fn make_dir(path: &Path) -> io::Result<()> {
    let mut changed = Vec::new();
    for dir in path.ancestors() {
        let dir = if dir.as_os_str().is_empty() {
            Path::new(".")
        } else {
            dir
        };
        changed.push(dir);
        if dir.try_exists()? {
            break;
        }
    }
    std::fs::create_dir_all(path)?;
    // Nothing was made if the directory itself exists.
    if changed.len() > 1 {
        for dir in changed {
            File::open(dir)?.sync_all()?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_made_with_all_above_it() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/b/c");
        make_dir(&path).unwrap();
        assert!(path.is_dir());
        make_dir(&path).unwrap();
        std::fs::write(path.join("file"), b"").unwrap();
        assert!(make_dir(&path.join("file/d")).is_err());
    }
}
