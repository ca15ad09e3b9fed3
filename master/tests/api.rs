//! The HTTP interface: names, access, ranges, conditions, and what errors look like.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may panic"
)]

mod support;

use axum::body::Body;
use bytes::Bytes;
use mdfs_client::link::{Links, Reads};
use mdfs_core::checksum::{Blake3, Crc32};
use mdfs_core::id::{ClusterId, DiskId, Generation};
use mdfs_master::error::Error;
use mdfs_protocol::holdings::Report;
use mdfs_protocol::internal::{
    BEATS_PROTOCOL, DiskState, HEARTBEAT, Heartbeat, HeartbeatAnswer, HeartbeatReply, Identity,
    VoterState,
};
use mdfs_protocol::problem::{Code, Problem};
use mdfs_protocol::public::{
    FileInfo, HolderState, Listing, ReplicaHolder, Replicas, SignedLink, Trash,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::collections::BTreeSet;
use std::time::Duration;
use support::{Answer, MIB, Setup, TOKEN, cluster_key, content};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn the_chunk_map_names_the_disks_of_every_chunk() {
    let setup = Setup::new(3).await;
    let target = "/v1/files/film?chunk_size=1048576";
    let put = setup.ask("PUT", target, "", content(3 * MIB + 5)).await;
    let info: FileInfo = serde_json::from_slice(&put.body).unwrap();
    let answer = setup.get("/v1/files/film?replicas", "").await;
    assert_eq!(answer.header("content-type"), "application/json");
    let map: Replicas = serde_json::from_slice(&answer.body).unwrap();
    let facts = (map.file_id, map.size, map.chunk_size, map.version);
    let known = (info.file_id, info.size, info.chunk_size, info.version);
    assert_eq!((map.name.as_str(), facts), ("film", known));
    let chunks: u32 = map.runs.iter().map(|run| run.chunks).sum();
    assert_eq!((chunks, map.runs[0].first_chunk), (4, 0));
    for run in &map.runs {
        let disks: BTreeSet<_> = run.holders.iter().map(|holder| holder.disk_id).collect();
        assert_eq!(disks.len(), usize::from(map.replicas));
        let live = |holder: &ReplicaHolder| holder.state == HolderState::Live;
        assert!(run.holders.iter().all(live));
    }
    let none = setup.get("/v1/files/other?replicas", "").await;
    assert_eq!(none.status, 404);
}

#[tokio::test]
async fn a_file_goes_in_and_comes_out_with_all_it_is_known_by() {
    let setup = Setup::new(3).await;
    let bytes = content(9 * MIB + 12_345);
    let target = "/v1/files/films/%C3%A4%20film.mkv";
    let answer = setup.ask("PUT", target, "", bytes.clone()).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.header("location"), target);
    let info: FileInfo = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(info.name, "films/ä film.mkv");
    assert_eq!(
        (info.crc32, info.blake3),
        (Crc32::of(&bytes), Blake3::of(&bytes))
    );
    assert_eq!(info.content_type, "video/x-matroska");
    assert_eq!(answer.header("etag"), info.etag);
    let read = setup.get(target, "").await;
    assert_eq!(read.status, 200);
    assert!(read.body == bytes);
    assert_eq!(read.header("content-length"), bytes.len().to_string());
    assert_eq!(read.header("etag"), info.etag);
    assert_eq!(
        read.header("last-modified"),
        "Tue, 14 Nov 2023 22:13:14 GMT"
    );
    assert_eq!(read.header("accept-ranges"), "bytes");
    assert_eq!(read.header("content-type"), "video/x-matroska");
    assert_eq!(read.header("x-content-type-options"), "nosniff");
    assert_eq!(read.header("x-mdfs-crc32"), info.crc32.to_string());
    assert_eq!(read.header("x-mdfs-replicas"), info.replicas.to_string());
    let name = "inline; filename=\"_ film.mkv\"; filename*=UTF-8''%C3%A4%20film.mkv";
    assert_eq!(read.header("content-disposition"), name);
    let head = setup.ask("HEAD", target, "", Body::empty()).await;
    assert_eq!((head.status, &head.headers), (read.status, &read.headers));
    assert!(head.body.is_empty());
    let saved = setup.get(&format!("{target}?download=1"), "").await;
    assert!(
        saved
            .header("content-disposition")
            .starts_with("attachment;")
    );
    let played = setup
        .get("/play/films/%C3%A4%20film.mkv", "range: bytes=0-1")
        .await;
    assert_eq!(
        (played.status.as_u16(), &played.body[..]),
        (206, &bytes[..2])
    );
}

