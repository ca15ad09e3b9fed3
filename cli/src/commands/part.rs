//! What was fetched of a file so far, kept beside it until it is whole.

use crate::error::CliError;
use mdfs_client::sync_folder;
use mdfs_core::checksum::{Blake3, Crc32};
use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What the names of parts begin with, and nothing else beside which they stand.
const HIDDEN: &str = ".mdfs-";
/// What a part and the tag of its version end with.
const ENDINGS: (&str, &str) = (".part", ".part.etag");
/// Hexadecimal digits of an entity tag.
const ETAG_DIGITS: usize = 64;

/// The gathered bytes of one file, which nobody else gathers as long as a value of this type lives.
#[derive(Debug)]
pub(super) struct Part {
    /// Where the file goes.
    target: PathBuf,
    path: PathBuf,
    etag_path: PathBuf,
    file: File,
}

/// What an earlier try left.
#[derive(Debug)]
pub(super) struct LeftOver {
    pub(super) bytes: u64,
    pub(super) crc: Crc32,
    pub(super) etag: String,
}

impl Part {
    /// Opens the part of `target`, makes it if there is none, and locks it. Its name says what it is, and
    /// no other file has it.
    ///
    /// # Errors
    /// If it cannot be opened, is being gathered by somebody else, or holds bytes that no fetch left.
    pub(super) fn lock(target: &Path) -> Result<Self, CliError> {
        let name = target.file_name().unwrap_or_default();
        let mut hash = Blake3::of(name.as_bytes()).to_string();
        hash.truncate(16);
        let with = |ending| target.with_file_name(format!("{HIDDEN}{hash}{ending}"));
        let (path, etag_path) = (with(ENDINGS.0), with(ENDINGS.1));
        loop {
            let opened = unfollowed().truncate(false).read(true).open(&path);
            let file = opened.map_err(failed("write", &path))?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                // Where the file system has no locks, gathering twice at once cannot be told.
                Ok(()) | Err(Errno::NOSYS | Errno::OPNOTSUPP | Errno::NOLCK) => {}
                Err(Errno::WOULDBLOCK) => {
                    let busy = io::Error::new(
                        io::ErrorKind::ResourceBusy,
                        "another fetch to this file is under way",
                    );
                    return Err(failed("write", &path)(busy));
                }
                Err(errno) => return Err(failed("lock", &path)(errno.into())),
            }
            // Whoever had the lock before may have moved the file to its place meanwhile.
            if is_at(&file, &path).map_err(failed("read", &path))? {
                let part = Self {
                    target: target.to_owned(),
                    path,
                    etag_path,
                    file,
                };
                return part.is_of_a_fetch().map(|()| part);
            }
        }
    }

    /// # Errors
    /// If the part has bytes and no tag of a version, and so is somebody's own file. A tag without a
    /// character is what a power cut leaves of one.
    fn is_of_a_fetch(&self) -> Result<(), CliError> {
        let length = self.file.metadata().map(|it| it.len());
        if length.map_err(failed("read", &self.path))? == 0 {
            return Ok(());
        }
        match std::fs::read(&self.etag_path) {
            Ok(tag) if is_etag(&tag) || tag.iter().all(|byte| *byte == 0) => Ok(()),
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failed("read", &self.etag_path)(error))
            }
            _ => Err(failed("write", &self.path)(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "it has bytes that no fetch left; move it away",
            ))),
        }
    }

    /// Where the bytes are gathered.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The open file.
    ///
    /// # Errors
    /// If too many files are open.
    pub(super) fn file(&self) -> Result<File, CliError> {
        self.file.try_clone().map_err(failed("write", &self.path))
    }

    /// What an earlier try left, if it says of which version it is. Reads it all.
    pub(super) async fn left_over(&self) -> Option<LeftOver> {
        let mut etag = String::new();
        let flags = OFlags::NOFOLLOW.bits().cast_signed();
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags(flags)
            .open(&self.etag_path);
        // One byte more than a tag has tells that it is none.
        let longest = u64::try_from(ETAG_DIGITS).ok()? + 3;
        opened.ok()?.take(longest).read_to_string(&mut etag).ok()?;
        if !is_etag(etag.as_bytes()) {
            return None;
        }
        let file = self.file().ok()?;
        let hashed = tokio::task::spawn_blocking(move || hash(file));
        let (bytes, crc) = hashed.await.ok()?.ok()?;
        (bytes > 0).then_some(LeftOver { bytes, crc, etag })
    }

    /// Gets ready to gather the version `etag` behind the first `bytes` bytes.
    ///
    /// # Errors
    /// If the files cannot be written.
    pub(super) fn begin(&self, bytes: u64, etag: &str) -> Result<(), CliError> {
        // In this order: bytes of one version never stand beside the tag of another.
        self.file
            .set_len(bytes)
            .map_err(failed("write", &self.path))?;
        let mut options = unfollowed();
        let opened = options.truncate(true).open(&self.etag_path);
        opened
            .and_then(|mut file| file.write_all(etag.as_bytes()))
            .map_err(failed("write", &self.etag_path))
    }

    /// Leaves nothing behind that holds nothing: for a fetch that did not begin.
    pub(super) fn discard_if_empty(&self) {
        if self.file.metadata().is_ok_and(|it| it.len() == 0) {
            self.discard();
        }
    }

    /// Throws away what was gathered.
    pub(super) fn discard(&self) {
        if !is_at(&self.file, &self.path).unwrap_or(false) {
            return;
        }
        // What cannot be removed is held against its version and checksum by the next fetch.
        let _ = std::fs::remove_file(&self.path);
        let _ = std::fs::remove_file(&self.etag_path);
    }

    /// Gives the file its time of change.
    ///
    /// # Errors
    /// If the file system does not take it.
    pub(super) fn set_modified(&self, time: SystemTime) -> Result<(), CliError> {
        let set = self.file.set_modified(time);
        set.map_err(failed("set the time of", &self.path))
    }

    /// Makes the gathered bytes the file, durably.
    ///
    /// # Errors
    /// If they cannot be made durable or moved, or something else has their place by now.
    pub(super) fn finish(self) -> Result<(), CliError> {
        self.file.sync_all().map_err(failed("write", &self.path))?;
        if !is_at(&self.file, &self.path).map_err(failed("read", &self.path))? {
            let moved = io::Error::other("it was moved away meanwhile");
            return Err(failed("write", &self.path)(moved));
        }
        std::fs::rename(&self.path, &self.target).map_err(failed("write", &self.target))?;
        // Without its part the tag means nothing.
        let _ = std::fs::remove_file(&self.etag_path);
        sync_folder(&self.target).map_err(failed("write", &self.target))
    }
}

