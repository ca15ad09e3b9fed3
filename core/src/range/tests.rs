use super::*;
use proptest::prelude::*;

/// `header` against a file of `len` bytes: `whole`, `416`, or the ranges as `0-4 7-9`.
#[track_caller]
fn check(header: &str, len: u64, want: &str) {
    let found = match parse_range(header).map(|specs| resolve(&specs, len)) {
        None | Some(Resolution::Whole) => "whole".to_owned(),
        Some(Resolution::Unsatisfiable) => "416".to_owned(),
        Some(Resolution::Ranges(ranges)) => ranges
            .iter()
            .map(ByteRange::to_string)
            .collect::<Vec<_>>()
            .join(" "),
    };
    assert_eq!(found, want, "{header:?} of {len} bytes");
}

#[test]
fn single_ranges() {
    check("bytes=0-0", 10, "0-0");
    check("bytes=0-9", 10, "0-9");
    check("bytes=3-5", 10, "3-5");
    check("bytes=9-9", 10, "9-9");
    check("bytes=0-", 10, "0-9");
    check("bytes=9-", 10, "9-9");
    check("bytes=-1", 10, "9-9");
    check("bytes=-10", 10, "0-9");
    check("bytes=00003-00005", 10, "3-5");
}

#[test]
fn ranges_are_cut_off_at_the_end() {
    check("bytes=0-10", 10, "0-9");
    check("bytes=5-99999", 10, "5-9");
    check("bytes=-11", 10, "0-9");
    check("bytes=-99999999999999999999999", 10, "0-9");
    check("bytes=0-18446744073709551615", 10, "0-9");
    check("bytes=0-18446744073709551616", 10, "0-9");
}

#[test]
fn beyond_the_end_is_unsatisfiable() {
    check("bytes=10-", 10, "416");
    check("bytes=10-10", 10, "416");
    check("bytes=10-20", 10, "416");
    check("bytes=-0", 10, "416");
    check("bytes=-000", 10, "416");
    check("bytes=18446744073709551615-", 10, "416");
    check("bytes=99999999999999999999999999-", 10, "416");
    check("bytes=10-,-0,99-100", 10, "416");
}

#[test]
fn in_a_file_of_zero_bytes_nothing_is_satisfiable() {
    for header in [
        "bytes=0-0",
        "bytes=0-",
        "bytes=-1",
        "bytes=-0",
        "bytes=1-5",
        "bytes=0-0,-5",
    ] {
        check(header, 0, "416");
    }
    check("bytes=5-2", 0, "whole");
}

#[test]
fn a_range_that_ends_before_it_starts_is_ignored() {
    check("bytes=5-2", 10, "whole");
    check("bytes=1-0", 10, "whole");
    check("bytes=0-1,5-2", 10, "whole");
    // Both beyond 64 bits, but still the wrong way round.
    check(
        "bytes=99999999999999999999-88888888888888888888",
        10,
        "whole",
    );
    check("bytes=99999999999999999999-5", 10, "whole");
    check("bytes=88888888888888888888-99999999999999999999", 10, "416");
}

#[test]
fn nonsense_is_ignored() {
    for header in [
        "",
        "bytes",
        "bytes=",
        "bytes=,",
        "bytes= , ,",
        "bytes=-",
        "bytes=--1",
        "bytes=1--",
        "bytes=1--2",
        "bytes=a-b",
        "bytes=0x1-0x2",
        "bytes=9e99-",
        "bytes=1.5-2",
        "bytes=+1-2",
        "bytes=1",
        "bytes=1 - 2",
        "bytes=1 -2",
        "bytes=1-2-3",
        "bytes=0-1;2-3",
        "bytes=0-1,x",
        "bytes:0-1",
        "bytes =0-1",
        "byte=0-1",
        "items=0-1",
        "0-1",
        "=0-1",
        "bytes=\u{661}-\u{662}",
        "bytes=0-1\u{0}",
        "none",
    ] {
        check(header, 10, "whole");
    }
}

#[test]
fn spelling_that_the_rfc_allows() {
    check("Bytes=0-1", 10, "0-1");
    check("BYTES=0-1", 10, "0-1");
    check("  bytes=0-1\t", 10, "0-1");
    check("bytes= 0-1 ,\t3-4 ", 10, "0-1 3-4");
    check("bytes=,0-1,,3-4,", 10, "0-1 3-4");
}

#[test]
fn several_ranges_keep_their_order_and_drop_what_is_not_there() {
    check("bytes=0-0,-1", 10, "0-0 9-9");
    check("bytes=7-8,1-2", 10, "7-8 1-2");
    check("bytes=0-1,50-60", 10, "0-1");
    check("bytes=50-60,-0,3-", 10, "3-9");
    check("bytes=0-4,5-9", 10, "0-4 5-9");
    check("bytes=0-4,2-6", 10, "0-4 2-6");
    check("bytes=1-2,1-2", 10, "1-2 1-2");
}

