//! Every route keeps to its description whatever is sent, and everything that reads bytes of strangers
//! keeps its promises for any bytes.

use crate::figures::figure;
use anyhow::{Context, Result, ensure};
use mdfs_tests::command::{run, succeed};
use mdfs_tests::dev_cluster::{DevCluster, Options};
use mdfs_tests::program::repository;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(25 * 60);
/// How long each target is hunted in the full form, in seconds.
const SECONDS: &str = "60";

pub(crate) fn prove(short: bool, python: Option<&Path>) -> Result<()> {
    let python = python.context("schemathesis is not here: `cargo xtask prove` installs it")?;
    targets(short)?;
    let options = Options {
        processes: false,
        ..Options::default()
    };
    DevCluster::with(&options, |cluster| routes(cluster, short, python))
}

/// Hunts for bytes that break what reads them.
fn targets(short: bool) -> Result<()> {
    let own = std::env::current_exe()?;
    let fuzz = own
        .parent()
        .context("a program is in a folder")?
        .join("fuzz");
    let mut fuzz = Command::new(fuzz);
    // The short form is the same run each time, however fast the machine is.
    fuzz.args(match short {
        true => ["--inputs", "2000"],
        false => ["--seconds", SECONDS],
    });
    let output = succeed(fuzz.stdin(Stdio::null()), LIMIT)?;
    for line in output.text().lines() {
        let (target, found) = line.split_once(": ").context("a target and its figures")?;
        figure(&format!("bytes for {target}"), found);
    }
    Ok(())
}

/// Calls every route with what its description allows and with what it does not.
fn routes(cluster: &mut DevCluster, short: bool, python: &Path) -> Result<()> {
    cluster.wait_healthy()?;
    let told = cluster
        .connect()?
        .request("GET", "/v1/openapi.json", &[], &[])?;
    ensure!(told.status() == 200, "openapi.json: {}", told.problem());
    let committed = repository()?.join("docs/openapi.json");
    ensure!(
        told.text() == std::fs::read_to_string(&committed)?,
        "docs/openapi.json is not what the master answers"
    );
    let config = repository()?.join("tests/api/schemathesis.toml");
    let examples = if short { "8" } else { "200" };
    let mut command = Command::new(python);
    command
        .args([
            "-c",
            "from schemathesis.cli import schemathesis; schemathesis()",
        ])
        .arg("--config-file")
        .arg(&config)
        .args(["--no-color", "run"])
        .arg(&committed)
        .args(["--url", cluster.url(), "--seed", "1"])
        .args(["--max-examples", examples, "--continue-on-failure"])
        .args(["--request-timeout", "60", "--warnings", "off"])
        // How easily examples are found says nothing of the server.
        .args(["--suppress-health-check", "all"])
        .env("MDFS_FUZZ_TOKEN", cluster.token())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        // What it remembers from run to run goes with the cluster.
        .current_dir(cluster.folder())
        .stdin(Stdio::null());
    let output = run(&mut command, LIMIT)?;
    let said = output.text();
    ensure!(output.code() == 0, "{said}\n{}", output.stderr.trim());
    let tested = number_before(&said, "Tested: ", None)?;
    let cases = number_before(&said, "\n  ", Some(" generated"))?;
    ensure!(tested > 50, "only {tested} methods of routes were called");
    figure("methods of routes called", &tested.to_string());
    figure("requests, all answered as described", &cases.to_string());

    let status = cluster.connect()?.request("GET", "/v1/status", &[], &[])?;
    ensure!(status.status() == 200, "status: {}", status.problem());
    let log = std::fs::read_to_string(cluster.folder().join("log"))?;
    ensure!(!log.contains("panicked"), "something panicked");
    Ok(())
}

/// The number that stands behind `start`, and before `end` if there is one.
fn number_before(text: &str, start: &str, end: Option<&str>) -> Result<u64> {
    let mut starts = text.match_indices(start);
    let found = starts.find_map(|(at, _)| {
        let rest = text.get(at + start.len()..)?;
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        let behind = rest.get(digits.len()..)?;
        let fits = end.is_none_or(|end| behind.starts_with(end));
        digits.parse().ok().filter(|_| fits)
    });
    found.with_context(|| format!("no number between {start:?} and {end:?} in:\n{text}"))
}
