//! Bytes in and out.

use crate::support::{Api, Call, MIB, chunk, content, seal_of, term};
use http::Method;
use http_body_util::BodyExt;
use mdfs_core::checksum::Crc32;
use mdfs_core::id::DiskId;
use mdfs_protocol::internal::{
    CRC_HEADER, Directory, DiskAddress, HopOutcome, HopsReply, SEAL_HEADER, Seal, Staged, Stored,
    chunk_path,
};
use mdfs_protocol::problem::Code;
use tokio::net::TcpListener;

/// What the answering worker itself did.
#[track_caller]
fn own(reply: &HopsReply) -> &HopOutcome {
    let [hop] = reply.hops.as_slice() else {
        panic!("{reply:?}")
    };
    &hop.outcome
}

#[tokio::test]
async fn segments_come_in_any_order_and_again_and_the_chunk_reads_back() {
    let api = Api::adopted().await;
    let bytes = content(2 * MIB + 1000);
    let segment = |number: usize| {
        let end = bytes.len().min((number + 1) * MIB);
        api.segment(chunk(3), number * MIB, &bytes[number * MIB..end])
    };
    for (number, received) in [(2, 0), (0, MIB), (0, MIB), (1, bytes.len())] {
        let reply: HopsReply = api.send(segment(number)).await.json();
        let received = received as u64;
        assert_eq!(
            own(&reply),
            &HopOutcome::Received(Staged { received }),
            "{number}"
        );
    }
    let staged = api.call(Method::GET, chunk_path(chunk(3), "staged"));
    let told: Staged = api.send(staged).await.json();
    assert_eq!(told.received, bytes.len() as u64);
    let want = Stored {
        length: bytes.len() as u64,
        crc32: Crc32::of(&bytes),
    };
    for _ in 0..2 {
        let reply: HopsReply = api.send(api.seal(chunk(3), seal_of(&bytes))).await.json();
        assert_eq!(own(&reply), &HopOutcome::Durable(want));
    }
    assert_eq!(api.send(api.read(chunk(3), "")).await.body, bytes);
}

#[tokio::test]
async fn a_segment_that_is_not_what_it_says_leaves_nothing() {
    let api = Api::adopted().await;
    let good = api.segment(chunk(0), 0, b"bytes");
    let with = |name, value: &str| Call {
        headers: vec![
            (CRC_HEADER, Crc32::of(b"bytes").to_string()),
            (name, value.to_owned()),
        ],
        ..good.clone()
    };
    let bad_crc = Call {
        headers: vec![(CRC_HEADER, "00000000".to_owned())],
        ..good.clone()
    };
    api.send(bad_crc).await.refused(Code::ChecksumMismatch);
    api.send(Call {
        headers: Vec::new(),
        ..good.clone()
    })
    .await
    .refused(Code::InvalidRequest);
    api.send(with("content-length", "6"))
        .await
        .refused(Code::IncompleteBody);
    api.send(with("content-length", "1048577"))
        .await
        .refused(Code::TooLarge);
    api.send(api.segment(chunk(0), 0, &content(MIB + 1)))
        .await
        .refused(Code::TooLarge);
    api.send(api.segment(chunk(0), 5, b"bytes"))
        .await
        .refused(Code::InvalidRequest);
    api.send(api.segment(chunk(0), 0, b""))
        .await
        .refused(Code::InvalidRequest);
    let ours = api.worker.disk().unwrap();
    for query in [
        "".to_owned(),
        "?offset=0".to_owned(),
        "?offset=-1&term=1.0".to_owned(),
        "?offset=0&term=x".to_owned(),
        format!("?offset=0&term={}&next=x", term(1)),
        format!("?offset=0&term={}&next={ours}", term(1)),
    ] {
        let target = chunk_path(chunk(0), "segment") + &query;
        api.send(Call {
            target,
            ..good.clone()
        })
        .await
        .refused(Code::InvalidRequest);
    }
    let staged = api.call(Method::GET, chunk_path(chunk(0), "staged"));
    assert_eq!(api.send(staged).await.json::<Staged>().received, 0);
}

#[tokio::test]
async fn a_seal_that_differs_from_what_came_seals_nothing() {
    let api = Api::adopted().await;
    let bytes = content(1000);
    api.send(api.segment(chunk(0), 0, &bytes))
        .await
        .json::<HopsReply>();
    let longer = Seal {
        length: 1001,
        ..seal_of(&bytes)
    };
    api.send(api.seal(chunk(0), longer))
        .await
        .refused(Code::IncompleteBody);
    let other = Seal {
        crc32: Crc32::of(b"other"),
        ..seal_of(&bytes)
    };
    api.send(api.seal(chunk(0), other))
        .await
        .refused(Code::ChecksumMismatch);
    api.send(api.seal(chunk(7), seal_of(&bytes)))
        .await
        .refused(Code::ChunkNotFound);
    api.send(api.read(chunk(0), ""))
        .await
        .refused(Code::ChunkNotFound);
    let text = Call {
        body: b"{".to_vec(),
        ..api.seal(chunk(0), seal_of(&bytes))
    };
    api.send(text).await.refused(Code::InvalidRequest);
    let long = Call {
        body: vec![b' '; MIB],
        ..api.seal(chunk(0), seal_of(&bytes))
    };
    api.send(long).await.refused(Code::TooLarge);
}

