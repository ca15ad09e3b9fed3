//! What the operator counts of itself.

use mdfs_service::metrics::{Counter, Gauge, Histogram, LATENCY_SECONDS, MetricError, Registry};
use std::time::Duration;

/// The operator's metrics. No label comes from an open set.
pub(crate) struct Metrics {
    registry: Registry,
    passed: Counter,
    failed: Counter,
    writes: Counter,
    overridden: Counter,
    seconds: Histogram,
    leading: Gauge,
}

impl Metrics {
    /// Registers all.
    ///
    /// # Errors
    /// If one exists.
    pub(crate) fn new() -> Result<Self, MetricError> {
        let registry = Registry::new();
        let passes = |result| {
            let help = "Passes over a cluster";
            registry.counter(
                "mdfs_operator_reconciles_total",
                help,
                &[("result", result)],
            )
        };
        let help = "Rules of the removal engine that an annotation switched off";
        Ok(Self {
            passed: passes("ok")?,
            failed: passes("error")?,
            writes: registry.counter(
                "mdfs_operator_writes_total",
                "Writes to the Kubernetes API, without leases and events",
                &[],
            )?,
            overridden: registry.counter("mdfs_operator_ignored_predicates_total", help, &[])?,
            seconds: registry.histogram(
                "mdfs_operator_reconcile_seconds",
                "How long a pass over a cluster takes",
                &[],
                LATENCY_SECONDS,
            )?,
            leading: registry.gauge("mdfs_operator_leading", "Whether it has the lease", &[])?,
            registry,
        })
    }

    pub(crate) fn pass(&self, succeeded: bool, took: Duration) {
        if succeeded {
            &self.passed
        } else {
            &self.failed
        }
        .inc();
        self.seconds.observe_span(took);
    }

    pub(crate) fn write(&self) {
        self.writes.inc();
    }

    pub(crate) fn overridden(&self) {
        self.overridden.inc();
    }

    pub(crate) fn lead(&self) {
        self.leading.set_u64(1);
    }

    /// Media type and body for a scrape.
    pub(crate) fn render(&self) -> (String, String) {
        self.registry.render()
    }
}
