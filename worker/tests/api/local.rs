//! What one worker says of a file, as far as a master lets it.

use crate::cluster::{Cluster, Running};
use crate::support::{MIB, chunk, chunk_file, content, flip};
use bytes::Bytes;
use mdfs_core::checksum::Crc32;
use mdfs_core::chunk::{ChunkLayout, ChunkSize};
use mdfs_protocol::local::{LocalFile, LookedUp};
use mdfs_protocol::problem::{Code, Problem};
use std::io::{Read, Write};
use std::net::TcpStream;

const TOKEN: &str = "Bearer let-me-in";

/// Asks as a person does, with nothing but a token.
async fn ask(worker: &Running, target: &str, token: Option<&str>) -> (u16, Vec<u8>) {
    let address = worker.peer.url.trim_start_matches("http://").to_owned();
    let token = token.map(|token| format!("authorization: {token}\r\n"));
    let request = format!(
        "GET {target} HTTP/1.1\r\nhost: x\r\n{}connection: close\r\n\r\n",
        token.unwrap_or_default()
    );
    let asked = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        answer
    });
    let answer = asked.await.unwrap();
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let (head, body) = answer.split_at(end.unwrap() + 4);
    let head = String::from_utf8_lossy(head);
    (
        head.split(' ').nth(1).unwrap().parse().unwrap(),
        body.to_vec(),
    )
}

async fn file(worker: &Running, target: &str) -> LocalFile {
    let (status, body) = ask(worker, target, Some(TOKEN)).await;
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
    serde_json::from_slice(&body).unwrap()
}

async fn refused(worker: &Running, target: &str, token: Option<&str>, code: Code) -> String {
    let (status, body) = ask(worker, target, token).await;
    let text = String::from_utf8_lossy(&body);
    let problem: Problem = serde_json::from_slice(&body).expect(&text);
    assert_eq!((status, problem.code), (code.status(), code), "{text}");
    problem.detail
}

/// A worker that has the first of a file's two chunks, and a master that knows the file.
async fn with_half_a_film() -> (Cluster, Running, Bytes) {
    let cluster = Cluster::start().await;
    let worker = cluster.worker().await;
    let bytes = Bytes::from(content(MIB));
    cluster.store(&worker, &bytes).await;
    let size = ChunkSize::new(MIB as u64).unwrap();
    cluster.master.send_modify(|heard| {
        heard.file = Some(LookedUp {
            name: "half a film".to_owned(),
            version: 9,
            file_id: chunk(0).file,
            layout: ChunkLayout::of_file(MIB as u64 + 70, size).unwrap(),
            crc32: Crc32(5),
        });
    });
    (cluster, worker, bytes)
}

#[tokio::test]
async fn a_worker_answers_for_the_chunks_it_has_and_no_more() {
    let (cluster, worker, bytes) = with_half_a_film().await;
    let half = file(&worker, "/checksum?name=half%20a%20film").await;
    assert_eq!((half.chunks, half.good, half.complete), (2, 1, false));
    assert_eq!((half.crc32, half.recorded_crc32), (None, Crc32(5)));
    assert_eq!((half.verified, half.version), (false, 9));
    assert_eq!(half.held.len(), 1);
    assert_eq!(half.held[0].crc32, Some(Crc32::of(&bytes)));
    // It cannot vouch for all bytes, but knows what the checksum is not.
    let asked = "/verify?name=half%20a%20film&checksum=";
    let half = file(&worker, &format!("{asked}00000005")).await;
    assert_eq!((half.verified, half.matches), (true, None));
    let half = file(&worker, &format!("{asked}00000006")).await;
    assert_eq!(half.matches, Some(false));

    // The record of a file of which it has everything.
    let size = ChunkSize::new(MIB as u64).unwrap();
    let crc32 = Crc32::of(&bytes);
    cluster.master.send_modify(|heard| {
        let file = heard.file.as_mut().unwrap();
        file.layout = ChunkLayout::of_file(MIB as u64, size).unwrap();
        file.crc32 = crc32;
    });
    let whole = file(&worker, &format!("{asked}{crc32}")).await;
    assert_eq!((whole.complete, whole.matches), (true, Some(true)));
    assert_eq!(whole.crc32, Some(crc32));

    flip(&chunk_file(worker.dir.path()), 70_000);
    let rotten = file(&worker, &format!("{asked}{crc32}")).await;
    assert_eq!((rotten.complete, rotten.matches), (false, None));
    assert_eq!(rotten.held[0].trouble, Some(Code::BadBlock));
    assert_eq!((rotten.held[0].crc32, rotten.crc32), (None, None));
}

#[tokio::test]
async fn a_master_decides_who_may_ask_and_nobody_says_404_in_its_place() {
    let (cluster, worker, _bytes) = with_half_a_film().await;
    let target = "/verify?name=x";
    refused(&worker, target, None, Code::Unauthorized).await;
    refused(&worker, target, Some("Bearer x"), Code::Unauthorized).await;
    refused(
        &worker,
        "/verify?name=x&token=x",
        Some(TOKEN),
        Code::InvalidRequest,
    )
    .await;
    refused(
        &worker,
        "/verify?name=x&check=1",
        Some(TOKEN),
        Code::InvalidRequest,
    )
    .await;
    refused(&worker, "/checksum", Some(TOKEN), Code::InvalidRequest).await;
    let bad = "/verify?name=x&checksum=5";
    refused(&worker, bad, Some(TOKEN), Code::InvalidRequest).await;
    cluster.master.send_modify(|heard| heard.file = None);
    refused(&worker, target, Some(TOKEN), Code::FileNotFound).await;
    // A master that does not lead has decided nothing.
    cluster.master.send_modify(|heard| heard.refuses = true);
    let why = refused(&worker, target, Some(TOKEN), Code::Unavailable).await;
    assert!(!why.contains("let-me-in"), "{why}");
}