#[tokio::test]
async fn nothing_is_a_file_too() {
    let setup = Setup::new(2).await;
    setup.put("/v1/files/empty", b"").await;
    let read = setup.get("/v1/files/empty", "").await;
    assert_eq!(
        (read.status.as_u16(), read.header("content-length")),
        (200, "0")
    );
    let ranged = setup.get("/v1/files/empty", "range: bytes=0-0").await;
    ranged.fails(Code::RangeNotSatisfiable);
    assert_eq!(ranged.header("content-range"), "bytes */0");
}

/// The shape of an answer to a range: status and `Content-Range`.
fn shape(answer: &Answer) -> (u16, &str) {
    (answer.status.as_u16(), answer.header("content-range"))
}

#[tokio::test]
async fn ranges_are_answered_as_rfc_9110_has_them() {
    let setup = Setup::new(2).await;
    let bytes = content(1000);
    setup.put("/v1/files/f.mp4", &bytes).await;
    for (range, want, slice) in [
        ("bytes=0-0", (206, "bytes 0-0/1000"), 0..1),
        ("bytes=0-1", (206, "bytes 0-1/1000"), 0..2),
        ("bytes=-1", (206, "bytes 999-999/1000"), 999..1000),
        ("bytes=-5000", (206, "bytes 0-999/1000"), 0..1000),
        ("bytes=990-", (206, "bytes 990-999/1000"), 990..1000),
        ("bytes=990-5000", (206, "bytes 990-999/1000"), 990..1000),
        (
            "bytes=999-99999999999999999999",
            (206, "bytes 999-999/1000"),
            999..1000,
        ),
        ("bytes=5-2", (200, ""), 0..1000),
        ("bytes=x", (200, ""), 0..1000),
        ("lines=0-1", (200, ""), 0..1000),
        ("bytes=0-1,2000-", (206, "bytes 0-1/1000"), 0..2),
    ] {
        let read = setup
            .get("/v1/files/f.mp4", &format!("range: {range}"))
            .await;
        assert_eq!(shape(&read), want, "{range}");
        assert!(read.body == bytes[slice.clone()], "{range}");
        let head = setup
            .ask(
                "HEAD",
                "/v1/files/f.mp4",
                &format!("range: {range}"),
                Body::empty(),
            )
            .await;
        assert_eq!(
            (head.status, &head.headers),
            (read.status, &read.headers),
            "{range}"
        );
    }
    for range in ["bytes=-0", "bytes=1000-", "bytes=99999999999999999999-"] {
        let read = setup
            .get("/v1/files/f.mp4", &format!("range: {range}"))
            .await;
        read.fails(Code::RangeNotSatisfiable);
        assert_eq!(shape(&read), (416, "bytes */1000"), "{range}");
    }
    let many = (0..17)
        .map(|i| format!("{i}-{i}"))
        .collect::<Vec<_>>()
        .join(",");
    let read = setup
        .get("/v1/files/f.mp4", &format!("range: bytes={many}"))
        .await;
    assert_eq!(shape(&read), (200, ""));
}

#[tokio::test]
async fn several_ranges_come_in_one_answer() {
    let setup = Setup::new(2).await;
    let bytes = content(1000);
    setup.put("/v1/files/f.mp4", &bytes).await;
    let read = setup
        .get("/v1/files/f.mp4", "range: bytes=0-9,500-509,-1")
        .await;
    assert_eq!(read.status, 206);
    assert_eq!(read.header("content-length"), read.body.len().to_string());
    let kind = read.header("content-type");
    let boundary = kind
        .strip_prefix("multipart/byteranges; boundary=")
        .unwrap();
    let mut want = Vec::new();
    for (index, (range, slice)) in [
        ("0-9", 0..10),
        ("500-509", 500..510),
        ("999-999", 999..1000),
    ]
    .into_iter()
    .enumerate()
    {
        let before = if index == 0 { "" } else { "\r\n" };
        let head = format!(
            "{before}--{boundary}\r\nContent-Type: video/mp4\r\n\
             Content-Range: bytes {range}/1000\r\n\r\n"
        );
        want.extend(head.as_bytes());
        want.extend(&bytes[slice]);
    }
    want.extend(format!("\r\n--{boundary}--\r\n").as_bytes());
    assert!(read.body == want);
}

