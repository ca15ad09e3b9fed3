//! A master's HTTP interface in front of a leader and workers that are not real.

#![allow(dead_code, reason = "each test binary uses a part of it")]

pub(crate) mod leader;
mod sessions;
pub(crate) mod worker;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use leader::FakeLeader;
use mdfs_client::link::{Links, Reads};
use mdfs_master::gateway::{Gateway, Limits};
use mdfs_master::http::{Access, App, Parts, router};
use mdfs_protocol::access::{ClusterKey, Secret};
use mdfs_protocol::link::LinkKey;
use mdfs_protocol::problem::{Code, Problem};
use mdfs_service::metrics::Registry;
use mdfs_service::{Clock, Tasks};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use worker::FakeWorker;

pub(crate) const TOKEN: &str = "root-token-root-token-root-token-root";
pub(crate) const MIB: usize = 1 << 20;

pub(crate) fn cluster_key() -> ClusterKey {
    ClusterKey::new(&Secret::new(&[b'c'; 32]).unwrap())
}

pub(crate) fn link_key() -> LinkKey {
    LinkKey::new(Secret::new(&[b'l'; 32]).unwrap())
}

/// A master with its surroundings.
pub(crate) struct Setup {
    pub(crate) router: Router,
    pub(crate) leader: FakeLeader,
    pub(crate) workers: Vec<FakeWorker>,
    pub(crate) clock: Clock,
    pub(crate) tasks: Tasks,
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn problem(&self) -> Problem {
        assert_eq!(self.header("content-type"), "application/problem+json");
        serde_json::from_slice(&self.body).unwrap()
    }

    #[track_caller]
    pub(crate) fn fails(&self, code: Code) {
        assert_eq!(self.status.as_u16(), code.status(), "{:?}", self.body);
        // An answer to HEAD has no body.
        if !self.body.is_empty() {
            assert_eq!(self.problem().code, code, "{}", self.problem().detail);
        }
    }
}

impl Setup {
    /// A master with so many workers.
    pub(crate) async fn new(workers: u128) -> Self {
        Self::with(workers, mdfs_master::config::Console::default()).await
    }

    /// A master that has nothing for browsers.
    pub(crate) async fn without_console() -> Self {
        let off = mdfs_master::config::Console {
            enabled: false,
            ..mdfs_master::config::Console::default()
        };
        Self::with(0, off).await
    }

    async fn with(workers: u128, console: mdfs_master::config::Console) -> Self {
        let tasks = Tasks::new(CancellationToken::new());
        let links = Links::new(&cluster_key(), None, Reads::Large).unwrap();
        let mut running = Vec::new();
        for disk in 1..=workers {
            running.push(FakeWorker::start(disk, &tasks, links.clone()).await);
        }
        let directory = running.iter().map(FakeWorker::site).collect::<Vec<_>>();
        for worker in &running {
            worker.meet(&directory);
        }
        let leader = FakeLeader::start(&tasks, directory);
        let clock = Clock::manual();
        let limits = Limits {
            first_byte: Duration::from_millis(150),
            stall: Duration::from_millis(150),
            patience: Duration::from_secs(2),
            segment: Duration::from_secs(1),
            seal: Duration::from_secs(2),
            ..Limits::default()
        };
        let gateway = Gateway::new(leader.handle(), links, clock.clone(), tasks.clone(), limits);
        let parts = Parts {
            gateway,
            leader: leader.handle(),
            access: Access {
                root: vec![Secret::new(TOKEN.as_bytes()).unwrap()],
                cluster: vec![cluster_key()],
                links: vec![link_key()],
                proxies: Vec::new(),
                failures: mdfs_master::config::Failures::default(),
            },
            machine: clock.clone().into(),
            tasks: tasks.clone(),
            registry: Registry::new(),
            beat_silence: mdfs_master::config::Limits::default().beat_silence(),
            console,
            watchers: mdfs_master::board::mirror::Watchers::default(),
        };
        let router = router(App::new(parts).unwrap());
        Self {
            router,
            leader,
            workers: running,
            clock,
            tasks,
        }
    }

    /// The answer to a request with the root token and these header lines.
    pub(crate) async fn ask(
        &self,
        method: &str,
        target: &str,
        lines: &str,
        body: impl Into<Body>,
    ) -> Answer {
        let lines = format!("authorization: Bearer {TOKEN}\n{lines}");
        self.ask_bare(method, target, &lines, body).await
    }

    /// The answer to a request with just these header lines.
    pub(crate) async fn ask_bare(
        &self,
        method: &str,
        target: &str,
        lines: &str,
        body: impl Into<Body>,
    ) -> Answer {
        let (status, headers, body) = self.begin(method, target, lines, body).await;
        let body = body.collect().await.expect("the whole body").to_bytes();
        Answer {
            status,
            headers,
            body,
        }
    }

    /// The head of an answer, and its body still to be read.
    pub(crate) async fn begin(
        &self,
        method: &str,
        target: &str,
        lines: &str,
        body: impl Into<Body>,
    ) -> (StatusCode, HeaderMap, Body) {
        let mut request = Request::builder().method(method).uri(target);
        for line in lines.lines().filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(": ").unwrap();
            request = request.header(name, value);
        }
        let request = request.body(body.into()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        (parts.status, parts.headers, body)
    }

    pub(crate) async fn get(&self, target: &str, lines: &str) -> Answer {
        self.ask("GET", target, lines, Body::empty()).await
    }

    /// Stores a file and says that it worked.
    pub(crate) async fn put(&self, target: &str, bytes: &[u8]) {
        let answer = self.ask("PUT", target, "", bytes.to_vec()).await;
        assert_eq!(answer.status, 201, "{:?}", answer.body);
    }
}

/// So many bytes that differ from place to place.
pub(crate) fn content(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}
