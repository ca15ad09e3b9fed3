//! What comes of a state if nothing more goes wrong.

use super::Action;
use super::records::{Needed, number_of};
use super::runs::Bounds;
use super::world::{Left, World};
use std::collections::BTreeSet;

/// Messages beget answers, and these no messages.
const ROUNDS: usize = 3;

impl World {
    /// Whether the newest leader, undisturbed, brings both disks to hold what the records want, and
    /// nothing else. Whoever stores something has gone.
    pub fn settles(&self, bounds: &Bounds) -> bool {
        let mut world = self.clone();
        let newest = world.leaders.len() - 1;
        world.left = Left {
            aborts: bounds.files,
            lists: 2,
            copies: 2 * bounds.files,
            ..world.left
        };
        world.deliver_all(bounds);
        if !world.leaders[newest].established {
            world.act(bounds, Action::Establish);
        }
        world.commit_all(bounds, newest);
        for file in 0..bounds.files {
            world.act(bounds, Action::Abort(newest, file));
            world.commit_all(bounds, newest);
        }
        world.deliver_all(bounds);
        for disk in 0..2 {
            // What was asked for before and is lost is given up.
            world.leaders[newest].asked.clear();
            world.act(bounds, Action::Ask(newest, disk));
            world.deliver_all(bounds);
            world.act(bounds, Action::Drop(newest, disk));
            for file in 0..bounds.files {
                world.act(bounds, Action::Copy(newest, file, disk));
            }
            world.deliver_all(bounds);
        }
        for file in 0..bounds.files {
            world.act(bounds, Action::Copy(newest, file, 0));
        }
        world.deliver_all(bounds);
        if world.broken.is_some() {
            // That is seen where it happens.
            return true;
        }
        let needed = Needed::by(&world.committed);
        let files = needed.files.iter().map(|record| number_of(record.file));
        let files: BTreeSet<u8> = files.collect();
        let whole = |held: &BTreeSet<u8>| *held == files;
        needed.uploads.is_empty() && world.disks.iter().all(|disk| whole(&disk.chunks))
    }

    fn deliver_all(&mut self, bounds: &Bounds) {
        for _ in 0..ROUNDS {
            // Those of the leader before have been under way for long.
            for message in std::mem::take(&mut self.messages) {
                self.deliver(bounds, message);
            }
        }
    }

    fn commit_all(&mut self, bounds: &Bounds, leader: usize) {
        while !self.leaders[leader].tail.is_empty() {
            self.act(bounds, Action::Commit(leader));
        }
    }
}
