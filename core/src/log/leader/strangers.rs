//! Voters that turn out to be of another cluster than this master's.
//!
//! A master that nobody told which cluster it serves takes the word of the disks that it hears of. Those
//! of two clusters do not agree, and the first that it heard of may have been strangers.

use super::campaign::Waiting;
use super::{Effect, Leader, State};
use crate::id::Term;
use crate::time::Timestamp;

impl Leader {
    /// Gives up a campaign, forgets who leads and who votes, and asks nobody before it is told of disks
    /// anew: it is not known any more of which cluster they are. Does nothing to a master that leads or has
    /// a copy of all records.
    pub fn doubt_voters(&mut self, now: Timestamp) -> Vec<Effect> {
        let mut effects = Vec::new();
        if self.is_warm() {
            return effects;
        }
        self.step_down(now, &mut effects);
        self.state = State::Waiting(Waiting::at(now.plus(self.jitter())));
        self.alone_since = None;
        self.seen.clear();
        self.members.clear();
        self.leader_url = None;
        self.leader_term = Term::default();
        self.vouched = None;
        effects
    }

    /// Forgets what voters said was given up too, as they are of another cluster. Terms go on from where
    /// they were: none is used twice.
    pub fn forget_voters(&mut self, now: Timestamp) -> Vec<Effect> {
        let effects = self.doubt_voters(now);
        if !self.is_warm() {
            self.epoch = 0;
        }
        effects
    }
}
