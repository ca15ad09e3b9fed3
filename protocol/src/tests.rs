//! The bytes of everything in postcard: on the wire, in the log, in records. Postcard names no fields
//! and skips none, so a field more, or two that change places, would be read wrongly by every server
//! that was not replaced yet, and by every later program from disks.
//!
//! `golden/v1.txt` has the bytes of a sample of each. A line that is there never changes: what is to
//! change gets a path or a version of its own (`docs/format.md`), and new lines here. They are added by
//! `MDFS_GOLDEN=write cargo test -p mdfs-protocol no_byte`.

use crate::feed::{
    Extent, FeedFrom, FeedPage, FeedRecords, FeedReply, FeedRequest, FeedStart, Have,
};
use crate::footers::{Footer, Footers, FootersRequest};
use crate::holdings::{Digests, DigestsRequest, Known, ListRequest, Listing, Report};
use crate::internal::{
    Directory, DiskAddress, DiskState, Heartbeat, HeartbeatAnswer, HeartbeatReply, Identity,
    Leader, Seal, VoterState,
};
use crate::order::{Done, Failure, Order, Task};
use crate::problem::Code;
use mdfs_core::access::Grant;
use mdfs_core::checksum::{Blake3, ChunkHash, Crc32};
use mdfs_core::chunk::{ChunkId, ChunkLayout, ChunkSize};
use mdfs_core::digest::Digest;
use mdfs_core::format::Formats;
use mdfs_core::id::{
    ClusterId, DiskId, FileId, Generation, Incarnation, MountId, RequestId, Term, TokenId,
};
use mdfs_core::labels::Labels;
use mdfs_core::log::membership::Membership;
use mdfs_core::log::message::{
    Append, Base, Change, Config, Entry, LoadFrom, Loaded, Position, Put, Reply, Request,
    SnapshotPage, Vote,
};
use mdfs_core::name::FileName;
use mdfs_core::partition::Partition;
use mdfs_core::records::{
    self, ChunkRecord, ClusterRecord, Copies, EndedRecord, FileRecord, Holder, Lowering,
    MemberRecord, MemberState, MoveRecord, Outcome, PartitionRecord, Precondition, Recovery,
    Refused, Session, TokenHash, TokenRecord, TrashRecord, UploadEnd, UploadRecord, Wanted,
};
use mdfs_core::ring::ReplicationFactor;
use mdfs_core::time::LogTime;
use serde::Serialize;
use std::fmt::Write;
use std::time::Duration;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/v1.txt");

/// Lines of a name and bytes.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn add<T: Serialize>(&mut self, name: &str, value: &T) {
        self.bytes(name, &postcard::to_stdvec(value).unwrap());
    }

    fn record<T: records::Record>(&mut self, name: &str, value: &T) {
        self.bytes(name, &records::encode(value).unwrap());
    }

    fn bytes(&mut self, name: &str, bytes: &[u8]) {
        write!(self.0, "{name} ").unwrap();
        bytes
            .iter()
            .for_each(|byte| write!(self.0, "{byte:02x}").unwrap());
        self.0.push('\n');
    }
}

#[test]
fn no_byte_of_what_was_ever_sent_or_stored_has_changed() {
    let mut lines = Lines::default();
    log(&mut lines);
    stored(&mut lines);
    beats(&mut lines);
    feeds(&mut lines);
    footers(&mut lines);
    for (number, (asked, _)) in crate::ask::tests::questions().iter().enumerate() {
        lines.add(&format!("asked-{number}"), asked);
    }
    for (number, told) in crate::ask::tests::answers().iter().enumerate() {
        lines.add(&format!("told-{number}"), told);
    }
    #[expect(
        clippy::disallowed_methods,
        reason = "test binaries have no arguments of their own"
    )]
    let asked = std::env::var_os("MDFS_GOLDEN");
    if asked.is_some_and(|it| it == "write") {
        std::fs::write(FILE, &lines.0).unwrap();
    }
    let golden = std::fs::read_to_string(FILE).unwrap();
    for (now, then) in lines.0.lines().zip(golden.lines()) {
        assert_eq!(now, then, "{}", then.split(' ').next().unwrap_or_default());
    }
    assert_eq!(lines.0.lines().count(), golden.lines().count());
}

fn term() -> Term {
    Term {
        round: 300,
        incarnation: Incarnation(0x0102_0304_0506_0708),
    }
}

fn position() -> Position {
    Position {
        term: term(),
        index: 500,
    }
}

fn disk(number: u128) -> DiskId {
    DiskId::from_u128(number)
}

fn time() -> LogTime {
    LogTime::from_millis(1_700_000_000_000)
}

