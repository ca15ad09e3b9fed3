//! `sim --seeds A..B`: runs simulated clusters, and says how to repeat what went wrong.

use anyhow::{Context, Result, ensure};
use clap::Parser;
use mdfs_sim::{Outcome, Plan, ROWS, run};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Seeds of the proof, and how many of them run twice.
const PROOF: (Range<u64>, u64) = (1..2001, 50);
/// Simulated hours that each core must do in an hour, at the least.
const LEAST_RATE: f64 = 100.0;

#[derive(Parser)]
struct Arguments {
    /// Which seeds, such as 1..101: from the first to before the last
    #[arg(long, default_value = "1..11", conflicts_with = "seed")]
    seeds: String,
    /// One seed
    #[arg(long)]
    seed: Option<u64>,
    /// How long each runs with faults, in simulated minutes
    #[arg(long, default_value_t = 5)]
    minutes: u64,
    /// No faults
    #[arg(long)]
    calm: bool,
    /// Run each seed twice and compare
    #[arg(long)]
    twice: bool,
    /// How many seeds run at a time
    #[arg(long, default_value_t = 1)]
    jobs: u64,
    /// The proof: 2,000 seeds on all processors, 50 of them twice; every fault must have come, and the
    /// rate must be right
    #[arg(long)]
    proof: bool,
    /// Begins no further seed once one has failed
    #[arg(long)]
    until_broken: bool,
    /// Where to write a line for each event
    #[arg(long)]
    trace: Option<PathBuf>,
    /// Print what the servers log
    #[arg(long)]
    log: bool,
}

/// What came of all seeds together.
#[derive(Default)]
struct Sum {
    marks: BTreeMap<&'static str, u64>,
    /// The simulated milliseconds of each seed, and whether it went well.
    seeds: BTreeMap<u64, (u64, bool)>,
    events: u64,
    undone: Option<anyhow::Error>,
}

fn main() -> ExitCode {
    let mut arguments = Arguments::parse();
    if arguments.log {
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::DEBUG)
            .with_writer(std::io::stderr)
            .init();
    }
    if arguments.proof {
        let all = std::thread::available_parallelism().map_or(1, usize::from);
        arguments.jobs = u64::try_from(all).unwrap_or(1);
    }
    match go(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("FAILED: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn go(arguments: &Arguments) -> Result<bool> {
    let seeds = seeds(arguments)?;
    ensure!(
        !seeds.is_empty(),
        "there is no seed from {} on",
        seeds.start
    );
    let begun = mdfs_tests::wait::now();
    let (next, sum) = (AtomicU64::new(seeds.start), Mutex::new(Sum::default()));
    std::thread::scope(|scope| {
        for _ in 0..arguments.jobs {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    let sum = || {
                        sum.lock()
                            .unwrap_or_else(std::sync::PoisonError::into_inner)
                    };
                    if seed >= seeds.end
                        || arguments.until_broken && sum().seeds.values().any(|(_, good)| !good)
                    {
                        return;
                    }
                    let twice = arguments.twice || arguments.proof && seed <= PROOF.1;
                    let ran = run_seed(arguments, seed, twice);
                    let mut sum = sum();
                    match ran {
                        Ok((outcome, good)) => sum.add(seed, outcome, good),
                        Err(error) => sum.undone = Some(error),
                    }
                }
            });
        }
    });
    let sum = sum
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    sum.judge(arguments, begun.elapsed().as_secs_f64())
}

fn seeds(arguments: &Arguments) -> Result<Range<u64>> {
    if arguments.proof {
        return Ok(PROOF.0);
    }
    if let Some(seed) = arguments.seed {
        return Ok(seed..seed + 1);
    }
    let (from, to) = arguments.seeds.split_once("..").context("seeds are A..B")?;
    Ok(from.parse()?..to.parse()?)
}

fn run_seed(arguments: &Arguments, seed: u64, twice: bool) -> Result<(Outcome, bool)> {
    let plan = Plan {
        faults: !arguments.calm,
        readable: arguments.trace.is_some(),
        ..Plan::drawn(seed, arguments.minutes)
    };
    let outcome = run(seed, &plan)?;
    if let Some(path) = &arguments.trace {
        std::fs::write(path, outcome.lines.join("\n"))?;
    }
    let mut wrong = outcome.broken.clone();
    if twice && run(seed, &plan)?.hash != outcome.hash {
        wrong.push("a second run went another way".to_owned());
    }
    if !wrong.is_empty() {
        println!("seed {seed} FAILED:");
        for line in &wrong {
            println!("  {}", line.chars().take(2000).collect::<String>());
        }
        let minutes = arguments.minutes;
        println!("  again: cargo run --release -p mdfs-sim -- --minutes {minutes} --seed {seed}");
    }
    Ok((outcome, wrong.is_empty()))
}

impl Sum {
    fn add(&mut self, seed: u64, outcome: Outcome, good: bool) {
        self.seeds.insert(seed, (outcome.simulated_millis, good));
        self.events += outcome.events;
        for (mark, times) in outcome.marks {
            *self.marks.entry(mark).or_default() += times;
        }
    }

    /// Prints what came of it. Whether that is good.
    fn judge(self, arguments: &Arguments, seconds: f64) -> Result<bool> {
        if let Some(error) = self.undone {
            return Err(error);
        }
        for (mark, times) in &self.marks {
            println!("{times:>8} {mark}");
        }
        println!("rows of the failure model, and how often they were reached:");
        let mut never = 0;
        for row in ROWS {
            let times = |mark: &&&str| self.marks.get(**mark).copied();
            let times: u64 = row.marks.iter().filter_map(|mark| times(&mark)).sum();
            println!("{times:>8} row {:>2}: {}", row.number, row.fault);
            never += u64::from(times == 0);
        }
        let millis: u64 = self.seeds.values().map(|(millis, _)| millis).sum();
        let jobs = as_f64(arguments.jobs);
        let rate = hours(millis) * 3600.0 / seconds / jobs;
        let bad = self.seeds.values().filter(|(_, good)| !good).count();
        println!(
            "{} seeds, {bad} failed, {} events, {:.2} simulated hours in {seconds:.1} s: {rate:.0} \
             simulated hours an hour on each of {jobs} cores",
            self.seeds.len(),
            self.events,
            hours(millis)
        );
        if let Some((first, _)) = self.seeds.iter().find(|(_, (_, good))| !good) {
            let until: u64 = self
                .seeds
                .range(..=first)
                .map(|(_, (millis, _))| millis)
                .sum();
            println!(
                "first failing seed: {first}, after {:.2} simulated hours",
                hours(until)
            );
        }
        let mut good = bad == 0;
        if arguments.proof {
            if never > 0 {
                println!("{never} rows were never reached");
                good = false;
            }
            if rate < LEAST_RATE {
                println!("too slow: {LEAST_RATE:.0} simulated hours an hour are the least");
                good = false;
            }
        }
        Ok(good)
    }
}

fn hours(millis: u64) -> f64 {
    as_f64(millis) / 3_600_000.0
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn as_f64(number: u64) -> f64 {
    number as f64
}
