//! What stands behind the chunks on a disk, for a master that looks for files that no record has.

use crate::internal::Seal;
use mdfs_core::chunk::ChunkId;
use mdfs_core::id::Term;
use serde::{Deserialize, Serialize};

/// `POST` [`FootersRequest`]: one page of [`Footers`]; postcard both ways.
pub const FOOTERS: &str = "/internal/v1/footers";
/// Most of them in a page: each costs a disk a read, and the page has to come within seconds.
pub const MOST_FOOTERS: u32 = 256;

/// Asks for what is written behind chunks, in the order of their ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FootersRequest {
    /// The leader's term: raises the disk's fence first, so that nothing that is told of is dropped by
    /// an order of before; refused if lower.
    pub term: Term,
    /// Only chunks behind this one.
    pub after: Option<ChunkId>,
    /// At most so many, and [`MOST_FOOTERS`].
    pub limit: u32,
}

/// A page of footers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Footers {
    /// The chunks.
    pub footers: Vec<Footer>,
    /// Whether the disk has chunks behind these.
    pub more: bool,
}

/// A chunk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Footer {
    /// Which.
    pub chunk: ChunkId,
    /// What is written behind it; none if that cannot be read. Blocks of the chunk may be damaged all
    /// the same.
    pub seal: Option<Seal>,
}
