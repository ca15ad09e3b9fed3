//! What a worker says of its chunks: by route when asked, by heartbeat when they change.

use crate::cluster::{Cluster, WITHIN};
use crate::support::{Answer, Api, Call, chunk, content, seal_of, term};
use http::{Method, StatusCode};
use mdfs_core::digest::PartitionDigests;
use mdfs_core::holdings::Change;
use mdfs_core::partition::Partition;
use mdfs_protocol::footers::{FOOTERS, Footers, FootersRequest};
use mdfs_protocol::holdings::{DIGESTS, Digests, DigestsRequest, LIST, ListRequest, Listing};
use mdfs_protocol::internal::{DropRequest, Seal, chunk_path, drop_path};
use mdfs_protocol::problem::Code;
use serde::de::DeserializeOwned;

fn list(api: &Api, body: Vec<u8>) -> Call {
    Call {
        body,
        ..api.call(Method::POST, LIST)
    }
}

#[track_caller]
fn compact<T: DeserializeOwned>(answer: &Answer) -> T {
    assert_eq!(answer.status, StatusCode::OK);
    postcard::from_bytes(&answer.body).unwrap()
}

#[tokio::test]
async fn digests_lists_and_seals_are_of_what_is_stored() {
    let api = Api::adopted().await;
    let bytes = content(200_000);
    api.store(chunk(0), &bytes).await;
    let mut want = PartitionDigests::empty();
    want.add(chunk(0), 200_000);
    let asked = postcard::to_stdvec(&DigestsRequest { term: term(3) }).unwrap();
    let asked = Call {
        body: asked,
        ..api.call(Method::POST, DIGESTS)
    };
    let digests: Digests = compact(&api.send(asked).await);
    assert_eq!(
        (digests.sequence, digests.digests),
        (1, want.as_slice().to_vec())
    );
    let ask_in = |term, partitions: Vec<Partition>| {
        let request = ListRequest { term, partitions };
        list(&api, postcard::to_stdvec(&request).unwrap())
    };
    let ask = |partitions| ask_in(term(3), partitions);
    // A drop that an earlier leader ordered would come behind the answer: there is none to that.
    api.send(ask_in(term(2), vec![]))
        .await
        .refused(Code::Fenced);
    let good = Listing {
        sequence: 1,
        chunks: vec![(chunk(0), 200_000)],
        damaged: vec![],
    };
    let all: Vec<_> = Partition::all().collect();
    assert_eq!(compact::<Listing>(&api.send(ask(all.clone())).await), good);
    let none: Listing = compact(&api.send(ask(vec![])).await);
    assert_eq!((none.sequence, none.chunks), (1, vec![]));
    let twice = all.iter().chain(&all).copied().collect();
    api.send(ask(twice)).await.refused(Code::InvalidRequest);
    api.send(list(&api, vec![0xff; 9]))
        .await
        .refused(Code::InvalidRequest);
    api.send(list(&api, vec![0; 70_000]))
        .await
        .refused(Code::TooLarge);

    let seal = || api.call(Method::GET, chunk_path(chunk(0), "seal"));
    assert_eq!(api.send(seal()).await.json::<Seal>(), seal_of(&bytes));
    let missing = api.call(Method::GET, chunk_path(chunk(1), "seal"));
    api.send(missing).await.refused(Code::ChunkNotFound);

    // A block goes bad: the seal is as good as before, the chunk is not.
    api.flip(70_000);
    api.send(api.read(chunk(0), "?offset=70000&length=1")).await;
    let damaged = Listing {
        sequence: 3,
        chunks: vec![],
        damaged: vec![chunk(0)],
    };
    assert_eq!(compact::<Listing>(&api.send(ask(all)).await), damaged);
    assert_eq!(api.send(seal()).await.json::<Seal>(), seal_of(&bytes));
    let stranger = Call {
        key: None,
        ..api.call(Method::POST, DIGESTS)
    };
    api.send(stranger).await.refused(Code::Unauthorized);
}

#[tokio::test]
async fn footers_come_in_the_order_of_chunks_and_raise_the_fence() {
    let api = Api::adopted().await;
    for index in [2, 0, 1] {
        api.store(chunk(index), &content(70_000)).await;
    }
    let ask = |round, after, limit| {
        let term = term(round);
        let request = FootersRequest { term, after, limit };
        Call {
            body: postcard::to_stdvec(&request).unwrap(),
            ..api.call(Method::POST, FOOTERS)
        }
    };
    let page: Footers = compact(&api.send(ask(5, None, 2)).await);
    let told: Vec<_> = page.footers.iter().map(|it| it.chunk).collect();
    assert_eq!((told, page.more), (vec![chunk(0), chunk(1)], true));
    let seal = page.footers[0].seal.as_ref().unwrap();
    assert_eq!(*seal, seal_of(&content(70_000)));
    let page: Footers = compact(&api.send(ask(5, Some(chunk(1)), 0)).await);
    assert_eq!((page.footers.len(), page.more), (1, false));
    let page: Footers = compact(&api.send(ask(5, Some(chunk(2)), u32::MAX)).await);
    assert_eq!(page, Footers::default());
    // Nothing that was told of is dropped by whoever led before.
    api.send(ask(4, None, 2)).await.refused(Code::Fenced);
    let drop = drop_path(chunk(0).file);
    let body = serde_json::to_vec(&DropRequest { term: term(4) }).unwrap();
    let order = Call {
        body,
        ..api.call(Method::POST, drop)
    };
    api.send(order).await.refused(Code::Fenced);
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_told_at_once_to_a_master_that_wants_to_know() {
    let mut cluster = Cluster::start().await;
    cluster
        .master
        .send_modify(|heard| heard.wants_changes = true);
    // Only what happens makes this worker speak within the time of the test.
    let worker = cluster.worker_beating_every(10 * WITHIN).await;
    let disk = worker.peer.disk;
    let first = cluster.beat(disk, |_| true).await;
    assert_eq!(
        (first.holdings.sequence, &first.holdings.changes[..]),
        (0, &[][..])
    );
    let idle = postcard::to_stdvec(&first).unwrap();
    assert!(idle.len() < 512, "{}", idle.len());
    let bytes = content(5000);
    cluster.store(&worker, &bytes).await;
    let told = cluster.beat(disk, |beat| beat.holdings.sequence == 1).await;
    let came = Change {
        came: true,
        chunk: chunk(0),
        length: Some(5000),
    };
    assert_eq!(
        (told.holdings.after, told.holdings.changes.clone()),
        (0, vec![came])
    );
    assert_eq!(told.chunks, 1);
    cluster
        .links
        .drop_file(&worker.peer, chunk(0).file, term(1), WITHIN)
        .await
        .unwrap();
    let told = cluster.beat(disk, |beat| beat.holdings.sequence == 2).await;
    assert_eq!(
        told.holdings.changes,
        [
            came,
            Change {
                came: false,
                ..came
            }
        ]
    );
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_is_told_how_long_the_disk_takes_for_a_chunk() {
    let mut cluster = Cluster::start().await;
    let worker = cluster.worker().await;
    let disk = worker.peer.disk;
    let first = cluster.beat(disk, |_| true).await;
    assert_eq!(first.seal_millis, None);
    for _ in 0..4 {
        cluster.store(&worker, &content(5000)).await;
        cluster
            .links
            .drop_file(&worker.peer, chunk(0).file, term(1), WITHIN)
            .await
            .unwrap();
    }
    cluster.beat(disk, |beat| beat.seal_millis.is_some()).await;
    worker.stop().await;
}
