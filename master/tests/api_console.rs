//! The HTTP interface: what browsers get.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may panic"
)]

mod support;

use axum::body::Body;
use http_body_util::BodyExt;
use mdfs_protocol::date::rfc3339;
use mdfs_protocol::problem::Code;
use mdfs_protocol::public::{
    CopiesInfo, CreatedToken, Event, EventKind, Events, FileInfo, Listing, Overview, SignedLink,
    VerifyLine,
};
use mdfs_protocol::session::SessionInfo;
use std::time::Duration;
use support::leader::term;
use support::{Answer, Setup, TOKEN};

impl Setup {
    /// The answer to a browser that nobody logged in to.
    async fn browse(&self, target: &str, lines: &str) -> Answer {
        self.ask_bare("GET", target, lines, "").await
    }
}

#[tokio::test]
async fn the_page_comes_to_anyone_and_lets_nothing_else_in() {
    let setup = Setup::new(0).await;
    let page = setup.browse("/", "").await;
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(page.header("cache-control"), "no-cache");
    assert_eq!(page.header("referrer-policy"), "no-referrer");
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    assert_eq!(page.header("cross-origin-opener-policy"), "same-origin");
    let policy = page.header("content-security-policy");
    for part in [
        "default-src 'self';",
        "script-src 'self' 'sha256-",
        "object-src 'none'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ] {
        assert!(policy.contains(part), "{policy}");
    }
    let text = String::from_utf8(page.body.to_vec()).unwrap();
    assert!(text.contains("<script type=\"importmap\">{\"imports\":{"));
    let again = format!("if-none-match: {}", page.header("etag"));
    let again = setup.browse("/", &again).await;
    assert_eq!((again.status.as_u16(), again.body.len()), (304, 0));
}

#[tokio::test]
async fn a_file_with_its_hash_is_kept_for_ever_and_any_other_asked_for_anew() {
    let setup = Setup::new(0).await;
    let plain = setup.browse("/console/index.html", "").await;
    assert_eq!(plain.header("cache-control"), "no-cache");
    let hash = plain.header("etag").trim_matches('"').to_owned();
    let kept = setup
        .browse(&format!("/console/index.html?h={hash}"), "")
        .await;
    assert!(kept.header("cache-control").contains("immutable"));
    assert_eq!(kept.body, plain.body);
    let other = setup
        .browse("/console/index.html?h=0123456789abcdef", "")
        .await;
    assert_eq!(other.header("cache-control"), "no-cache");
    for path in [
        "/console/no.js",
        "/console/../Cargo.toml",
        "/console/%2e%2e/Cargo.toml",
    ] {
        setup.browse(path, "").await.fails(Code::RouteNotFound);
    }
}

#[tokio::test]
async fn where_the_console_is_turned_off_there_is_none() {
    let setup = Setup::without_console().await;
    for path in ["/", "/console/index.html"] {
        let answer = setup.browse(path, "").await;
        answer.fails(Code::RouteNotFound);
        assert!(answer.problem().detail.contains("turned off"));
    }
}

/// What a page of this server says of itself.
const OWN: &str = "sec-fetch-site: same-origin";

impl Setup {
    async fn log_in(&self, token: &str, lines: &str) -> Answer {
        let body = format!("{{\"token\": \"{token}\"}}");
        self.ask_bare("POST", "/v1/session", lines, body).await
    }

    /// The cookie of a new session, as a browser sends it.
    async fn cookie(&self, token: &str) -> String {
        let answer = self.log_in(token, OWN).await;
        assert_eq!(answer.status, 200, "{:?}", answer.body);
        let set = answer.header("set-cookie");
        format!("cookie: other=1; {}", set.split(';').next().unwrap())
    }

    async fn token(&self, roles: &str, prefix: &str, seconds: u64) -> CreatedToken {
        let wish = format!(
            "{{\"label\": \"anna\", \"roles\": [{roles}], \"prefix\": \"{prefix}\", \
             \"expires_seconds\": {seconds}}}"
        );
        let made = self.ask("POST", "/v1/admin/tokens", "", wish).await;
        serde_json::from_slice(&made.body).unwrap()
    }
}

fn info(answer: &Answer) -> SessionInfo {
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    assert_eq!(answer.header("cache-control"), "no-store");
    serde_json::from_slice(&answer.body).unwrap()
}

