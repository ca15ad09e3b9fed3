//! How a server comes to its settings: flags, then `MDFS_…` variables, then a YAML file, then
//! defaults.
//!
//! The arguments in `roles` are the only list of settings there is. What a file says becomes the
//! default of its flag, so that whoever reads the arguments need not know where a value comes from.

mod effective;
mod file;
mod reference;
mod table;

pub(crate) use reference::{page, sample};
pub(crate) use table::Role;

use crate::args::Cli;
use crate::error::CliError;
use clap::{ArgMatches, CommandFactory, FromArgMatches};
use file::Given;
use std::ffi::OsString;
use std::path::PathBuf;

/// What was typed.
pub(crate) enum Typed {
    /// A command to do.
    Command(Box<Cli>),
    /// Only the settings of a server are asked for: this is what they are.
    Settings(String),
}

/// Why nothing can be done.
pub(crate) enum Refused {
    /// What was typed makes no sense; or help or version was asked for.
    Arguments(clap::Error),
    /// A configuration file cannot be read, or does not say what it should.
    File(CliError),
}

impl From<clap::Error> for Refused {
    fn from(error: clap::Error) -> Self {
        Self::Arguments(error)
    }
}

/// Reads arguments, of which the first is the program's own name, and all that they refer to.
///
/// # Errors
/// If they make no sense, or a configuration file does not say what it should.
pub(crate) fn parse(arguments: Vec<OsString>) -> Result<Typed, Refused> {
    let Some(role) = role_in(&arguments) else {
        let matches = Cli::command().try_get_matches_from(arguments)?;
        return Ok(Typed::Command(Box::new(Cli::from_arg_matches(&matches)?)));
    };
    let of_role = |matches: &ArgMatches| matches.subcommand_matches(role.name()).cloned();
    // What is required may stand in the file.
    let lenient = command(role).mut_subcommand(role.name(), |command| {
        command.mut_args(|arg| arg.required(false))
    });
    let first = match lenient.try_get_matches_from(&arguments) {
        Ok(first) => first,
        // Help, or what no file mends: told as if there were none, with all that is required.
        Err(error) => {
            let strict = command(role).try_get_matches_from(&arguments);
            return Err(strict.err().unwrap_or(error).into());
        }
    };
    let path = of_role(&first).and_then(|first| first.get_one::<PathBuf>("config").cloned());
    let given = match &path {
        Some(path) => file::read(path, role).map_err(Refused::File)?,
        None => Given::default(),
    };
    let command = command(role).mut_subcommand(role.name(), |command| {
        given.iter().fold(command, |command, (name, values)| {
            command.mut_arg(name, |arg| arg.default_values(values).required(false))
        })
    });
    let matches = command.try_get_matches_from(arguments)?;
    let settings = of_role(&matches).filter(|settings| settings.get_flag("print_config"));
    if let Some(settings) = settings {
        let path = path.as_deref();
        return Ok(Typed::Settings(effective::show(
            role, &settings, &given, path,
        )));
    }
    Ok(Typed::Command(Box::new(Cli::from_arg_matches(&matches)?)))
}

/// The server role that is asked for, if one is.
fn role_in(arguments: &[OsString]) -> Option<Role> {
    let lenient = Cli::command()
        .ignore_errors(true)
        .disable_help_flag(true)
        .disable_version_flag(true);
    let matches = lenient.try_get_matches_from(arguments).ok()?;
    Role::ALL
        .into_iter()
        .find(|role| matches.subcommand_name() == Some(role.name()))
}

/// The program's arguments as this role has them: without the options of the commands for people,
/// `--config` above all, which is another file for them.
fn command(role: Role) -> clap::Command {
    let command = Cli::command();
    let for_people: Vec<_> = command
        .get_arguments()
        .filter(|arg| arg.is_global_set() && arg.get_id() != "verbose")
        .map(|arg| arg.get_id().clone())
        .collect();
    let command = for_people
        .into_iter()
        .fold(command, |command, id| {
            command.mut_arg(id, |arg| arg.global(false))
        })
        .mut_arg("verbose", |arg| arg.help_heading("Process"));
    // Values of variables are no part of the help: they would differ from machine to machine.
    command.mut_subcommand(role.name(), |command| {
        command.mut_args(|arg| arg.hide_env_values(true))
    })
}

#[cfg(test)]
mod tests;
