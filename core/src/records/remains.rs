//! What is left of a file that no record has: its chunks, each with what is written behind it.

use super::{Copies, FileRecord, Wanted};
use crate::checksum::{Blake3, ChunkHash, Crc32, join};
use crate::chunk::{ChunkLayout, ChunkSize};
use crate::id::{DiskId, FileId};
use crate::labels::Labels;
use crate::name::{FileName, MAX_NAME_BYTES};
use crate::ring::ReplicationFactor;
use crate::time::LogTime;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The folder that files come back to of which only chunks are left.
pub const RECOVERED: &str = "recovered/";
/// Digits of the file id in the name that such a file gets.
const DIGITS: usize = 8;
/// The media type, of which chunks say nothing.
const CONTENT_TYPE: &str = "application/octet-stream";

/// A chunk, and the disks that have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remain {
    /// Bytes in it.
    pub length: u64,
    /// The chunk size of the upload.
    pub chunk_size: ChunkSize,
    /// CRC-32 of its bytes.
    pub crc32: Crc32,
    /// What it adds to the file's hash.
    pub hash: ChunkHash,
    /// The name at upload time.
    pub name: Arc<str>,
    /// Bytes of the file, if this was known to be its last chunk.
    pub file_bytes: Option<u64>,
    /// The disks, without repeats.
    pub disks: Vec<DiskId>,
}

/// Why a file cannot be put together again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Incomplete {
    /// No chunk is left that can be read.
    #[error("no chunk of it can be read")]
    Nothing,
    /// Chunks before the last one that is left are missing.
    #[error("{missing} chunks before the last one that is left are missing, the first is {first}")]
    Gap {
        /// The first of them.
        first: u32,
        /// How many.
        missing: u32,
    },
    /// The last chunk that is left does not say that it was the last one.
    #[error("whether anything came behind chunk {last} is not known")]
    NoEnd {
        /// That chunk.
        last: u32,
    },
    /// What is written behind the chunks is not of one file.
    #[error("its chunks contradict each other")]
    Contradiction,
}

/// The file that these chunks are, by their index: its name, below [`RECOVERED`], and its record. Never
/// the name it had: that may be of another file by now, or the file may have been deleted.
///
/// # Errors
/// If not every chunk is there, or that is not certain.
pub fn file_of(
    file: FileId,
    chunks: &BTreeMap<u32, Remain>,
) -> Result<(FileName, FileRecord), Incomplete> {
    let (Some(first), Some((&last, end))) = (chunks.values().next(), chunks.last_key_value())
    else {
        return Err(Incomplete::Nothing);
    };
    check_whole(chunks, last)?;
    let chunk_size = first.chunk_size;
    let is_one = chunks
        .values()
        .all(|chunk| chunk.chunk_size == chunk_size && chunk.name == first.name);
    let mut before = chunks.range(..last);
    let is_even =
        before.all(|(_, chunk)| chunk.length == chunk_size.bytes() && chunk.file_bytes.is_none());
    if !is_one || !is_even {
        return Err(Incomplete::Contradiction);
    }
    let size = chunks.values().map(|chunk| chunk.length).sum();
    match end.file_bytes {
        Some(told) if told == size => {}
        Some(_) => return Err(Incomplete::Contradiction),
        // A chunk that is not full is the last one. Alone it has no hash of the whole.
        None if last > 0 && end.length < chunk_size.bytes() => {}
        None => return Err(Incomplete::NoEnd { last }),
    }
    let mut layout = ChunkLayout::new();
    let mut crc32 = Crc32::of(&[]);
    for chunk in chunks.values() {
        layout
            .push(chunk.length)
            .map_err(|_| Incomplete::Contradiction)?;
        crc32 = Crc32::combine(crc32, chunk.crc32, chunk.length);
    }
    let record = FileRecord {
        version: 0,
        file,
        size,
        layout,
        chunk_size,
        replicas: Wanted::by_policy(ReplicationFactor::DEFAULT),
        crc32,
        blake3: hash_of(chunks),
        content_type: CONTENT_TYPE.to_owned(),
        labels: Labels::default(),
        modified: LogTime::from_millis(u64::MAX),
        exceptions: places(chunks),
    };
    let name = name_of(&first.name, file).ok_or(Incomplete::Contradiction)?;
    Ok((name, record))
}

