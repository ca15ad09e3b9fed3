//! What a status says of the data, compared with the disks at the time that it names.

use super::installed::{Mdfs, condition};
use anyhow::{Context, Result, ensure};
use mdfs_tests::kube::{Bed, Mounts};
use mdfs_tests::wait::pause;
use mdfs_tests::walker::{Count, Depth, Records, read_disks};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long is waited between two looks.
const PERIOD: Duration = Duration::from_millis(500);
/// How long a status may be true after what it rests on, as promised.
const WORTH_MILLIS: i64 = 45_000;
/// A time in a status is cut down to seconds.
const CUT_MILLIS: i64 = 1_000;

/// Somebody who looks at the status and at the disks all the time.
#[derive(Debug)]
pub(super) struct Witness {
    stop: Arc<AtomicBool>,
    records: Arc<Mutex<Records>>,
    thread: JoinHandle<Result<Seen>>,
}

/// All that was seen, the oldest first.
#[derive(Debug, Default)]
struct Seen {
    said: Vec<Said>,
    walked: Vec<Walked>,
}

/// What was compared.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judged {
    /// Statuses that said that the data is safe.
    pub(super) safe: usize,
    /// Walks that found all copies.
    pub(super) whole: usize,
    /// Walks that found too few.
    pub(super) lacking: usize,
    /// Walks that could not be ended: nothing is known of that time.
    pub(super) unknown: usize,
}

/// A status that says that the data is safe.
#[derive(Clone, Copy, Debug)]
struct Said {
    /// When it was read.
    read: i64,
    /// The time that its figures are of.
    of: i64,
    /// When the operator last vouched for it.
    vouched: i64,
}

/// A walk over all disks of nodes that run.
#[derive(Clone, Copy, Debug)]
struct Walked {
    from: i64,
    to: i64,
    /// Whether each file had all its copies; none if that is not known.
    whole: Option<bool>,
}

impl Witness {
    /// Starts to look. Files that come later are told by [`Witness::learn`].
    pub(super) fn start(bed: &Bed, mdfs: &Mdfs) -> Result<Self> {
        let status = mdfs.ask("GET", "/v1/status")?.json()?;
        let cluster_id = text(&status, "/cluster_id").context("a cluster has an id")?;
        let stop = Arc::new(AtomicBool::new(false));
        let records = Arc::new(Mutex::default());
        let eyes = Eyes {
            mdfs: mdfs.clone(),
            mounts: bed.mounts(),
            cluster_id: cluster_id.to_owned(),
            records: Arc::clone(&records),
        };
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || eyes.watch(&stopped));
        let witness = Self {
            stop,
            records,
            thread,
        };
        witness.learn(mdfs)?;
        Ok(witness)
    }

    /// Has all files of now looked for from now on.
    pub(super) fn learn(&self, mdfs: &Mdfs) -> Result<()> {
        let records = Records::list(&mut mdfs.connect()?)?;
        *self.records.lock().unwrap_or_else(PoisonError::into_inner) = records;
        Ok(())
    }

    /// Stops looking, and judges.
    ///
    /// # Errors
    /// If a status said so at a time at which it was not, or for longer than it may.
    pub(super) fn judge(self) -> Result<Judged> {
        self.stop.store(true, Ordering::Relaxed);
        let seen = self.thread.join();
        let seen = seen.map_err(|_panic| anyhow::anyhow!("the witness ended badly"))??;
        for said in &seen.said {
            said.judge(&seen.walked)?;
        }
        let walks = |whole| {
            let of = seen.walked.iter().filter(|walk| walk.whole == whole);
            of.count()
        };
        Ok(Judged {
            safe: seen.said.len(),
            whole: walks(Some(true)),
            lacking: walks(Some(false)),
            unknown: walks(None),
        })
    }
}

impl Said {
    fn judge(&self, walked: &[Walked]) -> Result<()> {
        let of = self.of..=self.of + CUT_MILLIS;
        ensure!(
            may_be_whole(walked, *of.start(), *of.end()),
            "{self:?}: nothing was safe at that time: {:?}",
            near(walked, self.of)
        );
        let (first, last) = (self.vouched - WORTH_MILLIS, self.read);
        ensure!(
            may_be_whole(walked, first, last),
            "{self:?}: nothing was safe for so long: {:?}",
            near(walked, last)
        );
        Ok(())
    }
}

/// Whether the data may have been safe at some moment of this time: not if each walk from the last that
/// ended before to the first that began after found that it was not.
fn may_be_whole(walked: &[Walked], from: i64, to: i64) -> bool {
    let before = walked.iter().rposition(|walk| walk.to <= from);
    let after = walked.iter().position(|walk| walk.from >= to);
    let (Some(before), Some(after)) = (before, after) else {
        return true;
    };
    let around = walked.get(before..=after).unwrap_or_default();
    around.iter().any(|walk| walk.whole != Some(false))
}

/// The walks within some seconds of a time.
fn near(walked: &[Walked], time: i64) -> Vec<&Walked> {
    let near = walked
        .iter()
        .filter(|walk| (walk.from - time).abs() < 5_000);
    near.collect()
}

/// What the witness looks at.
struct Eyes {
    mdfs: Mdfs,
    mounts: Mounts,
    cluster_id: String,
    records: Arc<Mutex<Records>>,
}