#[test]
fn more_than_two_overlapping_ranges_are_merged() {
    check("bytes=0-4,2-6,5-8", 10, "0-8");
    check("bytes=0-,0-,0-,0-", 10, "0-9");
    check("bytes=5-6,0-1,1-2,2-3", 10, "0-3 5-6");
    check("bytes=0-1,2-3,4-5,4-5,5-6", 10, "0-6");
}

#[test]
fn sixteen_ranges_are_answered_and_seventeen_ignored() {
    let header = |n: u64| {
        let list: Vec<_> = (0..n).map(|i| format!("{0}-{0}", i * 2)).collect();
        format!("bytes={}", list.join(","))
    };
    assert_eq!(parse_range(&header(16)).map(|specs| specs.len()), Some(16));
    check(&header(17), 100, "whole");
    check(&header(1000), 100, "whole");
    check(&format!("bytes={}0-0", ",".repeat(1000)), 10, "0-0");
}

#[test]
fn row_75_a_range_of_a_zero_byte_file_is_416() {
    check("bytes=0-", 0, "416");
    assert_eq!(content_range_unsatisfied(0), "bytes */0");
}

#[test]
fn row_76_positions_of_a_terabyte_are_exact() {
    const TIB: u64 = 1 << 40;
    check("bytes=1099511627775-", TIB, "1099511627775-1099511627775");
    check("bytes=-4294967297", TIB, "1095216660479-1099511627775");
    check(
        "bytes=18446744073709551614-",
        u64::MAX,
        "18446744073709551614-18446744073709551614",
    );
}

#[test]
fn row_77_ranges_of_every_odd_kind() {
    check("bytes=0-0", 1000, "0-0");
    check("bytes=-0", 1000, "416");
    check("bytes=-1", 1000, "999-999");
    check("bytes=5-2", 1000, "whole");
    check("bytes=9e99-", 1000, "whole");
    check(&format!("bytes={}-", "9".repeat(99)), 1000, "416");
    check(
        &format!("bytes={}", vec!["0-1"; 1000].join(",")),
        1000,
        "whole",
    );
    check("bytes=0-500,400-999", 1000, "0-500 400-999");
    check("bytes=1000-", 1000, "416");
}

#[test]
fn content_range_has_the_last_byte_included() {
    let range = ByteRange::new(0, 500).unwrap();
    assert_eq!(content_range(&range, 1234), "bytes 0-499/1234");
    assert_eq!(content_range_unsatisfied(1234), "bytes */1234");
    assert_eq!(
        (range.start(), range.end_exclusive(), range.len()),
        (0, 500, 500)
    );
    assert_eq!(ByteRange::new(5, 5), None);
    assert_eq!(ByteRange::new(6, 5), None);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_text_is_read_without_a_fault(header in ".{0,60}", len in any::<u64>()) {
        if let Some(specs) = parse_range(&header) {
            resolve(&specs, len);
        }
    }

    #[test]
    fn the_bytes_are_those_that_were_asked(
        asked in prop::collection::vec((0_u64..120, 0_u64..120, 0..3_u8), 1..=16),
        len in 0_u64..100,
    ) {
        let specs: Vec<_> = asked.iter().map(|&(a, b, kind)| match kind {
            0 => RangeSpec::Bounded { first: a.min(b), last: a.max(b) },
            1 => RangeSpec::From { first: a },
            _ => RangeSpec::Suffix { length: a },
        }).collect();
        let wanted = |byte: u64| specs.iter().any(|spec| match *spec {
            RangeSpec::Bounded { first, last } => (first..=last).contains(&byte),
            RangeSpec::From { first } => byte >= first,
            RangeSpec::Suffix { length } => byte + length >= len,
        });
        match resolve(&specs, len) {
            Resolution::Whole => prop_assert!(false, "ranges were asked"),
            Resolution::Unsatisfiable => prop_assert!(!(0..len).any(wanted)),
            Resolution::Ranges(ranges) => {
                prop_assert!(!ranges.is_empty());
                for byte in 0..len {
                    let found = ranges.iter().any(|r| (r.start()..r.end_exclusive()).contains(&byte));
                    prop_assert_eq!(found, wanted(byte));
                }
                prop_assert!(ranges.iter().all(|r| r.end_exclusive() <= len));
                prop_assert!(ranges.iter().map(ByteRange::len).sum::<u64>() <= 2 * len);
            }
        }
    }

    #[test]
    fn what_is_written_reads_back(first in any::<u64>(), more in any::<u64>()) {
        let last = first.saturating_add(more);
        let specs = parse_range(&format!("bytes={first}-{last},{first}-,-{first}"));
        prop_assert_eq!(specs, Some(vec![
            RangeSpec::Bounded { first, last },
            RangeSpec::From { first },
            RangeSpec::Suffix { length: first },
        ]));
    }
}
