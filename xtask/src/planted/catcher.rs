//! What notices planted bugs, and how it says so.

use crate::child::Finished;
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::str::FromStr;

/// Seeds of which a simulation must be sound before anything is planted; those that then notice
/// something are looked at afterwards.
const SOUND: &str = "1..5";

/// What must notice a bug. In the order in which bugs are planted: what is built for one is there for
/// the next.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Catcher {
    /// A run of a model, by its name: an invariant breaks.
    Model(String),
    /// The story that is cut at every call to the disk.
    PowerCut,
    /// Simulated clusters.
    Sim {
        /// Of these seeds, `A..B`.
        seeds: String,
        /// So many simulated minutes each.
        minutes: String,
    },
    /// One test of a package's library.
    Test {
        /// The package.
        package: String,
        /// The test, with its modules.
        name: String,
    },
}

impl FromStr for Catcher {
    type Err = anyhow::Error;

    /// `model RUN`, `power-cut`, `sim seeds A..B, N minutes` or `test PACKAGE NAME`.
    fn from_str(text: &str) -> Result<Self> {
        if let Some(run) = text.strip_prefix("model ") {
            return Ok(Self::Model(run.to_owned()));
        }
        if text == "power-cut" {
            return Ok(Self::PowerCut);
        }
        if let Some(test) = text.strip_prefix("test ") {
            let parts = test.split_once(' ');
            let (package, name) = parts.with_context(|| format!("{text:?} names no test"))?;
            let (package, name) = (package.to_owned(), name.to_owned());
            return Ok(Self::Test { package, name });
        }
        let Some(sim) = text.strip_prefix("sim seeds ") else {
            bail!("{text:?} notices nothing");
        };
        let parts = sim.strip_suffix(" minutes");
        let (seeds, minutes) = parts
            .and_then(|parts| parts.split_once(", "))
            .with_context(|| format!("{text:?} is not: sim seeds A..B, N minutes"))?;
        Ok(Self::Sim {
            seeds: seeds.to_owned(),
            minutes: minutes.to_owned(),
        })
    }
}

impl Catcher {
    /// What must be sound before bugs are planted that this one is to notice.
    pub(super) fn before(&self) -> Self {
        match self {
            Self::Model(_) | Self::PowerCut | Self::Test { .. } => self.clone(),
            Self::Sim { minutes, .. } => Self::Sim {
                seeds: SOUND.to_owned(),
                minutes: minutes.clone(),
            },
        }
    }

    /// What must be sound still once a bug is taken out again that was noticed so.
    pub(super) fn after(&self, noticed: &str) -> Option<Self> {
        let Self::Sim { minutes, .. } = self else {
            return None;
        };
        let seed = noticed.strip_prefix("seed ")?.split_once(':')?.0;
        let seed: u64 = seed.parse().ok()?;
        Some(Self::Sim {
            seeds: format!("{seed}..{}", seed + 1),
            minutes: minutes.clone(),
        })
    }

    /// What builds it.
    pub(super) fn build(&self) -> Vec<&str> {
        let (action, what) = match self {
            Self::Model(_) => ("build", ["mdfs-core", "--example", "model"]),
            Self::PowerCut => ("build", ["mdfs-worker", "--example", "power_cut"]),
            Self::Sim { .. } => ("build", ["mdfs-sim", "--bin", "sim"]),
            Self::Test { package, .. } => ("test", [&**package, "--lib", "--no-run"]),
        };
        let words = ["cargo", action, "--locked", "--package"].into_iter();
        words.chain(what).collect()
    }

    /// What runs it, once it is built into `target`.
    pub(super) fn command(&self, target: &Path) -> Vec<String> {
        let program = |name: &str| target.join("debug").join(name).display().to_string();
        match self {
            Self::Model(run) => vec![program("examples/model"), "run".to_owned(), run.clone()],
            Self::PowerCut => {
                let few = "2".to_owned();
                vec![program("examples/power_cut"), few, "story".to_owned()]
            }
            Self::Sim { seeds, minutes } => {
                let words = ["--seeds", seeds, "--minutes", minutes, "--jobs", "2"];
                let words = words.into_iter().chain(["--until-broken"]);
                std::iter::once(program("sim"))
                    .chain(words.map(str::to_owned))
                    .collect()
            }
            // Only cargo knows where the program is that has the test.
            Self::Test { package, name } => {
                let words = ["cargo", "test", "--locked", "--package", package, "--lib"];
                let words = words.into_iter().chain(["--", "--exact", name]);
                words.map(str::to_owned).collect()
            }
        }
    }

