//! What callers see of a disk that rots, fills up, fails or hangs.

use crate::support::{Api, Call, MIB, chunk, content, seal_of, term};
use http::Method;
use mdfs_protocol::footers::{FOOTERS, Footers, FootersRequest};
use mdfs_protocol::internal::{
    DropRequest, Dropped, HopsReply, Staged, VerifyRequest, chunk_path, drop_path,
};
use mdfs_protocol::problem::Code;

#[tokio::test]
async fn a_bad_block_at_the_start_is_an_error_and_later_on_breaks_the_answer_off() {
    let api = Api::adopted().await;
    let bytes = content(4 * MIB);
    api.store(chunk(0), &bytes).await;
    let bad = 3 * MIB + 70_000;
    api.flip(bad);
    let answer = api.send(api.read(chunk(0), "")).await;
    assert!(answer.broken && answer.status == 200);
    // A piece is verified whole before any byte of it leaves.
    assert!(answer.body.len() <= bad && bytes.starts_with(&answer.body));
    assert!(answer.body.len() >= MIB, "{}", answer.body.len());
    let inside = format!("?offset={bad}&length=10");
    api.send(api.read(chunk(0), &inside))
        .await
        .refused(Code::BadBlock);
    let rest = api.send(api.read(chunk(0), "?offset=3276800")).await;
    assert!(!rest.broken && rest.body == bytes[3_276_800..]);
    let verify = api.post(
        chunk_path(chunk(0), "verify"),
        &VerifyRequest { term: term(1) },
    );
    api.send(verify).await.refused(Code::BadBlock);
    let stats: serde_json::Value = api.get("/stats").await.json();
    assert_eq!(stats["bad_blocks"], 1);
    let metrics = String::from_utf8(api.get("/metrics").await.body).unwrap();
    assert!(
        metrics.contains("mdfs_worker_damaged_reads_total 3"),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_chunk_file_that_was_cut_is_as_good_as_missing_and_can_be_stored_again() {
    let api = Api::adopted().await;
    let bytes = content(200_000);
    api.store(chunk(0), &bytes).await;
    // Whether or not somebody has it open already.
    for read_before in [false, true] {
        if read_before {
            assert_eq!(api.send(api.read(chunk(0), "")).await.body, bytes);
        }
        let file = std::fs::OpenOptions::new()
            .write(true)
            .open(api.chunk_file())
            .unwrap();
        file.set_len(100_000).unwrap();
        let answer = api.send(api.read(chunk(0), "")).await;
        answer.refused(Code::BadBlock);
        // Found damaged, it is no longer open, and a seal does not find it.
        api.send(api.read(chunk(0), "?offset=0&length=10"))
            .await
            .refused(Code::BadBlock);
        api.send(api.seal(chunk(0), seal_of(&bytes)))
            .await
            .refused(Code::ChunkNotFound);
        let stats: serde_json::Value = api.get("/stats").await.json();
        assert_eq!(
            (&stats["chunks"], &stats["damaged_chunks"]),
            (&0.into(), &1.into())
        );
        api.store(chunk(0), &bytes).await;
        assert_eq!(api.send(api.read(chunk(0), "")).await.body, bytes);
        let stats: serde_json::Value = api.get("/stats").await.json();
        assert_eq!(
            (&stats["chunks"], &stats["damaged_chunks"]),
            (&1.into(), &0.into())
        );
    }
}

#[tokio::test]
async fn a_full_disk_says_so_and_still_reads_and_deletes() {
    let api = Api::adopted().await;
    let bytes = content(100_000);
    api.store(chunk(0), &bytes).await;
    api.disk.fill(true);
    api.send(api.segment(chunk(1), 0, &bytes))
        .await
        .refused(Code::NoSpace);
    assert_eq!(api.send(api.read(chunk(0), "")).await.body, bytes);
    let staged = api.call(Method::GET, chunk_path(chunk(1), "staged"));
    assert_eq!(api.send(staged).await.json::<Staged>().received, 0);
    api.disk.fill(false);
    let order = api.post(drop_path(chunk(0).file), &DropRequest { term: term(1) });
    assert_eq!(api.send(order).await.json::<Dropped>().chunks, 1);
    api.store(chunk(1), &bytes).await;
}

#[tokio::test]
async fn a_disk_that_fails_a_sync_acknowledges_nothing_and_reads_on() {
    let api = Api::adopted().await;
    let bytes = content(100_000);
    api.store(chunk(0), &bytes).await;
    api.send(api.segment(chunk(1), 0, &bytes))
        .await
        .json::<HopsReply>();
    api.disk.fail_syncs();
    api.send(api.seal(chunk(1), seal_of(&bytes)))
        .await
        .refused(Code::Internal);
    api.send(api.seal(chunk(1), seal_of(&bytes)))
        .await
        .refused(Code::ReadOnly);
    api.send(api.segment(chunk(2), 0, &bytes))
        .await
        .refused(Code::ReadOnly);
    assert_eq!(api.send(api.read(chunk(0), "")).await.body, bytes);
    let stats: serde_json::Value = api.get("/stats").await.json();
    assert_eq!(stats["state"], "read_only");
    // It keeps no fence, drops nothing, and tells what it has.
    let request = FootersRequest {
        term: term(9),
        after: None,
        limit: 9,
    };
    let ask = Call {
        body: postcard::to_stdvec(&request).unwrap(),
        ..api.call(Method::POST, FOOTERS)
    };
    let page: Footers = postcard::from_bytes(&api.send(ask).await.body).unwrap();
    assert!(page.footers.iter().any(|it| it.chunk == chunk(0)));
}

#[tokio::test]
async fn a_disk_that_hangs_holds_its_readers_and_nobody_else() {
    let api = Api::with_limits(|limits| limits.disk_threads = 2).await;
    api.adopt().await;
    api.store(chunk(0), b"bytes").await;
    api.disk.hang(true);
    let read = || api.send(api.read(chunk(0), ""));
    let outside = async {
        assert_eq!(api.get("/health").await.status, 200);
        assert_eq!(api.get("/stats").await.status, 200);
        // Two hang, the third waits in vain.
        read().await.refused(Code::Busy);
        api.disk.hang(false);
    };
    let (first, second, ()) = tokio::join!(read(), read(), outside);
    assert_eq!(
        (first.body, second.body),
        (b"bytes".to_vec(), b"bytes".to_vec())
    );
}
