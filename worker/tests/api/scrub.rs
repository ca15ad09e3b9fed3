//! Damage that nobody reads is found all the same.

use crate::cluster::start;
use crate::support::{Api, chunk, content, flip, term};
use http::Method;
use mdfs_core::checksum::Crc32;
use mdfs_core::partition::Partition;
use mdfs_core::time::LogTime;
use mdfs_protocol::holdings::{LIST, ListRequest, Listing};
use mdfs_protocol::internal::{self, ScrubProgress, VerifyRequest, chunk_path};
use mdfs_protocol::problem::Code;
use tokio_util::sync::CancellationToken;

const BLOCK: usize = 64 << 10;

/// Asks until the answer is as it should be.
async fn progress(api: &Api, is_right: impl Fn(&ScrubProgress) -> bool) -> ScrubProgress {
    loop {
        let call = api.call(Method::GET, internal::SCRUB);
        let progress = api.send(call).await.json();
        if is_right(&progress) {
            return progress;
        }
        tokio::task::yield_now().await;
    }
}

async fn damaged(api: &Api) -> Vec<mdfs_core::chunk::ChunkId> {
    let partitions = Partition::all().collect();
    let mut call = api.call(Method::POST, LIST);
    call.body = postcard::to_stdvec(&ListRequest {
        term: crate::support::term(3),
        partitions,
    })
    .unwrap();
    let answer = api.send(call).await;
    postcard::from_bytes::<Listing>(&answer.body)
        .unwrap()
        .damaged
}

