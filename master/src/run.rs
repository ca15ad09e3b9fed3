//! A whole master: the leader's loop and the HTTP interface, from start to clean stop.

use crate::board::Board;
use crate::board::mirror::{Watchers, mirror};
use crate::board::watch::{Watch, watch as watch_board};
use crate::config::Config;
use crate::error::Error;
use crate::gateway::Gateway;
use crate::http::{Access, App, Parts, router};
use crate::leader::driver::{Outside, drive};
use crate::leader::following::follow;
use crate::leader::handle::LeaderHandle;
use crate::leader::metadata::{Metadata, Settings, is_somewhere};
use crate::leader::route::{Lead, Route};
use crate::leader::seeds::seek;
use axum::Router;
use mdfs_client::link::{Links, Network, Reads};
use mdfs_core::format::FORMATS;
use mdfs_core::id::Incarnation;
use mdfs_core::log::leader::LeaderSettings;
use mdfs_protocol::ask::{Asked, Hello};
use mdfs_service::metrics::Registry;
use mdfs_service::settings::Faults;
use mdfs_service::{Machine, Tasks, serve_leaving, watch};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// Chunks that one disk lists at once: such a list is far below the largest answer that is taken, and
/// those of many disks fit in memory.
const MOST_LISTED: u64 = 500_000;
/// Questions that wait for the leader's loop. It answers tens of thousands a second, so more only
/// wait longer; handlers wait for a place.
const QUESTIONS: usize = 1024;
/// How often a master that follows tells the leader that it is there, and how long that may take.
const HELLO: Duration = Duration::from_secs(1);

/// Runs a master on `listener` until `stop` fires: then, after `http.shutdown_delay`, it takes no more
/// connections, lets requests under way finish, gives its leases back and returns.
///
/// # Errors
/// If the configuration is refused, the listener fails, an invariant of the log is broken, or a
/// task of the process ends by itself.
///
/// # Cancel safety
/// Dropping the future ends the master at once, as a kill would; nothing acknowledged is lost.
pub async fn run(
    config: Config,
    listener: TcpListener,
    stop: CancellationToken,
) -> Result<(), Error> {
    run_on(config, listener, Network::real(), stop).await
}

/// As [`run`], with another way to other servers.
///
/// # Errors
/// As [`run`].
///
/// # Cancel safety
/// As [`run`].
pub async fn run_on(
    config: Config,
    listener: TcpListener,
    network: Network,
    stop: CancellationToken,
) -> Result<(), Error> {
    mdfs_service::raise_handle_limit();
    let address = listener.local_addr().map_err(Error::Serve)?;
    let url = config.url.clone();
    let url = url.unwrap_or_else(|| format!("http://{address}"));
    let url = url.trim_end_matches('/').to_owned();
    let http = config.http.clone();
    // Clients that are still sent here need all of it.
    let end = CancellationToken::new();
    let surroundings = Surroundings {
        machine: Machine::real(),
        network,
        tasks: Tasks::new(end.clone()),
    };
    let master = Running::start(config, url.clone(), surroundings)?;
    tracing::info!(%url, "serving");
    let served = serve_leaving(listener, master.router(), http, stop, end)
        .await
        .map_err(Error::Serve);
    let stopped = master.stop().await;
    served.and(stopped)
}

/// What a master runs on.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// Clock, chance and threads.
    pub machine: Machine,
    /// The way to other servers.
    pub network: Network,
    /// The tasks of the process. They, and the leader's loop, follow its stop signal.
    pub tasks: Tasks,
}

/// A master that runs, without a listener.
#[derive(Debug)]
pub struct Running {
    app: App,
    tasks: Tasks,
    grace: Duration,
    /// Leads until the requests under way have ended, then stops by this.
    resign: CancellationToken,
    /// The leader's loop has ended.
    leading: oneshot::Receiver<()>,
}

