//! The proof that a power cut takes nothing that was acknowledged.
//!
//! One worker lives through puts, an overwrite, a delete, damage, changes of leader and remounts on a
//! simulated disk. Before every call that changes the disk, power is cut or the process killed; what
//! is then found is mounted and compared with what had been acknowledged. A killed process is
//! started again and repeats what it was asked, and the power is cut after its answer.

use super::ledger::Ledger;
use super::sim_disk::{Call, Kind, SimDisk, Survives};
use super::world::{Step, World, story};
use mdfs_worker::disk::Disk as _;
use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

/// A place in the program that syncs something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Site {
    IdentityBytes,
    IdentityName,
    StagedBytes,
    ChunkName,
    ChunkDirName,
    DroppedNames,
    ChunkNamesOfKilledRun,
    ChunkDirNamesOfKilledRun,
    MarkName,
    MarksDirName,
    MarksOfKilledRun,
    LogBytes,
    NewLogBytes,
    NewLogName,
}

impl Site {
    pub(crate) const ALL: [Self; 14] = [
        Self::IdentityBytes,
        Self::IdentityName,
        Self::StagedBytes,
        Self::ChunkName,
        Self::ChunkDirName,
        Self::DroppedNames,
        Self::ChunkNamesOfKilledRun,
        Self::ChunkDirNamesOfKilledRun,
        Self::MarkName,
        Self::MarksDirName,
        Self::MarksOfKilledRun,
        Self::LogBytes,
        Self::NewLogBytes,
        Self::NewLogName,
    ];

    /// Whether a call is a sync of this place.
    fn is_here(self, call: &Call) -> bool {
        let path = call.path.as_path();
        let is_leaf = path.parent() == Some(Path::new("chunks"));
        let file = |name: &str| call.kind == Kind::SyncData && path == Path::new(name);
        let dir = |here: bool| call.kind == Kind::SyncDir && here;
        let after = |kind, name: &str| {
            call.last_change.as_ref().is_some_and(|(last, path)| {
                *last == kind && (name.is_empty() || path == Path::new(name))
            })
        };
        let root = path == Path::new("");
        let chunks = path == Path::new("chunks");
        let marks = path == Path::new("damaged");
        match self {
            Self::IdentityBytes => file("identity.new"),
            Self::IdentityName => dir(root) && after(Kind::Rename, "identity"),
            Self::StagedBytes => call.kind == Kind::SyncData && path.starts_with("staging"),
            Self::ChunkName => dir(is_leaf) && after(Kind::Rename, ""),
            Self::ChunkDirName => dir(chunks) && call.last_change.is_some(),
            Self::DroppedNames => dir(is_leaf) && after(Kind::Remove, ""),
            Self::ChunkNamesOfKilledRun => dir(is_leaf) && call.last_change.is_none(),
            Self::ChunkDirNamesOfKilledRun => dir(chunks) && call.last_change.is_none(),
            Self::MarkName => dir(marks) && call.last_change.is_some(),
            Self::MarksDirName => dir(root) && after(Kind::CreateDir, "damaged"),
            Self::MarksOfKilledRun => dir(marks) && call.last_change.is_none(),
            Self::LogBytes => file("log.redb"),
            Self::NewLogBytes => file("log.redb.new"),
            Self::NewLogName => dir(root) && after(Kind::Rename, "log.redb"),
        }
    }
}

/// How much was looked at.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Report {
    /// Calls before which power was cut and the process killed.
    pub(crate) crash_points: usize,
    /// Different states of the disk that were mounted and compared.
    pub(crate) states: usize,
}

/// A state that breaks the promise.
#[derive(Debug)]
pub(crate) struct Broken {
    /// Where in the story, and which state.
    pub(crate) place: String,
    /// What is wrong.
    pub(crate) reason: String,
}

