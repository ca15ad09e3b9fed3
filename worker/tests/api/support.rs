//! A worker on a temporary directory, spoken to without a network.

use crate::faulty::FaultyDisk;
use axum::Router;
use axum::body::Body;
use axum::response::Response;
use http::header::{AUTHORIZATION, CONTENT_LENGTH};
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use mdfs_core::checksum::{ChunkHash, ChunkHasher, Crc32};
use mdfs_core::chunk::{ChunkId, ChunkSize};
use mdfs_core::id::{ClusterId, DiskId, FileId, Incarnation, Term};
use mdfs_protocol::access::{CLUSTER_HEADER, ClusterKey, DISK_HEADER, Secret};
use mdfs_protocol::internal::{self, Adopt, CRC_HEADER, Seal, SealRequest, chunk_path};
use mdfs_protocol::problem::{Code, Problem};
use mdfs_service::Clock;
use mdfs_worker::disk::{Disk, RealDisk};
use mdfs_worker::voter::driver::VoterEnd;
use mdfs_worker::{Config, Limits, Worker, router};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tower::ServiceExt;

pub(crate) const CLUSTER: ClusterId = ClusterId::from_u128(0xc1);
pub(crate) const OTHER_CLUSTER: ClusterId = ClusterId::from_u128(0xc2);
pub(crate) const MIB: usize = 1 << 20;

pub(crate) fn key(letter: u8) -> ClusterKey {
    ClusterKey::new(&Secret::new(&[letter; 32]).unwrap())
}

pub(crate) fn term(round: u64) -> Term {
    Term {
        round,
        incarnation: Incarnation(7),
    }
}

pub(crate) fn chunk(index: u32) -> ChunkId {
    ChunkId {
        file: FileId::from_u128(0xf11e),
        index,
    }
}

pub(crate) fn config(data_dir: &Path) -> Config {
    let masters = vec!["http://127.0.0.1:1".to_owned()];
    Config {
        other_cluster_key: Some(key(b'o')),
        heartbeat_interval: Duration::from_millis(50),
        reserve_bytes: Some(1 << 20),
        limits: Limits {
            queue_wait: Duration::from_millis(200),
            ..Limits::default()
        },
        ..Config::new(data_dir.to_owned(), "w0".to_owned(), masters, key(b'k'))
    }
}

/// Bytes in which every block differs from every other.
pub(crate) fn content(length: usize) -> Vec<u8> {
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    let next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        state.to_be_bytes()
    };
    std::iter::repeat_with(next)
        .flatten()
        .take(length)
        .collect()
}

pub(crate) fn seal_of(bytes: &[u8]) -> Seal {
    let mut hasher = ChunkHasher::new(0, ChunkSize::DEFAULT);
    hasher.update(bytes);
    let hash: ChunkHash = hasher.finish(true);
    Seal {
        length: bytes.len() as u64,
        crc32: Crc32::of(bytes),
        hash,
        chunk_size: ChunkSize::DEFAULT,
        name: "films/größe.mkv".to_owned(),
        begun_at: 5,
        file_bytes: Some(bytes.len() as u64),
    }
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Vec<u8>,
    /// Whether the body broke off.
    pub(crate) broken: bool,
}

impl Answer {
    #[track_caller]
    pub(crate) fn json<T: DeserializeOwned>(&self) -> T {
        assert_eq!(
            self.status,
            StatusCode::OK,
            "{}",
            String::from_utf8_lossy(&self.body)
        );
        serde_json::from_slice(&self.body).unwrap()
    }

    #[track_caller]
    pub(crate) fn refused(&self, code: Code) {
        let text = String::from_utf8_lossy(&self.body);
        let problem: Problem = serde_json::from_slice(&self.body).expect(&text);
        assert_eq!(problem.code, code, "{text}");
        assert_eq!(self.status.as_u16(), code.status());
        assert!(!problem.request_id.is_empty());
    }
}

/// One request, with everything right about it until it is changed.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) target: String,
    pub(crate) key: Option<ClusterKey>,
    pub(crate) disk: Option<DiskId>,
    pub(crate) cluster: Option<ClusterId>,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

pub(crate) struct Api {
    pub(crate) worker: Worker,
    pub(crate) router: Router,
    pub(crate) disk: Arc<FaultyDisk>,
    pub(crate) dir: TempDir,
    pub(crate) clock: Clock,
    pub(crate) end: VoterEnd,
}

impl Api {
    /// A worker whose blank disk is open.
    pub(crate) async fn blank() -> Self {
        Self::with_limits(|_| {}).await
    }

    /// A worker whose disk belongs to the cluster.
    pub(crate) async fn adopted() -> Self {
        let api = Self::blank().await;
        api.adopt().await;
        api
    }

    pub(crate) async fn with_limits(change: impl FnOnce(&mut Limits)) -> Self {
        Self::start(tempfile::tempdir().unwrap(), Clock::manual(), change).await
    }

    /// A worker on a disk that another one had before, as soon as that one has given it back.
    pub(crate) async fn at(dir: TempDir, clock: Clock) -> Self {
        Self::start(dir, clock, |_| {}).await
    }

