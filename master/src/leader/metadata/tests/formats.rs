//! The version of what the log and its records may hold, while servers are replaced one by one.

use super::asking::{done, refused};
use super::world::{World, disk};
use crate::error::Error;
use crate::leader::handle::Question;
use crate::leader::metadata::Effect;
use crate::leader::route::Lead;
use mdfs_core::format::{FORMATS, Formats};
use mdfs_core::id::FileId;
use mdfs_core::records::Key;
use mdfs_protocol::ask::Hello;

/// What a release before this one knows.
const OLD: Formats = Formats { least: 1, most: 1 };

impl World {
    /// Three workers and a master of the release before.
    fn old() -> Self {
        let mut world = Self::blank(3);
        world.master.settings.formats = OLD;
        for number in 1..=3 {
            world.replace(number, OLD);
        }
        let asked = world.bootstrap(&[1, 2, 3], 2);
        world.run(2000);
        done(asked).unwrap();
        world.tell_all();
        world
    }

    /// A worker is another release from now on.
    fn replace(&mut self, number: u128, formats: Formats) {
        self.worker(number).beat.formats = formats;
        self.beat(number).unwrap();
    }

    fn replace_master(&mut self, formats: Formats) {
        self.restart_master();
        self.master.settings.formats = formats;
        self.run(5000);
    }

    /// A master that follows says hello.
    fn hello(&mut self, number: usize, formats: Formats) {
        let hello = Hello {
            url: format!("http://master-{number}"),
            formats,
            version: String::new(),
        };
        done(self.ask(|answer| Question::Hello(hello, answer))).unwrap();
    }

    fn format(&mut self) -> u32 {
        self.status().format.unwrap()
    }

    /// In which version an open upload is written.
    fn version_of_upload(&mut self, name: &str) -> u8 {
        let upload: FileId = self.open(name).file;
        self.run(100);
        let table = self.master.log.committed().unwrap();
        table.get(&Key::Upload(upload).to_bytes()).unwrap()[0]
    }
}

#[test]
fn the_version_rises_once_every_server_knows_the_next_and_until_then_all_go_back() {
    let mut world = World::old();
    world.store("a");
    assert_eq!((world.format(), world.version_of_upload("u1")), (1, 1));
    world.replace_master(FORMATS);
    world.replace(1, FORMATS);
    world.replace(2, FORMATS);
    world.run(70_000);
    assert_eq!((world.format(), world.version_of_upload("u2")), (1, 1));
    // It goes back, and nothing is lost.
    world.replace_master(OLD);
    world.replace(1, OLD);
    assert_eq!(world.master.lead(), Lead::Here);
    world.store("b");
    assert_eq!(world.names(), ["a", "b"]);
    world.replace_master(FORMATS);
    for number in 1..=3 {
        world.replace(number, FORMATS);
    }
    world.run(50_000);
    assert_eq!(world.format(), 1);
    // A disk that is silent may come back as an older release.
    world.kill(3);
    world.run(30_000);
    world.heal();
    world.run(50_000);
    assert_eq!(world.format(), 1);
    world.run(15_000);
    assert_eq!((world.format(), world.version_of_upload("u3")), (2, 2));
    assert_eq!(world.names(), ["a", "b"]);
}

#[test]
fn a_master_of_an_earlier_release_that_follows_keeps_the_version_where_it_is() {
    let mut world = World::old();
    world.replace_master(FORMATS);
    for number in 1..=3 {
        world.replace(number, FORMATS);
    }
    for _ in 0..70 {
        world.hello(9, OLD);
        world.run(1000);
    }
    assert_eq!(world.format(), 1);
    // What it was replaced by says otherwise, under the same address.
    for _ in 0..62 {
        world.hello(9, FORMATS);
        world.run(1000);
    }
    assert_eq!(world.format(), 2);
}

#[test]
fn a_master_that_is_gone_for_less_than_a_minute_may_come_back_as_the_release_that_it_was() {
    let mut world = World::old();
    world.replace_master(FORMATS);
    for number in 1..=3 {
        world.replace(number, FORMATS);
    }
    world.hello(9, OLD);
    world.run(10_000);
    let now = world.time();
    assert_eq!(world.master.followers(now).count(), 0);
    // It counts for a minute after its last word, and from then on the next must be known for one.
    world.run(100_000);
    assert_eq!(world.format(), 1);
    world.run(20_000);
    assert_eq!(world.format(), 2);
}

