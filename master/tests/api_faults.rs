//! What clients see of workers that fail: as little as possible, and never wrong bytes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may panic"
)]

mod support;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use http_body_util::BodyExt;
use mdfs_core::checksum::Crc32;
use mdfs_core::id::DiskId;
use mdfs_master::error::Error;
use mdfs_protocol::problem::Code;
use mdfs_protocol::public::{CopyState, Verified, VerifiedWorker, VerifyProblem};
use std::time::Duration;
use support::leader::term;
use support::worker::Faults;
use support::{MIB, Setup, content};

const FILE: &str = "/v1/files/f";

/// A file of two full chunks and a rest, on the first two workers.
async fn with_file(workers: u128) -> (Setup, Vec<u8>) {
    let setup = Setup::new(workers).await;
    let bytes = content(9 * MIB + 777);
    setup.put(FILE, &bytes).await;
    (setup, bytes)
}

async fn reads_whole(setup: &Setup, bytes: &[u8]) {
    let read = setup.get(FILE, "").await;
    assert_eq!(read.status, 200);
    assert!(read.body == bytes);
}

/// Reads the file from its first byte; the bytes that came, and whether the answer broke off.
async fn read_until_the_end(setup: &Setup) -> (Vec<u8>, bool) {
    let lines = format!("authorization: Bearer {}", support::TOKEN);
    let (status, _, mut body) = setup.begin("GET", FILE, &lines, Body::empty()).await;
    assert_eq!(status, 200);
    let mut got = Vec::new();
    let broke = loop {
        match body.frame().await {
            Some(Ok(frame)) => got.extend_from_slice(&frame.into_data().unwrap()),
            Some(Err(_)) => break true,
            None => break false,
        }
    };
    (got, broke)
}

#[tokio::test]
async fn a_read_goes_on_at_the_exact_byte_when_a_worker_breaks_off() {
    let (setup, bytes) = with_file(2).await;
    for cut_at in [1, 65_536, 1_000_001, 4_194_303] {
        setup.workers[0].disk().faults = Faults {
            cut_at: Some(cut_at),
            ..Faults::default()
        };
        reads_whole(&setup, &bytes).await;
    }
}

#[tokio::test]
async fn a_bad_block_is_read_from_the_other_copy() {
    let (setup, bytes) = with_file(2).await;
    for bad in [vec![0], vec![5], vec![0, 63]] {
        setup.workers[0].disk().faults = Faults {
            bad_blocks: bad,
            ..Faults::default()
        };
        reads_whole(&setup, &bytes).await;
    }
    // Different blocks on both: all bytes have a good copy.
    setup.workers[0].disk().faults = Faults {
        bad_blocks: vec![3, 9],
        ..Faults::default()
    };
    setup.workers[1].disk().faults = Faults {
        bad_blocks: vec![4, 8],
        ..Faults::default()
    };
    reads_whole(&setup, &bytes).await;
}

#[tokio::test]
async fn bytes_are_not_damaged_everywhere_while_nobody_knows_where_another_copy_is() {
    let (setup, _) = with_file(3).await;
    setup.workers[0].disk().faults = Faults {
        bad_blocks: vec![2],
        ..Faults::default()
    };
    let second = setup.workers[1].site();
    let unheard = |setup: &Setup| {
        let sites = &mut setup.leader.state().sites;
        sites.retain(|site| site.disk != second.disk);
    };
    unheard(&setup);
    let read = setup.get(FILE, "range: bytes=131072-131080").await;
    read.fails(Code::Unavailable);
    // Nor with as many addresses as there are copies, if one of them is of a disk that has none yet.
    let third = setup.workers[2].site();
    setup.leader.state().moving_to = Some(third.disk);
    let read = setup.get(FILE, "range: bytes=131072-131080").await;
    read.fails(Code::Unavailable);
    setup.leader.state().sites.push(second);
    let read = setup.get(FILE, "range: bytes=131072-131080").await;
    assert_eq!(read.status, 206);
}

/// The first worker's copies are damaged, the second has none, and the third has good ones that it should
/// not have.
async fn with_a_copy_elsewhere() -> (Setup, Vec<u8>) {
    let (setup, bytes) = with_file(3).await;
    setup.workers[0].disk().faults = Faults {
        bad_blocks: vec![2],
        ..Faults::default()
    };
    let sealed = std::mem::take(&mut setup.workers[1].disk().sealed);
    setup.workers[2].disk().sealed = sealed;
    (setup, bytes)
}

