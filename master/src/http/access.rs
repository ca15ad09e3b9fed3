//! Who a request comes from: by its token, its link or its cluster key, or nobody.

mod cookie;
mod figures;

pub(super) use cookie::check_same_site;

use super::caller::{Caller, Who};
use super::error::HttpError;
use super::known::KnownTokens;
use super::name::decode;
use super::query;
use super::rule::{FIGURES, Rule};
use super::throttle::Throttle;
use crate::config::Failures;
use crate::error::Error;
use crate::leader::handle::LeaderHandle;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, RETRY_AFTER};
use http::{HeaderMap, HeaderValue};
use mdfs_core::id::TokenId;
use mdfs_protocol::access::{ClusterKey, Secret};
use mdfs_protocol::link::{LINK_KEY, LINK_SIGNATURE, LinkKey, LinkMethod, Signed, check_link};
use mdfs_protocol::problem::Code;
use mdfs_protocol::session::SessionKey;
use mdfs_protocol::token::BearerToken;
use mdfs_service::{Clock, Network};
use std::net::IpAddr;
use std::time::Duration;

/// The secrets that a master knows callers by, tokens in the log apart. Two of a kind are accepted
/// while one is rotated.
#[derive(Clone, Debug)]
pub struct Access {
    /// Root tokens: may do everything.
    pub root: Vec<Secret>,
    /// Cluster keys: other servers.
    pub cluster: Vec<ClusterKey>,
    /// Link keys; new links are signed with the first.
    pub links: Vec<LinkKey>,
    /// Proxies whose word on where a request comes from is taken.
    pub proxies: Vec<Network>,
    /// How many that are wrong are looked at.
    pub failures: Failures,
}

/// What tells callers apart.
#[derive(Debug)]
pub(crate) struct Entrance {
    pub(crate) access: Access,
    known: KnownTokens,
    throttle: Throttle,
    clock: Clock,
    /// Those of the link keys; none if no cookie counts here.
    pub(super) sessions: Vec<SessionKey>,
}

/// What a request shows of itself.
pub(crate) struct Presented<'a> {
    pub(crate) method: &'a str,
    pub(crate) raw_path: &'a str,
    pub(crate) raw_query: &'a str,
    pub(crate) headers: &'a HeaderMap,
    /// Where it comes from.
    pub(crate) address: IpAddr,
}

/// Query parameters that people put secrets in: lower case, without dashes and underscores.
const SECRET_PARAMETERS: [&str; 21] = [
    "accesstoken",
    "apikey",
    "auth",
    "authorization",
    "authtoken",
    "bearer",
    "clientsecret",
    "credential",
    "credentials",
    "idtoken",
    "jwt",
    "key",
    "pass",
    "passwd",
    "password",
    "privatetoken",
    "pwd",
    "refreshtoken",
    "secret",
    "token",
    "xapikey",
];

impl Entrance {
    pub(crate) fn new(
        access: Access,
        leader: LeaderHandle,
        clock: Clock,
        has_sessions: bool,
    ) -> Self {
        let sessions = access.links.iter().filter(|_| has_sessions);
        Self {
            sessions: sessions.map(LinkKey::sessions).collect(),
            throttle: Throttle::new(access.failures),
            access,
            known: KnownTokens::new(leader, clock.clone()),
            clock,
        }
    }

