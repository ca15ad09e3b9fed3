//! Every question and answer reads back as it was.

use super::*;
use crate::public::{
    AtRisk, Health, MasterInfo, MasterRole, PolicyLowering, Task, TaskKind, WorkerInfo, WorkerState,
};
use mdfs_core::access::Grant;
use mdfs_core::checksum::{Blake3, Crc32};
use mdfs_core::chunk::{ChunkId, ChunkLayout, ChunkSet, ChunkSize};
use mdfs_core::id::{ClusterId, DiskId, Generation, Incarnation, RequestId, Term};
use mdfs_core::labels::Labels;
use mdfs_core::records::plan::{Imported, LabelChange, Trashed};
use mdfs_core::records::{FileRecord, Precondition, Session, TokenHash, UploadRecord, Wanted};
use mdfs_core::ring::ReplicationFactor;
use mdfs_core::time::LogTime;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::time::Duration;

#[track_caller]
fn check<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    let bytes = postcard::to_stdvec(value).unwrap();
    let (read, rest) = postcard::take_from_bytes::<T>(&bytes).unwrap();
    assert_eq!((&read, rest), (value, &[][..]));
    let cut = bytes.split_last().map_or(&[][..], |(_, cut)| cut);
    assert!(postcard::from_bytes::<T>(cut).is_err(), "{value:?}");
}

fn name(text: &str) -> FileName {
    FileName::parse(text).unwrap()
}

fn term() -> Term {
    let incarnation = Incarnation(3);
    Term {
        round: 2,
        incarnation,
    }
}

fn request() -> Option<RequestId> {
    Some(RequestId::issue(LogTime::from_millis(5), 6))
}

fn delete(request: Option<RequestId>) -> Delete {
    Delete {
        request,
        name: name("a/b"),
        precondition: Precondition::default(),
    }
}

fn begin(request: Option<RequestId>, session: Option<Session>) -> Asked {
    Asked::BeginUpload(Box::new(BeginUpload {
        request,
        name: name("ä"),
        chunk_size: Some(ChunkSize::MIN),
        replicas: Some(ReplicationFactor::DEFAULT),
        content_type: "video/mp4".to_owned(),
        labels: Labels::default(),
        precondition: Precondition::default(),
        session,
        holder: None,
    }))
}

fn file() -> FileInfo {
    let record = FileRecord {
        version: 9,
        file: FileId::from_u128(1),
        size: 3,
        layout: ChunkLayout::of_file(3, ChunkSize::MIN).unwrap(),
        chunk_size: ChunkSize::MIN,
        replicas: Wanted::exactly(ReplicationFactor::DEFAULT),
        crc32: Crc32::default(),
        blake3: Blake3::of(b"abc"),
        content_type: "text/plain".to_owned(),
        labels: Labels::default(),
        modified: LogTime::from_millis(4),
        exceptions: Vec::new(),
    };
    let name = name("a");
    FileInfo { name, record }
}

fn site() -> Site {
    Site {
        disk: DiskId::from_u128(7),
        url: "http://w".to_owned(),
        live: true,
    }
}

fn token() -> Token {
    let record = TokenRecord {
        hash: TokenHash([7; 32]),
        label: "ci".to_owned(),
        grant: Grant::all(),
        created: LogTime::from_millis(1),
        expires: LogTime::from_millis(2),
    };
    Token {
        id: TokenId::from_u128(8),
        record,
    }
}

fn open() -> OpenUpload {
    OpenUpload {
        file: FileId::from_u128(1),
        term: term(),
        begun_at: 3,
        chunk_size: ChunkSize::MIN,
        replicas: ReplicationFactor::DEFAULT,
    }
}

fn session() -> OpenSession {
    let mut stored = ChunkSet::default();
    stored.insert(2);
    let replicas = Wanted::exactly(ReplicationFactor::DEFAULT);
    let record = UploadRecord {
        begun_at: 3,
        begun: LogTime::from_millis(1),
        name: name("a"),
        chunk_size: ChunkSize::MIN,
        replicas,
        content_type: String::new(),
        labels: Labels::default(),
        precondition: Precondition::default(),
        request: None,
        session: None,
        holder: None,
    };
    OpenSession {
        open: open(),
        record,
        stored,
        stored_bytes: 5,
        expires: LogTime::from_millis(9),
        chunks: Vec::new(),
    }
}

fn imported() -> Imported {
    let FileInfo { name, record } = file();
    Imported {
        name,
        record,
        deleted: Some(LogTime::from_millis(1)),
        known: true,
    }
}

