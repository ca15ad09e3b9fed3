//! Requests of clients, and what their answers may be.

use super::{Asked, Client};
use crate::request::{Answer, PATIENCE, ask};
use bytes::Bytes;
use http::{Method, StatusCode};
use mdfs_core::id::RequestId;
use mdfs_core::time::LogTime;
use mdfs_protocol::problem::Code;
use std::time::Duration;

/// How often a client asks, less one.
const TRIES: u64 = 6;
/// How long it waits before it asks again.
const AGAIN: Duration = Duration::from_millis(700);

impl Client {
    /// Anything but an answer, an answer that broke off, and a 503 is not to be.
    pub(super) fn expect_failure(&self, what: &str, answer: &Option<Answer>) {
        match answer {
            None => self.trace.reach("no answer to a client"),
            Some(answer) if answer.status == StatusCode::SERVICE_UNAVAILABLE => {
                self.trace.reach("client told to come back");
                if answer.code() == Some(Code::TooFewWorkers) {
                    self.trace.reach("client told that workers are too few");
                }
            }
            // Of one that broke off only part came.
            Some(answer) if !answer.whole => self.trace.reach("answer broke off"),
            // Without an id nobody can say whether a commit whose answer was lost is the own one.
            Some(answer) if answer.code() == Some(Code::UploadEnded) && self.asked.id.is_none() => {
                self.trace.reach("upload without an id ended");
            }
            Some(answer) if answer.status == StatusCode::INSUFFICIENT_STORAGE => {
                self.trace.reach("client told that there is no room");
            }
            Some(answer) => {
                let body = String::from_utf8_lossy(&answer.body);
                let text = format!("{what} was answered {}: {body}", answer.status);
                self.trace.broken(text);
            }
        }
    }

    /// Asks a master, and others as well, or again, while none answers but that it cannot. A change
    /// says which it is, so it takes effect once.
    pub(super) async fn ask(
        &mut self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
        more: impl Fn(http::request::Builder) -> http::request::Builder,
    ) -> Option<Answer> {
        let id = self.new_id();
        self.ask_as(id, method, path, body, more).await
    }

    /// Asks what was asked before, under the same id.
    pub(super) async fn repeat(
        &mut self,
        method: Method,
        path: &str,
        id: RequestId,
    ) -> Option<Answer> {
        self.ask_as(Some(id), method, path, None, |it| it).await
    }

    /// Some clients name no request: nobody may ask again for them.
    fn new_id(&mut self) -> Option<RequestId> {
        let named = self.chance.within(0, 5) != 0;
        self.log_time.filter(|_| named).map(|(told, at)| {
            let since = self.trace.now() - at;
            let random = u128::from(self.chance.number()) << 64 | u128::from(self.chance.number());
            RequestId::issue(LogTime::from_millis(told + since), random)
        })
    }

    async fn ask_as(
        &mut self,
        id: Option<RequestId>,
        method: Method,
        path: &str,
        body: Option<Bytes>,
        more: impl Fn(http::request::Builder) -> http::request::Builder,
    ) -> Option<Answer> {
        let changes = method != Method::GET;
        let tries = match (changes, id) {
            (true, None) => 1,
            _ => self.chance.within(1, TRIES),
        };
        let mut last = None;
        for attempt in 0..tries {
            if attempt > 0 {
                self.trace.reach("asked again");
                tokio::time::sleep(AGAIN).await;
            }
            self.asked = Asked {
                id,
                before: attempt,
                log_time: self.log_time.map(|(told, _)| told),
            };
            let master = *self.chance.one_of(&self.masters)?;
            let (method, body) = (method.clone(), body.clone());
            let more = |request| match id {
                Some(id) if changes => more(request).header("x-mdfs-request-id", id.to_string()),
                _ => more(request),
            };
            let asking = ask(&self.net, self.id, master, method, path, body, more);
            last = tokio::time::timeout(PATIENCE, asking).await.ok().flatten();
            let status = last.as_ref().map_or(0, |answer| answer.status.as_u16());
            self.trace
                .note(format_args!("client {} {path}: {status}", self.id));
            if let Some(told) = last.as_ref().and_then(|answer| answer.log_time) {
                self.log_time = Some((told, self.trace.now()));
            }
            if !matches!(status, 0 | 503) {
                break;
            }
        }
        last
    }
}