fn check_whole(chunks: &BTreeMap<u32, Remain>, last: u32) -> Result<(), Incomplete> {
    let there = u32::try_from(chunks.len()).unwrap_or(u32::MAX);
    let missing = last.saturating_add(1).saturating_sub(there);
    if missing == 0 {
        return Ok(());
    }
    let first = (0..).zip(chunks.keys()).find(|(at, index)| at != *index);
    let first = first.map_or(there, |(at, _)| at);
    Err(Incomplete::Gap { first, missing })
}

fn hash_of(chunks: &BTreeMap<u32, Remain>) -> Blake3 {
    let hashes: Vec<ChunkHash> = chunks.values().map(|chunk| chunk.hash).collect();
    join(&hashes)
}

/// Who has which chunks, neighbours with the same disks together.
fn places(chunks: &BTreeMap<u32, Remain>) -> Vec<Copies> {
    let most = usize::from(ReplicationFactor::MAX.get());
    let mut runs: Vec<Copies> = Vec::new();
    for (&index, chunk) in chunks {
        match runs.last_mut() {
            Some(run) if chunk.disks.iter().take(most).eq(&run.disks) && run.end() == index => {
                run.chunks += 1;
            }
            Some(_) | None => runs.push(Copies {
                first_chunk: index,
                chunks: 1,
                disks: chunk.disks.iter().copied().take(most).collect(),
            }),
        }
    }
    runs
}

