use super::*;
use crate::log::entries::Window;
use crate::log::message::{Change, Entry, Reply};
use crate::log::persist::{Answer, DurableVoter, Persist};
use crate::log::voter::{Voter, VoterSettings};
use std::collections::BTreeMap;

mod duel;
mod given_up;
mod recovery;
mod voters;
mod warm;

type Records = BTreeMap<Vec<u8>, Vec<u8>>;

/// Masters and voters whose messages arrive at once, unless a disk is down.
struct Cluster {
    now: Timestamp,
    masters: Vec<Leader>,
    voters: BTreeMap<DiskId, (Voter, Records, Records)>,
    down: BTreeSet<DiskId>,
    window: Window,
    /// What masters reported, but for sends.
    told: Vec<(usize, Effect)>,
}

fn disk(number: u128) -> DiskId {
    DiskId::from_u128(number)
}

fn disks(numbers: &[u128]) -> BTreeSet<DiskId> {
    numbers.iter().copied().map(disk).collect()
}

fn put(key: &str, value: &str) -> Vec<Put> {
    vec![Put {
        key: key.into(),
        value: Some(value.into()),
    }]
}

impl Cluster {
    fn blank(voters: u128) -> Self {
        Self::with_window(voters, Window::DEFAULT)
    }

    fn with_window(voters: u128, window: Window) -> Self {
        let mut cluster = Self {
            now: Timestamp::from_millis(1_000_000),
            masters: Vec::new(),
            voters: BTreeMap::new(),
            down: BTreeSet::new(),
            window,
            told: Vec::new(),
        };
        for number in 1..=voters {
            let voter = cluster.voter(DurableVoter::default());
            cluster
                .voters
                .insert(disk(number), (voter, BTreeMap::new(), BTreeMap::new()));
        }
        cluster.start_master();
        cluster
    }

    /// Founded with all its voters, led by the first master.
    fn founded(voters: u128) -> Self {
        let mut cluster = Self::blank(voters);
        cluster.bootstrap(voters);
        cluster
    }

    fn bootstrap(&mut self, voters: u128) {
        let disks = (1..=voters).map(disk).collect();
        self.step(
            0,
            Event::Bootstrap {
                ticket: 7,
                disks,
                wall: LogTime::from_millis(5),
            },
        );
        assert!(self.told(0, |effect| *effect == Effect::Bootstrapped { ticket: 7 }));
    }

    fn voter(&self, durable: DurableVoter) -> Voter {
        let settings = VoterSettings {
            window: self.window,
            ..VoterSettings::DEFAULT
        };
        Voter::restore(durable, self.now, settings).unwrap()
    }

    fn start_master(&mut self) -> usize {
        let number = self.masters.len();
        let settings = LeaderSettings {
            window: self.window,
            ..LeaderSettings::new(format!("m{number}"))
        };
        let incarnation = Incarnation(100 + number as u64);
        self.masters.push(Leader::new(incarnation, settings, 9));
        self.step(
            number,
            Event::Seen {
                disks: self.voters.keys().copied().collect(),
            },
        );
        number
    }

    fn restart_voter(&mut self, number: u128) {
        let durable = self.voters[&disk(number)].0.to_durable();
        let voter = self.voter(durable);
        self.voters.get_mut(&disk(number)).unwrap().0 = voter;
    }

    fn step(&mut self, master: usize, event: Event) {
        let effects = self.masters[master].step(self.now, event);
        self.perform(master, effects);
    }

    fn write(&mut self, master: usize, key: &str) -> Result<u64, NotLeading> {
        let (index, effects) = self.masters[master].append(self.now, None, put(key, "v"))?;
        self.perform(master, effects);
        Ok(index)
    }

    fn read(&mut self, master: usize, ticket: u64) -> bool {
        let effects = self.masters[master].read(self.now, ticket);
        self.perform(master, effects);
        self.told(master, |effect| *effect == Effect::ReadReady { ticket })
    }

    fn perform(&mut self, master: usize, effects: Vec<Effect>) {
        let mut queue: std::collections::VecDeque<Effect> = effects.into();
        while let Some(effect) = queue.pop_front() {
            let Effect::Send { to, request } = effect else {
                self.told.push((master, effect));
                continue;
            };
            let event = match self.answer(to, request) {
                Some(reply) => Event::Reply { from: to, reply },
                None => Event::Unreachable { disk: to },
            };
            queue.extend(self.masters[master].step(self.now, event));
        }
    }

