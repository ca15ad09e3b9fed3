//! Times of change, as files and the cluster have them, and whether a file is the same.

use mdfs_client::FileHead;
use mdfs_core::checksum::{Blake3, FileHasher};
use mdfs_core::chunk::ChunkSize;
use mdfs_core::time::LogTime;
use mdfs_protocol::date::{parse_http_date, rfc3339};
use mdfs_protocol::public::FileInfo;
use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The attribute that has a file's time of change in nanoseconds since the Unix epoch: the record's own
/// field has milliseconds, and none before 1970.
pub(super) const ATTRIBUTE: &str = "mtime";
const NANOS: i128 = 1_000_000_000;

/// A time of change in nanoseconds since the Unix epoch, before which it is negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp(i128);

impl Stamp {
    /// The time of change of a local file, where its file system has such times.
    pub(super) fn of(metadata: &Metadata) -> Option<Self> {
        let time = metadata.modified().ok()?;
        let nanos = |span: Duration| i128::try_from(span.as_nanos()).ok();
        match time.duration_since(UNIX_EPOCH) {
            Ok(since) => nanos(since).map(Self),
            Err(before) => nanos(before.duration()).map(|nanos| Self(-nanos)),
        }
    }

    /// What a record says of the file it was made of: to the nanosecond, or else to the millisecond.
    fn told(attributes: &BTreeMap<String, String>, millis: Option<u64>) -> Option<Told> {
        if let Some(nanos) = attributes.get(ATTRIBUTE).and_then(|text| text.parse().ok()) {
            return Some(Told::Nanos(Self(nanos)));
        }
        millis.map(Told::Millis)
    }

    /// The time that a fetched file gets: as its record says, or when it was stored.
    pub(super) fn of_head(head: &FileHead) -> Option<Self> {
        match Self::told(&head.attributes, head.source_modified) {
            Some(Told::Nanos(stamp)) => Some(stamp),
            Some(Told::Millis(millis)) => Some(Self(i128::from(millis) * 1_000_000)),
            None => {
                let stored = parse_http_date(&head.modified)?.as_millis() / 1000;
                Some(Self(i128::from(stored) * NANOS))
            }
        }
    }

    /// Whether this is the time of change that the record tells; if it tells none, whether it is the
    /// second in which the file was stored.
    pub(super) fn is_of(self, info: &FileInfo) -> bool {
        match Self::told(&info.attributes, info.source_modified) {
            Some(Told::Nanos(stamp)) => self == stamp,
            Some(Told::Millis(millis)) => self.millis() == Some(millis),
            None => self.millis().is_some_and(|millis| {
                let second = |text: &str| text.get(..19).map(str::to_owned);
                second(&rfc3339(LogTime::from_millis(millis))) == second(&info.modified)
            }),
        }
    }

    /// Milliseconds since the Unix epoch; none before it.
    pub(super) fn millis(self) -> Option<u64> {
        u64::try_from(self.0.div_euclid(1_000_000)).ok()
    }

    /// As the attribute has it.
    pub(super) fn text(self) -> String {
        self.0.to_string()
    }

    /// As the system has it; none beyond its bounds.
    pub(super) fn time(self) -> Option<SystemTime> {
        let seconds = u64::try_from(self.0.unsigned_abs() / NANOS.unsigned_abs()).ok()?;
        let nanos = u32::try_from(self.0.unsigned_abs() % NANOS.unsigned_abs()).ok()?;
        let span = Duration::new(seconds, nanos);
        if self.0 < 0 {
            UNIX_EPOCH.checked_sub(span)
        } else {
            UNIX_EPOCH.checked_add(span)
        }
    }
}

enum Told {
    Nanos(Stamp),
    Millis(u64),
}

/// Whether a local file has the size and the time, or with `checksum` the contents, of a record.
///
/// # Errors
/// If it cannot be read.
pub(super) async fn is_same(
    path: PathBuf,
    metadata: &Metadata,
    info: &FileInfo,
    checksum: bool,
) -> io::Result<bool> {
    if metadata.len() != info.size {
        return Ok(false);
    }
    if !checksum {
        return Ok(Stamp::of(metadata).is_some_and(|stamp| stamp.is_of(info)));
    }
    let want = info.blake3;
    let hashed = tokio::task::spawn_blocking(move || hash(File::open(path)?));
    Ok(hashed.await.map_err(io::Error::other)?? == want)
}

fn hash(mut file: File) -> io::Result<Blake3> {
    let mut hasher = FileHasher::new(ChunkSize::default());
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = file.read(&mut buffer)?;
        let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else {
            return Ok(hasher.finish().whole);
        };
        hasher.update(bytes);
        hasher.take_chunks();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mdfs_core::checksum::Crc32;
    use mdfs_core::id::FileId;

    fn info(attribute: Option<&str>, millis: Option<u64>) -> FileInfo {
        let attributes = attribute.map(|text| (ATTRIBUTE.to_owned(), text.to_owned()));
        FileInfo {
            name: "a".to_owned(),
            version: 1,
            file_id: FileId::from_u128(1),
            size: 5,
            crc32: Crc32::of(b"hello"),
            blake3: Blake3::of(b"hello"),
            etag: String::new(),
            content_type: String::new(),
            replicas: 2,
            durability: None,
            copies: None,
            chunk_size: 1 << 20,
            modified: "2026-01-01T00:00:07.250Z".to_owned(),
            source_modified: millis,
            attributes: attributes.into_iter().collect(),
        }
    }

    #[test]
    fn a_time_is_compared_as_exactly_as_it_was_told() {
        let exact = Stamp(1_700_000_000_123_456_789);
        assert!(exact.is_of(&info(Some("1700000000123456789"), Some(1))));
        assert!(!exact.is_of(&info(Some("1700000000123456788"), Some(1_700_000_000_123))));
        assert!(exact.is_of(&info(None, Some(1_700_000_000_123))));
        assert!(exact.is_of(&info(Some("yesterday"), Some(1_700_000_000_123))));
        assert!(!exact.is_of(&info(None, Some(1_700_000_000_124))));
        assert!(!exact.is_of(&info(None, None)));
        assert!(Stamp(1_767_225_607_999_000_000).is_of(&info(None, None)));
    }

    #[test]
    fn a_time_before_1970_comes_back() {
        let stamp = Stamp(-1_500_000_000);
        assert_eq!(stamp.millis(), None);
        assert_eq!(
            stamp.time(),
            UNIX_EPOCH.checked_sub(Duration::from_millis(1500))
        );
        assert!(stamp.is_of(&info(Some("-1500000000"), None)));
        assert_eq!(Stamp(i128::MAX).time(), None);
    }

    #[tokio::test]
    async fn contents_count_when_asked_for() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "hello").unwrap();
        let metadata = file.path().metadata().unwrap();
        let same =
            async |checksum, info| is_same(file.path().into(), &metadata, &info, checksum).await;
        assert!(same(true, info(None, Some(1))).await.unwrap());
        assert!(!same(false, info(None, Some(1))).await.unwrap());
        std::fs::write(file.path(), "hallo").unwrap();
        assert!(!same(true, info(None, Some(1))).await.unwrap());
    }
}
