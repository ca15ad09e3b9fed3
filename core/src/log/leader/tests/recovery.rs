//! Voters that are given up on somebody's word.

use super::*;

/// By the clock of whoever recovers.
const WALL: LogTime = LogTime::from_millis(1_700_000_000_000);

impl Cluster {
    /// Three voters, of which the first has not heard of what was written last: it is on the other two,
    /// which burn with the master.
    fn burnt() -> Self {
        let mut cluster = Self::split(1, 1);
        cluster.burn(&[2, 3]);
        cluster
    }

    /// One of three voters has not heard of what was written last.
    fn split(survivor: u128, entries: usize) -> Self {
        let mut cluster = Self::founded(3);
        cluster.write(0, "a").unwrap();
        cluster.run(1000);
        cluster.down = disks(&[survivor]);
        for _ in 0..entries {
            cluster.write(0, "b").unwrap();
        }
        cluster.run(500);
        assert!(cluster.has_committed("b"));
        cluster
    }

    fn burn(&mut self, lost: &[u128]) {
        let cluster = self;
        cluster.down = disks(lost);
        cluster.masters.clear();
        cluster.told.clear();
        cluster.start_master();
        cluster.run(5000);
        assert_eq!(cluster.masters[0].term(), None);
    }

    fn has_committed(&self, key: &str) -> bool {
        let table = self.masters[0].committed();
        table.is_some_and(|table| table.get(key.as_bytes()).is_some())
    }

    fn recover(&mut self, lost: &[u128]) {
        let effects = self.masters[0].recover(self.now, disks(lost), WALL);
        self.perform(0, effects);
        self.run(500);
    }

    fn give_up(&mut self) -> u64 {
        let now = self.now;
        let (index, effects) = self.masters[0]
            .give_up_voters(now, put("lost", "some"))
            .unwrap();
        self.perform(0, effects);
        index
    }

    fn page_with_news(&self, from: usize, to: usize) -> Option<crate::log::feed::FeedPage> {
        let wanted = self.masters[to].feed_from()?;
        let page = self.masters[from].serve_feed(&wanted)?;
        (!page.is_empty()).then_some(page)
    }

    fn may_recover(&self, lost: &[u128]) -> Result<(), VotersRefused> {
        self.masters[0].may_recover(&disks(lost))
    }
}

#[test]
fn what_the_last_voter_has_is_back_and_it_writes_alone() {
    let mut cluster = Cluster::burnt();
    assert_eq!(cluster.may_recover(&[2, 3]), Ok(()));
    let heard = cluster.masters[0].heard().unwrap();
    assert_eq!((heard.voters, heard.ends.len()), (disks(&[1, 2, 3]), 1));
    cluster.recover(&[2, 3]);
    assert_eq!(cluster.masters[0].recovers(), Some(&disks(&[2, 3])));
    // It does nothing else.
    cluster.run(5000);
    let now = cluster.now;
    assert!(!cluster.masters[0].can_write(now) && !cluster.masters[0].can_read(now));
    assert_eq!(cluster.write(0, "c"), Err(NotLeading::NoQuorum));
    let index = cluster.give_up();
    assert_eq!(cluster.masters[0].commit(), Some(index));
    assert!(cluster.has_committed("a") && cluster.has_committed("lost"));
    assert!(
        !cluster.has_committed("b"),
        "nobody is left who knows of it"
    );
    cluster.write(0, "c").unwrap();
    // The next leader is an ordinary one.
    cluster.masters.clear();
    cluster.start_master();
    cluster.run(4000);
    assert_eq!(cluster.masters[0].recovers(), None);
    assert!(cluster.masters[0].can_write(cluster.now) && cluster.has_committed("c"));
}