#[test]
fn any_range_is_the_same_slice() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let setup = runtime.block_on(Setup::new(2));
    // Two chunks of 1 MiB and a rest.
    let bytes = content(2 * MIB + 77_777);
    runtime.block_on(async {
        let answer = setup
            .ask("PUT", "/v1/files/f?chunk_size=1048576", "", bytes.clone())
            .await;
        assert_eq!(answer.status, 201);
    });
    let mut runner = TestRunner::new(Config {
        cases: 200,
        ..Config::default()
    });
    let length = bytes.len();
    let ranges = (0..length, 0..3 * MIB).prop_map(move |(first, span)| (first, first + span));
    runner
        .run(&ranges, |(first, last)| {
            let line = format!("range: bytes={first}-{last}");
            let read = runtime.block_on(setup.get("/v1/files/f", &line));
            prop_assert_eq!(read.status.as_u16(), 206);
            prop_assert!(read.body == bytes[first..length.min(last + 1)]);
            Ok(())
        })
        .unwrap();
}

#[tokio::test]
async fn a_small_range_asks_one_worker_once_for_just_that() {
    let setup = Setup::new(2).await;
    setup.put("/v1/files/f", &content(3 * MIB)).await;
    setup.get("/v1/files/f", "range: bytes=100000-165535").await;
    let reads: Vec<_> = setup
        .workers
        .iter()
        .flat_map(|worker| worker.disk().reads.clone())
        .collect();
    assert_eq!(reads, [(100_000, 65_536)]);
}

#[tokio::test]
async fn names_that_are_none_are_refused_wherever_they_stand() {
    let setup = Setup::new(2).await;
    for name in [
        "",
        "..",
        "a/../b",
        "%2e%2e",
        "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "/etc/passwd",
        "%2Fetc",
        "a/",
        "a//b",
        ".",
        "a%00b",
        "a%0Ab",
        "a%5Cb",
        "a%C2%85b",
        "a%FFb",
        "a%zz",
        "a%",
    ] {
        for method in ["GET", "HEAD", "PUT", "DELETE", "POST"] {
            let answer = setup
                .ask(method, &format!("/v1/files/{name}"), "", "x")
                .await;
            answer.fails(Code::InvalidName);
        }
        setup
            .get(&format!("/play/{name}"), "")
            .await
            .fails(Code::InvalidName);
    }
    let long = "x".repeat(1025);
    setup
        .ask("PUT", &format!("/v1/files/{long}"), "", "x")
        .await
        .fails(Code::InvalidName);
    setup.put(&format!("/v1/files/{}", &long[1..]), b"x").await;
    // Twins in another Unicode form are two files; what is encoded twice is decoded once.
    for name in ["%C3%A9", "e%CC%81", "%252e%252e", "%F0%9F%8E%AC"] {
        setup
            .put(&format!("/v1/files/{name}"), name.as_bytes())
            .await;
        assert_eq!(
            setup.get(&format!("/v1/files/{name}"), "").await.body,
            name.as_bytes()
        );
    }
    let listed = setup.get("/v1/files?prefix=%25", "").await;
    let listing: Listing = serde_json::from_slice(&listed.body).unwrap();
    assert_eq!(listing.files[0].name, "%2e%2e");
    assert_eq!(setup.leader.state().open.len(), 0);
}

