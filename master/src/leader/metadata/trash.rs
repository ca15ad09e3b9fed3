//! The trash: what comes back from it, what is purged, and what ends by itself.

use super::super::catalog::prefix;
use super::super::command::{Delete, FileInfo, ListTrash, TrashPage, TrashedFile, Undelete};
use super::super::handle::Answer;
use super::upkeep::CLEAN_AT_ONCE;
use super::{Metadata, Now, respond};
use crate::error::Error;
use mdfs_core::detect::Liveness;
use mdfs_core::id::FileId;
use mdfs_core::records::plan::{
    Refusal, Stored, Trashed, plan_expire, plan_purge_name, plan_undelete,
};
use mdfs_core::records::{Corrupt, Key, Kind, TrashRecord, decode};
use mdfs_core::time::{LogTime, Timestamp};
use mdfs_protocol::internal::DiskState;
use std::time::Duration;

/// Files that end at a time, whatever their age, while a disk is full: few, because it takes a
/// moment until disks have dropped their chunks and tell of the room.
const ROOM_AT_ONCE: usize = 16;
/// Records of the trash looked at for one page: those of other folders cost time too.
pub(super) const LOOKED_AT: usize = 2000;
/// The least time between two such ends.
const ROOM_EVERY: Duration = Duration::from_secs(2);

impl Metadata {
    pub(super) fn undelete(
        &mut self,
        now: Now,
        deadline: Timestamp,
        undelete: Undelete,
        answer: Answer<FileInfo>,
    ) {
        let Undelete { request, name } = undelete;
        let planned = self.next(now).ok_or(Error::NoLeader).and_then(|at| {
            let newest = self.trash.newest(&name);
            Ok(plan_undelete(&self.view()?, request, &name, newest, at)?)
        });
        let convert = |Stored { name, record }| FileInfo { name, record };
        self.carry_out(now, deadline, request, planned, answer, Vec::new(), convert);
    }

    /// Disks are not told: what they hold is compared with the records, and what nobody needs goes.
    pub(super) fn purge(
        &mut self,
        now: Now,
        deadline: Timestamp,
        delete: Delete,
        answer: Answer<()>,
    ) {
        let Delete {
            request,
            name,
            precondition,
        } = delete;
        let planned = self.next(now).ok_or(Error::NoLeader).and_then(|at| {
            let newest = self.trash.newest(&name);
            let view = self.view()?;
            Ok(plan_purge_name(
                &view,
                request,
                &name,
                &precondition,
                newest,
                at,
            )?)
        });
        self.carry_out(now, deadline, request, planned, answer, Vec::new(), |()| ());
    }

    pub(super) fn list_trash(
        &mut self,
        now: Now,
        deadline: Timestamp,
        list: ListTrash,
        answer: Answer<TrashPage>,
    ) {
        let read = move |metadata: Result<&Metadata, Error>, now| {
            respond(
                answer,
                metadata.and_then(|metadata| metadata.trash_page(now, &list)),
            );
        };
        self.read(now, deadline, Box::new(read));
    }

    fn trash_page(&self, now: Now, list: &ListTrash) -> Result<TrashPage, Error> {
        let table = self.log.committed().ok_or(Error::NoLeader)?;
        let mut page = TrashPage {
            log_time: self.log.log_time(now.mono).unwrap_or_default(),
            ..TrashPage::default()
        };
        let after = list.after.map(|place| place.key().to_bytes());
        let mut last = None;
        let tag = prefix(Kind::Trash);
        let records = table.range(&tag, after.as_deref());
        for (number, (key, value)) in records.enumerate() {
            // The page is cut before the first file that does not fit.
            if page.files.len() >= list.limit || number >= LOOKED_AT {
                page.next = last;
                break;
            }
            let place = place_of(key).map_err(Refusal::from)?;
            let TrashRecord { name, file } = decode(value).map_err(Refusal::from)?;
            if !name.as_str().starts_with(&list.prefix) {
                last = Some(behind(place));
                continue;
            }
            last = Some(place);
            page.files.push(TrashedFile {
                deleted: place.deleted,
                info: self.told(name, file),
            });
        }
        Ok(page)
    }

    /// Ends what has been in the trash for longer than it is kept. Returns how many.
    pub(super) fn expire_trash(&mut self, now: Now) -> usize {
        let Some(at) = self.next(now).filter(|_| self.may_destroy(now)) else {
            return 0;
        };
        let keep = u64::try_from(self.trash_keep().as_millis()).unwrap_or(u64::MAX);
        let before = LogTime::from_millis(at.time.as_millis().saturating_sub(keep));
        self.expire(now, before, CLEAN_AT_ONCE)
    }

    /// Ends what has been in the trash for longest while the disk of a live member is full.
    pub(super) fn make_room(&mut self, now: Now) {
        // What was ended before has to be dropped first, or it all ends for nothing.
        let waits = self.mover.drops_anything() || !self.may_drop(now, &self.reachable(now));
        let soon = now.mono.since(self.upkeep.made_room) < ROOM_EVERY;
        if soon || waits || !self.a_disk_is_full(now) {
            return;
        }
        self.upkeep.made_room = now.mono;
        let ended = self.expire(now, LogTime::from_millis(u64::MAX), ROOM_AT_ONCE);
        if ended > 0 {
            tracing::warn!(
                files = ended,
                "a disk is full: the oldest of the trash ends"
            );
        }
    }

    /// Whether a disk that takes chunks, and drops them when it is told to, has no room for more, or not
    /// for a chunk that was refused lately. One that is to leave needs none.
    fn a_disk_is_full(&self, now: Now) -> bool {
        let least = self.upkeep.room_wanted(now.mono).unwrap_or(1);
        self.catalog.members.keys().any(|&disk| {
            self.catalog.accepts(disk)
                && self.fleet.liveness(disk, now.mono) == Liveness::Live
                && self.fleet.get(disk).is_some_and(|observed| {
                    observed.beat.free_bytes < least && observed.beat.state == DiskState::Healthy
                })
        })
    }

    /// Ends up to `most` files that came into the trash before a log time, the oldest first.
    /// Returns how many.
    fn expire(&mut self, now: Now, before: LogTime, most: usize) -> usize {
        if self.established.is_none() || !self.log.can_write(now.mono) {
            return 0;
        }
        let Ok(view) = self.view() else { return 0 };
        let tag = prefix(Kind::Trash);
        let keys = view.range(&tag, None).map(|(key, _)| key);
        let Ok(planned) = plan_expire(keys, before, most) else {
            return 0;
        };
        if planned.answer > 0 {
            // Refused: tried again next time.
            let deadline = now.mono.plus(self.settings.hold);
            let _ = self.append(
                now,
                deadline,
                None,
                planned.puts,
                Vec::new(),
                Box::new(|_| ()),
            );
        }
        planned.answer
    }
}

/// A place behind a file that is not shown and before the next one, which does not tell the file's id:
/// ids are random, and no two share so many bits at one time.
fn behind(place: Trashed) -> Trashed {
    let file = FileId::from_u128(place.file.as_u128() | u128::MAX >> 64);
    Trashed { file, ..place }
}

fn place_of(key: &[u8]) -> Result<Trashed, Corrupt> {
    match Key::from_bytes(key)? {
        Key::Trash(deleted, file) => Ok(Trashed { deleted, file }),
        other => Err(Corrupt::Key(other.to_bytes())),
    }
}