#[test]
fn the_word_is_asked_for_each_voter_that_is_silent_and_for_no_other() {
    let mut cluster = Cluster::burnt();
    let unvouched = VotersRefused::Unvouched { disk: disk(3) };
    assert_eq!(cluster.may_recover(&[2]), Err(unvouched));
    let stranger = VotersRefused::NoVoter { disk: disk(9) };
    assert_eq!(cluster.may_recover(&[2, 3, 9]), Err(stranger));
    let heard = VotersRefused::Heard { disk: disk(1) };
    assert_eq!(cluster.may_recover(&[1, 2, 3]), Err(heard));
    for lost in [&[2][..], &[2, 3, 9], &[1, 2, 3], &[]] {
        cluster.recover(lost);
        cluster.run(5000);
        assert_eq!(cluster.masters[0].term(), None, "{lost:?}");
    }
    cluster.down = disks(&[2]);
    cluster.run(1000);
    // It can be done with a quorum, so it is.
    cluster.run(4000);
    assert!(cluster.masters[0].can_write(cluster.now) && cluster.has_committed("b"));
}

#[test]
fn a_voter_that_was_said_to_be_lost_and_comes_back_in_time_is_not_given_up() {
    let mut cluster = Cluster::burnt();
    let effects = cluster.masters[0].recover(cluster.now, disks(&[2, 3]), WALL);
    cluster.down.clear();
    cluster.perform(0, effects);
    cluster.run(4000);
    assert_eq!(cluster.masters[0].recovers(), None);
    assert!(cluster.masters[0].can_write(cluster.now) && cluster.has_committed("b"));
}

#[test]
fn voters_that_come_back_after_they_were_given_up_elect_nobody_who_is_followed() {
    let mut cluster = Cluster::burnt();
    cluster.recover(&[2, 3]);
    // They are there again before the entry: nothing is sent to them.
    cluster.down.clear();
    cluster.run(200);
    cluster.give_up();
    cluster.write(0, "c").unwrap();
    assert!(!cluster.has_committed("b"));
    // Another master hears all of them: it takes the log of whoever knows of the change.
    cluster.masters.clear();
    cluster.start_master();
    cluster.run(5000);
    assert!(cluster.masters[0].can_write(cluster.now));
    assert!(cluster.has_committed("c") && !cluster.has_committed("b"));
    assert_eq!(
        cluster.masters[0].membership().unwrap().config.voters,
        disks(&[1])
    );
}

#[test]
fn a_recovery_that_breaks_off_anywhere_is_gone_on_with() {
    for appended in [false, true] {
        let mut cluster = Cluster::burnt();
        cluster.recover(&[2, 3]);
        if appended {
            cluster.give_up();
        }
        cluster.masters.clear();
        cluster.start_master();
        cluster.run(5000);
        if !appended {
            assert_eq!(cluster.masters[0].term(), None);
            cluster.recover(&[2, 3]);
            cluster.give_up();
        }
        assert!(cluster.has_committed("a") && cluster.has_committed("lost"));
        cluster.run(500);
        assert!(cluster.masters[0].can_write(cluster.now));
    }
}

#[test]
fn a_leader_that_is_alone_with_all_of_it_loses_nothing() {
    let mut cluster = Cluster::founded(3);
    cluster.down = disks(&[1]);
    cluster.write(0, "b").unwrap();
    cluster.run(500);
    cluster.down = disks(&[2, 3]);
    cluster.run(5000);
    assert!(
        cluster.masters[0].term().is_some(),
        "the last voter follows it"
    );
    cluster.recover(&[2, 3]);
    assert_eq!(cluster.masters[0].recovers(), Some(&disks(&[2, 3])));
    cluster.give_up();
    cluster.run(500);
    assert!(cluster.masters[0].can_write(cluster.now) && cluster.has_committed("b"));
    cluster.write(0, "c").unwrap();
    cluster.run(1000);
    let (_, records, _) = &cluster.voters[&disk(1)];
    assert!(
        records.contains_key(&b"b"[..]),
        "the voter has been taught it"
    );
}

