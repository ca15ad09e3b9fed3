//! The page: `index.html` with the hash of each file that it names, and the map by which modules find
//! each other by names without hashes.

use super::{File, IMPORTS, INDEX};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Where the import map goes.
const PLACE: &str = "<!-- importmap -->";

/// What is made of the files.
pub(super) struct Page {
    pub(super) html: String,
    pub(super) policy: String,
}

/// Makes it; none if there is no page among the files.
///
/// All URLs are relative, so that it works below any path of a proxy.
pub(super) fn make(files: &BTreeMap<String, File>) -> Option<Page> {
    let html = std::str::from_utf8(&files.get(INDEX)?.bytes).ok()?;
    let map = import_map(files);
    let policy = policy(&map);
    let mut html = html.replacen(
        PLACE,
        &format!("<script type=\"importmap\">{map}</script>"),
        1,
    );
    for (path, file) in files {
        let plain = format!("\"console/{path}\"");
        let hashed = format!("\"console/{path}?h={}\"", file.hash);
        html = html.replace(&plain, &hashed);
    }
    Some(Page { html, policy })
}

/// Each file under its own name, and under its short one if it has one.
fn import_map(files: &BTreeMap<String, File>) -> String {
    let mut imports = Map::new();
    let short = files.get(IMPORTS).map(|file| file.bytes.as_ref());
    let short: BTreeMap<String, String> = short
        .and_then(|bytes| serde_json::from_slice(bytes).ok())
        .unwrap_or_default();
    let hashed = |path: &str, file: &File| format!("./console/{path}?h={}", file.hash);
    for (name, path) in short {
        if let Some(file) = files.get(&path) {
            imports.insert(name, hashed(&path, file).into());
        }
    }
    for (path, file) in files {
        if path != INDEX && path != IMPORTS {
            imports.insert(format!("./console/{path}"), hashed(path, file).into());
        }
    }
    let map = Value::from(Map::from_iter([("imports".to_owned(), imports.into())]));
    // It stands in a script, which such a text would end.
    map.to_string().replace('<', "\\u003c")
}

/// Nothing from elsewhere, and no script in a page but the import map.
fn policy(map: &str) -> String {
    let digest = base64(&Sha256::digest(map.as_bytes()));
    format!(
        "default-src 'self'; script-src 'self' 'sha256-{digest}'; style-src 'self'; \
         img-src 'self' data: blob:; media-src 'self' blob:; connect-src 'self'; object-src 'none'; \
         base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |bits: u32| char::from(DIGITS.get(bits as usize & 63).copied().unwrap_or(b'A'));
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let byte = |at: usize| u32::from(three.get(at).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        text.push(digit(bits >> 18));
        text.push(digit(bits >> 12));
        text.push(if three.len() > 1 {
            digit(bits >> 6)
        } else {
            '='
        });
        text.push(if three.len() > 2 { digit(bits) } else { '=' });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_rfc_4648() {
        for (bytes, want) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
            ("?>~", "Pz5+"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), want);
        }
    }
}
