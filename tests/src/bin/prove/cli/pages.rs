//! Every command that a page prints, run as printed beside a fresh cluster.

use crate::figures::figure;
use crate::printed::{PRINTED_PORT, Server, at_port, free_port, is_free, shell};
use anyhow::{Context, Result, ensure};
use mdfs_tests::command::run;
use mdfs_tests::{film, pages, program};
use std::fs;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

/// How long the commands of one page may take.
const LIMIT: Duration = Duration::from_secs(600);

/// Runs the commands of all pages; how many pages have some.
pub(crate) fn check(short: bool) -> Result<usize> {
    let films = TempDir::with_prefix("mdfs-film-")?;
    let mp4 = films.path().join("film.mp4");
    film::make(&mp4, 6, "320x180")?;
    let mut run = 0;
    for page in pages::all(program::repository()?)? {
        let name = page
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let text = fs::read_to_string(&page)?;
        if let Some(script) = pages::script(&text).with_context(|| name.clone())? {
            let said = page_runs(&script, &mp4, short).with_context(|| name.clone())?;
            figure(&name, &format!("{said} blocks of commands run as printed"));
            run += 1;
        }
    }
    Ok(run)
}

fn page_runs(script: &str, mp4: &Path, short: bool) -> Result<usize> {
    // The printed port belongs to whoever has it; the test command takes another one.
    let port = if short { free_port()? } else { PRINTED_PORT };
    is_free(port)?;
    let folder = TempDir::with_prefix("mdfs-page-")?;
    let (place, home) = (folder.path().join("here"), folder.path().join("home"));
    let programs = folder.path().join("bin");
    for made in [&place, &home, &programs] {
        fs::create_dir(made)?;
    }
    fs::copy(mp4, place.join("film.mp4"))?;
    std::os::unix::fs::symlink(program::mdfs()?, programs.join("mdfs"))?;
    let start = format!("exec {}/mdfs dev --port {port}", programs.display());
    let mut server = Server::start(&place, &start)?;
    server.wait_until_healthy(port)?;
    let path = format!("export PATH=\"{}:$PATH\"\n", programs.display());
    let script = at_port(&format!("{path}{script}"), port);
    let output = run(shell(&place, &script).env("HOME", &home), LIMIT)?;
    ensure!(
        output.code() == 0,
        "ended with {}:\n{}",
        output.code(),
        output.stderr.trim()
    );
    server.stop()?;
    Ok(output
        .stderr
        .lines()
        .filter(|line| line.starts_with("# line "))
        .count())
}
