//! The `mdfs` program: commands for people, and the one place where everything is put together.
//!
//! A command is a file in `commands`: it takes its arguments and what it may use, and
//! ends with an [`Exit`] or a [`CliError`], which `run` turns into the exit code of the process.

mod args;
mod commands;
mod config;
mod connect;
pub mod dev;
mod duration;
mod error;
mod examples;
mod metrics;
mod output;
mod progress;
pub mod roles;
mod stdio;
pub mod telemetry;

pub use args::{Cli, Command, Global};
pub use error::{CliError, Exit};
pub use output::Format;

use commands::Context;
use config::{Refused, Typed};
use std::ffi::OsString;
use std::process::ExitCode;

/// Does what the arguments say; the first is the program's own name.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match config::parse(args.into_iter().collect()) {
        Ok(Typed::Command(cli)) => *cli,
        Ok(Typed::Settings(text)) => {
            return match output::print_text(&text) {
                Ok(()) => Exit::Ok.into(),
                Err(error) => failed(&error),
            };
        }
        Err(Refused::File(error)) => return failed(&error),
        Err(Refused::Arguments(error)) => {
            // Help and version go to stdout and are no mistake; clap knows which is which.
            let shown = error.print();
            let usage = error.use_stderr() || shown.is_err();
            return if usage {
                Exit::Usage.into()
            } else {
                Exit::Ok.into()
            };
        }
    };
    match execute(cli) {
        Ok(exit) => exit.into(),
        Err(error) => failed(&error),
    }
}

fn failed(error: &CliError) -> ExitCode {
    error.report();
    error.exit().into()
}

fn execute(cli: Cli) -> Result<Exit, CliError> {
    let Cli { global, command } = cli;
    let server_log = command.server_log();
    telemetry::init(&match server_log {
        Some((log, usual)) => log.telemetry(usual, global.verbose),
        None => telemetry::Telemetry::of_command(global.verbose),
    })?;
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if let Some(threads) = command.threads() {
        builder.worker_threads(threads.get());
    }
    let runtime = builder.enable_all().build().map_err(CliError::Runtime)?;
    let serves = server_log.is_some();
    let context = Context::new(global);
    let result = runtime.block_on(async {
        if serves {
            // Servers take signals themselves, and stop in order.
            return commands::execute(&context, command).await;
        }
        tokio::select! {
            result = commands::execute(&context, command) => result,
            _ = tokio::signal::ctrl_c() => Err(CliError::Interrupted),
        }
    });
    // A read of stdin cannot be cancelled: the process must not wait for it.
    runtime.shutdown_background();
    result.map_err(|error| connect::hint_at_token(&context.global, error))
}

#[cfg(test)]
mod tests;
