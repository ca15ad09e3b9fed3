//! The client: calls that are answered by a small document.

mod admin;
mod probe;
mod tokens;

pub use probe::Probe;

use crate::answer::{Answer, document, file_head, parsed};
use crate::config::ClientConfig;
use crate::error::Error;
use crate::log_time::{LogClock, new_request_id};
use crate::name::file_path;
use crate::retry::Retry;
use crate::shown::without_user;
use crate::silence::Signs;
use http::HeaderMap;
use http::header::HeaderValue;
use mdfs_core::checksum::{Blake3, Crc32};
use mdfs_core::id::RequestId;
use mdfs_core::time::LogTime;
use mdfs_protocol::problem::{Code, REQUEST_ID_HEADER};
use mdfs_protocol::public::{
    self, Bootstrap, Bootstrapped, FileInfo, LOG_TIME_HEADER, REQUEST_HEADER, Rename, SignRequest,
    SignedLink, Status, Workers,
};
use reqwest::RequestBuilder;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// A cluster, as its users see it. A clone shares its connections.
///
/// Calls that read, and changes that can be recognised when they come twice, are tried again for
/// [`ClientConfig::retry_for`] while no master can answer. All futures may be dropped; a change
/// whose future is dropped may or may not take effect, and never by half.
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) http: reqwest::Client,
    pub(crate) config: Arc<ClientConfig>,
    pub(crate) log_clock: Arc<LogClock>,
    preferred: Arc<AtomicUsize>,
}

/// What `HEAD` and `GET` say about a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileHead {
    /// Its name.
    pub name: String,
    /// Bytes in all.
    pub size: u64,
    /// Entity tag, with quotes.
    pub etag: String,
    /// The version: the log index that made it.
    pub version: u64,
    /// CRC-32 of all bytes.
    pub crc32: Crc32,
    /// BLAKE3 of all bytes.
    pub blake3: Blake3,
    /// Media type.
    pub content_type: String,
    /// Copies wanted of each chunk.
    pub replicas: u8,
    /// When the version was committed, as an HTTP date.
    pub modified: String,
    /// When the file was changed where it came from, in milliseconds since the Unix epoch, if that was
    /// told.
    pub source_modified: Option<u64>,
    /// Attributes of the user's own.
    pub attributes: BTreeMap<String, String>,
}

impl Client {
    /// A client. Does not connect yet.
    ///
    /// # Errors
    /// If there is no URL, one is malformed or not `http`, or the token cannot be sent.
    pub fn new(mut config: ClientConfig) -> Result<Self, Error> {
        for url in &mut config.urls {
            let parsed = reqwest::Url::parse(url).map_err(|why| match url.contains("://") {
                true => Error::Config(format!("{:?} is not a URL: {why}", without_user(url))),
                false => Error::Config(not_http(url)),
            })?;
            if !parsed.username().is_empty() || parsed.password().is_some() {
                // Not repeated: it may hold a secret.
                return Err(Error::Config(
                    "a URL holds no name and no password: give a token instead".to_owned(),
                ));
            }
            if parsed.scheme() != "http" || parsed.host_str().is_none() {
                return Err(Error::Config(not_http(url)));
            }
            url.truncate(url.trim_end_matches('/').len());
        }
        if config.urls.is_empty() {
            return Err(Error::Config("no URL of a master is given".to_owned()));
        }
        let mut headers = HeaderMap::new();
        if let Some(token) = &config.token {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", token.trim()))
                .map_err(|_| Error::Config("the token has characters that none has".to_owned()))?;
            value.set_sensitive(true);
            headers.insert(http::header::AUTHORIZATION, value);
        }
        let http = reqwest::Client::builder()
            .default_headers(headers)
            .http1_only()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .tcp_nodelay(true)
            .connect_timeout(config.connect_timeout)
            .pool_idle_timeout(Duration::from_secs(30))
            .build()
            .map_err(|why| Error::Config(format!("cannot make an HTTP client: {why}")))?;
        Ok(Self {
            http,
            config: Arc::new(config),
            log_clock: Arc::default(),
            preferred: Arc::default(),
        })
    }

