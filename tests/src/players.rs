//! Real clients reading a film over HTTP, compared with the film on disk.

use crate::command::succeed;
use crate::film::{picture_at, probe};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(120);

/// Plays `link` with ffprobe and ffmpeg, from the start and from the middle, and downloads it with
/// curl and wget, whole, in part and continued. `folder` is for what is downloaded.
///
/// # Errors
/// Names the first client that saw anything but the film at `local`.
pub fn check_all(link: &str, local: &Path, folder: &Path) -> Result<()> {
    plays(link, local)?;
    let film = fs::read(local)?;
    let target = folder.join("downloaded");
    let compare = |client: &str, wanted: &[u8]| -> Result<()> {
        let found = fs::read(&target)?;
        ensure!(
            found == wanted,
            "{client} got {} bytes that differ",
            found.len()
        );
        Ok(fs::remove_file(&target)?)
    };

    let middle = film.len() / 2;
    let curl = |arguments: &[&str]| {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--fail", "--output"])
            .arg(&target);
        succeed(curl.args(arguments).arg(link), LIMIT)
    };
    curl(&["-r", &format!("{middle}-")])?;
    compare("curl -r", film.get(middle..).unwrap_or_default())?;
    curl(&["-r", "-1000"])?;
    compare(
        "curl -r",
        film.get(film.len().saturating_sub(1000)..)
            .unwrap_or_default(),
    )?;
    fs::write(&target, film.get(..middle).unwrap_or_default())?;
    curl(&["-C", "-"])?;
    compare("curl -C -", &film)?;

    let mut wget = Command::new("wget");
    wget.args(["--quiet", "--tries=1", "-O"])
        .arg(&target)
        .arg(link);
    succeed(&mut wget, LIMIT)?;
    compare("wget", &film)?;
    fs::write(&target, film.get(..middle).unwrap_or_default())?;
    let mut wget = Command::new("wget");
    wget.args(["--quiet", "--tries=1", "--continue", "-O"])
        .arg(&target)
        .arg(link);
    succeed(&mut wget, LIMIT)?;
    compare("wget --continue", &film)
}

/// Plays `link` with ffprobe and ffmpeg, from the start and from the middle.
///
/// # Errors
/// If it lasts longer or shorter than the film at `local`, or shows or sounds anything else.
pub fn plays(link: &str, local: &Path) -> Result<()> {
    let local = local.to_str().context("the film's path is UTF-8")?;
    let (wanted, found) = (probe(local)?, probe(link)?);
    ensure!(
        (wanted - found).abs() < 0.001,
        "{link} lasts {found} s instead of {wanted} s"
    );
    for seconds in [0.0, wanted / 2.0] {
        let (wanted, found) = (picture_at(local, seconds)?, picture_at(link, seconds)?);
        ensure!(
            found == wanted,
            "{link} decodes to {found} at {seconds} s instead of {wanted}"
        );
    }
    Ok(())
}
