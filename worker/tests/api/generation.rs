//! A disk's generation rises while leaders accept it, and only then.

use crate::cluster::{Cluster, Running, WITHIN};
use crate::support::{chunk, seal_of, term};
use mdfs_core::id::Generation;
use mdfs_protocol::internal::{Heartbeat, SealRequest};
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
    let request = SealRequest {
        term: term(9),
        seal: seal_of(b""),
        next: Vec::new(),
    };
    let seal = cluster.links.seal(&worker.peer, chunk(1), &request, WITHIN);
    let refused = seal.await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::ForeignDisk));
    // Of an earlier term than that, which has left no trace.
    let verify = || {
        cluster
            .links
            .verify(&worker.peer, chunk(0), term(8), WITHIN)
    };
    let refused = verify().await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::ForeignDisk));
    assert_eq!(cluster.read(&worker, 6).await, b"before");
    cluster.master.send_modify(|heard| {
        heard.refuses = false;
        heard.leads = true;
    });
    let mut heard = cluster.heard.clone();
    let raised = heard.wait_for(|heard| heard.beats.get(&disk).is_some_and(shows(2)));
    tokio::time::timeout(WITHIN, raised).await.unwrap().unwrap();
    verify().await.unwrap();
    worker.stop().await;
}
