//! Disks with real voters, in memory, a clock moved by hand, and one master's metadata.

use crate::error::Error;
use crate::leader::command::{
    BeginUpload, Begun, Bootstrap, Bootstrapped, CommitUpload, Copies, Delete, FileInfo, FileView,
    List, OpenUpload, Page, Place, Rename, Site,
};
use crate::leader::handle::{Answer, Question};
use crate::leader::metadata::{Effect, Event, Metadata, Now, Settings};
use crate::leader::survey::{Survey, survey};
use mdfs_core::checksum::{Blake3, Crc32};
use mdfs_core::chunk::{ChunkLayout, ChunkSize};
use mdfs_core::detect::DetectSettings;
use mdfs_core::id::{ClusterId, DiskId, FileId, Generation, Incarnation, RequestId};
use mdfs_core::log::leader::LeaderSettings;
use mdfs_core::log::message::{Record, Reply, Request};
use mdfs_core::log::persist::{Answer as VoterAnswer, DurableVoter, Persist};
use mdfs_core::log::voter::{Voter, VoterSettings};
use mdfs_core::name::FileName;
use mdfs_core::records::Precondition;
use mdfs_core::ring::ReplicationFactor;
use mdfs_core::time::{LogTime, Timestamp};
use mdfs_protocol::internal::{DiskState, Heartbeat, HeartbeatReply, Identity};
use mdfs_protocol::public::Status;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;
use tokio::sync::oneshot::{self, error::TryRecvError};
use tokio_util::sync::CancellationToken;

const TICK: u64 = 50;
const BEAT: u64 = 1000;
pub(super) const HOLD: u64 = 10_000;
pub(super) const IDLE: u64 = 60_000;
const WALL: u64 = 1_700_000_000_000;
pub(super) const MIB: u64 = 1 << 20;

/// An answer that may still come.
pub(super) type Asked<T> = oneshot::Receiver<Result<T, Error>>;

/// A worker: its voter, what its disk holds, and what it says of itself.
pub(super) struct Worker {
    voter: Voter,
    durable: DurableVoter,
    records: BTreeMap<Vec<u8>, Vec<u8>>,
    staged: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(super) beat: Heartbeat,
    /// Whether it beats.
    pub(super) beats: bool,
    /// Whether messages reach it.
    pub(super) reached: bool,
}

pub(super) struct World {
    pub(super) now: u64,
    pub(super) master: Metadata,
    pub(super) workers: BTreeMap<DiskId, Worker>,
    /// Orders to drop file ids, and the disks they went to.
    pub(super) drops: Vec<(FileId, BTreeSet<DiskId>)>,
    pub(super) surveys: u64,
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
        incarnation: Incarnation(incarnation),
        chance: Box::new(move || {
            drawn += 1;
            // Odd multipliers permute: ids differ, and spread over the partitions.
            drawn.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
        }),
    })
}

impl Worker {
    fn blank(id: DiskId, now: u64) -> Self {
        let durable = DurableVoter::default();
        let now = Timestamp::from_millis(now);
        let voter = Voter::restore(durable.clone(), now, VoterSettings::DEFAULT).unwrap();
        Self {
            voter,
            durable,
            records: BTreeMap::new(),
            staged: BTreeMap::new(),
            beat: Heartbeat {
                identity: Identity {
                    disk: id,
                    cluster: None,
                    generation: Generation(1),
                },
                name: format!("worker-{}", id.as_u128()),
                url: format!("http://worker-{}", id.as_u128()),
                zone: None,
                capacity_bytes: 100 << 30,
                free_bytes: 50 << 30,
                chunks: 0,
                chunk_bytes: 0,
                bad_blocks: 0,
                state: DiskState::Healthy,
                leaving: false,
                directory_version: 0,
            },
            beats: true,
            reached: true,
        }
    }

    /// Whether its log is empty.
    pub(super) fn is_blank(&self) -> bool {
        self.durable.entries.is_empty() && self.durable.applied == 0
    }

    /// Takes one message as a worker's driver does: what is to be durable is, then comes the answer.
    fn take(&mut self, now: u64, request: Request) -> Reply {
        let output = self
            .voter
            .step(Timestamp::from_millis(now), request)
            .unwrap();
        if let Some(persist) = output.persist {
            self.write(persist);
        }
        match output.answer {
            VoterAnswer::Ready(reply) => *reply,
            VoterAnswer::Read(read) => {
                let behind = |key: &Vec<u8>| read.after.as_ref().is_none_or(|after| key > after);
                let records: Vec<Record> = self
                    .records
                    .iter()
                    .filter(|(key, _)| behind(key))
                    .map(|(key, value)| (key.clone(), value.clone()))
                    .collect();
                read.finish(records, false)
            }
        }
    }

