//! Refusals of the leader on the wire, and back.

use crate::error::Error;
use mdfs_protocol::ask::Refused;

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        match error {
            Error::FileNotFound { name } => Refused::FileNotFound { name },
            Error::NotInTrash { name } => Refused::NotInTrash { name },
            Error::PreconditionFailed { name, what } => Refused::PreconditionFailed { name, what },
            Error::NameTaken { name } => Refused::NameTaken { name },
            Error::Conflict(what) => Refused::Conflict(what),
            Error::UploadNotOpen { file } => Refused::UploadNotOpen { file },
            Error::UploadNotFound { file } => Refused::UploadNotFound { file },
            Error::TooManyUploads { what, open } => Refused::TooManyUploads { what, open },
            Error::InvalidChunk(what) => Refused::InvalidChunk(what),
            Error::MissingChunks { file, missing } => Refused::MissingChunks { file, missing },
            Error::VerifyFirst { term } => Refused::VerifyFirst { term },
            Error::CopyGone { disk } => Refused::CopyGone { disk },
            Error::RequestTooOld => Refused::RequestTooOld,
            Error::TooFewWorkers { wanted, found } => Refused::TooFewWorkers {
                wanted: count(wanted),
                found: count(found),
            },
            Error::NoSpace {
                wanted,
                found,
                bytes,
            } => Refused::NoSpace {
                wanted: count(wanted),
                found: count(found),
                bytes,
            },
            Error::NoLeader | Error::NotLeader { .. } => Refused::NoLeader,
            Error::NoQuorum => Refused::NoQuorum,
            Error::NotBootstrapped => Refused::NotBootstrapped,
            Error::BootstrapRefused(why) => Refused::BootstrapRefused(why),
            Error::ForeignDisk { disk, theirs, ours } => {
                Refused::ForeignDisk { disk, theirs, ours }
            }
            Error::WorkerNotFound { worker } => Refused::WorkerNotFound { worker },
            Error::TokenNotFound { token } => Refused::TokenNotFound { token },
            Error::RetiredDisk { disk } => Refused::RetiredDisk { disk },
            Error::VoterStays { disk, worker } => Refused::VoterStays { disk, worker },
            Error::WouldLoseFiles { disk, files, names } => {
                Refused::WouldLoseFiles { disk, files, names }
            }
            Error::NotCounted => Refused::NotCounted,
            Error::NotSearched { unread } => Refused::NotSearched { unread },
            Error::OldDisk {
                disk,
                shown,
                remembered,
            } => Refused::OldDisk {
                disk,
                shown,
                remembered,
            },
            Error::Busy => Refused::Busy,
            Error::Unavailable { name, index } => Refused::Unavailable { name, index },
            Error::DataDamaged { name, start, end } => Refused::DataDamaged { name, start, end },
            Error::Settings(_)
            | Error::Start(_)
            | Error::Broken(_)
            | Error::Serve(_)
            | Error::TaskEnded { .. } => Refused::Internal(error.to_string()),
        }
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        let count = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        match refused {
            Refused::FileNotFound { name } => Error::FileNotFound { name },
            Refused::NotInTrash { name } => Error::NotInTrash { name },
            Refused::PreconditionFailed { name, what } => Error::PreconditionFailed { name, what },
            Refused::NameTaken { name } => Error::NameTaken { name },
            Refused::Conflict(what) => Error::Conflict(what),
            Refused::UploadNotOpen { file } => Error::UploadNotOpen { file },
            Refused::UploadNotFound { file } => Error::UploadNotFound { file },
            Refused::TooManyUploads { what, open } => Error::TooManyUploads { what, open },
            Refused::InvalidChunk(what) => Error::InvalidChunk(what),
            Refused::MissingChunks { file, missing } => Error::MissingChunks { file, missing },
            Refused::VerifyFirst { term } => Error::VerifyFirst { term },
            Refused::CopyGone { disk } => Error::CopyGone { disk },
            Refused::RequestTooOld => Error::RequestTooOld,
            Refused::TooFewWorkers { wanted, found } => Error::TooFewWorkers {
                wanted: count(wanted),
                found: count(found),
            },
            Refused::NoSpace {
                wanted,
                found,
                bytes,
            } => Error::NoSpace {
                wanted: count(wanted),
                found: count(found),
                bytes,
            },
            Refused::NoLeader => Error::NoLeader,
            Refused::NoQuorum => Error::NoQuorum,
            Refused::NotBootstrapped => Error::NotBootstrapped,
            Refused::BootstrapRefused(why) => Error::BootstrapRefused(why),
            Refused::ForeignDisk { disk, theirs, ours } => {
                Error::ForeignDisk { disk, theirs, ours }
            }
            Refused::WorkerNotFound { worker } => Error::WorkerNotFound { worker },
            Refused::TokenNotFound { token } => Error::TokenNotFound { token },
            Refused::RetiredDisk { disk } => Error::RetiredDisk { disk },
            Refused::VoterStays { disk, worker } => Error::VoterStays { disk, worker },
            Refused::WouldLoseFiles { disk, files, names } => {
                Error::WouldLoseFiles { disk, files, names }
            }
            Refused::NotCounted => Error::NotCounted,
            Refused::NotSearched { unread } => Error::NotSearched { unread },
            Refused::OldDisk {
                disk,
                shown,
                remembered,
            } => Error::OldDisk {
                disk,
                shown,
                remembered,
            },
            Refused::Busy => Error::Busy,
            Refused::Unavailable { name, index } => Error::Unavailable { name, index },
            Refused::DataDamaged { name, start, end } => Error::DataDamaged { name, start, end },
            Refused::Internal(what) => Error::Broken(what),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mdfs_core::id::{ClusterId, DiskId, FileId, Generation, Incarnation, Term, TokenId};

    /// What callers match on and what makes a status arrives as it was, and its text too.
    #[test]
    fn a_refusal_is_the_same_on_the_other_side() {
        let (disk, file) = (DiskId::from_u128(1), FileId::from_u128(2));
        let text = || "a".to_owned();
        let term = Term {
            round: 1,
            incarnation: Incarnation(2),
        };
        for error in [
            Error::FileNotFound { name: text() },
            Error::NotInTrash { name: text() },
            Error::PreconditionFailed {
                name: text(),
                what: text(),
            },
            Error::NameTaken { name: text() },
            Error::Conflict(text()),
            Error::UploadNotOpen { file },
            Error::UploadNotFound { file },
            Error::TooManyUploads {
                what: text(),
                open: 3,
            },
            Error::InvalidChunk(text()),
            Error::MissingChunks {
                file,
                missing: text(),
            },
            Error::VerifyFirst { term },
            Error::CopyGone { disk },
            Error::RequestTooOld,
            Error::TooFewWorkers {
                wanted: 2,
                found: 1,
            },
            Error::NoSpace {
                wanted: 2,
                found: 1,
                bytes: 9,
            },
            Error::NoLeader,
            Error::NoQuorum,
            Error::NotBootstrapped,
            Error::BootstrapRefused(text()),
            Error::ForeignDisk {
                disk,
                theirs: ClusterId::from_u128(1),
                ours: ClusterId::from_u128(2),
            },
            Error::WorkerNotFound { worker: text() },
            Error::TokenNotFound {
                token: TokenId::from_u128(1),
            },
            Error::RetiredDisk { disk },
            Error::VoterStays {
                disk,
                worker: text(),
            },
            Error::WouldLoseFiles {
                disk,
                files: 2,
                names: vec![text()],
            },
            Error::NotCounted,
            Error::NotSearched {
                unread: vec![text()],
            },
            Error::OldDisk {
                disk,
                shown: Generation(1),
                remembered: Generation(2),
            },
            Error::Busy,
            Error::Unavailable {
                name: text(),
                index: 1,
            },
            Error::DataDamaged {
                name: text(),
                start: 1,
                end: 2,
            },
            Error::Broken(text()),
        ] {
            let (code, said) = (error.code(), error.to_string());
            let bytes = postcard::to_stdvec(&Refused::from(error)).unwrap();
            let back = Error::from(postcard::from_bytes::<Refused>(&bytes).unwrap());
            assert_eq!((back.code(), back.to_string()), (code, said));
        }
    }
}
