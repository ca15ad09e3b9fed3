//! A leader that knows files, uploads and where chunks are, and forgets all of it at the end.

use mdfs_core::chunk::ChunkSize;
use mdfs_core::id::{ClusterId, DiskId, FileId, Incarnation, RequestId, Term, TokenId};
use mdfs_core::log::table::Table;
use mdfs_core::name::FileName;
use mdfs_core::records::plan::{At, ImportResult, Trashed, plan_import};
use mdfs_core::records::{ClusterRecord, FileRecord, Key, TokenRecord, Wanted, put};
use mdfs_core::ring::ReplicationFactor;
use mdfs_core::time::LogTime;
use mdfs_master::error::Error;
use mdfs_master::leader::browse::{Counted, Records};
use mdfs_master::leader::command::{
    BeginUpload, Begun, Bootstrapped, CommitUpload, Copies, Delete, Export, FileInfo, FileView,
    Import, ImportStep, ListTrash, OpenUpload, Page, Place, RecordChunk, SetLabels, Site,
    SitesOfRun, Token, TrashPage, TrashedFile,
};
use mdfs_master::leader::following::Following;
use mdfs_master::leader::handle::{LeaderHandle, Question};
use mdfs_protocol::feed::FeedReply;
use mdfs_protocol::internal::HeartbeatReply;
use mdfs_protocol::public::{Health, Status, Workers};
use mdfs_service::Tasks;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::mpsc;

pub(crate) const CHUNK_SIZE: ChunkSize = match ChunkSize::new(4 << 20) {
    Ok(size) => size,
    Err(_) => ChunkSize::MIN,
};
pub(crate) const NOW: LogTime = LogTime::from_millis(1_700_000_000_000);

#[derive(Clone)]
pub(crate) struct FakeLeader {
    handle: LeaderHandle,
    state: Arc<Mutex<State>>,
}

