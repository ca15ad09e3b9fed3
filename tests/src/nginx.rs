//! nginx serving a folder: what the speed of a download is compared with.

use crate::wait::wait_for;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A running nginx. Dropping it ends it.
#[derive(Debug)]
pub struct Nginx {
    child: Child,
    url: String,
}

/// Where nginx is; none if it is not installed.
pub fn program() -> Option<PathBuf> {
    let folders = ["/usr/sbin", "/usr/local/sbin", "/usr/bin", "/usr/local/bin"];
    let mut programs = folders.iter().map(|folder| Path::new(folder).join("nginx"));
    programs.find(|program| program.is_file())
}

impl Nginx {
    /// Serves `root` on a free port of the loopback interface; `folder` is for its own files.
    ///
    /// # Errors
    /// If it is not installed or does not start.
    pub fn start(root: &Path, folder: &Path) -> Result<Self> {
        let program = program().context("nginx is not installed (Debian: nginx-light)")?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        fs::create_dir_all(folder)?;
        let (root, here) = (root.display(), folder.display());
        // Started as root it would give itself away to a user who cannot read the folder.
        let user = if rustix::process::geteuid().is_root() {
            "user root;"
        } else {
            ""
        };
        let text = format!(
            "{user} worker_processes 1; pid {here}/pid; error_log {here}/error.log;
            events {{ worker_connections 256; }}
            http {{
              access_log off; sendfile on; tcp_nopush off; sendfile_max_chunk 2m;
              keepalive_requests 1000000; open_file_cache max=2000;
              client_body_temp_path {here}/body; proxy_temp_path {here}/proxy;
              fastcgi_temp_path {here}/fastcgi; uwsgi_temp_path {here}/uwsgi;
              scgi_temp_path {here}/scgi;
              server {{ listen 127.0.0.1:{port}; root {root}; }}
            }}"
        );
        let configuration = folder.join("nginx.conf");
        fs::write(&configuration, text)?;
        let mut command = Command::new(program);
        command
            .arg("-p")
            .arg(folder)
            .arg("-c")
            .arg(&configuration)
            .args(["-g", "daemon off;"]);
        let log = fs::File::create(folder.join("output.log"))?;
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let child = command.spawn().context("start nginx")?;
        let mut nginx = Self {
            child,
            url: format!("http://127.0.0.1:{port}"),
        };
        wait_for("nginx", Duration::from_secs(10), || {
            ensure!(nginx.child.try_wait()?.is_none(), "nginx ended");
            Ok(Some(TcpStream::connect(("127.0.0.1", port))?))
        })?;
        Ok(nginx)
    }

    /// Where it serves.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let pid = i32::try_from(self.child.id()).unwrap_or_default();
        // SIGTERM, unlike SIGKILL, has it end its own children.
        crate::process::inflict(crate::process::Fault::Terminate, pid).ok();
        crate::command::finish(&mut self.child, "nginx", Duration::from_secs(10)).ok();
    }
}
