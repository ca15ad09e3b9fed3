//! Lost voters are given up on an administrator's word, and nothing is dropped before that is over; nor
//! while records are imported.

use super::asking::{Asked, done, waits};
use super::worker::Worker;
use super::world::{MIB, World, disk, disks};
use crate::error::Error;
use crate::leader::command::{Import, ImportStep, Order};
use crate::leader::handle::{Question, Searched};
use mdfs_core::chunk::ChunkId;
use mdfs_core::id::{DiskId, FileId, Term};
use mdfs_core::records::plan::ImportResult;
use mdfs_protocol::public::{Recover, Recovered};
use std::collections::BTreeSet;

impl World {
    /// Three voters and two more disks; a file is stored.
    fn of_five() -> Self {
        let mut world = Self::founded();
        world.add(4);
        world.add(5);
        world.run(2000);
        world.touch("a");
        world
    }

    /// Disks are gone, for so long that nobody counts on them.
    fn burn(&mut self, numbers: &[u128]) {
        numbers.iter().for_each(|number| self.kill(*number));
        self.run(30_000);
    }

    pub(super) fn order_recovery(
        &mut self,
        lost: &[u128],
        all_voters: bool,
        dry_run: bool,
    ) -> Asked<Recovered> {
        let order = Recover {
            lost: lost.iter().copied().map(disk).collect(),
            all_voters,
            dry_run,
        };
        let asked = self.ask(|answer| Question::Recover(order, answer));
        self.run(9000);
        asked
    }

    fn recover(&mut self, lost: &[u128]) -> Result<Recovered, Error> {
        done(self.order_recovery(lost, false, false))
    }

    fn voting(&self) -> BTreeSet<DiskId> {
        let membership = self.master.log.membership();
        membership.map(|it| it.config.voters).unwrap_or_default()
    }

    fn may_destroy(&self) -> bool {
        self.master.may_destroy(self.time())
    }

    fn order(&mut self, order: Order) -> Result<(), Error> {
        done(self.ask(|answer| Question::Order(order, answer)))
    }

    /// A search has ended that was made for the leader of that term, and read all disks but those.
    fn searched_but(&mut self, term: Option<Term>, unread: &[u128]) {
        let term = term.unwrap();
        let told = self.master.catalog.present().map(|(disk, _)| disk);
        let told = &told.collect() - &disks(unread);
        let searched = Searched { term, told };
        done(self.ask(|answer| Question::Searched(searched, answer))).unwrap();
    }

    fn searched(&mut self, term: Option<Term>) {
        self.searched_but(term, &[]);
    }

    /// A chunk that no record has, on every disk that lives.
    fn leave_garbage(&mut self, number: u128) -> ChunkId {
        let file = FileId::from_u128(number);
        let chunk = ChunkId { file, index: 0 };
        for worker in self.workers.values_mut().filter(|worker| worker.beats) {
            worker.holdings.add(chunk, MIB);
        }
        chunk
    }

    fn import(&mut self, import: u128, step: ImportStep) -> Asked<ImportResult> {
        let import = Import {
            files: Vec::new(),
            overwrite: false,
            import,
            step,
        };
        self.ask(|answer| Question::Import(import, answer))
    }
}

fn holds(worker: &mut Worker, chunk: ChunkId) -> bool {
    worker.holdings.get(chunk).is_some()
}

#[track_caller]
pub(super) fn conflict(refused: Result<Recovered, Error>, word: &str) {
    let refused = refused.unwrap_err();
    assert!(matches!(refused, Error::Conflict(_)), "{refused}");
    assert!(refused.to_string().contains(word), "{refused}");
}

#[test]
fn the_last_voter_goes_on_when_the_others_are_given_up() {
    let mut world = World::of_five();
    conflict(world.recover(&[1, 2]), "can write");
    world.burn(&[1, 2]);
    assert!(!world.master.log.can_write(world.time().mono));
    conflict(world.recover(&[1]), "not named as lost");
    conflict(world.recover(&[1, 2, 4]), "answers");
    let planned = done(world.order_recovery(&[1, 2], false, true)).unwrap();
    assert!(!planned.done && planned.voters == [disk(3)], "{planned:?}");
    assert!(!world.master.recovers(), "only said");
    let recovered = world.recover(&[1, 2]).unwrap();
    assert!(recovered.done && recovered.lost == [disk(1), disk(2)]);
    world.run(20_000);
    // Others take the votes by and by.
    assert_eq!(world.voting(), disks(&[3, 4, 5]));
    assert_eq!(world.names(), ["a"]);
    world.touch("b");
    // Repeated, it is answered as the first time; another one is refused.
    assert!(world.recover(&[2, 1]).unwrap().done);
    conflict(world.recover(&[3]), "can write");
    // What was given up is refused when it comes back.
    world.heal();
    let back = world.beat(1).unwrap_err();
    assert!(matches!(back, Error::RetiredDisk { .. }), "{back}");
}

