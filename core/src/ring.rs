//! The ring: which disks hold which partition.

mod assign;
mod assignment;
mod member;

pub use assign::assign;
pub use assignment::{Assignment, BytesPerPartition, InvalidAssignment, PartitionMove};
pub use member::{InvalidReplicationFactor, Member, ReplicationFactor, ZoneId};
