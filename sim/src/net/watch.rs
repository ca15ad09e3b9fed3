//! What an onlooker sees of the messages: which are under way, who leads, what is copied.

use super::{HostId, Net};
use crate::world::{CLIENTS, is_master, is_worker};
use axum::body::Body;
use bytes::Bytes;
use http::{Method, Request as HttpRequest, StatusCode};
use mdfs_client::link::Pieces;
use mdfs_core::digest::Digest;
use mdfs_core::id::Term;
use mdfs_core::log::message::Request;
use mdfs_protocol::internal::{HEARTBEAT, Heartbeat, LOG};
use std::collections::{BTreeMap, BTreeSet};

/// For how long after it stood still a process is said to be behind for that, in milliseconds.
const BEHIND: u64 = 30_000;

/// How soon an answer that has come whole is acted on, in milliseconds.
const ACTS: u64 = 5;

/// Stands for what changes no chunk.
const NOTHING: &str = "nothing";

#[derive(Default)]
pub(super) struct Watch {
    number: u64,
    under_way: BTreeMap<u64, Call>,
    /// The highest term in which entries were sent.
    term: Option<Term>,
    /// Workers who report falsely.
    liars: BTreeSet<HostId>,
    /// When a worker asked another for chunks of a file last, by the file's id.
    copied: BTreeMap<String, u64>,
    /// Workers whose disk was refused by some master.
    refused: BTreeSet<HostId>,
    /// Since when they know, in milliseconds of the run.
    know: BTreeMap<HostId, u64>,
    /// How the names of chunks begin of which workers got something to change before they knew.
    unwarned: BTreeMap<HostId, BTreeSet<String>>,
    /// When a process went on that had stood still.
    went_on: BTreeMap<HostId, u64>,
}

struct Call {
    from: HostId,
    to: HostId,
    path: String,
    writes: bool,
    /// Some worker said since that a chunk is durable.
    durable: bool,
}

/// A call while it is under way.
pub(super) struct UnderWay {
    net: Net,
    number: u64,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.net.lock().watch.under_way.remove(&self.number);
    }
}

impl Watch {
    /// A process begins, which has to be told anew.
    pub(super) fn begins(&mut self, id: HostId) {
        self.know.remove(&id);
    }

    /// A request has come to a server.
    pub(super) fn delivered(&mut self, now: u64, to: HostId, request: &HttpRequest<Body>) {
        let changes = *request.method() != Method::GET && request.uri().path() != LOG;
        let knows = self.know.get(&to).is_some_and(|at| now >= at + ACTS);
        if changes && !knows && is_worker(to) {
            let mut parts = request.uri().path().split('/').skip(3);
            let changed = match (parts.next(), parts.next(), parts.next()) {
                (Some("chunks"), Some(file), Some(index)) => format!("{file}.{index}"),
                (Some("files"), Some(file), _) => format!("{file}."),
                _ => NOTHING.to_owned(),
            };
            self.unwarned.entry(to).or_default().insert(changed);
        }
    }
}

impl Net {
    pub(super) fn watch(&self, from: HostId, to: HostId, method: &Method, path: &str) -> UnderWay {
        let mut state = self.lock();
        let watch = &mut state.watch;
        watch.number += 1;
        let number = watch.number;
        let call = Call {
            from,
            to,
            path: path.to_owned(),
            writes: matches!(*method, Method::PUT | Method::POST),
            durable: false,
        };
        if call.is_copy()
            && let Some(file) = path.split('/').nth(4)
        {
            watch.copied.insert(file.to_owned(), self.trace.now());
        }
        watch.under_way.insert(number, call);
        UnderWay {
            net: self.clone(),
            number,
        }
    }

    /// An answer came.
    pub(super) fn watch_answer(&self, from: HostId, path: &str, status: StatusCode) {
        if status == StatusCode::MISDIRECTED_REQUEST {
            self.trace.reach("another disk at an address");
        }
        if path == HEARTBEAT && status == StatusCode::CONFLICT {
            self.lock().watch.refused.insert(from);
        }
        let is_chunk = path.starts_with("/internal/v1/chunks/") && !path.ends_with("/segment");
        if is_chunk && status.is_success() && is_master(from) {
            let mut state = self.lock();
            let calls = state.watch.under_way.values_mut();
            for call in calls.filter(|call| call.to == from && call.is_upload()) {
                call.durable = true;
            }
        }
    }

    /// A worker was told that its disk is refused.
    pub(super) fn watch_told(&self, id: HostId) {
        let now = self.trace.now();
        self.lock().watch.know.entry(id).or_insert(now);
    }