pub(crate) struct State {
    pub(crate) files: BTreeMap<FileName, (FileRecord, Vec<Copies>)>,
    /// Deleted files, the oldest first.
    pub(crate) trash: Vec<(FileName, FileRecord, Vec<Copies>)>,
    /// The ids that changes came with.
    pub(crate) requests: Vec<Option<RequestId>>,
    pub(crate) open: BTreeMap<FileId, BeginUpload>,
    /// Chunks recorded of sessions.
    pub(crate) recorded: BTreeMap<FileId, BTreeMap<u32, RecordChunk>>,
    /// What sessions became, or none.
    pub(crate) ended: BTreeMap<FileId, Option<FileName>>,
    pub(crate) aborted: Vec<FileId>,
    pub(crate) tokens: BTreeMap<TokenId, TokenRecord>,
    /// How often a token was asked for.
    pub(crate) token_questions: usize,
    pub(crate) places: Vec<Place>,
    pub(crate) commits: Vec<CommitUpload>,
    /// Every worker, in the order of preference.
    pub(crate) sites: Vec<Site>,
    /// What is answered to every question, if anything.
    pub(crate) refuse: Option<fn() -> Error>,
    /// What is answered to the next question for a place.
    pub(crate) refuse_place: Option<fn() -> Error>,
    /// The disk that is retired when a copy on it is to be counted next.
    pub(crate) retires: Option<DiskId>,
    /// A disk to which all chunks are moving.
    pub(crate) moving_to: Option<DiskId>,
    /// Disks that should have no chunk and may have some.
    pub(crate) others: Vec<DiskId>,
    /// What is so once a file was looked up.
    pub(crate) after_look_up: Option<fn(&mut State)>,
    /// What is exported, and imported into.
    pub(crate) records: Table,
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

/// The records of a cluster without files.
fn records() -> Table {
    let mut records = Table::default();
    records.apply(&put(&Key::Cluster, &cluster_record()).unwrap());
    records
}

pub(crate) fn cluster_record() -> ClusterRecord {
    ClusterRecord {
        cluster: ClusterId::from_u128(1),
        replicas: ReplicationFactor::DEFAULT,
        lowering: None,
        chunk_size: CHUNK_SIZE,
        repair_delay_seconds: 300,
        trash_keep_seconds: 1000,
        lower_after_seconds: 600,
        founders: [DiskId::from_u128(1)].into(),
        format: 1,
        recovery: None,
        voters_wanted: 3,
        min_write_copies: None,
    }
}

impl FakeLeader {
    pub(crate) fn start(tasks: &Tasks, sites: Vec<Site>) -> Self {
        let (sender, mut inbox) = mpsc::channel(64);
        let state = Arc::new(Mutex::new(State {
            files: BTreeMap::new(),
            trash: Vec::new(),
            requests: Vec::new(),
            open: BTreeMap::new(),
            recorded: BTreeMap::new(),
            ended: BTreeMap::new(),
            aborted: Vec::new(),
            tokens: BTreeMap::new(),
            token_questions: 0,
            places: Vec::new(),
            commits: Vec::new(),
            sites,
            refuse: None,
            refuse_place: None,
            retires: None,
            moving_to: None,
            others: Vec::new(),
            after_look_up: None,
            records: records(),
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
            Question::BeginUpload(begin, answer) => reply!(answer, self.begin(*begin)),
            Question::Place(place, answer) => reply!(answer, self.place(place)),
            Question::RecordChunk(chunk, answer) => reply!(answer, self.record(chunk)),
            Question::FindUpload(find, answer) => reply!(answer, self.find(find)),
            Question::ListUploads(list, answer) => reply!(answer, Ok(self.upload_page(list))),
            Question::CommitUpload(commit, answer) => reply!(answer, self.commit(commit)),
            Question::AbortUpload(file, answer) => {
                let open = self.open.remove(&file);
                if open.is_some_and(|begin| begin.session.is_some()) {
                    self.ended.insert(file, None);
                }
                self.aborted.push(file);
                reply!(answer, Ok(()));
            }
            Question::Lookup(name, answer) => reply!(answer, self.look_up(name)),
            Question::WhoMayHave(_, answer) => {
                let others = self.others.iter().map(|disk| self.site(disk)).collect();
                reply!(answer, Ok(others));
            }
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
            Question::Delete(delete, answer) => reply!(answer, self.delete(delete, false)),
            Question::Purge(delete, answer) => reply!(answer, self.delete(delete, true)),
            Question::Undelete(undelete, answer) => {
                self.requests.push(undelete.request);
                reply!(answer, self.undelete(undelete.name));
            }
            Question::ListTrash(list, answer) => reply!(answer, Ok(self.trash_page(list))),
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
            Question::SetLabels(set, answer) => {
                let SetLabels { name, change, .. } = *set;
                if let Some((file, _)) = self.files.get_mut(&name) {
                    if let Some(attributes) = change.attributes {
                        file.labels.attributes = attributes;
                    }
                    if let Some(content_type) = change.content_type {
                        file.content_type = content_type;
                    }
                }
                reply!(answer, self.look_up(name).map(|view| view.info));
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
                        accepted: false,
                        directory: None,
                        masters: None,
                        known: None,
                        orders: Vec::new()
                    })
                );
            }
            Question::Status(_) | Question::Policy(_) | Question::ChangePolicy(..) => {}
            Question::Following(Following::Serve(_, answer)) => {
                reply!(answer, Ok(FeedReply::Ended { leader: None }));
            }
            // Nobody is followed here.
            Question::Following(_) => {}
            Question::Present(_) | Question::Masters(_) => {}
            Question::Order(_, answer) | Question::Hello(_, answer) => reply!(answer, Ok(())),
            Question::Token(token, answer) => {
                self.token_questions += 1;
                reply!(answer, Ok(self.tokens.get(&token).cloned()));
            }
            Question::Tokens(answer) => {
                let tokens = self.tokens.iter().map(|(id, record)| Token {
                    id: *id,
                    record: record.clone(),
                });
                reply!(answer, Ok(tokens.collect()));
            }
            Question::AddToken(token, answer) => {
                self.tokens.insert(token.id, token.record);
                reply!(answer, Ok(()));
            }
            Question::RevokeToken(token, answer) => {
                let revoked = self.tokens.remove(&token);
                reply!(answer, revoked.ok_or(Error::TokenNotFound { token }));
            }
            Question::Export(answer) => reply!(
                answer,
                Ok(Export {
                    table: self.records.clone(),
                    cluster: cluster_record(),
                    index: self.next,
                    log_time: NOW,
                    term: term(1),
                })
            ),
            Question::Records(_, answer) => {
                let mut table = Table::default();
                for (name, (record, _)) in &self.files {
                    let value = mdfs_core::records::encode(record).unwrap();
                    table.insert(&Key::File(name.clone()).to_bytes(), &value);
                }
                let counted = Counted {
                    at: NOW,
                    short: [("films/short".to_owned(), 1)].into(),
                    is_all: true,
                };
                let records = Records {
                    table,
                    replicas: ReplicationFactor::DEFAULT,
                    counted: Some(counted),
                };
                reply!(answer, Ok(records));
            }
            Question::Recover(_, answer) => reply!(answer, Ok(Default::default())),
            Question::Searched(_, answer) => reply!(answer, Ok(())),
            Question::Import(import, answer) => reply!(answer, Ok(self.import(import))),
            Question::Tasks(answer) => reply!(answer, Ok(Default::default())),
            Question::Workers(answer) => reply!(
                answer,
                Ok(Workers {
                    workers: Vec::new()
                })
            ),
        }
    }

    fn import(&mut self, import: Import) -> ImportResult {
        if import.step != ImportStep::Files {
            return ImportResult::default();
        }
        self.next += 1;
        let at = At {
            index: self.next,
            time: NOW,
        };
        let planned = plan_import(
            &self.records,
            import.files,
            import.overwrite,
            |_| Vec::new(),
            at,
        )
        .unwrap();
        for put in &planned.puts {
            self.records.apply(put);
        }
        planned.answer
    }

