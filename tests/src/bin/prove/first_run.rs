//! A fresh clone starts with one command, and the README's commands do what they say.

use crate::figures::figure;
use anyhow::{Context, Result, ensure};
use mdfs_tests::command::{finish, succeed};
use mdfs_tests::process::{Fault, inflict};
use mdfs_tests::wait::{now, wait_for};
use mdfs_tests::{film, http, players, program, readme};
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// Where the README says the API is.
const README_PORT: u16 = 8080;
const LIMIT: Duration = Duration::from_secs(900);
/// How long a cold build and the start may take on a small machine.
const BUILD_LIMIT: Duration = Duration::from_secs(40 * 60);

pub(crate) fn prove(short: bool) -> Result<()> {
    let port = if short { free_port()? } else { README_PORT };
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

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Whether the API can be there. Somebody else's server would otherwise be waited for as if it were
/// ours.
fn is_free(port: u16) -> Result<()> {
    let tried = TcpListener::bind(("127.0.0.1", port));
    tried.map(drop).with_context(|| {
        format!("port {port}, which the README's commands use, is held by another process")
    })
}

fn at_port(commands: &str, port: u16) -> String {
    commands.replace(&format!(":{README_PORT}"), &format!(":{port}"))
}

fn in_shell(place: &Path, commands: &str) -> Result<String> {
    let mut bash = Command::new("bash");
    bash.args(["-euo", "pipefail", "-c", commands])
        .current_dir(place)
        .stdin(Stdio::null());
    // Whatever the caller has set is not what a new user has.
    bash.env_remove("MDFS_URL").env_remove("MDFS_TOKEN_FILE");
    Ok(succeed(&mut bash, LIMIT)?.text())
}

fn link_in(said: &str) -> Result<&str> {
    let mut words = said.split_whitespace();
    let link = words.find(|word| word.starts_with("http://") && word.contains("/play/"));
    link.with_context(|| format!("no link to play in:\n{said}"))
}

fn bytes(path: &Path) -> Result<u64> {
    Ok(fs::metadata(path)?.len())
}

/// What the README starts.
struct Server {
    child: Child,
    log: PathBuf,
}

impl Server {
    fn start(place: &Path, command: &str) -> Result<Self> {
        let log = place.with_extension("log");
        let output = fs::File::create(&log)?;
        let mut bash = Command::new("bash");
        bash.args(["-c", command])
            .current_dir(place)
            .stdin(Stdio::null());
        // A new user's build goes into the clone.
        bash.env_remove("CARGO_TARGET_DIR");
        let child = bash.stdout(output.try_clone()?).stderr(output).spawn()?;
        Ok(Self { child, log })
    }

    fn wait_until_healthy(&mut self, port: u16) -> Result<()> {
        let url = format!("http://127.0.0.1:{port}");
        let log = self.log.clone();
        wait_for("healthy server", BUILD_LIMIT, || {
            if let Some(ended) = self.ended()? {
                return Ok(Some(Err(ended)));
            }
            let answer = http::Connection::open(&url, None)?.request("GET", "/health", &[], &[])?;
            Ok((answer.status() == 200).then_some(Ok(())))
        })?
        .map_err(anyhow::Error::msg)?;
        // What it prints is what a person goes by: the API's address must be there.
        wait_for("address on the terminal", LIMIT, || {
            if let Some(ended) = self.ended()? {
                return Ok(Some(Err(ended)));
            }
            let said = fs::read_to_string(&log)?;
            let is_told = said.contains("MDFS is ready") && said.contains(&url);
            Ok(is_told.then_some(Ok(())))
        })?
        .map_err(anyhow::Error::msg)?;
        // A new cluster counts its files before it says that all is well.
        let data = self.log.with_extension("").join("mdfs-data");
        wait_for("counted files", LIMIT, || {
            let token = fs::read_to_string(data.join("root-token"))?;
            let mut connection = http::Connection::open(&url, Some(token.trim()))?;
            let status = connection.request("GET", "/v1/status", &[], &[])?.json()?;
            let healthy = status.get("health").and_then(|health| health.as_str()) == Some("ok");
            Ok((healthy && data.join("dev.json").exists()).then_some(()))
        })
    }

    /// What it said last, if it has ended.
    fn ended(&mut self) -> Result<Option<String>> {
        let Some(status) = self.child.try_wait()? else {
            return Ok(None);
        };
        let said = fs::read_to_string(&self.log)?;
        Ok(Some(format!("it ended with {status}:\n{said}")))
    }

    fn stop(&mut self) -> Result<()> {
        inflict(Fault::Interrupt, i32::try_from(self.child.id())?)?;
        let status = finish(&mut self.child, "the server", LIMIT)?;
        ensure!(status.success(), "the server ended with {status}");
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // It has all roles in one process, so this ends everything.
            self.child.kill().ok();
            self.child.wait().ok();
        }
    }
}