fn config(epoch: u32) -> Config {
    Config {
        voters: [disk(1), disk(2)].into(),
        epoch,
    }
}

fn base() -> Base {
    Base {
        position: position(),
        config: config(1),
        time: time(),
    }
}

fn name() -> FileName {
    FileName::parse("films/a.mp4").unwrap()
}

fn chunk() -> ChunkId {
    ChunkId {
        file: FileId::from_u128(9),
        index: 3,
    }
}

/// One entry for each change there is.
fn entries() -> Vec<Entry> {
    let put = |value| Put {
        key: b"key".to_vec(),
        value,
    };
    let changes = [
        Change::Blank,
        Change::Config(config(0)),
        Change::Records(vec![put(Some(b"value".to_vec())), put(None)]),
        Change::Forced {
            config: config(2),
            lost: [disk(3)].into(),
        },
    ];
    for change in &changes {
        // A new one is to be among them.
        match change {
            Change::Blank | Change::Config(_) | Change::Records(_) | Change::Forced { .. } => {}
        }
    }
    let entry = |change| Entry {
        index: 501,
        term: term(),
        time: time(),
        request: Some(RequestId::issue(time(), 6)),
        change,
    };
    changes.into_iter().map(entry).collect()
}

fn log(lines: &mut Lines) {
    for (number, entry) in entries().iter().enumerate() {
        lines.add(&format!("log-entry-{number}"), entry);
    }
    lines.add("log-base", &base());
    let append = Append {
        term: term(),
        previous: position(),
        entries: entries(),
        commit: 500,
        epoch: 2,
        send: 77,
        leader_url: "http://master-0".to_owned(),
        lease_millis: 3000,
    };
    let page = SnapshotPage {
        term: term(),
        base: base(),
        epoch: 2,
        page: 4,
        records: vec![(b"key".to_vec(), b"value".to_vec())],
        last: true,
        send: 78,
        leader_url: "http://master-0".to_owned(),
        lease_millis: 3000,
    };
    let load = |from| Request::Load {
        term: term(),
        from,
        send: 76,
    };
    let after = Some(b"key".to_vec());
    let requests = [
        Request::PreVote { term: term() },
        Request::Prepare { term: term() },
        load(LoadFrom::Table { after }),
        load(LoadFrom::Log { after: position() }),
        Request::Append(append),
        Request::Snapshot(page),
        Request::Release { term: term() },
    ];
    for (number, request) in requests.iter().enumerate() {
        match request {
            Request::PreVote { .. }
            | Request::Prepare { .. }
            | Request::Load { .. }
            | Request::Append(_)
            | Request::Snapshot(_)
            | Request::Release { .. } => {}
        }
        lines.add(&format!("log-request-{number}"), request);
    }
    for (number, reply) in replies().iter().enumerate() {
        match reply {
            Reply::PreVoted(_)
            | Reply::Prepared(_)
            | Reply::Loaded(_)
            | Reply::Appended { .. }
            | Reply::Mismatch { .. }
            | Reply::Staged { .. }
            | Reply::Refused { .. }
            | Reply::Released { .. }
            | Reply::OtherLease { .. } => {}
        }
        lines.add(&format!("log-reply-{number}"), reply);
    }
}

fn replies() -> [Reply; 9] {
    let (higher, send) = (Some(term()), 77);
    let vote = Vote {
        term: term(),
        granted: true,
        promised: term(),
        lease_left: Some(Duration::from_millis(1500)),
        leader_url: Some("http://master-1".to_owned()),
        membership: Membership {
            config: config(1),
            index: 400,
            previous: Some(config(0)),
            forced: false,
        },
        commit: 499,
        last: position(),
    };
    let loaded = Loaded {
        term: term(),
        send,
        applied: 499,
        base: base(),
        from: LoadFrom::Table { after: None },
        records: vec![(b"key".to_vec(), b"value".to_vec())],
        more_records: false,
        entries: entries(),
        more_entries: true,
    };
    [
        Reply::PreVoted(vote.clone()),
        Reply::Prepared(vote),
        Reply::Loaded(Box::new(loaded)),
        Reply::Appended {
            term: term(),
            index: 501,
            send,
            higher,
        },
        Reply::Mismatch {
            term: term(),
            hint: 400,
            send,
            higher,
        },
        Reply::Staged {
            term: term(),
            next_page: 5,
            send,
            higher,
        },
        Reply::Refused {
            term: term(),
            send,
            promised: term(),
            lease_left: None,
        },
        Reply::Released { term: term() },
        Reply::OtherLease {
            term: term(),
            send,
            lease_millis: 2000,
        },
    ]
}