/// Whether a fetch gathers bytes under this name.
pub(super) fn is_hidden_part(name: &str) -> bool {
    let ends = name.ends_with(ENDINGS.0) || name.ends_with(ENDINGS.1);
    ends && name.starts_with(HIDDEN)
}

/// Opens for writing, makes what is not there, and goes to no other place by a link.
fn unfollowed() -> OpenOptions {
    let mut options = OpenOptions::new();
    let flags = OFlags::NOFOLLOW.bits().cast_signed();
    options.create(true).write(true).custom_flags(flags);
    options
}

/// Whether `path` still names the open `file`.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let open = file.metadata()?;
    match std::fs::symlink_metadata(path) {
        Ok(named) => Ok((named.dev(), named.ino()) == (open.dev(), open.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether this is an entity tag of a file; anything else was not written by a fetch.
fn is_etag(text: &[u8]) -> bool {
    let inner = text
        .strip_prefix(b"\"")
        .and_then(|text| text.strip_suffix(b"\""));
    inner.is_some_and(|inner| inner.len() == ETAG_DIGITS && inner.iter().all(u8::is_ascii_hexdigit))
}

fn hash(mut file: File) -> io::Result<(u64, Crc32)> {
    // From the start, wherever the handle, which others share, stood.
    file.rewind()?;
    let mut buffer = vec![0; 1 << 20];
    let (mut total, mut crc) = (0, Crc32::default());
    loop {
        let count = file.read(&mut buffer)?;
        let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else {
            return Ok((total, crc));
        };
        total += u64::try_from(count).unwrap_or(0);
        crc = crc.then(bytes);
    }
}

/// Says which file failed, and at what.
pub(super) fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CliError {
    let path = path.to_owned();
    move |source| CliError::File {
        action,
        path,
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The part of `target`, and its tag, where nobody holds them.
    fn paths(target: &Path) -> (PathBuf, PathBuf) {
        let part = Part::lock(target).unwrap();
        let paths = (part.path.clone(), part.etag_path.clone());
        part.discard();
        paths
    }

    fn etag() -> String {
        format!("\"{}\"", "0".repeat(ETAG_DIGITS))
    }

    #[tokio::test]
    async fn a_part_counts_only_with_its_version() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a");
        let part = Part::lock(&target).unwrap();
        assert!(part.left_over().await.is_none());
        std::fs::write(&part.path, "hello").unwrap();
        assert!(part.left_over().await.is_none());
        let etag = etag();
        for garbage in [
            "".to_owned(),
            "\"7\"".to_owned(),
            "\"".to_owned(),
            "0".repeat(ETAG_DIGITS),
            format!("{etag}\n"),
            etag.replace("00\"", "0x\""),
        ] {
            std::fs::write(&part.etag_path, &garbage).unwrap();
            assert!(part.left_over().await.is_none(), "{garbage:?}");
        }
        std::fs::write(&part.etag_path, b"\"\xff\"").unwrap();
        assert!(part.left_over().await.is_none());
        std::fs::write(&part.etag_path, &etag).unwrap();
        for _ in 0..2 {
            let found = part.left_over().await.unwrap();
            assert_eq!((found.bytes, found.crc), (5, Crc32::of(b"hello")));
            assert_eq!(found.etag, etag);
        }
        part.begin(3, &etag).unwrap();
        part.finish().unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"hel");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn files_of_ones_own_beside_a_target_stay_what_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a");
        let (path, etag_path) = paths(&target);
        let own = [
            folder.path().join("a.part"),
            folder.path().join("a.part.etag"),
        ];
        for own in &own {
            std::fs::write(own, "my own").unwrap();
        }
        let part = Part::lock(&target).unwrap();
        // The other of two names that end alike.
        let other = Part::lock(&own[0]).unwrap();
        part.begin(0, &etag()).unwrap();
        other.begin(0, &etag()).unwrap();
        other.discard();
        part.finish().unwrap();
        for own in &own {
            assert_eq!(std::fs::read(own).unwrap(), b"my own");
        }
        // Even a file of the very name is no part without the tag of a version.
        std::fs::write(&path, "my own").unwrap();
        for tag in [None, Some("my own")] {
            if let Some(tag) = tag {
                std::fs::write(&etag_path, tag).unwrap();
            }
            assert!(Part::lock(&target).is_err(), "{tag:?}");
            assert_eq!(std::fs::read(&path).unwrap(), b"my own");
        }
        for tag in [etag(), String::new(), "\0\0".to_owned()] {
            std::fs::write(&etag_path, &tag).unwrap();
            assert!(Part::lock(&target).is_ok(), "{tag:?}");
        }
    }

    #[test]
    fn a_file_that_took_the_place_of_a_part_is_not_moved_nor_removed() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a");
        let part = Part::lock(&target).unwrap();
        let path = part.path.clone();
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "another").unwrap();
        part.discard();
        assert!(part.finish().is_err());
        assert!(!target.exists());
        assert_eq!(std::fs::read(&path).unwrap(), b"another");
    }

    #[test]
    fn a_file_is_gathered_by_one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a");
        let first = Part::lock(&target).unwrap();
        let error = Part::lock(&target).unwrap_err();
        assert!(matches!(error, CliError::File { .. }), "{error:?}");
        assert!(Part::lock(&folder.path().join("b")).is_ok());
        // What moves to its place is no longer the part.
        let (old, path) = (first.file().unwrap(), first.path.clone());
        first.finish().unwrap();
        assert!(!is_at(&old, &path).unwrap());
        drop(old);
        let again = Part::lock(&target).unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"");
        again.discard_if_empty();
        assert!(!again.path().exists());
    }

    #[tokio::test]
    async fn a_part_is_not_written_through_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a");
        let (path, etag_path) = paths(&target);
        for link in [path, etag_path] {
            std::os::unix::fs::symlink("elsewhere", &link).unwrap();
            let begun = Part::lock(&target).and_then(|part| part.begin(0, "tag"));
            assert!(begun.is_err(), "{link:?}");
            std::fs::remove_file(link).unwrap();
        }
        assert!(!folder.path().join("elsewhere").exists());
        // Nor is its version told by one.
        let part = Part::lock(&target).unwrap();
        part.begin(0, &etag()).unwrap();
        part.file().unwrap().write_all(b"x").unwrap();
        assert!(part.left_over().await.is_some());
        let elsewhere = folder.path().join("b");
        std::fs::rename(&part.etag_path, &elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &part.etag_path).unwrap();
        assert!(part.left_over().await.is_none());
    }

    #[test]
    fn what_is_gathered_is_told_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let (path, etag_path) = paths(&folder.path().join("a"));
        for path in [path, etag_path] {
            assert!(is_hidden_part(&path.file_name().unwrap().to_string_lossy()));
        }
        assert!(is_hidden_part(".mdfs-get-a1B2c3.part"), "of the library");
        assert!(!is_hidden_part("a.part"));
    }

    #[test]
    fn a_name_may_be_as_long_as_the_file_system_takes() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a".repeat(255));
        let part = Part::lock(&target).unwrap();
        part.begin(0, "").unwrap();
        assert!(Part::lock(&target).is_err());
        assert!(Part::lock(&folder.path().join("b".repeat(255))).is_ok());
        part.finish().unwrap();
        assert!(target.exists());
    }
}
