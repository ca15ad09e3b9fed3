//! The order to found the cluster.

use super::campaign::Waiting;
use super::{BootstrapRefusal, Effect, Leader, State};
use crate::id::DiskId;
use crate::time::{LogTime, Timestamp};
use std::collections::BTreeSet;

/// An order to found the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Order {
    pub(super) ticket: u64,
    pub(super) disks: BTreeSet<DiskId>,
    pub(super) wall: LogTime,
    /// Voters of a log before, of which nothing is left; none in a cluster that is new.
    pub(super) lost: BTreeSet<DiskId>,
    /// Above that of any log before.
    pub(super) epoch: u32,
    pub(super) expires: Timestamp,
}

impl Leader {
    pub(super) fn bootstrap(&mut self, now: Timestamp, order: Order, effects: &mut Vec<Effect>) {
        self.refuse_order(BootstrapRefusal::Superseded, effects);
        let named = order.disks.len();
        let ticket = order.ticket;
        if !(1..=5).contains(&named) {
            let refusal = BootstrapRefusal::WrongNumber { named };
            effects.push(Effect::BootstrapRefused { ticket, refusal });
            return;
        }
        if self.resigned {
            let refusal = BootstrapRefusal::Superseded;
            effects.push(Effect::BootstrapRefused { ticket, refusal });
            return;
        }
        // Long enough for a lease to run out first.
        let expires = now.plus(self.settings.lease.saturating_mul(2));
        self.order = Some(Order { expires, ..order });
        match &self.state {
            State::Waiting(_) => self.poll(now, effects),
            State::Preparing(_) | State::Loading(_) => {}
            State::Leading(_) => self.finish_order(effects),
        }
    }

    pub(super) fn refuse_order(&mut self, refusal: BootstrapRefusal, effects: &mut Vec<Effect>) {
        if let Some(order) = self.order.take() {
            effects.push(Effect::BootstrapRefused {
                ticket: order.ticket,
                refusal,
            });
        }
    }

    /// Answers the order once the log says what became of it.
    pub(super) fn finish_order(&mut self, effects: &mut Vec<Effect>) {
        let (Some(order), State::Leading(leading)) = (&self.order, &self.state) else {
            return;
        };
        let config = leading.membership().config;
        if config.voters != order.disks {
            if let Some(disk) = config.voters.first().copied() {
                self.refuse_order(BootstrapRefusal::OtherVoters { disk, config }, effects);
            }
        } else if leading.commit() > 0 {
            effects.push(Effect::Bootstrapped {
                ticket: order.ticket,
            });
            self.order = None;
        }
    }

    /// Refuses the order if a disk holds the log of another.
    pub(super) fn check_order(&mut self, effects: &mut Vec<Effect>) {
        let State::Waiting(Waiting {
            poll: Some(poll), ..
        }) = &self.state
        else {
            return;
        };
        let Some(order) = &self.order else { return };
        let other = poll
            .votes
            .iter()
            .find(|(_, vote)| vote.last.index > 0 && vote.membership.config.voters != order.disks);
        if let Some((disk, vote)) = other {
            let (disk, config) = (*disk, vote.membership.config.clone());
            self.refuse_order(BootstrapRefusal::OtherVoters { disk, config }, effects);
        }
    }

    /// The disks that an order waits for.
    pub(super) fn silent(&self) -> BTreeSet<DiskId> {
        let waited = self
            .order
            .iter()
            .flat_map(|order| order.disks.iter())
            .chain(&self.seen);
        let answered = |disk: &&DiskId| match &self.state {
            State::Waiting(waiting) => waiting
                .poll
                .as_ref()
                .is_some_and(|poll| poll.votes.contains_key(disk)),
            State::Preparing(preparing) => preparing.promises.contains_key(disk),
            State::Loading(_) | State::Leading(_) => false,
        };
        waited.filter(|disk| !answered(disk)).copied().collect()
    }
}
