//! The HTTP interface: tokens, what they allow, and links that end with them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may panic"
)]

mod support;

use axum::body::Body;
use mdfs_protocol::problem::Code;
use mdfs_protocol::public::{
    CreatedToken, Listing, SignedLink, Tokens, Trash, UploadInfo, Uploads,
};
use std::time::Duration;
use support::{Answer, Setup};

const HOUR: &str = "\"expires_seconds\": 3600";

impl Setup {
    /// A token with these roles in a folder, made by root.
    async fn token(&self, roles: &[&str], prefix: &str) -> CreatedToken {
        let answer = self
            .ask("POST", "/v1/admin/tokens", "", wish(roles, prefix))
            .await;
        assert_eq!(answer.status, 201, "{:?}", answer.body);
        assert_eq!(answer.header("cache-control"), "no-store");
        serde_json::from_slice(&answer.body).unwrap()
    }

    /// The answer to whoever holds a token.
    async fn ask_as(
        &self,
        token: &CreatedToken,
        method: &str,
        target: &str,
        body: impl Into<Body>,
    ) -> Answer {
        let line = format!("authorization: Bearer {}", token.secret);
        self.ask_bare(method, target, &line, body).await
    }
}

fn wish(roles: &[&str], prefix: &str) -> String {
    let roles = serde_json::to_string(roles).unwrap();
    format!("{{\"label\": \"a test\", \"roles\": {roles}, \"prefix\": \"{prefix}\", {HOUR}}}")
}

fn parsed<T: serde::de::DeserializeOwned>(answer: &Answer) -> T {
    assert!(answer.status.is_success(), "{:?}", answer.body);
    serde_json::from_slice(&answer.body).unwrap()
}

#[tokio::test]
async fn a_token_is_shown_once_listed_without_its_secret_and_ends_when_revoked() {
    let setup = Setup::new(2).await;
    setup.put("/v1/files/films/a", b"bytes").await;
    let token = setup.token(&["read"], "films").await;
    assert_eq!(token.info.prefix, "films/");
    let list = setup.get("/v1/admin/tokens", "").await;
    let bits = token.secret.rsplit('_').next().unwrap();
    assert!(!String::from_utf8_lossy(&list.body).contains(bits));
    assert_eq!(
        parsed::<Tokens>(&list).tokens,
        std::slice::from_ref(&token.info)
    );
    let read = setup.ask_as(&token, "GET", "/v1/files/films/a", "").await;
    assert_eq!(read.status, 200);
    let path = format!("/v1/admin/tokens/{}", token.info.id);
    let revoked = setup.ask("DELETE", &path, "", "").await;
    assert_eq!(revoked.status, 204);
    let read = setup.ask_as(&token, "GET", "/v1/files/films/a", "").await;
    read.fails(Code::Unauthorized);
    setup
        .ask("DELETE", &path, "", "")
        .await
        .fails(Code::TokenNotFound);
    let odd = setup.ask("DELETE", "/v1/admin/tokens/7", "", "").await;
    odd.fails(Code::InvalidRequest);
}

#[tokio::test]
async fn a_token_that_makes_no_sense_is_refused() {
    let setup = Setup::new(0).await;
    let long = "x".repeat(129);
    let label = |text: &str| format!("{{\"label\": \"{text}\", \"roles\": [\"read\"], {HOUR}}}");
    for body in [
        wish(&[], ""),
        wish(&["root"], ""),
        wish(&["admin"], "films"),
        wish(&["metrics", "read"], "films"),
        wish(&["read"], "../films"),
        wish(&["read"], "/"),
        label(""),
        label(&long),
        label("a\\nb"),
        "{\"label\": \"x\", \"roles\": [\"read\"]}".to_owned(),
        "{\"label\": \"x\", \"roles\": [\"read\"], \"expires_seconds\": 0}".to_owned(),
        "{\"label\": \"x\", \"roles\": [\"read\"], \"expires_seconds\": 999999999999}".to_owned(),
        format!("{{\"label\": \"x\", \"roles\": [\"read\"], \"id\": 1, {HOUR}}}"),
        "[".repeat(50_000),
    ] {
        let answer = setup
            .ask("POST", "/v1/admin/tokens", "", body.clone())
            .await;
        assert_eq!(answer.status, 400, "{body} {:?}", answer.body);
    }
    assert!(setup.leader.state().tokens.is_empty());
}

