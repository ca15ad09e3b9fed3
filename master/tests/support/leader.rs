//! A leader that knows files, uploads and where chunks are, and forgets all of it at the end.

use mdfs_core::chunk::ChunkSize;
use mdfs_core::id::{ClusterId, DiskId, FileId, Incarnation, Term};
use mdfs_core::name::FileName;
use mdfs_core::records::FileRecord;
use mdfs_core::ring::ReplicationFactor;
use mdfs_core::time::LogTime;
use mdfs_master::error::Error;
use mdfs_master::leader::command::{
    BeginUpload, Begun, Bootstrapped, CommitUpload, Copies, FileInfo, FileView, OpenUpload, Page,
    Place, Site, SitesOfRun,
};
use mdfs_master::leader::handle::{LeaderHandle, Question};
use mdfs_protocol::internal::HeartbeatReply;
use mdfs_protocol::public::{Health, Status, Workers};
use mdfs_service::Tasks;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::mpsc;

pub(crate) const NOW: LogTime = LogTime::from_millis(1_700_000_000_000);

#[derive(Clone)]
pub(crate) struct FakeLeader {
    handle: LeaderHandle,
    state: Arc<Mutex<State>>,
}

pub(crate) struct State {
    pub(crate) files: BTreeMap<FileName, (FileRecord, Vec<Copies>)>,
    pub(crate) open: BTreeMap<FileId, BeginUpload>,
    pub(crate) aborted: Vec<FileId>,
    pub(crate) places: Vec<Place>,
    pub(crate) commits: Vec<CommitUpload>,
    /// Every worker, in the order of preference.
    pub(crate) sites: Vec<Site>,
    /// What is answered to every question, if anything.
    pub(crate) refuse: Option<fn() -> Error>,
    /// What is answered to the next question for a place.
    pub(crate) refuse_place: Option<fn() -> Error>,
    /// The term in which copies have to be verified.
    pub(crate) term: Term,
    next: u64,
}

pub(crate) fn term(round: u64) -> Term {
    Term {
        round,
        incarnation: Incarnation(7),
    }
}

impl FakeLeader {
    pub(crate) fn start(tasks: &Tasks, sites: Vec<Site>) -> Self {
        let (sender, mut inbox) = mpsc::channel(64);
        let state = Arc::new(Mutex::new(State {
            files: BTreeMap::new(),
            open: BTreeMap::new(),
            aborted: Vec::new(),
            places: Vec::new(),
            commits: Vec::new(),
            sites,
            refuse: None,
            refuse_place: None,
            term: term(1),
            next: 1,
        }));
        let shared = Arc::clone(&state);
        let _running = tasks.spawn_request("leader", async move {
            while let Some(question) = inbox.recv().await {
                shared.lock().unwrap().answer(question);
            }
        });
        Self {
            handle: LeaderHandle::new(sender),
            state,
        }
    }

