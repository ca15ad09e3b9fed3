//! Writers and readers that go on while a cluster is changed, and note what they were promised.

use super::installed::Mdfs;
use anyhow::{Context, Result, ensure};
use mdfs_tests::chance::Chance;
use mdfs_tests::content::Content;
use mdfs_tests::http::Connection;
use mdfs_tests::transfer;
use mdfs_tests::wait::{now, pause};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Within this time what a restart broke off has been answered by another master.
const LIMIT: Duration = Duration::from_secs(30);
/// How long a server may say nothing before another one is asked.
const SILENCE: Duration = Duration::from_secs(10);
/// So many failures are shown: more say nothing new.
const WHY_MOST: usize = 5;
/// The longest file, so that a minute of writes fits on the smallest volumes.
const LONGEST: u64 = 200_000;

/// One file that was acknowledged.
#[derive(Clone, Debug)]
pub(super) struct File {
    name: String,
    number: u64,
    length: u64,
}

/// What the writers and readers saw.
#[derive(Debug, Default)]
struct Seen {
    stored: Vec<File>,
    reads: u64,
    of_writes: Tries,
    of_reads: Tries,
    failed: Vec<String>,
}

/// How often something had to be tried again, and how long one took with all its tries.
#[derive(Debug, Default)]
struct Tries {
    again: u64,
    longest: Duration,
    /// Why the first ones failed, a few of them.
    why: Vec<String>,
}

/// Writers and readers at work.
#[derive(Debug)]
pub(super) struct Load {
    mdfs: Mdfs,
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
    threads: Vec<JoinHandle<()>>,
}

/// Where the API is, and who asks.
#[derive(Clone, Debug)]
struct Door {
    url: String,
    token: String,
}

impl Door {
    fn open(&self) -> Result<Connection> {
        let mut connection = Connection::open(&self.url, Some(&self.token))?;
        connection.bear_silence_for(SILENCE)?;
        Ok(connection)
    }
}

impl Load {
    /// Starts two writers and two readers; files are called `PREFIX/NUMBER`.
    pub(super) fn start(mdfs: &Mdfs, prefix: &'static str) -> Result<Self> {
        let door = Door {
            url: mdfs.url()?,
            token: mdfs.token()?,
        };
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::new(Mutex::new(Seen::default()));
        let next = Arc::new(AtomicU64::new(0));
        let mut threads = Vec::new();
        for reader in 0..2 {
            let (door, stop, seen, next) = (door.clone(), stop.clone(), seen.clone(), next.clone());
            let (other_door, other_stop, other_seen) = (door.clone(), stop.clone(), seen.clone());
            threads.push(std::thread::spawn(move || {
                write(&door, prefix, &next, &stop, &seen)
            }));
            threads.push(std::thread::spawn(move || {
                read(&other_door, reader, &other_stop, &other_seen);
            }));
        }
        let mdfs = mdfs.clone();
        Ok(Self {
            mdfs,
            stop,
            seen,
            threads,
        })
    }

    /// How many files were acknowledged and read so far, if every read and write succeeded.
    ///
    /// # Errors
    /// If one failed for good.
    pub(super) fn done(&self) -> Result<(usize, u64)> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        ensure!(seen.failed.is_empty(), "failed: {:?}", seen.failed);
        Ok((seen.stored.len(), seen.reads))
    }

    /// Ends them, and reads back every acknowledged file once more.
    ///
    /// # Errors
    /// If a read or write failed for good, or a file is lost.
    pub(super) fn finish(mut self) -> Result<Vec<File>> {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let ended = thread.join();
            ensure!(ended.is_ok(), "a writer or reader ended badly");
        }
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        println!(
            "    {} files stored, {} read",
            seen.stored.len(),
            seen.reads
        );
        for (what, tries) in [("writes", &seen.of_writes), ("reads", &seen.of_reads)] {
            println!(
                "    {} {what} tried again, the longest took {:.1} s",
                tries.again,
                tries.longest.as_secs_f64()
            );
            for why in &tries.why {
                println!("      {why}");
            }
        }
        ensure!(seen.failed.is_empty(), "failed: {:?}", seen.failed);
        ensure!(
            !seen.stored.is_empty() && seen.reads > 0,
            "nothing was stored and read"
        );
        read_back(&self.mdfs, &seen.stored)?;
        Ok(seen.stored.clone())
    }
}

