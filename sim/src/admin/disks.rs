//! Disks that are lost, swapped, or not where they belong.

use super::Admin;
use super::view::{View, identity};
use crate::world::World;
use anyhow::Result;
use mdfs_simdisk::SimDisk;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How long a healed cluster may be without a leader that can write, in milliseconds.
const STUCK: u64 = 60_000;

/// The mark that a disk of another cluster was shown.
const FOREIGN: &str = "foreign disk";

/// Round and incarnation of the highest term that gave the disk an order.
type Fence = (u64, u64);

/// Where the fence stands in the file that says who a disk is, behind its id and generation.
const FENCE: usize = 56;

/// What is on a disk of chunks, and who it is.
type Content = BTreeMap<PathBuf, Arc<Vec<u8>>>;

/// Another disk in the place of the bad one.
#[derive(Debug)]
pub(super) struct Visit {
    /// What belongs there.
    pub(super) own: SimDisk,
    /// When it ends, in milliseconds of the run.
    pub(super) until: u64,
    before: Content,
    fence: Option<Fence>,
    mark: &'static str,
}

/// A disk as it was once.
#[derive(Debug)]
pub(super) struct Snapshot {
    disk: SimDisk,
    id: String,
    generation: u64,
    /// How often the voters were changed before.
    voted: u64,
}

impl Admin {
    /// Loses the bad disk, if the cluster bears that: no other voter is lost, and one is left.
    pub(super) fn lose(&mut self, world: &mut World, view: &View) -> Result<()> {
        let nothing_lost = view.members.iter().all(|it| it.here) && self.lost.is_none();
        let Some(member) = view.at(world, world.bad) else {
            return Ok(());
        };
        let bears = !member.voter || !self.lone_voter && view.voters() > 1;
        if world.visited || !nothing_lost || !bears {
            return Ok(());
        }
        let id = world.bad;
        world.kill(id);
        let disk = member.disk.clone();
        let again = self.damaged.take().is_some_and(|it| it == disk);
        // A log that is damaged may get the only vote before anybody looks at it.
        let may_damage = !again && !self.lone_voter;
        if may_damage && self.chance.within(0, 3) == 0 && self.damage_log(world) {
            // It goes on for a while first.
            self.damaged = Some(disk);
            return world.start(id);
        }
        self.wipe(world, disk)
    }

    /// Puts a blank disk in the place of the bad one, which is in no process's hands.
    fn wipe(&mut self, world: &mut World, disk: String) -> Result<()> {
        world.trace.reach("disk wiped");
        let lost = world.exchange_disk(world.bad, SimDisk::new());
        self.lost = lost.map(|lost| (disk, lost));
        if world.net.uploads() {
            world.trace.reach("worker joined under an upload");
        }
        world.start(world.bad)
    }

    /// Gives up the vote of a disk that is lost, or whose log is damaged, once the cluster has been
    /// without a leader that can write for so long that this must be why: it was lost while the voters
    /// changed to two that had to agree, or from two. All others are there.
    pub(super) async fn unblock(&mut self, world: &mut World, view: Option<&View>) -> Result<()> {
        let bad = world.hosts.get(&world.bad).and_then(|host| host.disk());
        let there = bad.and_then(identity).map(|(disk, _)| disk);
        // It may be gone already, with a worker that was retired.
        if self.damaged != there {
            self.damaged = None;
        }
        let lost = self.lost.as_ref().map(|(disk, _)| disk.clone());
        let Some(disk) = lost.clone().or_else(|| self.damaged.clone()) else {
            self.stuck = None;
            return Ok(());
        };
        let votes = |view: &View| view.members.iter().any(|it| it.disk == disk && it.voter);
        if view.is_some_and(|view| !votes(view)) {
            self.stuck = None;
            return Ok(());
        }
        let since = *self.stuck.get_or_insert(world.trace.now());
        if world.trace.now() < since + STUCK {
            return Ok(());
        }
        if lost.is_none() {
            self.damaged = None;
            world.kill(world.bad);
            return self.wipe(world, disk);
        }
        world.trace.reach("voter given up while the voters changed");
        let body = json!({"worker": disk, "lost": true});
        self.forgotten.insert(disk);
        self.order(world, "forget-voter", body).await;
        Ok(())
    }

