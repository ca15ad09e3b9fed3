//! `mdfs scrub`

use super::Context;
use crate::error::{CliError, Exit};
use crate::output::{print, shown, size, table};
use clap::Args;
use mdfs_protocol::public::{Scrub as Worker, Scrubs};
use std::time::Duration;

/// How often it is asked how far the workers are.
const EVERY: Duration = Duration::from_secs(1);

/// Have every worker read all it holds now
#[derive(Debug, Args)]
pub struct Scrub {
    /// Only show how far it is
    #[arg(long, conflicts_with = "wait")]
    status: bool,
    /// Wait until all have come to the end
    #[arg(short, long)]
    wait: bool,
}

impl Scrub {
    pub(crate) async fn execute(self, context: &Context) -> Result<Exit, CliError> {
        let client = context.client()?;
        let mut scrubs = if self.status {
            client.scrub().await?
        } else {
            client.begin_scrub().await?
        };
        while self.wait && scrubs.workers.iter().any(goes_on) {
            tokio::time::sleep(EVERY).await;
            scrubs = client.scrub().await?;
        }
        let names = scrubs.workers.iter().map(|worker| worker.name.as_str());
        print(context.global.output, &scrubs, || text(&scrubs), names)?;
        let silent = scrubs.workers.iter().any(|it| it.progress.is_none());
        Ok(if silent { Exit::Degraded } else { Exit::Ok })
    }
}

/// One that does not answer is not waited for.
fn goes_on(worker: &Worker) -> bool {
    worker
        .progress
        .is_some_and(|progress| progress.ordered && !progress.finished)
}

fn text(scrubs: &Scrubs) -> String {
    let rows = scrubs.workers.iter().map(|worker| {
        let name = shown(&worker.name).into_owned();
        let Some(progress) = worker.progress else {
            let none = || "-".to_owned();
            return vec![name, "does not answer".to_owned(), none(), none(), none()];
        };
        let state = match (progress.ordered, progress.finished) {
            (_, true) => "finished",
            (true, false) => "reading",
            (false, false) => "not ordered",
        };
        vec![
            name,
            state.to_owned(),
            progress.chunks.to_string(),
            size(progress.bytes),
            progress.bad_blocks.to_string(),
        ]
    });
    table(&["NAME", "STATE", ">CHUNKS", ">BYTES", ">BAD"], rows)
}
