//! Orders that come with heartbeats: copies from several disks, and drops.

use crate::cluster::{Cluster, Running, WITHIN, disks};
use crate::support::{MIB, chunk, chunk_file, content, flip, term};
use mdfs_core::checksum::Crc32;
use mdfs_protocol::internal::Stored;
use mdfs_protocol::order::Task;
use mdfs_protocol::problem::Code;

const BLOCK: usize = 64 << 10;
const LENGTH: usize = 2 * MIB + 4321;

fn copy(length: usize, sources: &[&Running]) -> Task {
    Task::Copy {
        chunk: chunk(0),
        length: length as u64,
        sources: disks(sources),
    }
}

/// Damages a block of the only chunk on a worker.
fn damage(worker: &Running, block: usize) {
    flip(&chunk_file(worker.dir.path()), block * BLOCK + 7);
}

async fn verified(cluster: &Cluster, worker: &Running) -> Result<Stored, Option<Code>> {
    let verified = cluster
        .links
        .verify(&worker.peer, chunk(0), term(1), WITHIN);
    verified.await.map_err(|error| error.code())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_made_from_disks_that_each_have_other_good_blocks() {
    let mut cluster = Cluster::start().await;
    let (a, b, c) = (
        cluster.worker().await,
        cluster.worker().await,
        cluster.worker().await,
    );
    cluster.meet(&[&a, &b, &c]).await;
    let bytes = content(LENGTH);
    let stored = Stored {
        length: LENGTH as u64,
        crc32: Crc32::of(&bytes),
    };
    for worker in [&a, &b] {
        cluster.store(worker, &bytes).await;
    }
    // In one piece of an answer, at the start, in the middle and at the end.
    for block in [0, 5, 17, 30] {
        damage(&a, block);
    }
    for block in [1, 4, 18, 32] {
        damage(&b, block);
    }
    let done = cluster.order(&c, 1, copy(LENGTH, &[&a, &b])).await;
    assert_eq!(done, None);
    assert!(cluster.read(&c, LENGTH).await == bytes);
    assert_eq!(verified(&cluster, &c).await, Ok(stored));

    // Once more changes nothing; a damaged copy is mended, also by its own good blocks.
    assert_eq!(cluster.order(&c, 1, copy(LENGTH, &[&a])).await, None);
    assert_eq!(verified(&cluster, &a).await, Err(Some(Code::BadBlock)));
    assert_eq!(cluster.order(&a, 1, copy(LENGTH, &[&b])).await, None);
    assert_eq!(verified(&cluster, &a).await, Ok(stored));
    assert!(cluster.read(&a, LENGTH).await == bytes);

    // A chunk of another length is not what was ordered.
    let failure = cluster.order(&b, 1, copy(LENGTH - 1, &[&a])).await.unwrap();
    assert_eq!(failure.code, Code::Conflict, "{failure:?}");
    for worker in [a, b, c] {
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_that_is_bad_everywhere_fails_the_copy_and_deletes_nothing() {
    let mut cluster = Cluster::start().await;
    let (a, b, c) = (
        cluster.worker().await,
        cluster.worker().await,
        cluster.worker().await,
    );
    cluster.meet(&[&a, &b, &c]).await;
    let bytes = content(LENGTH);
    for worker in [&a, &b] {
        cluster.store(worker, &bytes).await;
        damage(worker, 18);
    }
    let failure = cluster.order(&c, 1, copy(LENGTH, &[&a, &b])).await.unwrap();
    assert_eq!(failure.code, Code::BadBlock, "{failure:?}");
    let range = format!("bytes {} to {}", 18 * BLOCK, 19 * BLOCK);
    assert!(failure.detail.contains(&range), "{failure:?}");
    assert_eq!(verified(&cluster, &c).await, Err(Some(Code::ChunkNotFound)));
    let staged = cluster.links.staged(&c.peer, chunk(0), WITHIN).await;
    assert_eq!(staged.unwrap().received, 0);

    // Neither does an attempt to mend take a copy away: its good blocks still read.
    let failure = cluster.order(&a, 1, copy(LENGTH, &[&b])).await.unwrap();
    assert_eq!(failure.code, Code::BadBlock, "{failure:?}");
    assert!(cluster.read(&a, 18 * BLOCK).await == bytes[..18 * BLOCK]);
    let gone = b.stop().await;
    let failure = cluster.order(&c, 1, copy(LENGTH, &[])).await.unwrap();
    assert_eq!(failure.code, Code::InvalidRequest, "{failure:?}");
    drop(gone);
    for worker in [a, c] {
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_goes_on_with_the_next_disk_when_one_is_gone_or_has_nothing() {
    let mut cluster = Cluster::start().await;
    let (a, b, c, d) = (
        cluster.worker().await,
        cluster.worker().await,
        cluster.worker().await,
        cluster.worker().await,
    );
    cluster.meet(&[&a, &b, &c, &d]).await;
    let bytes = content(LENGTH);
    cluster.store(&b, &bytes).await;
    let task = copy(LENGTH, &[&a, &d, &b]);
    let nowhere = copy(LENGTH, &[&a]);
    a.stop().await;
    assert_eq!(cluster.order(&c, 1, task).await, None);
    assert!(cluster.read(&c, LENGTH).await == bytes);
    let failure = cluster.order(&d, 1, nowhere).await.unwrap();
    assert_eq!(failure.code, Code::Unavailable, "{failure:?}");
    for worker in [b, c, d] {
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ordered_chunks_are_dropped_and_lower_terms_are_refused() {
    let mut cluster = Cluster::start().await;
    cluster
        .master
        .send_modify(|heard| heard.wants_changes = true);
    let worker = cluster.worker().await;
    let disk = worker.peer.disk;
    cluster.store(&worker, &content(5000)).await;
    cluster.beat(disk, |beat| beat.holdings.sequence == 1).await;
    let task = |indexes: &[u32]| Task::Drop {
        chunks: indexes.iter().map(|&index| chunk(index)).collect(),
    };
    assert_eq!(cluster.order(&worker, 5, task(&[1, 2])).await, None);
    let fenced = cluster.order(&worker, 4, task(&[0])).await.unwrap();
    assert_eq!(fenced.code, Code::Fenced);
    let fenced = cluster.order(&worker, 4, copy(5000, &[])).await.unwrap();
    assert_eq!(fenced.code, Code::Fenced);
    assert_eq!(cluster.read(&worker, 5000).await.len(), 5000);
    let many: Vec<_> = (0..257).collect();
    let refused = cluster.order(&worker, 5, task(&many)).await.unwrap();
    assert_eq!(refused.code, Code::InvalidRequest);
    assert_eq!(cluster.order(&worker, 5, task(&[0, 7])).await, None);
    let beat = cluster.beat(disk, |beat| beat.holdings.sequence == 2).await;
    assert!(!beat.holdings.changes.last().unwrap().came);
    assert_eq!(verified(&cluster, &worker).await, Err(Some(Code::Fenced)));
    worker.stop().await;
}
