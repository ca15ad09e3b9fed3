//! Snapshot: the whole table in pages, for a voter that the leader's log no longer reaches.

use super::Voter;
use crate::log::message::{Position, Reply, SnapshotPage};
use crate::log::persist::{Output, Persist};
use crate::time::Timestamp;

/// The pages received so far. They are in the driver's `staged` table; a restart or a higher term
/// forgets them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Staging {
    position: Position,
    next_page: u64,
}

impl Voter {
    pub(super) fn snapshot(&mut self, now: Timestamp, page: SnapshotPage) -> Output {
        let SnapshotPage {
            term,
            base,
            epoch,
            page,
            records,
            last,
            send,
            leader_url,
            lease_millis,
        } = page;
        if let Some(refusal) = self.other_span(term, send, lease_millis) {
            return Output::answer(refusal);
        }
        let position = base.position;
        let mut persist = Persist::default();
        // Every page is tested, so the promise is checked right before the swap too.
        if !self.admit(now, term, epoch, leader_url, &mut persist) {
            return Output::answer(self.refused_append(now, term, epoch, send));
        }
        let higher = self.higher;
        if position.index <= self.commit {
            let reply = Reply::Appended {
                term,
                index: position.index,
                send,
                higher,
            };
            return Output::with(persist, reply);
        }
        let wanted = match &self.staging {
            Some(staging) if staging.position == position => staging.next_page,
            Some(_) | None => 0,
        };
        if page != 0 && page != wanted {
            let reply = Reply::Staged {
                term,
                next_page: wanted,
                send,
                higher,
            };
            return Output::with(persist, reply);
        }
        persist.clear_staged = page == 0;
        persist.stage = records;
        if !last {
            let next_page = page.saturating_add(1);
            self.staging = Some(Staging {
                position,
                next_page,
            });
            return Output::with(
                persist,
                Reply::Staged {
                    term,
                    next_page,
                    send,
                    higher,
                },
            );
        }
        self.staging = None;
        // What follows a matching entry may be committed on the strength of this voter: it stays.
        if self.log.position(position.index) != Some(position) {
            self.log.cut_from(position.index);
            persist.cut_from = Some(position.index);
        }
        self.log.rebase(base.clone());
        persist.install = true;
        persist.base = Some(base);
        persist.applied = Some(position.index);
        persist.sync = true;
        self.applied = position.index;
        self.commit = self.commit.max(position.index);
        Output::with(
            persist,
            Reply::Appended {
                term,
                index: position.index,
                send,
                higher,
            },
        )
    }
}
