//! The rules of the repository that no compiler knows.

#[path = "tidy/console.rs"]
mod console;

use anyhow::{Context, Result, ensure};
use mdfs_tests::program::{mdfs, repository};
use mdfs_tests::{command, readme};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Which packages of the workspace each may depend on; its tests may use more.
const ARROWS: &[(&str, &[&str])] = &[
    ("mdfs-core", &[]),
    ("mdfs-protocol", &["mdfs-core"]),
    ("mdfs-client", &["mdfs-core", "mdfs-protocol"]),
    ("mdfs-service", &["mdfs-core", "mdfs-protocol"]),
    (
        "mdfs-worker",
        &["mdfs-core", "mdfs-protocol", "mdfs-client", "mdfs-service"],
    ),
    (
        "mdfs-master",
        &["mdfs-core", "mdfs-protocol", "mdfs-client", "mdfs-service"],
    ),
    (
        "mdfs-operator",
        &["mdfs-protocol", "mdfs-client", "mdfs-service"],
    ),
    (
        "mdfs",
        &[
            "mdfs-core",
            "mdfs-protocol",
            "mdfs-client",
            "mdfs-service",
            "mdfs-worker",
            "mdfs-master",
            "mdfs-operator",
        ],
    ),
    ("mdfs-examples", &["mdfs-client"]),
    (
        "mdfs-fuzz",
        &[
            "mdfs-core",
            "mdfs-protocol",
            "mdfs-service",
            "mdfs-worker",
            "mdfs-master",
        ],
    ),
    ("mdfs-simdisk", &["mdfs-core", "mdfs-worker"]),
    (
        "mdfs-sim",
        &[
            "mdfs-core",
            "mdfs-protocol",
            "mdfs-client",
            "mdfs-service",
            "mdfs-worker",
            "mdfs-master",
            "mdfs-simdisk",
            "mdfs-tests",
        ],
    ),
    ("mdfs-tests", &[]),
    ("xtask", &[]),
];

/// Packages of others that only these of ours may use, tests aside.
const KEPT_TO: &[(&str, &[&str])] = &[
    (
        "axum",
        &[
            "mdfs-service",
            "mdfs-worker",
            "mdfs-master",
            "mdfs-operator",
            "mdfs-sim",
        ],
    ),
    (
        "clap",
        &[
            "mdfs",
            "mdfs-examples",
            "mdfs-fuzz",
            "mdfs-sim",
            "mdfs-tests",
            "xtask",
        ],
    ),
    ("hyper", &["mdfs-client", "mdfs-service"]),
    ("redb", &["mdfs-worker"]),
    ("reqwest", &["mdfs-client"]),
    ("serde_yaml", &["mdfs", "mdfs-operator"]),
    ("k8s-openapi", &["mdfs-operator"]),
    ("kube", &["mdfs-operator"]),
];

/// What the pure package never uses: nothing that does IO, reads a clock or draws at random.
const IMPURE: &[&str] = &[
    "axum",
    "getrandom",
    "hyper",
    "rand",
    "redb",
    "reqwest",
    "rustix",
    "tempfile",
    "tokio",
];

/// Lines of a source file before its tests.
const LINES_MOST: usize = 400;

/// What no source or page says, and what to do instead. Each is cut in two, so that this table does
/// not name itself.
const BANNED: &[(&str, &str, &str)] = &[
    ("TO", "DO", "finish it, or leave it out"),
    ("FIX", "ME", "fix it"),
    ("for ", "now,", "say what is, not what will be"),
    (
        "#[al",
        "low(",
        "#[expect(lint, reason = \"...\")] fails when it is of no use any more",
    ),
    ("#[ig", "nore", "a test that does not run proves nothing"),
    ("unimple", "mented!", "finish it, or leave it out"),
    ("fix", "er", "the word is mover"),
    ("chunk ", "server", "the word is worker"),
    ("data ", "node", "the word is worker"),
    ("name ", "node", "the word is master"),
    ("re", "plicator", "the word is mover"),
    ("black", "list", "say what is refused"),
    ("sl", "ave", "the word is worker"),
    ("/wo", "rk/", "a path of one machine"),
    ("/ro", "ot/", "a path of one machine"),
    ("/ho", "me/", "a path of one machine"),
];

struct Package {
    name: String,
    folder: PathBuf,
    dependencies: BTreeSet<String>,
}

