//! A disk's generation rises while leaders accept it, and only then.

use crate::cluster::{Cluster, Running};
use mdfs_core::id::Generation;
use mdfs_protocol::internal::Heartbeat;

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
