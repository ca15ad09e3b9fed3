//! The small file that says which upload a local file has, and how far it has come.
//!
//! The first line names the upload and the file it is of; each further line a chunk that was answered
//! for, with its checksum. A line that is missing or cut costs a hash of that chunk, no more; what
//! counts is what the cluster says.

use super::local::{Identity, Local};
use crate::put::PutOptions;
use mdfs_core::checksum::Crc32;
use mdfs_core::chunk::ChunkSet;
use mdfs_core::id::FileId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// The longest state that is read: no upload has more lines.
const MOST_BYTES: u64 = 8 << 20;

/// What is remembered. Without a file, nothing is.
#[derive(Debug)]
pub(super) struct State {
    file: Option<(PathBuf, File)>,
    head: Head,
    upload: Option<FileId>,
    /// An upload of the same file to the same name that cannot be gone on with: the file changed, or is
    /// to be stored in another way.
    left_behind: Option<FileId>,
    known: BTreeMap<u32, Crc32>,
}

/// Which file is stored under which name, and how: an upload keeps what it was begun with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    version: u32,
    name: String,
    path: PathBuf,
    size: u64,
    modified_nanos: Option<u64>,
    /// What a state of an earlier version does not say is of another file.
    #[serde(default)]
    identity: Identity,
    if_absent: bool,
    content_type: Option<String>,
    replicas: Option<u8>,
    chunk_size: Option<u64>,
    source_modified: Option<u64>,
    attributes: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
struct First {
    upload: FileId,
    of: Head,
}

#[derive(Serialize, Deserialize)]
struct Line {
    chunk: u32,
    crc32: Crc32,
}

const VERSION: u32 = 1;

impl State {
    /// Remembers nothing.
    pub(super) fn none() -> Self {
        Self {
            file: None,
            head: Head::default(),
            upload: None,
            left_behind: None,
            known: BTreeMap::new(),
        }
    }

    /// What is remembered of storing `local` as `name` with these options. If the file cannot be used,
    /// or another process uses it, nothing is: the upload begins anew, and is not gone on with.
    pub(super) fn open(path: &Path, name: &str, local: &Local, put: &PutOptions) -> Self {
        let head = Head {
            version: VERSION,
            name: name.to_owned(),
            path: local.path().to_owned(),
            size: local.size(),
            modified_nanos: local.modified_nanos(),
            identity: local.identity(),
            if_absent: put.if_absent,
            content_type: put.content_type.clone(),
            replicas: put.replicas,
            chunk_size: put.chunk_size,
            source_modified: put.source_modified,
            attributes: put.attributes.clone(),
        };
        let mut state = Self {
            head,
            ..Self::none()
        };
        match lock(path) {
            Ok(mut file) => {
                state.read(&mut file);
                state.file = Some((path.to_owned(), file));
            }
            Err(error) => {
                let path = path.display();
                tracing::warn!(%path, %error, "an interrupted upload will not be gone on with");
            }
        }
        state
    }

    fn read(&mut self, file: &mut File) {
        let mut text = String::new();
        if file.take(MOST_BYTES).read_to_string(&mut text).is_err() {
            return;
        }
        let mut lines = text.lines();
        let first = lines
            .next()
            .and_then(|line| serde_json::from_str(line).ok());
        let Some(First { upload, of }) = first else {
            return;
        };
        if of != self.head {
            let same = (&of.name, &of.path) == (&self.head.name, &self.head.path);
            self.left_behind = same.then_some(upload);
            return;
        }
        self.upload = Some(upload);
        let lines = lines.filter_map(|line| serde_json::from_str::<Line>(line).ok());
        self.known = lines.map(|line| (line.chunk, line.crc32)).collect();
    }

    /// The upload that is to be gone on with.
    pub(super) fn upload(&self) -> Option<FileId> {
        self.upload
    }

    /// The upload that nobody will go on with, once.
    pub(super) fn take_left_behind(&mut self) -> Option<FileId> {
        self.left_behind.take()
    }

    /// The checksums of those of these chunks that were answered for.
    pub(super) fn known(&self, durable: &ChunkSet) -> BTreeMap<u32, Crc32> {
        let known = self.known.iter();
        known
            .filter(|(index, _)| durable.contains(**index))
            .map(|(&index, &crc32)| (index, crc32))
            .collect()
    }

    /// An upload was begun: what was remembered of another is forgotten.
    pub(super) fn begin(&mut self, upload: FileId) {
        self.upload = Some(upload);
        self.known.clear();
        let first = First {
            upload,
            of: self.head.clone(),
        };
        self.write(&first, true);
    }

