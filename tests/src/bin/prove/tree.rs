//! A folder of films goes up, is changed, goes up again, and comes down equal, by contents and times;
//! what was there already is not sent, and an interrupted command goes on.

use crate::figures::{bytes_as_f64, figure};
use crate::{GIB, MIB};
use anyhow::{Context, Result, ensure};
use mdfs_tests::chance::Chance;
use mdfs_tests::command::{Output, run};
use mdfs_tests::content::Content;
use mdfs_tests::dev_cluster::{DevCluster, Options};
use mdfs_tests::wait::{now, wait_for};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const SEED: u64 = 5_000;
/// How long one command may take before the proof gives up.
const PATIENCE: Duration = Duration::from_secs(20 * 60);

struct Size {
    files: u64,
    bytes: u64,
    changes: u64,
    /// Bytes of the largest file: more than one chunk.
    largest: u64,
}

pub(crate) fn prove(short: bool) -> Result<()> {
    let size = if short {
        Size {
            files: 120,
            bytes: 120 * MIB,
            changes: 10,
            largest: 70 * MIB,
        }
    } else {
        Size {
            files: 5_000,
            bytes: 4 * GIB,
            changes: 50,
            largest: 200 * MIB,
        }
    };
    DevCluster::with(&Options::default(), |cluster| {
        let source = cluster.folder().join("source");
        let mut paths = make(&source, &size)?;
        goes_up(cluster, &size)?;
        changes_go_up(cluster, &source, &mut paths, &size)?;
        comes_down(cluster, &size, &paths)?;
        what_cannot_go_is_named(cluster)?;
        a_file_that_changes_is_noticed(cluster)
    })
}

/// Files in folders, with names and times that are not plain; the names in their order.
fn make(folder: &Path, size: &Size) -> Result<Vec<PathBuf>> {
    let mut chance = Chance::new(SEED);
    let each = (size.bytes - size.largest) / (size.files - 1);
    let mut paths = Vec::new();
    for number in 0..size.files {
        let path = folder.join(match number % 5 {
            0 => format!("film {number}.mkv"),
            1 => format!("Staffel {}/Folge {number}.mp4", number % 7),
            2 => format!("a/b/c/{}/{number}", number % 11),
            3 => format!("a.b/ünï {number} 映画.srt"),
            _ => format!("a/{}%20/#{number}?.nfo", number % 13),
        });
        let length = match number {
            0 => size.largest,
            1 => 0,
            _ => chance.within(1, 2 * each - 1),
        };
        write(&path, number, length)?;
        File::open(&path)?.set_modified(time(number))?;
        paths.push(path);
    }
    Ok(paths)
}

/// A time to the nanosecond, different for each file, and before 1970 for some.
fn time(number: u64) -> SystemTime {
    let span = Duration::new(number * 86_413, 123_456_789);
    if number.is_multiple_of(50) {
        UNIX_EPOCH - span
    } else {
        UNIX_EPOCH + span
    }
}

fn write(path: &Path, number: u64, length: u64) -> Result<()> {
    fs::create_dir_all(path.parent().context("a file is in a folder")?)?;
    let mut file = File::create(path)?;
    io::copy(&mut Content::new(number).reader(length), &mut file)?;
    Ok(())
}

/// What the last line of `put -r` and `get -r` says as JSON.
#[derive(Debug)]
struct Said {
    transferred: u64,
    skipped: u64,
    failed: u64,
    bytes: u64,
    seconds: f64,
}

impl Said {
    fn of(output: &Output) -> Result<Self> {
        let said: Value = serde_json::from_slice(&output.stdout)
            .with_context(|| format!("no document: {}", output.stderr.trim()))?;
        let number = |name: &str| {
            let found = said.get(name).and_then(Value::as_u64);
            found.with_context(|| format!("no {name} in {said}"))
        };
        Ok(Self {
            transferred: number("transferred")?,
            skipped: number("skipped")?,
            failed: number("failed")?,
            bytes: number("bytes")?,
            seconds: said
                .get("seconds")
                .and_then(Value::as_f64)
                .context("no seconds")?,
        })
    }

    fn show(&self, what: &str) {
        let rate = bytes_as_f64(self.bytes) / self.seconds.max(0.001) / 1e6;
        figure(
            what,
            &format!(
                "{} went with {} bytes in {:.1} s ({rate:.0} MB/s), {} were there",
                self.transferred, self.bytes, self.seconds, self.skipped
            ),
        );
    }
}

