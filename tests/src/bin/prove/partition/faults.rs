//! What is done to a network and its servers, and whether what is left of them can go on.

use super::{CLIENTS, DISK};
use crate::MIB;
use anyhow::{Context, Result};
use mdfs_tests::bare::Bare;
use mdfs_tests::chance::Chance;
use mdfs_tests::wait::{now, pause};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

/// What a full disk has left, which is below what chunks leave to the metadata log.
const LEFT: u64 = 14 * MIB;
/// How often it is looked whether a fault has lasted long enough.
const LOOK: Duration = Duration::from_millis(50);
/// How long a flapping machine is away, and there, each time.
const FLAP: Duration = Duration::from_millis(400);

/// A way in which networks part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// The leader from the other masters.
    LeaderFromMasters,
    /// The leader from all voters; clients reach it.
    LeaderFromVoters,
    /// What the leader sends to voters.
    LeaderToVoters,
    /// What voters send to the leader.
    VotersToLeader,
    /// The leader from all clients.
    ClientsFromLeader,
    /// A worker from half of all other servers.
    WorkerFromHalf,
    /// What one worker sends to another.
    WorkerToWorker,
    /// A voter comes and goes.
    FlappingVoter,
    /// The leader comes and goes.
    FlappingLeader,
    /// The leader, a voter and some clients from everybody else.
    Halves,
    /// What one server sends to another, for a third of all pairs.
    AThirdOfAll,
    /// Nothing at all: what else is done is done alone.
    Nothing,
}

/// All of them.
pub(super) const CUTS: [Cut; 12] = [
    Cut::LeaderFromMasters,
    Cut::LeaderFromVoters,
    Cut::LeaderToVoters,
    Cut::VotersToLeader,
    Cut::ClientsFromLeader,
    Cut::WorkerFromHalf,
    Cut::WorkerToWorker,
    Cut::FlappingVoter,
    Cut::FlappingLeader,
    Cut::Halves,
    Cut::AThirdOfAll,
    Cut::Nothing,
];

/// What is done to servers at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Also {
    Nothing,
    KillLeader,
    StopLeader,
    KillWorker,
    StopWorker,
    FillOne,
    FillAll,
}

impl Also {
    pub(super) fn by(chance: &mut Chance) -> Self {
        match chance.within(0, 10) {
            0 => Self::KillLeader,
            1 => Self::StopLeader,
            2 => Self::KillWorker,
            3 => Self::StopWorker,
            4 => Self::FillOne,
            5 => Self::FillAll,
            _ => Self::Nothing,
        }
    }
}

/// One fault, from its beginning until it is mended.
pub(super) struct Round {
    leader: String,
    voters: Vec<String>,
    /// All masters, and all workers by chance's order.
    masters: Vec<String>,
    workers: Vec<String>,
    /// Who comes and goes.
    flaps: Option<String>,
    full: BTreeSet<String>,
    chance: Chance,
}

impl Round {
    pub(super) fn new(cluster: &Bare, leader: String, chance: &mut Chance) -> Result<Self> {
        let names = |role| -> Vec<String> {
            let processes = cluster.role(role).into_iter();
            processes.map(|process| process.name).collect()
        };
        let mut chance = Chance::new(chance.number());
        let mut workers = names("worker");
        workers.sort_by_cached_key(|_| chance.number());
        Ok(Self {
            leader,
            voters: cluster.voters()?,
            masters: names("master"),
            workers,
            flaps: None,
            full: BTreeSet::new(),
            chance,
        })
    }

    pub(super) fn cut(&mut self, cluster: &mut Bare, cut: Cut) -> Result<()> {
        let leader = [self.leader.clone()];
        let voters = &self.voters;
        let servers: Vec<String> = self.masters.iter().chain(&self.workers).cloned().collect();
        let clients: Vec<String> = CLIENTS.iter().map(|&name| name.to_owned()).collect();
        let (first, others) = self.workers.split_first().context("there are workers")?;
        let network = cluster.network()?;
        match cut {
            Cut::LeaderFromMasters => network.part(&leader, &self.masters),
            Cut::LeaderFromVoters => network.part(&leader, voters),
            Cut::LeaderToVoters => network.cut(&leader, voters),
            Cut::VotersToLeader => network.cut(voters, &leader),
            Cut::ClientsFromLeader => network.part(&leader, &clients),
            Cut::WorkerFromHalf => {
                let half = |it: &&String| *it != first && self.chance.within(0, 2) == 0;
                let half: Vec<String> = servers.iter().filter(half).cloned().collect();
                network.part(std::slice::from_ref(first), &half)
            }
            Cut::WorkerToWorker => {
                let other = others.first().context("there are two workers")?;
                network.cut(&[first], &[other])
            }
            Cut::FlappingVoter => {
                self.flaps = voters.first().cloned();
                Ok(())
            }
            Cut::FlappingLeader => {
                self.flaps = Some(self.leader.clone());
                Ok(())
            }
            Cut::Halves => {
                let mut here = vec![self.leader.clone()];
                here.extend(voters.first().cloned());
                here.extend(clients.first().cloned());
                let everybody = servers.iter().chain(&clients);
                let there = everybody.filter(|name| !here.contains(name));
                network.part(&here, &there.cloned().collect::<Vec<_>>())
            }
            Cut::AThirdOfAll => {
                for from in &servers {
                    let third = |_: &&String| self.chance.within(0, 3) == 0;
                    let third: Vec<String> = servers.iter().filter(third).cloned().collect();
                    network.cut(std::slice::from_ref(from), &third)?;
                }
                Ok(())
            }
            Cut::Nothing => Ok(()),
        }
    }

