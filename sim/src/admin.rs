//! What an administrator does meanwhile: orders to the cluster, and other disks in workers.
//!
//! All that may lose what is on a disk happens to the one bad disk of the cluster, and only while it is
//! no more than the cluster promises to bear.

mod disks;
mod view;

pub(crate) use view::identity;

use crate::net::HostId;
use crate::world::World;
use anyhow::Result;
use disks::Visit;
use http::{Method, StatusCode};
use mdfs_simdisk::SimDisk;
use mdfs_tests::chance::Chance;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use view::View;

/// An administrator.
#[derive(Debug)]
pub(crate) struct Admin {
    chance: Chance,
    /// Whether one voter may be enough: then no disk of a voter is lost.
    lone_voter: bool,
    /// How often it was ordered how many vote.
    voted: u64,
    /// What lost disks had on them that were retired since.
    retired: Vec<SimDisk>,
    /// What a disk had on it that was lost, by its id.
    lost: Option<(String, SimDisk)>,
    /// The bad disk, if its log was damaged: it is to be lost.
    damaged: Option<String>,
    /// Voters that were given up, and never come back.
    forgotten: BTreeSet<String>,
    /// A disk as it was.
    snapshot: Option<disks::Snapshot>,
    /// A disk of another cluster.
    foreign: Option<SimDisk>,
    /// What is in the bad disk's place.
    visit: Option<Visit>,
    /// Since when nothing fails any more and the cluster cannot do without the bad disk's vote, in
    /// milliseconds of the run.
    stuck: Option<u64>,
    /// Workers to start, and when.
    restarts: Vec<(u64, HostId)>,
    /// Whether disks are lost, swapped and shown that do not belong there.
    disks: bool,
}

impl Admin {
    /// The administrator that this seed draws; `foreign` is a disk of another cluster.
    pub(crate) fn new(seed: u64, foreign: Option<SimDisk>) -> Self {
        let mut chance = Chance::new(seed ^ 0xad31);
        Self {
            lone_voter: chance.within(0, 3) == 0,
            disks: chance.within(0, 4) != 0,
            chance,
            voted: 0,
            retired: Vec::new(),
            lost: None,
            damaged: None,
            forgotten: BTreeSet::new(),
            snapshot: None,
            foreign,
            visit: None,
            stuck: None,
            restarts: Vec::new(),
        }
    }

    /// Ends what is due.
    ///
    /// # Errors
    /// If a server's configuration is refused.
    pub(crate) fn tend(&mut self, world: &mut World) -> Result<()> {
        let now = world.trace.now();
        let due = |(at, _): &(u64, HostId)| *at <= now;
        for (_, id) in self
            .restarts
            .extract_if(.., |it| due(it))
            .collect::<Vec<_>>()
        {
            world.start(id)?;
        }
        if self.visit.as_ref().is_some_and(|visit| visit.until <= now) {
            self.end_visit(world)?;
        }
        Ok(())
    }

    /// Does one thing.
    ///
    /// # Errors
    /// If a server's configuration is refused.
    pub(crate) async fn act(&mut self, world: &mut World) -> Result<()> {
        let Some(view) = self.look(world).await else {
            return Ok(());
        };
        self.tidy(world, &view).await?;
        match self.chance.within(0, 22) {
            0..3 => self.change_policy(world).await,
            3..6 => self.change_voters(world).await,
            6 | 7 => self.drain(world, &view, true).await,
            8 | 9 => self.drain(world, &view, false).await,
            10 => self.announce(world, &view).await,
            11 | 12 => self.decommission(world, &view).await,
            13 => {
                for path in ["rebalance", "repair", "scrub"] {
                    self.order(world, path, json!({})).await;
                }
            }
            14 => self.export(world).await,
            15 => self.second_process(world).await?,
            _ if !self.disks => {}
            16 | 17 => {
                // The orders took a while: who votes may have changed.
                if let Some(view) = self.look(world).await {
                    self.lose(world, &view)?;
                }
            }
            18 => self.swap(world)?,
            19 => self.take_snapshot(world, &view).await?,
            _ => self.show(world, &view)?,
        }
        Ok(())
    }

    /// Brings everything back to how it should be in the end, one step at a time. Whether there is
    /// nothing left to do.
    ///
    /// # Errors
    /// If a server's configuration is refused.
    pub(crate) async fn settle(&mut self, world: &mut World) -> Result<bool> {
        for (_, id) in std::mem::take(&mut self.restarts) {
            world.start(id)?;
        }
        if self.visit.is_some() {
            self.end_visit(world)?;
        }
        let looked = self.look(world).await;
        self.unblock(world, looked.as_ref()).await?;
        let Some(view) = looked else {
            return Ok(false);
        };
        let policy = json!({"replicas": 2, "lower_after_seconds": 20, "min_write_copies": 0});
        let mut settled = self.order(world, "policy", policy).await == Some(StatusCode::OK);
        let voters = json!({"wanted": 3});
        settled &= self.order(world, "voters", voters).await == Some(StatusCode::ACCEPTED);
        for member in view.members.iter().filter(|it| it.draining && it.here) {
            let body = json!({"worker": member.disk});
            self.order(world, "undrain", body).await;
            settled = false;
        }
        if self.damaged.is_some() {
            self.lose(world, &view)?;
            settled = false;
        }
        Ok(self.tidy(world, &view).await? && settled)
    }

