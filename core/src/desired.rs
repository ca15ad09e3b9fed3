//! What each disk should hold, as digests: told from the records alone, without a list.

use crate::chunk::ChunkId;
use crate::digest::Digest;
use crate::id::DiskId;
use crate::partition::Partition;
use crate::records::{ChunkRecord, FileRecord};
use crate::ring::ReplicationFactor;
use std::collections::BTreeMap;

/// Most copies that a file can have.
const MOST_COPIES: usize = 7;
/// How many kinds of files there are: those that follow the policy, and those of each number of copies.
const KINDS: usize = MOST_COPIES + 1;

/// Digests of the chunks of all files, kept as files come and go.
///
/// Chunks that go to the holders of their partition are counted by partition and number of copies,
/// so that a change of holders costs nothing here: the digest of a disk follows from its place
/// among them. Those of files that follow the cluster's policy are counted apart, so that a change of
/// the policy costs nothing either. Exceptions are counted by disk.
#[derive(Clone, Debug)]
pub struct Desired {
    /// By partition: first of the files that follow the policy, then of those of each number of copies.
    regular: Box<[[Digest; KINDS]]>,
    exceptions: BTreeMap<(DiskId, Partition), Digest>,
    /// Exceptions by partition: how many chunks have one.
    excepted: BTreeMap<Partition, u64>,
    /// Recorded chunks of open uploads, by the disks that have them.
    uploads: BTreeMap<(DiskId, Partition), Digest>,
}

impl Default for Desired {
    fn default() -> Self {
        Self {
            regular: vec![[Digest::EMPTY; KINDS]; Partition::COUNT].into_boxed_slice(),
            exceptions: BTreeMap::new(),
            excepted: BTreeMap::new(),
            uploads: BTreeMap::new(),
        }
    }
}

impl Desired {
    /// Takes in a file's chunks.
    pub fn add(&mut self, file: &FileRecord) {
        self.each(
            file,
            |digest, chunk, length| digest.add(chunk, length),
            true,
        );
    }

    /// Takes out the chunks of a file that was taken in as it is.
    pub fn remove(&mut self, file: &FileRecord) {
        self.each(
            file,
            |digest, chunk, length| digest.remove(chunk, length),
            false,
        );
        self.exceptions.retain(|_, digest| *digest != Digest::EMPTY);
        self.excepted.retain(|_, chunks| *chunks > 0);
    }

    /// Takes in a chunk of an open upload, which these disks have.
    pub fn add_chunk(&mut self, chunk: ChunkId, record: &ChunkRecord) {
        for &disk in &record.disks {
            let digest = self.uploads.entry((disk, chunk.partition())).or_default();
            digest.add(chunk, record.length);
        }
    }

    /// Takes out a chunk that was taken in as it is: its upload has ended.
    pub fn remove_chunk(&mut self, chunk: ChunkId, record: &ChunkRecord) {
        for &disk in &record.disks {
            let place = (disk, chunk.partition());
            if let Some(digest) = self.uploads.get_mut(&place) {
                digest.remove(chunk, record.length);
                if *digest == Digest::EMPTY {
                    self.uploads.remove(&place);
                }
            }
        }
    }

    /// What a disk should hold of a partition with these holders, when the policy says so many copies.
    pub fn of(
        &self,
        disk: DiskId,
        partition: Partition,
        holders: &[DiskId],
        policy: ReplicationFactor,
    ) -> Digest {
        let mut digest = self
            .exceptions
            .get(&(disk, partition))
            .copied()
            .unwrap_or_default();
        if let Some(uploads) = self.uploads.get(&(disk, partition)) {
            digest.join(*uploads);
        }
        let regular = self.regular.get(partition.index());
        let place = holders.iter().position(|&holder| holder == disk);
        if let (Some([by_policy, exactly @ ..]), Some(place)) = (regular, place) {
            // The first N holders have the chunks of which there are N copies.
            for more in exactly.iter().skip(place) {
                digest.join(*more);
            }
            if place < usize::from(policy.get()) {
                digest.join(*by_policy);
            }
        }
        digest
    }

