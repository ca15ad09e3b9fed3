//! What workers really have on their disks.

use anyhow::{Context, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The sealed chunks of the file id `file_id` on the disk at `data_dir`: index and path. The layout
/// is drawn in `docs/format.md`.
///
/// # Errors
/// If the disk cannot be read.
pub fn chunks(data_dir: &Path, file_id: &str) -> Result<BTreeMap<u64, PathBuf>> {
    let prefix = file_id.get(..3).context("a file id has 32 digits")?;
    let folder = data_dir.join("chunks").join(prefix);
    let mut found = BTreeMap::new();
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(found),
        Err(error) => return Err(error).with_context(|| format!("read {}", folder.display())),
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let index = name
            .to_str()
            .and_then(|name| name.strip_prefix(file_id)?.strip_prefix('.'));
        if let Some(index) = index {
            found.insert(index.parse()?, entry.path());
        }
    }
    Ok(found)
}

/// Everything on the disk at `data_dir` that is of the file id `file_id`, sealed or still being
/// received.
///
/// # Errors
/// If the disk cannot be read.
pub fn pieces(data_dir: &Path, file_id: &str) -> Result<Vec<PathBuf>> {
    let mut folders = vec![data_dir.join("staging")];
    folders.extend(entries(&data_dir.join("chunks"))?);
    let mut found = Vec::new();
    for folder in folders {
        found.extend(entries(&folder)?.into_iter().filter(|path| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| name.contains(file_id))
        }));
    }
    Ok(found)
}

/// How many of these disks have each of these chunks of a file; the least of them.
///
/// # Errors
/// If a disk cannot be read.
pub fn least_copies(data_dirs: &[PathBuf], file_id: &str, wanted: Range<u64>) -> Result<u64> {
    let mut copies: BTreeMap<u64, BTreeSet<&Path>> = BTreeMap::new();
    for data_dir in data_dirs {
        for index in chunks(data_dir, file_id)?.into_keys() {
            copies.entry(index).or_default().insert(data_dir);
        }
    }
    let of = |index: u64| copies.get(&index).map_or(0, BTreeSet::len);
    let least = wanted.map(of).min().unwrap_or_default();
    Ok(u64::try_from(least)?)
}

/// A chunk: the file id and the index.
pub type Chunk = (String, u64);

/// All sealed chunks on the disk at `data_dir`, and the bytes of file in each.
///
/// # Errors
/// If the disk cannot be read, or has something that is no chunk where chunks are.
pub fn all_chunks(data_dir: &Path) -> Result<BTreeMap<Chunk, u64>> {
    let mut found = BTreeMap::new();
    for folder in entries(&data_dir.join("chunks"))? {
        for path in entries(&folder)? {
            let name = path.file_name().and_then(|name| name.to_str());
            let chunk = name.and_then(|name| name.split_once('.'));
            let (file_id, index) =
                chunk.with_context(|| format!("{} is no chunk", path.display()))?;
            match fs::metadata(&path) {
                Ok(metadata) => {
                    let chunk = (file_id.to_owned(), index.parse()?);
                    found.insert(chunk, length_in(metadata.len()));
                }
                // It was dropped just now.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(error).with_context(|| path.display().to_string()),
            }
        }
    }
    Ok(found)
}

/// The bytes of file in a chunk file of `stored` bytes: the others are 4 for each block of 64 KiB,
/// and 1168.
fn length_in(stored: u64) -> u64 {
    let with_checksums = stored.saturating_sub(1168);
    with_checksums - 4 * with_checksums.div_ceil(65536 + 4)
}

/// The id of the disk at `data_dir`, as its identity says it.
///
/// # Errors
/// If it was not formatted.
pub fn disk_id(data_dir: &Path) -> Result<String> {
    let identity = fs::read(data_dir.join("identity")).context("read who a disk is")?;
    let id = identity.get(32..48).context("an identity has 80 bytes")?;
    Ok(id.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// What is in a folder; nothing if it is not there.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("read {}", folder.display())),
    };
    let paths = entries.map(|entry| Ok(entry?.path()));
    paths.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_follow_from_the_lengths_of_chunk_files() {
        for length in [1_u64, 65_535, 65_536, 65_537, 1 << 20, (64 << 20) - 1] {
            let blocks = length.div_ceil(65_536);
            assert_eq!(length_in(length + 4 * blocks + 1168), length);
        }
    }
}
