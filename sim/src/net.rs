//! The network: carries requests between hosts, late, twice or not at all.

mod body;
mod hang_up;
mod port;
mod watch;

use crate::trace::Trace;
use axum::Router;
use axum::body::Body;
use body::Part;
use hang_up::HangUp;
use http::{Request, Response, StatusCode};
use mdfs_client::link::{CarriedBody, Route};
use mdfs_service::{ConnectionClosed, Peer, RequestId, Tasks};
use mdfs_tests::chance::Chance;
use port::{Port, serve};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use watch::Watch;

/// A host, by its number; `http://h7` is where host 7 answers.
pub(crate) type HostId = u32;

/// How often a packet that does not come through is looked for again.
const RESEND: Duration = Duration::from_millis(250);
/// Sends before a connection is given up.
const SENDS: u32 = 120;
/// How long nobody answers before a connection counts as refused by silence.
const CONNECT: Duration = Duration::from_secs(1);

/// The network. A clone is the same.
#[derive(Clone)]
pub(crate) struct Net {
    state: Arc<Mutex<State>>,
    trace: Trace,
}

struct State {
    seed: u64,
    places: BTreeMap<HostId, Place>,
    /// From the first to the second nothing comes through.
    cut: BTreeSet<(HostId, HostId)>,
    paths: BTreeMap<(HostId, HostId), Path>,
    weather: Weather,
    requests: u64,
    watch: Watch,
}

#[derive(Default)]
struct Place {
    up: Option<Up>,
    /// Nobody says that nobody is there.
    silent: bool,
    stands: bool,
}

#[derive(Clone)]
struct Up {
    router: Router,
    tasks: Tasks,
}

/// A request that may be delivered otherwise than it was sent.
pub(crate) struct Copy {
    request: Request<Body>,
    /// Whoever sends it may send it again.
    is_repeated: bool,
}

struct Path {
    chance: Chance,
    /// The connection on which heartbeats come.
    closed: CancellationToken,
}

/// How bad the network is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Weather {
    /// Packets in a thousand that are lost, and sent again later.
    pub(crate) lost: u64,
    /// Messages between servers in a thousand that come once more, later.
    pub(crate) doubled: u64,
    /// Connections in a thousand that break under a request or its answer.
    pub(crate) broken: u64,
    /// The longest time in milliseconds that a packet takes.
    pub(crate) slowest: u64,
}

/// Why something was not carried.
#[derive(Clone, Copy, Debug)]
pub(crate) enum NotCarried {
    /// Nobody is there.
    Refused,
    /// Nobody answers.
    Silence,
    /// The connection broke.
    Reset,
    /// There is no such host.
    Nowhere,
}

impl fmt::Display for NotCarried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "connection refused",
            Self::Silence => "no answer",
            Self::Reset => "connection reset",
            Self::Nowhere => "no such host",
        })
    }
}

impl std::error::Error for NotCarried {}

/// Where host `id` answers.
pub(crate) fn url(id: HostId) -> String {
    format!("http://h{id}")
}

impl Net {
    /// A good network of no hosts.
    pub(crate) fn new(seed: u64, trace: Trace) -> Self {
        Self {
            state: Arc::new(Mutex::new(State {
                seed,
                places: BTreeMap::new(),
                cut: BTreeSet::new(),
                paths: BTreeMap::new(),
                weather: Weather {
                    slowest: 2,
                    ..Weather::default()
                },
                requests: 0,
                watch: Watch::default(),
            })),
            trace,
        }
    }

    /// From now on host `id` answers with `router`; its requests are tasks of `tasks`.
    pub(crate) fn come_up(&self, id: HostId, router: Router, tasks: Tasks) {
        let mut state = self.lock();
        state.watch.begins(id);
        let place = state.places.entry(id).or_default();
        place.up = Some(Up { router, tasks });
        place.silent = false;
        place.stands = false;
    }

