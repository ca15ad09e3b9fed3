//! Three workers in one process pass chunks on.

use crate::cluster::{Cluster, Running, WITHIN, disks};
use crate::support::{MIB, chunk, chunk_file, config, content, flip, seal_of, term};
use bytes::Bytes;
use mdfs_core::checksum::Crc32;
use mdfs_core::id::DiskId;
use mdfs_protocol::internal::{Hop, HopOutcome, PullRequest, SealRequest, Staged, Stored};
use mdfs_protocol::problem::Code;
use std::path::Path;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

fn received(worker: &Running, bytes: usize) -> Hop {
    let received = bytes as u64;
    Hop {
        disk: worker.peer.disk,
        outcome: HopOutcome::Received(Staged { received }),
    }
}

#[track_caller]
fn failed(hop: &Hop, disk: DiskId) {
    let HopOutcome::Failed { code, .. } = &hop.outcome else {
        panic!("{hop:?}")
    };
    assert_eq!((*code, hop.disk), (Code::Unavailable, disk));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_goes_on_without_the_worker_in_its_middle_which_then_pulls_what_it_missed() {
    let mut cluster = Cluster::start().await;
    let (first, middle, last) = (
        cluster.worker().await,
        cluster.worker().await,
        cluster.worker().await,
    );
    cluster.meet(&[&first, &middle, &last]).await;
    let bytes = Bytes::from(content(2 * MIB + 4321));

    let hops = cluster.segment(&first, &[&middle, &last], 0, &bytes).await;
    assert_eq!(
        hops,
        [
            received(&first, MIB),
            received(&middle, MIB),
            received(&last, MIB)
        ]
    );

    let gone = middle.peer.disk;
    let dir = middle.stop().await;
    assert!(cluster.heard.borrow().beats[&gone].leaving);

    let next = [gone, last.peer.disk];
    let slice = bytes.slice(MIB..2 * MIB);
    let crc = Crc32::of(&slice);
    let offset = MIB as u64;
    let sent = cluster
        .links
        .segment(
            &first.peer,
            chunk(0),
            offset,
            term(1),
            slice.into(),
            crc,
            &next,
            WITHIN,
        )
        .await;
    let hops = sent.unwrap().hops;
    assert_eq!(hops[0], received(&first, 2 * MIB));
    failed(&hops[1], gone);
    failed(&hops[2], last.peer.disk);

    // The writer goes on with those who are left, from where the last of them is.
    for (number, end) in [(1, 2 * MIB), (2, bytes.len())] {
        let hops = cluster.segment(&first, &[&last], number, &bytes).await;
        assert_eq!(hops, [received(&first, end), received(&last, end)]);
    }
    let seal = seal_of(&bytes);
    let request = SealRequest {
        term: term(1),
        seal: seal.clone(),
        next: disks(&[&last]),
    };
    let hops = cluster
        .links
        .seal(&first.peer, chunk(0), &request, WITHIN)
        .await
        .unwrap()
        .hops;
    let stored = Stored {
        length: bytes.len() as u64,
        crc32: Crc32::of(&bytes),
    };
    let durable = |worker: &Running| Hop {
        disk: worker.peer.disk,
        outcome: HopOutcome::Durable(stored),
    };
    assert_eq!(hops, [durable(&first), durable(&last)]);

    // The disk comes back, at another address.
    let back = Running::start(dir, &cluster.url, &cluster.links).await;
    assert_eq!(back.peer.disk, gone);
    cluster.meet(&[&first, &back, &last]).await;
    let request = PullRequest {
        term: term(1),
        seal: seal.clone(),
        from: last.peer.disk,
    };
    for _ in 0..2 {
        let pulled = cluster
            .links
            .pull(&back.peer, chunk(0), &request, WITHIN)
            .await
            .unwrap();
        assert_eq!(pulled, stored);
    }
    for worker in [&first, &back, &last] {
        assert!(cluster.read(worker, bytes.len()).await == bytes);
    }
    // A copy that has gone bad is replaced, though nobody has read it yet.
    flip(&chunk_file(back.dir.path()), MIB);
    let pulled = cluster
        .links
        .pull(&back.peer, chunk(0), &request, WITHIN)
        .await
        .unwrap();
    assert_eq!(pulled, stored);
    assert!(cluster.read(&back, bytes.len()).await == bytes);
    for worker in [first, back, last] {
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_worker_on_the_same_disk_does_not_start() {
    let cluster = Cluster::start().await;
    let worker = cluster.worker().await;
    let second = |dir: &Path| {
        let mut config = config(dir);
        config.masters = vec![cluster.url.clone()];
        config
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let started = mdfs_worker::run(
        second(worker.dir.path()),
        listener,
        CancellationToken::new(),
    );
    let refused = tokio::time::timeout(WITHIN, started)
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(refused.to_string(), "the disk is in use by another process");
    worker.stop().await;
}
