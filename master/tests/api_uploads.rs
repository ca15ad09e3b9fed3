//! Uploads that clients come back to, as their routes answer.

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
use mdfs_core::checksum::{Blake3, ChunkHash, Crc32, join};
use mdfs_core::chunk::ChunkId;
use mdfs_core::records::Holder;
use mdfs_protocol::problem::Code;
use mdfs_protocol::public::{ChunkRun, FileInfo, StoredChunk, UploadInfo, UploadState, Uploads};
use serde_json::json;
use std::io;
use support::leader::term;
use support::{Answer, MIB, Setup, content};

const CHUNK: usize = MIB;

async fn begin(setup: &Setup, name: &str, size: Option<usize>) -> UploadInfo {
    let mut body = json!({ "name": name, "chunk_size": CHUNK });
    if let Some(size) = size {
        body["size"] = size.into();
    }
    let answer = setup.ask("POST", "/v1/uploads", "", body.to_string()).await;
    assert_eq!(answer.status, 201, "{:?}", answer.body);
    let info: UploadInfo = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(
        answer.header("location"),
        format!("/v1/uploads/{}", info.id)
    );
    info
}

async fn put(setup: &Setup, upload: &UploadInfo, index: usize, bytes: &[u8]) -> Answer {
    let target = format!("/v1/uploads/{}/chunks/{index}", upload.id);
    let lines = format!("content-length: {}", bytes.len());
    setup.ask("PUT", &target, &lines, bytes.to_vec()).await
}

async fn stored(setup: &Setup, upload: &UploadInfo, index: usize, bytes: &[u8]) -> StoredChunk {
    let answer = put(setup, upload, index, bytes).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    serde_json::from_slice(&answer.body).unwrap()
}

async fn commit(setup: &Setup, upload: &UploadInfo, body: &str) -> Answer {
    let target = format!("/v1/uploads/{}/commit", upload.id);
    setup.ask("POST", &target, "", body.to_owned()).await
}

async fn find(setup: &Setup, upload: &UploadInfo) -> UploadInfo {
    let answer = setup.get(&format!("/v1/uploads/{}", upload.id), "").await;
    assert_eq!(answer.status, 200);
    serde_json::from_slice(&answer.body).unwrap()
}

#[tokio::test]
async fn chunks_in_any_order_become_the_file_and_their_checksums_join() {
    let setup = Setup::new(3).await;
    let bytes = content(2 * CHUNK + 777);
    let upload = begin(&setup, "films/a.mkv", Some(bytes.len())).await;
    assert_eq!((upload.state, upload.stored_bytes), (UploadState::Open, 0));
    // It counts for whoever began it.
    let holder = setup.leader.state().open[&upload.id].holder;
    assert!(matches!(holder, Some(Holder::Address(_))), "{holder:?}");
    let pieces: Vec<&[u8]> = bytes.chunks(CHUNK).collect();
    let mut hashes = vec![ChunkHash([0; 32]); pieces.len()];
    for index in [2, 0, 0, 1] {
        let chunk = stored(&setup, &upload, index, pieces[index]).await;
        assert_eq!(chunk.crc32, Crc32::of(pieces[index]));
        hashes[index] = chunk.blake3;
        if index == 0 {
            let found = find(&setup, &upload).await;
            let runs = [0, 2].map(|first| ChunkRun { first, count: 1 });
            assert_eq!(found.chunks, runs);
            let refused = commit(&setup, &upload, "{}").await;
            refused.fails(Code::MissingChunks);
            assert!(refused.problem().detail.ends_with(": 1"));
        }
    }
    assert_eq!(join(&hashes), Blake3::of(&bytes));
    let wrong = json!({ "crc32": "00000000" }).to_string();
    commit(&setup, &upload, &wrong)
        .await
        .fails(Code::ChecksumMismatch);
    let right = json!({ "crc32": Crc32::of(&bytes), "size": bytes.len() }).to_string();
    let answer = commit(&setup, &upload, &right).await;
    assert_eq!(answer.status, 201);
    let info: FileInfo = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((info.blake3, info.file_id), (Blake3::of(&bytes), upload.id));
    assert_eq!(answer.header("location"), "/v1/files/films/a.mkv");
    let read = setup.get("/v1/files/films/a.mkv", "").await;
    assert!(read.body == bytes);
    // Again, it is what it was.
    assert_eq!(commit(&setup, &upload, "{}").await.body, answer.body);
    let target = format!("/v1/uploads/{}", upload.id);
    let ended = setup.ask("DELETE", &target, "", Body::empty()).await;
    let ended: UploadInfo = serde_json::from_slice(&ended.body).unwrap();
    assert_eq!(
        (ended.state, ended.file),
        (UploadState::Committed, Some(info))
    );
    put(&setup, &upload, 0, pieces[0])
        .await
        .fails(Code::UploadEnded);
}

