//! A disk that was given up comes back with its vote.

use super::*;

impl Cluster {
    /// A pair, of which `lost` was given up; the survivor has written `b` since.
    fn given_up(survivor: u128, lost: u128) -> Self {
        let mut cluster = Self::founded(2);
        cluster.write(0, "a").unwrap();
        cluster.run(1000);
        cluster.down = disks(&[lost]);
        cluster.run(9000);
        cluster.force(&[survivor], &[lost]).unwrap();
        cluster.write(0, "b").unwrap();
        cluster
    }

    fn sees(&mut self, numbers: &[u128]) {
        let disks = disks(numbers);
        self.step(0, Event::Seen { disks });
    }

    /// Led by the first master, through the survivor alone.
    fn check_led_by(&mut self, survivor: u128) {
        assert_eq!(self.voters(), disks(&[survivor]));
        assert!(self.has("a") && self.has("b"));
        assert!(self.write(0, "c").is_ok());
        assert!(!self.told(0, |it| matches!(it, Effect::Broken(_))));
    }
}

#[test]
fn a_master_that_has_just_started_and_hears_of_a_given_up_disk_first_does_not_lead() {
    let mut cluster = Cluster::given_up(1, 2);
    cluster.masters.clear();
    cluster.told.clear();
    cluster.down.clear();
    // Of the survivor, which is asked all the same, nothing is known yet.
    cluster.down.insert(disk(1));
    cluster.start_master();
    cluster.sees(&[2]);
    cluster.run(5000);
    assert_eq!(cluster.masters[0].term(), None);
    assert!(!cluster.read(0, 1));
    cluster.down.clear();
    cluster.sees(&[1, 2]);
    cluster.run(1000);
    assert!(cluster.read(0, 2));
    cluster.check_led_by(1);
}

#[test]
fn the_promise_of_a_given_up_disk_elects_nobody_though_it_comes_first() {
    // The first disk answers first.
    let mut cluster = Cluster::given_up(2, 1);
    cluster.masters.clear();
    cluster.told.clear();
    cluster.down.clear();
    cluster.start_master();
    let mut elected = false;
    for _ in 0..100 {
        cluster.run(50);
        if cluster.masters[0].term().is_some() && !elected {
            elected = true;
            assert_eq!(cluster.voters(), disks(&[2]));
        }
    }
    cluster.check_led_by(2);
}

#[test]
fn a_master_that_knows_of_later_voters_neither_stops_nor_leads_by_a_given_up_disk() {
    let mut cluster = Cluster::given_up(1, 2);
    let second = cluster.start_master();
    let wanted = cluster.masters[second].feed_from().unwrap();
    let page = cluster.masters[0].serve_feed(&wanted).unwrap();
    let fed = cluster.masters[second].feed(cluster.now, page);
    assert!(matches!(fed.as_slice(), [Effect::Copied(_)]));
    cluster.masters.remove(0);
    cluster.told.clear();
    cluster.down = disks(&[1]);
    cluster.run(20_000);
    assert_eq!(cluster.masters[0].term(), None);
    assert!(!cluster.masters[0].is_resigned());
    cluster.down.clear();
    cluster.run(1000);
    cluster.check_led_by(1);
}

#[test]
fn a_master_that_was_told_of_later_voters_once_leads_by_no_given_up_disk() {
    let mut cluster = Cluster::given_up(1, 2);
    // Promised to the leader that is gone: it says who votes, and promises nothing.
    cluster.masters.clear();
    cluster.told.clear();
    cluster.down = disks(&[2]);
    cluster.start_master();
    cluster.run(300);
    cluster.down = disks(&[1]);
    cluster.run(20_000);
    assert_eq!(cluster.masters[0].term(), None);
    cluster.down.clear();
    cluster.run(1000);
    cluster.check_led_by(1);
}

#[test]
fn what_voters_of_another_cluster_said_is_forgotten_when_it_is_told_so() {
    for forgets in [false, true] {
        let mut strange = Cluster::given_up(1, 2);
        let mut cluster = Cluster::founded(3);
        cluster.write(0, "a").unwrap();
        cluster.masters.clear();
        cluster.told.clear();
        let stranger = strange.voters.remove(&disk(1)).unwrap();
        cluster.voters.insert(disk(9), stranger);
        cluster.start_master();
        cluster.sees(&[9]);
        cluster.run(5000);
        assert_eq!(cluster.masters[0].term(), None);
        if forgets {
            let effects = cluster.masters[0].forget_voters(cluster.now);
            cluster.perform(0, effects);
        }
        cluster.sees(&[1, 2, 3]);
        cluster.run(5000);
        // Its voters were given up once, those of the cluster never.
        assert_eq!(cluster.masters[0].term().is_some(), forgets);
        if forgets {
            assert_eq!(cluster.voters(), disks(&[1, 2, 3]));
            assert!(cluster.has("a"));
        }
    }
}
