//! The form of an export: one JSON object a line.
//!
//! The first line is a [`Head`], the last an [`Line::End`] with the number of lines before it and the
//! BLAKE3 of their bytes, line ends included. What lacks its last line broke off.

use crate::public::PolicyChange;
use mdfs_core::access::Grant;
use mdfs_core::checksum::{Blake3, Crc32};
use mdfs_core::chunk::{ChunkLayout, ChunkSize};
use mdfs_core::id::{ClusterId, FileId, TokenId};
use mdfs_core::labels::{Attributes, Labels, SourceTime};
use mdfs_core::name::FileName;
use mdfs_core::records::{Copies, FileRecord, TokenHash, TokenRecord, Wanted};
use mdfs_core::ring::ReplicationFactor;
use mdfs_core::time::LogTime;
use serde::{Deserialize, Serialize};

/// `GET ?tokens=`: an export, for another master that passes it on.
pub const PASSED: &str = "/internal/v1/export";
/// `GET`: the ids of all files, in the trash or out of it, and of open uploads, 16 bytes each.
pub const IDS: &str = "/internal/v1/export/ids";
/// The media type.
pub const CONTENT_TYPE: &str = "application/x-ndjson";
/// What `mdfs` says in the first line.
pub const WORD: &str = "export";
/// The version of the form that is written, and the only one that is read.
pub const FORMAT: u32 = 1;
/// The most bytes of a line: a record is far smaller.
pub const LINE_MAX_BYTES: usize = 8 << 20;
/// The most chunks of a file in an export: 16 TiB in the smallest ones. A line of a few bytes could
/// name thousands of millions, and all of them are looked at in every survey.
pub const MOST_CHUNKS: u32 = 1 << 24;

/// The first line: what it is, and of when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// [`WORD`].
    pub mdfs: String,
    /// [`FORMAT`].
    pub format: u32,
    /// The cluster.
    pub cluster: ClusterId,
    /// The log index up to which it has everything.
    pub index: u64,
    /// The log time there, in milliseconds since the Unix epoch.
    pub log_time: LogTime,
}

impl Head {
    /// The head of an export.
    pub fn new(cluster: ClusterId, index: u64, log_time: LogTime) -> Self {
        Self {
            mdfs: WORD.to_owned(),
            format: FORMAT,
            cluster,
            index,
            log_time,
        }
    }
}

/// Every other line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// A file.
    File(Box<File>),
    /// A file in the trash.
    Trash(Trashed),
    /// The policy of the cluster.
    Policy(PolicyChange),
    /// An access token, without its secret.
    Token(Token),
    /// The end.
    End(End),
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Its name.
    pub name: FileName,
    /// Names its bytes.
    pub file_id: FileId,
    /// The log index that made it.
    pub version: u64,
    /// Bytes.
    pub size: u64,
    /// Bytes of each chunk but the last.
    pub chunk_size: ChunkSize,
    /// Its chunks, if they are not as the chunk size says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunks: Option<ChunkLayout>,
    /// Copies of each chunk.
    pub replicas: ReplicationFactor,
    /// Whether the policy says how many, and not `replicas`.
    pub by_policy: bool,
    /// CRC-32 of all bytes.
    pub crc32: Crc32,
    /// BLAKE3 of all bytes.
    pub blake3: Blake3,
    /// Media type.
    pub content_type: String,
    /// When it was changed where it came from, in milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_modified: Option<u64>,
    /// Attributes of the user's own.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub attributes: Attributes,
    /// When its bytes were committed, in log time.
    pub modified: LogTime,
    /// Chunks that are not on their partition's holders.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exceptions: Vec<Copies>,
}

fn is_empty(attributes: &Attributes) -> bool {
    *attributes == Attributes::default()
}

/// A file in the trash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trashed {
    /// When it came there, in log time.
    pub deleted: LogTime,
    /// What it was.
    pub file: Box<File>,
}