#[tokio::test]
async fn whoever_logs_in_is_known_by_a_cookie_that_no_script_sees() {
    let setup = Setup::new(0).await;
    let token = setup.token("\"read\", \"write\"", "films/", 3600).await;
    let opened = setup.log_in(&token.secret, OWN).await;
    let cookie = opened.header("set-cookie");
    for part in [
        "; HttpOnly",
        "; SameSite=Strict",
        "; Path=/",
        "; Max-Age=43200",
    ] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("Secure") && !cookie.contains(&token.secret));
    let behind_tls = setup
        .log_in(&token.secret, "x-forwarded-proto: https")
        .await;
    assert!(behind_tls.header("set-cookie").ends_with("; Secure"));
    // Many proxies say nothing, but the browser does.
    let own = "host: mdfs\norigin: https://mdfs";
    let over_tls = setup.log_in(&token.secret, own).await;
    let over_tls = over_tls.header("set-cookie");
    assert!(over_tls.starts_with("__Host-mdfs-session-"), "{over_tls}");
    assert!(over_tls.contains("; Path=/;") && over_tls.ends_with("; Secure"));
    let sent = over_tls.split(';').next().unwrap();
    let stale = format!(
        "cookie: {}=x; {sent}",
        &sent["__Host-".len()..sent.find('=').unwrap()]
    );
    assert_eq!(setup.browse("/v1/session", &stale).await.status, 200);
    let plain = setup
        .log_in(&token.secret, "host: mdfs\norigin: http://mdfs")
        .await;
    assert!(plain.header("set-cookie").starts_with("mdfs-session-"));

    let known = info(
        &setup
            .browse("/v1/session", &setup.cookie(&token.secret).await)
            .await,
    );
    assert_eq!(known, info(&opened));
    assert_eq!((known.who.as_str(), known.admin), ("anna", false));
    assert_eq!(known.token_id, Some(token.info.id));
    assert_eq!(known.prefix, "films/");
    // It ends with the token, which is sooner.
    assert_eq!(
        known.expires,
        Some(setup.clock.wall().as_millis() / 1000 + 3600)
    );

    let root = info(
        &setup
            .browse("/v1/session", &setup.cookie(TOKEN).await)
            .await,
    );
    assert_eq!((root.who.as_str(), root.admin), ("root", true));
    assert_eq!(
        root.expires,
        Some(setup.clock.wall().as_millis() / 1000 + 12 * 3600)
    );
    setup
        .browse("/v1/session", "")
        .await
        .fails(Code::Unauthorized);
}

#[tokio::test]
async fn a_cookie_may_what_its_token_may_and_a_token_beside_it_wins() {
    let setup = Setup::new(2).await;
    setup.put("/v1/files/films/a", b"bytes").await;
    setup.put("/v1/files/other/a", b"bytes").await;
    let token = setup.token("\"read\"", "films/", 3600).await;
    let cookie = setup.cookie(&token.secret).await;
    assert_eq!(setup.browse("/v1/files/films/a", &cookie).await.status, 200);
    setup
        .browse("/v1/files/other/a", &cookie)
        .await
        .fails(Code::Forbidden);
    setup
        .browse("/v1/status", &cookie)
        .await
        .fails(Code::Forbidden);
    let with_root = setup.get("/v1/files/other/a", &cookie).await;
    assert_eq!(with_root.status, 200);
    let wrong = format!("{cookie}\nauthorization: Bearer nonsense");
    setup
        .browse("/v1/files/films/a", &wrong)
        .await
        .fails(Code::Unauthorized);
}

#[tokio::test]
async fn a_session_ends_with_its_time_and_with_its_token() {
    let setup = Setup::new(0).await;
    let token = setup.token("\"read\"", "", 24 * 3600).await;
    let (short, root) = (setup.cookie(&token.secret).await, setup.cookie(TOKEN).await);
    setup.clock.advance(Duration::from_secs(12 * 3600 - 1));
    for cookie in [&short, &root] {
        assert_eq!(setup.browse("/v1/session", cookie).await.status, 200);
    }
    setup.clock.advance(Duration::from_secs(1));
    for cookie in [&short, &root] {
        setup
            .browse("/v1/session", cookie)
            .await
            .fails(Code::Unauthorized);
    }
    let cookie = setup.cookie(&token.secret).await;
    let path = format!("/v1/admin/tokens/{}", token.info.id);
    assert_eq!(setup.ask("DELETE", &path, "", "").await.status, 204);
    setup
        .browse("/v1/session", &cookie)
        .await
        .fails(Code::Unauthorized);
}

