//! Segments of chunks, through the routes of a worker with a disk.

#![expect(clippy::expect_used, reason = "without a worker there is no target")]

use super::kind;
use crate::Target;
use anyhow::Context;
use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use futures_util::stream;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use mdfs_core::checksum::Crc32;
use mdfs_core::chunk::{ChunkId, ChunkSize, SEGMENT_BYTES};
use mdfs_core::id::{ClusterId, DiskId, FileId, Term};
use mdfs_protocol::access::{CLUSTER_HEADER, ClusterKey, DISK_HEADER, Secret};
use mdfs_protocol::internal::{
    ADOPT, Adopt, CRC_HEADER, Directory, DiskAddress, Hop, HopOutcome, HopsReply, Staged,
    chunk_path,
};
use mdfs_protocol::problem::{Code, Problem};
use mdfs_service::Clock;
use mdfs_worker::{Config, Worker, router};
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::io;
use std::mem::ManuallyDrop;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tower::ServiceExt;

const SEGMENT: usize = SEGMENT_BYTES as usize;
/// The most disks behind the first one of a chain.
const BEHIND_MOST: usize = 6;
/// What stands in an input for the id of the disk, which is another one each time.
const OURS: &str = "OURS";
const CHUNKS: &str = "/internal/v1/chunks/";

/// How the body of an input comes, by its first byte; below these, in pieces of one byte more.
const BROKEN: u8 = 253;
/// Repeated until a segment is full.
const FULL: u8 = 254;
/// Repeated until it is a byte longer than a segment.
const TOO_LONG: u8 = 255;

/// The target: a byte that says how the body comes; a line `FILE/INDEX?QUERY`, lines of headers, an
/// empty line, and the body. What is wrong with its checksum and its length is put right too, or no
/// altered one would be stored.
pub const TARGET: Target = Target {
    name: "segment",
    run,
    seeds,
    words: &[
        "?",
        "&",
        "offset=",
        "1048576",
        "1072693248",
        "1073741824",
        "term=",
        "1.0000000000000007",
        "next=",
        ",",
        OURS,
        "0000000000000000000000000000d15c",
        "\n",
        "\n\n",
        "x-mdfs-crc32: ",
        "content-length: ",
        "%2f",
        "+",
        "#",
    ],
};

fn seeds() -> Vec<Vec<u8>> {
    let seed = |how: u8, query: &str, body: &[u8]| {
        let chunk = ChunkId {
            file: FileId::from_u128(0xf11e),
            index: 3,
        };
        let (file, index, crc) = (chunk.file, chunk.index, Crc32::of(body));
        let term = Term::default();
        let head = format!("{file}/{index}?term={term}&{query}\n{CRC_HEADER}: {crc}\n\n");
        [&[how], head.as_bytes(), body].concat()
    };
    let behind = |count: u128| {
        let ids = (1..=count).map(|id| DiskId::from_u128(id).to_string());
        ids.collect::<Vec<_>>().join(",")
    };
    vec![
        seed(9, "offset=0", b"a few bytes of a film"),
        seed(0, "offset=1048576&next=", b"more"),
        seed(9, &format!("offset=0&next={}", behind(2)), b"behind"),
        seed(9, &format!("offset=0&next={}", behind(6)), b"far behind"),
        seed(9, &format!("offset=0&next={}", behind(7)), b"too far"),
        seed(9, &format!("offset=0&next={OURS}"), b"round and round"),
        seed(FULL, "offset=1072693248", b"the last of a chunk"),
        seed(9, "offset=1073741824", b"behind all chunks"),
        seed(BROKEN, "offset=0", b"broken off"),
        seed(TOO_LONG, "offset=0", b"more than a segment"),
    ]
}

fn run(bytes: &[u8]) -> u64 {
    WORLD.with(|world| {
        let Some(sent) = Sent::read(bytes, world.disk) else {
            return 0;
        };
        let as_it_is = world.check(&sent, sent.headers.clone());
        let mut mended = sent.headers.clone();
        mended.insert(CRC_HEADER, value(&Crc32::of(&sent.body)));
        mended.insert(CONTENT_LENGTH, value(&sent.body.len()));
        kind((as_it_is, world.check(&sent, mended)))
    })
}

/// A request for a segment as its sender means it.
struct Sent {
    uri: Uri,
    headers: HeaderMap,
    body: Vec<u8>,
    how: u8,
}

