//! The release before: this tree, made to know one version of the format less.

use anyhow::{Context, Result, ensure};
use mdfs_tests::command::succeed;
use mdfs_tests::program::repository;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// In which the older program must be built, also if all it depends on has to be.
const BUILD: Duration = Duration::from_secs(60 * 60);

/// What makes it older: in a file, one text becomes another.
const CHANGES: [(&str, &str, &str); 2] = [
    (
        "core/src/format.rs",
        "FORMATS: Formats = Formats { least: 1, most: 2 };",
        "FORMATS: Formats = Formats { least: 1, most: 1 };",
    ),
    // No record had a second version then.
    (
        "core/src/records/mod.rs",
        "        Some((&version, rest)) if version == T::VERSION => {\n",
        "        Some((&version, _)) if version > 1 => Err(Corrupt::Version(version)),\n        \
         Some((&version, rest)) if version == T::VERSION => {\n",
    ),
];

/// Writes its sources, beside what is built of this tree.
///
/// # Errors
/// If the tree is not any more what the changes are for.
pub(super) fn write() -> Result<PathBuf> {
    let repository = repository()?;
    let sources = folder()?.join("sources");
    let mut git = Command::new("git");
    git.args(["ls-files", "-z"]).current_dir(repository);
    let listed = git.output().context("git lists the files")?;
    ensure!(listed.status.success(), "git does not list the files");
    let names = String::from_utf8(listed.stdout)?;
    let (mut changed, mut written) = (0, BTreeSet::new());
    for name in names.split_terminator('\0') {
        let (from, to) = (repository.join(name), sources.join(name));
        // One that was removed and is not committed yet.
        if !from.is_file() {
            continue;
        }
        let mut bytes = fs::read(&from)?;
        for (_, now, before) in CHANGES.iter().filter(|(file, _, _)| *file == name) {
            let text = String::from_utf8(bytes)?;
            ensure!(text.matches(now).count() == 1, "{name} has not once: {now}");
            bytes = text.replace(now, before).into_bytes();
            changed += 1;
        }
        fs::create_dir_all(to.parent().context("a file is in a folder")?)?;
        // One that is the same keeps its time, and what was built of it.
        if fs::read(&to).ok().as_ref() != Some(&bytes) {
            fs::write(&to, bytes)?;
        }
        written.insert(to);
    }
    remove_others(&sources, &written)?;
    ensure!(changed == CHANGES.len(), "{changed} changes were made");
    Ok(sources)
}

/// Removes what the tree had once: Cargo finds targets by their files.
fn remove_others(folder: &Path, written: &BTreeSet<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            remove_others(&path, written)?;
        } else if !written.contains(&path) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// Builds it, in the profile of this program.
pub(super) fn build() -> Result<PathBuf> {
    let sources = write()?;
    let built = folder()?.join("built");
    let profile = match cfg!(debug_assertions) {
        true => "debug",
        false => "release",
    };
    if !built.join(profile).exists() {
        lend(&own_folder()?, &built.join(profile))?;
    }
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--locked", "--package", "mdfs"]);
    cargo.args(["--bin", "mdfs", "--target-dir"]).arg(&built);
    cargo.args((profile == "release").then_some("--release"));
    succeed(cargo.current_dir(&sources), BUILD).context("build the older release")?;
    Ok(built.join(profile).join("mdfs"))
}

/// Where this program is, and all that was built with it.
fn own_folder() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    Ok(own.parent().context("a program is in a folder")?.to_owned())
}

fn folder() -> Result<PathBuf> {
    let own = own_folder()?;
    let target = own.parent().context("a profile has a folder of its own")?;
    Ok(target.join("older"))
}

/// What was built of others' packages is the same for both releases.
fn lend(from: &Path, to: &Path) -> Result<()> {
    // What says that something was built comes first: so it is never newer than that.
    for part in [".fingerprint", "build", "deps"] {
        let part = (from.join(part), to.join(part));
        if part.0.is_dir() {
            lend_folder(&part.0, &part.1)?;
        }
    }
    Ok(())
}

fn lend_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_string_lossy().contains("mdfs") {
            continue;
        }
        let (from, to) = (entry.path(), to.join(&name));
        if entry.file_type()?.is_dir() {
            lend_folder(&from, &to)?;
            continue;
        }
        match fs::hard_link(&from, &to) {
            Ok(()) => {}
            // A build that runs beside this one cleared it away.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| from.display().to_string()),
        }
    }
    Ok(())
}
