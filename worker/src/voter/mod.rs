//! The voter of the metadata log, and what it keeps on the disk.

pub mod driver;
mod storage;

pub use storage::VoterStorage;
