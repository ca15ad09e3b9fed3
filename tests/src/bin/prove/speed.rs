//! Films stream, store and seek at the promised rates, in little memory.
//!
//! Everything is on the loopback interface of one machine. Reads alternate with nginx serving the
//! same bytes from the same disk, in ABBA order, so that a slow minute of the machine hits both.

use crate::figures::{Series, bytes_as_f64, figure, gigabytes_per_second};
use crate::{GIB, MIB};
use anyhow::{Context, Result, bail, ensure};
use mdfs_tests::chance::Chance;
use mdfs_tests::command::{Output, succeed};
use mdfs_tests::content::Content;
use mdfs_tests::dev_cluster::{DevCluster, Options};
use mdfs_tests::http::Connection;
use mdfs_tests::nginx::{self, Nginx};
use mdfs_tests::process::{peak_resident_bytes, processor_seconds};
use mdfs_tests::wait::now;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(600);
/// GB/s of a download through a master.
const GET_LEAST: f64 = 1.2;
/// GB/s of an upload at two copies, acknowledged when both are durable.
const PUT_LEAST: f64 = 0.35;
/// The median time of a range on a connection that is kept open.
const RANGE_MOST_MICROSECONDS: f64 = 400.0;
const RANGE_BYTES: u64 = 64 * 1024;
/// What each process may have resident.
const RESIDENT_MOST: u64 = 128 * MIB;

/// What is measured, with which sizes.
struct Speed<'a> {
    cluster: &'a DevCluster,
    nginx: Option<Nginx>,
    source: PathBuf,
    length: u64,
    rounds: u32,
    /// The promises that were not kept.
    broken: Vec<String>,
}

pub(crate) fn prove(short: bool) -> Result<()> {
    let (length, rounds, ranges, streams) = if short {
        (64 * MIB, 1, 100, 4)
    } else {
        (GIB, 6, 2000, 16)
    };
    DevCluster::with(&Options::default(), |cluster| {
        let files = cluster.folder().join("files");
        std::fs::create_dir(&files)?;
        let source = files.join("film");
        let mut file = std::fs::File::create(&source)?;
        std::io::copy(&mut Content::new(1).reader(length), &mut file)?;
        file.sync_all()?;
        let nginx = if short && nginx::program().is_none() {
            None
        } else {
            Some(Nginx::start(&files, &cluster.folder().join("nginx"))?)
        };
        let mut speed = Speed {
            cluster,
            nginx,
            source,
            length,
            rounds,
            broken: Vec::new(),
        };
        speed.puts()?;
        speed.gets()?;
        speed.ranges(ranges)?;
        speed.streams(streams)?;
        if short {
            // An unoptimised build on a busy machine promises memory, not rates.
            speed.broken.retain(|broken| broken.contains("resident"));
        }
        ensure!(speed.broken.is_empty(), "{}", speed.broken.join("; "));
        Ok(())
    })
}

