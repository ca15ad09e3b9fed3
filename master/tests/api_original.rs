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
use mdfs_protocol::public::{Checksums, FileInfo, FormFiles, FormResult, Verified};
use std::io;
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
    let late = upload(&setup, &[("file", Some("c"), b"1"), ("path", None, b"x")]).await;
    assert_eq!(late.status, 207);
    let files: FormFiles = serde_json::from_slice(&late.body).unwrap();
    assert_eq!(files.ended_by.unwrap().code, Code::InvalidRequest);
    assert!(matches!(&files.files[..], [FormResult::Stored(file)] if file.name == "c"));
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
    let many = vec![("name", None, &b"n"[..]); 1001];
    for (body, code) in [
        (form(&[]), Code::InvalidRequest),
        (form(&[("name", None, b"a")]), Code::InvalidRequest),
        (form(&[("file", None, b"a")]), Code::InvalidRequest),
        (form(&[("other", Some("a"), b"a")]), Code::InvalidRequest),
        (form(&[("file", Some(""), b"a")]), Code::InvalidName),
        (form(&[("path", None, long.as_bytes())]), Code::TooLarge),
        (form(&many), Code::TooLarge),
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
