//! Which operator works: the one that holds the lease. Others wait.
//!
//! Clocks of machines are not compared: a lease is over when nobody has renewed it for its whole length
//! on this machine's clock. What two operators would do at the same time is harmless, since every write
//! names what it changes; one at a time is for order, not for safety.

use crate::error::Error;
use crate::names::MANAGER;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, ObjectMeta, PostParams};
use mdfs_service::Clock;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// An operator's way to the lease.
pub(crate) struct Election {
    api: Api<Lease>,
    name: String,
    identity: String,
    length: Duration,
    clock: Clock,
}

/// What is known of a lease: who has it, which word of it was the last, and since when that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    holder: String,
    word: String,
    since_millis: u64,
}

impl Election {
    pub(crate) fn new(client: kube::Client, config: &crate::Config, clock: Clock) -> Self {
        Self {
            api: match &config.lease_namespace {
                Some(namespace) => Api::namespaced(client, namespace),
                None => Api::default_namespaced(client),
            },
            name: config.lease_name.clone(),
            identity: config.identity.clone(),
            length: config.lease,
            clock,
        }
    }

    fn pause(&self) -> Duration {
        self.length / 3
    }

    /// Waits until this operator has the lease; false if `stop` fired first.
    pub(crate) async fn win(&self, stop: &CancellationToken) -> bool {
        let mut seen: Option<Seen> = None;
        loop {
            match tokio::time::timeout(self.pause(), self.try_take(&mut seen)).await {
                Ok(Ok(true)) => return true,
                Ok(Ok(false)) => {}
                Ok(Err(error)) => {
                    tracing::warn!(%error, lease = self.name, "cannot take the lease")
                }
                Err(_) => tracing::warn!(lease = self.name, "nobody tells of the lease in time"),
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return false,
                () = tokio::time::sleep(self.pause()) => {}
            }
        }
    }

    /// Renews the lease until `stop` fires, then gives it back.
    ///
    /// # Errors
    /// If another has it, or it could not be renewed for its whole length.
    pub(crate) async fn keep(self, stop: CancellationToken) -> Result<(), Error> {
        let mut renewed = self.clock.now();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = tokio::time::sleep(self.pause()) => {}
            }
            let asked = self.clock.now();
            match tokio::time::timeout(self.pause(), self.renew()).await {
                // Not when it was answered: others count from when it was written.
                Ok(Ok(true)) => renewed = asked,
                Ok(Ok(false)) => return Err(Error::LeaseLost(self.name)),
                Ok(Err(error)) => {
                    tracing::warn!(%error, lease = self.name, "cannot renew the lease")
                }
                Err(_) => tracing::warn!(lease = self.name, "the lease is not renewed in time"),
            }
            if self.clock.now().since(renewed) >= self.length {
                return Err(Error::LeaseLost(self.name));
            }
        }
        Ok(())
    }

    /// Gives the lease back, so that the next operator need not wait.
    pub(crate) async fn give_back(&self) {
        let released = async {
            let Some(mut lease) = self.api.get_opt(&self.name).await? else {
                return Ok(());
            };
            let spec = lease.spec.get_or_insert_default();
            if spec.holder_identity.as_deref() != Some(self.identity.as_str()) {
                return Ok(());
            }
            spec.holder_identity = Some(String::new());
            self.replace(&lease).await
        };
        match tokio::time::timeout(self.pause(), released).await {
            Ok(Ok::<(), kube::Error>(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, lease = self.name, "cannot give the lease back");
            }
            Err(_) => tracing::warn!(lease = self.name, "the lease is not given back in time"),
        }
    }

    async fn try_take(&self, seen: &mut Option<Seen>) -> Result<bool, kube::Error> {
        let Some(mut lease) = self.api.get_opt(&self.name).await? else {
            let lease = Lease {
                metadata: ObjectMeta {
                    name: Some(self.name.clone()),
                    ..ObjectMeta::default()
                },
                spec: Some(self.spec(0)),
            };
            return self.created(self.api.create(&self.params(), &lease).await);
        };
        let spec = lease.spec.clone().unwrap_or_default();
        let holder = spec.holder_identity.clone().unwrap_or_default();
        let word = lease.metadata.resource_version.clone().unwrap_or_default();
        let now = self.clock.now().as_millis();
        let known = seen
            .as_ref()
            .filter(|it| it.holder == holder && it.word == word);
        let since_millis = known.map_or(now, |it| it.since_millis);
        let silent = Duration::from_millis(now.saturating_sub(since_millis));
        let theirs = spec
            .lease_duration_seconds
            .and_then(|it| u64::try_from(it).ok());
        let length = theirs.map_or(self.length, Duration::from_secs);
        let free = holder.is_empty() || holder == self.identity || silent >= length;
        if !free {
            *seen = Some(Seen {
                holder,
                word,
                since_millis,
            });
            return Ok(false);
        }
        let turns = spec.lease_transitions.unwrap_or(0);
        lease.spec = Some(self.spec(turns.saturating_add(1)));
        self.created(self.replace(&lease).await)
    }

    /// False if another was faster.
    fn created<T>(&self, result: Result<T, kube::Error>) -> Result<bool, kube::Error> {
        match result {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// False if another has it.
    async fn renew(&self) -> Result<bool, kube::Error> {
        let Some(mut lease) = self.api.get_opt(&self.name).await? else {
            return Ok(false);
        };
        let spec = lease.spec.get_or_insert_default();
        if spec.holder_identity.as_deref() != Some(self.identity.as_str()) {
            return Ok(false);
        }
        spec.renew_time = Some(self.now());
        self.created(self.replace(&lease).await)
    }

    /// With the version that was read, so that two cannot both take it.
    async fn replace(&self, lease: &Lease) -> Result<(), kube::Error> {
        self.api
            .replace(&self.name, &self.params(), lease)
            .await
            .map(|_| ())
    }

    fn params(&self) -> PostParams {
        PostParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PostParams::default()
        }
    }

    fn spec(&self, turns: i32) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(self.length.as_secs()).ok(),
            acquire_time: Some(self.now()),
            renew_time: Some(self.now()),
            lease_transitions: Some(turns),
            ..LeaseSpec::default()
        }
    }

    fn now(&self) -> MicroTime {
        let millis = i64::try_from(self.clock.wall().as_millis()).unwrap_or(i64::MAX);
        MicroTime(Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH))
    }
}
