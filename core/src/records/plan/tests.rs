mod import;
mod labels;
mod moving;
mod session;
mod trash;

use super::*;
use crate::checksum::{Blake3, Crc32};
use crate::chunk::{ChunkLayout, ChunkSize};
use crate::id::DiskId;
use crate::labels::Labels;
use crate::partition::{Partition, partition_of};
use crate::records::{
    ClusterRecord, Copies, EtagMatch, FileRecord, MemberRecord, MemberState, PartitionRecord,
    Precondition, TrashRecord, UploadEnd, UploadRecord, Wanted, decode,
};
use crate::ring::{Assignment, ReplicationFactor};
use std::collections::BTreeMap;
use std::time::Duration;

/// Records and the place of the next entry; what `apply` and the log do in production.
#[derive(Default)]
struct World {
    records: BTreeMap<Vec<u8>, Vec<u8>>,
    index: u64,
}

impl Lookup for World {
    fn value(&self, key: &[u8]) -> Option<&[u8]> {
        self.records.get(key).map(Vec::as_slice)
    }
}

fn disk(n: u128) -> DiskId {
    DiskId::from_u128(n)
}

fn name(text: &str) -> FileName {
    FileName::parse(text).unwrap()
}

fn request(n: u128) -> Option<RequestId> {
    Some(RequestId::issue(LogTime::from_millis(1_000_000), n))
}

impl World {
    /// A cluster of disks 1, 2, 3 in which each partition is on 1 and 2.
    fn new() -> Self {
        let mut world = World::default();
        let mut assignment = Assignment::empty();
        for partition in Partition::all() {
            assignment.set_holders(partition, &[disk(1), disk(2)]);
        }
        let cluster = ClusterRecord {
            cluster: crate::id::ClusterId::from_u128(5),
            replicas: ReplicationFactor::DEFAULT,
            lowering: None,
            repair_delay_seconds: 300,
            trash_keep_seconds: 1000,
            lower_after_seconds: 600,
            chunk_size: ChunkSize::MIN,
            founders: (1..=3).map(disk).collect(),
            format: crate::format::FORMATS.most,
            recovery: None,
            voters_wanted: 3,
            min_write_copies: None,
        };
        let members: Vec<_> = (1..=3)
            .map(|n| NewMember {
                disk: disk(n),
                record: MemberRecord {
                    generation: crate::id::Generation(1),
                    weight: 1,
                    zone: None,
                    name: format!("w{n}"),
                    state: MemberState::Active,
                    announced_until: None,
                },
            })
            .collect();
        let planned = plan_bootstrap(&cluster, &members, &assignment).unwrap();
        world.apply(planned);
        world
    }

    fn at(&self) -> At {
        At {
            index: self.index + 1,
            time: LogTime::from_millis(1_000_000 + self.index),
        }
    }

    fn apply<T>(&mut self, planned: Planned<T>) -> T {
        if !planned.puts.is_empty() {
            self.index += 1;
        }
        for put in planned.puts {
            match put.value {
                Some(value) => self.records.insert(put.key, value),
                None => self.records.remove(&put.key),
            };
        }
        planned.answer
    }

    fn begin(
        &mut self,
        file: u128,
        to: &str,
        request: Option<RequestId>,
    ) -> Result<Begun, Refusal> {
        self.begin_if(file, to, request, Precondition::default())
    }

    fn begin_if(
        &mut self,
        file: u128,
        to: &str,
        request: Option<RequestId>,
        precondition: Precondition,
    ) -> Result<Begun, Refusal> {
        let begin = Begin {
            request,
            file: FileId::from_u128(file),
            name: name(to),
            chunk_size: ChunkSize::MIN,
            replicas: Wanted::by_policy(ReplicationFactor::DEFAULT),
            content_type: "video/mp4".to_owned(),
            labels: Labels::default(),
            precondition,
            session: None,
            holder: None,
        };
        let planned = plan_begin(self, begin, self.at())?;
        Ok(self.apply(planned))
    }

