use super::*;
use crate::leader::handle::Question;
use http::Method;
use mdfs_core::access::{Folder, Grant, Role};
use mdfs_core::records::{TokenHash, TokenRecord};
use mdfs_core::time::LogTime;
use mdfs_protocol::link::Link;
use mdfs_service::Tasks;
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

const ROOT: &str = "0123456789abcdef0123456789abcdef";
const PATH: &str = "/play/f.mkv";
const NOW: u64 = 1_700_000_000;
const NAMED: Rule = Rule::Name(Role::Read);

/// An entrance before a leader that knows one token, as long as it is there.
struct Setup {
    entrance: Entrance,
    clock: Clock,
    known: Arc<Mutex<Option<TokenRecord>>>,
    asked: Arc<Mutex<usize>>,
    leads: Arc<Mutex<Leads>>,
}

/// Whether a leader answers.
#[derive(Clone, Copy)]
enum Leads {
    Yes,
    /// Every master says so.
    Nobody,
    /// Whoever is asked holds the question.
    Perhaps,
}

fn secret(fill: u8) -> Secret {
    Secret::new(&[fill; 32]).unwrap()
}

fn token(fill: u8) -> BearerToken {
    BearerToken::new(TokenId::from_u128(7), [fill; 32])
}

fn record(hash: TokenHash) -> TokenRecord {
    TokenRecord {
        hash,
        label: "player".to_owned(),
        grant: Grant {
            roles: [Role::Read].into_iter().collect(),
            folder: Folder::default(),
        },
        created: LogTime::from_millis(NOW * 1000),
        expires: LogTime::from_millis((NOW + 3600) * 1000),
    }
}

impl Setup {
    fn new() -> Self {
        let (sender, mut inbox) = mpsc::channel(8);
        let known = Arc::new(Mutex::new(Some(record(token(1).hash()))));
        let asked = Arc::new(Mutex::new(0));
        let (answers, count) = (Arc::clone(&known), Arc::clone(&asked));
        let leads = Arc::new(Mutex::new(Leads::Yes));
        let now = Arc::clone(&leads);
        let tasks = Tasks::new(CancellationToken::new());
        let _running = tasks.spawn_request("leader", async move {
            let mut held = Vec::new();
            while let Some(Question::Token(id, answer)) = inbox.recv().await {
                *count.lock().unwrap() += 1;
                let known = answers.lock().unwrap().clone();
                let leads = *now.lock().unwrap();
                let _ = match leads {
                    Leads::Yes => answer.send(Ok(known.filter(|_| id == token(1).id()))),
                    Leads::Nobody => answer.send(Err(Error::NoLeader)),
                    Leads::Perhaps => {
                        held.push(answer);
                        Ok(())
                    }
                };
            }
        });
        let access = Access {
            root: vec![Secret::new(ROOT.as_bytes()).unwrap(), secret(b'r')],
            cluster: vec![ClusterKey::new(&secret(b'c'))],
            links: vec![LinkKey::new(secret(b'l')), LinkKey::new(secret(b'm'))],
            proxies: Vec::new(),
            failures: crate::config::Failures::default(),
        };
        let clock = Clock::manual();
        Self {
            entrance: Entrance::new(access, LeaderHandle::new(sender), clock.clone(), true),
            clock,
            known,
            asked,
            leads,
        }
    }

    async fn ask(
        &self,
        rule: Rule,
        method: &Method,
        query: &str,
        authorization: &str,
    ) -> Result<String, Code> {
        let mut headers = HeaderMap::new();
        if !authorization.is_empty() {
            headers.insert(AUTHORIZATION, authorization.parse().unwrap());
        }
        if *method == Method::PUT {
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("100"));
        }
        let request = Presented {
            method: method.as_str(),
            raw_path: PATH,
            raw_query: query,
            headers: &headers,
            address: "10.0.0.1".parse().unwrap(),
        };
        let caller = self.entrance.identify(rule, &request).await;
        caller
            .map(|caller| caller.to_string())
            .map_err(|error| error.code())
    }

    async fn get(&self, query: &str, authorization: &str) -> Result<String, Code> {
        self.ask(NAMED, &Method::GET, query, authorization).await
    }

    async fn bearer(&self, token: &BearerToken) -> Result<String, Code> {
        self.get("", &format!("Bearer {}", token.expose())).await
    }
}