    fn answer(&mut self, to: DiskId, request: Request) -> Option<Reply> {
        if self.down.contains(&to) {
            return None;
        }
        let (voter, records, staged) = self.voters.get_mut(&to)?;
        let output = voter.step(self.now, request).unwrap();
        if let Some(persist) = output.persist {
            apply(persist, records, staged);
        }
        Some(match output.answer {
            Answer::Ready(reply) => *reply,
            // One record a page, so that paging is exercised.
            Answer::Read(read) => {
                let after = read.after.clone();
                let mut behind = records
                    .iter()
                    .filter(|(key, _)| after.as_ref().is_none_or(|a| *key > a));
                let page: Vec<_> = behind
                    .next()
                    .map(|(k, v)| (k.clone(), v.clone()))
                    .into_iter()
                    .collect();
                let more = behind.next().is_some();
                read.finish(page, more)
            }
        })
    }

    /// Lets the clock run, with a tick for every master each 50 ms.
    fn run(&mut self, millis: u64) {
        for _ in 0..millis / 50 {
            self.now = self.now.plus(Duration::from_millis(50));
            for master in 0..self.masters.len() {
                self.step(master, Event::Tick);
            }
        }
    }

    fn told(&self, master: usize, wanted: impl Fn(&Effect) -> bool) -> bool {
        self.told
            .iter()
            .any(|(by, effect)| *by == master && wanted(effect))
    }
}

fn apply(
    persist: Persist,
    records: &mut BTreeMap<Vec<u8>, Vec<u8>>,
    staged: &mut BTreeMap<Vec<u8>, Vec<u8>>,
) {
    if persist.clear_staged {
        staged.clear();
    }
    staged.extend(persist.stage);
    if persist.install {
        *records = std::mem::take(staged);
    }
    for put in persist.apply {
        match put.value {
            Some(value) => records.insert(put.key, value),
            None => records.remove(&put.key),
        };
    }
}

#[test]
fn a_founded_cluster_writes_and_reads() {
    for voters in [1, 2, 3] {
        let mut cluster = Cluster::founded(voters);
        let index = cluster.write(0, "a").unwrap();
        assert_eq!(index, 2);
        assert!(cluster.told(0, |effect| *effect == Effect::Committed { up_to: 2 }));
        assert!(cluster.read(0, 1));
        assert_eq!(
            cluster.masters[0].committed().unwrap().get(b"a"),
            Some(&b"v"[..])
        );
        assert_eq!(cluster.masters[0].leader_url(), Some("m0"));
    }
}

#[test]
fn a_repeated_order_is_harmless_and_another_is_refused() {
    let mut cluster = Cluster::founded(3);
    cluster.bootstrap(3);
    cluster.step(
        0,
        Event::Bootstrap {
            ticket: 8,
            disks: disks(&[1]),
            wall: LogTime::default(),
        },
    );
    assert!(cluster.told(0, |effect| matches!(
        effect,
        Effect::BootstrapRefused {
            ticket: 8,
            refusal: BootstrapRefusal::OtherVoters { .. }
        }
    )));
    let second = cluster.start_master();
    cluster.step(
        second,
        Event::Bootstrap {
            ticket: 9,
            disks: disks(&[1, 2]),
            wall: LogTime::default(),
        },
    );
    assert!(cluster.told(second, |effect| matches!(
        effect,
        Effect::BootstrapRefused {
            ticket: 9,
            refusal: BootstrapRefusal::OtherVoters { .. }
        }
    )));
}

#[test]
fn a_cluster_is_not_founded_while_a_disk_is_silent() {
    let mut cluster = Cluster::blank(3);
    cluster.down = disks(&[3]);
    let order = Event::Bootstrap {
        ticket: 1,
        disks: disks(&[1, 2, 3]),
        wall: LogTime::default(),
    };
    cluster.step(0, order);
    cluster.run(10_000);
    assert!(cluster.told(0, |effect| matches!(
        effect,
        Effect::BootstrapRefused {
            ticket: 1,
            refusal: BootstrapRefusal::Silent { .. }
        }
    )));
    assert_eq!(cluster.masters[0].term(), None);
}

#[test]
fn a_master_that_starts_after_a_kill_leads_as_soon_as_the_lease_is_over() {
    for voters in [1, 2, 3] {
        let mut cluster = Cluster::founded(voters);
        for number in 0..20 {
            cluster.write(0, &format!("k{number:02}")).unwrap();
        }
        cluster.masters.clear();
        let killed_at = cluster.now;
        cluster.now = cluster.now.plus(Duration::from_secs(1));
        cluster.start_master();
        cluster.told.clear();
        while !cluster.masters[0].can_write(cluster.now) {
            cluster.run(50);
        }
        let away = cluster.now.since(killed_at);
        assert!(
            away >= Duration::from_secs(3) && away <= Duration::from_millis(3300),
            "{away:?}"
        );
        assert!(cluster.read(0, 1));
        let table = cluster.masters[0].committed().unwrap();
        assert_eq!(table.range(b"k", None).count(), 20);
    }
}