/// The name that a file gets: that at upload time, cut if it is too long, with what tells it from others
/// of that name. None if it was no name.
pub fn name_of(name: &str, file: FileId) -> Option<FileName> {
    let id = file.to_string();
    let digits = id.get(..DIGITS)?;
    let most = MAX_NAME_BYTES.checked_sub(RECOVERED.len() + 1 + DIGITS)?;
    let mut end = name.len().min(most);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    let kept = name.get(..end)?;
    // A cut name may end at a slash, or be a folder of no name before it.
    FileName::parse(&format!("{RECOVERED}{kept}~{digits}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checksum::FileHasher;

    const MIB: u64 = 1 << 20;

    fn file() -> FileId {
        FileId::from_u128(0xabcd_ef01 << 96)
    }

    /// The chunks of a file of so many bytes, on two disks.
    fn chunks(bytes: u64) -> (BTreeMap<u32, Remain>, Blake3, Crc32) {
        let data: Vec<u8> = (0..=250)
            .cycle()
            .zip(0..bytes)
            .map(|(byte, _)| byte)
            .collect();
        let mut hasher = FileHasher::new(ChunkSize::MIN);
        hasher.update(&data);
        let hashes = hasher.finish().chunks;
        let mut chunks = BTreeMap::new();
        let parts = data.chunks(1 << 20);
        let count = u32::try_from(parts.len()).unwrap();
        for (index, (part, hash)) in (0..).zip(parts.zip(hashes)) {
            let chunk = Remain {
                length: u64::try_from(part.len()).unwrap(),
                chunk_size: ChunkSize::MIN,
                crc32: Crc32::of(part),
                hash,
                name: "films/a.mkv".into(),
                file_bytes: (index + 1 == count).then_some(bytes),
                disks: vec![DiskId::from_u128(1), DiskId::from_u128(2)],
            };
            chunks.insert(index, chunk);
        }
        (chunks, Blake3::of(&data), Crc32::of(&data))
    }

    #[test]
    fn a_file_is_what_its_chunks_say() {
        for bytes in [1, MIB - 1, MIB, MIB + 1, 3 * MIB, 3 * MIB + 77] {
            let (chunks, blake3, crc32) = chunks(bytes);
            let (name, record) = file_of(file(), &chunks).unwrap();
            assert_eq!(name.as_str(), "recovered/films/a.mkv~abcdef01");
            assert_eq!(
                (record.size, record.blake3, record.crc32),
                (bytes, blake3, crc32)
            );
            assert_eq!(
                record.layout,
                ChunkLayout::of_file(bytes, ChunkSize::MIN).unwrap()
            );
            let [run] = &*record.exceptions else {
                panic!("{record:?}")
            };
            assert_eq!(
                (run.first_chunk, run.chunks),
                (0, chunks.len().try_into().unwrap())
            );
        }
    }

    #[test]
    fn what_is_not_whole_is_no_file() {
        let (whole, ..) = chunks(3 * MIB + 77);
        let check = |change: &dyn Fn(&mut BTreeMap<u32, Remain>), want: Incomplete| {
            let mut chunks = whole.clone();
            change(&mut chunks);
            assert_eq!(file_of(file(), &chunks).unwrap_err(), want);
        };
        check(&|it| it.clear(), Incomplete::Nothing);
        check(
            &|it| it.retain(|index, _| *index != 1),
            Incomplete::Gap {
                first: 1,
                missing: 1,
            },
        );
        check(
            &|it| it.retain(|index, _| *index > 1),
            Incomplete::Gap {
                first: 0,
                missing: 2,
            },
        );
        check(&|it| drop(it.remove(&3)), Incomplete::NoEnd { last: 2 });
        let contradictions: [&dyn Fn(&mut Remain); 4] = [
            &|it| it.name = "another".into(),
            &|it| it.length = 5,
            &|it| it.file_bytes = Some(MIB),
            &|it| it.chunk_size = ChunkSize::MAX,
        ];
        for change in contradictions {
            let one = |it: &mut BTreeMap<u32, Remain>| change(it.get_mut(&1).unwrap());
            check(&one, Incomplete::Contradiction);
        }
        check(
            &|it| it.get_mut(&3).unwrap().file_bytes = Some(9),
            Incomplete::Contradiction,
        );
    }

    #[test]
    fn a_size_that_was_not_told_follows_from_a_chunk_that_is_not_full() {
        for (bytes, last) in [(MIB + 5, None), (2 * MIB, Some(1)), (5, Some(0))] {
            let (mut chunks, blake3, _) = chunks(bytes);
            chunks.last_entry().unwrap().get_mut().file_bytes = None;
            match last {
                None => assert_eq!(file_of(file(), &chunks).unwrap().1.blake3, blake3),
                Some(last) => {
                    let want = Incomplete::NoEnd { last };
                    assert_eq!(file_of(file(), &chunks).unwrap_err(), want);
                }
            }
        }
    }

    #[test]
    fn runs_of_chunks_name_their_disks() {
        let (mut chunks, ..) = chunks(4 * MIB);
        chunks.get_mut(&2).unwrap().disks = vec![DiskId::from_u128(7)];
        let (_, record) = file_of(file(), &chunks).unwrap();
        let runs = record.exceptions.iter();
        let runs: Vec<_> = runs.map(|run| (run.first_chunk, run.chunks)).collect();
        assert_eq!(runs, [(0, 2), (2, 1), (3, 1)]);
    }

    #[test]
    fn a_name_is_never_the_one_it_was_and_always_a_name() {
        let long = "ä".repeat(512);
        let name = name_of(&long, file()).unwrap();
        assert!(name.as_str().len() <= MAX_NAME_BYTES);
        assert!(name.as_str().starts_with("recovered/ää") && name.as_str().ends_with("~abcdef01"));
        assert_eq!(name_of("a\nb", file()), None);
        assert_eq!(name_of("", file()).unwrap().as_str(), "recovered/~abcdef01");
    }
}