#[tokio::test]
async fn nobody_passes_on_more_than_they_may_do_or_for_longer() {
    let setup = Setup::new(2).await;
    let admin = setup.token(&["admin", "read"], "").await;
    let make = |body: String| setup.ask_as(&admin, "POST", "/v1/admin/tokens", body);
    for roles in [&["write"][..], &["read", "delete"]] {
        make(wish(roles, "films")).await.fails(Code::Forbidden);
    }
    for roles in [&["read"][..], &["metrics"], &["admin", "read"]] {
        let prefix = if roles == ["read"] { "films" } else { "" };
        parsed::<CreatedToken>(&make(wish(roles, prefix)).await);
    }
    let longer = wish(&["read"], "").replace("3600", "7200");
    let longer: CreatedToken = parsed(&make(longer).await);
    assert_eq!(longer.info.expires, admin.info.expires);
    let reader = setup.token(&["read", "write", "delete"], "").await;
    let body = wish(&["read"], "");
    setup
        .ask_as(&reader, "POST", "/v1/admin/tokens", body)
        .await
        .fails(Code::Forbidden);
    // A link lives no longer either.
    let sign = "{\"name\": \"films/a\", \"expires_in_seconds\": 604800}";
    let link: SignedLink = parsed(&setup.ask_as(&reader, "POST", "/v1/sign", sign).await);
    let now = setup.clock.wall().as_millis() / 1000;
    assert_eq!(link.expires, now + 3600);
}

#[tokio::test]
async fn a_refusal_does_not_tell_whether_there_is_such_a_file() {
    let setup = Setup::new(2).await;
    setup.put("/v1/files/films/a", b"bytes").await;
    setup.put("/v1/files/other/a", b"bytes").await;
    setup.ask("DELETE", "/v1/files/other/a", "", "").await;
    setup.put("/v1/files/other/b", b"bytes").await;
    let token = setup.token(&["read", "write", "delete"], "films").await;
    for (method, target) in [
        ("GET", "/v1/files/"),
        ("HEAD", "/v1/files/"),
        ("PUT", "/v1/files/"),
        ("DELETE", "/v1/files/"),
        ("GET", "/play/"),
    ] {
        let mut answers = Vec::new();
        for name in ["other/a", "other/b", "other/c", "films", "films-b/x"] {
            let target = format!("{target}{name}");
            let answer = setup.ask_as(&token, method, &target, "").await;
            assert_eq!(answer.status, 403, "{method} {target}");
            let detail = (!answer.body.is_empty()).then(|| answer.problem().detail);
            answers.push((answer.headers, detail));
        }
        answers.dedup();
        assert_eq!(answers.len(), 1, "{method} {target}");
    }
    for act in ["undelete", "verify"] {
        let target = format!("/v1/files/other/a?{act}");
        setup
            .ask_as(&token, "POST", &target, "")
            .await
            .fails(Code::Forbidden);
    }
    for (from, to) in [
        ("other/b", "films/b"),
        ("films/a", "other/x"),
        ("other/c", "films/c"),
    ] {
        let body = format!("{{\"from\": \"{from}\", \"to\": \"{to}\"}}");
        setup
            .ask_as(&token, "POST", "/v1/rename", body)
            .await
            .fails(Code::Forbidden);
    }
    assert_eq!(setup.leader.state().files.len(), 2);
}

#[tokio::test]
async fn each_role_does_its_part_of_a_rename() {
    let setup = Setup::new(2).await;
    for (roles, allowed) in [
        (&["read", "write"][..], false),
        (&["read", "delete"], false),
        (&["write", "delete"], false),
        (&["read", "write", "delete"], true),
    ] {
        setup.put("/v1/files/films/a", b"bytes").await;
        let token = setup.token(roles, "films").await;
        let body = "{\"from\": \"films/a\", \"to\": \"films/b\"}";
        let status = setup
            .ask_as(&token, "POST", "/v1/rename", body)
            .await
            .status;
        assert_eq!(status == 200, allowed, "{roles:?} {status}");
    }
}

