//! What is really stored: the records as the API lists them, and the disks, read file by file
//! without any code of a worker.

mod chunk_file;
mod records;
#[cfg(test)]
mod tests;

pub use chunk_file::Copy;
pub use records::{Record, Records};

use crate::disks::Chunk;
use anyhow::{Context, Result, ensure};
use chunk_file::Wanted;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// How much of each chunk file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Its footer: finds what is missing, cut or of another chunk.
    Footers,
    /// Every block: finds each flipped bit.
    Blocks,
}

/// What is on one disk.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    /// Sealed chunks, good or damaged.
    pub copies: BTreeMap<Chunk, Copy>,
    /// Chunks being received, by the names of their files.
    pub staged: Vec<String>,
    /// Whatever the format does not know.
    pub foreign: Vec<PathBuf>,
}

impl Disk {
    /// Reads the disk at `data_dir` of the cluster `cluster_id`.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(data_dir: &Path, cluster_id: &str, depth: Depth) -> Result<Self> {
        let mut disk = Self::default();
        for entry in entries(data_dir)? {
            match name_of(&entry).as_str() {
                "lock" | "identity" | "log.redb" | "scrubbed" | "lost+found" | "chunks"
                | "staging" | "damaged" => {}
                // Each is gone as soon as it is renamed.
                "identity.new" | "log.redb.new" | "scrubbed.new" => {}
                _ => disk.foreign.push(entry),
            }
        }
        for entry in entries(&data_dir.join("staging"))? {
            disk.staged.push(name_of(&entry));
        }
        for entry in entries(&data_dir.join("damaged"))? {
            disk.note_mark(entry);
        }
        let cluster = id_bytes(cluster_id).context("a cluster id has 32 digits")?;
        for folder in entries(&data_dir.join("chunks"))? {
            for path in entries(&folder)? {
                match wanted(&path, &folder, cluster) {
                    Some((chunk, wanted)) => {
                        let copy = chunk_file::look(&path, wanted, depth)?;
                        disk.copies.extend(copy.map(|copy| (chunk, copy)));
                    }
                    None => disk.foreign.push(path),
                }
            }
        }
        Ok(disk)
    }

    /// The same of a disk in memory: every file on it, by its path.
    ///
    /// # Errors
    /// If `cluster_id` is none.
    pub fn of_files<'a>(
        files: impl IntoIterator<Item = (&'a Path, &'a [u8])>,
        cluster_id: &str,
    ) -> Result<Self> {
        let cluster = id_bytes(cluster_id).context("a cluster id has 32 digits")?;
        let mut disk = Self::default();
        for (path, bytes) in files {
            let mut parts = path.iter().map(|part| part.to_string_lossy());
            let (first, folder) = (parts.next().unwrap_or_default(), path.parent());
            match (first.as_ref(), folder) {
                (
                    "lock" | "identity" | "identity.new" | "log.redb" | "log.redb.new" | "scrubbed"
                    | "scrubbed.new",
                    Some(root),
                ) if root == Path::new("") => {}
                ("damaged", Some(folder)) if folder == Path::new("damaged") => {
                    disk.note_mark(path.to_owned());
                }
                ("staging", _) => disk.staged.push(name_of(path)),
                ("chunks", Some(folder)) => match wanted(path, folder, cluster) {
                    Some((chunk, wanted)) => {
                        let copy = chunk_file::check(bytes, wanted, Depth::Blocks)?;
                        disk.copies.insert(chunk, copy);
                    }
                    None => disk.foreign.push(path.to_owned()),
                },
                _ => disk.foreign.push(path.to_owned()),
            }
        }
        Ok(disk)
    }

    /// A file says of a chunk that it was found damaged. Which those are is looked at by reading them.
    fn note_mark(&mut self, path: PathBuf) {
        let marked = path.file_name().and_then(|name| chunk_of(name.to_str()?));
        if marked.is_none() {
            self.foreign.push(path);
        }
    }

    /// Bytes of file in its good copies.
    pub fn bytes(&self) -> u64 {
        self.copies.values().filter_map(Copy::length).sum()
    }
}

impl Copy {
    /// Bytes of file in it; none if it is damaged.
    pub fn length(&self) -> Option<u64> {
        match self {
            Copy::Good { length, .. } => Some(*length),
            Copy::Damaged(_) => None,
        }
    }
}

/// What comes of comparing records with disks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Files that have a name.
    pub files: u64,
    /// Bytes in them, counted once.
    pub bytes: u64,
    /// Files in the trash.
    pub trashed_files: u64,
    /// Files that have a chunk with fewer good copies than wanted.
    pub under_replicated_files: u64,
    /// Files that have a chunk without any good copy.
    pub missing_files: u64,
    /// Chunks of files, in the trash or not, that have fewer good copies than wanted.
    pub lacking_chunks: u64,
    /// Chunks of files, in the trash or not, that have a damaged copy.
    pub damaged_chunks: u64,
    /// Good copies of chunks of files, in the trash or not, beyond those wanted.
    pub excess_copies: u64,
    /// Ids of files that no record has, with chunks on disks.
    pub orphans: BTreeSet<String>,
    /// One line for the first of everything that is not as it should be.
    pub reasons: Vec<String>,
}

/// Most lines of reasons.
const MOST_REASONS: usize = 8;

