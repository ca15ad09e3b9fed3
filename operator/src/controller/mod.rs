//! From an `MdfsCluster` to a running cluster: reads what is there, decides in pure functions, writes
//! what differs.

mod apply;
mod birth;
pub mod build;
mod change;
mod context;
mod deletion;
mod dereference;
pub mod disruption;
pub mod growth;
mod metrics_token;
pub mod observed;
mod policy;
mod publish;
mod reconcile;
pub mod removal;
pub mod report;
mod same;
mod secrets;
pub mod status;
mod steps;
#[cfg(test)]
pub(crate) mod test_support;
pub mod validate;
mod watch;

pub(crate) use context::Context;
pub(crate) use watch::run;
