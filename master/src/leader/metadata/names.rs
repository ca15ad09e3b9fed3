//! Names: looked up, listed, deleted, moved.

use super::super::catalog::prefix;
use super::super::command::{
    Delete, FileInfo, FileView, List, Page, Rename, SetLabels, Site, SitesOfRun,
};
use super::super::handle::Answer;
use super::{Metadata, Now, respond};
use crate::error::Error;
use mdfs_core::chunk::ChunkId;
use mdfs_core::detect::Liveness;
use mdfs_core::digest::Digest;
use mdfs_core::id::DiskId;
use mdfs_core::name::FileName;
use mdfs_core::partition::{CHUNKS_PER_GROUP, Partition, partition_of};
use mdfs_core::records::plan::{
    Refusal, Renamed, copies_of, plan_delete, plan_labels, plan_rename,
};
use mdfs_core::records::{Copies, FileRecord, Key, Kind, MemberState, decode, get};
use mdfs_core::time::Timestamp;
use std::collections::BTreeSet;

/// Of a disk that holds no chunk of a partition, and should hold none.
const NOTHING: Option<(Digest, Digest)> = Some((Digest::EMPTY, Digest::EMPTY));

fn file_info(Renamed { name, record }: Renamed) -> FileInfo {
    FileInfo { name, record }
}

impl Metadata {
    pub(super) fn look_up(
        &mut self,
        now: Now,
        deadline: Timestamp,
        name: FileName,
        answer: Answer<FileView>,
    ) {
        let read = move |metadata: Result<&Metadata, Error>, now| {
            respond(
                answer,
                metadata.and_then(|metadata| metadata.file_view(now, name)),
            );
        };
        self.read(now, deadline, Box::new(read));
    }

    pub(super) fn who_may_have(
        &mut self,
        now: Now,
        deadline: Timestamp,
        chunk: ChunkId,
        answer: Answer<Vec<Site>>,
    ) {
        let read = move |metadata: Result<&Metadata, Error>, now| {
            respond(
                answer,
                metadata.map(|metadata| metadata.may_have(now, chunk)),
            );
        };
        self.read(now, deadline, Box::new(read));
    }

    pub(super) fn list(&mut self, now: Now, deadline: Timestamp, list: List, answer: Answer<Page>) {
        let read = move |metadata: Result<&Metadata, Error>, _| {
            respond(answer, metadata.and_then(|metadata| metadata.page(&list)));
        };
        self.read(now, deadline, Box::new(read));
    }

    pub(super) fn delete(
        &mut self,
        now: Now,
        deadline: Timestamp,
        delete: Delete,
        answer: Answer<()>,
    ) {
        let planned = self.next(now).ok_or(Error::NoLeader).and_then(|at| {
            let view = self.view()?;
            Ok(plan_delete(
                &view,
                delete.request,
                &delete.name,
                &delete.precondition,
                at,
            )?)
        });
        let request = delete.request;
        self.carry_out(now, deadline, request, planned, answer, Vec::new(), |()| ());
    }

    pub(super) fn rename(
        &mut self,
        now: Now,
        deadline: Timestamp,
        rename: Rename,
        answer: Answer<FileInfo>,
    ) {
        let Rename {
            request,
            from,
            to,
            overwrite,
        } = rename;
        let planned = self.next(now).ok_or(Error::NoLeader).and_then(|at| {
            Ok(plan_rename(
                &self.view()?,
                request,
                &from,
                &to,
                overwrite,
                at,
            )?)
        });
        self.carry_out(
            now,
            deadline,
            request,
            planned,
            answer,
            Vec::new(),
            file_info,
        );
    }

    pub(super) fn set_labels(
        &mut self,
        now: Now,
        deadline: Timestamp,
        set: SetLabels,
        answer: Answer<FileInfo>,
    ) {
        let SetLabels {
            request,
            name,
            change,
            precondition,
        } = set;
        let planned = self.next(now).ok_or(Error::NoLeader).and_then(|at| {
            let view = self.view()?;
            Ok(plan_labels(
                &view,
                request,
                &name,
                change,
                &precondition,
                at,
            )?)
        });
        self.carry_out(
            now,
            deadline,
            request,
            planned,
            answer,
            Vec::new(),
            file_info,
        );
    }

    fn file_view(&self, now: Now, name: FileName) -> Result<FileView, Error> {
        let table = self.log.committed().ok_or(Error::NoLeader)?;
        let record: FileRecord = get(table, &Key::File(name.clone()))
            .map_err(Refusal::from)?
            .ok_or_else(|| Error::FileNotFound {
                name: name.to_string(),
            })?;
        let runs = copies_of(table, &record)?;
        let sites = runs
            .into_iter()
            .map(|run| {
                let moving = self.moving_of(&record, &run);
                SitesOfRun {
                    first_chunk: run.first_chunk,
                    chunks: run.chunks,
                    sites: self.best_first(now, &run.disks, &moving, record.version),
                    moving,
                }
            })
            .collect();
        let log_time = self.log.log_time(now.mono).unwrap_or_default();
        Ok(FileView {
            info: self.told(name, record),
            sites,
            log_time,
            term: self.log.term().ok_or(Error::NoLeader)?,
        })
    }

    /// A file with as many copies as it should have now.
    pub(super) fn told(&self, name: FileName, mut record: FileRecord) -> FileInfo {
        record.replicas = record.replicas.told_under(self.catalog.replicas());
        FileInfo { name, record }
    }

