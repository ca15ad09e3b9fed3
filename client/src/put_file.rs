//! Storing a local file so that it can be gone on with: chunk by chunk, remembered in a small file.

mod local;
mod sent;
mod state;

use crate::answer::document;
use crate::client::Client;
use crate::error::Error;
use crate::put::PutOptions;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use local::Local;
use mdfs_core::checksum::Crc32;
use mdfs_core::chunk::{ChunkSet, ChunkSize};
use mdfs_core::id::FileId;
use mdfs_protocol::problem::Code;
use mdfs_protocol::public::{
    BeginUpload, ChunkRun, CommitUpload, FileInfo, StoredChunk, UploadInfo, UploadState,
    upload_path,
};
use sent::Sent;
use state::State;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// How long a chunk is tried again at least: a master that was killed may take that long to come
/// back, and what was stored is not lost meanwhile.
const CHUNK_RETRY_FOR: Duration = Duration::from_secs(60);
/// How long a commit is tried again at least: disks may have to read everything.
const COMMIT_RETRY_FOR: Duration = Duration::from_secs(600);

/// How to store a local file.
#[derive(Clone, Default)]
pub struct PutFileOptions {
    /// As for [`Client::put`].
    pub put: PutOptions,
    /// How many chunks are under way at a time, and how many at most are sent twice for each
    /// interruption; one if zero. From two on, one of them becomes durable while the others are sent.
    pub streams: usize,
    /// Where it is remembered which upload this is and how far it has come, so that a later call goes
    /// on with it; one file for each name and source. None to remember nothing.
    pub state: Option<PathBuf>,
    /// How long the upload lives without a new chunk; the server's choice if none.
    pub expires_seconds: Option<u64>,
}

impl Client {
    /// Stores a local file; when this returns, all its copies are durable. An existing file of the
    /// name is replaced.
    ///
    /// The file is sent in chunks that are durable one by one: what fails is tried again for a minute
    /// at least, and with [`PutFileOptions::state`] a later call with the same options goes on where
    /// this one ended, if the file is the same by its path, length and time of change. If the file
    /// changes meanwhile, nothing is stored.
    ///
    /// # Errors
    /// [`Error`]. If the file cannot become what was meant, such as after [`Error::SourceChanged`], the
    /// upload is ended; after other errors, such as a failed read, it is open still, and is gone on with
    /// by a later call, or expires. An upload that was left behind by an earlier call for what the file
    /// was before is ended.
    ///
    /// # Cancel safety
    /// As after an error that passes.
    pub async fn put_file(
        &self,
        name: &str,
        path: &Path,
        options: &PutFileOptions,
    ) -> Result<FileInfo, Error> {
        let local = Local::open(path).await?;
        let mut state = options.state.as_deref().map_or_else(State::none, |state| {
            State::open(state, name, &local, &options.put)
        });
        if let Some(id) = state.take_left_behind() {
            // If this fails it expires. Another cluster does not know it.
            let _ = self.abort_upload(id).await;
        }
        if let Some(id) = state.upload() {
            match self.find_upload(id).await {
                Ok(UploadInfo {
                    state: UploadState::Committed,
                    file: Some(file),
                    ..
                }) => {
                    if self.is_current(&file).await? {
                        state.discard();
                        return check_sum(&local, file.crc32, options).map(|()| file);
                    }
                }
                Ok(info) if fits(&info, &local) => {
                    match self.go_on(&info, &local, &mut state, options).await {
                        // It ended meanwhile: nothing of it is left.
                        Err(error) if has_ended(&error) => {}
                        result => return result,
                    }
                }
                Ok(_) => {
                    let _ = self.abort_upload(id).await;
                }
                Err(error) if has_ended(&error) => {}
                Err(error) => return Err(error),
            }
        }
        let begin = BeginUpload {
            name: name.to_owned(),
            size: Some(local.size()),
            chunk_size: options.put.chunk_size,
            replicas: options.put.replicas,
            content_type: options.put.content_type.clone(),
            source_modified: options.put.source_modified.or(local.modified_millis()),
            attributes: options.put.attributes.clone(),
            expires_seconds: options.expires_seconds,
        };
        let info = self.begin_upload(&begin, options.put.if_absent).await?;
        state.begin(info.id);
        self.go_on(&info, &local, &mut state, options).await
    }

    /// Whether a file is what its name stands for, as far as this client may know: who may not ask is
    /// told so by the commit alone.
    async fn is_current(&self, file: &FileInfo) -> Result<bool, Error> {
        match self.stat(&file.name).await {
            Ok(head) => Ok(head.version == file.version),
            Err(error) => match error.code() {
                Some(Code::FileNotFound) => Ok(false),
                Some(Code::Forbidden) => Ok(true),
                _ => Err(error),
            },
        }
    }

