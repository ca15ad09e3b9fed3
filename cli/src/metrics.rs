//! The page that lists the metrics of all servers, made from what they register.

use mdfs_service::metrics::{Description, MetricError};
use std::fmt::Write;

const INTRODUCTION: &str = "\
# Metrics
<!-- Made by `cargo xtask generate` from what the servers register. -->

Every server answers `GET /metrics` in the text format of Prometheus (`text/plain; version=0.0.4`): masters
to whoever has a token with the role `metrics`, workers and the operator to anybody who reaches them. What they
mean together, the alerts on them and the dashboards: [monitoring.md](monitoring.md).

- What no leader knows is `NaN`, not zero; `mdfs_health{state=\"unknown\"}` is 1 then. Each master tells the
  figures of the whole cluster as the leader knows them, so take the `max` over masters, never the sum.
- While a worker's disk does not answer, its figures are the last known ones, and `mdfs_worker_up` is 0.
- Labels have the values that stand here and no others: no file name, no address, no id. A metric with
  `route` has one series for each route.
- A histogram has the series `_bucket`, `_sum` and `_count`.
";

/// So many values of a label are listed; of more it is said what they are.
const MOST_LISTED: usize = 8;

/// `docs/metrics.md`.
pub(crate) fn page() -> String {
    let mut page = INTRODUCTION.to_owned();
    for (heading, described) in [
        ("Masters", mdfs_master::metrics()),
        ("Workers", mdfs_worker::metrics()),
        ("Operator", mdfs_operator::metrics()),
    ] {
        let _ = write!(page, "\n## {heading}\n");
        page.push_str(&table(described));
    }
    page
}

fn table(described: Result<Vec<Description>, MetricError>) -> String {
    let mut table = "| metric | kind | labels | what it is |\n|---|---|---|---|\n".to_owned();
    match described {
        Ok(described) => {
            for metric in described {
                let _ = writeln!(
                    table,
                    "| `{}` | {} | {} | {} |",
                    metric.name,
                    metric.kind,
                    labels(&metric),
                    metric.help.trim_end_matches('.'),
                );
            }
        }
        // The test of the page fails by it, and names the metric.
        Err(error) => table = format!("{error}\n"),
    }
    table
}

fn labels(metric: &Description) -> String {
    let shown = metric.labels.iter().map(|(label, values)| {
        let values: Vec<_> = values.iter().map(String::as_str).collect();
        match (label.as_str(), values.as_slice()) {
            ("version", _) => "`version`".to_owned(),
            ("status", _) => "`status`: the HTTP status".to_owned(),
            ("route", values) if values.len() > MOST_LISTED => "`route`".to_owned(),
            (_, values) => format!("`{label}`: {}", values.join(", ")),
        }
    });
    shown.collect::<Vec<_>>().join("; ")
}
