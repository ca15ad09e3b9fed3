//! CRC-32 (IEEE), and how the CRC of two parts joins.

use super::InvalidChecksum;
use crate::id::FileId;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// A CRC-32 (IEEE 802.3), shown as 8 hexadecimal digits. Finds accidents, not forgery.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Crc32(pub u32);

impl Crc32 {
    /// The CRC of these bytes; zero for none.
    pub fn of(bytes: &[u8]) -> Self {
        Self(crc32fast::hash(bytes))
    }

    /// The CRC of a text that has CRC `first`, followed by `second_len` bytes with CRC `second`.
    ///
    /// Takes a few dozen nanoseconds for a power of two, a microsecond at most.
    pub fn combine(first: Self, second: Self, second_len: u64) -> Self {
        Self(shifted(first.0, second_len) ^ second.0)
    }

    /// The CRC of what this one is of, followed by these bytes.
    #[must_use]
    pub fn then(self, bytes: &[u8]) -> Self {
        let mut hasher = crc32fast::Hasher::new_with_initial(self.0);
        hasher.update(bytes);
        Self(hasher.finalize())
    }
}

/// The checksum of a block: CRC-32 over the file id (16 bytes, most significant first), the chunk's
/// index and the block's number (4 bytes each, least significant first), and the block's bytes.
///
/// So right bytes in the wrong place are found too. The bytes themselves are hashed once, by the
/// caller: `plain_crc` is the CRC of the block's `len` bytes alone.
pub fn block_checksum(
    file: FileId,
    chunk_index: u32,
    block_no: u32,
    plain_crc: Crc32,
    len: u32,
) -> Crc32 {
    let prefix = Crc32::of(&file.to_bytes())
        .then(&chunk_index.to_le_bytes())
        .then(&block_no.to_le_bytes());
    Crc32::combine(prefix, plain_crc, u64::from(len))
}

/// The polynomial, without its highest term, lowest power in the highest bit.
const POLYNOMIAL: u32 = 0xedb8_8320;

/// The product of two polynomials over GF(2), modulo the CRC's.
const fn product(left: u32, mut right: u32) -> u32 {
    let mut sum = 0;
    let mut bit = 1 << 31;
    while bit != 0 {
        if left & bit != 0 {
            sum ^= right;
        }
        right = if right & 1 == 0 {
            right >> 1
        } else {
            (right >> 1) ^ POLYNOMIAL
        };
        bit >>= 1;
    }
    sum
}

/// What `crc` becomes when `len` zero bytes follow: times x to the power of 8 * `len`.
fn shifted(crc: u32, len: u64) -> u32 {
    let mut result = crc;
    let mut rest = len;
    for power in BYTE_POWERS {
        if rest & 1 == 1 {
            result = product(power, result);
        }
        rest >>= 1;
    }
    result
}

/// x to the powers of 8, 16, 32 and so on: by one byte, two, four, up to 2^63 bytes.
static BYTE_POWERS: [u32; 64] = {
    let mut powers = [0; 64];
    let mut power = 1 << 23;
    let mut rest: &mut [u32] = &mut powers;
    while let Some((first, others)) = rest.split_first_mut() {
        *first = power;
        power = product(power, power);
        rest = others;
    }
    powers
};

impl fmt::Display for Crc32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

impl fmt::Debug for Crc32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Crc32({self})")
    }
}

/// 8 hexadecimal digits where people read it, a number elsewhere.
impl Serialize for Crc32 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Crc32 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
            text.parse().map_err(serde::de::Error::custom)
        } else {
            u32::deserialize(deserializer).map(Self)
        }
    }
}

/// Reads 8 hexadecimal digits of either case.
impl FromStr for Crc32 {
    type Err = InvalidChecksum;

    fn from_str(text: &str) -> Result<Self, InvalidChecksum> {
        let refuse = || InvalidChecksum::new(text, 8);
        if text.len() != 8 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(refuse());
        }
        u32::from_str_radix(text, 16)
            .map(Self)
            .map_err(|_| refuse())
    }
}
