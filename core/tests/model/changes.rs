//! Changes of the voters.

use super::bounds::Bounds;
use super::world::{Message, World, disk_id};
use mdfs_core::id::DiskId;
use std::collections::BTreeSet;

impl World {
    /// A leader begins to send the log to the disk that is to vote next; false if there is none.
    pub fn teach(&mut self, bounds: &Bounds, master: usize) -> bool {
        let now = self.now;
        let Some((to, present)) = self.next_voters(bounds, master) else {
            return false;
        };
        let added = to.difference(&present).copied().collect();
        self.act(bounds, master, &[], |leader| leader.teach(now, added));
        true
    }

    /// A leader changes the voters; false if it may not.
    pub fn change(&mut self, bounds: &Bounds, master: usize) -> bool {
        let now = self.now;
        let Some((to, _)) = self.next_voters(bounds, master) else {
            return false;
        };
        let mut changed = false;
        self.act(bounds, master, &[], |leader| {
            let done = leader.change_voters(now, to);
            changed = done.is_ok();
            done.map(|(_, effects)| effects).unwrap_or_default()
        });
        self.left.changes -= u8::from(changed);
        changed
    }

    /// The last founder is lost for ever, and a leader goes on without it; false if it may not.
    pub fn force(&mut self, bounds: &Bounds, master: usize) -> bool {
        let now = self.now;
        let leader = &self.masters[master].leader;
        let (Some(membership), Some(lost)) = (leader.membership(), bounds.lost_disk()) else {
            return false;
        };
        let mut survivors = membership.config.voters;
        survivors.remove(&lost);
        let mut forced = false;
        self.act(bounds, master, &[], |leader| {
            let done = leader.force_at_once(now, survivors, [lost].into());
            forced = done.is_ok();
            done.unwrap_or_default()
        });
        self.left.forces -= u8::from(forced);
        forced
    }

    /// Whether the message comes from a disk that is lost, or goes there.
    pub fn is_lost(&self, bounds: &Bounds, message: &Message) -> bool {
        let (Message::Request { to: disk, .. } | Message::Reply { from: disk, .. }) = message;
        bounds.forces > 0 && self.left.forces == 0 && bounds.lost_disk() == Some(disk_id(*disk))
    }

    /// What a leader's voters are to be next, and what they are.
    fn next_voters(
        &self,
        bounds: &Bounds,
        master: usize,
    ) -> Option<(BTreeSet<DiskId>, BTreeSet<DiskId>)> {
        let present = self.masters[master].leader.membership()?.config.voters;
        Some((bounds.next_voters(&present)?, present))
    }
}