#[tokio::test]
async fn a_heartbeat_that_is_none_is_refused_and_the_next_one_is_heard() {
    let setup = Setup::new(1).await;
    let caller = format!("authorization: {}", cluster_key().authorization());
    let idle = idle_beat();
    let beat = postcard::to_stdvec(&idle).unwrap();
    let behind = (
        idle.formats,
        idle.lease_millis,
        idle.voter_last,
        idle.witness,
    );
    let counts = beat.len() - postcard::to_stdvec(&behind).unwrap().len() - 2;
    let cut = beat.split_last().unwrap().1.to_vec();
    let long = [&beat[..], &[0]].concat();
    let mut endless = beat.clone();
    // More changes than there are bytes.
    endless.splice(counts.., [255, 255, 255, 255, 15, 0]);
    for broken in [Vec::new(), b"{}".to_vec(), cut, long, endless] {
        let answer = setup
            .ask_bare("POST", HEARTBEAT, &caller, Body::from(broken))
            .await;
        answer.fails(Code::InvalidRequest);
    }
    let answer = setup
        .ask_bare("POST", HEARTBEAT, &caller, Body::from(beat))
        .await;
    assert_eq!(answer.status, 200);
    let reply: HeartbeatReply = postcard::from_bytes(&answer.body).unwrap();
    assert_eq!((reply.leader, reply.orders), (None, Vec::new()));
    // Bytes on the wire count in both directions.
    let metrics = setup.get("/metrics", "").await;
    assert_eq!(metrics.header("content-type"), "text/plain; version=0.0.4");
    let text = String::from_utf8_lossy(&metrics.body).into_owned();
    let counted = |way: &str| {
        let name = format!("mdfs_heartbeat_bytes_total{{way=\"{way}\"}} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&name));
        line.unwrap().parse::<usize>().unwrap()
    };
    assert!((100..1024).contains(&counted("in")), "{text}");
    assert!((50..1024).contains(&counted("out")), "{text}");
}

#[tokio::test]
async fn a_worker_beats_on_a_connection_that_has_left_http() {
    let setup = Setup::new(1).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let limits = mdfs_service::Limits::default();
    let served = mdfs_service::serve(listener, setup.router.clone(), limits, stop.clone());
    let talked = async {
        let links = Links::new(&cluster_key(), None, Reads::Small).unwrap();
        let mut line = links.line(&format!("http://{address}"));
        for _ in 0..3 {
            let reply = line.heartbeat(&idle_beat(), Duration::from_secs(9)).await;
            assert_eq!(reply.unwrap().leader, None);
        }
        let text = setup.get("/metrics", "").await.body;
        let text = String::from_utf8_lossy(&text).into_owned();
        assert!(text.contains("\nmdfs_heartbeats_total 3\n"), "{text}");
        let left = "route=\"/internal/v1/heartbeat\",status=\"101\"} 1\n";
        assert!(text.contains(left), "{text}");
        drop(line);

        // What is no beat is refused, and the next one is heard.
        let beat = postcard::to_stdvec(&idle_beat()).unwrap();
        let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
        let key = cluster_key();
        let head = format!(
            "GET {HEARTBEAT} HTTP/1.1\r\nhost: a\r\nauthorization: {}\r\n\
             connection: upgrade\r\nupgrade: {BEATS_PROTOCOL}\r\n\r\n",
            key.authorization()
        );
        let mut sent = head.into_bytes();
        for message in [&beat[1..], &beat[..]] {
            let length = u32::try_from(message.len()).unwrap();
            sent.extend(length.to_le_bytes());
            sent.extend(message);
        }
        sent.extend(u32::MAX.to_le_bytes());
        socket.write_all(&sent).await.unwrap();
        let mut got = Vec::new();
        // One that is too long ends the connection.
        socket.read_to_end(&mut got).await.unwrap();
        assert!(got.starts_with(b"HTTP/1.1 101 "), "{got:?}");
        let end = got.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let mut rest = &got[end + 4..];
        let mut answers = Vec::new();
        while let Some((length, more)) = rest.split_first_chunk::<4>() {
            let length = usize::try_from(u32::from_le_bytes(*length)).unwrap();
            let (answer, more) = more.split_at(length);
            answers.push(postcard::from_bytes::<HeartbeatAnswer>(answer).unwrap());
            rest = more;
        }
        let [
            HeartbeatAnswer::Refused {
                status: 400,
                problem,
            },
            HeartbeatAnswer::Heard(_),
        ] = &answers[..]
        else {
            panic!("{answers:?}");
        };
        let problem: Problem = serde_json::from_slice(problem).unwrap();
        assert_eq!(problem.code, Code::InvalidRequest);
        stop.cancel();
    };
    let (served, ()) = tokio::join!(served, talked);
    served.unwrap();

    let caller = format!("authorization: {}", cluster_key().authorization());
    let plain = setup
        .ask_bare("GET", HEARTBEAT, &caller, Body::empty())
        .await;
    plain.fails(Code::InvalidRequest);
    let asked = format!("{caller}\nupgrade: other");
    let other = setup
        .ask_bare("GET", HEARTBEAT, &asked, Body::empty())
        .await;
    other.fails(Code::InvalidRequest);
}

/// What a worker says when nothing happens.
fn idle_beat() -> Heartbeat {
    Heartbeat {
        identity: Identity {
            disk: DiskId::from_u128(7),
            cluster: Some(ClusterId::from_u128(5)),
            generation: Generation(3),
        },
        name: "w".to_owned(),
        url: "http://127.0.0.1:1".to_owned(),
        zone: None,
        capacity_bytes: 1 << 40,
        free_bytes: 1 << 39,
        chunks: 0,
        chunk_bytes: 0,
        bad_blocks: 0,
        oldest_unverified_millis: None,
        seal_millis: None,
        state: DiskState::Healthy,
        voter: VoterState::Healthy,
        leaving: false,
        directory_version: 0,
        holdings: Report::default(),
        done: Vec::new(),
        formats: mdfs_core::format::FORMATS,
        lease_millis: 3000,
        voter_last: mdfs_core::log::message::Position::default(),
        witness: false,
    }
}

#[tokio::test]
async fn every_route_but_the_probes_is_closed_to_who_is_not_known() {
    let setup = Setup::new(1).await;
    let server = cluster_key().authorization();
    let callers = [
        "",
        "authorization: Bearer wrong",
        "authorization: Basic cm9vdDp4",
    ];
    for (method, target) in [
        ("GET", "/v1/files/f"),
        ("HEAD", "/v1/files/f"),
        ("PUT", "/v1/files/f"),
        ("DELETE", "/v1/files/f"),
        ("GET", "/v1/files/"),
        ("DELETE", "/v1/files/f?purge"),
        ("POST", "/v1/files/f?undelete"),
        ("GET", "/v1/trash"),
        ("GET", "/v1/files"),
        ("POST", "/v1/rename"),
        ("GET", "/play/f"),
        ("HEAD", "/play/f"),
        ("POST", "/v1/sign"),
        ("GET", "/v1/status"),
        ("GET", "/v1/workers"),
        ("POST", "/v1/admin/bootstrap"),
        ("GET", "/v1/admin/policy"),
        ("POST", "/v1/admin/policy"),
        ("GET", "/stats"),
        ("GET", "/metrics"),
        ("POST", HEARTBEAT),
        ("GET", "/nowhere"),
        ("PATCH", "/v1/files/f"),
        ("GET", "/internal/v1/anything"),
        ("OPTIONS", "/v1/files/f"),
    ] {
        // Or there are too many failures to look at.
        setup.clock.advance(Duration::from_secs(5));
        for caller in callers {
            let answer = setup.ask_bare(method, target, caller, Body::empty()).await;
            answer.fails(Code::Unauthorized);
            assert!(
                answer.header("www-authenticate").starts_with("Bearer"),
                "{target}"
            );
        }
        if target != HEARTBEAT {
            let caller = format!("authorization: {server}");
            let answer = setup.ask_bare(method, target, &caller, Body::empty()).await;
            answer.fails(Code::Unauthorized);
        }
    }
    setup
        .ask("POST", HEARTBEAT, "", "{}")
        .await
        .fails(Code::Unauthorized);
    for probe in ["/health", "/health/live", "/health/ready"] {
        let answer = setup.ask_bare("GET", probe, "", Body::empty()).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.body[..]),
            (200, &b"OK"[..])
        );
    }
    let in_url = format!("/v1/files/f?token={TOKEN}");
    setup
        .ask_bare("GET", &in_url, "", Body::empty())
        .await
        .fails(Code::InvalidRequest);
    setup.get("/nowhere", "").await.fails(Code::RouteNotFound);
    let patched = setup.ask("PATCH", "/v1/files/f", "", "").await;
    patched.fails(Code::MethodNotAllowed);
    assert!(patched.header("allow").contains("GET"));
}