#[tokio::test]
async fn listings_stay_within_the_folder_of_the_token() {
    let setup = Setup::new(2).await;
    for name in ["films/a", "films/b", "films-c", "other/d"] {
        setup.put(&format!("/v1/files/{name}"), b"bytes").await;
        setup.put(&format!("/v1/files/{name}"), b"newer").await;
    }
    for name in ["films/b", "other/d"] {
        setup
            .ask("DELETE", &format!("/v1/files/{name}"), "", "")
            .await;
    }
    let token = setup.token(&["read"], "films").await;
    for query in [
        "",
        "?prefix=",
        "?prefix=f",
        "?prefix=films",
        "?prefix=other/",
    ] {
        let target = format!("/v1/files{query}");
        let refused = setup.ask_as(&token, "GET", &target, "").await;
        refused.fails(Code::Forbidden);
    }
    let list = setup
        .ask_as(&token, "GET", "/v1/files?prefix=films/", "")
        .await;
    let names: Vec<_> = parsed::<Listing>(&list)
        .files
        .into_iter()
        .map(|file| file.name)
        .collect();
    assert_eq!(names, ["films/a"]);
    let trash: Trash = parsed(&setup.ask_as(&token, "GET", "/v1/trash", "").await);
    let names = trash.files.iter().map(|file| file.name.as_str());
    assert!(names.clone().all(|name| name.starts_with("films/")));
    assert_eq!(names.count(), 1);
    let writer = setup.token(&["write", "delete"], "films").await;
    for target in ["/v1/files?prefix=films/", "/v1/trash"] {
        setup
            .ask_as(&writer, "GET", target, "")
            .await
            .fails(Code::Forbidden);
    }
}

#[tokio::test]
async fn a_link_does_only_what_its_signer_may_and_ends_with_them() {
    let setup = Setup::new(2).await;
    setup.put("/v1/files/films/a", b"bytes").await;
    let reader = setup.token(&["read"], "films").await;
    let writer = setup.token(&["write"], "films").await;
    let sign = |name: &str, more: &str| {
        format!("{{\"name\": \"{name}\", \"expires_in_seconds\": 600{more}}}")
    };
    let put = ", \"method\": \"PUT\", \"max_bytes\": 5";
    for (token, name, more) in [
        (&reader, "other/a", ""),
        (&reader, "films/a", put),
        (&writer, "films/a", ""),
        (&writer, "other/a", put),
    ] {
        let refused = setup
            .ask_as(token, "POST", "/v1/sign", sign(name, more))
            .await;
        refused.fails(Code::Forbidden);
    }
    let body = sign("films/a", "");
    let link: SignedLink = parsed(&setup.ask_as(&reader, "POST", "/v1/sign", body).await);
    let read = async || setup.ask_bare("GET", &link.path, "", "").await;
    assert_eq!(&read().await.body[..], b"bytes");
    let head = setup.ask_bare("HEAD", &link.path, "", "").await;
    assert_eq!(head.status, 200);

    let body = sign("films/new", put);
    let to_store: SignedLink = parsed(&setup.ask_as(&writer, "POST", "/v1/sign", body).await);
    let store = async |bytes: &'static str| {
        let line = format!("content-length: {}", bytes.len());
        setup.ask_bare("PUT", &to_store.path, &line, bytes).await
    };
    assert_eq!(store("fives").await.status, 201);
    store("sixsix").await.fails(Code::TooLarge);
    let chunked = setup.ask_bare("PUT", &to_store.path, "", "five").await;
    chunked.fails(Code::LengthRequired);
    for method in ["GET", "HEAD", "DELETE"] {
        let other = setup.ask_bare(method, &to_store.path, "", "").await;
        other.fails(Code::Unauthorized);
    }
    setup
        .get(&format!("{}&chunk_size=1048576", to_store.path), "")
        .await
        .fails(Code::InvalidRequest);

    for token in [&reader, &writer] {
        let path = format!("/v1/admin/tokens/{}", token.info.id);
        assert_eq!(setup.ask("DELETE", &path, "", "").await.status, 204);
    }
    read().await.fails(Code::Unauthorized);
    store("four").await.fails(Code::Unauthorized);
}