    fn commit(&mut self, file: u128, bytes: u64, copies: Vec<Copies>) -> Result<Stored, Refusal> {
        let commit = Commit {
            file: FileId::from_u128(file),
            recorded: Vec::new(),
            layout: ChunkLayout::of_file(bytes, ChunkSize::MIN).unwrap(),
            crc32: Crc32(1),
            blake3: Blake3([u8::try_from(file).unwrap(); 32]),
            copies,
        };
        let planned = plan_commit(self, commit, self.at())?;
        Ok(self.apply(planned))
    }

    fn abort(&self, file: u128) -> Planned<bool> {
        let file = FileId::from_u128(file);
        plan_abort(self, file, Vec::new(), UploadEnd::Aborted, self.at()).unwrap()
    }

    fn store(&mut self, file: u128, to: &str) -> Stored {
        self.begin(file, to, None).unwrap();
        self.commit(file, 10, vec![copies(0, 1, &[1, 2])]).unwrap()
    }

    fn delete(&mut self, from: &str, request: Option<RequestId>) -> Result<(), Refusal> {
        let planned = plan_delete(
            self,
            request,
            &name(from),
            &Precondition::default(),
            self.at(),
        )?;
        self.apply(planned);
        Ok(())
    }

    fn refuse(
        &mut self,
        request: Option<RequestId>,
        upload: Option<FileId>,
        refusal: &Refusal,
    ) -> Option<FileId> {
        let planned = plan_refused(self, request, upload, refusal, self.at()).unwrap();
        self.apply(planned)
    }

    fn rename(&mut self, from: &str, to: &str, overwrite: bool) -> Result<Renamed, Refusal> {
        let planned = plan_rename(self, None, &name(from), &name(to), overwrite, self.at())?;
        Ok(self.apply(planned))
    }

    fn file(&self, at: &str) -> Option<FileRecord> {
        get(self, &Key::File(name(at))).unwrap()
    }

    /// The file ids in the trash with their names, oldest first.
    fn trash(&self) -> Vec<(u128, String)> {
        self.records
            .range(vec![b't']..vec![b'u'])
            .map(|(_, value)| decode::<TrashRecord>(value).unwrap())
            .map(|trashed| (trashed.file.file.as_u128(), trashed.name.to_string()))
            .collect()
    }
}

fn copies(first_chunk: u32, chunks: u32, disks: &[u128]) -> Copies {
    Copies {
        first_chunk,
        chunks,
        disks: disks.iter().copied().map(disk).collect(),
    }
}

const MIB: u64 = 1 << 20;

#[test]
fn nothing_of_an_upload_is_visible_before_its_commit() {
    let mut world = World::new();
    assert_eq!(
        world.begin(7, "a", None),
        Ok(Begun::Open { replaced: None })
    );
    assert_eq!(world.file("a"), None);
    let stored = world.commit(7, 10, vec![copies(0, 1, &[2, 1])]).unwrap();
    assert_eq!(world.file("a"), Some(stored.record.clone()));
    assert_eq!(stored.record.version, world.index);
    assert_eq!(stored.record.exceptions, vec![]);
    let upload: Option<UploadRecord> = get(&world, &Key::Upload(FileId::from_u128(7))).unwrap();
    assert_eq!(upload, None);
}

