//! Addresses as they may be shown.

/// An address without a name and password of a user, which belong neither on a screen nor in a log. What
/// is no address is cut in the same way.
pub fn without_user(url: &str) -> String {
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), url),
    };
    // A password may hold any letter, a slash too where the address is malformed.
    match rest.rsplit_once('@') {
        Some((_, place)) => format!("{scheme}{place}"),
        None => format!("{scheme}{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_cut_and_the_rest_is_told() {
        for (url, want) in [
            ("http://a:1/x", "http://a:1/x"),
            ("http://u:p@a:1/x", "http://a:1/x"),
            ("http://u:p@q/r@a", "http://a"),
            ("u:p@a", "a"),
            ("a:1", "a:1"),
            ("", ""),
        ] {
            assert_eq!(without_user(url), want, "{url}");
        }
    }
}
