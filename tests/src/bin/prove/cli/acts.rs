//! Every command does something: how it ends, and what its document looks like.

use super::help::Known;
use super::snapshot::Snapshots;
use crate::figures::figure;
use anyhow::{Context, Result, ensure};
use mdfs_tests::command::{Output, run};
use mdfs_tests::content::Content;
use mdfs_tests::dev_cluster::{DevCluster, Options};
use mdfs_tests::wait::wait_for;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(120);

/// Commands that print a document, in an order that works; each under the name of its snapshot.
const DOCUMENTS: &[(&str, &[&str])] = &[
    ("put", &["put", "film.mkv", "films/a.mkv"]),
    ("put-tree", &["put", "-r", "tree", "films/tree"]),
    ("put-tree-dry", &["put", "-r", "tree", "other", "--dry-run"]),
    ("get", &["get", "films/a.mkv", "b.mkv"]),
    ("get-tree", &["get", "-r", "films/tree", "copy"]),
    ("ls", &["ls", "-r", "films/"]),
    ("ls-folders", &["ls"]),
    ("stat", &["stat", "films/tree/b"]),
    ("mv", &["mv", "films/a.mkv", "films/b.mkv"]),
    ("rm", &["rm", "films/b.mkv", "--yes"]),
    ("ls-trash", &["ls", "--trash"]),
    ("undelete", &["undelete", "films/b.mkv"]),
    ("rm-purge", &["rm", "films/b.mkv", "--yes", "--purge"]),
    ("verify", &["verify", "films/tree/a", "films/tree/b"]),
    ("uploads", &["uploads"]),
    ("uploads-abort", &["uploads", "abort", "UPLOAD"]),
    ("sign", &["sign", "films/tree/a"]),
    (
        "token-create",
        &["token", "create", "player", "--role", "read", "--out", "t"],
    ),
    ("token-ls", &["token", "ls"]),
    ("status", &["status"]),
    ("workers", &["workers"]),
    ("tasks", &["tasks"]),
    ("policy", &["policy"]),
    ("policy-change", &["policy", "--trash-keep", "7d"]),
    ("admin-import", &["admin", "import", "records.jsonl"]),
    ("scrub", &["scrub", "--wait"]),
    ("scrub-status", &["scrub", "--status"]),
    ("doctor", &["doctor"]),
];

/// Commands that say on standard error what they began, and print nothing.
const SILENT: &[&[&str]] = &[
    &["token", "revoke", "TOKEN"],
    &["drain", "SPARE"],
    &["undrain", "SPARE"],
    &["announce", "SPARE", "--for", "1m"],
    &["announce", "SPARE", "--for", "0s"],
    &[
        "token", "create", "again", "--role", "read", "--out", "t", "--keep",
    ],
    &["health"],
    &["rebalance"],
    &["repair"],
    &["admin", "export", "records.jsonl"],
    &["admin", "voters", "3"],
    &["decommission", "LEAVING"],
    &["retire", "SPARE"],
];

/// Commands whose output is no document: bytes, scripts, pages, or a server's; and those that need lost
/// voters (`prove two-and-three` and `prove recover` have them).
const OTHERS: &[&str] = &[
    "admin bootstrap",
    "admin forget-voter",
    "admin recover",
    "cat",
    "completions",
    "man",
    "dev",
    "master",
    "operator",
    "worker",
];

/// Each exit code with a command that ends so, but for 5.
const ENDS: &[(i32, &[&str])] = &[
    (0, &["ls"]),
    (1, &["retire", "VOTER"]),
    (1, &["admin", "forget-voter", "VOTER", "--lost"]),
    (1, &["put", "-r", "odd"]),
    (2, &["put", "film.mkv", "../x"]),
    (2, &["rm", "films/tree/a"]),
    (2, &["get"]),
    (3, &["stat", "no/such/file"]),
    (3, &["get", "-r", "no/such/folder"]),
    (3, &["put", "no-such-file"]),
    (3, &["token", "revoke", "00000000000000000000000000000000"]),
    (4, &["--token-file", "wrong", "ls"]),
    (1, &["--token-file", "wrong", "doctor"]),
    (
        6,
        &["put", "film.mkv", "films/c.mkv", "--crc32", "00000000"],
    ),
];

pub(crate) fn check(commands: &[Known], snapshots: &mut Snapshots) -> Result<()> {
    every_command_is_here(commands)?;
    let options = Options {
        workers: 5,
        restart: false,
        ..Options::default()
    };
    DevCluster::with(&options, |cluster| acts(cluster, snapshots))
}

fn every_command_is_here(commands: &[Known]) -> Result<()> {
    let acts = DOCUMENTS.iter().map(|(_, words)| *words);
    let acts: Vec<String> = acts
        .chain(SILENT.iter().copied())
        .map(|words| words.join(" "))
        .chain(OTHERS.iter().map(|name| (*name).to_owned()))
        .collect();
    for command in commands.iter().filter(|command| !command.words.is_empty()) {
        // `uploads` alone lists; `token` alone is nothing.
        if command.has_others && command.words != ["uploads"] {
            continue;
        }
        let words = command.words.join(" ");
        let is_act = |act: &String| *act == words || act.starts_with(&format!("{words} "));
        ensure!(
            acts.iter().any(is_act),
            "nothing shows what mdfs {words} does"
        );
    }
    Ok(())
}

