//! File names, as text and as paths.

use super::kind;
use crate::Target;
use mdfs_core::access::Folder;
use mdfs_core::name::{FileName, MAX_NAME_BYTES, check_prefix};
use mdfs_protocol::public::{file_path, play_path};
use percent_encoding::percent_decode_str;

/// The target: the bytes are a name.
pub const TARGET: Target = Target {
    name: "name",
    run,
    seeds: || vec![vec![b'x'; MAX_NAME_BYTES], vec![b'x'; MAX_NAME_BYTES + 1]],
    words: &[
        "/", ".", "..", "//", "\\", "%2e", "%2F", "\u{85}", "\u{202e}", "é", "e\u{301}", "📼",
    ],
};

fn run(bytes: &[u8]) -> u64 {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return 0;
    };
    let name = match FileName::parse(text) {
        Ok(name) => name,
        Err(error) => return kind((1, std::mem::discriminant(&error))),
    };
    assert_eq!(name.as_str(), text, "kept byte for byte");
    assert!((1..=MAX_NAME_BYTES).contains(&text.len()), "{}", text.len());
    assert!(
        !text.contains(|c: char| c.is_control() || c == '\\'),
        "{text:?}"
    );
    let odd = |segment: &str| matches!(segment, "" | "." | "..");
    assert!(!text.split('/').any(odd), "{text:?}");
    assert!(
        text.ends_with(name.base_name()) && !name.base_name().contains('/'),
        "{text:?}"
    );
    for (at, _) in text.char_indices() {
        assert!(
            text.get(..at)
                .is_some_and(|start| check_prefix(start).is_ok()),
            "{text:?}"
        );
    }
    for (path, start) in [(file_path(text), "/v1/files/"), (play_path(text), "/play/")] {
        let safe = |b: u8| b.is_ascii_alphanumeric() || b"-._~/%".contains(&b);
        assert!(path.bytes().all(safe), "{path:?}");
        let rest = path.strip_prefix(start).unwrap_or_default();
        let read = percent_decode_str(rest).decode_utf8();
        assert_eq!(read.as_deref(), Ok(text), "{path:?}");
    }
    let folder = Folder::parse(text).map(|folder| folder.as_str().to_owned());
    assert_eq!(folder, Ok(format!("{text}/")));
    kind((
        2,
        text.split('/').count().min(9),
        text.is_ascii(),
        text.starts_with('.'),
    ))
}
