//! What a master says of itself.

use super::Client;
use crate::error::Error;
use mdfs_protocol::public;

/// A master that answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Probe {
    /// Its wall clock to the second, as an HTTP date, if it said.
    pub date: Option<String>,
}

impl Client {
    /// Asks the master once whether it is there; for that, any token or none will do.
    ///
    /// # Errors
    /// [`Error`]. Nothing is tried again.
    ///
    /// # Cancel safety
    /// Changes nothing.
    pub async fn probe(&self) -> Result<Probe, Error> {
        let request = |url: &str| self.http.get(format!("{url}{}", public::HEALTH));
        let response = self.send(public::HEALTH, request).await?;
        let date = response.headers().get(http::header::DATE);
        Ok(Probe {
            date: date.and_then(|date| date.to_str().ok()).map(str::to_owned),
        })
    }

    /// Asks a master once whether it takes requests; for that, any token or none will do.
    ///
    /// # Errors
    /// [`Error`]; busy if it does not. Nothing is tried again.
    ///
    /// # Cancel safety
    /// Changes nothing.
    pub async fn ready(&self) -> Result<(), Error> {
        let path = public::HEALTH_READY;
        let request = |url: &str| self.http.get(format!("{url}{path}"));
        self.send(path, request).await.map(|_| ())
    }

    /// The counters of a master, as Prometheus reads them.
    ///
    /// # Errors
    /// [`Error`].
    ///
    /// # Cancel safety
    /// Changes nothing.
    pub async fn metrics(&self) -> Result<String, Error> {
        let path = public::METRICS;
        let request = |client: &Self, url: &str| client.http.get(format!("{url}{path}"));
        let response = self.repeat(path, request).await?;
        let bytes = response.bytes(path).await?;
        String::from_utf8(bytes.into()).map_err(|_| Error::protocol(path, "it is no text"))
    }
}
