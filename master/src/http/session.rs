//! Sessions of browsers: logging in with a token, which a cookie stands for from then on.

use super::App;
use super::access::check_same_site;
use super::caller::{Caller, Who};
use super::error::HttpError;
use super::wire::json;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, SET_COOKIE};
use http::{HeaderMap, HeaderValue, StatusCode};
use mdfs_core::access::Role;
use mdfs_protocol::problem::Code;
use mdfs_protocol::session::{
    OpenSession, SESSION_SECONDS, SessionCluster, SessionInfo, SessionLinks,
};

/// Says who asks.
pub(crate) async fn find(State(app): State<App>, caller: Caller) -> Result<Response, HttpError> {
    let expires = caller.until().map(|until| until.as_millis() / 1000);
    let info = info(&app, &caller, expires).await?;
    Ok(([(CACHE_CONTROL, "no-store")], Json(info)).into_response())
}

/// Opens a session for the holder of a token.
pub(crate) async fn open(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, HttpError> {
    // A page of somebody else must not log a browser in as somebody else. Programs say nothing of pages.
    if headers.contains_key("sec-fetch-site") || headers.contains_key("origin") {
        check_same_site(&headers)?;
    }
    let OpenSession { token } = json(body).await?;
    let address = caller.address();
    let token = token.trim();
    let caller = app.0.entrance.by_text(token, address).await?;
    let Some((key, value, expires)) = app.0.entrance.session(&caller, token) else {
        let detail = "no sessions are opened here: the console is turned off";
        return Err(HttpError::new(Code::RouteNotFound, detail));
    };
    let info = info(&app, &caller, Some(expires)).await?;
    tracing::info!(target: "audit", who = %caller, what = "log in", peer = %address, "act");
    let cookie = match is_tls(&headers) {
        true => cookie(key.cookie_over_tls(), &value, SESSION_SECONDS, "; Secure")?,
        false => cookie(key.cookie(), &value, SESSION_SECONDS, "")?,
    };
    let headers = [
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (SET_COOKIE, cookie),
    ];
    Ok((headers, Json(info)).into_response())
}

/// Has the browser forget its session.
pub(crate) async fn end(State(app): State<App>) -> Result<Response, HttpError> {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let answered = response.headers_mut();
    for key in &app.0.entrance.sessions {
        // A browser takes the second over TLS alone, where alone it may have it.
        answered.append(SET_COOKIE, cookie(key.cookie(), "", 0, "")?);
        answered.append(
            SET_COOKIE,
            cookie(key.cookie_over_tls(), "", 0, "; Secure")?,
        );
    }
    Ok(response)
}

/// Whether the browser speaks TLS, as a proxy says, or its own word on where the page comes from: many
/// proxies say nothing. Whoever lies hinders nobody but themselves.
fn is_tls(headers: &HeaderMap) -> bool {
    let proto = headers.get("x-forwarded-proto");
    let origin = headers.get("origin").map(HeaderValue::as_bytes);
    let scheme = origin.and_then(|origin| origin.get(..8));
    proto.is_some_and(|proto| proto.as_bytes().eq_ignore_ascii_case(b"https"))
        || scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"https://"))
}

/// No script sees it, no other site sends it along, and where it is `secure` it is never sent in the clear.
fn cookie(name: &str, value: &str, seconds: u64, secure: &str) -> Result<HeaderValue, HttpError> {
    let text =
        format!("{name}={value}; Max-Age={seconds}; Path=/; HttpOnly; SameSite=Strict{secure}");
    HeaderValue::from_str(&text).map_err(|_| HttpError::new(Code::Internal, "a cookie is no text"))
}

async fn info(app: &App, caller: &Caller, expires: Option<u64>) -> Result<SessionInfo, HttpError> {
    let (who, token_id) = match caller.who() {
        Who::Token(token) | Who::TokenLink(token) => {
            (app.0.entrance.label(token).await?, Some(token))
        }
        Who::Root | Who::RootLink => ("root".to_owned(), None),
        Who::Nobody | Who::Server => (String::new(), None),
    };
    let grant = caller.grant();
    let console = &app.0.console;
    Ok(SessionInfo {
        who,
        token_id,
        admin: grant.roles.has(Role::Admin),
        roles: grant.roles,
        prefix: grant.folder.as_str().to_owned(),
        expires,
        cluster: SessionCluster {
            name: console.cluster_name.clone(),
            // Without a leader it is told all the same: whoever asks is known.
            id: app
                .0
                .leader
                .status()
                .await
                .ok()
                .and_then(|status| status.cluster_id),
        },
        version: env!("CARGO_PKG_VERSION").to_owned(),
        links: SessionLinks {
            grafana: console.grafana.clone(),
        },
    })
}
