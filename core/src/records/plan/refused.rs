//! Refusals that are the answer of a request for good.
//!
//! A try of a request may come late, on a connection that was given up: after another try of it was
//! refused, and somebody changed what that was refused for. It takes no effect then, as the client was
//! told that there is none.

use super::policy::cluster;
use super::upload::plan_abort;
use super::{At, Planned, Refusal, remember};
use crate::format::REFUSALS_ARE_REMEMBERED;
use crate::id::{FileId, RequestId};
use crate::records::{Key, Lookup, Outcome, Refused, UploadEnd, UploadRecord, get};

/// Plans that `refusal` is the answer of `request` from now on, if it is one of what the records are. An
/// upload that an earlier try of the request began, or the `upload` whose commit is refused, ends with it,
/// unless it is a session: that may be committed later. The answer is the upload that ends.
///
/// # Errors
/// If a record cannot be read.
pub fn plan_refused(
    records: &impl Lookup,
    request: Option<RequestId>,
    upload: Option<FileId>,
    refusal: &Refusal,
    at: At,
) -> Result<Planned<Option<FileId>>, Refusal> {
    let mut planned = Planned {
        puts: Vec::new(),
        answer: None,
    };
    let Some(refused) = of(refusal) else {
        return Ok(planned);
    };
    let began = match outcome(records, request)? {
        Some(Outcome::Begun(file)) => Some(file),
        None => None,
        // It has its answer.
        Some(_) => return Ok(planned),
    };
    let mut request = request;
    if let Some(file) = upload.or(began)
        && let Some(record) = get::<UploadRecord>(records, &Key::Upload(file))?
    {
        if record.session.is_some() {
            return Ok(planned);
        }
        request = request.or(record.request);
        planned.puts = plan_abort(records, file, Vec::new(), UploadEnd::Aborted, at)?.puts;
        planned.answer = Some(file);
    }
    if cluster(records)?.format >= REFUSALS_ARE_REMEMBERED {
        // Behind the end of the upload, which forgets what came of its request.
        remember(&mut planned.puts, request, &Outcome::Refused(refused))?;
    }
    Ok(planned)
}

fn outcome(records: &impl Lookup, request: Option<RequestId>) -> Result<Option<Outcome>, Refusal> {
    let key = request.map(Key::Request);
    Ok(key.map(|key| get(records, &key)).transpose()?.flatten())
}

/// What is remembered of a refusal; nothing of those that are not about what the records are.
fn of(refusal: &Refusal) -> Option<Refused> {
    match refusal {
        Refusal::FileNotFound(name) => Some(Refused::FileNotFound(name.clone())),
        Refusal::NotInTrash(name) => Some(Refused::NotInTrash(name.clone())),
        Refusal::NameTaken(name) => Some(Refused::NameTaken(name.clone())),
        Refusal::PreconditionFailed { name, what } => {
            Some(Refused::PreconditionFailed(name.clone(), what.clone()))
        }
        Refusal::UploadNotOpen(_)
        | Refusal::NoSession(_)
        | Refusal::BadChunk(..)
        | Refusal::OtherChunk(_)
        | Refusal::BadCommit(_)
        | Refusal::TooFewCopies { .. }
        | Refusal::RequestOutsideWindow(_)
        | Refusal::RequestReused(_)
        | Refusal::TokenNotFound(_)
        | Refusal::TooManyTokens
        | Refusal::NotBootstrapped
        | Refusal::TooFewMembers { .. }
        | Refusal::TooFewVoters { .. }
        | Refusal::Corrupt(_) => None,
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::FileNotFound(name) => Self::FileNotFound(name),
            Refused::NotInTrash(name) => Self::NotInTrash(name),
            Refused::NameTaken(name) => Self::NameTaken(name),
            Refused::PreconditionFailed(name, what) => Self::PreconditionFailed { name, what },
        }
    }
}
