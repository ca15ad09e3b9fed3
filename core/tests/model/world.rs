//! The state that the model explores: masters, voters, the messages between them, and what an
//! onlooker who sees everything remembers.

use super::disk::{Disk, DiskFault, Stored};
use mdfs_core::id::{DiskId, Incarnation, RequestId, Term};
use mdfs_core::log::Window;
use mdfs_core::log::leader::{Effect, Event, Leader, LeaderSettings};
use mdfs_core::log::message::{Base, Change, Config, Entry, Put, Reply, Request};
use mdfs_core::log::mutant::Mutant;
use mdfs_core::log::persist::DurableVoter;
use mdfs_core::log::voter::VoterSettings;
use mdfs_core::time::{LogTime, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
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

/// What is explored, and what is broken.
#[derive(Clone, Debug)]
pub struct Bounds {
    pub name: &'static str,
    pub voters: u128,
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
    /// Whether messages may arrive more than once.
    pub duplicates: bool,
    /// Whether answers may be late; if not, they arrive at once or are lost.
    pub late_answers: bool,
    /// Whether voters lease themselves; without, no order but that of messages matters, and
    /// leaders believe in leases that do not exist.
    pub leases: bool,
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

/// A message under way, with its hash: most comparisons end there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Envelope {
    hash: u64,
    pub message: Message,
}

/// Who says what to whom; disks and masters by their numbers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Message {
    Request {
        from: usize,
        to: usize,
        request: Request,
    },
    Reply {
        from: usize,
        to: usize,
        reply: Reply,
    },
}

/// A master's process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Master {
    pub leader: Leader,
    /// Counts processes, so that two of them are never mistaken for one.
    pub process: u64,
    /// Reads that wait: ticket and the commit index they have to see.
    pub reads: BTreeMap<u64, u64>,
}

/// What the onlooker remembers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct History {
    /// Who led in which term.
    pub leaders: BTreeMap<Term, u64>,
    /// The committed log.
    pub committed: Vec<Committed>,
    /// The highest promise each voter ever made.
    pub promised: Vec<Term>,
    /// A read was answered in another term than the first that led.
    pub late_read: bool,
    /// The invariant that was broken.
    pub broken: Option<&'static str>,
}

/// A committed entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Committed {
    pub term: Term,
    /// The term of the leader that committed it first.
    pub by: Term,
    pub request: Option<RequestId>,
}

/// What is left of the bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Left {
    pub campaigns: u8,
    pub requests: u8,
    pub repeats: u8,
    pub reads: u8,
    pub voter_restarts: u8,
    pub master_restarts: u8,
    pub ticks: u8,
    pub looks: u8,
}

/// A state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct World {
    pub now: Timestamp,
    pub disks: Vec<Arc<Disk>>,
    pub masters: Vec<Arc<Master>>,
    pub messages: BTreeSet<Arc<Envelope>>,
    pub history: Arc<History>,
    pub left: Left,
    pub processes: u64,
    /// Of disks, masters and history, in this order.
    hashes: Vec<u64>,
}

impl Hash for World {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.now, self.left, self.processes, &self.hashes).hash(state);
        for envelope in &self.messages {
            envelope.hash.hash(state);
        }
    }
}

fn hash_of(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

pub fn disk_id(number: usize) -> DiskId {
    DiskId::from_u128(number as u128 + 1)
}

fn disk_number(id: DiskId) -> usize {
    usize::try_from(id.as_u128()).map_or(usize::MAX, |id| id.wrapping_sub(1))
}

impl Bounds {
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
            url: String::new(),
        };
        let shared = self.master_fault == Some(MasterFault::NoIncarnation);
        let incarnation = if shared { 0 } else { process };
        let mut leader = Leader::new(Incarnation(incarnation), settings, 1);
        break_rule(&mut leader, self.mutant);
        leader
    }

    fn master(&self, process: u64) -> Arc<Master> {
        Arc::new(Master {
            leader: self.leader(process),
            process,
            reads: BTreeMap::new(),
        })
    }

    pub fn all_disks(&self) -> BTreeSet<DiskId> {
        (1..=self.voters).map(DiskId::from_u128).collect()
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
                voters: self.all_disks(),
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
        let disk = Disk::start(stored, began, self.voter_settings(), self.mutant);
        let disks = match disk {
            Ok(disk) => (0..self.voters).map(|_| Arc::new(disk.clone())).collect(),
            Err(_) => Vec::new(),
        };
        let masters = (1..)
            .take(self.masters)
            .map(|process| self.master(process))
            .collect();
        World {
            now: began.plus(2 * TICK),
            disks,
            masters,
            messages: BTreeSet::new(),
            history: Arc::new(History {
                committed: vec![Committed {
                    term: founder,
                    by: founder,
                    request: None,
                }],
                promised: vec![founder; usize::try_from(self.voters).unwrap_or(0)],
                ..History::default()
            }),
            left: Left {
                campaigns: self.campaigns,
                requests: self.requests,
                repeats: self.repeats,
                reads: self.reads,
                voter_restarts: self.voter_restarts,
                master_restarts: self.master_restarts,
                ticks: self.ticks,
                looks: self.looks,
            },
            processes: self.masters as u64,
            hashes: Vec::new(),
        }
    }
}

