//! Media types by file extension, and which of them run code in a browser.

/// What is said of a file whose extension is not known.
pub const OCTET_STREAM: &str = "application/octet-stream";

/// The media type of a file by the extension of its name, in any case.
///
/// Text types are said to be UTF-8: what is stored today is.
pub fn media_type_of(name: &str) -> &'static str {
    let base = name.rsplit_once('/').map_or(name, |(_, base)| base);
    let Some((stem, extension)) = base.rsplit_once('.') else {
        return OCTET_STREAM;
    };
    if stem.is_empty() {
        return OCTET_STREAM;
    }
    let known = |(known, _): &&(&str, &str)| extension.eq_ignore_ascii_case(known);
    TYPES
        .iter()
        .find(known)
        .map_or(OCTET_STREAM, |(_, media_type)| media_type)
}

/// Whether a browser that opens content of this type may run code in it with our origin.
///
/// Such content is only ever sent as an attachment. Parameters and case do not matter; what is no
/// media type at all counts as active, since a browser may guess.
pub fn is_active(media_type: &str) -> bool {
    let essence = media_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    let Some((kind, subtype)) = essence.split_once('/') else {
        return true;
    };
    let token = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_graphic());
    if !token(kind) || !token(subtype) || subtype.contains('/') {
        return true;
    }
    matches!(kind, "multipart" | "message")
        || subtype.ends_with("+xml")
        || [
            "html",
            "xml",
            "script",
            "xsl",
            "mathml",
            "shockwave",
            "hta",
            "x-component",
        ]
        .iter()
        .any(|part| subtype.contains(part))
}

/// Extension in lower case, and the type.
static TYPES: &[(&str, &str)] = &[
    ("mkv", "video/x-matroska"),
    ("mp4", "video/mp4"),
    ("m4v", "video/mp4"),
    ("webm", "video/webm"),
    ("mov", "video/quicktime"),
    ("qt", "video/quicktime"),
    ("avi", "video/x-msvideo"),
    ("ts", "video/mp2t"),
    ("m2ts", "video/mp2t"),
    ("mts", "video/mp2t"),
    ("mpg", "video/mpeg"),
    ("mpeg", "video/mpeg"),
    ("m2v", "video/mpeg"),
    ("vob", "video/mpeg"),
    ("ogv", "video/ogg"),
    ("wmv", "video/x-ms-wmv"),
    ("flv", "video/x-flv"),
    ("3gp", "video/3gpp"),
    ("mxf", "application/mxf"),
    ("m3u8", "application/vnd.apple.mpegurl"),
    ("mpd", "application/dash+xml"),
    ("mp3", "audio/mpeg"),
    ("flac", "audio/flac"),
    ("wav", "audio/wav"),
    ("aac", "audio/aac"),
    ("m4a", "audio/mp4"),
    ("mka", "audio/x-matroska"),
    ("ogg", "audio/ogg"),
    ("oga", "audio/ogg"),
    ("opus", "audio/ogg"),
    ("ac3", "audio/ac3"),
    ("eac3", "audio/eac3"),
    ("aif", "audio/aiff"),
    ("aiff", "audio/aiff"),
    ("wma", "audio/x-ms-wma"),
    ("srt", "application/x-subrip"),
    ("vtt", "text/vtt; charset=utf-8"),
    ("ass", "text/x-ssa; charset=utf-8"),
    ("ssa", "text/x-ssa; charset=utf-8"),
    ("nfo", "text/plain; charset=utf-8"),
    ("txt", "text/plain; charset=utf-8"),
    ("log", "text/plain; charset=utf-8"),
    ("md", "text/markdown; charset=utf-8"),
    ("csv", "text/csv; charset=utf-8"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("png", "image/png"),
    ("webp", "image/webp"),
    ("gif", "image/gif"),
    ("avif", "image/avif"),
    ("heic", "image/heic"),
    ("bmp", "image/bmp"),
    ("tif", "image/tiff"),
    ("tiff", "image/tiff"),
    ("ico", "image/x-icon"),
    ("svg", "image/svg+xml"),
    ("pdf", "application/pdf"),
    ("json", "application/json"),
    ("yaml", "application/yaml"),
    ("yml", "application/yaml"),
    ("xml", "application/xml"),
    ("html", "text/html; charset=utf-8"),
    ("htm", "text/html; charset=utf-8"),
    ("xhtml", "application/xhtml+xml"),
    ("js", "text/javascript; charset=utf-8"),
    ("mjs", "text/javascript; charset=utf-8"),
    ("css", "text/css; charset=utf-8"),
    ("wasm", "application/wasm"),
    ("zip", "application/zip"),
    ("gz", "application/gzip"),
    ("xz", "application/x-xz"),
    ("zst", "application/zstd"),
    ("7z", "application/x-7z-compressed"),
    ("rar", "application/vnd.rar"),
    ("tar", "application/x-tar"),
    ("iso", "application/x-iso9660-image"),
    ("torrent", "application/x-bittorrent"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, want: &str) {
        assert_eq!(media_type_of(name), want, "{name:?}");
    }

    #[test]
    fn the_extension_in_any_case_says_the_type() {
        check("film.mkv", "video/x-matroska");
        check("Films/FILM.MP4", "video/mp4");
        check("a.b/c.part.webm", "video/webm");
        check("\u{e9}t\u{e9}.flac", "audio/flac");
        check("subs.vtt", "text/vtt; charset=utf-8");
    }

    #[test]
    fn no_extension_or_an_unknown_one_is_plain_bytes() {
        for name in [
            "film",
            "film.",
            ".mkv",
            "dir/.mp4",
            "a.mp4/film",
            "film.xyz",
            "film.mkv ",
        ] {
            check(name, OCTET_STREAM);
        }
    }

    #[test]
    fn no_extension_is_listed_twice_or_in_upper_case() {
        let names: std::collections::BTreeSet<_> = TYPES.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), TYPES.len());
        assert!(
            TYPES
                .iter()
                .all(|(name, _)| *name == name.to_ascii_lowercase())
        );
    }

    #[test]
    fn what_a_browser_runs_is_active_whatever_its_spelling() {
        for active in [
            "text/html",
            "TEXT/HTML; charset=x",
            " text/html ",
            "image/svg+xml",
            "application/xhtml+xml",
            "text/xml",
            "application/javascript",
            "text/ecmascript",
            "multipart/x-mixed-replace",
            "message/rfc822",
            "application/dash+xml",
            "",
            "nonsense",
            "/",
            "text/",
        ] {
            assert!(is_active(active), "{active:?}");
        }
    }

    #[test]
    fn films_sound_pictures_and_plain_text_are_not_active() {
        for plain in [
            "mkv", "mp4", "mp3", "jpg", "png", "txt", "json", "pdf", "srt", "vtt", "iso",
        ] {
            assert!(
                !is_active(media_type_of(&format!("x.{plain}"))),
                "{plain:?}"
            );
        }
        assert!(!is_active(OCTET_STREAM));
    }
}
