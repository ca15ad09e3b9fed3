//! Copies of masters that do not lead, and what they load when they take over.

use super::*;
use crate::log::feed::{Extent, FeedPage, FeedStart};
use crate::log::message::Base;
use proptest::prelude::*;

/// What a driver makes of [`Effect::Copied`].
#[derive(Default)]
struct Mirror {
    records: Records,
    /// How often it began anew.
    anew: usize,
}

impl Mirror {
    fn follow(&mut self, effects: &[Effect]) {
        for effect in effects {
            let Effect::Copied(copied) = effect else {
                continue;
            };
            if copied.anew {
                self.records.clear();
                self.anew += 1;
            }
            for Changed { key, old, new } in &copied.changes {
                let before = match new {
                    Some(value) => self.records.insert(key.clone(), value.clone()),
                    None => self.records.remove(key),
                };
                assert_eq!(before, *old);
            }
            for (key, value) in &copied.records {
                let before = self.records.insert(key.clone(), value.clone());
                assert_eq!(before, None);
            }
        }
    }
}

impl Cluster {
    fn page(&self, from: usize, to: usize) -> Option<FeedPage> {
        let wanted = self.masters[to].feed_from()?;
        self.masters[from].serve_feed(&wanted)
    }

    /// One page of the feed; false if it brings nothing.
    fn feed(&mut self, from: usize, to: usize, mirror: &mut Mirror) -> bool {
        let page = self.page(from, to).unwrap();
        if page.is_empty() {
            return false;
        }
        let effects = self.masters[to].feed(self.now, page);
        mirror.follow(&effects);
        assert!(!effects.iter().any(|it| matches!(it, Effect::Broken(_))));
        true
    }

    fn feed_all(&mut self, from: usize, to: usize, mirror: &mut Mirror) {
        while self.feed(from, to, mirror) {}
    }

    fn set(&mut self, key: u8, value: Option<u8>) {
        let puts = vec![Put {
            key: vec![b'k', key],
            value: value.map(|value| vec![value]),
        }];
        let (_, effects) = self.masters[0].append(self.now, None, puts).unwrap();
        self.perform(0, effects);
    }

    /// What a master reported of its records since it was told so much.
    fn copied(&self, master: usize, since: usize) -> Vec<Effect> {
        let told = self.told[since..].iter();
        let of = told.filter(|(by, effect)| *by == master && matches!(effect, Effect::Copied(_)));
        of.map(|(_, effect)| effect.clone()).collect()
    }
}

fn records(table: &Table) -> Records {
    let range = table.range(&[], None);
    range
        .map(|(key, value)| (key.to_vec(), value.to_vec()))
        .collect()
}

#[test]
fn a_master_that_was_fed_takes_over_by_loading_only_what_it_lacks() {
    let mut cluster = Cluster::founded(3);
    for number in 0..20 {
        cluster.write(0, &format!("k{number:02}")).unwrap();
    }
    let second = cluster.start_master();
    let mut mirror = Mirror::default();
    cluster.feed_all(0, second, &mut mirror);
    assert_eq!((mirror.records.len(), mirror.anew), (20, 1));
    cluster.write(0, "late").unwrap();
    // The voters hear that it is committed.
    cluster.run(1000);
    cluster.masters[0].resigned = true;
    let since = cluster.told.len();
    cluster.now = cluster.now.plus(Duration::from_secs(4));
    let effects = cluster.masters[second].poll_now(cluster.now);
    cluster.perform(second, effects);
    assert!(cluster.masters[second].can_write(cluster.now));
    mirror.follow(&cluster.copied(second, since));
    let table = cluster.masters[second].committed().unwrap();
    assert_eq!((table.len(), mirror.anew), (21, 1));
    assert_eq!(mirror.records, records(table));
}

#[test]
fn a_leader_that_steps_down_keeps_what_was_committed_and_nothing_else() {
    let mut cluster = Cluster::founded(3);
    cluster.write(0, "a").unwrap();
    let (_, unsent) = cluster.masters[0]
        .append(cluster.now, None, put("b", "v"))
        .unwrap();
    drop(unsent);
    let told = Reply::Refused {
        term: Term::default(),
        send: 0,
        promised: Term {
            round: 9,
            incarnation: Incarnation(9),
        },
        lease_left: None,
    };
    let since = cluster.told.len();
    let from = disk(1);
    cluster.step(0, Event::Reply { from, reply: told });
    assert_eq!(cluster.masters[0].term(), None);
    let have = cluster.masters[0].feed_from().unwrap().have.unwrap();
    assert_eq!((have.position.index, have.extent), (2, Extent::Whole));
    // Nobody got the second one: the former leader begins where it was.
    cluster.run(4000);
    assert!(cluster.masters[0].can_write(cluster.now));
    assert!(cluster.copied(0, since).is_empty());
    let table = cluster.masters[0].committed().unwrap();
    assert_eq!(records(table).len(), 1);
}