    /// Says who a request comes from, as far as its rule asks for that.
    ///
    /// # Errors
    /// [`Code::Unauthorized`] if it comes from nobody known; [`Code::TooManyFailures`] if it shows
    /// something wrong, or something that is not known here, where too much was wrong lately;
    /// [`Code::InvalidRequest`] for a secret in the URL, right or wrong, because URLs end up in logs.
    pub(crate) async fn identify(
        &self,
        rule: Rule,
        request: &Presented<'_>,
    ) -> Result<Caller, HttpError> {
        refuse_secret_in_url(request)?;
        let mut values = request.headers.get_all(AUTHORIZATION).iter();
        let authorization = values.next();
        if values.next().is_some() {
            return Err(HttpError::invalid("authorization is given twice"));
        }
        // What is no text is nothing that is known.
        let authorization = authorization.map(|value| value.to_str().unwrap_or_default());
        match (rule, LinkMethod::of(request.method)) {
            (Rule::Anyone, _) => Ok(Caller::nobody()),
            (Rule::Servers, _) => {
                let keys = &self.access.cluster;
                if keys.iter().any(|key| key.admits(authorization)) {
                    return Ok(Caller::server());
                }
                Err(unauthorized("only servers of the cluster may ask"))
            }
            (Rule::Name(_), Some(method))
                if authorization.is_none() && is_signed(request.raw_query) =>
            {
                self.by_link(method, request).await
            }
            (Rule::Has(_) | Rule::Name(_) | Rule::NameInQuery(_) | Rule::Act | Rule::Holder, _) => {
                match authorization {
                    Some(shown) if rule == FIGURES => {
                        self.for_figures(shown, request.address).await
                    }
                    Some(authorization) => self.by_token(authorization, request.address).await,
                    None => self.by_cookie(request).await,
                }
            }
        }
    }

    /// Has the leader asked about a token anew, whatever is known of it here.
    pub(crate) fn forget(&self, token: TokenId) {
        self.known.forget(token);
    }

    /// Asks whether a caller is still who they were when their request came.
    ///
    /// # Errors
    /// [`Code::Unauthorized`] if their token has ended; also if no leader can say.
    pub(crate) async fn still_knows(&self, caller: &Caller) -> Result<(), HttpError> {
        match caller.who() {
            Who::Nobody | Who::Server | Who::Root | Who::RootLink => Ok(()),
            Who::Token(token) | Who::TokenLink(token) => {
                let holder = self.holder(token, |_| true).await?;
                let ended = "the token ended while the request went on";
                holder.map(|_| ()).ok_or_else(|| unauthorized(ended))
            }
        }
    }

    async fn by_token(&self, authorization: &str, address: IpAddr) -> Result<Caller, HttpError> {
        let Some(text) = bearer(authorization) else {
            let detail = "only bearer tokens are taken: send 'Authorization: Bearer TOKEN'";
            return Err(self.failed(address, detail));
        };
        self.by_text(text, address).await
    }

    /// Says whose token a text is.
    ///
    /// # Errors
    /// As [`identify`](Self::identify).
    pub(super) async fn by_text(&self, text: &str, address: IpAddr) -> Result<Caller, HttpError> {
        if self.root(text).is_some() {
            return Ok(Caller::root());
        }
        let unknown = "the token is not known, or is not valid any more";
        let Some(token) = BearerToken::parse(text) else {
            return Err(self.failed(address, unknown));
        };
        // Whoever was known here a while ago waits for nobody else's failures.
        if self.known.was_sound(&token) {
            let holder = self.holder(token.id(), |hash| token.matches(hash)).await?;
            return holder.ok_or_else(|| unauthorized(unknown));
        }
        let counted = self.throttle.begin(address, self.clock.now());
        counted.map_err(too_many_failures)?;
        let holder = self.holder(token.id(), |hash| token.matches(hash)).await;
        if !matches!(holder, Ok(None)) {
            self.throttle.succeeded(address);
        }
        holder?.ok_or_else(|| unauthorized(unknown))
    }

    /// The root token that a text is.
    fn root(&self, text: &str) -> Option<&Secret> {
        let mut roots = self.access.root.iter();
        roots.find(|root| root.matches(text.as_bytes()))
    }

    /// What a token is for, in the words of who made it.
    pub(super) async fn label(&self, token: TokenId) -> Result<String, Error> {
        let record = self.known.find(token).await?;
        Ok(record
            .map(|record| record.label.clone())
            .unwrap_or_default())
    }

