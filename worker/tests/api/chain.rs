//! Three workers in one process, and a master that only tells them of each other.

use crate::support::{CLUSTER, MIB, chunk, chunk_file, config, content, flip, key, seal_of, term};
use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use bytes::Bytes;
use mdfs_client::link::{Links, Peer};
use mdfs_core::checksum::Crc32;
use mdfs_core::id::DiskId;
use mdfs_protocol::internal::{
    self, Directory, DiskAddress, Heartbeat, HeartbeatReply, Hop, HopOutcome, Identity,
    PullRequest, SealRequest, Staged, Stored,
};
use mdfs_protocol::problem::Code;
use mdfs_worker::Error;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

const WITHIN: Duration = Duration::from_secs(20);

/// The last beat of each disk, under a version that rises with every change of an address.
#[derive(Clone, Debug, Default)]
struct Heard {
    version: u64,
    beats: BTreeMap<DiskId, Heartbeat>,
}

type Master = Arc<watch::Sender<Heard>>;

async fn heartbeat(
    State(master): State<Master>,
    Json(beat): Json<Heartbeat>,
) -> Json<HeartbeatReply> {
    let (disk, known) = (beat.identity.disk, beat.directory_version);
    master.send_modify(|heard| {
        let before = heard.beats.insert(disk, beat.clone());
        if before.is_none_or(|before| before.url != beat.url) {
            heard.version += 1;
        }
    });
    let heard = master.borrow().clone();
    let directory = (known != heard.version).then(|| Directory {
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
    Json(HeartbeatReply {
        leader: None,
        directory,
        known: None,
        orders: Vec::new(),
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test's servers end with the test"
)]
fn start<F: Future<Output: Send> + Send + 'static>(task: F) -> AbortOnDropHandle<F::Output> {
    AbortOnDropHandle::new(tokio::spawn(task))
}

struct Running {
    dir: TempDir,
    stop: CancellationToken,
    ended: AbortOnDropHandle<Result<(), Error>>,
    peer: Peer,
    generation: u64,
}

impl Running {
    async fn start(dir: TempDir, master: &str, links: &Links) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut config = config(dir.path());
        config.masters = vec![master.to_owned()];
        let stop = CancellationToken::new();
        let ended = start(mdfs_worker::run(config, listener, stop.clone()));
        let identity = loop {
            match links.identity(&url, WITHIN).await {
                Ok(identity) => break identity,
                Err(error) => assert_eq!(error.code(), Some(Code::Busy), "{error}"),
            }
            tokio::task::yield_now().await;
        };
        let Identity {
            disk, generation, ..
        } = identity;
        let peer = Peer { disk, url };
        links.adopt(&peer, CLUSTER, WITHIN).await.unwrap();
        Self {
            dir,
            stop,
            ended,
            peer,
            generation: generation.0,
        }
    }

    async fn stop(self) -> TempDir {
        self.stop.cancel();
        self.ended.await.unwrap().unwrap();
        self.dir
    }
}

struct Cluster {
    links: Links,
    url: String,
    heard: watch::Receiver<Heard>,
    _master: AbortOnDropHandle<std::io::Result<()>>,
}

impl Cluster {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (sender, heard) = watch::channel(Heard::default());
        let router = Router::new()
            .route(internal::HEARTBEAT, post(heartbeat))
            .with_state(Arc::new(sender));
        let limits = mdfs_service::Limits::default();
        let master = start(mdfs_service::serve(
            listener,
            router,
            limits,
            CancellationToken::new(),
        ));
        let links = Links::new(&key(b'k'), Some(CLUSTER)).unwrap();
        Self {
            links,
            url,
            heard,
            _master: master,
        }
    }

    async fn worker(&self) -> Running {
        Running::start(tempfile::tempdir().unwrap(), &self.url, &self.links).await
    }

    /// Waits until all of them know where all are.
    async fn meet(&mut self, workers: &[&Running]) {
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

    async fn segment(
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

    async fn read(&self, from: &Running, length: usize) -> Vec<u8> {
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

fn disks(workers: &[&Running]) -> Vec<DiskId> {
    workers.iter().map(|worker| worker.peer.disk).collect()
}

fn received(worker: &Running, bytes: usize) -> Hop {
    let received = bytes as u64;
    Hop {
        disk: worker.peer.disk,
        outcome: HopOutcome::Received(Staged { received }),
    }
}

#[track_caller]
fn failed(hop: &Hop, disk: DiskId) {
    let HopOutcome::Failed { code, .. } = &hop.outcome else {
        panic!("{hop:?}")
    };
    assert_eq!((*code, hop.disk), (Code::Unavailable, disk));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_goes_on_without_the_worker_in_its_middle_which_then_pulls_what_it_missed() {
    let mut cluster = Cluster::start().await;
    let (first, middle, last) = (
        cluster.worker().await,
        cluster.worker().await,
        cluster.worker().await,
    );
    cluster.meet(&[&first, &middle, &last]).await;
    let bytes = Bytes::from(content(2 * MIB + 4321));

    let hops = cluster.segment(&first, &[&middle, &last], 0, &bytes).await;
    assert_eq!(
        hops,
        [
            received(&first, MIB),
            received(&middle, MIB),
            received(&last, MIB)
        ]
    );

    let (gone, generation) = (middle.peer.disk, middle.generation);
    let dir = middle.stop().await;
    assert!(cluster.heard.borrow().beats[&gone].leaving);

    let next = [gone, last.peer.disk];
    let slice = bytes.slice(MIB..2 * MIB);
    let crc = Crc32::of(&slice);
    let offset = MIB as u64;
    let sent = cluster
        .links
        .segment(
            &first.peer,
            chunk(0),
            offset,
            term(1),
            slice.into(),
            crc,
            &next,
            WITHIN,
        )
        .await;
    let hops = sent.unwrap().hops;
    assert_eq!(hops[0], received(&first, 2 * MIB));
    failed(&hops[1], gone);
    failed(&hops[2], last.peer.disk);

    // The writer goes on with those who are left, from where the last of them is.
    for (number, end) in [(1, 2 * MIB), (2, bytes.len())] {
        let hops = cluster.segment(&first, &[&last], number, &bytes).await;
        assert_eq!(hops, [received(&first, end), received(&last, end)]);
    }
    let seal = seal_of(&bytes);
    let request = SealRequest {
        term: term(1),
        seal: seal.clone(),
        next: disks(&[&last]),
    };
    let hops = cluster
        .links
        .seal(&first.peer, chunk(0), &request, WITHIN)
        .await
        .unwrap()
        .hops;
    let stored = Stored {
        length: bytes.len() as u64,
        crc32: Crc32::of(&bytes),
    };
    let durable = |worker: &Running| Hop {
        disk: worker.peer.disk,
        outcome: HopOutcome::Durable(stored),
    };
    assert_eq!(hops, [durable(&first), durable(&last)]);

    // The disk comes back, at another address.
    let back = Running::start(dir, &cluster.url, &cluster.links).await;
    assert_eq!((back.peer.disk, back.generation), (gone, generation + 1));
    cluster.meet(&[&first, &back, &last]).await;
    let request = PullRequest {
        term: term(1),
        seal: seal.clone(),
        from: last.peer.disk,
    };
    for _ in 0..2 {
        let pulled = cluster
            .links
            .pull(&back.peer, chunk(0), &request, WITHIN)
            .await
            .unwrap();
        assert_eq!(pulled, stored);
    }
    for worker in [&first, &back, &last] {
        assert!(cluster.read(worker, bytes.len()).await == bytes);
    }
    // A copy that has gone bad is replaced, though nobody has read it yet.
    flip(&chunk_file(back.dir.path()), MIB);
    let pulled = cluster
        .links
        .pull(&back.peer, chunk(0), &request, WITHIN)
        .await
        .unwrap();
    assert_eq!(pulled, stored);
    assert!(cluster.read(&back, bytes.len()).await == bytes);
    for worker in [first, back, last] {
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_worker_on_the_same_disk_does_not_start() {
    let cluster = Cluster::start().await;
    let worker = cluster.worker().await;
    let second = |dir: &Path| {
        let mut config = config(dir);
        config.masters = vec![cluster.url.clone()];
        config
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let started = mdfs_worker::run(
        second(worker.dir.path()),
        listener,
        CancellationToken::new(),
    );
    let refused = tokio::time::timeout(WITHIN, started)
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(refused.to_string(), "the disk is in use by another process");
    worker.stop().await;
}
