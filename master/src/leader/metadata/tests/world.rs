//! Disks with real voters, in memory, a clock moved by hand, and one master's metadata.

use super::asking::done;
use super::worker::Worker;
use crate::error::Error;
use crate::leader::command::CommitUpload;
use crate::leader::handle::Question;
use crate::leader::metadata::{Effect, Event, Metadata, Now, Settings};
use crate::leader::survey::{Survey, survey};
use mdfs_core::chunk::ChunkId;
use mdfs_core::detect::DetectSettings;
use mdfs_core::format::FORMATS;
use mdfs_core::id::{ClusterId, DiskId, FileId, Incarnation};
use mdfs_core::log::leader::LeaderSettings;
use mdfs_core::log::message::Request;
use mdfs_core::name::FileName;
use mdfs_core::time::{LogTime, Timestamp};
use mdfs_protocol::internal::{Heartbeat, HeartbeatReply};
use mdfs_protocol::order::{Done, Failure, Order, Task};
use mdfs_protocol::problem::Code;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const TICK: u64 = 50;
const BEAT: u64 = 1000;
pub(super) const HOLD: u64 = 10_000;
pub(super) const IDLE: u64 = 60_000;
pub(super) const REPAIR_DELAY: u64 = 15_000;
pub(super) const DROP_AFTER: u64 = 120_000;
pub(super) const VOTER_PATIENCE: u64 = 600_000;
pub(super) const MOST_SESSIONS: usize = 3;
pub(super) const MOST_RECORDED: u64 = 4;
pub(super) const KEEP_ENDED: u64 = 600_000;
const WALL: u64 = 1_700_000_000_000;
pub(super) const MIB: u64 = 1 << 20;

pub(super) struct World {
    pub(super) now: u64,
    /// By how many milliseconds the wall clock is ahead.
    pub(super) ahead: u64,
    pub(super) master: Metadata,
    /// Masters besides it: take a turn by [`World::as_other`].
    pub(super) others: Vec<Metadata>,
    pub(super) workers: BTreeMap<DiskId, Worker>,
    /// Orders to drop file ids, and the disks they went to.
    pub(super) drops: Vec<(FileId, BTreeSet<DiskId>)>,
    pub(super) surveys: u64,
    /// Whether answers to heartbeats are lost.
    pub(super) lose_replies: bool,
    /// Copies that workers made by order.
    pub(super) copies: u64,
    /// Whether surveys are left unanswered.
    pub(super) hold_surveys: bool,
    incarnation: u64,
    pinned: Option<ClusterId>,
}

pub(super) fn disk(number: u128) -> DiskId {
    DiskId::from_u128(number)
}

pub(super) fn disks(numbers: &[u128]) -> BTreeSet<DiskId> {
    numbers.iter().copied().map(disk).collect()
}

pub(super) fn cluster(number: u128) -> ClusterId {
    ClusterId::from_u128(number)
}

pub(super) fn name(text: &str) -> FileName {
    FileName::parse(text).unwrap()
}

fn master(incarnation: u64, pinned: Option<ClusterId>) -> Metadata {
    let mut drawn = u128::from(incarnation) << 64;
    Metadata::new(Settings {
        cluster: pinned,
        log: LeaderSettings::new(format!("http://master-{incarnation}")),
        detect: DetectSettings::default(),
        hold: Duration::from_millis(HOLD),
        upload_idle: Duration::from_millis(IDLE),
        most_sessions: MOST_SESSIONS,
        most_recorded: MOST_RECORDED,
        keep_ended: Duration::from_millis(KEEP_ENDED),
        repair_delay: Duration::from_millis(REPAIR_DELAY),
        voter_patience: Duration::from_millis(VOTER_PATIENCE),
        drop_after: Duration::from_millis(DROP_AFTER),
        most_listed: 500_000,
        trash_keep: crate::config::Limits::default().trash_keep,
        routed: false,
        formats: FORMATS,
        incarnation: Incarnation(incarnation),
        chance: Box::new(move || {
            drawn += 1;
            // Odd multipliers permute: ids differ, and spread over the partitions.
            drawn.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
        }),
    })
}

impl World {
    /// So many blank disks, numbered from 1, that have beaten once.
    pub(super) fn blank(workers: u128) -> Self {
        Self::with_master(workers, None)
    }

    pub(super) fn with_master(workers: u128, pinned: Option<ClusterId>) -> Self {
        let mut world = Self {
            now: 1_000_000,
            ahead: 0,
            master: master(1, pinned),
            others: Vec::new(),
            workers: BTreeMap::new(),
            drops: Vec::new(),
            surveys: 0,
            lose_replies: false,
            copies: 0,
            hold_surveys: false,
            incarnation: 1,
            pinned,
        };
        for number in 1..=workers {
            world.add(number);
        }
        world
    }

    /// A cluster of three founders that can be written.
    pub(super) fn founded() -> Self {
        Self::founded_by(3)
    }

    pub(super) fn founded_by(founders: u128) -> Self {
        let mut world = Self::blank(founders);
        let order: Vec<u128> = (1..=founders).collect();
        let asked = world.bootstrap(&order, 2);
        world.run(2000);
        done(asked).unwrap();
        world.tell_all();
        world
    }

