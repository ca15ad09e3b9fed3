//! What the leader does by itself, on the clock.

use super::uploads::Activity;
use super::{Metadata, Now};
use crate::leader::catalog::prefix;
use mdfs_core::id::{ClusterId, DiskId, FileId};
use mdfs_core::log::message::Put;
use mdfs_core::records::plan::plan_forget_ended;
use mdfs_core::records::{Key, Kind, Outcome, REQUEST_WINDOW, UploadEnd, decode};
use mdfs_core::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How often members are compared with the disks that beat.
const MEMBERS_EVERY: Duration = Duration::from_millis(200);
/// How often old request ids are forgotten and idle uploads ended.
const CLEAN_EVERY: Duration = Duration::from_secs(10);
/// Request ids forgotten, uploads ended and files in the trash expired at a time.
pub(super) const CLEAN_AT_ONCE: usize = 256;
/// For how long at least nothing was heard of a session before it expires: a gateway that stores a
/// chunk of it is heard of every 20 s.
const SESSION_IDLE: Duration = Duration::from_secs(30);
/// It is remembered of so many sessions at most how they ended; those that ended first are forgotten first.
const MOST_ENDED: usize = 65_536;
/// Request ids looked at each time, the oldest first.
const LOOKED_AT: usize = 4096;

/// How long room is made for a chunk that was refused: until whoever sent it has tried again.
const ROOM_FOR: Duration = Duration::from_secs(30);

/// When each of it was done last.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    members: Timestamp,
    /// The cluster of the disks that the log was told of last.
    pub(super) served: Option<ClusterId>,
    /// Whether there is one now.
    pub(super) asks: bool,
    pub(super) progress: Timestamp,
    /// Disks that were mounted anew: what was announced of them is over.
    pub(super) returned: BTreeSet<DiskId>,
    cleaned: Timestamp,
    /// The trash was emptied for room.
    pub(super) made_room: Timestamp,
    /// When a chunk was last refused for want of room, and its bytes.
    refused: Option<(Timestamp, u64)>,
    /// What the log was told of who is there.
    pub(super) seen: BTreeSet<DiskId>,
    /// The version of the directory that this follows from.
    pub(super) seen_in: Option<u64>,
    /// A change of members waits for its commit, at this index.
    pub(super) membership: bool,
    /// Blank disks that were asked to join, and when.
    pub(super) adopting: BTreeMap<DiskId, Timestamp>,
    pub(super) membership_index: u64,
}

impl Schedule {
    /// A chunk of so many bytes was refused for want of room.
    pub(super) fn want_room(&mut self, now: Timestamp, bytes: u64) {
        let still = self.room_wanted(now).unwrap_or(0);
        self.refused = Some((now, bytes.max(still)));
    }

    /// The bytes of the largest chunk that was refused lately for want of room.
    pub(super) fn room_wanted(&self, now: Timestamp) -> Option<u64> {
        let (at, bytes) = self.refused?;
        (now.since(at) < ROOM_FOR).then_some(bytes)
    }
}

impl Metadata {
    pub(super) fn upkeep(&mut self, now: Now) {
        self.go_on_founding(now);
        self.go_on_recovering(now);
        let committed = self.log.commit().unwrap_or(u64::MAX);
        if self.upkeep.membership && committed >= self.upkeep.membership_index {
            self.upkeep.membership = false;
        }
        if now.mono.since(self.upkeep.members) >= MEMBERS_EVERY {
            self.upkeep.members = now.mono;
            self.update_members(now);
            self.look_at_voters(now);
            self.look_at_formats(now);
            self.retire_emptied(now);
            self.lower(now);
        }
        self.settle_retirement(now);
        self.give_up_retirement(now);
        self.look_at_progress(now);
        if now.mono.since(self.upkeep.cleaned) >= CLEAN_EVERY {
            let (forgotten, ended) = (self.forget_requests(now), self.end_idle_uploads(now));
            let (expired, remembered) = (self.expire_trash(now), self.forget_ended(now));
            // When there was more than goes at once, it goes on with the next tick.
            if forgotten.max(ended).max(expired).max(remembered) < CLEAN_AT_ONCE {
                self.upkeep.cleaned = now.mono;
            }
            let fleet = &self.fleet;
            let adopting = &mut self.upkeep.adopting;
            adopting.retain(|&disk, _| fleet.get(disk).is_some());
            let members = &self.catalog.members;
            self.fleet
                .forget_strangers(now.mono, |disk| members.contains_key(&disk));
        }
        self.move_partitions(now);
        self.search(now);
        self.make_room(now);
    }

