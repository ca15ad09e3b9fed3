//! `docker-compose.yml` is what compose takes, and its services work as it says: command lines, settings and mounts,
//! started as processes, each with a root folder (read-only where it says so) and a network of its own. Grafana is
//! only looked at.

mod container;

use crate::figures::figure;
use crate::skipped;
use anyhow::{Context, Result, ensure};
use mdfs_tests::command::{Output, run, succeed};
use mdfs_tests::isolation;
use mdfs_tests::kube::programs;
use mdfs_tests::network::Network;
use mdfs_tests::process::{Fault, inflict};
use mdfs_tests::program::repository;
use mdfs_tests::wait::wait_for;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

/// How long anything here may take.
const LIMIT: Duration = Duration::from_secs(90);
/// What is not to be had here: its mounts are looked at, and it is not started.
const NOT_HERE: &str = "grafana";
/// Where commands run that end, and have no address of their own.
const ONCE: &str = "once";
/// The service for people, which is not started.
const CLI: &str = "cli";
/// What people find where: the ports that are open to them.
const PORTS: [&str; 3] = ["8080", "9090", "3000"];
pub(crate) fn prove(inside: bool) -> Result<()> {
    if inside {
        return start();
    }
    if let Some(why) = programs::lacking() {
        skipped::note(why);
        return Ok(());
    }
    // Built where there is a way out.
    programs::compose()?;
    if let Some(why) = isolation::why_not()? {
        skipped::note(format!(
            "roots and networks of its own need root and namespaces: {why}"
        ));
        return Ok(());
    }
    let status = isolation::again_inside(&["compose", "--inside"])?;
    ensure!(status.success(), "with networks of its own, it {status}");
    Ok(())
}

/// Everything, in the order that services depend on one another.
fn start() -> Result<()> {
    let place = isolation::furnish()?;
    let mut project = Project::read(&place)?;
    let names: Vec<String> = project.services.keys().cloned().collect();
    for name in &names {
        project.look_at(name)?;
    }
    figure("services", &names.len().to_string());
    let order = project.order()?;
    for name in &order {
        project.up(name).with_context(|| name.clone())?;
    }
    figure("services that were started", &order.len().to_string());
    // As the second `up` does: what is there stays.
    let before = project.secrets()?;
    for name in ["prepare", "bootstrap", "metrics-token"] {
        project
            .once(name)
            .with_context(|| format!("{name}, again"))?;
    }
    ensure!(
        before == project.secrets()?,
        "a second start changed secrets"
    );
    let distinct: BTreeSet<_> = before.values().collect();
    ensure!(before.len() == 5 && distinct.len() == 5, "{before:?}");
    project.used_by_people()?;
    project.watched()
}

/// The compose file, as compose reads it, and what runs of it.
struct Project {
    services: BTreeMap<String, Value>,
    network: Network,
    place: PathBuf,
    running: Vec<(String, Child)>,
}

impl Project {
    fn read(place: &Path) -> Result<Self> {
        let file = repository()?.join("docker-compose.yml");
        let mut compose = Command::new(programs::compose()?);
        let read = succeed(compose.arg(&file), LIMIT)?;
        let read: Value = serde_json::from_slice(&read.stdout)?;
        let services = read.get("services").and_then(Value::as_object);
        let services = services.context("there are services")?.clone();
        let mut network = Network::new()?;
        let mut hosts = String::from("127.0.0.1 localhost\n");
        for (name, service) in &services {
            if !is_once(service) && name != NOT_HERE {
                let address = network.join(name)?;
                hosts.push_str(&format!("{address} {name}\n"));
            }
        }
        network.join(ONCE)?;
        fs::write(place.join("hosts"), hosts)?;
        Ok(Self {
            services: services.into_iter().collect(),
            network,
            place: place.to_owned(),
            running: Vec::new(),
        })
    }

    fn service(&self, name: &str) -> Result<&Value> {
        self.services
            .get(name)
            .with_context(|| format!("no service is called {name}"))
    }

