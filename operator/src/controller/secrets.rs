//! Secrets are made once. One that is there is never written again, whatever is in it: it may be the
//! only key to disks that are there too.

use super::build::{Access, Identity};
use super::context::Context;
use super::dereference::Live;
use super::publish::{event, tell};
use super::validate::ValidatedCluster;
use crate::crd::{Bootstrap, MdfsCluster};
use crate::error::Error;
use crate::names::{self, MANAGER};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, PostParams};
use serde_json::Value;

/// Makes those that are missing.
///
/// # Errors
/// If one cannot be made, or one that is there does not hold what it should.
pub(crate) async fn ensure(
    ctx: &Context,
    resource: &MdfsCluster,
    cluster: &ValidatedCluster,
    bootstrap: Option<&Bootstrap>,
    live: &mut Live,
) -> Result<(), Error> {
    let (name, namespace) = (&cluster.name, &cluster.namespace);
    if live.identity.is_none() {
        if let Some(lost) = lost_identity(name, bootstrap, live.claims.keys().next()) {
            return Err(lost);
        }
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
        if bootstrap.is_some() {
            let (secret, masters) = (names::access_secret(name), names::masters(name));
            let note = format!(
                "the Secret {secret} was gone and was made anew with another root token; masters take \
                 it once they are restarted: kubectl -n {namespace} rollout restart deployment {masters}"
            );
            tracing::warn!(cluster = name, note);
            tell(
                ctx,
                resource,
                event(false, "TokenReplaced", "MakeSecret", note),
            )
            .await;
        }
    }
    Ok(())
}

/// Disks know the identity and the key of their cluster: with others, nothing on them is ever read again.
fn lost_identity(
    name: &str,
    bootstrap: Option<&Bootstrap>,
    claim: Option<&String>,
) -> Option<Error> {
    let whose = match (bootstrap, claim) {
        (Some(bootstrap), _) => format!("the cluster {}", bootstrap.cluster_id),
        (None, Some(claim)) => format!("the volume {claim}"),
        (None, None) => return None,
    };
    Some(Error::Unexpected {
        subject: format!("Secret {}", names::identity_secret(name)),
        what: format!(
            "is missing or not whole, and is the only key to {whose}: restore it from a backup"
        ),
    })
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

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use k8s_openapi::jiff::Timestamp;

    #[test]
    fn an_identity_that_disks_know_is_never_made_anew() {
        let born = Bootstrap {
            cluster_id: "c1".to_owned(),
            completed_time: Time(Timestamp::UNIX_EPOCH),
        };
        let claim = "data-films-worker-0".to_owned();
        assert!(lost_identity("films", None, None).is_none());
        let lost = lost_identity("films", Some(&born), None).unwrap().text();
        assert!(
            lost.contains("c1") && lost.contains("films-identity"),
            "{lost}"
        );
        let lost = lost_identity("films", None, Some(&claim)).unwrap().text();
        assert!(lost.contains(&claim), "{lost}");
    }
}
