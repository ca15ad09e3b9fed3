//! What happens to a cluster: drawn from the seed, one thing after the other, often several at once.

mod disk;

use crate::admin::Admin;
use crate::net::{HostId, Weather};
use crate::world::{World, is_master, is_worker};
use anyhow::Result;
use mdfs_simdisk::Survives;
use mdfs_tests::chance::Chance;
use std::collections::BTreeMap;
use std::time::Duration;

pub(crate) use disk::mend;

/// Milliseconds of a year.
const YEAR: i64 = 365 * 24 * 3600 * 1000;

/// What ends a fault.
#[derive(Clone, Debug)]
enum End {
    Start(HostId),
    GoOn(HostId),
    Join(Vec<(HostId, HostId)>),
    Weather,
    Fast(HostId),
    /// A disk call ends again.
    Answer(HostId),
    Mend,
    /// Killed again so many times, after running and lying for so long at most.
    Loop(HostId, u64, u64),
    TellTruth(HostId),
}

/// How long a disk call takes on a disk that hangs, in milliseconds.
const HANGS: u64 = 3_600_000;

/// The faults of a run.
#[derive(Debug)]
pub(crate) struct Faults {
    chance: Chance,
    /// What ends when, in milliseconds of the run.
    ends: BTreeMap<(u64, u64), End>,
    number: u64,
}

