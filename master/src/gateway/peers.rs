//! The workers, as the gateway calls them.

use crate::leader::command::Site;
use futures_util::future::{BoxFuture, FutureExt, join_all};
use mdfs_client::link::{ChunkStream, LinkError, Links, Peer, Pieces};
use mdfs_core::chunk::ChunkId;
use mdfs_core::id::{DiskId, Term};
use mdfs_protocol::internal::{
    HopsReply, PullRequest, ScrubProgress, Seal, SealRequest, Staged, Stored,
};
use mdfs_protocol::problem::Code;
use std::time::Duration;

use super::segments::Segment;

/// What [`super::Limits::seal`] is for.
const SEAL_UNIT_BYTES: u64 = 64 << 20;

/// Calls workers.
#[derive(Clone, Debug)]
pub(super) struct Peers {
    links: Links,
}

/// Why a worker did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    /// It does not answer, or stopped in the middle.
    #[error("{0}")]
    Unreachable(String),
    /// It says no, or something that makes no sense.
    #[error("{detail}")]
    Refused {
        /// Why.
        code: Code,
        /// Why, for people.
        detail: String,
    },
}

impl Failure {
    pub(super) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self::Refused {
            code,
            detail: detail.into(),
        }
    }

    /// It did not answer in time.
    pub(super) fn silent() -> Self {
        Self::Unreachable("no answer in time".to_owned())
    }

    /// Why it said no.
    pub(super) fn code(&self) -> Option<Code> {
        match self {
            Self::Unreachable(_) => None,
            Self::Refused { code, .. } => Some(*code),
        }
    }

    pub(super) fn is_unreachable(&self) -> bool {
        self.code().is_none()
    }
}

impl From<LinkError> for Failure {
    fn from(error: LinkError) -> Self {
        match error.code() {
            Some(code) => Self::new(code, error.to_string()),
            None if error.is_unreachable() => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                Self::Unreachable(format!("{error}: {}", cause.unwrap_or_default()))
            }
            None => Self::new(Code::Internal, error.to_string()),
        }
    }
}

fn peer(site: &Site) -> Peer {
    Peer {
        disk: site.disk,
        url: site.url.clone(),
    }
}

impl Peers {
    pub(super) fn new(links: Links) -> Self {
        Self { links }
    }

    /// Verified bytes of a chunk; `within` limits the waits for single bytes.
    pub(super) async fn read(
        &self,
        site: &Site,
        chunk: ChunkId,
        offset: u64,
        length: u64,
        within: Duration,
    ) -> Result<ChunkStream, Failure> {
        Ok(self
            .links
            .read(&peer(site), chunk, offset, length, within)
            .await?)
    }

    /// Sends a segment, and lets the worker pass it on to `next`.
    pub(super) async fn segment(
        &self,
        site: &Site,
        at: (ChunkId, u64),
        term: Term,
        segment: &Segment,
        next: &[DiskId],
        within: Duration,
    ) -> Result<HopsReply, Failure> {
        let (bytes, crc) = (segment.bytes.clone(), segment.crc32);
        let (chunk, offset) = at;
        let peer = peer(site);
        Ok(self
            .links
            .segment(&peer, chunk, offset, term, bytes, crc, next, within)
            .await?)
    }

    /// How far a chunk was received.
    pub(super) async fn staged(
        &self,
        site: &Site,
        chunk: ChunkId,
        within: Duration,
    ) -> Result<Staged, Failure> {
        Ok(self.links.staged(&peer(site), chunk, within).await?)
    }

    /// Makes a staged chunk durable.
    pub(super) async fn seal(
        &self,
        site: &Site,
        chunk: ChunkId,
        request: &SealRequest,
        within: Duration,
    ) -> Result<HopsReply, Failure> {
        Ok(self.links.seal(&peer(site), chunk, request, within).await?)
    }

    /// Stores a small chunk.
    pub(super) async fn store_whole(
        &self,
        site: &Site,
        chunk: ChunkId,
        term: Term,
        seal: &Seal,
        bytes: Pieces,
        within: Duration,
    ) -> Result<Stored, Failure> {
        Ok(self
            .links
            .store_whole(&peer(site), chunk, term, bytes, seal, within)
            .await?)
    }

    /// Has the worker copy a chunk from another one.
    pub(super) async fn pull(
        &self,
        site: &Site,
        chunk: ChunkId,
        request: &PullRequest,
        within: Duration,
    ) -> Result<Stored, Failure> {
        Ok(self.links.pull(&peer(site), chunk, request, within).await?)
    }

    /// The way to workers and other masters.
    pub(super) fn links(&self) -> &Links {
        &self.links
    }

    /// Has the worker read all its chunks, or say how far it is.
    pub(super) async fn scrub(
        &self,
        disk: DiskId,
        url: String,
        begin: bool,
        within: Duration,
    ) -> Result<ScrubProgress, Failure> {
        Ok(self.links.scrub(&Peer { disk, url }, begin, within).await?)
    }

    /// What the worker has stored, answered to the leader of `term`.
    pub(super) async fn verify(
        &self,
        site: &Site,
        chunk: ChunkId,
        term: Term,
        within: Duration,
    ) -> Result<Stored, Failure> {
        Ok(self.links.verify(&peer(site), chunk, term, within).await?)
    }
}

/// How long a worker may take for a chunk of `length` bytes that it goes through whole, given how
/// long it may take for one of usual size.
pub(super) fn time_for(length: u64, usual: Duration) -> Duration {
    let units = length.div_ceil(SEAL_UNIT_BYTES).max(1);
    usual.saturating_mul(u32::try_from(units).unwrap_or(u32::MAX))
}

/// Waits for all. Boxed: the compiler cannot tell that closures over borrowed sites may be sent.
pub(super) fn together<'a, F>(futures: impl Iterator<Item = F>) -> BoxFuture<'a, Vec<F::Output>>
where
    F: Future<Output: Send + 'a> + Send + 'a,
{
    let futures: Vec<BoxFuture<'a, F::Output>> = futures.map(FutureExt::boxed).collect();
    join_all(futures).boxed()
}
