//! Which texts name a file.

use mdfs_core::name::{FileName, InvalidName, MAX_NAME_BYTES, check_prefix};
use proptest::prelude::*;

/// Says what a text is refused for, in one word.
fn refusal(text: &str) -> &'static str {
    match FileName::parse(text) {
        Ok(name) => {
            assert_eq!(name.as_str(), text, "kept byte for byte");
            ""
        }
        Err(InvalidName::Empty) => "empty",
        Err(InvalidName::TooLong { .. }) => "long",
        Err(InvalidName::ControlCharacter { .. }) => "control",
        Err(InvalidName::Backslash { .. }) => "backslash",
        Err(InvalidName::LeadingSlash) => "leading",
        Err(InvalidName::TrailingSlash) => "trailing",
        Err(InvalidName::EmptySegment { .. }) => "segment",
        Err(InvalidName::DotSegment { .. }) => "dot",
    }
}

#[track_caller]
fn check(want: &str, texts: &[&str]) {
    for text in texts {
        assert_eq!(refusal(text), want, "{text:?}");
    }
}

#[test]
fn plain_and_odd_texts_are_names() {
    check(
        "",
        &[
            "a",
            "film.mkv",
            "films/2024/film.mkv",
            "a/b/c/d/e/f/g",
            " ",
            " leading",
            "trailing ",
            "two  spaces",
            ".hidden",
            "..hidden",
            "...",
            "....",
            "a..b",
            "a.",
            "a..",
            ".a/..b/c...",
            "-rf",
            "--",
            "~",
            "$HOME",
            "`id`",
            "a;b",
            "a&b=c",
            "a?b#c",
            "100%",
            "%2e%2e",
            "%00",
            "\"quoted\"",
            "it's",
            "<script>",
            "a:b",
            "C:",
            "CON",
            "a*b",
            "a|b",
            "{a,b}",
            "[a]",
            "a@b",
            "a+b",
            "comma,",
        ],
    );
}

#[test]
fn slashes_neither_lead_nor_trail_nor_meet() {
    check(
        "leading",
        &["/", "/a", "//", "//a", "/etc/passwd", "/..", "/a/", "/."],
    );
    check("trailing", &["a/", "a/b/", "a//", "../", "./", " /"]);
    check(
        "segment",
        &["a//b", "a///b", "a/b//c", "a//../b", "films//film.mkv"],
    );
}

#[test]
fn no_segment_is_a_dot_or_two() {
    check(
        "dot",
        &[
            ".",
            "..",
            "./a",
            "../a",
            "a/.",
            "a/..",
            "a/./b",
            "a/../b",
            "../../etc/passwd",
            "a/b/../../c",
            "./.",
            "../..",
        ],
    );
}

#[test]
fn backslashes_are_refused() {
    check(
        "backslash",
        &[
            "\\",
            "a\\b",
            "..\\..\\a",
            "\\\\host\\share",
            "a/\\",
            "C:\\film",
            "\\n",
        ],
    );
}

#[test]
fn control_characters_are_refused_and_others_are_not() {
    for code in (0..0x20).chain(0x7f..0xa0) {
        let character = char::from_u32(code).unwrap();
        for text in [
            format!("{character}"),
            format!("a{character}b"),
            format!("a/{character}"),
        ] {
            assert_eq!(refusal(&text), "control", "U+{code:04X}");
        }
    }
    check(
        "",
        &[
            "\u{a0}",
            "\u{ad}",
            "\u{2028}",
            "\u{feff}",
            "\u{fffd}",
            "\u{e000}",
            "\u{10ffff}",
        ],
    );
}

#[test]
fn a_name_has_1_to_1024_bytes_not_characters() {
    check("empty", &[""]);
    let full = "x".repeat(MAX_NAME_BYTES);
    check(
        "",
        &[&full, &"\u{e9}".repeat(512), &"\u{1f600}".repeat(256)],
    );
    check(
        "long",
        &[
            &format!("{full}x"),
            &"\u{e9}".repeat(513),
            &"/".repeat(1025),
        ],
    );
    assert_eq!(
        FileName::parse(&format!("{full}x")),
        Err(InvalidName::TooLong {
            bytes: MAX_NAME_BYTES + 1
        })
    );
}