#[tokio::test]
async fn what_is_made_in_a_session_outlives_it_as_long_as_it_says() {
    let setup = Setup::new(0).await;
    let cookie = setup.cookie(TOKEN).await;
    let day = 24 * 3600;
    let wish = format!(
        "{{\"label\": \"anna\", \"roles\": [\"read\", \"admin\"], \"expires_seconds\": {day}}}"
    );
    let lines = format!("{cookie}\n{OWN}");
    let made = setup
        .ask_bare("POST", "/v1/admin/tokens", &lines, wish)
        .await;
    let made: CreatedToken = serde_json::from_slice(&made.body).unwrap();
    let end = setup.clock.wall().plus(Duration::from_secs(day));
    assert_eq!(made.info.expires, rfc3339(end));
    let wish = format!("{{\"name\": \"a\", \"expires_in_seconds\": {day}}}");
    let signed = setup.ask_bare("POST", "/v1/sign", &lines, wish).await;
    let signed: SignedLink = serde_json::from_slice(&signed.body).unwrap();
    assert_eq!(signed.expires, end.as_millis() / 1000);
    // But never longer than the token that makes it.
    let lines = format!("{}\n{OWN}", setup.cookie(&made.secret).await);
    let wish = format!("{{\"name\": \"a\", \"expires_in_seconds\": {}}}", 2 * day);
    let signed = setup.ask_bare("POST", "/v1/sign", &lines, wish).await;
    let signed: SignedLink = serde_json::from_slice(&signed.body).unwrap();
    assert_eq!(signed.expires, end.as_millis() / 1000);
}

#[tokio::test]
async fn another_master_takes_the_cookie_and_one_of_another_cluster_does_not() {
    let (one, other) = (Setup::new(0).await, Setup::new(0).await);
    let cookie = one.cookie(TOKEN).await;
    assert_eq!(other.browse("/v1/session", &cookie).await.status, 200);
    let (name, value) = cookie
        .trim_start_matches("cookie: other=1; ")
        .split_once('=')
        .unwrap();
    let elsewhere = format!("cookie: {}x={value}", &name[..name.len() - 1]);
    other
        .browse("/v1/session", &elsewhere)
        .await
        .fails(Code::Unauthorized);
}

#[tokio::test]
async fn altered_cookies_and_wrong_tokens_are_counted() {
    let setup = Setup::new(0).await;
    let cookie = setup.cookie(TOKEN).await;
    let altered = format!("{}0", &cookie[..cookie.len() - 1]);
    let altered = if altered == cookie {
        format!("{altered}1")
    } else {
        altered
    };
    setup
        .browse("/v1/session", &altered)
        .await
        .fails(Code::Unauthorized);
    let mut refused = 0;
    while setup.log_in("nonsense", OWN).await.status == 401 {
        refused += 1;
    }
    assert_eq!(refused, 59);
    setup
        .log_in("nonsense", OWN)
        .await
        .fails(Code::TooManyFailures);
    setup
        .browse("/v1/session", &altered)
        .await
        .fails(Code::TooManyFailures);
    // Whoever is known waits for nobody else's failures.
    assert_eq!(setup.browse("/v1/session", &cookie).await.status, 200);
    assert_eq!(setup.log_in(TOKEN, OWN).await.status, 200);
}

#[tokio::test]
async fn a_page_of_another_site_changes_nothing_with_a_session() {
    let setup = Setup::new(2).await;
    let cookie = setup.cookie(TOKEN).await;
    for (lines, own) in [
        ("sec-fetch-site: same-origin", true),
        ("host: mdfs:8080\norigin: http://mdfs:8080", true),
        ("host: MDFS:8080\norigin: https://mdfs:8080", true),
        ("sec-fetch-site: same-origin\norigin: http://evil", true),
        ("", false),
        ("sec-fetch-site: same-site", false),
        ("sec-fetch-site: cross-site", false),
        ("sec-fetch-site: none", false),
        (
            "sec-fetch-site: cross-site\nhost: mdfs\norigin: http://mdfs",
            false,
        ),
        ("host: mdfs:8080\norigin: http://mdfs:9090", false),
        ("host: mdfs\norigin: http://mdfs.evil", false),
        ("host: mdfs\norigin: null", false),
        ("origin: http://mdfs", false),
    ] {
        let all = format!("{cookie}\n{lines}");
        for (method, target) in [
            ("PUT", "/v1/files/a"),
            ("DELETE", "/v1/files/absent"),
            ("POST", "/v1/rename"),
            ("POST", "/v1/admin/tokens"),
        ] {
            let answer = setup.ask_bare(method, target, &all, "").await;
            if own {
                assert_ne!(answer.status, 403, "{method} {lines}");
            } else {
                answer.fails(Code::CrossSite);
            }
        }
        // A read gives nothing to a page of another site, which does not see the answer.
        assert_eq!(setup.browse("/v1/session", &all).await.status, 200);
        // A token that a program sends is not what a browser adds by itself.
        let answer = setup.ask("PUT", "/v1/files/a", &all, "").await;
        assert_eq!(answer.status, 201, "{lines}");
    }
    setup
        .log_in(TOKEN, "sec-fetch-site: cross-site")
        .await
        .fails(Code::CrossSite);
    assert_eq!(setup.log_in(TOKEN, "").await.status, 200);
}

