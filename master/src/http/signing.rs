//! Signed links.

use super::App;
use super::audit::Subject;
use super::caller::{Caller, Who};
use super::error::HttpError;
use super::name::parse_name;
use super::wire::json;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use mdfs_core::access::Role;
use mdfs_protocol::link::{LINK_MAX_SECONDS, Link, LinkMethod};
use mdfs_protocol::public::{SignRequest, SignedLink, file_path, play_path};

/// Signs a link to one file, which need not exist yet, for what the caller may do. The link ends
/// when the caller's token does.
pub(crate) async fn sign(
    State(app): State<App>,
    caller: Caller,
    subject: Subject,
    body: Body,
) -> Result<Json<SignedLink>, HttpError> {
    let SignRequest {
        name,
        expires_in_seconds,
        download,
        method,
        max_bytes,
    } = json(body).await?;
    let name = parse_name(&name)?;
    subject.is(name.as_str());
    caller.may(
        match method {
            LinkMethod::Get => Role::Read,
            LinkMethod::Put => Role::Write,
        },
        &name,
    )?;
    if !(1..=LINK_MAX_SECONDS).contains(&expires_in_seconds) {
        let range = format!("expires_in_seconds must be 1 to {LINK_MAX_SECONDS}");
        return Err(HttpError::invalid(range));
    }
    let (path, query) = match (method, download, max_bytes) {
        (LinkMethod::Get, _, Some(_)) => {
            return Err(HttpError::invalid("max_bytes goes with the method PUT"));
        }
        (LinkMethod::Put, true, _) => {
            return Err(HttpError::invalid("download goes with the method GET"));
        }
        (LinkMethod::Get, true, None) => (file_path(name.as_str()), "download=1"),
        (LinkMethod::Get, false, None) => (play_path(name.as_str()), ""),
        (LinkMethod::Put, false, _) => (file_path(name.as_str()), ""),
    };
    let Some(key) = app.0.entrance.access.links.first() else {
        return Err(HttpError::invalid(
            "this master has no key to sign links with",
        ));
    };
    let wanted = app.0.clock.wall().as_millis() / 1000 + expires_in_seconds;
    let until = caller.token_until().map(|until| until.as_millis() / 1000);
    let expires = until.map_or(wanted, |until| wanted.min(until));
    let signed = key.sign(&Link {
        method,
        path: &path,
        query,
        by: match caller.who() {
            Who::Token(token) => Some(token),
            Who::Nobody | Who::Server | Who::Root | Who::RootLink | Who::TokenLink(_) => None,
        },
        max_bytes,
        expires,
    });
    Ok(Json(SignedLink {
        path: format!("{path}?{signed}"),
        expires,
    }))
}
