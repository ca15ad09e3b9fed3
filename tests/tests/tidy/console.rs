//! The rules of the console's files: they have no build step, so what a build would find is found here.

use super::{LINES_MOST, none, shown};
use anyhow::{Context, Result, ensure};
use mdfs_tests::program::repository;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// What no script of the console says: what would make code or styles of text, or leave the page's origin.
const BANNED: &[&str] = &[
    "innerHTML",
    "outerHTML",
    "insertAdjacentHTML",
    "dangerouslySetInnerHTML",
    "document.write",
    "eval(",
    "new Function",
    " style=",
    "'/v1/",
    "`/v1/",
];

#[derive(Deserialize)]
struct Vendored {
    name: String,
    version: String,
    licence: String,
    from: String,
    files: Vec<VendoredFile>,
}

#[derive(Deserialize)]
struct VendoredFile {
    path: String,
    source: String,
    sha256: String,
}

fn console() -> Result<PathBuf> {
    Ok(repository()?.join("master/console"))
}

/// Every file below `folder`, by its path within it.
fn below(folder: &Path) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(folder)?.display().to_string());
            }
        }
    }
    Ok(found)
}

/// The console's own modules with their texts.
fn modules() -> Result<Vec<(PathBuf, String)>> {
    let console = console()?;
    let is_ours = |path: &&String| path.ends_with(".js") && !path.starts_with("vendor/");
    let read = |path: &String| {
        let path = console.join(path);
        let text = fs::read_to_string(&path)?;
        Ok((path, text))
    };
    below(&console)?.iter().filter(is_ours).map(read).collect()
}

/// A catalogue of texts: a module that is nothing but JSON behind `export default`.
fn catalogue(name: &str) -> Result<BTreeMap<String, String>> {
    let text = fs::read_to_string(console()?.join("texts").join(name))?;
    let (_, json) = text
        .split_once("export default ")
        .with_context(|| format!("{name} exports nothing"))?;
    let json = json.trim_end().trim_end_matches(';');
    serde_json::from_str(json).with_context(|| format!("{name} is no catalogue"))
}

/// The names in braces of a text.
fn placeholders(text: &str) -> BTreeSet<&str> {
    text.split('{')
        .skip(1)
        .filter_map(|rest| rest.split_once('}').map(|(name, _)| name))
        .collect()
}

/// What stands between `start` and the next `end`, wherever `start` is found.
fn between<'a>(text: &'a str, start: &'a str, end: char) -> impl Iterator<Item = &'a str> {
    text.split(start)
        .skip(1)
        .filter_map(move |rest| rest.split_once(end).map(|(found, _)| found))
}

#[test]
fn what_is_vendored_is_listed_with_its_licence_and_unchanged() -> Result<()> {
    let folder = console()?.join("vendor");
    let listed: Vec<Vendored> =
        serde_json::from_str(&fs::read_to_string(folder.join("vendor.json"))?)?;
    let mut named = BTreeSet::from(["vendor.json".to_owned()]);
    for one in listed {
        let (name, version) = (&one.name, &one.version);
        ensure!(
            one.from == format!("npm:{name}@{version}"),
            "{name}: {}",
            one.from
        );
        ensure!(!one.licence.is_empty(), "{name} has no licence");
        let has_licence = one.files.iter().any(|file| file.path.ends_with("LICENSE"));
        ensure!(has_licence, "the licence of {name} is not there");
        for file in one.files {
            let bytes = fs::read(folder.join(&file.path)).context(file.path.clone())?;
            let mut hash = String::new();
            for byte in Sha256::digest(&bytes) {
                write!(hash, "{byte:02x}")?;
            }
            let (path, source) = (&file.path, &file.source);
            ensure!(
                hash == file.sha256,
                "{path} is not {source} of {name} {version}"
            );
            named.insert(file.path);
        }
    }
    let there = below(&folder)?;
    ensure!(
        there == named,
        "vendored and listed differ: {there:?} and {named:?}"
    );
    Ok(())
}

#[test]
fn all_catalogues_of_the_console_have_the_same_texts() -> Result<()> {
    let english = catalogue("en.js")?;
    let mut violations = Vec::new();
    for name in ["zh-CN.js"] {
        let other = catalogue(name)?;
        // A language has its own number of forms.
        let is_form = |key: &str| key.ends_with(".one");
        for key in english.keys().filter(|key| !is_form(key)) {
            if !other.contains_key(key) {
                violations.push(format!("{name} lacks {key}"));
            }
        }
        for (key, text) in &other {
            match english.get(key) {
                None => violations.push(format!("{name} has {key}, English does not")),
                Some(in_english) => {
                    let known = placeholders(in_english);
                    let unknown = placeholders(text).difference(&known).count();
                    if unknown > 0 {
                        violations.push(format!("{name}: {key} has a name in braces of its own"));
                    }
                }
            }
        }
    }
    none(violations)
}

#[test]
fn every_text_that_the_console_asks_for_is_there() -> Result<()> {
    let english = catalogue("en.js")?;
    let mut violations = Vec::new();
    for (path, text) in modules()? {
        for key in between(&text, " t('", '\'')
            .chain(between(&text, "{t('", '\''))
            .chain(between(&text, "(t('", '\''))
        {
            if !english.contains_key(key) {
                violations.push(format!("{}: no text {key:?}", shown(&path)));
            }
        }
    }
    none(violations)
}

#[test]
fn modules_of_the_console_are_short_and_make_no_code_of_text() -> Result<()> {
    let mut violations = Vec::new();
    for (path, text) in modules()? {
        let is_catalogue = path
            .parent()
            .is_some_and(|folder| folder.ends_with("texts"));
        if is_catalogue {
            continue;
        }
        let lines = text.lines().count();
        if lines > LINES_MOST {
            violations.push(format!("{}: {lines} lines", shown(&path)));
        }
        if !text.starts_with("/**") {
            violations.push(format!("{}: does not say what it is", shown(&path)));
        }
        for word in BANNED.iter().filter(|word| text.contains(**word)) {
            violations.push(format!("{}: {word}", shown(&path)));
        }
    }
    none(violations)
}

#[test]
fn every_file_that_the_console_names_is_there() -> Result<()> {
    let console = console()?;
    let mut violations = Vec::new();
    for (path, text) in modules()? {
        let folder = path.parent().context("a module is in a folder")?;
        let named = between(&text, "from './", '\'').map(|name| folder.join(name));
        let above = between(&text, "from '../", '\'').map(|name| folder.join("..").join(name));
        let later = between(&text, "import('./", '\'').map(|name| folder.join(name));
        for named in named.chain(above).chain(later) {
            if !named.is_file() {
                violations.push(format!("{}: no {}", shown(&path), shown(&named)));
            }
        }
    }
    let index = fs::read_to_string(console.join("index.html"))?;
    for named in between(&index, "\"console/", '"') {
        if !console.join(named).is_file() {
            violations.push(format!("index.html: no {named}"));
        }
    }
    let imports = fs::read_to_string(console.join("imports.json"))?;
    let imports: BTreeMap<String, String> = serde_json::from_str(&imports)?;
    for (name, named) in imports {
        if !console.join(&named).is_file() {
            violations.push(format!(
                "imports.json: {name} is {named}, which is not there"
            ));
        }
    }
    none(violations)
}
