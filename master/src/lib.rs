//! The master: leads the cluster from memory, and is its HTTP gateway. Keeps nothing on disk.

pub mod board;
pub mod config;
mod console;
pub mod error;
pub mod gateway;
pub mod http;
pub mod leader;
mod run;

pub use config::{Config, Failures, Limits};
pub use error::Error;
pub use run::{Running, Surroundings, run, run_on};

/// All metrics of a master, for the page that tells of them.
///
/// # Errors
/// If two have one name: a defect of this package.
pub fn metrics()
-> Result<Vec<mdfs_service::metrics::Description>, mdfs_service::metrics::MetricError> {
    http::describe_metrics()
}
