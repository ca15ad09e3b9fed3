//! What clients note of answers.

use super::{Client, Deleted};
use crate::request::Answer;
use mdfs_core::time::LogTime;
use mdfs_protocol::date::rfc3339;
use serde_json::Value;

impl Client {
    /// Looks at what is told of a file that was stored.
    pub(super) fn note_stored(&self, name: &str, content: u64, begun: u64, answer: &Answer) {
        let told: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let text = |field: &str| told.get(field).and_then(Value::as_str).unwrap_or_default();
        let asked = self.asked.log_time.map(LogTime::from_millis);
        if self.asked.before > 0 && asked.is_some_and(|at| text("modified") < rfc3339(at).as_str())
        {
            self.trace.reach("repeated after it was done");
        }
        let mut seen = self.history.lock();
        seen.files.insert(content, text("file_id").to_owned());
        if let Some(before) = seen.latest.insert(name.to_owned(), content)
            && let Some(file) = seen.files.get(&before)
            && self.net.copied_since(file, begun)
        {
            self.trace.reach("overwritten under a copy");
        }
    }

    /// A delete found no file.
    pub(super) fn note_refused(&mut self, name: &str) {
        self.keep_deleted(name, true);
    }

    fn keep_deleted(&mut self, name: &str, refused: bool) {
        let (name, id) = (name.to_owned(), self.asked.id);
        self.deleted = id.map(|id| Deleted { name, id, refused });
    }

    /// A delete was done.
    pub(super) fn note_deleted(&mut self, name: &str, begun: u64) {
        self.keep_deleted(name, false);
        let mut seen = self.history.lock();
        let content = seen.latest.remove(name);
        let file = content.and_then(|content| seen.files.get(&content));
        for (reached, mark) in [
            (
                file.is_some_and(|file| self.net.copied_since(file, begun)),
                "deleted under a copy",
            ),
            (self.net.is_worker_down(), "deleted while a worker was down"),
            (
                self.trace.is("a voter's disk is full"),
                "deleted while a voter's disk was full",
            ),
        ] {
            if reached {
                self.trace.reach(mark);
            }
        }
    }

    /// The content that a list tells a name to have.
    pub(super) fn listed(&self, told: &Value, name: &str) -> Option<u64> {
        let files = told.get("files").and_then(Value::as_array);
        let mut files = files.into_iter().flatten();
        let file = files.find(|it| it.get("name").and_then(Value::as_str) == Some(name))?;
        let crc = file.get("crc32").and_then(Value::as_str);
        let crc = crc.and_then(|crc| u32::from_str_radix(crc, 16).ok());
        let content = crc.and_then(|crc| self.history.lock().by_crc.get(&crc).copied());
        if content.is_none() {
            let text = format!("a list has {name} with a content that nobody stored: {file}");
            self.trace.broken(text);
        }
        content
    }
}
