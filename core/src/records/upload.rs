//! Open uploads, the chunks of those that can be resumed, and how they ended.

use super::{Corrupt, FileRecord, Precondition, Record, Wanted, encode};
use crate::checksum::{Blake3, ChunkHash, Crc32};
use crate::chunk::ChunkSize;
use crate::format::UPLOADS_SAY_WHOSE;
use crate::id::{DiskId, RequestId, Term, TokenId};
use crate::labels::Labels;
use crate::name::FileName;
use crate::ring::ReplicationFactor;
use crate::time::LogTime;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// An upload that was begun and neither committed nor aborted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadRecord {
    /// The log index of its BeginUpload.
    pub begun_at: u64,
    /// When it was begun.
    pub begun: LogTime,
    /// The name it will have.
    pub name: FileName,
    /// Bytes of a chunk.
    pub chunk_size: ChunkSize,
    /// Copies of each chunk.
    pub replicas: Wanted,
    /// Media type.
    pub content_type: String,
    /// What whoever stores it says of it.
    pub labels: Labels,
    /// Must hold at the commit.
    pub precondition: Precondition,
    /// The request that began it, if it may be repeated.
    pub request: Option<RequestId>,
    /// Whether it outlives the gateway that serves it, and for how long.
    pub session: Option<Session>,
    /// Whom it counts for, if it outlives the gateway and that is known.
    pub holder: Option<Holder>,
}

impl UploadRecord {
    /// How many copies its chunks need: as many as were wanted when it was begun, or as many as are wanted
    /// by now, when the policy says `policy`, if those are fewer.
    pub fn copies(&self, policy: ReplicationFactor) -> ReplicationFactor {
        self.replicas.told().min(self.replicas.under(policy))
    }
}

impl Record for UploadRecord {
    const VERSION: u8 = 2;

    fn of_earlier(version: u8, value: &[u8]) -> Result<Self, Corrupt> {
        match version {
            1 => {
                let first: FirstUploadRecord =
                    postcard::from_bytes(value).map_err(Corrupt::Value)?;
                Ok(first.into())
            }
            _ => Err(Corrupt::Version(version)),
        }
    }

    fn encode_in(&self, format: u32) -> Result<Vec<u8>, Corrupt> {
        if format >= UPLOADS_SAY_WHOSE {
            return encode(self);
        }
        let first = FirstUploadRecord::from(self.clone());
        postcard::to_extend(&first, vec![1]).map_err(Corrupt::Value)
    }
}

/// An [`UploadRecord`] of version 1, which did not say whom it counts for.
#[derive(Serialize, Deserialize)]
struct FirstUploadRecord {
    begun_at: u64,
    begun: LogTime,
    name: FileName,
    chunk_size: ChunkSize,
    replicas: Wanted,
    content_type: String,
    labels: Labels,
    precondition: Precondition,
    request: Option<RequestId>,
    session: Option<Session>,
}

impl From<FirstUploadRecord> for UploadRecord {
    fn from(first: FirstUploadRecord) -> Self {
        let FirstUploadRecord {
            begun_at,
            begun,
            name,
            chunk_size,
            replicas,
            content_type,
            labels,
            precondition,
            request,
            session,
        } = first;
        Self {
            begun_at,
            begun,
            name,
            chunk_size,
            replicas,
            content_type,
            labels,
            precondition,
            request,
            session,
            holder: None,
        }
    }
}

impl From<UploadRecord> for FirstUploadRecord {
    fn from(now: UploadRecord) -> Self {
        let UploadRecord {
            begun_at,
            begun,
            name,
            chunk_size,
            replicas,
            content_type,
            labels,
            precondition,
            request,
            session,
            holder: _,
        } = now;
        Self {
            begun_at,
            begun,
            name,
            chunk_size,
            replicas,
            content_type,
            labels,
            precondition,
            request,
            session,
        }
    }
}

/// Whom a read or an upload counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Holder {
    /// Whoever sends this token.
    Token(TokenId),
    /// Whoever asks from there, with a root token or a link: an address as one customer has it.
    Address(u128),
}

/// An upload that clients come back to: its chunks are recorded, and it lives for as long as it is
/// gone on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Bytes in the file, if they were told.
    pub size: Option<u64>,
    /// How long it lives without a new chunk, in log time.
    pub expires_after: Duration,
}

/// What a chunk of a session is. Recorded before any disk seals it, without disks, and again once it is
/// durable as often as wanted, with them. What it says of the bytes never changes: whoever has them, under
/// whatever try, has these.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkRecord {
    /// Bytes in it.
    pub length: u64,
    /// CRC-32 of them.
    pub crc32: Crc32,
    /// What the chunk adds to the BLAKE3 of its file.
    pub hash: ChunkHash,
    /// Of the first chunk: the BLAKE3 of the file if it has no other.
    pub alone: Option<Blake3>,
    /// The disks that answered for it; none as long as only its bytes are settled.
    pub disks: Vec<DiskId>,
    /// The term in which they did.
    pub term: Term,
    /// When it was recorded.
    pub stored: LogTime,
}

impl ChunkRecord {
    /// Whether disks have answered for it.
    pub fn is_durable(&self) -> bool {
        !self.disks.is_empty()
    }
}

/// How a session ended: kept for a while, for clients that did not hear of it. While a recovery is under
/// way also of any other upload or file that somebody ended for good: no search brings it back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedRecord {
    /// When.
    pub ended: LogTime,
    /// How.
    pub end: UploadEnd,
}

/// How a session ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UploadEnd {
    /// It became this file.
    Committed(FileName, Box<FileRecord>),
    /// Somebody ended it.
    Aborted,
    /// Nobody went on with it.
    Expired,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::decode;
    use crate::ring::ReplicationFactor;

    #[test]
    fn an_upload_of_the_first_version_is_read_and_counts_for_nobody() {
        let first = FirstUploadRecord {
            begun_at: 3,
            begun: LogTime::from_millis(5),
            name: FileName::parse("a").unwrap(),
            chunk_size: ChunkSize::MIN,
            replicas: Wanted::by_policy(ReplicationFactor::DEFAULT),
            content_type: "video/mp4".to_owned(),
            labels: Labels::default(),
            precondition: Precondition::default(),
            request: None,
            session: Some(Session {
                size: Some(7),
                expires_after: Duration::from_secs(60),
            }),
        };
        let bytes = postcard::to_extend(&first, vec![1]).unwrap();
        let written = [
            1, 3, 5, 1, 97, 128, 128, 64, 2, 1, 9, 118, 105, 100, 101, 111, 47, 109, 112, 52,
        ];
        assert_eq!(bytes[..written.len()], written);
        let read: UploadRecord = decode(&bytes).unwrap();
        assert_eq!(read, UploadRecord::from(first));
        assert_eq!((read.begun_at, read.holder), (3, None));
        let now = UploadRecord {
            holder: Some(Holder::Token(TokenId::from_u128(7))),
            ..read
        };
        let bytes = encode(&now).unwrap();
        assert_eq!(bytes[0], 2);
        assert_eq!(decode(&bytes), Ok(now.clone()));
        assert_eq!(now.encode_in(2).unwrap(), bytes);
        // A cluster that has servers of the first version left holds what these can read.
        let earlier = now.encode_in(1).unwrap();
        assert_eq!(earlier[0], 1);
        let read: UploadRecord = decode(&earlier).unwrap();
        assert_eq!(
            read,
            UploadRecord {
                holder: None,
                ..now
            }
        );
        assert_eq!(decode::<UploadRecord>(&[0, 1]), Err(Corrupt::Version(0)));
    }
}
