//! Conditional requests (RFC 9110 §13): what the headers ask, and what comes of it for reads.

use super::error::HttpError;
use http::header::{
    IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE,
};
use http::{HeaderMap, HeaderName};
use mdfs_core::range::{RangeSpec, parse_range};
use mdfs_core::records::{EtagMatch, FileRecord, Precondition};
use mdfs_core::time::LogTime;
use mdfs_protocol::date::{http_date, parse_http_date};

/// Reads the conditions of a change.
///
/// # Errors
/// For entity tags that do not parse: a change must not go through because a typing error was
/// taken for no condition. A date that does not parse is ignored, as RFC 9110 says.
pub(crate) fn precondition(headers: &HeaderMap) -> Result<Precondition, HttpError> {
    Ok(Precondition {
        // Only strong tags match strongly, and the file's tag is strong.
        if_match: etags(headers, &IF_MATCH)?.map(|asked| asked.strong()),
        if_none_match: etags(headers, &IF_NONE_MATCH)?.map(|asked| asked.weak()),
        if_unmodified_since: text(headers, &IF_UNMODIFIED_SINCE).and_then(parse_http_date),
    })
}

/// What comes of the conditions of a read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The whole file.
    Whole,
    /// These ranges of it.
    Ranges(Vec<RangeSpec>),
    /// 304: the client has it.
    NotModified,
    /// 412, with the reason.
    Failed(String),
}

/// Decides, in the order of RFC 9110 §13.2.2, how a read of `record` is answered. `now` is the
/// time of the answer.
///
/// # Errors
/// For entity tags that do not parse.
pub(crate) fn read_outcome(
    headers: &HeaderMap,
    record: &FileRecord,
    now: LogTime,
) -> Result<Outcome, HttpError> {
    let asked = precondition(headers)?;
    let first = Precondition {
        if_none_match: None,
        ..asked.clone()
    };
    if let Err(what) = first.check(Some(record)) {
        return Ok(Outcome::Failed(what));
    }
    match &asked.if_none_match {
        Some(known) if known.covers(Some(record)) => return Ok(Outcome::NotModified),
        Some(_) => {}
        None => {
            let since = text(headers, &IF_MODIFIED_SINCE).and_then(parse_http_date);
            // Equal, not merely older: a rename can bring a file of an earlier date to the name.
            if since.is_some_and(|since| seconds(record.modified) == seconds(since)) {
                return Ok(Outcome::NotModified);
            }
        }
    }
    let Some(specs) = text(headers, &RANGE).and_then(parse_range) else {
        return Ok(Outcome::Whole);
    };
    if if_range_holds(headers, record, now) {
        Ok(Outcome::Ranges(specs))
    } else {
        Ok(Outcome::Whole)
    }
}

/// Whether `If-Range`, if there is one, names the present version.
fn if_range_holds(headers: &HeaderMap, record: &FileRecord, now: LogTime) -> bool {
    let Some(value) = headers.get(IF_RANGE) else {
        return true;
    };
    let Ok(asked) = value.to_str().map(str::trim) else {
        return false;
    };
    if asked.starts_with('"') {
        return asked == record.etag();
    }
    // A date of the running second does not tell apart what was written twice in it.
    parse_http_date(asked).is_some_and(|date| seconds(date) == seconds(record.modified))
        && seconds(record.modified) < seconds(now)
}

/// The value of `Last-Modified`.
pub(crate) fn last_modified(record: &FileRecord) -> String {
    http_date(record.modified)
}

fn seconds(time: LogTime) -> u64 {
    time.as_millis() / 1000
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    // Twice the same field that is no list: none of them is meant.
    if values.next().is_some() {
        return None;
    }
    first.to_str().ok()
}

/// The tags of a header, with a mark on the weak ones.
enum Asked {
    Any,
    Tags(Vec<(bool, String)>),
}

impl Asked {
    fn strong(self) -> EtagMatch {
        self.keep(|weak| !weak)
    }

    fn weak(self) -> EtagMatch {
        self.keep(|_| true)
    }

    fn keep(self, wanted: impl Fn(bool) -> bool) -> EtagMatch {
        match self {
            Asked::Any => EtagMatch::Any,
            Asked::Tags(tags) => EtagMatch::Tags(
                tags.into_iter()
                    .filter(|(weak, _)| wanted(*weak))
                    .map(|(_, tag)| tag)
                    .collect(),
            ),
        }
    }
}

fn etags(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Asked>, HttpError> {
    let mut tags = Vec::new();
    let mut any = false;
    let mut present = false;
    for value in headers.get_all(name) {
        present = true;
        let refuse = || HttpError::invalid(format!("{name}: not a list of quoted entity tags"));
        let mut rest = value.to_str().map_err(|_| refuse())?.trim();
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix('*') {
                any = true;
                rest = after;
            } else {
                let (weak, opened) = match rest.strip_prefix("W/") {
                    Some(opened) => (true, opened),
                    None => (false, rest),
                };
                let inner = opened.strip_prefix('"').ok_or_else(refuse)?;
                let (tag, after) = inner.split_once('"').ok_or_else(refuse)?;
                tags.push((weak, format!("\"{tag}\"")));
                rest = after;
            }
            let after = rest.trim_start();
            rest = after.strip_prefix(',').map_or(after, str::trim_start);
            if !after.is_empty() && !after.starts_with(',') {
                return Err(refuse());
            }
        }
    }
    Ok(match (present, any) {
        (false, _) => None,
        (true, true) => Some(Asked::Any),
        (true, false) => Some(Asked::Tags(tags)),
    })
}

#[cfg(test)]
mod tests;
