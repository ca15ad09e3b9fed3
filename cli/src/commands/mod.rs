//! The commands for people, one a file.

pub(crate) mod admin;
pub(crate) mod administer;
mod bootstrap;
pub(crate) mod cat;
pub(crate) mod completions;
mod doctor;
mod fetch;
pub(crate) mod generated;
pub(crate) mod get;
pub(crate) mod ls;
pub(crate) mod mv;
mod part;
pub(crate) mod policy;
pub(crate) mod put;
mod recover;
pub(crate) mod rm;
pub(crate) mod scrub;
pub(crate) mod sign;
pub(crate) mod stat;
mod status;
mod tasks;
pub(crate) mod token;
mod transfer;
mod tree;
pub(crate) mod undelete;
pub(crate) mod uploads;
pub(crate) mod verify;
pub(crate) mod voters;
mod workers;

use crate::args::{Command, Global};
use crate::connect::connect;
use crate::error::{CliError, Exit, is_caused_by};
use mdfs_client::Client;
use mdfs_protocol::problem::Code;
use std::io;

/// What a command may use.
pub(crate) struct Context {
    pub(crate) global: Global,
}

impl Context {
    pub(crate) fn new(global: Global) -> Self {
        Self { global }
    }

    /// A client for the cluster that was named or is near.
    pub(crate) fn client(&self) -> Result<Client, CliError> {
        connect(&self.global)
    }
}

pub(crate) async fn execute(context: &Context, command: Command) -> Result<Exit, CliError> {
    match command {
        Command::Put(put) => put.execute(context).await,
        Command::Get(get) => get.execute(context).await,
        Command::Cat(cat) => cat.execute(context).await,
        Command::Ls(ls) => ls.execute(context).await,
        Command::Stat(stat) => stat.execute(context).await,
        Command::Mv(mv) => mv.execute(context).await,
        Command::Rm(rm) => rm.execute(context).await,
        Command::Undelete(undelete) => undelete.execute(context).await,
        Command::Uploads(uploads) => uploads.execute(context).await,
        Command::Sign(sign) => sign.execute(context).await,
        Command::Token(token) => token.execute(context).await,
        Command::Status => status::execute(context).await,
        Command::Verify(verify) => verify.execute(context).await,
        Command::Workers => workers::execute(context).await,
        Command::Tasks => tasks::execute(context).await,
        Command::Drain(worker) => admin::drain(context, &worker).await,
        Command::Undrain(worker) => admin::undrain(context, &worker).await,
        Command::Policy(policy) => policy.execute(context).await,
        Command::Decommission(worker) => admin::decommission(context, &worker).await,
        Command::Retire(retire) => admin::retire(context, &retire).await,
        Command::Announce(announce) => admin::announce(context, &announce).await,
        Command::Scrub(scrub) => scrub.execute(context).await,
        Command::Rebalance => admin::rebalance(context).await,
        Command::Repair => admin::repair(context).await,
        Command::Admin(admin) => admin.execute(context).await,
        Command::Health => {
            context.client()?.ready().await?;
            admin::say(context, "it takes requests");
            Ok(Exit::Ok)
        }
        Command::Doctor => doctor::execute(context).await,
        Command::Completions(completions) => completions.execute(),
        Command::Man(man) => man.execute(),
        Command::Generated(generated) => generated.execute(),
        Command::Dev(args) => served(crate::dev::run(args).await).map_err(hint_at_port),
        Command::Master(args) => served(crate::roles::run_master(*args).await),
        Command::Worker(args) => served(crate::roles::run_worker(args).await),
        Command::Operator(args) => served(crate::roles::run_operator(args).await),
    }
}

/// What to do with a folder where a file is wanted.
const LIST: &str = "`mdfs ls NAME/` lists a folder; `mdfs ls` shows what there is, and \
     `mdfs ls --trash` what was deleted";

/// Says what to do with a folder, if there is no file of the name that was given.
fn perhaps_folder(error: CliError, hint: &'static str) -> CliError {
    error.hinted_at(&[Code::FileNotFound, Code::InvalidName], hint)
}

/// How a server ended.
fn served(result: anyhow::Result<()>) -> Result<Exit, CliError> {
    result.map(|()| Exit::Ok).map_err(CliError::Server)
}

/// Says what to do where another program listens.
fn hint_at_port(error: CliError) -> CliError {
    match &error {
        CliError::Server(why) if is_caused_by(why.as_ref(), io::ErrorKind::AddrInUse) => {
            error.hinted("`--port` takes another port; 0 takes a free one")
        }
        _ => error,
    }
}

/// The last part of a name or path, after the last slash.
fn last_part(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roles::listen;

    #[tokio::test]
    async fn where_a_port_is_in_use_another_is_offered() {
        let other = listen(([127, 0, 0, 1], 0).into()).await.unwrap();
        let taken = listen(other.local_addr().unwrap()).await.unwrap_err();
        let error = hint_at_port(CliError::Server(taken));
        assert!(error.hint().is_some_and(|hint| hint.contains("--port")));
        let other = hint_at_port(CliError::Server(anyhow::anyhow!("no disk")));
        assert_eq!(other.hint(), None);
    }
}