#[tokio::test]
async fn a_file_of_one_chunk_has_its_own_hash_whether_or_not_its_size_was_told() {
    let setup = Setup::new(2).await;
    for (n, (length, told)) in [(5, true), (5, false), (CHUNK, true), (CHUNK, false)]
        .into_iter()
        .enumerate()
    {
        let bytes = content(length);
        let upload = begin(&setup, &format!("f{n}"), told.then_some(length)).await;
        stored(&setup, &upload, 0, &bytes).await;
        let answer = commit(&setup, &upload, "{}").await;
        let info: FileInfo = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(info.blake3, Blake3::of(&bytes), "{length} {told}");
        assert_eq!(info.crc32, Crc32::of(&bytes));
    }
    let upload = begin(&setup, "empty", Some(0)).await;
    let answer = commit(&setup, &upload, "{}").await;
    let info: FileInfo = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((info.size, info.blake3), (0, Blake3::of(b"")));
    let upload = begin(&setup, "unknown", None).await;
    commit(&setup, &upload, "{}")
        .await
        .fails(Code::MissingChunks);
}

#[tokio::test]
async fn a_chunk_that_is_not_what_it_should_be_is_refused_and_nothing_is_recorded() {
    let setup = Setup::new(2).await;
    let bytes = content(2 * CHUNK);
    let upload = begin(&setup, "a", Some(CHUNK + 5)).await;
    let (chunk, id) = (&bytes[..CHUNK], upload.id);
    put(&setup, &upload, 0, &bytes[..5])
        .await
        .fails(Code::InvalidRequest);
    put(&setup, &upload, 2, &bytes[..5])
        .await
        .fails(Code::InvalidRequest);
    put(&setup, &upload, 1, b"")
        .await
        .fails(Code::InvalidRequest);
    let target = format!("/v1/uploads/{id}/chunks/0");
    let ask = async |lines: &str, body: Body| setup.ask("PUT", &target, lines, body).await;
    let second = format!("/v1/uploads/{id}/chunks/1");
    let empty = setup.ask("PUT", &second, "", Body::empty()).await;
    empty.fails(Code::InvalidRequest);
    let long: Vec<u8> = bytes.clone();
    ask("", long.into()).await.fails(Code::TooLarge);
    let wrong = ask("x-mdfs-crc32: 00000000", chunk.to_vec().into()).await;
    wrong.fails(Code::ChecksumMismatch);
    let line = format!("x-mdfs-blake3: {}", Blake3::of(chunk));
    ask(&line, chunk.to_vec().into())
        .await
        .fails(Code::InvalidRequest);
    let broken = stream::iter([
        Ok(Bytes::copy_from_slice(&chunk[..1000])),
        Err(io::Error::other("gone")),
    ]);
    let broken = ask("", Body::from_stream(broken)).await;
    broken.fails(Code::IncompleteBody);
    assert_eq!(find(&setup, &upload).await.chunks, []);
    stored(&setup, &upload, 0, chunk).await;
    let other = content(CHUNK - 1)
        .into_iter()
        .chain([7])
        .collect::<Vec<_>>();
    put(&setup, &upload, 0, &other).await.fails(Code::Conflict);
    let unknown = setup.get("/v1/uploads/nonsense", "").await;
    unknown.fails(Code::UploadNotFound);
    let unknown = setup.get(&format!("/v1/uploads/{:032x}", 77), "").await;
    unknown.fails(Code::UploadNotFound);
}

#[tokio::test]
async fn a_chunk_that_a_disk_has_sealed_with_other_bytes_is_stored_nowhere_else() {
    let setup = Setup::new(4).await;
    let bytes = content(CHUNK);
    let before = begin(&setup, "a", Some(CHUNK)).await;
    stored(&setup, &before, 0, &bytes).await;
    let upload = begin(&setup, "b", Some(CHUNK)).await;
    let chunk = |upload: &UploadInfo| ChunkId {
        file: upload.id,
        index: 0,
    };
    // A try of which nobody heard the end.
    let seals = setup
        .workers
        .iter()
        .map(|worker| worker.disk().seals.clone());
    let seal = seals.flatten().find(|(of, _)| *of == chunk(&before));
    let (_, seal) = seal.unwrap();
    let first = &setup.workers[0];
    first.disk().seals.insert(chunk(&upload), seal);
    put(&setup, &upload, 0, &bytes).await.fails(Code::Conflict);
    assert_eq!(find(&setup, &upload).await.chunks, []);
}