#[tokio::test]
async fn a_wrong_token_is_told_before_the_body_is_read() {
    let setup = Setup::new(2).await;
    // Polling it would panic: nothing may ask for the body.
    let body = Body::from_stream(futures_util::stream::poll_fn(
        |_| -> std::task::Poll<Option<Result<Bytes, std::io::Error>>> {
            unreachable!("the body is read")
        },
    ));
    let lines = "authorization: Bearer wrong\nexpect: 100-continue\ncontent-length: 1000";
    setup
        .ask_bare("PUT", "/v1/files/f", lines, body)
        .await
        .fails(Code::Unauthorized);
}

#[tokio::test]
async fn a_signed_link_plays_one_file_and_nothing_else() {
    let setup = Setup::new(2).await;
    setup.put("/v1/files/a/film.mp4", b"moving pictures").await;
    let body = r#"{"name":"a/film.mp4","expires_in_seconds":60}"#;
    let signed = setup.ask("POST", "/v1/sign", "", body).await;
    let link: SignedLink = serde_json::from_slice(&signed.body).unwrap();
    assert!(link.path.starts_with("/play/a/film.mp4?"));
    for method in ["GET", "HEAD"] {
        let played = setup.ask_bare(method, &link.path, "", Body::empty()).await;
        assert_eq!(played.status, 200);
    }
    let other = link.path.replace("film", "book");
    setup
        .ask_bare("GET", &other, "", Body::empty())
        .await
        .fails(Code::Unauthorized);
    let files = link.path.replace("/play/", "/v1/files/");
    setup
        .ask_bare("DELETE", &files, "", Body::empty())
        .await
        .fails(Code::Unauthorized);
    setup
        .ask_bare("POST", &format!("{files}&undelete"), "", Body::empty())
        .await
        .fails(Code::Unauthorized);
    setup.clock.advance(std::time::Duration::from_secs(61));
    setup
        .ask_bare("GET", &link.path, "", Body::empty())
        .await
        .fails(Code::Unauthorized);
    for bad in [
        r#"{"name":"a","expires_in_seconds":0}"#,
        r#"{"name":"../a","expires_in_seconds":9}"#,
    ] {
        assert_eq!(setup.ask("POST", "/v1/sign", "", bad).await.status, 400);
    }
}