/// Stores so many files.
pub(super) fn store(mdfs: &Mdfs, prefix: &str, count: u64) -> Result<Vec<File>> {
    let mut connection = mdfs.connect()?;
    let file = |number: u64| {
        let file = file(prefix, number);
        transfer::put(
            &mut connection,
            &file.name,
            Content::new(file.number),
            file.length,
        )?;
        Ok(file)
    };
    (0..count).map(file).collect()
}

/// Reads all of them, every byte compared.
pub(super) fn read_back(mdfs: &Mdfs, files: &[File]) -> Result<()> {
    let mut connection = mdfs.connect()?;
    for file in files {
        let content = Content::new(file.number);
        transfer::get(
            &mut connection,
            &file.name,
            content,
            file.length,
            |_| Ok(()),
        )
        .with_context(|| format!("{} was acknowledged", file.name))?;
    }
    Ok(())
}

fn file(prefix: &str, number: u64) -> File {
    File {
        name: format!("{prefix}/{number}"),
        number,
        length: Chance::new(number).within(1, LONGEST),
    }
}

fn write(door: &Door, prefix: &str, next: &AtomicU64, stop: &AtomicBool, seen: &Mutex<Seen>) {
    let mut connection = None;
    while !stop.load(Ordering::Relaxed) {
        let file = file(prefix, next.fetch_add(1, Ordering::Relaxed));
        let content = Content::new(file.number);
        let (tries, failed) = persist(door, &mut connection, |connection| {
            transfer::put(connection, &file.name, content, file.length)
        });
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.of_writes.add(tries, &file.name);
        // What was not acknowledged was not promised.
        match failed {
            None => seen.stored.push(file),
            Some(error) => seen.failed.push(format!("{}: {error:#}", file.name)),
        }
        drop(seen);
        pause(Duration::from_millis(50));
    }
}

fn read(door: &Door, reader: u64, stop: &AtomicBool, seen: &Mutex<Seen>) {
    let mut chance = Chance::new(reader);
    let mut connection = None;
    while !stop.load(Ordering::Relaxed) {
        let stored = {
            let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            chance.one_of(&seen.stored).cloned()
        };
        let Some(file) = stored else {
            pause(Duration::from_millis(50));
            continue;
        };
        let content = Content::new(file.number);
        let (tries, failed) = persist(door, &mut connection, |connection| {
            transfer::get(connection, &file.name, content, file.length, |_| Ok(())).map(drop)
        });
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.reads += 1;
        seen.of_reads.add(tries, &file.name);
        seen.failed
            .extend(failed.map(|error| format!("{}: {error:#}", file.name)));
        drop(seen);
        pause(Duration::from_millis(20));
    }
}

/// Does `work`, again and again until it succeeds; gives the error if it did not in time.
fn persist(
    door: &Door,
    connection: &mut Option<Connection>,
    work: impl Fn(&mut Connection) -> Result<()>,
) -> (Tries, Option<anyhow::Error>) {
    let started = now();
    let mut tries = Tries::default();
    let failed = loop {
        match on(door, connection, &work) {
            Ok(()) => break None,
            Err(error) if started.elapsed() > LIMIT => break Some(error),
            Err(error) => {
                tries.again += 1;
                tries.why.push(format!("{error:#}"));
            }
        }
        pause(Duration::from_millis(100));
    };
    tries.longest = started.elapsed();
    (tries, failed)
}

impl Tries {
    fn add(&mut self, one: Self, name: &str) {
        self.again += one.again;
        self.longest = self.longest.max(one.longest);
        let room = WHY_MOST.saturating_sub(self.why.len());
        let why = one.why.iter().take(room);
        self.why.extend(why.map(|why| format!("{name}: {why}")));
    }
}

/// Does `work` on the connection, or on a new one; one on which it failed, or which the server is about to
/// close, is not used again.
fn on<T>(
    door: &Door,
    connection: &mut Option<Connection>,
    work: impl FnOnce(&mut Connection) -> Result<T>,
) -> Result<T> {
    let mut open = match connection.take() {
        Some(open) => open,
        None => door.open()?,
    };
    let done = work(&mut open);
    if done.is_ok() && !open.closes() {
        *connection = Some(open);
    }
    done
}
