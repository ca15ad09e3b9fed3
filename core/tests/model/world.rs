//! The state that the model explores: masters, voters, the messages between them; and what can
//! happen to them.

use super::bounds::{Bounds, Left, MasterFault};
use super::disk::Disk;
use super::history::History;
use mdfs_core::id::{DiskId, RequestId};
use mdfs_core::log::leader::{Effect, Event, Leader};
use mdfs_core::log::message::{Put, Reply, Request};
use mdfs_core::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

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
    pub hashes: Vec<u64>,
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

impl World {
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