    /// Host `id` answers no more; its connections end at once, or nobody says so if it went silently.
    pub(crate) fn go_down(&self, id: HostId, silent: bool) {
        let mut state = self.lock();
        let place = state.places.entry(id).or_default();
        place.up = None;
        place.silent = silent;
        place.stands = false;
        if !silent {
            let cut = state.cut.clone();
            for ((from, to), path) in &mut state.paths {
                if *from == id && !cut.contains(&(*from, *to)) {
                    path.closed.cancel();
                    path.closed = CancellationToken::new();
                }
            }
        }
    }

    /// Host `id` takes what comes, and does nothing with it, or goes on.
    pub(crate) fn stand(&self, id: HostId, stands: bool) {
        self.lock().places.entry(id).or_default().stands = stands;
        self.watch_stand(id, stands);
    }

    /// From now on nothing comes through from `from` to `to`, or everything again.
    pub(crate) fn cut(&self, from: HostId, to: HostId, cut: bool) {
        let mut state = self.lock();
        match cut {
            true => state.cut.insert((from, to)),
            false => state.cut.remove(&(from, to)),
        };
    }

    /// From now on the network is so bad.
    pub(crate) fn set_weather(&self, weather: Weather) {
        self.lock().weather = weather;
    }

    /// Everything comes through again.
    pub(crate) fn heal(&self) {
        self.no_liars();
        let mut state = self.lock();
        state.cut.clear();
        state.weather = Weather {
            slowest: 2,
            ..Weather::default()
        };
    }

    /// The way of host `id` to all others.
    pub(crate) fn port(&self, id: HostId) -> Arc<dyn Route> {
        Arc::new(Port {
            net: self.clone(),
            from: id,
        })
    }

    /// Carries a request, and the head of its answer back.
    ///
    /// # Errors
    /// If that fails; nobody knows whether the request arrived.
    pub(crate) async fn call(
        &self,
        from: HostId,
        request: Request<Body>,
        copy: Option<Copy>,
    ) -> Result<Response<CarriedBody>, NotCarried> {
        let host = request.uri().host().and_then(|host| host.strip_prefix('h'));
        let to = host.and_then(|host| host.parse().ok());
        let to: HostId = to.ok_or(NotCarried::Nowhere)?;
        let path = request.uri().path().to_owned();
        let broken = {
            let mut state = self.lock();
            let broken = state.weather.broken;
            state.path(from, to).chance.within(0, 1000) < broken
        };
        self.trace
            .note(format_args!("{from} > {to} {} {path}", request.method()));
        let _under_way = self.watch(from, to, request.method(), &path);
        let beats = path.ends_with("/heartbeat");
        self.pass(from, to).await?;
        if broken {
            self.trace.reach("connection broke under a request");
            if beats {
                self.trace.reach("heartbeat lost");
            }
            // What was sent may come, when whoever sent it has long asked again.
            if let Some(Copy { request, .. }) = copy {
                self.come_late(from, to, request, 500);
            }
            return Err(NotCarried::Reset);
        }
        let heard = match self.deliver(from, to, request) {
            Ok(heard) => heard,
            Err(NotCarried::Silence) => {
                tokio::time::sleep(CONNECT).await;
                return Err(NotCarried::Silence);
            }
            Err(error) => {
                self.pass(to, from).await?;
                return Err(error);
            }
        };
        if let Some(Copy { request, .. }) = copy.filter(|copy| copy.is_repeated) {
            let doubled = self.lock().weather.doubled;
            self.come_late(from, to, request, doubled);
        }
        // Whoever hangs up while the answer is awaited ends the connection.
        let hung_up = HangUp {
            net: self,
            from,
            to,
            armed: beats,
        };
        let answered = heard.await.map_err(|_| NotCarried::Reset)?;
        self.trace.note(format_args!(
            "{to} > {from} {} {path}",
            answered.status().as_u16()
        ));
        self.watch_answer(from, &path, answered.status());
        self.pass(to, from).await?;
        hung_up.disarm();
        let (head, parts) = answered.into_parts();
        let refuses = beats && head.status == StatusCode::CONFLICT;
        let body = body::carried(self.clone(), to, from, parts, refuses);
        Ok(Response::from_parts(head, body))
    }

