//! Slow readers, writers and senders of headers beside a healthy client: it hardly notices, and
//! memory stays as it is.

use crate::figures::{Series, bytes_as_f64, figure};
use crate::{MIB, access_matrix::token};
use anyhow::{Context, Result, anyhow, ensure};
use mdfs_tests::content::Content;
use mdfs_tests::dev_cluster::{DevCluster, Options};
use mdfs_tests::http::Connection;
use mdfs_tests::process::{peak_resident_bytes, resident_bytes};
use mdfs_tests::transfer;
use mdfs_tests::wait::{now, pause, wait_for};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// What the slow readers read, and the healthy client too.
const FILM: &str = "films/film.mkv";
/// Slow clients of one address.
const OF_ONE_ADDRESS: usize = 100;
/// How often a slow client does something.
const SLOWLY: Duration = Duration::from_millis(500);
/// How long one that was cut off stays away.
const AWAY: Duration = Duration::from_secs(5);
/// Threads that drive the slow clients.
const THREADS: usize = 4;

struct Form {
    film: u64,
    /// Slow clients of each kind.
    of_each: usize,
    /// Ranges the healthy client reads, without the others and beside them.
    reads: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Takes a film, a little at a time.
    Reader,
    /// Stores a file, faster than it would be cut off for.
    Writer,
    /// Sends one header after another, and never an end.
    Headers,
}

/// A client that keeps a server waiting.
struct Slow {
    kind: Kind,
    source: Ipv4Addr,
    stream: Option<TcpStream>,
    /// When it came, or was cut off.
    since: Instant,
}

/// What became of the slow clients.
#[derive(Default)]
struct Ends {
    connected: AtomicU64,
    cut_off: AtomicU64,
}

pub(crate) fn prove(short: bool) -> Result<()> {
    let form = if short {
        Form {
            film: 16 * MIB,
            of_each: 40,
            reads: 100,
        }
    } else {
        Form {
            film: 256 * MIB,
            of_each: 334,
            reads: 3000,
        }
    };
    DevCluster::with(&Options::default(), |cluster| {
        let cluster: &DevCluster = cluster;
        let mut root = cluster.connect()?;
        let content = Content::new(1);
        transfer::put(&mut root, FILM, content, form.film)?;
        let slow_token = token(&mut root, &["read", "write"], "")?;
        let healthy = token(&mut root, &["read", "write"], "")?;
        let mut healthy = Connection::open(cluster.url(), Some(&healthy))?;
        let mut work = |reads| visit(&mut healthy, content, form.film, reads);
        // Once for what is only done once.
        work(form.reads / 10)?;
        let (reads, stores) = work(form.reads)?;
        let alone = (reads.at(0.99), stores.at(0.99));
        let master = cluster.first("master")?.pid;
        let before = resident_bytes(master)?;

        let stop = AtomicBool::new(false);
        let ends = Ends::default();
        let (reads, stores, during) = thread::scope(|scope| -> Result<_> {
            let (stop, ends, token) = (&stop, &ends, &slow_token);
            let driven = clients(form.of_each)
                .into_iter()
                .map(|part| scope.spawn(move || drive(cluster, part, token, stop, ends)));
            let driven: Vec<_> = driven.collect();
            let result = beside(cluster, &form, ends, &mut work);
            stop.store(true, Ordering::Relaxed);
            for thread in driven {
                let ended = thread
                    .join()
                    .map_err(|_| anyhow!("slow clients ended badly"))?;
                ended.context("slow clients")?;
            }
            result
        })?;
        let beside = (reads.at(0.99), stores.at(0.99));
        figure(
            "slow clients",
            &ends.connected.load(Ordering::Relaxed).to_string(),
        );
        figure(
            "of them cut off",
            &ends.cut_off.load(Ordering::Relaxed).to_string(),
        );
        figure(
            "healthy reads of 256 KiB, alone, ms p99",
            &format!("{:.2}", alone.0),
        );
        figure(
            "healthy reads beside slow clients, ms p99",
            &format!("{:.2}", beside.0),
        );
        figure(
            "healthy stores of 64 KiB, alone, ms p99",
            &format!("{:.2}", alone.1),
        );
        figure(
            "healthy stores beside slow clients, ms p99",
            &format!("{:.2}", beside.1),
        );
        let mib = |bytes: u64| format!("{:.1}", bytes_as_f64(bytes) / bytes_as_f64(MIB));
        figure("master before, MiB resident", &mib(before));
        figure("master after all were connected", &mib(during.0));
        figure(
            "master at the end, and at most",
            &format!("{}, {}", mib(during.1), mib(peak_resident_bytes(master)?)),
        );
        if !short {
            let (first, last) = (bytes_as_f64(during.0), bytes_as_f64(during.1));
            ensure!(
                last < first * 1.1 + 16e6,
                "memory grew while clients were slow"
            );
            ensure!(
                beside.0 <= 2.0 * alone.0.max(1.0),
                "reads were slower beside slow clients"
            );
            ensure!(
                beside.1 <= 2.0 * alone.1.max(1.0),
                "stores were slower beside slow clients"
            );
        }
        Ok(())
    })
}

