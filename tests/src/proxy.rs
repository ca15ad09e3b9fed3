//! A server in between: counts what clients send, and cuts connections when it is told to.

use anyhow::{Context, Result};
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How much is passed on at once.
const PIECE_BYTES: usize = 64 * 1024;

/// How often it is looked whether clients are still held back.
const HOLD: Duration = Duration::from_millis(2);

/// Passes connections on to one address. Dropping it cuts all of them and listens no more.
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
    address: SocketAddr,
}

#[derive(Debug)]
struct Shared {
    target: String,
    sent: AtomicU64,
    most: AtomicU64,
    ended: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    /// Listens on this machine and passes on to `url`.
    ///
    /// # Errors
    /// If it cannot listen.
    pub fn start(url: &str) -> Result<Self> {
        let target = url.strip_prefix("http://").context("only http is spoken")?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            target: target.to_owned(),
            sent: AtomicU64::new(0),
            most: AtomicU64::new(u64::MAX),
            ended: AtomicBool::new(false),
            open: Mutex::default(),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if accepting.ended.load(Ordering::Relaxed) {
                    return;
                }
                let shared = Arc::clone(&accepting);
                thread::spawn(move || shared.pass(client));
            }
        });
        Ok(Self { shared, address })
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Bytes that clients have sent so far, heads of requests included.
    pub fn sent(&self) -> u64 {
        self.shared.sent.load(Ordering::Relaxed)
    }

    /// Holds clients back once they have sent about so many bytes in all; what they wait for comes when
    /// this is raised.
    pub fn hold_at(&self, most: u64) {
        self.shared.most.store(most, Ordering::Relaxed);
    }

    /// Cuts all connections; new ones are taken.
    pub fn cut(&self) {
        for stream in self.shared.open().drain(..) {
            // It may be cut already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        self.cut();
        // Wakes the one who accepts.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn open(&self) -> MutexGuard<'_, Vec<TcpStream>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pass(&self, client: TcpStream) {
        // A connection that cannot be passed on is closed, as by a server that is gone.
        let Ok(server) = TcpStream::connect(&self.target) else {
            return;
        };
        let pairs = [
            client.try_clone(),
            server.try_clone(),
            client.try_clone(),
            server.try_clone(),
        ];
        let [
            Ok(client_kept),
            Ok(server_kept),
            Ok(to_client),
            Ok(from_server),
        ] = pairs
        else {
            return;
        };
        self.open().extend([client_kept, server_kept]);
        let back = thread::spawn(move || copy(from_server, to_client, |_| {}));
        copy(client, server, |count| {
            self.sent.fetch_add(count, Ordering::Relaxed);
            let held = || self.sent.load(Ordering::Relaxed) >= self.most.load(Ordering::Relaxed);
            while held() && !self.ended.load(Ordering::Relaxed) {
                thread::sleep(HOLD);
            }
        });
        // The other direction ends with the server's answer.
        let _ = back.join();
    }
}

/// Passes on until one side ends; then the other is told.
fn copy(mut from: TcpStream, mut to: TcpStream, passed: impl Fn(u64)) {
    let mut buffer = vec![0; PIECE_BYTES];
    let mut step = || -> io::Result<bool> {
        let count = from.read(&mut buffer)?;
        to.write_all(buffer.get(..count).unwrap_or_default())?;
        passed(u64::try_from(count).unwrap_or(0));
        Ok(count > 0)
    };
    while step().is_ok_and(|more| more) {}
    // Either may be closed already.
    let _ = (to.shutdown(Shutdown::Write), from.shutdown(Shutdown::Read));
}
