//! Workers that say what cannot be: the master goes on, and the others are served as before.

use super::world::{World, disk};
use mdfs_core::chunk::ChunkId;
use mdfs_core::digest::Digest;
use mdfs_core::holdings::Change;
use mdfs_core::id::{DiskId, FileId, MountId};
use mdfs_core::partition::Partition;
use mdfs_protocol::holdings::{Digests, Listing, Report};
use mdfs_protocol::internal::{DiskState, Heartbeat, VoterState};
use mdfs_protocol::order::Done;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// Numbers at the ends, and any other.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(0),
        Just(1),
        Just(u64::MAX),
        Just(u64::MAX - 1),
        any::<u64>()
    ]
}

prop_compose! {
    fn change()(came: bool, file in 0..3_u128, index: u32, length in proptest::option::of(number())) -> Change {
        let file = FileId::from_u128(file);
        Change { came, chunk: ChunkId { file, index }, length }
    }
}

prop_compose! {
    fn report()(
        mount in 1..3_u128,
        sequence in number(),
        after in number(),
        changes in vec(change(), 0..20),
    ) -> Report {
        Report { mount: MountId::from_u128(mount), sequence, root: Digest::EMPTY, after, changes }
    }
}

prop_compose! {
    fn digests()(mount in 1..3_u128, sequence in number(), all: bool) -> Digests {
        let count = if all { Partition::COUNT } else { 3 };
        let digests = vec![Digest::EMPTY; count];
        Digests { mount: MountId::from_u128(mount), sequence, digests }
    }
}

prop_compose! {
    fn done()(id in number(), round in number()) -> Done {
        let incarnation = mdfs_core::id::Incarnation(1);
        let term = mdfs_core::id::Term { round, incarnation };
        Done { term, id, failure: None }
    }
}

fn text() -> impl Strategy<Value = String> {
    vec(any::<char>(), 0..300).prop_map(String::from_iter)
}

/// A beat of a disk in which all that is told is made up.
fn lie(truth: Heartbeat) -> impl Strategy<Value = Heartbeat> {
    let sizes = (number(), number(), number(), number(), number());
    let texts = (text(), text(), proptest::option::of(text()));
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    let reported = (report(), vec(done(), 0..5), proptest::option::of(number()));
    (sizes, texts, flags, reported).prop_map(move |(sizes, texts, flags, reported)| {
        let (name, url, zone) = texts;
        let (read_only, broken, leaving) = flags;
        let (holdings, done, oldest_unverified_millis) = reported;
        Heartbeat {
            identity: truth.identity.clone(),
            name,
            url,
            zone,
            capacity_bytes: sizes.0,
            free_bytes: sizes.1,
            chunks: sizes.2,
            chunk_bytes: sizes.3,
            bad_blocks: sizes.4,
            oldest_unverified_millis,
            seal_millis: oldest_unverified_millis,
            state: if read_only {
                DiskState::ReadOnly
            } else {
                DiskState::Healthy
            },
            voter: if broken {
                VoterState::Broken
            } else {
                VoterState::Healthy
            },
            leaving,
            directory_version: sizes.0,
            holdings,
            done,
            formats: truth.formats,
            lease_millis: sizes.0,
            voter_last: truth.voter_last,
            witness: read_only,
        }
    })
}

#[test]
fn a_worker_that_lies_harms_neither_the_master_nor_what_is_known_of_the_others() {
    let mut world = World::founded();
    world.store("a");
    world.run(2000);
    let truth = world.worker(2).beat.clone();
    let mut runner = TestRunner::new(Config::with_cases(200));
    let world = std::cell::RefCell::new(world);
    let told = (lie(truth.clone()), digests());
    let outcome = runner.run(&told, |(lie, digests)| {
        let mut world = world.borrow_mut();
        // It may be refused, and must not be believed of others.
        let _ = world.beat_with(lie);
        let term = world.master.established.unwrap();
        world.master.take_digests(disk(2), term, Some(digests));
        world.beat(1).unwrap();
        world.beat(3).unwrap();
        world.run(100);
        let status = world.status();
        prop_assert_eq!((status.files, status.workers), (1, 3));
        let others = [disk(1), disk(3)];
        let know = |disk: &DiskId| world.master.truth.is_known(*disk);
        prop_assert!(others.iter().all(know));
        Ok(())
    });
    outcome.unwrap();
    // Once it tells the truth, all is as it was.
    let mut world = world.into_inner();
    world.worker(2).beat = truth;
    world.run(5000);
    assert_eq!(world.names(), ["a"]);
    let workers = world.master.fleet.iter();
    assert_eq!(workers.count(), 3);
    assert!(world.master.truth.is_known(disk(2)));
    assert_eq!(world.status().live_workers, 3);
}

#[test]
fn bytes_that_are_no_message_are_refused_whatever_they_are() {
    let mut runner = TestRunner::new(Config::with_cases(2000));
    let bytes = vec(any::<u8>(), 0..300);
    let outcome = runner.run(&(bytes, number()), |(bytes, count)| {
        // A length far beyond what is there must not be believed before it is.
        for at in [0, 1, 8] {
            let mut long = bytes.clone();
            let at = at.min(long.len());
            drop(long.splice(at..at, varint(count)));
            let _ = postcard::from_bytes::<Listing>(&long);
            let _ = postcard::from_bytes::<Digests>(&long);
            let _ = postcard::from_bytes::<Heartbeat>(&long);
        }
        Ok(())
    });
    outcome.unwrap();
}

fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 128 {
        bytes.push(number.to_le_bytes()[0] | 128);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
    bytes
}