fn packages() -> Result<Vec<Package>> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args([
        "metadata",
        "--no-deps",
        "--offline",
        "--format-version",
        "1",
    ]);
    let output = command::succeed(cargo.current_dir(repository()?), Duration::from_secs(60))?;
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let text = |value: &Value, field: &str| -> Result<String> {
        let found = value.get(field).and_then(Value::as_str);
        Ok(found
            .with_context(|| format!("cargo metadata without {field}"))?
            .to_owned())
    };
    let list = |value: &Value, field: &str| -> Result<Vec<Value>> {
        let found = value.get(field).and_then(Value::as_array);
        Ok(found
            .with_context(|| format!("cargo metadata without {field}"))?
            .clone())
    };
    let package = |package: Value| -> Result<Package> {
        let manifest = PathBuf::from(text(&package, "manifest_path")?);
        let dependencies = list(&package, "dependencies")?;
        Ok(Package {
            name: text(&package, "name")?,
            folder: manifest
                .parent()
                .context("a manifest is in a folder")?
                .to_owned(),
            dependencies: dependencies
                .iter()
                .filter(|dependency| dependency.get("kind").and_then(Value::as_str) != Some("dev"))
                .map(|dependency| text(dependency, "name"))
                .collect::<Result<_>>()?,
        })
    };
    list(&metadata, "packages")?
        .into_iter()
        .map(package)
        .collect()
}

