//! Byte ranges as RFC 9110 §14 has them: what was asked, and which bytes that is in a given file.

use std::fmt;

/// A `Range` header with more ranges than this is ignored: the whole file is the answer.
pub const MAX_RANGES: usize = 16;

/// One range of a `Range` header, not yet held against a file.
///
/// Positions too large for 64 bits are kept as the largest one: no file reaches there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RangeSpec {
    /// `first-last`, both included; `last` is never below `first`.
    Bounded {
        /// The position of the first byte.
        first: u64,
        /// The position of the last byte.
        last: u64,
    },
    /// `first-`: from there to the end.
    From {
        /// The position of the first byte.
        first: u64,
    },
    /// `-length`: that many bytes at the end.
    Suffix {
        /// How many bytes; zero can never be satisfied.
        length: u64,
    },
}

/// A non-empty range of a file's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteRange {
    start: u64,
    end_exclusive: u64,
}

/// Which bytes of a file answer a `Range` header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolution {
    /// No range was asked: 200 with the whole file.
    Whole,
    /// No range that was asked has a byte in the file: 416.
    Unsatisfiable,
    /// 206 with these, at least one, in the order to send them.
    Ranges(Vec<ByteRange>),
}

/// Reads the value of a `Range` header; none means that the header is to be ignored.
///
/// Ignored are other units than bytes, anything that is not a list of ranges, a range that ends
/// before it starts, and more than [`MAX_RANGES`] ranges.
pub fn parse_range(header: &str) -> Option<Vec<RangeSpec>> {
    let (unit, set) = header.trim_matches(OPTIONAL_SPACE).split_once('=')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    let mut specs = Vec::new();
    for element in set.split(',') {
        let element = element.trim_matches(OPTIONAL_SPACE);
        if element.is_empty() {
            continue; // RFC 9110 §5.6.1.2: a recipient accepts empty list elements.
        }
        if specs.len() == MAX_RANGES {
            return None;
        }
        specs.push(parse_spec(element)?);
    }
    (!specs.is_empty()).then_some(specs)
}

const OPTIONAL_SPACE: [char; 2] = [' ', '\t'];

fn parse_spec(element: &str) -> Option<RangeSpec> {
    let (first, last) = element.split_once('-')?;
    match (first, last) {
        ("", length) => Some(RangeSpec::Suffix {
            length: parse_position(length)?,
        }),
        (first, "") => Some(RangeSpec::From {
            first: parse_position(first)?,
        }),
        (first, last) => {
            if is_below(last, first) {
                return None;
            }
            let (first, last) = (parse_position(first)?, parse_position(last)?);
            Some(RangeSpec::Bounded { first, last })
        }
    }
}

/// A number of decimal digits alone; one too large for 64 bits becomes the largest.
fn parse_position(digits: &str) -> Option<u64> {
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(digits.parse().unwrap_or(u64::MAX))
}

/// Whether one digit string is a smaller number than another, whatever their length.
fn is_below(left: &str, right: &str) -> bool {
    let (left, right) = (left.trim_start_matches('0'), right.trim_start_matches('0'));
    (left.len(), left) < (right.len(), right)
}

/// Finds the bytes that the ranges mean in a file of `len` bytes.
///
/// Ranges are cut off at the end of the file, and those with no byte in it are left out. They keep
/// their order and may overlap, but when more than two of them overlap others, all that overlap or
/// touch are merged and come in rising order: no request makes the answer larger than twice the
/// file. In an empty file nothing can be satisfied.
pub fn resolve(specs: &[RangeSpec], len: u64) -> Resolution {
    if specs.is_empty() {
        return Resolution::Whole;
    }
    let ranges: Vec<_> = specs.iter().filter_map(|spec| spec.within(len)).collect();
    if ranges.is_empty() {
        Resolution::Unsatisfiable
    } else if overlapping(&ranges) > 2 {
        Resolution::Ranges(coalesce(ranges))
    } else {
        Resolution::Ranges(ranges)
    }
}

impl RangeSpec {
    /// The bytes of a file of `len` bytes that this range means, if any.
    fn within(self, len: u64) -> Option<ByteRange> {
        match self {
            Self::Bounded { first, last } => ByteRange::new(first, last.saturating_add(1).min(len)),
            Self::From { first } => ByteRange::new(first, len),
            Self::Suffix { length } => ByteRange::new(len.saturating_sub(length), len),
        }
    }
}

/// How many of the ranges share a byte with another one.
fn overlapping(ranges: &[ByteRange]) -> usize {
    let shares = |(i, a): &(usize, &ByteRange)| {
        let meets = |b: &ByteRange| a.start < b.end_exclusive && b.start < a.end_exclusive;
        ranges.iter().enumerate().any(|(j, b)| *i != j && meets(b))
    };
    ranges.iter().enumerate().filter(shares).count()
}

fn coalesce(mut ranges: Vec<ByteRange>) -> Vec<ByteRange> {
    ranges.sort_unstable();
    let mut merged: Vec<ByteRange> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end_exclusive => {
                last.end_exclusive = last.end_exclusive.max(range.end_exclusive);
            }
            _ => merged.push(range),
        }
    }
    merged
}

#[expect(clippy::len_without_is_empty, reason = "a range is never empty")]
impl ByteRange {
    /// The bytes from `start` up to but without `end_exclusive`; none if that is no byte.
    pub fn new(start: u64, end_exclusive: u64) -> Option<Self> {
        (start < end_exclusive).then_some(Self {
            start,
            end_exclusive,
        })
    }

    /// The position of the first byte.
    pub const fn start(&self) -> u64 {
        self.start
    }

    /// The position after the last byte.
    pub const fn end_exclusive(&self) -> u64 {
        self.end_exclusive
    }

    /// How many bytes; never zero.
    pub const fn len(&self) -> u64 {
        self.end_exclusive - self.start
    }
}

/// Shows the range as HTTP does, with the last byte included: `0-499`.
impl fmt::Display for ByteRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.start, self.end_exclusive - 1)
    }
}

/// The `Content-Range` of a part of a file of `len` bytes: `bytes 0-499/1234`.
pub fn content_range(range: &ByteRange, len: u64) -> String {
    format!("bytes {range}/{len}")
}

/// The `Content-Range` of a 416 for a file of `len` bytes: `bytes */1234`.
pub fn content_range_unsatisfied(len: u64) -> String {
    format!("bytes */{len}")
}

#[cfg(test)]
mod tests;