    /// One more blank disk that beats.
    pub(super) fn add(&mut self, number: u128) {
        let worker = Worker::blank(disk(number), self.now);
        self.workers.insert(disk(number), worker);
        self.beat(number).unwrap();
    }

    /// A disk of another cluster, or of one left over.
    pub(super) fn add_of(&mut self, number: u128, cluster: ClusterId) -> Result<(), Error> {
        let mut worker = Worker::blank(disk(number), self.now);
        worker.beat.identity.cluster = Some(cluster);
        self.workers.insert(disk(number), worker);
        self.beat(number).map(|_| ())
    }

    pub(super) fn worker(&mut self, number: u128) -> &mut Worker {
        self.workers.get_mut(&disk(number)).unwrap()
    }

    /// Masters that come later are told which cluster they serve.
    pub(super) fn tell_all(&mut self) {
        self.pinned = self.cluster();
    }

    /// Masters that come later are not told which cluster they serve.
    pub(super) fn tell_nobody(&mut self) {
        self.pinned = None;
    }

    /// The cluster that the master serves, as far as it knows.
    pub(super) fn cluster(&self) -> Option<ClusterId> {
        self.master.cluster(Timestamp::from_millis(self.now))
    }

    /// No message reaches the disk; it still beats.
    pub(super) fn cut(&mut self, numbers: &[u128]) {
        for number in numbers {
            self.worker(*number).reached = false;
        }
    }

    pub(super) fn heal(&mut self) {
        for worker in self.workers.values_mut() {
            (worker.beats, worker.reached) = (true, true);
        }
    }

    /// The worker's process is gone.
    pub(super) fn kill(&mut self, number: u128) {
        let worker = self.worker(number);
        (worker.beats, worker.reached) = (false, false);
    }

    /// The master's process ends without a word, and another starts.
    pub(super) fn restart_master(&mut self) {
        self.incarnation += 1;
        self.master = master(self.incarnation, self.pinned);
        self.beat_all();
    }

    /// Another master made itself heard by the voters: a higher term exists.
    pub(super) fn promise_to_another(&mut self, round: u64) {
        let term = mdfs_core::id::Term {
            round,
            incarnation: Incarnation(u64::MAX),
        };
        // Their leases have run out, or they would refuse.
        let later = self.now + 10_000;
        for worker in self.workers.values_mut() {
            let _ = worker.take(later, Request::Prepare { term });
        }
    }

    pub(super) fn beat(&mut self, number: u128) -> Result<HeartbeatReply, Error> {
        let worker = self.worker(number);
        let holdings = worker.report();
        let beat = Heartbeat {
            holdings,
            ..worker.beat.clone()
        };
        worker.beat.done.clear();
        let open = CancellationToken::new();
        let reply = done(self.ask(|answer| Question::Heartbeat(Box::new(beat), open, answer)))?;
        if self.lose_replies {
            return Ok(reply);
        }
        self.worker(number).known = reply.known;
        for order in &reply.orders {
            self.carry_out(number, order);
        }
        Ok(reply)
    }

    /// A beat that says something else than the worker would.
    pub(super) fn beat_with(&mut self, beat: Heartbeat) -> Result<HeartbeatReply, Error> {
        let open = CancellationToken::new();
        done(self.ask(|answer| Question::Heartbeat(Box::new(beat), open, answer)))
    }

    /// Does at once what a worker was ordered to.
    fn carry_out(&mut self, number: u128, order: &Order) {
        let failure = match &order.task {
            Task::Copy { chunk, sources, .. } => {
                let length = sources.iter().find_map(|source| {
                    let source = self.workers.get(source).filter(|worker| worker.reached)?;
                    source.holdings.get(*chunk)
                });
                match length {
                    Some(length) => {
                        self.worker(number).holdings.add(*chunk, length);
                        self.copies += 1;
                        None
                    }
                    None => Some(Failure {
                        code: Code::Unavailable,
                        detail: String::new(),
                    }),
                }
            }
            Task::Drop { chunks } => {
                for chunk in chunks {
                    self.worker(number).holdings.remove(*chunk);
                }
                None
            }
        };
        let Order { term, id, .. } = *order;
        self.worker(number)
            .beat
            .done
            .push(Done { term, id, failure });
    }

    /// What a commit says is stored is stored.
    fn store_chunks(&mut self, commit: &CommitUpload) {
        for copies in &commit.copies {
            for index in copies.first_chunk..copies.first_chunk + copies.chunks {
                let chunk = ChunkId {
                    file: commit.file,
                    index,
                };
                let length = commit.layout.chunk_len(index).unwrap_or(0);
                for disk in &copies.disks {
                    if let Some(worker) = self.workers.get_mut(disk) {
                        worker.holdings.add(chunk, length);
                    }
                }
            }
        }
    }

    pub(super) fn beat_all(&mut self) {
        let beating: Vec<u128> = self
            .workers
            .iter()
            .filter(|(_, worker)| worker.beats)
            .map(|(disk, _)| disk.as_u128())
            .collect();
        for number in beating {
            // A refusal is the master's to give; tests that mean it ask for it.
            let _ = self.beat(number);
        }
    }

