//! What the leader knows of the disks' holdings, and where they are not what the records want.

use super::catalog::Catalog;
use mdfs_core::chunk::ChunkId;
use mdfs_core::digest::{Digest, PartitionDigests};
use mdfs_core::holdings::{Change, Mirror};
use mdfs_core::id::{DiskId, FileId, MountId};
use mdfs_core::partition::Partition;
use mdfs_core::records::ChunkRecord;
use mdfs_core::time::Timestamp;
use mdfs_protocol::holdings::{Digests, Known, Report};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long a disk may take to say what it holds before it is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// Chunks remembered that went or were found damaged: those that a few beats tell of. When there are
/// more, any may be one of them.
const MOST_LOST: usize = 1 << 16;

/// What is known of all disks. Only of use to a leader, and only in one term.
#[derive(Debug, Default)]
pub(super) struct Truth {
    disks: BTreeMap<DiskId, Disk>,
    /// Chunks of open uploads that disks said they have, and that no record wants yet.
    pending: BTreeMap<FileId, Vec<(DiskId, Change)>>,
    /// The same as digests.
    early: BTreeMap<(DiskId, Partition), Digest>,
    /// Chunks that went from a disk or were found damaged, since lists were asked for last.
    lost: Losses,
    /// The same since lists were asked for of which a survey told.
    lost_before: Losses,
    /// Something changed since [`Truth::take_changed`].
    changed: bool,
}

/// Chunks that a list may show as good and that are not any more.
#[derive(Clone, Debug, Default)]
struct Losses {
    chunks: BTreeSet<ChunkId>,
    /// There may be others, of which nobody told.
    more: bool,
}

impl Losses {
    fn note(&mut self, change: &Change) {
        let is_loss = !change.came || change.length.is_none();
        if is_loss && self.chunks.len() < MOST_LOST {
            self.chunks.insert(change.chunk);
        } else {
            self.more |= is_loss;
        }
    }
}

#[derive(Debug, Default)]
struct Disk {
    mount: MountId,
    mirror: Option<Mirror>,
    /// What the last heartbeat said it has counted to, and the digest over all of that.
    sequence: u64,
    root: Digest,
    asked: Option<Timestamp>,
    /// Since when it beats and what it holds is not known.
    unknown_since: Option<Timestamp>,
}

impl Truth {
    /// Whether a disk was not mounted anew since it was last heard of.
    pub(super) fn is_same_mount(&self, disk: DiskId, mount: MountId) -> bool {
        let known = self.disks.get(&disk);
        known.is_some_and(|known| known.mount == mount)
    }

    /// Takes what a heartbeat says. True if the disk has to be asked for its digests.
    pub(super) fn hear(
        &mut self,
        now: Timestamp,
        disk: DiskId,
        report: &Report,
        is_early: impl Fn(DiskId, ChunkId) -> bool,
    ) -> bool {
        let known = self.disks.entry(disk).or_default();
        if known.mount != report.mount {
            // Who is mounted anew again and again is not known all the while.
            *known = Disk {
                mount: report.mount,
                unknown_since: known.unknown_since,
                ..Disk::default()
            };
            self.changed = true;
        }
        (known.sequence, known.root) = (report.sequence, report.root);
        let mut came = Vec::new();
        if let Some(mirror) = &mut known.mirror {
            let Report {
                mount: _,
                sequence,
                root,
                after,
                changes,
            } = report;
            let was_proven = mirror.is_proven_at(*sequence);
            match mirror.take(*after, changes, *sequence, *root) {
                Ok(new) => {
                    self.changed |= !new.is_empty() || !was_proven;
                    came.extend_from_slice(new);
                }
                Err(lost) => {
                    tracing::info!(%disk, %lost, "asking a disk for all it holds");
                    known.mirror = None;
                    self.changed = true;
                }
            }
        }
        let asks = known.mirror.is_none()
            && known
                .asked
                .is_none_or(|asked| now.since(asked) >= ASK_AGAIN);
        if asks {
            known.asked = Some(now);
        }
        let mirror = known.mirror.as_ref();
        let is_known = mirror.is_some_and(|mirror| mirror.is_proven_at(known.sequence));
        known.unknown_since = (!is_known).then(|| known.unknown_since.unwrap_or(now));
        if known.mirror.is_none() {
            self.forget_early(disk);
        }
        if self.disks.get(&disk).is_none_or(|it| it.mirror.is_none()) {
            self.lose_sight();
        }
        for change in came {
            self.lost.note(&change);
            self.lost_before.note(&change);
            self.note_early(disk, change, &is_early);
        }
        asks
    }

