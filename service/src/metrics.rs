//! Counters for Prometheus. Nothing else knows the `prometheus` crate.
//!
//! Labels are fixed when a metric is made, or come from a set that the caller keeps small: never
//! file names.

use crate::Clock;
use prometheus::core::Collector;
use prometheus::proto::{MetricFamily, MetricType};
use prometheus::{Encoder, HistogramOpts, Opts, TextEncoder};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Bucket bounds for latencies, in seconds: 100 µs to 10 s.
pub const LATENCY_SECONDS: &[f64] = &[
    0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0,
];

/// All metrics of a process, or of one role in it. A clone shares them.
#[derive(Clone, Debug, Default)]
pub struct Registry(prometheus::Registry);

/// A metric whose name, label or buckets are not valid, or that exists already.
#[derive(Debug, thiserror::Error)]
#[error("cannot register metric {name}")]
pub struct MetricError {
    name: String,
    #[source]
    source: prometheus::Error,
}

/// A metric, as a page tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Its name.
    pub name: String,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// What it is.
    pub help: String,
    /// Its labels, and what values they have.
    pub labels: BTreeMap<String, BTreeSet<String>>,
}

/// A number that only rises.
#[derive(Clone, Debug)]
pub struct Counter(prometheus::IntCounter);

/// A number that rises and falls.
#[derive(Clone, Debug)]
pub struct Gauge(prometheus::Gauge);

/// Gauges of one name that differ in one label.
#[derive(Clone, Debug)]
pub struct GaugeFamily(prometheus::GaugeVec);

/// How often values fell into each bucket.
#[derive(Clone, Debug)]
pub struct Histogram(prometheus::Histogram);

/// The labels of one metric: fixed names and values.
pub type Labels<'a> = &'a [(&'a str, &'a str)];

impl Registry {
    /// An empty registry.
    pub fn new() -> Self {
        Self::default()
    }

    /// A new counter. Metrics of one name must differ in the values of the same labels.
    ///
    /// # Errors
    /// If the name or a label is not valid, or the same metric exists.
    pub fn counter(&self, name: &str, help: &str, labels: Labels) -> Result<Counter, MetricError> {
        self.add(
            name,
            prometheus::IntCounter::with_opts(opts(name, help, labels)),
        )
        .map(Counter)
    }

    /// A new gauge, zero until it is set.
    ///
    /// # Errors
    /// As [`Registry::counter`].
    pub fn gauge(&self, name: &str, help: &str, labels: Labels) -> Result<Gauge, MetricError> {
        self.add(name, prometheus::Gauge::with_opts(opts(name, help, labels)))
            .map(Gauge)
    }

    /// A new family of gauges that differ in `label`.
    ///
    /// # Errors
    /// As [`Registry::counter`].
    pub fn gauge_family(
        &self,
        name: &str,
        help: &str,
        label: &str,
    ) -> Result<GaugeFamily, MetricError> {
        let made = prometheus::GaugeVec::new(Opts::new(name, help), &[label]);
        self.add(name, made).map(GaugeFamily)
    }

    /// A new histogram with these upper bucket bounds, in rising order.
    ///
    /// # Errors
    /// As [`Registry::counter`]; also if the bounds do not rise.
    pub fn histogram(
        &self,
        name: &str,
        help: &str,
        labels: Labels,
        bounds: &[f64],
    ) -> Result<Histogram, MetricError> {
        let options = HistogramOpts::from(opts(name, help, labels)).buckets(bounds.to_vec());
        self.add(name, prometheus::Histogram::with_opts(options))
            .map(Histogram)
    }

    /// What every process tells of itself: its version, and since when it runs. `part` is what it is,
    /// such as `worker`.
    ///
    /// # Errors
    /// If it was told already.
    pub fn about(
        &self,
        part: &'static str,
        version: &'static str,
        clock: &Clock,
    ) -> Result<(), MetricError> {
        let labels = [("part", part), ("version", version)];
        let help = "Always 1; the labels say what runs.";
        self.gauge("mdfs_build_info", help, &labels)?.set_u64(1);
        let help = "When the process started, in seconds of Unix time.";
        let started = self.gauge("mdfs_start_time_seconds", help, &[])?;
        started.set_u64(clock.wall().as_millis() / 1000);
        Ok(())
    }

    /// What has been registered, sorted by name.
    pub fn describe(&self) -> Vec<Description> {
        self.0.gather().iter().map(description).collect()
    }

    /// Media type and body for a scrape.
    pub fn render(&self) -> (String, String) {
        let encoder = TextEncoder::new();
        let mut text = String::new();
        if let Err(error) = encoder.encode_utf8(&self.0.gather(), &mut text) {
            tracing::error!(%error, "cannot encode metrics");
        }
        (encoder.format_type().to_owned(), text)
    }

    fn add<M: Collector + Clone + 'static>(
        &self,
        name: &str,
        made: prometheus::Result<M>,
    ) -> Result<M, MetricError> {
        made.and_then(|metric| {
            self.0.register(Box::new(metric.clone()))?;
            Ok(metric)
        })
        .map_err(|source| MetricError {
            name: name.to_owned(),
            source,
        })
    }
}

