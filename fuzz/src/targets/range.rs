//! The `Range` header, held against a file of any size.

use super::kind;
use crate::Target;
use mdfs_core::range::{
    ByteRange, MAX_RANGES, RangeSpec, Resolution, content_range, parse_range, resolve,
};

/// The target: the first byte is the size of the file, small or huge, the rest the header.
pub const TARGET: Target = Target {
    name: "range",
    run,
    seeds: Vec::new,
    words: &[
        "bytes", "=", "-", ",", "0-", "-1", "5-2", "Bytes", " ", "\t", "9e99",
    ],
};

fn run(bytes: &[u8]) -> u64 {
    let (&size, header) = bytes.split_first().unwrap_or((&0, &[]));
    let Ok(header) = std::str::from_utf8(header) else {
        return 0;
    };
    let Some(specs) = parse_range(header) else {
        return 1;
    };
    assert!((1..=MAX_RANGES).contains(&specs.len()), "{specs:?}");
    // Sizes at the ends of what there is, and small ones where every byte can be looked at.
    let size = match size {
        0..=250 => u64::from(size),
        251 => u64::from(u32::MAX) + 1,
        252 => u64::MAX - 1,
        253..=255 => u64::MAX,
    };
    let resolved = resolve(&specs, size);
    let ranges = match &resolved {
        Resolution::Whole => &[],
        Resolution::Unsatisfiable => &[],
        Resolution::Ranges(ranges) => &ranges[..],
    };
    assert!(resolved != Resolution::Whole, "ranges were asked");
    assert!(ranges.len() <= specs.len(), "{specs:?} {ranges:?}");
    let mut sum: u128 = 0;
    for range in ranges {
        assert!(range.start() < range.end_exclusive(), "{range:?}");
        assert!(range.end_exclusive() <= size, "{range:?}");
        let told = content_range(range, size);
        let read = told
            .strip_prefix("bytes ")
            .and_then(|rest| rest.split_once('/'));
        let again = read.and_then(|(range, _)| parse_range(&format!("bytes={range}")));
        let whole = RangeSpec::Bounded {
            first: range.start(),
            last: range.end_exclusive() - 1,
        };
        assert_eq!(again, Some(vec![whole]), "{told}");
        sum += u128::from(range.len());
    }
    assert!(sum <= 2 * u128::from(size), "{ranges:?} of {size}");
    if size <= 250 {
        for position in 0..size {
            let sent = ranges.iter().any(|range| has(range, position));
            let asked = specs.iter().any(|spec| asks(*spec, position, size));
            assert_eq!(sent, asked, "byte {position} of {size}: {specs:?}");
        }
    }
    kind((
        specs.len(),
        ranges.len(),
        ranges.first() > ranges.last(),
        size > 250,
    ))
}

fn has(range: &ByteRange, position: u64) -> bool {
    (range.start()..range.end_exclusive()).contains(&position)
}

/// Whether a range means a byte, by the words of RFC 9110.
fn asks(spec: RangeSpec, position: u64, size: u64) -> bool {
    match spec {
        RangeSpec::Bounded { first, last } => first <= position && position <= last,
        RangeSpec::From { first } => first <= position,
        RangeSpec::Suffix { length } => size - position <= length,
    }
}
