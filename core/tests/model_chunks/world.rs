//! The states, and what happens to them.

use super::Action;
use super::leader::Leader;
use super::records::{Needed, Records, What, apply, term};
use super::runs::{Bounds, Mutant};
use mdfs_core::fence;
use mdfs_core::id::Term;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What is under way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Message {
    /// A chunk, for a disk.
    Write {
        file: u8,
        disk: u8,
        term: u8,
    },
    Order {
        disk: u8,
        term: u8,
        order: Order,
    },
    Answer {
        disk: u8,
        term: u8,
        answer: Answer,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Order {
    List,
    Verify(u8),
    Copy(u8),
    Drop(BTreeSet<u8>),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Answer {
    /// The disk has this chunk durably.
    Has(u8),
    Listed(BTreeSet<u8>),
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Disk {
    pub fence: Term,
    pub durable_fence: Term,
    pub chunks: BTreeSet<u8>,
    /// The highest term that an onlooker saw it obey.
    pub obeyed: Term,
    /// In which term it lost chunks that nobody had ordered it to drop.
    pub lost: BTreeMap<u8, u8>,
}

/// Whoever stores a file: with the answers of disks, all of one term.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Upload {
    /// None before it has begun, and when it is over.
    pub term: Option<u8>,
    pub answers: BTreeSet<u8>,
}

/// What is left of the bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Left {
    pub aborts: u8,
    pub deletes: u8,
    pub empties: u8,
    pub lists: u8,
    pub copies: u8,
    pub restarts: u8,
    pub losses: u8,
    pub doubles: u8,
}

/// What an onlooker saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Seen {
    /// Files that were begun, and those that were stored.
    pub begun: u8,
    pub stored: u8,
    pub deleted: u8,
    pub dropped: bool,
    pub taken_over: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    pub committed: Arc<Records>,
    pub leaders: Vec<Leader>,
    pub disks: [Disk; 2],
    pub uploads: [Upload; 2],
    pub messages: BTreeSet<Message>,
    pub left: Left,
    pub seen: Seen,
    pub broken: Option<&'static str>,
}

impl World {
    pub fn first(bounds: &Bounds) -> Self {
        let committed = Arc::new(Records::new());
        let leader = Leader {
            term: 1,
            records: Arc::clone(&committed),
            tail: Vec::new(),
            established: true,
            asked: BTreeMap::new(),
            unneeded: BTreeSet::new(),
        };
        Self {
            committed,
            leaders: vec![leader],
            disks: Default::default(),
            uploads: Default::default(),
            messages: BTreeSet::new(),
            left: Left {
                aborts: bounds.aborts,
                deletes: bounds.deletes,
                empties: bounds.empties,
                lists: bounds.lists,
                copies: bounds.copies,
                restarts: bounds.restarts,
                losses: bounds.losses,
                doubles: bounds.doubles,
            },
            seen: Seen::default(),
            broken: None,
        }
    }

    /// One step.
    pub fn act(&mut self, bounds: &Bounds, action: Action) {
        let newest = self.leaders.len() - 1;
        match action {
            Action::Deliver(message) => {
                self.messages.remove(&message);
                self.deliver(bounds, message);
            }
            Action::Double(message) => {
                self.left.doubles -= 1;
                self.deliver(bounds, message);
            }
            Action::Begin(leader, file) => {
                // Ids are used once; files are begun in order.
                let next = usize::from(self.seen.begun) == usize::from(file);
                if next && self.append(bounds, leader, What::Begin(file)) {
                    self.seen.begun += 1;
                }
            }
            Action::Finish(leader, file) => self.finish(bounds, leader, file),
            Action::Abort(leader, file) => {
                if self.append(bounds, leader, What::Abort(file)) {
                    self.left.aborts -= 1;
                    if bounds.mutant == Some(Mutant::DropBeforeCommit) {
                        self.order_drops(leader, file);
                    }
                }
            }
            Action::Delete(leader) => {
                if self.append(bounds, leader, What::Delete) {
                    self.left.deletes -= 1;
                }
            }
            Action::Empty(leader) => {
                if self.append(bounds, leader, What::Empty) {
                    self.left.empties -= 1;
                }
            }
            Action::Commit(leader) => self.commit(leader),
            Action::Elect(inherited) => self.elect(inherited),
            Action::Establish => {
                while !self.leaders[newest].tail.is_empty() {
                    self.commit(newest);
                }
                self.leaders[newest].established = true;
            }
            Action::Ask(leader, disk) => {
                self.left.lists -= 1;
                self.leaders[leader].ask(disk);
                self.order(leader, disk, Order::List);
            }
            Action::Drop(leader, disk) => {
                let own = &mut self.leaders[leader].unneeded;
                let files = own.iter().filter(|(on, _)| *on == disk);
                let files: BTreeSet<u8> = files.map(|(_, file)| *file).collect();
                own.retain(|(on, _)| *on != disk);
                self.order(leader, disk, Order::Drop(files));
            }
            Action::Copy(leader, file, disk) => {
                let needed = Needed::by(&self.leaders[leader].records);
                if needed.has(file) && !self.disks[usize::from(disk)].chunks.contains(&file) {
                    self.left.copies -= 1;
                    self.order(leader, disk, Order::Copy(file));
                }
            }
            Action::Restart(disk) => {
                self.left.restarts -= 1;
                let disk = &mut self.disks[usize::from(disk)];
                disk.fence = disk.durable_fence;
            }
            Action::Lose(disk) => {
                let newest = self.leaders[newest].term;
                let disk = &mut self.disks[usize::from(disk)];
                if !disk.chunks.is_empty() {
                    self.left.losses -= 1;
                    let lost = std::mem::take(&mut disk.chunks).into_iter();
                    disk.lost.extend(lost.map(|file| (file, newest)));
                }
            }
        }
    }

    /// A leader appends an entry; false if there is none to append.
    fn append(&mut self, bounds: &Bounds, leader: usize, what: What) -> bool {
        let repeated = self.left.deletes < bounds.deletes;
        let own = &mut self.leaders[leader];
        let Some(entry) = own.plan(what, repeated, bounds.mutant) else {
            return false;
        };
        own.tail.push(entry);
        true
    }

    /// What a leader appended first is committed, and it acts on that.
    fn commit(&mut self, leader: usize) {
        let entry = self.leaders[leader].tail.remove(0);
        apply(Arc::make_mut(&mut self.committed), &entry.puts);
        let own = &mut self.leaders[leader];
        apply(Arc::make_mut(&mut own.records), &entry.puts);
        // What another appended, nobody waits for any more.
        let own = entry.term == own.term;
        match entry.what {
            What::Begin(file) if own => {
                self.uploads[usize::from(file)].term = Some(entry.term);
                for disk in 0..2 {
                    let term = entry.term;
                    self.messages.insert(Message::Write { file, disk, term });
                }
            }
            What::Finish(file) => {
                self.uploads[usize::from(file)].term = None;
                self.seen.stored += 1;
            }
            What::Abort(file) => {
                self.uploads[usize::from(file)] = Upload::default();
                if own {
                    self.order_drops(leader, file);
                }
            }
            What::Delete => {
                self.seen.deleted += 1;
                if self.seen.deleted > 1 {
                    self.broken = Some("M6");
                }
            }
            What::Begin(_) | What::Empty => {}
        }
    }

    fn elect(&mut self, inherited: usize) {
        let term = u8::try_from(self.leaders.len() + 1).unwrap();
        let before = &self.leaders[self.leaders.len() - 1];
        let tail = before.tail[..inherited].to_vec();
        // Nobody commits anything in an earlier term any more.
        self.leaders.push(Leader {
            term,
            records: Arc::clone(&self.committed),
            tail,
            established: false,
            asked: BTreeMap::new(),
            unneeded: BTreeSet::new(),
        });
    }

    /// Whoever stores a file asks for its commit, once enough disks have answered. A leader that
    /// may not count on the answers has the disks asked again.
    fn finish(&mut self, bounds: &Bounds, leader: usize, file: u8) {
        let upload = &mut self.uploads[usize::from(file)];
        let Some(answered) = upload.term.filter(|_| upload.answers.len() == 2) else {
            return;
        };
        let leads = self.leaders[leader].term;
        let counts = fence::counts(term(answered), term(leads))
            || bounds.mutant == Some(Mutant::OlderAnswersCount);
        if !counts {
            upload.term = Some(leads);
            upload.answers.clear();
            for disk in 0..2 {
                self.order(leader, disk, Order::Verify(file));
            }
            return;
        }
        if !self.append(bounds, leader, What::Finish(file)) {
            return;
        }
        let lacks = |disk: &Disk| {
            let lost_before = disk.lost.get(&file).is_none_or(|lost| *lost < leads);
            !disk.chunks.contains(&file) && lost_before
        };
        if self.disks.iter().any(lacks) {
            self.broken = Some("M10");
        }
        self.seen.taken_over |= leads > 1;
    }

    fn order(&mut self, leader: usize, disk: u8, order: Order) {
        let term = self.leaders[leader].term;
        self.messages.insert(Message::Order { disk, term, order });
    }

    fn order_drops(&mut self, leader: usize, file: u8) {
        for disk in 0..2 {
            self.order(leader, disk, Order::Drop([file].into()));
        }
    }

    pub fn deliver(&mut self, bounds: &Bounds, message: Message) {
        match message {
            Message::Write { file, disk, term } => {
                self.disks[usize::from(disk)].write(file, term);
                let answer = Answer::Has(file);
                self.messages.insert(Message::Answer { disk, term, answer });
            }
            Message::Order { disk, term, order } => self.obey(bounds, disk, term, order),
            Message::Answer { disk, term, answer } => match answer {
                Answer::Has(file) => {
                    let upload = &mut self.uploads[usize::from(file)];
                    if upload.term == Some(term) {
                        upload.answers.insert(disk);
                    }
                }
                Answer::Listed(files) => {
                    self.leaders[usize::from(term) - 1].judge(disk, &files, bounds.mutant);
                }
            },
        }
    }

    fn obey(&mut self, bounds: &Bounds, number: u8, ordered: u8, order: Order) {
        let source = &self.disks[1 - usize::from(number)];
        let source = source.chunks.clone();
        let disk = &mut self.disks[usize::from(number)];
        match fence::obey(disk.fence, term(ordered)) {
            Ok(fence) => disk.raise(fence, bounds.mutant),
            Err(_) if bounds.mutant == Some(Mutant::OrdersUnfenced) => {}
            Err(_) => return,
        }
        if term(ordered) < disk.obeyed {
            self.broken = Some("I6");
        }
        disk.obeyed = disk.obeyed.max(term(ordered));
        let answer = match order {
            Order::List => Answer::Listed(disk.chunks.clone()),
            Order::Verify(file) if disk.chunks.contains(&file) => Answer::Has(file),
            Order::Verify(_) => return,
            Order::Copy(file) => {
                if source.contains(&file) {
                    disk.chunks.insert(file);
                    disk.lost.remove(&file);
                }
                return;
            }
            Order::Drop(files) => {
                let needed = Needed::by(&self.committed);
                for file in files {
                    if disk.chunks.remove(&file) {
                        self.seen.dropped = true;
                        if needed.has(file) {
                            self.broken = Some("M7");
                        }
                    }
                }
                return;
            }
        };
        let (disk, term) = (number, ordered);
        self.messages.insert(Message::Answer { disk, term, answer });
    }
}

impl Disk {
    fn raise(&mut self, fence: Term, mutant: Option<Mutant>) {
        self.fence = fence;
        if mutant != Some(Mutant::FenceNotDurable) {
            self.durable_fence = fence;
        }
    }

    fn write(&mut self, file: u8, by: u8) {
        let fence = fence::admit_write(self.fence, term(by));
        (self.fence, self.durable_fence) = (fence, fence);
        self.obeyed = self.obeyed.max(term(by));
        self.chunks.insert(file);
        self.lost.remove(&file);
    }
}