fn link(method: LinkMethod, by: Option<TokenId>, max_bytes: Option<u64>) -> Link<'static> {
    Link {
        method,
        path: PATH,
        query: "",
        by,
        max_bytes,
        expires: NOW + 60,
    }
}

#[tokio::test]
async fn each_rule_knows_callers_by_what_it_says() {
    let setup = Setup::new();
    let server = setup.entrance.access.cluster[0].authorization();
    let refused = Err(Code::Unauthorized);
    let known = |who: &str| Ok(who.to_owned());
    let id = token(1).id().to_string();
    for rule in [
        Rule::Anyone,
        Rule::Servers,
        Rule::Has(Role::Admin),
        Rule::Act,
        Rule::Holder,
        NAMED,
    ] {
        let (bearers, servers) = match rule {
            Rule::Anyone => (Some("nobody"), known("nobody")),
            Rule::Servers => (None, known("server")),
            _ => (Some(""), refused.clone()),
        };
        for (authorization, who) in [
            (format!("Bearer {ROOT}"), Some("root")),
            (format!("bearer  {ROOT} "), Some("root")),
            (format!("Bearer {}", "r".repeat(32)), Some("root")),
            (format!("Bearer {}", token(1).expose()), Some(&*id)),
            (format!("Bearer {}", token(2).expose()), None),
            (format!("Bearer {ROOT}0"), None),
            (format!("Basic {ROOT}"), None),
            ("Bearer".to_owned(), None),
            (String::new(), None),
        ] {
            let want = match (bearers, who) {
                (Some("nobody"), _) => known("nobody"),
                (Some(_), Some(who)) => known(who),
                _ => refused.clone(),
            };
            let got = setup.ask(rule, &Method::GET, "", &authorization).await;
            assert_eq!(got, want, "{rule:?} {authorization}");
        }
        let got = setup.ask(rule, &Method::GET, "", &server).await;
        assert_eq!(got, servers, "{rule:?}");
    }
}

#[tokio::test]
async fn the_leader_is_asked_once_a_second_and_a_revoked_token_ends_within_that() {
    let setup = Setup::new();
    let asked = || *setup.asked.lock().unwrap();
    for _ in 0..100 {
        setup.bearer(&token(1)).await.unwrap();
    }
    assert_eq!(asked(), 1);
    *setup.known.lock().unwrap() = None;
    setup.clock.advance(Duration::from_millis(999));
    setup.bearer(&token(1)).await.unwrap();
    setup.clock.advance(Duration::from_millis(1));
    assert_eq!(setup.bearer(&token(1)).await, Err(Code::Unauthorized));
    assert_eq!(asked(), 2);
}

#[tokio::test]
async fn a_token_that_is_forgotten_is_asked_for_at_once() {
    let setup = Setup::new();
    setup.bearer(&token(1)).await.unwrap();
    *setup.known.lock().unwrap() = None;
    setup.entrance.forget(token(1).id());
    assert_eq!(setup.bearer(&token(1)).await, Err(Code::Unauthorized));
}

#[tokio::test(start_paused = true)]
async fn without_a_leader_a_token_that_was_sound_sees_figures_and_nothing_else() {
    let authorization = format!("Bearer {}", token(1).expose());
    for leads in [Leads::Nobody, Leads::Perhaps] {
        let setup = Setup::new();
        let to = |rule| setup.ask(rule, &Method::GET, "", &authorization);
        let hour = Duration::from_secs(60 * 60);
        if let Some(record) = setup.known.lock().unwrap().as_mut() {
            record.expires = LogTime::from_millis(NOW * 1000 + 30 * 3_600_000);
        }
        let holder = to(FIGURES).await.unwrap();
        *setup.leads.lock().unwrap() = leads;
        setup.clock.advance(23 * hour);
        assert_eq!(to(FIGURES).await, Ok(holder));
        // Not another of the same name.
        let other = format!("Bearer {}", token(2).expose());
        let other = setup.ask(FIGURES, &Method::GET, "", &other);
        let waited = tokio::time::timeout(Duration::from_secs(5), other).await;
        assert!(!matches!(waited, Ok(Ok(_))));
        let admin = to(Rule::Has(Role::Admin));
        let waited = tokio::time::timeout(Duration::from_secs(5), admin).await;
        assert!(!matches!(waited, Ok(Ok(_))));
        setup.clock.advance(hour);
        let waited = tokio::time::timeout(Duration::from_secs(5), to(FIGURES)).await;
        assert!(!matches!(waited, Ok(Ok(_))), "a day later");
    }
}

