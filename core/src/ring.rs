//! The ring: which disks hold which partition.

mod assign;
mod assignment;
mod bytes;
mod fill;
mod firsts;
mod level;
mod member;
mod places;
mod share;

pub use assign::assign;
pub use assignment::{Assignment, BytesPerPartition, InvalidAssignment, PartitionMove};
pub use member::{InvalidReplicationFactor, Member, ReplicationFactor, ZoneId};