/// An access token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// Its id.
    pub id: TokenId,
    /// SHA-256 of its secret, in hexadecimal digits.
    pub sha256: Sha256,
    /// What it is for.
    pub label: String,
    /// What it allows.
    pub grant: Grant,
    /// When it was made, in wall time.
    pub created: LogTime,
    /// From when on it is refused, in wall time.
    pub expires: LogTime,
}

/// A hash of 256 bits as text. It has the form of any other.
type Sha256 = Blake3;

/// The last line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct End {
    /// How many lines are before it.
    pub lines: u64,
    /// BLAKE3 of their bytes.
    pub blake3: Blake3,
}

/// Why a file of an export can be none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFile {
    /// The chunks are none, or do not add up.
    #[error("its chunks do not add up to its size")]
    Chunks,
    /// More chunks than any file has.
    #[error("it has more than {MOST_CHUNKS} chunks")]
    TooManyChunks,
    /// An exception is about no chunk of it, or says nothing.
    #[error("an exception is empty, out of order, or beyond the last chunk")]
    Exceptions,
    /// The media type is none.
    #[error("its media type has other than at most 255 printable characters")]
    ContentType,
}

impl File {
    /// A file as it is exported.
    pub fn new(name: FileName, record: FileRecord) -> Self {
        let FileRecord {
            version,
            file,
            size,
            layout,
            chunk_size,
            replicas,
            crc32,
            blake3,
            content_type,
            labels,
            modified,
            exceptions,
        } = record;
        let even = ChunkLayout::of_file(size, chunk_size);
        Self {
            name,
            file_id: file,
            version,
            size,
            chunk_size,
            chunks: (even != Ok(layout.clone())).then_some(layout),
            replicas: replicas.told(),
            by_policy: replicas.explicit().is_none(),
            crc32,
            blake3,
            content_type,
            source_modified: labels.modified.map(|time| time.0),
            attributes: labels.attributes,
            modified,
            exceptions,
        }
    }

    /// The file it stands for.
    ///
    /// # Errors
    /// If it can be none.
    pub fn into_record(self) -> Result<(FileName, FileRecord), InvalidFile> {
        let layout = match self.chunks {
            Some(layout) => layout,
            None => {
                ChunkLayout::of_file(self.size, self.chunk_size).map_err(|_| InvalidFile::Chunks)?
            }
        };
        let longest = layout.runs().iter().map(|run| run.length).max();
        if layout.total_bytes() != self.size
            || longest.is_some_and(|longest| longest > self.chunk_size.bytes())
        {
            return Err(InvalidFile::Chunks);
        }
        if layout.chunk_count() > MOST_CHUNKS {
            return Err(InvalidFile::TooManyChunks);
        }
        let mut next = 0;
        for run in &self.exceptions {
            let end = run.first_chunk.checked_add(run.chunks);
            let sound = run.first_chunk >= next
                && run.chunks > 0
                && !run.disks.is_empty()
                && run.disks.len() <= usize::from(ReplicationFactor::MAX.get())
                && end.is_some_and(|end| end <= layout.chunk_count());
            if !sound {
                return Err(InvalidFile::Exceptions);
            }
            next = run.end();
        }
        let printable = |byte: u8| (b' '..=b'~').contains(&byte);
        if self.content_type.len() > 255 || !self.content_type.bytes().all(printable) {
            return Err(InvalidFile::ContentType);
        }
        let record = FileRecord {
            version: self.version,
            file: self.file_id,
            size: self.size,
            layout,
            chunk_size: self.chunk_size,
            replicas: match self.by_policy {
                true => Wanted::by_policy(self.replicas),
                false => Wanted::exactly(self.replicas),
            },
            crc32: self.crc32,
            blake3: self.blake3,
            content_type: self.content_type,
            labels: Labels {
                modified: self.source_modified.map(SourceTime),
                attributes: self.attributes,
            },
            modified: self.modified,
            exceptions: self.exceptions,
        };
        Ok((self.name, record))
    }
}