#[test]
fn what_is_inherited_and_not_committed_is_told_apart() {
    let mut cluster = Cluster::founded(2);
    cluster.write(0, "a").unwrap();
    cluster.write(0, "a").unwrap();
    cluster.masters.clear();
    cluster.down = disks(&[2]);
    cluster.start_master();
    cluster.run(7000);
    let leader = &cluster.masters[0];
    // The voter was not told yet that the second one is committed, and alone it commits nothing.
    assert_eq!(leader.commit(), Some(2));
    let change = Changed {
        key: b"a".to_vec(),
        old: Some(b"v".to_vec()),
        new: Some(b"v".to_vec()),
    };
    assert_eq!(leader.tail(), [(3, vec![change])]);
}

#[test]
fn nothing_is_fed_before_an_own_entry_is_committed_or_past_the_commit() {
    let mut cluster = Cluster::founded(3);
    let second = cluster.start_master();
    let mut mirror = Mirror::default();
    cluster.feed_all(0, second, &mut mirror);
    cluster.down = disks(&[2, 3]);
    cluster.write(0, "a").unwrap();
    assert!(!cluster.feed(0, second, &mut mirror));
    let wanted = cluster.masters[second].feed_from().unwrap();
    assert_eq!(cluster.masters[second].serve_feed(&wanted), None);
}

#[test]
fn a_page_that_contradicts_what_is_committed_stops_the_master_and_an_old_one_does_nothing() {
    let mut cluster = Cluster::founded(1);
    let second = cluster.start_master();
    let mut mirror = Mirror::default();
    cluster.feed_all(0, second, &mut mirror);
    cluster.write(0, "a").unwrap();
    let old = cluster.page(0, second).unwrap();
    cluster.feed_all(0, second, &mut mirror);
    assert_eq!(cluster.masters[second].feed(cluster.now, old.clone()), []);
    let have = cluster.masters[second].feed_from().unwrap().have.unwrap();
    let behind = Base {
        position: Position {
            index: have.position.index - 1,
            ..have.position
        },
        ..Base::default()
    };
    let anew = FeedPage {
        start: FeedStart::Anew(behind),
        entries: Vec::new(),
        ..old.clone()
    };
    assert_eq!(cluster.masters[second].feed(cluster.now, anew), []);
    let other = FeedPage {
        start: FeedStart::Behind(Position {
            term: Term::default(),
            ..have.position
        }),
        ..old
    };
    let effects = cluster.masters[second].feed(cluster.now, other);
    let want = Violation::CopyContradicted {
        term: cluster.masters[0].term().unwrap(),
        index: have.position.index,
    };
    assert_eq!(effects.first(), Some(&Effect::Broken(want)));
}

proptest! {
    /// Whatever is written between the pages, and however far the log reaches back.
    #[test]
    fn a_copy_made_while_the_log_goes_on_is_the_table(
        before in prop::collection::vec((0u8..40, prop::option::of(0u8..4)), 0..60),
        rounds in prop::collection::vec(
            prop::collection::vec((0u8..40, prop::option::of(0u8..4)), 0..8), 0..40),
        window in 1usize..12,
        page_bytes in 1usize..400,
    ) {
        let entries = window;
        let mut cluster = Cluster::with_window(1, Window { entries, bytes: usize::MAX });
        cluster.bootstrap(1);
        cluster.masters[0].settings.page_bytes = page_bytes;
        let second = cluster.start_master();
        for (key, value) in before {
            cluster.set(key, value);
        }
        let mut mirror = Mirror::default();
        for round in rounds {
            for (key, value) in round {
                cluster.set(key, value);
            }
            cluster.feed(0, second, &mut mirror);
            // As of its last entry, up to a key: what the leader's table was then.
            if let Some((_, table)) = cluster.masters[second].warm_table() {
                prop_assert_eq!(&mirror.records, &records(table));
            }
        }
        cluster.feed_all(0, second, &mut mirror);
        let want = records(cluster.masters[0].committed().unwrap());
        let (end, copy) = cluster.masters[second].warm_table().unwrap();
        prop_assert_eq!(Some(end), cluster.masters[0].commit());
        prop_assert_eq!(&records(copy), &want);
        prop_assert_eq!(&mirror.records, &want);
        // And it takes over with it, whatever the voter's log still has.
        let since = cluster.told.len();
        cluster.masters[0].resigned = true;
        cluster.now = cluster.now.plus(Duration::from_secs(4));
        let effects = cluster.masters[second].poll_now(cluster.now);
        cluster.perform(second, effects);
        mirror.follow(&cluster.copied(second, since));
        prop_assert_eq!(&records(cluster.masters[second].committed().unwrap()), &want);
        prop_assert_eq!(&mirror.records, &want);
    }
}
