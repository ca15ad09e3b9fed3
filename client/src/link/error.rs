//! Why a call from server to server failed.

use mdfs_protocol::problem::{Code, Problem};
use std::error::Error as StdError;
use std::time::Duration;

/// Everything that can go wrong with a call to another server of the cluster.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// No connection, no answer in time, or a connection that broke: whether the call took effect
    /// is not known.
    #[error("cannot reach {url}")]
    Unreachable {
        /// Who was called.
        url: String,
        /// What happened.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The server said no.
    #[error("{url} refuses: {detail} ({code})")]
    Refused {
        /// Who was called.
        url: String,
        /// Why, as a stable word.
        code: Code,
        /// Why, for people.
        detail: String,
    },
    /// Something that a server of this version does not say, or an address that is none.
    #[error("cannot understand {url}: {what}")]
    Protocol {
        /// Who was called.
        url: String,
        /// What is wrong.
        what: String,
    },
}

/// Nothing came for this long.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("no answer within {0:?}")]
pub(super) struct Silent(pub(super) Duration);

/// The bytes of a chunk ended too early.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the answer ended {0} bytes early")]
pub(super) struct EndedEarly(pub(super) u64);

impl LinkError {
    /// Whether the server could not be reached, or stopped answering: another one may do better.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }

    /// Whether there was not even a connection: nothing was sent.
    pub fn is_unsent(&self) -> bool {
        let Self::Unreachable { source, .. } = self else {
            return false;
        };
        let sent = source.downcast_ref::<hyper_util::client::legacy::Error>();
        sent.is_some_and(hyper_util::client::legacy::Error::is_connect)
    }

    /// The code of a refusal.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            Self::Unreachable { .. } | Self::Protocol { .. } => None,
        }
    }

    pub(super) fn unreachable(
        url: &str,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self::Unreachable {
            url: url.to_owned(),
            source: source.into(),
        }
    }

    pub(super) fn protocol(url: &str, what: impl ToString) -> Self {
        Self::Protocol {
            url: url.to_owned(),
            what: what.to_string(),
        }
    }

    /// What an answer that is no success says.
    pub(super) fn refused(url: &str, status: http::StatusCode, body: &[u8]) -> Self {
        match serde_json::from_slice::<Problem>(body) {
            Ok(Problem { code, detail, .. }) => Self::Refused {
                url: url.to_owned(),
                code,
                detail,
            },
            Err(_) => Self::protocol(url, format!("status {status} without a known problem")),
        }
    }
}
