//! A Prometheus of its own, asked as people and dashboards ask it.

use crate::command::{finish, succeed};
use crate::http::Connection;
use crate::process::{Fault, inflict};
use crate::wait::wait_for;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long it may take to start or to end, on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// A running Prometheus. Dropping it ends it.
#[derive(Debug)]
pub struct Prometheus {
    child: Child,
    url: String,
}

impl Prometheus {
    /// Starts one with its data in `folder` that has `configuration`, and waits until it answers at `port`
    /// of this machine.
    ///
    /// # Errors
    /// If it does not start; the error has what it said.
    pub fn start(folder: &Path, configuration: &Path, port: u16) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let said = folder.join("said");
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", configuration.display()))
            .arg(format!("--storage.tsdb.path={}", folder.display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .args(["--log.level=warn", "--query.lookback-delta=10s"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&said)?);
        let child = command.spawn().context("start prometheus")?;
        let url = format!("http://127.0.0.1:{port}");
        let prometheus = Self { child, url };
        let ready = wait_for("Prometheus", LIMIT, || {
            let answer = prometheus.get("/-/ready")?;
            Ok((answer.0 == 200).then_some(()))
        });
        ready.with_context(|| fs::read_to_string(&said).unwrap_or_default())?;
        Ok(prometheus)
    }

    /// The alerts that fire, each with its labels.
    ///
    /// # Errors
    /// If it does not answer as it should.
    pub fn firing(&self) -> Result<BTreeMap<String, Value>> {
        let data = self.ask("/api/v1/alerts")?;
        let alerts = data.get("alerts").and_then(Value::as_array);
        let mut firing = BTreeMap::new();
        for alert in alerts.context("no alerts")? {
            let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
            if text(alert.get("state")).as_deref() == Some("firing") {
                let labels = alert.get("labels").context("an alert without labels")?;
                let name = text(labels.get("alertname")).context("an alert without a name")?;
                firing.insert(name, labels.clone());
            }
        }
        Ok(firing)
    }

    /// What a query gives: the values of all its series.
    ///
    /// # Errors
    /// If the query is refused.
    pub fn query(&self, query: &str) -> Result<Vec<f64>> {
        let mut encoded = String::new();
        for byte in query.bytes() {
            let _ = write!(encoded, "%{byte:02X}");
        }
        let data = self.ask(&format!("/api/v1/query?query={encoded}"))?;
        let result = data.get("result").and_then(Value::as_array);
        let value = |series: &Value| -> Option<f64> {
            let text = series.get("value")?.get(1)?.as_str()?;
            match text {
                "+Inf" => Some(f64::INFINITY),
                "-Inf" => Some(f64::NEG_INFINITY),
                text => text.parse().ok(),
            }
        };
        let values = result.context("no result")?.iter().map(value);
        values
            .collect::<Option<_>>()
            .context("a value is no number")
    }

    fn ask(&self, path: &str) -> Result<Value> {
        let (status, body) = self.get(path)?;
        ensure!(status == 200, "{status} for {path}: {body}");
        let mut body: Value = serde_json::from_str(&body)?;
        Ok(body.get_mut("data").context("no data")?.take())
    }

    fn get(&self, path: &str) -> Result<(u16, String)> {
        let answer = Connection::open(&self.url, None)?.request("GET", path, &[], &[])?;
        Ok((answer.status(), answer.text()))
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        if let Ok(pid) = i32::try_from(self.child.id()) {
            inflict(Fault::Terminate, pid).ok();
        }
        if finish(&mut self.child, "prometheus", LIMIT).is_err() {
            self.child.kill().ok();
        }
    }
}

/// Has `promtool` do something that must succeed.
///
/// # Errors
/// If it does not; with what it said.
pub fn promtool(arguments: &[&str], folder: &Path) -> Result<String> {
    let mut command = Command::new("promtool");
    command.args(arguments).current_dir(folder);
    Ok(succeed(&mut command, LIMIT)?.text())
}
