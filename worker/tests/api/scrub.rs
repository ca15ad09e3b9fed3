//! Damage that nobody reads is found all the same.

use crate::cluster::start;
use crate::support::{Api, chunk, content, flip};
use http::Method;
use mdfs_core::partition::Partition;
use mdfs_protocol::holdings::{LIST, ListRequest, Listing};
use mdfs_protocol::internal::{self, ScrubProgress};
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
    while !api.dir.path().join("scrubbed").exists() {
        tokio::task::yield_now().await;
    }
    stop.cancel();
    scrubbing.await.unwrap().unwrap();
    damage(&api, 0, &[1]);
    damage(&api, 1, &[2]);

    let api = api.restarted().await;
    let (stop, scrubbing) = scrub(&api);
    let found = progress(&api, |progress| progress.chunks == 1).await;
    assert_eq!((found.bad_blocks, found.ordered), (1, false));
    assert_eq!(damaged(&api).await, [chunk(1)]);
    stop.cancel();
    scrubbing.await.unwrap().unwrap();
}
