//! The state that the model explores: masters, voters, the messages between them; and what can
//! happen to them.

use super::bounds::{Bounds, Left, MasterFault};
use super::disk::Disk;
use super::history::{History, Seen};
use super::print::{Parts, bare, channel};
use mdfs_core::id::{DiskId, RequestId};
use mdfs_core::log::feed::FeedPage;
use mdfs_core::log::leader::{Effect, Event, Leader};
use mdfs_core::log::message::{Put, Reply, Request};
use mdfs_core::time::Timestamp;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// A message under way, with its hash: most comparisons end there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Envelope {
    hash: u64,
    /// The hash without the name of the disk and the number of the message.
    pub bare: u64,
    pub message: Message,
}

/// Who says what to whom; disks and masters by their numbers. `below` is what a log held up to the
/// base of the table in the message.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Message {
    Request {
        from: usize,
        to: usize,
        request: Request,
        below: Vec<Seen>,
    },
    Reply {
        from: usize,
        to: usize,
        reply: Reply,
        below: Vec<Seen>,
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
    /// What the log held up to its base: only the onlooker remembers it.
    pub below: Vec<Seen>,
}

/// A state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct World {
    pub now: Timestamp,
    pub disks: Vec<Arc<Disk>>,
    pub masters: Vec<Arc<Master>>,
    /// In order.
    pub messages: Vec<Arc<Envelope>>,
    pub history: Arc<History>,
    pub left: Left,
    pub processes: u64,
    /// By disk: disks with other roles are never mistaken for each other.
    pub roles: Arc<Vec<u64>>,
    /// The same for worlds that differ by the names of disks only.
    pub print: u64,
    /// What `print` was made from.
    pub parts: Parts,
}

impl Hash for World {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.print.hash(state);
    }
}