    /// What does not depend on whether it can be started here.
    fn look_at(&self, name: &str) -> Result<()> {
        let service = self.service(name)?;
        let image = text(service, "image")?;
        let version = image.rsplit(':').next().unwrap_or_default();
        let is_version =
            version.split('.').count() == 3 && version.ends_with(|it: char| it.is_ascii_digit());
        ensure!(is_version, "{name} has image {image}, which is no version");
        for (source, target, _) in self.mounts(service)? {
            ensure!(
                source.exists(),
                "{name}: nothing is at {} for {target}",
                source.display()
            );
        }
        let environment = service.get("environment").and_then(Value::as_object);
        for (variable, value) in environment.into_iter().flatten() {
            let may_be_secret = ["PASSWORD", "SECRET", "KEY"]
                .iter()
                .any(|it| variable.contains(it));
            let is_path = value.as_str().is_some_and(|it| it.starts_with('/'));
            ensure!(
                !may_be_secret || is_path,
                "{name} has a secret in {variable}"
            );
        }
        ensure!(
            is_once(service) || service.get("healthcheck").is_some(),
            "{name} has no health check"
        );
        Ok(())
    }

    /// What is started, each after what it waits for.
    fn order(&self) -> Result<Vec<String>> {
        let mut order: Vec<String> = Vec::new();
        let mut ports = BTreeSet::new();
        let started = |name: &&String| *name != CLI && *name != NOT_HERE;
        let wanted: Vec<&String> = self.services.keys().filter(started).collect();
        for service in self.services.values() {
            let published = service.get("ports").and_then(Value::as_array);
            let published = published.into_iter().flatten();
            ports.extend(published.filter_map(|it| it.get("published")?.as_str()));
        }
        ensure!(
            PORTS.iter().all(|port| ports.contains(port)),
            "{ports:?} are open"
        );
        while order.len() < wanted.len() {
            let before = order.len();
            for name in &wanted {
                let needs = self
                    .service(name)?
                    .get("depends_on")
                    .and_then(Value::as_object);
                let ready = needs
                    .into_iter()
                    .flatten()
                    .all(|(it, _)| order.contains(it));
                if ready && !order.contains(name) {
                    order.push((*name).clone());
                }
            }
            ensure!(
                order.len() > before,
                "services wait for one another: {order:?}"
            );
        }
        Ok(order)
    }

    /// Starts a service, and waits until it has ended well, or is healthy.
    fn up(&mut self, name: &str) -> Result<()> {
        let service = self.service(name)?.clone();
        if is_once(&service) {
            return self.once(name);
        }
        let log = File::create(self.place.join(format!("{name}.log")))?;
        let mut command = self.container(name, name, &words(&service, "command")?)?;
        let child = command.stdout(log.try_clone()?).stderr(log).spawn()?;
        self.running.push((name.to_owned(), child));
        let check = service.get("healthcheck").context("a health check")?;
        let mut check = words(check, "test")?;
        ensure!(check.first().is_some_and(|it| it == "CMD"), "{check:?}");
        check.remove(0);
        // The image's entry point is no part of a check.
        let healthy = wait_for("health", LIMIT, || {
            let mut command = self.container_with(name, name, &check)?;
            let output = run(&mut command, LIMIT)?;
            ensure!(output.code() == 0, "{check:?}: {}", output.stderr.trim());
            Ok(Some(()))
        });
        healthy.with_context(|| {
            let said = fs::read_to_string(self.place.join(format!("{name}.log")));
            format!("it said: {}", said.unwrap_or_default())
        })
    }

    /// Runs a service that ends.
    fn once(&self, name: &str) -> Result<()> {
        self.call(name, &words(self.service(name)?, "command")?, "")
            .map(drop)
    }

    /// Runs a service with other arguments.
    fn call(&self, name: &str, arguments: &[String], input: &str) -> Result<Output> {
        let mut command = self.container(name, ONCE, arguments)?;
        if !input.is_empty() {
            let file = self.place.join("input");
            fs::write(&file, input)?;
            command.stdin(File::open(file)?);
        }
        let output = run(&mut command, LIMIT)?;
        let said = output.stderr.trim();
        ensure!(
            output.code() == 0,
            "{name} ended with {}: {said}",
            output.code()
        );
        Ok(output)
    }

