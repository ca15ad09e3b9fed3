//! Orders of leaders, and what fences them off.

use crate::support::{Api, Call, chunk, content, seal_of, term};
use mdfs_core::checksum::Crc32;
use mdfs_core::id::DiskId;
use mdfs_protocol::internal::{
    DropRequest, Dropped, HopsReply, PullRequest, Stored, VerifyRequest, chunk_path, drop_path,
};
use mdfs_protocol::problem::Code;

fn verify(api: &Api, index: u32, round: u64) -> Call {
    api.post(
        chunk_path(chunk(index), "verify"),
        &VerifyRequest { term: term(round) },
    )
}

fn drop_file(api: &Api, round: u64) -> Call {
    api.post(drop_path(chunk(0).file), &DropRequest { term: term(round) })
}

#[tokio::test]
async fn orders_of_earlier_leaders_are_refused_and_their_writes_are_not() {
    let api = Api::adopted().await;
    let bytes = content(100_000);
    api.store(chunk(0), &bytes).await;
    let stored: Stored = api.send(verify(&api, 0, 5)).await.json();
    assert_eq!(
        stored,
        Stored {
            length: 100_000,
            crc32: Crc32::of(&bytes)
        }
    );
    api.send(verify(&api, 0, 4)).await.refused(Code::Fenced);
    api.send(drop_file(&api, 4)).await.refused(Code::Fenced);
    // Writes are of term 1.
    api.store(chunk(1), &bytes).await;
    assert_eq!(
        api.send(drop_file(&api, 5)).await.json::<Dropped>().chunks,
        2
    );
    assert_eq!(
        api.send(drop_file(&api, 5)).await.json::<Dropped>().chunks,
        0
    );
    api.send(api.read(chunk(0), ""))
        .await
        .refused(Code::ChunkNotFound);
    api.send(verify(&api, 0, 5))
        .await
        .refused(Code::ChunkNotFound);
}

#[tokio::test]
async fn a_write_raises_the_fence() {
    let api = Api::adopted().await;
    let segment = api.segment(chunk(0), 0, b"x");
    let target = segment
        .target
        .replace(&term(1).to_string(), &term(9).to_string());
    api.send(Call { target, ..segment })
        .await
        .json::<HopsReply>();
    api.send(drop_file(&api, 8)).await.refused(Code::Fenced);
    assert_eq!(
        api.send(drop_file(&api, 9)).await.json::<Dropped>().chunks,
        0
    );
}

#[tokio::test]
async fn an_order_raises_the_fence_even_if_it_finds_nothing() {
    let api = Api::adopted().await;
    api.send(verify(&api, 0, 7))
        .await
        .refused(Code::ChunkNotFound);
    api.send(drop_file(&api, 6)).await.refused(Code::Fenced);
}

#[tokio::test]
async fn nothing_is_pulled_from_a_disk_that_no_master_named() {
    let api = Api::adopted().await;
    let request = PullRequest {
        term: term(1),
        seal: seal_of(b"x"),
        from: DiskId::from_u128(9),
    };
    let pull = api.post(chunk_path(chunk(0), "pull"), &request);
    api.send(pull).await.refused(Code::Unavailable);
}