#[tokio::test]
async fn metrics_are_for_those_who_may_see_them_and_they_see_nothing_else() {
    let setup = Setup::new(0).await;
    let scraper = setup.token(&["metrics"], "").await;
    for (target, want) in [
        ("/metrics", 200),
        ("/stats", 200),
        ("/v1/status", 403),
        ("/v1/workers", 403),
        ("/v1/files", 403),
        ("/v1/files/a", 403),
        ("/v1/admin/tokens", 403),
        ("/nowhere", 404),
    ] {
        for method in ["GET", "HEAD"] {
            let answer = setup.ask_as(&scraper, method, target, "").await;
            assert_eq!(answer.status, want, "{method} {target}");
        }
    }
    let reader = setup.token(&["read"], "").await;
    let refused = setup.ask_as(&reader, "GET", "/metrics", "").await;
    refused.fails(Code::Forbidden);
    // Its length would tell how many tokens there are.
    for target in ["/metrics", "/v1/status", "/v1/workers", "/v1/admin/tokens"] {
        let refused = setup.ask_as(&reader, "HEAD", target, "").await;
        assert_eq!(refused.status, 403, "{target}");
    }
}

#[tokio::test]
async fn a_token_that_expired_is_known_no_more() {
    let setup = Setup::new(0).await;
    let token = setup.token(&["metrics"], "").await;
    setup.clock.advance(Duration::from_secs(3600));
    let refused = setup.ask_as(&token, "GET", "/metrics", "").await;
    refused.fails(Code::Unauthorized);
    let list: Tokens = parsed(&setup.get("/v1/admin/tokens", "").await);
    assert!(list.tokens[0].expired);
}

#[tokio::test]
async fn an_upload_is_for_those_who_may_store_its_name_and_unknown_to_others() {
    let setup = Setup::new(3).await;
    let writer = setup.token(&["write"], "films").await;
    let begin = |name: &str| format!("{{\"name\": \"{name}\", \"chunk_size\": 1048576}}");
    let begun = setup
        .ask_as(&writer, "POST", "/v1/uploads", begin("films/a"))
        .await;
    let upload: UploadInfo = parsed(&begun);
    let path = format!("/v1/uploads/{}", upload.id);
    let requests = [
        ("GET", path.clone(), ""),
        ("PUT", format!("{path}/chunks/0"), "bytes"),
        ("POST", format!("{path}/commit"), "{\"size\": 5}"),
        ("DELETE", path.clone(), ""),
    ];
    let other = setup.token(&["write"], "other").await;
    let reader = setup.token(&["read", "delete"], "").await;
    for (token, code) in [(&other, Code::UploadNotFound), (&reader, Code::Forbidden)] {
        for (method, target, body) in &requests {
            let absent = target.replace(&upload.id.to_string(), &"0".repeat(32));
            let mut said = Vec::new();
            for target in [target, &absent] {
                let answer = setup.ask_as(token, method, target, *body).await;
                answer.fails(code);
                let id = target.split('/').nth(3).unwrap();
                said.push(answer.problem().detail.replace(id, "ID"));
            }
            assert_eq!(said[0], said[1], "{method} {target}");
        }
        let begun = setup
            .ask_as(token, "POST", "/v1/uploads", begin("films/b"))
            .await;
        begun.fails(Code::Forbidden);
    }
    let listed = async |token: &CreatedToken| {
        let list = setup.ask_as(token, "GET", "/v1/uploads", "").await;
        parsed::<Uploads>(&list).uploads.len()
    };
    assert_eq!((listed(&writer).await, listed(&other).await), (1, 0));
    // The place where a page ends would be the id of somebody else's.
    let more = setup.ask_as(&writer, "POST", "/v1/uploads", begin("films/c"));
    assert_eq!(more.await.status, 201);
    for (token, is_more) in [(&writer, true), (&other, false)] {
        let page = setup.ask_as(token, "GET", "/v1/uploads?limit=1", "").await;
        assert_eq!(parsed::<Uploads>(&page).next.is_some(), is_more);
    }
    let refused = setup.ask_as(&reader, "GET", "/v1/uploads", "").await;
    refused.fails(Code::Forbidden);
    for (method, target, body) in &requests[..3] {
        let answer = setup.ask_as(&writer, method, target, *body).await;
        assert!(answer.status.is_success(), "{target} {:?}", answer.body);
    }
}
