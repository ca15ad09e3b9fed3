//! Access tokens: made, listed, revoked.

use super::App;
use super::audit::Subject;
use super::caller::Caller;
use super::error::HttpError;
use super::wire::json;
use crate::leader::command::Token;
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{AppendHeaders, IntoResponse};
use http::StatusCode;
use http::header::{CACHE_CONTROL, HeaderValue};
use mdfs_core::access::{Folder, Grant};
use mdfs_core::id::TokenId;
use mdfs_core::records::TokenRecord;
use mdfs_core::time::LogTime;
use mdfs_protocol::date::rfc3339;
use mdfs_protocol::public::{
    CreatedToken, LABEL_MAX_BYTES, NewToken, TOKEN_MAX_SECONDS, TokenInfo, Tokens,
};
use mdfs_protocol::token::BearerToken;
use std::time::Duration;

/// Makes a token, of no more than the caller may do and for no longer. Its secret is in this answer
/// and nowhere else.
pub(crate) async fn create(
    State(app): State<App>,
    caller: Caller,
    subject: Subject,
    body: Body,
) -> Result<impl IntoResponse, HttpError> {
    let NewToken {
        label,
        roles,
        prefix,
        expires_seconds,
    } = json(body).await?;
    if label.is_empty() || label.len() > LABEL_MAX_BYTES || label.contains(char::is_control) {
        let rule = format!("label: 1 to {LABEL_MAX_BYTES} bytes without control characters");
        return Err(HttpError::invalid(rule));
    }
    if !(1..=TOKEN_MAX_SECONDS).contains(&expires_seconds) {
        let rule = format!("expires_seconds must be 1 to {TOKEN_MAX_SECONDS}");
        return Err(HttpError::invalid(rule));
    }
    let folder =
        Folder::parse(&prefix).map_err(|error| HttpError::invalid(format!("prefix: {error}")))?;
    let grant = Grant { roles, folder };
    grant
        .check()
        .map_err(|error| HttpError::invalid(format!("roles: {error}")))?;
    caller.may_pass_on(&grant)?;
    let now = app.0.clock.wall();
    let wanted = now.plus(Duration::from_secs(expires_seconds));
    let mut bits = [0; 32];
    let chance = &app.0.chance;
    chance.fill(&mut bits);
    let token = BearerToken::new(TokenId::from_u128(chance.random_u128()), bits);
    subject.is(&token.id().to_string());
    let record = TokenRecord {
        hash: token.hash(),
        label,
        grant,
        created: now,
        expires: caller
            .token_until()
            .map_or(wanted, |until| wanted.min(until)),
    };
    let info = info_of(token.id(), &record, now);
    let id = token.id();
    app.0.leader.add_token(Token { id, record }).await?;
    let secret = token.expose();
    let never_kept = AppendHeaders([(CACHE_CONTROL, HeaderValue::from_static("no-store"))]);
    let created = Json(CreatedToken { secret, info });
    Ok((StatusCode::CREATED, never_kept, created))
}

/// All tokens.
pub(crate) async fn list(State(app): State<App>) -> Result<Json<Tokens>, HttpError> {
    let now = app.0.clock.wall();
    let tokens = app.0.leader.tokens().await?;
    let tokens = tokens
        .iter()
        .map(|token| info_of(token.id, &token.record, now));
    Ok(Json(Tokens {
        tokens: tokens.collect(),
    }))
}

/// Ends a token: at once on this master, on the others as soon as they ask again.
pub(crate) async fn revoke(
    State(app): State<App>,
    Path(id): Path<String>,
    subject: Subject,
) -> Result<StatusCode, HttpError> {
    let id: TokenId = id
        .parse()
        .map_err(|_| HttpError::invalid("the id of a token is 32 lower-case hexadecimal digits"))?;
    subject.is(&id.to_string());
    let revoked = app.0.leader.revoke_token(id).await;
    app.0.entrance.forget(id);
    revoked?;
    Ok(StatusCode::NO_CONTENT)
}

fn info_of(id: TokenId, record: &TokenRecord, now: LogTime) -> TokenInfo {
    let TokenRecord {
        hash: _,
        label,
        grant,
        created,
        expires,
    } = record;
    TokenInfo {
        id,
        label: label.clone(),
        roles: grant.roles,
        prefix: grant.folder.as_str().to_owned(),
        created: rfc3339(*created),
        expires: rfc3339(*expires),
        expired: now >= *expires,
    }
}
