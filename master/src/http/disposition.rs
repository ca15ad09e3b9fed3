//! `Content-Disposition`: whether a browser shows a file or saves it, and under which name.

use mdfs_core::media_type::is_active;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What RFC 8187 lets stand in `filename*` as it is.
const KEEP: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// How a file is to be presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disposition {
    /// In the page or player.
    Inline,
    /// Saved.
    Attachment,
}

/// The header's value for a file called `base_name`. Content that could run code with the origin
/// of this server is an attachment whatever was asked.
pub(crate) fn content_disposition(
    asked: Disposition,
    base_name: &str,
    content_type: &str,
) -> String {
    let word = match asked {
        Disposition::Inline if !is_active(content_type) => "inline",
        Disposition::Inline | Disposition::Attachment => "attachment",
    };
    let plain = |c: char| (c.is_ascii_graphic() || c == ' ') && !matches!(c, '"' | '\\' | '%');
    let fallback: String = base_name
        .chars()
        .map(|c| if plain(c) { c } else { '_' })
        .collect();
    if fallback == base_name {
        format!("{word}; filename=\"{fallback}\"")
    } else {
        let exact = utf8_percent_encode(base_name, KEEP);
        format!("{word}; filename=\"{fallback}\"; filename*=UTF-8''{exact}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_and_cannot_break_out_of_the_header() {
        let check = |name: &str, want: &str| {
            assert_eq!(
                content_disposition(Disposition::Inline, name, "video/mp4"),
                want
            );
        };
        check("film one.mkv", "inline; filename=\"film one.mkv\"");
        check(
            "ä.mkv",
            "inline; filename=\"_.mkv\"; filename*=UTF-8''%C3%A4.mkv",
        );
        check(
            "a\";b",
            "inline; filename=\"a_;b\"; filename*=UTF-8''a%22%3Bb",
        );
    }

    #[test]
    fn what_could_run_code_is_saved_and_never_shown() {
        for active in ["text/html", "image/svg+xml; charset=utf-8", "nonsense"] {
            let value = content_disposition(Disposition::Inline, "x", active);
            assert!(value.starts_with("attachment;"), "{active}");
        }
        let asked = content_disposition(Disposition::Attachment, "x", "video/mp4");
        assert!(asked.starts_with("attachment;"));
    }
}
