//! How the servers of a cluster call each other: every route of [`mdfs_protocol::internal`].
//!
//! Calls carry the cluster's credential, name the disk they are meant for, and are never repeated
//! here: the caller knows whether that is safe, and whom else to ask. Each call has a limit on the
//! time it may take in all; connecting takes at most a second of it.

mod beats;
mod behalf;
mod error;
mod footers;
mod line;
mod masters;
mod messages;
mod names;
mod network;
mod peer;
mod pieces;
mod send;
mod stream;
mod transport;

pub use behalf::Behalf;
pub use error::LinkError;
pub use line::Line;
pub use messages::Messages;
pub use names::{MOST_ADDRESSES, Resolve};
pub use network::{CarriedBody, CarryError, Network, Route};
pub use peer::{Peer, Reads};
pub use pieces::Pieces;
pub use stream::{ChunkStream, Passed};

use http::Method;
use http::header::HeaderValue;
use mdfs_core::checksum::Crc32;
use mdfs_core::chunk::ChunkId;
use mdfs_core::id::{ClusterId, DiskId, FileId, Term};
use mdfs_protocol::access::ClusterKey;
use mdfs_protocol::holdings::{self, Digests, DigestsRequest, ListRequest, Listing};
use mdfs_protocol::internal::{
    self, Adopt, CRC_HEADER, DropRequest, Dropped, HopsReply, Identity, PullRequest, SEAL_HEADER,
    ScrubProgress, Seal, SealRequest, Staged, Stored, VerifyRequest, chunk_path, drop_path,
};
use names::Names;
use pieces::PiecesBody;
use send::ascii_json;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Write;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use transport::Transport;

/// The congestion control of connections between servers of a cluster, which are near each other.
/// Where the system's is BBR, its timers, which pace every connection, cost a tenth of all processor
/// time at the rate of memory.
pub const CONGESTION: &str = "cubic";

/// A server's way to all others. A clone shares connections and what is known of the cluster.
#[derive(Clone, Debug)]
pub struct Links {
    transport: Transport,
    authorization: HeaderValue,
    cluster: Arc<RwLock<Option<ClusterId>>>,
    reads: Reads,
    names: Names,
}

impl Links {
    /// Links with the cluster's key. While `cluster` is none, calls name no cluster; see
    /// [`Links::join`].
    ///
    /// # Errors
    /// If the key cannot be sent; keys made from a secret always can.
    pub fn new(
        key: &ClusterKey,
        cluster: Option<ClusterId>,
        reads: Reads,
    ) -> Result<Self, LinkError> {
        Self::on(&Network::real(), key, cluster, reads)
    }

    /// As [`Links::new`], on this network.
    ///
    /// # Errors
    /// As [`Links::new`].
    pub fn on(
        network: &Network,
        key: &ClusterKey,
        cluster: Option<ClusterId>,
        reads: Reads,
    ) -> Result<Self, LinkError> {
        let mut authorization = HeaderValue::from_str(&key.authorization())
            .map_err(|error| LinkError::protocol("the cluster key", error))?;
        authorization.set_sensitive(true);
        Ok(Self {
            transport: Transport::new(network, reads.bytes()),
            authorization,
            cluster: Arc::new(RwLock::new(cluster)),
            reads,
            names: Names::of(network),
        })
    }

    /// Names this cluster in all further calls of this and its clones, or none, in the place of the one
    /// before: a master may find out that the first that it heard of is not its own.
    pub fn join(&self, cluster: Option<ClusterId>) {
        *self.cluster.write().unwrap_or_else(PoisonError::into_inner) = cluster;
    }

    /// Who answers at `url`.
    ///
    /// # Errors
    /// [`LinkError`], as for all calls.
    pub async fn identity(&self, url: &str, within: Duration) -> Result<Identity, LinkError> {
        let request = self.request(Method::GET, url, None, internal::IDENTITY)?;
        self.json(url, request, Pieces::default(), within).await
    }

