//! The feed between two masters.

use super::asking::{done, refused, waits};
use super::changes::derived;
use super::world::World;
use crate::error::Error;
use crate::leader::following::Following;
use crate::leader::handle::Question;
use mdfs_core::format::{FORMATS, Formats};
use mdfs_protocol::feed::{Extent, FeedFrom, FeedReply, FeedRequest};
use mdfs_protocol::internal::MOST_MASTERS;

fn pair() -> World {
    let mut world = World::founded();
    world.store("a");
    world.add_master();
    world.run(2000);
    world
}

impl World {
    pub(super) fn wanted(&mut self) -> Option<FeedFrom> {
        done(self.ask(|answer| Question::Following(Following::Where(answer)))).unwrap()
    }

    fn ask_feed(&mut self, from: FeedFrom) -> super::asking::Asked<FeedReply> {
        self.ask_feed_as(FORMATS, from)
    }

    pub(super) fn ask_feed_as(
        &mut self,
        formats: Formats,
        from: FeedFrom,
    ) -> super::asking::Asked<FeedReply> {
        let request = FeedRequest {
            url: "http://master-2".to_owned(),
            formats,
            from,
        };
        self.ask(|answer| Question::Following(Following::Serve(request, answer)))
    }

    /// The other master reads all that there is.
    pub(super) fn feed_other(&mut self) {
        loop {
            let from = self.as_other(0, World::wanted).unwrap();
            let mut asked = self.ask_feed(from);
            let Ok(answered) = asked.try_recv() else {
                return;
            };
            let FeedReply::Page(page) = answered.unwrap() else {
                panic!("the leader leads no more")
            };
            self.as_other(0, |world| {
                let page = Box::new(page);
                done(world.ask(|answer| Question::Following(Following::Take(page, answer))))
                    .unwrap();
            });
        }
    }
}

#[test]
fn a_master_that_was_fed_has_all_that_is_committed_and_answers_nobody_from_it() {
    let mut world = pair();
    world.feed_other();
    world.store("b");
    world.feed_other();
    let have = world.as_other(0, World::wanted).unwrap().have.unwrap();
    assert_eq!(have.extent, Extent::Whole);
    world.as_other(0, |world| {
        let asked = world.look_up("b");
        assert!(matches!(refused(asked), Error::NotLeader { .. }));
    });
    // The leader's process ends without a word.
    std::mem::swap(&mut world.master, &mut world.others[0]);
    world.others.clear();
    let asked = world.look_up("a");
    assert!(matches!(refused(asked), Error::NotLeader { .. }));
    world.run(4500);
    assert_eq!(world.names(), ["a", "b"]);
}

#[test]
fn a_feed_waits_for_news_and_ends_with_the_leader_whose_follower_takes_over_at_once() {
    let mut world = pair();
    world.feed_other();
    let from = world.as_other(0, World::wanted).unwrap();
    let mut asked = world.ask_feed(from.clone());
    assert!(waits(&mut asked));
    world.store("b");
    world.run(50);
    assert!(matches!(done(asked).unwrap(), FeedReply::Page(page) if !page.is_empty()));
    // Without news there is an answer too: the leader is there.
    world.feed_other();
    let from = world.as_other(0, World::wanted).unwrap();
    let quiet = world.ask_feed(from.clone());
    world.run(1000);
    assert!(matches!(done(quiet).unwrap(), FeedReply::Page(page) if page.is_empty()));
    let ended = world.ask_feed(from.clone());
    world.resign();
    assert!(matches!(done(ended).unwrap(), FeedReply::Ended { .. }));
    let not = world.ask_feed(from);
    assert!(matches!(done(not).unwrap(), FeedReply::Ended { .. }));
    world.as_other(0, |world| {
        done(world.ask(|answer| Question::Following(Following::Gone(answer)))).unwrap();
        assert!(world.master.lead() == crate::leader::route::Lead::Here);
    });
}

#[test]
fn leases_are_handed_over_only_while_another_master_waits_for_the_feed() {
    let mut world = pair();
    let waiting = |world: &World| world.master.has_follower_waiting(world.time());
    assert!(!waiting(&world));
    world.feed_other();
    let from = world.as_other(0, World::wanted).unwrap();
    let asked = world.ask_feed(from.clone());
    assert!(waiting(&world));
    world.run(1200);
    assert!(waiting(&world), "it was answered a moment ago");
    drop(asked);
    world.run(1000);
    assert!(!waiting(&world), "it asked no more");
    // It stops while it waits: its connection ends.
    let asked = world.ask_feed(from);
    assert!(waiting(&world));
    drop(asked);
    assert!(!waiting(&world));
}

#[test]
fn as_many_masters_wait_for_news_as_there_may_be() {
    let mut world = pair();
    world.feed_other();
    let from = world.as_other(0, World::wanted).unwrap();
    let mut waiting: Vec<_> = (0..MOST_MASTERS)
        .map(|_| world.ask_feed(from.clone()))
        .collect();
    let first = waiting.remove(0);
    assert!(matches!(refused(first), Error::Busy));
    assert!(waiting.iter_mut().all(waits));
}

#[test]
fn a_master_that_was_fed_derives_all_before_it_takes_over() {
    let mut world = pair();
    world.feed_other();
    for text in ["b", "c", "a"] {
        world.store(text);
    }
    done(world.rename("b", "d")).unwrap();
    done(world.delete("c")).unwrap();
    let _left_open = world.open("f");
    world.run(500);
    world.feed_other();
    let led = derived(&world);
    let (committed, _, trash) = world.as_other(0, |world| derived(world));
    assert!((&committed, &trash) == (&led.0, &led.2));
    // The leader's process ends without a word.
    std::mem::swap(&mut world.master, &mut world.others[0]);
    world.others.clear();
    world.run(4500);
    assert_eq!(world.names(), ["a", "d"]);
    assert!(derived(&world) == led);
}

#[test]
fn what_a_deposed_leader_had_not_committed_is_taken_back_from_what_it_derived() {
    let mut world = pair();
    world.feed_other();
    let led = derived(&world);
    // Nobody hears of the delete.
    world.cut(&[1, 2, 3]);
    let _lost = world.delete("a");
    assert!(derived(&world) != led);
    world.resign();
    let (committed, _, trash) = derived(&world);
    assert!((&committed, &trash) == (&led.0, &led.2));
}