    /// What a disk lost will not be told chunk by chunk.
    fn lose_sight(&mut self) {
        self.lost.more = true;
        self.lost_before.more = true;
    }

    /// Lists are about to be asked for: they show what was lost before.
    pub(super) fn lists_asked(&mut self) {
        self.lost = Losses::default();
    }

    /// A survey of the lists that were asked for last has ended.
    pub(super) fn lists_surveyed(&mut self) {
        self.lost_before = self.lost.clone();
    }

    /// Whether a copy of a chunk may have gone or be damaged that the last survey counted on.
    pub(super) fn may_be_lost(&self, chunk: ChunkId) -> bool {
        self.lost_before.more || self.lost_before.chunks.contains(&chunk)
    }

    /// Takes a disk's digests; false if they make no sense.
    pub(super) fn take(&mut self, disk: DiskId, said: Digests) -> bool {
        let Some(known) = self.disks.get_mut(&disk) else {
            return false;
        };
        known.asked = None;
        let Some(digests) = PartitionDigests::from_list(said.digests) else {
            return false;
        };
        if known.mount == said.mount {
            let mut mirror = Mirror::new(said.sequence, digests);
            // Unless it counted on meanwhile, the last heartbeat shows already that this is all.
            let proven = mirror.take(said.sequence, &[], known.sequence, known.root);
            if proven.is_ok() && mirror.is_proven_at(known.sequence) {
                known.unknown_since = None;
            }
            known.mirror = Some(mirror);
            self.changed = true;
            self.forget_early(disk);
        }
        true
    }

    /// How far a disk's holdings are known.
    pub(super) fn known(&self, disk: DiskId) -> Option<Known> {
        let known = self.disks.get(&disk)?;
        let mirror = known.mirror.as_ref()?;
        Some(Known {
            mount: known.mount,
            sequence: mirror.sequence(),
        })
    }

    /// Whether a disk's holdings are known as of its last heartbeat.
    pub(super) fn is_known(&self, disk: DiskId) -> bool {
        self.mirror(disk).is_some()
    }

    /// Since when a disk beats without its holdings being known; none if they are, or if it was not
    /// heard of in this term.
    pub(super) fn unknown_since(&self, disk: DiskId) -> Option<Timestamp> {
        self.disks.get(&disk)?.unknown_since
    }

    fn mirror(&self, disk: DiskId) -> Option<&Mirror> {
        let known = self.disks.get(&disk)?;
        let mirror = known.mirror.as_ref()?;
        mirror.is_proven_at(known.sequence).then_some(mirror)
    }

    /// A chunk of an open upload is recorded: its record wants it from now on, where it names disks.
    pub(super) fn chunk_recorded(&mut self, chunk: ChunkId, record: &ChunkRecord) {
        if !record.is_durable() {
            return;
        }
        for &disk in &record.disks {
            self.forget_early_chunk(disk, chunk);
        }
        self.changed = true;
    }

    /// Whether a disk holds no chunk; unknown is no.
    pub(super) fn holds_nothing(&self, disk: DiskId) -> bool {
        let empty = |mirror: &Mirror| Partition::all().all(|p| mirror.get(p) == Digest::EMPTY);
        self.mirror(disk).is_some_and(empty)
    }

