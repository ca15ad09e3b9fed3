//! The metadata service of one master, as a state machine: events in, effects out.
//!
//! [`Metadata`] owns the log, what is derived from it, and what heartbeats show. It reads no clock
//! and opens no socket; answers go out through the channels that came with the questions. A change
//! is answered once its entry is committed; whatever was decided by looking at the records, a
//! refusal too, is answered only once all that was looked at is committed and the leader knows that
//! it still leads.

mod browsing;
mod certain;
mod election;
mod event;
mod following;
mod formats;
mod founding;
mod healing;
mod masters;
mod membership;
mod moving;
mod names;
mod news;
mod orders;
mod policy;
mod progress;
mod recover;
mod refounding;
mod refusal;
mod report;
mod retiring;
mod search;
mod sessions;
#[cfg(test)]
mod tests;
mod tokens;
mod transfer;
mod trash;
mod upkeep;
mod uploads;
mod voting;

pub use event::{Effect, Event, Now};
pub(crate) use masters::is_somewhere;

use super::catalog::{Catalog, Step};
use super::command::FileInfo;
use super::fleet::Fleet;
use super::handle::{Answer, Question, Searched};
use super::mover::Mover;
use super::progress::Progress;
use super::trashed::TrashPlaces;
use super::truth::Truth;
use crate::error::Error;
use certain::{Certain, Held, Read, Waiting};
use founding::Founding;
use mdfs_core::detect::DetectSettings;
use mdfs_core::format::Formats;
use mdfs_core::id::{ClusterId, FileId, Incarnation, Term};
use mdfs_core::log::leader::{self as log, Leader, LeaderSettings};
use mdfs_core::log::table::View;
use mdfs_core::records::Corrupt;
use mdfs_core::records::plan::At;
use mdfs_core::time::Timestamp;
use mdfs_protocol::ask::Order;
use mdfs_protocol::internal;
use refusal::refusal_of;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Questions held while nobody leads. More are answered "busy": memory stays bounded.
const MAX_HELD: usize = 4096;

/// Commits remembered for a gateway that asks again.
const MAX_RECENT: usize = 4096;

/// What a [`Metadata`] is made with.
pub struct Settings {
    /// The cluster this master serves, if it was told. Without it, disks of two clusters that beat
    /// here keep it from leading either.
    pub cluster: Option<ClusterId>,
    /// Spans and bounds of the log.
    pub log: LeaderSettings,
    /// When silence means something.
    pub detect: DetectSettings,
    /// How long a question is held while nobody leads.
    pub hold: Duration,
    /// How long an upload may be idle before it is ended.
    pub upload_idle: Duration,
    /// Sessions that may be open at a time.
    pub most_sessions: usize,
    /// Chunks recorded of all open sessions together: bounds what the leader keeps in memory for them.
    pub most_recorded: u64,
    /// How long it is remembered how a session ended, in log time.
    pub keep_ended: Duration,
    /// How long a dead disk is waited for before its chunks are copied elsewhere.
    pub repair_delay: Duration,
    /// How long a voter may be away before another disk votes in its place.
    pub voter_patience: Duration,
    /// How long a few disks must have been silent before anything is dropped without them.
    pub drop_after: Duration,
    /// Chunks that one disk lists at once, unless one partition has more.
    pub most_listed: u64,
    /// How long a deleted or replaced file stays in the trash, in log time.
    pub trash_keep: Duration,
    /// The versions that this master knows of what the log and its records may hold.
    pub formats: Formats,
    /// Drawn at random for this process.
    pub incarnation: Incarnation,
    /// Whether whoever asks goes to another master by itself, once that is known to lead: then nothing
    /// is held for it here.
    pub routed: bool,
    /// Where random bits come from; file ids are drawn from it.
    pub chance: Box<dyn FnMut() -> u128 + Send>,
}

