//! A door between an operator and the API server that lets so many writes through: the answer to the last
//! of them is lost, and nothing passes from then on.

use anyhow::{Context, Result};
use mdfs_tests::kube::Kubectl;
use mdfs_tests::wait::wait_for;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// The longest head of a request.
const HEAD_BYTES: usize = 64 * 1024;
/// How much is passed on at once.
const PIECE_BYTES: usize = 64 * 1024;

/// The door. Dropping it closes it.
pub(crate) struct Door {
    shared: Arc<Shared>,
    /// `kubectl proxy`, which speaks TLS with the API server.
    behind: Child,
    config: PathBuf,
}

struct Shared {
    behind: PathBuf,
    most: u64,
    passed: AtomicU64,
    shut: AtomicBool,
    writes: Mutex<Vec<String>>,
    open: Mutex<Vec<TcpStream>>,
}

impl Door {
    /// Opens one with the rights of this user, for so many writes.
    pub(crate) fn open(kubectl: &Kubectl, folder: &Path, most: u64) -> Result<Self> {
        let folder = tempfile::TempDir::with_prefix_in("door-", folder)?.keep();
        let socket = folder.join("socket");
        let mut command = kubectl.command(&["proxy", "--unix-socket"]);
        command.arg(&socket).stdout(Stdio::null());
        let behind = command.spawn().context("start kubectl proxy")?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            behind: socket.clone(),
            most,
            passed: AtomicU64::new(0),
            shut: AtomicBool::new(false),
            writes: Mutex::default(),
            open: Mutex::default(),
        });
        let config = folder.join("kubeconfig");
        let door = Self {
            shared: Arc::clone(&shared),
            behind,
            config,
        };
        std::fs::write(&door.config, kubeconfig(address))?;
        wait_for("socket of kubectl proxy", Duration::from_secs(60), || {
            Ok(Some(UnixStream::connect(&socket)?))
        })?;
        // Ends with this process: every client of it is gone before.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                thread::spawn(move || shared.serve(client));
            }
        });
        Ok(door)
    }

    /// The file by which an operator goes through it.
    pub(crate) fn config(&self) -> &Path {
        &self.config
    }

    /// Whether nothing passes any more.
    pub(crate) fn is_shut(&self) -> bool {
        self.shared.shut.load(Ordering::SeqCst)
    }

    /// The writes that passed.
    pub(crate) fn writes(&self) -> Vec<String> {
        lock(&self.shared.writes).clone()
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.shared.shut();
        // It may have ended already.
        self.behind.kill().ok();
        self.behind.wait().ok();
    }
}

fn kubeconfig(address: SocketAddr) -> String {
    serde_json::json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "a", "cluster": { "server": format!("http://{address}") } }],
        "users": [{ "name": "a", "user": {} }],
        "contexts": [{ "name": "a", "context": { "cluster": "a", "user": "a" } }],
        "current-context": "a",
    })
    .to_string()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a head says that matters here.
struct Head {
    bytes: Vec<u8>,
    /// Of a step of the operator: neither its lease nor what it tells are such.
    write: Option<String>,
    body: u64,
}

impl Shared {
    fn shut(&self) {
        self.shut.store(true, Ordering::SeqCst);
        for stream in lock(&self.open).drain(..) {
            // It may be closed already.
            stream.shutdown(Shutdown::Both).ok();
        }
    }

    /// A connection that cannot be passed on is closed, as by a server that is gone.
    fn serve(&self, client: TcpStream) {
        let pass = || -> Result<()> {
            lock(&self.open).push(client.try_clone()?);
            let server = UnixStream::connect(&self.behind)?;
            let is_last = AtomicBool::new(false);
            thread::scope(|scope| {
                let answers = (server.try_clone(), client.try_clone());
                if let (Ok(from), Ok(to)) = answers {
                    scope.spawn(|| self.answer(from, to, &is_last));
                }
                // Ends when the operator ends, or the door is shut.
                self.ask(&client, &server, &is_last).ok();
                server.shutdown(Shutdown::Both).ok();
            });
            Ok(())
        };
        pass().ok();
        client.shutdown(Shutdown::Both).ok();
    }

    fn ask(
        &self,
        mut client: &TcpStream,
        mut server: &UnixStream,
        is_last: &AtomicBool,
    ) -> Result<()> {
        while let Some(head) = read_head(client)? {
            if let Some(write) = head.write {
                // Writes pass one by one, so that the last one is known.
                let mut writes = lock(&self.writes);
                let number = self.passed.fetch_add(1, Ordering::SeqCst) + 1;
                if number > self.most {
                    return Ok(());
                }
                writes.push(write);
                is_last.store(number == self.most, Ordering::SeqCst);
            }
            if self.shut.load(Ordering::SeqCst) {
                return Ok(());
            }
            server.write_all(&head.bytes)?;
            std::io::copy(&mut Read::by_ref(&mut client).take(head.body), &mut server)?;
        }
        Ok(())
    }

    fn answer(&self, mut from: UnixStream, mut to: TcpStream, is_last: &AtomicBool) {
        let mut buffer = vec![0; PIECE_BYTES];
        let mut step = || -> std::io::Result<bool> {
            let count = from.read(&mut buffer)?;
            if count > 0 && is_last.load(Ordering::SeqCst) {
                // The API server has done it, and nobody hears of it.
                self.shut();
                return Ok(false);
            }
            to.write_all(buffer.get(..count).unwrap_or_default())?;
            Ok(count > 0)
        };
        while step().is_ok_and(|more| more) {}
        // Either may be closed already.
        to.shutdown(Shutdown::Both).ok();
        from.shutdown(Shutdown::Both).ok();
    }
}

/// The next head; none at the end.
fn read_head(mut client: &TcpStream) -> Result<Option<Head>> {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        anyhow::ensure!(bytes.len() < HEAD_BYTES, "a head without end");
        if client.read(&mut byte)? == 0 {
            return Ok(None);
        }
        bytes.extend(byte);
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let mut lines = text.lines();
    let mut words = lines.next().unwrap_or_default().split(' ');
    let method = words.next().unwrap_or_default();
    let path = words.next().unwrap_or_default();
    let path = path.split('?').next().unwrap_or_default();
    let is_step = method != "GET" && !path.contains("/leases") && !path.contains("/events");
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse().ok())?
    });
    Ok(Some(Head {
        write: is_step.then(|| format!("{method} {path}")),
        body: length.unwrap_or(0),
        bytes,
    }))
}
