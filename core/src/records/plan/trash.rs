//! Undelete, Purge, and the end of what was in the trash for long.
//!
//! Records in the trash stand by age, so whoever keeps an index of their names says where the newest
//! one of a name is.

use super::policy::recovers;
use super::upload::{check, ended};
use super::{At, Planned, Refusal, Stored, earlier, remember};
use crate::id::{FileId, RequestId};
use crate::name::FileName;
use crate::records::{
    FileRecord, Key, Lookup, Outcome, Precondition, TrashRecord, UploadEnd, get, put, remove,
};
use crate::time::LogTime;
use serde::{Deserialize, Serialize};

/// Where a record stands in the trash. Sorts by age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Trashed {
    /// When it came there.
    pub deleted: LogTime,
    /// Which bytes it names.
    pub file: FileId,
}

impl Trashed {
    /// The key of the record.
    pub const fn key(self) -> Key {
        Key::Trash(self.deleted, self.file)
    }
}

/// Plans an undelete: the newest file of that name in the trash, which stands at `newest`, gets its
/// name back. It becomes a new version; its bytes, entity tag and date stay what they were.
///
/// # Errors
/// If a file has the name now, none of that name is in the trash, or the request id is not usable.
pub fn plan_undelete(
    records: &impl Lookup,
    request: Option<RequestId>,
    name: &FileName,
    newest: Option<Trashed>,
    at: At,
) -> Result<Planned<Stored>, Refusal> {
    match (earlier(records, request, &[name], at.time)?, request) {
        (None, _) | (Some(_), None) => {}
        (Some(Outcome::Stored(stored, record)), _) if stored == *name => {
            let answer = Stored {
                name: stored,
                record: *record,
            };
            return Ok(Planned {
                puts: Vec::new(),
                answer,
            });
        }
        (Some(_), Some(request)) => return Err(Refusal::RequestReused(request)),
    }
    if get::<FileRecord>(records, &Key::File(name.clone()))?.is_some() {
        return Err(Refusal::NameTaken(name.clone()));
    }
    let (place, trashed) =
        find(records, name, newest)?.ok_or_else(|| Refusal::NotInTrash(name.clone()))?;
    let record = FileRecord {
        version: at.index,
        ..trashed.file
    };
    let mut puts = vec![
        remove(&place.key()),
        put(&Key::File(name.clone()), &record)?,
    ];
    let outcome = Outcome::Stored(name.clone(), Box::new(record.clone()));
    remember(&mut puts, request, &outcome)?;
    let name = name.clone();
    Ok(Planned {
        puts,
        answer: Stored { name, record },
    })
}

/// Plans a purge: the file is gone for good, without the trash. If no file has the name, it is the
/// newest of that name in the trash, which stands at `newest`. The precondition is held against the
/// present file, so with `If-Match` nothing in the trash is ever purged.
///
/// Its chunks stay on the disks while a recovery is under way: so it is remembered that somebody ended
/// it, or the next search would bring it back.
///
/// # Errors
/// If there is no such file anywhere, the precondition does not hold, or the request id is not
/// usable.
pub fn plan_purge_name(
    records: &impl Lookup,
    request: Option<RequestId>,
    name: &FileName,
    precondition: &Precondition,
    newest: Option<Trashed>,
    at: At,
) -> Result<Planned<()>, Refusal> {
    match (earlier(records, request, &[name], at.time)?, request) {
        (None, _) | (Some(_), None) => {}
        (Some(Outcome::Purged), _) => {
            return Ok(Planned {
                puts: Vec::new(),
                answer: (),
            });
        }
        (Some(_), Some(request)) => return Err(Refusal::RequestReused(request)),
    }
    let (gone, file) = if let Some(present) = check(records, name, precondition)? {
        (Key::File(name.clone()), present.file)
    } else {
        let found = find(records, name, newest)?;
        let (place, _) = found.ok_or_else(|| Refusal::FileNotFound(name.clone()))?;
        (place.key(), place.file)
    };
    let mut puts = vec![remove(&gone)];
    if recovers(records)? {
        puts.push(ended(file, UploadEnd::Aborted, at)?);
    }
    remember(&mut puts, request, &Outcome::Purged)?;
    Ok(Planned { puts, answer: () })
}

/// Plans the end of up to `most` files that came into the trash before a log time. `trash` are the
/// keys of all records there, the oldest first. The answer says how many end.
///
/// # Errors
/// If one is no key.
pub fn plan_expire<'a>(
    trash: impl Iterator<Item = &'a [u8]>,
    before: LogTime,
    most: usize,
) -> Result<Planned<usize>, Refusal> {
    let mut puts = Vec::new();
    for bytes in trash.take(most) {
        let key = Key::from_bytes(bytes)?;
        let Key::Trash(deleted, _) = key else { break };
        if deleted >= before {
            break;
        }
        puts.push(remove(&key));
    }
    let answer = puts.len();
    Ok(Planned { puts, answer })
}

/// The record at `place`, if it has this name.
fn find(
    records: &impl Lookup,
    name: &FileName,
    place: Option<Trashed>,
) -> Result<Option<(Trashed, TrashRecord)>, Refusal> {
    let Some(place) = place else {
        return Ok(None);
    };
    let found: Option<TrashRecord> = get(records, &place.key())?;
    Ok(found
        .filter(|trashed| trashed.name == *name)
        .map(|trashed| (place, trashed)))
}
