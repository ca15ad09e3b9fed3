//! All records of a cluster at once.

use crate::answer::{Answer, document};
use crate::client::Client;
use crate::error::Error;
use crate::source::PutBody;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use mdfs_protocol::public::{EXPORT, IMPORT, Imported};
use mdfs_protocol::transfer;

/// How to take an export in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// Files whose names other files have take their place; those go to the trash.
    pub overwrite: bool,
    /// The policy of the export holds from then on.
    pub policy: bool,
    /// It may be of another cluster.
    pub other_cluster: bool,
    /// The access tokens of the export are taken in: those too that were ended since.
    pub tokens: bool,
}

/// An export as it arrives: lines of JSON, as `mdfs_protocol::transfer` describes them.
#[derive(Debug)]
pub struct Export(Answer);

impl Export {
    /// The next bytes; none after the last ones. Whether that is all, its last line tells.
    ///
    /// # Errors
    /// [`Error`].
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        self.0.chunk(EXPORT).await
    }
}

impl Client {
    /// All records of the cluster as they are at one point: files, trash, policy, and access tokens
    /// (of which it has no secrets) if they are asked for.
    ///
    /// # Errors
    /// [`Error`]; `busy` while others export or import.
    ///
    /// # Cancel safety
    /// Changes nothing.
    pub async fn export(&self, tokens: bool) -> Result<Export, Error> {
        let path = if tokens {
            format!("{EXPORT}?tokens=1")
        } else {
            EXPORT.to_owned()
        };
        let request = |client: &Self, url: &str| client.http.get(format!("{url}{path}"));
        Ok(Export(self.repeat(EXPORT, request).await?))
    }

    /// Takes in what is missing of an export. Sent once; the same again takes in the rest, and what is
    /// there already is left as it is.
    ///
    /// # Errors
    /// [`Error`]; `invalid_export` names the line; `conflict` if it is of another cluster. What was
    /// committed before stays.
    ///
    /// # Cancel safety
    /// When the future is dropped, a part may have been taken in; asking again is harmless.
    pub async fn import(&self, body: PutBody, options: ImportOptions) -> Result<Imported, Error> {
        let ImportOptions {
            overwrite,
            policy,
            other_cluster,
            tokens,
        } = options;
        let flags = [
            ("overwrite", overwrite),
            ("policy", policy),
            ("other_cluster", other_cluster),
            ("tokens", tokens),
        ];
        let query: Vec<_> = flags.into_iter().filter(|(_, is_set)| *is_set).collect();
        let opened = body.open().await?;
        let stall = self.config.long_stall;
        let sent = self.send_within(stall, IMPORT, |url| {
            let request = self.http.post(format!("{url}{IMPORT}")).query(&query);
            request
                .header(CONTENT_TYPE, transfer::CONTENT_TYPE)
                .body(reqwest::Body::wrap_stream(opened.pieces))
        });
        document(IMPORT, sent.await?).await
    }
}
