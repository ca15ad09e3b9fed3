//! What happens to a cluster: drawn from the seed, one thing after the other, often several at once.

mod disk;

use crate::host::Kind;
use crate::net::{HostId, Weather};
use crate::world::World;
use anyhow::Result;
use mdfs_simdisk::Survives;
use mdfs_tests::chance::Chance;
use std::collections::BTreeMap;
use std::time::Duration;

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
    Mend(HostId),
}

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
    pub(crate) async fn run(mut self, world: &mut World, until: u64) -> Result<()> {
        while world.trace.now() < until {
            let pause = self.chance.within(100, 8000);
            tokio::time::sleep(Duration::from_millis(pause)).await;
            let now = world.trace.now();
            while let Some(entry) = self.ends.first_entry()
                && entry.key().0 <= now
            {
                let end = entry.remove();
                apply(world, end)?;
            }
            if now < until {
                self.draw(world).await?;
            }
        }
        for (_, end) in std::mem::take(&mut self.ends) {
            apply(world, end)?;
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
        match self.chance.within(0, 100) {
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
                let bad = world.bad_disk();
                if let Some(Kind::Worker { disk }) = bad.and_then(|id| world.kind(id)) {
                    disk::hurt(disk, &mut self.chance, &trace);
                    bad.inspect(|id| self.later(world, 30_000, End::Mend(*id)));
                }
            }
            95..98 => {
                trace.reach("all workers killed");
                for id in workers {
                    world.kill(id);
                    self.later(world, 10_000, End::Start(id));
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
        }
        self.later(world, 40_000, End::Join(cut));
    }

    fn later(&mut self, world: &World, most: u64, end: End) {
        self.number += 1;
        let at = world.trace.now() + self.chance.within(200, most);
        self.ends.insert((at, self.number), end);
    }
}

fn apply(world: &mut World, end: End) -> Result<()> {
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
        End::Mend(id) => {
            world.stand(id, false);
            world.kill(id);
            if let Some(Kind::Worker { disk }) = world.kind(id) {
                disk::mend(disk);
            }
            world.start(id)?;
        }
        End::Fast(id) => {
            if let Some(host) = world.hosts.get(&id) {
                host.set_slowest(1);
            }
        }
    }
    Ok(())
}
