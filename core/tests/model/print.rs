//! Fingerprints of states. Voters are interchangeable: worlds that differ only by which disk has
//! which name get one fingerprint. So do worlds that differ by the numbers of messages, of which
//! only matters whether an answer is the one that is waited for, and what was sent before a read.

use super::world::{Message, World, disk_id, hash_of};
use mdfs_core::id::Term;
use mdfs_core::log::message::{Reply, Request};
use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;

/// Hashes of the parts of a world, so that those that do not change are not hashed again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// By disk.
    disks: Vec<u64>,
    /// By master: what does not depend on the names of disks.
    masters: Vec<u64>,
    /// By master, by disk: what the master knows of the disk.
    known: Vec<u64>,
    history: u64,
}

impl World {
    /// Sets the fingerprint, and the hashes of the parts that changed since `before`.
    pub fn fingerprint(&mut self, before: &Self) {
        let count = self.disks.len();
        let first = before.parts.disks.is_empty();
        for (at, (disk, old)) in self.disks.iter().zip(&before.disks).enumerate() {
            if first {
                self.parts.disks.push(hash_of(disk));
            } else if !Arc::ptr_eq(disk, old) {
                self.parts.disks[at] = hash_of(disk);
            }
        }
        for (at, (master, old)) in self.masters.iter().zip(&before.masters).enumerate() {
            if !first && Arc::ptr_eq(master, old) {
                continue;
            }
            let mut rest = DefaultHasher::new();
            rest.write_u64(hash_of(&(&master.process, &master.reads, &master.below)));
            master.leader.hash_rest(&mut rest);
            let known = (0..count).map(|disk| {
                let mut known = DefaultHasher::new();
                master.leader.hash_disk(disk_id(disk), &mut known);
                known.finish()
            });
            if first {
                self.parts.masters.push(rest.finish());
                self.parts.known.extend(known);
            } else {
                self.parts.masters[at] = rest.finish();
                for (disk, known) in known.enumerate() {
                    self.parts.known[at * count + disk] = known;
                }
            }
        }
        if first || !Arc::ptr_eq(&self.history, &before.history) {
            self.parts.history = self.history.hash_unnamed();
        }
        let mut about: Vec<_> = (0..count).map(|disk| self.about(disk)).collect();
        about.sort_unstable();
        let Self {
            now,
            left,
            processes,
            parts,
            ..
        } = self;
        let unnamed = (&*now, &*left, &*processes, &parts.masters, &parts.history);
        self.print = hash_of(&(unnamed, about));
    }

    /// A fingerprint that keeps names and numbers apart.
    pub fn identity(&self) -> u64 {
        hash_of(&(
            (self.now, self.left, self.processes),
            (&self.disks, &self.masters),
            (&self.messages, &self.history),
        ))
    }

    /// The hash of all that is about one disk, but for its name.
    fn about(&self, disk: usize) -> u64 {
        let count = self.disks.len();
        let mut messages: Vec<_> = Vec::with_capacity(self.messages.len());
        for envelope in &self.messages {
            let (own, master) = ends(&envelope.message);
            if own == disk {
                let numbered = numbered(&envelope.message);
                let awaited = numbered.is_some_and(|(term, send)| {
                    self.masters[master]
                        .leader
                        .awaits(disk_id(disk), term, send)
                });
                messages.push((envelope.bare, awaited));
            }
        }
        messages.sort_unstable();
        let masters = 0..self.masters.len();
        let known: Vec<_> = masters
            .map(|master| self.parts.known[master * count + disk])
            .collect();
        let own = self.parts.disks[disk];
        let role = self.roles[disk];
        hash_of(&(role, own, known, messages, self.history.promised[disk]))
    }
}

/// The disk, and the master.
fn ends(message: &Message) -> (usize, usize) {
    match message {
        Message::Request { from, to, .. } => (*to, *from),
        Message::Reply { from, to, .. } => (*from, *to),
    }
}

/// Term and number, where answers are matched with what was sent by them.
fn numbered(message: &Message) -> Option<(Term, u64)> {
    match message {
        Message::Request { request, .. } => match request {
            Request::Append(append) => Some((append.term, append.send)),
            Request::Snapshot(page) => Some((page.term, page.send)),
            _ => None,
        },
        Message::Reply { reply, .. } => match reply {
            Reply::Appended { term, send, .. }
            | Reply::Mismatch { term, send, .. }
            | Reply::Staged { term, send, .. } => Some((*term, *send)),
            _ => None,
        },
    }
}

/// The message without the name of the disk, and without its number.
pub fn bare(message: &Message) -> Message {
    let mut message = message.clone();
    match &mut message {
        Message::Request { to, request, .. } => {
            *to = 0;
            match request {
                Request::Append(append) => append.send = 0,
                Request::Snapshot(page) => page.send = 0,
                _ => {}
            }
        }
        Message::Reply { from, reply, .. } => {
            *from = 0;
            match reply {
                Reply::Appended { send, .. }
                | Reply::Mismatch { send, .. }
                | Reply::Staged { send, .. }
                // Leaders mind only its term; and there is one Load a term.
                | Reply::Refused { send, .. } => *send = 0,
                _ => {}
            }
        }
    }
    message
}

/// Master and voter.
pub type Ends = (usize, usize);

/// Term, kind, and number.
pub type Age = (Term, u8, u64);

/// Who asks whom; and what orders the requests between the two by age. Load does not count: a
/// master has one under way at most, and which voter it goes to must not matter.
pub fn channel(message: &Message) -> Option<(Ends, Age)> {
    let Message::Request {
        from, to, request, ..
    } = message
    else {
        return None;
    };
    let age = match request {
        Request::Load { .. } => return None,
        Request::PreVote { term } | Request::Prepare { term } => (*term, 0, 0),
        Request::Append(append) => (append.term, 1, append.send),
        Request::Snapshot(page) => (page.term, 1, page.send),
        Request::Release { term } => (*term, 2, 0),
    };
    Some(((*from, *to), age))
}
