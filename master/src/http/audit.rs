//! The audit log: each write, delete and administrative act is one event of the target `audit`.
//!
//! Names of files are somebody else's text: they are quoted, their odd characters escaped, and cut.

use super::caller::Caller;
use super::query::Query;
use super::rule::Rule;
use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{Method, StatusCode};
use mdfs_protocol::problem::Code;
use mdfs_protocol::public;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

/// The most characters of a subject that are logged.
const SUBJECT_MAX_CHARS: usize = 300;
/// What a query may say about what is done.
const ACTS_IN_QUERY: [&str; 5] = ["attributes", "purge", "repair", "undelete", "verify"];

/// What an act is done to, once that is known. An extractor; handlers of routes without a name in
/// the path say it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Subject(Arc<Mutex<String>>);

impl Subject {
    /// Says what the act is done to; the first word counts.
    pub(crate) fn is(&self, text: &str) {
        let mut shown: String = text.chars().take(SUBJECT_MAX_CHARS).collect();
        if shown.len() < text.len() {
            shown.push('…');
        }
        self.set(shown);
    }

    /// Says what the act is done to as well.
    pub(crate) fn also(&self, text: &str) {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !said.is_empty() {
            said.push_str(", ");
        }
        let left = SUBJECT_MAX_CHARS.saturating_sub(said.chars().count());
        said.extend(text.chars().take(left));
        if text.chars().count() > left && !said.ends_with('…') {
            said.push('…');
        }
    }

    /// Said before: it stays as it is.
    fn set(&self, shown: String) {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if said.is_empty() {
            *said = shown;
        }
    }

    /// Says that the act is done to one thing and makes another.
    pub(crate) fn is_pair(&self, from: &str, to: &str) {
        let half = |text: &str| {
            let cut: String = text.chars().take(SUBJECT_MAX_CHARS / 2).collect();
            let more = if cut.len() < text.len() { "…" } else { "" };
            cut + more
        };
        self.set(format!("{} -> {}", half(from), half(to)));
    }
}

impl<S: Sync> FromRequestParts<S> for Subject {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}

/// An act under way. Logged when it ends, also when its client does not wait for that.
pub(super) struct Act {
    who: Caller,
    what: String,
    request_id: String,
    subject: Subject,
    logged: bool,
}

impl Act {
    /// The act that a request is; none if it changes nothing.
    pub(super) fn of(
        rule: Rule,
        who: &Caller,
        method: &Method,
        route: &str,
        raw_query: &str,
        request_id: &str,
    ) -> Option<Self> {
        let reads = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
        // A chunk of an upload is no act of its own: the upload's commit is.
        let is_part = route == public::UPLOAD_CHUNK;
        if reads || is_part || matches!(rule, Rule::Anyone | Rule::Servers) {
            return None;
        }
        let mut what = format!("{method} {route}");
        // Read as the handlers read it; they refuse what cannot be read.
        let query = Query::parse(raw_query).ok();
        for act in ACTS_IN_QUERY {
            let is_asked = |query: &Query| query.flag(act).is_ok_and(|asked| asked);
            if query.as_ref().is_some_and(is_asked) {
                what.push('?');
                what.push_str(act);
            }
        }
        Some(Self {
            who: who.clone(),
            what,
            request_id: request_id.to_owned(),
            subject: Subject::default(),
            logged: false,
        })
    }

    /// Where what it is done to can be said.
    pub(super) fn subject(&self) -> Subject {
        self.subject.clone()
    }

    /// It ended with this answer.
    pub(super) fn ended(mut self, status: StatusCode, code: Option<Code>) {
        self.log(code.map_or("ok", Code::as_str), status.as_u16());
    }

    fn log(&mut self, result: &str, status: u16) {
        self.logged = true;
        let said = self.subject.0.lock();
        let subject = said.unwrap_or_else(PoisonError::into_inner).clone();
        tracing::info!(
            target: "audit",
            who = %self.who,
            what = self.what,
            subject = ?subject,
            result,
            status,
            request_id = self.request_id,
            peer = %self.who.address(),
            "act"
        );
    }
}

/// Whoever asked has gone, so that there is no answer: what came of it is open.
impl Drop for Act {
    fn drop(&mut self) {
        if !self.logged {
            self.log("unanswered", 0);
        }
    }
}
