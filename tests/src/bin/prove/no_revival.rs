//! What was deleted while a worker was away stays deleted when it comes back.

use crate::MIB;
use crate::figures::figure;
use crate::healing::{
    Stored, all_disks, ask, bytes_in, change, list, read_back, settle, status, text, two_copies,
    walk,
};
use anyhow::{Context, Result, ensure};
use mdfs_tests::chance::Chance;
use mdfs_tests::command::succeed;
use mdfs_tests::dev_cluster::{DevCluster, Options, Role};
use mdfs_tests::transfer::path;
use mdfs_tests::wait::wait_for;
use serde_json::json;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const SEED: u64 = 20_260_304;
const PATIENCE: Duration = Duration::from_secs(120);

/// What there should be.
#[derive(Default)]
struct Wanted {
    /// Files that have a name.
    live: Vec<Stored>,
    /// Files in the trash.
    trash: Vec<Stored>,
    /// Names that nothing has any more.
    gone: BTreeSet<String>,
}

pub(crate) fn prove(short: bool) -> Result<()> {
    let (files, most) = if short { (12, 2 * MIB) } else { (100, 8 * MIB) };
    let options = Options {
        restart: false,
        ..Options::default()
    };
    DevCluster::with(&options, |cluster| {
        let mut wanted = Wanted::default();
        put_all(cluster, &mut wanted, files, most)?;
        let lost = cluster.role("worker").pop().context("there are workers")?;
        let role = Role::of(&lost)?;
        cluster.kill(&lost)?;
        change_all(cluster, &mut wanted, most)?;
        let left = Left::on(&role.disk()?, &wanted)?;
        figure(
            "chunks on the disk that was away, for nobody",
            &left.chunks.to_string(),
        );
        ensure!(
            left.chunks > 0,
            "the worker that was away had nothing that is gone"
        );
        cluster.start_by_hand(&role)?;
        settled(cluster, &wanted)?;
        if !short {
            for taken in [Taken::Running, Taken::Stopped] {
                old_copy(cluster, &mut wanted, &role, taken)?;
            }
        }
        crate::invariants::hold(cluster, &all_disks(cluster)?, PATIENCE)?;
        figure("files, in the trash, gone", &{
            let (live, trash) = (wanted.live.len(), wanted.trash.len());
            format!("{live}, {trash}, {}", wanted.gone.len())
        });
        Ok(())
    })
}

fn put_all(cluster: &DevCluster, wanted: &mut Wanted, files: u64, most: u64) -> Result<()> {
    let mut chance = Chance::new(SEED);
    let mut connection = cluster.connect()?;
    for number in 0..files {
        let length = chance.within(1, most);
        let name = format!("revival/{number:03}");
        let file = Stored::put(&mut connection, &name, number, length, MIB)?;
        wanted.live.push(file);
    }
    settled(cluster, wanted)
}

/// Deletes, purges, replaces, renames and brings back, a part of the files each.
fn change_all(cluster: &DevCluster, wanted: &mut Wanted, most: u64) -> Result<()> {
    let mut chance = Chance::new(SEED + 1);
    let delete = |file: &Stored| change(cluster, "DELETE", &path(&file.name), None);
    for (number, mut file) in (0_u64..).zip(std::mem::take(&mut wanted.live)) {
        match number % 6 {
            0 => {
                delete(&file)?;
                change(
                    cluster,
                    "DELETE",
                    &format!("{}?purge", path(&file.name)),
                    None,
                )?;
                wanted.gone.insert(file.name);
            }
            1 => {
                change(
                    cluster,
                    "DELETE",
                    &format!("{}?purge", path(&file.name)),
                    None,
                )?;
                wanted.gone.insert(file.name);
            }
            2 => {
                let mut connection = cluster.connect()?;
                let length = chance.within(1, most);
                let number = 10_000 + number;
                let new = Stored::put(&mut connection, &file.name, number, length, MIB)?;
                wanted.live.push(new);
                wanted.trash.push(file);
            }
            3 => {
                let to = format!("{}-renamed", file.name);
                let body = json!({ "from": file.name, "to": to });
                change(cluster, "POST", "/v1/rename", Some(&body))?;
                wanted.gone.insert(std::mem::replace(&mut file.name, to));
                wanted.live.push(file);
            }
            4 => {
                delete(&file)?;
                change(
                    cluster,
                    "POST",
                    &format!("{}?undelete", path(&file.name)),
                    None,
                )?;
                wanted.live.push(file);
            }
            _ => {
                delete(&file)?;
                wanted.gone.insert(file.name.clone());
                wanted.trash.push(file);
            }
        }
    }
    Ok(())
}

/// Waits until all members are there and the disks have two copies of everything that there should
/// be and nothing else; then compares names, contents and the trash.
fn settled(cluster: &DevCluster, wanted: &Wanted) -> Result<()> {
    let kept = || wanted.live.iter().chain(&wanted.trash);
    let disks = all_disks(cluster)?;
    settle(cluster, &disks, 3, kept(), PATIENCE)?;
    same_names(cluster, wanted)?;
    read_back(cluster, &wanted.live)?;
    let on_disks = walk(disks.values())?;
    two_copies(&on_disks, kept(), true)?;
    let bytes: u64 = on_disks.iter().map(bytes_in).sum();
    let length: u64 = kept().map(|file| file.length).sum();
    ensure!(
        bytes == 2 * length,
        "{bytes} bytes on disks for {length} bytes of files"
    );
    Ok(())
}

