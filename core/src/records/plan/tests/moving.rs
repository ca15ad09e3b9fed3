//! Chunks that get other places than their partition's holders.

use super::*;

/// A file of 10 chunks with these exceptions, and what became of them after its runs got other places.
fn given(exceptions: &[Copies], runs: &[Copies]) -> Option<Vec<Copies>> {
    let mut world = World::new();
    let mut record = world.store(7, "a").record;
    record.exceptions = exceptions.to_vec();
    let key = Key::File(name("a"));
    let puts = vec![put(&key, &record).unwrap()];
    world.apply(Planned { puts, answer: () });
    let planned = plan_places(&world, &name("a"), record.file, exceptions, runs).unwrap();
    let is_change = !planned.puts.is_empty();
    world.apply(planned);
    let after = world.file("a").unwrap();
    assert_eq!(after.version, record.version);
    is_change.then_some(after.exceptions)
}

#[test]
fn runs_take_the_place_of_what_was_said_of_their_chunks_and_of_no_others() {
    let whole = copies(0, 10, &[1, 2, 3]);
    let whole = std::slice::from_ref(&whole);
    let all = given(whole, &[copies(0, 10, &[1, 2, 4])]);
    assert_eq!(all, Some(vec![copies(0, 10, &[1, 2, 4])]));
    let inner = [copies(2, 3, &[1, 4]), copies(5, 1, &[5])];
    let split = vec![
        copies(0, 2, &[1, 2, 3]),
        copies(2, 3, &[1, 4]),
        copies(5, 1, &[5]),
        copies(6, 4, &[1, 2, 3]),
    ];
    assert_eq!(given(whole, &inner), Some(split));
    // Over the border of two, and what is alike by then is one.
    let two = [copies(1, 2, &[1]), copies(3, 2, &[2])];
    let joined = vec![copies(1, 3, &[1]), copies(4, 1, &[2])];
    assert_eq!(given(&two, &[copies(2, 2, &[1])]), Some(joined));
    // Several of each.
    let many = [copies(0, 2, &[1]), copies(2, 2, &[2]), copies(6, 4, &[3])];
    let runs = [copies(1, 1, &[4]), copies(3, 4, &[5]), copies(8, 1, &[4])];
    let pieces = vec![
        copies(0, 1, &[1]),
        copies(1, 1, &[4]),
        copies(2, 1, &[2]),
        copies(3, 4, &[5]),
        copies(7, 1, &[3]),
        copies(8, 1, &[4]),
        copies(9, 1, &[3]),
    ];
    assert_eq!(given(&many, &runs), Some(pieces));
    // Where nothing was said before.
    assert_eq!(
        given(&two, &[copies(7, 1, &[3])]),
        Some(vec![two[0].clone(), two[1].clone(), copies(7, 1, &[3])])
    );
    assert_eq!(given(whole, whole), None);
}

#[test]
fn a_file_that_has_changed_meanwhile_gets_no_other_places() {
    let mut world = World::new();
    let file = world.store(7, "a").record.file;
    let runs = [copies(0, 1, &[1, 2, 3])];
    let planned = |world: &World, file, before: &[Copies]| {
        let planned = plan_places(world, &name("a"), file, before, &runs);
        planned.unwrap().puts.len()
    };
    assert_eq!(planned(&world, file, &[]), 1);
    assert_eq!(planned(&world, FileId::from_u128(99), &[]), 0);
    assert_eq!(planned(&world, file, &[copies(0, 1, &[1])]), 0);
    world.delete("a", None).unwrap();
    assert_eq!(planned(&world, file, &[]), 0);
    let deleted = world.newest("a").unwrap().deleted;
    for (before, changes) in [(&[copies(0, 1, &[1])][..], 0), (&[], 1), (&[], 0)] {
        let planned = plan_places_in_trash(&world, deleted, file, before, &runs).unwrap();
        assert_eq!(planned.puts.len(), changes);
        world.apply(planned);
    }
    let key = Key::Trash(deleted, file);
    let trashed: TrashRecord = get(&world, &key).unwrap().unwrap();
    assert_eq!(trashed.file.exceptions, runs);
}
