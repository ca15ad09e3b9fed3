//! What pages print, run as printed: a server in a folder, and commands beside it.

use anyhow::{Context, Result, ensure};
use mdfs_tests::command::{finish, succeed};
use mdfs_tests::http;
use mdfs_tests::process::{Fault, inflict};
use mdfs_tests::wait::wait_for;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Where pages say that the API is.
pub(crate) const PRINTED_PORT: u16 = 8080;
/// How long what is no build may take.
const LIMIT: Duration = Duration::from_secs(900);
/// How long a cold build and the start may take on a small machine.
const BUILD_LIMIT: Duration = Duration::from_secs(40 * 60);

/// A port that nobody listens on.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Whether the API can be there. Somebody else's server would otherwise be waited for as if it were
/// ours.
pub(crate) fn is_free(port: u16) -> Result<()> {
    let tried = TcpListener::bind(("127.0.0.1", port));
    tried.map(drop).with_context(|| {
        format!("port {port}, which the pages' commands use, is held by another process")
    })
}

/// Commands with another port than the printed one.
pub(crate) fn at_port(commands: &str, port: u16) -> String {
    commands.replace(&format!(":{PRINTED_PORT}"), &format!(":{port}"))
}

/// A shell that does `commands` in `place` and stops at the first that fails.
pub(crate) fn shell(place: &Path, commands: &str) -> Command {
    let mut bash = Command::new("bash");
    bash.args(["-euo", "pipefail", "-c", commands])
        .current_dir(place)
        .stdin(Stdio::null());
    // Whatever the caller has set is not what a new user has.
    bash.env_remove("MDFS_URL").env_remove("MDFS_TOKEN_FILE");
    bash
}

/// What commands print.
pub(crate) fn in_shell(place: &Path, commands: &str) -> Result<String> {
    Ok(succeed(&mut shell(place, commands), LIMIT)?.text())
}

/// What a page starts.
pub(crate) struct Server {
    child: Child,
    log: PathBuf,
}

impl Server {
    pub(crate) fn start(place: &Path, command: &str) -> Result<Self> {
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

    pub(crate) fn wait_until_healthy(&mut self, port: u16) -> Result<()> {
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

    pub(crate) fn stop(&mut self) -> Result<()> {
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