#[test]
fn fewer_copies_are_taken_only_if_they_suffice_and_are_remembered() {
    let mut world = World::new();
    world.begin(7, "a", None).unwrap();
    let short = vec![copies(0, 1, &[1])];
    let refused = world.commit(7, 10, short.clone()).unwrap_err();
    let (wanted, found) = (2, 1);
    assert_eq!(refused, Refusal::TooFewCopies { wanted, found });
    let suffices = PolicyChange {
        min_write_copies: Some(1),
        ..PolicyChange::default()
    };
    let planned = plan_policy(&world, suffices, 3, 3, world.at().time).unwrap();
    world.apply(planned);
    let none = world.commit(7, 10, vec![copies(0, 1, &[])]).unwrap_err();
    assert!(matches!(none, Refusal::BadCommit(_)));
    let stored = world.commit(7, 10, short.clone()).unwrap();
    assert_eq!(stored.record.exceptions, short);
    assert_eq!(stored.record.replicas.get(), 2);
    // Also where the partition itself has no more holders.
    let three = PolicyChange {
        replicas: Some(ReplicationFactor::new(3).unwrap()),
        ..suffices
    };
    let planned = plan_policy(&world, three, 3, 3, world.at().time).unwrap();
    world.apply(planned);
    world.begin(8, "b", None).unwrap();
    let holders = vec![copies(0, 1, &[1, 2])];
    let stored = world.commit(8, 10, holders.clone()).unwrap();
    assert_eq!(stored.record.exceptions, holders);
    // Nor are more needed than are wanted by then.
    world.begin(9, "c", None).unwrap();
    let one = PolicyChange {
        replicas: Some(ReplicationFactor::new(1).unwrap()),
        min_write_copies: Some(0),
        ..PolicyChange::default()
    };
    let time = world.at().time;
    let planned = plan_policy(&world, one, 3, 3, time).unwrap();
    world.apply(planned);
    let refused = world.commit(9, 10, short.clone()).unwrap_err();
    assert!(matches!(refused, Refusal::TooFewCopies { .. }), "{refused}");
    let planned = plan_lowered(&world, time.plus(Duration::from_secs(601))).unwrap();
    world.apply(planned);
    let stored = world.commit(9, 10, short).unwrap();
    assert_eq!(stored.record.replicas.get(), 1);
}

#[test]
fn an_empty_file_has_no_chunks() {
    let mut world = World::new();
    world.begin(7, "empty", None).unwrap();
    assert_eq!(world.commit(7, 0, vec![]).unwrap().record.size, 0);
    assert_eq!(copies_of(&world, &world.file("empty").unwrap()), Ok(vec![]));
}

#[test]
fn an_overwrite_sends_the_old_version_to_the_trash() {
    let mut world = World::new();
    world.store(7, "a");
    world.store(8, "a");
    assert_eq!(world.file("a").unwrap().file, FileId::from_u128(8));
    assert_eq!(world.trash(), [(7, "a".to_owned())]);
}

#[test]
fn a_commit_that_does_not_fit_its_upload_is_refused() {
    for (bytes, copies) in [
        (10, vec![]),
        (10, vec![copies(0, 1, &[])]),
        (10, vec![copies(0, 1, &[1, 1])]),
        (10, vec![copies(1, 1, &[1, 2])]),
        (10, vec![copies(0, 2, &[1, 2])]),
        (10, vec![copies(0, 0, &[1, 2]), copies(0, 1, &[1, 2])]),
        (3 * MIB, vec![copies(0, 1, &[1, 2]), copies(2, 1, &[1, 2])]),
        (3 * MIB, vec![copies(0, 2, &[1, 2]), copies(1, 2, &[1, 2])]),
        (
            10,
            vec![copies(0, 1, &[1, 2]), copies(1, u32::MAX, &[1, 2])],
        ),
    ] {
        let mut world = World::new();
        world.begin(7, "a", None).unwrap();
        let refused = world.commit(7, bytes, copies.clone());
        assert!(
            matches!(refused, Err(Refusal::BadCommit(_))),
            "{copies:?}: {refused:?}"
        );
        assert_eq!(world.file("a"), None);
    }
}

#[test]
fn chunks_off_their_holders_are_exceptions_and_are_found() {
    let mut world = World::new();
    world.begin(7, "a", None).unwrap();
    let given = vec![
        copies(0, 10, &[1, 2]),
        copies(10, 60, &[3, 1]),
        copies(70, 60, &[2, 1]),
        copies(130, 10, &[1, 2, 3]),
    ];
    let record = world.commit(7, 140 * MIB, given).unwrap().record;
    assert_eq!(
        record.exceptions,
        [copies(10, 60, &[3, 1]), copies(130, 10, &[1, 2, 3])]
    );
    let found = copies_of(&world, &record).unwrap();
    assert_eq!(
        found,
        [
            copies(0, 10, &[1, 2]),
            copies(10, 60, &[3, 1]),
            copies(70, 60, &[1, 2]),
            copies(130, 10, &[1, 2, 3]),
        ]
    );
}