impl Sent {
    /// None if no server would take it for a request, or for one of a segment.
    fn read(bytes: &[u8], ours: DiskId) -> Option<Self> {
        let (&how, rest) = bytes.split_first()?;
        let split = rest.windows(2).position(|pair| pair == b"\n\n");
        let (head, body) = match split {
            Some(at) => (rest.get(..at)?, rest.get(at + 2..)?),
            None => (rest, &[][..]),
        };
        let mut lines = head.split(|byte| *byte == b'\n');
        let target = std::str::from_utf8(lines.next()?).ok()?;
        let target = target.replace(OURS, &ours.to_string());
        let (place, query) = target.split_once('?').unwrap_or((&target, ""));
        let uri: Uri = format!("{CHUNKS}{place}/segment?{query}").parse().ok()?;
        // A `#` ends a target, and leaves one of another route.
        if !uri.path().ends_with("/segment") {
            return None;
        }
        let mut headers = HeaderMap::new();
        for line in lines {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let (name, text) = line.split_at_checked(colon)?;
            let name = HeaderName::from_bytes(name).ok()?;
            let text = text.get(1..)?.trim_ascii();
            headers.append(name, HeaderValue::from_bytes(text).ok()?);
        }
        let length = match how {
            FULL => SEGMENT,
            TOO_LONG => SEGMENT + 1,
            _ => body.len(),
        };
        let mut body = body.repeat(length.checked_div(body.len()).unwrap_or(0) + 1);
        body.truncate(length);
        Some(Self {
            uri,
            headers,
            body,
            how,
        })
    }

    /// The chunk, the offset and the disks behind: read once more, by what is written about them.
    fn meant(&self) -> Option<(ChunkId, u64, Vec<DiskId>)> {
        let place = self.uri.path().strip_prefix(CHUNKS)?;
        let place = place.strip_suffix("/segment")?;
        let (file, index) = place.split_once('/')?;
        let chunk = ChunkId {
            file: decoded(file)?.parse().ok()?,
            index: decoded(index)?.parse().ok()?,
        };
        let offset = self.parameter("offset")?.parse().ok()?;
        self.parameter("term")?.parse::<Term>().ok()?;
        let next = self.parameter("next").unwrap_or_default();
        let next = next.split(',').filter(|text| !text.is_empty());
        let next: Result<_, _> = next.map(str::parse).collect();
        Some((chunk, offset, next.ok()?))
    }

    /// The only parameter of this name.
    fn parameter(&self, name: &str) -> Option<String> {
        let pairs = self.uri.query()?.split('&');
        let mut values = pairs.filter_map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(&key.replace('+', " "))? == name).then(|| value.replace('+', " "))
        });
        let value = values.next();
        decoded(&value.filter(|_| values.next().is_none())?)
    }
}

fn decoded(text: &str) -> Option<String> {
    let text = percent_decode_str(text).decode_utf8().ok()?;
    Some(text.into_owned())
}

fn value(of: &impl ToString) -> HeaderValue {
    HeaderValue::try_from(of.to_string()).expect("ids and numbers fit in a header")
}

thread_local! {
    /// One worker serves all inputs of a thread: each leaves its disk as it was.
    static WORLD: World = World::new().expect("a worker on a temporary disk");
}

type Routes = Box<dyn Fn(Request<Pieces>) -> LocalBoxFuture<'static, (StatusCode, Bytes)>>;
type Pieces = StreamBody<stream::Iter<std::vec::IntoIter<io::Result<Frame<Bytes>>>>>;

struct World {
    /// Not ended with the thread, when what it needs to end may be gone already.
    runtime: ManuallyDrop<Runtime>,
    /// The routes of the worker.
    routes: Routes,
    worker: Worker,
    disk: DiskId,
    cluster: ClusterId,
    key: ClusterKey,
    /// Removed at the end.
    _dir: TempDir,
}

