//! A token that reads metrics and nothing else, for the ServiceMonitor.

use super::build::metrics_secret;
use super::context::Context;
use super::secrets;
use super::validate::ValidatedCluster;
use crate::error::Error;
use crate::names;
use k8s_openapi::api::core::v1::Secret;
use kube::api::Api;
use mdfs_client::api::NewToken;
use mdfs_client::{Client, Role, Roles};

/// How long it works.
const METRICS_SECONDS: u64 = 5 * 365 * 24 * 3600;

/// Makes the token if it is missing.
///
/// # Errors
/// If it cannot be made or kept.
pub(crate) async fn let_in(
    ctx: &Context,
    cluster: &ValidatedCluster,
    client: &Client,
) -> Result<(), Error> {
    let Some(_) = &cluster.service_monitor else {
        return Ok(());
    };
    let (name, namespace) = (&cluster.name, &cluster.namespace);
    let api: Api<Secret> = Api::namespaced(ctx.client.clone(), namespace);
    let secret = names::metrics_secret(name);
    let there = api.get_opt(&secret).await;
    if there
        .map_err(Error::api("read", format!("Secret {secret}")))?
        .is_some()
    {
        return Ok(());
    }
    let token = NewToken {
        label: format!("metrics, for the ServiceMonitor {name}"),
        roles: Roles::from_iter([Role::Metrics]),
        prefix: String::new(),
        expires_seconds: METRICS_SECONDS,
    };
    let made = client.create_token(&token).await;
    let made = made.map_err(Error::masters("make a token for metrics"))?;
    let kept = metrics_secret(name, namespace, &made.secret);
    let kept = secrets::create(ctx, namespace, &kept).await;
    if kept.is_err() {
        // Nobody has it, and the next pass makes another.
        if let Err(error) = client.revoke_token(made.info.id).await {
            tracing::warn!(id = %made.info.id, %error, "a token that nobody has stays");
        }
    }
    kept
}