/// The metadata service. One owner; everything goes through [`Metadata::step`].
pub struct Metadata {
    settings: Settings,
    log: Leader,
    /// The term in which this master leads and has an entry of its own committed.
    established: Option<Term>,
    /// As of the commit, or of the copy that this master keeps while it follows.
    catalog: Catalog,
    /// Why it is not as of the commit: this master must not lead.
    unreadable: Option<Corrupt>,
    /// As the whole log would leave it: what changes are planned with.
    planned: Catalog,
    /// As `planned`; as `catalog` until this master is established.
    trash: TrashPlaces,
    /// Steps of entries that are not committed yet.
    steps: BTreeMap<u64, Vec<Step>>,
    fleet: Fleet,
    masters: masters::Masters,
    feeds: following::Feeds,
    waiting: BTreeMap<u64, Vec<Waiting>>,
    reads: BTreeMap<u64, (Timestamp, Read)>,
    next_ticket: u64,
    held: VecDeque<(Timestamp, Held)>,
    refusals: refusal::Refusals,
    founding: Option<Founding>,
    /// The cluster that this master founded; its records may not be committed yet.
    founded: Option<ClusterId>,
    /// Voters that are to be given up.
    recovering: Option<recover::Recovering>,
    /// A search for what is left of files that has ended.
    searched: Option<Searched>,
    /// An import that is under way.
    importing: Option<transfer::Importing>,
    /// Open uploads: when each was last heard of, and the disks it was sent to.
    uploads: BTreeMap<FileId, uploads::Activity>,
    recent: VecDeque<(FileId, FileInfo)>,
    /// When this master was established last.
    established_at: Timestamp,
    report: report::Figures,
    truth: Truth,
    mover: Mover,
    progress: Progress,
    search: search::Search,
    moving: moving::Plan,
    upkeep: upkeep::Schedule,
    voting: voting::Voting,
    versions: formats::Versions,
    /// A disk that is retired if nothing is lost by that.
    retiring: Option<retiring::Retirement>,
    effects: Vec<Effect>,
}

impl Metadata {
    /// A master that has just started and knows nothing.
    pub fn new(mut settings: Settings) -> Self {
        let seed = (settings.chance)().to_le_bytes();
        let seed = seed
            .first_chunk()
            .map_or(1, |bytes| u64::from_le_bytes(*bytes));
        Self {
            log: Leader::new(settings.incarnation, settings.log.clone(), seed),
            fleet: Fleet::new(settings.detect),
            masters: masters::Masters::default(),
            feeds: following::Feeds::default(),
            settings,
            established: None,
            catalog: Catalog::default(),
            unreadable: None,
            planned: Catalog::default(),
            trash: TrashPlaces::default(),
            steps: BTreeMap::new(),
            waiting: BTreeMap::new(),
            reads: BTreeMap::new(),
            next_ticket: 0,
            held: VecDeque::new(),
            refusals: refusal::Refusals::default(),
            founding: None,
            founded: None,
            recovering: None,
            searched: None,
            importing: None,
            uploads: BTreeMap::new(),
            recent: VecDeque::new(),
            established_at: Timestamp::default(),
            report: report::Figures::default(),
            truth: Truth::default(),
            mover: Mover::default(),
            progress: Progress::default(),
            search: search::Search::default(),
            moving: moving::Plan::default(),
            upkeep: upkeep::Schedule::default(),
            voting: voting::Voting::default(),
            versions: formats::Versions::default(),
            retiring: None,
            effects: Vec::new(),
        }
    }

    /// Takes one event; gives what has to be done, in order.
    pub fn step(&mut self, now: Now, event: Event) -> Vec<Effect> {
        match event {
            Event::Tick => self.tick(now),
            Event::Question(question) => {
                self.ask(now, now.mono.plus(self.settings.hold), question);
            }
            Event::Reply { from, reply } => self.log_step(now, log::Event::Reply { from, reply }),
            Event::Unreachable { disk } => self.log_step(now, log::Event::Unreachable { disk }),
            Event::Adopted { disk, cluster } => {
                self.fleet.adopted(disk, cluster);
                self.go_on_founding(now);
            }
            Event::Digests { disk, term, said } => self.take_digests(disk, term, said),
            Event::Listed {
                disk,
                token,
                partitions,
                list,
            } => self.take_list(now, disk, token, partitions, list),
            Event::Surveyed(survey) => self.surveyed(now, survey),
        }
        std::mem::take(&mut self.effects)
    }

    /// Ends leading for good and gives the leases back. For a clean stop; what waits is answered
    /// that nobody leads.
    pub fn resign(&mut self, now: Now) -> Vec<Effect> {
        self.give_up_leading(now);
        std::mem::take(&mut self.effects)
    }

    fn give_up_leading(&mut self, now: Now) {
        let effects = self.log.resign(now.mono);
        self.absorb(now, effects);
        let held = std::mem::take(&mut self.held);
        for (_, held) in held {
            held.refuse(now, self.asked_elsewhere().unwrap_or(Error::NoLeader));
        }
    }

    fn tick(&mut self, now: Now) {
        self.log_step(now, log::Event::Tick);
        self.answer_overdue(now);
        self.feed_waiting(now);
        self.retry_held(now);
        self.upkeep(now);
    }

