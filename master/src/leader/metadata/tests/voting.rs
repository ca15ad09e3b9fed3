//! Who votes.

use super::asking::{done, refused};
use super::worker::Worker;
use super::world::{HOLD, VOTER_PATIENCE, World, disk, disks};
use crate::error::Error;
use crate::leader::handle::Question;
use mdfs_core::id::DiskId;
use mdfs_core::records::MemberState;
use mdfs_protocol::ask::Order;
use std::collections::BTreeSet;

impl World {
    fn order_voters(&mut self, wanted: u8) -> Result<(), Error> {
        done(self.ask(|answer| Question::Order(Order::Voters(wanted), answer)))
    }

    fn forget(&mut self, worker: &str) -> Result<(), Error> {
        let worker = worker.to_owned();
        let order = Order::ForgetVoter { worker };
        done(self.ask(|answer| Question::Order(order, answer)))
    }

    fn voters(&self) -> BTreeSet<DiskId> {
        self.master.log.membership().unwrap().config.voters
    }

    /// One more blank disk that is to vote only.
    fn add_witness(&mut self, number: u128) {
        let mut worker = Worker::blank(disk(number), self.now);
        worker.beat.witness = true;
        self.workers.insert(disk(number), worker);
        self.beat(number).unwrap();
    }

    /// The master is killed, and the next one leads.
    fn take_over(&mut self) {
        self.restart_master();
        self.run(5000);
    }
}

#[test]
fn voters_grow_to_five_and_shrink_to_one_while_masters_are_killed() {
    let mut world = World::founded_by(1);
    for number in 2..=5 {
        world.add(number);
    }
    world.run(2000);
    assert_eq!(
        world.voters(),
        disks(&[1]),
        "more only when they are wanted"
    );
    let mut stored = 0;
    for wanted in [3, 5, 3, 1] {
        world.order_voters(wanted).unwrap();
        for _ in 0..20 {
            // At any point of the change.
            world.run(150);
            world.take_over();
            stored += 1;
            world.touch(&format!("f{stored}"));
        }
        world.run(3000);
        assert_eq!(world.voters().len(), usize::from(wanted));
    }
    assert_eq!(world.names().len(), stored);
}

#[test]
fn an_order_for_another_number_of_voters_is_refused() {
    let mut world = World::founded();
    for wanted in [0, 4, 6] {
        let refused = world.order_voters(wanted).unwrap_err();
        assert!(matches!(refused, Error::Conflict(_)), "{refused}");
    }
    // Repeated, it changes nothing.
    world.order_voters(3).unwrap();
    world.run(2000);
    assert_eq!(world.voters(), disks(&[1, 2, 3]));
}

#[test]
fn a_voter_that_is_away_for_long_is_swapped_and_one_that_comes_back_is_not() {
    let mut world = World::founded();
    world.add(4);
    world.run(2000);
    world.kill(3);
    world.run(VOTER_PATIENCE - 10_000);
    world.heal();
    world.run(20_000);
    assert_eq!(world.voters(), disks(&[1, 2, 3]));
    world.kill(3);
    world.run(VOTER_PATIENCE + 20_000);
    assert_eq!(world.voters(), disks(&[1, 2, 4]));
    world.heal();
    world.run(20_000);
    assert_eq!(world.voters(), disks(&[1, 2, 4]), "it votes no more");
}

#[test]
fn without_a_spare_a_voter_that_is_away_stays_one() {
    let mut world = World::founded();
    world.kill(3);
    world.run(VOTER_PATIENCE + 20_000);
    assert_eq!(world.voters(), disks(&[1, 2, 3]));
    world.touch("a");
}

#[test]
fn a_drained_voter_hands_its_vote_over_and_can_be_retired() {
    let mut world = World::founded();
    world.add(4);
    world.run(2000);
    let order = Order::Decommission("worker-2".to_owned());
    done(world.ask(|answer| Question::Order(order, answer))).unwrap();
    world.run(120_000);
    assert_eq!(world.voters(), disks(&[1, 3, 4]));
    let state = world.master.catalog.members[&disk(2)].state;
    assert_eq!(state, MemberState::Retired);
}

#[test]
fn the_order_to_start_the_cluster_is_repeated_in_vain_whoever_votes_by_then() {
    let mut world = World::founded();
    world.add(4);
    let order = Order::Drain("worker-2".to_owned());
    done(world.ask(|answer| Question::Order(order, answer))).unwrap();
    world.run(10_000);
    assert_eq!(world.voters(), disks(&[1, 3, 4]));
    done(world.bootstrap(&[1, 2, 3], 2)).unwrap();
    let other = world.bootstrap(&[1, 3, 4], 2);
    assert!(matches!(refused(other), Error::BootstrapRefused(_)));
}