    /// A chunk was answered for.
    pub(super) fn note(&mut self, chunk: u32, crc32: Crc32) {
        self.write(&Line { chunk, crc32 }, false);
    }

    /// There is nothing to go on with any more.
    pub(super) fn discard(&mut self) {
        self.upload = None;
        self.known.clear();
        if let Some((path, _)) = self.file.take() {
            // What stays is held against the cluster by the next call.
            let _ = fs::remove_file(path);
        }
    }

    fn write(&mut self, line: &impl Serialize, anew: bool) {
        let Some((path, file)) = &mut self.file else {
            return;
        };
        let written = serde_json::to_string(line)
            .map_err(io::Error::other)
            .and_then(|text| {
                if anew {
                    file.set_len(0)?;
                }
                file.seek(SeekFrom::End(0))?;
                file.write_all(format!("{text}\n").as_bytes())
            });
        if let Err(error) = written {
            let path = path.display();
            tracing::warn!(%path, %error, "cannot remember how far an upload has come");
        }
    }
}

fn lock(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(io::Error::new(
            io::ErrorKind::ResourceBusy,
            "another process stores the same file",
        )),
        // Where the file system has no locks, doing it twice at once cannot be told.
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => Ok(file),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use std::os::unix::fs::MetadataExt;

    async fn local(path: &Path, bytes: &[u8]) -> Local {
        fs::write(path, bytes).unwrap();
        Local::open(path).await.unwrap()
    }

    #[tokio::test]
    async fn a_state_counts_only_for_the_same_file_and_name_and_survives_a_cut() {
        let folder = tempfile::tempdir().unwrap();
        let (source, path) = (folder.path().join("a"), folder.path().join("s/state"));
        let file = local(&source, b"hello").await;
        let (id, put) = (FileId::from_u128(7), PutOptions::default());
        {
            let mut state = State::open(&path, "a", &file, &put);
            assert_eq!(state.upload(), None);
            state.begin(id);
            state.note(3, Crc32(9));
            state.note(1, Crc32(8));
            let second = State::open(&path, "a", &file, &put);
            assert_eq!(second.upload(), None, "another process has it");
        }
        let mut text = fs::read_to_string(&path).unwrap();
        text.push_str("{\"chunk\":2,\"cr");
        fs::write(&path, &text).unwrap();
        let state = State::open(&path, "a", &file, &put);
        assert_eq!(state.upload(), Some(id));
        let durable: ChunkSet = [1, 2].into_iter().collect();
        assert_eq!(state.known(&durable), [(1, Crc32(8))].into());
        drop(state);
        assert_eq!(State::open(&path, "b", &file, &put).upload(), None);
        let absent = PutOptions {
            if_absent: true,
            ..put.clone()
        };
        let other = State::open(&path, "a", &file, &absent);
        assert_eq!(other.upload(), None, "begun without that condition");
        drop(other);
        // Another file took its place, with its path, length and time of change.
        let time = fs::metadata(&source).unwrap().modified().unwrap();
        let taken = folder.path().join("b");
        fs::write(&taken, b"jelly").unwrap();
        File::open(&taken).unwrap().set_modified(time).unwrap();
        fs::rename(&taken, &source).unwrap();
        assert!(matches!(
            file.check_unchanged().await,
            Err(Error::SourceChanged { .. })
        ));
        let other = Local::open(&source).await.unwrap();
        let mut replaced = State::open(&path, "a", &other, &put);
        assert_eq!(replaced.upload(), None);
        assert_eq!(replaced.take_left_behind(), Some(id), "it is to be ended");
        drop(replaced);
        // Written to, with its time of change put back.
        let status = |path: &Path| {
            let metadata = fs::metadata(path).unwrap();
            (metadata.ctime(), metadata.ctime_nsec())
        };
        let before = status(&source);
        // The clock of the file system may be coarse.
        while status(&source) == before {
            fs::write(&source, b"hullo").unwrap();
            File::open(&source).unwrap().set_modified(time).unwrap();
        }
        assert!(other.check_unchanged().await.is_err());
        let longer = local(&source, b"hello there").await;
        let mut changed = State::open(&path, "a", &longer, &put);
        assert_eq!(changed.upload(), None);
        assert_eq!(changed.take_left_behind(), Some(id), "it is to be ended");
        drop(changed);
        let mut other = State::open(&path, "b", &longer, &put);
        assert_eq!(other.take_left_behind(), None, "another file's upload");
        drop(other);
        for garbage in ["", "\n", "{}", "\u{0}"] {
            fs::write(&path, garbage).unwrap();
            assert_eq!(State::open(&path, "a", &file, &put).upload(), None);
        }
        State::open(&path, "a", &file, &put).discard();
        assert!(!path.exists());
    }
}