#[test]
fn errors_say_what_and_where() {
    let error = |text: &str| FileName::parse(text).unwrap_err().to_string();
    assert_eq!(
        error("ab\ncd"),
        "the name has the control character U+000A at byte 2"
    );
    assert_eq!(
        error("a/b/../c"),
        "the name has the segment \"..\" at byte 4"
    );
    assert_eq!(error("a//b"), "the name has an empty segment at byte 2");
    assert_eq!(error("ab\\"), "the name has a backslash at byte 2");
    assert_eq!(
        error(&"x".repeat(2000)),
        "the name has 2000 bytes, more than 1024"
    );
}

#[test]
fn row_72_names_that_would_leave_a_folder_are_refused() {
    for text in ["../../etc/passwd", "/etc/passwd", "..\\x", "a\0b", ".", ""] {
        assert!(FileName::parse(text).is_err(), "{text:?}");
    }
    // Percent-encoding is the border's matter: what is decoded is refused, what is not is a name.
    assert_eq!(refusal("%2e%2e%2fetc"), "");
    assert_eq!(refusal("../etc"), "dot");
}

#[test]
fn row_73_a_name_of_ten_megabytes_is_refused_with_a_short_error() {
    let error = FileName::parse(&"x".repeat(10 << 20)).unwrap_err();
    assert_eq!(error, InvalidName::TooLong { bytes: 10 << 20 });
    assert!(error.to_string().len() < 100);
}

#[test]
fn row_74_unicode_twins_are_two_names_and_all_scripts_are_kept() {
    let composed = FileName::parse("caf\u{e9}").unwrap();
    let decomposed = FileName::parse("cafe\u{301}").unwrap();
    assert_ne!(composed, decomposed);
    check(
        "",
        &[
            "\u{5e9}\u{5dc}\u{5d5}\u{5dd}",
            "\u{645}\u{631}\u{62d}\u{628}\u{627}.mkv",
            "\u{202e}gpj.exe",
            "\u{1f3ac}/\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",
            "\u{6620}\u{753b}",
            "\u{fb01}lm",
            "\u{ff0e}\u{ff0e}/x",
            "\u{2024}\u{2024}",
            "a\u{2215}b",
        ],
    );
}

#[test]
fn names_sort_by_bytes() {
    let mut names: Vec<_> = ["b", "a/b", "a", "a.b", "B", "\u{e9}", "a b", "ab"]
        .iter()
        .map(|text| FileName::parse(text).unwrap())
        .collect();
    names.sort();
    let texts: Vec<_> = names.iter().map(FileName::as_str).collect();
    assert_eq!(texts, ["B", "a", "a b", "a.b", "a/b", "ab", "b", "\u{e9}"]);
}

#[test]
fn the_base_name_is_what_follows_the_last_slash() {
    for (name, base) in [
        ("a", "a"),
        ("a/b", "b"),
        ("a/b/c.mkv", "c.mkv"),
        (".x/.y", ".y"),
    ] {
        assert_eq!(FileName::parse(name).unwrap().base_name(), base);
    }
}

#[test]
fn a_prefix_may_be_anything_that_names_begin_with() {
    for prefix in ["", "a", "a/", "/", "..", "a//", &"x".repeat(1024)] {
        assert_eq!(check_prefix(prefix), Ok(()), "{prefix:?}");
    }
    for prefix in ["a\n", "\\", "\u{85}", &"x".repeat(1025)] {
        assert!(check_prefix(prefix).is_err(), "{prefix:?}");
    }
}

#[test]
fn what_is_read_from_outside_is_checked() {
    let bytes = |text: &str| postcard::to_stdvec(text).unwrap();
    let name = FileName::parse("films/film.mkv").unwrap();
    assert_eq!(postcard::to_stdvec(&name).unwrap(), bytes("films/film.mkv"));
    assert_eq!(
        postcard::from_bytes::<FileName>(&bytes("films/film.mkv")).unwrap(),
        name
    );
    assert!(postcard::from_bytes::<FileName>(&bytes("../film.mkv")).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_name_keeps_every_rule_at_once(text in "[a./\\\\ \u{0}\u{e9}]{0,12}") {
        let lawful = !text.is_empty()
            && !text.contains(['\\', '\u{0}'])
            && text.split('/').all(|segment| !["", ".", ".."].contains(&segment));
        prop_assert_eq!(FileName::parse(&text).is_ok(), lawful);
    }

    #[test]
    fn every_beginning_of_a_name_is_a_prefix(text in "\\PC{1,40}") {
        if FileName::parse(&text).is_ok() {
            for (at, _) in text.char_indices() {
                prop_assert_eq!(check_prefix(&text[..at]), Ok(()));
            }
        }
    }
}