/// Compares the lists with what there should be.
fn same_names(cluster: &DevCluster, wanted: &Wanted) -> Result<()> {
    let listed = |path: &str| -> Result<BTreeSet<(String, String)>> {
        let files = list(cluster, path)?;
        let pair = |file| Ok((text(file, "name")?, text(file, "file_id")?));
        files.iter().map(pair).collect()
    };
    let pairs = |files: &[Stored]| -> BTreeSet<(String, String)> {
        let pair = |file: &Stored| (file.name.clone(), file.file_id.clone());
        files.iter().map(pair).collect()
    };
    let (files, trash) = (listed("/v1/files")?, listed("/v1/trash")?);
    ensure!(files == pairs(&wanted.live), "the files are {files:?}");
    ensure!(trash == pairs(&wanted.trash), "the trash has {trash:?}");
    for name in &wanted.gone {
        let answered = ask(cluster, "GET", &path(name), None)?.problem();
        ensure!(
            answered == "404 file_not_found",
            "{name} is gone, but {answered}"
        );
    }
    Ok(())
}

/// What a disk has that there should not be.
struct Left {
    chunks: usize,
}

impl Left {
    fn on(disk: &Path, wanted: &Wanted) -> Result<Self> {
        let kept = wanted.live.iter().chain(&wanted.trash);
        let kept: BTreeSet<&str> = kept.map(|file| file.file_id.as_str()).collect();
        let found = mdfs_tests::disks::all_chunks(disk)?;
        let chunks = found
            .keys()
            .filter(|(file_id, _)| !kept.contains(file_id.as_str()));
        Ok(Self {
            chunks: chunks.count(),
        })
    }
}

/// When the disk was copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    Running,
    Stopped,
}

/// An old copy of a disk is refused, and brings nothing back: also if the disk was mounted only once
/// since.
fn old_copy(
    cluster: &mut DevCluster,
    wanted: &mut Wanted,
    role: &Role,
    taken: Taken,
) -> Result<()> {
    let disk = role.disk()?;
    let (old, newest) = (
        disk.with_file_name("old-copy"),
        disk.with_file_name("newest"),
    );
    if taken == Taken::Stopped {
        stop(cluster, role)?;
    }
    succeed(Command::new("cp").arg("-a").args([&disk, &old]), PATIENCE)?;
    if taken == Taken::Running {
        stop(cluster, role)?;
    }
    let copied = mdfs_tests::disks::all_chunks(&old)?;
    let identity = fs::read(old.join("identity"))?;
    cluster.start_by_hand(role)?;
    settled(cluster, wanted)?;
    stop(cluster, role)?;
    purge_trash(cluster, wanted)?;
    fs::rename(&disk, &newest)?;
    fs::rename(&old, &disk)?;

    // More than once, or a disk that counts its mounts would catch up.
    for _ in 0..3 {
        let before = refusals(cluster)?;
        cluster.start_by_hand(role)?;
        wait_for("refusal of the old copy", PATIENCE, || {
            Ok((refusals(cluster)? > before).then_some(()))
        })?;
        same_names(cluster, wanted)?;
        read_back(cluster, &wanted.live)?;
        let live = status(cluster)?.live_workers;
        ensure!(
            live == 2,
            "{live} workers are live with an old copy of a disk"
        );
        stop(cluster, role)?;
    }
    let left = mdfs_tests::disks::all_chunks(&disk)?;
    let same = left == copied && identity == fs::read(disk.join("identity"))?;
    ensure!(same, "the old copy of the disk was changed");
    figure(
        &format!("old copy of a disk, {taken:?}"),
        "refused and left alone",
    );

    fs::remove_dir_all(&disk)?;
    fs::rename(&newest, &disk)?;
    cluster.start_by_hand(role)?;
    settled(cluster, wanted)
}

/// How often a worker was told that its disk is refused.
fn refusals(cluster: &DevCluster) -> Result<usize> {
    let log = fs::read_to_string(cluster.folder().join("log"))?;
    Ok(log.matches("the master refuses this disk").count())
}

fn stop(cluster: &mut DevCluster, role: &Role) -> Result<()> {
    let workers = cluster.role("worker");
    let process = workers.into_iter().find(|one| one.name == role.name());
    cluster.stop_by_hand(&process.context("it ran a moment ago")?)
}

/// Purges what is in the trash under a name that no file has.
fn purge_trash(cluster: &DevCluster, wanted: &mut Wanted) -> Result<()> {
    for file in std::mem::take(&mut wanted.trash) {
        if wanted.gone.contains(&file.name) {
            let target = format!("{}?purge", path(&file.name));
            change(cluster, "DELETE", &target, None)?;
        } else {
            wanted.trash.push(file);
        }
    }
    Ok(())
}