#[test]
fn a_master_that_resigns_is_followed_at_once() {
    let mut cluster = Cluster::founded(3);
    let second = cluster.start_master();
    cluster.run(1000);
    assert_eq!(cluster.masters[second].term(), None);
    assert_eq!(cluster.masters[second].leader_url(), Some("m0"));
    let effects = cluster.masters[0].resign(cluster.now);
    cluster.perform(0, effects);
    cluster.run(1200);
    assert!(cluster.masters[second].can_write(cluster.now));
    assert_eq!(cluster.masters[0].term(), None);
}

#[test]
fn a_pair_with_one_lost_reads_and_does_not_write_across_a_restart_of_the_master() {
    let mut cluster = Cluster::founded(2);
    cluster.write(0, "a").unwrap();
    cluster.run(1000);
    cluster.down = disks(&[2]);
    cluster.run(2000);
    assert!(cluster.read(0, 1));
    assert_eq!(cluster.write(0, "b"), Err(NotLeading::NoQuorum));
    cluster.masters.clear();
    cluster.start_master();
    cluster.told.clear();
    cluster.run(5000);
    assert!(!cluster.read(0, 2), "the other may have gone on alone");
    cluster.run(1500);
    assert!(cluster.read(0, 3));
    assert_eq!(
        cluster.masters[0].committed().unwrap().get(b"a"),
        Some(&b"v"[..])
    );
    assert_eq!(cluster.write(0, "c"), Err(NotLeading::NoQuorum));
    cluster.down.clear();
    cluster.run(1000);
    assert!(cluster.write(0, "d").is_ok());
}

#[test]
fn a_voter_that_was_away_for_long_gets_the_table() {
    let window = Window {
        entries: 4,
        bytes: usize::MAX,
    };
    let mut cluster = Cluster::with_window(3, window);
    cluster.bootstrap(3);
    cluster.down = disks(&[3]);
    for number in 0..30 {
        cluster.write(0, &format!("k{number:02}")).unwrap();
    }
    cluster.restart_voter(3);
    cluster.down.clear();
    cluster.run(4000);
    cluster.write(0, "last").unwrap();
    cluster.run(1000);
    let (voter, records, _) = cluster.voters.get_mut(&disk(3)).unwrap();
    assert_eq!(voter.commit(), 32);
    if let Some(persist) = voter.settle() {
        apply(persist, records, &mut BTreeMap::new());
    }
    assert_eq!(records.len(), 31);
    let held = cluster.masters[0].replicated().unwrap();
    assert!(held.iter().all(|(_, index)| *index == 32), "{held:?}");
}

#[test]
fn a_leader_that_hears_of_a_higher_term_stops() {
    let mut cluster = Cluster::founded(3);
    cluster.write(0, "a").unwrap();
    let second = cluster.start_master();
    // The first master is cut off until its leases are over.
    cluster.now = cluster.now.plus(Duration::from_secs(4));
    cluster.step(second, Event::Tick);
    cluster.now = cluster.now.plus(Duration::from_millis(400));
    cluster.step(second, Event::Tick);
    assert!(cluster.masters[second].can_write(cluster.now));
    assert!(cluster.masters[0].term().is_some());
    assert!(!cluster.read(0, 4));
    cluster.run(100);
    assert_eq!(cluster.masters[0].term(), None);
    assert!(cluster.told(0, |effect| matches!(effect, Effect::SteppedDown { .. })));
    assert!(cluster.told(0, |effect| *effect == Effect::ReadRefused { ticket: 4 }));
}

#[test]
fn log_time_goes_on_from_the_last_entry_and_never_falls() {
    let mut cluster = Cluster::founded(1);
    cluster.run(1000);
    cluster.write(0, "a").unwrap();
    let before = cluster.masters[0].log_time(cluster.now).unwrap();
    assert_eq!(before, LogTime::from_millis(1005));
    cluster.masters.clear();
    cluster.start_master();
    cluster.run(4000);
    let after = cluster.masters[0].log_time(cluster.now).unwrap();
    assert!(after >= before && after < before.plus(Duration::from_secs(4)));
}

#[test]
fn uncommitted_entries_show_in_the_view_only() {
    let mut cluster = Cluster::founded(3);
    let (_, unsent) = cluster.masters[0]
        .append(cluster.now, None, put("a", "v"))
        .unwrap();
    let leader = &cluster.masters[0];
    assert!(leader.view().unwrap().get(b"a").is_some());
    assert!(leader.committed().unwrap().get(b"a").is_none());
    let appended = unsent.iter().filter(|effect| {
        matches!(effect, Effect::Send { request: Request::Append(append), .. }
            if append.entries.iter().all(|entry: &Entry| matches!(entry.change, Change::Records(_))))
    });
    assert_eq!(appended.count(), 3);
}
