//! Secrets are made once. One that is there is never written again, whatever is in it: it may be the
//! only key to disks that are there too.

use super::build::{Access, Identity};
use super::context::Context;
use super::dereference::Live;
use super::validate::ValidatedCluster;
use crate::error::Error;
use crate::names::MANAGER;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, PostParams};
use serde_json::Value;

/// Makes those that are missing.
///
/// # Errors
/// If one cannot be made, or one that is there does not hold what it should.
pub(crate) async fn ensure(
    ctx: &Context,
    cluster: &ValidatedCluster,
    live: &mut Live,
) -> Result<(), Error> {
    let (name, namespace) = (&cluster.name, &cluster.namespace);
    if live.identity.is_none() {
        let mut random = [0; 48];
        mdfs_service::chance::fill(&mut random);
        let identity = Identity::new(&random);
        create(ctx, namespace, &identity.secret(name, namespace)).await?;
        live.identity = Some(identity);
    }
    if live.token.is_none() {
        let mut random = [0; 64];
        mdfs_service::chance::fill(&mut random);
        let access = Access::new(&random);
        create(ctx, namespace, &access.secret(name, namespace)).await?;
        live.token = Some(access.root_token);
    }
    Ok(())
}

/// Makes a Secret that is not there. One that is there meanwhile is an error: it is read anew in the next
/// pass.
pub(crate) async fn create(ctx: &Context, namespace: &str, secret: &Value) -> Result<(), Error> {
    let api: Api<Secret> = Api::namespaced(ctx.client.clone(), namespace);
    let secret: Secret =
        serde_json::from_value(secret.clone()).map_err(|error| Error::Unexpected {
            subject: "a Secret".to_owned(),
            what: error.to_string(),
        })?;
    let params = PostParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PostParams::default()
    };
    let name = secret.metadata.name.clone().unwrap_or_default();
    let created = api.create(&params, &secret).await;
    created.map_err(Error::api("make", format!("Secret {name}")))?;
    ctx.metrics.write();
    Ok(())
}