impl Count {
    /// Compares `records` with what is on `disks`, by the names of their workers.
    pub fn of<'a>(
        records: &Records,
        disks: impl IntoIterator<Item = (&'a String, &'a Disk)>,
    ) -> Self {
        let mut found: BTreeMap<&Chunk, Vec<(&String, &Copy)>> = BTreeMap::new();
        for (name, disk) in disks {
            for (chunk, copy) in &disk.copies {
                found.entry(chunk).or_default().push((name, copy));
            }
        }
        let mut count = Self {
            files: as_u64(records.files.len()),
            bytes: records.files.iter().map(|file| file.size).sum(),
            trashed_files: as_u64(records.trash.len()),
            ..Self::default()
        };
        let named = records.files.iter().map(|file| (file, true));
        let trash = records.trash.iter().map(|file| (file, false));
        for (file, has_name) in named.chain(trash) {
            let mut fewest = u64::MAX;
            for (chunk, length) in file.chunks() {
                let copies = found.remove(&chunk).unwrap_or_default();
                fewest = fewest.min(count.chunk(file, &chunk, length, &copies));
            }
            if has_name && fewest < file.replicas {
                count.under_replicated_files += 1;
                count.missing_files += u64::from(fewest == 0);
            }
        }
        for (file_id, index) in found.into_keys() {
            count.orphans.insert(file_id.clone());
            count.say(|| format!("chunk {index} of {file_id} is of no file"));
        }
        count
    }

    /// Counts the copies of one chunk; how many are good.
    fn chunk(
        &mut self,
        file: &Record,
        chunk: &Chunk,
        length: u64,
        copies: &[(&String, &Copy)],
    ) -> u64 {
        let wanted = Copy::Good {
            length,
            chunk_size: file.chunk_size,
        };
        let good = as_u64(copies.iter().filter(|(_, copy)| **copy == wanted).count());
        let damaged = as_u64(copies.len()) > good;
        self.damaged_chunks += u64::from(damaged);
        self.lacking_chunks += u64::from(good < file.replicas);
        self.excess_copies += good.saturating_sub(file.replicas);
        if damaged || good != file.replicas {
            self.say(|| {
                let (name, index) = (&file.name, chunk.1);
                format!("chunk {index} of {name} ({length} bytes) is there as {copies:?}")
            });
        }
        good
    }

    fn say(&mut self, reason: impl FnOnce() -> String) {
        if self.reasons.len() < MOST_REASONS {
            self.reasons.push(reason());
        }
    }

    /// Whether every chunk has exactly the copies that are wanted.
    pub fn is_whole(&self) -> bool {
        self.lacking_chunks == 0 && self.damaged_chunks == 0 && self.excess_copies == 0
    }
}

/// Reads all of these disks.
///
/// # Errors
/// If one cannot be read.
pub fn read_disks(
    disks: &BTreeMap<String, PathBuf>,
    cluster_id: &str,
    depth: Depth,
) -> Result<BTreeMap<String, Disk>> {
    let read = |(name, data_dir): (&String, &PathBuf)| {
        let disk = Disk::read(data_dir, cluster_id, depth);
        Ok((
            name.clone(),
            disk.with_context(|| format!("disk of {name}"))?,
        ))
    };
    disks.iter().map(read).collect()
}

/// Checks that nothing is on these disks but the copies of `records`: as many good ones of each chunk
/// as are wanted, each on another disk; no damaged copy; no file that the format does not know; and
/// no staged chunk or chunk of no file beyond those of `open_uploads`.
///
/// # Errors
/// Says the first of what else there is.
pub fn only_what_is_wanted(
    records: &Records,
    disks: &BTreeMap<String, Disk>,
    open_uploads: u64,
) -> Result<Count> {
    let count = Count::of(records, disks);
    let reasons = || count.reasons.join("; ");
    ensure!(count.is_whole(), "{}", reasons());
    let mut begun = count.orphans.clone();
    for (name, disk) in disks {
        let foreign = &disk.foreign;
        ensure!(foreign.is_empty(), "{name} has foreign files: {foreign:?}");
        let staged = disk.staged.iter().map(|staged| staged.split('.').next());
        begun.extend(staged.flatten().map(str::to_owned));
    }
    ensure!(
        as_u64(begun.len()) <= open_uploads,
        "{open_uploads} uploads are open, but there are staged chunks or chunks of no file of \
         {begun:?}: {}",
        reasons()
    );
    Ok(count)
}

/// Which chunk the file at `path` in `folder` should be; none if it is none.
fn wanted(path: &Path, folder: &Path, cluster: [u8; 16]) -> Option<(Chunk, Wanted)> {
    let (file_id, file, index) = chunk_of(path.file_name()?.to_str()?)?;
    let at_home = folder.file_name()?.to_str()? == file_id.get(..3)?;
    let wanted = Wanted {
        cluster,
        file,
        index,
    };
    at_home.then(|| ((file_id.to_owned(), u64::from(index)), wanted))
}

/// The file, in both ways, and the index of the chunk that a name stands for; none if it stands for none.
fn chunk_of(name: &str) -> Option<(&str, [u8; 16], u32)> {
    let (file_id, index) = name.split_once('.')?;
    let number: u32 = index.parse().ok()?;
    let plain = number.to_string() == index;
    plain.then_some((file_id, id_bytes(file_id)?, number))
}

/// The bytes of an id, most significant first; none if it is not 32 lower-case hexadecimal digits.
fn id_bytes(id: &str) -> Option<[u8; 16]> {
    let plain =
        id.len() == 32 && !id.contains(|c: char| !c.is_ascii_hexdigit() || c.is_uppercase());
    let number = u128::from_str_radix(id, 16).ok()?;
    plain.then(|| number.to_be_bytes())
}

fn name_of(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// What is in a folder; nothing if it is not there.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("read {}", folder.display())),
    };
    entries.map(|entry| Ok(entry?.path())).collect()
}

fn as_u64(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
