//! What a client needs to know.

use std::time::Duration;

/// Where a cluster is, who asks, and how patient it is.
#[derive(Clone)]
pub struct ClientConfig {
    /// The masters, such as `http://127.0.0.1:8080`; any of them will do, at least one.
    pub urls: Vec<String>,
    /// The bearer token, if there is one.
    pub token: Option<String>,
    /// How long a call that may safely be repeated is tried again after its first failure; not at all
    /// if zero. Otherwise each master is asked at least once, however long another was silent.
    pub retry_for: Duration,
    /// For a connection to a master.
    pub connect_timeout: Duration,
    /// Without a byte from the master, or one that it takes, while that is waited for; a source of
    /// bytes that has none to give does not count. Longer than a master holds a request while there is
    /// no leader.
    pub stall: Duration,
    /// The same for the answers that need disks to read everything first, such as that of
    /// [`crate::Client::verify`].
    pub long_stall: Duration,
}

impl ClientConfig {
    /// One master, no token; retries for 15 s, connects within 5 s, waits 60 s for a byte, and an
    /// hour for what disks have to read.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            urls: vec![url.into()],
            token: None,
            retry_for: Duration::from_secs(15),
            connect_timeout: Duration::from_secs(5),
            stall: Duration::from_secs(60),
            long_stall: Duration::from_secs(3600),
        }
    }

    /// The same with one more master, which is asked when the others cannot answer.
    #[must_use]
    pub fn with_url(mut self, url: impl Into<String>) -> Self {
        self.urls.push(url.into());
        self
    }

    /// The same with a bearer token. White space around it does not count, so that it may be what a
    /// file holds.
    #[must_use]
    pub fn with_token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }
}

/// Without the token.
impl std::fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            urls,
            token,
            retry_for,
            connect_timeout,
            stall,
            long_stall,
        } = self;
        f.debug_struct("ClientConfig")
            .field("urls", urls)
            .field("token", &token.as_ref().map(|_| ".."))
            .field("retry_for", retry_for)
            .field("connect_timeout", connect_timeout)
            .field("stall", stall)
            .field("long_stall", long_stall)
            .finish()
    }
}
