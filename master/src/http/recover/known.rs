//! What records say of file ids.

use super::scan::ScanError;
use crate::leader::command::Export;
use mdfs_core::id::FileId;
use mdfs_core::name::FileName;
use mdfs_core::records::{
    Corrupt, EndedRecord, FileRecord, Key, Kind, UploadEnd, UploadRecord, decode,
};
use mdfs_core::time::LogTime;
use std::collections::{BTreeMap, BTreeSet};

/// Records looked at before others have their turn.
pub(super) const RECORDS_AT_ONCE: usize = 4096;
/// The records that name file ids.
pub(super) const KINDS: [Kind; 3] = [Kind::File, Kind::Trash, Kind::Upload];

/// What a record says of a file id.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// A file under a name.
    File {
        name: FileName,
        chunks: u32,
        size: u64,
    },
    /// A file in the trash, or purged; an upload begun since the recovery, or one that was ended.
    Other,
    /// An upload of this name that was begun before the recovery: whether it was committed is not known.
    Before(FileName),
}

/// How many records name file ids.
pub(super) fn count(export: &Export) -> usize {
    let of = |kind: Kind| export.table.range(&[kind.tag()], None).count();
    KINDS.into_iter().map(of).sum()
}

/// Those of the ids that a record has: also of what somebody ended for good.
pub(super) async fn among(
    export: &Export,
    wanted: &BTreeSet<FileId>,
    since: Option<LogTime>,
) -> Result<BTreeMap<FileId, Known>, ScanError> {
    let mut found = BTreeMap::new();
    for kind in KINDS {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let mut end = None;
            let tag = [kind.tag()];
            let records = export.table.range(&tag, after.as_deref());
            for (key, value) in records.take(RECORDS_AT_ONCE) {
                end = Some(key.to_vec());
                let known = known(key, value, since)?;
                found.extend(known.filter(|(file, _)| wanted.contains(file)));
            }
            if end.is_none() {
                break;
            }
            after = end;
            tokio::task::yield_now().await;
        }
    }
    for &file in wanted {
        let ended = export.table.get(&Key::Ended(file).to_bytes());
        let ended: Option<EndedRecord> = ended.map(decode).transpose()?;
        if ended.is_some_and(|ended| ended.end == UploadEnd::Aborted) {
            found.insert(file, Known::Other);
        }
    }
    Ok(found)
}

/// The file id that a record names, and what it says of it; `since` is when the recovery began.
pub(super) fn known(
    key: &[u8],
    value: &[u8],
    since: Option<LogTime>,
) -> Result<Option<(FileId, Known)>, Corrupt> {
    Ok(match Key::from_bytes(key)? {
        Key::File(name) => {
            let record: FileRecord = decode(value)?;
            let (chunks, size) = (record.layout.chunk_count(), record.size);
            Some((record.file, Known::File { name, chunks, size }))
        }
        Key::Trash(_, file) => Some((file, Known::Other)),
        Key::Upload(file) => {
            let record: UploadRecord = decode(value)?;
            let known = match since.is_some_and(|since| record.begun <= since) {
                true => Known::Before(record.name),
                false => Known::Other,
            };
            Some((file, known))
        }
        _ => None,
    })
}
