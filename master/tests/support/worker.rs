//! A worker that keeps chunks in memory and fails when it is told to.

use axum::Json;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::HeaderMap;
use mdfs_client::link::{Links, Peer};
use mdfs_core::checksum::Crc32;
use mdfs_core::chunk::ChunkId;
use mdfs_core::id::{DiskId, FileId, Term};
use mdfs_master::leader::command::Site;
use mdfs_protocol::internal::{
    self, Hop, HopOutcome, HopsReply, PullRequest, SEAL_HEADER, Seal, SealRequest, Staged, Stored,
    VerifyRequest,
};
use mdfs_protocol::problem::Code;
use mdfs_service::serve::problem_response;
use mdfs_service::{Limits, RequestId, Tasks, serve};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const BLOCK: u64 = 65_536;
const WITHIN: Duration = Duration::from_millis(500);

pub(crate) struct FakeWorker {
    site: Site,
    pub(crate) inner: Arc<Inner>,
    serving: JoinHandle<io::Result<()>>,
}

pub(crate) struct Inner {
    disk: DiskId,
    links: Links,
    state: Mutex<Disk>,
}

#[derive(Default)]
pub(crate) struct Disk {
    pub(crate) sealed: HashMap<ChunkId, Bytes>,
    pub(crate) seals: HashMap<ChunkId, Seal>,
    pub(crate) staged: HashMap<ChunkId, BTreeMap<u64, Bytes>>,
    directory: HashMap<DiskId, String>,
    pub(crate) faults: Faults,
    /// Requests for bytes: offset and length.
    pub(crate) reads: Vec<(u64, u64)>,
    pub(crate) verified: Vec<Term>,
}

/// What goes wrong.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    /// Reads never answer.
    pub(crate) silent: bool,
    /// Reads answer, give this many bytes of the chunk, then nothing more.
    pub(crate) stall_at: Option<u64>,
    /// Reads break off at this byte of a chunk.
    pub(crate) cut_at: Option<u64>,
    /// These blocks of every chunk are damaged.
    pub(crate) bad_blocks: Vec<u64>,
    /// Writes that reach beyond this byte of a chunk fail.
    pub(crate) full_at: Option<u64>,
    /// Writes that reach beyond this byte never answer.
    pub(crate) hang_at: Option<u64>,
    /// Sealing fails.
    pub(crate) no_seal: bool,
    /// Small chunks are stored, and nobody hears of it.
    pub(crate) unheard: bool,
}

type Shared = State<Arc<Inner>>;
type Target = Path<(FileId, u32)>;
type Parameters = Query<HashMap<String, String>>;

impl FakeWorker {
    pub(crate) async fn start(disk: u128, tasks: &Tasks, links: Links) -> Self {
        let disk = DiskId::from_u128(disk);
        let inner = Arc::new(Inner {
            disk,
            links,
            state: Mutex::default(),
        });
        let router = Router::new()
            .route(internal::CHUNK, get(read).put(whole))
            .route(internal::CHUNK_SEGMENT, put(segment))
            .route(internal::CHUNK_STAGED, get(staged))
            .route(internal::CHUNK_SEAL, post(seal))
            .route(internal::CHUNK_PULL, post(pull))
            .route(internal::CHUNK_VERIFY, post(verify))
            .layer(axum::extract::DefaultBodyLimit::disable())
            .with_state(Arc::clone(&inner));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serving = serve(
            listener,
            router,
            Limits::default(),
            CancellationToken::new(),
        );
        let serving = tasks.spawn_request("worker", serving);
        Self {
            site: Site {
                disk,
                url,
                live: true,
            },
            inner,
            serving,
        }
    }

    pub(crate) fn site(&self) -> Site {
        self.site.clone()
    }

    pub(crate) fn meet(&self, sites: &[Site]) {
        let known = sites.iter().map(|site| (site.disk, site.url.clone()));
        self.inner.disk().directory = known.collect();
    }

    /// Ends all connections and takes no more.
    pub(crate) fn kill(&self) {
        self.serving.abort();
    }

    pub(crate) fn disk(&self) -> MutexGuard<'_, Disk> {
        self.inner.disk()
    }
}

