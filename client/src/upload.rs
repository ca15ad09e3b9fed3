//! Uploads that outlive a connection, a client and a master: the calls of one session.

use crate::answer::document;
use crate::client::Client;
use crate::error::Error;
use crate::log_time::new_request_id;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, IF_NONE_MATCH};
use mdfs_core::checksum::Crc32;
use mdfs_core::id::{FileId, RequestId};
use mdfs_protocol::public::{
    self, BeginUpload, CRC_HEADER, CommitUpload, FileInfo, REQUEST_HEADER, StoredChunk, UploadInfo,
    Uploads, upload_path,
};
use reqwest::{Body, RequestBuilder};

impl Client {
    /// Opens an upload: a file that is stored chunk by chunk, in any order, over any time. Nothing of
    /// it is visible before [`Client::commit_upload`]. Tried again safely. With `if_absent`, the
    /// commit fails if there is a file of the name, now or then.
    ///
    /// ```no_run
    /// # async fn example(client: &mdfs_client::Client) -> Result<(), mdfs_client::Error> {
    /// use mdfs_client::Bytes;
    /// use mdfs_client::api::{BeginUpload, CommitUpload};
    ///
    /// let begin = BeginUpload {
    ///     name: "films/a.mkv".to_owned(),
    ///     chunk_size: Some(1 << 20),
    ///     ..BeginUpload::default()
    /// };
    /// let upload = client.begin_upload(&begin, false).await?;
    /// // In any order, many at a time, from several machines; all but the last of the chunk size.
    /// client.put_chunk(upload.id, 1, Bytes::from_static(b"the end")).await?;
    /// client.put_chunk(upload.id, 0, Bytes::from(vec![0; 1 << 20])).await?;
    /// let file = client.commit_upload(upload.id, &CommitUpload::default()).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error`]; `too_many_uploads` if as many are open as the cluster allows.
    ///
    /// # Cancel safety
    /// When the future is dropped, an upload may have been opened of which nobody knows: it expires.
    pub async fn begin_upload(
        &self,
        begin: &BeginUpload,
        if_absent: bool,
    ) -> Result<UploadInfo, Error> {
        let request = |client: &Self, url: &str, id: Option<RequestId>| {
            let mut request = client.http.post(format!("{url}{}", public::UPLOADS));
            if let Some(id) = id {
                request = request.header(REQUEST_HEADER, id.to_string());
            }
            if if_absent {
                request = request.header(IF_NONE_MATCH, "*");
            }
            request.json(begin)
        };
        let id = new_request_id(self.log_clock.now())?;
        let begun = self
            .repeat(&begin.name, |client, url| request(client, url, Some(id)))
            .await;
        let response = match begun {
            // The clocks differ: once, without an id. An upload too many expires by itself.
            Err(error) if error.is_old_request_id() => {
                self.send(&begin.name, |url| request(self, url, None))
                    .await?
            }
            begun => begun?,
        };
        document(&begin.name, response).await
    }

    /// What is known of an upload: whether it goes on, which chunks are durable, what it became.
    ///
    /// # Errors
    /// [`Error`]; `upload_not_found` if there is none, or none any more.
    ///
    /// # Cancel safety
    /// Changes nothing.
    pub async fn find_upload(&self, id: FileId) -> Result<UploadInfo, Error> {
        self.fetch(&upload_path(id)).await
    }

    /// One page of the uploads that are open: at most `limit` (1 to 1000; the server's choice if none)
    /// behind `after`, which is `next` of the page before.
    ///
    /// # Errors
    /// [`Error`].
    ///
    /// # Cancel safety
    /// Changes nothing.
    pub async fn uploads(
        &self,
        after: Option<FileId>,
        limit: Option<usize>,
    ) -> Result<Uploads, Error> {
        let mut query = Vec::new();
        query.extend(after.map(|after| ("after", after.to_string())));
        query.extend(limit.map(|limit| ("limit", limit.to_string())));
        let request = |client: &Self, url: &str| {
            let get = client.http.get(format!("{url}{}", public::UPLOADS));
            get.query(&query)
        };
        document(
            public::UPLOADS,
            self.repeat(public::UPLOADS, request).await?,
        )
        .await
    }

    /// Stores a chunk; when this returns, all its copies are durable. The same chunk again is
    /// harmless. Tried again safely.
    ///
    /// # Errors
    /// [`Error`]; `conflict` if the chunk is stored already with other bytes, or the upload has ended.
    ///
    /// # Cancel safety
    /// When the future is dropped, the chunk is stored whole or not at all; storing it again is harmless.
    pub async fn put_chunk(
        &self,
        id: FileId,
        index: u32,
        bytes: Bytes,
    ) -> Result<StoredChunk, Error> {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let crc32 = Crc32::of(&bytes);
        let request = |client: &Self, url: &str| {
            client.chunk_request(url, id, index, length, crc32, bytes.clone().into())
        };
        let path = upload_path(id);
        document(&path, self.repeat(&path, request).await?).await
    }

    /// Makes an upload a file, if it is what `whole` says. Tried again safely: a repeated commit gets
    /// the first answer. May take as long as the disks need to read all chunks, at most
    /// [`crate::ClientConfig::long_stall`].
    ///
    /// # Errors
    /// [`Error`]; `missing_chunks` if some were never stored, `precondition_failed`,
    /// `checksum_mismatch`. The upload is open still.
    ///
    /// # Cancel safety
    /// When the future is dropped, the upload became a file or not; committing again tells.
    pub async fn commit_upload(&self, id: FileId, whole: &CommitUpload) -> Result<FileInfo, Error> {
        let path = format!("{}/commit", upload_path(id));
        let request =
            |client: &Self, url: &str| client.http.post(format!("{url}{path}")).json(whole);
        let stall = self.config.long_stall;
        document(&path, self.repeat_within(stall, &path, request).await?).await
    }

    /// Ends an upload without a file. Harmless when it has ended: the answer says how.
    ///
    /// # Errors
    /// [`Error`]; `upload_not_found` if there is none, or none any more.
    ///
    /// # Cancel safety
    /// When the future is dropped, it took effect or not; asking again is harmless.
    pub async fn abort_upload(&self, id: FileId) -> Result<UploadInfo, Error> {
        let path = upload_path(id);
        let request = |client: &Self, url: &str| client.http.delete(format!("{url}{path}"));
        document(&path, self.repeat(&path, request).await?).await
    }

    pub(crate) fn chunk_request(
        &self,
        url: &str,
        id: FileId,
        index: u32,
        length: u64,
        crc32: Crc32,
        body: Body,
    ) -> RequestBuilder {
        self.http
            .put(format!("{url}{}/chunks/{index}", upload_path(id)))
            .header(CONTENT_LENGTH, length)
            .header(CRC_HEADER, crc32.to_string())
            .body(body)
    }
}
