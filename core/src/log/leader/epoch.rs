//! Votes that may not be enough: those of disks that were given up.
//!
//! A disk that was given up does not know, and of a pair it could still elect a leader alone. Its
//! votes lead nowhere once anybody was heard of who knows ([`Leader::heard_epoch`]). A master that
//! hears of that disk alone cannot tell it from a survivor, so it first looks for the others for a
//! while ([`Leader::may_go_alone`]).

use super::Leader;
use crate::id::DiskId;
use crate::log::membership::Quorums;
use crate::log::message::Vote;
use crate::time::Timestamp;
use std::collections::BTreeMap;

/// The vote whose log is the newest one. None counts that knows of fewer forced changes of voters
/// than `epoch`: what followed the last of them is in no such log.
pub(super) fn newest(votes: &BTreeMap<DiskId, Vote>, epoch: u32) -> Option<(&DiskId, &Vote)> {
    votes
        .iter()
        .filter(|(_, vote)| counts(vote, epoch))
        .max_by_key(|(_, vote)| vote.last)
}

/// Up to here the log is committed, by the votes that count. What others know to be committed may
/// have been given up with them.
pub(super) fn committed(votes: &BTreeMap<DiskId, Vote>, epoch: u32) -> u64 {
    let counted = votes.values().filter(|vote| counts(vote, epoch));
    counted.map(|vote| vote.commit).max().unwrap_or_default()
}

fn counts(vote: &Vote, epoch: u32) -> bool {
    vote.last.index == 0 || vote.membership.config.epoch >= epoch
}

impl Leader {
    /// Voters were forced so often: said by a vote, the feed, or this master's own log.
    pub(super) fn heard_epoch(&mut self, epoch: u32) {
        self.epoch = self.epoch.max(epoch);
    }

    /// Whether this master may campaign although it hears of these voters only.
    ///
    /// Fewer than a commit takes may be those that were given up, and the others have gone on
    /// without them. Nobody else is heard of for two leases: then the others are away, as far as
    /// can be known. By then each worker has told a master that has just started where it is.
    pub(super) fn may_go_alone(
        &mut self,
        now: Timestamp,
        quorums: &Quorums,
        heard: impl Fn(DiskId) -> bool,
    ) -> bool {
        if quorums.majorities(heard) {
            self.alone_since = None;
            return true;
        }
        let since = *self.alone_since.get_or_insert(now);
        now.since(since) >= self.settings.lease.saturating_mul(2)
    }
}
