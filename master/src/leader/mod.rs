//! The leader: the metadata in memory, and every decision about it.

pub mod command;
pub mod handle;