#[tokio::test]
async fn without_a_leader_no_token_sees_figures_that_was_revoked_before_or_has_expired() {
    let authorization = format!("Bearer {}", token(1).expose());
    for revoked in [true, false] {
        let setup = Setup::new();
        let to = || setup.ask(FIGURES, &Method::GET, "", &authorization);
        to().await.unwrap();
        if revoked {
            *setup.known.lock().unwrap() = None;
            setup.clock.advance(Duration::from_secs(1));
            assert_eq!(to().await, Err(Code::Unauthorized));
        }
        *setup.leads.lock().unwrap() = Leads::Nobody;
        let span = if revoked { 1 } else { 3600 };
        setup.clock.advance(Duration::from_secs(span));
        assert_eq!(to().await, Err(Code::NoLeader));
    }
}

#[tokio::test]
async fn a_token_ends_when_it_expires() {
    let setup = Setup::new();
    setup.clock.advance(Duration::from_millis(3_599_999));
    setup.bearer(&token(1)).await.unwrap();
    setup.clock.advance(Duration::from_millis(1));
    assert_eq!(setup.bearer(&token(1)).await, Err(Code::Unauthorized));
}

#[tokio::test]
async fn a_link_does_what_it_was_signed_for_and_nothing_else() {
    let setup = Setup::new();
    for key in &setup.entrance.access.links {
        let query = key.sign(&link(LinkMethod::Get, None, None));
        let root = Ok("link/root".to_owned());
        assert_eq!(setup.get(&query, "").await, root);
        let refused = Err(Code::Unauthorized);
        let head = setup.ask(NAMED, &Method::HEAD, &query, "").await;
        assert_eq!(head, root);
        for method in [Method::PUT, Method::DELETE, Method::POST] {
            assert_eq!(setup.ask(NAMED, &method, &query, "").await, refused);
        }
        for rule in [Rule::Has(Role::Admin), Rule::Act, Rule::Holder] {
            assert_eq!(setup.ask(rule, &Method::GET, &query, "").await, refused);
        }
        // A token decides where there is one.
        assert_eq!(setup.get(&query, "Bearer no").await, refused);
    }
}

#[tokio::test]
async fn a_link_to_store_takes_no_more_bytes_than_it_says() {
    let setup = Setup::new();
    let key = &setup.entrance.access.links[0];
    for (most, want) in [
        (None, Ok("link/root".to_owned())),
        (Some(100), Ok("link/root".to_owned())),
        (Some(99), Err(Code::TooLarge)),
    ] {
        let query = key.sign(&link(LinkMethod::Put, None, most));
        let got = setup.ask(NAMED, &Method::PUT, &query, "").await;
        assert_eq!(got, want, "{most:?}");
    }
    let headers = HeaderMap::new();
    let without = check_length(&headers, 100).map_err(|error| error.code());
    assert_eq!(without, Err(Code::LengthRequired));
}

#[tokio::test]
async fn a_link_ends_with_the_token_that_signed_it() {
    let setup = Setup::new();
    let key = &setup.entrance.access.links[0];
    let id = token(1).id();
    let query = key.sign(&link(LinkMethod::Get, Some(id), None));
    assert_eq!(setup.get(&query, "").await, Ok(format!("link/{id}")));
    *setup.known.lock().unwrap() = None;
    setup.clock.advance(Duration::from_secs(1));
    assert_eq!(setup.get(&query, "").await, Err(Code::Unauthorized));
}

#[tokio::test]
async fn a_secret_in_the_url_is_refused_with_a_hint_even_if_it_is_right() {
    let setup = Setup::new();
    let root = format!("Bearer {ROOT}");
    for query in [
        format!("token={ROOT}"),
        "a=b&Access_Token=x".to_owned(),
        "%74oken=x".to_owned(),
        "password".to_owned(),
        format!("x={}", token(1).expose()),
    ] {
        for rule in [Rule::Anyone, NAMED] {
            let refused = setup.ask(rule, &Method::GET, &query, &root).await;
            assert_eq!(refused, Err(Code::InvalidRequest), "{query}");
        }
    }
}

