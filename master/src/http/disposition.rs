//! `Content-Disposition`: whether a browser shows a file or saves it, and under which name.

use mdfs_core::media_type::is_active;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What RFC 8187 lets stand in `filename*` as it is.
const KEEP: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Whether browsers show content of this type themselves and run nothing of it: pictures, sound, films
/// and printed pages, for which a sandbox is of no use, or in the way.
pub(crate) fn is_only_shown(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default();
    let essence = essence.trim().to_ascii_lowercase();
    let kind = essence.split_once('/').map(|(kind, _)| kind);
    let is_shown = matches!(kind, Some("image" | "audio" | "video"));
    !is_active(content_type) && (is_shown || essence == "application/pdf")
}

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
    fn only_what_runs_nothing_is_shown_without_a_sandbox() {
        for (kind, shown) in [
            ("video/mp4", true),
            ("IMAGE/PNG; x=1", true),
            ("application/pdf", true),
            ("image/svg+xml", false),
            ("text/plain", false),
            ("text/html", false),
            ("nonsense", false),
        ] {
            assert_eq!(is_only_shown(kind), shown, "{kind}");
        }
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
