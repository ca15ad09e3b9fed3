//! Who is let in.

use crate::support::{Api, CLUSTER, Call, OTHER_CLUSTER, chunk, config, key, seal_of};
use http::Method;
use mdfs_core::id::DiskId;
use mdfs_protocol::internal::{self, Adopt, Identity, Masters, chunk_path, drop_path};
use mdfs_protocol::problem::Code;
use mdfs_service::Clock;
use mdfs_worker::{Worker, router};

/// Every route but the open ones, and a path that is none.
fn closed(api: &Api) -> Vec<Call> {
    let chunk = chunk(0);
    let path = |part| chunk_path(chunk, part);
    vec![
        api.call(Method::GET, internal::IDENTITY),
        api.post(internal::ADOPT, &Adopt { cluster: CLUSTER }),
        api.post(internal::MASTERS, &Masters::default()),
        api.call(Method::POST, internal::LOG),
        api.read(chunk, ""),
        api.call(Method::PUT, path("")),
        api.segment(chunk, 0, b"x"),
        api.call(Method::GET, path("staged")),
        api.call(Method::DELETE, path("staged")),
        api.seal(chunk, seal_of(b"x")),
        api.call(Method::POST, path("pull")),
        api.call(Method::POST, path("verify")),
        api.call(Method::POST, drop_path(chunk.file)),
        api.call(Method::GET, "/internal/v1/nothing"),
        api.call(Method::GET, "/"),
    ]
}

#[tokio::test]
async fn nobody_is_let_in_without_the_cluster_key() {
    let api = Api::adopted().await;
    for call in closed(&api) {
        let without = Call {
            key: None,
            ..call.clone()
        };
        api.send(without).await.refused(Code::Unauthorized);
        let wrong = Call {
            key: Some(key(b'x')),
            ..call
        };
        api.send(wrong).await.refused(Code::Unauthorized);
    }
    let other = Call {
        key: Some(key(b'o')),
        ..api.call(Method::GET, internal::IDENTITY)
    };
    api.send(other).await.json::<Identity>();
}

#[tokio::test]
async fn a_request_for_another_disk_is_refused() {
    let api = Api::adopted().await;
    for call in closed(&api) {
        let wrong = Call {
            disk: Some(DiskId::from_u128(9)),
            ..call.clone()
        };
        api.send(wrong).await.refused(Code::WrongDisk);
        if call.target != internal::IDENTITY {
            api.send(Call { disk: None, ..call })
                .await
                .refused(Code::WrongDisk);
        }
    }
    let who = Call {
        disk: None,
        cluster: None,
        ..api.call(Method::GET, internal::IDENTITY)
    };
    let identity: Identity = api.send(who).await.json();
    assert_eq!(
        (Some(identity.disk), identity.cluster),
        (api.worker.disk(), Some(CLUSTER))
    );
}

#[tokio::test]
async fn a_request_of_another_cluster_is_refused_and_the_disk_stays_where_it_is() {
    let api = Api::adopted().await;
    for call in closed(&api) {
        let foreign = Call {
            cluster: Some(OTHER_CLUSTER),
            ..call
        };
        api.send(foreign).await.refused(Code::ForeignDisk);
    }
    let adopt = api.post(
        internal::ADOPT,
        &Adopt {
            cluster: OTHER_CLUSTER,
        },
    );
    api.send(Call {
        cluster: None,
        ..adopt
    })
    .await
    .refused(Code::ForeignDisk);
    let who = api.call(Method::GET, internal::IDENTITY);
    assert_eq!(
        api.send(who).await.json::<Identity>().cluster,
        Some(CLUSTER)
    );
}

#[tokio::test]
async fn a_blank_disk_tells_who_it_is_and_is_adopted_once_or_twice_and_does_nothing_else() {
    let api = Api::blank().await;
    api.send(api.segment(chunk(0), 0, b"x"))
        .await
        .refused(Code::ForeignDisk);
    api.send(api.read(chunk(0), ""))
        .await
        .refused(Code::ForeignDisk);
    let who = api.call(Method::GET, internal::IDENTITY);
    assert_eq!(api.send(who).await.json::<Identity>().cluster, None);
    api.adopt().await;
    api.adopt().await;
    api.store(chunk(0), b"x").await;
}

#[tokio::test]
async fn paths_and_methods_that_are_none_have_their_own_codes() {
    let api = Api::adopted().await;
    api.send(api.call(Method::GET, "/internal/v1/x"))
        .await
        .refused(Code::RouteNotFound);
    let delete = api.call(Method::DELETE, internal::IDENTITY);
    api.send(delete).await.refused(Code::MethodNotAllowed);
    let path = "/internal/v1/chunks/../0";
    api.send(api.call(Method::GET, path))
        .await
        .refused(Code::InvalidRequest);
}

#[tokio::test]
async fn probes_and_figures_are_open_and_tell_no_names() {
    let api = Api::adopted().await;
    api.store(chunk(0), b"some bytes").await;
    for path in ["/health", "/health/live", "/health/ready"] {
        let answer = api.get(path).await;
        assert_eq!(
            (answer.status.as_u16(), answer.body.as_slice()),
            (200, &b"OK"[..]),
            "{path}"
        );
    }
    let stats: serde_json::Value = api.get("/stats").await.json();
    assert_eq!(
        (stats["chunks"].as_u64(), stats["chunk_bytes"].as_u64()),
        (Some(1), Some(10))
    );
    let metrics = String::from_utf8(api.get("/metrics").await.body).unwrap();
    for line in [
        "mdfs_worker_files 1",
        "mdfs_worker_bytes_total 10",
        "mdfs_worker_up 1",
        "mdfs_worker_requests_total{result=\"ok\",route=\"seal\"} 1",
        "mdfs_worker_moved_bytes_total{way=\"write\"} 10",
    ] {
        assert!(
            metrics.lines().any(|got| got == line),
            "{line} is not in {metrics}"
        );
    }
    for text in [metrics, stats.to_string()] {
        assert!(
            !text.contains("films") && !text.contains(&chunk(0).file.to_string()),
            "{text}"
        );
    }
}

#[tokio::test]
async fn before_the_disk_is_open_the_worker_lives_and_is_not_ready() {
    let dir = tempfile::tempdir().unwrap();
    let worker = Worker::new(config(dir.path()), Clock::manual()).unwrap();
    let opened = Api::blank().await;
    let api = Api {
        router: router(worker.clone()),
        worker,
        ..opened
    };
    assert_eq!(api.get("/health").await.status, 200);
    assert_eq!(api.get("/metrics").await.status, 200);
    api.get("/health/ready").await.refused(Code::Busy);
    api.get("/stats").await.refused(Code::Busy);
    api.send(api.call(Method::GET, internal::IDENTITY))
        .await
        .refused(Code::Busy);
}
