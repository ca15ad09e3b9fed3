//! The ids of all files that are here: in the trash or out of it, or uploaded just now.

use super::{PASS_STALL, PASS_WITHIN, Records, not_passed, records};
use crate::error::Error;
use crate::http::App;
use crate::http::error::HttpError;
use crate::leader::command::Export;
use bytes::Bytes;
use mdfs_core::id::FileId;
use mdfs_core::records::{Corrupt, FileRecord, Key, Kind, decode};
use mdfs_protocol::transfer;
use std::collections::{HashSet, VecDeque};
use tokio::sync::OwnedSemaphorePermit;

/// Records looked at before others have their turn.
const RECORDS_AT_ONCE: usize = 4096;
/// Bytes of an id.
const ID_BYTES: usize = 16;

/// The ids of an export, record by record.
pub(super) struct Ids {
    export: Export,
    kinds: VecDeque<Kind>,
    after: Option<Vec<u8>>,
    /// None for a master's own use, which has one already.
    _permit: Option<OwnedSemaphorePermit>,
}

impl Ids {
    pub(super) fn new(export: Export, permit: OwnedSemaphorePermit) -> Self {
        Self::of(export, Some(permit))
    }

    fn of(export: Export, permit: Option<OwnedSemaphorePermit>) -> Self {
        Self {
            export,
            kinds: VecDeque::from([Kind::File, Kind::Trash, Kind::Upload]),
            after: None,
            _permit: permit,
        }
    }

    /// The next ids as bytes; none after the last ones.
    pub(super) fn piece(&mut self) -> Result<Option<Bytes>, Corrupt> {
        while let Some(&kind) = self.kinds.front() {
            let (prefix, after) = ([kind.tag()], self.after.take());
            let mut bytes = Vec::new();
            let records = self.export.table.range(&prefix, after.as_deref());
            for (key, value) in records.take(RECORDS_AT_ONCE) {
                self.after = Some(key.to_vec());
                let file = match Key::from_bytes(key)? {
                    Key::File(_) => decode::<FileRecord>(value)?.file,
                    Key::Trash(_, file) | Key::Upload(file) => file,
                    _ => continue,
                };
                bytes.extend(file.to_bytes());
            }
            if self.after.is_none() {
                self.kinds.pop_front();
            }
            if !bytes.is_empty() {
                return Ok(Some(bytes.into()));
            }
        }
        Ok(None)
    }
}

/// All of them, as the leader knows them. The caller holds a permit.
pub(super) async fn known(app: &App) -> Result<HashSet<FileId>, HttpError> {
    let mut known = HashSet::new();
    let mut add = |bytes: &[u8]| {
        let ids = bytes.chunks_exact(ID_BYTES);
        let ids = ids.filter_map(|id| id.first_chunk().copied());
        known.extend(ids.map(FileId::from_bytes));
    };
    let leader = match records(app).await? {
        Records::Here(export) => {
            let mut ids = Ids::of(*export, None);
            while let Some(piece) = ids.piece().map_err(broken)? {
                add(&piece);
                tokio::task::yield_now().await;
            }
            return Ok(known);
        }
        Records::At(leader) => leader,
    };
    let links = app.0.gateway.links();
    let passed = links.passed(&leader.url, transfer::IDS, PASS_WITHIN, PASS_STALL);
    let mut passed = passed.await.map_err(not_passed)?;
    let mut cut = Vec::new();
    while let Some(piece) = passed.next().await.map_err(not_passed)? {
        // Pieces of a connection end anywhere.
        cut.extend_from_slice(&piece);
        let whole = cut.len() - cut.len() % ID_BYTES;
        let rest = cut.split_off(whole);
        add(&std::mem::replace(&mut cut, rest));
    }
    match cut.is_empty() {
        true => Ok(known),
        false => Err(Error::NoLeader.into()),
    }
}

fn broken(corrupt: Corrupt) -> HttpError {
    Error::Broken(corrupt.to_string()).into()
}
