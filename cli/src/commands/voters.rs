//! `mdfs admin voters` and `mdfs admin forget-voter`: who votes.

use super::Context;
use crate::error::{CliError, Exit};
use crate::output::shown;
use clap::Args;

/// How many disks vote
#[derive(Debug, Args)]
pub(crate) struct Voters {
    /// 1, 2, 3 or 5
    wanted: u8,
}

/// Which voter is given up
#[derive(Debug, Args)]
pub(crate) struct ForgetVoter {
    /// The worker's name, or the id of its disk, as `mdfs workers` shows them
    worker: String,
    /// Its disk is lost, and no process runs with it any more
    #[arg(long, required = true)]
    lost: bool,
}

impl Voters {
    pub(crate) async fn execute(self, context: &Context) -> Result<Exit, CliError> {
        let Self { wanted } = self;
        context.client()?.voters(wanted).await?;
        let text = format!("{wanted} are to vote; `mdfs workers` shows who does");
        super::admin::say(context, &text);
        Ok(Exit::Ok)
    }
}

impl ForgetVoter {
    pub(crate) async fn execute(self, context: &Context) -> Result<Exit, CliError> {
        // The parser asks for it: there is no other way to give up a voter.
        let Self { worker, lost: _ } = self;
        context.client()?.forget_voter(&worker).await?;
        let worker = shown(&worker);
        let text = format!("{worker} votes no more, and its disk is refused for ever");
        super::admin::say(context, &text);
        Ok(Exit::Ok)
    }
}