    /// Whether a disk was heard of in this term.
    pub(super) fn has_heard(&self, disk: DiskId) -> bool {
        self.disks.contains_key(&disk)
    }

    /// Forgets a disk that was retired.
    pub(super) fn forget(&mut self, disk: DiskId) {
        self.disks.remove(&disk);
        self.forget_early(disk);
    }

    /// An upload has ended: what it stored is wanted by its record now, or by nobody.
    pub(super) fn upload_ended(&mut self, file: FileId) {
        for (disk, change) in self.pending.remove(&file).into_iter().flatten() {
            let place = (disk, change.chunk.partition());
            if let Some(digest) = self.early.get_mut(&place) {
                digest.remove(change.chunk, change.length);
                if *digest == Digest::EMPTY {
                    self.early.remove(&place);
                }
            }
        }
        self.changed = true;
    }

    /// The records changed what is wanted.
    pub(super) fn wants_changed(&mut self) {
        self.changed = true;
    }

    /// Whether anything changed since this was last asked.
    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// What a disk holds of a partition and what it should, as far as digests tell; none if unknown.
    pub(super) fn state(
        &self,
        disk: DiskId,
        partition: Partition,
        wants: &Catalog,
    ) -> Option<(Digest, Digest)> {
        let held = self.mirror(disk)?.get(partition);
        let want = wants.desired_of(disk, partition);
        Some((held, want))
    }

    /// Whether a disk holds of a partition what it should; unknown is no.
    pub(super) fn is_right(&self, disk: DiskId, partition: Partition, wants: &Catalog) -> bool {
        self.mirror(disk)
            .is_some_and(|mirror| self.agrees(disk, mirror, partition, wants))
    }

    /// The partitions of which a disk does not hold what it should, or which it is giving up.
    pub(super) fn differing(&self, disk: DiskId, wants: &Catalog) -> BTreeSet<Partition> {
        let Some(mirror) = self.mirror(disk) else {
            return BTreeSet::new();
        };
        Partition::all()
            .filter(|&partition| !self.agrees(disk, mirror, partition, wants))
            .collect()
    }

    fn agrees(&self, disk: DiskId, mirror: &Mirror, partition: Partition, wants: &Catalog) -> bool {
        let mut want = wants.desired_of(disk, partition);
        if let Some(early) = self.early.get(&(disk, partition)) {
            want.join(*early);
        }
        mirror.get(partition) == want
    }

    fn note_early(
        &mut self,
        disk: DiskId,
        change: Change,
        is_early: impl Fn(DiskId, ChunkId) -> bool,
    ) {
        let Change { chunk, length, .. } = change;
        if length.is_none() {
            // No record will want a damaged copy either.
            return;
        }
        if !change.came {
            self.forget_early_chunk(disk, chunk);
        } else if is_early(disk, chunk) {
            let of_file = self.pending.entry(chunk.file).or_default();
            of_file.push((disk, change));
            let place = (disk, chunk.partition());
            self.early.entry(place).or_default().add(chunk, length);
        }
    }

    fn forget_early_chunk(&mut self, disk: DiskId, chunk: ChunkId) {
        let Some(chunks) = self.pending.get_mut(&chunk.file) else {
            return;
        };
        let same = |(other, came): &(DiskId, Change)| *other == disk && came.chunk == chunk;
        if let Some(at) = chunks.iter().position(same) {
            let (_, came) = chunks.swap_remove(at);
            let place = (disk, chunk.partition());
            if let Some(digest) = self.early.get_mut(&place) {
                digest.remove(came.chunk, came.length);
            }
        }
    }

    fn forget_early(&mut self, disk: DiskId) {
        for chunks in self.pending.values_mut() {
            chunks.retain(|(other, _)| *other != disk);
        }
        self.pending.retain(|_, chunks| !chunks.is_empty());
        self.early.retain(|(other, _), _| *other != disk);
    }
}