#[test]
fn the_survivor_of_a_pair_goes_on_when_the_other_is_given_up() {
    let mut world = World::founded_by(1);
    world.add(2);
    world.add(3);
    world.run(2000);
    world.order_voters(2).unwrap();
    world.run(3000);
    assert_eq!(world.voters(), disks(&[1, 2]));
    world.touch("a");
    let refused = world.forget("worker-2").unwrap_err();
    assert!(refused.to_string().contains("answers"), "{refused}");
    let refused = world.forget("worker-3").unwrap_err();
    assert!(refused.to_string().contains("does not vote"), "{refused}");
    world.kill(2);
    world.run(30_000);
    assert_eq!(world.names(), ["a"], "it still reads");
    world.take_over();
    world.run(10_000);
    assert_eq!(world.names(), ["a"], "and by another master too");
    let unknown = world.forget("worker-9").unwrap_err();
    assert!(matches!(unknown, Error::WorkerNotFound { .. }), "{unknown}");
    let order = Order::ForgetVoter {
        worker: "worker-2".to_owned(),
    };
    let asked = world.ask(|answer| Question::Order(order, answer));
    world.run(2000);
    done(asked).unwrap();
    let state = world.master.catalog.members[&disk(2)].state;
    assert_eq!(state, MemberState::Retired);
    world.run(5000);
    // Two are wanted, and another one is there.
    assert_eq!(world.voters(), disks(&[1, 3]));
    world.touch("b");
    // What was given up is refused when it comes back.
    world.heal();
    let back = world.beat(2).unwrap_err();
    assert!(matches!(back, Error::RetiredDisk { .. }), "{back}");
    world.take_over();
    assert_eq!(world.names(), ["a", "b"]);
}

#[test]
fn a_disk_that_dies_before_it_votes_can_be_given_up() {
    let mut world = World::founded_by(1);
    world.add(2);
    world.run(2000);
    world.touch("a");
    world.order_voters(2).unwrap();
    let taught = |world: &World| {
        let held = world.master.log.replicated().unwrap();
        held.iter().any(|it| it.0 == disk(2) && it.1 > 0)
    };
    while !taught(&world) {
        world.run(50);
    }
    // The order goes out and comes to nobody.
    let now = world.time().mono;
    drop(world.master.log.change_voters(now, disks(&[1, 2])).unwrap());
    world.kill(2);
    world.run(30_000);
    let unsure = world.delete("a");
    world.run(HOLD + 1000);
    assert!(done(unsure).is_err());
    world.forget("worker-2").unwrap();
    world.run(1000);
    assert_eq!(world.voters(), disks(&[1]));
    world.touch("b");
    let state = world.master.catalog.members[&disk(2)].state;
    assert_eq!(state, MemberState::Retired);
}

#[test]
fn of_three_voters_none_is_given_up_by_force() {
    let mut world = World::founded();
    world.kill(3);
    world.run(30_000);
    let refused = world.forget("worker-3").unwrap_err();
    assert!(matches!(refused, Error::Conflict(_)), "{refused}");
}

#[test]
fn a_witness_votes_and_gets_no_chunk() {
    let mut world = World::founded_by(1);
    world.add(2);
    world.add_witness(3);
    world.run(2000);
    world.order_voters(3).unwrap();
    world.run(3000);
    assert_eq!(world.voters(), disks(&[1, 2, 3]));
    for number in 0..20 {
        let upload = world.open(&format!("f{number}"));
        let sites = super::asking::ids(world.place(&upload, 0).unwrap());
        assert!(!sites.contains(&disk(3)), "{sites:?}");
        done(world.finish(&upload)).unwrap();
    }
    world.run(5000);
    assert_eq!(world.worker(3).holdings.len(), 0);
    // A third copy of each chunk has no place to go.
    let upload = world.open("last");
    let avoided = world.place_avoiding(&upload, 0, &[disk(2)]).unwrap_err();
    assert!(
        matches!(avoided, Error::TooFewWorkers { found: 1, .. }),
        "{avoided}"
    );
    // Any one of the three may go, and names are still written.
    world.kill(2);
    world.run(20_000);
    done(world.delete("f1")).unwrap();
}

#[test]
fn a_worker_with_chunks_votes_rather_than_a_witness() {
    let mut world = World::founded_by(1);
    world.add_witness(2);
    for number in 3..=4 {
        world.add(number);
    }
    world.run(2000);
    world.order_voters(3).unwrap();
    world.run(3000);
    assert_eq!(world.voters(), disks(&[1, 3, 4]));
}
