//! Who a disk is: kept in one small file that is replaced as a whole.

use super::error::{Error, Result, io_error};
use super::layout::{IDENTITY, IDENTITY_STAGED};
use crate::disk::{Disk, Writes};
use mdfs_core::fence::{self, Fenced};
use mdfs_core::id::{ClusterId, DiskId, Generation, Incarnation, Term};
use std::io;
use std::path::Path;

/// The format of everything on the disk. A change needs a migration.
pub(crate) const FORMAT_VERSION: u32 = 1;

const MAGIC: [u8; 8] = *b"MDFSDISK";
const BYTES: usize = 80;
const HAS_CLUSTER: u32 = 1;
const HAS_LOG: u32 = 2;

/// What a disk says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskIdentity {
    /// Drawn when the disk was formatted.
    pub disk: DiskId,
    /// The cluster it belongs to; none until it is adopted.
    pub cluster: Option<ClusterId>,
    /// Rises while the disk is in use.
    pub generation: Generation,
    /// The highest term of a leader it has heard of: lower ones give no orders.
    pub fence: Term,
    /// Whether the disk keeps a metadata log: if it is gone, its promises are, too.
    pub has_log: bool,
}

impl DiskIdentity {
    /// The fence once an order of this term is obeyed.
    pub(super) fn obey(&self, term: Term) -> Result<Term> {
        let fenced = |Fenced { term, fence }| Error::Fenced { term, fence };
        fence::obey(self.fence, term).map_err(fenced)
    }

    fn encode(&self) -> [u8; BYTES] {
        let flags = if self.cluster.is_some() {
            HAS_CLUSTER
        } else {
            0
        } | if self.has_log { HAS_LOG } else { 0 };
        let cluster = self.cluster.map_or([0; 16], ClusterId::to_bytes);
        let parts: [&[u8]; 8] = [
            &MAGIC,
            &FORMAT_VERSION.to_le_bytes(),
            &flags.to_le_bytes(),
            &cluster,
            &self.disk.to_bytes(),
            &self.generation.0.to_le_bytes(),
            &self.fence.round.to_le_bytes(),
            &self.fence.incarnation.0.to_le_bytes(),
        ];
        let mut bytes = [0; BYTES];
        let mut rest = bytes.as_mut_slice();
        for part in parts {
            let (here, after) = rest.split_at_mut(part.len());
            here.copy_from_slice(part);
            rest = after;
        }
        // Four reserved bytes, then the checksum of all before it.
        let (body, checksum) = bytes.split_at_mut(BYTES - 4);
        checksum.copy_from_slice(&crc32fast::hash(body).to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<Self> {
        let damaged = |reason| Error::DamagedIdentity { reason };
        let mut fields = Fields { rest: bytes };
        let cut = || damaged("it is cut");
        if fields.take::<8>().ok_or_else(cut)? != MAGIC {
            return Err(damaged("it does not start as an identity"));
        }
        // Before the checksum: a later version may have another length.
        let found = u32::from_le_bytes(fields.take().ok_or_else(cut)?);
        if found != FORMAT_VERSION {
            return Err(Error::UnknownFormat {
                found,
                known: FORMAT_VERSION,
            });
        }
        let (body, checksum) = bytes.split_at_checked(BYTES - 4).ok_or_else(cut)?;
        if checksum != crc32fast::hash(body).to_le_bytes() {
            return Err(damaged("its checksum does not match"));
        }
        let flags = u32::from_le_bytes(fields.take().ok_or_else(cut)?);
        let cluster = ClusterId::from_bytes(fields.take().ok_or_else(cut)?);
        let disk = DiskId::from_bytes(fields.take().ok_or_else(cut)?);
        let mut number = || fields.take().map(u64::from_le_bytes).ok_or_else(cut);
        Ok(Self {
            disk,
            cluster: (flags & HAS_CLUSTER != 0).then_some(cluster),
            generation: Generation(number()?),
            fence: Term {
                round: number()?,
                incarnation: Incarnation(number()?),
            },
            has_log: flags & HAS_LOG != 0,
        })
    }

    /// Reads the disk's identity; none if it has none.
    pub(crate) fn load(disk: &dyn Disk) -> Result<Option<Self>> {
        let path = Path::new(IDENTITY);
        let file = match disk.open(path, false) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_error("open", path)(error)),
        };
        let mut bytes = [0; BYTES + 1];
        let count = file
            .read_at(&mut bytes, 0)
            .map_err(io_error("read", path))?;
        Self::decode(bytes.get(..count).unwrap_or_default()).map(Some)
    }

    /// Replaces the identity on the disk. Durable when it returns; a crash leaves the old or the
    /// new one.
    pub(crate) fn store(&self, disk: &dyn Disk) -> io::Result<()> {
        let staged = Path::new(IDENTITY_STAGED);
        match disk.remove(staged) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = disk.create(staged, Writes::Cached)?;
        file.write_at(&self.encode(), 0)?;
        file.sync_data()?;
        disk.rename(staged, Path::new(IDENTITY))?;
        disk.sync_dir(Path::new(""))
    }
}

/// Takes fixed-width fields from the front of bytes.
pub(crate) struct Fields<'a> {
    pub(crate) rest: &'a [u8],
}

impl Fields<'_> {
    pub(crate) fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_reads_back_and_a_flip_of_any_bit_is_found() {
        let identity = DiskIdentity {
            disk: DiskId::from_u128(7),
            cluster: Some(ClusterId::from_u128(9)),
            generation: Generation(3),
            fence: Term {
                round: 4,
                incarnation: Incarnation(5),
            },
            has_log: true,
        };
        let bytes = identity.encode();
        assert_eq!(DiskIdentity::decode(&bytes).unwrap(), identity);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(DiskIdentity::decode(&flipped).is_err(), "bit {bit}");
        }
        for len in 0..bytes.len() {
            assert!(DiskIdentity::decode(&bytes[..len]).is_err(), "cut to {len}");
        }
    }

    #[test]
    fn another_format_version_is_named() {
        let identity = DiskIdentity {
            disk: DiskId::from_u128(7),
            cluster: None,
            generation: Generation(1),
            fence: Term::default(),
            has_log: false,
        };
        let mut bytes = identity.encode();
        bytes[8] = 2;
        let error = DiskIdentity::decode(&bytes).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the disk has format version 2, known is 1"
        );
    }
}