    /// The partitions in which chunks lie elsewhere than at the holders.
    pub fn excepted(&self) -> impl Iterator<Item = Partition> + '_ {
        self.excepted.keys().copied()
    }

    /// Those partitions with the disks that have such chunks.
    pub fn exception_places(&self) -> impl Iterator<Item = (DiskId, Partition)> + '_ {
        self.exceptions.keys().copied()
    }

    fn each(&mut self, file: &FileRecord, change: impl Fn(&mut Digest, ChunkId, u64), came: bool) {
        let explicit = file.replicas.explicit();
        let kind = explicit.map_or(0, |copies| usize::from(copies.get()));
        let mut exceptions = file.exceptions.iter().peekable();
        for index in 0..file.layout.chunk_count() {
            while exceptions.next_if(|run| run.end() <= index).is_some() {}
            let chunk = ChunkId {
                file: file.file,
                index,
            };
            let length = file.layout.chunk_len(index).unwrap_or(0);
            let partition = chunk.partition();
            match exceptions.peek().filter(|run| run.first_chunk <= index) {
                Some(run) => {
                    for &disk in &run.disks {
                        let digest = self.exceptions.entry((disk, partition)).or_default();
                        change(digest, chunk, length);
                    }
                    let chunks = self.excepted.entry(partition).or_default();
                    *chunks = match came {
                        true => chunks.saturating_add(1),
                        false => chunks.saturating_sub(1),
                    };
                }
                None => {
                    let digests = self.regular.get_mut(partition.index());
                    if let Some(digest) = digests.and_then(|digests| digests.get_mut(kind)) {
                        change(digest, chunk, length);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checksum::{Blake3, Crc32};
    use crate::chunk::{ChunkLayout, ChunkSize};
    use crate::digest::PartitionDigests;
    use crate::id::FileId;
    use crate::records::{Copies, Wanted};
    use crate::time::LogTime;

    fn file(id: u128, copies: u8, exceptions: Vec<Copies>) -> FileRecord {
        let size = (66 << 20) + 5;
        FileRecord {
            version: 1,
            file: FileId::from_u128(id),
            size,
            layout: ChunkLayout::of_file(size, ChunkSize::MIN).unwrap(),
            chunk_size: ChunkSize::MIN,
            replicas: match copies {
                0 => Wanted::by_policy(ReplicationFactor::DEFAULT),
                copies => Wanted::exactly(ReplicationFactor::new(copies).unwrap()),
            },
            crc32: Crc32::default(),
            blake3: Blake3([0; 32]),
            content_type: String::new(),
            labels: crate::labels::Labels::default(),
            modified: LogTime::default(),
            exceptions,
        }
    }

    fn disk(number: u128) -> DiskId {
        DiskId::from_u128(number)
    }

    /// Three holders everywhere: 1, 2, 3.
    fn held_by(desired: &Desired, number: u128) -> Vec<Digest> {
        held_under(desired, number, ReplicationFactor::DEFAULT)
    }

    fn held_under(desired: &Desired, number: u128, policy: ReplicationFactor) -> Vec<Digest> {
        let holders = [disk(1), disk(2), disk(3)];
        Partition::all()
            .map(|partition| desired.of(disk(number), partition, &holders, policy))
            .collect()
    }

    fn listed(files: &[(&FileRecord, &[u32])]) -> Vec<Digest> {
        let mut digests = PartitionDigests::empty();
        for (file, chunks) in files {
            for &index in *chunks {
                let chunk = ChunkId {
                    file: file.file,
                    index,
                };
                digests.add(chunk, file.layout.chunk_len(index).unwrap());
            }
        }
        Partition::all().map(|p| digests.get(p)).collect()
    }

    #[test]
    fn a_disk_should_hold_what_its_place_among_the_holders_and_exceptions_say() {
        let exception = Copies {
            first_chunk: 65,
            chunks: 1,
            disks: vec![disk(3), disk(9)],
        };
        let (one, two, three) = (
            file(1, 1, vec![]),
            file(2, 2, vec![exception]),
            file(3, 3, vec![]),
        );
        let mut desired = Desired::default();
        for file in [&one, &two, &three] {
            desired.add(file);
        }
        let all: Vec<u32> = (0..67).collect();
        let regular: Vec<u32> = all.iter().copied().filter(|i| *i != 65).collect();
        let first = listed(&[(&one, &all), (&two, &regular), (&three, &all)]);
        assert_eq!(held_by(&desired, 1), first);
        let second = listed(&[(&two, &regular), (&three, &all)]);
        assert_eq!(held_by(&desired, 2), second);
        let third = listed(&[(&two, &[65]), (&three, &all)]);
        assert_eq!(held_by(&desired, 3), third);
        assert_eq!(held_by(&desired, 9), listed(&[(&two, &[65])]));
        assert_eq!(desired.excepted().count(), 1);

        for file in [&one, &two, &three] {
            desired.remove(file);
        }
        assert!(desired.exceptions.is_empty() && desired.excepted.is_empty());
        for number in [1, 2, 3, 9] {
            assert_eq!(held_by(&desired, number), listed(&[]));
        }
    }
    #[test]
    fn files_that_follow_the_policy_are_on_as_many_disks_as_it_says() {
        let (follows, exact) = (file(1, 0, vec![]), file(2, 2, vec![]));
        let mut desired = Desired::default();
        desired.add(&follows);
        desired.add(&exact);
        let all: Vec<u32> = (0..67).collect();
        let both = listed(&[(&follows, &all), (&exact, &all)]);
        for (policy, number, want) in [
            (1, 1, &both),
            (1, 2, &listed(&[(&exact, &all)])),
            (2, 2, &both),
            (2, 3, &listed(&[])),
            (3, 3, &listed(&[(&follows, &all)])),
        ] {
            let policy = ReplicationFactor::new(policy).unwrap();
            assert_eq!(&held_under(&desired, number, policy), want);
        }
    }

    #[test]
    fn a_chunk_of_an_open_upload_is_wanted_where_it_was_stored_and_nowhere_after() {
        let chunk = ChunkId {
            file: FileId::from_u128(4),
            index: 3,
        };
        let record = ChunkRecord {
            length: 5,
            crc32: Crc32(1),
            hash: crate::checksum::ChunkHash([0; 32]),
            alone: None,
            disks: vec![disk(2), disk(9)],
            term: crate::id::Term::default(),
            stored: LogTime::default(),
        };
        let mut desired = Desired::default();
        desired.add_chunk(chunk, &record);
        let mut want = Digest::EMPTY;
        want.add(chunk, 5);
        let of = |desired: &Desired, n| {
            let policy = ReplicationFactor::DEFAULT;
            desired.of(disk(n), chunk.partition(), &[disk(1)], policy)
        };
        assert_eq!(
            [1, 2, 9].map(|n| of(&desired, n) == want),
            [false, true, true]
        );
        assert_eq!(desired.excepted().count(), 0);
        desired.remove_chunk(chunk, &record);
        assert_eq!([2, 9].map(|n| of(&desired, n)), [Digest::EMPTY; 2]);
        assert!(desired.uploads.is_empty());
    }
}