fn acts(cluster: &mut DevCluster, snapshots: &mut Snapshots) -> Result<()> {
    let folder = cluster.folder().to_owned();
    for (name, length) in [
        ("film.mkv", 3_000_000),
        ("tree/a", 10),
        ("tree/b", 20),
        ("odd/a\\b", 1),
    ] {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().context("a file is in a folder")?)?;
        fs::write(path, Content::new(1).bytes(0, length))?;
    }
    fs::write(folder.join("wrong"), "no token of this cluster at all")?;
    cluster.wait_healthy()?;
    let begin = json!({"name": "films/open.mkv", "size": 5}).to_string();
    let headers = [("content-type", "application/json")];
    let begun = cluster
        .connect()?
        .request("POST", "/v1/uploads", &headers, begin.as_bytes())?;
    let upload = text(&begun.json()?, "/id")?;
    let workers: Value = document(cluster, &["workers"])?;
    let workers = workers.get("workers").and_then(Value::as_array);
    let workers = workers.context("no list of workers")?;
    let names = |voter: bool| -> Result<Vec<String>> {
        let role = |worker: &&Value| worker.get("voter").and_then(Value::as_bool) == Some(voter);
        workers
            .iter()
            .filter(role)
            .map(|worker| text(worker, "/name"))
            .collect()
    };
    let (voters, others) = (names(true)?, names(false)?);
    let ([voter, ..], [spare, leaving]) = (voters.as_slice(), others.as_slice()) else {
        anyhow::bail!("voters {voters:?}, others {others:?}");
    };
    let mut stand_ins = vec![
        ("UPLOAD", upload),
        ("VOTER", voter.clone()),
        ("SPARE", spare.clone()),
        ("LEAVING", leaving.clone()),
    ];
    cluster.cli_ends(0, &["admin", "export", "records.jsonl"])?;
    for (name, words) in DOCUMENTS {
        let words = filled(words, &stand_ins);
        let found = shapes(cluster, &words)?;
        if *name == "token-create" {
            let created: Value = serde_json::from_slice(&found.0)?;
            stand_ins.push(("TOKEN", text(&created, "/id")?));
        }
        let shape = format!("{}\n", serde_json::to_string_pretty(&found.1)?);
        let path = format!("json/{name}.json");
        snapshots.compare(&path, &shape, is_like)?;
        other_formats(cluster, name, &words)?;
    }
    figure(
        "documents whose form is pinned",
        &DOCUMENTS.len().to_string(),
    );
    let mut codes = BTreeSet::new();
    for (code, words) in ENDS {
        let words = filled(words, &stand_ins);
        cluster.cli_ends(*code, &borrowed(&words))?;
        codes.insert(*code);
    }
    for words in SILENT {
        let words = filled(words, &stand_ins);
        let mut words = borrowed(&words);
        words.extend(["-o", "json"]);
        let output = cluster.cli_ends(0, &words)?;
        ensure!(
            output.stdout.is_empty(),
            "{words:?} printed {}",
            output.text()
        );
        ensure!(!output.stderr.trim().is_empty(), "{words:?} said nothing");
        let output = cluster.cli_ends(0, &["--quiet", "tasks"])?;
        ensure!(output.stderr.is_empty(), "--quiet said {}", output.stderr);
    }
    let worker = cluster
        .role("worker")
        .into_iter()
        .find(|it| it.name == *voter);
    cluster.kill(&worker.context("the voter has a process")?)?;
    wait_for("exit code 5", PATIENCE, || {
        let output = run(&mut cluster.cli(&["status"])?, PATIENCE)?;
        Ok((output.code() == 5).then_some(()))
    })?;
    wait_for("a doctor who names the dead worker", PATIENCE, || {
        let output = run(&mut cluster.cli(&["doctor"])?, PATIENCE)?;
        let hint = format!("mdfs retire {voter} --lost");
        Ok((output.code() == 5 && output.text().contains(&hint)).then_some(()))
    })?;
    codes.insert(5);
    ensure!(codes == (0..=6).collect(), "only {codes:?} were reached");
    figure("exit codes that were reached", &format!("{codes:?}"));
    Ok(())
}

fn filled(words: &[&str], stand_ins: &[(&str, String)]) -> Vec<String> {
    let fill = |word: &&str| {
        let found = stand_ins.iter().find(|(name, _)| name == word);
        found.map_or((*word).to_owned(), |(_, value)| value.clone())
    };
    words.iter().map(fill).collect()
}

