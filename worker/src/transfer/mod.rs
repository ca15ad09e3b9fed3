//! Chunks from worker to worker: onward along a chain, and pulled from a copy.

pub(crate) mod chain;
pub(crate) mod peers;
pub(crate) mod pull;
mod sources;
