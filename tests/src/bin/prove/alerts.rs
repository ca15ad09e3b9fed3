//! Alerts fire when they should and not otherwise, with a page and a test for each; dashboards show what
//! a real Prometheus has of real servers.

mod pages;

use crate::MIB;
use crate::figures::figure;
use crate::healing::{Stored, change, wait_status};
use crate::printed::free_port;
use crate::skipped;
use anyhow::{Context, Result, bail, ensure};
use mdfs_tests::command::finish;
use mdfs_tests::dev_cluster::{DevCluster, Options, Process, can_mount};
use mdfs_tests::program::{self, repository};
use mdfs_tests::prometheus::{Prometheus, promtool};
use mdfs_tests::wait::{now, wait_for};
use mdfs_tests::{disks, transfer};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The rules, below the chart.
const RULES: [&str; 2] = ["cluster.yaml", "operator.yaml"];
/// The dashboards, there too.
const DASHBOARDS: [&str; 3] = ["overview.json", "workers.json", "operator.json"];
/// How long an alert may take: a lost worker is dead after 15 s.
const PATIENCE: Duration = Duration::from_secs(120);
/// For how long alerts must go on while nobody leads, in a row: longer than the rules wait, which here
/// do not, and than a master goes by what the leader said.
const LEADERLESS: Duration = Duration::from_secs(75);
/// The same for the test command: longer than a question waits for a leader.
const LEADERLESS_SHORT: Duration = Duration::from_secs(15);
/// Bytes of each worker's disk.
const DISK: u64 = 96 * MIB;
/// Workers: three vote, and of five two may be lost at once.
const WORKERS: u32 = 5;

pub(crate) fn prove(short: bool) -> Result<()> {
    let alerts = pages::check()?;
    figure("alerts with a page and a test", &alerts.to_string());
    let may_fill = can_mount();
    if !may_fill {
        skipped::note("no disk is filled: mounting small ones needs root");
    }
    let options = Options {
        masters: 2,
        workers: WORKERS,
        restart: false,
        disk_bytes: may_fill.then_some(DISK),
        ..Options::default()
    };
    let leaderless = if short { LEADERLESS_SHORT } else { LEADERLESS };
    DevCluster::with(&options, |cluster| {
        let folder = cluster.folder().join("monitoring");
        fs::create_dir_all(&folder)?;
        let operator = Operator::start(&folder)?;
        let prometheus = watch(cluster, &operator, &folder)?;
        let files = busy(cluster, if short { 6 } else { 24 })?;
        dashboards(&prometheus)?;
        quiet(&prometheus)?;
        corrupt(cluster, &prometheus, &files)?;
        if may_fill {
            fill(cluster, &prometheus)?;
        }
        lose(cluster, &prometheus, leaderless)
    })
}

/// An operator that finds no Kubernetes: it waits for the lease, and answers.
struct Operator {
    child: Child,
    address: String,
}

impl Operator {
    fn start(folder: &Path) -> Result<Self> {
        let address = format!("127.0.0.1:{}", free_port()?);
        let nowhere = format!("https://127.0.0.1:{}", free_port()?);
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{ "name": "c", "cluster": { "server": nowhere } }],
            "users": [{ "name": "c", "user": {} }],
            "contexts": [{ "name": "c", "context": { "cluster": "c", "user": "c" } }],
        });
        let file = folder.join("kubeconfig");
        fs::write(&file, kubeconfig.to_string())?;
        let child = Command::new(program::mdfs()?)
            .args(["operator", "--listen", &address, "--identity", "test"])
            .args(["--lease-namespace", "mdfs"])
            .env("KUBECONFIG", file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.join("operator"))?)
            .spawn()
            .context("start the operator")?;
        Ok(Self { child, address })
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.child.kill().ok();
        finish(&mut self.child, "the operator", Duration::from_secs(10)).ok();
    }
}

/// A Prometheus that scrapes the cluster each second, with rules that wait no longer than that.
fn watch(cluster: &DevCluster, operator: &Operator, folder: &Path) -> Result<Prometheus> {
    let token = folder.join("token");
    let shown = token.display().to_string();
    let make = [
        "token",
        "create",
        "prometheus",
        "--role",
        "metrics",
        "--out",
    ];
    cluster.cli_ends(0, &[&make[..], &[&shown]].concat())?;
    let mut files = Vec::new();
    for file in RULES {
        let rules = repository()?.join("charts/mdfs/files/alerts").join(file);
        let place = folder.join(file);
        fs::write(&place, shortened(&fs::read_to_string(rules)?))?;
        files.push(place);
    }
    let at = |role: &str| -> Vec<String> {
        let processes = cluster.role(role).into_iter();
        let urls = processes.filter_map(|it| it.url);
        urls.map(|url| url.trim_start_matches("http://").to_owned())
            .collect()
    };
    let job = |name: &str, targets: Vec<String>| {
        json!({ "job_name": name, "static_configs": [{
            "targets": targets, "labels": { "namespace": "film", "mdfs_cluster": "archive" } }] })
    };
    let mut masters = job("masters", at("master"));
    let authorization = json!({ "credentials_file": token });
    masters
        .as_object_mut()
        .context("a job is an object")?
        .insert("authorization".to_owned(), authorization);
    // JSON is YAML too.
    let configuration = json!({
        "global": { "scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s" },
        "rule_files": files,
        "scrape_configs": [
            masters,
            job("workers", at("worker")),
            { "job_name": "operator", "static_configs": [{ "targets": [operator.address] }] },
        ],
    });
    let file = folder.join("prometheus.yml");
    fs::write(&file, configuration.to_string())?;
    promtool(&["check", "config", "prometheus.yml"], folder)?;
    Prometheus::start(&folder.join("tsdb"), &file, free_port()?)
}

