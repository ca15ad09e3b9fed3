//! `mdfs rm`

use super::Context;
use crate::error::{CliError, Exit};
use crate::output::{print, shown};
use clap::Args;
use std::io::{self, IsTerminal, Write};

/// Delete files
#[derive(Debug, Args)]
pub struct Rm {
    /// The files
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

impl Rm {
    pub(crate) async fn execute(self, context: &Context) -> Result<Exit, CliError> {
        if !self.yes && !confirmed(&self.names)? {
            return Err(CliError::NotConfirmed);
        }
        let client = context.client()?;
        for name in &self.names {
            client.delete(name).await?;
            let table = || format!("deleted {}", shown(name));
            print(
                context.global.output,
                &Deleted { deleted: name },
                table,
                [name.as_str()],
            )?;
        }
        Ok(Exit::Ok)
    }
}

#[derive(serde::Serialize)]
struct Deleted<'a> {
    deleted: &'a str,
}

/// Asks on a terminal; elsewhere nobody can confirm.
fn confirmed(names: &[String]) -> Result<bool, CliError> {
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
    eprint!("Delete {what}? [y/N] ");
    io::stderr().flush().map_err(failed)?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).map_err(failed)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
