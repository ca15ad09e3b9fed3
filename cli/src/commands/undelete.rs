//! `mdfs undelete`

use super::Context;
use crate::error::{CliError, Exit};
use crate::output::{print, separate, shown};
use clap::Args;
use mdfs_protocol::problem::Code;

/// Bring deleted files back from the trash
#[derive(Debug, Args)]
pub struct Undelete {
    /// The names they had
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

impl Undelete {
    pub(crate) async fn execute(self, context: &Context) -> Result<Exit, CliError> {
        let client = context.client()?;
        for name in &self.names {
            let info = client.undelete(name).await.map_err(|error| {
                let hint = "`mdfs mv` gives what is there another name";
                CliError::from(error).hinted_at(&[Code::Conflict], hint)
            })?;
            let table = || format!("undeleted {}", shown(&info.name));
            separate(context.global.output, self.names.len())?;
            print(context.global.output, &info, table, [info.name.as_str()])?;
        }
        Ok(Exit::Ok)
    }
}
