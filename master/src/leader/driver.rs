//! The loop that owns [`Metadata`]: carries events in and effects out, and waits for neither.

use super::handle::Question;
use super::metadata::{Effect, Event, Metadata, Now};
use super::route::Lead;
use super::survey::survey;
use crate::board::Board;
use crate::error::Error;
use mdfs_client::link::{Links, Peer};
use mdfs_core::id::{DiskId, FileId, Term};
use mdfs_protocol::holdings::{DigestsRequest, ListRequest};
use mdfs_service::{Machine, Tasks, watch};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// How often the machine looks at the clock.
const TICK: Duration = Duration::from_millis(50);
/// Answers of workers that wait for the loop: a few for each voter, and room for surveys. A full
/// queue makes the tasks that carry them wait.
const EVENTS: usize = 1024;
/// Events taken before what they want done is carried out, so that appends go out together.
const BATCH: usize = 256;
/// In which a disk must have carried out an order. A lost order does no harm.
const ORDER_WITHIN: Duration = Duration::from_secs(30);
/// In which a blank disk must have answered that it belongs to the cluster.
const ADOPT_WITHIN: Duration = Duration::from_secs(5);
/// In which a disk must have said what it holds.
const LIST_WITHIN: Duration = Duration::from_secs(10);
/// How long the last messages to voters may take when the process stops.
const FAREWELL: Duration = Duration::from_millis(500);

/// What the loop works with.
#[derive(Clone, Debug)]
pub struct Outside {
    /// The way to the workers.
    pub links: Links,
    /// Clock and threads.
    pub machine: Machine,
    /// The tasks of the process.
    pub tasks: Tasks,
    /// In which a voter must have answered a message of the log.
    pub message_within: Duration,
    /// Where it is told what goes on.
    pub board: Board,
    /// Takes who leads, whenever that changes.
    pub lead: watch::Sender<Lead>,
}

/// Runs the metadata service until `stop` fires; then gives the leases back and returns. Once `leave`
/// fires it gives them back at once if another master waits to take over, and goes on as one that follows.
///
/// # Errors
/// If an invariant of the log is broken: the process must stop.
///
/// # Cancel safety
/// Dropping the future ends the service without giving leases back; nothing durable is lost.
pub async fn drive(
    mut metadata: Metadata,
    mut inbox: mpsc::Receiver<Question>,
    outside: Outside,
    leave: CancellationToken,
    stop: CancellationToken,
) -> Result<(), Error> {
    let (events, mut arriving) = mpsc::channel(EVENTS);
    let mut timer = tokio::time::interval(TICK);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut stays = true;
    loop {
        let event = tokio::select! {
            // Rare before frequent, or a busy inbox starves the timer.
            biased;
            () = stop.cancelled() => break,
            () = leave.cancelled(), if stays => {
                stays = false;
                let now = outside.now();
                // Alone, it leads on until the requests under way have ended.
                if metadata.has_follower_waiting(now) {
                    let effects = metadata.resign(now);
                    outside.tell_lead(&metadata);
                    for effect in effects {
                        outside.perform(&metadata, effect, &events)?;
                    }
                }
                continue;
            }
            _ = timer.tick() => Event::Tick,
            Some(event) = arriving.recv() => event,
            Some(question) = inbox.recv() => Event::Question(question),
        };
        let now = outside.now();
        let mut effects = metadata.step(now, event);
        for _ in 0..BATCH {
            let next = arriving.try_recv().ok();
            let Some(event) = next.or_else(|| inbox.try_recv().ok().map(Event::Question)) else {
                break;
            };
            effects.extend(metadata.step(now, event));
        }
        outside.tell_lead(&metadata);
        for effect in effects {
            outside.perform(&metadata, effect, &events)?;
        }
    }
    farewell(&mut metadata, &outside).await;
    Ok(())
}

/// Gives the leases back, so that another master need not wait for them to run out.
async fn farewell(metadata: &mut Metadata, outside: &Outside) {
    let sends = metadata
        .resign(outside.now())
        .into_iter()
        .filter_map(|effect| match effect {
            Effect::Send { disk, url, request } => Some(async move {
                let peer = Peer { disk, url };
                let sent = outside.links.log(&peer, &request, FAREWELL).await;
                sent.map(|_: mdfs_core::log::message::Reply| ())
            }),
            Effect::Adopt { .. }
            | Effect::Drop { .. }
            | Effect::Digests { .. }
            | Effect::List { .. }
            | Effect::Survey(_)
            | Effect::Tell(_)
            | Effect::Leads(_)
            | Effect::Follows
            | Effect::Broken(_)
            | Effect::Unreadable(_) => None,
        });
    // A voter that is not told waits for the lease to run out.
    let _ = futures_util::future::join_all(sends).await;
}

