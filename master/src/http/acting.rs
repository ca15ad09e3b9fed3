//! What is done with a file by `POST`: the query says what.

use super::App;
use super::caller::{Caller, PathName};
use super::conditions::precondition;
use super::error::{HttpError, problem_of};
use super::files::request_id;
use super::query::Query;
use super::rule::ACTS;
use super::storing::{checked_attributes, media_type};
use super::trash;
use super::wire::{JSON_MAX_BYTES, bytes_up_to, file_info, json};
use crate::leader::command::{FileView, SetLabels};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures_util::{FutureExt, stream};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, Uri};
use mdfs_core::name::FileName;
use mdfs_core::records::plan::LabelChange;
use mdfs_protocol::public::{SetAttributes, VerifyLine};
use mdfs_protocol::transfer::CONTENT_TYPE as LINES;
use std::convert::Infallible;
use std::task::Poll;
use tokio::sync::mpsc;

/// `?undelete` brings a file back from the trash, `?verify` has all its copies read, `?attributes`
/// changes what is said of it. What there is to do, and the role it needs, is in [`ACTS`].
///
/// [`ACTS`]: super::rule::ACTS
pub(crate) async fn act(
    State(app): State<App>,
    PathName(name): PathName,
    caller: Caller,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, HttpError> {
    let query = Query::parse(uri.query().unwrap_or_default())?;
    let query = query.only(&ACTS.map(|(act, _)| act))?;
    let asked = [
        query.flag("undelete")?,
        query.flag("verify")?,
        query.flag("attributes")?,
    ];
    if asked == [false, false, true] {
        return set_attributes(&app, name, &headers, body).await;
    }
    if !bytes_up_to(body, JSON_MAX_BYTES).await?.is_empty() {
        return Err(HttpError::invalid("a body goes with ?attributes alone"));
    }
    match asked {
        [true, false, false] => Ok(trash::undelete(&app, name, &headers).await?.into_response()),
        [false, true, false] => {
            let view = app.0.leader.look_up(name).await?;
            let accepts = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
            if accepts.is_some_and(|accepts| accepts.contains(LINES)) {
                return Ok(verify_aloud(app, view, caller));
            }
            let verified = app.0.gateway.verify(&view, caller.holder()).await?;
            Ok(Json(verified).into_response())
        }
        _ => Err(HttpError::invalid(
            "the query must say one thing to do with the file: ?undelete, ?verify or ?attributes",
        )),
    }
}

/// Copies that were read and are not sent yet: who reads slowly has workers read slowly.
const UNSENT: usize = 16;

/// Has all copies of a file read, and answers a line for each as it comes; ends when nobody listens.
fn verify_aloud(app: App, view: FileView, caller: Caller) -> Response {
    let (sender, mut lines) = mpsc::channel(UNSENT);
    let holder = caller.holder();
    let gateway = app.0.gateway.clone();
    let verifying = async move {
        match gateway.verify_aloud(&view, holder, sender).await {
            Ok(verified) => VerifyLine::Verified(verified),
            Err(error) => VerifyLine::Failed(problem_of(&error.into(), "")),
        }
    };
    let mut verifying = Some(verifying.boxed());
    let told = stream::poll_fn(move |context| {
        let running = verifying.as_mut();
        let ended = running.map_or(Poll::Pending, |running| running.poll_unpin(context));
        match lines.poll_recv(context) {
            Poll::Ready(Some(copy)) => {
                if let Poll::Ready(last) = ended {
                    verifying = Some(std::future::ready(last).boxed());
                }
                return Poll::Ready(Some(line_of(&VerifyLine::Copy(copy))));
            }
            Poll::Ready(None) | Poll::Pending => {}
        }
        match ended {
            Poll::Ready(last) => {
                verifying = None;
                Poll::Ready(Some(line_of(&last)))
            }
            Poll::Pending if verifying.is_none() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    });
    ([(CONTENT_TYPE, LINES)], Body::from_stream(told)).into_response()
}

fn line_of(line: &VerifyLine) -> Result<String, Infallible> {
    // Texts and numbers: it always encodes.
    let mut text = serde_json::to_string(line).unwrap_or_default();
    text.push('\n');
    Ok(text)
}

/// Changes what is said of a file.
async fn set_attributes(
    app: &App,
    name: FileName,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, HttpError> {
    let (request, precondition) = (request_id(headers)?, precondition(headers)?);
    let SetAttributes {
        content_type,
        attributes,
    } = json(body).await?;
    let change = LabelChange {
        content_type: content_type.as_deref().map(media_type).transpose()?,
        attributes: attributes.map(checked_attributes).transpose()?,
    };
    let set = SetLabels {
        request,
        name,
        change,
        precondition,
    };
    let info = app.0.leader.set_labels(set).await?;
    Ok(Json(file_info(&info)).into_response())
}
