//! Workers in one process, and a master that tells them of each other and gives orders.

use crate::support::{CLUSTER, MIB, chunk, config, key, seal_of, term};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use bytes::Bytes;
use mdfs_client::link::{Links, Peer, Reads};
use mdfs_core::checksum::Crc32;
use mdfs_core::id::DiskId;
use mdfs_protocol::holdings::Known;
use mdfs_protocol::internal::{
    self, Directory, DiskAddress, Heartbeat, HeartbeatReply, Hop, Identity, Leader, SealRequest,
};
use mdfs_protocol::local::{self, LookUp, LookedUp};
use mdfs_protocol::order::{Done, Failure, Order, Task};
use mdfs_protocol::problem::Code;
use mdfs_service::serve::problem_response;
use mdfs_worker::{Config, Error};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

pub(crate) const WITHIN: Duration = Duration::from_secs(20);

/// The last beat of each disk, under a version that rises with every change of an address.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard {
    version: u64,
    pub(crate) beats: BTreeMap<DiskId, Heartbeat>,
    /// Whether beats are answered as by a leader.
    pub(crate) leads: bool,
    /// Whether they are answered as by a master that knows another leader.
    pub(crate) follows: bool,
    /// Whether beats are refused, as those of a foreign or old disk are.
    pub(crate) refuses: bool,
    /// The only file that the master knows.
    pub(crate) file: Option<LookedUp>,
    /// Whether every beat is answered as if nothing was known of the chunks.
    pub(crate) wants_changes: bool,
    /// What the next beat of each disk is answered with.
    pub(crate) orders: BTreeMap<DiskId, Vec<Order>>,
    pub(crate) done: Vec<Done>,
    last_order: u64,
}

pub(crate) type Master = Arc<watch::Sender<Heard>>;

async fn heartbeat(State(master): State<Master>, body: Bytes) -> Response {
    let beat: Heartbeat = postcard::from_bytes(&body).unwrap();
    let (disk, has) = (beat.identity.disk, beat.directory_version);
    let mut orders = Vec::new();
    master.send_modify(|heard| {
        let before = heard.beats.insert(disk, beat.clone());
        if before.is_none_or(|before| before.url != beat.url) {
            heard.version += 1;
        }
        heard.done.extend(beat.done.iter().cloned());
        orders = heard.orders.remove(&disk).unwrap_or_default();
    });
    let heard = master.borrow().clone();
    if heard.refuses {
        let id = mdfs_service::RequestId::random();
        return problem_response(Code::ForeignDisk, "refused".to_owned(), &id);
    }
    let known = Known {
        mount: beat.holdings.mount,
        sequence: 0,
    };
    let known = heard.wants_changes.then_some(known);
    let directory = (has != heard.version).then(|| Directory {
        version: heard.version,
        disks: heard
            .beats
            .into_iter()
            .map(|(disk, beat)| DiskAddress {
                disk,
                url: beat.url,
            })
            .collect(),
    });
    let leader = (heard.leads || heard.follows).then(|| Leader {
        term: term(1),
        url: "http://leader".to_owned(),
    });
    let reply = HeartbeatReply {
        leader,
        accepted: heard.leads,
        directory,
        masters: None,
        known,
        orders,
    };
    postcard::to_stdvec(&reply).unwrap().into_response()
}

/// Lets in one token, and refuses secrets in a URL.
async fn look_up(State(master): State<Master>, Json(asked): Json<LookUp>) -> Response {
    let heard = master.borrow().clone();
    let refused = if heard.refuses {
        Some(Code::NoLeader)
    } else if asked.query.contains("token=") {
        Some(Code::InvalidRequest)
    } else if asked.authorization.as_deref() != Some("Bearer let-me-in") {
        Some(Code::Unauthorized)
    } else {
        None
    };
    let id = mdfs_service::RequestId::random();
    match (refused, heard.file) {
        (Some(code), _) => problem_response(code, "refused".to_owned(), &id),
        (None, None) => problem_response(Code::FileNotFound, "no such file".to_owned(), &id),
        (None, Some(file)) => Json(file).into_response(),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test's servers end with the test"
)]
pub(crate) fn start<F: Future<Output: Send> + Send + 'static>(
    task: F,
) -> AbortOnDropHandle<F::Output> {
    AbortOnDropHandle::new(tokio::spawn(task))
}

pub(crate) struct Running {
    pub(crate) dir: TempDir,
    stop: CancellationToken,
    ended: AbortOnDropHandle<Result<(), Error>>,
    pub(crate) peer: Peer,
}

impl Running {
    pub(crate) async fn start(dir: TempDir, master: &str, links: &Links) -> Self {
        Self::with(dir, master, links, |_| {}).await
    }

    async fn with(
        dir: TempDir,
        master: &str,
        links: &Links,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut config = config(dir.path());
        config.masters = vec![master.to_owned()];
        change(&mut config);
        let stop = CancellationToken::new();
        let ended = start(mdfs_worker::run(config, listener, stop.clone()));
        let identity = loop {
            match links.identity(&url, WITHIN).await {
                Ok(identity) => break identity,
                Err(error) if error.code() == Some(Code::Busy) => {}
                Err(error) if ended.is_finished() => panic!("{error}: {:?}", ended.await),
                Err(error) => panic!("{error}"),
            }
            tokio::task::yield_now().await;
        };
        let Identity { disk, .. } = identity;
        let peer = Peer { disk, url };
        links.adopt(&peer, CLUSTER, WITHIN).await.unwrap();
        Self {
            dir,
            stop,
            ended,
            peer,
        }
    }

