//! Clients that do one thing after the other, check every byte they get, and write down what they saw.

mod asking;
mod notes;

use crate::content::{HEAD, content};
use crate::history::History;
use crate::net::{HostId, Net};
use crate::request::Answer;
use crate::trace::Trace;
use http::{Method, StatusCode};
use mdfs_core::id::RequestId;
use mdfs_tests::chance::Chance;
use mdfs_tests::linear::Action;
use serde_json::{Value, json};
use std::time::Duration;

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
    /// The last request as it was asked last.
    pub(crate) asked: Asked,
    /// A delete that was answered, and the id of its request.
    pub(crate) deleted: Option<Deleted>,
}

/// A delete that was answered.
#[derive(Clone, Debug)]
pub(crate) struct Deleted {
    name: String,
    id: RequestId,
    /// There was no such file.
    refused: bool,
}

/// How a request was asked the last time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Asked {
    id: Option<RequestId>,
    /// How often before.
    before: u64,
    /// The cluster's time as it was known then.
    log_time: Option<u64>,
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
            95 | 96 => self.delete_again().await,
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
            // With fewer copies than wanted it is stored all the same.
            Some(answer)
                if answer.status == StatusCode::CREATED
                    || answer.status == StatusCode::ACCEPTED =>
            {
                self.note_stored(&name, number, begun, &answer);
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
                self.history.lock().broke_off = true;
                self.history.add(action, begun, None);
                false
            }
        }
    }

    pub(crate) async fn get(&mut self, name: String) -> bool {
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
                self.note_deleted(&name, begun);
                self.history
                    .add(Action::Delete { name }, begun, Some(ended));
                true
            }
            Some(answer) if answer.status == StatusCode::NOT_FOUND => {
                self.note_refused(&name);
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

    /// Sends once more a delete that was answered: whatever has the name now stays.
    async fn delete_again(&mut self) -> bool {
        let Some(Deleted { name, id, refused }) = self.deleted.clone() else {
            return true;
        };
        let path = format!("/v1/files/{name}");
        let answer = self.repeat(Method::DELETE, &path, id).await;
        let (before, mark) = match refused {
            true => (StatusCode::NOT_FOUND, "refused delete sent again"),
            false => (StatusCode::NO_CONTENT, "old delete sent again"),
        };
        match answer {
            // It is told as before, or that it was too long ago.
            Some(answer) if answer.status == before || answer.status == StatusCode::CONFLICT => {
                self.trace.reach(mark);
                true
            }
            answer => {
                self.expect_failure("old delete", &answer);
                false
            }
        }
    }

    /// Lists all names: of each it tells what is there, or that nothing is.
    pub(crate) async fn list(&mut self) -> bool {
        let begun = self.trace.now();
        let answer = self
            .ask(Method::GET, "/v1/files", None, |request| request)
            .await;
        let ended = self.trace.now();
        match answer {
            Some(answer) if answer.status == StatusCode::OK && answer.whole => {
                let told: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
                for name in self.names.clone() {
                    let content = self.listed(&told, &name);
                    self.history
                        .add(Action::Read { name, content }, begun, Some(ended));
                }
                true
            }
            answer => {
                self.expect_failure("list", &answer);
                false
            }
        }
    }
}