    /// What is known of a file.
    ///
    /// # Errors
    /// [`Error`]; `file_not_found` if the leader knows that there is none.
    ///
    /// # Cancel safety
    /// Changes nothing.
    pub async fn stat(&self, name: &str) -> Result<FileHead, Error> {
        let path = file_path(name)?;
        let response = self
            .repeat(name, |client, url| client.http.head(format!("{url}{path}")))
            .await?;
        file_head(name, response.headers())
    }

    /// Deletes a file. Tried again safely: a repeated deletion gets the first answer.
    ///
    /// # Errors
    /// [`Error`]; `file_not_found` if there is none.
    ///
    /// # Cancel safety
    /// When the future is dropped, it took effect or not, and never by half.
    pub async fn delete(&self, name: &str) -> Result<(), Error> {
        let id = self.request_id(name).await?;
        let path = file_path(name)?;
        let request = |client: &Self, url: &str| {
            client
                .http
                .delete(format!("{url}{path}"))
                .header(REQUEST_HEADER, id.to_string())
        };
        self.repeat(name, request).await.map(|_| ())
    }

    /// Moves a file to another name, atomically. Tried again safely.
    ///
    /// # Errors
    /// [`Error`]; `conflict` if the new name is taken and `overwrite` is not set.
    ///
    /// # Cancel safety
    /// When the future is dropped, it took effect or not, and never by half.
    pub async fn rename(&self, from: &str, to: &str, overwrite: bool) -> Result<FileInfo, Error> {
        let id = self.request_id(from).await?;
        let body = Rename {
            from: from.to_owned(),
            to: to.to_owned(),
            overwrite,
        };
        let request = |client: &Self, url: &str| {
            let post = client.http.post(format!("{url}{}", public::RENAME));
            post.header(REQUEST_HEADER, id.to_string()).json(&body)
        };
        document(from, self.repeat(from, request).await?).await
    }

    /// A link that reads or stores one file for a while without a token. Its path goes behind the
    /// address of any master, such as [`Client::base_url`].
    ///
    /// # Errors
    /// [`Error`].
    ///
    /// # Cancel safety
    /// Changes nothing.
    pub async fn sign(&self, request: &SignRequest) -> Result<SignedLink, Error> {
        self.post(&request.name, public::SIGN, request).await
    }

    /// The state of the cluster.
    ///
    /// # Errors
    /// [`Error`].
    ///
    /// # Cancel safety
    /// Changes nothing.
    pub async fn status(&self) -> Result<Status, Error> {
        self.fetch(public::STATUS).await
    }

    /// The members of the cluster.
    ///
    /// # Errors
    /// [`Error`].
    ///
    /// # Cancel safety
    /// Changes nothing.
    pub async fn workers(&self) -> Result<Workers, Error> {
        self.fetch(public::WORKERS).await
    }

    /// Starts the cluster, once. The same list again is harmless.
    ///
    /// # Errors
    /// [`Error`]; `conflict` if it was started with other disks.
    ///
    /// # Cancel safety
    /// When the future is dropped, it took effect or not; asking again is harmless.
    pub async fn bootstrap(&self, request: &Bootstrap) -> Result<Bootstrapped, Error> {
        self.post(public::BOOTSTRAP, public::BOOTSTRAP, request)
            .await
    }

    /// The master that answered last: where a signed link's path can be put behind.
    pub fn base_url(&self) -> &str {
        self.url(self.preferred.load(Ordering::Relaxed))
    }

    fn url(&self, index: usize) -> &str {
        let urls = &self.config.urls;
        urls.get(index)
            .or_else(|| urls.first())
            .map_or("", String::as_str)
    }

    pub(crate) async fn fetch<A: DeserializeOwned>(&self, path: &str) -> Result<A, Error> {
        let request = |client: &Self, url: &str| client.http.get(format!("{url}{path}"));
        document(path, self.repeat(path, request).await?).await
    }

    pub(crate) async fn post<Q: Serialize, A: DeserializeOwned>(
        &self,
        subject: &str,
        path: &str,
        body: &Q,
    ) -> Result<A, Error> {
        let request =
            |client: &Self, url: &str| client.http.post(format!("{url}{path}")).json(body);
        document(subject, self.repeat(subject, request).await?).await
    }

    /// An id for a change of the file `name`, issued in the cluster's time: this machine's clock
    /// may be wrong.
    async fn request_id(&self, name: &str) -> Result<RequestId, Error> {
        let path = file_path(name)?;
        let asked = self.repeat(name, |client, url| client.http.head(format!("{url}{path}")));
        self.id_at_log_time(name, asked.await)
    }