    fn ask(&mut self, now: Now, deadline: Timestamp, question: Question) {
        match question {
            Question::Lookup(name, answer) => self.look_up(now, deadline, name, answer),
            Question::WhoMayHave(chunk, answer) => self.who_may_have(now, deadline, chunk, answer),
            Question::List(list, answer) => self.list(now, deadline, list, answer),
            Question::Records(prefix, answer) => self.records(now, deadline, prefix, answer),
            Question::ListTrash(list, answer) => self.list_trash(now, deadline, list, answer),
            Question::FindUpload(find, answer) => self.find_upload(now, deadline, find, answer),
            Question::ListUploads(list, answer) => self.list_uploads(now, deadline, list, answer),
            Question::Workers(answer) => self.workers(now, deadline, answer),
            Question::Token(token, answer) => self.token(now, deadline, token, answer),
            Question::Tokens(answer) => self.tokens(now, deadline, answer),
            Question::Tasks(answer) => self.tasks(now, deadline, answer),
            Question::Policy(answer) => self.policy(now, deadline, answer),
            Question::Export(answer) => self.export(now, deadline, answer),
            Question::Status(answer) => respond(answer, Ok(self.status(now))),
            Question::Heartbeat(beat, closed, answer) => {
                let reply = self.hear(now, *beat, closed);
                respond(answer, reply);
            }
            Question::Bootstrap(order, answer) => self.bootstrap(now, deadline, order, answer),
            Question::Following(following) => self.follow(now, following),
            Question::Searched(searched, answer) => {
                self.note_search(searched);
                respond(answer, Ok(()));
            }
            Question::Hello(hello, answer) => respond(answer, self.greet(now, hello)),
            Question::Present(answer) => respond(answer, Ok(self.present(now))),
            Question::Masters(answer) => {
                let urls = self.known_masters(now);
                respond(answer, Ok(internal::Masters { urls }));
            }
            change => self.change(now, deadline, change),
        }
    }

    /// Takes a question that needs a leader who can write; holds it while there is none.
    fn change(&mut self, now: Now, deadline: Timestamp, question: Question) {
        let question = match question {
            // These are given because nobody can write.
            Question::Order(Order::ForgetVoter { worker }, answer) => {
                return self.forget_voter(now, deadline, worker, answer);
            }
            Question::Recover(order, answer) => {
                return self.recover(now, deadline, order, answer);
            }
            other => other,
        };
        let born = self.catalog.cluster.is_some();
        if self.established.is_none() || !born || !self.log.can_write(now.mono) {
            self.hold(now, deadline, Held::Question(question));
            return;
        }
        match question {
            Question::BeginUpload(begin, answer) => {
                self.begin_upload(now, deadline, &begin, answer);
            }
            Question::Place(place, answer) => {
                let placed = self.place(now, &place);
                respond(answer, placed);
            }
            Question::RecordChunk(chunk, answer) => self.record_chunk(now, deadline, chunk, answer),
            Question::CommitUpload(commit, answer) => {
                self.commit_upload(now, deadline, commit, answer);
            }
            Question::AbortUpload(file, answer) => self.abort_upload(now, deadline, file, answer),
            Question::Delete(delete, answer) => self.delete(now, deadline, delete, answer),
            Question::Purge(delete, answer) => self.purge(now, deadline, delete, answer),
            Question::Undelete(undelete, answer) => self.undelete(now, deadline, undelete, answer),
            Question::Rename(rename, answer) => self.rename(now, deadline, rename, answer),
            Question::SetLabels(set, answer) => self.set_labels(now, deadline, *set, answer),
            Question::Order(order, answer) => self.order(now, deadline, order, answer),
            Question::ChangePolicy(change, answer) => {
                self.change_policy(now, deadline, change, answer);
            }
            Question::Import(import, answer) => self.import(now, deadline, import, answer),
            Question::AddToken(token, answer) => self.add_token(now, deadline, *token, answer),
            Question::RevokeToken(token, answer) => {
                self.revoke_token(now, deadline, token, answer);
            }
            Question::Lookup(..)
            | Question::WhoMayHave(..)
            | Question::List(..)
            | Question::ListTrash(..)
            | Question::FindUpload(..)
            | Question::ListUploads(..)
            | Question::Workers(_)
            | Question::Token(..)
            | Question::Tokens(_)
            | Question::Tasks(_)
            | Question::Policy(_)
            | Question::Export(_)
            | Question::Status(_)
            | Question::Heartbeat(..)
            | Question::Hello(..)
            | Question::Present(_)
            | Question::Masters(_)
            | Question::Following(_)
            | Question::Records(..)
            | Question::Recover(..)
            | Question::Searched(..)
            | Question::Bootstrap(..) => self.ask(now, deadline, question),
        }
    }

    /// Where the next entry will stand. Only while established.
    fn next(&self, now: Now) -> Option<At> {
        let index = self.log.last()?.index.saturating_add(1);
        Some(At {
            index,
            time: self.log.log_time(now.mono)?,
        })
    }

    /// What changes are planned against. Only while leading.
    fn view(&self) -> Result<View<'_>, Error> {
        self.log.view().ok_or(Error::NoLeader)
    }
}

/// Sends an answer. Who asked may have gone; nothing is lost by that.
fn respond<T>(answer: Answer<T>, result: Result<T, Error>) {
    let _ = answer.send(result);
}