fn file() -> FileRecord {
    FileRecord {
        version: 500,
        file: FileId::from_u128(9),
        size: 5 << 20,
        layout: ChunkLayout::of_file(5 << 20, ChunkSize::MIN).unwrap(),
        chunk_size: ChunkSize::MIN,
        replicas: Wanted::by_policy(ReplicationFactor::DEFAULT),
        crc32: Crc32(0x0102_0304),
        blake3: Blake3::of(b"abc"),
        content_type: "video/mp4".to_owned(),
        labels: Labels::default(),
        modified: time(),
        exceptions: vec![Copies {
            first_chunk: 1,
            chunks: 2,
            disks: vec![disk(1), disk(4)],
        }],
    }
}

fn stored(lines: &mut Lines) {
    let cluster = ClusterRecord {
        cluster: ClusterId::from_u128(5),
        replicas: ReplicationFactor::DEFAULT,
        lowering: Some(Lowering {
            replicas: ReplicationFactor::DEFAULT,
            at: time(),
        }),
        chunk_size: ChunkSize::MIN,
        repair_delay_seconds: 300,
        trash_keep_seconds: 2_592_000,
        lower_after_seconds: 600,
        founders: [disk(1)].into(),
        format: 2,
        recovery: Some(Recovery {
            since: time(),
            lost: [disk(3)].into(),
            all_voters_lost: false,
        }),
        voters_wanted: 3,
        min_write_copies: Some(1),
    };
    lines.record("record-cluster", &cluster);
    for state in [
        MemberState::Active,
        MemberState::Draining,
        MemberState::Retired,
        MemberState::Decommissioning,
    ] {
        let member = MemberRecord {
            generation: Generation(7),
            weight: 400,
            zone: Some("a".to_owned()),
            name: "worker-0".to_owned(),
            state,
            announced_until: Some(time()),
        };
        lines.record("record-member", &member);
    }
    let disks = vec![disk(1), disk(2)];
    let holders = disks.clone();
    lines.record("record-partition", &PartitionRecord { holders });
    lines.record("record-move", &MoveRecord { to: disks.clone() });
    lines.record("record-file", &file());
    lines.record(
        "record-trash",
        &TrashRecord {
            name: name(),
            file: file(),
        },
    );
    let upload = UploadRecord {
        begun_at: 500,
        begun: time(),
        name: name(),
        chunk_size: ChunkSize::MIN,
        replicas: Wanted::exactly(ReplicationFactor::DEFAULT),
        content_type: "video/mp4".to_owned(),
        labels: Labels::default(),
        precondition: Precondition::default(),
        request: Some(RequestId::issue(time(), 6)),
        session: Some(Session {
            size: Some(7),
            expires_after: Duration::from_secs(60),
        }),
        holder: Some(Holder::Token(TokenId::from_u128(8))),
    };
    for format in 1..=2 {
        let put = records::put_in(format, &records::Key::Upload(FileId::from_u128(9)), &upload);
        let value = put.unwrap().value.unwrap();
        lines.bytes(&format!("record-upload-in-{format}"), &value);
    }
    let recorded = ChunkRecord {
        length: 1 << 20,
        crc32: Crc32(0x0102_0304),
        hash: ChunkHash([7; 32]),
        alone: Some(Blake3::of(b"abc")),
        disks,
        term: term(),
        stored: time(),
    };
    lines.record("record-chunk", &recorded);
    let committed = UploadEnd::Committed(name(), Box::new(file()));
    for end in [committed, UploadEnd::Aborted, UploadEnd::Expired] {
        let ended = time();
        lines.record("record-ended", &EndedRecord { ended, end });
    }
    for outcome in [
        Outcome::Begun(FileId::from_u128(9)),
        Outcome::Stored(name(), Box::new(file())),
        Outcome::Deleted,
        Outcome::Purged,
        Outcome::Refused(Refused::FileNotFound(name())),
        Outcome::Refused(Refused::NotInTrash(name())),
        Outcome::Refused(Refused::NameTaken(name())),
        Outcome::Refused(Refused::PreconditionFailed(name(), "why".to_owned())),
    ] {
        lines.record("record-outcome", &outcome);
    }
    let token = TokenRecord {
        hash: TokenHash([7; 32]),
        label: "ci".to_owned(),
        grant: Grant::all(),
        created: time(),
        expires: time(),
    };
    lines.record("record-token", &token);
    for key in [
        records::Key::Cluster,
        records::Key::Member(disk(1)),
        records::Key::Partition(Partition::new(7).unwrap()),
        records::Key::Move(Partition::new(7).unwrap()),
        records::Key::File(name()),
        records::Key::Upload(FileId::from_u128(9)),
        records::Key::Chunk(chunk()),
        records::Key::Ended(FileId::from_u128(9)),
        records::Key::Trash(time(), FileId::from_u128(9)),
        records::Key::Request(RequestId::issue(time(), 6)),
        records::Key::Token(TokenId::from_u128(8)),
    ] {
        lines.bytes("key", &key.to_bytes());
    }
}