/// The rules, without their patience: one slow read is not seen for minutes either.
fn shortened(rules: &str) -> String {
    let line = |line: &str| {
        if line.trim_start().starts_with("for: ") {
            "    for: 1s\n".to_owned()
        } else {
            let line = line.replace("[15m]", "[10s]").replace("[5m]", "[10s]");
            format!("{line}\n")
        }
    };
    rules.lines().map(line).collect()
}

/// Stores and reads files, as users do.
fn busy(cluster: &DevCluster, files: u64) -> Result<Vec<Stored>> {
    let mut connection = cluster.connect()?;
    (0..files)
        .map(|number| {
            let name = format!("films/{number:03}");
            let stored = Stored::put(&mut connection, &name, number, MIB + number, MIB)?;
            stored.get(&mut connection)?;
            Ok(stored)
        })
        .collect()
}

/// Every query of every dashboard has data; those of the cluster that are no quantile are numbers.
fn dashboards(prometheus: &Prometheus) -> Result<()> {
    let mut queries = 0;
    for file in DASHBOARDS {
        let path = repository()?
            .join("charts/mdfs/files/dashboards")
            .join(file);
        let dashboard: Value = serde_json::from_str(&fs::read_to_string(path)?)?;
        let panels = dashboard.get("panels").and_then(Value::as_array);
        for panel in panels.context("a dashboard has panels")? {
            let targets = panel.get("targets").and_then(Value::as_array);
            for target in targets.into_iter().flatten() {
                let query = target.get("expr").and_then(Value::as_str);
                let query = query.context("a target has a query")?;
                let asked = query
                    .replace("$namespace", ".*")
                    .replace("$cluster", ".*")
                    .replace("$__rate_interval", "10s");
                let may_be_none = query.contains("quantile") || file == "operator.json";
                wait_for("data", PATIENCE, || {
                    let values = prometheus.query(&asked)?;
                    let good = values.iter().any(|value| may_be_none || !value.is_nan());
                    ensure!(good, "{file}: {query}: {values:?}");
                    Ok(Some(()))
                })?;
                queries += 1;
            }
        }
    }
    figure(
        "queries of dashboards that give data",
        &format!("{queries} of {queries}, in {}", DASHBOARDS.len()),
    );
    Ok(())
}

/// Nothing fires while all is well: not the clusters' alerts. There is no operator that works.
fn quiet(prometheus: &Prometheus) -> Result<()> {
    wait_for("silence", PATIENCE, || {
        let firing = prometheus.firing()?;
        let of_clusters: BTreeMap<_, _> = firing
            .iter()
            .filter(|(name, _)| !name.starts_with("MdfsOperator"))
            .collect();
        ensure!(of_clusters.is_empty(), "{of_clusters:?} fire");
        ensure!(firing.contains_key("MdfsOperatorAbsent"), "{firing:?}");
        Ok(Some(()))
    })
}

fn fires(prometheus: &Prometheus, names: &[&str]) -> Result<()> {
    let begun = now();
    for name in names {
        wait_for(name, PATIENCE, || {
            let firing = prometheus.firing()?;
            ensure!(firing.contains_key(*name), "only these fire: {firing:?}");
            Ok(Some(()))
        })?;
    }
    let seconds = begun.elapsed().as_secs_f64();
    figure(&names.join(", "), &format!("fires after {seconds:.0} s"));
    Ok(())
}

fn ends(prometheus: &Prometheus, names: &[&str]) -> Result<()> {
    for name in names {
        wait_for(&format!("end of {name}"), PATIENCE, || {
            Ok((!prometheus.firing()?.contains_key(*name)).then_some(()))
        })?;
    }
    Ok(())
}

/// One bit of one copy turns; a scrub finds it.
fn corrupt(cluster: &DevCluster, prometheus: &Prometheus, files: &[Stored]) -> Result<()> {
    let file = files.first().context("there are files")?;
    let mut copies: Vec<PathBuf> = Vec::new();
    for worker in cluster.role("worker") {
        let disk = cluster.as_seen_inside(&worker.data_dir.context("a worker has a disk")?);
        copies.extend(disks::chunks(&disk, &file.file_id)?.into_values());
    }
    ensure!(copies.len() >= 2, "{copies:?}");
    let path = copies.first().context("a copy")?;
    let chunk = OpenOptions::new().read(true).write(true).open(path)?;
    let mut byte = [0];
    chunk.read_exact_at(&mut byte, 5000)?;
    chunk.write_all_at(&[byte[0] ^ 1], 5000)?;
    change(cluster, "POST", "/v1/admin/scrub", None)?;
    fires(prometheus, &["MdfsCorruptBlock"])
}

