//! The console in a browser, driven by the scripts in `tests/console`; what they need done to the
//! cluster is done here.

use crate::figures::figure;
use crate::million_files::{import, write_export};
use anyhow::{Context, Result, bail, ensure};
use mdfs_tests::command::finish;
use mdfs_tests::dev_cluster::{DevCluster, Options, Process, Role};
use mdfs_tests::film;
use mdfs_tests::program::repository;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long a script may go on after it has closed its output.
const END_LIMIT: Duration = Duration::from_secs(30);
/// Where pictures of the pages are kept, for people to look at.
const SHOTS: &str = "target/console";

/// `console`: a day of its user, while a worker dies.
///
/// # Errors
/// If something is not as it should be.
pub(crate) fn prove(short: bool, python: Option<&Path>) -> Result<()> {
    let options = Options {
        workers: 4,
        restart: false,
        ..Options::default()
    };
    DevCluster::with(&options, |cluster| {
        cluster.wait_healthy()?;
        let film = cluster.folder().join("harbour.mp4");
        // The long one has 300 MB, the short one 14.
        match short {
            true => film::make(&film, 60, "640x360")?,
            false => film::make(&film, 420, "1280x720")?,
        }
        let size = film.metadata()?.len();
        ensure!(short || size > 300_000_000, "the film has {size} bytes");
        drive("console", cluster, short, python, &[])
    })
}

/// `console-rights`: who may see what, and names that are code.
///
/// # Errors
/// If something is not as it should be.
pub(crate) fn rights(short: bool, python: Option<&Path>) -> Result<()> {
    let options = Options {
        processes: false,
        ..Options::default()
    };
    DevCluster::with(&options, |cluster| {
        cluster.wait_healthy()?;
        drive("console-rights", cluster, short, python, &[])
    })
}

/// `console-scale`: very many files in a folder, and many workers.
///
/// # Errors
/// If something is not as it should be.
pub(crate) fn scale(short: bool, python: Option<&Path>) -> Result<()> {
    let (files, workers) = if short { (3000, 8) } else { (100_000, 50) };
    let options = Options {
        workers,
        processes: false,
        ..Options::default()
    };
    DevCluster::with(&options, |cluster| {
        cluster.wait_healthy()?;
        let path = cluster.folder().join("records.jsonl");
        let name = |number| format!("many/film-{number:06}.mkv");
        write_export(&path, &cluster.state().cluster_id, files, name)?;
        let master = cluster.first("master")?;
        let (taken, _) = import(cluster, &master, &path)?;
        ensure!(taken == files, "{taken} of {files} records were taken in");
        let (files, workers) = (files.to_string(), workers.to_string());
        let sizes = [
            ("MDFS_CONSOLE_FILES", files.as_str()),
            ("MDFS_CONSOLE_WORKERS", workers.as_str()),
        ];
        drive("console-scale", cluster, short, python, &sizes)
    })
}

/// Runs a script to its end, and does to the cluster what it asks for meanwhile.
fn drive(
    name: &str,
    cluster: &mut DevCluster,
    short: bool,
    python: Option<&Path>,
    environment: &[(&str, &str)],
) -> Result<()> {
    let python = python.context("Playwright is not here: `cargo xtask prove` installs it")?;
    let shots = shots()?;
    let mut command = Command::new(python);
    command
        .arg(repository()?.join("tests/console/prove.py"))
        .arg(name)
        .args(short.then_some("--short"))
        .env("MDFS_URL", cluster.url())
        .env("MDFS_TOKEN_FILE", &cluster.state().token_file)
        .env("MDFS_CONSOLE_FOLDER", cluster.folder())
        .env("MDFS_CONSOLE_SHOTS", &shots)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = command.spawn().context("start the script")?;
    let done = answer(&mut child, cluster);
    // It ends when nobody answers any more.
    drop(child.stdin.take());
    let status = finish(&mut child, "the script", END_LIMIT)?;
    done?;
    ensure!(
        status.success(),
        "the script failed; what it saw last is in {}",
        shots.display()
    );
    let pictures = std::fs::read_dir(&shots)?.count();
    figure("pictures in target/console", &pictures.to_string());
    Ok(())
}

fn shots() -> Result<PathBuf> {
    Ok(repository()?.join(SHOTS))
}

/// Reads what a script says until it ends. Its figures are shown, its wishes fulfilled.
fn answer(child: &mut Child, cluster: &mut DevCluster) -> Result<()> {
    let said = child.stdout.take().context("it has an output")?;
    let mut answers = child.stdin.take().context("it has an input")?;
    let mut killed: Option<Role> = None;
    for line in BufReader::new(said).lines() {
        let line = line?;
        match line.strip_prefix("ASK ") {
            None => println!("{line}"),
            Some("kill") => {
                let worker = worker(cluster)?;
                killed = Some(Role::of(&worker)?);
                cluster.kill(&worker)?;
                writeln!(answers, "done")?;
            }
            Some("revive") => {
                let role = killed.take().context("nothing was killed")?;
                cluster.start_by_hand(&role)?;
                writeln!(answers, "done")?;
            }
            Some(wish) => bail!("the script asks for {wish:?}"),
        }
    }
    Ok(())
}

/// The last worker: those before it vote.
fn worker(cluster: &DevCluster) -> Result<Process> {
    let mut workers = cluster.role("worker");
    workers.sort_by(|left, right| left.name.cmp(&right.name));
    workers.pop().context("there are workers")
}
