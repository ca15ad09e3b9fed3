//! What users say of a file, changed.

use super::upload::check;
use super::{At, Planned, Refusal, Renamed, earlier, remember};
use crate::id::RequestId;
use crate::labels::Attributes;
use crate::name::FileName;
use crate::records::{FileRecord, Key, Lookup, Outcome, Precondition, put};
use serde::{Deserialize, Serialize};

/// What is to be said of a file from now on; what is left out stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelChange {
    /// Media type.
    pub content_type: Option<String>,
    /// All of the user's own attributes.
    pub attributes: Option<Attributes>,
}

/// Plans a change of what is said of a file. Its bytes and the time of their commit stay as they are;
/// it is a new version, unless nothing is different.
///
/// # Errors
/// If there is no such file, the precondition does not hold, or the request id is not usable.
pub fn plan_labels(
    records: &impl Lookup,
    request: Option<RequestId>,
    name: &FileName,
    change: LabelChange,
    precondition: &Precondition,
    at: At,
) -> Result<Planned<Renamed>, Refusal> {
    let answer = |record| Renamed {
        name: name.clone(),
        record,
    };
    match (earlier(records, request, &[name], at.time)?, request) {
        (None, _) | (Some(_), None) => {}
        (Some(Outcome::Stored(of, record)), _) if of == *name => {
            return Ok(Planned {
                puts: Vec::new(),
                answer: answer(*record),
            });
        }
        (Some(_), Some(request)) => return Err(Refusal::RequestReused(request)),
    }
    let file =
        check(records, name, precondition)?.ok_or_else(|| Refusal::FileNotFound(name.clone()))?;
    let LabelChange {
        content_type,
        attributes,
    } = change;
    let mut record = file.clone();
    if let Some(content_type) = content_type {
        record.content_type = content_type;
    }
    if let Some(attributes) = attributes {
        record.labels.attributes = attributes;
    }
    let mut puts = Vec::new();
    if record != file {
        record = FileRecord {
            version: at.index,
            ..record
        };
        puts.push(put(&Key::File(name.clone()), &record)?);
    }
    // Also if nothing is different: a try that comes late changes nothing that others change until then.
    let outcome = Outcome::Stored(name.clone(), Box::new(record.clone()));
    remember(&mut puts, request, &outcome)?;
    Ok(Planned {
        puts,
        answer: answer(record),
    })
}
