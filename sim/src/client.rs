//! Clients that do one thing after the other, check every byte they get, and write down what they saw.

use crate::content::{HEAD, content};
use crate::history::History;
use crate::net::{HostId, Net};
use crate::request::{Answer, PATIENCE, ask};
use crate::trace::Trace;
use bytes::Bytes;
use http::{Method, StatusCode};
use mdfs_core::id::RequestId;
use mdfs_core::time::LogTime;
use mdfs_tests::chance::Chance;
use mdfs_tests::linear::Action;
use serde_json::json;
use std::time::Duration;

/// How often a client asks, less one.
const TRIES: u64 = 6;
/// How long it waits before it asks again.
const AGAIN: Duration = Duration::from_millis(700);

/// A client.
#[derive(Debug)]
pub(crate) struct Client {
    /// Its number as a host.
    pub(crate) id: HostId,
    /// Whom it asks.
    pub(crate) masters: Vec<HostId>,
    /// The names it works with.
    pub(crate) names: Vec<String>,
    /// The longest file it stores, in bytes.
    pub(crate) longest: u64,
    /// What it draws from.
    pub(crate) chance: Chance,
    /// The network.
    pub(crate) net: Net,
    /// What happens.
    pub(crate) trace: Trace,
    /// What it sees.
    pub(crate) history: History,
    /// The cluster's time as it was told last, and when that was.
    pub(crate) log_time: Option<(u64, u64)>,
}

impl Client {
    /// Does one thing after the other until `until`, in milliseconds of the run.
    pub(crate) async fn run(mut self, until: u64) {
        while self.trace.now() < until {
            let pause = self.chance.within(20, 2000);
            tokio::time::sleep(Duration::from_millis(pause)).await;
            self.act().await;
        }
    }

    /// Does one thing.
    pub(crate) async fn act(&mut self) {
        let begun = self.trace.now();
        let name = self.name();
        let done = match self.chance.within(0, 100) {
            0..25 => self.put(name, false).await,
            25..33 => self.put(name, true).await,
            33..63 => self.get(name).await,
            63..73 => self.range(name).await,
            73..82 => self.delete(name).await,
            82..90 => self.rename().await,
            90..95 => self.undelete().await,
            _ => self.list().await,
        };
        let took = self.trace.now() - begun;
        let mut seen = self.history.lock();
        seen.longest = seen.longest.max(took);
        match done {
            true => seen.acknowledged += 1,
            false => seen.refused += 1,
        }
    }

    fn name(&mut self) -> String {
        self.chance.one_of(&self.names).cloned().unwrap_or_default()
    }

    /// A name of the first half, which are renamed, or of the second, which are brought back: what
    /// nobody knows of one that is brought back then says nothing of others.
    fn name_of_half(&mut self, second: bool) -> String {
        let (first, other) = self.names.split_at(self.names.len() / 2);
        let names = if second { other } else { first };
        self.chance.one_of(names).cloned().unwrap_or_default()
    }

    async fn put(&mut self, name: String, new: bool) -> bool {
        let number = self.chance.number();
        let longest = match self.chance.within(0, 4) {
            0 => self.longest,
            _ => self.longest.min(20_000),
        };
        let length = self.chance.within(0, longest) + HEAD as u64;
        let bytes = content(number, length);
        {
            let mut seen = self.history.lock();
            seen.made.insert(number, length);
            seen.by_crc.insert(crc32fast::hash(&bytes), number);
        }
        let action = match new {
            false => Action::Put {
                name: name.clone(),
                content: number,
            },
            true => Action::PutNew {
                name: name.clone(),
                content: number,
            },
        };
        let path = format!("/v1/files/{name}");
        let begun = self.trace.now();
        let answer = self
            .ask(
                Method::PUT,
                &path,
                Some(bytes.into()),
                |request| match new {
                    true => request.header("if-none-match", "*"),
                    false => request,
                },
            )
            .await;
        let ended = self.trace.now();
        match answer {
            Some(Answer { status, .. }) if status == StatusCode::CREATED => {
                self.history.add(action, begun, Some(ended));
                true
            }
            Some(Answer { status, .. }) if new && status == StatusCode::PRECONDITION_FAILED => {
                self.trace.reach("conditional put refused");
                self.history
                    .add(Action::Exists { name }, begun, Some(ended));
                true
            }
            answer => {
                self.expect_failure("put", &answer);
                self.history.add(action, begun, None);
                false
            }
        }
    }

    async fn get(&mut self, name: String) -> bool {
        let begun = self.trace.now();
        let path = format!("/v1/files/{name}");
        let answer = self.ask(Method::GET, &path, None, |request| request).await;
        let ended = self.trace.now();
        let content = match answer {
            Some(answer) if answer.status == StatusCode::OK => {
                let whole = answer.whole;
                let number = self.judge(&name, &answer, 0);
                if !whole {
                    self.trace.reach("answer broke off");
                    return false;
                }
                number
            }
            Some(answer) if answer.status == StatusCode::NOT_FOUND => None,
            answer => {
                self.expect_failure("get", &answer);
                return false;
            }
        };
        self.history
            .add(Action::Read { name, content }, begun, Some(ended));
        true
    }

