//! What happens to a disk. One disk of a cluster is bad at most: what all copies of a chunk are lost to,
//! nobody brings back.

use crate::trace::Trace;
use crate::walk::{data, is_good};
use crate::world::World;
use mdfs_simdisk::{Call, Kind, SimDisk};
use mdfs_tests::chance::Chance;
use mdfs_worker::disk::Disk;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The size of a good disk, in bytes.
const TOTAL: u64 = 1 << 30;
/// A block of a chunk, in bytes.
const BLOCK: usize = 64 << 10;

/// Does something to the disk that lasts until [`mend`], or for good to some bytes on it.
pub(super) fn hurt(disk: &SimDisk, chance: &mut Chance, trace: &Trace) {
    let seed = chance.number();
    match chance.within(0, 9) {
        0 => change(disk, chance, trace, "bit flipped", |bytes, chance| {
            for _ in 0..chance.within(1, 4) {
                let at = usize::try_from(chance.number()).unwrap_or(0) % bytes.len();
                flip(bytes, at, chance);
            }
        }),
        7 => change(
            disk,
            chance,
            trace,
            "bit flipped in a footer",
            |bytes, chance| {
                let from = data(bytes).len();
                let behind = u64::try_from(bytes.len() - from).unwrap_or(0);
                let at = usize::try_from(chance.within(0, behind.max(1))).unwrap_or(0);
                flip(bytes, from + at, chance);
            },
        ),
        // What the memory had, the disk has not.
        8 => {
            let (trace, chance) = (trace.clone(), Mutex::new(Chance::new(seed)));
            disk.spoil(move |call: &Call| {
                let mut chance = chance.lock().unwrap_or_else(PoisonError::into_inner);
                let spoilt = !of_log(&call.path) && chance.within(0, 4) == 0;
                if spoilt {
                    trace.reach("written other than sent");
                }
                spoilt
            });
        }
        1 => change(
            disk,
            chance,
            trace,
            "block in another's place",
            |bytes, _| {
                if bytes.len() > 2 * BLOCK {
                    bytes.copy_within(..BLOCK, BLOCK);
                }
            },
        ),
        2 => fail(disk, seed, trace, "read failed", |kind| kind == Kind::Read),
        3 => fail(disk, seed, trace, "write failed", |kind| {
            matches!(kind, Kind::Write | Kind::SetLen | Kind::Create)
        }),
        4 => fail(disk, seed, trace, "sync failed", |kind| {
            matches!(kind, Kind::SyncData | Kind::SyncDir)
        }),
        5 => {
            // Of the log no disk may lie: a voter that forgets is no voter.
            let trace = trace.clone();
            disk.lose(move |call: &Call| {
                let lies = call.kind == Kind::SyncData && !of_log(&call.path);
                if lies {
                    trace.reach("sync lied");
                    trace.set("a sync lied", true);
                }
                lies
            });
        }
        _ => {
            if let Ok(space) = disk.space() {
                trace.reach("disk full");
                trace.set("a voter's disk is full", trace.is("the bad disk votes"));
                let used = space.total.saturating_sub(space.free);
                disk.set_total(used + chance.within(0, 3 << 20));
            }
        }
    }
}

/// Lets the disk work again.
pub(crate) fn mend(disk: &SimDisk) {
    disk.heal();
    disk.lose(|_| false);
    disk.spoil(|_| false);
    disk.set_total(TOTAL);
}

/// Damages both copies of a chunk on good disks, each in another block: together they are good still.
pub(super) fn hurt_both(world: &World, chance: &mut Chance) {
    let good = world.hosts.values().filter(|host| host.id != world.bad);
    let disks: Vec<&SimDisk> = good.filter_map(|host| host.disk()).collect();
    let mut found: BTreeMap<PathBuf, Vec<&SimDisk>> = BTreeMap::new();
    for disk in disks {
        for path in disk.files_below("chunks") {
            found.entry(path).or_default().push(disk);
        }
    }
    let known = world.hosts.get(&world.bad).and_then(|host| host.disk());
    let elsewhere = known
        .map(|disk| disk.files_below("chunks"))
        .unwrap_or_default();
    found.retain(|path, disks| disks.len() == 2 && !elsewhere.contains(path));
    let paths: Vec<&PathBuf> = found.keys().collect();
    let Some(path) = chance.one_of(&paths).copied() else {
        return;
    };
    // A copy of which a power cut may still take the name is none yet.
    let long = |disk: &&SimDisk| {
        let files = disk.contents();
        let file = files.iter().find(|(it, _)| it == path);
        let (_, names) = disk.in_doubt();
        names == 0 && file.is_some_and(|(_, it)| data(it).len() > BLOCK && is_good(disk, path, it))
    };
    let Some(disks) = found.get(path).filter(|disks| disks.iter().all(long)) else {
        return;
    };
    world
        .trace
        .note(format_args!("both damaged {}", path.display()));
    world.trace.reach("copies damaged in different blocks");
    for (block, disk) in disks.iter().enumerate() {
        disk.tamper(path, |bytes| flip(bytes, block * BLOCK + 100, chance));
    }
}

/// Changes the bytes of some chunk behind the worker's back.
fn change(
    disk: &SimDisk,
    chance: &mut Chance,
    trace: &Trace,
    mark: &'static str,
    how: impl FnOnce(&mut Vec<u8>, &mut Chance),
) {
    let chunks = disk.files_below("chunks");
    if let Some(path) = chance.one_of(&chunks) {
        trace.reach(mark);
        trace.note(format_args!("{mark} {}", path.display()));
        disk.tamper(path, |bytes| {
            if !bytes.is_empty() {
                how(bytes, chance);
            }
        });
    }
}

/// Fails every fourth of some calls.
fn fail(
    disk: &SimDisk,
    seed: u64,
    trace: &Trace,
    mark: &'static str,
    which: impl Fn(Kind) -> bool + Send + Sync + 'static,
) {
    let (trace, chance) = (trace.clone(), Mutex::new(Chance::new(seed)));
    disk.fail(move |call| {
        let mut chance = chance.lock().unwrap_or_else(PoisonError::into_inner);
        let fails = which(call.kind) && chance.within(0, 4) == 0;
        fails.then(|| {
            trace.reach(mark);
            io::Error::other("the disk fails")
        })
    });
}

fn flip(bytes: &mut [u8], at: usize, chance: &mut Chance) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1 << chance.within(0, 8);
    }
}

fn of_log(path: &Path) -> bool {
    !path.starts_with("chunks") && !path.starts_with("staging")
}