    /// Makes a blank disk a disk of `cluster`. Harmless when it is already.
    ///
    /// # Errors
    /// [`LinkError`]; `foreign_disk` if it belongs to another cluster.
    pub async fn adopt(
        &self,
        peer: &Peer,
        cluster: ClusterId,
        within: Duration,
    ) -> Result<Identity, LinkError> {
        self.post(peer, internal::ADOPT, &Adopt { cluster }, within)
            .await
    }

    /// Sends one message of the metadata log and gives its answer.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn log<Q: Serialize, A: DeserializeOwned>(
        &self,
        peer: &Peer,
        message: &Q,
        within: Duration,
    ) -> Result<A, LinkError> {
        self.compact(peer, internal::LOG, message, within).await
    }

    /// The digests of everything that the peer holds.
    ///
    /// # Errors
    /// [`LinkError`]; `fenced` if a later leader's term is known there.
    pub async fn digests(
        &self,
        peer: &Peer,
        request: &DigestsRequest,
        within: Duration,
    ) -> Result<Digests, LinkError> {
        self.compact(peer, holdings::DIGESTS, request, within).await
    }

    /// The chunks that the peer holds of some partitions.
    ///
    /// # Errors
    /// [`LinkError`]; `fenced` if a later leader's term is known there.
    pub async fn list_chunks(
        &self,
        peer: &Peer,
        request: &ListRequest,
        within: Duration,
    ) -> Result<Listing, LinkError> {
        self.compact(peer, holdings::LIST, request, within).await
    }

    /// What is written behind a sealed chunk on the peer.
    ///
    /// # Errors
    /// [`LinkError`]; `chunk_not_found`.
    pub async fn seal_of(
        &self,
        peer: &Peer,
        chunk: ChunkId,
        within: Duration,
    ) -> Result<Seal, LinkError> {
        let path = chunk_path(chunk, "seal");
        let request = self.request(Method::GET, &peer.url, Some(peer.disk), &path)?;
        self.json(&peer.url, request, Pieces::default(), within)
            .await
    }

    /// Stores one segment of a staged chunk, at most 1 MiB, and lets the peer forward it to `next`.
    /// Sending it again is harmless.
    ///
    /// # Errors
    /// [`LinkError`]; `fenced` if a later leader's term is known there.
    #[expect(
        clippy::too_many_arguments,
        reason = "a segment is described by all of these"
    )]
    pub async fn segment(
        &self,
        peer: &Peer,
        chunk: ChunkId,
        offset: u64,
        term: Term,
        bytes: Pieces,
        crc: Crc32,
        next: &[DiskId],
        within: Duration,
    ) -> Result<HopsReply, LinkError> {
        let mut path = format!(
            "{}?offset={offset}&term={term}",
            chunk_path(chunk, "segment")
        );
        for (position, disk) in next.iter().enumerate() {
            let lead = if position == 0 { "&next=" } else { "," };
            // Writing to a String cannot fail.
            let _ = write!(path, "{lead}{disk}");
        }
        let request = self
            .request(Method::PUT, &peer.url, Some(peer.disk), &path)?
            .header(CRC_HEADER, crc.to_string());
        self.json(&peer.url, request, bytes, within).await
    }

    /// How far a staged chunk was received; its length once it is sealed.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn staged(
        &self,
        peer: &Peer,
        chunk: ChunkId,
        within: Duration,
    ) -> Result<Staged, LinkError> {
        let path = chunk_path(chunk, "staged");
        let request = self.request(Method::GET, &peer.url, Some(peer.disk), &path)?;
        self.json(&peer.url, request, Pieces::default(), within)
            .await
    }

    /// Forgets what was received of a chunk that is not sealed.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn discard_staged(
        &self,
        peer: &Peer,
        chunk: ChunkId,
        within: Duration,
    ) -> Result<(), LinkError> {
        let path = chunk_path(chunk, "staged");
        let request = self.request(Method::DELETE, &peer.url, Some(peer.disk), &path)?;
        self.send(&peer.url, request, Pieces::default(), within)
            .await
            .map(|_| ())
    }

    /// Makes a staged chunk durable on the peer and on the disks in `request.next`. Harmless when
    /// it is already.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn seal(
        &self,
        peer: &Peer,
        chunk: ChunkId,
        request: &SealRequest,
        within: Duration,
    ) -> Result<HopsReply, LinkError> {
        self.post(peer, &chunk_path(chunk, "seal"), request, within)
            .await
    }

    /// Stores a chunk of at most 1 MiB; durable when answered. Harmless when it is there already.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn store_whole(
        &self,
        peer: &Peer,
        chunk: ChunkId,
        term: Term,
        bytes: Pieces,
        seal: &Seal,
        within: Duration,
    ) -> Result<Stored, LinkError> {
        let path = format!("{}?term={term}", chunk_path(chunk, ""));
        let request = self
            .request(Method::PUT, &peer.url, Some(peer.disk), &path)?
            .header(CRC_HEADER, seal.crc32.to_string())
            .header(
                SEAL_HEADER,
                ascii_json(seal).map_err(|why| LinkError::protocol(&peer.url, why))?,
            );
        self.json(&peer.url, request, bytes, within).await
    }

    /// Lets the peer copy a sealed chunk from another worker.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn pull(
        &self,
        peer: &Peer,
        chunk: ChunkId,
        request: &PullRequest,
        within: Duration,
    ) -> Result<Stored, LinkError> {
        self.post(peer, &chunk_path(chunk, "pull"), request, within)
            .await
    }

    /// Asks, as the leader of `term`, what is stored of a chunk.
    ///
    /// # Errors
    /// [`LinkError`]; `chunk_not_found` if nothing is, `fenced` if a later term is known there.
    pub async fn verify(
        &self,
        peer: &Peer,
        chunk: ChunkId,
        term: Term,
        within: Duration,
    ) -> Result<Stored, LinkError> {
        self.post(
            peer,
            &chunk_path(chunk, "verify"),
            &VerifyRequest { term },
            within,
        )
        .await
    }

    /// Removes all chunks and staged segments of a file id, as the leader of `term`.
    ///
    /// # Errors
    /// [`LinkError`]; `fenced` if a later term is known there.
    pub async fn drop_file(
        &self,
        peer: &Peer,
        file: FileId,
        term: Term,
        within: Duration,
    ) -> Result<Dropped, LinkError> {
        self.post(peer, &drop_path(file), &DropRequest { term }, within)
            .await
    }

    /// Reads `length` bytes of a chunk from `offset` on, verified by the peer. `stall` limits the
    /// wait for the first byte and for every later one, not the whole. With [`Reads::Small`], the peer
    /// lets its other readers go first.
    ///
    /// # Errors
    /// [`LinkError`]; `chunk_not_found`, `bad_block`. A block found bad later breaks the stream.
    pub async fn read(
        &self,
        peer: &Peer,
        chunk: ChunkId,
        offset: u64,
        length: u64,
        stall: Duration,
    ) -> Result<ChunkStream, LinkError> {
        let yields = match self.reads {
            Reads::Large => "",
            Reads::Small => "&yields=true",
        };
        let path = chunk_path(chunk, "") + &format!("?offset={offset}&length={length}{yields}");
        let request = self
            .request(Method::GET, &peer.url, Some(peer.disk), &path)?
            .body(PiecesBody::default())
            .map_err(|why| LinkError::protocol(&peer.url, why))?;
        let response = self.transport.open(&peer.url, request, stall).await?;
        Ok(ChunkStream::new(
            peer.url.clone(),
            response.into_body(),
            length,
            stall,
        ))
    }

    /// Has the peer read all its chunks now, or with `begin` false only says how far that is.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn scrub(
        &self,
        peer: &Peer,
        begin: bool,
        within: Duration,
    ) -> Result<ScrubProgress, LinkError> {
        let method = if begin { Method::POST } else { Method::GET };
        let request = self.request(method, &peer.url, Some(peer.disk), internal::SCRUB)?;
        self.json(&peer.url, request, Pieces::default(), within)
            .await
    }
}

#[cfg(test)]
mod tests;
