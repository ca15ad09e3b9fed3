//! The master: leads the cluster from memory, and is its HTTP gateway. Keeps nothing on disk.

pub mod error;
pub mod leader;
