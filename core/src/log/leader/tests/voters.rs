//! Learners, and changes of the voters.

use super::*;

impl Cluster {
    /// A blank disk that nobody knows the log by.
    fn add_blank(&mut self, number: u128) {
        let voter = self.voter(DurableVoter::default());
        self.voters
            .insert(disk(number), (voter, BTreeMap::new(), BTreeMap::new()));
        let disks = self.voters.keys().copied().collect::<BTreeSet<_>>();
        for master in 0..self.masters.len() {
            let disks = disks.clone();
            self.step(master, Event::Seen { disks });
        }
    }

    fn teach(&mut self, numbers: &[u128]) {
        let effects = self.masters[0].teach(self.now, disks(numbers));
        self.perform(0, effects);
        self.run(500);
    }

    fn change(&mut self, to: &[u128]) -> Result<u64, VotersRefused> {
        let (index, effects) = self.masters[0].change_voters(self.now, disks(to))?;
        self.perform(0, effects);
        Ok(index)
    }

    /// As to a pair of which the second is lost.
    pub(super) fn force(
        &mut self,
        survivors: &[u128],
        lost: &[u128],
    ) -> Result<u64, VotersRefused> {
        let (now, puts) = (self.now, put("retired", "2"));
        let forced = self.masters[0].force_voters(now, disks(survivors), disks(lost), puts);
        let (index, effects) = forced?;
        self.perform(0, effects);
        Ok(index)
    }

    /// Appends the change, and dies of nothing before the voters hear of it.
    fn begin_change(&mut self, to: &[u128]) {
        let begun = self.masters[0].change_voters(self.now, disks(to));
        // What is to be sent is lost.
        drop(begun.unwrap());
    }

    /// The master dies, and another one takes the lead.
    fn take_over(&mut self) {
        self.masters.clear();
        self.told.clear();
        self.start_master();
        // The others are looked for, if some do not answer.
        self.run(7000);
    }

    pub(super) fn voters(&self) -> BTreeSet<DiskId> {
        self.masters[0].membership().unwrap().config.voters
    }

    pub(super) fn has(&self, key: &str) -> bool {
        let table = self.masters[0].committed().unwrap();
        table.get(key.as_bytes()).is_some()
    }
}

#[test]
fn voters_come_and_go_one_at_a_time_and_nothing_is_lost() {
    let window = Window {
        entries: 2,
        bytes: usize::MAX,
    };
    let mut cluster = Cluster::with_window(1, window);
    cluster.bootstrap(1);
    let mut voters = vec![1];
    let steps: [&[u128]; 8] = [
        &[1, 2],
        &[1, 2, 3],
        &[1, 2, 3, 4],
        &[1, 2, 3, 4, 5],
        &[2, 3, 4, 5],
        &[3, 4, 5],
        &[4, 5],
        &[5],
    ];
    for (at, to) in steps.into_iter().enumerate() {
        for number in 0..5 {
            cluster.write(0, &format!("{at}-{number}")).unwrap();
        }
        if let Some(added) = to.iter().copied().find(|disk| !voters.contains(disk)) {
            cluster.add_blank(added);
            cluster.teach(&[added]);
        }
        let index = cluster.change(to).unwrap();
        cluster.run(500);
        assert!(cluster.masters[0].commit().unwrap() >= index);
        // The next leader finds the voters by what it is told.
        cluster.take_over();
        assert_eq!(cluster.voters(), disks(to));
        assert!(cluster.masters[0].can_write(cluster.now));
        for number in 0..5 {
            assert!(cluster.has(&format!("{at}-{number}")), "step {at}");
        }
        voters = to.to_vec();
    }
    let (_, records, _) = &cluster.voters[&disk(5)];
    assert!(records.len() >= 35, "the last voter has the table");
}