fn status() -> Status {
    let master = MasterInfo {
        url: "http://m".to_owned(),
        role: MasterRole::Leader,
        heard_millis_ago: Some(1),
        copied: Some(2),
        behind: Some(3),
        warm: true,
        version: Some("1.2.3".to_owned()),
        format_least: Some(4),
        format_most: Some(5),
    };
    Status {
        cluster_id: Some(ClusterId::from_u128(5)),
        health: Health::Degraded,
        reasons: vec!["why".to_owned()],
        files: 1,
        bytes: 2,
        trashed_files: 3,
        open_uploads: 4,
        upload_sessions: 5,
        upload_bytes: 6,
        oldest_upload_seconds: 7,
        under_replicated_files: 8,
        missing_files: 9,
        damaged_chunks: 10,
        excess_copies: 11,
        at_risk: vec![AtRisk {
            name: "a".to_owned(),
            copies: 1,
            wanted: 2,
        }],
        counted_millis_ago: Some(12),
        copies_to_make: 13,
        bytes_to_copy: 14,
        moving_partitions: 15,
        tasks: vec![task()],
        repair_paused: true,
        live_workers: 16,
        workers: 17,
        leased_voters: 18,
        voters: 19,
        replicas: 20,
        chunk_size: 21,
        term: Some("2-3".to_owned()),
        leader_url: Some("http://m".to_owned()),
        masters: vec![master],
        commit: 22,
        format: Some(23),
    }
}

fn task() -> Task {
    Task {
        kind: TaskKind::Repair,
        worker: Some("w".to_owned()),
        disk_id: Some(DiskId::from_u128(4)),
        millis: 1,
        done_chunks: 2,
        total_chunks: 3,
        done_bytes: 4,
        total_bytes: 5,
        bytes_per_second: 6,
        eta_seconds: Some(7),
    }
}

fn worker() -> WorkerInfo {
    WorkerInfo {
        disk_id: DiskId::from_u128(4),
        name: "w".to_owned(),
        url: Some("http://w".to_owned()),
        state: WorkerState::Suspect,
        read_only: false,
        draining: true,
        decommissioning: false,
        announced_seconds: Some(1),
        voter: true,
        witness: false,
        voter_broken: true,
        zone: Some("z".to_owned()),
        generation: Generation(2),
        partitions: 3,
        chunk_bytes: 4,
        chunks: 5,
        capacity_bytes: 6,
        free_bytes: 7,
        bad_blocks: 8,
        oldest_unverified_millis: Some(9),
    }
}

fn policy() -> Policy {
    Policy {
        replicas: 2,
        lowering: Some(PolicyLowering {
            replicas: 1,
            in_seconds: 3,
        }),
        chunk_size: 4,
        repair_delay_seconds: 5,
        trash_keep_seconds: 6,
        lower_after_seconds: 7,
        min_write_copies: Some(1),
    }
}

fn recovered() -> Recovered {
    Recovered {
        done: true,
        voters_before: vec![DiskId::from_u128(3), DiskId::from_u128(4)],
        voters: vec![DiskId::from_u128(4)],
        lost: vec![DiskId::from_u128(3)],
        all_voters_lost: false,
        last_index: 1,
        last_change: Some(2),
        silent: vec!["w".to_owned()],
    }
}

