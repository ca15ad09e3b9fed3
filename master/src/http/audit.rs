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
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The most characters of a subject that are logged.
const SUBJECT_MAX_CHARS: usize = 300;
/// What a query may say about what is done.
const ACTS_IN_QUERY: [&str; 5] = ["attributes", "purge", "repair", "undelete", "verify"];

/// What an act is done to, once that is known. An extractor; handlers of routes without a name in
/// the path say it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Subject(Option<Arc<Deed>>);

impl Subject {
    /// Says what the act is done to; the first word counts.
    pub(crate) fn is(&self, text: &str) {
        self.set(cut(text, SUBJECT_MAX_CHARS));
    }

    /// Said before: it stays as it is.
    fn set(&self, shown: String) {
        let Some(deed) = &self.0 else { return };
        let mut said = deed.lock();
        if said.subject.is_empty() {
            said.subject = shown;
        }
    }

    /// Says that the act is done to one thing and makes another.
    pub(crate) fn is_pair(&self, from: &str, to: &str) {
        let half = |text| cut(text, SUBJECT_MAX_CHARS / 2);
        self.set(format!("{} -> {}", half(from), half(to)));
    }

    /// Of an act that is done to many things, one after another: says which one is next.
    pub(crate) fn begins(&self, text: &str) {
        let Some(deed) = &self.0 else { return };
        deed.lock().subject = cut(text, SUBJECT_MAX_CHARS);
    }

    /// Logs what came of the one that is under way.
    pub(crate) fn ends(&self, code: Option<Code>) {
        let Some(deed) = &self.0 else { return };
        let created = StatusCode::CREATED.as_u16();
        deed.log(
            code.map_or("ok", Code::as_str),
            code.map_or(created, Code::status),
        );
        let mut said = deed.lock();
        said.subject.clear();
        said.is_told = true;
    }
}

/// The beginning of a text, with a sign if that is not all.
pub(super) fn cut(text: &str, most: usize) -> String {
    let mut shown: String = text.chars().take(most).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

impl<S: Sync> FromRequestParts<S> for Subject {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}

/// Who does what.
#[derive(Debug)]
struct Deed {
    who: Caller,
    what: String,
    request_id: String,
    said: Mutex<Said>,
}

#[derive(Debug, Default)]
struct Said {
    subject: String,
    /// Things that it is done to are logged by themselves, and at least one was.
    is_told: bool,
}

impl Deed {
    fn lock(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log(&self, result: &str, status: u16) {
        let subject = self.lock().subject.clone();
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

/// An act under way. Logged when it ends, also when its client does not wait for that.
pub(super) struct Act {
    deed: Arc<Deed>,
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
        let deed = Deed {
            who: who.clone(),
            what,
            request_id: request_id.to_owned(),
            said: Mutex::default(),
        };
        Some(Self {
            deed: Arc::new(deed),
            logged: false,
        })
    }

    /// Where what it is done to can be said.
    pub(super) fn subject(&self) -> Subject {
        Subject(Some(Arc::clone(&self.deed)))
    }

    /// It ended with this answer.
    pub(super) fn ended(mut self, status: StatusCode, code: Option<Code>) {
        self.log(code.map_or("ok", Code::as_str), status.as_u16());
    }

    fn log(&mut self, result: &str, status: u16) {
        self.logged = true;
        let is_over = {
            let said = self.deed.lock();
            said.is_told && said.subject.is_empty()
        };
        if !is_over {
            self.deed.log(result, status);
        }
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