#[tokio::test]
async fn a_disk_that_should_not_have_a_chunk_any_more_is_asked_for_it_when_no_other_gives_it() {
    let (setup, bytes) = with_a_copy_elsewhere().await;
    let third = setup.workers[2].site();
    setup.leader.state().others = vec![third.disk];
    reads_whole(&setup, &bytes).await;
    // As long as it does not answer, nobody knows, whether it is asked or not.
    setup.workers[2].kill();
    for live in [true, false] {
        setup.leader.state().sites[2].live = live;
        let read = setup.get(FILE, "range: bytes=131072-131080").await;
        read.fails(Code::Unavailable);
    }
    setup.leader.state().others.clear();
    let read = setup.get(FILE, "range: bytes=131072-131080").await;
    read.fails(Code::DataDamaged);
}

#[tokio::test]
async fn a_chunk_with_a_good_copy_elsewhere_is_not_lost() {
    let (setup, _) = with_a_copy_elsewhere().await;
    assert_eq!(verify(&setup).await.lost_chunks, 3);
    let third = setup.workers[2].site();
    setup.leader.state().others = vec![third.disk];
    let verified = verify(&setup).await;
    assert_eq!((verified.good, verified.lost_chunks), (false, 0));
    assert_eq!(verified.found_crc32.as_ref(), Some(&verified.crc32));
    // Those that should have them still do not.
    assert_eq!(verified.problems.len(), 6);
    let third = verified.workers.iter().find(|it| it.disk_id == third.disk);
    let third = third.map(|it| (it.asked, it.good, it.moving));
    assert_eq!(third, Some((3, 3, 0)));
}

#[tokio::test]
async fn a_copy_that_nobody_had_when_it_was_moved_is_looked_for_again() {
    let (setup, bytes) = with_a_copy_elsewhere().await;
    // Named when the leader is asked for it a second time.
    setup.leader.state().after_look_up = Some(|leader| {
        leader.after_look_up = Some(|leader| leader.others = vec![DiskId::from_u128(3)]);
    });
    let read = setup.get(FILE, "range: bytes=131072-131080").await;
    assert_eq!(read.status, 206);
    assert!(read.body == bytes[131_072..=131_080]);
}

#[tokio::test]
async fn good_blocks_of_the_only_copy_that_is_there_play() {
    let (setup, bytes) = with_file(2).await;
    setup.workers[0].disk().faults = Faults {
        bad_blocks: vec![40],
        ..Faults::default()
    };
    setup.workers[1].kill();
    let bad = 40 * 65_536;
    for (first, last) in [(0, bad - 1), (bad + 65_536, 4 * MIB - 1)] {
        let range = format!("range: bytes={first}-{last}");
        let read = setup.get(FILE, &range).await;
        assert_eq!(read.status, 206);
        assert!(read.body == bytes[first..=last]);
    }
    let (got, broke) = read_until_the_end(&setup).await;
    assert!(broke && got == bytes[..bad], "{}", got.len());
}

#[tokio::test]
async fn bytes_that_are_damaged_everywhere_are_named_and_all_others_play() {
    let (setup, bytes) = with_file(2).await;
    for worker in &setup.workers {
        worker.disk().faults = Faults {
            bad_blocks: vec![2],
            ..Faults::default()
        };
    }
    let read = setup.get(FILE, "range: bytes=131072-131080").await;
    read.fails(Code::DataDamaged);
    assert!(
        read.problem().detail.contains("bytes 131072-196607"),
        "{}",
        read.problem().detail
    );
    for (first, last) in [
        (0, 131_071),
        (196_608, 300_000),
        (4 * MIB - 5, 4 * MIB + 131_071),
    ] {
        let read = setup
            .get(FILE, &format!("range: bytes={first}-{last}"))
            .await;
        assert_eq!(read.status, 206);
        assert!(read.body == bytes[first..=last]);
    }
    // In the middle of an answer nothing is left but to break off, with every good byte sent.
    let (got, broke) = read_until_the_end(&setup).await;
    assert!(broke && got == bytes[..131_072], "{}", got.len());
}

#[tokio::test]
async fn a_stopped_worker_costs_its_time_once() {
    let (setup, bytes) = with_file(2).await;
    setup.workers[0].disk().faults = Faults {
        silent: true,
        ..Faults::default()
    };
    reads_whole(&setup, &bytes).await;
    // Three chunks: the second and third did not ask the silent one first.
    assert_eq!(setup.workers[0].disk().reads.len(), 1);
    reads_whole(&setup, &bytes).await;
    assert_eq!(setup.workers[0].disk().reads.len(), 1);
}