#[test]
fn masters_that_are_too_many_to_be_remembered_count_as_ones_that_do_not_know() {
    let mut world = World::old();
    world.replace_master(FORMATS);
    for number in 1..=3 {
        world.replace(number, FORMATS);
    }
    // The first one is forgotten for those that came after it.
    world.hello(1000, OLD);
    for round in 0..4 {
        world.run(6000);
        (0..10).for_each(|number| world.hello(100 * round + number, FORMATS));
    }
    let now = world.time();
    assert_eq!(world.master.followers(now).count(), 10);
    world.run(90_000);
    assert_eq!(world.format(), 1);
    world.run(20_000);
    assert_eq!(world.format(), 2);
}

#[test]
fn a_master_that_does_not_know_the_version_never_leads_and_says_why() {
    let mut world = World::founded();
    assert_eq!(world.format(), FORMATS.most, "all founders know it");
    world.store("a");
    world.replace_master(OLD);
    assert!(world.master.lead() != Lead::Here);
    assert!(world.master.log.is_resigned());
    let status = world.status();
    let why = status.reasons.join("; ");
    assert!(why.contains("knows versions 1 to 1"), "{why}");
    assert!(why.contains("has version 2"), "{why}");
    let asked = world.look_up("a");
    world.run(15_000);
    assert!(matches!(refused(asked), Error::NoLeader));
    // It gave its leases back: the next one need not wait long, and nothing is lost.
    world.replace_master(FORMATS);
    assert_eq!(world.master.lead(), Lead::Here);
    assert_eq!(world.names(), ["a"]);
    world.store("b");
}

#[test]
fn a_master_that_follows_learns_the_version_from_the_feed_and_does_not_campaign() {
    let mut world = World::founded();
    world.store("a");
    world.add_master();
    world.others[0].settings.formats = OLD;
    world.run(2000);
    world.feed_other();
    world.as_other(0, |world| {
        assert!(world.master.log.is_resigned());
        let reasons = world.status().reasons.join("; ");
        assert!(reasons.contains("it does not lead"), "{reasons}");
    });
    assert_eq!(world.master.lead(), Lead::Here);
    world.store("b");
    // It goes on as one that follows, and reads nothing of what it is fed.
    world.feed_other();
    world.as_other(0, |world| {
        assert!(world.master.log.is_warm());
        assert_eq!(world.status().format, Some(FORMATS.most));
        assert_eq!(world.master.catalog.files, 0);
    });
}

#[test]
fn a_master_that_does_not_know_the_version_is_named_and_no_leases_are_handed_to_it() {
    let mut world = World::founded();
    world.add_master();
    world.feed_other();
    let from = world.as_other(0, World::wanted).unwrap();
    for (formats, takes_over) in [(FORMATS, true), (OLD, false)] {
        let _asked = world.ask_feed_as(formats, from.clone());
        let now = world.time();
        assert_eq!(world.master.has_follower_waiting(now), takes_over);
        let named = "master http://master-2 is an older program";
        let reasons = world.status().reasons.join("; ");
        assert_eq!(reasons.contains(named), !takes_over, "{reasons}");
    }
}

#[test]
fn a_cluster_is_founded_with_what_every_founder_knows() {
    let mut world = World::blank(3);
    world.replace(2, OLD);
    let asked = world.bootstrap(&[1, 2, 3], 2);
    world.run(2000);
    done(asked).unwrap();
    assert_eq!(world.format(), 1);
}

#[test]
fn a_version_that_is_inherited_and_not_committed_counts_too() {
    let mut world = World::old();
    world.replace_master(FORMATS);
    // Only one voter gets the entry by which it rises.
    let view = world.master.view().unwrap();
    let raised = mdfs_core::records::plan::plan_format(&view, 2).unwrap();
    world.cut(&[2, 3]);
    let now = world.time();
    let (_, effects) = world
        .master
        .log
        .append(now.mono, None, raised.puts)
        .unwrap();
    world.master.absorb(now, effects);
    let effects: Vec<Effect> = std::mem::take(&mut world.master.effects);
    world.carry(effects);
    world.heal();
    world.worker(3).reached = false;
    world.replace_master(OLD);
    assert!(world.master.log.is_resigned());
    world.worker(3).reached = true;
    world.replace_master(FORMATS);
    assert_eq!(world.format(), 2);
}

#[test]
fn a_worker_of_an_earlier_release_keeps_chunks_and_does_not_become_a_voter() {
    let mut world = World::founded();
    world.add(4);
    world.replace(4, OLD);
    world.run(2000);
    let reasons = world.status().reasons.join("; ");
    assert!(
        reasons.contains("worker-4 is an older program"),
        "{reasons}"
    );
    world.kill(3);
    world.run(super::world::VOTER_PATIENCE + 20_000);
    let voters = |world: &World| world.master.log.membership().unwrap().config.voters;
    assert!(!voters(&world).contains(&disk(4)));
    world.replace(4, FORMATS);
    world.run(20_000);
    assert!(voters(&world).contains(&disk(4)));
}
