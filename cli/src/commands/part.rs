//! What was fetched of a file so far, kept beside it until it is whole.

use crate::error::CliError;
use mdfs_core::checksum::{Blake3, Crc32};
use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The longest last part of a path that endings are put behind, in bytes: file systems take 255.
const NAME_MAX_BYTES: usize = 240;
/// What the names of parts begin with that stand beside files of any names.
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
    /// Opens the part of `target`, makes it if there is none, and locks it.
    ///
    /// # Errors
    /// If it cannot be opened, or is being gathered by somebody else.
    pub(super) fn lock(target: &Path) -> Result<Self, CliError> {
        Self::lock_as(target, &stem(target))
    }

    /// The same under a name that says what it is and no other file has, beside files of any names.
    ///
    /// # Errors
    /// As [`Part::lock`].
    pub(super) fn lock_hidden(target: &Path) -> Result<Self, CliError> {
        let name = target.file_name().unwrap_or_default();
        let mut hash = Blake3::of(name.as_bytes()).to_string();
        hash.truncate(16);
        Self::lock_as(target, &target.with_file_name(format!("{HIDDEN}{hash}")))
    }

    fn lock_as(target: &Path, stem: &Path) -> Result<Self, CliError> {
        let (path, etag_path) = (with_ending(stem, ENDINGS.0), with_ending(stem, ENDINGS.1));
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
                return Ok(Self {
                    target: target.to_owned(),
                    path,
                    etag_path,
                    file,
                });
            }
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
        if !is_etag(&etag) {
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
    /// If they cannot be made durable or moved.
    pub(super) fn finish(self) -> Result<(), CliError> {
        self.file.sync_all().map_err(failed("write", &self.path))?;
        std::fs::rename(&self.path, &self.target).map_err(failed("write", &self.target))?;
        // Without its part the tag means nothing.
        let _ = std::fs::remove_file(&self.etag_path);
        let folder = match self.target.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let synced = File::open(folder).and_then(|folder| folder.sync_all());
        match synced {
            // Some file systems have no such thing, and some folders may be written, not read.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::InvalidInput
                        | io::ErrorKind::Unsupported
                        | io::ErrorKind::PermissionDenied
                ) =>
            {
                Ok(())
            }
            synced => synced.map_err(failed("write", folder)),
        }
    }
}

/// Whether a fetch of a folder gathers bytes under this name.
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

/// What the paths of a part begin with: the target's, or a short one where endings would not fit.
fn stem(target: &Path) -> PathBuf {
    match target.file_name() {
        Some(name) if name.len() > NAME_MAX_BYTES => {
            target.with_file_name(format!("mdfs-{}", Blake3::of(name.as_bytes())))
        }
        _ => target.to_owned(),
    }
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Whether `path` still names the open `file`.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let open = file.metadata()?;
    match std::fs::metadata(path) {
        Ok(named) => Ok((named.dev(), named.ino()) == (open.dev(), open.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether this is an entity tag of a file; anything else was not written by a fetch.
fn is_etag(text: &str) -> bool {
    let inner = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    inner.is_some_and(|inner| {
        inner.len() == ETAG_DIGITS && inner.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
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

    #[tokio::test]
    async fn a_part_counts_only_with_its_version() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a");
        let part = Part::lock(&target).unwrap();
        assert!(part.left_over().await.is_none());
        std::fs::write(folder.path().join("a.part"), "hello").unwrap();
        assert!(part.left_over().await.is_none());
        let etag_path = folder.path().join("a.part.etag");
        let digits = "0".repeat(ETAG_DIGITS);
        for garbage in [
            "".to_owned(),
            "\"7\"".to_owned(),
            "\"".to_owned(),
            digits.clone(),
            format!("\"{digits}\"\n"),
            format!("\"{}x\"", &digits[1..]),
        ] {
            std::fs::write(&etag_path, &garbage).unwrap();
            assert!(part.left_over().await.is_none(), "{garbage:?}");
        }
        std::fs::write(&etag_path, b"\"\xff\"").unwrap();
        assert!(part.left_over().await.is_none());
        let etag = format!("\"{digits}\"");
        std::fs::write(&etag_path, &etag).unwrap();
        let found = part.left_over().await.unwrap();
        assert_eq!((found.bytes, found.crc), (5, Crc32::of(b"hello")));
        assert_eq!(found.etag, etag);
        part.begin(3, &etag).unwrap();
        part.finish().unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"hel");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
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
        let old = first.file().unwrap();
        first.finish().unwrap();
        assert!(!is_at(&old, &folder.path().join("a.part")).unwrap());
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
        for ending in [ENDINGS.0, ENDINGS.1] {
            let link = with_ending(&target, ending);
            std::os::unix::fs::symlink("elsewhere", &link).unwrap();
            let begun = Part::lock(&target).and_then(|part| part.begin(0, "tag"));
            assert!(begun.is_err(), "{ending}");
            std::fs::remove_file(link).unwrap();
        }
        assert!(!folder.path().join("elsewhere").exists());
        // Nor is its version told by one.
        let part = Part::lock(&target).unwrap();
        part.begin(0, &format!("\"{}\"", "0".repeat(ETAG_DIGITS)))
            .unwrap();
        part.file().unwrap().write_all(b"x").unwrap();
        assert!(part.left_over().await.is_some());
        let (etag, elsewhere) = (with_ending(&target, ENDINGS.1), folder.path().join("b"));
        std::fs::rename(&etag, &elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &etag).unwrap();
        assert!(part.left_over().await.is_none());
        let part = Part::lock_hidden(&target).unwrap();
        let name = part.path().file_name().unwrap().to_string_lossy();
        assert!(is_hidden_part(&name) && !is_hidden_part("a.part"));
    }

    #[test]
    fn a_name_too_long_for_endings_has_a_short_part() {
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