impl Speed<'_> {
    fn puts(&mut self) -> Result<()> {
        let mut rates = Series::default();
        let used = self.processor_seconds()?;
        for round in 0..self.rounds {
            let took = put(self.cluster, &self.source, &format!("speed/{round}"))?;
            rates.add(gigabytes_per_second(self.length, took));
        }
        figure("durable PUT at two copies", &rates.shown("GB/s"));
        self.processor_seconds_per_gib("PUT", used, u64::from(self.rounds))?;
        if rates.at(0.5) < PUT_LEAST {
            self.broken
                .push(format!("PUT ran at {:.3} GB/s", rates.at(0.5)));
        }
        Ok(())
    }

    fn gets(&mut self) -> Result<()> {
        let (mut ours, mut theirs) = (Series::default(), Series::default());
        let used = self.processor_seconds()?;
        for round in 0..self.rounds {
            for ours_now in if round % 2 == 0 {
                [true, false]
            } else {
                [false, true]
            } {
                let took = match (&self.nginx, ours_now) {
                    (_, true) => get(self.cluster, "speed/0", self.length)?,
                    (Some(nginx), false) => get_from(nginx, self.length)?,
                    (None, false) => continue,
                };
                let series = if ours_now { &mut ours } else { &mut theirs };
                series.add(gigabytes_per_second(self.length, took));
            }
        }
        figure("GET through a master", &ours.shown("GB/s"));
        if self.nginx.is_some() {
            figure("GET from nginx, alternating", &theirs.shown("GB/s"));
        }
        self.processor_seconds_per_gib("GET", used, u64::from(self.rounds))?;
        if ours.at(0.5) < GET_LEAST {
            self.broken
                .push(format!("GET ran at {:.3} GB/s", ours.at(0.5)));
        }
        Ok(())
    }

    fn ranges(&mut self, count: u32) -> Result<()> {
        let (mut ours, mut theirs) = (Series::default(), Series::default());
        let mut chance = Chance::new(3);
        let mut to_us = self.cluster.connect()?;
        let mut to_them = match &self.nginx {
            Some(nginx) => Some(Connection::open(nginx.url(), None)?),
            None => None,
        };
        for number in 0..count {
            let offset = chance.within(0, self.length - RANGE_BYTES);
            let (path, connection, series) = match &mut to_them {
                Some(to_them) if number / 50 % 2 == 1 => ("/film", to_them, &mut theirs),
                _ => ("/v1/files/speed/0", &mut to_us, &mut ours),
            };
            let took = range(connection, path, offset)?;
            series.add(took.as_secs_f64() * 1e6);
        }
        let shown = |series: &Series| {
            let (median, high) = (series.at(0.5), series.at(0.99));
            format!(
                "p50 {median:.0} us, p99 {high:.0} us, max {:.0} us",
                series.most()
            )
        };
        figure("64 KiB range on keep-alive", &shown(&ours));
        if self.nginx.is_some() {
            figure("64 KiB range from nginx, alternating", &shown(&theirs));
        }
        if ours.at(0.5) > RANGE_MOST_MICROSECONDS {
            self.broken
                .push(format!("a range took {:.0} us", ours.at(0.5)));
        }
        Ok(())
    }

    /// Reads, then writes, with many streams at once; then looks at the most memory ever used.
    fn streams(&mut self, streams: u64) -> Result<()> {
        let took = at_once(streams, |_| {
            get(self.cluster, "speed/0", self.length).map(drop)
        })?;
        let rate = gigabytes_per_second(streams * self.length, took);
        figure(
            &format!("{streams} GETs at once, together"),
            &format!("{rate:.3} GB/s"),
        );

        // Two copies of each, beside what workers keep in reserve.
        let free = free_bytes(self.cluster.data())?;
        let writers = streams.min(free / (self.length * 2)).max(1);
        if writers < streams {
            println!("  only {writers} of {streams} PUTs at once: {free} bytes are free");
        }
        let took = at_once(writers, |number| {
            put(self.cluster, &self.source, &format!("streams/{number}")).map(drop)
        })?;
        let rate = gigabytes_per_second(writers * self.length, took);
        figure(
            &format!("{writers} PUTs at once, together"),
            &format!("{rate:.3} GB/s"),
        );

        for process in &self.cluster.state().processes {
            let most = peak_resident_bytes(process.pid)?;
            let shown = format!("{:.1} MiB", bytes_as_f64(most) / bytes_as_f64(MIB));
            figure(&format!("most resident memory of {}", process.name), &shown);
            if most >= RESIDENT_MOST {
                self.broken
                    .push(format!("{} had {shown} resident", process.name));
            }
        }
        Ok(())
    }

    fn processor_seconds(&self) -> Result<f64> {
        let processes = self.cluster.state().processes.iter();
        processes
            .map(|process| processor_seconds(process.pid))
            .sum()
    }

    fn processor_seconds_per_gib(&self, what: &str, before: f64, files: u64) -> Result<()> {
        let gib = bytes_as_f64(files * self.length) / bytes_as_f64(GIB);
        let used = (self.processor_seconds()? - before) / gib;
        figure(
            &format!("{what}: processor time of all servers"),
            &format!("{used:.2} s/GiB"),
        );
        Ok(())
    }
}

