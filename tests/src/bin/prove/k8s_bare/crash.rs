//! The operator is killed after each of its writes, of which it does not hear any more, while it makes a
//! cluster and while volumes grow. The next one ends where it would have.

use super::bench::{Bench, NOBODY, Operator, PATIENCE, Scope, USUAL};
use super::essence;
use super::writes::Door;
use crate::figures::figure;
use anyhow::{Context, Result, ensure};
use mdfs_tests::wait::{now, pause, wait_for};
use std::collections::BTreeMap;
use std::time::Duration;

/// Without a write for so long, all is done: it looks every second, or after three.
const DONE: Duration = Duration::from_secs(5);
/// How many moments the short form takes of each.
const FEW: usize = 3;

type Objects = BTreeMap<String, String>;

pub(crate) fn prove(short: bool) -> Result<()> {
    let bench = Bench::start()?;
    let whole = "crash-whole";
    bench.ask(whole, "1Gi")?;
    let (made, making) = undisturbed(&bench, whole)?;
    ensure!(making.len() >= 12, "only {making:?}");
    bench.volumes(whole)?;
    bench.ask(whole, "2Gi")?;
    let (grown, growing) = undisturbed(&bench, whole)?;
    ensure!(bench.has_grown(whole)?, "it has not grown: {growing:?}");
    ensure!(growing.len() >= 5, "only {growing:?}");

    let moments = making.len().max(growing.len());
    for moment in 1..=moments {
        let namespace = format!("crash-at-{moment}");
        let make = chosen(short, moment, making.len());
        let grow = chosen(short, moment, growing.len());
        if !make && !grow {
            continue;
        }
        bench.ask(&namespace, "1Gi")?;
        disturbed(&bench, &namespace, make.then_some(moment), &made)
            .with_context(|| format!("made, killed after write {moment}: {making:?}"))?;
        if !grow {
            continue;
        }
        bench.volumes(&namespace)?;
        bench.ask(&namespace, "2Gi")?;
        disturbed(&bench, &namespace, Some(moment), &grown)
            .with_context(|| format!("grown, killed after write {moment}: {growing:?}"))?;
    }
    figure("writes to make a cluster", &making.len().to_string());
    figure("writes to grow its volumes", &growing.len().to_string());
    Ok(())
}

/// Whether the operator is killed at this moment: at each of `all`, or some of them.
fn chosen(short: bool, moment: usize, all: usize) -> bool {
    let step = all.div_ceil(FEW);
    moment <= all && (!short || (moment - 1).is_multiple_of(step))
}

fn scope<'a>(namespaces: &'a [&'a str]) -> Scope<'a> {
    Scope {
        namespaces,
        ..USUAL
    }
}

/// Lets an operator do all it wants. Gives what is there then, and what it wrote.
fn undisturbed(bench: &Bench, namespace: &str) -> Result<(Objects, Vec<String>)> {
    let scope_of = [namespace];
    let scope = scope(&scope_of);
    let door = Door::open(&bench.account(&scope)?, bench.folder.path(), u64::MAX)?;
    let mut operator = Operator::start(door.config(), bench.folder.path(), &scope, NOBODY)?;
    bench.wait_shown(namespace, &operator)?;
    let mut last = (door.writes().len(), now());
    wait_for("end of writes", PATIENCE, || {
        operator.check()?;
        // Also stands in for the collector of garbage.
        bench.has_grown(namespace)?;
        pause(Duration::from_millis(100));
        let count = door.writes().len();
        if count != last.0 {
            last = (count, now());
        }
        Ok((last.1.elapsed() > DONE).then_some(()))
    })
    .with_context(|| format!("{:?}", door.writes()))?;
    drop(operator);
    Ok((essence::all(bench, namespace)?, door.writes()))
}

/// Kills an operator after a write, if one is given, and has another one go on.
fn disturbed(
    bench: &Bench,
    namespace: &str,
    moment: Option<usize>,
    wanted: &Objects,
) -> Result<()> {
    let scope_of = [namespace];
    let scope = scope(&scope_of);
    let account = bench.account(&scope)?;
    let mut kept = BTreeMap::new();
    if let Some(moment) = moment {
        let most = u64::try_from(moment)?;
        let door = Door::open(&account, bench.folder.path(), most)?;
        let operator = Operator::start(door.config(), bench.folder.path(), &scope, NOBODY)?;
        wait_for("last write", PATIENCE, || {
            bench.has_grown(namespace)?;
            // How often a status is written on the way depends on the moment: it may be done earlier.
            let done = door.is_shut() || essence::all(bench, namespace)? == *wanted;
            Ok(done.then_some(()))
        })
        .with_context(|| format!("{:?}\n{}", door.writes(), operator.log_tail()))?;
        drop(operator);
        kept = essence::secrets(bench, namespace)?;
    }
    let mut operator = Operator::start(account.config(), bench.folder.path(), &scope, NOBODY)?;
    let mut differs = String::new();
    wait_for("same objects", PATIENCE, || {
        operator.check()?;
        bench.has_grown(namespace)?;
        let present = essence::all(bench, namespace)?;
        differs = difference(&present, wanted);
        Ok((present == *wanted).then_some(()))
    })
    .with_context(|| format!("{differs}\n{}", operator.log_tail()))?;
    let present = essence::secrets(bench, namespace)?;
    for (name, data) in kept {
        ensure!(present.get(&name) == Some(&data), "{name} was written anew");
    }
    Ok(())
}

fn difference(present: &Objects, wanted: &Objects) -> String {
    let names = |objects: &Objects| objects.keys().cloned().collect::<Vec<_>>();
    if names(present) != names(wanted) {
        return format!("there are {:?}, not {:?}", names(present), names(wanted));
    }
    let mut pairs = present.iter().zip(wanted);
    let differing = pairs.find(|(one, other)| one != other);
    differing
        .map(|((name, one), (_, other))| format!("{name} is\n{one}\nnot\n{other}"))
        .unwrap_or_default()
}
