//! The keys of records. The first byte says what kind it is; keys of a kind sort as is useful.

use super::Corrupt;
use crate::chunk::ChunkId;
use crate::id::{DiskId, FileId, RequestId, TokenId};
use crate::name::FileName;
use crate::partition::Partition;
use crate::time::LogTime;

/// What a record is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// The cluster itself: a `ClusterRecord`.
    Cluster,
    /// A member: a `MemberRecord`.
    Member(DiskId),
    /// The holders of a partition: a `PartitionRecord`.
    Partition(Partition),
    /// Where a partition is moving to, while it does: a `MoveRecord`.
    Move(Partition),
    /// A file, by name: a `FileRecord`. Sorts by name bytes.
    File(FileName),
    /// An open upload: an `UploadRecord`.
    Upload(FileId),
    /// A chunk of an open upload that clients come back to: a `ChunkRecord`. Sorts behind all uploads, by the chunk's
    /// number.
    Chunk(ChunkId),
    /// An upload session that has ended: an `EndedRecord`.
    Ended(FileId),
    /// A deleted or replaced file: a `TrashRecord`. Sorts by age.
    Trash(LogTime, FileId),
    /// A request that a client may repeat: an `Outcome`. Sorts by age.
    Request(RequestId),
    /// An access token: a `TokenRecord`.
    Token(TokenId),
}

/// The kinds of keys, as the byte that starts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// [`Key::Cluster`]
    Cluster,
    /// [`Key::Member`]
    Member,
    /// [`Key::Partition`]
    Partition,
    /// [`Key::Move`]
    Move,
    /// [`Key::File`]
    File,
    /// [`Key::Upload`]
    Upload,
    /// [`Key::Chunk`]
    Chunk,
    /// [`Key::Ended`]
    Ended,
    /// [`Key::Trash`]
    Trash,
    /// [`Key::Request`]
    Request,
    /// [`Key::Token`]
    Token,
}

impl Kind {
    /// The first byte of the keys of this kind.
    pub const fn tag(self) -> u8 {
        match self {
            Kind::Cluster => b'c',
            Kind::Member => b'm',
            Kind::Partition => b'p',
            Kind::Move => b'o',
            Kind::File => b'f',
            Kind::Upload => b'u',
            Kind::Chunk => b'v',
            Kind::Ended => b'e',
            Kind::Trash => b't',
            Kind::Request => b'r',
            Kind::Token => b'k',
        }
    }
}

impl Key {
    /// What kind of record it names.
    pub const fn kind(&self) -> Kind {
        match self {
            Key::Cluster => Kind::Cluster,
            Key::Member(_) => Kind::Member,
            Key::Partition(_) => Kind::Partition,
            Key::Move(_) => Kind::Move,
            Key::File(_) => Kind::File,
            Key::Upload(_) => Kind::Upload,
            Key::Chunk(_) => Kind::Chunk,
            Key::Ended(_) => Kind::Ended,
            Key::Trash(..) => Kind::Trash,
            Key::Request(_) => Kind::Request,
            Key::Token(_) => Kind::Token,
        }
    }

    /// What the keys of all chunks of an upload begin with.
    pub fn chunks_of(file: FileId) -> [u8; 17] {
        let mut bytes = [Kind::Chunk.tag(); 17];
        if let Some((_, rest)) = bytes.split_first_chunk_mut::<1>() {
            rest.copy_from_slice(&file.to_bytes());
        }
        bytes
    }

    /// The key as bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![self.kind().tag()];
        match self {
            Key::Cluster => {}
            Key::Member(disk) => bytes.extend(disk.to_bytes()),
            Key::Partition(partition) | Key::Move(partition) => {
                bytes.extend(partition.number().to_be_bytes());
            }
            Key::File(name) => bytes.extend(name.as_str().as_bytes()),
            Key::Upload(file) | Key::Ended(file) => bytes.extend(file.to_bytes()),
            Key::Chunk(chunk) => {
                bytes.extend(chunk.file.to_bytes());
                bytes.extend(chunk.index.to_be_bytes());
            }
            Key::Trash(time, file) => {
                bytes.extend(time.as_millis().to_be_bytes());
                bytes.extend(file.to_bytes());
            }
            Key::Request(request) => bytes.extend(request.to_bytes()),
            Key::Token(token) => bytes.extend(token.to_bytes()),
        }
        bytes
    }

    /// Reads a key back.
    ///
    /// # Errors
    /// If the bytes are no key.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Corrupt> {
        parse(bytes).ok_or_else(|| Corrupt::Key(bytes.to_vec()))
    }
}

fn parse(bytes: &[u8]) -> Option<Key> {
    let (&tag, rest) = bytes.split_first()?;
    let id = || rest.try_into().ok();
    Some(match tag {
        b'c' if rest.is_empty() => Key::Cluster,
        b'm' => Key::Member(DiskId::from_bytes(id()?)),
        b'p' => Key::Partition(Partition::new(u16::from_be_bytes(rest.try_into().ok()?))?),
        b'o' => Key::Move(Partition::new(u16::from_be_bytes(rest.try_into().ok()?))?),
        b'f' => Key::File(FileName::parse(std::str::from_utf8(rest).ok()?).ok()?),
        b'u' => Key::Upload(FileId::from_bytes(id()?)),
        b'v' => {
            let (file, index) = rest.split_first_chunk::<16>()?;
            let index = u32::from_be_bytes(index.try_into().ok()?);
            let file = FileId::from_bytes(*file);
            Key::Chunk(ChunkId { file, index })
        }
        b'e' => Key::Ended(FileId::from_bytes(id()?)),
        b't' => {
            let (time, file) = rest.split_first_chunk::<8>()?;
            let time = LogTime::from_millis(u64::from_be_bytes(*time));
            Key::Trash(time, FileId::from_bytes(file.try_into().ok()?))
        }
        b'r' => Key::Request(RequestId::from_bytes(id()?)),
        b'k' => Key::Token(TokenId::from_bytes(id()?)),
        _ => return None,
    })
}
