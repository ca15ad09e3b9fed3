//! What is sent to the voters, and when: at most one message to each is under way, and all that
//! gathered meanwhile goes with the next.

use super::leading::Leading;
use super::peer::{Flight, Sending};
use super::{Effect, LeaderSettings};
use crate::id::DiskId;
use crate::log::entries::Window;
use crate::log::message::{Append, Request, SnapshotPage};
use crate::time::Timestamp;
use std::time::Duration;

/// How long a voter is left alone after a send to it failed.
const PAUSE: Duration = Duration::from_millis(100);

/// How soon voters hear of a commit when nothing else is to be sent.
const TELL_COMMIT: Duration = Duration::from_millis(100);

impl Leading {
    pub(super) fn tick(
        &mut self,
        now: Timestamp,
        settings: &LeaderSettings,
        effects: &mut Vec<Effect>,
    ) {
        self.open(now);
        self.serve_reads(now, effects);
        self.pump(now, settings, effects);
    }

    pub(super) fn unreachable(&mut self, now: Timestamp, disk: DiskId, settings: &LeaderSettings) {
        if let Some(peer) = self.peers.get_mut(&disk) {
            peer.in_flight = None;
            peer.silent_since = peer.silent_since.or(Some(now));
            peer.pause_until = now.plus(PAUSE.min(settings.heartbeat));
        }
    }

    /// Commits go out soon, for masters that take over want to know them.
    pub(super) fn hasten(&mut self, now: Timestamp) {
        for peer in self.peers.values_mut() {
            peer.due = peer.due.min(now.plus(TELL_COMMIT));
        }
    }

    /// Sends to everybody who has nothing under way and should get something.
    pub(super) fn pump(
        &mut self,
        now: Timestamp,
        settings: &LeaderSettings,
        effects: &mut Vec<Effect>,
    ) {
        self.trim(settings.window);
        let last = self.log.last().index;
        let newest_read = self.reads.back().map(|read| read.after);
        let disks: Vec<DiskId> = self.peers.keys().copied().collect();
        for disk in disks {
            let opened = self.first_own.is_some();
            let Some(peer) = self.peers.get_mut(&disk) else {
                continue;
            };
            // An answer that comes later than that renews no lease.
            let lost = |flight: &Flight| now.since(flight.at) >= settings.lease / 2;
            if peer.in_flight.as_ref().is_some_and(lost) {
                peer.in_flight = None;
            }
            if peer.in_flight.is_some() || now < peer.pause_until {
                continue;
            }
            let behind = opened && peer.next <= last;
            let asked = newest_read.is_some_and(|after| peer.answered <= after);
            if behind || asked || now >= peer.due {
                peer.due = now.plus(settings.heartbeat);
                self.send_to(now, disk, settings, effects);
            }
        }
    }

    fn send_to(
        &mut self,
        now: Timestamp,
        disk: DiskId,
        settings: &LeaderSettings,
        effects: &mut Vec<Effect>,
    ) {
        let opened = self.first_own.is_some();
        let base = self.log.base().position.index;
        let Some(peer) = self.peers.get_mut(&disk) else {
            return;
        };
        self.sends += 1;
        let send = self.sends;
        let reaches = !opened || peer.next > base;
        if peer.snapshot.is_none() && !reaches {
            let Some(base) = self.log.base_at(self.commit) else {
                return;
            };
            peer.snapshot = Some(Sending::new(self.table.clone(), base));
        }
        let (request, previous) = match &mut peer.snapshot {
            Some(sending) => {
                let (records, more) = sending
                    .table
                    .page(sending.after.as_deref(), settings.page_bytes);
                sending.page_end = records.last().map(|(key, _)| key.clone());
                let page = SnapshotPage {
                    term: self.term,
                    base: sending.base.clone(),
                    epoch: self.log.config().epoch,
                    page: sending.page,
                    records,
                    last: !more,
                    send,
                    leader_url: settings.url.clone(),
                    lease_millis: settings.lease_millis(),
                };
                (Request::Snapshot(page), sending.base.position.index)
            }
            None => {
                let before = if opened {
                    peer.next.saturating_sub(1)
                } else {
                    u64::MAX
                };
                let previous = self.log.position(before).unwrap_or_else(|| self.log.last());
                let entries = if opened {
                    self.log.page(previous.index, settings.page_bytes)
                } else {
                    Vec::new()
                };
                let append = Append {
                    term: self.term,
                    previous,
                    entries,
                    commit: self.commit,
                    epoch: self.log.config().epoch,
                    send,
                    leader_url: settings.url.clone(),
                    lease_millis: settings.lease_millis(),
                };
                (Request::Append(append), previous.index)
            }
        };
        peer.in_flight = Some(Flight {
            send,
            at: now,
            previous,
        });
        effects.push(Effect::Send { to: disk, request });
    }

    /// Forgets old entries; more slowly while a table is under way, whose receiver needs what
    /// follows it.
    fn trim(&mut self, window: Window) {
        let sending = self.peers.values().any(|peer| peer.snapshot.is_some());
        let factor = if sending { 4 } else { 1 };
        let window = Window {
            entries: window.entries.saturating_mul(factor),
            bytes: window.bytes.saturating_mul(factor),
        };
        self.log.trim(self.commit, window);
    }
}