#[test]
fn a_commit_after_its_partition_moved_keeps_its_chunks_where_they_are() {
    let mut world = World::new();
    world.begin(7, "a", None).unwrap();
    let moved = partition_of(FileId::from_u128(7), 0);
    let record = PartitionRecord {
        holders: vec![disk(2), disk(3)],
    };
    let put = put(&Key::Partition(moved), &record).unwrap();
    world.apply(Planned {
        puts: vec![put],
        answer: (),
    });
    let record = world
        .commit(7, 10, vec![copies(0, 1, &[1, 2])])
        .unwrap()
        .record;
    assert_eq!(record.exceptions, [copies(0, 1, &[1, 2])]);
}

#[test]
fn more_copies_than_the_ring_has_holders_are_an_exception() {
    let mut world = World::new();
    let begin = Begin {
        request: None,
        file: FileId::from_u128(7),
        name: name("a"),
        chunk_size: ChunkSize::MIN,
        replicas: Wanted::exactly(ReplicationFactor::new(3).unwrap()),
        content_type: String::new(),
        labels: Labels::default(),
        precondition: Precondition::default(),
        session: None,
        holder: None,
    };
    let planned = plan_begin(&world, begin, world.at()).unwrap();
    world.apply(planned);
    assert!(world.commit(7, 10, vec![copies(0, 1, &[1, 2])]).is_err());
    let record = world
        .commit(7, 10, vec![copies(0, 1, &[1, 2, 3])])
        .unwrap()
        .record;
    assert_eq!(record.exceptions, [copies(0, 1, &[1, 2, 3])]);
}

#[test]
fn preconditions_hold_at_begin_and_again_at_commit() {
    let absent = Precondition {
        if_none_match: Some(EtagMatch::Any),
        ..Precondition::default()
    };
    let mut world = World::new();
    world.begin_if(7, "a", None, absent.clone()).unwrap();
    world.begin_if(8, "a", None, absent.clone()).unwrap();
    world.commit(7, 10, vec![copies(0, 1, &[1, 2])]).unwrap();
    let late = world.commit(8, 10, vec![copies(0, 1, &[1, 2])]);
    assert!(
        matches!(late, Err(Refusal::PreconditionFailed { .. })),
        "{late:?}"
    );
    assert!(world.begin_if(9, "a", None, absent).is_err());
    assert_eq!(world.file("a").unwrap().file, FileId::from_u128(7));
}

#[test]
fn a_repeated_upload_gets_the_first_answer() {
    let mut world = World::new();
    world.begin(7, "a", request(1)).unwrap();
    let first = world.commit(7, 10, vec![copies(0, 1, &[1, 2])]).unwrap();
    let version = world.index;
    assert_eq!(world.begin(8, "a", request(1)), Ok(Begun::Already(first)));
    assert_eq!(world.index, version, "a repeat writes nothing");
    assert!(matches!(
        world.begin(8, "b", request(1)),
        Err(Refusal::RequestReused(_))
    ));
    assert!(matches!(
        world.delete("a", request(1)),
        Err(Refusal::RequestReused(_))
    ));
}

#[test]
fn a_second_attempt_ends_the_first_so_that_only_one_is_stored() {
    let mut world = World::new();
    world.begin(7, "a", request(1)).unwrap();
    let again = world.begin(8, "a", request(1)).unwrap();
    assert_eq!(
        again,
        Begun::Open {
            replaced: Some(FileId::from_u128(7))
        }
    );
    let stale = world.commit(7, 10, vec![copies(0, 1, &[1, 2])]);
    assert_eq!(stale, Err(Refusal::UploadNotOpen(FileId::from_u128(7))));
    world.commit(8, 10, vec![copies(0, 1, &[1, 2])]).unwrap();
}