    async fn by_link(
        &self,
        method: LinkMethod,
        request: &Presented<'_>,
    ) -> Result<Caller, HttpError> {
        let (path, query) = (request.raw_path, request.raw_query);
        let now = self.clock.wall().as_millis() / 1000;
        let signed = check_link(&self.access.links, method, path, query, now);
        let Signed { by, max_bytes } =
            signed.map_err(|refused| self.failed(request.address, &refused.to_string()))?;
        let signer = match by {
            None => Some(Caller::root()),
            Some(token) => self.holder(token, |_| true).await?,
        };
        let signer = signer.ok_or_else(|| {
            unauthorized("the link has ended with the token of whoever signed it")
        })?;
        if let Some(most) = max_bytes {
            check_length(request.headers, most)?;
        }
        Ok(signer.by_link())
    }

    /// Who holds a token, if there is one of this id that is valid now and of this hash.
    async fn holder(
        &self,
        token: TokenId,
        matches: impl FnOnce(&mdfs_core::records::TokenHash) -> bool,
    ) -> Result<Option<Caller>, Error> {
        let Some(record) = self.known.find(token).await? else {
            return Ok(None);
        };
        let valid = matches(&record.hash) && self.clock.wall() < record.expires;
        Ok(valid.then(|| Caller::token(token, record.grant.clone(), record.expires)))
    }

    /// Something wrong was shown.
    fn failed(&self, address: IpAddr, detail: &str) -> HttpError {
        match self.throttle.begin(address, self.clock.now()) {
            Ok(()) => unauthorized(detail),
            Err(wait) => too_many_failures(wait),
        }
    }
}

fn unauthorized(detail: &str) -> HttpError {
    HttpError::new(Code::Unauthorized, detail)
}

fn too_many_failures(wait: Duration) -> HttpError {
    let seconds = wait.as_millis().div_ceil(1000).max(1);
    let detail = "too many wrong tokens or links came from there lately";
    HttpError::new(Code::TooManyFailures, detail).with_text(RETRY_AFTER, &seconds.to_string())
}

/// Checks what a link says of the bytes that it stores.
fn check_length(headers: &HeaderMap, most: u64) -> Result<(), HttpError> {
    let length = headers.get(CONTENT_LENGTH).map(HeaderValue::to_str);
    let length = length.and_then(|text| text.ok()?.parse::<u64>().ok());
    match length {
        None => Err(HttpError::new(
            Code::LengthRequired,
            "the link bounds the bytes: say how many there are",
        )),
        Some(length) if length > most => Err(HttpError::new(
            Code::TooLarge,
            format!("the link stores at most {most} bytes"),
        )),
        Some(_) => Ok(()),
    }
}

fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn is_signed(raw_query: &str) -> bool {
    query::keys(raw_query).any(|key| key == LINK_SIGNATURE)
}

fn refuse_secret_in_url(request: &Presented<'_>) -> Result<(), HttpError> {
    let hint = "send it as 'Authorization: Bearer TOKEN', or sign a link with /v1/sign";
    let refuse = |what: &str| {
        let detail = format!("{what} does not belong in a URL: {hint}");
        Err(HttpError::invalid(detail))
    };
    // A signed link says which key signed it.
    let of_link = |word: &str| word == LINK_KEY && is_signed(request.raw_query);
    let named = query::keys(request.raw_query).find_map(|raw| {
        let mut key = decode(raw).ok()?.to_ascii_lowercase();
        key.retain(|letter| !matches!(letter, '-' | '_'));
        let known = SECRET_PARAMETERS.contains(&key.as_str());
        (known && !of_link(raw)).then_some(key)
    });
    if let Some(word) = named {
        return refuse(&format!("{word:?}"));
    }
    if BearerToken::is_in(request.raw_query) || BearerToken::is_in(request.raw_path) {
        return refuse("a token");
    }
    Ok(())
}

#[cfg(test)]
mod tests;
