//! How many copies are wanted, and which disks should have them.

use super::Catalog;
use mdfs_core::digest::Digest;
use mdfs_core::id::DiskId;
use mdfs_core::partition::Partition;
use mdfs_core::records::MemberState;
use mdfs_core::ring::ReplicationFactor;

impl Catalog {
    /// Whether a disk is a member that was not retired.
    pub(in super::super) fn is_present(&self, disk: DiskId) -> bool {
        let member = self.members.get(&disk);
        member.is_some_and(|member| member.state != MemberState::Retired)
    }

    /// How many copies files have that follow the policy.
    pub(in super::super) fn replicas(&self) -> ReplicationFactor {
        let cluster = self.cluster.as_ref();
        cluster.map_or(ReplicationFactor::DEFAULT, |record| record.replicas)
    }

    /// How many holders partitions have: as many as the policy says copies, and more only while there
    /// are more and files that asked for so many.
    pub(in super::super) fn width(&self) -> ReplicationFactor {
        let holders = self.assignment.iter().map(|(_, holders)| holders.len());
        let present = holders.max().unwrap_or(0);
        let asked = self.explicit.keys().next_back().copied();
        let kept = asked.filter(|copies| usize::from(copies.get()) <= present);
        let most = u8::try_from(present)
            .ok()
            .and_then(|most| ReplicationFactor::new(most).ok());
        let kept = kept.or(asked.and(most));
        kept.map_or(self.replicas(), |kept| kept.max(self.replicas()))
    }

    /// The most copies that any file is to have, by the policy or because it was asked for.
    pub(in super::super) fn most_wanted(&self) -> ReplicationFactor {
        let asked = self.explicit.keys().next_back().copied();
        asked.map_or(self.replicas(), |asked| asked.max(self.replicas()))
    }

    /// What a disk should hold of a partition.
    pub(in super::super) fn desired_of(&self, disk: DiskId, partition: Partition) -> Digest {
        let targets = self.targets(partition);
        self.desired.of(disk, partition, targets, self.replicas())
    }

    /// Whether a disk should have chunks of a partition of which so many copies are wanted, or is a
    /// holder that has them still.
    pub(in super::super) fn keeps(
        &self,
        disk: DiskId,
        partition: Partition,
        wanted: usize,
    ) -> bool {
        let first = |disks: &[DiskId]| disks.iter().take(wanted).any(|&it| it == disk);
        first(self.targets(partition)) || first(self.assignment.holders(partition))
    }
}