#[test]
fn a_request_id_does_not_end_the_upload_of_another_name() {
    let mut world = World::new();
    world.begin(7, "a", request(1)).unwrap();
    assert!(matches!(
        world.begin(8, "b", request(1)),
        Err(Refusal::RequestReused(_))
    ));
    world.commit(7, 10, vec![copies(0, 1, &[1, 2])]).unwrap();
}

#[test]
fn a_request_id_from_another_time_is_refused() {
    let mut world = World::new();
    for time in [0, 10_000_000] {
        let id = RequestId::issue(LogTime::from_millis(time), 1);
        let refused = world.begin(7, "a", Some(id));
        assert_eq!(refused, Err(Refusal::RequestOutsideWindow(id)));
    }
}

#[test]
fn a_delete_replayed_after_a_new_upload_leaves_the_new_file() {
    let mut world = World::new();
    world.store(7, "a");
    world.delete("a", request(1)).unwrap();
    world.store(8, "a");
    world.delete("a", request(1)).unwrap();
    assert_eq!(world.file("a").unwrap().file, FileId::from_u128(8));
    assert_eq!(world.trash(), [(7, "a".to_owned())]);
    assert_eq!(
        world.delete("b", None),
        Err(Refusal::FileNotFound(name("b")))
    );
}

#[test]
fn a_refusal_is_the_answer_of_its_request_for_good() {
    let mut world = World::new();
    let refused = world.delete("a", request(1)).unwrap_err();
    assert_eq!(world.refuse(request(1), None, &refused), None);
    let renamed = plan_rename(&world, request(2), &name("a"), &name("b"), true, world.at());
    world.refuse(request(2), None, &renamed.unwrap_err());
    let file = world.store(7, "a");
    let version = world.index;
    // A try that comes late finds the file, and leaves it.
    assert_eq!(world.delete("a", request(1)), Err(refused.clone()));
    assert_eq!(world.refuse(request(1), None, &refused), None);
    assert_eq!(
        plan_rename(&world, request(2), &name("a"), &name("b"), true, world.at()),
        Err(Refusal::FileNotFound(name("a")))
    );
    assert_eq!(world.index, version, "a repeat writes nothing");
    assert_eq!(world.file("a"), Some(file.record));
    for other in [
        world.delete("b", request(1)),
        world.begin(8, "b", request(1)).map(|_| ()),
    ] {
        assert!(matches!(other, Err(Refusal::RequestReused(_))), "{other:?}");
    }
    // Of what has no id nobody can say whether it came before.
    let refused = world.delete("b", None).unwrap_err();
    world.refuse(None, None, &refused);
    assert_eq!(world.index, version);
    assert_eq!(world.delete("a", request(3)), Ok(()));
}

#[test]
fn a_refused_upload_ends_so_that_no_try_of_it_is_stored() {
    let absent = Precondition {
        if_none_match: Some(EtagMatch::Any),
        ..Precondition::default()
    };
    let gone = Err(Refusal::UploadNotOpen(FileId::from_u128(7)));
    // Refused when it is begun again, and when it is committed.
    for again in [true, false] {
        let mut world = World::new();
        world.begin_if(7, "a", request(1), absent.clone()).unwrap();
        world.store(8, "a");
        let (refused, upload) = match again {
            true => {
                let refused = world.begin_if(9, "a", request(1), absent.clone());
                (refused.unwrap_err(), None)
            }
            false => {
                let refused = world.commit(7, 10, vec![copies(0, 1, &[1, 2])]);
                (refused.unwrap_err(), Some(FileId::from_u128(7)))
            }
        };
        let request_told = request(1).filter(|_| again);
        let ended = world.refuse(request_told, upload, &refused);
        assert_eq!(ended, Some(FileId::from_u128(7)));
        world.delete("a", None).unwrap();
        assert_eq!(world.commit(7, 10, vec![copies(0, 1, &[1, 2])]), gone);
        let late = world.begin_if(10, "a", request(1), absent.clone());
        assert_eq!(late, Err(refused));
        assert_eq!(world.file("a"), None);
    }
}