#[tokio::test]
async fn conditions_guard_changes() {
    let setup = Setup::new(2).await;
    setup.put("/v1/files/f", b"one").await;
    let etag = setup.get("/v1/files/f", "").await.header("etag").to_owned();
    let create = setup
        .ask("PUT", "/v1/files/f", "if-none-match: *", "two")
        .await;
    create.fails(Code::PreconditionFailed);
    let stale = setup
        .ask("PUT", "/v1/files/f", "if-match: \"stale\"", "two")
        .await;
    stale.fails(Code::PreconditionFailed);
    let unquoted = setup
        .ask("PUT", "/v1/files/f", "if-match: stale", "two")
        .await;
    unquoted.fails(Code::InvalidRequest);
    let known = setup
        .get("/v1/files/f", &format!("if-none-match: {etag}"))
        .await;
    assert_eq!((known.status.as_u16(), known.header("etag")), (304, &*etag));
    assert!(known.body.is_empty());
    let replaced = setup
        .ask("PUT", "/v1/files/f", &format!("if-match: {etag}"), "two")
        .await;
    assert_eq!(replaced.status, 201);
    let old = setup
        .get(
            "/v1/files/f",
            &format!("range: bytes=0-0\nif-range: {etag}"),
        )
        .await;
    assert_eq!((old.status.as_u16(), &old.body[..]), (200, &b"two"[..]));
    let kept = setup
        .ask("DELETE", "/v1/files/f", &format!("if-match: {etag}"), "")
        .await;
    kept.fails(Code::PreconditionFailed);
    assert_eq!(setup.ask("DELETE", "/v1/files/f", "", "").await.status, 204);
    setup.get("/v1/files/f", "").await.fails(Code::FileNotFound);
}

/// One page of the trash: the names, and where the next one starts.
async fn trash(setup: &Setup, query: &str) -> (Vec<String>, Option<String>) {
    let answer = setup.get(&format!("/v1/trash{query}"), "").await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    assert_eq!(answer.header("x-mdfs-log-time"), "1700000000000");
    let page: Trash = serde_json::from_slice(&answer.body).unwrap();
    let names = page.files.into_iter().map(|file| file.name);
    (names.collect(), page.next)
}

#[tokio::test]
async fn a_deleted_file_is_in_the_trash_until_it_comes_back_or_is_purged() {
    let setup = Setup::new(2).await;
    let name = "/v1/files/films/%C3%A4.mkv";
    setup.put(name, b"one").await;
    let before = setup.get(name, "").await;
    let id = "x-mdfs-request-id: 00000000000000000000000000000007";
    assert_eq!(setup.ask("DELETE", name, id, "").await.status, 204);
    let answer = setup.get("/v1/trash", "").await;
    let page: Trash = serde_json::from_slice(&answer.body).unwrap();
    let file = &page.files[0];
    assert_eq!((file.name.as_str(), file.size), ("films/ä.mkv", 3));
    assert_eq!(file.etag, before.header("etag"));
    assert_eq!(file.deleted, "2023-11-14T22:13:20.000Z");
    let undelete = format!("{name}?undelete");
    let back = setup.ask("POST", &undelete, id, "").await;
    assert_eq!(back.status, 200);
    let info: FileInfo = serde_json::from_slice(&back.body).unwrap();
    assert_eq!(info.name, "films/ä.mkv");
    assert_eq!(setup.get(name, "").await.body, "one");
    let taken = setup.ask("POST", &undelete, "", "").await;
    taken.fails(Code::Conflict);
    let purge = format!("{name}?purge");
    let stale = setup.ask("DELETE", &purge, "if-match: \"x\"", "").await;
    stale.fails(Code::PreconditionFailed);
    assert_eq!(setup.ask("DELETE", &purge, id, "").await.status, 204);
    setup.get(name, "").await.fails(Code::FileNotFound);
    for (method, target) in [("DELETE", &purge), ("POST", &undelete)] {
        let gone = setup.ask(method, target, "", "").await;
        gone.fails(Code::FileNotFound);
    }
    assert_eq!(trash(&setup, "").await, (vec![], None));
    let requests = setup.leader.state().requests.clone();
    let with_id = requests.iter().flatten().map(|id| id.as_u128());
    assert!(with_id.eq([7; 3]), "{requests:?}");
    let odd = setup
        .ask("POST", &undelete, "x-mdfs-request-id: 7", "")
        .await;
    odd.fails(Code::InvalidRequest);
}

