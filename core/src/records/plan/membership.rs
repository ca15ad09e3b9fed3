//! The birth of a cluster, and members that come.

use super::{Planned, Refusal};
use crate::id::DiskId;
use crate::records::{ClusterRecord, Key, MemberRecord, PartitionRecord, put};
use crate::ring::Assignment;

/// A disk that becomes a member, or whose record changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMember {
    /// The disk.
    pub disk: DiskId,
    /// Its record from here on.
    pub record: MemberRecord,
}

/// Plans the first records of a cluster: itself, its members, and who holds what.
///
/// # Errors
/// Never in practice: the records encode.
pub fn plan_bootstrap(
    cluster: &ClusterRecord,
    members: &[NewMember],
    assignment: &Assignment,
) -> Result<Planned<()>, Refusal> {
    let mut puts = vec![put(&Key::Cluster, cluster)?];
    puts.extend(plan_membership(members, &Assignment::empty(), assignment)?.puts);
    Ok(Planned { puts, answer: () })
}

/// Plans new or changed members together with the partitions that move: those whose holders differ
/// between `before` and `after`. The caller moves only partitions that hold nothing.
///
/// # Errors
/// Never in practice: the records encode.
pub fn plan_membership(
    members: &[NewMember],
    before: &Assignment,
    after: &Assignment,
) -> Result<Planned<()>, Refusal> {
    let mut puts = Vec::new();
    for member in members {
        puts.push(put(&Key::Member(member.disk), &member.record)?);
    }
    for (partition, holders) in after.iter() {
        if holders != before.holders(partition) {
            let record = PartitionRecord {
                holders: holders.to_vec(),
            };
            puts.push(put(&Key::Partition(partition), &record)?);
        }
    }
    Ok(Planned { puts, answer: () })
}
