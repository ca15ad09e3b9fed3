//! `mdfs completions` and `mdfs man`: what shells and `man` know of the program.

use super::part::failed;
use crate::args::Cli;
use crate::error::{CliError, Exit};
use crate::output::print_text;
use clap::{Args, CommandFactory};
use clap_complete::Shell;
use std::path::{Path, PathBuf};

/// Print what a shell needs to complete commands and options
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(crate) fn execute(&self) -> Result<Exit, CliError> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "mdfs", &mut script);
        print_text(&String::from_utf8_lossy(&script))?;
        Ok(Exit::Ok)
    }
}

/// Write manual pages, one for each command
#[derive(Debug, Args)]
pub struct Man {
    /// The folder for them, made if need be
    folder: PathBuf,
}

impl Man {
    pub(crate) fn execute(&self) -> Result<Exit, CliError> {
        let folder = &self.folder;
        std::fs::create_dir_all(folder).map_err(failed("make the folder", folder))?;
        let mut program = Cli::command();
        program.build();
        pages(&program, folder)?;
        Ok(Exit::Ok)
    }
}

/// Writes the page of a command and those of its commands.
fn pages(command: &clap::Command, folder: &Path) -> Result<(), CliError> {
    let name = command
        .get_display_name()
        .unwrap_or_else(|| command.get_name());
    let page = clap_mangen::Man::new(command.clone());
    let path = folder.join(format!("{name}.1"));
    let mut text = Vec::new();
    page.render(&mut text)
        .and_then(|()| std::fs::write(&path, text))
        .map_err(failed("write", &path))?;
    for command in command.get_subcommands().filter(|one| !one.is_hide_set()) {
        pages(command, folder)?;
    }
    Ok(())
}
