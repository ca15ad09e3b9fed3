//! A disk's generation rises while leaders accept it, and only then.

use crate::cluster::{Cluster, Running, WITHIN};
use crate::support::{chunk, seal_of, term};
use bytes::Bytes;
use mdfs_client::link::{LinkError, Pieces};
use mdfs_core::checksum::Crc32;
use mdfs_core::id::{DiskId, Generation};
use mdfs_protocol::footers::FootersRequest;
use mdfs_protocol::holdings::{DigestsRequest, ListRequest};
use mdfs_protocol::internal::{Heartbeat, PullRequest, SealRequest};
use mdfs_protocol::order::Task;
use mdfs_protocol::problem::Code;

fn shows(generation: u64) -> impl Fn(&Heartbeat) -> bool {
    move |beat| beat.identity.generation == Generation(generation)
}

#[tokio::test]
async fn a_generation_rises_once_a_leader_accepts_the_disk_and_at_a_clean_stop() {
    let mut cluster = Cluster::start().await;
    let worker = cluster.worker().await;
    let disk = worker.peer.disk;
    // A master that does not lead judges nothing.
    for _ in 0..3 {
        let _ = cluster.heard.borrow_and_update();
        cluster.heard.changed().await.unwrap();
    }
    let first = cluster.beat(disk, shows(1)).await;
    cluster.master.send_modify(|heard| heard.leads = true);
    let second = cluster.beat(disk, shows(2)).await;
    assert_eq!(first.holdings.mount, second.holdings.mount);
    let dir = worker.stop().await;
    assert!(cluster.beat(disk, shows(3)).await.leaving);

    let worker = Running::start(dir, &cluster.url, &cluster.links).await;
    let third = cluster.beat(disk, shows(4)).await;
    assert_ne!(third.holdings.mount, second.holdings.mount);
    worker.stop().await;
}

#[tokio::test]
async fn a_follower_that_names_the_leader_accepts_no_disk() {
    let mut cluster = Cluster::start().await;
    cluster.master.send_modify(|heard| heard.follows = true);
    let worker = cluster.worker().await;
    let disk = worker.peer.disk;
    for _ in 0..3 {
        let _ = cluster.heard.borrow_and_update();
        cluster.heard.changed().await.unwrap();
    }
    cluster.beat(disk, shows(1)).await;
    // The clean stop raises nothing either: no leader has judged this mount.
    worker.stop().await;
    assert_eq!(
        cluster
            .beat(disk, |beat| beat.leaving)
            .await
            .identity
            .generation,
        Generation(1)
    );
}

#[tokio::test]
async fn a_refused_disk_stays_as_it_is_however_often_it_is_mounted() {
    let mut cluster = Cluster::start().await;
    cluster.master.send_modify(|heard| {
        heard.leads = true;
        heard.refuses = true;
    });
    let mut dir = tempfile::tempdir().unwrap();
    for _ in 0..3 {
        let worker = Running::start(dir, &cluster.url, &cluster.links).await;
        let disk = worker.peer.disk;
        cluster.beat(disk, |beat| !beat.leaving).await;
        dir = worker.stop().await;
        let last = cluster.beat(disk, |beat| beat.leaving).await;
        assert_eq!(last.identity.generation, Generation(1));
    }
}

/// All that others may have changed on a disk, and what became of it.
async fn changes(cluster: &Cluster, to: &Running) -> Vec<(&'static str, Option<Code>)> {
    let (links, peer, term) = (&cluster.links, &to.peer, term(9));
    let bytes = Bytes::from_static(b"late");
    let (crc, seal) = (Crc32::of(&bytes), seal_of(&bytes));
    let sealing = SealRequest {
        term,
        seal: seal.clone(),
        next: Vec::new(),
    };
    let pulling = PullRequest {
        term,
        seal: seal.clone(),
        from: DiskId::from_u128(77),
    };
    let listing = ListRequest {
        term,
        partitions: vec![chunk(0).partition()],
    };
    let footers = FootersRequest {
        term,
        after: None,
        limit: 9,
    };
    let (one, pieces) = (chunk(1), Pieces::from(bytes));
    let code = |result: Result<(), LinkError>| result.expect_err("it was done").code();
    let segment = links.segment(peer, one, 0, term, pieces.clone(), crc, &[], WITHIN);
    let whole = links.store_whole(peer, one, term, pieces, &seal, WITHIN);
    vec![
        ("segment", code(segment.await.map(drop))),
        ("whole", code(whole.await.map(drop))),
        (
            "seal",
            code(links.seal(peer, one, &sealing, WITHIN).await.map(drop)),
        ),
        (
            "discard",
            code(links.discard_staged(peer, one, WITHIN).await),
        ),
        (
            "pull",
            code(links.pull(peer, one, &pulling, WITHIN).await.map(drop)),
        ),
        (
            "verify",
            code(links.verify(peer, chunk(0), term, WITHIN).await.map(drop)),
        ),
        (
            "drop",
            code(
                links
                    .drop_file(peer, one.file, term, WITHIN)
                    .await
                    .map(drop),
            ),
        ),
        (
            "digests",
            code(
                links
                    .digests(peer, &DigestsRequest { term }, WITHIN)
                    .await
                    .map(drop),
            ),
        ),
        (
            "list",
            code(links.list_chunks(peer, &listing, WITHIN).await.map(drop)),
        ),
        (
            "footers",
            code(links.footers(peer, &footers, WITHIN).await.map(drop)),
        ),
    ]
}

#[tokio::test]
async fn nothing_is_written_to_a_refused_disk_until_a_leader_accepts_it() {
    let mut cluster = Cluster::start().await;
    let worker = cluster.worker().await;
    let disk = worker.peer.disk;
    // Nobody has said anything of it yet.
    cluster.store(&worker, b"before").await;
    cluster.master.send_modify(|heard| heard.refuses = true);
    // By its second beat from then on it has heard of the refusal.
    for _ in 0..3 {
        let _ = cluster.heard.borrow_and_update();
        cluster.heard.changed().await.unwrap();
    }
    for (what, code) in changes(&cluster, &worker).await {
        assert_eq!(code, Some(Code::ForeignDisk), "{what}");
    }
    // Orders come from whoever answers beats, even before a leader has accepted the disk.
    cluster.master.send_modify(|heard| heard.refuses = false);
    let chunks = vec![chunk(0)];
    let failure = cluster.order(&worker, 9, Task::Drop { chunks }).await;
    assert_eq!(failure.map(|it| it.code), Some(Code::ForeignDisk));
    assert_eq!(cluster.read(&worker, 6).await, b"before");
    cluster.master.send_modify(|heard| heard.leads = true);
    cluster.beat(disk, shows(2)).await;
    // Of an earlier term than all that was refused, which has left no trace.
    let verify = cluster
        .links
        .verify(&worker.peer, chunk(0), term(8), WITHIN);
    verify.await.unwrap();
    worker.stop().await;
}