    pub(crate) fn handle(&self) -> LeaderHandle {
        self.handle.clone()
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl State {
    fn answer(&mut self, question: Question) {
        if let Question::Status(answer) = question {
            let _ = answer.send(Ok(self.status()));
            return;
        }
        macro_rules! reply {
            ($answer:expr, $value:expr) => {{
                let value = match self.refuse {
                    Some(refuse) => Err(refuse()),
                    None => $value,
                };
                let _ = $answer.send(value);
            }};
        }
        match question {
            Question::BeginUpload(begin, answer) => reply!(answer, self.begin(begin)),
            Question::Place(place, answer) => reply!(answer, self.place(place)),
            Question::CommitUpload(commit, answer) => reply!(answer, self.commit(commit)),
            Question::AbortUpload(file, answer) => {
                self.open.remove(&file);
                self.aborted.push(file);
                reply!(answer, Ok(()));
            }
            Question::Lookup(name, answer) => reply!(answer, self.look_up(name)),
            Question::List(list, answer) => {
                let names = self
                    .files
                    .keys()
                    .filter(|n| n.as_str().starts_with(&list.prefix));
                let files = names.map(|name| self.info(name)).take(list.limit).collect();
                reply!(
                    answer,
                    Ok(Page {
                        files,
                        folders: Vec::new(),
                        next: None
                    })
                );
            }
            Question::Delete(delete, answer) => {
                let current = self.files.get(&delete.name).map(|(record, _)| record);
                let checked = match (delete.precondition.check(current), current) {
                    (Err(what), _) => Err(Error::PreconditionFailed {
                        name: delete.name.to_string(),
                        what,
                    }),
                    (Ok(()), None) => Err(Error::FileNotFound {
                        name: delete.name.to_string(),
                    }),
                    (Ok(()), Some(_)) => Ok(()),
                };
                if checked.is_ok() {
                    self.files.remove(&delete.name);
                }
                reply!(answer, checked);
            }
            Question::Rename(rename, answer) => {
                let moved = match self.files.remove(&rename.from) {
                    Some(file) => {
                        self.files.insert(rename.to.clone(), file);
                        Ok(self.info(&rename.to))
                    }
                    None => Err(Error::FileNotFound {
                        name: rename.from.to_string(),
                    }),
                };
                reply!(answer, moved);
            }
            Question::Bootstrap(_, answer) => {
                reply!(
                    answer,
                    Ok(Bootstrapped {
                        cluster: ClusterId::from_u128(1)
                    })
                );
            }
            Question::Heartbeat(_, _, answer) => {
                reply!(
                    answer,
                    Ok(HeartbeatReply {
                        leader: None,
                        directory: None,
                        known: None,
                        orders: Vec::new()
                    })
                );
            }
            Question::Status(_) => {}
            Question::Order(_, answer) => reply!(answer, Ok(())),
            Question::Workers(answer) => reply!(
                answer,
                Ok(Workers {
                    workers: Vec::new()
                })
            ),
        }
    }

    fn begin(&mut self, begin: BeginUpload) -> Result<Begun, Error> {
        let current = self.files.get(&begin.name).map(|(record, _)| record);
        if let Err(what) = begin.precondition.check(current) {
            return Err(Error::PreconditionFailed {
                name: begin.name.to_string(),
                what,
            });
        }
        if let (Some(_), true) = (begin.request, current.is_some()) {
            return Ok(Begun::Already(self.info(&begin.name)));
        }
        self.next += 1;
        let file = FileId::from_u128(u128::from(self.next));
        let open = OpenUpload {
            file,
            term: self.term,
            begun_at: self.next,
            chunk_size: begin.chunk_size.unwrap_or(ChunkSize::new(4 << 20).unwrap()),
            replicas: begin.replicas.unwrap_or_default(),
        };
        self.open.insert(file, begin);
        Ok(Begun::Open(open))
    }

    fn place(&mut self, place: Place) -> Result<Vec<Site>, Error> {
        self.places.push(place.clone());
        if let Some(refuse) = self.refuse_place.take() {
            return Err(refuse());
        }
        let replicas = self.open.get(&place.file).and_then(|begin| begin.replicas);
        let wanted = usize::from(replicas.unwrap_or_default().get());
        let fit = |site: &&Site| site.live && !place.avoid.contains(&site.disk);
        let sites: Vec<_> = self
            .sites
            .iter()
            .filter(fit)
            .take(wanted)
            .cloned()
            .collect();
        if sites.len() < wanted {
            return Err(Error::TooFewWorkers {
                wanted,
                found: sites.len(),
            });
        }
        Ok(sites)
    }

    fn commit(&mut self, commit: CommitUpload) -> Result<FileInfo, Error> {
        self.commits.push(commit.clone());
        if commit.term != self.term {
            return Err(Error::VerifyFirst { term: self.term });
        }
        let begin = self.open.remove(&commit.file);
        let begin = begin.ok_or(Error::UploadNotOpen { file: commit.file })?;
        self.next += 1;
        let record = FileRecord {
            version: self.next,
            file: commit.file,
            size: commit.layout.total_bytes(),
            layout: commit.layout,
            chunk_size: begin.chunk_size.unwrap_or_default(),
            replicas: begin.replicas.unwrap_or(ReplicationFactor::DEFAULT),
            crc32: commit.crc32,
            blake3: commit.blake3,
            content_type: begin.content_type,
            modified: LogTime::from_millis(NOW.as_millis() - 5_500),
            exceptions: Vec::new(),
        };
        self.files
            .insert(begin.name.clone(), (record, commit.copies));
        Ok(self.info(&begin.name))
    }

    fn info(&self, name: &FileName) -> FileInfo {
        FileInfo {
            name: name.clone(),
            record: self.files[name].0.clone(),
        }
    }

    fn look_up(&mut self, name: FileName) -> Result<FileView, Error> {
        let Some((_, copies)) = self.files.get(&name) else {
            return Err(Error::FileNotFound {
                name: name.to_string(),
            });
        };
        let site = |disk: &DiskId| self.sites.iter().find(|site| site.disk == *disk).cloned();
        let sites = copies
            .iter()
            .map(|run| SitesOfRun {
                first_chunk: run.first_chunk,
                chunks: run.chunks,
                sites: run.disks.iter().filter_map(site).collect(),
            })
            .collect();
        Ok(FileView {
            info: self.info(&name),
            sites,
            log_time: NOW,
        })
    }

    fn status(&self) -> Status {
        Status {
            cluster_id: None,
            health: if self.refuse.is_some() {
                Health::Unknown
            } else {
                Health::Ok
            },
            reasons: Vec::new(),
            files: u64::try_from(self.files.len()).unwrap(),
            bytes: 0,
            trashed_files: 0,
            open_uploads: 0,
            under_replicated_files: 0,
            missing_files: 0,
            damaged_chunks: 0,
            excess_copies: 0,
            at_risk: Vec::new(),
            counted_millis_ago: Some(0),
            copies_to_make: 0,
            bytes_to_copy: 0,
            moving_partitions: 0,
            repair_paused: false,
            live_workers: u64::try_from(self.sites.len()).unwrap(),
            workers: 0,
            leased_voters: 0,
            voters: 0,
            replicas: 2,
            chunk_size: 0,
            term: None,
            commit: 0,
        }
    }
}
