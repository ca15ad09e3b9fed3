//! What servers ask masters.

use super::pieces::PiecesBody;
use super::send::{OCTETS, encode};
use super::{Line, LinkError, Links, Passed, Peer, Pieces};
use http::Method;
use http::header::CONTENT_TYPE;
use mdfs_protocol::ask::{ASK, Asked, Told};
use mdfs_protocol::feed::{FEED, FeedReply, FeedRequest};
use mdfs_protocol::internal::{Identity, MASTERS, Masters};
use mdfs_protocol::local::{self, LookUp, LookedUp};
use std::time::Duration;

impl Links {
    /// Asks the master at `url` what another one would ask its own leader.
    ///
    /// # Errors
    /// [`LinkError`]. Only after [`LinkError::is_unsent`] it is known that nothing was done.
    pub async fn ask(&self, url: &str, asked: &Asked, within: Duration) -> Result<Told, LinkError> {
        let body = encode(url, asked)?;
        let request = self.request(Method::POST, url, None, ASK)?;
        let request = request.header(CONTENT_TYPE, OCTETS);
        let answer = self.send(url, request, body.into(), within).await?;
        postcard::from_bytes(&answer).map_err(|why| LinkError::protocol(url, why))
    }

    /// Asks the master at `url` for what it committed.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn feed(
        &self,
        url: &str,
        asked: &FeedRequest,
        within: Duration,
    ) -> Result<FeedReply, LinkError> {
        let body = encode(url, asked)?;
        let request = self.request(Method::POST, url, None, FEED)?;
        let request = request.header(CONTENT_TYPE, OCTETS);
        let answer = self.send(url, request, body.into(), within).await?;
        postcard::from_bytes(&answer).map_err(|why| LinkError::protocol(url, why))
    }

    /// Asks the master at `url` what a name stands for, and whether whoever asks may know.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn look_up(
        &self,
        url: &str,
        asked: &LookUp,
        within: Duration,
    ) -> Result<LookedUp, LinkError> {
        let request = self.request(Method::POST, url, None, local::LOOK_UP)?;
        self.send_json(url, request, asked, within).await
    }

    /// What the master at `url` answers to a `GET` of `path`, byte by byte: of any length.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn passed(
        &self,
        url: &str,
        path: &str,
        within: Duration,
        stall: Duration,
    ) -> Result<Passed, LinkError> {
        let request = self.request(Method::GET, url, None, path)?;
        let request = request
            .body(PiecesBody::from(Pieces::default()))
            .map_err(|why| LinkError::protocol(url, why))?;
        let answer = self.transport.open(url, request, within).await?;
        Ok(Passed::new(url.to_owned(), answer.into_body(), stall))
    }

    /// Which masters the one at `url` knows, itself first.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn masters(&self, url: &str, within: Duration) -> Result<Masters, LinkError> {
        let request = self.request(Method::GET, url, None, MASTERS)?;
        self.json(url, request, Pieces::default(), within).await
    }

    /// Tells a worker of masters that it is to beat at.
    ///
    /// # Errors
    /// [`LinkError`]; `wrong_disk` if another worker answers there by now.
    pub async fn tell_masters(
        &self,
        peer: &Peer,
        masters: &Masters,
        within: Duration,
    ) -> Result<Identity, LinkError> {
        self.post(peer, MASTERS, masters, within).await
    }

    /// A connection of one's own to the master at `url`, made when it is used first. Called in a
    /// runtime.
    pub fn line(&self, url: &str) -> Line {
        Line::new(self.clone(), url)
    }
}
