//! The public API against a server that fails in every way a client must bear.

use crate::{
    Client, ClientConfig, Error, GetFileOptions, GetOptions, ListOptions, PutBody, PutOptions,
};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use http::header::{
    CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_NONE_MATCH, IF_RANGE, RANGE,
};
use http::{HeaderMap, Method, StatusCode};
use mdfs_core::checksum::{Blake3, Crc32};
use mdfs_core::id::FileId;
use mdfs_protocol::problem::Code;
use mdfs_protocol::public::{self, FileInfo, Listing, Trash, TrashedFile};
use mdfs_service::serve::problem_response;
use mdfs_service::{Limits, RequestId, Tasks, serve};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

mod silence;

/// What the server does wrong, and how often it was asked.
#[derive(Clone, Default)]
struct Fake {
    bytes: Bytes,
    /// Answers that break off after half of what they announce.
    breaks: usize,
    /// Answers stop after half of what they announce, and do not end.
    hangs: bool,
    /// First requests that are answered by 503.
    busy: usize,
    /// What the first uploads are answered.
    refusals: Vec<(Code, &'static str)>,
    /// The checksum is that of other bytes.
    lies: bool,
    /// After so many requests the file is another; never if zero.
    replaced: usize,
    asked: Arc<AtomicUsize>,
    ids: Arc<std::sync::Mutex<Vec<String>>>,
}

impl Fake {
    fn of(length: usize) -> Self {
        let bytes = (0..length)
            .map(|at| u8::try_from(at * 31 % 251).unwrap())
            .collect();
        Self {
            bytes,
            ..Self::default()
        }
    }

    async fn client(self) -> Client {
        let router = Router::new()
            .route(
                public::FILE,
                get(read).put(store).delete(change).post(undelete),
            )
            .route(public::TRASH, get(trash))
            .route(public::FILES, get(list))
            .with_state(self);
        let url = serve_at(router).await;
        Client::new(ClientConfig::new(url).with_token("secret")).unwrap()
    }