    async fn order(&mut self, world: &World, what: &str, body: Value) -> Option<StatusCode> {
        let path = format!("/v1/admin/{what}");
        let times = 1 + u64::from(self.chance.within(0, 4) == 0);
        let mut last = None;
        for time in 0..times {
            let master = *self.chance.one_of(&world.masters())?;
            if time > 0 {
                world.trace.reach("order given again");
            }
            let told = world.ask_one(master, Method::POST, &path, Some(body.clone()));
            let told = told.await;
            if let Some((status, said)) = &told
                && status.is_server_error()
                && *status != StatusCode::SERVICE_UNAVAILABLE
            {
                world
                    .trace
                    .broken(format!("{what} {body}: {status} {said}"));
            }
            last = told.map(|(status, _)| status).or(last);
        }
        last
    }

    async fn change_policy(&mut self, world: &World) {
        let replicas = self.chance.within(2, 4);
        // One copy may be the one on the bad disk, so it is not enough.
        let least = if replicas == 3 {
            self.chance.within(0, 2) * 2
        } else {
            0
        };
        let policy = json!({
            "replicas": replicas,
            "lower_after_seconds": 20,
            "min_write_copies": least,
        });
        if self.order(world, "policy", policy).await == Some(StatusCode::OK) {
            world.trace.reach("copies wanted changed");
        }
    }

    async fn change_voters(&mut self, world: &World) {
        let numbers: &[u8] = match self.lone_voter {
            true => &[1, 2, 3, 5],
            false => &[2, 3, 3, 5, 5],
        };
        let wanted = self.chance.one_of(numbers).copied().unwrap_or(3);
        self.voted += 1;
        self.order(world, "voters", json!({"wanted": wanted})).await;
    }

    async fn drain(&mut self, world: &World, view: &View, drain: bool) {
        let here: Vec<&view::Member> = view.members.iter().filter(|it| it.here).collect();
        let Some(member) = self.chance.one_of(&here) else {
            return;
        };
        let what = if drain { "drain" } else { "undrain" };
        let body = json!({"worker": member.disk});
        self.order(world, what, body).await;
    }

    async fn announce(&mut self, world: &mut World, view: &View) {
        let hosts = world.workers();
        let Some(id) = self.chance.one_of(&hosts).copied() else {
            return;
        };
        let Some(member) = view.at(world, id) else {
            return;
        };
        let body = json!({"worker": member.disk, "seconds": 30});
        self.order(world, "announce", body).await;
        world.stand(id, false);
        world.stop(id).await;
        let at = world.trace.now() + self.chance.within(200, 40_000);
        self.restarts.push((at, id));
    }

    /// Has a good disk emptied and retired, if enough others are left.
    async fn decommission(&mut self, world: &World, view: &View) {
        let stays = |it: &&view::Member| it.here && !it.draining;
        let left = view.members.iter().filter(stays).count();
        let hosts: Vec<HostId> = world.workers();
        let hosts: Vec<HostId> = hosts.into_iter().filter(|id| *id != world.bad).collect();
        let Some(id) = self.chance.one_of(&hosts).copied() else {
            return;
        };
        let Some(member) = view.at(world, id).filter(|it| !it.draining && left > 3) else {
            return;
        };
        let body = json!({"worker": member.disk});
        self.order(world, "decommission", body).await;
    }

    async fn export(&mut self, world: &World) {
        let Some(master) = self.chance.one_of(&world.masters()).copied() else {
            return;
        };
        if let Some(lines) = world.export(master).await
            && !is_complete(&lines)
        {
            world.trace.broken(format!("an export has no end: {lines}"));
        }
    }

    /// Starts a second process with a disk that the first one has.
    async fn second_process(&mut self, world: &World) -> Result<()> {
        let Some(id) = self.chance.one_of(&world.workers()).copied() else {
            return Ok(());
        };
        let host = world.hosts.get(&id);
        let Some(host) = host.filter(|host| host.worker().is_some_and(|it| it.disk().is_some()))
        else {
            return Ok(());
        };
        match host.start_second(&world.settings, &world.net).await? {
            Some(true) => world.trace.broken(format!("two processes have disk {id}")),
            Some(false) => world.trace.reach("two processes on one disk"),
            None => {}
        }
        Ok(())
    }

    /// Has lost disks given up, and puts new ones in the place of those that were retired. Whether
    /// nothing of that is left.
    async fn tidy(&mut self, world: &mut World, view: &View) -> Result<bool> {
        let leaving = view
            .members
            .iter()
            .filter(|it| it.decommissioning && it.here);
        if leaving.count() > 1 {
            world.trace.reach("two disks leave at once");
        }
        let gone: Vec<&view::Member> = view.members.iter().filter(|it| !it.here).collect();
        for member in &gone {
            let body = json!({"worker": member.disk, "lost": true});
            if member.voter && view.voters() == 2 {
                let told = self.order(world, "forget-voter", body).await;
                if told.is_none_or(|status| status.is_success()) {
                    self.forgotten.insert(member.disk.clone());
                }
            } else if self.chance.within(0, 2) == 0 {
                self.order(world, "retire", body).await;
            } else if !member.decommissioning {
                let body = json!({"worker": member.disk});
                self.order(world, "decommission", body).await;
            }
        }
        if let Some((disk, _)) = &self.lost
            && !view.members.iter().any(|it| it.disk == *disk)
            && let Some((disk, content)) = self.lost.take()
            && !self.forgotten.contains(&disk)
        {
            self.retired.push(content);
        }
        let renewed = self.renew_retired(world, view)?;
        Ok(gone.is_empty() && renewed)
    }
}

/// Whether an export says where it ends.
pub(crate) fn is_complete(lines: &str) -> bool {
    let last = lines.lines().next_back().unwrap_or_default();
    let last: Value = serde_json::from_str(last).unwrap_or_default();
    last.get("end").is_some() && lines.ends_with('\n')
}
