//! What is explored, what is broken, and where it begins.

use super::disk::{Disk, DiskFault, Stored};
use super::history::{Committed, History, Seen};
use super::print::Parts;
use super::world::{Master, World};
use mdfs_core::id::{DiskId, Incarnation, Term};
use mdfs_core::log::Window;
use mdfs_core::log::leader::{Leader, LeaderSettings};
use mdfs_core::log::message::{Base, Change, Config, Entry, PAGE_BYTES};
use mdfs_core::log::mutant::Mutant;
use mdfs_core::log::persist::DurableVoter;
use mdfs_core::log::voter::VoterSettings;
use mdfs_core::time::{LogTime, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// One step of the model's clock. Leases last two; a leader counts on them for one.
pub const TICK: Duration = Duration::from_millis(10);

/// Longer than any run: heartbeats go out when a read or a first lease asks for them.
const NEVER: Duration = Duration::from_millis(u64::MAX);

/// How a master's driver may be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MasterFault {
    /// Reads are answered by whoever leads, without lease or heartbeat.
    ReadWithoutLease,
    /// All masters have the same incarnation.
    NoIncarnation,
    /// Repeated requests are looked for in the committed table only.
    DeduplicateCommittedOnly,
}

/// Names the columns of [`Bounds::list`].
pub const BOUNDS: &str = "disks | voters | changes + forced | masters | terms | requests + repeats | reads | \
    restarts of voters + masters | clock | window | in flight | answers";

/// What is explored, and what is broken.
#[derive(Clone, Debug)]
pub struct Bounds {
    pub name: &'static str,
    /// All disks; those that do not vote at first are blank.
    pub voters: u128,
    /// The voters one after the other, from the founders on; only those if it is empty, and then
    /// they are all disks.
    pub path: &'static [&'static [u128]],
    /// How often leaders go on along `path`.
    pub changes: u8,
    /// How often the last of the founders is lost, and given up without its consent.
    pub forces: u8,
    pub masters: usize,
    /// Campaigns of all masters together: the number of terms.
    pub campaigns: u8,
    /// Client requests; each is a change of its own.
    pub requests: u8,
    /// How often the first request is sent again.
    pub repeats: u8,
    pub reads: u8,
    pub voter_restarts: u8,
    pub master_restarts: u8,
    pub ticks: u8,
    /// How often masters look at the clock: to send again, or to give up a campaign.
    pub looks: u8,
    /// Applied entries kept in logs; few of them make leaders send tables.
    pub window: usize,
    /// Most requests under way from one master to one voter; beyond, the oldest is lost. Load does
    /// not count.
    pub in_flight: usize,
    /// Whether requests may arrive after their master gave up the term.
    pub late_requests: bool,
    /// Whether messages may arrive more than once.
    pub duplicates: bool,
    /// Whether answers may be late; if not, they arrive at once or are lost.
    pub late_answers: bool,
    /// Whether an answer may be lost when answers are not late.
    pub lost_answers: bool,
    /// Whether the first voter begins with an entry of the founder's that nobody else has,
    /// and messages carry one entry each.
    pub straggler: bool,
    /// Whether voters lease themselves; without, no order but that of messages matters, and
    /// leaders believe in leases that do not exist.
    pub leases: bool,
    /// Whether masters keep what they know to be committed, and are fed by those who lead.
    pub warm: bool,
    /// Whether leases are given back.
    pub releases: bool,
    /// Whether M4 is checked; off, a mutant must show by what it leads to.
    pub check_promises: bool,
    pub disk_fault: Option<DiskFault>,
    pub master_fault: Option<MasterFault>,
    pub mutant: Option<Mutant>,
    /// A run that takes longer is no proof.
    pub at_most: Duration,
}

/// What is left of the bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Left {
    pub campaigns: u8,
    pub changes: u8,
    pub forces: u8,
    pub requests: u8,
    pub repeats: u8,
    pub reads: u8,
    pub voter_restarts: u8,
    pub master_restarts: u8,
    pub ticks: u8,
    pub looks: u8,
}

impl Bounds {
    /// The bounds in the order of [`BOUNDS`].
    pub fn list(&self) -> String {
        let answers = match (self.late_answers, self.lost_answers) {
            (true, _) => "late",
            (false, true) => "or lost",
            (false, false) => "heard",
        };
        let duplicates = if self.duplicates { "+" } else { "" };
        let leases = if self.leases { "leases" } else { "-" };
        let feed = if self.warm { " feed" } else { "" };
        format!(
            "{} | {} | {}+{} | {}{feed} | {} | {}+{} | {} | {}+{} | {} {} | {} | {}{} | {}",
            self.voters,
            self.voters_in_words(),
            self.changes,
            self.forces,
            self.masters,
            self.campaigns,
            self.requests,
            self.repeats,
            self.reads,
            self.voter_restarts,
            self.master_restarts,
            leases,
            self.ticks,
            self.window,
            self.in_flight,
            duplicates,
            answers
        )
    }

    fn voters_in_words(&self) -> String {
        let numbers = |voters: &&[u128]| {
            let voters = voters.iter().map(u128::to_string);
            voters.collect::<Vec<_>>().join("")
        };
        let words: Vec<String> = self.path.iter().map(numbers).collect();
        if words.is_empty() {
            "all".to_owned()
        } else {
            words.join(" to ")
        }
    }

    pub fn voter_settings(&self) -> VoterSettings {
        let lease = if self.leases {
            2 * TICK
        } else {
            Duration::ZERO
        };
        VoterSettings {
            lease,
            window: self.window(),
        }
    }

