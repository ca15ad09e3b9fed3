//! What happens to a disk. One disk of a cluster is bad at most: what all copies of a chunk are lost to,
//! nobody brings back.

use crate::trace::Trace;
use mdfs_simdisk::{Call, Kind, SimDisk};
use mdfs_tests::chance::Chance;
use mdfs_worker::disk::Disk;
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// The size of a good disk, in bytes.
const TOTAL: u64 = 1 << 30;
/// A block of a chunk, in bytes.
const BLOCK: usize = 64 << 10;

/// Does something to the disk that lasts until [`mend`], or for good to some bytes on it.
pub(super) fn hurt(disk: &SimDisk, chance: &mut Chance, trace: &Trace) {
    let seed = chance.number();
    match chance.within(0, 7) {
        0 => change(disk, chance, trace, "bit flipped", |bytes, chance| {
            for _ in 0..chance.within(1, 4) {
                let at = usize::try_from(chance.number()).unwrap_or(0) % bytes.len();
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << chance.within(0, 8);
                }
            }
        }),
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
                }
                lies
            });
        }
        _ => {
            if let Ok(space) = disk.space() {
                trace.reach("disk full");
                let used = space.total.saturating_sub(space.free);
                disk.set_total(used + chance.within(0, 3 << 20));
            }
        }
    }
}

/// Lets the disk work again.
pub(super) fn mend(disk: &SimDisk) {
    disk.heal();
    disk.lose(|_| false);
    disk.set_total(TOTAL);
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

fn of_log(path: &Path) -> bool {
    !path.starts_with("chunks") && !path.starts_with("staging")
}