#[tokio::test]
async fn logging_out_ends_the_cookie_and_without_a_console_there_is_no_session() {
    let setup = Setup::new(0).await;
    let ended = setup.ask_bare("DELETE", "/v1/session", "", "").await;
    assert_eq!(ended.status, 204);
    assert!(ended.header("set-cookie").contains("=; Max-Age=0;"));
    let cookie = setup.cookie(TOKEN).await;
    let off = Setup::without_console().await;
    off.log_in(TOKEN, OWN).await.fails(Code::RouteNotFound);
    off.browse("/v1/session", &cookie)
        .await
        .fails(Code::Unauthorized);
    assert_eq!(off.get("/v1/session", "").await.status, 200);
}

impl Setup {
    /// The folders and files of a page, and what they say of copies.
    async fn page(&self, query: &str) -> (String, Option<String>) {
        let answer = self.get(&format!("/v1/files?{query}"), "").await;
        assert_eq!(answer.status, 200, "{query} {:?}", answer.body);
        let page: Listing = serde_json::from_slice(&answer.body).unwrap();
        let file = |file: FileInfo| {
            let good = |copies: CopiesInfo| match copies.good {
                Some(good) => format!(" {good}/{}", copies.wanted),
                None => format!(" ?/{}", copies.wanted),
            };
            format!("{}{}", file.name, file.copies.map(good).unwrap_or_default())
        };
        let files = page.files.into_iter().map(file);
        let all: Vec<String> = page.folders.into_iter().chain(files).collect();
        (all.join(", "), page.next)
    }
}

#[tokio::test]
async fn pages_for_people_are_searched_sorted_and_say_how_many_copies_are_good() {
    let setup = Setup::new(2).await;
    for (name, bytes) in [
        ("films/a", 3),
        ("films/b", 1),
        ("films/short", 2),
        ("films/x/c", 9),
    ] {
        setup
            .put(&format!("/v1/files/{name}"), &vec![0; bytes])
            .await;
    }
    let all = "prefix=films/&delimiter=/";
    let (shown, next) = setup.page(&format!("{all}&copies")).await;
    assert_eq!(shown, "films/x/, films/a 2/2, films/b 2/2, films/short 1/2");
    assert_eq!(next, None);
    let (shown, next) = setup.page(&format!("{all}&sort=-size&limit=2")).await;
    assert_eq!(shown, "films/x/, films/a");
    let after = next.unwrap();
    let (shown, next) = setup.page(&format!("{all}&sort=-size&after={after}")).await;
    assert_eq!((shown.as_str(), next), ("films/short, films/b", None));
    let (shown, _) = setup.page("prefix=films/&search=X/C").await;
    assert_eq!(shown, "films/x/c");
    for odd in [
        "sort=colour",
        "sort=size&after=films/a",
        "copies=7",
        "search=%00%f",
    ] {
        let answer = setup.get(&format!("/v1/files?{odd}"), "").await;
        answer.fails(Code::InvalidRequest);
    }
    let token = setup.token("\"read\"", "films/", 3600).await;
    let bearer = format!("authorization: Bearer {}", token.secret);
    let elsewhere = setup.browse("/v1/files?search=a", &bearer).await;
    elsewhere.fails(Code::Forbidden);
}

impl Setup {
    /// The head of a stream of events for whoever sends these lines, and what it said at once.
    async fn stream(&self, target: &str, lines: &str) -> (Body, String) {
        let lines = format!("accept: text/event-stream\n{lines}");
        let (status, headers, mut body) = self.begin("GET", target, &lines, "").await;
        assert_eq!(status, 200);
        assert_eq!(headers["content-type"], "text/event-stream");
        let first = piece(&mut body).await;
        (body, first)
    }