#[test]
fn a_master_that_starts_after_the_fire_recovers_too_and_may_die_at_any_moment() {
    for killed_after in (0..2000).step_by(100) {
        let mut world = World::of_five();
        world.burn(&[1, 2]);
        world.restart_master();
        world.run(20_000);
        assert_eq!(world.master.log.term(), None);
        let order = Recover {
            lost: vec![disk(1), disk(2)],
            all_voters: false,
            dry_run: false,
        };
        drop(world.ask(|answer| Question::Recover(order, answer)));
        world.run(killed_after);
        world.restart_master();
        world.run(20_000);
        let again = world.recover(&[1, 2]).unwrap();
        assert!(again.done, "killed after {killed_after} ms");
        world.run(20_000);
        assert!(!world.may_destroy());
        assert_eq!(world.voting(), disks(&[3, 4, 5]));
        assert_eq!(world.names(), ["a"]);
    }
}

#[test]
fn nothing_is_dropped_before_the_recovery_is_ended() {
    let mut world = World::of_five();
    world.burn(&[1, 2]);
    let chunk = world.leave_garbage(77);
    world.recover(&[1, 2]).unwrap();
    world.run(300_000);
    assert!(holds(world.worker(3), chunk) && holds(world.worker(4), chunk));
    // Another leader keeps to it as well.
    world.restart_master();
    world.run(300_000);
    assert!(holds(world.worker(3), chunk) && !world.may_destroy());
    world.searched(world.master.log.term());
    world.order(Order::FinishRecovery).unwrap();
    world.order(Order::FinishRecovery).unwrap();
    world.run(300_000);
    assert!(!holds(world.worker(3), chunk) && !holds(world.worker(4), chunk));
}

#[test]
fn a_recovery_is_not_ended_before_a_search_has_ended_but_on_somebodys_word() {
    let mut world = World::of_five();
    // There is none to end.
    world.order(Order::FinishRecovery).unwrap();
    world.searched(world.master.log.term());
    world.burn(&[1, 2]);
    let refused = |world: &mut World| {
        let refused = world.order(Order::FinishRecovery).unwrap_err();
        assert!(
            matches!(&refused, Error::NotSearched { unread } if unread.is_empty()),
            "{refused}"
        );
        assert!(!world.may_destroy());
    };
    world.recover(&[1, 2]).unwrap();
    // The search was made before the loss.
    refused(&mut world);
    let searched = world.master.log.term();
    world.searched(searched);
    // Disks may have dropped, or got, something since: another leader knows of no search.
    world.restart_master();
    world.run(20_000);
    refused(&mut world);
    world.searched(searched);
    refused(&mut world);
    world.order(Order::FinishUnsearched).unwrap();
    assert!(world.may_destroy());
    world.order(Order::FinishRecovery).unwrap();
}

#[test]
fn a_search_that_left_a_disk_out_does_not_end_the_recovery_unless_that_is_retired() {
    let mut world = World::of_five();
    world.burn(&[1, 2]);
    world.recover(&[1, 2]).unwrap();
    let refused = |world: &mut World, disks: &[u128]| {
        let refused = world.order(Order::FinishRecovery).unwrap_err();
        let Error::NotSearched { unread } = refused else {
            panic!("{refused}");
        };
        let names = disks
            .iter()
            .map(|number| world.worker(*number).beat.name.clone());
        assert_eq!(unread, names.collect::<Vec<_>>());
        assert!(!world.may_destroy());
    };
    let term = world.master.log.term();
    world.searched_but(term, &[4, 5]);
    refused(&mut world, &[4, 5]);
    // A file may be on both: two searches that each leave one out are not one.
    world.searched_but(term, &[3, 4]);
    refused(&mut world, &[3, 4]);
    world.searched_but(term, &[4]);
    refused(&mut world, &[4]);
    // What an earlier one read stays read.
    world.searched_but(term, &[3, 4, 5]);
    refused(&mut world, &[4]);
    // A disk that joins has been read by none.
    world.add(6);
    world.run(10_000);
    refused(&mut world, &[4, 6]);
    world.searched_but(term, &[6]);
    world.burn(&[6]);
    refused(&mut world, &[6]);
    let worker = world.worker(6).beat.name.clone();
    world.order(Order::Retire { worker, lost: true }).unwrap();
    world.order(Order::FinishRecovery).unwrap();
    assert!(world.may_destroy());
}