/// What the healthy client sees beside the slow ones, and the memory of the master when all of
/// these had come, and at the end.
fn beside(
    cluster: &DevCluster,
    form: &Form,
    ends: &Ends,
    work: &mut impl FnMut(usize) -> Result<(Series, Series)>,
) -> Result<(Series, Series, (u64, u64))> {
    let master = cluster.first("master")?.pid;
    let all = u64::try_from(3 * form.of_each)?;
    wait_for("slow clients", Duration::from_secs(120), || {
        Ok((ends.connected.load(Ordering::Relaxed) >= all).then_some(()))
    })?;
    // What they are given at first lies in buffers by then.
    let _ = work(form.reads / 10)?;
    let first = resident_bytes(master)?;
    let (reads, stores) = work(form.reads)?;
    Ok((reads, stores, (first, resident_bytes(master)?)))
}

/// The healthy client: reads ranges all over the film, stores a small file after each tenth. Gives
/// the milliseconds that each took.
fn visit(
    connection: &mut Connection,
    content: Content,
    film: u64,
    reads: usize,
) -> Result<(Series, Series)> {
    let length = 256 * 1024;
    let (mut took, mut stored) = (Vec::new(), Vec::new());
    for number in 0..u64::try_from(reads)? {
        let offset = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % (film - length);
        let started = now();
        transfer::get_range(connection, FILM, content, offset, length)?;
        took.push(started.elapsed().as_secs_f64() * 1000.0);
        if number % 10 == 0 {
            let started = now();
            transfer::put(connection, "small", Content::new(2), 64 * 1024)?;
            stored.push(started.elapsed().as_secs_f64() * 1000.0);
        }
    }
    Ok((Series::of(took), Series::of(stored)))
}

/// The slow clients, each thread's part of them.
fn clients(of_each: usize) -> Vec<Vec<Slow>> {
    let mut parts: Vec<Vec<Slow>> = (0..THREADS).map(|_| Vec::new()).collect();
    for number in 0..3 * of_each {
        let kind = [Kind::Reader, Kind::Writer, Kind::Headers];
        let kind = kind.get(number % 3).copied().unwrap_or(Kind::Reader);
        let address = u8::try_from(number / OF_ONE_ADDRESS).unwrap_or(u8::MAX);
        let slow = Slow {
            kind,
            source: Ipv4Addr::new(127, 8, 0, address.saturating_add(1)),
            stream: None,
            since: now(),
        };
        if let Some(part) = parts.get_mut(number % THREADS) {
            part.push(slow);
        }
    }
    parts
}

/// Keeps slow clients slow until they are told to stop.
fn drive(
    cluster: &DevCluster,
    mut clients: Vec<Slow>,
    token: &str,
    stop: &AtomicBool,
    ends: &Ends,
) -> Result<()> {
    for (number, slow) in clients.iter_mut().enumerate() {
        slow.begin(cluster, token, number)?;
        ends.connected.fetch_add(1, Ordering::Relaxed);
    }
    while !stop.load(Ordering::Relaxed) {
        let started = now();
        for (number, slow) in clients.iter_mut().enumerate() {
            if slow.stream.is_some() && !slow.go_on() {
                ends.cut_off.fetch_add(1, Ordering::Relaxed);
                (slow.stream, slow.since) = (None, now());
            }
            if slow.stream.is_none() && slow.since.elapsed() > AWAY {
                slow.begin(cluster, token, number)?;
            }
        }
        pause(SLOWLY.saturating_sub(started.elapsed()));
    }
    Ok(())
}

impl Slow {
    fn begin(&mut self, cluster: &DevCluster, token: &str, number: usize) -> Result<()> {
        let stream = Connection::open_from(cluster.url(), self.source)?.into_stream();
        stream.set_nonblocking(true)?;
        let known = format!("host: a\r\nauthorization: Bearer {token}\r\n");
        let head = match self.kind {
            Kind::Reader => format!("GET /v1/files/{FILM} HTTP/1.1\r\n{known}\r\n"),
            Kind::Writer => {
                let name = format!("slow/{}-{number}", self.source);
                format!("PUT /v1/files/{name} HTTP/1.1\r\n{known}content-length: 1000000\r\n\r\n")
            }
            Kind::Headers => "GET /v1/files HTTP/1.1\r\nhost: a\r\n".to_owned(),
        };
        (&stream).write_all(head.as_bytes()).context("a head")?;
        self.stream = Some(stream);
        Ok(())
    }

    /// Does a little; false once the server has closed.
    fn go_on(&mut self) -> bool {
        let Some(mut stream) = self.stream.as_ref() else {
            return false;
        };
        let mut buffer = [0; 1024];
        let done = match self.kind {
            Kind::Reader => stream.read(&mut buffer),
            // A KiB a second: as much as a body must bring.
            Kind::Writer => stream.write(&buffer),
            Kind::Headers => stream.write(b"x: y\r\n"),
        };
        match done {
            Ok(count) => count > 0,
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        }
    }
}
