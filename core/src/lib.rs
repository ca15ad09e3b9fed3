//! The pure part of MDFS: ids, names, ranges, the ring, records, and the log protocol.
//!
//! Nothing in this crate reads a clock, a disk, a socket or a source of chance: `now`, random
//! values and everything read from outside are arguments. So the same code runs in production,
//! under a model checker and in a seeded simulation.

pub mod access;
pub mod checksum;
pub mod chunk;
pub mod desired;
pub mod detect;
pub mod digest;
pub mod fence;
pub mod flapping;
pub mod format;
pub mod garbage;
pub mod holdings;
pub mod id;
pub mod labels;
pub mod log;
pub mod media_type;
pub mod name;
pub mod partition;
pub mod range;
pub mod records;
pub mod ring;
pub mod slow;
pub mod time;
pub mod voting;
