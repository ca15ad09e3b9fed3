//! What is as wanted is not written again: not by the operator that made it, nor by the next one.

use super::bench::{Bench, Operator, PATIENCE, USUAL};
use crate::figures::figure;
use anyhow::{Context, Result, ensure};
use mdfs_tests::wait::{now, pause, wait_for};
use std::time::Duration;

/// How soon nothing more is written of a resource whose spec stays.
const SETTLED: Duration = Duration::from_secs(60);
/// How often is looked.
const PERIOD: Duration = Duration::from_millis(500);

pub(crate) fn prove(short: bool) -> Result<()> {
    let quiet = Duration::from_secs(if short { 8 } else { 90 });
    let bench = Bench::start()?;
    for namespace in ["films", "series"] {
        bench.ask(namespace, "1Gi")?;
    }
    let operator = bench.operate(&USUAL)?;
    bench.wait_shown("films", &operator)?;
    bench.wait_shown("series", &operator)?;
    ensure!(!bench.written(&USUAL)?.is_empty(), "no write was noted");
    writes_nothing(&bench, operator, quiet).context("the operator that made it")?;
    let before = bench.written(&USUAL)?;
    let operator = bench.operate(&USUAL)?;
    writes_nothing(&bench, operator, quiet).context("the next operator")?;
    let mut after = bench.written(&USUAL)?;
    let more = after.split_off(before.len());
    ensure!(more.is_empty(), "the next operator wrote {more:?}");
    figure(
        "no write of two operators for, s",
        &quiet.as_secs().to_string(),
    );
    Ok(())
}

/// From some moment on it looks at all again and again, and writes nothing for so long.
fn writes_nothing(bench: &Bench, mut operator: Operator, quiet: Duration) -> Result<()> {
    let started = now();
    let mut count = bench.written(&USUAL)?.len();
    let mut looks = bench.calls(&USUAL)?.len();
    let mut since = now();
    wait_for("time without a write", PATIENCE + quiet, || {
        operator.check()?;
        pause(PERIOD);
        let present = bench.written(&USUAL)?.len();
        if present != count {
            count = present;
            looks = bench.calls(&USUAL)?.len();
            since = now();
        }
        // It has the lease, and went over both resources more than once.
        let looked = bench.calls(&USUAL)?.len() > looks + 50;
        Ok((looked && since.elapsed() >= quiet).then_some(()))
    })
    .with_context(|| format!("the last writes are {:?}", last(bench)))?;
    let settled = started.elapsed().saturating_sub(since.elapsed());
    ensure!(
        settled < SETTLED,
        "written for {settled:?}: {:?}",
        last(bench)
    );
    Ok(())
}

fn last(bench: &Bench) -> Vec<String> {
    let written = bench.written(&USUAL).unwrap_or_default();
    written.into_iter().rev().take(5).collect()
}