#[test]
fn without_any_log_a_new_one_is_above_all_that_were_before() {
    let mut cluster = Cluster::founded(3);
    // Longer than the log to come.
    for _ in 0..30 {
        cluster.write(0, "a").unwrap();
    }
    cluster.run(1000);
    let burnt = [1, 2, 3].map(|number| cluster.voters.remove(&disk(number)).unwrap());
    for number in [4, 5] {
        let voter = cluster.voter(DurableVoter::default());
        let blank = (voter, BTreeMap::new(), BTreeMap::new());
        cluster.voters.insert(disk(number), blank);
    }
    cluster.masters.clear();
    cluster.start_master();
    let now = cluster.now;
    let order = cluster.masters[0].found_again(now, 3, disks(&[4]), disks(&[1, 2, 3]), WALL);
    cluster.perform(0, order);
    cluster.run(1000);
    assert!(cluster.told(0, |effect| *effect == Effect::Bootstrapped { ticket: 3 }));
    cluster.write(0, "b").unwrap();
    // Some of what burnt is there again: it is not what a new master believes.
    for (number, voter) in (1..).zip(burnt).take(1) {
        cluster.voters.insert(disk(number), voter);
    }
    cluster.masters.clear();
    cluster.start_master();
    cluster.run(5000);
    assert!(cluster.has_committed("b") && !cluster.has_committed("a"));
}

#[test]
fn a_lost_voter_that_comes_back_with_a_longer_log_and_answers_first_stops_nobody() {
    let mut cluster = Cluster::split(3, 30);
    cluster.burn(&[1, 2]);
    cluster.recover(&[1, 2]);
    cluster.give_up();
    cluster.write(0, "c").unwrap();
    cluster.masters.clear();
    cluster.told.clear();
    cluster.down = disks(&[2]);
    cluster.start_master();
    cluster.run(5000);
    assert!(!cluster.told(0, |it| matches!(it, Effect::Broken(_))));
    assert!(cluster.masters[0].can_write(cluster.now));
    assert!(cluster.has_committed("c") && !cluster.has_committed("b"));
}

#[test]
fn the_term_of_a_recovery_is_above_those_that_the_lost_voters_gave() {
    let mut cluster = Cluster::split(1, 1);
    for _ in 0..4 {
        cluster.masters.clear();
        cluster.start_master();
        cluster.run(5000);
    }
    let before = cluster.masters[0].term().unwrap();
    cluster.burn(&[2, 3]);
    cluster.recover(&[2, 3]);
    assert!(cluster.masters[0].term().unwrap() > before);
    cluster.give_up();
    // Elections go on from there.
    let recovered = cluster.masters[0].term().unwrap();
    cluster.masters.clear();
    cluster.start_master();
    cluster.run(5000);
    let next = cluster.masters[0].term().unwrap();
    assert!(next > recovered && cluster.masters[0].can_write(cluster.now));
}

#[test]
fn a_copy_of_what_was_given_up_is_dropped_by_whoever_is_fed_after_it() {
    let mut cluster = Cluster::split(1, 1);
    let second = cluster.start_master();
    while let Some(page) = cluster.page_with_news(0, second) {
        let _ = cluster.masters[second].feed(cluster.now, page);
    }
    let mut follower = cluster.masters.pop().unwrap();
    assert_eq!(follower.copied_up_to(), cluster.masters[0].commit());
    cluster.burn(&[2, 3]);
    cluster.recover(&[2, 3]);
    cluster.give_up();
    cluster.masters.push(follower);
    for _ in 0..10 {
        let Some(page) = cluster.page_with_news(0, 1) else {
            break;
        };
        let fed = cluster.masters[1].feed(cluster.now, page);
        assert!(!fed.iter().any(|it| matches!(it, Effect::Broken(_))));
    }
    follower = cluster.masters.pop().unwrap();
    assert_eq!(follower.copied_up_to(), cluster.masters[0].commit());
}

#[test]
fn a_leader_that_is_gone_is_forgotten_when_no_disk_leases_itself_to_it() {
    let mut cluster = Cluster::founded(3);
    cluster.start_master();
    cluster.run(1000);
    cluster.masters.remove(0);
    cluster.down = disks(&[2, 3]);
    let effects = cluster.masters[0].poll_now(cluster.now);
    cluster.perform(0, effects);
    assert!(cluster.masters[0].follows().is_some(), "its lease runs");
    cluster.run(5000);
    let effects = cluster.masters[0].poll_now(cluster.now);
    cluster.perform(0, effects);
    assert_eq!(cluster.masters[0].follows(), None);
}