#[test]
fn a_cluster_of_the_first_format_remembers_no_refusal() {
    let mut world = World::new();
    let cluster: ClusterRecord = get(&world, &Key::Cluster).unwrap().unwrap();
    let first = ClusterRecord {
        format: 1,
        ..cluster
    };
    let puts = vec![put(&Key::Cluster, &first).unwrap()];
    world.apply(Planned { puts, answer: () });
    let refused = world.delete("a", request(1)).unwrap_err();
    world.refuse(request(1), None, &refused);
    world.store(7, "a");
    assert_eq!(world.delete("a", request(1)), Ok(()));
}

#[test]
fn an_aborted_upload_is_gone_and_its_request_may_be_tried_again() {
    let mut world = World::new();
    world.begin(7, "a", request(1)).unwrap();
    for was_open in [true, false] {
        let planned = world.abort(7);
        assert_eq!(world.apply(planned), was_open);
    }
    let again = world.begin(8, "a", request(1)).unwrap();
    assert_eq!(again, Begun::Open { replaced: None });
}

#[test]
fn an_abort_after_the_commit_leaves_the_file() {
    let mut world = World::new();
    world.store(7, "a");
    let planned = world.abort(7);
    assert_eq!(
        planned,
        Planned {
            puts: vec![],
            answer: false
        }
    );
    assert!(world.file("a").is_some());
}

#[test]
fn a_rename_is_one_step_and_never_loses_the_file_that_stood_there() {
    let mut world = World::new();
    world.store(7, "a");
    world.store(8, "b");
    assert_eq!(
        world.rename("a", "b", false),
        Err(Refusal::NameTaken(name("b")))
    );
    assert_eq!(
        world.rename("x", "y", false),
        Err(Refusal::FileNotFound(name("x")))
    );
    let moved = world.rename("a", "b", true).unwrap();
    assert_eq!(
        (world.file("a"), world.file("b")),
        (None, Some(moved.record.clone()))
    );
    assert_eq!(moved.record.file, FileId::from_u128(7));
    assert_eq!(world.trash(), [(8, "b".to_owned())]);
    let index = world.index;
    assert_eq!(world.rename("b", "b", false).unwrap().record, moved.record);
    assert_eq!(world.index, index);
}

#[test]
fn preconditions_follow_rfc_9110() {
    let mut world = World::new();
    let stored = world.store(7, "a").record;
    let tag = stored.etag();
    let tags = |text: &str| Some(EtagMatch::Tags(vec![text.to_owned()]));
    let at = |millis| Some(LogTime::from_millis(millis));
    let none = Precondition::default();
    let cases = [
        (none.clone(), true, true),
        (
            Precondition {
                if_match: tags(&tag),
                ..none.clone()
            },
            true,
            false,
        ),
        (
            Precondition {
                if_match: Some(EtagMatch::Any),
                ..none.clone()
            },
            true,
            false,
        ),
        (
            Precondition {
                if_match: tags("\"x\""),
                ..none.clone()
            },
            false,
            false,
        ),
        (
            Precondition {
                if_none_match: tags(&tag),
                ..none.clone()
            },
            false,
            true,
        ),
        (
            Precondition {
                if_none_match: tags("\"x\""),
                ..none.clone()
            },
            true,
            true,
        ),
        (
            Precondition {
                if_none_match: Some(EtagMatch::Any),
                ..none.clone()
            },
            false,
            true,
        ),
        (
            Precondition {
                if_unmodified_since: at(1_000_000),
                ..none.clone()
            },
            true,
            true,
        ),
        (
            Precondition {
                if_unmodified_since: at(999_999),
                ..none.clone()
            },
            false,
            true,
        ),
        (
            Precondition {
                if_match: tags(&tag),
                if_unmodified_since: at(0),
                ..none
            },
            true,
            false,
        ),
    ];
    for (condition, with_file, without) in cases {
        assert_eq!(
            condition.check(Some(&stored)).is_ok(),
            with_file,
            "{condition:?}"
        );
        assert_eq!(condition.check(None).is_ok(), without, "{condition:?}");
    }
}