    /// Removes the outcomes of requests that nobody may repeat any more. Returns how many.
    fn forget_requests(&mut self, now: Now) -> usize {
        let (Some(at), Ok(view)) = (self.next(now), self.view()) else {
            return 0;
        };
        if self.established.is_none() || !self.log.can_write(now.mono) {
            return 0;
        }
        let is_old = |key: &[u8], value: &[u8]| {
            let Ok(Key::Request(request)) = Key::from_bytes(key) else {
                return false;
            };
            let known_since = match decode::<Outcome>(value) {
                // A repeat of a long upload is recognised for as long as it is open.
                Ok(Outcome::Begun(file)) if self.planned.uploads.contains_key(&file) => {
                    return false;
                }
                Ok(Outcome::Stored(_, record)) => record.modified.max(request.issued_at()),
                Ok(
                    Outcome::Begun(_) | Outcome::Deleted | Outcome::Purged | Outcome::Refused(_),
                ) => request.issued_at(),
                Err(_) => return false,
            };
            at.time.since(known_since) > REQUEST_WINDOW
        };
        let puts: Vec<Put> = view
            .range(&prefix(Kind::Request), None)
            .take(LOOKED_AT)
            .filter(|(key, value)| is_old(key, value))
            .take(CLEAN_AT_ONCE)
            .map(|(key, _)| Put {
                key: key.to_vec(),
                value: None,
            })
            .collect();
        let old = puts.len();
        if old > 0 {
            // Refused: tried again next time.
            let deadline = now.mono.plus(self.settings.hold);
            let _ = self.append(now, deadline, None, puts, Vec::new(), Box::new(|_| ()));
        }
        old
    }

    /// Ends uploads that nobody goes on with: their gateway is gone, or their time has come. Returns
    /// how many.
    fn end_idle_uploads(&mut self, now: Now) -> usize {
        let (Some(at), true) = (self.next(now), self.log.can_write(now.mono)) else {
            return 0;
        };
        if self.established.is_none() {
            return 0;
        }
        let ends = |(file, activity): &(&FileId, &Activity)| {
            let idle = now.mono.since(activity.last);
            let known = self.planned.uploads.get(file);
            match known.and_then(|upload| Some((upload.session?, upload.expires()?))) {
                // A chunk may be on its way that is not recorded yet.
                Some((session, expires)) => {
                    at.time >= expires && idle >= SESSION_IDLE.min(session.expires_after)
                }
                None => idle >= self.settings.upload_idle,
            }
        };
        let idle: Vec<FileId> = self
            .uploads
            .iter()
            .filter(ends)
            .map(|(&file, _)| file)
            .take(CLEAN_AT_ONCE)
            .collect();
        let found = idle.len();
        for file in idle {
            let Some(term) = self.log.term() else { break };
            let Ok(planned) = self.plan_abort(now, file, UploadEnd::Expired) else {
                break;
            };
            let drop = self.drop_of(file, term);
            if !planned.answer {
                self.uploads.remove(&file);
                continue;
            }
            let deadline = now.mono.plus(self.settings.hold);
            tracing::info!(%file, "ending an idle upload");
            let _ = self.append(
                now,
                deadline,
                None,
                planned.puts,
                vec![drop],
                Box::new(|_| ()),
            );
        }
        found
    }

    /// Forgets how sessions ended that ended long ago. Returns how many.
    fn forget_ended(&mut self, now: Now) -> usize {
        let (Some(at), true) = (self.next(now), self.log.can_write(now.mono)) else {
            return 0;
        };
        if self.established.is_none() {
            return 0;
        }
        // What somebody ended during a recovery is not to come back by it.
        let recovers = self.recovers();
        let ended = &self.planned.ended;
        let too_many = ended.len().saturating_sub(MOST_ENDED);
        let old = ended
            .iter()
            .enumerate()
            .take_while(|(n, (ended, _))| {
                let old = at.time.since(*ended) >= self.settings.keep_ended;
                *n < too_many || (old && !recovers)
            })
            .take(CLEAN_AT_ONCE)
            .map(|(_, &(_, file))| file);
        let puts = plan_forget_ended(old).puts;
        let forgotten = puts.len();
        if forgotten > 0 {
            // Refused: tried again next time.
            let deadline = now.mono.plus(self.settings.hold);
            let _ = self.append(now, deadline, None, puts, Vec::new(), Box::new(|_| ()));
        }
        forgotten
    }
}