#[tokio::test]
async fn a_worker_that_stalls_in_the_middle_is_left_for_another() {
    let (setup, bytes) = with_file(2).await;
    setup.workers[0].disk().faults = Faults {
        stall_at: Some(70_000),
        ..Faults::default()
    };
    reads_whole(&setup, &bytes).await;
}

#[tokio::test]
async fn a_killed_worker_is_not_noticed() {
    let (setup, bytes) = with_file(2).await;
    setup.workers[0].kill();
    reads_whole(&setup, &bytes).await;
}

#[tokio::test]
async fn bytes_nobody_can_give_now_are_unavailable_and_never_missing() {
    let (setup, _) = with_file(2).await;
    for worker in &setup.workers {
        worker.kill();
    }
    let read = setup.get(FILE, "").await;
    read.fails(Code::Unavailable);
    assert!(!read.header("retry-after").is_empty());
    // One is damaged, the other away: it may have the good bytes.
    let (setup, _) = with_file(2).await;
    setup.workers[0].disk().faults = Faults {
        bad_blocks: vec![0],
        ..Faults::default()
    };
    setup.workers[1].kill();
    setup.get(FILE, "").await.fails(Code::Unavailable);
}

#[tokio::test]
async fn a_worker_that_comes_back_elsewhere_is_waited_for_and_found() {
    let (setup, bytes) = with_file(3).await;
    setup.workers[0].kill();
    setup.workers[1].kill();
    let chunks = setup.workers[1].disk().sealed.clone();
    setup.workers[2].disk().sealed = chunks;
    let (leader, returned) = (setup.leader.clone(), setup.workers[2].site().url);
    let _moved = setup.tasks.spawn_request("return", async move {
        tokio::task::yield_now().await;
        leader.state().sites[1].url = returned;
    });
    reads_whole(&setup, &bytes).await;
}

/// A body of 1 MiB frames; `meanwhile` runs before the frame with this number.
fn frames(bytes: &[u8], at: usize, meanwhile: impl FnOnce() + Send + 'static) -> Body {
    let pieces: Vec<_> = bytes.chunks(MIB).map(Bytes::copy_from_slice).collect();
    let mut meanwhile = Some(meanwhile);
    Body::from_stream(stream::iter(pieces.into_iter().enumerate().map(
        move |(index, piece)| {
            if index == at
                && let Some(meanwhile) = meanwhile.take()
            {
                meanwhile();
            }
            Ok::<_, std::io::Error>(piece)
        },
    )))
}

async fn verify(setup: &Setup) -> Verified {
    let answer = setup.ask("POST", &format!("{FILE}?verify"), "", "").await;
    assert_eq!(answer.status, 200);
    serde_json::from_slice(&answer.body).unwrap()
}

#[tokio::test]
async fn a_copy_that_is_still_to_come_is_no_problem_while_enough_others_are_good() {
    let (setup, _) = with_file(3).await;
    setup.leader.state().moving_to = Some(DiskId::from_u128(3));
    let verified = verify(&setup).await;
    assert!(verified.good, "{verified:?}");
    let of_worker = |worker: &VerifiedWorker| (worker.asked, worker.good, worker.moving);
    let workers: Vec<_> = verified.workers.iter().map(of_worker).collect();
    assert_eq!(workers, [(3, 3, 0), (3, 3, 0), (3, 0, 3)]);

    // Without one of the others, it is wanted.
    setup.workers[1]
        .disk()
        .sealed
        .retain(|chunk, _| chunk.index != 1);
    let verified = verify(&setup).await;
    assert!(!verified.good);
    let problem = |problem: &VerifyProblem| (problem.chunk, problem.disk_id, problem.state);
    let problems: Vec<_> = verified.problems.iter().map(problem).collect();
    let missing = |disk| (1, DiskId::from_u128(disk), CopyState::Missing);
    assert_eq!(problems, [missing(2), missing(3)]);
}

#[tokio::test]
async fn a_move_that_ends_while_copies_are_verified_loses_none() {
    let (setup, _) = with_file(3).await;
    let chunks = std::mem::take(&mut setup.workers[0].disk().sealed);
    assert_eq!(verify(&setup).await.problems.len(), 3);
    setup.workers[2].disk().sealed = chunks;
    setup.leader.state().after_look_up = Some(|state| {
        let runs = state.files.values_mut().flat_map(|(_, runs)| runs);
        for run in runs {
            run.disks = vec![DiskId::from_u128(2), DiskId::from_u128(3)];
        }
    });
    let verified = verify(&setup).await;
    assert!(verified.good, "{verified:?}");
}