    fn window(&self) -> Window {
        Window {
            entries: self.window,
            bytes: usize::MAX,
        }
    }

    fn leader(&self, process: u64) -> Leader {
        let settings = LeaderSettings {
            lease: if self.leases { 2 * TICK } else { NEVER },
            heartbeat: NEVER,
            retry: TICK,
            jitter: Duration::ZERO,
            window: self.window(),
            page_bytes: if self.straggler { 1 } else { PAGE_BYTES },
            url: String::new(),
        };
        let shared = self.master_fault == Some(MasterFault::NoIncarnation);
        let incarnation = if shared { 0 } else { process };
        let mut leader = Leader::new(Incarnation(incarnation), settings, 1);
        break_rule(&mut leader, self.mutant);
        leader
    }

    pub fn master(&self, process: u64) -> Arc<Master> {
        Arc::new(Master {
            leader: self.leader(process),
            process,
            reads: BTreeMap::new(),
            below: Vec::new(),
        })
    }

    fn add_straggler(&self, disks: &mut [Arc<Disk>], term: Term) {
        let Some(first) = disks.first_mut() else {
            return;
        };
        let mut stored = (*first.durable).clone();
        let time = LogTime::default();
        let entry = Entry {
            index: 2,
            term,
            time,
            request: None,
            change: Change::Blank,
        };
        stored.voter.entries.push(entry);
        let began = Timestamp::default();
        if let Ok(disk) = Disk::start(stored, began, self.voter_settings(), self.mutant) {
            *first = Arc::new(disk);
        }
    }

    pub fn all_disks(&self) -> BTreeSet<DiskId> {
        (1..=self.voters).map(DiskId::from_u128).collect()
    }

    /// The first voters.
    pub fn founders(&self) -> BTreeSet<DiskId> {
        match self.path.first() {
            Some(founders) => disks(founders),
            None => self.all_disks(),
        }
    }

    /// What comes behind these voters.
    pub fn next_voters(&self, voters: &BTreeSet<DiskId>) -> Option<BTreeSet<DiskId>> {
        let at = self.path.iter().position(|named| disks(named) == *voters)?;
        self.path.get(at + 1).map(|next| disks(next))
    }

    /// The disk that is lost and given up.
    pub fn lost_disk(&self) -> Option<DiskId> {
        self.founders().last().copied()
    }

    /// In which of the configs each disk votes: only disks that are alike in that are
    /// interchangeable.
    fn roles(&self) -> Vec<u64> {
        let role = |disk: DiskId| {
            let votes = self.path.iter().map(|named| disks(named).contains(&disk));
            let configs = votes.fold(1, |role, votes| role << 1 | u64::from(votes));
            let lost = self.forces > 0 && self.lost_disk() == Some(disk);
            configs << 1 | u64::from(lost)
        };
        self.all_disks().into_iter().map(role).collect()
    }

    /// A founded cluster without masters: the first config is committed on all voters.
    pub fn first_world(&self) -> World {
        let founder = Term {
            round: 1,
            incarnation: Incarnation(0),
        };
        let entry = Entry {
            index: 1,
            term: founder,
            time: LogTime::default(),
            request: None,
            change: Change::Config(Config {
                voters: self.founders(),
                epoch: 0,
            }),
        };
        let voter = DurableVoter {
            promised: founder,
            base: Base::default(),
            entries: vec![entry],
            applied: 1,
        };
        let stored = Stored {
            voter,
            ..Stored::default()
        };
        let began = Timestamp::default();
        let start = |disk: DiskId| {
            let votes = self.founders().contains(&disk);
            let stored = if votes {
                stored.clone()
            } else {
                Stored::default()
            };
            Disk::start(stored, began, self.voter_settings(), self.mutant)
        };
        let disks = self.all_disks().into_iter().map(start);
        let mut disks: Vec<Arc<Disk>> = disks.flatten().map(Arc::new).collect();
        let promised = disks.iter().map(|disk| disk.voter.promised()).collect();
        if self.straggler {
            self.add_straggler(&mut disks, founder);
        }
        let masters = (1..)
            .take(self.masters)
            .map(|process| self.master(process))
            .collect();
        let mut world = World {
            now: began.plus(2 * TICK),
            disks,
            masters,
            messages: Vec::new(),
            history: Arc::new(History {
                committed: vec![Committed {
                    entry: Seen {
                        term: founder,
                        request: None,
                    },
                    by: founder,
                    epoch: 0,
                }],
                promised,
                ..History::default()
            }),
            left: Left {
                campaigns: self.campaigns,
                changes: self.changes,
                forces: self.forces,
                requests: self.requests,
                repeats: self.repeats,
                reads: self.reads,
                voter_restarts: self.voter_restarts,
                master_restarts: self.master_restarts,
                ticks: self.ticks,
                looks: self.looks,
            },
            processes: self.masters as u64,
            roles: Arc::new(self.roles()),
            print: 0,
            parts: Parts::default(),
        };
        let before = world.clone();
        world.fingerprint(&before);
        world
    }
}

fn disks(numbers: &[u128]) -> BTreeSet<DiskId> {
    numbers.iter().copied().map(DiskId::from_u128).collect()
}

#[cfg(feature = "mutants")]
fn break_rule(leader: &mut Leader, mutant: Option<Mutant>) {
    if let Some(mutant) = mutant {
        leader.mutate(mutant);
    }
}

#[cfg(not(feature = "mutants"))]
fn break_rule(_leader: &mut Leader, _mutant: Option<Mutant>) {}
