//! The other servers: workers by their disk, at the address the masters told; masters by URL.

use crate::directory::Directory;
use crate::error::Error;
use bytes::Bytes;
use mdfs_client::link::{ChunkStream, Line, LinkError, Links, Network, Peer, Reads};
use mdfs_core::checksum::Crc32;
use mdfs_core::chunk::{ChunkId, ChunkSize};
use mdfs_core::id::{ClusterId, DiskId, Term};
use mdfs_protocol::access::ClusterKey;
use mdfs_protocol::internal::{HopsReply, Seal, SealRequest};
use mdfs_protocol::local::{LookUp, LookedUp};
use mdfs_protocol::problem::Code;
use std::time::Duration;

/// How long the rest of a chain may take over a segment. Longer than a disk's worst write, shorter
/// than the gateway waits: it hears which disk failed instead of giving up the whole chain.
const SEGMENT_PATIENCE: Duration = Duration::from_secs(3);

/// How long the rest of a chain may take to make [`SEAL_UNIT_BYTES`] durable, or less.
const SEAL_PATIENCE: Duration = Duration::from_secs(20);

/// All bytes of a chunk may wait for the disk: a larger one may take longer.
const SEAL_UNIT_BYTES: u64 = 64 << 20;

/// How long the masters may take to name a disk that is not known here yet.
const ADDRESS_PATIENCE: Duration = Duration::from_millis(1500);

/// How long a source may send nothing.
const READ_STALL: Duration = Duration::from_secs(10);

/// The way to the other servers. Clones share connections.
#[derive(Clone, Debug)]
pub(crate) struct Peers {
    links: Links,
    directory: Directory,
}

impl Peers {
    /// The way to the servers that know `key`.
    ///
    /// # Errors
    /// If the key cannot be sent.
    pub(crate) fn new(
        network: &Network,
        key: &ClusterKey,
        cluster: Option<ClusterId>,
        directory: Directory,
    ) -> Result<Self, Error> {
        Ok(Self {
            links: Links::on(network, key, cluster, Reads::Small).map_err(Error::Links)?,
            directory,
        })
    }

    /// Where the other disks are.
    pub(crate) fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Names the cluster in all further requests.
    pub(crate) fn join(&self, cluster: ClusterId) {
        self.links.join(Some(cluster));
    }

    /// Sends a segment to `disk`, which passes it on to `next`.
    #[expect(
        clippy::too_many_arguments,
        reason = "a segment is described by all of these"
    )]
    pub(crate) async fn send_segment(
        &self,
        disk: DiskId,
        chunk: ChunkId,
        offset: u64,
        term: Term,
        next: &[DiskId],
        bytes: Bytes,
        crc: Crc32,
    ) -> Result<HopsReply, Error> {
        let peer = self.peer(disk).await?;
        self.links
            .segment(
                &peer,
                chunk,
                offset,
                term,
                bytes.into(),
                crc,
                next,
                SEGMENT_PATIENCE,
            )
            .await
            .map_err(failed(disk))
    }

    /// Sends a seal to `disk`, which passes it on.
    pub(crate) async fn send_seal(
        &self,
        disk: DiskId,
        chunk: ChunkId,
        request: &SealRequest,
    ) -> Result<HopsReply, Error> {
        let peer = self.peer(disk).await?;
        self.links
            .seal(&peer, chunk, request, seal_patience(request.seal.length))
            .await
            .map_err(failed(disk))
    }

    /// `length` bytes of a chunk from `offset` on, as `disk` has them verified.
    pub(crate) async fn read_chunk(
        &self,
        disk: DiskId,
        chunk: ChunkId,
        offset: u64,
        length: u64,
    ) -> Result<ChunkStream, Error> {
        let peer = self.peer(disk).await?;
        self.links
            .read(&peer, chunk, offset, length, READ_STALL)
            .await
            .map_err(failed(disk))
    }

    /// What is written behind a chunk on `disk`.
    pub(crate) async fn seal_of(&self, disk: DiskId, chunk: ChunkId) -> Result<Seal, Error> {
        let peer = self.peer(disk).await?;
        self.links
            .seal_of(&peer, chunk, READ_STALL)
            .await
            .map_err(failed(disk))
    }

    /// The way to any server.
    pub(crate) fn links(&self) -> &Links {
        &self.links
    }

    /// A connection for heartbeats to the master at `url`.
    pub(crate) fn line(&self, url: &str) -> Line {
        self.links.line(url)
    }

    /// Asks the master at `url` what a name stands for.
    ///
    /// # Errors
    /// `Refused` with what it said; `Master` if it was not reached.
    pub(crate) async fn look_up(
        &self,
        url: &str,
        asked: &LookUp,
        within: Duration,
    ) -> Result<LookedUp, Error> {
        let answered = self.links.look_up(url, asked, within).await;
        answered.map_err(|error| match error {
            LinkError::Refused { code, detail, .. } => Error::Refused { code, detail },
            error => failed_at(url)(error),
        })
    }

    async fn peer(&self, disk: DiskId) -> Result<Peer, Error> {
        let url = self
            .directory
            .find(disk, ADDRESS_PATIENCE)
            .await
            .ok_or(Error::UnknownDisk { disk })?;
        Ok(Peer { disk, url })
    }
}

/// How long the rest of a chain may take to make so many bytes durable.
fn seal_patience(bytes: u64) -> Duration {
    let units = bytes.min(ChunkSize::MAX.bytes()).div_ceil(SEAL_UNIT_BYTES);
    SEAL_PATIENCE.saturating_mul(u32::try_from(units.max(1)).unwrap_or(1))
}

/// What a failed call to another worker means here.
pub(crate) fn failed(disk: DiskId) -> impl FnOnce(LinkError) -> Error {
    move |error| Error::Peer {
        disk,
        code: code(&error),
        source: error,
    }
}

/// What a failed call to a master means here.
pub(crate) fn failed_at(url: &str) -> impl FnOnce(LinkError) -> Error + '_ {
    move |error| Error::Master {
        url: url.to_owned(),
        code: code(&error),
        source: error,
    }
}

/// The code a server refused with; who does not answer is unavailable.
fn code(error: &LinkError) -> Code {
    match error.code() {
        Some(code) => code,
        None if error.is_unreachable() => Code::Unavailable,
        None => Code::Internal,
    }
}