    /// Flips bits in the metadata log on the bad disk, which is in no process's hands.
    fn damage_log(&mut self, world: &World) -> bool {
        let disk = world.hosts.get(&world.bad).and_then(|host| host.disk());
        let Some(disk) = disk.filter(|disk| disk.files_below("log.redb").len() == 1) else {
            return false;
        };
        world.trace.reach("bit flipped in a log");
        let chance = &mut self.chance;
        disk.tamper(Path::new("log.redb"), |bytes| {
            for _ in 0..chance.within(1, 20) {
                let at = usize::try_from(chance.number()).unwrap_or(0) % bytes.len().max(1);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << chance.within(0, 8);
                }
            }
        });
        true
    }

    /// Puts the bad disk into another worker, and that one's where it was.
    pub(super) fn swap(&mut self, world: &mut World) -> Result<()> {
        let others: Vec<_> = world.workers();
        let others: Vec<_> = others.into_iter().filter(|id| *id != world.bad).collect();
        let Some(other) = self
            .chance
            .one_of(&others)
            .copied()
            .filter(|_| !world.visited)
        else {
            return Ok(());
        };
        let bad = world.bad;
        world.kill(bad);
        world.kill(other);
        if let Some(disk) = world.exchange_disk(bad, SimDisk::new())
            && let Some(others) = world.exchange_disk(other, disk)
        {
            world.exchange_disk(bad, others);
        }
        world.trace.reach("disks swapped");
        world.net.forget_refusal(bad);
        world.net.forget_refusal(other);
        world.bad = other;
        world.start(bad)?;
        world.start(other)
    }

    /// Keeps what is on the bad disk. What a voter promised since would be forgotten with it, so it is
    /// none then, nor while it comes back.
    pub(super) async fn take_snapshot(&mut self, world: &mut World, view: &View) -> Result<()> {
        let member = view.at(world, world.bad);
        if world.visited || member.is_none_or(|it| it.voter) {
            return Ok(());
        }
        let id = world.bad;
        world.stand(id, false);
        world.stop(id).await;
        let disk = world.hosts.get(&id).and_then(|host| host.disk());
        if let Some((disk, (id, generation))) = disk.and_then(|it| Some((it, identity(it)?))) {
            self.snapshot = Some(Snapshot {
                disk: disk.after_kill(),
                id,
                generation,
                voted: self.voted,
            });
        }
        world.start(id)
    }

    /// Puts a disk into the bad one's place that is to be refused.
    pub(super) fn show(&mut self, world: &mut World, view: &View) -> Result<()> {
        if world.visited {
            return Ok(());
        }
        let number = self.chance.within(0, 3);
        let member = view.at(world, world.bad);
        let voted = self.voted;
        let is_old = |snapshot: &mut Snapshot| {
            let Snapshot { id, generation, .. } = snapshot;
            let known = member.filter(|it| it.disk == *id && !it.voter);
            voted == snapshot.voted && known.is_some_and(|it| it.generation > *generation)
        };
        let (disk, mark) = if number == 0 {
            (self.foreign.clone(), FOREIGN)
        } else if number == 1 && !self.retired.is_empty() {
            (self.retired.pop(), "retired disk came back")
        } else {
            let snapshot = self.snapshot.take_if(is_old);
            (snapshot.map(|it| it.disk), "old snapshot of a disk")
        };
        let Some(disk) = disk else {
            return Ok(());
        };
        let id = world.bad;
        world.kill(id);
        crate::faults::mend(&disk);
        let disk = disk.after_kill();
        let (before, fence) = (content(&disk, mark != FOREIGN), fence(&disk));
        let Some(own) = world.exchange_disk(id, disk) else {
            return Ok(());
        };
        world.visited = true;
        world.net.forget_refusal(id);
        let until = world.trace.now() + self.chance.within(5000, 60_000);
        self.visit = Some(Visit {
            own,
            until,
            before,
            fence,
            mark,
        });
        world.start(id)
    }

    /// Puts the right disk back.
    pub(super) fn end_visit(&mut self, world: &mut World) -> Result<()> {
        let Some(visit) = self.visit.take() else {
            return Ok(());
        };
        let id = world.bad;
        world.kill(id);
        world.visited = false;
        // Whatever was to end meanwhile has ended.
        crate::faults::mend(&visit.own);
        let Some(shown) = world.exchange_disk(id, visit.own) else {
            return Ok(());
        };
        let ours = visit.mark != FOREIGN;
        let mut touched = differing(&visit.before, &content(&shown, ours));
        let moved = fence(&shown).cmp(&visit.fence);
        let mut fence_may = moved.is_eq();
        if let Some(chunks) = world.net.unwarned(id).filter(|_| ours) {
            // Messages that were sent to it before came late, and before anybody had refused it.
            touched.retain(|path| {
                let name = path.file_name().and_then(|name| name.to_str());
                let begins = |name: &str| chunks.iter().any(|chunk| name.starts_with(chunk));
                !(path.starts_with("chunks") && name.is_some_and(begins))
            });
            fence_may = moved.is_ge();
        }
        if !fence_may {
            world
                .trace
                .broken(format!("{}: its fence was moved", visit.mark));
        }
        if !touched.is_empty() {
            let text = format!("{}: it was written to: {touched:?}", visit.mark);
            world.trace.broken(text);
        }
        if world.net.was_refused(id) {
            world.trace.reach(visit.mark);
        }
        world.start(id)
    }

    /// Puts new disks in the place of those that were retired. Whether there were none.
    pub(super) fn renew_retired(&mut self, world: &mut World, view: &View) -> Result<bool> {
        let mut none = true;
        for id in world.workers() {
            let visited = id == world.bad && world.visited;
            if visited || !world.net.was_refused(id) || view.at(world, id).is_some() {
                continue;
            }
            none = false;
            world.kill(id);
            world.net.forget_refusal(id);
            let retired = world.exchange_disk(id, SimDisk::new());
            self.retired.extend(retired);
            if world.net.uploads() {
                world.trace.reach("worker joined under an upload");
            }
            world.start(id)?;
        }
        Ok(none)
    }
}

