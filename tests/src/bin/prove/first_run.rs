//! A fresh clone starts with one command, and the README's commands do what they say.

use crate::figures::figure;
use crate::printed::{PRINTED_PORT, Server, at_port, free_port, in_shell, is_free};
use anyhow::{Context, Result, ensure};
use mdfs_tests::command::succeed;
use mdfs_tests::wait::now;
use mdfs_tests::{film, players, program, readme};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(900);

pub(crate) fn prove(short: bool) -> Result<()> {
    let port = if short { free_port()? } else { PRINTED_PORT };
    is_free(port)?;
    let folder = TempDir::with_prefix("mdfs-first-run-")?;
    let place = if short {
        as_if_built(folder.path())?
    } else {
        clone(folder.path())?
    };
    let (seconds, size) = if short {
        (6, "320x180")
    } else {
        (120, "1280x720")
    };
    let mp4 = place.join("film.mp4");
    film::make(&mp4, seconds, size)?;
    let mkv = place.join("film.mkv");
    film::convert(&mp4, &mkv)?;
    figure(
        "film, bytes of MP4 and MKV",
        &format!("{} {}", bytes(&mp4)?, bytes(&mkv)?),
    );

    let start = readme::commands(program::repository()?, "start")?;
    ensure!(
        start == "cargo run --release -- dev",
        "the README starts MDFS with {start:?}"
    );
    let start = if short {
        format!("exec target/release/mdfs dev --port {port}")
    } else {
        format!("exec {start}")
    };
    let started = now();
    let mut server = Server::start(&place, &start)?;
    server.wait_until_healthy(port)?;
    figure(
        "ready after, s",
        &format!("{:.1}", started.elapsed().as_secs_f64()),
    );

    let commands = readme::commands(program::repository()?, "try")?;
    let said = in_shell(&place, &at_port(&commands, port))?;
    print!(
        "{}",
        said.lines()
            .map(|line| format!("  | {line}\n"))
            .collect::<String>()
    );
    ensure!(
        fs::read(place.join("copy.mp4"))? == fs::read(&mp4)?,
        "copy.mp4 differs"
    );
    figure(
        "README commands that did what they say",
        &commands.lines().count().to_string(),
    );
    players::check_all(link_in(&said)?, &mp4, folder.path()).context("MP4")?;

    // The README's settings with another film.
    let settings = commands.lines().filter(|line| line.starts_with("export "));
    let settings = settings.collect::<Vec<_>>().join("\n");
    let more = "mdfs put film.mkv films/film.mkv\nmdfs sign films/film.mkv";
    let said = in_shell(&place, &at_port(&format!("{settings}\n{more}"), port))?;
    players::check_all(link_in(&said)?, &mkv, folder.path()).context("MKV")?;
    figure(
        "played from /play/",
        "ffprobe, ffmpeg -ss, curl -r, curl -C -, wget; MP4 and MKV",
    );
    server.stop()
}

/// A clone of the last commit, with nothing built.
fn clone(folder: &Path) -> Result<PathBuf> {
    let place = folder.join("mdfs");
    let mut git = Command::new("git");
    git.args(["clone", "--quiet", "--no-hardlinks"])
        .arg(program::repository()?)
        .arg(&place);
    succeed(&mut git, LIMIT)?;
    Ok(place)
}

/// A folder that looks like a clone after the build.
fn as_if_built(folder: &Path) -> Result<PathBuf> {
    let place = folder.join("mdfs");
    let built = place.join("target").join("release");
    fs::create_dir_all(&built)?;
    std::os::unix::fs::symlink(program::mdfs()?, built.join("mdfs"))?;
    Ok(place)
}

fn link_in(said: &str) -> Result<&str> {
    let mut words = said.split_whitespace();
    let link = words.find(|word| word.starts_with("http://") && word.contains("/play/"));
    link.with_context(|| format!("no link to play in:\n{said}"))
}

fn bytes(path: &Path) -> Result<u64> {
    Ok(fs::metadata(path)?.len())
}
