//! File names from paths: percent-decoded once, then checked.

use super::error::HttpError;
use mdfs_core::name::FileName;
use mdfs_protocol::problem::Code;
use percent_encoding::percent_decode_str;

/// Reads the name that stands in the raw path of a request behind `prefix`.
///
/// # Errors
/// [`Code::InvalidName`] if an escape is malformed, the bytes are not UTF-8, or the name breaks a
/// rule. Nothing is normalised: `..` is refused, not resolved.
pub(crate) fn name_in_path(raw_path: &str, prefix: &str) -> Result<FileName, HttpError> {
    let raw = raw_path.strip_prefix(prefix).unwrap_or_default();
    let text = decode(raw).map_err(|what| HttpError::new(Code::InvalidName, what))?;
    parse_name(&text)
}

/// Checks a name that came in a body.
///
/// # Errors
/// [`Code::InvalidName`], with the rule that it breaks.
pub(crate) fn parse_name(text: &str) -> Result<FileName, HttpError> {
    FileName::parse(text).map_err(|error| HttpError::new(Code::InvalidName, error.to_string()))
}

/// Undoes percent-encoding, once.
///
/// # Errors
/// Says what is wrong: an escape without two hexadecimal digits, or bytes that are not UTF-8.
pub(crate) fn decode(raw: &str) -> Result<String, &'static str> {
    let escapes_are_whole = raw.split('%').skip(1).all(|rest| {
        let digits = rest.as_bytes().first_chunk::<2>();
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    if !escapes_are_whole {
        return Err("a percent sign is not followed by two hexadecimal digits");
    }
    match percent_decode_str(raw).decode_utf8() {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => Err("the percent-decoded text is not UTF-8"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(raw_path: &str) -> Result<String, Code> {
        name_in_path(raw_path, "/v1/files/")
            .map(|name| name.as_str().to_owned())
            .map_err(|error| error.code())
    }

    #[test]
    fn names_are_decoded_exactly_once() {
        for (path, want) in [
            ("/v1/files/film.mkv", "film.mkv"),
            ("/v1/files/a/b%20c.mkv", "a/b c.mkv"),
            ("/v1/files/a%2Fb.mkv", "a/b.mkv"),
            ("/v1/files/100%25.mkv", "100%.mkv"),
            ("/v1/files/%252e%252e", "%2e%2e"),
            ("/v1/files/a+b", "a+b"),
            ("/v1/files/%C3%A4.mkv", "ä.mkv"),
            ("/v1/files/...", "..."),
        ] {
            assert_eq!(name(path), Ok(want.to_owned()), "{path}");
        }
    }

    #[test]
    fn what_is_no_name_is_refused_and_never_resolved() {
        for path in [
            "/v1/files/",
            "/v1/files/..",
            "/v1/files/a/../b",
            "/v1/files/%2e%2e",
            "/v1/files/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
            "/v1/files//etc/passwd",
            "/v1/files/%2Fetc",
            "/v1/files/a/",
            "/v1/files/a//b",
            "/v1/files/./a",
            "/v1/files/a%00b",
            "/v1/files/a%0Ab",
            "/v1/files/a%5Cb",
            "/v1/files/a%7Fb",
            "/v1/files/a%C2%85b",
            "/v1/files/a%FFb",
            "/v1/files/a%zz",
            "/v1/files/a%4",
            "/v1/files/a%",
        ] {
            assert_eq!(name(path), Err(Code::InvalidName), "{path}");
        }
        assert_eq!(
            name(&format!("/v1/files/{}", "x".repeat(1024))),
            Ok("x".repeat(1024))
        );
        let long = format!("/v1/files/{}", "x".repeat(1025));
        assert_eq!(name(&long), Err(Code::InvalidName));
    }
}
