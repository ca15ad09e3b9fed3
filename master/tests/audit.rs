//! The audit log. In a process of its own: what is logged is looked at in the whole process.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may panic"
)]

mod support;

use mdfs_protocol::public::CreatedToken;
use std::io;
use std::sync::{Arc, Mutex};
use support::{Setup, content};

/// What was logged, as one JSON object a line.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// Who did what to what, and what came of it.
    fn acts(&self) -> Vec<String> {
        let lines = self.text();
        let events = lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        events
            .filter(|event: &serde_json::Value| event["target"] == "audit")
            .map(|event| {
                let fields = &event["fields"];
                let field = |name: &str| fields[name].as_str().unwrap().to_owned();
                assert_eq!(field("request_id").len(), 16);
                assert_eq!(field("peer"), "0.0.0.0");
                let words = [
                    field("who"),
                    field("what"),
                    field("subject"),
                    field("result"),
                ];
                words.join(" ")
            })
            .collect()
    }
}

#[tokio::test]
async fn the_audit_log_is_the_history_and_holds_no_secret() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _logged = tracing::subscriber::set_default(subscriber);
    let setup = Setup::new(2).await;
    let wish = "{\"label\": \"a test\", \"roles\": [\"read\", \"write\"], \"prefix\": \"films\", \
                \"expires_seconds\": 60}";
    let made = setup.ask("POST", "/v1/admin/tokens", "", wish).await;
    let token: CreatedToken = serde_json::from_slice(&made.body).unwrap();
    let as_token = format!("authorization: Bearer {}", token.secret);
    let id = token.info.id;
    setup.put("/v1/files/other/a", &content(1000)).await;
    let long = "x".repeat(400);
    for (method, target, body) in [
        ("GET", "/v1/files/films/a", ""),
        ("PUT", "/v1/files/films/%E2%80%AEa%22%20b", "bytes"),
        ("PUT", "/v1/files/films/c", "bytes"),
        ("DELETE", "/v1/files/films/c", ""),
        ("POST", "/v1/files/films/gone?undelete", ""),
        ("PUT", &format!("/v1/files/films/{long}"), "bytes"),
        (
            "POST",
            "/v1/sign",
            "{\"name\": \"films/c\", \"expires_in_seconds\": 9}",
        ),
        (
            "POST",
            "/v1/rename",
            "{\"from\": \"films/c\", \"to\": \"films/d\"}",
        ),
        ("POST", "/v1/rename", "no"),
        ("POST", "/v1/admin/drain", "{\"worker\": \"w1\"}"),
    ] {
        setup.ask_bare(method, target, &as_token, body).await;
    }
    let root = async |method: &str, target: &str, body: &'static str| {
        setup.ask(method, target, "", body).await;
    };
    root(
        "POST",
        "/v1/rename",
        "{\"from\": \"films/c\", \"to\": \"films/d\"}",
    )
    .await;
    root("DELETE", "/v1/files/films/d?%70urge=1", "").await;
    root("DELETE", "/v1/files/films/d?purge=0", "").await;
    root("POST", "/v1/admin/drain", "{\"worker\": \"w1\"}").await;
    let part = |name: &str| {
        format!(
            "--e\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n1\r\n"
        )
    };
    let form = [
        part("films/f"),
        part("other/g"),
        part("films/h"),
        "--e--\r\n".to_owned(),
    ]
    .concat();
    let of_form = format!("{as_token}\ncontent-type: multipart/form-data; boundary=e");
    let answer = setup.ask_bare("POST", "/upload", &of_form, form).await;
    assert_eq!(answer.status, 207);
    setup
        .ask_bare("POST", "/upload", &as_token, "no form")
        .await;
    root("DELETE", &format!("/v1/admin/tokens/{id}"), "").await;
    // Who is not known does nothing.
    let late = "/v1/files/films/e";
    setup.ask_bare("PUT", late, &as_token, "bytes").await;
    let cut = "x".repeat(294);
    let want = [
        format!("root POST /v1/admin/tokens \"{id}\" ok"),
        "root PUT /v1/files/{*name} \"other/a\" ok".to_owned(),
        format!("{id} PUT /v1/files/{{*name}} \"films/\\u{{202e}}a\\\" b\" ok"),
        format!("{id} PUT /v1/files/{{*name}} \"films/c\" ok"),
        format!("{id} DELETE /v1/files/{{*name}} \"films/c\" forbidden"),
        format!("{id} POST /v1/files/{{*name}}?undelete \"films/gone\" file_not_found"),
        format!("{id} PUT /v1/files/{{*name}} \"films/{cut}…\" ok"),
        format!("{id} POST /v1/sign \"films/c\" ok"),
        format!("{id} POST /v1/rename \"films/c -> films/d\" forbidden"),
        format!("{id} POST /v1/rename \"\" invalid_request"),
        format!("{id} POST /v1/admin/drain \"\" forbidden"),
        "root POST /v1/rename \"films/c -> films/d\" ok".to_owned(),
        "root DELETE /v1/files/{*name}?purge \"films/d\" ok".to_owned(),
        "root DELETE /v1/files/{*name} \"films/d\" file_not_found".to_owned(),
        "root POST /v1/admin/drain \"w1\" ok".to_owned(),
        // Each file of a form is an act, and what came of it is its own.
        format!("{id} POST /upload \"films/f\" ok"),
        format!("{id} POST /upload \"other/g\" forbidden"),
        format!("{id} POST /upload \"films/h\" ok"),
        format!("{id} POST /upload \"\" invalid_request"),
        format!("root DELETE /v1/admin/tokens/{{id}} \"{id}\" ok"),
    ];
    assert_eq!(log.acts(), want);
    let text = log.text();
    let bits = token.secret.rsplit('_').next().unwrap();
    for secret in [bits, support::TOKEN, &"l".repeat(32), &"c".repeat(32)] {
        assert!(!text.contains(secret));
    }
}
