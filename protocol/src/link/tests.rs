use super::*;

const NOW: u64 = 1_700_000_000;
const PATH: &str = "/play/films/a%20b.mkv";

fn key(byte: u8) -> LinkKey {
    LinkKey::new(Secret::new(&[byte; 32]).unwrap())
}

fn link() -> Link<'static> {
    Link {
        method: LinkMethod::Get,
        path: PATH,
        query: "",
        by: None,
        max_bytes: None,
        expires: NOW + 60,
    }
}

fn check(key: &LinkKey, query: &str, now: u64) -> Result<Signed, LinkRefused> {
    key.check(LinkMethod::Get, PATH, query, now)
}

#[test]
fn a_link_works_until_it_expires() {
    let query = key(1).sign(&link());
    let nothing = Signed {
        by: None,
        max_bytes: None,
    };
    assert_eq!(check(&key(1), &query, NOW), Ok(nothing));
    assert_eq!(check(&key(1), &query, NOW + 59), Ok(nothing));
    for late in [60, 61, 3600] {
        let refused = check(&key(1), &query, NOW + late);
        assert_eq!(refused, Err(LinkRefused::Expired), "{late}");
    }
    let of = |seconds| {
        key(1).sign(&Link {
            expires: NOW + seconds,
            ..link()
        })
    };
    assert!(check(&key(1), &of(LINK_MAX_SECONDS + 60), NOW).is_ok());
    let long = check(&key(1), &of(LINK_MAX_SECONDS + 61), NOW);
    assert_eq!(long, Err(LinkRefused::TooLong));
}

#[test]
fn a_link_says_who_signed_it_and_how_much_it_stores() {
    let by = TokenId::from_u128(0xabc);
    for (by, max_bytes, query) in [
        (Some(by), Some(1 << 40), ""),
        (Some(by), None, "download=1"),
        (None, Some(0), "download=1"),
    ] {
        let signed = key(1).sign(&Link {
            by,
            max_bytes,
            query,
            ..link()
        });
        assert_eq!(check(&key(1), &signed, NOW), Ok(Signed { by, max_bytes }));
    }
}

#[test]
fn either_key_is_accepted_while_one_is_rotated_and_no_third() {
    let keys = [key(1), key(2)];
    let with = |byte| {
        let query = key(byte).sign(&link());
        check_link(&keys, LinkMethod::Get, PATH, &query, NOW)
    };
    assert!(with(1).is_ok() && with(2).is_ok());
    assert_eq!(with(3), Err(LinkRefused::Altered));
    // The name of a key is not what makes it one.
    let named = key(3).sign(&link()).replace(&key(3).id, &key(1).id);
    let refused = check_link(&keys, LinkMethod::Get, PATH, &named, NOW);
    assert_eq!(refused, Err(LinkRefused::Altered));
}

#[test]
fn a_link_is_of_one_method() {
    let query = key(1).sign(&link());
    let put = key(1).check(LinkMethod::Put, PATH, &query, NOW);
    assert_eq!(put, Err(LinkRefused::Altered));
    for (method, want) in [
        ("GET", Some(LinkMethod::Get)),
        ("HEAD", Some(LinkMethod::Get)),
        ("PUT", Some(LinkMethod::Put)),
        ("DELETE", None),
        ("POST", None),
        ("get", None),
    ] {
        assert_eq!(LinkMethod::of(method), want, "{method}");
    }
}

/// Every single change of a link, in path or query: a bit of a character, a character taken out,
/// put in, doubled or exchanged with the next, a field taken out, doubled or exchanged with
/// another.
#[test]
fn no_single_change_of_a_link_is_accepted() {
    let query = key(1).sign(&Link {
        by: Some(TokenId::from_u128(5)),
        max_bytes: Some(100),
        query: "download=1",
        ..link()
    });
    let keys = [key(1)];
    let sound =
        |path: &str, query: &str| check_link(&keys, LinkMethod::Get, path, query, NOW).is_ok();
    assert!(sound(PATH, &query));
    let mut tried = 0;
    let mut refused = |path: &str, changed: &str| {
        if (path, changed) != (PATH, &query) {
            tried += 1;
            assert!(!sound(path, changed), "{path}?{changed}");
        }
    };
    for changed in changes(&query) {
        refused(PATH, &changed);
    }
    for changed in changes(PATH) {
        refused(&changed, &query);
    }
    let fields: Vec<&str> = query.split('&').collect();
    for at in 0..fields.len() {
        let mut without = fields.clone();
        without.remove(at);
        refused(PATH, &without.join("&"));
        for to in 0..fields.len() {
            let mut moved = fields.clone();
            moved.swap(at, to);
            refused(PATH, &moved.join("&"));
            let mut doubled = fields.clone();
            doubled.insert(to, fields[at]);
            refused(PATH, &doubled.join("&"));
        }
    }
    assert!(tried > 1500, "{tried}");
}

fn changes(text: &str) -> Vec<String> {
    let mut changed = Vec::new();
    let bytes = text.as_bytes();
    for at in 0..bytes.len() {
        for bit in [1, 2, 4, 0x20] {
            let mut flipped = bytes.to_vec();
            flipped[at] ^= bit;
            changed.push(flipped);
        }
        let mut out = bytes.to_vec();
        out.remove(at);
        changed.push(out);
        for new in [b'0', b'&', b'%', bytes[at]] {
            let mut longer = bytes.to_vec();
            longer.insert(at, new);
            changed.push(longer);
        }
        changed.push(bytes[..at].to_vec());
    }
    changed.push([bytes, b"&"].concat());
    changed.push([bytes, b"&x=1"].concat());
    let texts = changed.into_iter().map(String::from_utf8);
    texts.map(Result::unwrap).collect()
}
