//! `mdfs admin recover`: what is left after a disaster.

use super::Context;
use crate::error::{CliError, Exit};
use crate::output::{Format, fields, print, print_text, shown, size, stdout_failed};
use clap::Args;
use mdfs_client::Client;
use mdfs_core::id::DiskId;
use mdfs_protocol::public;
use mdfs_protocol::recovery::{End, Line};
use std::io;

/// Which voters are lost
#[derive(Debug, Args)]
pub(crate) struct Recover {
    /// The disk of a voter that is lost; again for each. None of them may ever be used again
    #[arg(long, value_name = "DISK", required_unless_present_any = ["search", "finish"],
        conflicts_with_all = ["search", "finish"])]
    lost: Vec<DiskId>,
    /// No voter is left: begin a new log, and find files by their chunks alone
    #[arg(long, requires = "lost")]
    all_voters: bool,
    /// Do it: without this it is only said what would be done
    #[arg(long, requires = "lost")]
    yes: bool,
    /// Only look for what is left of files once more, as when a disk is back
    #[arg(long)]
    search: bool,
    /// End the recovery: chunks that no file has are dropped from then on. Refused before a search has
    /// ended, and when another master leads since
    #[arg(long, conflicts_with = "search")]
    finish: bool,
    /// End it without a search: files that only a search would bring back are gone
    #[arg(long, requires = "finish")]
    unsearched: bool,
}

impl Recover {
    pub(crate) async fn execute(self, context: &Context) -> Result<Exit, CliError> {
        let client = context.client()?;
        if self.finish {
            client.finish_recovery(self.unsearched).await?;
            let text = "the recovery is ended: chunks that no file has are dropped from now on";
            super::admin::say(context, text);
            return Ok(Exit::Ok);
        }
        if !self.search {
            let order = public::Recover {
                lost: self.lost,
                all_voters: self.all_voters,
                dry_run: !self.yes,
            };
            let recovered = client.recover(&order).await?;
            let disks: Vec<String> = recovered.voters.iter().map(ToString::to_string).collect();
            let names = disks.iter().map(String::as_str);
            // Names are those of files.
            if context.global.output != Format::Name || order.dry_run {
                print(
                    context.global.output,
                    &recovered,
                    || text(&recovered),
                    names,
                )?;
            }
            if order.dry_run {
                super::admin::say(context, "nothing was changed: --yes carries it out");
                return Ok(Exit::Ok);
            }
        }
        let end = search(context, &client).await?;
        let hint = if end.silent.is_empty() {
            "look at it all, then end the recovery by `mdfs admin recover --finish`: until then nothing is dropped"
        } else {
            "not all workers were searched: bring them back and search again (`mdfs admin recover --search`), or \
             retire those whose disks are lost (`mdfs retire WORKER --lost`); until the recovery is ended nothing \
             is dropped"
        };
        super::admin::say(context, hint);
        let is_whole = end.missing == 0 && end.incomplete == 0 && end.silent.is_empty();
        Ok(if is_whole { Exit::Ok } else { Exit::Degraded })
    }
}

/// Prints what is found as it is found.
async fn search(context: &Context, client: &Client) -> Result<End, CliError> {
    let mut search = client.search_remains().await?;
    let mut end = End::default();
    while let Some(line) = search.next().await? {
        let output = context.global.output;
        match output {
            Format::Table => print_text(&line_text(&line))?,
            Format::Name => {
                if let Line::Recovered(found) = &line {
                    print_text(&found.name)?;
                }
            }
            Format::Json => {
                let line = serde_json::to_string(&line);
                print_text(&line.map_err(|error| stdout_failed(io::Error::other(error)))?)?;
            }
            Format::Yaml => {
                print_text("---")?;
                print(output, &line, String::new, [])?;
            }
        }
        if let Line::End(told) = line {
            end = told;
        }
    }
    Ok(end)
}

fn line_text(line: &Line) -> String {
    match line {
        Line::Recovered(found) => {
            format!("back: {} ({})", shown(&found.name), size(found.size))
        }
        Line::Incomplete(left) => format!(
            "not whole: {} of what was {}, {} in {} chunks: {}",
            left.file_id,
            shown(&left.uploaded_as),
            size(left.bytes),
            left.chunks,
            left.why
        ),
        Line::Missing(missing) => format!(
            "missing: {} of {} chunks of {}",
            missing.missing_chunks,
            missing.chunks,
            shown(&missing.name)
        ),
        Line::End(end) => {
            let mut text = fields(&[
                ("chunks found", end.chunks.to_string()),
                ("unreadable", end.unreadable.to_string()),
                ("files back", end.recovered.to_string()),
                ("not whole", end.incomplete.to_string()),
                ("missing", end.missing.to_string()),
            ]);
            for name in &end.silent {
                text.push_str(&format!(
                    "does not answer, or not to the end: {}\n",
                    shown(name)
                ));
            }
            text
        }
    }
}

fn text(recovered: &public::Recovered) -> String {
    let list = |disks: &[DiskId]| match disks {
        [] => "-".to_owned(),
        disks => {
            let disks = disks.iter().map(ToString::to_string);
            disks.collect::<Vec<_>>().join(" ")
        }
    };
    let last = match (recovered.last_index, recovered.last_change) {
        (0, None) => "no log is left: all records come from chunks".to_owned(),
        (index, None) => format!("entry {index}: what came after it may be missing"),
        (_, Some(millis)) => {
            format!("{millis} ms after 1970: what was acknowledged later may be missing")
        }
    };
    let mut text = fields(&[
        ("done", if recovered.done { "yes" } else { "no" }.to_owned()),
        ("voters were", list(&recovered.voters_before)),
        ("voters now", list(&recovered.voters)),
        ("given up", list(&recovered.lost)),
        ("last known", last),
    ]);
    if recovered.all_voters_lost {
        text.push_str("tokens and policy are gone: set them anew\n");
    }
    for name in &recovered.silent {
        text.push_str(&format!("does not answer, not given up: {}\n", shown(name)));
    }
    text
}