    /// The disks of a run that need not have all of it, as a partition of it is moving: they have a
    /// copy only before that, or only after.
    fn moving_of(&self, record: &FileRecord, run: &Copies) -> Vec<DiskId> {
        let (moves, assignment) = (&self.catalog.moves, &self.catalog.assignment);
        if moves.is_empty() || run.chunks == 0 {
            return Vec::new();
        }
        let copies = record.replicas.under(self.catalog.replicas()).get();
        let among = |list: &[DiskId], disk: &DiskId| {
            list.iter().take(usize::from(copies)).any(|it| it == disk)
        };
        let last = run.end().saturating_sub(1);
        let groups = run.first_chunk / CHUNKS_PER_GROUP..=last / CHUNKS_PER_GROUP;
        let partitions: BTreeSet<Partition> = groups
            .map(|group| partition_of(record.file, group * CHUNKS_PER_GROUP))
            .collect();
        let comes_or_goes = |disk: &&DiskId| {
            partitions.iter().any(|partition| {
                moves.get(partition).is_some_and(|to| {
                    !(among(to, disk) && among(assignment.holders(*partition), disk))
                })
            })
        };
        run.disks.iter().filter(comes_or_goes).copied().collect()
    }

    /// Who may have a chunk, whether they should or not. One that left, or was lost and came back, keeps its
    /// copies until others have them; what one that does not answer has got since is not known.
    fn may_have(&self, now: Now, chunk: ChunkId) -> Vec<Site> {
        let partition = chunk.partition();
        let has_none = |disk: DiskId| {
            self.fleet.liveness(disk, now.mono) == Liveness::Live
                && self.truth.state(disk, partition, &self.catalog) == NOTHING
        };
        let present = self.catalog.present().map(|(disk, _)| disk);
        let disks: Vec<DiskId> = present.filter(|disk| !has_none(*disk)).collect();
        self.best_first(now, &disks, &[], u64::from(chunk.index))
    }

    /// Live disks first, and those of which nothing moves. Among equals another one leads for each
    /// version, so that readers spread. Those that were not heard of are named too, without an address:
    /// they may have the only good copy.
    fn best_first(&self, now: Now, disks: &[DiskId], moving: &[DiskId], version: u64) -> Vec<Site> {
        let mut disks = disks.to_vec();
        if let Some(turn) = usize::try_from(version)
            .ok()
            .and_then(|v| v.checked_rem(disks.len()))
        {
            disks.rotate_left(turn);
        }
        let rank = |disk: &DiskId| match self.fleet.liveness(*disk, now.mono) {
            Liveness::Live => self
                .fleet
                .get(*disk)
                .map_or(3, |o| u8::from(o.beat.leaving)),
            Liveness::Suspect => 2,
            Liveness::Dead => 3,
        };
        disks.sort_by_key(|disk| (rank(disk), moving.contains(disk)));
        let members = &self.catalog.members;
        let retired =
            |disk| (members.get(&disk)).is_some_and(|it| it.state == MemberState::Retired);
        let unheard = |disk| Site {
            disk,
            url: String::new(),
            live: false,
        };
        let site = |disk| {
            let heard = self.site(now, disk);
            heard.or_else(|| (!retired(disk)).then(|| unheard(disk)))
        };
        disks.into_iter().filter_map(site).collect()
    }

    fn page(&self, list: &List) -> Result<Page, Error> {
        let table = self.log.committed().ok_or(Error::NoLeader)?;
        let tag = prefix(Kind::File);
        let key = |name: &str| [&tag[..], name.as_bytes()].concat();
        let wanted = key(&list.prefix);
        let mut after = list.after.as_deref().map(key);
        let mut page = Page::default();
        loop {
            let mut behind_folder = None;
            for (found, value) in table.range(&wanted, after.as_deref()) {
                let Some(name) = found
                    .get(1..)
                    .and_then(|name| std::str::from_utf8(name).ok())
                else {
                    return Err(Error::Broken("a file's name is not UTF-8".into()));
                };
                // The page is cut before the first name that does not fit.
                if page.files.len() + page.folders.len() >= list.limit {
                    page.next = after_of(&page);
                    return Ok(page);
                }
                if let Some(folder) = folder_of(list, name) {
                    // The whole folder stands for one line.
                    behind_folder = Some(behind(&key(folder)));
                    if list.after.as_deref().is_none_or(|after| after < folder) {
                        page.folders.push(folder.to_owned());
                    }
                    break;
                }
                let record = decode(value).map_err(Refusal::from)?;
                let name = FileName::parse(name)
                    .map_err(|invalid| Error::Broken(format!("a stored name: {invalid}")))?;
                page.files.push(self.told(name, record));
            }
            match behind_folder {
                Some(behind) => after = Some(behind),
                None => return Ok(page),
            }
        }
    }
}

/// The folder, delimiter included, that stands for a name; none if the name itself is shown.
fn folder_of<'a>(list: &List, name: &'a str) -> Option<&'a str> {
    let delimiter = list.delimiter?;
    let rest = name.get(list.prefix.len()..)?;
    let end = list.prefix.len() + rest.find(delimiter)? + delimiter.len_utf8();
    name.get(..end)
}

/// A key that sorts behind all names that start with `folder`: no name has a byte 0xff.
fn behind(folder: &[u8]) -> Vec<u8> {
    [folder, &[0xff]].concat()
}

/// Where the next page goes on: behind the last thing shown.
fn after_of(page: &Page) -> Option<String> {
    let file = page.files.last().map(|info| info.name.as_str());
    let folder = page.folders.last().map(String::as_str);
    file.max(folder).map(ToOwned::to_owned)
}