#[cfg(feature = "mutants")]
fn break_rule(leader: &mut Leader, mutant: Option<Mutant>) {
    if let Some(mutant) = mutant {
        leader.mutate(mutant);
    }
}

#[cfg(not(feature = "mutants"))]
fn break_rule(_leader: &mut Leader, _mutant: Option<Mutant>) {}

impl Master {
    /// M3: a leader's log holds what was committed in lower terms.
    fn holds(&self, committed: &[Committed]) -> bool {
        let (Some(own), Some(last)) = (self.leader.term(), self.leader.last()) else {
            return true;
        };
        committed
            .iter()
            .zip(1..)
            .filter(|(entry, _)| entry.by < own)
            .all(|(entry, index)| {
                // Below its base a log tells no terms.
                let differs = self
                    .leader
                    .position(index)
                    .is_some_and(|at| at.term != entry.term);
                index <= last.index && !differs
            })
    }
}

impl World {
    fn broken(&mut self, invariant: &'static str) {
        let history = Arc::make_mut(&mut self.history);
        history.broken = history.broken.or(Some(invariant));
    }

    pub fn campaign(&mut self, bounds: &Bounds, master: usize) {
        self.left.campaigns -= 1;
        let now = self.now;
        let effects = Arc::make_mut(&mut self.masters[master])
            .leader
            .campaign(now, bounds.all_disks());
        self.perform(bounds, master, effects);
    }

    /// A client sends a request; false if it is refused.
    pub fn request(&mut self, bounds: &Bounds, master: usize, id: u8) -> bool {
        let now = self.now;
        let leader = &mut Arc::make_mut(&mut self.masters[master]).leader;
        let done = [b'r', id];
        let fault = bounds.master_fault;
        let seen = match fault {
            Some(MasterFault::DeduplicateCommittedOnly) => leader
                .committed()
                .is_some_and(|table| table.get(&done).is_some()),
            _ => leader.view().is_some_and(|view| view.get(&done).is_some()),
        };
        if seen {
            return false;
        }
        let puts = vec![Put {
            key: done.to_vec(),
            value: Some(vec![id]),
        }];
        let request = Some(RequestId::from_u128(u128::from(id)));
        let Ok((_, effects)) = leader.append(now, request, puts) else {
            return false;
        };
        self.perform(bounds, master, effects);
        true
    }

    pub fn read(&mut self, bounds: &Bounds, master: usize) {
        let ticket = u64::from(self.left.reads);
        self.left.reads -= 1;
        let must_see = self.history.committed.len() as u64;
        let now = self.now;
        let asked = Arc::make_mut(&mut self.masters[master]);
        asked.reads.insert(ticket, must_see);
        let effects = if bounds.master_fault == Some(MasterFault::ReadWithoutLease) {
            vec![Effect::ReadReady { ticket }]
        } else {
            asked.leader.read(now, ticket)
        };
        self.perform(bounds, master, effects);
    }

    pub fn restart_master(&mut self, bounds: &Bounds, master: usize) {
        self.left.master_restarts -= 1;
        self.processes += 1;
        self.masters[master] = bounds.master(self.processes);
    }

    pub fn restart_disk(&mut self, bounds: &Bounds, disk: usize) {
        self.left.voter_restarts -= 1;
        let (settings, now) = (bounds.voter_settings(), self.now);
        let started = Arc::make_mut(&mut self.disks[disk]).restart(
            now,
            settings,
            bounds.disk_fault,
            bounds.mutant,
        );
        if started.is_err() {
            self.broken("assertion");
        }
        self.look_at_disk(bounds, disk);
    }

