//! Sessions of browsers: whose a cookie is, and which requests it counts for.

use super::{Entrance, Presented, too_many_failures, unauthorized};
use crate::http::caller::{Caller, Who};
use crate::http::error::HttpError;
use http::HeaderMap;
use http::header::COOKIE;
use mdfs_core::id::TokenId;
use mdfs_core::time::LogTime;
use mdfs_protocol::problem::Code;
use mdfs_protocol::session::{SESSION_SECONDS, SessionKey, SessionOf, SessionRefused, root_mark};
use std::net::IpAddr;

impl Entrance {
    /// Says whose session it is that a browser sends along.
    pub(super) async fn by_cookie(&self, request: &Presented<'_>) -> Result<Caller, HttpError> {
        let sent = self.sessions.iter().find_map(|key| {
            let over_tls = cookie_of(request.headers, key.cookie_over_tls());
            let value = over_tls.or_else(|| cookie_of(request.headers, key.cookie()));
            value.map(|value| (key, value))
        });
        let Some((key, value)) = sent else {
            return Err(unauthorized("no bearer token was sent"));
        };
        let now = self.clock.wall().as_millis() / 1000;
        let ended = "the session has ended: log in again";
        let (of, until) = match key.check(value, now) {
            Ok(session) => session,
            // Whoever guesses does not come as far as this.
            Err(SessionRefused::Ended) => return Err(unauthorized(ended)),
            Err(SessionRefused::Altered) => {
                return Err(self.failed(request.address, "the session is not known here"));
            }
        };
        if !is_safe(request.method) {
            check_same_site(request.headers)?;
        }
        let caller = match of {
            SessionOf::Token(token) => self.holder_in_session(token, request.address).await?,
            SessionOf::Root(mark) => {
                let is_known = self.access.root.iter().any(|root| root_mark(root) == mark);
                is_known.then(Caller::root)
            }
        };
        let until = LogTime::from_millis(until.saturating_mul(1000));
        let caller = caller.ok_or_else(|| unauthorized(ended))?;
        Ok(caller.in_session(until))
    }

    /// Who holds the token of a session. One that is gone costs the leader no more questions than wrong
    /// tokens do.
    async fn holder_in_session(
        &self,
        token: TokenId,
        address: IpAddr,
    ) -> Result<Option<Caller>, HttpError> {
        if self.known.was_there(token) {
            return Ok(self.holder(token, |_| true).await?);
        }
        let counted = self.throttle.begin(address, self.clock.now());
        counted.map_err(too_many_failures)?;
        let holder = self.holder(token, |_| true).await;
        if !matches!(holder, Ok(None)) {
            self.throttle.succeeded(address);
        }
        Ok(holder?)
    }

    /// What a cookie says of whoever this token was known for, and when it ends, in Unix seconds.
    pub(in crate::http) fn session(
        &self,
        caller: &Caller,
        token: &str,
    ) -> Option<(&SessionKey, String, u64)> {
        let key = self.sessions.first()?;
        let of = match caller.who() {
            Who::Token(token) => SessionOf::Token(token),
            Who::Root => SessionOf::Root(root_mark(self.root(token)?)),
            Who::Nobody | Who::Server | Who::RootLink | Who::TokenLink(_) => return None,
        };
        let longest = self.clock.wall().as_millis() / 1000 + SESSION_SECONDS;
        let until = caller.until().map(|until| until.as_millis() / 1000);
        let until = until.map_or(longest, |until| until.min(longest));
        Some((key, key.sign(of, until), until))
    }
}

/// The value of a cookie, if the browser has one of this name.
fn cookie_of<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(COOKIE).iter();
    let pairs = lines.filter_map(|line| line.to_str().ok());
    pairs
        .flat_map(|line| line.split(';'))
        .find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}

/// Whether a method changes nothing.
fn is_safe(method: &str) -> bool {
    matches!(method, "GET" | "HEAD")
}

/// Asks whether a browser says that a page of this origin sends the request.
///
/// # Errors
/// [`Code::CrossSite`], if it does not say so.
pub(in crate::http) fn check_same_site(headers: &HeaderMap) -> Result<(), HttpError> {
    let text = |name: &str| headers.get(name).map(|it| it.to_str().unwrap_or_default());
    let own = match (text("sec-fetch-site"), text("origin"), text("host")) {
        (Some(site), _, _) => site == "same-origin",
        (None, Some(origin), Some(host)) => {
            let origin = origin.split_once("://").map(|(_, authority)| authority);
            origin.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
        }
        (None, _, _) => false,
    };
    if own {
        return Ok(());
    }
    let detail = "a session changes something only for a page of this server: others send a token";
    Err(HttpError::new(Code::CrossSite, detail))
}