fn damage(api: &Api, index: u32, blocks: &[usize]) {
    let file = chunk(index).file.to_string();
    let name = format!("chunks/{}/{file}.{index}", &file[..3]);
    for block in blocks {
        flip(&api.dir.path().join(&name), block * BLOCK + 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ordered_scrub_reads_every_block_and_says_what_it_found() {
    let api = Api::adopted().await;
    let bytes = content(20 * BLOCK + 5);
    for index in 0..3 {
        api.store(chunk(index), &bytes).await;
    }
    damage(&api, 1, &[0, 1, 17, 20]);
    let scrubbing = start({
        let worker = api.worker.clone();
        async move { worker.scrub(CancellationToken::new()).await }
    });
    let call = api.post(internal::SCRUB, &());
    let begun: ScrubProgress = api.send(call).await.json();
    assert!(begun.ordered);
    let want = ScrubProgress {
        ordered: true,
        finished: true,
        millis: 0,
        chunks: 3,
        bytes: 3 * bytes.len() as u64,
        bad_blocks: 4,
    };
    let found = progress(&api, |progress| progress.finished).await;
    let found = ScrubProgress { millis: 0, ..found };
    assert_eq!(found, want);
    assert_eq!(damaged(&api).await, [chunk(1)]);
    // What is known to be damaged is not read again.
    api.send(api.post(internal::SCRUB, &())).await;
    let again = progress(&api, |progress| progress.finished).await;
    assert_eq!((again.chunks, again.bad_blocks), (2, 0));
    drop(scrubbing);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scrub_goes_on_after_a_restart_where_it_was() {
    let api = Api::adopted().await;
    for index in 0..3 {
        api.store(chunk(index), &content(5 * BLOCK)).await;
    }
    let scrub = |api: &Api| {
        let (stop, worker) = (CancellationToken::new(), api.worker.clone());
        let stopped = stop.clone();
        (stop, start(async move { worker.scrub(stopped).await }))
    };
    let (stop, scrubbing) = scrub(&api);
    // The next chunk is days away.
    progress(&api, |progress| progress.chunks == 1).await;
    let has_position = |note: Vec<u8>| note[12] & 1 == 1;
    while !std::fs::read(api.dir.path().join("scrubbed")).is_ok_and(has_position) {
        tokio::task::yield_now().await;
    }
    stop.cancel();
    scrubbing.await.unwrap().unwrap();
    damage(&api, 0, &[1]);
    damage(&api, 1, &[2]);

    let api = api.restarted().await;
    let (stop, scrubbing) = scrub(&api);
    let found = progress(&api, |progress| progress.chunks == 2).await;
    assert_eq!((found.bad_blocks, found.ordered), (1, false));
    assert_eq!(damaged(&api).await, [chunk(1)]);
    stop.cancel();
    scrubbing.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_marked_as_damaged_before_a_restart_is_read_once_more() {
    let api = Api::adopted().await;
    for index in 0..3 {
        api.store(chunk(index), &content(5 * BLOCK)).await;
    }
    damage(&api, 1, &[2]);
    let verify = VerifyRequest { term: term(3) };
    let call = api.post(chunk_path(chunk(1), "verify"), &verify);
    api.send(call).await.refused(Code::BadBlock);
    // Of these one was good again, and one gone, when the power went before their marks did.
    let marks = api.dir.path().join("damaged");
    let mark = |index| marks.join(format!("{}.{index}", chunk(index).file));
    for index in [2, 3] {
        std::fs::write(mark(index), b"").unwrap();
    }
    let api = api.restarted().await;
    assert_eq!(damaged(&api).await, [chunk(1), chunk(2)]);
    let scrubbing = start({
        let worker = api.worker.clone();
        async move { worker.scrub(CancellationToken::new()).await }
    });
    while mark(2).exists() || mark(3).exists() {
        tokio::task::yield_now().await;
    }
    assert_eq!(damaged(&api).await, [chunk(1)]);
    assert!(mark(1).exists());
    let call = api.post(chunk_path(chunk(2), "verify"), &verify);
    assert_eq!(api.send(call).await.status, http::StatusCode::OK);
    drop(scrubbing);
}

/// The note of an ordered pass that has read one chunk, as docs/format.md draws it.
fn note_of_an_order() -> Vec<u8> {
    let mut note = b"MDFSSCRB".to_vec();
    note.extend(1_u32.to_le_bytes());
    note.extend((1_u32 | 4).to_le_bytes());
    note.extend(chunk(0).file.to_bytes());
    note.extend(0_u32.to_le_bytes());
    for number in [5_u64, 0, 1, 70, 0] {
        note.extend(number.to_le_bytes());
    }
    note.extend(Crc32::of(&note).0.to_le_bytes());
    note
}

/// At most so many seconds ago each chunk was read.
async fn age(api: &Api) -> f64 {
    let text = String::from_utf8(api.get("/metrics").await.body).unwrap();
    let line = text
        .lines()
        .find(|line| line.starts_with("mdfs_worker_oldest_unverified_seconds "));
    let (_, seconds) = line.unwrap().rsplit_once(' ').unwrap();
    seconds.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pass_in_which_a_chunk_could_not_be_read_has_not_read_everything() {
    let api = Api::adopted().await;
    for index in 0..3 {
        api.store(chunk(index), &content(70)).await;
    }
    api.disk.take_handles(true);
    let scrubbing = start({
        let worker = api.worker.clone();
        async move { worker.scrub(CancellationToken::new()).await }
    });
    for (taken, want) in [(true, f64::INFINITY), (false, 0.0)] {
        api.disk.take_handles(taken);
        api.send(api.post(internal::SCRUB, &())).await;
        let found = progress(&api, |progress| progress.finished).await;
        assert_eq!((found.chunks, found.bad_blocks), (3, 0));
        assert_eq!(age(&api).await, want);
    }
    drop(scrubbing);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_survives_a_restart_and_the_age_of_what_was_not_read_is_told() {
    let api = Api::adopted().await;
    for index in 0..3 {
        api.store(chunk(index), &content(70)).await;
    }
    std::fs::write(api.dir.path().join("scrubbed"), note_of_an_order()).unwrap();
    let api = api.restarted().await;
    assert_eq!(age(&api).await, f64::INFINITY);
    let scrubbing = start({
        let worker = api.worker.clone();
        async move { worker.scrub(CancellationToken::new()).await }
    });
    let want = ScrubProgress {
        ordered: true,
        finished: true,
        millis: 0,
        chunks: 3,
        bytes: 3 * 70,
        bad_blocks: 0,
    };
    let found = progress(&api, |progress| progress.finished).await;
    assert_eq!(ScrubProgress { millis: 0, ..found }, want);
    // Since that pass began, which the note says.
    api.clock.set_wall(LogTime::from_millis(60_005));
    assert_eq!(age(&api).await, 60.0);
    drop(scrubbing);
}

#[tokio::test]
async fn a_chunk_whose_file_was_deleted_is_held_no_longer_once_it_is_asked_for() {
    let api = Api::adopted().await;
    api.store(chunk(0), b"bytes").await;
    std::fs::remove_file(api.chunk_file()).unwrap();
    let call = api.post(
        chunk_path(chunk(0), "verify"),
        &VerifyRequest { term: term(1) },
    );
    api.send(call).await.refused(Code::ChunkNotFound);
    let mut call = api.call(Method::POST, LIST);
    call.body = postcard::to_stdvec(&ListRequest {
        term: term(1),
        partitions: Partition::all().collect(),
    })
    .unwrap();
    let listing: Listing = postcard::from_bytes(&api.send(call).await.body).unwrap();
    assert!(listing.chunks.is_empty() && listing.damaged.is_empty());
    api.store(chunk(0), b"bytes").await;
    assert_eq!(api.send(api.read(chunk(0), "")).await.body, b"bytes");
}
