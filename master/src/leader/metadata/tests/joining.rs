//! Disks that join a cluster in use.

use super::asking::{done, ids};
use super::world::{World, disk};
use mdfs_core::chunk::ChunkId;
use mdfs_core::id::{DiskId, Generation};
use std::collections::BTreeSet;

fn sites(world: &mut World, text: &str) -> BTreeSet<DiskId> {
    let view = done(world.look_up(text)).unwrap();
    let runs = view.sites.into_iter().flat_map(|run| ids(run.sites));
    runs.collect()
}

#[test]
fn a_blank_disk_is_adopted_and_given_its_share_of_what_is_vacant() {
    let mut world = World::founded();
    let files: Vec<String> = (0..40).map(|n| format!("file-{n}")).collect();
    let mut before = Vec::new();
    for text in &files {
        world.store(text);
        before.push(sites(&mut world, text));
    }
    world.add(4);
    world.run(2000);
    let ours = world.cluster();
    assert_eq!(world.worker(4).beat.identity.cluster, ours);
    let share = world.master.catalog.assignment.counts()[&disk(4)];
    assert!((1900..=2200).contains(&share), "{share}");
    // What has chunks moves by copying them: until then they are read where they were.
    for (text, sites_before) in files.iter().zip(&before) {
        let sites = sites(&mut world, text);
        assert!(!sites.is_disjoint(sites_before), "{text}");
    }
}

#[test]
fn an_upload_begun_before_a_join_and_committed_after_it_is_found_where_it_is() {
    let mut world = World::founded();
    let uploads: Vec<_> = (0..40).map(|n| world.open(&format!("file-{n}"))).collect();
    let mut placed = Vec::new();
    for upload in &uploads {
        placed.push(ids(world.place(upload, 0).unwrap()));
    }
    world.add(4);
    world.run(2000);
    let mut moved = 0;
    for (n, (upload, on)) in uploads.iter().zip(&placed).enumerate() {
        let info = done(world.commit_on(upload, on)).unwrap();
        let chunk = ChunkId {
            file: upload.file,
            index: 0,
        };
        let holders = world.master.planned.assignment.holders(chunk.partition());
        let at_home = holders.iter().collect::<BTreeSet<_>>() == on.iter().collect();
        assert_eq!(info.record.exceptions.is_empty(), at_home, "file-{n}");
        moved += u32::from(!at_home);
        let found = sites(&mut world, &format!("file-{n}"));
        assert_eq!(found, on.iter().copied().collect(), "file-{n}");
    }
    assert!(moved > 5, "only {moved} of 40 partitions moved");
    world.restart_master();
    world.run(8000);
    assert_eq!(
        sites(&mut world, "file-7"),
        placed[7].iter().copied().collect()
    );
}

#[test]
fn two_joins_at_once_and_one_without_a_quorum_end_as_members() {
    let mut world = World::founded();
    world.cut(&[2, 3]);
    world.add(4);
    world.add(5);
    world.run(1000);
    assert_eq!(world.master.catalog.members.len(), 3);
    world.heal();
    world.run(3000);
    assert_eq!(world.master.catalog.members.len(), 5);
    let counts = world.master.catalog.assignment.counts();
    assert!(
        counts.values().all(|count| (1638..=1639).contains(count)),
        "{counts:?}"
    );
}

#[test]
fn higher_generations_are_remembered_by_one_entry_and_nothing_is_moved_or_listed() {
    let mut world = World::founded();
    world.run(2000);
    let before = world.master.catalog.assignment.clone();
    let commit = world.status().commit;
    for n in 1..=3 {
        world.worker(n).beat.identity.generation = Generation(7);
    }
    world.beat_all();
    assert!((1..=3).all(|n| world.master.truth.is_known(disk(n))));
    world.run(2000);
    assert_eq!(world.status().commit, commit + 1);
    assert_eq!(
        world.master.catalog.members[&disk(2)].generation,
        Generation(7)
    );
    assert_eq!(world.master.catalog.assignment, before);
}

#[test]
fn a_disk_that_died_before_it_joined_is_no_member() {
    let mut world = World::founded();
    world.cut(&[1, 2, 3]);
    world.run(3000);
    world.add(4);
    let ours = world.cluster();
    world.worker(4).beat.identity.cluster = ours;
    world.beat(4).unwrap();
    world.kill(4);
    world.run(20_000);
    world.worker(1).reached = true;
    world.worker(2).reached = true;
    world.worker(3).reached = true;
    world.run(5000);
    assert_eq!(world.master.catalog.members.len(), 3);
}

#[test]
fn a_blank_disk_with_chunks_is_left_alone() {
    let mut world = World::founded();
    world.add(4);
    world.worker(4).beat.chunks = 3;
    world.beat_all();
    world.run(3000);
    assert_eq!(world.worker(4).beat.identity.cluster, None);
    assert_eq!(world.master.catalog.members.len(), 3);
}