fn at_once(count: u64, work: impl Fn(u64) -> Result<()> + Sync) -> Result<Duration> {
    let started = now();
    thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = (0..count)
            .map(|number| scope.spawn(move || work(number)))
            .collect();
        threads
            .into_iter()
            .try_for_each(|one| one.join().unwrap_or_else(|_| bail!("a stream ended badly")))
    })?;
    Ok(started.elapsed())
}

fn put(cluster: &DevCluster, source: &Path, name: &str) -> Result<Duration> {
    let mut curl = curl(cluster);
    curl.args([
        "--header",
        "expect:",
        "--output",
        "/dev/null",
        "--upload-file",
    ])
    .arg(source);
    let (code, _, took) = timed(curl.arg(format!("{}/v1/files/{name}", cluster.url())))?;
    ensure!(code == 201, "PUT {name} was answered {code}");
    Ok(took)
}

fn get(cluster: &DevCluster, name: &str, length: u64) -> Result<Duration> {
    let mut curl = curl(cluster);
    curl.args(["--output", "/dev/null"]);
    whole(
        timed(curl.arg(format!("{}/v1/files/{name}", cluster.url())))?,
        length,
    )
}

fn get_from(nginx: &Nginx, length: u64) -> Result<Duration> {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--output", "/dev/null"]);
    whole(timed(curl.arg(format!("{}/film", nginx.url())))?, length)
}

fn whole((code, bytes, took): (u32, u64, Duration), length: u64) -> Result<Duration> {
    ensure!(
        code == 200 && bytes == length,
        "GET was answered {code} with {bytes} bytes"
    );
    Ok(took)
}

fn curl(cluster: &DevCluster) -> Command {
    let mut curl = Command::new("curl");
    curl.args([
        "--silent",
        "--header",
        &format!("authorization: Bearer {}", cluster.token()),
    ]);
    curl
}

/// The status, the bytes downloaded and the time that curl says a request took.
fn timed(curl: &mut Command) -> Result<(u32, u64, Duration)> {
    curl.args(["--write-out", "%{http_code} %{size_download} %{time_total}"]);
    let output: Output = succeed(curl.stdin(Stdio::null()), LIMIT)?;
    let text = output.text();
    let mut words = text.split_whitespace();
    let mut word = || words.next().with_context(|| format!("curl said {text:?}"));
    let (code, bytes) = (word()?.parse()?, word()?.parse()?);
    Ok((code, bytes, Duration::from_secs_f64(word()?.parse()?)))
}

fn range(connection: &mut Connection, path: &str, offset: u64) -> Result<Duration> {
    let header = format!("bytes={offset}-{}", offset + RANGE_BYTES - 1);
    let started = now();
    let answer = connection.request("GET", path, &[("range", &header)], &[])?;
    let took = started.elapsed();
    ensure!(
        answer.status() == 206,
        "a range was answered {}",
        answer.problem()
    );
    let bytes = u64::try_from(answer.body.len())?;
    ensure!(bytes == RANGE_BYTES, "a range has {bytes} bytes");
    Content::new(1).check(offset, &answer.body)?;
    Ok(took)
}

/// What chunks may use of the file system: a twentieth is kept in reserve, and a hundredth here.
fn free_bytes(path: &Path) -> Result<u64> {
    let mut df = Command::new("df");
    let output = succeed(
        df.args(["--output=avail,size", "--block-size=1"]).arg(path),
        LIMIT,
    )?;
    let text = output.text();
    let line = text.lines().last().context("df said nothing")?;
    let mut figures = line.split_whitespace().map(str::parse::<u64>);
    let mut figure = || figures.next().context("df said too little");
    let (available, size) = (figure()??, figure()??);
    Ok(available.saturating_sub(size / 100 * 6))
}