/// Every chunk is sealed on as many disks as wanted, with the right bytes, and the commit names
/// just those.
fn is_stored(setup: &Setup, bytes: &[u8], copies: usize) {
    let commit = setup.leader.state().commits.last().cloned().unwrap();
    let mut offset = 0;
    for index in 0..commit.layout.chunk_count() {
        let length = usize::try_from(commit.layout.chunk_len(index).unwrap()).unwrap();
        let slice = &bytes[offset..offset + length];
        offset += length;
        let run = commit
            .copies
            .iter()
            .find(|run| run.first_chunk <= index && index < run.first_chunk + run.chunks)
            .unwrap();
        assert_eq!(run.disks.len(), copies);
        for disk in &run.disks {
            let worker = setup
                .workers
                .iter()
                .find(|worker| worker.site().disk == *disk)
                .unwrap();
            let chunk = mdfs_core::chunk::ChunkId {
                file: commit.file,
                index,
            };
            let disk = worker.disk();
            assert!(disk.sealed[&chunk] == slice, "chunk {index}");
            let seal = &disk.seals[&chunk];
            assert_eq!((seal.crc32, seal.name.as_str()), (Crc32::of(slice), "f"));
            let last = index + 1 == commit.layout.chunk_count();
            assert_eq!(
                seal.file_bytes,
                last.then_some(u64::try_from(bytes.len()).unwrap())
            );
        }
    }
    assert_eq!(offset, bytes.len());
}

#[tokio::test]
async fn every_size_is_stored_whole_and_twice() {
    let setup = Setup::new(3).await;
    for length in [
        1,
        MIB - 1,
        MIB,
        MIB + 1,
        4 * MIB,
        4 * MIB + 1,
        8 * MIB,
        9 * MIB + 5,
    ] {
        let bytes = content(length);
        setup.put(FILE, &bytes).await;
        is_stored(&setup, &bytes, 2);
        let small = setup.ask(
            "PUT",
            "/v1/files/f?chunk_size=1048576&replicas=3",
            "",
            bytes.clone(),
        );
        assert_eq!(small.await.status, 201);
        is_stored(&setup, &bytes, 3);
    }
}

#[tokio::test]
async fn a_hop_that_dies_during_an_upload_is_replaced() {
    let cases = [(0, 0), (0, 1), (0, 4), (1, 0), (1, 3), (1, 6)].into_iter();
    futures_util::future::join_all(cases.map(|(victim, at)| async move {
        let setup = Setup::new(3).await;
        let bytes = content(9 * MIB + 777);
        let disk = std::sync::Arc::clone(&setup.workers[victim].inner);
        let body = frames(&bytes, at, move || {
            let hang_at = Some(0);
            disk.disk().faults = Faults {
                hang_at,
                no_seal: true,
                ..Faults::default()
            };
        });
        let answer = setup.ask("PUT", FILE, "", body).await;
        assert_eq!(answer.status, 201, "{victim} {at}: {:?}", answer.body);
        is_stored(&setup, &bytes, 2);
    }))
    .await;
}

#[tokio::test]
async fn a_full_disk_is_passed_over_and_full_disks_everywhere_are_told() {
    let setup = Setup::new(3).await;
    let full_at = Some(2 * u64::try_from(MIB).unwrap());
    let bytes = content(5 * MIB);
    setup.workers[1].disk().faults = Faults {
        full_at,
        ..Faults::default()
    };
    setup.put(FILE, &bytes).await;
    is_stored(&setup, &bytes, 2);
    setup.workers[2].disk().faults = Faults {
        full_at,
        ..Faults::default()
    };
    let answer = setup.ask("PUT", "/v1/files/g", "", bytes.clone()).await;
    answer.fails(Code::NoSpace);
    assert_eq!(setup.leader.state().aborted.len(), 1);
    reads_whole(&setup, &bytes).await;
}

#[tokio::test]
async fn a_disk_that_cannot_seal_is_replaced_by_a_copy_from_one_that_did() {
    let setup = Setup::new(3).await;
    setup.workers[0].disk().faults = Faults {
        no_seal: true,
        ..Faults::default()
    };
    let bytes = content(5 * MIB);
    setup.put(FILE, &bytes).await;
    is_stored(&setup, &bytes, 2);
}

#[tokio::test]
async fn too_few_workers_are_told_and_nothing_is_left() {
    let setup = Setup::new(2).await;
    let answer = setup
        .ask("PUT", "/v1/files/f?replicas=3", "", content(5 * MIB))
        .await;
    answer.fails(Code::TooFewWorkers);
    assert!(!answer.header("retry-after").is_empty());
    assert_eq!(setup.leader.state().aborted.len(), 1);
    setup.get(FILE, "").await.fails(Code::FileNotFound);
}

