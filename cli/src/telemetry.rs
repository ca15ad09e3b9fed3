//! Where log lines go: to stderr, as text for people or JSON for machines.

use crate::error::CliError;
use std::io::{self, IsTerminal};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

/// What is logged, and how.
#[derive(Clone, Debug)]
pub struct Telemetry {
    /// Directives such as `info` or `warn,mdfs_client=debug`.
    pub filter: String,
    /// One JSON object a line.
    pub json: bool,
}

impl Telemetry {
    /// What a command for people logs: warnings, or more when asked to.
    pub fn of_command(verbose: u8) -> Self {
        let filter = match verbose {
            0 => "error",
            1 => "warn,mdfs=debug,mdfs_client=debug",
            _ => "debug",
        };
        Self {
            filter: filter.to_owned(),
            json: false,
        }
    }
}

/// Starts logging. A second call in one process changes nothing.
///
/// # Errors
/// If the filter is not valid.
pub fn init(telemetry: &Telemetry) -> Result<(), CliError> {
    let filter = EnvFilter::try_new(&telemetry.filter)
        .map_err(|error| CliError::Usage(format!("log filter: {error}")))?;
    let colours = io::stderr().is_terminal();
    let builder = fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(colours);
    // Already started is fine: several commands may run in one test process.
    let _started = if telemetry.json {
        builder.json().try_init()
    } else {
        builder.compact().try_init()
    };
    Ok(())
}
