//! Decisions: what a change would write, or why it is refused.
//!
//! All functions are pure. They look at the records as the whole log would leave them, uncommitted
//! entries included, and are given the place the entry will have ([`At`]). Repeated requests get
//! the first answer and write nothing, also if that was a refusal ([`plan_refused`]).

mod copies;
mod import;
mod labels;
mod membership;
mod moving;
mod name;
mod policy;
mod refused;
mod session;
mod token;
mod trash;
mod upload;

pub use copies::copies_of;
pub use import::{ImportResult, Imported, plan_import};
pub use labels::{LabelChange, plan_labels};
pub use membership::{NewMember, plan_bootstrap, plan_membership};
pub use moving::{
    plan_begin_move, plan_end_move, plan_holders, plan_home, plan_home_in_trash, plan_places,
    plan_places_in_trash,
};
pub use name::{Renamed, plan_delete, plan_rename};
pub use policy::{
    PolicyChange, VOTERS_FOR_FEWER_COPIES, plan_format, plan_lowered, plan_policy, plan_voters,
};
pub use refused::plan_refused;
pub use session::{MOST_CHUNKS, check_length, plan_chunk, plan_forget_ended};
pub use token::{plan_revoke, plan_token};
pub use trash::{Trashed, plan_expire, plan_purge_name, plan_undelete};
pub use upload::{Begin, Begun, Commit, Stored, plan_abort, plan_begin, plan_commit};

use super::{Corrupt, Key, Lookup, MOST_TOKENS, Outcome, REQUEST_WINDOW, get, put};
use crate::chunk::ChunkId;
use crate::id::{FileId, RequestId, TokenId};
use crate::log::message::Put;
use crate::name::FileName;
use crate::time::LogTime;

/// Where an entry will stand in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At {
    /// Its index.
    pub index: u64,
    /// Its log time.
    pub time: LogTime,
}

/// A change that may be made: what it writes, and what it answers once that is committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned<T> {
    /// The effects, in order; none if there is nothing to change.
    pub puts: Vec<Put>,
    /// The answer.
    pub answer: T,
}

/// Why a change is refused. Nothing is written then but what [`plan_refused`] says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No file has this name.
    #[error("no file named {0}")]
    FileNotFound(FileName),
    /// No file of this name is in the trash.
    #[error("no file named {0} is in the trash")]
    NotInTrash(FileName),
    /// A precondition does not hold.
    #[error("{name}: {what}")]
    PreconditionFailed {
        /// The file.
        name: FileName,
        /// Which, and what is there.
        what: String,
    },
    /// The new name of a rename, or the name of an undelete, is taken.
    #[error("a file named {0} exists already")]
    NameTaken(FileName),
    /// The upload was never begun, or has ended.
    #[error("upload {0} is not open")]
    UploadNotOpen(FileId),
    /// The upload ends with the gateway that serves it: nobody comes back to it.
    #[error("upload {0} cannot be gone on with")]
    NoSession(FileId),
    /// A chunk that cannot be one of the upload's.
    #[error("chunk {} does not fit its upload: {}", .0.index, .1)]
    BadChunk(ChunkId, &'static str),
    /// The chunk came before with other bytes, which disks may have.
    #[error("chunk {} was sent before, with other bytes", .0.index)]
    OtherChunk(ChunkId),
    /// The chunks or copies of a commit do not fit together.
    #[error("the upload cannot be committed: {0}")]
    BadCommit(&'static str),
    /// More copies of a chunk are asked for than when they were made. It may be tried again: a session
    /// makes those that are missing, and other bytes are sent anew.
    #[error("a chunk has {found} copies, and {wanted} are asked for by now")]
    TooFewCopies {
        /// Copies asked for.
        wanted: usize,
        /// Copies that there are.
        found: usize,
    },
    /// The id of a request lies outside the window in which repeats are recognised.
    #[error("request id {0} was not issued within the last 10 minutes")]
    RequestOutsideWindow(RequestId),
    /// The id of a request was used for another change.
    #[error("request id {0} was used for another change")]
    RequestReused(RequestId),
    /// No token has this id.
    #[error("no token has the id {0}")]
    TokenNotFound(TokenId),
    /// There are as many tokens as there may be.
    #[error("there are {MOST_TOKENS} tokens already: revoke some first")]
    TooManyTokens,
    /// The cluster has no record of itself yet.
    #[error("the cluster is not bootstrapped yet")]
    NotBootstrapped,
    /// There are fewer disks than copies.
    #[error("{wanted} copies of each chunk need as many workers, and there are {members}")]
    TooFewMembers {
        /// Copies wanted.
        wanted: u8,
        /// Members that hold partitions.
        members: usize,
    },
    /// The log would stand still with the next failure.
    #[error("fewer copies suffice only with 3 voters or more, and there are {voters}")]
    TooFewVoters {
        /// Disks that vote.
        voters: usize,
    },
    /// A record cannot be read.
    #[error("a record cannot be read")]
    Corrupt(#[from] Corrupt),
}

/// What came of `request` before, if it is a repeated one, of a change that looks at `names`.
///
/// # Errors
/// If it was refused, or is of another time.
fn earlier(
    records: &impl Lookup,
    request: Option<RequestId>,
    names: &[&FileName],
    now: LogTime,
) -> Result<Option<Outcome>, Refusal> {
    let Some(request) = request else {
        return Ok(None);
    };
    match get::<Outcome>(records, &Key::Request(request))? {
        Some(Outcome::Refused(refused)) if names.contains(&refused.name()) => {
            return Err(refused.into());
        }
        Some(Outcome::Refused(_)) => return Err(Refusal::RequestReused(request)),
        Some(outcome) => return Ok(Some(outcome)),
        None => {}
    }
    let issued = request.issued_at();
    if now.since(issued) > REQUEST_WINDOW || issued.since(now) > REQUEST_WINDOW {
        return Err(Refusal::RequestOutsideWindow(request));
    }
    Ok(None)
}

/// Adds what came of `request` to the effects, if it may be repeated.
fn remember(
    puts: &mut Vec<Put>,
    request: Option<RequestId>,
    outcome: &Outcome,
) -> Result<(), Corrupt> {
    if let Some(request) = request {
        puts.push(put(&Key::Request(request), outcome)?);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
