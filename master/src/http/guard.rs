//! What happens around every request: who asks, whether they may, then the handler, then errors,
//! counters and the audit log.

use super::access::Presented;
use super::audit::{Act, Subject};
use super::behalf::to_the_end;
use super::caller::{Caller, PathName};
use super::counted::{Counted, Way};
use super::error::{HttpError, render};
use super::metrics::method;
use super::name::{name_in_path, parse_name};
use super::original;
use super::peers::client_address;
use super::query::Query;
use super::routes::Rules;
use super::rule::{ACTS, Place, Rule};
use super::{App, Inner};
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::Uri;
use http::request::Parts;
use mdfs_client::link::Behalf;
use mdfs_core::access::Role;
use mdfs_core::name::FileName;
use mdfs_protocol::public;
use mdfs_service::{Peer, RequestId};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use tokio::time::Instant;

/// What the guard knows.
#[derive(Clone)]
pub(crate) struct Guard {
    pub(crate) app: App,
    pub(crate) rules: Arc<Rules>,
}

/// Requests that bring bytes of files.
const STORING: [(&str, &str); 3] = [
    ("PUT", public::FILE),
    ("PUT", public::UPLOAD_CHUNK),
    ("POST", original::UPLOAD),
];

/// Lets a request through if its rule says so, before a byte of its body is read: a client that
/// waits for `100 Continue` does not get one with a wrong token.
pub(crate) async fn guard(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let (mut parts, body) = request.into_parts();
    let id = parts.extensions.get::<RequestId>().cloned();
    let id = id.unwrap_or_else(RequestId::random);
    let matched = parts.extensions.get::<MatchedPath>().cloned();
    let matched = matched.as_ref().map(MatchedPath::as_str);
    let (label, rule) = guard.rules.find(matched, &parts.method);

    let Inner {
        entrance, metrics, ..
    } = &*guard.app.0;
    let address = address_of(&parts, guard.app.0.as_ref());
    let presented = Presented {
        method: parts.method.as_str(),
        raw_path: parts.uri.path(),
        raw_query: parts.uri.query().unwrap_or_default(),
        headers: &parts.headers,
        address,
    };
    let method = method(&parts.method);
    let response = match entrance.identify(rule, &presented).await {
        Err(refused) => refused.into_response(),
        Ok(caller) => {
            let caller = caller.at(address);
            let query = parts.uri.query().unwrap_or_default();
            let act = Act::of(rule, &caller, &parts.method, label, query, id.as_str());
            let subject = act.as_ref().map(Act::subject).unwrap_or_default();
            let response = match admit(rule, &caller, label, &parts.uri, &subject) {
                Err(refused) => refused.into_response(),
                Ok(name) => {
                    if let Some(name) = name {
                        parts.extensions.insert(PathName(name));
                    }
                    parts.extensions.insert(caller);
                    parts.extensions.insert(subject);
                    let moved = guard.app.0.leader.board().moved().clone();
                    let reads =
                        matches!(rule, Rule::Name(Role::Read) | Rule::NameInQuery(Role::Read));
                    let stores = STORING.contains(&(parts.method.as_str(), label));
                    let body = match stores {
                        true => Counted::body(body, moved.clone(), Way::In),
                        false => body,
                    };
                    let behalf = Behalf::of(id.as_str());
                    let answer = next.run(Request::from_parts(parts, body));
                    let response = to_the_end(behalf.clone(), behalf.run(answer).await);
                    match reads {
                        true => response.map(|body| Counted::body(body, moved, Way::Out)),
                        false => response,
                    }
                }
            };
            if let Some(act) = act {
                let error = response.extensions().get::<HttpError>();
                act.ended(response.status(), error.map(HttpError::code));
            }
            response
        }
    };
    let response = match response.extensions().get::<HttpError>() {
        Some(error) => render(error, id.as_str(), response.headers()),
        None => response,
    };
    let moved = guard.app.0.leader.board().moved();
    moved.answered(response.status().as_u16());
    metrics.count(label, method, response.status().as_u16(), started.elapsed());
    response
}

fn address_of(parts: &Parts, inner: &Inner) -> IpAddr {
    let peer = parts.extensions.get::<Peer>();
    let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip());
    client_address(peer, &parts.headers, &inner.entrance.access.proxies)
}

/// Whether a known caller may do what the path and the query say; the name in them, if the rule is
/// about one.
///
/// # Errors
/// As [`Caller::may`]; also if that is no name.
fn admit(
    rule: Rule,
    caller: &Caller,
    route: &str,
    uri: &Uri,
    subject: &Subject,
) -> Result<Option<FileName>, HttpError> {
    let name = match rule.place_of_name() {
        Place::Path => {
            let before_name = route.split('{').next().unwrap_or_default();
            Some(name_in_path(uri.path(), before_name)?)
        }
        Place::Query => {
            let query = Query::parse(uri.query().unwrap_or_default())?;
            let text = query.text("name");
            let text = text.ok_or_else(|| HttpError::invalid("say which file: ?name="))?;
            Some(parse_name(text)?)
        }
        Place::Nowhere => None,
    };
    if let Some(name) = &name {
        subject.is(name.as_str());
    }
    match (rule, &name) {
        (Rule::Anyone | Rule::Servers | Rule::Holder, _) => {}
        (Rule::Has(role), _) => caller.has(role)?,
        (Rule::Name(role) | Rule::NameInQuery(role), Some(name)) => caller.may(role, name)?,
        (Rule::Act, Some(name)) => {
            let query = Query::parse(uri.query().unwrap_or_default())?;
            for (act, role) in ACTS {
                if query.text(act).is_some() {
                    caller.may(role, name)?;
                }
            }
        }
        // `place_of_name` gave these one.
        (Rule::Name(role) | Rule::NameInQuery(role), None) => caller.has(role)?,
        (Rule::Act, None) => {}
    }
    Ok(name)
}