    /// A packet on its way.
    async fn pass(&self, from: HostId, to: HostId) -> Result<(), NotCarried> {
        let delay = {
            let mut state = self.lock();
            let Weather { lost, slowest, .. } = state.weather;
            let chance = &mut state.path(from, to).chance;
            let mut delay = chance.within(0, slowest + 1);
            while chance.within(0, 1000) < lost {
                delay += chance.within(200, 1000);
                self.trace.reach("packet lost");
            }
            delay
        };
        if delay > 0 {
            tokio::time::sleep(Duration::from_millis(delay)).await;
        }
        for _ in 0..SENDS {
            if self.passes(from, to) {
                return Ok(());
            }
            tokio::time::sleep(RESEND).await;
        }
        Err(NotCarried::Silence)
    }

    fn passes(&self, from: HostId, to: HostId) -> bool {
        let state = self.lock();
        let stands = state.places.get(&to).is_some_and(|place| place.stands);
        !stands && !state.cut.contains(&(from, to))
    }

    /// Gives a request to the host, whose answer comes by what is returned.
    fn deliver(
        &self,
        from: HostId,
        to: HostId,
        mut request: Request<Body>,
    ) -> Result<oneshot::Receiver<Response<mpsc::Receiver<Part>>>, NotCarried> {
        let mut state = self.lock();
        state.requests += 1;
        let number = state.requests;
        let closed = state.path(from, to).closed.clone();
        let place = state.places.get(&to);
        let Some(Up { router, tasks }) = place.and_then(|place| place.up.clone()) else {
            let silent = place.is_some_and(|place| place.silent);
            return Err(match silent {
                true => NotCarried::Silence,
                false => NotCarried::Refused,
            });
        };
        state.watch.delivered(self.trace.now(), to, &request);
        drop(state);
        let [high, low, ..] = from.to_le_bytes();
        let peer = SocketAddr::from(([10, 0, low, high], 1));
        request.extensions_mut().insert(Peer(peer));
        request.extensions_mut().insert(ConnectionClosed(closed));
        request.extensions_mut().insert(RequestId::numbered(number));
        let (answer, heard) = oneshot::channel();
        drop(tasks.spawn_request("request", serve(router, request, answer)));
        Ok(heard)
    }

    /// Delivers a request, so many times in a thousand, some time later; nobody hears the answer.
    fn come_late(&self, from: HostId, to: HostId, request: Request<Body>, per_thousand: u64) {
        let (comes, late) = {
            let mut state = self.lock();
            let chance = &mut state.path(from, to).chance;
            let longest = chance.one_of(&[20, 20_000]).copied().unwrap_or(20);
            (
                chance.within(0, 1000) < per_thousand,
                chance.within(0, longest),
            )
        };
        let tasks = match self.lock().places.get(&to).and_then(|p| p.up.clone()) {
            Some(up) if comes => up.tasks,
            _ => return,
        };
        let (net, term) = (self.clone(), self.seen_term());
        drop(tasks.spawn_request("late", async move {
            tokio::time::sleep(Duration::from_millis(late)).await;
            net.trace.reach("message came twice");
            if net.seen_term() > term {
                net.trace.reach("message of an earlier term came again");
            }
            net.trace
                .note(format_args!("{from} > {to} again {}", request.uri().path()));
            if let Ok(heard) = net.deliver(from, to, request) {
                let _ = heard.await;
            }
        }));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn path(&mut self, from: HostId, to: HostId) -> &mut Path {
        let seed = self.seed;
        self.paths.entry((from, to)).or_insert_with(|| Path {
            chance: Chance::new(seed ^ (u64::from(from) << 32) ^ (u64::from(to) << 8)),
            closed: CancellationToken::new(),
        })
    }
}

impl fmt::Debug for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Net")
    }
}
