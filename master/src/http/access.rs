//! Who may do what: one rule for each route, and nothing without one.

use super::error::HttpError;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Method};
use mdfs_core::time::LogTime;
use mdfs_protocol::access::{ClusterKey, LINK_SIGNATURE, LinkKey, Secret};
use mdfs_protocol::problem::Code;

/// The secrets that a master knows callers by. Two of a kind are accepted while one is rotated.
#[derive(Clone, Debug)]
pub struct Access {
    /// Root tokens: may do everything.
    pub root: Vec<Secret>,
    /// Cluster keys: other servers.
    pub cluster: Vec<ClusterKey>,
    /// Link keys; new links are signed with the first.
    pub links: Vec<LinkKey>,
}

/// Who may use a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Everybody.
    Anyone,
    /// The bearer of a root token.
    Root,
    /// The bearer of a root token; for `GET` and `HEAD` also whoever has a signed link to it.
    RootOrLink,
    /// Servers of the cluster.
    Servers,
}

/// Query parameters that people put secrets in.
const SECRET_PARAMETERS: [&str; 8] = [
    "access_token",
    "api_key",
    "apikey",
    "auth_token",
    "authorization",
    "bearer",
    "secret",
    "token",
];

impl Access {
    /// Decides whether a request may go on.
    ///
    /// # Errors
    /// [`Code::Unauthorized`] unless the rule lets the caller in; [`Code::InvalidRequest`] for a
    /// secret in the URL, right or wrong, because URLs end up in logs.
    pub(crate) fn check(
        &self,
        rule: Rule,
        method: &Method,
        raw_path: &str,
        raw_query: &str,
        headers: &HeaderMap,
        now: LogTime,
    ) -> Result<(), HttpError> {
        if let Some(name) = secret_parameter(raw_query) {
            let hint = "send it as 'Authorization: Bearer TOKEN', or sign a link with /v1/sign";
            return Err(HttpError::invalid(format!(
                "{name:?} does not belong in a URL: {hint}"
            )));
        }
        let authorization = headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        match rule {
            Rule::Anyone => Ok(()),
            Rule::Root => self.check_root(authorization),
            Rule::RootOrLink => {
                let reads = method == Method::GET || method == Method::HEAD;
                if reads && authorization.is_none() && is_signed(raw_query) {
                    self.check_link(raw_path, raw_query, now)
                } else {
                    self.check_root(authorization)
                }
            }
            Rule::Servers => {
                if self.cluster.iter().any(|key| key.admits(authorization)) {
                    Ok(())
                } else {
                    Err(HttpError::new(
                        Code::Unauthorized,
                        "only servers of the cluster may ask",
                    ))
                }
            }
        }
    }

    fn check_root(&self, authorization: Option<&str>) -> Result<(), HttpError> {
        let token = authorization.and_then(bearer);
        match token {
            None => Err(HttpError::new(
                Code::Unauthorized,
                "no bearer token was sent",
            )),
            Some(token) if self.root.iter().any(|root| root.matches(token.as_bytes())) => Ok(()),
            Some(_) => Err(HttpError::new(Code::Unauthorized, "the token is not known")),
        }
    }

    fn check_link(&self, path: &str, query: &str, now: LogTime) -> Result<(), HttpError> {
        let now_seconds = now.as_millis() / 1000;
        let mut why = None;
        for key in &self.links {
            match key.check(path, query, now_seconds) {
                Ok(()) => return Ok(()),
                Err(refused) => why = Some(refused),
            }
        }
        let detail = why.map_or("links are not accepted".to_owned(), |why| why.to_string());
        Err(HttpError::new(Code::Unauthorized, detail))
    }
}

fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn is_signed(raw_query: &str) -> bool {
    keys(raw_query).any(|key| key == LINK_SIGNATURE)
}

fn secret_parameter(raw_query: &str) -> Option<&str> {
    keys(raw_query).find(|key| {
        SECRET_PARAMETERS
            .iter()
            .any(|secret| key.eq_ignore_ascii_case(secret))
    })
}

fn keys(raw_query: &str) -> impl Iterator<Item = &str> {
    raw_query
        .split('&')
        .map(|pair| pair.split_once('=').map_or(pair, |(key, _)| key))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";
    const NOW: LogTime = LogTime::from_millis(1_700_000_000_000);

    fn access() -> Access {
        let secret = |fill: u8| Secret::new(&[fill; 32]).unwrap();
        Access {
            root: vec![Secret::new(TOKEN.as_bytes()).unwrap()],
            cluster: vec![ClusterKey::new(&secret(b'c'))],
            links: vec![LinkKey::new(secret(b'l')), LinkKey::new(secret(b'm'))],
        }
    }

    fn check(rule: Rule, method: &Method, query: &str, authorization: &str) -> Result<(), Code> {
        let mut headers = HeaderMap::new();
        if !authorization.is_empty() {
            headers.insert(AUTHORIZATION, authorization.parse().unwrap());
        }
        access()
            .check(rule, method, "/play/f.mkv", query, &headers, NOW)
            .map_err(|error| error.code())
    }

    #[test]
    fn each_rule_lets_in_whom_it_says() {
        let root = format!("Bearer {TOKEN}");
        let server = access().cluster[0].authorization();
        for (rule, anyone, with_root, with_key) in [
            (Rule::Anyone, true, true, true),
            (Rule::Root, false, true, false),
            (Rule::RootOrLink, false, true, false),
            (Rule::Servers, false, false, true),
        ] {
            for (authorization, let_in) in [
                ("", anyone),
                ("Bearer wrong", anyone),
                (&root, with_root),
                (&server, with_key),
            ] {
                let want = if let_in {
                    Ok(())
                } else {
                    Err(Code::Unauthorized)
                };
                assert_eq!(
                    check(rule, &Method::GET, "", authorization),
                    want,
                    "{rule:?}"
                );
            }
        }
    }

    #[test]
    fn a_link_of_either_key_reads_and_does_nothing_else() {
        let access = access();
        for key in &access.links {
            let link = key.sign("/play/f.mkv", "download=1", 1_700_000_060);
            assert_eq!(check(Rule::RootOrLink, &Method::GET, &link, ""), Ok(()));
            assert_eq!(check(Rule::RootOrLink, &Method::HEAD, &link, ""), Ok(()));
            let refused = Err(Code::Unauthorized);
            assert_eq!(check(Rule::RootOrLink, &Method::PUT, &link, ""), refused);
            assert_eq!(check(Rule::Root, &Method::GET, &link, ""), refused);
            let longer = link.replace("download=1", "download=0");
            assert_eq!(check(Rule::RootOrLink, &Method::GET, &longer, ""), refused);
            let late = key.sign("/play/f.mkv", "", 1_700_000_000);
            assert_eq!(check(Rule::RootOrLink, &Method::GET, &late, ""), refused);
            let other = key.sign("/play/g.mkv", "", 1_700_000_060);
            assert_eq!(check(Rule::RootOrLink, &Method::GET, &other, ""), refused);
        }
    }

    #[test]
    fn a_secret_in_the_url_is_refused_with_a_hint_even_if_it_is_right() {
        let root = format!("Bearer {TOKEN}");
        for query in [format!("token={TOKEN}"), "a=b&Access_Token=x".to_owned()] {
            let refused = check(Rule::Root, &Method::GET, &query, &root);
            assert_eq!(refused, Err(Code::InvalidRequest));
        }
    }
}