impl Faults {
    /// The faults that this seed draws.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            chance: Chance::new(seed ^ 0xfa17),
            ends: BTreeMap::new(),
            number: 0,
        }
    }

    /// Lets things happen until `until`, in milliseconds of the run; then ends all that goes on.
    ///
    /// # Errors
    /// If a server's configuration is refused.
    pub(crate) async fn run(
        mut self,
        world: &mut World,
        admin: &mut Admin,
        until: u64,
    ) -> Result<()> {
        while world.trace.now() < until {
            let pause = self.chance.within(100, 8000);
            tokio::time::sleep(Duration::from_millis(pause)).await;
            let now = world.trace.now();
            while let Some(entry) = self.ends.first_entry()
                && entry.key().0 <= now
            {
                let end = entry.remove();
                self.apply(world, end)?;
            }
            admin.tend(world)?;
            match self.chance.within(0, 4) {
                _ if now >= until => {}
                0 => admin.act(world).await?,
                _ => self.draw(world).await?,
            }
        }
        // Loops end as well.
        while let Some((_, end)) = self.ends.pop_first() {
            let end = match end {
                End::Loop(id, ..) => End::Start(id),
                other => other,
            };
            self.apply(world, end)?;
        }
        world.net.heal();
        for id in world.hosts.keys().copied().collect::<Vec<_>>() {
            world.stand(id, false);
            world.start(id)?;
        }
        Ok(())
    }

    async fn draw(&mut self, world: &mut World) -> Result<()> {
        let trace = world.trace.clone();
        let hosts: Vec<HostId> = world.hosts.keys().copied().collect();
        let (masters, workers) = (world.masters(), world.workers());
        let one = |chance: &mut Chance, of: &[HostId]| chance.one_of(of).copied();
        match self.chance.within(0, 112) {
            0..12 => {
                if let Some(id) = one(&mut self.chance, &masters) {
                    trace.reach("master killed");
                    world.kill(id);
                    self.later(world, 20_000, End::Start(id));
                }
            }
            12..26 => {
                if let Some(id) = one(&mut self.chance, &workers) {
                    trace.reach("worker killed");
                    world.kill(id);
                    self.later(world, 60_000, End::Start(id));
                }
            }
            26..36 => {
                if let Some(id) = one(&mut self.chance, &workers) {
                    trace.reach("power cut");
                    let survives = match self.chance.within(0, 4) {
                        0 => Survives::Nothing,
                        _ => Survives::Some(self.chance.number()),
                    };
                    world.cut_power(id, survives);
                    self.later(world, 60_000, End::Start(id));
                }
            }
            36..48 => {
                if let Some(id) = one(&mut self.chance, &hosts) {
                    trace.reach("process stood still");
                    world.stand(id, true);
                    self.later(world, 60_000, End::GoOn(id));
                }
            }
            48..56 => {
                if let Some(id) = one(&mut self.chance, &hosts) {
                    trace.reach("process stopped");
                    world.stand(id, false);
                    world.stop(id).await;
                    self.later(world, 20_000, End::Start(id));
                }
            }
            56..72 => self.part(world, &hosts),
            72..82 => {
                trace.reach("bad network");
                let chance = &mut self.chance;
                world.net.set_weather(Weather {
                    lost: chance.within(0, 300),
                    doubled: chance.within(0, 500),
                    broken: chance.within(0, 100),
                    slowest: chance.within(1, 400),
                });
                self.later(world, 30_000, End::Weather);
            }
            82..85 => {
                if let Some(id) = one(&mut self.chance, &hosts)
                    && let Some(host) = world.hosts.get(&id)
                {
                    trace.reach("wall clock jumped");
                    let ahead = self.chance.within(0, 2) == 0;
                    host.clock.jump_wall(if ahead { YEAR } else { -YEAR });
                }
            }
            85..88 => {
                if let Some(id) = one(&mut self.chance, &workers)
                    && let Some(host) = world.hosts.get(&id)
                {
                    trace.reach("slow disk");
                    host.set_slowest(self.chance.within(10, 2000));
                    self.later(world, 30_000, End::Fast(id));
                }
            }
            88..95 => {
                let host = world.hosts.get(&world.bad);
                if let Some(disk) = host.and_then(|host| host.disk())
                    && !world.visited
                {
                    disk::hurt(disk, &mut self.chance, &trace);
                    self.later(world, 30_000, End::Mend);
                }
            }
            95..98 => {
                trace.reach("all workers killed");
                for id in workers {
                    world.kill(id);
                    self.later(world, 10_000, End::Start(id));
                }
            }
            100..103 => {
                if let Some(id) = one(&mut self.chance, &workers)
                    && let Some(host) = world.hosts.get(&id)
                {
                    trace.reach("hung disk");
                    host.set_slowest(HANGS);
                    self.later(world, 60_000, End::Answer(id));
                }
            }
            103..106 => {
                if let Some(id) = one(&mut self.chance, &workers) {
                    let (most, mark) = match self.chance.within(0, 2) {
                        0 => (3000, "worker killed in a loop"),
                        _ => (25_000, "worker flapped"),
                    };
                    trace.reach(mark);
                    let times = self.chance.within(3, 7);
                    self.later(world, 1000, End::Loop(id, times, most));
                }
            }
            106..109 => {
                world.net.set_liar(world.bad, true);
                self.later(world, 30_000, End::TellTruth(world.bad));
            }
            109..112 => {
                if let Some(id) = one(&mut self.chance, &workers)
                    && id != world.bad
                    && !world.visited
                {
                    disk::hurt_both(world, &mut self.chance);
                }
            }
            _ => {
                trace.reach("all masters killed");
                for id in masters {
                    world.kill(id);
                    self.later(world, 10_000, End::Start(id));
                }
            }
        }
        Ok(())
    }

    /// Parts some hosts from the others, one way or both.
    fn part(&mut self, world: &World, hosts: &[HostId]) {
        let some: Vec<HostId> = hosts
            .iter()
            .copied()
            .filter(|_| self.chance.within(0, 3) == 0)
            .collect();
        let one_way = self.chance.within(0, 3) == 0;
        world.trace.reach(match one_way {
            true => "parted one way",
            false => "parted",
        });
        let mut cut = Vec::new();
        for &near in &some {
            for &far in hosts.iter().filter(|id| !some.contains(id)) {
                cut.push((near, far));
                if !one_way {
                    cut.push((far, near));
                }
            }
        }
        world.trace.note(format_args!("part {some:?} {one_way}"));
        for &(from, to) in &cut {
            world.net.cut(from, to, true);
            if is_worker(from) && is_worker(to) {
                world.trace.reach("workers parted");
            } else if is_master(from) != is_master(to) {
                world.trace.reach("master and worker parted");
            }
        }
        self.later(world, 40_000, End::Join(cut));
    }

    fn later(&mut self, world: &World, most: u64, end: End) {
        self.number += 1;
        let at = world.trace.now() + self.chance.within(200, most);
        self.ends.insert((at, self.number), end);
    }

    fn apply(&mut self, world: &mut World, end: End) -> Result<()> {
        match end {
            End::Start(id) => world.start(id)?,
            End::GoOn(id) => world.stand(id, false),
            End::Join(cut) => {
                for (from, to) in cut {
                    world.net.cut(from, to, false);
                }
            }
            End::Weather => world.net.set_weather(Weather {
                slowest: 2,
                ..Weather::default()
            }),
            // A server that gave its disk up takes it again when it starts.
            End::Mend => {
                let id = world.bad;
                world.trace.set("a voter's disk is full", false);
                world.stand(id, false);
                world.kill(id);
                if let Some(disk) = world.hosts.get(&id).and_then(|host| host.disk()) {
                    mend(disk);
                }
                world.start(id)?;
            }
            End::Fast(id) => {
                if let Some(host) = world.hosts.get(&id) {
                    host.set_slowest(1);
                }
            }
            End::Answer(id) => {
                self.apply(world, End::Fast(id))?;
                world.kill(id);
                world.start(id)?;
            }
            End::Loop(id, left, most) => {
                world.kill(id);
                self.later(world, most, End::Start(id));
                if left > 0 {
                    self.later(world, 2 * most, End::Loop(id, left - 1, most));
                }
            }
            End::TellTruth(id) => world.net.set_liar(id, false),
        }
        Ok(())
    }
}
