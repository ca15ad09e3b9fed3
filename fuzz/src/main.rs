//! Hunts for bytes that break a target: `fuzz [TARGET…] --inputs N | --seconds N [--seed N]`.

use anyhow::{Context, Result, bail};
use clap::Parser;
use mdfs_fuzz::{Limit, TARGETS, Target, hunt};
use std::time::{Duration, Instant};

#[derive(Parser)]
struct Arguments {
    /// Which targets; all if left out
    targets: Vec<String>,
    /// How many inputs each gets
    #[arg(long, default_value_t = 20_000)]
    inputs: u64,
    /// How long each gets instead, in seconds
    #[arg(long, conflicts_with = "inputs")]
    seconds: Option<u64>,
    /// Which run
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let mut chosen: Vec<&Target> = Vec::new();
    for name in &arguments.targets {
        let target = TARGETS.iter().find(|target| target.name == name);
        chosen.push(target.with_context(|| format!("no target is called {name}"))?);
    }
    if chosen.is_empty() {
        chosen.extend(TARGETS);
    }
    for target in chosen {
        let started = now();
        let over = || {
            let seconds = arguments.seconds.unwrap_or(0);
            started.elapsed() >= Duration::from_secs(seconds)
        };
        let limit = match arguments.seconds {
            Some(_) => Limit::Until(&over),
            None => Limit::Inputs(arguments.inputs),
        };
        let found = hunt(target, arguments.seed, &limit)?;
        let (name, tried, kinds) = (target.name, found.tried, found.kinds);
        if let Some(input) = found.broken {
            bail!("{name} breaks by \"{}\"", input.escape_ascii());
        }
        println!("{name}: {tried} inputs of {kinds} kinds, all as they should be");
    }
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long to hunt is all that the time decides"
)]
fn now() -> Instant {
    Instant::now()
}