    async fn range(&mut self, name: String) -> bool {
        let begun = self.trace.now();
        let path = format!("/v1/files/{name}");
        let from = self.chance.within(0, self.longest);
        let to = from + self.chance.within(0, 200_000);
        let answer = self
            .ask(Method::GET, &path, None, |request| {
                request.header("range", format!("bytes={from}-{to}"))
            })
            .await;
        let ended = self.trace.now();
        let content = match answer {
            Some(answer) if answer.status == StatusCode::PARTIAL_CONTENT => {
                let number = self.judge(&name, &answer, from);
                if !answer.whole {
                    return false;
                }
                number
            }
            Some(answer) if answer.status == StatusCode::NOT_FOUND => None,
            Some(answer) if answer.status == StatusCode::RANGE_NOT_SATISFIABLE => return true,
            answer => {
                self.expect_failure("range", &answer);
                return false;
            }
        };
        self.history
            .add(Action::Read { name, content }, begun, Some(ended));
        true
    }

    async fn delete(&mut self, name: String) -> bool {
        let begun = self.trace.now();
        let path = format!("/v1/files/{name}");
        let answer = self
            .ask(Method::DELETE, &path, None, |request| request)
            .await;
        let ended = self.trace.now();
        match answer {
            Some(answer) if answer.status.is_success() => {
                self.history
                    .add(Action::Delete { name }, begun, Some(ended));
                true
            }
            Some(answer) if answer.status == StatusCode::NOT_FOUND => {
                let action = Action::Read {
                    name,
                    content: None,
                };
                self.history.add(action, begun, Some(ended));
                true
            }
            answer => {
                self.expect_failure("delete", &answer);
                self.history.add(Action::Delete { name }, begun, None);
                false
            }
        }
    }

    async fn rename(&mut self) -> bool {
        let (from, to) = (self.name_of_half(false), self.name_of_half(false));
        if from == to {
            return true;
        }
        let begun = self.trace.now();
        let order = json!({"from": from, "to": to, "overwrite": true}).to_string();
        let answer = self
            .ask(Method::POST, "/v1/rename", Some(order.into()), |request| {
                request.header("content-type", "application/json")
            })
            .await;
        let ended = self.trace.now();
        match answer {
            Some(answer) if answer.status.is_success() => {
                self.trace.reach("renamed");
                self.history
                    .add(Action::Rename { from, to }, begun, Some(ended));
                true
            }
            Some(answer) if answer.status == StatusCode::NOT_FOUND => {
                let action = Action::Read {
                    name: from,
                    content: None,
                };
                self.history.add(action, begun, Some(ended));
                true
            }
            answer => {
                self.expect_failure("rename", &answer);
                self.history.add(Action::Rename { from, to }, begun, None);
                false
            }
        }
    }

    async fn undelete(&mut self) -> bool {
        let name = self.name_of_half(true);
        let begun = self.trace.now();
        let path = format!("/v1/files/{name}?undelete");
        let answer = self.ask(Method::POST, &path, None, |request| request).await;
        let ended = self.trace.now();
        match answer {
            Some(answer) if answer.status.is_success() && answer.whole => {
                let told: serde_json::Value =
                    serde_json::from_slice(&answer.body).unwrap_or_default();
                let crc = told.get("crc32").and_then(serde_json::Value::as_str);
                let crc = crc.and_then(|crc| u32::from_str_radix(crc, 16).ok());
                let content = crc.and_then(|crc| self.history.lock().by_crc.get(&crc).copied());
                let Some(content) = content else {
                    self.trace
                        .broken(format!("undelete of {name} tells no content: {told}"));
                    return false;
                };
                self.trace.reach("undeleted");
                self.history
                    .add(Action::Undelete { name, content }, begun, Some(ended));
                true
            }
            // Nothing of it in the trash, or there is a file.
            Some(answer)
                if answer.status == StatusCode::NOT_FOUND
                    || answer.status == StatusCode::CONFLICT
                    || answer.status == StatusCode::PRECONDITION_FAILED =>
            {
                true
            }
            answer => {
                self.expect_failure("undelete", &answer);
                // Nobody knows what it brought back, if anything.
                self.history.lock().doubtful.insert(name);
                false
            }
        }
    }

    async fn list(&mut self) -> bool {
        let answer = self
            .ask(Method::GET, "/v1/files", None, |request| request)
            .await;
        match answer {
            Some(answer) if answer.status == StatusCode::OK => true,
            answer => {
                self.expect_failure("list", &answer);
                false
            }
        }
    }

    /// Anything but an answer, an answer that broke off, and a 503 is not to be.
    fn expect_failure(&self, what: &str, answer: &Option<Answer>) {
        match answer {
            None => self.trace.reach("no answer to a client"),
            Some(answer) if answer.status == StatusCode::SERVICE_UNAVAILABLE => {
                self.trace.reach("client told to come back");
            }
            // Of one that broke off only part came.
            Some(answer) if !answer.whole => self.trace.reach("answer broke off"),
            // A try that broke ended the upload which the next one had taken over.
            Some(answer) if answer.is_upload_ended() => {
                self.trace.reach("upload ended by an earlier try");
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
    async fn ask(
        &mut self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
        more: impl Fn(http::request::Builder) -> http::request::Builder,
    ) -> Option<Answer> {
        let changes = method != Method::GET;
        let id = self.log_time.map(|(told, at)| {
            let since = self.trace.now() - at;
            let random = u128::from(self.chance.number()) << 64 | u128::from(self.chance.number());
            RequestId::issue(LogTime::from_millis(told + since), random)
        });
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