#[test]
fn without_any_voter_a_new_log_begins_and_nothing_is_dropped() {
    let mut world = World::of_five();
    world.burn(&[1, 2, 3]);
    conflict(world.recover(&[1, 2, 3]), "no voter is left");
    let chunk = world.leave_garbage(77);
    let copy = done(world.order_recovery(&[1, 2, 3], true, false));
    conflict(copy, "copy of all records");
    world.restart_master();
    world.run(20_000);
    let planned = done(world.order_recovery(&[1, 2, 3], true, true)).unwrap();
    assert!(!planned.done && planned.voters.len() == 1);
    let recovered = done(world.order_recovery(&[1, 2, 3], true, false)).unwrap();
    assert!(recovered.done && recovered.all_voters_lost);
    world.run(60_000);
    assert!(world.names().is_empty() && !world.may_destroy());
    assert!(holds(world.worker(4), chunk) && holds(world.worker(5), chunk));
    world.touch("b");
    assert!(
        done(world.order_recovery(&[1, 2, 3], true, false))
            .unwrap()
            .done
    );
    let back = |world: &mut World| {
        world.heal();
        world.beat(1).unwrap_err()
    };
    let refused = back(&mut world);
    assert!(matches!(refused, Error::RetiredDisk { .. }), "{refused}");
}

#[test]
fn a_master_that_begins_a_new_log_may_die_at_any_moment() {
    for killed_after in (0..1500).step_by(50) {
        let mut world = World::of_five();
        world.burn(&[1, 2, 3]);
        world.restart_master();
        world.run(20_000);
        let order = Recover {
            lost: vec![disk(1), disk(2), disk(3)],
            all_voters: true,
            dry_run: false,
        };
        drop(world.ask(|answer| Question::Recover(order, answer)));
        world.run(killed_after);
        world.restart_master();
        world.run(20_000);
        let again = done(world.order_recovery(&[1, 2, 3], true, false)).unwrap();
        assert!(again.done, "killed after {killed_after} ms");
        assert!(world.master.recovers() && !world.may_destroy());
        world.touch("b");
        assert_eq!(world.names(), ["b"]);
    }
}

#[test]
fn during_an_import_nothing_is_dropped_and_no_other_one_begins() {
    let mut world = World::founded();
    world.run(10_000);
    done(world.import(1, ImportStep::Begin)).unwrap();
    let chunk = world.leave_garbage(77);
    world.run(30_000);
    assert!(holds(world.worker(1), chunk) && !world.may_destroy());
    let other = done(world.import(2, ImportStep::Begin)).unwrap_err();
    assert!(matches!(other, Error::Busy), "{other}");
    done(world.import(1, ImportStep::End)).unwrap();
    let late = done(world.import(1, ImportStep::Files)).unwrap_err();
    assert!(matches!(late, Error::Conflict(_)), "{late}");
    done(world.import(2, ImportStep::Begin)).unwrap();
    // Nothing comes for long: it has ended, whether somebody said so or not.
    world.run(200_000);
    assert!(world.may_destroy());
    world.run(100_000);
    assert!(!holds(world.worker(1), chunk));
    let late = done(world.import(2, ImportStep::Files)).unwrap_err();
    assert!(matches!(late, Error::Conflict(_)), "{late}");
}

#[test]
fn an_import_waits_for_what_is_being_dropped() {
    let mut world = World::founded();
    world.run(10_000);
    let chunk = world.leave_garbage(77);
    world.lose_replies = true;
    world.run(200_000);
    assert!(
        holds(world.worker(1), chunk),
        "told to drop it, and not done"
    );
    let mut begun = world.import(1, ImportStep::Begin);
    world.run(1000);
    assert!(waits(&mut begun));
    world.lose_replies = false;
    world.run(9000);
    done(begun).unwrap();
    assert!(!holds(world.worker(1), chunk));
}
