//! Each alert has a page and a test.

use super::RULES;
use anyhow::{Context, Result, ensure};
use mdfs_tests::program::repository;
use mdfs_tests::prometheus::promtool;
use std::collections::BTreeSet;
use std::fs;

/// Checks the rules, and that each has a page and tests, which are run.
pub(super) fn check() -> Result<usize> {
    let root = repository()?;
    let (rules, tests) = (
        root.join("charts/mdfs/files/alerts"),
        root.join("tests/monitoring"),
    );
    let mut names = BTreeSet::new();
    for file in RULES {
        promtool(&["check", "rules", file], &rules)?;
        let text = fs::read_to_string(rules.join(file))?;
        for rule in text.split("\n  - alert: ").skip(1) {
            let name = rule.lines().next().unwrap_or_default().to_owned();
            ensure!(
                rule.contains("labels: {severity: "),
                "{name} has no severity"
            );
            ensure!(rule.contains("\n      summary: "), "{name} has no summary");
            let page = format!("docs/runbooks/{name}.md");
            ensure!(
                rule.contains(&format!("/{page}")),
                "{name} names another page"
            );
            let page = fs::read_to_string(root.join(&page)).context(page)?;
            for part in [
                "Meaning",
                "Impact",
                "What to look at",
                "What to run",
                "How it ends",
            ] {
                let has = page.contains(&format!("\n## {part}\n"));
                ensure!(has, "the page of {name} does not say: {part}");
            }
            let test = format!("{name}.test.yaml");
            let text = fs::read_to_string(tests.join(&test)).context(test.clone())?;
            let fires = format!("alertname: {name}\n");
            ensure!(
                text.contains(&fires) && text.contains("exp_labels"),
                "{name} never fires"
            );
            let silent = text.split("does not fire").nth(1).unwrap_or_default();
            ensure!(
                silent.contains("exp_alerts: []"),
                "{name} is not shown silent"
            );
            promtool(&["test", "rules", &test], &tests)?;
            ensure!(names.insert(name), "two alerts have one name");
        }
    }
    let mut pages = BTreeSet::new();
    for entry in fs::read_dir(root.join("docs/runbooks"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        pages.extend(name.strip_suffix(".md").map(str::to_owned));
    }
    pages.remove("README");
    ensure!(pages == names, "pages without an alert, or the other way");
    Ok(names.len())
}
