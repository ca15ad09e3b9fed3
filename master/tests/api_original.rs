//! The short routes of the original system, and forms.

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
use futures_util::stream;
use mdfs_core::checksum::{Blake3, Crc32};
use mdfs_protocol::problem::Code;
use mdfs_protocol::public::{
    Checksums, CreatedToken, FileInfo, FormFiles, FormRefused, FormResult, Verified,
};
use std::io;
use std::task::{Context, Poll};
use support::{Answer, MIB, Setup, content};

const FORM: &str = "content-type: multipart/form-data; boundary=edge";

/// A part of a form: its field, the name of its file, its bytes.
type Part<'a> = (&'a str, Option<&'a str>, &'a [u8]);

fn form(parts: &[Part<'_>]) -> Vec<u8> {
    let mut form = Vec::new();
    for (field, file, bytes) in parts {
        let file = file.map_or(String::new(), |name| format!("; filename=\"{name}\""));
        form.extend_from_slice(b"--edge\r\n");
        let line = format!("content-disposition: form-data; name=\"{field}\"{file}\r\n\r\n");
        form.extend_from_slice(line.as_bytes());
        form.extend_from_slice(bytes);
        form.extend_from_slice(b"\r\n");
    }
    form.extend_from_slice(b"--edge--\r\n");
    form
}

async fn upload(setup: &Setup, parts: &[Part<'_>]) -> Answer {
    setup.ask("POST", "/upload", FORM, form(parts)).await
}

fn info(answer: &Answer) -> FileInfo {
    assert_eq!(answer.status, 201, "{:?}", answer.body);
    serde_json::from_slice(&answer.body).unwrap()
}

#[tokio::test]
async fn a_file_of_a_form_is_stored_like_one_that_was_put() {
    let setup = Setup::new(3).await;
    let bytes = content(5 * MIB + 77);
    let answer = upload(&setup, &[("file", Some("ä film.mkv"), &bytes)]).await;
    let stored = info(&answer);
    assert_eq!(stored.name, "ä film.mkv");
    let sums = (stored.size, stored.crc32, stored.blake3);
    let size = u64::try_from(bytes.len()).unwrap();
    assert_eq!(sums, (size, Crc32::of(&bytes), Blake3::of(&bytes)));
    assert_eq!(stored.content_type, "video/x-matroska");
    assert_eq!(answer.header("location"), "/v1/files/%C3%A4%20film.mkv");

    let query = "?name=%C3%A4+film.mkv";
    let saved = setup.get(&format!("/download{query}"), "").await;
    assert!(saved.body == bytes);
    assert!(
        saved
            .header("content-disposition")
            .starts_with("attachment;")
    );
    let shown = setup
        .get(&format!("/play{query}"), "range: bytes=3-9")
        .await;
    assert_eq!(
        (shown.status.as_u16(), &shown.body[..]),
        (206, &bytes[3..10])
    );
    assert!(shown.header("content-disposition").starts_with("inline;"));
    let head = setup.ask("HEAD", &format!("/play{query}"), "", "").await;
    assert_eq!(head.header("content-length"), size.to_string());

    for target in [
        format!("/get-checksum{query}"),
        "/v1/files/%C3%A4%20film.mkv?checksum".to_owned(),
    ] {
        let told = setup.get(&target, "").await;
        let told: Checksums = serde_json::from_slice(&told.body).unwrap();
        assert_eq!((told.crc32, told.blake3), (stored.crc32, stored.blake3));
        assert_eq!((told.version, told.size), (stored.version, size));
    }
    let verified = setup.get(&format!("/verify{query}"), "").await;
    let verified: Verified = serde_json::from_slice(&verified.body).unwrap();
    assert!(verified.good, "{verified:?}");
}

#[tokio::test]
async fn a_name_and_a_folder_come_before_their_file() {
    let setup = Setup::new(3).await;
    let check = async |parts: &[Part<'_>], name: &str| {
        assert_eq!(info(&upload(&setup, parts).await).name, name);
    };
    check(&[("file", Some("a"), b"1")], "a").await;
    check(&[("name", None, b"b"), ("file", Some("a"), b"1")], "b").await;
    for folder in ["films", "films/"] {
        for field in ["path", "folder"] {
            let parts: [Part<'_>; 2] =
                [(field, None, folder.as_bytes()), ("file", Some("a"), b"1")];
            check(&parts, "films/a").await;
        }
    }
    // What comes too late is refused with the order that is wanted.
    for late in ["path", "name"] {
        let parts: [Part<'_>; 2] = [("file", Some("c"), b"1"), (late, None, b"x")];
        let answer = upload(&setup, &parts).await;
        assert_eq!(answer.status, 207);
        let files: FormFiles = serde_json::from_slice(&answer.body).unwrap();
        let ended_by = files.ended_by.unwrap();
        assert_eq!(ended_by.code, Code::InvalidRequest);
        assert!(ended_by.detail.contains("the order is: `path`"), "{late}");
        assert!(matches!(&files.files[..], [FormResult::Stored(file)] if file.name == "c"));
    }
}

#[tokio::test]
async fn what_is_said_twice_of_a_file_is_refused() {
    let setup = Setup::new(3).await;
    for twice in [["name", "name"], ["path", "folder"], ["path", "path"]] {
        let [first, second] = twice;
        let parts: [Part<'_>; 3] = [
            (first, None, b"a"),
            (second, None, b"b"),
            ("file", Some("c"), b"1"),
        ];
        let answer = upload(&setup, &parts).await;
        answer.fails(Code::InvalidRequest);
        assert!(answer.problem().detail.contains("twice"), "{twice:?}");
    }
}

/// A form of many parts under a long folder had all their names kept and answered.
#[tokio::test]
async fn refused_names_are_bounded_in_length_and_number() {
    let setup = Setup::new(3).await;
    let long = "x".repeat(8000);
    let mut parts: Vec<Part<'_>> = vec![("path", None, long.as_bytes())];
    parts.resize(900, ("file", Some("a"), b""));
    upload(&setup, &parts).await.fails(Code::InvalidName);
    let parts: Vec<Part<'_>> = vec![("file", Some(&long), b""); 900];
    let answer = upload(&setup, &parts).await;
    answer.fails(Code::InvalidRequest);
    let refused: FormRefused = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(refused.files.len(), 100);
    assert!(answer.body.len() < 100 * 1024, "{}", answer.body.len());
    // Files that are there already are no such refusals.
    setup.put("/v1/files/a", b"1").await;
    let mut parts: Vec<Part<'_>> = vec![("file", Some("a"), b"2"); 120];
    parts.push(("file", Some("b"), b"3"));
    let new = format!("{FORM}\nif-none-match: *");
    let answer = setup.ask("POST", "/upload", &new, form(&parts)).await;
    assert_eq!(answer.status, 207);
    let files: FormFiles = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(files.files.len(), 121);
    assert_eq!(files.ended_by, None);
    let parts: Vec<Part<'_>> = vec![("file", Some("a"), b"2"); 1001];
    let answer = setup.ask("POST", "/upload", &new, form(&parts)).await;
    answer.fails(Code::TooLarge);
}

/// The rest of a file that is refused counted as what stands between two files.
#[tokio::test]
async fn a_large_file_that_is_refused_ends_nothing_but_itself() {
    let setup = Setup::new(3).await;
    let bytes = content(10 * MIB);
    setup.put("/v1/files/there", b"1").await;
    let new = format!("{FORM}\nif-none-match: *");
    let alone: Part<'_> = ("file", Some("there"), &bytes);
    let answer = setup.ask("POST", "/upload", &new, form(&[alone])).await;
    answer.fails(Code::PreconditionFailed);
    let parts: [Part<'_>; 3] = [alone, ("file", Some("b"), b"2"), ("file", Some("c"), b"3")];
    let answer = setup.ask("POST", "/upload", &new, form(&parts)).await;
    assert_eq!(answer.status, 207, "{:?}", answer.body);
    let files: FormFiles = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(files.ended_by, None);
    let FormResult::Refused { name, problem } = &files.files[0] else {
        panic!("{files:?}");
    };
    assert_eq!(
        (name.as_str(), problem.code),
        ("there", Code::PreconditionFailed)
    );
    assert!(matches!(
        &files.files[1..],
        [FormResult::Stored(_), FormResult::Stored(_)]
    ));
}

#[tokio::test]
async fn a_form_of_which_nothing_is_stored_is_answered_with_an_error() {
    let setup = Setup::new(3).await;
    let parts: [Part<'_>; 2] = [("file", Some("../a"), b"1"), ("file", Some("b/"), b"2")];
    let answer = upload(&setup, &parts).await;
    answer.fails(Code::InvalidName);
    let refused: FormRefused = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(refused.files.len(), 2);
    // What ended the form says more than what became of its files.
    let mut cut = form(&parts);
    cut.truncate(cut.len() - 9);
    let answer = setup.ask("POST", "/upload", FORM, cut).await;
    answer.fails(Code::IncompleteBody);
}

/// A caller with these roles everywhere, as a header line, and their token.
async fn token(setup: &Setup, roles: &str) -> (String, CreatedToken) {
    let wish = format!("{{\"label\": \"a test\", \"roles\": [{roles}], \"expires_seconds\": 60}}");
    let made = setup.ask("POST", "/v1/admin/tokens", "", wish).await;
    let made: CreatedToken = serde_json::from_slice(&made.body).unwrap();
    (
        format!("authorization: Bearer {}\n{FORM}", made.secret),
        made,
    )
}

#[tokio::test]
async fn who_may_store_nothing_is_refused_before_the_form_is_read() {
    let setup = Setup::new(3).await;
    let (metrics, _) = token(&setup, "\"metrics\", \"read\"").await;
    let read = |_: &mut Context<'_>| -> Poll<Option<io::Result<Bytes>>> { panic!("it is read") };
    let body = Body::from_stream(stream::poll_fn(read));
    let answer = setup.ask_bare("POST", "/upload", &metrics, body).await;
    answer.fails(Code::Forbidden);
}

#[tokio::test]
async fn a_token_that_is_revoked_stores_no_further_file_of_its_form() {
    let setup = Setup::new(3).await;
    let (write, made) = token(&setup, "\"write\"").await;
    let whole = form(&[("file", Some("a"), b"1"), ("file", Some("b"), b"2")]);
    let split = whole
        .windows(6)
        .rposition(|bytes| bytes == b"--edge")
        .unwrap();
    let second = whole[..split]
        .windows(6)
        .rposition(|bytes| bytes == b"--edge")
        .unwrap();
    // The boundary ends the first file.
    let (first, rest) = whole.split_at(second + 8);
    let (sender, receiver) = tokio::sync::mpsc::channel::<io::Result<Bytes>>(2);
    let pieces = stream::unfold(receiver, async |mut receiver| {
        let piece = receiver.recv().await?;
        Some((piece, receiver))
    });
    let pieces = Body::from_stream(Box::pin(pieces));
    let send = async {
        sender
            .send(Ok(Bytes::copy_from_slice(first)))
            .await
            .unwrap();
        while setup.get("/v1/files/a", "").await.status != 200 {
            tokio::task::yield_now().await;
        }
        let revoke = format!("/v1/admin/tokens/{}", made.info.id);
        assert_eq!(setup.ask("DELETE", &revoke, "", "").await.status, 204);
        sender.send(Ok(Bytes::copy_from_slice(rest))).await.unwrap();
        drop(sender);
    };
    let ask = setup.ask_bare("POST", "/upload", &write, pieces);
    let (answer, ()) = tokio::join!(ask, send);
    assert_eq!(answer.status, 207, "{:?}", answer.body);
    let files: FormFiles = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(files.ended_by.unwrap().code, Code::Unauthorized);
    assert!(matches!(
        &files.files[..],
        [FormResult::Stored(_), FormResult::Refused { .. }]
    ));
    assert_eq!(setup.get("/v1/files/b", "").await.status, 404);
}

#[tokio::test]
async fn each_file_of_a_form_is_answered_by_itself() {
    let setup = Setup::new(3).await;
    let parts: [Part<'_>; 3] = [
        ("file", Some("a"), b"1"),
        ("file", Some("b"), b""),
        ("files[]", Some("c"), &content(2 * MIB)),
    ];
    let answer = upload(&setup, &parts).await;
    assert_eq!(answer.status, 201);
    let files: FormFiles = serde_json::from_slice(&answer.body).unwrap();
    let names = |files: &FormFiles| {
        let name = |file: &FormResult| match file {
            FormResult::Stored(info) => info.name.clone(),
            FormResult::Refused { name, problem } => format!("{name}: {}", problem.code),
        };
        files.files.iter().map(name).collect::<Vec<_>>()
    };
    assert_eq!(names(&files), ["a", "b", "c"]);

    let parts: [Part<'_>; 3] = [
        ("file", Some("d"), b"1"),
        ("file", Some("../e"), &content(2 * MIB)),
        ("file", Some("f"), b"3"),
    ];
    let answer = upload(&setup, &parts).await;
    assert_eq!(answer.status, 207);
    let files: FormFiles = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(names(&files), ["d", "../e: invalid_name", "f"]);
    assert_eq!(setup.get("/v1/files/f", "").await.body, "3");
}

#[tokio::test]
async fn a_form_that_is_none_stores_nothing() {
    let setup = Setup::new(3).await;
    let long = "x".repeat(9 * 1024);
    let headers = format!("--edge\r\nx: {}", "y".repeat(80 * 1024));
    for (body, code) in [
        (form(&[]), Code::InvalidRequest),
        (form(&[("name", None, b"a")]), Code::InvalidRequest),
        (form(&[("file", None, b"a")]), Code::InvalidRequest),
        (form(&[("other", Some("a"), b"a")]), Code::InvalidRequest),
        (form(&[("file", Some(""), b"a")]), Code::InvalidName),
        (form(&[("path", None, long.as_bytes())]), Code::TooLarge),
        (headers.into_bytes(), Code::TooLarge),
        (vec![b'z'; 100 * 1024], Code::TooLarge),
        (b"".to_vec(), Code::IncompleteBody),
    ] {
        let start = String::from_utf8_lossy(&body[..body.len().min(80)]).into_owned();
        let answer = setup.ask("POST", "/upload", FORM, body).await;
        assert_eq!(answer.problem().code, code, "{start}");
    }
    let whole = form(&[("file", Some("cut"), &content(MIB))]);
    for end in [whole.len() - 9, whole.len() / 2, 40] {
        let cut = whole[..end].to_vec();
        let answer = setup.ask("POST", "/upload", FORM, cut).await;
        answer.fails(Code::IncompleteBody);
    }
    for kind in [
        "",
        "content-type: text/plain",
        "content-type: multipart/form-data",
    ] {
        let answer = setup.ask("POST", "/upload", kind, whole.clone()).await;
        answer.fails(Code::InvalidRequest);
    }
    let twice = format!("{FORM}\nx-mdfs-request-id: 1");
    let answer = setup.ask("POST", "/upload", &twice, whole).await;
    answer.fails(Code::InvalidRequest);
    assert_eq!(setup.get("/v1/files/cut", "").await.status, 404);
}

/// A form of which each byte comes by itself, or all at once, is the same form.
#[tokio::test]
async fn a_form_may_come_in_any_pieces() {
    let setup = Setup::new(3).await;
    let bytes = b"\r\n--edg\r\n--edg\r\r\n-".repeat(30);
    let whole = form(&[("path", None, b"p"), ("file", Some("a"), &bytes)]);
    for length in [1, 2, 3, 7, 64, whole.len()] {
        let pieces: Vec<io::Result<Bytes>> = whole
            .chunks(length)
            .map(|piece| Ok(Bytes::copy_from_slice(piece)))
            .collect();
        let body = Body::from_stream(stream::iter(pieces));
        let answer = setup.ask("POST", "/upload", FORM, body).await;
        assert_eq!(info(&answer).crc32, Crc32::of(&bytes), "{length}");
    }
}

#[tokio::test]
async fn a_name_in_a_query_is_deleted_and_has_to_be_one() {
    let setup = Setup::new(3).await;
    for method in ["POST", "DELETE"] {
        setup.put("/v1/files/a", b"1").await;
        let gone = setup.ask(method, "/delete?name=a", "", "").await;
        assert_eq!(gone.status, 204);
        let again = setup.ask(method, "/delete?name=a", "", "").await;
        again.fails(Code::FileNotFound);
    }
    for target in [
        "/download",
        "/play",
        "/get-checksum",
        "/verify",
        "/play?nam=a",
    ] {
        setup.get(target, "").await.fails(Code::InvalidRequest);
    }
    setup.put("/v1/files/a", b"1").await;
    let more = setup.get("/play?name=a&more=1", "").await;
    more.fails(Code::InvalidRequest);
    let name = setup.get("/play?name=../a", "").await;
    name.fails(Code::InvalidName);
}

#[tokio::test]
async fn a_secret_in_a_url_is_refused_on_every_route_with_a_hint() {
    let setup = Setup::new(3).await;
    for secret in [
        "token=x",
        "access_token=x",
        "api_key=x",
        "Api-Key=x",
        "password=x",
        "key=x",
        "%6bey=x",
    ] {
        for target in [
            "/health",
            "/play?name=a",
            "/v1/files/a",
            "/upload",
            "/nowhere",
        ] {
            let sign = if target.contains('?') { '&' } else { '?' };
            let target = format!("{target}{sign}{secret}");
            let answer = setup.get(&target, "").await;
            answer.fails(Code::InvalidRequest);
            let detail = answer.problem().detail;
            assert!(detail.contains("Authorization: Bearer"), "{detail}");
        }
    }
}