impl Inner {
    pub(crate) fn disk(&self) -> MutexGuard<'_, Disk> {
        self.state.lock().unwrap()
    }

    fn peer(&self, disk: DiskId) -> Peer {
        Peer {
            disk,
            url: self.disk().directory[&disk].clone(),
        }
    }

    fn is_full(&self, end: u64) -> bool {
        self.disk().faults.full_at.is_some_and(|at| end > at)
    }

    async fn hang(&self, end: u64) {
        let hangs = self.disk().faults.hang_at.is_some_and(|at| end > at);
        if hangs {
            std::future::pending::<()>().await;
        }
    }
}

fn refuse(code: Code) -> Response {
    problem_response(code, "as told", &RequestId::random())
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap()
}

/// Bytes from the start without a gap.
fn gapless(staged: &BTreeMap<u64, Bytes>) -> u64 {
    let next = |end, (offset, bytes): (&u64, &Bytes)| {
        if end == *offset {
            end + length(bytes)
        } else {
            end
        }
    };
    staged.iter().fold(0, next)
}

fn joined(staged: Option<&BTreeMap<u64, Bytes>>) -> Bytes {
    let mut all = Vec::new();
    for bytes in staged.into_iter().flat_map(BTreeMap::values) {
        all.extend_from_slice(bytes);
    }
    all.into()
}

fn stored(bytes: &[u8]) -> Stored {
    Stored {
        length: length(bytes),
        crc32: Crc32::of(bytes),
    }
}

async fn read(State(inner): Shared, target: Target, parameters: Parameters) -> Response {
    let Path((file, index)) = target;
    let number = |key: &str| parameters[key].parse::<u64>().unwrap();
    let (offset, asked) = (number("offset"), number("length"));
    let (bytes, faults) = {
        let mut disk = inner.disk();
        disk.reads.push((offset, asked));
        (
            disk.sealed.get(&ChunkId { file, index }).cloned(),
            disk.faults.clone(),
        )
    };
    if faults.silent {
        std::future::pending::<()>().await;
    }
    let Some(bytes) = bytes else {
        return refuse(Code::ChunkNotFound);
    };
    let bad = faults
        .bad_blocks
        .iter()
        .map(|block| block * BLOCK)
        .find(|at| at + BLOCK > offset);
    let end = offset + asked;
    let good_to = [bad, faults.cut_at.filter(|at| *at >= offset)]
        .into_iter()
        .flatten()
        .min();
    let good_to = good_to.unwrap_or(end).min(end);
    if bad.is_some_and(|at| at <= offset) {
        return refuse(Code::BadBlock);
    }
    let stall = faults.stall_at.filter(|at| *at >= offset && *at < good_to);
    let give_to = stall.unwrap_or(good_to);
    let range = usize::try_from(offset).unwrap()..usize::try_from(give_to).unwrap();
    let given = stream::iter([Ok::<_, io::Error>(bytes.slice(range))]);
    let rest = if stall.is_some() {
        stream::pending().boxed()
    } else if good_to < end {
        // Lets what was given out before the connection breaks.
        stream::once(async {
            tokio::task::yield_now().await;
            Err(io::Error::other("as told"))
        })
        .boxed()
    } else {
        stream::empty().boxed()
    };
    let body = Body::from_stream(given.chain(rest));
    let headers = [("content-length", asked.to_string())];
    (headers, body).into_response()
}

async fn whole(
    State(inner): Shared,
    Path((file, index)): Target,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    inner.hang(length(&body)).await;
    if inner.is_full(length(&body)) {
        return refuse(Code::NoSpace);
    }
    let seal: Seal = serde_json::from_slice(headers[SEAL_HEADER].as_bytes()).unwrap();
    assert_eq!((seal.length, seal.crc32), (length(&body), Crc32::of(&body)));
    let chunk = ChunkId { file, index };
    let answer = stored(&body);
    let mut disk = inner.disk();
    if disk.seals.get(&chunk).is_some_and(|sealed| *sealed != seal) {
        return refuse(Code::Conflict);
    }
    disk.seals.insert(chunk, seal);
    disk.sealed.insert(chunk, body);
    if disk.faults.unheard {
        return refuse(Code::Unavailable);
    }
    Json(answer).into_response()
}

