//! The proof that what is checked would be noticed: bugs are planted in a copy of the tree, one after
//! the other, and each must be caught by the check that its file names, as it says there.

mod catcher;
mod patch;

use crate::Folders;
use crate::child::Bounded;
use crate::workspace::Workspace;
use anyhow::{Context, Result, ensure};
use catcher::Catcher;
use patch::Bug;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Where the patches are.
const FOLDER: &str = "tests/planted";
/// So many there must be.
const LEAST: usize = 20;
/// Minutes in which each check must be done. Alone on a machine all take seconds, but for the
/// simulation's.
const MINUTES: u32 = 15;
/// Characters that are shown of what was noticed.
const MOST_TOLD: usize = 160;
/// Lines that are shown of a check that did not notice what it must.
const SHOWN: usize = 20;

/// Plants every bug; in the short form some, and of the others only sees whether their patches apply.
/// Returns whether all were caught, within so many minutes.
///
/// # Errors
/// If a command cannot be started, or the copy not made.
pub(crate) fn run(
    workspace: &Workspace,
    short: bool,
    minutes: u32,
    folders: &Folders,
) -> Result<bool> {
    let started = now();
    let mut bugs = Bug::all(&workspace.root.join(FOLDER))?;
    ensure!(bugs.len() >= LEAST, "{} bugs are too few", bugs.len());
    let garden = Garden::make(workspace, folders)?;
    let mut good = true;
    for bug in &bugs {
        if !garden.apply(bug, &["--check"])? {
            println!("FAILED {}: the patch does not apply", bug.name);
            good = false;
        }
    }
    println!("{} patches looked at", bugs.len());
    if short {
        bugs.retain(|bug| bug.short);
    }
    bugs.sort_by(|a, b| (&a.by, &a.name).cmp(&(&b.by, &b.name)));
    // Only what passes without them notices them.
    let catchers: BTreeSet<Catcher> = bugs.iter().map(|bug| bug.by.before()).collect();
    for catcher in &catchers {
        good &= garden.is_sound(catcher)?;
    }
    let (mut caught, mut afterwards) = (0, BTreeSet::new());
    for bug in &bugs {
        if started.elapsed() > Duration::from_secs(u64::from(minutes) * 60) {
            println!("FAILED planted: not done after {minutes} minutes");
            break;
        }
        if let Some(noticed) = garden.catches(bug)? {
            caught += 1;
            afterwards.extend(bug.by.after(&noticed));
        }
    }
    for catcher in &afterwards {
        good &= garden.is_sound(catcher)?;
    }
    let took = started.elapsed().as_secs_f64() / 60.0;
    println!(
        "planted: {caught} of {} caught, in {took:.1} minutes",
        bugs.len()
    );
    Ok(good && caught == bugs.len())
}

/// A copy of the tree.
struct Garden {
    tree: PathBuf,
    target: PathBuf,
    /// Held as long as the copy is in use.
    _lock: File,
}

impl Garden {
    /// Copies what git knows of. One copy at a time, always in the same place: what a run left behind
    /// that was killed is cleared away by the next, and what was built of other packages is found again.
    fn make(workspace: &Workspace, folders: &Folders) -> Result<Self> {
        let place = std::env::temp_dir().join("mdfs-planted");
        let lock = File::create(place.with_extension("lock"))?;
        if lock.try_lock().is_err() {
            println!("waiting for another run to end");
            lock.lock()?;
        }
        let tree = place.join("tree");
        if place.exists() {
            fs::remove_dir_all(&place).with_context(|| place.display().to_string())?;
        }
        let list = Bounded::new(1, &["git", "ls-files"]).quiet();
        let list = list.run(&workspace.root)?;
        ensure!(list.success, "git ls-files failed:\n{}", list.output);
        for name in list.output.lines() {
            let (from, to) = (workspace.root.join(name), tree.join(name));
            // One that was removed and not committed yet is named still.
            if from.is_file() {
                fs::create_dir_all(to.parent().unwrap_or(&tree))?;
                fs::copy(&from, &to).with_context(|| name.to_owned())?;
            }
        }
        let kept = folders.tools().map(|tools| tools.join("planted"));
        Ok(Self {
            target: kept.unwrap_or_else(|| place.join("target")),
            tree,
            _lock: lock,
        })
    }