    /// An id for a change, issued at the log time that an answer tells. Whoever may not ask, but
    /// only change, has this machine's clock.
    pub(crate) fn id_at_log_time(
        &self,
        name: &str,
        answer: Result<Answer, Error>,
    ) -> Result<RequestId, Error> {
        new_request_id(match answer {
            Ok(answer) => LogTime::from_millis(parsed(name, answer.headers(), LOG_TIME_HEADER)?),
            Err(error) if error.code() == Some(Code::Forbidden) => self.log_clock.now(),
            Err(error) => return Err(error),
        })
    }

    /// The tries of a call, for so long after the first failure.
    pub(crate) fn retry(&self, budget: Duration) -> Retry {
        Retry::new(budget, self.config.urls.len())
    }

    /// Sends a request that may be sent more than once until it is answered.
    pub(crate) async fn repeat(
        &self,
        subject: &str,
        request: impl Fn(&Self, &str) -> RequestBuilder,
    ) -> Result<Answer, Error> {
        self.repeat_within(self.config.stall, subject, request)
            .await
    }

    /// The same with a master that may be silent for as long as `stall`.
    pub(crate) async fn repeat_within(
        &self,
        stall: Duration,
        subject: &str,
        request: impl Fn(&Self, &str) -> RequestBuilder,
    ) -> Result<Answer, Error> {
        let mut retry = self.retry(self.config.retry_for);
        loop {
            let sent = self.send_within(stall, subject, |url| request(self, url));
            match sent.await {
                Err(error) if error.is_transient() => {
                    if !retry.pause().await {
                        return Err(error);
                    }
                    tracing::debug!(%error, "trying again");
                }
                done => return done,
            }
        }
    }

    /// Sends a request once. After a failure that another master may not have, the next request
    /// goes to that.
    pub(crate) async fn send(
        &self,
        subject: &str,
        request: impl FnOnce(&str) -> RequestBuilder,
    ) -> Result<Answer, Error> {
        self.send_within(self.config.stall, subject, request).await
    }

    pub(crate) async fn send_within(
        &self,
        stall: Duration,
        subject: &str,
        request: impl FnOnce(&str) -> RequestBuilder,
    ) -> Result<Answer, Error> {
        let asked = self.preferred.load(Ordering::Relaxed);
        let url = self.url(asked);
        let lost = |source: reqwest::Error| lost(subject, url, source);
        let result = async {
            let mut request = request(url).build().map_err(lost)?;
            let signs = Signs::of(&mut request);
            let answer = signs.wait(stall, self.http.execute(request)).await;
            let response = answer
                .map_err(|silent| Error::silent(subject, silent))?
                .map_err(lost)?;
            self.log_clock.learn(response.headers());
            let answer = Answer::new(self.clone(), asked, response);
            if answer.status().is_success() {
                return Ok(answer);
            }
            let status = answer.status().as_u16();
            let id = answer.headers().get(REQUEST_ID_HEADER).cloned();
            let id = id.as_ref().and_then(|id| id.to_str().ok());
            let body = answer.bytes(subject).await?;
            Err(Error::refused(subject, status, id, &body))
        }
        .await;
        if result.as_ref().is_err_and(Error::is_transient) {
            self.prefer_another(asked);
        }
        result
    }

    /// The next request goes to the master behind this one, unless one that failed beside it has seen
    /// to that.
    pub(crate) fn prefer_another(&self, than: usize) {
        let next = than + 1;
        let next = if next < self.config.urls.len() {
            next
        } else {
            0
        };
        let order = Ordering::Relaxed;
        let _ = self.preferred.compare_exchange(than, next, order, order);
    }
}

fn not_http(url: &str) -> String {
    format!(
        "{:?} is not of the form http://HOST:PORT",
        without_user(url)
    )
}

/// Why there is no answer from `url`.
fn lost(subject: &str, url: &str, source: reqwest::Error) -> Error {
    if source.is_connect() {
        return Error::Unreachable {
            url: url.to_owned(),
            source,
        };
    }
    Error::Broken {
        subject: subject.to_owned(),
        source: source.without_url(),
    }
}