    /// Moves the clock on, with ticks and heartbeats.
    pub(super) fn run(&mut self, millis: u64) {
        let end = self.now + millis;
        while self.now < end {
            self.now += TICK;
            if self.now.is_multiple_of(BEAT) {
                self.beat_all();
            }
            self.step(Event::Tick);
            for other in 0..self.others.len() {
                self.as_other(other, |world| {
                    if world.now.is_multiple_of(BEAT) {
                        world.beat_elsewhere();
                    }
                    world.step(Event::Tick);
                });
            }
        }
    }

    /// One more master, of which questions go to whoever leads; so do those of the first.
    pub(super) fn add_master(&mut self) {
        self.master.settings.routed = true;
        self.incarnation += 1;
        let mut other = master(self.incarnation, self.pinned);
        other.settings.routed = true;
        self.others.push(other);
        let last = self.others.len() - 1;
        self.as_other(last, |world| world.beat_elsewhere());
    }

    /// Lets another master be the one that is asked, ticks and hears.
    pub(super) fn as_other<T>(&mut self, other: usize, act: impl FnOnce(&mut Self) -> T) -> T {
        std::mem::swap(&mut self.master, &mut self.others[other]);
        let done = act(self);
        std::mem::swap(&mut self.master, &mut self.others[other]);
        done
    }

    /// Beats at a master that is told nothing of chunks, as to any that does not ask.
    fn beat_elsewhere(&mut self) {
        let beats: Vec<Heartbeat> = self
            .workers
            .values()
            .filter(|worker| worker.beats)
            .map(|worker| Heartbeat {
                done: Vec::new(),
                ..worker.beat.clone()
            })
            .collect();
        for beat in beats {
            let _ = self.beat_with(beat);
        }
    }

    pub(super) fn time(&self) -> Now {
        Now {
            mono: Timestamp::from_millis(self.now),
            wall: LogTime::from_millis(WALL + self.now + self.ahead),
        }
    }

    /// Takes one event, and carries out all that follows.
    pub(super) fn step(&mut self, event: Event) {
        if let Event::Question(Question::CommitUpload(commit, _)) = &event {
            let commit = commit.clone();
            self.store_chunks(&commit);
        }
        let effects = self.master.step(self.time(), event);
        self.carry(effects);
    }

    /// The master gives up leading, and goes on.
    pub(super) fn resign(&mut self) {
        let effects = self.master.resign(self.time());
        self.carry(effects);
    }

    /// Carries out what a master wants done, and all that follows.
    pub(super) fn carry(&mut self, effects: Vec<Effect>) {
        let mut effects: VecDeque<Effect> = effects.into();
        while let Some(effect) = effects.pop_front() {
            let event = match effect {
                Effect::Send { disk, request, .. } => {
                    let (now, named) = (self.now, self.cluster());
                    // A disk of a cluster takes what names that one alone.
                    let takes = |worker: &&mut Worker| {
                        let own = worker.beat.identity.cluster;
                        worker.reached && (own.is_none() || own == named)
                    };
                    match self.workers.get_mut(&disk).filter(takes) {
                        Some(worker) => Event::Reply {
                            from: disk,
                            reply: worker.take(now, request),
                        },
                        None => Event::Unreachable { disk },
                    }
                }
                Effect::Adopt { disk, cluster, .. } => {
                    let Some(worker) = self.workers.get_mut(&disk).filter(|w| w.reached) else {
                        continue;
                    };
                    let belongs = worker.beat.identity.cluster.get_or_insert(cluster);
                    if *belongs != cluster {
                        continue;
                    }
                    Event::Adopted { disk, cluster }
                }
                Effect::Drop { file, sites, .. } => {
                    let sites = sites.into_iter().map(|(disk, _)| disk).collect();
                    self.drops.push((file, sites));
                    continue;
                }
                Effect::Digests { disk, term, .. } => {
                    let worker = self.workers.get(&disk).filter(|worker| worker.reached);
                    let said = worker.map(Worker::digests);
                    Event::Digests { disk, term, said }
                }
                Effect::List {
                    disk,
                    token,
                    partitions,
                    ..
                } => {
                    let worker = self.workers.get(&disk).filter(|worker| worker.reached);
                    let list = worker.map(|worker| worker.list(&partitions));
                    Event::Listed {
                        disk,
                        token,
                        partitions,
                        list,
                    }
                }
                Effect::Survey(request) => {
                    self.surveys += 1;
                    if self.hold_surveys {
                        continue;
                    }
                    Event::Surveyed(Some(survey(&request)))
                }
                Effect::Tell(_) | Effect::Leads(_) | Effect::Follows => continue,
                Effect::Broken(violation) => panic!("{violation}"),
                Effect::Unreadable(why) => panic!("{why}"),
            };
            effects.extend(self.master.step(self.time(), event));
        }
    }

    /// A survey that was held ends.
    pub(super) fn survey_found(&mut self, found: Survey) {
        self.step(Event::Surveyed(Some(found)));
    }
}