#[test]
fn a_learner_counts_for_nothing() {
    let mut cluster = Cluster::founded(2);
    cluster.add_blank(3);
    cluster.teach(&[3]);
    cluster.write(0, "a").unwrap();
    let held = cluster.masters[0].replicated().unwrap();
    assert!(held.contains(&(disk(3), 2)), "{held:?}");
    cluster.down = disks(&[2]);
    cluster.run(2000);
    assert_eq!(cluster.write(0, "b"), Err(NotLeading::NoQuorum));
    cluster.down = disks(&[1, 2]);
    cluster.run(4000);
    assert!(!cluster.read(0, 1), "and not for reads");
    // Its log is as good as a voter's for a leader that has the promises it needs.
    cluster.down.clear();
    cluster.take_over();
    assert!(cluster.masters[0].can_write(cluster.now) && cluster.has("a"));
}

#[test]
fn two_learn_at_a_time_and_who_is_not_named_any_more_gets_nothing() {
    let mut cluster = Cluster::founded(1);
    for number in 2..=4 {
        cluster.add_blank(number);
    }
    cluster.teach(&[2, 3, 4]);
    let held = |cluster: &Cluster| {
        let held = cluster.masters[0].replicated().unwrap();
        held.into_iter()
            .map(|(disk, _)| disk)
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(held(&cluster), disks(&[1, 2, 3]));
    cluster.teach(&[4]);
    assert_eq!(held(&cluster), disks(&[1, 4]));
    cluster.change(&[1, 4]).unwrap();
    cluster.run(500);
    cluster.change(&[1]).unwrap();
    cluster.run(500);
    assert_eq!(held(&cluster), disks(&[1]), "a voter is no learner after");
}

#[test]
fn a_dead_voter_of_three_is_voted_out_and_cannot_bring_its_vote_back() {
    let mut cluster = Cluster::founded(3);
    cluster.down = disks(&[3]);
    cluster.write(0, "a").unwrap();
    cluster.change(&[1, 2]).unwrap();
    cluster.run(500);
    cluster.write(0, "b").unwrap();
    cluster.run(500);
    // What the third has says that it votes, with one more; alone it makes nobody a leader, and
    // with another it is outvoted by that one's log.
    cluster.down = disks(&[1, 2]);
    cluster.take_over();
    assert_eq!(cluster.masters[0].term(), None);
    cluster.down = disks(&[1]);
    cluster.take_over();
    assert!(cluster.read(0, 1) && cluster.has("b"));
    assert_eq!(cluster.voters(), disks(&[1, 2]));
    assert_eq!(cluster.write(0, "c"), Err(NotLeading::NoQuorum));
}

#[test]
fn voters_are_not_changed_when_they_may_not_be() {
    let mut cluster = Cluster::blank(2);
    assert_eq!(cluster.change(&[1]), Err(VotersRefused::Follower));
    cluster.bootstrap(2);
    assert_eq!(cluster.change(&[1, 2]), Err(VotersRefused::NotOneStep));
    assert_eq!(cluster.change(&[1, 3, 4]), Err(VotersRefused::NotOneStep));
    assert_eq!(cluster.change(&[]), Err(VotersRefused::WrongNumber));
    let six: Vec<u128> = (1..=6).collect();
    assert_eq!(cluster.change(&six), Err(VotersRefused::WrongNumber));
    let (third, behind) = (disk(3), 1);
    let refused = VotersRefused::NotTaught {
        disk: third,
        behind,
    };
    assert_eq!(cluster.change(&[1, 2, 3]), Err(refused));
    cluster.add_blank(3);
    cluster.teach(&[3]);
    // A learner that is not there would stop all writes as the third of three if one more dies;
    // as the second of two at once.
    cluster.down = disks(&[2, 3]);
    cluster.run(2000);
    assert_eq!(cluster.change(&[1, 2, 3]), Err(VotersRefused::NoQuorum));
    cluster.down.clear();
    cluster.run(1000);
    let now = cluster.now;
    let (index, unsent) = cluster.masters[0]
        .change_voters(now, disks(&[1, 2, 3]))
        .unwrap();
    assert_eq!(cluster.change(&[1, 2]), Err(VotersRefused::Open { index }));
    cluster.perform(0, unsent);
    cluster.run(500);
    assert!(cluster.change(&[1, 2]).is_ok());
}

#[test]
fn a_leader_that_has_committed_nothing_of_its_own_changes_no_voters() {
    let mut cluster = Cluster::founded(2);
    cluster.write(0, "a").unwrap();
    cluster.run(1000);
    cluster.down = disks(&[2]);
    cluster.take_over();
    assert!(cluster.masters[0].term().is_some());
    assert_eq!(cluster.change(&[1]), Err(VotersRefused::NotEstablished));
}

#[test]
fn an_open_change_waits_for_both_quorums() {
    let mut cluster = Cluster::founded(1);
    cluster.add_blank(2);
    cluster.teach(&[2]);
    let now = cluster.now;
    let (index, unsent) = cluster.masters[0]
        .change_voters(now, disks(&[1, 2]))
        .unwrap();
    cluster.down = disks(&[2]);
    cluster.perform(0, unsent);
    cluster.run(3000);
    assert!(
        cluster.masters[0].commit().unwrap() < index,
        "the new one is missing"
    );
    assert_eq!(cluster.write(0, "a"), Err(NotLeading::NoQuorum));
    // A leader that finds the open change goes on with it.
    cluster.take_over();
    assert_eq!(cluster.voters(), disks(&[1, 2]));
    assert_eq!(cluster.write(0, "a"), Err(NotLeading::NoQuorum));
    cluster.down.clear();
    cluster.run(1000);
    assert!(cluster.write(0, "a").is_ok());
    assert!(cluster.masters[0].commit().unwrap() > index);
}

#[test]
fn the_survivor_of_a_pair_goes_on_alone_when_somebody_vouches() {
    let mut cluster = Cluster::blank(2);
    assert_eq!(cluster.force(&[1], &[2]), Err(VotersRefused::Follower));
    cluster.bootstrap(2);
    cluster.write(0, "a").unwrap();
    assert_eq!(cluster.force(&[1], &[2]), Err(VotersRefused::NotNeeded));
    cluster.down = disks(&[2]);
    cluster.take_over();
    let unvouched = VotersRefused::Unvouched { disk: disk(2) };
    assert_eq!(cluster.force(&[1], &[3]), Err(unvouched));
    assert_eq!(cluster.force(&[1], &[2, 3]), Err(VotersRefused::NotOneStep));
    assert_eq!(cluster.force(&[1, 2], &[2]), Err(VotersRefused::NotOneStep));
    assert_eq!(cluster.force(&[], &[1, 2]), Err(VotersRefused::WrongNumber));
    let heard = VotersRefused::Heard { disk: disk(2) };
    assert_eq!(cluster.force(&[1], &[2]), Err(heard));
    cluster.run(6500);
    let index = cluster.force(&[1], &[2]).unwrap();
    assert!(cluster.masters[0].commit().unwrap() >= index);
    assert!(cluster.write(0, "b").is_ok());
    cluster.take_over();
    assert_eq!(cluster.voters(), disks(&[1]));
    assert!(cluster.write(0, "c").is_ok());
    assert!(cluster.has("a") && cluster.has("b") && cluster.has("retired"));
}

#[test]
fn a_disk_that_dies_while_the_voters_change_can_be_given_up() {
    // It was to become the second voter.
    let mut cluster = Cluster::founded(1);
    cluster.add_blank(2);
    cluster.teach(&[2]);
    cluster.begin_change(&[1, 2]);
    cluster.down = disks(&[2]);
    cluster.run(9000);
    assert_eq!(cluster.write(0, "a"), Err(NotLeading::NoQuorum));
    cluster.force(&[1], &[2]).unwrap();
    cluster.write(0, "a").unwrap();
    // It was one of the pair that was to get a third.
    let mut cluster = Cluster::founded(2);
    cluster.add_blank(3);
    cluster.teach(&[3]);
    cluster.begin_change(&[1, 2, 3]);
    cluster.down = disks(&[2]);
    cluster.run(9000);
    assert_eq!(cluster.write(0, "a"), Err(NotLeading::NoQuorum));
    cluster.force(&[1, 3], &[2]).unwrap();
    cluster.write(0, "a").unwrap();
    cluster.take_over();
    assert_eq!(cluster.voters(), disks(&[1, 3]));
    assert!(cluster.has("a"));
    // It was to take the place of one that is dead, and cannot elect anybody alone.
    let mut cluster = Cluster::founded(3);
    cluster.add_blank(4);
    cluster.teach(&[4]);
    cluster.down = disks(&[3]);
    cluster.run(1000);
    cluster.begin_change(&[1, 2, 3, 4]);
    cluster.down = disks(&[3, 4]);
    cluster.run(9000);
    assert_eq!(cluster.write(0, "a"), Err(NotLeading::NoQuorum));
    cluster.force(&[1, 2], &[4]).unwrap();
    cluster.write(0, "a").unwrap();
    cluster.down.clear();
    cluster.take_over();
    assert_eq!(cluster.voters(), disks(&[1, 2]));
    assert!(cluster.has("a"));
    // One of the two that are left while the third, which is dead, goes.
    let mut cluster = Cluster::founded(3);
    cluster.down = disks(&[3]);
    cluster.run(1000);
    cluster.begin_change(&[1, 2]);
    cluster.down = disks(&[2, 3]);
    cluster.run(9000);
    assert_eq!(cluster.write(0, "a"), Err(NotLeading::NoQuorum));
    cluster.force(&[1], &[2]).unwrap();
    cluster.write(0, "a").unwrap();
}

#[test]
fn who_could_elect_a_leader_is_not_left_out_unvouched() {
    let mut cluster = Cluster::founded(5);
    cluster.down = disks(&[3, 4, 5]);
    cluster.run(9000);
    let unvouched = VotersRefused::Unvouched { disk: disk(3) };
    assert_eq!(cluster.force(&[1, 2], &[]), Err(unvouched));
    cluster.down = disks(&[3, 4]);
    cluster.run(500);
    cluster.down = disks(&[3, 4, 5]);
    cluster.run(4000);
    let heard = VotersRefused::Heard { disk: disk(5) };
    assert_eq!(cluster.force(&[1, 2], &[3]), Err(heard));
    cluster.run(9000);
    cluster.force(&[1, 2], &[3]).unwrap();
}

#[test]
fn a_lost_disk_that_answers_is_not_given_up() {
    let mut cluster = Cluster::founded(2);
    cluster.down = disks(&[2]);
    cluster.run(9000);
    cluster.down.clear();
    cluster.run(600);
    cluster.down = disks(&[2]);
    cluster.run(3000);
    let heard = VotersRefused::Heard { disk: disk(2) };
    assert_eq!(cluster.force(&[1], &[2]), Err(heard));
}

#[test]
fn a_forced_change_that_nobody_saw_commit_is_gone_on_with() {
    let mut cluster = Cluster::founded(2);
    cluster.run(1000);
    cluster.down = disks(&[2]);
    cluster.run(9000);
    let (now, puts) = (cluster.now, put("retired", "2"));
    let forced = cluster.masters[0].force_voters(now, disks(&[1]), disks(&[2]), puts);
    let (index, sends) = forced.unwrap();
    for effect in sends {
        if let Effect::Send { to, request } = effect {
            // The survivor has it, and the master dies before it hears so.
            cluster.answer(to, request);
        }
    }
    cluster.take_over();
    assert_eq!(cluster.voters(), disks(&[1]));
    assert!(cluster.masters[0].commit().unwrap() > index);
    assert!(cluster.write(0, "a").is_ok() && cluster.has("retired"));
}
