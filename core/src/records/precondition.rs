//! Conditions on a change (RFC 9110, section 13), checked at the point where it takes effect.

use super::FileRecord;
use crate::time::LogTime;
use serde::{Deserialize, Serialize};

/// What must hold of the present version for a change to take effect.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Precondition {
    /// The present version must be one of these.
    pub if_match: Option<EtagMatch>,
    /// The present version must be none of these.
    pub if_none_match: Option<EtagMatch>,
    /// The present version must not be newer. Left out of account when `if_match` is given.
    pub if_unmodified_since: Option<LogTime>,
}

/// A list of entity tags, or `*`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EtagMatch {
    /// Any version that exists.
    Any,
    /// One of these, with their quotes.
    Tags(Vec<String>),
}

impl EtagMatch {
    /// Whether `current` is meant, by strong comparison.
    pub fn covers(&self, current: Option<&FileRecord>) -> bool {
        match (self, current) {
            (_, None) => false,
            (EtagMatch::Any, Some(_)) => true,
            (EtagMatch::Tags(tags), Some(record)) => tags.contains(&record.etag()),
        }
    }
}

impl Precondition {
    /// Checks the conditions against the present version.
    ///
    /// # Errors
    /// A text that names the condition that does not hold.
    pub fn check(&self, current: Option<&FileRecord>) -> Result<(), String> {
        let present = || current.map_or("there is no such file".to_owned(), present_version);
        if let Some(wanted) = &self.if_match {
            if !wanted.covers(current) {
                return Err(format!("If-Match does not hold: {}", present()));
            }
        } else if let (Some(limit), Some(record)) = (self.if_unmodified_since, current) {
            // The header has whole seconds; so has Last-Modified, which the client copied.
            if record.modified.as_millis() / 1000 > limit.as_millis() / 1000 {
                return Err(format!("If-Unmodified-Since does not hold: {}", present()));
            }
        }
        if self
            .if_none_match
            .as_ref()
            .is_some_and(|unwanted| unwanted.covers(current))
        {
            return Err(format!("If-None-Match does not hold: {}", present()));
        }
        Ok(())
    }
}

fn present_version(record: &FileRecord) -> String {
    format!("the present version has the entity tag {}", record.etag())
}