async fn segment(
    State(inner): Shared,
    Path((file, index)): Target,
    parameters: Parameters,
    body: Bytes,
) -> Response {
    let chunk = ChunkId { file, index };
    let offset: u64 = parameters["offset"].parse().unwrap();
    let term: Term = parameters["term"].parse().unwrap();
    let next: Vec<DiskId> = parameters
        .get("next")
        .map(|next| next.split(',').map(|disk| disk.parse().unwrap()).collect())
        .unwrap_or_default();
    let end = offset + length(&body);
    inner.hang(end).await;
    if inner.is_full(end) {
        return refuse(Code::NoSpace);
    }
    let received = {
        let mut disk = inner.disk();
        let staged = disk.staged.entry(chunk).or_default();
        staged.insert(offset, body.clone());
        gapless(staged)
    };
    let mut hops = vec![Hop {
        disk: inner.disk,
        outcome: HopOutcome::Received(Staged { received }),
    }];
    if let Some((first, rest)) = next.split_first() {
        let (peer, crc) = (inner.peer(*first), Crc32::of(&body));
        let sent = inner
            .links
            .segment(&peer, chunk, offset, term, body.into(), crc, rest, WITHIN)
            .await;
        match sent {
            Ok(reply) => hops.extend(reply.hops),
            Err(error) => hops.extend(next.iter().map(|disk| Hop {
                disk: *disk,
                outcome: HopOutcome::Failed {
                    code: error.code().unwrap_or(Code::Unavailable),
                    detail: error.to_string(),
                },
            })),
        }
    }
    Json(HopsReply { hops }).into_response()
}

async fn staged(State(inner): Shared, Path((file, index)): Target) -> Response {
    let disk = inner.disk();
    let staged = disk.staged.get(&ChunkId { file, index });
    match staged {
        Some(staged) => Json(Staged {
            received: gapless(staged),
        })
        .into_response(),
        None => refuse(Code::ChunkNotFound),
    }
}

async fn seal(
    State(inner): Shared,
    Path((file, index)): Target,
    Json(request): Json<SealRequest>,
) -> Response {
    let chunk = ChunkId { file, index };
    let mut hops = Vec::new();
    {
        let mut disk = inner.disk();
        let bytes = joined(disk.staged.get(&chunk));
        let outcome = if disk.faults.no_seal {
            HopOutcome::Failed {
                code: Code::ReadOnly,
                detail: "as told".to_owned(),
            }
        } else {
            HopOutcome::Durable(stored(&bytes))
        };
        if matches!(outcome, HopOutcome::Durable(_)) {
            disk.staged.remove(&chunk);
            disk.seals.insert(chunk, request.seal.clone());
            disk.sealed.insert(chunk, bytes);
        }
        hops.push(Hop {
            disk: inner.disk,
            outcome,
        });
    }
    if let Some((first, rest)) = request.next.split_first() {
        let peer = inner.peer(*first);
        let onward = SealRequest {
            next: rest.to_vec(),
            ..request.clone()
        };
        match inner.links.seal(&peer, chunk, &onward, WITHIN).await {
            Ok(reply) => hops.extend(reply.hops),
            Err(error) => hops.extend(request.next.iter().map(|disk| Hop {
                disk: *disk,
                outcome: HopOutcome::Failed {
                    code: Code::Unavailable,
                    detail: error.to_string(),
                },
            })),
        }
    }
    Json(HopsReply { hops }).into_response()
}

async fn pull(
    State(inner): Shared,
    Path((file, index)): Target,
    Json(request): Json<PullRequest>,
) -> Response {
    let chunk = ChunkId { file, index };
    let peer = inner.peer(request.from);
    let read = inner
        .links
        .read(&peer, chunk, 0, request.seal.length, WITHIN)
        .await;
    let Ok(mut source) = read else {
        return refuse(Code::Unavailable);
    };
    let mut bytes = Vec::new();
    while let Ok(Some(frame)) = source.frame().await {
        bytes.extend_from_slice(&frame);
    }
    if inner.is_full(length(&bytes)) {
        return refuse(Code::NoSpace);
    }
    let answer = stored(&bytes);
    let mut disk = inner.disk();
    disk.seals.insert(chunk, request.seal);
    disk.sealed.insert(chunk, bytes.into());
    Json(answer).into_response()
}

async fn verify(
    State(inner): Shared,
    Path((file, index)): Target,
    Json(request): Json<VerifyRequest>,
) -> Response {
    let mut disk = inner.disk();
    disk.verified.push(request.term);
    let bad = disk.faults.bad_blocks.clone();
    match disk.sealed.get(&ChunkId { file, index }) {
        Some(bytes) if bad.iter().any(|at| at * BLOCK < bytes.len() as u64) => {
            refuse(Code::BadBlock)
        }
        Some(bytes) => Json(stored(bytes)).into_response(),
        None => refuse(Code::ChunkNotFound),
    }
}