/// Every file of the repository whose name ends in one of `endings`, but no build products.
fn files(endings: &[&str]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![repository()?.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.file_type()?.is_dir() {
                let is_ours = !matches!(name.as_str(), "target" | "mdfs-data" | ".git");
                folders.extend(is_ours.then(|| entry.path()));
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

fn shown(path: &Path) -> String {
    let root = repository().unwrap_or(Path::new("."));
    path.strip_prefix(root)
        .unwrap_or(path)
        .display()
        .to_string()
}

/// Whether a file holds nothing but tests, benchmarks aside.
fn is_test(path: &Path) -> bool {
    let named = path.file_name().is_some_and(|name| name == "tests.rs");
    named || path.components().any(|part| part.as_os_str() == "tests")
}

/// Lines up to the module of tests. What else is compiled for tests alone, a `use` or a module in a
/// file of its own, stands among the rest and counts with it.
fn lines_before_tests(source: &str) -> usize {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let begins = |&number: &usize| {
        let mut after = lines
            .iter()
            .skip(number)
            .skip_while(|line| line.starts_with("#["));
        let item = after.next().copied().unwrap_or_default();
        let is_block = item.starts_with("mod ") && item.ends_with('{');
        is_block && lines.get(number) == Some(&"#[cfg(test)]")
    };
    (0..lines.len()).find(begins).unwrap_or(lines.len())
}

fn none(violations: Vec<String>) -> Result<()> {
    ensure!(violations.is_empty(), "\n{}", violations.join("\n"));
    Ok(())
}

#[test]
fn packages_depend_on_each_other_only_along_the_arrows() -> Result<()> {
    let arrows: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    let packages = packages()?;
    let ours: BTreeSet<&str> = packages
        .iter()
        .map(|package| package.name.as_str())
        .collect();
    ensure!(
        ours == arrows.keys().copied().collect(),
        "the packages are {ours:?}"
    );
    let mut violations = Vec::new();
    for package in &packages {
        let allowed = arrows
            .get(package.name.as_str())
            .copied()
            .unwrap_or_default();
        for dependency in &package.dependencies {
            if ours.contains(dependency.as_str()) && !allowed.contains(&dependency.as_str()) {
                violations.push(format!("{} must not depend on {dependency}", package.name));
            }
            let kept = KEPT_TO.iter().find(|(theirs, _)| theirs == dependency);
            if kept.is_some_and(|(_, users)| !users.contains(&package.name.as_str())) {
                violations.push(format!("{} must not use {dependency}", package.name));
            }
            if package.name == "mdfs-core" && IMPURE.contains(&dependency.as_str()) {
                violations.push(format!("core is pure and must not use {dependency}"));
            }
        }
    }
    none(violations)
}

#[test]
fn every_package_takes_the_lints_of_the_workspace_and_says_what_it_is() -> Result<()> {
    let mut violations = Vec::new();
    for package in packages()? {
        let manifest = fs::read_to_string(package.folder.join("Cargo.toml"))?;
        for wanted in [
            "[lints]\nworkspace = true\n",
            "\ndescription = \"",
            "license.workspace",
        ] {
            if !manifest.contains(wanted) {
                violations.push(format!("{} has no {wanted:?} in Cargo.toml", package.name));
            }
        }
        for entry in ["src/lib.rs", "src/main.rs"] {
            let path = package.folder.join(entry);
            if path.exists() {
                let source = fs::read_to_string(&path)?;
                let header: String = source
                    .lines()
                    .map_while(|line| line.strip_prefix("//! "))
                    .collect();
                if header.split_whitespace().count() < 5 {
                    violations.push(format!("{} does not say what it is", shown(&path)));
                }
            }
        }
    }
    none(violations)
}

#[test]
fn sources_are_short_enough_to_be_read() -> Result<()> {
    let mut violations = Vec::new();
    for path in files(&[".rs"])? {
        let source = fs::read_to_string(&path)?;
        let before_tests = lines_before_tests(&source);
        if before_tests > LINES_MOST && !is_test(&path) {
            violations.push(format!("{} has {before_tests} lines", shown(&path)));
        }
    }
    none(violations)
}

/// A `select!` that draws which branch comes first cannot be repeated by the simulation, which runs
/// these packages.
#[test]
fn every_choice_between_futures_has_an_order() -> Result<()> {
    let mut violations = Vec::new();
    for path in files(&[".rs"])? {
        let source = fs::read_to_string(&path)?;
        let mut lines = (1..).zip(source.lines());
        while let Some((number, line)) = lines.next() {
            let chooses = line.contains("select! {") && !line.trim_start().starts_with("//");
            let mut rest = lines.clone().map(|(_, line)| line.trim());
            let first = rest.find(|line| !line.starts_with("//"));
            let place = shown(&path);
            let simulated = ["client/", "master/", "service/", "sim/", "worker/"]
                .iter()
                .any(|folder| place.starts_with(folder));
            if chooses && first != Some("biased;") && simulated && !is_test(&path) {
                violations.push(format!("{place}:{number} has no `biased;`"));
            }
        }
    }
    none(violations)
}

#[test]
fn only_a_module_of_tests_ends_the_count_of_lines() {
    let check =
        |source: &str, lines: usize| assert_eq!(lines_before_tests(source), lines, "{source}");
    check("a\n#[cfg(test)]\nmod tests {\n    b\n}\n", 1);
    check("a\n\n#[cfg(test)]\n#[expect(x)]\nmod tests {\n}\n", 2);
    check("#[cfg(test)]\nmod tests;\na\n", 3);
    check("#[cfg(test)]\nuse a;\nb\n#[cfg(test)]\nmod tests {\n}\n", 3);
    check("#[cfg(test)]\nfn a() {\n}\nmod b {\n}\n", 5);
}

#[test]
fn sources_and_pages_use_the_words_of_the_field_and_are_finished() -> Result<()> {
    let mut violations = Vec::new();
    for path in files(&[".rs", ".md", ".toml"])? {
        let text = fs::read_to_string(&path)?;
        for (number, line) in (1..).zip(text.lines()) {
            for (start, end, instead) in BANNED {
                let word = format!("{start}{end}");
                if line.contains(&word) {
                    let place = shown(&path);
                    violations.push(format!("{place}:{number} says {word:?}: {instead}"));
                }
            }
        }
    }
    none(violations)
}

#[test]
fn every_exception_from_a_lint_has_a_reason() -> Result<()> {
    let mut violations = Vec::new();
    for path in files(&[".rs"])? {
        let source = fs::read_to_string(&path)?;
        for attribute in ["#[expect(", "#![expect("] {
            for (place, _) in source.match_indices(attribute) {
                let rest = source.get(place..).unwrap_or_default();
                let end = rest.find(")]").unwrap_or(rest.len());
                let whole = rest.get(..end).unwrap_or_default();
                // This very loop names the attributes too.
                if !whole.contains("reason = \"") && !whole.starts_with("#[expect(\"") {
                    violations.push(format!("{}: {}", shown(&path), whole.trim()));
                }
            }
        }
    }
    violations.retain(|violation| !violation.starts_with("tests/tests/tidy.rs"));
    none(violations)
}

#[test]
fn every_call_of_the_client_says_what_is_left_when_its_future_is_dropped() -> Result<()> {
    let folder = repository()?.join("client").join("src");
    let mut violations = Vec::new();
    for path in files(&[".rs"])? {
        let inside = path.strip_prefix(&folder).ok();
        // Links are for the servers of this repository.
        if inside.is_none_or(|path| path.starts_with("link") || path.ends_with("link.rs")) {
            continue;
        }
        let mut documentation = Vec::new();
        for line in fs::read_to_string(&path)?.lines().map(str::trim) {
            let says = |word: &str| documentation.iter().any(|line| *line == word);
            if line.starts_with("pub async fn") && !says("/// # Cancel safety") {
                violations.push(format!("{}: {line}", shown(&path)));
            }
            if line.starts_with("///") {
                documentation.push(line.to_owned());
            } else if !line.starts_with("#[") {
                documentation.clear();
            }
        }
    }
    none(violations)
}

#[test]
fn pages_link_to_what_exists() -> Result<()> {
    let mut violations = Vec::new();
    for path in files(&[".md"])? {
        let text = fs::read_to_string(&path)?;
        let folder = path.parent().context("a page is in a folder")?;
        for (place, _) in text.match_indices("](") {
            let target = text
                .get(place + 2..)
                .and_then(|rest| rest.split(')').next());
            let target = target
                .and_then(|target| target.split('#').next())
                .unwrap_or_default();
            let is_outside = target.is_empty() || target.contains("://");
            if !is_outside && !folder.join(target).exists() {
                violations.push(format!("{} links to {target}, which is not", shown(&path)));
            }
        }
    }
    none(violations)
}

#[test]
fn decisions_are_numbered_without_a_gap_and_name_what_lost() -> Result<()> {
    let folder = repository()?.join("docs").join("decisions");
    let pages: BTreeSet<PathBuf> = fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    let mut violations = Vec::new();
    for (number, page) in (1..).zip(&pages) {
        let text = fs::read_to_string(page)?;
        let name = page
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        if !name.is_some_and(|name| name.starts_with(&format!("{number:03}-"))) {
            violations.push(format!("{} should be number {number:03}", shown(page)));
        }
        if !text.starts_with("# ") || !text.contains("\n## What lost") {
            violations.push(format!("{} lacks its title or 'What lost'", shown(page)));
        }
    }
    none(violations)
}

/// The sources that name the proofs.
fn proofs(root: &Path) -> Result<String> {
    let mut all = fs::read_to_string(root.join("xtask/src/proofs.rs"))?;
    for file in fs::read_dir(root.join("xtask/src/proofs"))? {
        all.push_str(&fs::read_to_string(file?.path())?);
    }
    Ok(all)
}

#[test]
fn commands_that_pages_name_exist() -> Result<()> {
    let root = repository()?;
    readme::commands(root, "start")?;
    let help = command::succeed(Command::new(mdfs()?).arg("--help"), Duration::from_secs(20))?;
    let proofs = proofs(root)?;
    let mut violations = Vec::new();
    for line in readme::commands(root, "try")?.lines() {
        let name = line
            .strip_prefix("mdfs ")
            .and_then(|rest| rest.split_whitespace().next());
        let known = |name| {
            help.text()
                .lines()
                .any(|line| line.trim().starts_with(name))
        };
        if let Some(name) = name.filter(|name| !known(*name)) {
            violations.push(format!("README.md: there is no mdfs {name}"));
        }
    }
    for path in files(&[".md"])? {
        let text = fs::read_to_string(&path)?;
        for after in text.split("cargo xtask prove ").skip(1) {
            let end = |letter: char| {
                !letter.is_ascii_lowercase() && !letter.is_ascii_digit() && letter != '-'
            };
            let name = after.split(end).next().unwrap_or_default();
            if !name.is_empty() && !proofs.contains(&format!("name: \"{name}\"")) {
                violations.push(format!("{}: no proof is called {name}", shown(&path)));
            }
        }
    }
    none(violations)
}

#[test]
fn tests_that_the_page_of_faults_names_exist() -> Result<()> {
    let root = repository()?;
    let page = fs::read_to_string(root.join("docs/verification.md"))?;
    let (_, table) = page
        .split_once("| row | fault | shown by |")
        .context("the page has its table of faults")?;
    let proofs = proofs(root)?;
    let mut sources = String::new();
    for path in files(&[".rs"])? {
        sources.push_str(&fs::read_to_string(path)?);
    }
    let is_there = |name: &str| match name.contains('_') {
        true => sources.contains(&format!("fn {name}(")),
        false => proofs.contains(&format!("name: \"{name}\"")),
    };
    let rows = table
        .lines()
        .skip(1)
        .take_while(|line| line.starts_with('|'));
    let names = |row: &'_ str| {
        row.split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let names: Vec<String> = rows.flat_map(names).collect();
    ensure!(names.len() > 40, "the table names {} tests", names.len());
    let missing = names.iter().filter(|name| !is_there(name));
    none(missing.map(|name| format!("there is no {name}")).collect())
}