    async fn go_on(
        &self,
        info: &UploadInfo,
        local: &Local,
        state: &mut State,
        options: &PutFileOptions,
    ) -> Result<FileInfo, Error> {
        let id = info.id;
        let result = self.finish(info, local, state, options).await;
        match &result {
            Ok(_) => state.discard(),
            Err(error) if !is_final(error) => {}
            Err(_) => {
                // It cannot become the file that was meant. If this fails as well, it expires.
                let _ = self.abort_upload(id).await;
                state.discard();
            }
        }
        result
    }

    /// Sends the chunks that are not durable yet, and commits.
    async fn finish(
        &self,
        info: &UploadInfo,
        local: &Local,
        state: &mut State,
        options: &PutFileOptions,
    ) -> Result<FileInfo, Error> {
        let plan = Plan::of(info, local)?;
        let durable: ChunkSet = info
            .chunks
            .iter()
            .flat_map(|run| run.first..run.first.saturating_add(run.count))
            .collect();
        let mut crcs = state.known(&durable);
        let done = durable
            .runs()
            .flat_map(|(first, count)| first..first + count);
        let done: u64 = done.map(|index| plan.part(index).1).sum();
        let sent = Sent::new(done, options);
        let streams = options.streams.max(1);
        let sending = Arc::new(Semaphore::new((streams - 1).max(1)));
        let missing = durable.missing(plan.count);
        let missing = missing
            .into_iter()
            .flat_map(|(first, count)| first..first.saturating_add(count));
        let mut stored = stream::iter(missing)
            .map(|index| self.send_chunk(info.id, local, &plan, index, &sending, &sent))
            .buffer_unordered(streams);
        while let Some((index, crc32)) = stored.try_next().await? {
            state.note(index, crc32);
            crcs.insert(index, crc32);
        }
        drop(stored);
        let mut whole = Crc32::default();
        for index in 0..plan.count {
            let (offset, length) = plan.part(index);
            let crc32 = match crcs.get(&index) {
                Some(crc32) => *crc32,
                // Stored by an earlier call that did not hear of it.
                None => local.hash(offset, length).await?,
            };
            whole = Crc32::combine(whole, crc32, length);
        }
        local.check_unchanged().await?;
        check_sum(local, whole, options)?;
        let whole = CommitUpload {
            size: Some(local.size()),
            crc32: Some(whole),
            blake3: None,
        };
        let mut retry = self.retry(COMMIT_RETRY_FOR.max(self.config.retry_for));
        loop {
            match self.commit_upload(info.id, &whole).await {
                Err(error) if error.is_transient() && retry.pause().await => {
                    tracing::debug!(%error, "committing again");
                }
                result => return result,
            }
        }
    }

    /// Whether a chunk is durable; waits while the cluster is about to make it so.
    async fn arrived(&self, id: FileId, index: u32) -> bool {
        let mut retry = self.retry(CHUNK_RETRY_FOR);
        loop {
            // Who cannot be asked knows nothing: it is sent again.
            let Ok(info) = self.find_upload(id).await else {
                return false;
            };
            let within = |run: &ChunkRun| run.first <= index && index - run.first < run.count;
            if info.chunks.iter().any(within) {
                return true;
            }
            if !info.storing.contains(&index) || !retry.pause().await {
                return false;
            }
        }
    }

    /// Stores one chunk, however often it takes.
    async fn send_chunk(
        &self,
        id: FileId,
        local: &Local,
        plan: &Plan,
        index: u32,
        sending: &Arc<Semaphore>,
        sent: &Sent,
    ) -> Result<(u32, Crc32), Error> {
        let (offset, length) = plan.part(index);
        let subject = upload_path(id);
        let mut retry = self.retry(CHUNK_RETRY_FOR.max(self.config.retry_for));
        let closed = |_| Error::protocol(&subject, "the upload was given up");
        if plan.storing.contains(&index) && self.arrived(id, index).await {
            sent.add(offset, length);
            return Ok((index, local.hash(offset, length).await?));
        }
        let mut turn = Arc::clone(sending).acquire_owned().await.map_err(closed)?;
        let crc32 = local.hash(offset, length).await?;
        loop {
            // Given back with the last byte, so that the next chunk goes while this one becomes
            // durable.
            let pieces = local.pieces(offset, length, turn, sent.clone()).await?;
            let body = reqwest::Body::wrap_stream(pieces);
            let result = async {
                let request = |url: &str| self.chunk_request(url, id, index, length, crc32, body);
                let response = self.send(&subject, request).await?;
                document::<StoredChunk>(&subject, response).await
            };
            let error = match result.await {
                Ok(chunk) if chunk.crc32 == crc32 => return Ok((index, crc32)),
                Ok(chunk) => {
                    return Err(Error::ChecksumMismatch {
                        subject,
                        want: crc32,
                        got: chunk.crc32,
                    });
                }
                Err(error) => error,
            };
            retry.reached(sent.take_back(offset));
            local.check_unchanged().await?;
            if let Some(failure) = sent.take_failure() {
                return Err(local.failed(failure));
            }
            // Bytes that were damaged on their way come right the next time.
            let passes = error.is_transient() || error.code() == Some(Code::ChecksumMismatch);
            if !passes || !retry.pause().await {
                return Err(error);
            }
            // It may have come whole before the connection broke.
            if self.arrived(id, index).await {
                sent.add(offset, length);
                return Ok((index, crc32));
            }
            tracing::debug!(%error, index, "sending a chunk again");
            turn = Arc::clone(sending).acquire_owned().await.map_err(closed)?;
        }
    }
}

