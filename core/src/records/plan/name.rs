//! Delete and Rename.

use super::upload::{check, trash};
use super::{At, Planned, Refusal, earlier, remember};
use crate::id::RequestId;
use crate::name::FileName;
use crate::records::{FileRecord, Key, Lookup, Outcome, Precondition, get, put, remove};

/// Plans a delete: the file goes to the trash. The answer says how many bytes it had.
///
/// # Errors
/// If there is no such file, the precondition does not hold, or the request id is not usable.
pub fn plan_delete(
    records: &impl Lookup,
    request: Option<RequestId>,
    name: &FileName,
    precondition: &Precondition,
    at: At,
) -> Result<Planned<()>, Refusal> {
    match (earlier(records, request, &[name], at.time)?, request) {
        (None, _) | (Some(_), None) => {}
        (Some(Outcome::Deleted), _) => {
            return Ok(Planned {
                puts: Vec::new(),
                answer: (),
            });
        }
        (Some(_), Some(request)) => return Err(Refusal::RequestReused(request)),
    }
    let file =
        check(records, name, precondition)?.ok_or_else(|| Refusal::FileNotFound(name.clone()))?;
    let mut puts = vec![remove(&Key::File(name.clone())), trash(name, file, at)?];
    remember(&mut puts, request, &Outcome::Deleted)?;
    Ok(Planned { puts, answer: () })
}

/// A file under its new name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renamed {
    /// The new name.
    pub name: FileName,
    /// What is recorded.
    pub record: FileRecord,
}

/// Plans a rename, which takes effect at one point: never both names, never neither. A file of the
/// new name that may be replaced goes to the trash. Renaming a file to its own name changes nothing.
///
/// # Errors
/// If there is no file `from`, `to` is taken and may not be replaced, or the request id is not
/// usable.
pub fn plan_rename(
    records: &impl Lookup,
    request: Option<RequestId>,
    from: &FileName,
    to: &FileName,
    overwrite: bool,
    at: At,
) -> Result<Planned<Renamed>, Refusal> {
    match (earlier(records, request, &[from, to], at.time)?, request) {
        (None, _) | (Some(_), None) => {}
        (Some(Outcome::Stored(name, record)), _) if name == *to => {
            return Ok(Planned {
                puts: Vec::new(),
                answer: Renamed {
                    name,
                    record: *record,
                },
            });
        }
        (Some(_), Some(request)) => return Err(Refusal::RequestReused(request)),
    }
    let file: FileRecord = get(records, &Key::File(from.clone()))?
        .ok_or_else(|| Refusal::FileNotFound(from.clone()))?;
    if from == to {
        return Ok(Planned {
            puts: Vec::new(),
            answer: Renamed {
                name: to.clone(),
                record: file,
            },
        });
    }
    let mut puts = vec![remove(&Key::File(from.clone()))];
    if let Some(replaced) = get::<FileRecord>(records, &Key::File(to.clone()))? {
        if !overwrite {
            return Err(Refusal::NameTaken(to.clone()));
        }
        puts.push(trash(to, replaced, at)?);
    }
    let record = FileRecord {
        version: at.index,
        ..file
    };
    puts.push(put(&Key::File(to.clone()), &record)?);
    let outcome = Outcome::Stored(to.clone(), Box::new(record.clone()));
    remember(&mut puts, request, &outcome)?;
    Ok(Planned {
        puts,
        answer: Renamed {
            name: to.clone(),
            record,
        },
    })
}
