//! The program under test.

use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The folder of the root `Cargo.toml`.
///
/// # Errors
/// If this package is not in a folder of the workspace.
pub fn repository() -> Result<&'static Path> {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("the tests are in no workspace")
}

/// The program `mdfs`: the one that `MDFS_PROGRAM` names, else built now, in this build's profile.
///
/// # Errors
/// If it does not build.
pub fn mdfs() -> Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let found = BUILT.get_or_init(|| match given()? {
        Some(given) => Ok(given),
        None => build("mdfs", "mdfs").map_err(|error| format!("{error:#}")),
    });
    found.clone().map_err(anyhow::Error::msg)
}

/// The example program of this name: the one beside the program that `MDFS_PROGRAM` names, else built
/// now, in this build's profile.
///
/// # Errors
/// If it does not build.
pub fn example(name: &str) -> Result<PathBuf> {
    let beside = given()
        .map_err(anyhow::Error::msg)?
        .map(|mdfs| mdfs.with_file_name(name));
    match beside {
        Some(program) if program.is_file() => Ok(program),
        _ => build("mdfs-examples", name),
    }
}

/// The program that `MDFS_PROGRAM` names.
fn given() -> Result<Option<PathBuf>, String> {
    #[expect(
        clippy::disallowed_methods,
        reason = "test binaries have no arguments of their own"
    )]
    let given = std::env::var_os("MDFS_PROGRAM").map(PathBuf::from);
    match given {
        Some(path) if !path.is_file() => Err(format!(
            "MDFS_PROGRAM names {}, which is no file",
            path.display()
        )),
        given => Ok(given),
    }
}

fn build(package: &str, program: &str) -> Result<PathBuf> {
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--package", package, "--bin", program]);
    if !cfg!(debug_assertions) {
        build.arg("--release");
    }
    let status = build
        .current_dir(repository()?)
        .status()
        .context("start cargo")?;
    ensure!(status.success(), "{program} does not build");
    // Test binaries are in `deps`, the proofs beside the program.
    let own = std::env::current_exe()?;
    let folders = own.ancestors().skip(1).take(2);
    let mut programs = folders.map(|folder| folder.join(program));
    programs
        .find(|path| path.is_file())
        .with_context(|| format!("the built {program} is not where it should be"))
}

/// Notes that the calling test left itself out, and why, where `cargo xtask test` counts it.
///
/// # Errors
/// If the note cannot be written.
pub fn note_skipped(test: &str, reason: &str) -> Result<()> {
    use std::io::Write;
    println!("skipped: {test}: {reason}");
    #[expect(
        clippy::disallowed_methods,
        reason = "test binaries have no arguments of their own"
    )]
    let Some(path) = std::env::var_os("MDFS_SKIPPED_TESTS") else {
        return Ok(());
    };
    let mut notes = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)?;
    notes.write_all(format!("{test}: {reason}\n").as_bytes())?;
    Ok(())
}