    pub fn step_master(&mut self, bounds: &Bounds, master: usize, event: Event) {
        let now = self.now;
        let effects = Arc::make_mut(&mut self.masters[master])
            .leader
            .step(now, event);
        self.perform(bounds, master, effects);
    }

    pub fn deliver(&mut self, bounds: &Bounds, message: &Arc<Envelope>, answered: bool) {
        if !bounds.duplicates {
            self.messages.remove(message);
        }
        match &message.message {
            Message::Request { from, to, request } => {
                let now = self.now;
                let disk = Arc::make_mut(&mut self.disks[*to]);
                match disk.step(now, request.clone(), bounds.disk_fault) {
                    Ok(reply) if bounds.late_answers => {
                        let reply = Message::Reply {
                            from: *to,
                            to: *from,
                            reply,
                        };
                        self.post(reply);
                    }
                    Ok(reply) if answered => {
                        let event = Event::Reply {
                            from: disk_id(*to),
                            reply,
                        };
                        self.step_master(bounds, *from, event);
                    }
                    Ok(_) => {}
                    Err(_) => self.broken("assertion"),
                }
                self.look_at_disk(bounds, *to);
            }
            Message::Reply { from, to, reply } => {
                let event = Event::Reply {
                    from: disk_id(*from),
                    reply: reply.clone(),
                };
                self.step_master(bounds, *to, event);
            }
        }
    }

    fn post(&mut self, message: Message) {
        let hash = hash_of(&message);
        self.messages.insert(Arc::new(Envelope { hash, message }));
    }