    pub(crate) async fn stop(self) -> TempDir {
        self.stop.cancel();
        self.ended.await.unwrap().unwrap();
        // A call to the disk that nobody waited for may hold it a moment longer than its worker runs: with
        // a process, it would be gone.
        let lock = std::fs::File::open(self.dir.path().join("lock")).unwrap();
        let free = tokio::task::spawn_blocking(move || lock.lock());
        free.await.unwrap().unwrap();
        self.dir
    }
}

pub(crate) struct Cluster {
    pub(crate) links: Links,
    pub(crate) url: String,
    pub(crate) master: Master,
    pub(crate) heard: watch::Receiver<Heard>,
    _master: AbortOnDropHandle<std::io::Result<()>>,
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (sender, heard) = watch::channel(Heard::default());
        let told = Arc::new(sender);
        let router = Router::new()
            .route(internal::HEARTBEAT, post(heartbeat))
            .route(local::LOOK_UP, post(look_up))
            .with_state(Arc::clone(&told));
        let limits = mdfs_service::Limits::default();
        let master = start(mdfs_service::serve(
            listener,
            router,
            limits,
            CancellationToken::new(),
        ));
        let links = Links::new(&key(b'k'), Some(CLUSTER), Reads::Small).unwrap();
        Self {
            links,
            url,
            master: told,
            heard,
            _master: master,
        }
    }

    pub(crate) async fn worker(&self) -> Running {
        Running::start(tempfile::tempdir().unwrap(), &self.url, &self.links).await
    }

    /// A worker that says little by itself.
    pub(crate) async fn worker_beating_every(&self, every: Duration) -> Running {
        let dir = tempfile::tempdir().unwrap();
        let change = |config: &mut Config| config.heartbeat_interval = every;
        Running::with(dir, &self.url, &self.links, change).await
    }

    /// The first beat of a disk, from the last one on, that is as it should be.
    pub(crate) async fn beat(
        &mut self,
        disk: DiskId,
        is_right: impl Fn(&Heartbeat) -> bool,
    ) -> Heartbeat {
        let right = self
            .heard
            .wait_for(|heard| heard.beats.get(&disk).is_some_and(&is_right));
        let heard = tokio::time::timeout(WITHIN, right).await.unwrap().unwrap();
        heard.beats[&disk].clone()
    }

    /// Stores a chunk on a worker.
    pub(crate) async fn store(&self, worker: &Running, bytes: &[u8]) {
        let bytes = Bytes::copy_from_slice(bytes);
        for number in 0..bytes.len().div_ceil(MIB) {
            self.segment(worker, &[], number, &bytes).await;
        }
        let request = SealRequest {
            term: term(1),
            seal: seal_of(&bytes),
            next: Vec::new(),
        };
        let sealed = self.links.seal(&worker.peer, chunk(0), &request, WITHIN);
        sealed.await.unwrap();
    }

    /// Gives a worker an order with its next beat, and waits for what came of it.
    pub(crate) async fn order(&mut self, to: &Running, round: u64, task: Task) -> Option<Failure> {
        let (term, disk) = (term(round), to.peer.disk);
        let mut id = 0;
        self.master.send_modify(|heard| {
            heard.last_order += 1;
            id = heard.last_order;
            heard
                .orders
                .entry(disk)
                .or_default()
                .push(Order { term, id, task });
        });
        let told = self
            .heard
            .wait_for(|heard| heard.done.iter().any(|done| done.id == id));
        let heard = tokio::time::timeout(WITHIN, told).await.unwrap().unwrap();
        let done: Vec<_> = heard.done.iter().filter(|done| done.id == id).collect();
        assert_eq!((done.len(), done[0].term), (1, term));
        done[0].failure.clone()
    }

    /// Waits until all of them know where all are.
    pub(crate) async fn meet(&mut self, workers: &[&Running]) {
        let met = self.heard.wait_for(|heard| {
            workers.iter().all(|worker| {
                let beat = heard.beats.get(&worker.peer.disk);
                beat.is_some_and(|beat| {
                    beat.url == worker.peer.url && beat.directory_version == heard.version
                })
            })
        });
        tokio::time::timeout(WITHIN, met).await.unwrap().unwrap();
    }

    pub(crate) async fn segment(
        &self,
        to: &Running,
        next: &[&Running],
        number: usize,
        all: &Bytes,
    ) -> Vec<Hop> {
        let bytes = all.slice(number * MIB..all.len().min((number + 1) * MIB));
        let (crc, offset) = (Crc32::of(&bytes), (number * MIB) as u64);
        let sent = self
            .links
            .segment(
                &to.peer,
                chunk(0),
                offset,
                term(1),
                bytes.into(),
                crc,
                &disks(next),
                WITHIN,
            )
            .await;
        sent.unwrap().hops
    }

    pub(crate) async fn read(&self, from: &Running, length: usize) -> Vec<u8> {
        let stream = self
            .links
            .read(&from.peer, chunk(0), 0, length as u64, WITHIN)
            .await;
        let (mut stream, mut bytes) = (stream.unwrap(), Vec::new());
        while let Some(frame) = stream.frame().await.unwrap() {
            bytes.extend_from_slice(&frame);
        }
        bytes
    }
}

pub(crate) fn disks(workers: &[&Running]) -> Vec<DiskId> {
    workers.iter().map(|worker| worker.peer.disk).collect()
}
