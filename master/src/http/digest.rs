//! Checksums that a client sends along with a file.

use super::error::HttpError;
use crate::gateway::Expected;
use http::{HeaderMap, HeaderName, HeaderValue};
use mdfs_protocol::public::{BLAKE3_HEADER, CRC_HEADER};

const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");
const WANT_CONTENT_DIGEST: HeaderName = HeaderName::from_static("want-content-digest");

/// Reads what the bytes of an upload must hash to: `x-mdfs-crc32`, `x-mdfs-blake3`, and the
/// `sha-256` of `Content-Digest` (RFC 9530).
///
/// # Errors
/// For a checksum that does not parse, or a `Content-Digest` of other algorithms alone: a checksum
/// that nobody compares would promise what is not kept.
pub(crate) fn expected(headers: &HeaderMap) -> Result<Expected, HttpError> {
    Ok(Expected {
        crc32: parsed(headers, CRC_HEADER)?,
        blake3: parsed(headers, BLAKE3_HEADER)?,
        sha256: content_digest(headers)?,
    })
}

fn parsed<T>(headers: &HeaderMap, name: &str) -> Result<Option<T>, HttpError>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    let Some(value) = headers.get(name) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default().trim();
    text.parse()
        .map(Some)
        .map_err(|error| HttpError::invalid(format!("{name}: {error}")))
}

fn content_digest(headers: &HeaderMap) -> Result<Option<[u8; 32]>, HttpError> {
    let mut present = false;
    for value in headers.get_all(CONTENT_DIGEST) {
        present = true;
        for member in value.to_str().unwrap_or_default().split(',') {
            let Some((algorithm, digest)) = member.trim().split_once('=') else {
                continue;
            };
            if algorithm.eq_ignore_ascii_case("sha-256") {
                let digest = digest
                    .strip_prefix(':')
                    .and_then(|rest| rest.strip_suffix(':'));
                return digest.and_then(base64_32).map(Some).ok_or_else(|| {
                    HttpError::invalid("content-digest: sha-256 is not 32 bytes of base64")
                });
            }
        }
    }
    if present {
        let refused = HttpError::invalid("content-digest: only sha-256 is compared here");
        return Err(
            refused.with_header(WANT_CONTENT_DIGEST, HeaderValue::from_static("sha-256=10"))
        );
    }
    Ok(None)
}

/// Reads 32 bytes of base64 with its padding.
fn base64_32(text: &str) -> Option<[u8; 32]> {
    let digits = text.strip_suffix('=')?.as_bytes();
    if digits.len() != 43 {
        return None;
    }
    let mut bytes = Vec::with_capacity(33);
    let (mut bits, mut held) = (0_u32, 0_u32);
    for &digit in digits {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from((bits >> held) & 0xff).ok()?);
        }
    }
    bytes.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mdfs_core::checksum::Crc32;

    // The SHA-256 of nothing.
    const EMPTY: &str = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

    fn check(lines: &[(&'static str, &str)]) -> Result<Expected, HttpError> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        expected(&headers)
    }

    #[test]
    fn checksums_are_read_and_unknown_ones_beside_them_ignored() {
        let digest = format!("unixsum=:AAA=:, sha-256=:{EMPTY}:");
        let read = check(&[("content-digest", &digest), ("x-mdfs-crc32", "0000000A")]).unwrap();
        assert_eq!(read.crc32, Some(Crc32(10)));
        assert_eq!(read.sha256.unwrap()[..4], [0xe3, 0xb0, 0xc4, 0x42]);
        assert_eq!(read.sha256.unwrap()[31], 0x55);
        assert_eq!(check(&[]).unwrap(), Expected::default());
    }

    #[test]
    fn checksums_that_cannot_be_compared_are_refused() {
        for (name, value) in [
            ("content-digest", "sha-512=:AAAA:"),
            ("content-digest", "sha-256=:AAAA:"),
            ("content-digest", "nonsense"),
            ("x-mdfs-crc32", "12345"),
            ("x-mdfs-blake3", "12345"),
        ] {
            assert!(check(&[(name, value)]).is_err(), "{name}: {value}");
        }
    }
}
