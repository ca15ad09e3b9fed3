//! `mdfs rm`

use super::Context;
use crate::error::{CliError, Exit};
use crate::output::{print, separate, shown};
use clap::Args;
use std::io::{self, IsTerminal, Write};

/// Delete files: they go to the trash
#[derive(Debug, Args)]
pub struct Rm {
    /// The files
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    /// Delete for good, without the trash; of a name that no file has, the newest file in the trash
    #[arg(long)]
    purge: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

impl Rm {
    pub(crate) async fn execute(self, context: &Context) -> Result<Exit, CliError> {
        if !self.yes && !confirmed(&self.names, self.purge)? {
            return Err(CliError::NotConfirmed);
        }
        let client = context.client()?;
        for name in &self.names {
            let done = if self.purge {
                client.purge(name).await?;
                Done::Purged(name)
            } else {
                client.delete(name).await?;
                Done::Deleted(name)
            };
            let table = || match done {
                Done::Deleted(name) => format!("deleted {}", shown(name)),
                Done::Purged(name) => format!("purged {}", shown(name)),
            };
            separate(context.global.output, self.names.len())?;
            print(context.global.output, &done, table, [name.as_str()])?;
        }
        Ok(Exit::Ok)
    }
}

#[derive(serde::Serialize)]
#[serde(rename_all = "snake_case")]
enum Done<'a> {
    Deleted(&'a str),
    Purged(&'a str),
}

/// Asks on a terminal; elsewhere nobody can confirm.
fn confirmed(names: &[String], purge: bool) -> Result<bool, CliError> {
    let failed = |source| CliError::Stdio {
        action: "ask for confirmation",
        source,
    };
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Ok(false);
    }
    let what = match names {
        [name] => shown(name).into_owned(),
        names => format!("{} files", names.len()),
    };
    let how = if purge { " for good" } else { "" };
    eprint!("Delete {what}{how}? [y/N] ");
    io::stderr().flush().map_err(failed)?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).map_err(failed)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