#[tokio::test]
async fn a_chunk_that_is_on_disks_that_are_away_is_stored_with_no_other_bytes() {
    let setup = Setup::new(4).await;
    let bytes = content(CHUNK);
    let upload = begin(&setup, "a", Some(CHUNK)).await;
    let (first, others) = setup.workers.split_at(2);
    for worker in first {
        worker.disk().faults.unheard = true;
    }
    for worker in others {
        worker.disk().faults.full_at = Some(0);
    }
    let unheard = put(&setup, &upload, 0, &bytes).await;
    assert!(unheard.status.is_server_error(), "{}", unheard.status);
    for worker in first {
        assert_eq!(worker.disk().sealed.len(), 1);
        worker.kill();
    }
    for worker in others {
        worker.disk().faults.full_at = None;
    }
    let other = [&bytes[1..], &[7]].concat();
    put(&setup, &upload, 0, &other).await.fails(Code::Conflict);
    for worker in others {
        assert_eq!(worker.disk().sealed.len(), 0);
    }
    stored(&setup, &upload, 0, &bytes).await;
    assert_eq!(commit(&setup, &upload, "{}").await.status, 201);
}

#[tokio::test]
async fn what_cannot_be_an_upload_is_refused_before_anything_is_opened() {
    let setup = Setup::new(2).await;
    for body in [
        json!({}),
        json!({ "name": "a", "colour": "blue" }),
        json!({ "name": "a", "chunk_size": 1000 }),
        json!({ "name": "a", "replicas": 9 }),
        json!({ "name": "a", "expires_seconds": 0 }),
        json!({ "name": "a", "content_type": "nonsense" }),
        json!({ "name": "a", "attributes": { "UPPER": "x" } }),
        json!({ "name": "a", "attributes": { "a": "x".repeat(2048) } }),
    ] {
        let answer = setup.ask("POST", "/v1/uploads", "", body.to_string()).await;
        answer.fails(Code::InvalidRequest);
    }
    let bad_name = json!({ "name": "../a" }).to_string();
    let answer = setup.ask("POST", "/v1/uploads", "", bad_name).await;
    answer.fails(Code::InvalidName);
    setup.put("/v1/files/a", b"old").await;
    let taken = json!({ "name": "a" }).to_string();
    let answer = setup
        .ask("POST", "/v1/uploads", "if-none-match: *", taken)
        .await;
    answer.fails(Code::PreconditionFailed);
    assert!(setup.leader.state().open.is_empty());
}

#[tokio::test]
async fn open_uploads_are_listed_a_page_at_a_time_and_end_when_told() {
    let setup = Setup::new(2).await;
    let mut ids = Vec::new();
    for n in 0..3 {
        ids.push(begin(&setup, &format!("f{n}"), None).await.id);
    }
    let page = setup.get("/v1/uploads?limit=2", "").await;
    let page: Uploads = serde_json::from_slice(&page.body).unwrap();
    assert_eq!(
        page.uploads.iter().map(|it| it.id).collect::<Vec<_>>(),
        ids[..2]
    );
    let next = page.next.unwrap();
    let rest = setup.get(&format!("/v1/uploads?after={next}"), "").await;
    let rest: Uploads = serde_json::from_slice(&rest.body).unwrap();
    assert_eq!((rest.uploads[0].id, rest.next), (ids[2], None));
    let target = format!("/v1/uploads/{}", ids[0]);
    for _ in 0..2 {
        let ended = setup.ask("DELETE", &target, "", Body::empty()).await;
        let ended: UploadInfo = serde_json::from_slice(&ended.body).unwrap();
        assert_eq!(ended.state, UploadState::Aborted);
    }
}