fn tree(cluster: &DevCluster, arguments: &[&str], code: i32) -> Result<Said> {
    let mut command = cluster.cli(arguments)?;
    let output = run(command.args(["-o", "json"]), PATIENCE)?;
    ensure!(
        output.code() == code,
        "{arguments:?} ended with {}: {}",
        output.code(),
        output.stderr.trim()
    );
    Said::of(&output)
}

/// Starts a command, and kills it when `is_far` says so.
fn killed(
    cluster: &DevCluster,
    arguments: &[&str],
    mut is_far: impl FnMut() -> Result<bool>,
) -> Result<()> {
    let mut command = cluster.cli(arguments)?;
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let far = wait_for("half of a transfer", PATIENCE, || {
        ensure!(child.try_wait()?.is_none(), "it ended before it was killed");
        Ok(is_far()?.then_some(()))
    });
    child.kill()?;
    child.wait()?;
    far
}

fn goes_up(cluster: &DevCluster, size: &Size) -> Result<()> {
    let up = ["put", "-r", "source", "films/all"];
    let dry = tree(
        cluster,
        &["put", "-r", "source", "films/all", "--dry-run"],
        0,
    )?;
    ensure!(dry.transferred == size.files, "a dry run says {dry:?}");
    killed(cluster, &up, || {
        let answer = cluster.connect()?.request("GET", "/v1/status", &[], &[])?;
        let files = answer.json()?.get("files").and_then(Value::as_u64);
        Ok(files >= Some(size.files / 3))
    })?;
    let first = tree(cluster, &up, 0)?;
    first.show("up, after it was killed");
    ensure!(
        first.transferred + first.skipped == size.files && first.skipped >= size.files / 3,
        "it did not go on: {first:?}"
    );
    let again = tree(cluster, &up, 0)?;
    again.show("up again");
    ensure!(
        again.transferred == 0 && again.skipped == size.files,
        "what was there was sent: {again:?}"
    );
    Ok(())
}

/// Changes files in every way that a size or a time tells.
fn changes_go_up(
    cluster: &DevCluster,
    source: &Path,
    paths: &mut Vec<PathBuf>,
    size: &Size,
) -> Result<()> {
    for change in 0..size.changes {
        let number = 2 + change * (size.files - 2) / size.changes;
        let path = paths
            .get(usize::try_from(number)?)
            .context("a file to change")?
            .clone();
        let length = fs::metadata(&path)?.len();
        match change % 3 {
            // As long as before.
            0 => write(&path, number + size.files, length)?,
            1 => write(&path, number, length + 1)?,
            _ => {
                let new = source.join(format!("new/{number}"));
                write(&new, number, length)?;
                paths.push(new);
            }
        }
    }
    let changed = tree(cluster, &["put", "-r", "source", "films/all/"], 0)?;
    changed.show("up with changes");
    let total = u64::try_from(paths.len())?;
    ensure!(
        changed.transferred == size.changes && changed.skipped == total - size.changes,
        "{} changes: {changed:?}",
        size.changes
    );
    let compared = tree(
        cluster,
        &["put", "-r", "source", "films/all", "--checksum"],
        0,
    )?;
    compared.show("up again, by contents");
    ensure!(compared.skipped == total, "contents differ: {compared:?}");
    Ok(())
}

fn comes_down(cluster: &DevCluster, size: &Size, paths: &[PathBuf]) -> Result<()> {
    let down = ["get", "-r", "films/all", "copy"];
    let total = u64::try_from(paths.len())?;
    let copy = cluster.folder().join("copy");
    killed(cluster, &down, || {
        let found = if copy.exists() {
            list(&copy)?
        } else {
            Vec::new()
        };
        Ok(u64::try_from(found.len())? >= size.files / 3)
    })?;
    let first = tree(cluster, &down, 0)?;
    first.show("down, after it was killed");
    ensure!(
        first.transferred + first.skipped == total && first.skipped > 0,
        "it did not go on: {first:?}"
    );
    let started = now();
    let (wanted, found) = (summed(&cluster.folder().join("source"))?, summed(&copy)?);
    ensure!(wanted.len() == paths.len(), "the source has other files");
    for (name, want) in &wanted {
        let found = found.get(name);
        let found = found.with_context(|| format!("{} is missing", name.display()))?;
        ensure!(want == found, "{} differs", name.display());
    }
    ensure!(found.len() == wanted.len(), "more came than went");
    figure(
        "equal by SHA-256 and time of change",
        &format!(
            "{} files in {:.1} s",
            found.len(),
            started.elapsed().as_secs_f64()
        ),
    );
    let again = tree(cluster, &down, 0)?;
    again.show("down again");
    ensure!(again.skipped == total, "what was there came: {again:?}");

    // A change that neither size nor time tells.
    let path = copy.join("film 5.mkv");
    let (modified, length) = (fs::metadata(&path)?.modified()?, fs::metadata(&path)?.len());
    write(&path, 7, length)?;
    File::open(&path)?.set_modified(modified)?;
    ensure!(tree(cluster, &down, 0)?.transferred == 0, "time told it");
    let compared = tree(
        cluster,
        &["get", "-r", "films/all", "copy", "--checksum"],
        0,
    )?;
    ensure!(compared.transferred == 1, "contents differ: {compared:?}");
    Ok(())
}

