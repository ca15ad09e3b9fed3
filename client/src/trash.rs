//! The trash: what is listed there, comes back from it, or passes it by.

use crate::answer::{Answer, document};
use crate::client::Client;
use crate::error::Error;
use crate::name::file_path;
use mdfs_core::id::RequestId;
use mdfs_protocol::public::{self, FileInfo, REQUEST_HEADER, Trash};

impl Client {
    /// Removes a file for good; if no file has the name, the newest of that name in the trash.
    /// Tried again safely.
    ///
    /// # Errors
    /// [`Error`]; `file_not_found` if there is none, in the trash or out of it.
    ///
    /// # Cancel safety
    /// When the future is dropped, it took effect or not, and never by half.
    pub async fn purge(&self, name: &str) -> Result<(), Error> {
        let id = self.trash_request_id(name).await?;
        let path = file_path(name)?;
        let request = |client: &Self, url: &str| {
            let delete = client.http.delete(format!("{url}{path}?purge"));
            delete.header(REQUEST_HEADER, id.to_string())
        };
        self.repeat(name, request).await.map(|_| ())
    }

    /// Brings the newest file of that name in the trash back. Tried again safely.
    ///
    /// # Errors
    /// [`Error`]; `file_not_found` if there is none, `conflict` if a file has the name.
    ///
    /// # Cancel safety
    /// When the future is dropped, it took effect or not, and never by half.
    pub async fn undelete(&self, name: &str) -> Result<FileInfo, Error> {
        let id = self.trash_request_id(name).await?;
        let path = file_path(name)?;
        let request = |client: &Self, url: &str| {
            let post = client.http.post(format!("{url}{path}?undelete"));
            post.header(REQUEST_HEADER, id.to_string())
        };
        document(name, self.repeat(name, request).await?).await
    }

    /// One page of the trash, those files first that came there first: at most `limit` (1 to 1000;
    /// the server's choice if none) behind `after`, which is `next` of the page before.
    ///
    /// # Errors
    /// [`Error`].
    ///
    /// # Cancel safety
    /// Changes nothing.
    pub async fn trash(&self, after: Option<&str>, limit: Option<usize>) -> Result<Trash, Error> {
        document(public::TRASH, self.trash_page(after, limit).await?).await
    }

    async fn trash_page(&self, after: Option<&str>, limit: Option<usize>) -> Result<Answer, Error> {
        let mut query = Vec::new();
        query.extend(after.map(|after| ("after", after.to_owned())));
        query.extend(limit.map(|limit| ("limit", limit.to_string())));
        let request = |client: &Self, url: &str| {
            let get = client.http.get(format!("{url}{}", public::TRASH));
            get.query(&query)
        };
        self.repeat(public::TRASH, request).await
    }

    /// An id for a change of what may be in the trash, issued in the cluster's time: `HEAD` of a
    /// file that is there tells none.
    async fn trash_request_id(&self, name: &str) -> Result<RequestId, Error> {
        let asked = self.trash_page(None, Some(1)).await;
        self.id_at_log_time(name, asked)
    }
}