    /// The marks of the moment in which a server is killed.
    pub(crate) fn watch_kill(&self, id: HostId) {
        let state = self.lock();
        let calls = || state.watch.under_way.values();
        if calls().any(|call| call.to == id && call.is_chunk_write()) {
            self.trace.reach("worker killed under a chunk");
        }
        if calls().any(|call| (call.to == id || call.from == id) && call.is_copy()) {
            self.trace.reach("worker killed under a copy");
        }
        if calls().any(|call| call.to == id && call.durable) {
            self.trace.reach("master killed between copies and commit");
        }
    }

    /// Whether a client stores something now.
    pub(crate) fn uploads(&self) -> bool {
        self.lock().watch.under_way.values().any(Call::is_upload)
    }

    /// Whether workers copied chunks of a file since then, in milliseconds of the run.
    pub(crate) fn copied_since(&self, file: &str, since: u64) -> bool {
        let state = self.lock();
        state.watch.copied.get(file).is_some_and(|at| *at >= since)
    }

    /// Whether a master refused a worker's disk since [`Net::forget_refusal`].
    pub(crate) fn was_refused(&self, id: HostId) -> bool {
        self.lock().watch.refused.contains(&id)
    }

    /// Another disk is in a worker.
    pub(crate) fn forget_refusal(&self, id: HostId) {
        let watch = &mut self.lock().watch;
        watch.refused.remove(&id);
        watch.know.remove(&id);
        watch.unwarned.remove(&id);
    }

    /// How the names of chunks begin of which a worker got something to change since
    /// [`Net::forget_refusal`], before it knew that its disk is refused; none if it got nothing.
    pub(crate) fn unwarned(&self, id: HostId) -> Option<BTreeSet<String>> {
        self.lock().watch.unwarned.get(&id).cloned()
    }

    /// Whether some worker does not run.
    pub(crate) fn is_worker_down(&self) -> bool {
        let state = self.lock();
        let mut places = state.places.iter();
        places.any(|(id, place)| is_worker(*id) && (place.up.is_none() || place.stands))
    }

    /// From now on a worker reports falsely, or no more.
    pub(crate) fn set_liar(&self, id: HostId, lies: bool) {
        let mut state = self.lock();
        match lies {
            true => state.watch.liars.insert(id),
            false => state.watch.liars.remove(&id),
        };
    }

    /// Nobody reports falsely any more.
    pub(super) fn no_liars(&self) {
        self.lock().watch.liars.clear();
    }

    pub(super) fn watch_stand(&self, id: HostId, stands: bool) {
        if !stands {
            let now = self.trace.now();
            self.lock().watch.went_on.insert(id, now);
        }
    }

    /// The highest term that was seen.
    pub(super) fn seen_term(&self) -> Option<Term> {
        self.lock().watch.term
    }

    /// Looks at a message of the log.
    pub(super) fn watch_log(&self, from: HostId, message: &[u8]) {
        let Ok(Request::Append(append)) = postcard::from_bytes(message) else {
            return;
        };
        let mut state = self.lock();
        let watch = &mut state.watch;
        if watch.term.is_none_or(|term| term <= append.term) {
            watch.term = Some(append.term);
            return;
        }
        self.trace.reach("two masters believed to lead");
        let went_on = watch.went_on.get(&from);
        if went_on.is_some_and(|at| self.trace.now() - at < BEHIND) {
            self.trace.reach("old leader went on after a pause");
        }
    }

    /// What a worker's heartbeat is made into, if it reports falsely.
    pub(super) fn falsified(&self, from: HostId, beat: &[u8]) -> Option<Pieces> {
        if !self.lock().watch.liars.contains(&from) {
            return None;
        }
        let beat: Heartbeat = postcard::from_bytes(beat).ok()?;
        let mut holdings = beat.holdings;
        holdings.root = Digest::default();
        let beat = Heartbeat {
            capacity_bytes: u64::MAX,
            free_bytes: u64::MAX,
            chunks: 10_000_000,
            chunk_bytes: u64::MAX,
            bad_blocks: u64::MAX,
            seal_millis: Some(u64::MAX),
            oldest_unverified_millis: Some(u64::MAX),
            holdings,
            ..beat
        };
        self.trace.reach("false report");
        Some(Pieces::from(Bytes::from(postcard::to_stdvec(&beat).ok()?)))
    }
}

impl Call {
    fn is_chunk_write(&self) -> bool {
        self.writes && self.path.starts_with("/internal/v1/chunks/")
    }

    fn is_copy(&self) -> bool {
        let between = is_worker(self.from) && is_worker(self.to);
        between && !self.writes && self.path.starts_with("/internal/v1/chunks/")
    }

    fn is_upload(&self) -> bool {
        self.from >= CLIENTS && self.writes && self.path.starts_with("/v1/files/")
    }
}