#[tokio::test]
async fn failures_are_bounded_and_hinder_nobody_who_is_known() {
    let setup = Setup::new();
    setup.bearer(&token(1)).await.unwrap();
    let mut refused = Vec::new();
    for _ in 0..100 {
        refused.push(setup.bearer(&token(2)).await.unwrap_err());
    }
    let asked = *setup.asked.lock().unwrap();
    let unauthorized = refused.iter().filter(|code| **code == Code::Unauthorized);
    assert_eq!(unauthorized.count(), 60);
    assert_eq!(refused.last(), Some(&Code::TooManyFailures));
    // Whatever is wrong counts: other texts, other schemes, links.
    let wrong_link = setup.get("signature=x", "").await;
    assert_eq!(wrong_link, Err(Code::TooManyFailures));
    let basic = setup.get("", "Basic abc").await;
    assert_eq!(basic, Err(Code::TooManyFailures));
    // What is known goes on, also when the leader has to be asked again.
    setup.get("", &format!("Bearer {ROOT}")).await.unwrap();
    setup.clock.advance(Duration::from_millis(1));
    setup.bearer(&token(1)).await.unwrap();
    setup.clock.advance(Duration::from_secs(2));
    setup.bearer(&token(1)).await.unwrap();
    assert!(*setup.asked.lock().unwrap() <= asked + 1);
    assert_eq!(setup.get("", "").await, Err(Code::Unauthorized));
}

impl Setup {
    /// The cookie of whoever logs in with a token.
    async fn cookie(&self, text: &str) -> String {
        let address = "10.0.0.1".parse().unwrap();
        let caller = self.entrance.by_text(text, address).await.unwrap();
        let (key, value, _) = self.entrance.session(&caller, text).unwrap();
        format!("{}={value}", key.cookie())
    }

    async fn by_cookie(&self, cookie: &str) -> Result<String, Code> {
        let mut headers = HeaderMap::new();
        headers.insert(http::header::COOKIE, cookie.parse().unwrap());
        let request = Presented {
            method: "GET",
            raw_path: PATH,
            raw_query: "",
            headers: &headers,
            address: "10.0.0.1".parse().unwrap(),
        };
        let caller = self.entrance.identify(NAMED, &request).await;
        caller
            .map(|caller| caller.to_string())
            .map_err(|error| error.code())
    }
}

#[tokio::test]
async fn a_session_ends_with_the_root_token_that_opened_it_and_with_no_other() {
    let mut setup = Setup::new();
    let second = setup.cookie(&"r".repeat(32)).await;
    let first = setup.cookie(ROOT).await;
    for cookie in [&first, &second] {
        assert_eq!(setup.by_cookie(cookie).await, Ok("root".to_owned()));
    }
    // One is rotated away: it is the one that somebody else may know.
    setup.entrance.access.root.remove(0);
    assert_eq!(setup.by_cookie(&first).await, Err(Code::Unauthorized));
    assert_eq!(setup.by_cookie(&second).await, Ok("root".to_owned()));
}

#[tokio::test]
async fn a_session_of_a_token_that_ended_costs_the_leader_no_question_each() {
    let setup = Setup::new();
    let cookie = setup.cookie(&token(1).expose()).await;
    *setup.known.lock().unwrap() = None;
    setup.clock.advance(Duration::from_secs(1));
    let before = *setup.asked.lock().unwrap();
    let mut last = Ok(String::new());
    for _ in 0..100 {
        last = setup.by_cookie(&cookie).await;
    }
    assert_eq!(last, Err(Code::TooManyFailures));
    assert_eq!(*setup.asked.lock().unwrap() - before, 61);
    // What is known is not hindered, and what was not asked for yet is no failure.
    let root = setup.cookie(ROOT).await;
    assert_eq!(setup.by_cookie(&root).await, Ok("root".to_owned()));
}

#[tokio::test]
async fn a_session_that_another_master_opened_is_no_failure() {
    let (one, other) = (Setup::new(), Setup::new());
    let cookie = one.cookie(&token(1).expose()).await;
    for _ in 0..100 {
        other.entrance.forget(token(1).id());
        assert!(other.by_cookie(&cookie).await.is_ok());
    }
}
