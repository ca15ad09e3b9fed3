//! Why a call of the public API failed.

use crate::silence::Silent;
use mdfs_core::checksum::Crc32;
use mdfs_protocol::problem::{Code, Problem};
use std::path::PathBuf;
use std::time::Duration;

/// Everything that can go wrong with the public API.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The cluster said no.
    #[error("{subject}: {detail}")]
    Refused {
        /// What was asked about: a file's name, or the path of the call.
        subject: String,
        /// Why, as a stable word.
        code: Code,
        /// Why, for people.
        detail: String,
        /// Names the request in the server's log; empty if the answer did not say.
        request_id: String,
    },
    /// No master could be reached.
    #[error("cannot reach {url}")]
    Unreachable {
        /// The last one that was tried.
        url: String,
        /// What happened.
        #[source]
        source: reqwest::Error,
    },
    /// The connection broke; whether a change took effect is unknown.
    #[error("{subject}: the transfer broke off")]
    Broken {
        /// What was asked about.
        subject: String,
        /// What happened.
        #[source]
        source: reqwest::Error,
    },
    /// Nothing came from the master, and it took nothing, for too long; whether a change took effect is
    /// unknown.
    #[error("{subject}: nothing came for {} s", .after.as_secs_f64())]
    Silent {
        /// What was asked about.
        subject: String,
        /// How long.
        after: Duration,
    },
    /// The bytes that arrived are not those that were sent.
    #[error("{subject}: the CRC-32 is {got}, but should be {want}")]
    ChecksumMismatch {
        /// The file's name.
        subject: String,
        /// The checksum that the other side has.
        want: Crc32,
        /// The checksum of the bytes here.
        got: Crc32,
    },
    /// The file was overwritten while it was read, and the old version is gone.
    #[error("{subject}: the file changed while it was read")]
    Changed {
        /// The file's name.
        subject: String,
    },
    /// The source of an upload cannot be read.
    #[error("cannot read {}", .path.display())]
    Source {
        /// The local file.
        path: PathBuf,
        /// What happened.
        #[source]
        source: std::io::Error,
    },
    /// What was fetched cannot be written.
    #[error("cannot write {}", .path.display())]
    Target {
        /// The local file.
        path: PathBuf,
        /// What happened.
        #[source]
        source: std::io::Error,
    },
    /// The source of an upload is not what it was when the upload began: nothing of it was stored.
    #[error("{} changed while it was sent", .path.display())]
    SourceChanged {
        /// The local file.
        path: PathBuf,
    },
    /// More bytes than the caller wanted to hold.
    #[error("{subject}: {size} bytes are more than {most}")]
    TooLarge {
        /// The file's name.
        subject: String,
        /// Its size.
        size: u64,
        /// What the caller allows.
        most: u64,
    },
    /// An answer that a server of this version does not give.
    #[error("{subject}: cannot understand the answer: {what}")]
    Protocol {
        /// What was asked about.
        subject: String,
        /// What is wrong with it.
        what: String,
    },
    /// The client's configuration cannot be used.
    #[error("{0}")]
    Config(String),
}