#[tokio::test]
async fn the_trash_comes_in_pages() {
    let setup = Setup::new(2).await;
    for name in ["a", "b", "c"] {
        let target = format!("/v1/files/{name}");
        setup.put(&target, b"x").await;
        assert_eq!(setup.ask("DELETE", &target, "", "").await.status, 204);
    }
    let (names, next) = trash(&setup, "?limit=2").await;
    assert_eq!(names, ["a", "b"]);
    let (names, next) = trash(&setup, &format!("?limit=2&after={}", next.unwrap())).await;
    assert_eq!((names, next), (vec!["c".to_owned()], None));
}

#[tokio::test]
async fn a_request_id_from_another_time_has_a_code_of_its_own() {
    let setup = Setup::new(2).await;
    setup.leader.state().refuse = Some(|| Error::RequestTooOld);
    for (method, target) in [("DELETE", "/v1/files/f"), ("POST", "/v1/files/f?undelete")] {
        let refused = setup.ask(method, target, "", "").await;
        refused.fails(Code::RequestOutsideWindow);
    }
}

#[tokio::test]
async fn without_a_leader_nothing_is_said_to_be_missing() {
    let setup = Setup::new(2).await;
    setup.leader.state().refuse = Some(|| Error::NoLeader);
    for (method, target) in [
        ("GET", "/v1/files/f"),
        ("PUT", "/v1/files/f"),
        ("DELETE", "/v1/files/f?purge"),
        ("POST", "/v1/files/f?undelete"),
        ("GET", "/v1/trash"),
        ("GET", "/v1/files"),
    ] {
        let answer = setup.ask(method, target, "", "").await;
        answer.fails(Code::NoLeader);
        assert!(!answer.header("retry-after").is_empty());
    }
    let ready = setup
        .ask_bare("GET", "/health/ready", "", Body::empty())
        .await;
    assert_eq!(ready.status, 200);
    let metrics = setup.get("/metrics", "").await;
    let text = String::from_utf8(metrics.body.to_vec()).unwrap();
    assert!(text.contains("mdfs_up 1"), "{text}");
    assert!(text.contains("mdfs_total_files NaN"), "{text}");
}

#[tokio::test]
async fn monitoring_shows_counts_under_the_names_it_always_had() {
    let setup = Setup::new(3).await;
    setup.put("/v1/files/f", b"x").await;
    let stats: serde_json::Value =
        serde_json::from_slice(&setup.get("/stats", "").await.body).unwrap();
    assert_eq!(
        (&stats["active_workers"], &stats["files"]),
        (&3.into(), &1.into())
    );
    assert_eq!(stats["ring_size"], 4096);
    let metrics = setup.get("/metrics", "").await;
    let text = String::from_utf8(metrics.body.to_vec()).unwrap();
    for line in [
        "mdfs_active_nodes 3",
        "mdfs_total_files 1",
        "mdfs_under_replicated_files 0",
        "mdfs_up 1",
        "mdfs_leader_known 1",
        "mdfs_health{state=\"unknown\"} 0",
        "mdfs_single_copy_files 0",
        "mdfs_http_requests_total{method=\"PUT\",route=\"/v1/files/{*name}\",status=\"201\"} 1",
    ] {
        assert!(
            text.lines().any(|got| got == line),
            "{line} is not in {text}"
        );
    }
}