    fn delete(&mut self, delete: Delete, purge: bool) -> Result<(), Error> {
        let Delete {
            request,
            name,
            precondition,
        } = delete;
        self.requests.push(request);
        let current = self.files.get(&name).map(|(record, _)| record);
        if let Err(what) = precondition.check(current) {
            let name = name.to_string();
            return Err(Error::PreconditionFailed { name, what });
        }
        match (self.files.remove(&name), self.trashed(&name)) {
            (Some(_), _) if purge => {}
            (Some((record, copies)), _) => self.trash.push((name, record, copies)),
            (None, Some(at)) if purge => drop(self.trash.remove(at)),
            (None, _) => {
                let name = name.to_string();
                return Err(Error::FileNotFound { name });
            }
        }
        Ok(())
    }

    fn undelete(&mut self, name: FileName) -> Result<FileInfo, Error> {
        if self.files.contains_key(&name) {
            let name = name.to_string();
            return Err(Error::NameTaken { name });
        }
        let Some(at) = self.trashed(&name) else {
            let name = name.to_string();
            return Err(Error::NotInTrash { name });
        };
        let (_, mut record, copies) = self.trash.remove(at);
        self.next += 1;
        record.version = self.next;
        self.files.insert(name.clone(), (record, copies));
        Ok(self.info(&name))
    }

    fn trashed(&self, name: &FileName) -> Option<usize> {
        self.trash.iter().rposition(|(known, _, _)| known == name)
    }

    /// The n-th file came into the trash n milliseconds after the first.
    fn trash_page(&self, list: ListTrash) -> TrashPage {
        let place = |(n, (_, record, _)): (u64, &(_, FileRecord, _))| Trashed {
            deleted: LogTime::from_millis(NOW.as_millis() + n),
            file: record.file,
        };
        let behind: Vec<_> = (0..)
            .zip(&self.trash)
            .filter(|&(n, file)| list.after.is_none_or(|after| place((n, file)) > after))
            .filter(|(_, (name, ..))| name.as_str().starts_with(&list.prefix))
            .collect();
        let shown = behind
            .iter()
            .take(list.limit)
            .map(|&(n, file)| TrashedFile {
                deleted: place((n, file)).deleted,
                info: FileInfo {
                    name: file.0.clone(),
                    record: file.1.clone(),
                },
            });
        TrashPage {
            files: shown.collect(),
            next: (behind.len() > list.limit).then(|| place(behind[list.limit - 1])),
            log_time: NOW,
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
            chunk_size: begin.chunk_size.unwrap_or(CHUNK_SIZE),
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
        self.retire(commit.copies.iter().flat_map(|copies| &copies.disks))?;
        let begin = self.open.remove(&commit.file);
        let begin = begin.ok_or(Error::UploadNotOpen { file: commit.file })?;
        if begin.session.is_some() {
            self.ended.insert(commit.file, Some(begin.name.clone()));
        }
        self.next += 1;
        let record = FileRecord {
            version: self.next,
            file: commit.file,
            size: commit.layout.total_bytes(),
            layout: commit.layout,
            chunk_size: begin.chunk_size.unwrap_or_default(),
            replicas: begin.replicas.map_or(
                Wanted::by_policy(ReplicationFactor::DEFAULT),
                Wanted::exactly,
            ),
            crc32: commit.crc32,
            blake3: commit.blake3,
            content_type: begin.content_type,
            labels: begin.labels,
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

    fn site(&self, disk: &DiskId) -> Site {
        let heard = self.sites.iter().find(|site| site.disk == *disk);
        heard.cloned().unwrap_or_else(|| Site {
            disk: *disk,
            url: String::new(),
            live: false,
        })
    }

    fn look_up(&mut self, name: FileName) -> Result<FileView, Error> {
        let Some((_, copies)) = self.files.get(&name) else {
            return Err(Error::FileNotFound {
                name: name.to_string(),
            });
        };
        let sites = copies
            .iter()
            .map(|run| SitesOfRun {
                first_chunk: run.first_chunk,
                chunks: run.chunks,
                sites: {
                    let disks = run.disks.iter().chain(&self.moving_to);
                    disks.map(|disk| self.site(disk)).collect()
                },
                moving: self.moving_to.into_iter().collect(),
            })
            .collect();
        let view = FileView {
            info: self.info(&name),
            sites,
            log_time: NOW,
            term: mdfs_core::id::Term::default(),
        };
        if let Some(change) = self.after_look_up.take() {
            change(self);
        }
        Ok(view)
    }

    fn status(&self) -> Status {
        Status {
            cluster_id: Some(ClusterId::from_u128(1)),
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
            upload_sessions: 0,
            upload_bytes: 0,
            oldest_upload_seconds: 0,
            under_replicated_files: 0,
            missing_files: 0,
            damaged_chunks: 0,
            excess_copies: 0,
            at_risk: Vec::new(),
            counted_millis_ago: Some(0),
            copies_to_make: 0,
            bytes_to_copy: 0,
            moving_partitions: 0,
            tasks: Vec::new(),
            repair_paused: false,
            live_workers: u64::try_from(self.sites.len()).unwrap(),
            workers: 0,
            leased_voters: 0,
            voters: 0,
            replicas: 2,
            chunk_size: 0,
            term: Some(term(1).to_string()),
            leader_url: None,
            masters: Vec::new(),
            commit: 0,
            format: None,
        }
    }
}
