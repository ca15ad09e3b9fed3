//! What the operator counts of itself.

use crate::crd::DataHealth;
use crate::error::Error;
use mdfs_service::Clock;
use mdfs_service::metrics::{
    Counter, Description, Gauge, GaugeFamily, Histogram, LATENCY_SECONDS, MetricError, Registry,
};
use std::time::Duration;

/// What may be the case with a condition, as Kubernetes has it, and the word for it here.
const TRUTHS: [(&str, &str); 3] = [("True", "true"), ("False", "false"), ("Unknown", "unknown")];

/// What may be the case with files, and the word for it here.
const HEALTHS: [(DataHealth, &str); 5] = [
    (DataHealth::Healthy, "healthy"),
    (DataHealth::Degraded, "degraded"),
    (DataHealth::AtRisk, "at_risk"),
    (DataHealth::Unavailable, "unavailable"),
    (DataHealth::Unknown, "unknown"),
];

/// What was last seen of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The truth of its condition Ready; what is none of the known ones counts as unknown.
    pub(crate) ready: String,
    /// Its files.
    pub(crate) data: DataHealth,
}

/// The operator's metrics. No label comes from an open set.
pub(crate) struct Metrics {
    registry: Registry,
    passed: Counter,
    failed: Counter,
    /// By the stable word of the error.
    errors: Vec<(&'static str, Counter)>,
    writes: Counter,
    overridden: Counter,
    seconds: Histogram,
    leading: Gauge,
    ready: GaugeFamily,
    data: GaugeFamily,
}

impl Metrics {
    /// Registers all.
    ///
    /// # Errors
    /// If one exists.
    pub(crate) fn new(clock: &Clock) -> Result<Self, MetricError> {
        let registry = Registry::new();
        registry.about("operator", env!("CARGO_PKG_VERSION"), clock)?;
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
            errors: Error::CODES
                .iter()
                .map(|code| {
                    let help = "Passes that failed, by why";
                    let labels = [("code", *code)];
                    let counter = registry.counter("mdfs_operator_errors_total", help, &labels)?;
                    Ok((*code, counter))
                })
                .collect::<Result<_, MetricError>>()?,
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
            ready: registry.gauge_family(
                "mdfs_operator_clusters",
                "Clusters by the truth of their condition Ready",
                "ready",
            )?,
            data: registry.gauge_family(
                "mdfs_operator_clusters_data",
                "Clusters by what their files are",
                "health",
            )?,
            registry,
        })
    }

    /// Counts a pass; `code` says why it failed, if it did.
    pub(crate) fn pass(&self, code: Option<&'static str>, took: Duration) {
        if code.is_some() {
            &self.failed
        } else {
            &self.passed
        }
        .inc();
        let mut errors = self.errors.iter();
        if let Some((_, counter)) = errors.find(|(known, _)| Some(*known) == code) {
            counter.inc();
        }
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

    /// Media type and body for a scrape. What was seen of each cluster is counted.
    pub(crate) fn render(&self, seen: &[Seen]) -> (String, String) {
        let is_known = |truth: &str| TRUTHS.iter().any(|(known, _)| *known == truth);
        let number = |of: &dyn Fn(&Seen) -> bool| {
            let count = seen.iter().filter(|it| of(it)).count();
            u32::try_from(count).map_or(f64::INFINITY, f64::from)
        };
        self.ready.replace(TRUTHS.map(|(truth, word)| {
            let counts =
                |it: &Seen| it.ready == truth || (truth == "Unknown" && !is_known(&it.ready));
            (word, number(&counts))
        }));
        self.data
            .replace(HEALTHS.map(|(health, word)| (word, number(&|it: &Seen| it.data == health))));
        self.registry.render()
    }
}

/// All metrics of an operator, for the page that tells of them.
///
/// # Errors
/// If two have one name: a defect of this module.
pub(crate) fn describe() -> Result<Vec<Description>, MetricError> {
    let metrics = Metrics::new(&Clock::real())?;
    metrics.render(&[]);
    Ok(metrics.registry.describe())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters_are_counted_and_what_is_not_known_is_not_well() {
        let metrics = Metrics::new(&Clock::manual()).unwrap();
        let seen = |ready: &str, data| Seen {
            ready: ready.to_owned(),
            data,
        };
        let text = metrics.render(&[
            seen("True", DataHealth::Healthy),
            seen("False", DataHealth::AtRisk),
            seen("", DataHealth::Unknown),
        ]);
        for line in [
            "mdfs_operator_clusters{ready=\"true\"} 1",
            "mdfs_operator_clusters{ready=\"false\"} 1",
            "mdfs_operator_clusters{ready=\"unknown\"} 1",
            "mdfs_operator_clusters_data{health=\"healthy\"} 1",
            "mdfs_operator_clusters_data{health=\"at_risk\"} 1",
            "mdfs_operator_clusters_data{health=\"unavailable\"} 0",
            "mdfs_operator_clusters_data{health=\"unknown\"} 1",
        ] {
            assert!(text.1.lines().any(|it| it == line), "{line}: {}", text.1);
        }
    }

    #[test]
    fn a_pass_that_failed_says_why() {
        let metrics = Metrics::new(&Clock::manual()).unwrap();
        for code in Error::CODES {
            metrics.pass(Some(code), Duration::ZERO);
        }
        metrics.pass(None, Duration::ZERO);
        let text = metrics.render(&[]).1;
        for code in Error::CODES {
            let line = format!("mdfs_operator_errors_total{{code=\"{code}\"}} 1");
            assert!(text.contains(&line), "{line}");
        }
        assert!(text.contains("mdfs_operator_reconciles_total{result=\"ok\"} 1"));
    }
}