    /// A new worker on the same disk.
    pub(crate) async fn restarted(self) -> Self {
        let Self {
            worker,
            router,
            disk,
            dir,
            clock,
            mut end,
        } = self;
        drop((router, worker, disk));
        end.wait().await.unwrap();
        // A call that was under way may have the disk a little longer.
        while RealDisk::new(dir.path(), false)
            .lock(Path::new("lock"))
            .is_err()
        {
            tokio::task::yield_now().await;
        }
        Self::at(dir, clock).await
    }

    async fn start(dir: TempDir, clock: Clock, change: impl FnOnce(&mut Limits)) -> Self {
        let mut config = config(dir.path());
        change(&mut config.limits);
        let worker = Worker::new(config, clock.clone()).unwrap();
        let disk = Arc::new(FaultyDisk::new(dir.path()));
        let end = worker
            .open_on(Arc::clone(&disk) as Arc<dyn Disk>)
            .await
            .unwrap();
        Self {
            router: router(worker.clone()),
            worker,
            disk,
            dir,
            clock,
            end,
        }
    }

    pub(crate) async fn adopt(&self) {
        let call = self.post(internal::ADOPT, &Adopt { cluster: CLUSTER });
        self.send(call).await.json::<internal::Identity>();
    }

    pub(crate) fn call(&self, method: Method, target: impl Into<String>) -> Call {
        Call {
            method,
            target: target.into(),
            key: Some(key(b'k')),
            disk: self.worker.disk(),
            cluster: Some(CLUSTER),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    pub(crate) fn post(&self, target: impl Into<String>, body: &impl Serialize) -> Call {
        Call {
            body: serde_json::to_vec(body).unwrap(),
            ..self.call(Method::POST, target)
        }
    }

    pub(crate) fn segment(&self, chunk: ChunkId, offset: usize, bytes: &[u8]) -> Call {
        let query = format!("?offset={offset}&term={}", term(1));
        let target = chunk_path(chunk, "segment") + &query;
        Call {
            headers: vec![(CRC_HEADER, Crc32::of(bytes).to_string())],
            body: bytes.to_vec(),
            ..self.call(Method::PUT, target)
        }
    }

    pub(crate) fn seal(&self, chunk: ChunkId, seal: Seal) -> Call {
        let request = SealRequest {
            term: term(1),
            seal,
            next: Vec::new(),
        };
        self.post(chunk_path(chunk, "seal"), &request)
    }

    pub(crate) fn read(&self, chunk: ChunkId, query: &str) -> Call {
        self.call(Method::GET, chunk_path(chunk, "") + query)
    }

    /// Stores a chunk by segments and seals it.
    pub(crate) async fn store(&self, chunk: ChunkId, bytes: &[u8]) {
        for (number, segment) in bytes.chunks(MIB).enumerate() {
            self.send(self.segment(chunk, number * MIB, segment))
                .await
                .json::<internal::HopsReply>();
        }
        self.send(self.seal(chunk, seal_of(bytes)))
            .await
            .json::<internal::HopsReply>();
    }

    pub(crate) async fn send(&self, call: Call) -> Answer {
        let response = self.respond(call).await;
        let status = response.status();
        let (mut stream, mut body, mut broken) = (response.into_body(), Vec::new(), false);
        while let Some(frame) = stream.frame().await {
            match frame {
                Ok(frame) => body.extend_from_slice(&frame.into_data().unwrap()),
                Err(_) => broken = true,
            }
        }
        Answer {
            status,
            body,
            broken,
        }
    }

    /// The answer to a request, its body not read yet.
    pub(crate) async fn respond(&self, call: Call) -> Response {
        let Call {
            method,
            target,
            key,
            disk,
            cluster,
            headers,
            body,
        } = call;
        let mut request = Request::builder().method(method).uri(target);
        if let Some(key) = key {
            request = request.header(AUTHORIZATION, key.authorization());
        }
        if let Some(disk) = disk {
            request = request.header(DISK_HEADER, disk.to_string());
        }
        if let Some(cluster) = cluster {
            request = request.header(CLUSTER_HEADER, cluster.to_string());
        }
        if !headers
            .iter()
            .any(|(name, _)| *name == CONTENT_LENGTH.as_str())
        {
            request = request.header(CONTENT_LENGTH, body.len());
        }
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.body(Body::from(body)).unwrap();
        self.router.clone().oneshot(request).await.unwrap()
    }

    pub(crate) async fn get(&self, target: &str) -> Answer {
        let nobody = Call {
            key: None,
            disk: None,
            cluster: None,
            ..self.call(Method::GET, target)
        };
        self.send(nobody).await
    }

    /// The only file of a sealed chunk on the disk.
    pub(crate) fn chunk_file(&self) -> PathBuf {
        chunk_file(self.dir.path())
    }

    /// Turns one bit of a stored chunk.
    pub(crate) fn flip(&self, offset: usize) {
        flip(&self.chunk_file(), offset);
    }
}

/// The only file of a sealed chunk in a data directory.
pub(crate) fn chunk_file(data_dir: &Path) -> PathBuf {
    let mut found = Vec::new();
    let mut open = vec![data_dir.join("chunks")];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path)
            } else {
                found.push(path)
            }
        }
    }
    let [file] = <[PathBuf; 1]>::try_from(found).unwrap();
    file
}

/// Turns one bit of a file.
pub(crate) fn flip(file: &Path, offset: usize) {
    let mut bytes = std::fs::read(file).unwrap();
    bytes[offset] ^= 1;
    std::fs::write(file, bytes).unwrap();
}