impl Eyes {
    fn watch(&self, stop: &AtomicBool) -> Result<Seen> {
        let mut seen = Seen::default();
        while !stop.load(Ordering::Relaxed) {
            pause(PERIOD);
            let words = ["get", "mdfscluster,lease,pvc,pv", "--all-namespaces"];
            let read = clock()?;
            // An API server that is busy is asked again.
            let Ok(found) = self.mdfs.kubectl.json(&words) else {
                continue;
            };
            let items = found.pointer("/items").and_then(Value::as_array);
            let items = items.context("a list has items")?;
            seen.said.extend(self.said(items, read)?);
            let from = clock()?;
            // What goes while it is read is not compared.
            let whole = self.walk(items).ok();
            let to = clock()?;
            seen.walked.push(Walked { from, to, whole });
        }
        Ok(seen)
    }

    /// What the status says, if it says that the data is safe.
    fn said(&self, items: &[Value], read: i64) -> Result<Option<Said>> {
        let named = |kind: &str, name: &str| {
            items.iter().find(|item| {
                text(item, "/kind") == Some(kind) && text(item, "/metadata/name") == Some(name)
            })
        };
        let resource = named("MdfsCluster", &self.mdfs.name).context("the resource is there")?;
        let safe = condition(resource, "DataSafe").and_then(|one| one.get("status")?.as_str());
        if safe != Some("True") {
            return Ok(None);
        }
        let of = text(resource, "/status/data/observedTime").context("figures have a time")?;
        let lease = named("Lease", "mdfs-operator").context("an operator has a lease")?;
        let vouched = text(lease, "/spec/renewTime").context("a lease has a time")?;
        Ok(Some(Said {
            read,
            of: millis(of)?,
            vouched: millis(vouched)?,
        }))
    }

    /// Whether each file has all its copies on the disks of nodes that run.
    fn walk(&self, items: &[Value]) -> Result<bool> {
        let of_kind = |kind: &'static str| {
            items
                .iter()
                .filter(move |item| text(item, "/kind") == Some(kind))
        };
        let node = "/spec/nodeAffinity/required/nodeSelectorTerms/0/matchExpressions/0/values/0";
        let nodes: BTreeMap<&str, &str> = of_kind("PersistentVolume")
            .filter_map(|volume| Some((text(volume, "/metadata/name")?, text(volume, node)?)))
            .collect();
        let disks: BTreeMap<String, PathBuf> = of_kind("PersistentVolumeClaim")
            .filter_map(|claim| {
                let volume = text(claim, "/spec/volumeName")?;
                let mount = self.mounts.path(nodes.get(volume)?, volume)?;
                let name = text(claim, "/metadata/name")?;
                Some((name.to_owned(), mount.join("mdfs")))
            })
            .collect();
        let disks = read_disks(&disks, &self.cluster_id, Depth::Footers)?;
        let records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Count::of(&records, &disks).under_replicated_files == 0)
    }
}

fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str)
}

/// The time of day, in milliseconds since 1970, as a status has it.
#[expect(
    clippy::disallowed_methods,
    reason = "what real processes wrote is compared with when it was so"
)]
fn clock() -> Result<i64> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(i64::try_from(since.as_millis())?)
}

/// What a time such as `2026-01-31T23:59:59.5Z` is in milliseconds since 1970.
fn millis(time: &str) -> Result<i64> {
    let wrong = || format!("{time:?} is no time");
    let plain = time.strip_suffix('Z').with_context(wrong)?;
    let (whole, fraction) = plain.split_once('.').unwrap_or((plain, "0"));
    let numbers = whole.split(['-', 'T', ':']).map(str::parse::<i64>);
    let numbers: Vec<i64> = numbers.collect::<Result<_, _>>().with_context(wrong)?;
    let [year, month, day, hour, minute, second] = numbers[..] else {
        anyhow::bail!(wrong());
    };
    // Years that begin in March: the day that not every year has is the last.
    let (year, month) = match month {
        ..=2 => (year - 1, month + 9),
        _ => (year, month - 3),
    };
    let days =
        365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 719_469;
    let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
    let digits = format!("{fraction:0<3}");
    let milliseconds: i64 = digits.get(..3).with_context(wrong)?.parse()?;
    Ok(seconds * 1_000 + milliseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_milliseconds_since_1970() {
        for (time, wanted) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01T00:00:01.25Z", 1_250),
            ("2000-12-31T23:59:59Z", 978_307_199_000),
            ("2024-02-29T12:00:00.123456Z", 1_709_208_000_123),
            ("2026-11-28T00:00:00Z", 1_795_824_000_000),
        ] {
            assert_eq!(millis(time).unwrap(), wanted, "{time}");
        }
        assert!(millis("2026-11-28").is_err() && millis("2026-11-28T00:00:00+01:00").is_err());
    }

    #[test]
    fn only_walks_all_around_a_time_refute_it() {
        let walk = |from: i64, whole| Walked {
            from,
            to: from + 10,
            whole,
        };
        let walked = [
            walk(0, Some(true)),
            walk(100, Some(false)),
            walk(200, Some(false)),
            walk(300, None),
            walk(400, Some(false)),
        ];
        assert!(may_be_whole(&walked, 50, 150), "one before found it whole");
        assert!(!may_be_whole(&walked, 120, 150));
        assert!(may_be_whole(&walked, 120, 250), "one is not known");
        assert!(may_be_whole(&walked, 420, 430), "none came after");
    }
}