impl Token {
    /// A token as it is exported.
    pub fn new(id: TokenId, record: TokenRecord) -> Self {
        let TokenRecord {
            hash,
            label,
            grant,
            created,
            expires,
        } = record;
        Self {
            id,
            sha256: Blake3(hash.0),
            label,
            grant,
            created,
            expires,
        }
    }

    /// The token it stands for.
    pub fn into_record(self) -> (TokenId, TokenRecord) {
        let record = TokenRecord {
            hash: TokenHash(self.sha256.0),
            label: self.label,
            grant: self.grant,
            created: self.created,
            expires: self.expires,
        };
        (self.id, record)
    }
}

/// Whether an export is whole, told from its bytes as they pass by.
#[derive(Debug, Default)]
pub struct Whole {
    hasher: blake3::Hasher,
    lines: u64,
    /// The line under way.
    line: Vec<u8>,
    end: Option<End>,
    /// Something stands behind the last line.
    more: bool,
}

/// Why an export is not whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotWhole {
    /// The last line is not there.
    #[error("it ends without its last line after {lines} lines: something broke off")]
    BrokeOff {
        /// How many lines are there.
        lines: u64,
    },
    /// The last line is of other lines.
    #[error("its lines are not those that its last line is about")]
    Changed,
}

impl Whole {
    /// Takes the next bytes.
    pub fn push(&mut self, mut bytes: &[u8]) {
        while let Some(end) = bytes.iter().position(|&byte| byte == b'\n') {
            let (line, rest) = bytes.split_at(end + 1);
            self.line.extend_from_slice(line);
            bytes = rest;
            self.take_line();
        }
        self.line.extend_from_slice(bytes);
    }

    /// How many lines are before the last one.
    ///
    /// # Errors
    /// If it is not whole.
    pub fn finish(mut self) -> Result<u64, NotWhole> {
        if !self.line.is_empty() {
            self.take_line();
        }
        let lines = self.lines;
        let end = self.end.ok_or(NotWhole::BrokeOff { lines })?;
        let sum = Blake3(*self.hasher.finalize().as_bytes());
        if self.more || end.lines != lines || end.blake3 != sum {
            return Err(NotWhole::Changed);
        }
        Ok(lines)
    }

    fn take_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        self.more = self.end.is_some();
        if line.starts_with(br#"{"end":"#)
            && let Ok(Line::End(end)) = serde_json::from_slice(&line)
        {
            self.end = Some(end);
            return;
        }
        self.hasher.update(&line);
        self.lines += 1;
        self.line = line;
        self.line.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &[u8], step: usize) -> Result<u64, NotWhole> {
        let mut whole = Whole::default();
        text.chunks(step).for_each(|bytes| whole.push(bytes));
        whole.finish()
    }

    #[test]
    fn an_export_is_whole_with_its_last_line_and_without_any_change() {
        let lines = "{\"mdfs\":1}\n{\"file\":2}\n";
        let blake3 = Blake3(*blake3::hash(lines.as_bytes()).as_bytes());
        let end = serde_json::to_string(&Line::End(End { lines: 2, blake3 })).unwrap();
        let text = format!("{lines}{end}\n");
        for step in [1, 7, 1000] {
            let check = |text: &str| whole(text.as_bytes(), step);
            assert_eq!(check(&text), Ok(2));
            assert_eq!(check(text.trim_end()), Ok(2));
            assert_eq!(check(lines), Err(NotWhole::BrokeOff { lines: 2 }));
            assert_eq!(check(""), Err(NotWhole::BrokeOff { lines: 0 }));
            assert_eq!(check(&text.replace("file", "fils")), Err(NotWhole::Changed));
            assert_eq!(check(&format!("{text}{{}}\n")), Err(NotWhole::Changed));
            assert_eq!(
                check(&text.replace("\"lines\":2", "\"lines\":3")),
                Err(NotWhole::Changed)
            );
        }
    }
}
