//! What every pass over a cluster may use.

use super::report::Masters;
use crate::config::Config;
use crate::metrics::Metrics;
use kube::runtime::events::{Recorder, Reporter};
use mdfs_service::Clock;
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

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
    /// When its status was written last, in milliseconds.
    pub(crate) written: Option<u64>,
    /// How many voters were asked for last, and when.
    pub(crate) voters: Option<(u8, u64)>,
    /// Passes that failed in a row.
    pub(crate) failures: u32,
    /// Claims that Kubernetes refused to let grow, with the size in bytes.
    pub(crate) refused: HashSet<(String, u64)>,
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