    /// Whether a patch applies; then it is applied, unless the `options` say otherwise.
    fn apply(&self, bug: &Bug, options: &[&str]) -> Result<bool> {
        let path = bug.path.display().to_string();
        let mut words = vec!["git", "apply"];
        words.extend(options);
        words.push(&path);
        let above = self.tree.parent().unwrap_or(&self.tree);
        // The folder is in no repository, whatever lies above it.
        let apply =
            Bounded::new(1, &words).env("GIT_CEILING_DIRECTORIES", above.display().to_string());
        let applied = apply.quiet().run(&self.tree)?;
        if !applied.success {
            println!("{}", applied.output.trim_end());
        }
        Ok(applied.success)
    }

    /// Whether a check passes while nothing is planted.
    fn is_sound(&self, catcher: &Catcher) -> Result<bool> {
        let started = now();
        let Some(command) = self.build(catcher)? else {
            println!("FAILED {catcher:?}: the tree does not build");
            return Ok(false);
        };
        let built = started.elapsed().as_secs_f64();
        let finished = command.run(&self.tree)?;
        let took = started.elapsed().as_secs_f64() - built;
        if finished.success {
            println!("sound: {catcher:?} [{built:.0} s to build, {took:.1} s]");
        } else if finished.timed_out {
            println!(
                "FAILED {catcher:?}: nothing is planted, and it is not done after {took:.0} s"
            );
        } else {
            println!(
                "FAILED {catcher:?}: it notices something where nothing is planted\n{}",
                finished.output
            );
        }
        Ok(finished.success)
    }

    /// Plants a bug. Where it is noticed, if that is as its file says.
    fn catches(&self, bug: &Bug) -> Result<Option<String>> {
        if !self.apply(bug, &[])? {
            println!("FAILED {}: the patch does not apply", bug.name);
            return Ok(None);
        }
        let caught = self.is_caught(bug);
        ensure!(
            self.apply(bug, &["--reverse"])?,
            "{} cannot be taken out again",
            bug.name
        );
        caught
    }

    fn is_caught(&self, bug: &Bug) -> Result<Option<String>> {
        let started = now();
        let Some(command) = self.build(&bug.by)? else {
            println!("FAILED {}: it does not build", bug.name);
            return Ok(None);
        };
        let built = started.elapsed().as_secs_f64();
        let finished = command.run(&self.tree)?;
        let took = started.elapsed().as_secs_f64() - built;
        let Some(noticed) = bug.by.noticed(&finished, &bug.seen) else {
            let Bug {
                name,
                rule,
                by,
                seen,
                ..
            } = bug;
            // What came last, and before it what a simulation says of a seed.
            let lines: Vec<&str> = finished.output.lines().collect();
            let ends = lines.len().saturating_sub(SHOWN);
            let shown = lines.iter().enumerate();
            let shown = shown.filter(|(at, line)| *at >= ends || line.starts_with("  "));
            let shown: Vec<_> = shown
                .map(|(_, line)| line.chars().take(MOST_TOLD).collect::<String>())
                .collect();
            println!("SURVIVED {name} (not: {rule}): {by:?} did not see {seen:?}");
            println!("{}", shown.join("\n"));
            return Ok(None);
        };
        let name = &bug.name;
        let told: String = noticed.chars().take(MOST_TOLD).collect();
        println!("caught {name}: {told} [{built:.0} s to build, {took:.1} s]");
        Ok(Some(noticed))
    }

    /// Builds a check, and gives the command that runs it; none if the build fails.
    fn build(&self, catcher: &Catcher) -> Result<Option<Bounded>> {
        let target = self.target.display().to_string();
        let prepared = |minutes, words: &[&str]| {
            Bounded::new(minutes, words)
                .env("CARGO_TARGET_DIR", &target)
                .env("CARGO_PROFILE_DEV_DEBUG", "0")
                // Rules that nobody needs any more leave something behind that is not used.
                .env("RUSTFLAGS", "--cap-lints=warn")
                .quiet()
        };
        let built = prepared(20, &catcher.build()).run(&self.tree)?;
        if !built.success {
            println!("{}", built.output);
            return Ok(None);
        }
        let words = catcher.command(&self.target);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        Ok(Some(prepared(MINUTES, &words)))
    }
}

impl Drop for Garden {
    fn drop(&mut self) {
        let place: &Path = self.tree.parent().unwrap_or(&self.tree);
        if let Err(error) = fs::remove_dir_all(place) {
            println!("cannot remove {}: {error}", place.display());
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "only the time of each bug is shown, none decides"
)]
fn now() -> Instant {
    Instant::now()
}
