//! What every pass over a cluster may use.

use super::removal::Predicate;
use super::report::Masters;
use crate::config::Config;
use crate::error::Error;
use crate::metrics::{Metrics, Seen};
use kube::runtime::events::{Recorder, Reporter};
use mdfs_service::Clock;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Shared by all passes.
pub(crate) struct Context {
    pub(crate) client: kube::Client,
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    pub(crate) masters: Masters,
    pub(crate) metrics: Metrics,
    pub(crate) recorder: Recorder,
    memory: Mutex<HashMap<String, Memory>>,
}

/// What is remembered of a cluster. All of it may be lost: nothing is decided on it but when to ask or
/// write again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory {
    /// What it was last, for metrics.
    pub(crate) seen: Option<Seen>,
    /// When its status was written last, in milliseconds.
    pub(crate) written: Option<u64>,
    /// How many voters were asked for last, and when.
    pub(crate) voters: Option<(u8, u64)>,
    /// Passes that failed in a row.
    pub(crate) failures: u32,
    /// Why steps failed in the last pass, if any did.
    pub(crate) steps: Option<Failure>,
    /// Why the masters did not take the policy yet, if they said so in the last pass.
    pub(crate) policy: Option<String>,
    /// The rule that was switched off last, and the pod that went for that: what was told of.
    pub(crate) overridden: Option<(Predicate, Option<String>)>,
    /// Claims that Kubernetes refused to let grow lately; at most one for each claim.
    pub(crate) refused: Vec<Refusal>,
}

/// Steps of a pass that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Why the first of them did.
    pub(crate) why: String,
    /// Whether that is most likely over by the next pass, and the pass before had none.
    pub(crate) passes: bool,
}

impl Failure {
    /// What is remembered of this pass, after what was remembered of the one before.
    pub(crate) fn after(before: Option<&Self>, error: Option<&Error>) -> Option<Self> {
        error.map(|error| Self {
            why: error.text(),
            passes: before.is_none() && error.is_transient_of_masters(),
        })
    }
}

/// Kubernetes refused to let a claim grow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The claim.
    pub(crate) claim: String,
    /// The size that was asked for.
    pub(crate) bytes: u64,
    /// What the API server said.
    pub(crate) message: String,
    /// When, in milliseconds.
    pub(crate) at: u64,
}

/// How soon a growth that was refused is asked for again: the class, a quota or a right may have changed.
const ASK_AGAIN: Duration = Duration::from_secs(300);

impl Refusal {
    /// Whether the answer would still be the same, as far as anybody knows.
    pub(crate) fn stands(&self, now: u64) -> bool {
        Duration::from_millis(now.saturating_sub(self.at)) < ASK_AGAIN
    }
}

impl Context {
    pub(crate) fn new(
        client: kube::Client,
        config: Config,
        clock: Clock,
        metrics: Metrics,
    ) -> Self {
        let reporter = Reporter {
            controller: crate::names::MANAGER.to_owned(),
            instance: Some(config.identity.clone()),
        };
        Self {
            recorder: Recorder::new(client.clone(), reporter),
            client,
            config,
            clock,
            masters: Masters::default(),
            metrics,
            memory: Mutex::default(),
        }
    }

    /// Reads or changes what is remembered of a cluster.
    pub(crate) fn remember<T>(&self, cluster: &str, change: impl FnOnce(&mut Memory) -> T) -> T {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        change(memory.entry(cluster.to_owned()).or_default())
    }

    /// What was last seen of each cluster.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.values().filter_map(|it| it.seen.clone()).collect()
    }

    /// Forgets a cluster that is gone.
    pub(crate) fn forget(&self, cluster: &str) {
        self.masters.forget(cluster);
        self.memory
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(cluster);
    }

    pub(crate) fn now_millis(&self) -> u64 {
        self.clock.now().as_millis()
    }
}

#[cfg(test)]
mod tests {
    use super::{Failure, Refusal};
    use crate::error::Error;
    use mdfs_client::Code;

    #[test]
    fn what_masters_could_not_do_once_passes_and_twice_does_not() {
        let refused = |code| {
            Error::masters("set the policy")(mdfs_client::Error::Refused {
                subject: "/v1/policy".to_owned(),
                code,
                detail: "another master leads now".to_owned(),
                request_id: String::new(),
            })
        };
        let after = |before: Option<&Failure>, error| Failure::after(before, Some(error)).unwrap();
        let transient = refused(Code::NoLeader);
        let first = after(None, &transient);
        assert!(first.passes && first.why.contains("set the policy"));
        let second = after(Some(&first), &transient);
        assert!(!second.passes);
        assert!(!after(Some(&second), &transient).passes);
        assert_eq!(Failure::after(Some(&second), None), None);
        // What they will say again.
        assert!(!after(None, &refused(Code::Forbidden)).passes);
    }

    #[test]
    fn a_refusal_stands_for_five_minutes() {
        let refusal = Refusal {
            claim: "data-films-worker-0".to_owned(),
            bytes: 2 << 30,
            message: "exceeded quota".to_owned(),
            at: 1000,
        };
        assert!(refusal.stands(1000 + 299_999));
        assert!(!refusal.stands(1000 + 300_000));
    }
}
