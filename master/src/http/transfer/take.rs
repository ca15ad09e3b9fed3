//! Files of an export on their way to the leader.

use crate::error::Error;
use crate::http::App;
use crate::http::caller::Caller;
use crate::http::error::HttpError;
use crate::leader::command::{self, Import, ImportStep};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesOrdered;
use mdfs_core::id::{FileId, TokenId};
use mdfs_core::name::FileName;
use mdfs_core::records::plan::{ImportResult, Imported as ImportedFile};
use mdfs_core::records::{FileRecord, TokenRecord};
use mdfs_core::time::LogTime;
use mdfs_protocol::public::Imported;
use std::collections::HashSet;

/// Files, and bytes of their lines, in one entry of the log.
const BATCH_FILES: usize = 256;
const BATCH_BYTES: usize = 256 * 1024;
/// Batches under way: voters write several entries with one sync.
const MOST_UNDER_WAY: usize = 8;

/// Begins an import: no other one brings anything from here on, and nothing is dropped.
pub(super) async fn begin(app: &App, import: u128) -> Result<(), HttpError> {
    step(app, import, ImportStep::Begin).await
}

/// Says where an import stands that brings nothing just now.
pub(in crate::http) async fn step(
    app: &App,
    import: u128,
    step: ImportStep,
) -> Result<(), HttpError> {
    let import = Import {
        files: Vec::new(),
        overwrite: false,
        import,
        step,
    };
    app.0.leader.import(import).await?;
    Ok(())
}

/// Gathers files into batches and hands these to the leader, in order.
pub(super) struct Taker<'a> {
    app: &'a App,
    overwrite: bool,
    /// The ids of files that are here.
    known: HashSet<FileId>,
    /// Which import this is.
    import: u128,
    batch: Vec<ImportedFile>,
    batch_bytes: usize,
    under_way: FuturesOrdered<BoxFuture<'a, Result<ImportResult, Error>>>,
    /// What came of it so far.
    pub(super) imported: Imported,
}

impl<'a> Taker<'a> {
    pub(super) fn new(app: &'a App, overwrite: bool, known: HashSet<FileId>, import: u128) -> Self {
        Self {
            app,
            overwrite,
            known,
            import,
            batch: Vec::new(),
            batch_bytes: 0,
            under_way: FuturesOrdered::new(),
            imported: Imported::default(),
        }
    }

    /// Takes a file whose line has so many bytes.
    pub(super) async fn take(
        &mut self,
        name: FileName,
        record: FileRecord,
        deleted: Option<LogTime>,
        bytes: usize,
    ) -> Result<(), HttpError> {
        let known = !self.known.insert(record.file);
        self.batch.push(ImportedFile {
            name,
            record,
            deleted,
            known,
        });
        self.batch_bytes += bytes;
        if self.batch.len() >= BATCH_FILES || self.batch_bytes >= BATCH_BYTES {
            self.send();
        }
        while self.under_way.len() > MOST_UNDER_WAY {
            self.one_is_done().await?;
        }
        Ok(())
    }

    /// Takes a token, of no more than the caller may do and for no longer.
    pub(super) async fn token(
        &mut self,
        caller: &Caller,
        id: TokenId,
        mut record: TokenRecord,
    ) -> Result<(), HttpError> {
        let leader = &self.app.0.leader;
        if leader.token(id).await?.is_some() {
            self.imported.present += 1;
            return Ok(());
        }
        caller.may_pass_on(&record.grant)?;
        record.expires = caller
            .until()
            .map_or(record.expires, |until| record.expires.min(until));
        leader.add_token(command::Token { id, record }).await?;
        self.imported.tokens += 1;
        Ok(())
    }

    /// Waits until all that was taken is committed.
    pub(super) async fn finish(mut self) -> Result<Imported, HttpError> {
        self.send();
        let mut outcome = Ok(());
        while !self.under_way.is_empty() {
            outcome = outcome.and(self.one_is_done().await);
        }
        // Whoever imports next need not wait. If that is not heard, it is taken for ended after a while.
        if let Err(error) = step(self.app, self.import, ImportStep::End).await {
            tracing::debug!(code = %error.code(), "the end of an import was not heard");
        }
        outcome.map(|()| self.imported)
    }

    fn send(&mut self) {
        self.batch_bytes = 0;
        let files = std::mem::take(&mut self.batch);
        if files.is_empty() {
            return;
        }
        let overwrite = self.overwrite;
        let leader = &self.app.0.leader;
        let import = leader.import(Import {
            files,
            overwrite,
            import: self.import,
            step: ImportStep::Files,
        });
        self.under_way.push_back(Box::pin(import));
    }

    async fn one_is_done(&mut self) -> Result<(), HttpError> {
        let Some(done) = self.under_way.next().await else {
            return Ok(());
        };
        let ImportResult {
            files,
            trashed,
            present,
            conflicts,
        } = done?;
        let imported = &mut self.imported;
        imported.files += files;
        imported.trashed += trashed;
        imported.present += present;
        imported.conflicts += u64::try_from(conflicts.len()).unwrap_or(u64::MAX);
        let room = Imported::MOST_NAMES.saturating_sub(imported.conflicting_names.len());
        let names = conflicts.iter().take(room);
        imported
            .conflicting_names
            .extend(names.map(ToString::to_string));
        Ok(())
    }
}