#[tokio::test]
async fn bad_parameters_are_named() {
    let setup = Setup::new(2).await;
    for target in [
        "/v1/files/f?chunk_size=12",
        "/v1/files/f?chunk_size=x",
        "/v1/files/f?replicas=0",
        "/v1/files/f?replicas=8",
        "/v1/files/f?replica=2",
    ] {
        setup
            .ask("PUT", target, "", "x")
            .await
            .fails(Code::InvalidRequest);
    }
    for lines in [
        "x-mdfs-request-id: 7",
        "content-type: nonsense",
        "content-range: bytes 0-0/5",
    ] {
        setup
            .ask("PUT", "/v1/files/f", lines, "x")
            .await
            .fails(Code::InvalidRequest);
    }
    for target in [
        "/v1/files?limit=0",
        "/v1/files?limit=1001",
        "/v1/files?delimiter=ab",
        "/v1/trash?limit=1001",
        "/v1/trash?after=f",
        "/v1/trash?after=1-f",
        "/v1/trash?prefix=f",
        "/v1/files/f?checksums",
        "/v1/files/f?checksum=2",
        "/v1/files/f?checksum&replicas",
        "/v1/files/f?downlod=1",
        "/play/f?chunk_size=65536",
    ] {
        setup.get(target, "").await.fails(Code::InvalidRequest);
    }
    for change in [
        r#"{"replicas":0}"#,
        r#"{"replicas":8}"#,
        r#"{"replicas":"3"}"#,
        r#"{"replica":3}"#,
        r#"{"chunk_size":12}"#,
        r#"{"repair_delay_seconds":2592001}"#,
        r#"{"repair_delay_seconds":-1}"#,
        r#"{"trash_keep_seconds":315360001}"#,
        r#"{"lower_after_seconds":2592001}"#,
    ] {
        setup
            .ask("POST", "/v1/admin/policy", "", change)
            .await
            .fails(Code::InvalidRequest);
    }
    for (method, target) in [
        ("POST", "/v1/files/f"),
        ("POST", "/v1/files/f?undelete=0"),
        ("POST", "/v1/files/f?undelete=yes"),
        ("POST", "/v1/files/f?undelete&purge"),
        ("DELETE", "/v1/files/f?undelete"),
        ("DELETE", "/v1/files/f?purge=yes"),
        ("DELETE", "/v1/files/f?prune"),
    ] {
        setup
            .ask(method, target, "", "")
            .await
            .fails(Code::InvalidRequest);
    }
    let rename = setup
        .ask(
            "POST",
            "/v1/rename",
            "",
            r#"{"from":"a","to":"b","force":1}"#,
        )
        .await;
    rename.fails(Code::InvalidRequest);
    let rename = setup
        .ask("POST", "/v1/rename", "", "x".repeat(70_000))
        .await;
    rename.fails(Code::TooLarge);
    assert!(setup.leader.state().open.is_empty());
}

#[tokio::test]
async fn what_is_said_of_a_file_is_changed_by_a_body_and_shown_everywhere() {
    let setup = Setup::new(3).await;
    let target = "/v1/files/film.mkv";
    let put = "x-mdfs-attribute-year: 1927\ncontent-type: video/webm";
    let put = setup.ask("PUT", target, put, "bytes").await;
    let stored: FileInfo = serde_json::from_slice(&put.body).unwrap();
    let act = async |lines: &str, body: &'static str| {
        let target = format!("{target}?attributes");
        setup.ask("POST", &target, lines, body).await
    };
    let body = r#"{"attributes": {"title": "Größe"}, "content_type": "video/x-matroska"}"#;
    let answer = act(&format!("if-match: {}", stored.etag), body).await;
    let told: FileInfo = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(
        told.attributes.into_iter().collect::<Vec<_>>(),
        [("title".into(), "Größe".into())]
    );
    assert_eq!(
        (told.content_type.as_str(), &told.etag),
        ("video/x-matroska", &stored.etag)
    );
    let head = setup.ask("HEAD", target, "", "").await;
    assert_eq!(
        head.headers["x-mdfs-attribute-title"].as_bytes(),
        "Größe".as_bytes()
    );
    assert!(!head.headers.contains_key("x-mdfs-attribute-year"));
    assert_eq!(head.header("content-type"), "video/x-matroska");
    let list = setup.get("/v1/files", "").await;
    let list: Listing = serde_json::from_slice(&list.body).unwrap();
    assert_eq!(list.files[0].attributes["title"], "Größe");

    for bad in [
        "",
        "[null, null]",
        r#"{"attributes": {"A": "b"}}"#,
        r#"{"content_type": "nonsense"}"#,
        r#"{"title": "b"}"#,
    ] {
        act("", bad).await.fails(Code::InvalidRequest);
    }
    let long = format!(r#"{{"attributes": {{"a": "{}"}}}}"#, "v".repeat(2048));
    let answer = setup
        .ask("POST", &format!("{target}?attributes"), "", long)
        .await;
    answer.fails(Code::InvalidRequest);
    let two = format!("{target}?attributes&undelete");
    setup
        .ask("POST", &two, "", "{}")
        .await
        .fails(Code::InvalidRequest);
    let absent = "/v1/files/absent?attributes";
    setup
        .ask("POST", absent, "", "{}")
        .await
        .fails(Code::FileNotFound);
}
