//! Bytes that know where they belong: one of another file, or from another place in the same file,
//! is recognised.

use crate::chance::mix;
use anyhow::{Result, bail};
use std::io::{self, Read};

/// The endless content of one test file. Bytes depend on its number and their offset alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content {
    number: u64,
}

impl Content {
    /// The content with this number.
    pub fn new(number: u64) -> Self {
        Self {
            number: mix(number ^ 0x6d64_6673),
        }
    }

    /// Writes the bytes at `offset` into `buffer`.
    pub fn fill(self, offset: u64, buffer: &mut [u8]) {
        let mut word = offset / 8;
        let lead = usize::try_from(offset % 8).unwrap_or_default();
        let mut rest = buffer;
        if lead > 0 {
            let bytes = self.word(word);
            let tail = bytes.get(lead..).unwrap_or_default();
            let count = tail.len().min(rest.len());
            let (first, others) = rest.split_at_mut(count);
            first.copy_from_slice(tail.get(..count).unwrap_or_default());
            rest = others;
            word += 1;
        }
        for part in rest.chunks_mut(8) {
            let bytes = self.word(word);
            part.copy_from_slice(bytes.get(..part.len()).unwrap_or_default());
            word += 1;
        }
    }

    /// The bytes from `offset` on, `length` of them.
    pub fn bytes(self, offset: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.fill(offset, &mut bytes);
        bytes
    }

    /// Compares `found` with the content at `offset`.
    ///
    /// # Errors
    /// Names the first byte that differs.
    pub fn check(self, offset: u64, found: &[u8]) -> Result<()> {
        let wanted = self.bytes(offset, found.len());
        if wanted == found {
            return Ok(());
        }
        let same = wanted
            .iter()
            .zip(found)
            .take_while(|(wanted, found)| wanted == found)
            .count();
        bail!("byte {} of the file differs", offset + u64::try_from(same)?)
    }

    /// A reader of the first `length` bytes.
    pub fn reader(self, length: u64) -> ContentReader {
        ContentReader {
            content: self,
            offset: 0,
            end: length,
        }
    }

    fn word(self, index: u64) -> [u8; 8] {
        mix(self
            .number
            .wrapping_add(index.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
        .to_le_bytes()
    }
}

/// Reads a content from its start.
#[derive(Clone, Debug)]
pub struct ContentReader {
    content: Content,
    offset: u64,
    end: u64,
}

impl Read for ContentReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.offset).unwrap_or(usize::MAX);
        let count = left.min(buffer.len());
        let (part, _) = buffer.split_at_mut(count);
        self.content.fill(self.offset, part);
        self.offset += u64::try_from(count).map_err(io::Error::other)?;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slice_equals_the_same_place_of_the_whole() {
        let content = Content::new(3);
        let whole = content.bytes(0, 200);
        for start in 0..40 {
            for length in 0..40 {
                let slice = &whole[start..start + length];
                content.check(u64::try_from(start).unwrap(), slice).unwrap();
            }
        }
        let mut read = Vec::new();
        content.reader(200).read_to_end(&mut read).unwrap();
        assert_eq!(read, whole);
    }

    #[test]
    fn bytes_of_another_file_or_place_are_recognised() {
        let whole = Content::new(3).bytes(0, 64);
        assert!(Content::new(4).check(0, &whole).is_err());
        assert!(Content::new(3).check(8, &whole).is_err());
        let mut flipped = whole;
        flipped[17] ^= 1;
        let error = Content::new(3).check(0, &flipped).unwrap_err();
        assert_eq!(error.to_string(), "byte 17 of the file differs");
    }
}