#[tokio::test]
async fn what_the_client_gets_wrong_leaves_nothing() {
    let setup = Setup::new(2).await;
    let bytes = content(2 * MIB);
    for (lines, code) in [
        ("x-mdfs-crc32: 00000001", Code::ChecksumMismatch),
        (
            "content-digest: sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:",
            Code::ChecksumMismatch,
        ),
        ("content-length: 2097153", Code::IncompleteBody),
        ("content-length: 2097151", Code::IncompleteBody),
    ] {
        let answer = setup.ask("PUT", FILE, lines, bytes.clone()).await;
        answer.fails(code);
        setup.get(FILE, "").await.fails(Code::FileNotFound);
    }
    let broken = stream::iter([
        Ok(Bytes::from(bytes.clone())),
        Err(std::io::Error::other("the client hung up")),
    ]);
    let answer = setup.ask("PUT", FILE, "", Body::from_stream(broken)).await;
    answer.fails(Code::IncompleteBody);
    let state = setup.leader.state();
    assert_eq!(
        (state.aborted.len(), state.open.len(), state.files.len()),
        (5, 0, 0)
    );
    assert!(state.commits.is_empty());
}

#[tokio::test]
async fn a_right_checksum_lets_the_file_in() {
    let setup = Setup::new(2).await;
    let bytes = content(MIB + 1);
    let lines = format!(
        "x-mdfs-crc32: {}\ncontent-encoding: gzip",
        Crc32::of(&bytes)
    );
    let answer = setup.ask("PUT", FILE, &lines, bytes.clone()).await;
    assert_eq!(answer.status, 201);
    reads_whole(&setup, &bytes).await;
}

#[tokio::test]
async fn a_repeated_request_gets_the_first_answer() {
    let setup = Setup::new(2).await;
    let lines = "x-mdfs-request-id: 000000000000000000000000000000aa";
    let first = setup.ask("PUT", FILE, lines, "bytes").await;
    let again = setup.ask("PUT", FILE, lines, "bytes").await;
    assert_eq!((first.status, first.body), (again.status, again.body));
    assert_eq!(setup.leader.state().commits.len(), 1);
}

#[tokio::test]
async fn a_try_that_another_one_overtook_is_told_to_come_back() {
    let setup = Setup::new(2).await;
    let bytes = content(5 * MIB);
    for (lines, code) in [
        (
            "x-mdfs-request-id: 000000000000000000000000000000aa",
            Code::Busy,
        ),
        ("", Code::UploadEnded),
    ] {
        let leader = setup.leader.clone();
        let body = frames(&bytes, 3, move || leader.state().open.clear());
        setup.ask("PUT", FILE, lines, body).await.fails(code);
    }
}

#[tokio::test]
async fn copies_are_verified_for_a_leader_that_came_during_the_upload() {
    let setup = Setup::new(2).await;
    let bytes = content(5 * MIB);
    let leader = setup.leader.clone();
    let body = frames(&bytes, 3, move || leader.state().term = term(2));
    assert_eq!(setup.ask("PUT", FILE, "", body).await.status, 201);
    for worker in &setup.workers {
        assert_eq!(worker.disk().verified, [term(2), term(2)]);
    }
    let terms: Vec<_> = setup
        .leader
        .state()
        .commits
        .iter()
        .map(|commit| commit.term)
        .collect();
    assert_eq!(terms, [term(1), term(2)]);
}

#[tokio::test]
async fn an_upload_whose_client_is_gone_is_aborted() {
    let setup = Setup::new(2).await;
    let (sender, receiver) = tokio::sync::mpsc::channel::<Result<Bytes, std::io::Error>>(1);
    let body = Body::from_stream(stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|piece| (piece, receiver))
    }));
    sender
        .send(Ok(Bytes::from(content(3 * MIB))))
        .await
        .unwrap();
    let handler = setup.ask("PUT", FILE, "content-length: 9000000", body);
    // The handler goes first, as when the connection breaks, then the body ends.
    assert!(
        tokio::time::timeout(Duration::from_millis(50), handler)
            .await
            .is_err()
    );
    drop(sender);
    while setup.leader.state().aborted.is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(setup.leader.state().open.is_empty());
}

#[tokio::test]
async fn a_place_that_nobody_gives_ends_the_upload() {
    let setup = Setup::new(2).await;
    setup.leader.state().refuse_place = Some(|| Error::NoSpace {
        wanted: 2,
        found: 0,
        bytes: 1,
    });
    setup
        .ask("PUT", FILE, "", content(2 * MIB))
        .await
        .fails(Code::NoSpace);
    assert_eq!(setup.leader.state().aborted.len(), 1);
}