    pub(super) fn also(&mut self, cluster: &mut Bare, also: Also) -> Result<()> {
        let worker = self.workers.last().context("there are workers")?.clone();
        match also {
            Also::Nothing => Ok(()),
            Also::KillLeader => cluster.kill(&self.leader),
            Also::StopLeader => cluster.stop(&self.leader, true),
            Also::KillWorker => cluster.kill(&worker),
            Also::StopWorker => cluster.stop(&worker, true),
            Also::FillOne => self.fill(cluster, worker),
            Also::FillAll => {
                let workers = self.workers.clone().into_iter();
                workers
                    .into_iter()
                    .try_for_each(|worker| self.fill(cluster, worker))
            }
        }
    }

    /// Whether what is left can acknowledge writes: whoever may lead, some clients reach it, or a master
    /// that reaches it, and that one reaches two workers with room, which reach each other.
    pub(super) fn can_go_on(&self, cluster: &mut Bare) -> Result<bool> {
        let goes = |name: &str| cluster.goes(name) && self.flaps.as_deref() != Some(name);
        let going = |names: &[String]| -> Vec<String> {
            names.iter().filter(|name| goes(name)).cloned().collect()
        };
        let (masters, workers) = (going(&self.masters), going(&self.workers));
        let voters = going(&self.voters);
        let network = &*cluster.network()?;
        let quorum = self.voters.len() / 2 + 1;
        let may_lead = |it: &&String| {
            voters
                .iter()
                .filter(|voter| network.joins(it, voter))
                .count()
                >= quorum
        };
        let is_served = |leader: &String| {
            let through = masters
                .iter()
                .filter(|it| *it == leader || network.joins(it, leader));
            through.into_iter().any(|master| {
                let roomy = |it: &&String| {
                    !self.full.contains(*it)
                        && network.joins(it, master)
                        && network.joins(it, leader)
                };
                let roomy: Vec<&String> = workers.iter().filter(roomy).collect();
                let met = |one: &&&String| {
                    roomy
                        .iter()
                        .any(|other| other != *one && network.joins(one, other))
                };
                CLIENTS.iter().any(|client| network.joins(client, master))
                    && roomy.iter().any(|one| met(&one))
            })
        };
        let leaders: Vec<&String> = masters.iter().filter(may_lead).collect();
        Ok(!leaders.is_empty() && leaders.into_iter().all(is_served))
    }

    /// Lets the fault last until `over`, which is told for how long it has.
    pub(super) fn hold(&self, cluster: &mut Bare, over: impl Fn(Duration) -> bool) -> Result<()> {
        let started = now();
        while !over(started.elapsed()) {
            match &self.flaps {
                Some(name) => {
                    cluster.network()?.unplug(name)?;
                    pause(FLAP);
                    cluster.network()?.heal()?;
                    pause(FLAP);
                }
                None => pause(LOOK),
            }
        }
        Ok(())
    }

    /// Ends the fault.
    pub(super) fn mend(&mut self, cluster: &mut Bare) -> Result<()> {
        cluster.network()?.heal()?;
        for worker in std::mem::take(&mut self.full) {
            fs::remove_file(filler(cluster, &worker)?)?;
        }
        cluster.all_go()
    }

    /// Fills a worker's disk until chunks have no room.
    fn fill(&mut self, cluster: &Bare, worker: String) -> Result<()> {
        let mut file = File::create(filler(cluster, &worker)?)?;
        self.full.insert(worker);
        let free = |file: &File| -> Result<u64> {
            let room = rustix::fs::fstatvfs(file)?;
            Ok(room.f_bavail * room.f_frsize)
        };
        let piece = vec![1; 1 << 20];
        // No more than the disk has, whatever it says.
        for _ in 0..DISK / MIB {
            if free(&file)? <= LEFT {
                break;
            }
            match file.write_all(&piece) {
                Err(error) if error.kind() == io::ErrorKind::StorageFull => break,
                written => written?,
            }
        }
        Ok(())
    }
}

/// What fills a disk: beside the worker's folder, on its file system.
fn filler(cluster: &Bare, worker: &str) -> Result<PathBuf> {
    let disk = cluster.disks()?.remove(worker);
    Ok(disk
        .context("a worker has a disk")?
        .with_file_name("filler"))
}