/// SHA-256 and time of change of each file, by its path in `folder`.
fn summed(folder: &Path) -> Result<BTreeMap<PathBuf, (Vec<u8>, SystemTime)>> {
    let sum = |path: PathBuf| {
        let mut hasher = Sha256::new();
        io::copy(&mut File::open(&path)?, &mut Writer(&mut hasher))?;
        let modified = fs::metadata(&path)?.modified()?;
        let name = path.strip_prefix(folder)?.to_owned();
        Ok((name, (hasher.finalize().to_vec(), modified)))
    };
    list(folder)?.into_iter().map(sum).collect()
}

struct Writer<'a>(&'a mut Sha256);

impl io::Write for Writer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else {
                found.push(entry.path());
            }
        }
    }
    Ok(found)
}

/// A file that cannot go is told of, and the others go.
fn what_cannot_go_is_named(cluster: &DevCluster) -> Result<()> {
    let odd = cluster.folder().join("odd");
    for name in ["good", "back\\slash", "new\nline"] {
        write(&odd.join(name), 1, 10)?;
    }
    std::os::unix::fs::symlink("good", odd.join("link"))?;
    let up = tree(cluster, &["put", "-r", "odd"], 1)?;
    ensure!((up.transferred, up.failed) == (1, 2), "odd names: {up:?}");
    let up = tree(cluster, &["put", "-r", "odd", "--follow"], 1)?;
    ensure!((up.transferred, up.failed) == (1, 2), "odd links: {up:?}");

    // A name that is a folder too, and a link in the way.
    for name in ["clash/a", "clash/a/b", "clash/link/a", "clash/z"] {
        cluster.cli_ends(0, &["put", "odd/good", name])?;
    }
    let (to, outside) = (
        cluster.folder().join("clash"),
        cluster.folder().join("outside"),
    );
    fs::create_dir_all(&to)?;
    fs::create_dir_all(&outside)?;
    std::os::unix::fs::symlink(&outside, to.join("link"))?;
    let down = tree(cluster, &["get", "-r", "clash"], 1)?;
    ensure!(
        (down.transferred, down.failed) == (2, 2),
        "clashing names: {down:?}"
    );
    ensure!(list(&outside)?.is_empty(), "a link was followed");
    ensure!(to.join("z").is_file(), "the rest did not go on");
    figure("what cannot go", "is named, and the rest goes; exit code 1");
    Ok(())
}

/// A file that changes while it is sent never becomes a file in the cluster.
fn a_file_that_changes_is_noticed(cluster: &DevCluster) -> Result<()> {
    let path = cluster.folder().join("moving/film.mkv");
    write(&path, 3, 8 * MIB)?;
    write(&path.with_extension("srt"), 4, 100)?;
    let ended = AtomicBool::new(false);
    let said = std::thread::scope(|scope| {
        let changing = scope.spawn(|| -> Result<()> {
            let file = File::open(&path)?;
            let mut count = 0;
            while !ended.load(Ordering::Relaxed) {
                count += 1;
                file.set_modified(time(count))?;
            }
            Ok(())
        });
        let said = tree(cluster, &["put", "-r", "moving"], 1);
        ended.store(true, Ordering::Relaxed);
        match changing.join() {
            Ok(changed) => changed?,
            Err(_) => anyhow::bail!("whoever changed the file ended badly"),
        }
        said
    })?;
    ensure!((said.transferred, said.failed) == (1, 1), "{said:?}");
    let said = tree(cluster, &["put", "-r", "moving"], 0)?;
    ensure!((said.transferred, said.skipped) == (1, 1), "{said:?}");
    figure(
        "a file that changes while it is sent",
        "is named, and goes later",
    );
    Ok(())
}
