//! Access tokens: made, listed, revoked.

use super::Client;
use crate::answer::document;
use crate::error::Error;
use mdfs_core::id::TokenId;
use mdfs_protocol::public::{self, CreatedToken, NewToken, Tokens};

impl Client {
    /// Makes a token; the answer is the only one that has its secret. Not tried again once it may
    /// have been made: its secret would be lost with the first answer. [`Client::tokens`] shows
    /// such a one.
    ///
    /// # Errors
    /// [`Error`]; `forbidden` if it would allow more than the client's own token.
    ///
    /// # Cancel safety
    /// When the future is dropped, the token may have been made, and its secret is lost;
    /// [`Client::tokens`] shows it.
    pub async fn create_token(&self, token: &NewToken) -> Result<CreatedToken, Error> {
        let path = public::TOKENS;
        let request = |url: &str| self.http.post(format!("{url}{path}")).json(token);
        let mut retry = self.retry(self.config.retry_for);
        loop {
            match self.send(path, request).await {
                Err(error) if error.did_nothing() && retry.pause().await => {
                    tracing::debug!(%error, "trying again");
                }
                answer => return document(path, answer?).await,
            }
        }
    }

    /// All tokens, without their secrets.
    ///
    /// # Errors
    /// [`Error`].
    ///
    /// # Cancel safety
    /// Changes nothing.
    pub async fn tokens(&self) -> Result<Tokens, Error> {
        self.fetch(public::TOKENS).await
    }

    /// Ends a token, within two seconds on all masters.
    ///
    /// # Errors
    /// [`Error`]; `token_not_found`.
    ///
    /// # Cancel safety
    /// When the future is dropped, it took effect or not; asking again is harmless.
    pub async fn revoke_token(&self, token: TokenId) -> Result<(), Error> {
        let path = format!("{}/{token}", public::TOKENS);
        let request = |client: &Self, url: &str| client.http.delete(format!("{url}{path}"));
        self.repeat(&token.to_string(), request).await.map(|_| ())
    }
}
