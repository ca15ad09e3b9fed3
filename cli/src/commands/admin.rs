//! `mdfs drain`, `undrain`, `rebalance` and `repair`: what goes on in the background.

use super::Context;
use crate::error::{CliError, Exit};
use crate::output::shown;
use clap::Args;

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

fn say(context: &Context, text: &str) {
    if !context.global.quiet {
        eprintln!("{text}");
    }
}