#[tokio::test]
async fn a_commit_makes_sure_of_copies_that_an_earlier_leader_was_told_of() {
    let setup = Setup::new(3).await;
    let bytes = content(2 * CHUNK);
    let upload = begin(&setup, "a", Some(bytes.len())).await;
    for (index, chunk) in bytes.chunks(CHUNK).enumerate() {
        stored(&setup, &upload, index, chunk).await;
    }
    // Another leader; and one of the disks has lost a chunk meanwhile.
    setup.leader.state().term = term(2);
    setup.workers[1]
        .disk()
        .sealed
        .retain(|chunk, _| chunk.index != 1);
    let answer = commit(&setup, &upload, "{}").await;
    assert_eq!(answer.status, 201, "{:?}", answer.body);
    let verified = setup.workers[0].disk().verified.clone();
    assert!(verified.iter().all(|asked| *asked == term(2)) && verified.len() >= 2);
    let commits = setup.leader.state().commits.clone();
    let copies = &commits.last().unwrap().copies;
    assert!(copies.iter().all(|run| run.disks.len() == 2), "{copies:?}");
    for run in copies {
        for chunk in run.first_chunk..run.first_chunk + run.chunks {
            let has = |disk: &mdfs_core::id::DiskId| {
                let worker = setup.workers.iter().find(|w| w.site().disk == *disk);
                let sealed = worker.unwrap().disk().sealed.clone();
                sealed.keys().any(|sealed| sealed.index == chunk)
            };
            assert!(run.disks.iter().all(has), "{run:?}");
        }
    }
}

#[tokio::test]
async fn a_chunk_whose_disks_are_gone_is_stored_once_more_when_it_comes_again() {
    let setup = Setup::new(4).await;
    let bytes = content(CHUNK);
    let upload = begin(&setup, "a", Some(CHUNK)).await;
    stored(&setup, &upload, 0, &bytes).await;
    let (first, others) = setup.workers.split_at(2);
    for (worker, site) in first.iter().zip(&mut setup.leader.state().sites) {
        worker.kill();
        site.live = false;
    }
    stored(&setup, &upload, 0, &bytes).await;
    for worker in others {
        assert_eq!(worker.disk().sealed.len(), 1);
    }
    assert_eq!(commit(&setup, &upload, "{}").await.status, 201);
}

#[tokio::test]
async fn a_disk_that_is_retired_while_it_gets_chunks_ends_no_upload() {
    let setup = Setup::new(4).await;
    let disk = |worker: usize| setup.workers[worker].site().disk;
    let bytes = content(2 * CHUNK);
    let upload = begin(&setup, "a", Some(bytes.len())).await;
    setup.leader.state().retires = Some(disk(0));
    for (index, chunk) in bytes.chunks(CHUNK).enumerate() {
        stored(&setup, &upload, index, chunk).await;
    }
    setup.leader.state().retires = Some(disk(1));
    let answer = commit(&setup, &upload, "{}").await;
    assert_eq!(answer.status, 201, "{:?}", answer.body);
    let commits = setup.leader.state().commits.clone();
    for run in &commits.last().unwrap().copies {
        let mut on = run.disks.clone();
        on.sort_unstable();
        assert_eq!(on, [disk(2), disk(3)]);
    }
    for worker in &setup.workers[2..] {
        assert_eq!(worker.disk().sealed.len(), 2);
    }
}

#[tokio::test]
async fn what_was_said_of_a_file_is_shown_with_it() {
    let setup = Setup::new(2).await;
    let body = json!({
        "name": "a",
        "size": 5,
        "source_modified": 1_600_000_000_123_u64,
        "attributes": { "title": "Größe" },
    });
    let answer = setup.ask("POST", "/v1/uploads", "", body.to_string()).await;
    let upload: UploadInfo = serde_json::from_slice(&answer.body).unwrap();
    stored(&setup, &upload, 0, b"hello").await;
    let answer = commit(&setup, &upload, "{}").await;
    let info: FileInfo = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(info.source_modified, Some(1_600_000_000_123));
    assert_eq!(info.attributes["title"], "Größe");
    let head = setup.ask("HEAD", "/v1/files/a", "", Body::empty()).await;
    assert_eq!(head.header("x-mdfs-modified"), "1600000000123");
    let title = head.headers.get("x-mdfs-attribute-title").unwrap();
    assert_eq!(title.as_bytes(), "Größe".as_bytes());
    let lines = "x-mdfs-modified: 7\nx-mdfs-attribute-a: b";
    setup.ask("PUT", "/v1/files/b", lines, "x").await;
    let head = setup.ask("HEAD", "/v1/files/b", "", Body::empty()).await;
    assert_eq!(head.header("x-mdfs-modified"), "7");
    assert_eq!(head.header("x-mdfs-attribute-a"), "b");
}