/// Whether these are the bytes that are wanted, if that was said.
fn check_sum(local: &Local, got: Crc32, options: &PutFileOptions) -> Result<(), Error> {
    match options.put.crc32.filter(|want| *want != got) {
        Some(want) => Err(Error::ChecksumMismatch {
            subject: local.path().display().to_string(),
            want,
            got,
        }),
        None => Ok(()),
    }
}

/// Whether an upload can be gone on with for a file.
fn fits(info: &UploadInfo, local: &Local) -> bool {
    info.state == UploadState::Open && info.size == Some(local.size())
}

/// Whether going on later is of no use either.
fn is_final(error: &Error) -> bool {
    match error {
        Error::SourceChanged { .. } | Error::ChecksumMismatch { .. } => true,
        Error::Refused { code, .. } => matches!(
            code,
            Code::PreconditionFailed
                | Code::Conflict
                | Code::InvalidRequest
                | Code::TooLarge
                | Code::ChecksumMismatch
                | Code::UploadNotFound
                | Code::UploadEnded
        ),
        _ => false,
    }
}

fn has_ended(error: &Error) -> bool {
    matches!(error.code(), Some(Code::UploadNotFound | Code::UploadEnded))
}

/// How a file is cut.
struct Plan {
    /// Chunks that had come whole when it was asked.
    storing: Vec<u32>,
    size: u64,
    chunk_size: u64,
    count: u32,
}

impl Plan {
    fn of(info: &UploadInfo, local: &Local) -> Result<Self, Error> {
        let size = local.size();
        let chunk_size = info.chunk_size.map(ChunkSize::new).and_then(Result::ok);
        let chunk_size = chunk_size
            .ok_or_else(|| Error::protocol(&upload_path(info.id), "no valid chunk size"))?
            .bytes();
        let count = u32::try_from(size.div_ceil(chunk_size))
            .map_err(|_| Error::protocol(&upload_path(info.id), "too many chunks"))?;
        Ok(Self {
            storing: info.storing.clone(),
            size,
            chunk_size,
            count,
        })
    }

    /// The first byte of a chunk, and how many it has.
    fn part(&self, index: u32) -> (u64, u64) {
        let offset = u64::from(index).saturating_mul(self.chunk_size);
        (
            offset,
            self.size.saturating_sub(offset).min(self.chunk_size),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ClientConfig;
    use crate::tests::serve_at;
    use axum::Router;
    use axum::http::StatusCode;
    use axum::routing::head;

    #[tokio::test]
    async fn a_file_counts_as_stored_only_if_it_is_there_or_may_not_be_asked_for() {
        let file: FileInfo = serde_json::from_value(serde_json::json!({
            "name": "a", "version": 5, "file_id": FileId::from_u128(1), "size": 5,
            "crc32": "00000000", "blake3": "0".repeat(64), "etag": "\"5\"", "content_type": "",
            "replicas": 2, "chunk_size": 1 << 20, "modified": "", "attributes": {},
        }))
        .unwrap();
        for (status, want) in [
            (StatusCode::NOT_FOUND, Some(false)),
            (StatusCode::FORBIDDEN, Some(true)),
            (StatusCode::SERVICE_UNAVAILABLE, None),
            (StatusCode::UNAUTHORIZED, None),
        ] {
            let answer = head(async move || status);
            let url = serve_at(Router::new().route("/v1/files/a", answer)).await;
            let mut config = ClientConfig::new(url);
            config.retry_for = Duration::ZERO;
            let client = Client::new(config).unwrap();
            assert_eq!(client.is_current(&file).await.ok(), want, "{status}");
        }
    }

    #[test]
    fn a_read_that_failed_ends_no_upload_and_a_change_does() {
        let path = || PathBuf::from("a");
        let source = std::io::Error::other("the network file system is away");
        let failed = Error::Source {
            path: path(),
            source,
        };
        assert!(!is_final(&failed));
        assert!(is_final(&Error::SourceChanged { path: path() }));
    }
}