    fn volume(&self, name: &str) -> Result<PathBuf> {
        let folder = self.place.join("volumes").join(name);
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// All secrets that were made.
    fn secrets(&self) -> Result<BTreeMap<PathBuf, String>> {
        let mut secrets = BTreeMap::new();
        for volume in ["secrets", "metrics-token", "grafana-secret"] {
            for entry in fs::read_dir(self.volume(volume)?)? {
                let path = entry?.path();
                let secret = fs::read_to_string(&path)?;
                ensure!(secret.trim().len() >= 32, "{} is short", path.display());
                secrets.insert(path, secret);
            }
        }
        Ok(secrets)
    }

    /// Stores and reads a file as the page of the compose file says.
    fn used_by_people(&self) -> Result<()> {
        let call = |arguments: &[&str]| {
            let arguments: Vec<String> = arguments.iter().map(|it| (*it).to_owned()).collect();
            self.call(CLI, &arguments, "")
        };
        call(&["put", "README.md", "texts/readme.md"])?;
        let back = call(&["cat", "texts/readme.md"])?;
        let readme = fs::read(repository()?.join("README.md"))?;
        ensure!(back.stdout == readme, "another file came back");
        // Nobody tells these masters which cluster they serve: the second waits until it is sure.
        wait_for("second master", LIMIT, || {
            let status = call(&["status", "-o", "json"])?;
            let status: Value = serde_json::from_slice(&status.stdout)?;
            let number = |field: &str| status.get(field).and_then(Value::as_u64);
            ensure!(
                number("live_workers") == Some(3) && number("voters") == Some(3),
                "{status}"
            );
            let masters = status.get("masters").and_then(Value::as_array);
            Ok(masters.filter(|it| it.len() == 2).map(|_| ()))
        })
    }

    /// Prometheus has all targets and all alerts, and none fires that should not.
    fn watched(&self) -> Result<()> {
        let ask = |path: &str| -> Result<Value> {
            let url = format!("http://127.0.0.1:9090{path}");
            let words = ["wget", "-q", "-O", "-", &url].map(str::to_owned);
            let output = run(
                &mut self.container_with("prometheus", "prometheus", &words)?,
                LIMIT,
            )?;
            ensure!(output.code() == 0, "{path}: {}", output.stderr.trim());
            Ok(serde_json::from_slice(&output.stdout)?)
        };
        let up = wait_for("targets", LIMIT, || {
            let targets = ask("/api/v1/targets?state=active")?;
            let targets = targets
                .pointer("/data/activeTargets")
                .and_then(Value::as_array);
            let targets = targets.context("no targets")?;
            let well = |it: &&Value| it.get("health").and_then(Value::as_str) == Some("up");
            let up = targets.iter().filter(well).count();
            ensure!(up == targets.len() && up == 5, "{up} of {targets:?}");
            Ok(Some(up))
        })?;
        figure("targets that Prometheus scrapes", &up.to_string());
        let groups = ask("/api/v1/rules?type=alert")?;
        let groups = groups.pointer("/data/groups").and_then(Value::as_array);
        let rules = groups
            .into_iter()
            .flatten()
            .filter_map(|it| it.get("rules")?.as_array());
        let rules: usize = rules.map(Vec::len).sum();
        let written =
            fs::read_to_string(repository()?.join("charts/mdfs/files/alerts/cluster.yaml"))?;
        let wanted = written.matches("\n  - alert: ").count();
        ensure!(rules == wanted, "{rules} of {wanted} alerts");
        figure("alerts that Prometheus knows", &rules.to_string());
        Ok(())
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        for (_, child) in self.running.iter_mut().rev() {
            if let Ok(pid) = i32::try_from(child.id()) {
                inflict(Fault::Kill, pid).ok();
            }
            child.wait().ok();
        }
    }
}

/// Whether it ends by itself.
fn is_once(service: &Value) -> bool {
    let restart = service.get("restart").and_then(Value::as_str);
    restart != Some("unless-stopped")
}

fn text<'a>(value: &'a Value, field: &str) -> Result<&'a str> {
    let found = value.get(field).and_then(Value::as_str);
    found.with_context(|| format!("{value} has no {field}"))
}

fn words(value: &Value, field: &str) -> Result<Vec<String>> {
    let found = value.get(field).and_then(Value::as_array);
    let found = found.with_context(|| format!("{value} has no {field}"))?;
    let word = |word: &Value| word.as_str().map(str::to_owned);
    found
        .iter()
        .map(word)
        .collect::<Option<_>>()
        .context("a word is no text")
}