impl Running {
    /// Starts a master that others reach at `url`. Called in a runtime.
    ///
    /// # Errors
    /// If the configuration is refused.
    pub fn start(config: Config, url: String, surroundings: Surroundings) -> Result<Self, Error> {
        config.check()?;
        if !config.seeds.is_empty() && !is_somewhere(&url) {
            let mut faults = Faults::new();
            let must = "must be given along with seed, and be an address of this machine alone: workers are \
                        told to beat there";
            faults.note("advertise_url", &url, must);
            faults.none()?;
        }
        let Surroundings {
            machine,
            network,
            tasks,
        } = surroundings;
        let links = Links::on(&network, &config.cluster_key, config.cluster, Reads::Large)
            .map_err(|error| Error::Start(error.to_string()))?;

        let limits = config.limits;
        let (questions, inbox) = mpsc::channel(QUESTIONS);
        let (lead, known_lead) = watch::channel(Lead::default());
        let route = Route::new(known_lead.clone(), links.clone(), limits.leader_wait);
        let board = Board::new(machine.clock.clone());
        let leader = LeaderHandle::routed(questions, route, board.clone(), machine.threads.clone());
        let greeting = greet(url.clone(), links.clone(), lead.subscribe());
        tasks.spawn("hello", |stop| async move {
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = greeting => {}
            }
        });
        let chance = machine.chance.clone();
        let metadata = Metadata::new(Settings {
            cluster: config.cluster,
            log: LeaderSettings {
                lease: limits.lease,
                ..LeaderSettings::new(url.clone())
            },
            detect: limits
                .detect()
                .map_err(|error| Error::Start(error.to_string()))?,
            hold: limits.leader_wait,
            upload_idle: limits.upload_idle,
            most_sessions: limits.most_sessions,
            most_recorded: Config::MOST_RECORDED,
            keep_ended: Config::KEEP_ENDED,
            repair_delay: limits.repair_delay,
            voter_patience: limits.voter_patience,
            drop_after: limits.drop_after,
            most_listed: MOST_LISTED,
            trash_keep: limits.trash_keep,
            routed: true,
            formats: FORMATS,
            incarnation: Incarnation(chance.random_u64()),
            chance: Box::new(move || chance.random_u128()),
        });
        let outside = Outside {
            links: links.clone(),
            machine: machine.clone(),
            tasks: tasks.clone(),
            message_within: limits.lease / 2,
            board: board.clone(),
            lead,
        };
        let resign = CancellationToken::new();
        let resigned = resign.clone();
        let (ended, leading) = oneshot::channel();
        tasks.spawn("leader", move |leave| async move {
            let result = drive(metadata, inbox, outside, leave, resigned).await;
            // Nobody waits for it unless the process is stopping.
            let _ = ended.send(());
            result
        });

        let (to, over) = (leader.clone(), links.clone());
        if !config.seeds.is_empty() {
            let (to, over, own) = (leader.clone(), links.clone(), url.clone());
            tasks.spawn("seeds", |stop| seek(to, own, config.seeds, over, stop));
        }
        let watchers = Watchers::default();
        let looks = Watch {
            board: board.clone(),
            leader: leader.clone(),
            lead: known_lead.clone(),
            links: links.clone(),
            url: url.clone(),
            clock: machine.clock.clone(),
        };
        tasks.spawn("watch", move |stop| async move {
            watch_board(looks, stop).await;
            Ok::<(), Error>(())
        });
        let (shown, of, counted) = (board, leader.clone(), watchers.clone());
        tasks.spawn("mirror", move |stop| async move {
            mirror(shown, of, counted, stop).await;
            Ok::<(), Error>(())
        });
        tasks.spawn("following", move |stop| async move {
            follow(to, url, over, known_lead, stop).await;
            Ok::<(), Error>(())
        });

        let grace = config.http.grace;
        let gateway = Gateway::new(
            leader.clone(),
            links,
            machine.clone(),
            tasks.clone(),
            config.gateway,
        );
        let access = Access {
            root: config.root_tokens,
            cluster: vec![config.cluster_key],
            links: config.link_keys,
            proxies: config.http.proxies.to_vec(),
            failures: limits.failures,
        };
        let registry = Registry::new();
        registry
            .about("master", env!("CARGO_PKG_VERSION"), &machine.clock)
            .map_err(|error| Error::Start(error.to_string()))?;
        let parts = Parts {
            gateway,
            leader,
            access,
            machine,
            tasks: tasks.clone(),
            registry,
            beat_silence: limits.beat_silence(),
            console: config.console,
            watchers,
        };
        let app = App::new(parts).map_err(|error| Error::Start(error.to_string()))?;
        Ok(Self {
            app,
            tasks,
            grace,
            resign,
            leading,
        })
    }

    /// Its HTTP interface.
    pub fn router(&self) -> Router {
        router(self.app.clone())
    }

    /// Gives the leases back and waits for all tasks, once no more requests come.
    ///
    /// # Errors
    /// If a task of the process ended by itself.
    pub async fn stop(self) -> Result<(), Error> {
        self.resign.cancel();
        // An error here means that the loop is gone already.
        let _ = self.leading.await;
        if !self.tasks.shut_down(self.grace).await {
            tracing::warn!("tasks were still running when the process stopped");
        }
        match self.tasks.failed() {
            Some(failed) => Err(Error::TaskEnded {
                name: failed.name,
                reason: failed.reason,
            }),
            None => Ok(()),
        }
    }
}

/// Says hello to whoever leads elsewhere, over and over.
///
/// # Cancel safety
/// May be dropped.
async fn greet(url: String, links: Links, lead: watch::Receiver<Lead>) {
    let hello = Asked::Hello(Hello {
        url,
        formats: FORMATS,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    });
    let mut beats = tokio::time::interval(HELLO);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beats.tick().await;
        let leader = lead.get().elsewhere().cloned();
        if let Some(leader) = leader
            && let Err(error) = links.ask(&leader.url, &hello, HELLO).await
        {
            tracing::debug!(leader = leader.url, %error, "the leader does not hear this master");
        }
    }
}