    /// Where it noticed what must be seen; none if it noticed nothing, or something else.
    pub(super) fn noticed(&self, finished: &Finished, seen: &str) -> Option<String> {
        if finished.success || finished.timed_out {
            return None;
        }
        let mut lines = finished.output.lines();
        match self {
            Self::Model(_) => {
                let row = lines.find(|line| line.ends_with(&format!("| {seen} broken |")))?;
                let mut columns = row.rsplit(" | ").skip(2);
                let (depth, distinct) = (columns.next()?, columns.next()?);
                Some(format!(
                    "{seen} broken in {depth} steps, {distinct} distinct states"
                ))
            }
            Self::PowerCut => {
                let line = lines.find(|line| line.starts_with("FAILED: "))?;
                let told = line.strip_prefix("FAILED: ")?;
                told.contains(seen).then(|| told.to_owned())
            }
            Self::Sim { .. } => {
                let mut seed = None;
                for line in lines {
                    if let Some(failed) = line.strip_suffix(" FAILED:") {
                        seed = Some(failed);
                    } else if let Some(seed) = seed.filter(|_| line.contains(seen)) {
                        return Some(format!("{seed}: {}", line.trim()));
                    }
                }
                None
            }
            Self::Test { name, .. } => {
                // Of a test that is not there nothing fails.
                lines.find(|line| *line == format!("test {name} ... FAILED"))?;
                let told = lines.find(|line| line.contains(seen))?;
                Some(told.trim().to_owned())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(output: &str) -> Finished {
        Finished {
            success: false,
            skipped: false,
            timed_out: false,
            output: output.to_owned(),
        }
    }

    #[test]
    fn only_what_must_be_seen_counts() {
        let model: Catcher = "model 1 voter, 2 terms".parse().unwrap();
        let row =
            "| 1 voter, 2 terms | 1 | 0+0 | heard | 44 | 33 | 22 | 0.1 s | M4 broken |\nPROVED\n";
        assert_eq!(
            model.noticed(&failed(row), "M4").unwrap(),
            "M4 broken in 22 steps, 33 distinct states"
        );
        assert_eq!(model.noticed(&failed(row), "M3"), None);
        let late = Finished {
            timed_out: true,
            ..failed(row)
        };
        assert_eq!(model.noticed(&late, "M4"), None);
        assert_eq!(model.noticed(&failed("thread panicked"), "M4"), None);

        let cut: Catcher = "power-cut".parse().unwrap();
        let told = "FAILED: before call 3 of Prepare(1): the promise fell to 0\n";
        assert!(cut.noticed(&failed(told), "the promise fell").is_some());
        assert_eq!(cut.noticed(&failed(told), "is lost"), None);

        let sim: Catcher = "sim seeds 1..9, 2 minutes".parse().unwrap();
        let told = "seed 4 FAILED:\n  no order of what was seen: []\n  again: cargo run\n";
        assert_eq!(
            sim.noticed(&failed(told), "no order").unwrap(),
            "seed 4: no order of what was seen: []"
        );
        assert_eq!(sim.noticed(&failed("no order"), "no order"), None);
        let same = sim.after("seed 4: no order of what was seen: []");
        assert_eq!(same, "sim seeds 4..5, 2 minutes".parse().ok());
        assert_eq!(cut.after("seed 4: no order"), None);
        assert!("sim seeds 1..9".parse::<Catcher>().is_err());

        let test: Catcher = "test mdfs-core log::holds".parse().unwrap();
        let told = "test log::holds ... FAILED\n\nthread panicked at a.rs:1:2:\nit fell to 0\n";
        assert_eq!(
            test.noticed(&failed(told), "it fell").unwrap(),
            "it fell to 0"
        );
        assert_eq!(test.noticed(&failed(told), "is lost"), None);
        assert_eq!(
            test.noticed(&failed("error: could not compile"), "it fell"),
            None
        );
        assert!("test mdfs-core".parse::<Catcher>().is_err());
    }
}