    fn info(&self, name: &str, bytes: &[u8]) -> FileInfo {
        let crc32 = if self.lies {
            Crc32(7)
        } else {
            Crc32::of(bytes)
        };
        FileInfo {
            name: name.to_owned(),
            version: 5,
            file_id: FileId::from_u128(1),
            size: bytes.len() as u64,
            crc32,
            blake3: Blake3([0; 32]),
            etag: "\"5\"".to_owned(),
            content_type: "video/x-matroska".to_owned(),
            replicas: 2,
            durability: None,
            copies: None,
            chunk_size: 1 << 26,
            modified: "2026-01-01T00:00:00Z".to_owned(),
            source_modified: None,
            attributes: std::collections::BTreeMap::new(),
        }
    }
}

/// Serves `router`; where.
pub(crate) async fn serve_at(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let stop = CancellationToken::new();
    let serving = serve(listener, router, Limits::default(), stop.clone());
    Tasks::new(stop).spawn_request("serve", serving);
    url
}

fn refuse(code: Code) -> Response {
    problem_response(code, code.title(), &RequestId::random())
}

async fn read(State(fake): State<Fake>, method: Method, headers: HeaderMap) -> Response {
    assert_eq!(headers["authorization"], "Bearer secret");
    let asked = fake.asked.fetch_add(1, Ordering::SeqCst);
    if asked < fake.busy {
        return refuse(Code::NoLeader);
    }
    if fake.bytes.is_empty() {
        return refuse(Code::FileNotFound);
    }
    let mut info = fake.info("a", &fake.bytes);
    if fake.replaced > 0 && asked >= fake.replaced {
        info.etag = "\"6\"".to_owned();
    }
    let mut part = 0..fake.bytes.len();
    let mut head = Response::new(());
    let same = headers.get(IF_RANGE).is_none_or(|tag| *tag == info.etag);
    let range = headers
        .get(RANGE)
        .filter(|_| same)
        .map(|range| range.to_str().unwrap());
    if let Some((first, last)) = range.and_then(|range| range[6..].split_once('-')) {
        let end = last
            .parse()
            .map_or(part.end, |last: usize| part.end.min(last + 1));
        part = first.parse().unwrap()..end;
        if part.start >= part.end {
            return refuse(Code::RangeNotSatisfiable);
        }
        *head.status_mut() = StatusCode::PARTIAL_CONTENT;
        let text = format!("bytes {}-{}/{}", part.start, part.end - 1, fake.bytes.len());
        head.headers_mut()
            .insert(CONTENT_RANGE, text.parse().unwrap());
    }
    for (name, text) in [
        (CONTENT_LENGTH.as_str(), part.len().to_string()),
        (CONTENT_TYPE.as_str(), info.content_type),
        (ETAG.as_str(), info.etag),
        (public::CRC_HEADER, info.crc32.to_string()),
        (public::BLAKE3_HEADER, info.blake3.to_string()),
        (public::VERSION_HEADER, info.version.to_string()),
        (public::REPLICAS_HEADER, info.replicas.to_string()),
        (public::LOG_TIME_HEADER, "1700000000000".to_owned()),
    ] {
        let name = http::HeaderName::from_bytes(name.as_bytes()).unwrap();
        head.headers_mut().insert(name, text.parse().unwrap());
    }
    let bytes = fake.bytes.slice(part.clone());
    let body = if method == Method::HEAD {
        Body::empty()
    } else if fake.hangs {
        let half = Ok::<_, io::Error>(bytes.slice(..bytes.len() / 2));
        Body::from_stream(stream::iter([half]).chain(stream::pending()))
    } else if asked - fake.busy < fake.breaks {
        let pieces = [
            Ok(bytes.slice(..bytes.len() / 2)),
            Err(io::Error::other("cut")),
        ];
        Body::from_stream(stream::iter(pieces).then(|piece| async {
            tokio::task::yield_now().await;
            piece
        }))
    } else {
        Body::from(bytes)
    };
    head.map(|()| body)
}

async fn store(State(fake): State<Fake>, headers: HeaderMap, body: Bytes) -> Response {
    let id = headers.get(public::REQUEST_HEADER);
    let id = id.map(|id| id.to_str().unwrap().to_owned());
    fake.ids.lock().unwrap().push(id.unwrap_or_default());
    let asked = fake.asked.fetch_add(1, Ordering::SeqCst);
    if let Some((code, why)) = fake.refusals.get(asked) {
        return problem_response(*code, *why, &RequestId::random());
    }
    if headers.contains_key(IF_NONE_MATCH) {
        return refuse(Code::PreconditionFailed);
    }
    (StatusCode::CREATED, axum::Json(fake.info("a", &body))).into_response()
}

async fn change(State(fake): State<Fake>, headers: HeaderMap) -> Response {
    let id = headers[public::REQUEST_HEADER].to_str().unwrap().to_owned();
    let tries = {
        let mut ids = fake.ids.lock().unwrap();
        ids.push(id);
        ids.len()
    };
    if tries < 3 {
        refuse(Code::NoQuorum)
    } else {
        StatusCode::NO_CONTENT.into_response()
    }
}

/// The file is in the trash: `HEAD` finds none.
async fn undelete(State(fake): State<Fake>, uri: http::Uri, headers: HeaderMap) -> Response {
    assert_eq!(uri.query(), Some("undelete"));
    let info = fake.info("gone", b"hello");
    match change(State(fake), headers).await {
        done if done.status().is_success() => axum::Json(info).into_response(),
        refused => refused,
    }
}

async fn trash(uri: http::Uri) -> Response {
    let last = uri.query() == Some("after=1-x&limit=1");
    let file = TrashedFile {
        name: if last { "two" } else { "one" }.to_owned(),
        file_id: FileId::from_u128(1),
        size: 5,
        etag: "\"5\"".to_owned(),
        replicas: 2,
        chunk_size: 1 << 26,
        deleted: "2026-01-01T00:00:00Z".to_owned(),
    };
    let page = Trash {
        files: vec![file],
        next: (!last).then(|| "1-x".to_owned()),
    };
    let time = [(public::LOG_TIME_HEADER, "1700000000000")];
    (time, axum::Json(page)).into_response()
}

async fn list(uri: http::Uri) -> Response {
    let fake = Fake::default();
    let query = uri.query().unwrap();
    assert!(query.contains("prefix=a%2Fb"), "{query}");
    let last = query.contains("after=one");
    let name = if last { "two" } else { "one" };
    let next = (!last).then(|| "one".to_owned());
    let files = vec![fake.info(name, b"")];
    axum::Json(Listing {
        files,
        folders: Vec::new(),
        next,
    })
    .into_response()
}

#[tokio::test]
async fn a_download_goes_on_where_it_broke_off() {
    let fake = Fake {
        breaks: 3,
        ..Fake::of(3_000_000)
    };
    let want = fake.bytes.clone();
    let asked = fake.asked.clone();
    let got = fake
        .client()
        .await
        .get("a")
        .await
        .unwrap()
        .bytes(1 << 22)
        .await
        .unwrap();
    assert!(got == want);
    assert_eq!(asked.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn a_whole_file_is_held_against_its_checksum() {
    let client = Fake {
        lies: true,
        ..Fake::of(1000)
    }
    .client()
    .await;
    let mut download = client.get("a").await.unwrap();
    assert_eq!(download.next().await.unwrap().unwrap().len(), 1000);
    let error = download.next().await.unwrap_err();
    assert!(matches!(error, Error::ChecksumMismatch { .. }), "{error:?}");
    let error = client
        .put("a", PutBody::bytes("hello"), &PutOptions::default())
        .await;
    assert!(
        matches!(error, Err(Error::ChecksumMismatch { .. })),
        "{error:?}"
    );
}

#[tokio::test]
async fn parts_are_what_was_asked_for() {
    let fake = Fake::of(1000);
    let want = fake.bytes.clone();
    let client = fake.client().await;
    let part = async |offset, length| {
        let options = GetOptions {
            offset,
            length,
            if_range: None,
        };
        client.get_part("a", &options).await?.bytes(5000).await
    };
    assert_eq!(part(10, Some(5)).await.unwrap(), want[10..15]);
    assert_eq!(part(990, None).await.unwrap(), want[990..]);
    assert_eq!(part(990, Some(100)).await.unwrap(), want[990..]);
    assert_eq!(part(0, Some(0)).await.unwrap(), want[..0]);
    assert_eq!(part(1000, None).await.unwrap(), want[..0]);
    let error = part(1001, None).await.unwrap_err();
    assert_eq!(error.code(), Some(Code::RangeNotSatisfiable));
}

#[tokio::test]
async fn too_much_is_not_gathered_and_absence_is_told() {
    let client = Fake::of(1000).client().await;
    let error = client.get("a").await.unwrap().bytes(999).await.unwrap_err();
    assert!(
        matches!(error, Error::TooLarge { size: 1000, .. }),
        "{error:?}"
    );
    let head = client.stat("a").await.unwrap();
    assert_eq!((head.size, head.replicas), (1000, 2));
    let client = Fake::default().client().await;
    for error in [
        client.get("a").await.map(|_| ()),
        client.stat("a").await.map(|_| ()),
    ] {
        assert_eq!(error.unwrap_err().code(), Some(Code::FileNotFound));
    }
}

/// Uploads to a server that first answers `refusals`. What comes of it, and the ids it had.
async fn put_to(
    refusals: &[(Code, &'static str)],
    body: PutBody,
) -> (Result<FileInfo, Error>, Vec<String>) {
    let refusals = refusals.to_vec();
    let fake = Fake {
        refusals,
        ..Fake::default()
    };
    let ids = fake.ids.clone();
    let result = fake.client().await;
    let result = result.put("a", body, &PutOptions::default()).await;
    let ids = ids.lock().unwrap().clone();
    (result, ids)
}

#[tokio::test]
async fn an_upload_whose_fate_is_open_is_repeated_under_one_id() {
    let refusals = [(Code::NoQuorum, ""), (Code::TooFewWorkers, "")];
    let (info, ids) = put_to(&refusals, PutBody::bytes("hello")).await;
    let info = info.unwrap();
    assert_eq!((info.size, info.crc32), (5, Crc32::of(b"hello")));
    assert_eq!(ids.len(), 3);
    assert!(!ids[0].is_empty() && ids.iter().all(|id| *id == ids[0]));
}

#[tokio::test]
async fn what_can_be_sent_once_is_neither_repeated_nor_named() {
    let pipe = PutBody::reader(&b"hello"[..], None);
    let (result, ids) = put_to(&[(Code::TooFewWorkers, "")], pipe).await;
    assert_eq!(result.unwrap_err().code(), Some(Code::TooFewWorkers));
    assert_eq!(ids, [""]);
}

#[tokio::test]
async fn without_an_id_that_is_taken_only_what_did_nothing_is_repeated() {
    let old = (Code::RequestOutsideWindow, "");
    let (result, ids) = put_to(&[old, (Code::TooFewWorkers, "")], PutBody::bytes("a")).await;
    assert!(result.is_ok());
    assert_eq!((ids.len(), ids[0].is_empty()), (3, false));
    assert_eq!(ids[1..], ["", ""]);
    let (result, ids) = put_to(&[old, (Code::NoLeader, "")], PutBody::bytes("a")).await;
    assert_eq!(result.unwrap_err().code(), Some(Code::NoLeader));
    assert_eq!(ids.len(), 2);
    let other = (Code::Conflict, "another reason");
    let (result, ids) = put_to(&[other], PutBody::bytes("a")).await;
    assert_eq!(result.unwrap_err().code(), Some(Code::Conflict));
    assert_eq!(ids.len(), 1);
}

#[tokio::test]
async fn an_upload_carries_an_id_in_the_clusters_time_once_that_is_known() {
    let fake = Fake::of(10);
    let ids = fake.ids.clone();
    let client = fake.client().await;
    client.stat("a").await.unwrap();
    let body = PutBody::bytes("hello");
    client.put("a", body, &PutOptions::default()).await.unwrap();
    let id = ids.lock().unwrap()[0].clone();
    let id: mdfs_core::id::RequestId = id.parse().unwrap();
    let after = id.issued_at().as_millis() - 1_700_000_000_000;
    assert!(after < 600_000, "{after}");
}

#[tokio::test]
async fn a_file_that_shrinks_while_it_is_sent_is_not_stored() {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(64 << 20).unwrap();
    let shrunk = file.reopen().unwrap();
    let options = PutOptions {
        progress: Some(Arc::new(move |_| shrunk.set_len(5).unwrap())),
        ..PutOptions::default()
    };
    let client = Fake::default().client().await;
    let error = client.put("a", PutBody::file(file.path()), &options).await;
    assert!(
        matches!(error, Err(Error::SourceChanged { .. })),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_condition_that_does_not_hold_is_told() {
    let client = Fake::default().client().await;
    let if_absent = PutOptions {
        if_absent: true,
        ..PutOptions::default()
    };
    let body = PutBody::bytes("hello");
    let error = client.put("a", body, &if_absent).await.unwrap_err();
    assert_eq!(error.code(), Some(Code::PreconditionFailed));
}

#[tokio::test]
async fn a_repeated_deletion_carries_one_id_in_the_clusters_time() {
    let fake = Fake::of(10);
    let ids = fake.ids.clone();
    fake.client().await.delete("a").await.unwrap();
    let ids = ids.lock().unwrap().clone();
    assert_eq!(ids.len(), 3);
    assert!(ids.iter().all(|id| *id == ids[0]));
    let id: mdfs_core::id::RequestId = ids[0].parse().unwrap();
    assert_eq!(id.issued_at().as_millis(), 1_700_000_000_000);
}

#[tokio::test]
async fn what_is_in_the_trash_is_purged_or_comes_back_under_one_id() {
    let absent = Fake::default();
    let ids = absent.ids.clone();
    let client = absent.client().await;
    let info = client.undelete("gone").await.unwrap();
    assert_eq!((info.name.as_str(), info.size), ("gone", 5));
    client.purge("gone").await.unwrap();
    let ids = ids.lock().unwrap().clone();
    // Three tries for the one; the other is taken at once, under an id of its own.
    assert_eq!(ids.len(), 4);
    assert!(ids[..3].iter().all(|id| *id == ids[0]) && ids[3] != ids[0]);
    for id in ids {
        let id: mdfs_core::id::RequestId = id.parse().unwrap();
        assert_eq!(id.issued_at().as_millis(), 1_700_000_000_000);
    }
}

#[tokio::test]
async fn pages_of_the_trash_follow_one_another() {
    let client = Fake::default().client().await;
    let first = client.trash(None, Some(1)).await.unwrap();
    let last = client.trash(first.next.as_deref(), Some(1)).await.unwrap();
    assert_eq!(
        (first.files[0].name.as_str(), last.files[0].name.as_str()),
        ("one", "two")
    );
    assert_eq!(last.next, None);
}

#[tokio::test]
async fn a_pager_follows_to_the_last_page() {
    let client = Fake::default().client().await;
    let options = ListOptions {
        prefix: "a/b".to_owned(),
        ..ListOptions::default()
    };
    let mut pages = client.pages(options);
    let mut names = Vec::new();
    while let Some(page) = pages.next().await.unwrap() {
        names.extend(page.files.into_iter().map(|file| file.name));
    }
    assert_eq!(names, ["one", "two"]);
}

#[tokio::test]
async fn a_cluster_that_is_not_there_is_unreachable_and_another_master_is_tried() {
    let gone = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let mut config = ClientConfig::new(format!("http://{gone}")).with_token("secret");
    config.retry_for = Duration::ZERO;
    let error = Client::new(config.clone())
        .unwrap()
        .stat("a")
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    config
        .urls
        .push(Fake::of(10).client().await.base_url().to_owned());
    config.retry_for = Duration::from_secs(5);
    assert_eq!(
        Client::new(config).unwrap().stat("a").await.unwrap().size,
        10
    );
}

#[tokio::test]
async fn names_come_one_by_one_from_all_pages() {
    let client = Fake::default().client().await;
    let files: Vec<_> = client.files("a/b").try_collect().await.unwrap();
    let names: Vec<_> = files.into_iter().map(|file| file.name).collect();
    assert_eq!(names, ["one", "two"]);
}

#[tokio::test]
async fn calls_that_fail_at_once_ask_the_next_master_and_not_the_one_behind_it() {
    let gone = "http://127.0.0.1:1";
    let good = Fake::of(10).client().await.base_url().to_owned();
    let mut config = ClientConfig::new(gone).with_token("secret").with_url(good);
    config.retry_for = Duration::ZERO;
    let client = Client::new(config).unwrap();
    for result in futures_util::future::join_all([client.stat("a"), client.stat("a")]).await {
        assert!(matches!(result, Err(Error::Unreachable { .. })));
    }
    assert_eq!(client.stat("a").await.unwrap().size, 10);
}

#[test]
fn ranges_say_what_to_read() {
    let part = |range: GetOptions| (range.offset, range.length);
    assert_eq!(part(GetOptions::range(..)), (0, None));
    assert_eq!(part(GetOptions::range(7..)), (7, None));
    assert_eq!(part(GetOptions::range(..7)), (0, Some(7)));
    assert_eq!(part(GetOptions::range(2..7)), (2, Some(5)));
    assert_eq!(part(GetOptions::range(2..=7)), (2, Some(6)));
    assert_eq!(part(GetOptions::range(7..7)), (7, Some(0)));
    let turned = (std::ops::Bound::Included(7), std::ops::Bound::Excluded(2));
    assert_eq!(part(GetOptions::range(turned)), (7, Some(0)));
}

#[tokio::test]
async fn a_download_is_a_stream_that_ends_after_an_error() {
    let whole = Fake::of(100_000);
    let want = whole.bytes.clone();
    let pieces = whole.client().await.get("a").await.unwrap().into_stream();
    let pieces: Vec<Bytes> = pieces.try_collect().await.unwrap();
    assert!(pieces.concat() == want);
    let lies = Fake {
        lies: true,
        ..Fake::of(1000)
    };
    let pieces = lies.client().await.get("a").await.unwrap().into_stream();
    let pieces: Vec<_> = pieces.collect().await;
    let last = pieces.last().unwrap();
    assert!(matches!(last, Err(Error::ChecksumMismatch { .. })));
    assert!(pieces.iter().filter(|piece| piece.is_err()).count() == 1);
}

/// Fetches from `fake` in parts of 64 KiB over what was in the folder before; what comes of it, what
/// the file has then, and how many others there are.
async fn get_file_from(fake: Fake) -> (Result<u64, Error>, Vec<u8>, usize) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("film");
    std::fs::write(&path, "before").unwrap();
    let told = Arc::new(AtomicUsize::new(0));
    let last = told.clone();
    let options = GetFileOptions {
        streams: 4,
        progress: Some(Arc::new(move |bytes| {
            last.fetch_max(usize::try_from(bytes).unwrap(), Ordering::SeqCst);
        })),
    };
    let client = fake.client().await;
    let got = client
        .get_file_in_parts("a", &path, &options, 1 << 16)
        .await;
    let bytes = std::fs::read(&path).unwrap();
    if got.is_ok() {
        assert_eq!(told.load(Ordering::SeqCst), bytes.len());
    }
    let others = std::fs::read_dir(folder.path()).unwrap().count() - 1;
    (got.map(|head| head.size), bytes, others)
}

#[tokio::test]
async fn a_file_is_fetched_in_parts_that_go_on_where_they_broke_off() {
    for length in [1, 1 << 16, 1_000_000] {
        let fake = Fake {
            breaks: 9,
            ..Fake::of(length)
        };
        let want = fake.bytes.clone();
        let (got, bytes, others) = get_file_from(fake).await;
        assert_eq!((got.unwrap(), others), (length as u64, 0));
        assert!(bytes == want, "{length}");
    }
}

#[tokio::test]
async fn what_cannot_be_fetched_whole_leaves_what_was_there() {
    let lies = Fake {
        lies: true,
        ..Fake::of(300_000)
    };
    let replaced = Fake {
        replaced: 3,
        ..Fake::of(300_000)
    };
    let (got, bytes, others) = get_file_from(lies).await;
    assert!(matches!(got, Err(Error::ChecksumMismatch { .. })));
    assert_eq!((bytes, others), (b"before".to_vec(), 0));
    let (got, bytes, others) = get_file_from(replaced).await;
    assert!(matches!(got, Err(Error::Changed { .. })), "{got:?}");
    assert_eq!((bytes, others), (b"before".to_vec(), 0));
    let (got, bytes, others) = get_file_from(Fake::default()).await;
    assert_eq!(got.unwrap_err().code(), Some(Code::FileNotFound));
    assert_eq!((bytes, others), (b"before".to_vec(), 0));

    let client = Fake::of(10).client().await;
    let nowhere = std::path::Path::new("no-such-folder/film");
    let options = GetFileOptions::default();
    let got = client.get_file("a", nowhere, &options).await;
    assert!(matches!(got, Err(Error::Target { .. })), "{got:?}");
}

#[test]
fn a_configuration_that_cannot_work_is_refused() {
    for url in ["", "nonsense", "https://a", "ftp://a", "http://"] {
        assert!(
            matches!(Client::new(ClientConfig::new(url)), Err(Error::Config(_))),
            "{url:?}"
        );
    }
    for url in ["127.0.0.1:8080", "master:8080", "nonsense"] {
        let refused = Client::new(ClientConfig::new(url)).map(|_| ()).unwrap_err();
        assert!(refused.to_string().contains("http://"), "{refused}");
    }
    let odd = ClientConfig::new("http://a").with_token("a\nb");
    assert!(matches!(Client::new(odd), Err(Error::Config(_))));
    let shown = format!("{:?}", ClientConfig::new("http://a").with_token("secret"));
    assert!(!shown.contains("secret"), "{shown}");
}