/// What may not change on a disk that is refused; of one of ours without the fence.
fn content(disk: &SimDisk, ours: bool) -> Content {
    let kept = |(path, mut bytes): (PathBuf, Arc<Vec<u8>>)| {
        let is_identity = path.starts_with("identity");
        if is_identity && ours {
            Arc::make_mut(&mut bytes).truncate(FENCE);
        }
        (is_identity || path.starts_with("chunks")).then_some((path, bytes))
    };
    disk.contents().into_iter().filter_map(kept).collect()
}

fn fence(disk: &SimDisk) -> Option<Fence> {
    let files = disk.contents();
    let (_, bytes) = files
        .iter()
        .find(|(path, _)| path == Path::new("identity"))?;
    let number = |from: usize| {
        let bytes = bytes.get(from..)?.first_chunk()?;
        Some(u64::from_le_bytes(*bytes))
    };
    Some((number(FENCE)?, number(FENCE + 8)?))
}

/// The paths that are in one of both alone, or hold something else.
fn differing(before: &Content, after: &Content) -> BTreeSet<PathBuf> {
    let only = |these: &Content, those: &Content| {
        let only = these
            .iter()
            .filter(|(path, bytes)| those.get(*path) != Some(*bytes));
        only.map(|(path, _)| path.clone()).collect::<BTreeSet<_>>()
    };
    only(before, after)
        .union(&only(after, before))
        .cloned()
        .collect()
}