/// Cuts the power before every call of the story, and kills the process there.
///
/// `chances` states of each crash point have unsynced names and bytes by chance, besides those that
/// have all or nothing of them. The syncs of `lost` do nothing.
pub(crate) fn explore(chances: u64, lost: Option<Site>) -> Result<Report, Broken> {
    let mut variants = vec![
        Survives::Nothing,
        Survives::Names,
        Survives::LastName,
        Survives::Bytes,
        Survives::Everything,
    ];
    variants.extend((1..=chances).map(Survives::Some));
    let disk = SimDisk::new();
    if let Some(site) = lost {
        disk.lose(move |call| site.is_here(call));
    }
    let mut explored = Explored {
        variants,
        seen: HashSet::new(),
        report: Report::default(),
    };
    let mut world = World::new(disk.clone());
    let mut ledger = Ledger::default();
    for step in story() {
        ledger.ask(&step);
        disk.keep_trail();
        let outcome = world.run(&step);
        let trail = disk.take_trail();
        let broken = |reason| Broken {
            place: format!("{step:?}"),
            reason,
        };
        let answer = outcome.map_err(broken)?;
        for (call, image) in trail.iter().enumerate() {
            explored.report.crash_points += 1;
            let place = format!("before call {call} of {step:?}");
            explored.cut(image, &ledger, &place)?;
            explored.kill_and_repeat(image, &world, &ledger, &step, &place)?;
        }
        ledger.acknowledge(&step, answer);
        explored.seen.clear();
        explored.cut(&disk, &ledger, &format!("after {step:?}"))?;
        world.pass(Duration::from_secs(10));
    }
    Ok(explored.report)
}

struct Explored {
    variants: Vec<Survives>,
    /// Fingerprints of states compared with the present ledger.
    seen: HashSet<u64>,
    report: Report,
}

impl Explored {
    fn cut(&mut self, image: &SimDisk, ledger: &Ledger, place: &str) -> Result<(), Broken> {
        for survives in self.variants.clone() {
            let found = image.after_power_cut(survives);
            if !self.seen.insert(found.fingerprint()) {
                continue;
            }
            self.report.states += 1;
            ledger.check(&found).map_err(|reason| Broken {
                place: format!("{place}, surviving: {survives:?}"),
                reason,
            })?;
        }
        Ok(())
    }

    fn kill_and_repeat(
        &mut self,
        image: &SimDisk,
        world: &World,
        ledger: &Ledger,
        step: &Step,
        place: &str,
    ) -> Result<(), Broken> {
        let place = format!("{place}, killed and repeated");
        let broken = |reason| Broken {
            place: place.clone(),
            reason,
        };
        let disk = image.after_kill();
        let mut again = world.restarted(disk.clone());
        let mut ledger = ledger.clone();
        let answer = again.run(step).map_err(broken)?;
        ledger.acknowledge(step, answer);
        self.report.states += 1;
        let found = disk.after_power_cut(Survives::Nothing);
        ledger.check(&found).map_err(broken)
    }
}

/// That the simulated disk is what it says: nothing unsynced survives, all synced does.
pub(crate) fn disk_forgets() {
    let disk = SimDisk::new();
    let path = Path::new("a");
    let file = disk
        .create(path, mdfs_worker::disk::Writes::Cached)
        .unwrap();
    file.write_at(b"x", 0).unwrap();
    let found = |survives| {
        let after = disk.after_power_cut(survives);
        after.metadata(path).ok().map(|metadata| metadata.len)
    };
    assert_eq!(found(Survives::Nothing), None);
    assert_eq!(found(Survives::Names), Some(0));
    assert_eq!(found(Survives::Everything), Some(1));
    file.sync_data().unwrap();
    assert_eq!(found(Survives::Bytes), None);
    disk.sync_dir(Path::new("")).unwrap();
    assert_eq!(found(Survives::Nothing), Some(1));
    disk.remove(path).unwrap();
    assert_eq!(
        (found(Survives::Nothing), found(Survives::Names)),
        (Some(1), None)
    );
}