/// Stores until there is no room, and deletes that again.
fn fill(cluster: &DevCluster, prometheus: &Prometheus) -> Result<()> {
    let mut connection = cluster.connect()?;
    let (mut stored, body) = (Vec::new(), vec![7; 3 << 20]);
    loop {
        let name = format!("much/{:03}", stored.len());
        let answer = connection.request("PUT", &transfer::path(&name), &[], &body)?;
        match answer.status() {
            201 => stored.push(name),
            507 => break,
            _ => bail!("{}", answer.problem()),
        }
    }
    fires(prometheus, &["MdfsDiskNearlyFull", "MdfsDiskFull"])?;
    for name in stored {
        let path = format!("{}?purge", transfer::path(&name));
        let gone = connection.request("DELETE", &path, &[], &[])?;
        ensure!(gone.status() == 204, "{}", gone.problem());
    }
    ends(prometheus, &["MdfsDiskNearlyFull", "MdfsDiskFull"])?;
    wait_status(cluster, "whole copies", PATIENCE, |status| {
        status.is_whole()
    })?;
    Ok(())
}

/// Alerts that fire go on without a break.
fn go_on(prometheus: &Prometheus, names: &[&str], lasts: Duration) -> Result<()> {
    let begun = now();
    wait_for("end of the watch", lasts + PATIENCE, || {
        let firing = prometheus.firing()?;
        for name in names {
            let since = begun.elapsed().as_secs();
            if !firing.contains_key(*name) {
                return Ok(Some(Err(format!(
                    "{name} ended after {since} s: {firing:?}"
                ))));
            }
        }
        Ok((begun.elapsed() >= lasts).then_some(Ok(())))
    })?
    .map_err(anyhow::Error::msg)?;
    let seconds = lasts.as_secs();
    figure(&names.join(", "), &format!("go on for {seconds} s"));
    Ok(())
}

/// Two workers that hold no vote die, then two that do, then the masters, one after the other.
fn lose(cluster: &DevCluster, prometheus: &Prometheus, leaderless: Duration) -> Result<()> {
    let voters = voters(cluster)?;
    let status = cluster.connect()?.request("GET", "/v1/status", &[], &[])?;
    let status = status.json()?;
    let leader = status.get("leader_url").and_then(Value::as_str);
    let leader = leader.map(str::to_owned);
    let (voting, other): (Vec<Process>, Vec<Process>) = cluster
        .role("worker")
        .into_iter()
        .partition(|worker| voters.contains(&worker.name));
    ensure!(other.len() >= 2 && voting.len() >= 2, "{voters:?} vote");
    for worker in other.iter().take(2) {
        cluster.kill(worker)?;
    }
    // More than 30 % are silent at once, so nothing is copied for them.
    let names = ["MdfsWorkerLost", "MdfsUnderReplicated", "MdfsFilesAtRisk"];
    fires(prometheus, &names)?;
    fires(prometheus, &["MdfsServerDown"])?;
    fires(prometheus, &["MdfsRepairStalled"])?;
    for worker in voting.iter().take(2) {
        cluster.kill(worker)?;
    }
    fires(prometheus, &["MdfsVoterMarginGone", "MdfsNoLeader"])?;
    // No master can ask whether the token is good, and both say all the same that nobody leads. The one that
    // led goes on telling what it counts, which is bad enough.
    go_on(prometheus, &["MdfsNoLeader"], leaderless)?;
    let leads = |it: &Process| it.url.as_deref() == leader.as_deref();
    let (led, others): (Vec<_>, Vec<_>) = cluster.role("master").into_iter().partition(leads);
    cluster.kill(led.first().context("somebody led")?)?;
    let unknown = ["MdfsNoLeader", "MdfsHealthUnknown"];
    fires(prometheus, &unknown)?;
    go_on(prometheus, &unknown, LEADERLESS_SHORT)?;
    for master in &others {
        cluster.kill(master)?;
    }
    fires(prometheus, &["MdfsMetricsMissing"])
}

fn voters(cluster: &DevCluster) -> Result<BTreeSet<String>> {
    let answer = cluster.connect()?.request("GET", "/v1/workers", &[], &[])?;
    let answer = answer.json()?;
    let workers = answer.get("workers").and_then(Value::as_array);
    let name = |worker: &Value| worker.get("name")?.as_str().map(str::to_owned);
    let votes = |worker: &&Value| worker.get("voter").and_then(Value::as_bool) == Some(true);
    Ok(workers
        .context("no workers")?
        .iter()
        .filter(votes)
        .filter_map(name)
        .collect())
}
