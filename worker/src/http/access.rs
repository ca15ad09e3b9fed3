//! Who may ask what. Everything is refused that is not named here.

use crate::error::Error;
use crate::http::error::HttpError;
use crate::node::Node;
use crate::worker::Worker;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use mdfs_core::id::ClusterId;
use mdfs_protocol::access::{CLUSTER_HEADER, DISK_HEADER};
use mdfs_protocol::{internal, local};

/// What anybody may ask: probes, and figures for monitoring.
///
/// `/stats` and `/metrics` are open because a scraper has no cluster key and must not get one: the
/// key opens every chunk. They hold counts only, no file name and no id of a file.
const OPEN: [&str; 5] = [
    "/health",
    "/health/live",
    "/health/ready",
    "/stats",
    "/metrics",
];

/// What people may ask whom a master lets: the handlers ask one before they say anything.
const ASKED: [&str; 2] = [local::CHECKSUM, local::VERIFY];

/// Lets a request through if its caller knows the cluster key and means this disk.
///
/// The disk's id is checked on every route but the one that tells it, so that a request that
/// reaches another worker at a reused address does nothing there. The cluster is checked as soon as
/// the disk belongs to one; before, the disk only tells who it is, is adopted, and votes in the
/// election that founds the cluster (an election leaves a disk blank).
pub(crate) async fn admit(
    State(worker): State<Worker>,
    request: Request,
    next: Next,
) -> Result<Response, HttpError> {
    let path = request.uri().path();
    if OPEN.contains(&path) || ASKED.contains(&path) {
        return Ok(next.run(request).await);
    }
    if !worker.admits(text(request.headers(), AUTHORIZATION.as_str())) {
        return Err(Error::Unauthorized.into());
    }
    let node = worker.node()?;
    check_disk(&node, path, request.headers())?;
    check_cluster(&node, path, request.headers())?;
    Ok(next.run(request).await)
}

fn check_disk(node: &Node, path: &str, headers: &HeaderMap) -> Result<(), Error> {
    let ours = node.identity().disk;
    let asked = text(headers, DISK_HEADER);
    match asked {
        None if path == internal::IDENTITY => Ok(()),
        Some(asked) if asked.parse() == Ok(ours) => Ok(()),
        None | Some(_) => Err(Error::WrongDisk {
            asked: asked.map(clip),
            ours,
        }),
    }
}

fn check_cluster(node: &Node, path: &str, headers: &HeaderMap) -> Result<(), Error> {
    let ours: Option<ClusterId> = node.identity().cluster;
    let asked = text(headers, CLUSTER_HEADER);
    let of_ours = asked.is_some_and(|asked| asked.parse().is_ok_and(|id| Some(id) == ours));
    // A master that has just started may not know the cluster yet; adoption names it in its body.
    let before = [internal::IDENTITY, internal::ADOPT, internal::MASTERS];
    let before_adoption = before.contains(&path) || path == internal::LOG;
    let admitted = match (ours, asked) {
        (_, None) if before.contains(&path) => true,
        (None, _) => before_adoption,
        (Some(_), _) => of_ours,
    };
    if admitted {
        Ok(())
    } else {
        Err(Error::ForeignCluster {
            asked: asked.map(clip),
            ours,
        })
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// At most a line: it may come from anywhere.
fn clip(text: &str) -> String {
    text.chars().take(64).collect()
}