impl Outside {
    fn now(&self) -> Now {
        Now {
            mono: self.machine.clock.now(),
            wall: self.machine.clock.wall(),
        }
    }

    /// Tells the rest of the process who leads.
    fn tell_lead(&self, metadata: &Metadata) {
        let lead = metadata.lead();
        self.lead.send_if_modified(|before| {
            let changed = *before != lead;
            if changed {
                *before = lead;
            }
            changed
        });
    }

    /// Starts what an effect wants; its outcome comes back as an event.
    fn perform(
        &self,
        metadata: &Metadata,
        effect: Effect,
        events: &mpsc::Sender<Event>,
    ) -> Result<(), Error> {
        let (links, events) = (self.links.clone(), events.clone());
        let threads = self.machine.threads.clone();
        match effect {
            Effect::Send { disk, url, request } => {
                links.join(metadata.cluster(self.now().mono));
                let within = self.message_within;
                self.start("log message", async move {
                    let peer = Peer { disk, url };
                    let event = match links.log(&peer, &request, within).await {
                        Ok(reply) => Event::Reply { from: disk, reply },
                        Err(error) => {
                            tracing::debug!(%disk, %error, "a message of the log was lost");
                            Event::Unreachable { disk }
                        }
                    };
                    // The loop has ended: the process is stopping.
                    let _ = events.send(event).await;
                });
            }
            Effect::Adopt { disk, url, cluster } => self.start("adopt", async move {
                let peer = Peer { disk, url };
                match links.adopt(&peer, cluster, ADOPT_WITHIN).await {
                    Ok(_) => {
                        let _ = events.send(Event::Adopted { disk, cluster }).await;
                    }
                    Err(error) => tracing::warn!(%disk, %error, "a blank disk did not join"),
                }
            }),
            Effect::Drop { file, term, sites } => {
                for (disk, url) in sites {
                    self.start("drop", drop_file(links.clone(), disk, url, file, term));
                }
            }
            Effect::Digests { disk, url, term } => self.start("digests", async move {
                let asked = links
                    .digests(&Peer { disk, url }, &DigestsRequest { term }, LIST_WITHIN)
                    .await;
                let said = asked.inspect_err(|error| {
                    tracing::warn!(%disk, %error, "a disk does not say what it holds");
                });
                let said = said.ok();
                let _ = events.send(Event::Digests { disk, term, said }).await;
            }),
            Effect::List {
                disk,
                url,
                term,
                token,
                partitions,
            } => self.start("list", async move {
                let request = ListRequest {
                    term,
                    partitions: partitions.iter().copied().collect(),
                };
                let peer = Peer { disk, url };
                let asked = links.list_chunks(&peer, &request, LIST_WITHIN).await;
                let list = asked.inspect_err(|error| {
                    tracing::warn!(%disk, %error, "a disk does not list its chunks");
                });
                let event = Event::Listed {
                    disk,
                    token,
                    partitions,
                    list: list.ok(),
                };
                let _ = events.send(event).await;
            }),
            Effect::Survey(request) => self.start("survey", async move {
                let found = threads.run(move || survey(&request)).await;
                // A survey that panics leaves the figures unknown, not as they were.
                let _ = events.send(Event::Surveyed(found.ok())).await;
            }),
            Effect::Tell(event) => self.board.tell(*event),
            Effect::Leads(term) => self.board.lead(term),
            Effect::Follows => self.board.follow(),
            Effect::Broken(violation) => return Err(Error::Broken(violation.to_string())),
            Effect::Unreadable(why) => return Err(Error::Broken(why)),
        }
        Ok(())
    }

    fn start(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        drop(self.tasks.spawn_request(name, task));
    }
}

async fn drop_file(links: Links, disk: DiskId, url: String, file: FileId, term: Term) {
    let peer = Peer { disk, url };
    match links.drop_file(&peer, file, term, ORDER_WITHIN).await {
        Ok(dropped) => tracing::debug!(%disk, %file, chunks = dropped.chunks, "dropped"),
        Err(error) => tracing::warn!(%disk, %file, %error, "chunks that nobody needs stay"),
    }
}