    fn perform(&mut self, bounds: &Bounds, master: usize, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Send {
                    request: Request::Release { .. },
                    ..
                } if !bounds.releases => {}
                Effect::Send { to, request } => {
                    let to = disk_number(to);
                    self.post(Message::Request {
                        from: master,
                        to,
                        request,
                    });
                }
                Effect::Elected { term } => self.elected(master, term),
                Effect::Committed { up_to } => self.committed(master, up_to),
                Effect::ReadReady { ticket } => self.read_answered(master, ticket),
                Effect::ReadRefused { ticket } => {
                    Arc::make_mut(&mut self.masters[master])
                        .reads
                        .remove(&ticket);
                }
                Effect::SteppedDown { .. } => {}
                Effect::Bootstrapped { .. } | Effect::BootstrapRefused { .. } => {}
                Effect::Broken(_) => self.broken("assertion"),
            }
        }
    }

    /// M1, and M3 for a new leader.
    fn elected(&mut self, master: usize, term: Term) {
        let process = self.masters[master].process;
        let first = *Arc::make_mut(&mut self.history)
            .leaders
            .entry(term)
            .or_insert(process);
        if first != process {
            self.broken("M1");
        }
        if !self.masters[master].holds(&self.history.committed) {
            self.broken("M3");
        }
    }

    /// M3 for what two leaders commit, and M6.
    fn committed(&mut self, master: usize, up_to: u64) {
        let leader = &self.masters[master].leader;
        let mut broken = None;
        let mut committed = self.history.committed.clone();
        let by = leader.term().unwrap_or_default();
        for index in 1..=up_to {
            let Some(term) = leader.position(index).map(|own| own.term) else {
                continue;
            };
            let known = usize::try_from(index)
                .ok()
                .and_then(|index| committed.get(index - 1));
            match known {
                Some(known) if known.term != term => broken = Some("M3"),
                Some(_) => {}
                None => committed.push(Committed {
                    term,
                    by,
                    request: leader.request(index),
                }),
            }
        }
        // Leaders of higher terms may have been elected before.
        if !self.masters.iter().all(|other| other.holds(&committed)) {
            broken = Some("M3");
        }
        let requests: Vec<_> = committed.iter().filter_map(|entry| entry.request).collect();
        if requests.iter().collect::<BTreeSet<_>>().len() < requests.len() {
            broken = broken.or(Some("M6"));
        }
        Arc::make_mut(&mut self.history).committed = committed;
        if let Some(broken) = broken {
            self.broken(broken);
        }
    }

    /// M5.
    fn read_answered(&mut self, master: usize, ticket: u64) {
        let asked = Arc::make_mut(&mut self.masters[master]);
        let must_see = asked.reads.remove(&ticket).unwrap_or_default();
        let sees = asked.leader.commit().unwrap_or_default();
        let term = asked.leader.term();
        if sees < must_see {
            self.broken("M5");
        }
        if self.history.leaders.len() > 1
            && self.history.leaders.keys().next_back() == term.as_ref()
        {
            Arc::make_mut(&mut self.history).late_read = true;
        }
    }

    /// M4 for this disk, M2 for this disk and each other.
    fn look_at_disk(&mut self, bounds: &Bounds, disk: usize) {
        let own = &self.disks[disk];
        let promised = own.voter.promised();
        let entries = &own.live.voter;
        let matches = self
            .disks
            .iter()
            .all(|other| same_where_equal(entries, &other.live.voter));
        if promised < self.history.promised[disk] && bounds.check_promises {
            self.broken("M4");
        }
        if !matches {
            self.broken("M2");
        }
        if promised > self.history.promised[disk] {
            Arc::make_mut(&mut self.history).promised[disk] = promised;
        }
    }

    /// Drops messages that can change nothing any more, or only by what a lost message does too.
    pub fn sweep(&mut self, before: &Self) {
        let now = self.now;
        let moved = now != before.now;
        for (disk, old) in self.disks.iter_mut().zip(&before.disks) {
            if moved || !Arc::ptr_eq(disk, old) {
                Arc::make_mut(disk).voter.forget_past(now);
            }
        }
        for (master, old) in self.masters.iter_mut().zip(&before.masters) {
            if moved || !Arc::ptr_eq(master, old) {
                Arc::make_mut(master).leader.forget_past(now);
            }
        }
        let (masters, disks) = (&self.masters, &self.disks);
        self.messages.retain(|message| match &message.message {
            Message::Request { from, to, request } => {
                let Some(disk) = disks.get(*to) else {
                    return false;
                };
                let promised = disk.voter.promised();
                let active = masters[*from].leader.campaign_term();
                match request {
                    Request::PreVote { .. } => false,
                    Request::Prepare { term } => active == Some(*term) || promised < *term,
                    Request::Load { term, .. } => active == Some(*term),
                    Request::Append(append) => {
                        active == Some(append.term) || promised <= append.term
                    }
                    Request::Snapshot(page) => active == Some(page.term) || promised <= page.term,
                    Request::Release { term } => disk
                        .voter
                        .leader(now)
                        .is_some_and(|(held, _)| held == *term),
                }
            }
            Message::Reply { from, to, reply } => {
                if !moved
                    && Arc::ptr_eq(&masters[*to], &before.masters[*to])
                    && before.messages.contains(message)
                {
                    return true;
                }
                let leader = &masters[*to].leader;
                let mut after = leader.clone();
                let event = Event::Reply {
                    from: disk_id(*from),
                    reply: reply.clone(),
                };
                !after.step(now, event).is_empty() || after != *leader
            }
        });
        self.rehash(before);
    }

    /// Hashes the parts that changed.
    fn rehash(&mut self, before: &Self) {
        let known = |at: usize, same: bool| before.hashes.get(at).filter(|_| same).copied();
        let mut hashes = Vec::with_capacity(before.hashes.len());
        for (disk, old) in self.disks.iter().zip(&before.disks) {
            let kept = known(hashes.len(), Arc::ptr_eq(disk, old));
            hashes.push(kept.unwrap_or_else(|| hash_of(disk)));
        }
        for (master, old) in self.masters.iter().zip(&before.masters) {
            let kept = known(hashes.len(), Arc::ptr_eq(master, old));
            hashes.push(kept.unwrap_or_else(|| hash_of(master)));
        }
        let kept = known(hashes.len(), Arc::ptr_eq(&self.history, &before.history));
        hashes.push(kept.unwrap_or_else(|| hash_of(&self.history)));
        self.hashes = hashes;
    }
}

/// Two logs that agree on a place agree on everything before it, as far as both reach back.
fn same_where_equal(one: &DurableVoter, other: &DurableVoter) -> bool {
    let find = |entry: &Entry| other.entries.iter().find(|own| own.index == entry.index);
    let mut agreed = false;
    for entry in one.entries.iter().rev() {
        match find(entry) {
            Some(own) if own.term == entry.term => {
                if own != entry {
                    return false;
                }
                agreed = true;
            }
            Some(_) if agreed => return false,
            Some(_) | None => {}
        }
    }
    true
}
