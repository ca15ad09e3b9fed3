//! `mdfs drain`, `undrain`, `decommission`, `retire`, `announce`, `rebalance` and `repair`: what goes on in the background.

use super::Context;
use crate::duration::parse_duration;
use crate::error::{CliError, Exit};
use crate::output::shown;
use clap::Args;
use std::time::Duration;

/// Which worker is meant
#[derive(Debug, Args)]
pub struct Worker {
    /// Its name, or the id of its disk, as `mdfs workers` shows them
    worker: String,
}

pub(crate) async fn drain(context: &Context, Worker { worker }: &Worker) -> Result<Exit, CliError> {
    context.client()?.drain(worker).await?;
    let worker = shown(worker);
    say(
        context,
        &format!("{worker} is being emptied; `mdfs workers` shows how far"),
    );
    Ok(Exit::Ok)
}

pub(crate) async fn undrain(
    context: &Context,
    Worker { worker }: &Worker,
) -> Result<Exit, CliError> {
    context.client()?.undrain(worker).await?;
    say(context, &format!("{} takes part again", shown(worker)));
    Ok(Exit::Ok)
}

pub(crate) async fn decommission(
    context: &Context,
    Worker { worker }: &Worker,
) -> Result<Exit, CliError> {
    context.client()?.decommission(worker).await?;
    let worker = shown(worker);
    say(
        context,
        &format!("{worker} is being emptied and its disk retired then; `mdfs tasks` shows how far"),
    );
    Ok(Exit::Ok)
}

/// Which disk is to go
#[derive(Debug, Args)]
pub struct Retire {
    /// The worker's name, or the id of its disk, as `mdfs workers` shows them
    worker: String,
    /// Give up what this disk alone has: it is lost
    #[arg(long)]
    lost: bool,
}

pub(crate) async fn retire(context: &Context, args: &Retire) -> Result<Exit, CliError> {
    let Retire { worker, lost } = args;
    context.client()?.retire(worker, *lost).await?;
    let worker = shown(worker);
    say(
        context,
        &format!("the disk of {worker} is refused for ever"),
    );
    Ok(Exit::Ok)
}

/// Which worker is going to be silent, and for how long
#[derive(Debug, Args)]
pub struct Announce {
    /// The worker's name, or the id of its disk, as `mdfs workers` shows them
    worker: String,
    /// For how long at most, up to 1h; 0s takes an announcement back
    #[arg(long = "for", value_name = "TIME", default_value = "10m", value_parser = parse_duration)]
    lasts: Duration,
}

pub(crate) async fn announce(context: &Context, args: &Announce) -> Result<Exit, CliError> {
    let Announce { worker, lasts } = args;
    let seconds = lasts.as_secs();
    context.client()?.announce(worker, seconds).await?;
    let worker = shown(worker);
    let text = match seconds {
        0 => format!("{worker} is waited for as usual again"),
        _ => format!("nothing is copied for {worker} for {seconds} s, or until it is back"),
    };
    say(context, &text);
    Ok(Exit::Ok)
}

pub(crate) async fn rebalance(context: &Context) -> Result<Exit, CliError> {
    context.client()?.rebalance().await?;
    say(
        context,
        "the workers are being evened out; `mdfs status` shows how far",
    );
    Ok(Exit::Ok)
}

pub(crate) async fn repair(context: &Context) -> Result<Exit, CliError> {
    context.client()?.repair().await?;
    say(
        context,
        "missing copies are being made; `mdfs status` shows how far",
    );
    Ok(Exit::Ok)
}

pub(super) fn say(context: &Context, text: &str) {
    if !context.global.quiet {
        eprintln!("{text}");
    }
}