    fn write(&mut self, persist: Persist) {
        let durable = &mut self.durable;
        durable.promised = persist.promised.unwrap_or(durable.promised);
        if persist.clear_staged {
            self.staged.clear();
        }
        self.staged.extend(persist.stage);
        if persist.install {
            self.records = std::mem::take(&mut self.staged);
        }
        if let Some(from) = persist.cut_from {
            durable.entries.retain(|entry| entry.index < from);
        }
        durable.entries.extend(persist.append);
        for put in persist.apply {
            match put.value {
                Some(value) => self.records.insert(put.key, value),
                None => self.records.remove(&put.key),
            };
        }
        durable.applied = persist.applied.unwrap_or(durable.applied);
        if let Some(base) = persist.base {
            durable
                .entries
                .retain(|entry| entry.index > base.position.index);
            durable.base = base;
        }
    }
}

/// Building and moving on.
impl World {
    /// So many blank disks, numbered from 1, that have beaten once.
    pub(super) fn blank(workers: u128) -> Self {
        Self::with_master(workers, None)
    }

    pub(super) fn with_master(workers: u128, pinned: Option<ClusterId>) -> Self {
        let mut world = Self {
            now: 1_000_000,
            master: master(1, pinned),
            workers: BTreeMap::new(),
            drops: Vec::new(),
            surveys: 0,
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
        let beat = self.worker(number).beat.clone();
        let open = CancellationToken::new();
        done(self.ask(|answer| Question::Heartbeat(Box::new(beat), open, answer)))
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
        }
    }

    pub(super) fn time(&self) -> Now {
        Now {
            mono: Timestamp::from_millis(self.now),
            wall: LogTime::from_millis(WALL + self.now),
        }
    }

