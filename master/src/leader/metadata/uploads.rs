//! Uploads: begun, placed, committed or ended.

use super::super::catalog::Step;
use super::super::command::{BeginUpload, Begun, CommitUpload, FileInfo, OpenUpload, Place, Site};
use super::super::handle::Answer;
use super::{Effect, MAX_RECENT, Metadata, Now, respond};
use crate::error::Error;
use crate::leader::affinity::affinity;
use mdfs_core::chunk::ChunkId;
use mdfs_core::detect::Liveness;
use mdfs_core::fence;
use mdfs_core::id::{DiskId, FileId, Term};
use mdfs_core::log::table::View;
use mdfs_core::records::plan::{self, Refusal, Stored};
use mdfs_core::records::{Copies, FileRecord, Key, UploadEnd, UploadRecord, Wanted, get};
use mdfs_core::time::Timestamp;
use std::collections::BTreeSet;
use std::time::Duration;

/// What is known of an open upload beside the log.
#[derive(Debug)]
pub(super) struct Activity {
    pub(super) last: Timestamp,
    /// Where this leader had its chunks sent.
    disks: BTreeSet<DiskId>,
    /// Since when it is this leader's, if an earlier one may have had chunks sent elsewhere.
    inherited: Option<Timestamp>,
}

impl Activity {
    /// Of an upload that an earlier leader placed.
    pub(super) fn inherited(now: Timestamp) -> Self {
        Self {
            last: now,
            disks: BTreeSet::new(),
            inherited: Some(now),
        }
    }

    /// Whether a chunk of it may be on its way to a disk, or there. What an earlier leader had sent has
    /// come, or comes no more, after `idle`: then the disk itself tells of it, or a survey.
    pub(super) fn may_be_on(&self, disk: DiskId, now: Timestamp, idle: Duration) -> bool {
        let coming = |since| now.since(since) < idle;
        self.disks.contains(&disk) || self.inherited.is_some_and(coming)
    }
}

impl Metadata {
    pub(super) fn begin_upload(
        &mut self,
        now: Now,
        deadline: Timestamp,
        begin: &BeginUpload,
        answer: Answer<Begun>,
    ) {
        let file = FileId::from_u128((self.settings.chance)());
        let planned = self.plan_begin(now, begin, file);
        let term = self.log.term();
        let replaced = match planned.as_ref().map(|planned| &planned.answer.0) {
            Ok(plan::Begun::Open { replaced }) => *replaced,
            Ok(plan::Begun::Known(_) | plan::Begun::Already(_)) | Err(_) => None,
        };
        let drops = replaced
            .zip(term)
            .map(|(old, term)| self.drop_of(old, term));
        self.carry_out(
            now,
            deadline,
            begin.request,
            planned,
            answer,
            drops.into_iter().collect(),
            |(begun, open)| match begun {
                plan::Begun::Already(Stored { name, record }) => {
                    Begun::Already(FileInfo { name, record })
                }
                plan::Begun::Open { .. } | plan::Begun::Known(_) => Begun::Open(open),
            },
        );
    }

    fn plan_begin(
        &self,
        now: Now,
        begin: &BeginUpload,
        file: FileId,
    ) -> Result<plan::Planned<(plan::Begun, OpenUpload)>, Error> {
        let at = self.next(now).ok_or(Error::NoLeader)?;
        let term = self.log.term().ok_or(Error::NoLeader)?;
        let cluster = self
            .planned
            .cluster
            .as_ref()
            .ok_or(Error::NotBootstrapped)?;
        let chunk_size = begin.chunk_size.unwrap_or(cluster.chunk_size);
        let by_policy = Wanted::by_policy(cluster.replicas);
        let wanted_copies = begin.replicas.map_or(by_policy, Wanted::exactly);
        let replicas = wanted_copies.under(cluster.replicas);
        let open = OpenUpload {
            file,
            term,
            begun_at: at.index,
            chunk_size,
            replicas,
        };
        let wanted = plan::Begin {
            request: begin.request,
            file,
            name: begin.name.clone(),
            chunk_size,
            replicas: wanted_copies,
            content_type: begin.content_type.clone(),
            labels: begin.labels.clone(),
            precondition: begin.precondition.clone(),
            session: begin.session,
            holder: begin.holder,
        };
        let view = self.view()?;
        let plan::Planned { puts, answer } = plan::plan_begin(&view, wanted, at)?;
        let open = match answer {
            plan::Begun::Known(file) => self.open_upload(&view, file, term)?,
            plan::Begun::Open { .. } if begin.session.is_some() => {
                self.check_quota(begin.holder)?;
                open
            }
            plan::Begun::Open { .. } | plan::Begun::Already(_) => open,
        };
        Ok(plan::Planned {
            puts,
            answer: (answer, open),
        })
    }