#[tokio::test]
async fn a_small_chunk_is_stored_at_once() {
    let api = Api::adopted().await;
    let bytes = content(4096);
    let whole = |seal: &Seal, bytes: &[u8]| {
        let text = serde_json::to_string(seal)
            .unwrap()
            .replace('ö', "\\u00f6")
            .replace('ß', "\\u00df");
        Call {
            headers: vec![(SEAL_HEADER, text)],
            body: bytes.to_vec(),
            ..api.call(
                Method::PUT,
                chunk_path(chunk(0), "") + &format!("?term={}", term(1)),
            )
        }
    };
    let seal = seal_of(&bytes);
    api.send(whole(&seal, b"other"))
        .await
        .refused(Code::ChecksumMismatch);
    api.send(api.call(Method::PUT, chunk_path(chunk(0), "") + "?term=1.0"))
        .await
        .refused(Code::InvalidRequest);
    let stored: Stored = api.send(whole(&seal, &bytes)).await.json();
    assert_eq!(
        stored,
        Stored {
            length: 4096,
            crc32: seal.crc32
        }
    );
    assert_eq!(api.send(api.read(chunk(0), "")).await.body, bytes);
}

#[tokio::test]
async fn what_was_staged_can_be_forgotten() {
    let api = Api::adopted().await;
    api.send(api.segment(chunk(0), 0, b"bytes"))
        .await
        .json::<HopsReply>();
    let staged = |method| api.call(method, chunk_path(chunk(0), "staged"));
    assert_eq!(
        api.send(staged(Method::GET))
            .await
            .json::<Staged>()
            .received,
        5
    );
    assert_eq!(api.send(staged(Method::DELETE)).await.status, 204);
    assert_eq!(
        api.send(staged(Method::GET))
            .await
            .json::<Staged>()
            .received,
        0
    );
}

#[tokio::test]
async fn any_range_is_exactly_those_bytes() {
    let api = Api::adopted().await;
    let bytes = content(5 * MIB + 77);
    api.store(chunk(0), &bytes).await;
    for (offset, length) in [
        (0, bytes.len()),
        (0, 1),
        (65_535, 2),
        (100, 65_536),
        (1, 4 * MIB),
        (3 * MIB + 5, 2 * MIB + 72),
        (262_143, 300_000),
        (bytes.len() - 1, 1),
        (bytes.len(), 0),
    ] {
        let query = format!("?offset={offset}&length={length}");
        let answer = api.send(api.read(chunk(0), &query)).await;
        assert_eq!(answer.status, 200);
        assert!(
            !answer.broken && answer.body == bytes[offset..offset + length],
            "{query}"
        );
    }
    assert!(api.send(api.read(chunk(0), "?offset=1000000")).await.body == bytes[1_000_000..]);
    for query in [
        "?offset=5242958",
        "?offset=0&length=5242958",
        "?offset=1&length=18446744073709551615",
    ] {
        api.send(api.read(chunk(0), query))
            .await
            .refused(Code::RangeNotSatisfiable);
    }
    api.send(api.read(chunk(0), "?offset=x"))
        .await
        .refused(Code::InvalidRequest);
    api.send(api.read(chunk(1), ""))
        .await
        .refused(Code::ChunkNotFound);
}

#[tokio::test]
async fn segments_that_wait_for_the_next_hop_keep_no_last_hop_from_its_disk() {
    let api = Api::with_limits(|limits| limits.write_buffer_bytes = 4 << 20).await;
    api.adopt().await;
    // Takes connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let next = DiskId::from_u128(9);
    api.worker.directory().replace(
        "a master",
        Directory {
            version: 1,
            disks: vec![DiskAddress {
                disk: next,
                url: format!("http://{}", silent.local_addr().unwrap()),
            }],
        },
    );
    let passed_on = |index| {
        let call = api.segment(chunk(index), 0, b"bytes");
        let target = format!("{}&next={next}", call.target);
        api.send(Call { target, ..call })
    };
    let waiting = futures_util::future::join(passed_on(0), passed_on(1));
    let others = async {
        passed_on(2).await.refused(Code::Busy);
        let last = api.send(api.segment(chunk(3), 0, b"bytes")).await;
        let received = Staged { received: 5 };
        assert_eq!(own(&last.json()), &HopOutcome::Received(received));
    };
    tokio::select! {
        biased;
        _ = waiting => panic!("a silent hop answered"),
        () = others => {}
    }
}

#[tokio::test]
async fn readers_that_take_nothing_keep_no_other_from_reading() {
    let api = Api::with_limits(|limits| limits.read_buffer_bytes = 4 << 20).await;
    api.adopt().await;
    let bytes = content(2 * MIB);
    api.store(chunk(0), &bytes).await;
    let mut slow = Vec::new();
    for _ in 0..30 {
        let response = api.respond(api.read(chunk(0), "")).await;
        assert_eq!(response.status(), 200);
        slow.push(response);
    }
    assert!(api.send(api.read(chunk(0), "")).await.body == bytes);
    // Those who have begun to read and then stall hold what they were sent.
    let mut held = Vec::new();
    for response in &mut slow {
        held.push(response.body_mut().frame().await.unwrap().unwrap());
    }
    assert!(api.send(api.read(chunk(0), "")).await.body == bytes);
}