fn description(family: &MetricFamily) -> Description {
    let mut labels: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for metric in family.get_metric() {
        for label in metric.get_label() {
            let values = labels.entry(label.name().to_owned()).or_default();
            values.insert(label.value().to_owned());
        }
    }
    Description {
        name: family.name().to_owned(),
        kind: match family.get_field_type() {
            MetricType::COUNTER => "counter",
            MetricType::HISTOGRAM => "histogram",
            MetricType::GAUGE | MetricType::SUMMARY | MetricType::UNTYPED => "gauge",
        },
        help: family.help().to_owned(),
        labels,
    }
}

fn opts(name: &str, help: &str, labels: Labels) -> Opts {
    labels
        .iter()
        .fold(Opts::new(name, help), |opts, (name, value)| {
            opts.const_label(*name, *value)
        })
}

impl Counter {
    /// One more.
    pub fn inc(&self) {
        self.0.inc();
    }

    /// `amount` more.
    pub fn add(&self, amount: u64) {
        self.0.inc_by(amount);
    }

    /// The present value.
    pub fn get(&self) -> u64 {
        self.0.get()
    }
}

impl Gauge {
    /// Sets the value.
    pub fn set(&self, value: f64) {
        self.0.set(value);
    }

    /// Sets a whole number; beyond 2^53 to the nearest that a float holds.
    #[expect(clippy::cast_precision_loss, reason = "a metric may round beyond 2^53")]
    pub fn set_u64(&self, value: u64) {
        self.0.set(value as f64);
    }

    /// Adds to the value; subtracts when negative.
    pub fn add(&self, amount: f64) {
        self.0.add(amount);
    }

    /// The present value.
    pub fn get(&self) -> f64 {
        self.0.get()
    }
}

impl GaugeFamily {
    /// Sets all gauges of the family: those not among `values` are gone.
    pub fn replace<'a>(&self, values: impl IntoIterator<Item = (&'a str, f64)>) {
        self.0.reset();
        for (label, value) in values {
            self.0.with_label_values(&[label]).set(value);
        }
    }
}

impl Histogram {
    /// Counts one value.
    pub fn observe(&self, value: f64) {
        self.0.observe(value);
    }

    /// Counts a span, in seconds.
    pub fn observe_span(&self, span: Duration) {
        self.0.observe(span.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_rendered_with_its_labels() {
        let registry = Registry::new();
        let read = registry
            .counter("mdfs_bytes_total", "Bytes", &[("way", "read")])
            .unwrap();
        let write = registry
            .counter("mdfs_bytes_total", "Bytes", &[("way", "write")])
            .unwrap();
        let workers = registry
            .gauge_family("mdfs_worker_up", "Live", "worker")
            .unwrap();
        let span = registry
            .histogram("mdfs_seconds", "Span", &[], LATENCY_SECONDS)
            .unwrap();
        read.add(5);
        write.inc();
        workers.replace([("gone", 1.0)]);
        workers.replace([("w0", 1.0), ("w1", 0.0)]);
        span.observe_span(Duration::from_millis(2));
        registry.gauge("mdfs_up", "Up", &[]).unwrap().set_u64(1);
        let (kind, text) = registry.render();
        assert!(kind.starts_with("text/plain"));
        for line in [
            "mdfs_bytes_total{way=\"read\"} 5",
            "mdfs_bytes_total{way=\"write\"} 1",
            "mdfs_worker_up{worker=\"w1\"} 0",
            "mdfs_seconds_bucket{le=\"0.001\"} 0",
            "mdfs_seconds_bucket{le=\"0.003\"} 1",
            "mdfs_up 1",
        ] {
            assert!(
                text.lines().any(|got| got == line),
                "{line} is not in {text}"
            );
        }
        assert!(!text.contains("gone"));
    }

    #[test]
    fn the_media_type_is_that_of_the_text_format() {
        assert_eq!(Registry::new().render().0, "text/plain; version=0.0.4");
    }

    #[test]
    fn what_is_registered_is_described_with_its_labels() {
        let registry = Registry::new();
        registry.about("worker", "1.2.3", &Clock::manual()).unwrap();
        let way = |way| registry.counter("mdfs_x_total", "X.", &[("way", way)]);
        way("in").unwrap();
        way("out").unwrap();
        let described = registry.describe();
        let names: Vec<_> = described.iter().map(|it| it.name.as_str()).collect();
        let want = ["mdfs_build_info", "mdfs_start_time_seconds", "mdfs_x_total"];
        assert_eq!(names, want);
        assert_eq!(
            (described[2].kind, described[2].help.as_str()),
            ("counter", "X.")
        );
        let values: Vec<_> = described[2].labels["way"].iter().collect();
        assert_eq!(values, ["in", "out"]);
        assert!(
            registry
                .render()
                .1
                .contains("mdfs_start_time_seconds 1700000000")
        );
        assert!(registry.about("worker", "1.2.3", &Clock::manual()).is_err());
    }

    #[test]
    fn the_same_metric_twice_is_refused() {
        let registry = Registry::new();
        registry.counter("mdfs_x_total", "X", &[]).unwrap();
        let error = registry.counter("mdfs_x_total", "X", &[]).unwrap_err();
        assert_eq!(error.to_string(), "cannot register metric mdfs_x_total");
        assert!(registry.gauge("not valid", "X", &[]).is_err());
    }
}