    /// Chooses the disks of a chunk: the holders of its partition first, then others by a hash, so
    /// that the chunks of a dead holder spread over all who are left. Fewer than wanted only if no more
    /// can be had and the policy lets so many suffice.
    pub(super) fn place(&mut self, now: Now, place: &Place) -> Result<Vec<Site>, Error> {
        let key = Key::Upload(place.file);
        let upload: UploadRecord = get(&self.view()?, &key)
            .map_err(Refusal::from)?
            .ok_or(Error::UploadNotOpen { file: place.file })?;
        let copies = upload.copies(self.planned.replicas());
        let wanted = usize::from(copies.get());
        let partition = ChunkId {
            file: place.file,
            index: place.chunk,
        }
        .partition();
        let holders = self.planned.targets(partition);
        let holders = holders.iter().copied().take(wanted);
        let mut others: Vec<(u64, DiskId)> = self
            .planned
            .members
            .keys()
            .map(|&disk| (affinity(place.file, disk), disk))
            .collect();
        others.sort_unstable();
        // What is slow is not needed, if there are enough others.
        let slow = self.fleet.slow(now.mono);
        let mut candidates: Vec<DiskId> = holders.collect();
        candidates.extend(others.into_iter().map(|(_, disk)| disk));
        candidates.sort_by_key(|disk| slow.contains(disk));
        let mut chosen: Vec<DiskId> = Vec::new();
        let mut looked_at = BTreeSet::new();
        let (mut live, mut roomy) = (0, 0);
        for disk in candidates {
            if !looked_at.insert(disk)
                || place.avoid.contains(&disk)
                || !self.planned.accepts(disk)
                || !self.fleet.takes_chunks(disk, now.mono)
            {
                continue;
            }
            live += 1;
            let free = self
                .fleet
                .get(disk)
                .map_or(0, |observed| observed.beat.free_bytes);
            if free >= place.bytes {
                roomy += 1;
                chosen.push(disk);
            }
            if chosen.len() == wanted {
                break;
            }
        }
        if let Some(activity) = self.uploads.get_mut(&place.file) {
            activity.last = now.mono;
            activity.disks.extend(chosen.iter().copied());
        }
        if chosen.len() < wanted && live >= wanted {
            self.upkeep.want_room(now.mono, place.bytes);
            return Err(Error::NoSpace {
                wanted,
                found: roomy,
                bytes: place.bytes,
            });
        }
        if chosen.len() < self.least_copies(copies) {
            return Err(Error::TooFewWorkers {
                wanted,
                found: live,
            });
        }
        Ok(chosen
            .into_iter()
            .filter_map(|disk| self.site(now, disk))
            .collect())
    }

    /// A disk with its address, if it was ever heard of.
    pub(super) fn site(&self, now: Now, disk: DiskId) -> Option<Site> {
        let url = self.fleet.url(disk)?.to_owned();
        let live = self.fleet.liveness(disk, now.mono) == Liveness::Live;
        Some(Site { disk, url, live })
    }

    pub(super) fn commit_upload(
        &mut self,
        now: Now,
        deadline: Timestamp,
        commit: CommitUpload,
        answer: Answer<FileInfo>,
    ) {
        let file = commit.file;
        if let Some(info) = self.committed_before(file) {
            let certain = move |certain: Result<(), Error>| {
                respond(answer, certain.map(|()| info));
            };
            self.when_certain(now, deadline, Box::new(certain));
            return;
        }
        let copies = commit.copies.iter().map(|copies| &copies.disks);
        let kept_by_retiring = self.is_kept_by_retiring(now, copies);
        let planned = match self.plan_commit(now, commit) {
            Ok(planned) => planned,
            Err(refusal) => return self.refuse(now, deadline, (None, Some(file)), refusal, answer),
        };
        let Stored { name, record } = planned.answer.clone();
        let info = FileInfo { name, record };
        let appended = self.carry_out(
            now,
            deadline,
            None,
            Ok(planned),
            answer,
            Vec::new(),
            |Stored { name, record }| FileInfo { name, record },
        );
        if appended && kept_by_retiring {
            self.note_kept_by_retiring();
        }
        if appended {
            self.recent.push_back((file, info));
            if self.recent.len() > MAX_RECENT {
                self.recent.pop_front();
            }
        }
    }