pub fn hash_of(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

pub fn disk_id(number: usize) -> DiskId {
    DiskId::from_u128(number as u128 + 1)
}

/// The leader counts on the lease that voters give, of no length.
fn believe_no_lease(request: &mut Request) {
    match request {
        Request::Append(append) => append.lease_millis = 0,
        Request::Snapshot(page) => page.lease_millis = 0,
        Request::PreVote { .. }
        | Request::Prepare { .. }
        | Request::Load { .. }
        | Request::Release { .. } => {}
    }
}

fn disk_number(id: DiskId) -> usize {
    usize::try_from(id.as_u128()).map_or(usize::MAX, |id| id.wrapping_sub(1))
}

impl World {
    pub fn campaign(&mut self, bounds: &Bounds, master: usize) {
        self.left.campaigns -= 1;
        let now = self.now;
        let holders = self.disks.iter().zip(bounds.all_disks());
        let holders = holders.filter(|(disk, _)| disk.voter.last().index > 0);
        let asked = holders.map(|(_, disk)| disk).collect();
        self.act(bounds, master, &[], |leader| leader.campaign(now, asked));
    }

    /// The master loads from another voter with an equal log; false if it may not.
    pub fn load_from(&mut self, master: usize, disk: usize) -> bool {
        let asked = self.messages.iter().position(|envelope| {
            matches!(&envelope.message, Message::Request { from, request: Request::Load { .. }, .. }
                if *from == master)
        });
        let Some(asked) = asked else { return false };
        let own = Arc::make_mut(&mut self.masters[master]);
        if !own.leader.load_from(disk_id(disk)) {
            return false;
        }
        let mut message = self.messages.remove(asked).message.clone();
        if let Message::Request { to, .. } = &mut message {
            *to = disk;
        }
        self.post(message);
        true
    }

    /// A client sends a request; false if it is refused.
    pub fn request(&mut self, bounds: &Bounds, master: usize, id: u8) -> bool {
        let now = self.now;
        let leader = &self.masters[master].leader;
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
        let mut taken = false;
        self.act(bounds, master, &[], |leader| {
            let appended = leader.append(now, request, puts);
            taken = appended.is_ok();
            appended.map(|(_, effects)| effects).unwrap_or_default()
        });
        taken
    }

    pub fn read(&mut self, bounds: &Bounds, master: usize) {
        let ticket = u64::from(self.left.reads);
        self.left.reads -= 1;
        let must_see = self.history.committed.len() as u64;
        let now = self.now;
        let asked = Arc::make_mut(&mut self.masters[master]);
        asked.reads.insert(ticket, must_see);
        let unleased = bounds.master_fault == Some(MasterFault::ReadWithoutLease);
        self.act(bounds, master, &[], |leader| {
            if unleased {
                vec![Effect::ReadReady { ticket }]
            } else {
                leader.read(now, ticket)
            }
        });
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
        self.act(bounds, master, &[], |leader| leader.step(now, event));
    }

    fn answer(&mut self, bounds: &Bounds, master: usize, disk: usize, reply: &Reply, log: &[Seen]) {
        let now = self.now;
        let event = Event::Reply {
            from: disk_id(disk),
            reply: reply.clone(),
        };
        self.act(bounds, master, log, |leader| leader.step(now, event));
    }

    /// A master does something; `loaded` is the log that comes to it, from its beginning.
    pub fn act(
        &mut self,
        bounds: &Bounds,
        master: usize,
        loaded: &[Seen],
        act: impl FnOnce(&mut Leader) -> Vec<Effect>,
    ) {
        let before = Arc::clone(&self.masters[master]);
        let own = Arc::make_mut(&mut self.masters[master]);
        let effects = act(&mut own.leader);
        if !bounds.warm {
            own.leader.forget_warm();
        }
        own.remember(&before, loaded);
        self.perform(bounds, master, effects);
        self.look_at_copy(master);
    }

    /// One master takes a page of the feed of another; false if there is none, or nothing in it.
    pub fn feed(&mut self, bounds: &Bounds, from: usize, to: usize) -> bool {
        let Some(page) = self.feed_page(from, to) else {
            return false;
        };
        let now = self.now;
        self.act(bounds, to, &[], |leader| leader.feed(now, page));
        true
    }

    /// What the feed of one master has for another.
    pub fn feed_page(&self, from: usize, to: usize) -> Option<FeedPage> {
        let wanted = self.masters[to].leader.feed_from()?;
        let page = self.masters[from].leader.serve_feed(&wanted)?;
        (!page.is_empty()).then_some(page)
    }

    pub fn deliver(&mut self, bounds: &Bounds, message: &Arc<Envelope>, answered: bool) {
        if !bounds.duplicates
            && let Ok(at) = self.messages.binary_search(message)
        {
            self.messages.remove(at);
        }
        match &message.message {
            Message::Request {
                from,
                to,
                request,
                below,
            } => {
                let now = self.now;
                let disk = Arc::make_mut(&mut self.disks[*to]);
                let done = disk.step(now, request.clone(), below, bounds.disk_fault);
                let below = match &done {
                    Ok(Reply::Loaded(_)) => disk.live.whole_log(),
                    _ => Vec::new(),
                };
                self.look_at_disk(bounds, *to);
                match done {
                    Ok(reply) if bounds.late_answers => {
                        let (from, to) = (*to, *from);
                        let reply = Message::Reply {
                            from,
                            to,
                            reply,
                            below,
                        };
                        self.post(reply);
                    }
                    Ok(reply) if answered => self.answer(bounds, *from, *to, &reply, &below),
                    Ok(_) => {}
                    Err(_) => self.broken("assertion"),
                }
            }
            Message::Reply {
                from,
                to,
                reply,
                below,
            } => self.answer(bounds, *to, *from, reply, below),
        }
    }

    fn post(&mut self, message: Message) {
        let envelope = Arc::new(Envelope {
            hash: hash_of(&message),
            bare: hash_of(&bare(&message)),
            message,
        });
        if let Err(at) = self.messages.binary_search(&envelope) {
            self.messages.insert(at, envelope);
        }
    }

    /// Posts a request; the oldest from that master to that voter is lost if there are too many.
    fn post_request(&mut self, bounds: &Bounds, message: Message) {
        let ends = channel(&message).map(|(ends, _)| ends);
        self.post(message);
        let own = |envelope: &Arc<Envelope>| {
            let (own, age) = channel(&envelope.message)?;
            (Some(own) == ends).then_some(age)
        };
        if ends.is_none() {
            return;
        }
        let under_way = self.messages.iter().filter_map(own);
        if under_way.clone().count() > bounds.in_flight
            && let Some(oldest) = under_way.min()
        {
            self.messages
                .retain(|envelope| own(envelope) != Some(oldest));
        }
    }

    fn perform(&mut self, bounds: &Bounds, master: usize, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Send {
                    request: Request::Release { .. },
                    ..
                } if !bounds.releases => {}
                Effect::Send { to, mut request } => {
                    let to = disk_number(to);
                    if !bounds.leases {
                        // What leaders believe is not what voters do: see there.
                        believe_no_lease(&mut request);
                    }
                    let below = match &request {
                        Request::Snapshot(page) => {
                            self.masters[master].seen_up_to(page.base.position.index)
                        }
                        _ => Vec::new(),
                    };
                    let message = Message::Request {
                        from: master,
                        to,
                        request,
                        below,
                    };
                    self.post_request(bounds, message);
                }
                Effect::Elected { term } => self.elected(master, term),
                Effect::Committed { up_to } => self.committed(master, up_to),
                Effect::ReadReady { ticket } => self.read_answered(master, ticket),
                Effect::ReadRefused { ticket } => {
                    Arc::make_mut(&mut self.masters[master])
                        .reads
                        .remove(&ticket);
                }
                Effect::SteppedDown { .. } | Effect::Copied(_) => {}
                Effect::Bootstrapped { .. } | Effect::BootstrapRefused { .. } => {}
                Effect::Broken(_) => self.broken("assertion"),
            }
        }
    }

    /// Drops messages that can change nothing any more, or only by what a lost message does too.
    pub fn sweep(&mut self, bounds: &Bounds, before: &Self) {
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
        let mut messages = std::mem::take(&mut self.messages);
        messages.retain(|envelope| !self.is_lost(bounds, &envelope.message));
        self.messages = messages;
        let (masters, disks) = (&self.masters, &self.disks);
        self.messages.retain(|message| match &message.message {
            Message::Request {
                from, to, request, ..
            } => {
                let Some(disk) = disks.get(*to) else {
                    return false;
                };
                let promised = disk.voter.promised();
                let active = masters[*from].leader.campaign_term();
                let late = bounds.late_requests;
                match request {
                    Request::PreVote { .. } => false,
                    Request::Prepare { term } => active == Some(*term) || late && promised < *term,
                    Request::Load { term, .. } => active == Some(*term),
                    Request::Append(append) => {
                        active == Some(append.term) || late && promised <= append.term
                    }
                    Request::Snapshot(page) => {
                        active == Some(page.term) || late && promised <= page.term
                    }
                    Request::Release { term } => disk
                        .voter
                        .leader(now)
                        .is_some_and(|(held, _)| held == *term),
                }
            }
            Message::Reply {
                from, to, reply, ..
            } => {
                if !moved
                    && Arc::ptr_eq(&masters[*to], &before.masters[*to])
                    && before.messages.binary_search(message).is_ok()
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
        self.fingerprint(before);
    }
}