impl World {
    fn new() -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let key = ClusterKey::new(&Secret::new(&[b'k'; 32])?);
        let masters = vec!["http://127.0.0.1:1".to_owned()];
        let config = Config {
            reserve_bytes: Some(0),
            ..Config::new(dir.path().to_owned(), "w0".to_owned(), masters, key.clone())
        };
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build()?;
        let worker = Worker::new(config, Clock::manual())?;
        // Whether the voter has ended does not matter to segments.
        drop(runtime.block_on(worker.open())?);
        let disk = worker.disk().context("the disk is open")?;
        let router = router(worker.clone());
        let routes = move |request| -> LocalBoxFuture<'static, _> {
            let answer = router.clone().oneshot(request);
            Box::pin(async {
                let (head, body) = answer.await.expect("routes have no error").into_parts();
                let body = body.collect().await.expect("an answer from memory");
                (head.status, body.to_bytes())
            })
        };
        let world = Self {
            disk,
            runtime: ManuallyDrop::new(runtime),
            routes: Box::new(routes),
            worker,
            cluster: ClusterId::from_u128(0xc1),
            key,
            _dir: dir,
        };
        let adopt = serde_json::to_vec(&Adopt {
            cluster: world.cluster,
        })?;
        let adopted = world.send(Method::POST, ADOPT, HeaderMap::new(), &adopt, 0);
        anyhow::ensure!(adopted.0 == StatusCode::OK, "the disk is not adopted");
        Ok(world)
    }

    /// Sends a segment, asserts what must hold of the answer, and forgets it.
    fn check(&self, sent: &Sent, headers: HeaderMap) -> u64 {
        let target = sent.uri.to_string();
        let told = headers.clone();
        let meant = sent.meant();
        // An address that is none fails at once; one that is not known would be waited for.
        let nowhere = |disk: &DiskId| DiskAddress {
            disk: *disk,
            url: "nowhere".to_owned(),
        };
        let next = meant.iter().flat_map(|(_, _, next)| next);
        let disks = next.map(nowhere).collect();
        let directory = self.worker.directory();
        directory.replace("a master", Directory { version: 1, disks });
        let (status, answer) = self.send(Method::PUT, &target, headers, &sent.body, sent.how);
        if status != StatusCode::OK {
            let problem: Problem = read(&answer);
            assert_eq!(problem.code.status(), status.as_u16(), "{problem:?}");
            // Nobody but this input asks the worker, so it is never too busy either.
            assert!(status.as_u16() < 500, "{problem:?}");
            assert_ne!(problem.code, Code::Internal, "{problem:?}");
            if let Some((chunk, ..)) = meant {
                assert_eq!(self.received(chunk), 0, "{problem:?}");
            }
            let what = problem.detail.split([' ', ':']).next();
            return kind((problem.code.as_str(), what, meant.is_some()));
        }
        assert!(meant.is_some(), "stored, whatever it is: {target}");
        let Some((chunk, offset, next)) = meant else {
            return 0;
        };
        let length = u64::try_from(sent.body.len()).unwrap_or(u64::MAX);
        assert!((1..=SEGMENT).contains(&sent.body.len()), "{length} bytes");
        assert!(offset.is_multiple_of(u64::from(SEGMENT_BYTES)), "{offset}");
        let end = offset.checked_add(length);
        let most = ChunkSize::MAX.bytes();
        assert!(end.is_some_and(|end| end <= most), "{offset} and {length}");
        assert_ne!(sent.how, BROKEN, "broken off");
        let told = |name: &str| told.get(name).and_then(|value| value.to_str().ok());
        let crc = told(CRC_HEADER).and_then(|crc| crc.parse().ok());
        assert_eq!(crc, Some(Crc32::of(&sent.body)));
        if let Some(announced) = told(CONTENT_LENGTH.as_str()) {
            assert_eq!(announced.parse(), Ok(length));
        }
        // Of a segment alone, all is received or all before it is missing.
        let received = if offset == 0 { length } else { 0 };
        self.check_hops(&read(&answer), received, &next);
        assert_eq!(self.received(chunk), received, "{target}");
        self.forget(chunk);
        kind((offset == 0, next.len(), sent.how >= BROKEN))
    }

    /// This disk did its part; those behind it are nowhere.
    fn check_hops(&self, reply: &HopsReply, received: u64, next: &[DiskId]) {
        let (own, behind) = reply.hops.split_first().expect("a hop of its own");
        let did = HopOutcome::Received(Staged { received });
        assert_eq!((own.disk, &own.outcome), (self.disk, &did));
        let disks: Vec<_> = behind.iter().map(|hop| hop.disk).collect();
        assert_eq!(disks, next);
        assert!(next.len() <= BEHIND_MOST, "{next:?}");
        let distinct: BTreeSet<_> = reply.hops.iter().map(|hop| hop.disk).collect();
        assert_eq!(distinct.len(), reply.hops.len(), "{next:?}");
        let failed = |hop: &Hop| matches!(hop.outcome, HopOutcome::Failed { .. });
        assert!(behind.iter().all(failed), "{behind:?}");
    }

    /// How much of a chunk there is, as the worker says.
    fn received(&self, chunk: ChunkId) -> u64 {
        let path = chunk_path(chunk, "staged");
        let (status, answer) = self.send(Method::GET, &path, HeaderMap::new(), &[], 0);
        assert_eq!(status, StatusCode::OK, "{path}");
        read::<Staged>(&answer).received
    }

    fn forget(&self, chunk: ChunkId) {
        let path = chunk_path(chunk, "staged");
        let (status, _) = self.send(Method::DELETE, &path, HeaderMap::new(), &[], 0);
        assert_eq!(status, StatusCode::NO_CONTENT, "{path}");
        assert_eq!(self.received(chunk), 0, "{path}");
    }

    /// Sends a request of a server of the cluster, and returns the answer.
    fn send(
        &self,
        method: Method,
        target: &str,
        headers: HeaderMap,
        body: &[u8],
        how: u8,
    ) -> (StatusCode, Bytes) {
        let length = match how {
            BROKEN.. => body.len().max(1),
            _ => usize::from(how) + 1,
        };
        let pieces = body.chunks(length).map(Bytes::copy_from_slice);
        let mut frames: Vec<_> = pieces.map(|piece| Ok(Frame::data(piece))).collect();
        if how == BROKEN {
            frames.push(Err(io::Error::from(io::ErrorKind::ConnectionReset)));
        }
        let mut request = Request::new(StreamBody::new(stream::iter(frames)));
        *request.method_mut() = method;
        *request.uri_mut() = target.parse().expect("it was one before");
        *request.headers_mut() = headers;
        // Who it comes from is not what this is about.
        let ours = request.headers_mut();
        ours.insert(AUTHORIZATION, value(&self.key.authorization()));
        ours.insert(DISK_HEADER, value(&self.disk));
        ours.insert(CLUSTER_HEADER, value(&self.cluster));
        self.runtime.block_on((self.routes)(request))
    }
}

fn read<T: DeserializeOwned>(answer: &[u8]) -> T {
    serde_json::from_slice(answer).expect("an answer is what it is described to be")
}
