//! The one function that decides the ring.

use super::{Assignment, BytesPerPartition, Member, ReplicationFactor};
use crate::partition::Partition;

/// Decides the holders of every partition.
pub fn assign(
    previous: &Assignment,
    load: Option<&BytesPerPartition>,
    members: &[Member],
    replicas: ReplicationFactor,
    movable: impl Fn(Partition) -> bool,
) -> Assignment {
    let _ = (load, members, replicas, &movable);
    previous.clone()
}