/// Each question, and whether it may be asked again.
pub(crate) fn questions() -> Vec<(Asked, bool)> {
    let file = FileId::from_u128(1);
    let session = Session {
        size: Some(5),
        expires_after: Duration::from_secs(60),
    };
    let rename = |request| Rename {
        request,
        from: name("a"),
        to: name("b"),
        overwrite: true,
    };
    let labels = |request| SetLabels {
        request,
        name: name("a"),
        change: LabelChange::default(),
        precondition: Precondition::default(),
    };
    let undelete = |request| Undelete {
        request,
        name: name("a"),
    };
    let retire = Order::Retire {
        worker: "w".to_owned(),
        lost: false,
    };
    let trashed = Trashed {
        deleted: LogTime::from_millis(1),
        file,
    };
    let url = "http://m".to_owned();
    let formats = Formats { least: 1, most: 2 };
    vec![
        (begin(None, None), true),
        (begin(request(), Some(session)), true),
        (begin(None, Some(session)), false),
        (
            Asked::Place(Place {
                file,
                chunk: 1,
                bytes: 2,
                avoid: vec![DiskId::from_u128(4)],
            }),
            true,
        ),
        (
            Asked::FindUpload(FindUpload {
                file,
                chunks_from: 1,
                most_chunks: 100,
            }),
            true,
        ),
        (Asked::AbortUpload(file), true),
        (Asked::Lookup(name("a")), true),
        (Asked::List(List::default()), true),
        (Asked::Delete(delete(None)), false),
        (Asked::Delete(delete(request())), true),
        (Asked::Purge(delete(None)), false),
        (Asked::Purge(delete(request())), true),
        (Asked::Undelete(undelete(None)), false),
        (Asked::Undelete(undelete(request())), true),
        (
            Asked::ListTrash(ListTrash {
                prefix: "a".to_owned(),
                after: Some(trashed),
                limit: 10,
            }),
            true,
        ),
        (Asked::Rename(rename(None)), false),
        (Asked::Rename(rename(request())), true),
        (Asked::SetLabels(Box::new(labels(None))), false),
        (Asked::SetLabels(Box::new(labels(request()))), true),
        (Asked::Order(retire), false),
        (Asked::Token(TokenId::from_u128(1)), true),
        (Asked::Tokens, true),
        (Asked::AddToken(Box::new(token())), false),
        (Asked::RevokeToken(TokenId::from_u128(1)), false),
        (Asked::Status, true),
        (Asked::Workers, true),
        (Asked::Tasks, true),
        (Asked::Policy, true),
        (Asked::ChangePolicy(PolicyChange::default()), false),
        (
            Asked::Hello(Hello {
                url,
                formats,
                version: "1.2.3".to_owned(),
            }),
            true,
        ),
        (
            Asked::Recover(Recover {
                lost: vec![DiskId::from_u128(3)],
                all_voters: true,
                dry_run: false,
            }),
            true,
        ),
        (
            Asked::Import(Import {
                files: vec![imported()],
                overwrite: true,
                import: 4,
                step: ImportStep::Files,
            }),
            false,
        ),
        (
            Asked::RecordChunk(RecordChunk {
                chunk: mdfs_core::chunk::ChunkId { file, index: 2 },
                length: 3,
                crc32: Crc32::default(),
                hash: mdfs_core::checksum::ChunkHash([1; 32]),
                alone: Some(Blake3::of(b"abc")),
                disks: vec![DiskId::from_u128(4)],
                term: term(),
            }),
            true,
        ),
        (
            Asked::ListUploads(ListUploads {
                prefix: "a".to_owned(),
                after: Some(file),
                limit: 10,
            }),
            true,
        ),
        (
            Asked::CommitUpload(CommitUpload {
                file,
                term: term(),
                layout: ChunkLayout::of_file(3, ChunkSize::MIN).unwrap(),
                crc32: Crc32::default(),
                blake3: Blake3::of(b"abc"),
                copies: Vec::new(),
            }),
            true,
        ),
        (
            Asked::Bootstrap(Bootstrap {
                disks: vec![DiskId::from_u128(4)],
                replicas: ReplicationFactor::DEFAULT,
                chunk_size: ChunkSize::MIN,
            }),
            true,
        ),
        (
            Asked::Browse(Browse {
                prefix: "films/".to_owned(),
                delimiter: Some('/'),
                search: Some("a".to_owned()),
                order: Sorted {
                    by: By::Modified,
                    falling: true,
                },
                after: Some(line()),
                limit: 9,
            }),
            true,
        ),
        (
            Asked::Events(EventsAfter {
                after: Some("7.0000000000000001-3".to_owned()),
                limit: 9,
            }),
            true,
        ),
        (Asked::History(60), true),
        (
            Asked::Traffic(Traffic {
                url: "http://m".to_owned(),
                read: 300,
                written: 2,
                requests: 3,
                errors: 4,
            }),
            true,
        ),
        (Asked::WhoMayHave(ChunkId { file, index: 300 }), true),
    ]
}

fn line() -> Line {
    Line {
        is_file: true,
        rank: 300,
        name: "films/a".to_owned(),
    }
}

#[test]
fn questions_read_back_and_only_those_are_repeated_that_change_nothing_more() {
    for (asked, repeatable) in questions() {
        check(&asked);
        assert_eq!(asked.is_repeatable(), repeatable, "{asked:?}");
    }
}

/// Answers of most kinds.
pub(crate) fn answers() -> Vec<Told> {
    let view = FileView {
        info: file(),
        sites: vec![SitesOfRun {
            first_chunk: 0,
            chunks: 1,
            sites: vec![site()],
            moving: Vec::new(),
        }],
        log_time: LogTime::from_millis(8),
        term: term(),
    };
    let hint = Some(Leader {
        term: term(),
        url: "http://m".to_owned(),
    });
    let cluster = ClusterId::from_u128(5);
    vec![
        Told::Done,
        Told::Begun(Box::new(Begun::Open(open()))),
        Told::Begun(Box::new(Begun::Already(file()))),
        Told::Sites(vec![site()]),
        Told::Upload(Box::new(FoundUpload::Open(Box::new(session())))),
        Told::Uploads(UploadPage {
            uploads: vec![session()],
            next: Some(FileId::from_u128(2)),
        }),
        Told::File(Box::new(file())),
        Told::View(Box::new(view)),
        Told::Page(Page::default()),
        Told::Trash(TrashPage::default()),
        Told::Bootstrapped(Bootstrapped { cluster }),
        Told::Token(None),
        Told::Token(Some(Box::new(token().record))),
        Told::Revoked(Box::new(token().record)),
        Told::Tokens(vec![token()]),
        Told::Imported(ImportResult {
            files: 1,
            trashed: 2,
            present: 3,
            conflicts: vec![name("a")],
        }),
        Told::Recovered(recovered()),
        Told::Status(Box::new(status())),
        Told::Workers(Workers {
            workers: vec![worker()],
        }),
        Told::Tasks(Tasks {
            tasks: vec![task()],
            more: 8,
        }),
        Told::Policy(policy()),
        Told::Refused(Refused::VerifyFirst { term: term() }),
        Told::NotLeader { hint },
        Told::Browsed(Browsed {
            files: vec![BrowsedFile {
                info: file(),
                good: Some(1),
            }],
            folders: vec!["films/x/".to_owned()],
            next: Some(line()),
        }),
        Told::Json(b"{}".to_vec()),
    ]
}

#[test]
fn answers_read_back() {
    answers().iter().for_each(check);
}