    fn tells(&self, kind: EventKind, name: &str) {
        let mut event = Event::new(kind);
        event.name = Some(name.to_owned());
        self.leader.handle().board().tell(event);
    }
}

/// What a stream says next.
async fn piece(body: &mut Body) -> String {
    let frame = body.frame().await.unwrap().unwrap();
    String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap()
}

#[tokio::test]
async fn events_come_as_they_happen_to_whoever_may_see_them() {
    let setup = Setup::new(0).await;
    let root = format!("authorization: Bearer {TOKEN}");
    let nobody = setup.get("/v1/events", "").await;
    nobody.fails(Code::NoLeader);
    setup.leader.handle().board().lead(term(1));
    let (mut all, first) = setup.stream("/v1/events", &root).await;
    assert_eq!(first, "retry: 2000\n\n");
    let token = setup.token("\"read\"", "films/", 3600).await;
    let cookie = setup.cookie(&token.secret).await;
    let (mut films, _) = setup.stream("/v1/events", &cookie).await;
    setup.tells(EventKind::Stored, "other/a");
    setup.tells(EventKind::Stored, "films/a");
    let text = piece(&mut all).await;
    assert!(text.contains("event: stored\ndata: {") && text.contains("\"name\":\"other/a\""));
    let text = piece(&mut films).await;
    assert!(
        text.contains("films/a") && !text.contains("other/a"),
        "{text}"
    );
    // Whoever comes back says where they were.
    let page: Events =
        serde_json::from_slice(&setup.get("/v1/events?limit=1", "").await.body).unwrap();
    assert_eq!(page.events[0].kind, EventKind::Leader);
    let again = format!("{root}\nlast-event-id: {}", page.next);
    let (mut again, _) = setup.stream("/v1/events", &again).await;
    let text = piece(&mut again).await;
    assert_eq!(text.matches("event: stored").count(), 2);
    // Another leader: everything is read anew.
    setup.leader.handle().board().lead(term(2));
    assert!(piece(&mut all).await.contains("event: reset\n"));
    assert!(piece(&mut films).await.contains("event: reset\n"));
    // The process stops, and nobody holds it up.
    setup.tasks.stop().cancel();
    assert!(all.frame().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_stream_shows_signs_of_life_and_ends_with_the_token() {
    let setup = Setup::new(0).await;
    setup.leader.handle().board().lead(term(1));
    let token = setup.token("\"read\"", "", 3600).await;
    let line = format!("authorization: Bearer {}", token.secret);
    let (mut body, _) = setup.stream("/v1/events", &line).await;
    assert_eq!(piece(&mut body).await, ":\n\n");
    let path = format!("/v1/admin/tokens/{}", token.info.id);
    assert_eq!(setup.ask("DELETE", &path, "", "").await.status, 204);
    assert!(body.frame().await.is_none());
}

/// However much is told, who must not hear it any more is asked for.
#[tokio::test(start_paused = true)]
async fn a_busy_stream_ends_with_the_token_and_with_the_session() {
    let setup = Setup::new(0).await;
    setup.leader.handle().board().lead(term(1));
    let token = setup.token("\"read\"", "", 24 * 3600).await;
    let cookie = setup.cookie(&token.secret).await;
    let (mut body, _) = setup.stream("/v1/events", &cookie).await;
    let path = format!("/v1/admin/tokens/{}", token.info.id);
    assert_eq!(setup.ask("DELETE", &path, "", "").await.status, 204);
    let mut told = 0;
    loop {
        setup.tells(EventKind::Stored, "a");
        if body.frame().await.is_none() {
            break;
        }
        told += 1;
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    assert!((10..=15).contains(&told), "{told}");

    let (mut body, _) = setup.stream("/v1/events", &setup.cookie(TOKEN).await).await;
    setup.tells(EventKind::Stored, "a");
    assert!(body.frame().await.is_some());
    setup.clock.advance(Duration::from_secs(12 * 3600));
    setup.tells(EventKind::Stored, "a");
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn whoever_sees_nothing_of_much_gets_what_comes_behind_it() {
    let setup = Setup::new(0).await;
    setup.leader.handle().board().lead(term(1));
    let token = setup.token("\"read\"", "films/", 3600).await;
    let page: Events =
        serde_json::from_slice(&setup.get("/v1/events?limit=1", "").await.body).unwrap();
    for _ in 0..200 {
        setup.tells(EventKind::Stored, &format!("other/{}", "x".repeat(1000)));
    }
    setup.tells(EventKind::Stored, "films/a");
    let lines = format!(
        "authorization: Bearer {}\nlast-event-id: {}",
        token.secret, page.next
    );
    let (mut body, _) = setup.stream("/v1/events", &lines).await;
    let text = piece(&mut body).await;
    assert_eq!(text.matches("event: ").count(), 1);
    assert!(text.contains("\"name\":\"films/a\""), "{text}");
}

#[tokio::test]
async fn the_overview_is_one_small_answer_and_tells_nobody_what_is_not_theirs() {
    let setup = Setup::new(0).await;
    let answer = setup.get("/v1/overview", "").await;
    let all: Overview = serde_json::from_slice(&answer.body).unwrap();
    assert!(all.health.is_some() && answer.body.len() < 20_000);
    let token = setup.token("\"read\"", "films/", 3600).await;
    let line = format!("authorization: Bearer {}", token.secret);
    let few = setup.browse("/v1/overview", &line).await;
    let few: Overview = serde_json::from_slice(&few.body).unwrap();
    assert_eq!((few.health, few.files, few.workers), (None, None, None));
    setup
        .browse("/v1/history", &line)
        .await
        .fails(Code::Forbidden);
    setup
        .get("/v1/history?minutes=61", "")
        .await
        .fails(Code::InvalidRequest);
}

#[tokio::test]
async fn subtitles_come_as_browsers_read_them() {
    let setup = Setup::new(2).await;
    setup
        .put(
            "/v1/files/a.srt",
            b"1\n00:00:01,000 --> 00:00:02,000\nh\xe9\n",
        )
        .await;
    let vtt = setup.get("/v1/files/a.srt?as=vtt", "").await;
    assert_eq!(vtt.header("content-type"), "text/vtt; charset=utf-8");
    let want = "WEBVTT\n\n1\n00:00:01.000 --> 00:00:02.000\nh\u{e9}\n";
    assert_eq!(vtt.body, want.as_bytes());
    setup
        .put("/v1/files/long.srt", &vec![0; (4 << 20) + 1])
        .await;
    setup
        .get("/v1/files/long.srt?as=vtt", "")
        .await
        .fails(Code::TooLarge);
    setup.put("/v1/files/empty.srt", b"").await;
    assert_eq!(
        setup.get("/v1/files/empty.srt?as=vtt", "").await.body,
        "WEBVTT\n\n"
    );
    for odd in ["as=srt", "as=vtt&checksum"] {
        let answer = setup.get(&format!("/v1/files/a.srt?{odd}"), "").await;
        answer.fails(Code::InvalidRequest);
    }
}

#[tokio::test]
async fn nothing_that_is_stored_runs_as_a_page_of_this_server() {
    let setup = Setup::new(2).await;
    for (name, shown, boxed) in [
        ("page.html", false, true),
        ("picture.svg", false, true),
        ("notes.txt", true, true),
        ("film.mp4", true, false),
        ("picture.png", true, false),
        ("book.pdf", true, false),
    ] {
        setup.put(&format!("/v1/files/{name}"), b"<script>").await;
        for path in ["/v1/files/", "/play/"] {
            let answer = setup.get(&format!("{path}{name}"), "").await;
            assert_eq!(answer.header("x-content-type-options"), "nosniff");
            let disposition = answer.header("content-disposition");
            assert_eq!(disposition.starts_with("inline"), shown, "{name}");
            let policy = answer.header("content-security-policy");
            assert_eq!(
                policy.starts_with("sandbox; default-src 'none'"),
                boxed,
                "{name}"
            );
        }
    }
}

#[tokio::test]
async fn a_verification_tells_of_each_copy_and_of_all_at_the_end() {
    let setup = Setup::new(2).await;
    setup.put("/v1/files/a", &vec![7; 5 << 20]).await;
    let lines = "accept: application/x-ndjson";
    let answer = setup.ask("POST", "/v1/files/a?verify", lines, "").await;
    assert_eq!(answer.header("content-type"), "application/x-ndjson");
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    let lines: Vec<VerifyLine> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let [copies @ .., VerifyLine::Verified(all)] = &lines[..] else {
        panic!("{text}");
    };
    assert!(all.good && all.chunks == 2);
    let chunk = |line: &VerifyLine| match line {
        VerifyLine::Copy(copy) if copy.state.is_none() => copy.chunk,
        other => panic!("{other:?}"),
    };
    assert_eq!(copies.iter().map(chunk).collect::<Vec<_>>(), [0, 0, 1, 1]);
}
