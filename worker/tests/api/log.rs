//! The metadata log over its route.

use crate::support::{Api, Call, chunk, term};
use http::Method;
use mdfs_core::id::Term;
use mdfs_core::log::message::{Append, Change, Entry, Position, Reply, Request};
use mdfs_core::time::LogTime;
use mdfs_protocol::internal;
use mdfs_protocol::problem::Code;
use std::time::Duration;

fn ask(api: &Api, request: &Request) -> Call {
    let body = postcard::to_stdvec(request).unwrap();
    Call {
        body,
        ..api.call(Method::POST, internal::LOG)
    }
}

async fn answer(api: &Api, request: &Request) -> Reply {
    let answer = api.send(ask(api, request)).await;
    assert_eq!(
        answer.status,
        200,
        "{}",
        String::from_utf8_lossy(&answer.body)
    );
    postcard::from_bytes(&answer.body).unwrap()
}

fn append(round: u64, index: u64) -> Request {
    let previous = match index {
        1 => Position::default(),
        _ => Position {
            term: term(round),
            index: index - 1,
        },
    };
    let entry = Entry {
        index,
        term: term(round),
        time: LogTime::from_millis(index),
        request: None,
        change: Change::Blank,
    };
    Request::Append(Append {
        term: term(round),
        previous,
        entries: vec![entry],
        commit: 0,
        epoch: 0,
        send: 7,
        leader_url: "http://leader".to_owned(),
        lease_millis: 3000,
    })
}

#[tokio::test]
async fn a_blank_disk_promises_and_takes_nothing_else_before_it_is_adopted() {
    let api = Api::blank().await;
    let Reply::PreVoted(vote) = answer(&api, &Request::PreVote { term: term(3) }).await else {
        panic!("another answer");
    };
    assert!(vote.granted && vote.promised == Term::default());
    let Reply::Prepared(vote) = answer(&api, &Request::Prepare { term: term(3) }).await else {
        panic!("another answer");
    };
    assert!(vote.granted && vote.promised == term(3));
    api.send(ask(&api, &append(3, 1)))
        .await
        .refused(Code::ForeignDisk);
    api.adopt().await;
    let Reply::Appended { index, send, .. } = answer(&api, &append(3, 1)).await else {
        panic!("another answer");
    };
    assert_eq!((index, send), (1, 7));
    let foreign = Call {
        cluster: None,
        ..ask(&api, &append(3, 2))
    };
    api.send(foreign).await.refused(Code::ForeignDisk);
}

#[tokio::test]
async fn a_promise_outlives_the_worker_and_the_lease_of_an_earlier_life_is_honoured() {
    let api = Api::adopted().await;
    answer(&api, &append(3, 1)).await;
    let Api {
        worker,
        router,
        disk,
        dir,
        clock,
        mut end,
    } = api;
    drop((router, worker, disk));
    end.wait().await.unwrap();
    let again = Api::at(dir, clock).await;
    let Reply::PreVoted(vote) = answer(&again, &Request::PreVote { term: term(4) }).await else {
        panic!("another answer");
    };
    assert_eq!(
        (vote.granted, vote.promised, vote.last.index),
        (false, term(3), 1)
    );
    again.clock.advance(Duration::from_secs(4));
    let Reply::PreVoted(vote) = answer(&again, &Request::PreVote { term: term(4) }).await else {
        panic!("another answer");
    };
    assert!(vote.granted);
}

#[tokio::test]
async fn many_messages_at_once_are_all_answered() {
    let api = Api::adopted().await;
    let request = Request::PreVote { term: term(2) };
    let asked = (0..40).map(|_| answer(&api, &request));
    for reply in futures_util::future::join_all(asked).await {
        assert!(matches!(reply, Reply::PreVoted(_)));
    }
}

#[tokio::test]
async fn a_message_that_is_none_or_too_long_is_refused() {
    let api = Api::adopted().await;
    let with = |body: Vec<u8>| Call {
        body,
        ..api.call(Method::POST, internal::LOG)
    };
    api.send(with(vec![0xff; 10]))
        .await
        .refused(Code::InvalidRequest);
    api.send(with(vec![0; (8 << 20) + 1]))
        .await
        .refused(Code::TooLarge);
}

#[tokio::test]
async fn a_voter_whose_disk_failed_answers_nothing_more() {
    let api = Api::adopted().await;
    answer(&api, &append(3, 1)).await;
    api.disk.fail_syncs();
    api.send(ask(&api, &append(3, 2)))
        .await
        .refused(Code::ReadOnly);
    api.send(ask(&api, &Request::PreVote { term: term(9) }))
        .await
        .refused(Code::ReadOnly);
    assert_eq!(api.get("/health").await.status, 200);
    let stats: serde_json::Value = api.get("/stats").await.json();
    assert_eq!(stats["state"], "read_only");
}

#[tokio::test]
async fn a_worker_whose_log_is_damaged_or_gone_serves_its_chunks_and_never_votes() {
    for gone in [false, true] {
        let api = Api::adopted().await;
        answer(&api, &append(3, 1)).await;
        api.store(chunk(0), b"bytes").await;
        let Api {
            worker,
            router,
            disk,
            dir,
            clock,
            mut end,
        } = api;
        drop((router, worker, disk));
        end.wait().await.unwrap();
        let log = dir.path().join("log.redb");
        if gone {
            std::fs::remove_file(&log).unwrap();
        } else {
            let length = std::fs::metadata(&log).unwrap().len();
            std::fs::write(&log, vec![7; usize::try_from(length).unwrap()]).unwrap();
        }
        let again = Api::at(dir, clock).await;
        for request in [
            Request::PreVote { term: term(9) },
            Request::Prepare { term: term(9) },
            append(3, 2),
        ] {
            let refused = again.send(ask(&again, &request)).await;
            refused.refused(Code::ReadOnly);
        }
        let stats: serde_json::Value = again.get("/stats").await.json();
        assert_eq!(
            (stats["voter"].as_str(), stats["state"].as_str()),
            (Some("broken"), Some("healthy"))
        );
        assert_eq!(again.get("/health/ready").await.status, 200);
        assert_eq!(again.send(again.read(chunk(0), "")).await.body, b"bytes");
        again.store(chunk(1), b"more").await;
    }
}