fn borrowed(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

fn text(value: &Value, pointer: &str) -> Result<String> {
    let found = value.pointer(pointer).and_then(Value::as_str);
    Ok(found
        .with_context(|| format!("no {pointer} in {value}"))?
        .to_owned())
}

fn document(cluster: &DevCluster, words: &[&str]) -> Result<Value> {
    let mut words = words.to_vec();
    words.extend(["-o", "json"]);
    Ok(serde_json::from_slice(
        &cluster.cli_ends(0, &words)?.stdout,
    )?)
}

/// What a command printed, and the form of it; of several documents, that of all.
fn shapes(cluster: &DevCluster, words: &[String]) -> Result<(Vec<u8>, Value)> {
    let mut words = borrowed(words);
    words.extend(["-o", "json"]);
    let output = well(cluster, &words)?;
    let documents = serde_json::Deserializer::from_slice(&output.stdout).into_iter();
    let mut whole = Value::Null;
    for found in documents {
        let found: Value = found.with_context(|| format!("{words:?} printed no JSON"))?;
        whole = merged(whole, shape(&found));
    }
    ensure!(!whole.is_null(), "{words:?} printed nothing");
    Ok((output.stdout, whole))
}

/// What a command left that ended well; for one that tells how the cluster is, once that is well: after a
/// change it is counted again, and chunks of a new cluster may be on their way to other workers. A doctor
/// may find that this machine's disk is nearly full.
fn well(cluster: &DevCluster, words: &[&str]) -> Result<Output> {
    if !matches!(words.first(), Some(&"status" | &"doctor" | &"verify")) {
        return cluster.cli_ends(0, words);
    }
    wait_for("a cluster that is well", PATIENCE, || {
        let output = run(&mut cluster.cli(words)?, PATIENCE)?;
        let is_well =
            output.code() == 0 || (words.first() == Some(&"doctor") && output.code() == 5);
        Ok(is_well.then_some(output))
    })
}

/// A document with the kind of each value in its place.
fn shape(value: &Value) -> Value {
    match value {
        Value::Null => Value::Null,
        Value::Bool(_) => "bool".into(),
        Value::Number(_) => "number".into(),
        Value::String(_) => "string".into(),
        Value::Array(items) => {
            let all = items.iter().map(shape).fold(Value::Null, merged);
            if all.is_null() {
                json!([])
            } else {
                json!([all])
            }
        }
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| (name.clone(), shape(value));
            Value::Object(fields.iter().map(field).collect())
        }
    }
}

/// The form of values that have one of these two.
fn merged(one: Value, other: Value) -> Value {
    match (one, other) {
        (Value::Null, form) | (form, Value::Null) => form,
        (Value::Object(mut fields), Value::Object(others)) => {
            for (name, form) in others {
                let known = fields.remove(&name).unwrap_or_default();
                fields.insert(name, merged(known, form));
            }
            Value::Object(fields)
        }
        (Value::Array(one), Value::Array(other)) => {
            let all = one.into_iter().chain(other).fold(Value::Null, merged);
            if all.is_null() {
                json!([])
            } else {
                json!([all])
            }
        }
        (one, _) => one,
    }
}

/// Whether two forms are the same where both have something: what is null or empty today may not be
/// tomorrow.
fn is_like(want: &str, found: &str) -> bool {
    let parsed = |text: &str| serde_json::from_str::<Value>(text);
    match (parsed(want), parsed(found)) {
        (Ok(want), Ok(found)) => are_like(&want, &found),
        _ => false,
    }
}

fn are_like(want: &Value, found: &Value) -> bool {
    match (want, found) {
        (Value::Null, _) | (_, Value::Null) => true,
        (Value::Array(one), Value::Array(other)) => {
            one.iter().zip(other).all(|(a, b)| are_like(a, b))
        }
        (Value::Object(one), Value::Object(other)) => {
            let names =
                |fields: &Map<String, Value>| fields.keys().cloned().collect::<BTreeSet<_>>();
            let same = |(name, a)| other.get(name).is_some_and(|b| are_like(a, b));
            names(one) == names(other) && one.iter().all(same)
        }
        (want, found) => want == found,
    }
}

/// What reads only is printed in the other forms too.
fn other_formats(cluster: &DevCluster, name: &str, words: &[String]) -> Result<()> {
    let reads = [
        "ls",
        "ls-folders",
        "ls-trash",
        "stat",
        "verify",
        "token-ls",
        "status",
        "workers",
        "policy",
        "scrub-status",
        "doctor",
        "sign",
    ];
    if !reads.contains(&name) {
        return Ok(());
    }
    let mut printed = BTreeSet::new();
    for format in ["table", "json", "yaml", "name"] {
        let mut words = borrowed(words);
        words.extend(["-o", format]);
        let output = well(cluster, &words)?;
        let is_well = name == "doctor" && format == "name";
        ensure!(
            is_well || !output.text().is_empty(),
            "{words:?} printed nothing"
        );
        printed.insert(output.text());
    }
    let forms = if name == "sign" { 3 } else { 4 };
    ensure!(
        printed.len() >= forms,
        "{name} prints the same in two forms: {printed:?}"
    );
    Ok(())
}
