//! Masters that campaign at the same time, while messages and pages take their time.

use super::*;

/// Records, each a page: to load them all takes longer than a lease.
const RECORDS: u32 = 40;

enum Letter {
    Asked(usize, DiskId, Request),
    Answered(usize, DiskId, Reply),
}

/// Two masters that hold nothing yet, just started beside voters that lease themselves to a dead one.
struct Duel {
    cluster: Cluster,
    letters: BTreeMap<(Timestamp, u64), Letter>,
    sent: u64,
    chance: u64,
    /// The longest that a message is on its way, in milliseconds.
    way: u64,
    /// How long a voter looks for a page of its table.
    page: Duration,
}

impl Duel {
    fn new(seed: u64, way: u64, page: Duration) -> Self {
        let mut cluster = Cluster::founded(3);
        for number in 0..RECORDS {
            cluster.write(0, &format!("key {number}")).unwrap();
        }
        for (voter, records, staged) in cluster.voters.values_mut() {
            apply(voter.settle().unwrap_or_default(), records, staged);
        }
        cluster.masters.clear();
        for number in 0..2 {
            let settings = LeaderSettings::new(format!("m{number}"));
            let chance = seed
                .wrapping_mul(2_654_435_761)
                .wrapping_add(number * 7_919);
            let mut master = Leader::new(Incarnation(200 + number), settings, chance);
            let seen = cluster.voters.keys().copied().collect();
            master.step(cluster.now, Event::Seen { disks: seen });
            cluster.masters.push(master);
        }
        Self {
            cluster,
            letters: BTreeMap::new(),
            sent: 0,
            chance: seed | 1,
            way,
            page,
        }
    }

    fn post(&mut self, waits: Duration, letter: Letter) {
        self.sent += 1;
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        let way = 1 + self.chance % self.way;
        let at = self
            .cluster
            .now
            .plus(waits)
            .plus(Duration::from_millis(way));
        self.letters.insert((at, self.sent), letter);
    }

    fn step(&mut self, master: usize, event: Event) {
        for effect in self.cluster.masters[master].step(self.cluster.now, event) {
            if let Effect::Send { to, request } = effect {
                self.post(Duration::ZERO, Letter::Asked(master, to, request));
            }
        }
    }

    fn deliver(&mut self, letter: Letter) {
        match letter {
            Letter::Asked(master, to, request) => {
                let searches = matches!(request, Request::Load { .. });
                let reply = self.cluster.answer(to, request).unwrap();
                let waits = if searches { self.page } else { Duration::ZERO };
                self.post(waits, Letter::Answered(master, to, reply));
            }
            Letter::Answered(master, from, reply) => {
                self.step(master, Event::Reply { from, reply });
            }
        }
    }

    /// How long it takes until one leads; the second master's ticks come so many milliseconds after
    /// the first one's.
    fn until_one_leads(&mut self, behind: u64) -> Duration {
        let begun = self.cluster.now;
        for millis in 0..60_000 {
            while let Some(due) = self.letters.first_entry()
                && due.key().0 <= self.cluster.now
            {
                let letter = due.remove();
                self.deliver(letter);
            }
            for (master, offset) in [(0, 0), (1, behind)] {
                if millis % 50 == offset {
                    self.step(master, Event::Tick);
                }
            }
            if self.cluster.masters.iter().any(Leader::is_established) {
                break;
            }
            self.cluster.now = self.cluster.now.plus(Duration::from_millis(1));
        }
        self.cluster.now.since(begun)
    }
}

#[test]
fn two_masters_that_have_to_load_long_do_not_cut_each_other_short() {
    for (way, page, seeds) in [(100, 90, 1000), (10, 300, 300), (10, 1000, 100)] {
        // If nothing was in the way, and every message took its longest.
        let load = Duration::from_millis(page + 2 * way) * RECORDS;
        let usual = VoterSettings::DEFAULT.lease + load;
        // They may meet, but not for long.
        let limit = usual + 3 * Duration::from_millis(page);
        for seed in 0..seeds {
            let mut duel = Duel::new(seed, way, Duration::from_millis(page));
            let took = duel.until_one_leads(seed % 50);
            assert!(took < limit, "seed {seed}, {way} and {page} ms: {took:?}");
        }
    }
}