fn beats(lines: &mut Lines) {
    let beat = Heartbeat {
        identity: Identity {
            disk: disk(1),
            cluster: Some(ClusterId::from_u128(2)),
            generation: Generation(3),
        },
        name: "worker-0".to_owned(),
        url: "http://10.0.0.7:8081".to_owned(),
        zone: Some("a".to_owned()),
        capacity_bytes: 1 << 40,
        free_bytes: 1 << 39,
        chunks: 7,
        chunk_bytes: 7 << 26,
        bad_blocks: 1,
        oldest_unverified_millis: Some(1),
        seal_millis: Some(2),
        state: DiskState::Healthy,
        voter: VoterState::Healthy,
        leaving: false,
        directory_version: 1,
        holdings: Report::default(),
        done: vec![Done {
            term: term(),
            id: 1,
            failure: Some(Failure {
                code: Code::ChunkNotFound,
                detail: "gone".to_owned(),
            }),
        }],
        formats: Formats { least: 1, most: 2 },
        lease_millis: 3000,
        voter_last: position(),
        witness: false,
    };
    lines.add("heartbeat", &beat);
    let leader = Some(Leader {
        term: term(),
        url: "http://master-0".to_owned(),
    });
    let known = Known {
        mount: MountId::default(),
        sequence: 12,
    };
    let order = |task| Order {
        term: term(),
        id: 4,
        task,
    };
    let reply = HeartbeatReply {
        leader,
        accepted: true,
        directory: Some(Directory {
            version: 9,
            disks: vec![DiskAddress {
                disk: disk(2),
                url: "http://worker-1".to_owned(),
            }],
        }),
        masters: Some(vec!["http://master-1".to_owned()]),
        known: Some(known),
        orders: vec![
            order(Task::Copy {
                chunk: chunk(),
                length: 1 << 20,
                sources: vec![disk(2)],
            }),
            order(Task::Drop {
                chunks: vec![chunk()],
            }),
        ],
    };
    lines.add("heartbeat-reply", &reply);
    lines.add("heartbeat-answer", &HeartbeatAnswer::Heard(reply));
    let refused = HeartbeatAnswer::Refused {
        status: 503,
        problem: b"{}".to_vec(),
    };
    lines.add("heartbeat-answer", &refused);
    lines.add("digests-request", &DigestsRequest { term: term() });
    let digests = Digests {
        mount: MountId::default(),
        sequence: 12,
        digests: vec![Digest::default()],
    };
    lines.add("digests", &digests);
    let list = ListRequest {
        term: term(),
        partitions: vec![Partition::new(7).unwrap()],
    };
    lines.add("list-request", &list);
    let listing = Listing {
        sequence: 12,
        chunks: vec![(chunk(), 1 << 20)],
        damaged: vec![chunk()],
    };
    lines.add("listing", &listing);
}

fn footers(lines: &mut Lines) {
    let request = FootersRequest {
        term: term(),
        after: Some(chunk()),
        limit: 256,
    };
    lines.add("footers-request", &request);
    let seal = Seal {
        length: 1 << 20,
        crc32: Crc32(0x0102_0304),
        hash: ChunkHash([7; 32]),
        chunk_size: ChunkSize::MIN,
        name: "films/a.mp4".to_owned(),
        begun_at: 500,
        file_bytes: Some(5 << 20),
    };
    let footers = [Some(seal), None].map(|seal| Footer {
        chunk: chunk(),
        seal,
    });
    let page = Footers {
        footers: footers.into(),
        more: true,
    };
    lines.add("footers", &page);
}

fn feeds(lines: &mut Lines) {
    let from = FeedFrom {
        have: Some(Have {
            position: position(),
            extent: Extent::UpTo(Some(b"key".to_vec())),
        }),
    };
    let request = FeedRequest {
        url: "http://master-1".to_owned(),
        formats: Formats { least: 1, most: 2 },
        from,
    };
    lines.add("feed-request", &request);
    for start in [FeedStart::Behind(position()), FeedStart::Anew(base())] {
        let page = FeedPage {
            term: term(),
            start,
            entries: entries(),
            records: Some(FeedRecords {
                after: None,
                records: vec![(b"key".to_vec(), b"value".to_vec())],
                more: true,
            }),
            epoch: 7,
        };
        lines.add("feed-page", &FeedReply::Page(page));
    }
    let leader = None;
    lines.add("feed-ended", &FeedReply::Ended { leader });
}
