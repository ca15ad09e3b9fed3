//! `mdfs mv`

use super::{Context, last_part};
use crate::error::{CliError, Exit};
use crate::output::{print, shown};
use clap::Args;
use mdfs_protocol::problem::Code;

const FORCE: &str = "`--force` replaces what is there; it goes to the trash";

/// Give a file another name
#[derive(Debug, Args)]
pub struct Mv {
    /// The present name
    from: String,
    /// The new name; ends with `/` for a folder
    to: String,
    /// Replace a file of the new name
    #[arg(short, long)]
    force: bool,
}

impl Mv {
    pub(crate) async fn execute(self, context: &Context) -> Result<Exit, CliError> {
        let Self {
            from,
            mut to,
            force,
        } = self;
        if last_part(&to).is_empty() {
            to.push_str(last_part(&from));
        }
        let renamed = context.client()?.rename(&from, &to, force).await;
        let info = renamed.map_err(|error| match force {
            false => CliError::from(error).hinted_at(&[Code::Conflict], FORCE),
            true => error.into(),
        })?;
        let table = || format!("{} -> {}", shown(&from), shown(&info.name));
        print(context.global.output, &info, table, [info.name.as_str()])?;
        Ok(Exit::Ok)
    }
}
