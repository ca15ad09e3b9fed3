//! Signed links: what was altered is refused, and what was not signed too.

use super::kind;
use crate::Target;
use mdfs_core::id::TokenId;
use mdfs_protocol::access::Secret;
use mdfs_protocol::link::{LINK_MAX_SECONDS, Link, LinkKey, LinkMethod, check_link};

const NOW: u64 = 1_700_000_000;
const PATH: &str = "/play/films/a%20b.mkv";

/// The target: where and how a sound link is altered, then a query of its own.
pub const TARGET: Target = Target {
    name: "link",
    run,
    seeds: || vec![signed(1).into_bytes(), signed(0).into_bytes()],
    words: &[
        "&",
        "=",
        "signature=",
        "expires=",
        "key=",
        "by=",
        "max_bytes=",
        "&signature=",
        "%26",
    ],
};

fn keys() -> Vec<LinkKey> {
    let key = |fill: u8| Secret::new(&[fill; 32]).map(LinkKey::new);
    [b'a', b'b']
        .into_iter()
        .filter_map(|fill| key(fill).ok())
        .collect()
}

/// A sound link: of the kind that the bits of `what` say.
fn signed(what: u8) -> String {
    let link = Link {
        method: if what & 1 == 0 {
            LinkMethod::Get
        } else {
            LinkMethod::Put
        },
        path: PATH,
        query: if what & 2 == 0 { "" } else { "download=1" },
        by: (what & 4 != 0).then_some(TokenId::from_u128(7)),
        max_bytes: (what & 8 != 0).then_some(1 << 20),
        expires: NOW + LINK_MAX_SECONDS / 2,
    };
    let keys = keys();
    let key = keys.get(usize::from(what >> 4 & 1));
    key.map(|key| key.sign(&link)).unwrap_or_default()
}

fn run(bytes: &[u8]) -> u64 {
    let keys = keys();
    let &[what, at, low, with, ref rest @ ..] = bytes else {
        return 0;
    };
    let whole = signed(what);
    let method = if what & 1 == 0 {
        LinkMethod::Get
    } else {
        LinkMethod::Put
    };
    let other = if what & 1 == 0 {
        LinkMethod::Put
    } else {
        LinkMethod::Get
    };
    let check = |method, path: &str, query: &str, now| check_link(&keys, method, path, query, now);
    assert!(check(method, PATH, &whole, NOW).is_ok(), "{whole}");
    assert!(check(other, PATH, &whole, NOW).is_err(), "{whole}");
    assert!(
        check(method, "/play/films/a b.mkv", &whole, NOW).is_err(),
        "{whole}"
    );
    assert!(
        check(method, PATH, &whole, NOW + LINK_MAX_SECONDS).is_err(),
        "{whole}"
    );

    // Altered in one place: a letter replaced, put in or left out.
    let at = usize::from(u16::from_le_bytes([at, low])) % whole.len().max(1);
    let letter = char::from(with & 0x7f).to_string();
    let (before, behind) = whole.split_at_checked(at).unwrap_or((&whole, ""));
    let behind_next = behind.get(1..).unwrap_or_default();
    for altered in [
        format!("{before}{letter}{behind_next}"),
        format!("{before}{letter}{behind}"),
        format!("{before}{behind_next}"),
    ] {
        let same = altered == whole;
        assert_eq!(
            check(method, PATH, &altered, NOW).is_ok(),
            same,
            "{altered}"
        );
    }

    // What nobody signed.
    let Ok(query) = std::str::from_utf8(rest) else {
        return 1;
    };
    let genuine = (0..32).map(signed).any(|known| known == query);
    let results = [LinkMethod::Get, LinkMethod::Put]
        .map(|method| check(method, PATH, query, NOW).map_err(|error| error.to_string()));
    assert!(genuine || results.iter().all(Result::is_err), "{query}");
    let parts = query.split('&').count().min(9);
    kind((
        what & 31,
        parts,
        results[0].is_ok(),
        format!("{results:?}").len(),
    ))
}