    /// Takes one event, and carries out all that follows.
    pub(super) fn step(&mut self, event: Event) {
        let mut effects: VecDeque<Effect> = self.master.step(self.time(), event).into();
        while let Some(effect) = effects.pop_front() {
            let event = match effect {
                Effect::Send { disk, request, .. } => {
                    let now = self.now;
                    match self.workers.get_mut(&disk).filter(|worker| worker.reached) {
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
                Effect::Survey(request) => {
                    self.surveys += 1;
                    if self.hold_surveys {
                        continue;
                    }
                    Event::Surveyed(Some(survey(&request)))
                }
                Effect::Broken(violation) => panic!("{violation}"),
                Effect::Unreadable(why) => panic!("{why}"),
            };
            effects.extend(self.master.step(self.time(), event));
        }
    }

    /// An order that ends in an answer of its own.
    pub(super) fn survey_found(&mut self, found: Survey) {
        self.step(Event::Surveyed(Some(found)));
    }
}

/// Asking.
impl World {
    pub(super) fn ask<T>(&mut self, question: impl FnOnce(Answer<T>) -> Question) -> Asked<T> {
        let (answer, asked) = oneshot::channel();
        self.step(Event::Question(question(answer)));
        asked
    }

    pub(super) fn bootstrap(&mut self, order: &[u128], replicas: u8) -> Asked<Bootstrapped> {
        let order = Bootstrap {
            disks: order.iter().copied().map(disk).collect(),
            replicas: ReplicationFactor::new(replicas).unwrap(),
            chunk_size: ChunkSize::new(MIB).unwrap(),
        };
        self.ask(|answer| Question::Bootstrap(order, answer))
    }

    pub(super) fn begin(&mut self, text: &str) -> Asked<Begun> {
        self.begin_with(begin(text))
    }

    pub(super) fn begin_with(&mut self, begin: BeginUpload) -> Asked<Begun> {
        self.ask(|answer| Question::BeginUpload(begin, answer))
    }

    /// Begins an upload; it is open.
    pub(super) fn open(&mut self, text: &str) -> OpenUpload {
        open(done(self.begin(text)).unwrap())
    }

    pub(super) fn place(&mut self, upload: &OpenUpload, chunk: u32) -> Result<Vec<Site>, Error> {
        self.place_avoiding(upload, chunk, &[])
    }

    pub(super) fn place_avoiding(
        &mut self,
        upload: &OpenUpload,
        chunk: u32,
        avoid: &[DiskId],
    ) -> Result<Vec<Site>, Error> {
        let place = Place {
            file: upload.file,
            chunk,
            bytes: MIB,
            avoid: avoid.to_vec(),
        };
        done(self.ask(|answer| Question::Place(place, answer)))
    }

    /// Commits an upload of one chunk, on these disks.
    pub(super) fn commit_on(&mut self, upload: &OpenUpload, on: &[DiskId]) -> Asked<FileInfo> {
        let commit = commit(upload, on);
        self.ask(|answer| Question::CommitUpload(commit, answer))
    }

    /// Places and commits the one chunk of an upload.
    pub(super) fn finish(&mut self, upload: &OpenUpload) -> Asked<FileInfo> {
        let on: Vec<DiskId> = ids(self.place(upload, 0).unwrap());
        self.commit_on(upload, &on)
    }

    /// Stores a file of one chunk where it is placed.
    pub(super) fn store(&mut self, text: &str) -> FileInfo {
        let upload = self.open(text);
        done(self.finish(&upload)).unwrap()
    }

    /// Makes an empty file.
    pub(super) fn touch(&mut self, text: &str) -> FileInfo {
        let upload = self.open(text);
        let commit = CommitUpload {
            layout: ChunkLayout::new(),
            copies: Vec::new(),
            ..commit(&upload, &[])
        };
        done(self.ask(|answer| Question::CommitUpload(commit, answer))).unwrap()
    }

    pub(super) fn abort(&mut self, file: FileId) -> Asked<()> {
        self.ask(|answer| Question::AbortUpload(file, answer))
    }

    pub(super) fn look_up(&mut self, text: &str) -> Asked<FileView> {
        self.ask(|answer| Question::Lookup(name(text), answer))
    }

    pub(super) fn delete(&mut self, text: &str) -> Asked<()> {
        self.delete_as(text, None)
    }

    pub(super) fn delete_as(&mut self, text: &str, request: Option<RequestId>) -> Asked<()> {
        let delete = Delete {
            request,
            name: name(text),
            precondition: Precondition::default(),
        };
        self.ask(|answer| Question::Delete(delete, answer))
    }

    pub(super) fn rename(&mut self, from: &str, to: &str) -> Asked<FileInfo> {
        let rename = Rename {
            request: None,
            from: name(from),
            to: name(to),
            overwrite: false,
        };
        self.ask(|answer| Question::Rename(rename, answer))
    }

    pub(super) fn list(&mut self, list: List) -> Asked<Page> {
        self.ask(|answer| Question::List(list, answer))
    }

    /// All names.
    pub(super) fn names(&mut self) -> Vec<String> {
        let list = List {
            limit: 1000,
            ..List::default()
        };
        let page = done(self.list(list)).unwrap();
        let names = page.files.into_iter().map(|info| info.name.to_string());
        names.collect()
    }

    pub(super) fn status(&mut self) -> Status {
        done(self.ask(Question::Status)).unwrap()
    }

    /// A request id issued now.
    pub(super) fn request(&self, random: u128) -> RequestId {
        RequestId::issue(self.time().wall, random)
    }
}

pub(super) fn begin(text: &str) -> BeginUpload {
    BeginUpload {
        request: None,
        name: name(text),
        chunk_size: None,
        replicas: None,
        content_type: "video/x-matroska".to_owned(),
        precondition: Precondition::default(),
    }
}

pub(super) fn commit(upload: &OpenUpload, on: &[DiskId]) -> CommitUpload {
    let mut layout = ChunkLayout::new();
    layout.push(MIB).unwrap();
    CommitUpload {
        file: upload.file,
        term: upload.term,
        layout,
        crc32: Crc32(7),
        blake3: Blake3::of(&upload.file.to_bytes()),
        copies: vec![Copies {
            first_chunk: 0,
            chunks: 1,
            disks: on.to_vec(),
        }],
    }
}

pub(super) fn open(begun: Begun) -> OpenUpload {
    match begun {
        Begun::Open(open) => open,
        Begun::Already(info) => panic!("{info:?} was stored already"),
    }
}

pub(super) fn ids(sites: Vec<Site>) -> Vec<DiskId> {
    sites.into_iter().map(|site| site.disk).collect()
}

/// The answer, which must have come.
#[track_caller]
pub(super) fn done<T>(mut asked: Asked<T>) -> Result<T, Error> {
    asked.try_recv().expect("no answer came")
}

/// Whether no answer has come yet.
pub(super) fn waits<T>(asked: &mut Asked<T>) -> bool {
    matches!(asked.try_recv(), Err(TryRecvError::Empty))
}

/// The error that came, by its variant and text.
#[track_caller]
pub(super) fn refused<T>(asked: Asked<T>) -> Error {
    match done(asked) {
        Ok(_) => panic!("it was not refused"),
        Err(error) => error,
    }
}
