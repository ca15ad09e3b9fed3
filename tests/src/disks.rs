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