impl Error {
    /// The stable word, if the cluster gave one.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            Self::ChecksumMismatch { .. } => Some(Code::ChecksumMismatch),
            Self::Unreachable { .. }
            | Self::Broken { .. }
            | Self::Silent { .. }
            | Self::Changed { .. }
            | Self::Source { .. }
            | Self::Target { .. }
            | Self::SourceChanged { .. }
            | Self::TooLarge { .. }
            | Self::Protocol { .. }
            | Self::Config(_) => None,
        }
    }

    /// Whether the same call may succeed a little later without anybody's help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Broken { .. } | Self::Silent { .. } => true,
            Self::Refused { code, .. } => code.is_transient(),
            Self::ChecksumMismatch { .. }
            | Self::Changed { .. }
            | Self::Source { .. }
            | Self::Target { .. }
            | Self::SourceChanged { .. }
            | Self::TooLarge { .. }
            | Self::Protocol { .. }
            | Self::Config(_) => false,
        }
    }

    /// Whether the call surely changed nothing and may succeed later, so that even a change without
    /// an id may be tried again. After other failures its fate may be open.
    pub(crate) fn did_nothing(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused { code, .. } => {
                matches!(code, Code::TooFewWorkers | Code::NotBootstrapped)
            }
            Self::Broken { .. }
            | Self::Silent { .. }
            | Self::ChecksumMismatch { .. }
            | Self::Changed { .. }
            | Self::Source { .. }
            | Self::Target { .. }
            | Self::SourceChanged { .. }
            | Self::TooLarge { .. }
            | Self::Protocol { .. }
            | Self::Config(_) => false,
        }
    }

    /// Whether the cluster refused, before anything else, the id of the change, because it was not
    /// issued lately in the cluster's time.
    pub(crate) fn is_old_request_id(&self) -> bool {
        self.code() == Some(Code::RequestOutsideWindow)
    }

    pub(crate) fn silent(subject: &str, silent: Silent) -> Self {
        Self::Silent {
            subject: subject.to_owned(),
            after: silent.0,
        }
    }

    pub(crate) fn protocol(subject: &str, what: impl ToString) -> Self {
        Self::Protocol {
            subject: subject.to_owned(),
            what: what.to_string(),
        }
    }

    /// What an answer that is no success says; answers to `HEAD` say it by status alone.
    pub(crate) fn refused(
        subject: &str,
        status: u16,
        request_id: Option<&str>,
        body: &[u8],
    ) -> Self {
        let subject = subject.to_owned();
        if let Ok(Problem {
            code,
            detail,
            request_id,
            ..
        }) = serde_json::from_slice(body)
        {
            return Self::Refused {
                subject,
                code,
                detail,
                request_id,
            };
        }
        match code_of_status(status) {
            Some(code) => Self::Refused {
                subject,
                code,
                detail: code.title().to_owned(),
                request_id: request_id.unwrap_or_default().to_owned(),
            },
            None => Self::Protocol {
                subject,
                what: format!("unexpected status {status}"),
            },
        }
    }
}

/// The code that a status alone stands for.
fn code_of_status(status: u16) -> Option<Code> {
    match status {
        404 => Some(Code::FileNotFound),
        409 => Some(Code::Conflict),
        503 => Some(Code::Unavailable),
        500 => Some(Code::Internal),
        status => Code::ALL
            .iter()
            .copied()
            .find(|code| code.status() == status),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_told_in_the_words_of_the_server() {
        let body = serde_json::to_vec(&Problem::new(Code::NoSpace, "12 bytes left", "r7")).unwrap();
        let error = Error::refused("a.mkv", 507, None, &body);
        assert_eq!(error.code(), Some(Code::NoSpace));
        assert_eq!(error.to_string(), "a.mkv: 12 bytes left");
        assert!(!error.is_transient());
    }

    #[test]
    fn a_status_without_a_body_still_has_a_code() {
        let code = |status| Error::refused("a", status, None, b"").code();
        assert_eq!(code(404), Some(Code::FileNotFound));
        assert_eq!(code(401), Some(Code::Unauthorized));
        assert_eq!(code(503), Some(Code::Unavailable));
        assert_eq!(code(418), None);
    }

    #[test]
    fn only_a_refusal_before_anything_was_done_surely_did_nothing() {
        for &code in Code::ALL {
            let body = serde_json::to_vec(&Problem::new(code, "why", "r1")).unwrap();
            let error = Error::refused("a", code.status(), None, &body);
            let nothing = matches!(code, Code::TooFewWorkers | Code::NotBootstrapped);
            assert_eq!(error.did_nothing(), nothing, "{code}");
            let old = code == Code::RequestOutsideWindow;
            assert_eq!(error.is_old_request_id(), old, "{code}");
        }
        // A status alone leaves open what was done.
        assert!(!Error::refused("a", 503, None, b"").did_nothing());
    }
}