    /// Keeps what is known of open uploads in step with the log.
    pub(super) fn note_upload(&mut self, now: Now, step: &Step) {
        match step {
            Step::UploadAdded(file, _) => {
                let activity = Activity {
                    last: now.mono,
                    disks: BTreeSet::new(),
                    inherited: None,
                };
                self.uploads.insert(*file, activity);
            }
            Step::UploadRemoved(file) => {
                self.uploads.remove(file);
            }
            Step::ChunkAdded(chunk, _) => {
                if let Some(activity) = self.uploads.get_mut(&chunk.file) {
                    activity.last = now.mono;
                }
            }
            Step::ChunkRemoved(..)
            | Step::EndedAdded(..)
            | Step::EndedRemoved(..)
            | Step::Cluster(_)
            | Step::Member(..)
            | Step::Holders(..)
            | Step::Move(..)
            | Step::FileAdded(..)
            | Step::FileRemoved(..)
            | Step::TrashAdded(..)
            | Step::TrashRemoved(..) => {}
        }
    }

    /// The file that an upload became, if its commit is in the log: a gateway asks again when it
    /// did not hear of it.
    fn committed_before(&self, file: FileId) -> Option<FileInfo> {
        let (_, info) = self.recent.iter().find(|(recent, _)| *recent == file)?;
        let key = Key::File(info.name.clone());
        let present: Option<FileRecord> = get(&self.view().ok()?, &key).ok()?;
        present
            .filter(|present| present.file == file)
            .map(|_| info.clone())
    }

    fn plan_commit(&self, now: Now, commit: CommitUpload) -> Result<plan::Planned<Stored>, Error> {
        let term = self.log.term().ok_or(Error::NoLeader)?;
        if !fence::counts(commit.term, term) {
            return Err(Error::VerifyFirst { term });
        }
        let at = self.next(now).ok_or(Error::NoLeader)?;
        self.check_present(commit.copies.iter().flat_map(|copies| &copies.disks))?;
        let copies = commit.copies.into_iter().map(|copies| Copies {
            first_chunk: copies.first_chunk,
            chunks: copies.chunks,
            disks: copies.disks,
        });
        let view = self.view()?;
        let commit = plan::Commit {
            recorded: recorded(&view, commit.file),
            file: commit.file,
            layout: commit.layout,
            crc32: commit.crc32,
            blake3: commit.blake3,
            copies: copies.collect(),
        };
        Ok(plan::plan_commit(&view, commit, at)?)
    }

    pub(super) fn abort_upload(
        &mut self,
        now: Now,
        deadline: Timestamp,
        file: FileId,
        answer: Answer<()>,
    ) {
        let planned = self.plan_abort(now, file, UploadEnd::Aborted);
        // Only this entry makes its chunks garbage: after a commit there is no upload to end.
        let drops = match (&planned, self.log.term()) {
            (Ok(planned), Some(term)) if planned.answer => Some(self.drop_of(file, term)),
            _ => None,
        };
        self.carry_out(
            now,
            deadline,
            None,
            planned,
            answer,
            drops.into_iter().collect(),
            |_| (),
        );
    }

    /// Plans the end of an upload without a file.
    pub(super) fn plan_abort(
        &self,
        now: Now,
        file: FileId,
        end: UploadEnd,
    ) -> Result<plan::Planned<bool>, Error> {
        let at = self.next(now).ok_or(Error::NoLeader)?;
        let view = self.view()?;
        let recorded = recorded(&view, file);
        Ok(plan::plan_abort(&view, file, recorded, end, at)?)
    }

    /// The order to drop a file id, to be given once the log says that nobody needs it.
    pub(super) fn drop_of(&self, file: FileId, term: Term) -> Effect {
        if self.recovers() {
            // It is garbage when the recovery ends.
            let sites = Vec::new();
            return Effect::Drop { file, term, sites };
        }
        let own = self.uploads.get(&file).filter(|it| it.inherited.is_none());
        let sent = own.map(|activity| &activity.disks);
        let sites = self
            .planned
            .members
            .keys()
            .filter(|disk| sent.is_none_or(|sent| sent.contains(disk)))
            .filter_map(|&disk| Some((disk, self.fleet.url(disk)?.to_owned())))
            .collect();
        Effect::Drop { file, term, sites }
    }
}

/// The keys of all chunks recorded of an upload.
pub(super) fn recorded(view: &View<'_>, file: FileId) -> Vec<Vec<u8>> {
    let prefix = Key::chunks_of(file);
    let keys = view.range(&prefix, None).map(|(key, _)| key.to_vec());
    keys.collect()
}
