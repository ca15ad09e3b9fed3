//! Who votes, and which sets of voters suffice for what.

use crate::id::DiskId;
use crate::log::message::Config;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The newest config of a log, with the one before it for as long as it may count.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Membership {
    /// The newest config; empty in a blank log.
    pub config: Config,
    /// The index of its entry.
    pub index: u64,
    /// The config before it; `None` when the log no longer tells, because both are committed, and
    /// for the first, and for one that was forced.
    pub previous: Option<Config>,
    /// It was forced: the one before it has no say.
    pub forced: bool,
}

impl Membership {
    /// The quorums in force when the log is known to be committed up to `commit`.
    pub fn quorums(&self, commit: u64) -> Quorums {
        let open = commit < self.index;
        Quorums {
            config: self.config.clone(),
            previous: if open { self.previous.clone() } else { None },
            whole: (open && (self.forced || self.index == 1)).then_some(self.index),
        }
    }

    /// The quorums that hold from the entry on by which this config would become `next`.
    pub fn quorums_with(&self, next: &Config) -> Quorums {
        Quorums {
            config: next.clone(),
            previous: Some(self.config.clone()),
            whole: None,
        }
    }
}

/// Every quorum is one of the new and, while that is not known committed, of the old config.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Quorums {
    config: Config,
    previous: Option<Config>,
    /// The index of the newest config, while it is not known committed and commits only on all of
    /// its voters: the first one, or one that was forced.
    whole: Option<u64>,
}

impl Quorums {
    /// The quorums of a first config that no log holds yet.
    pub fn founding(voters: &BTreeSet<DiskId>) -> Self {
        let config = Config {
            voters: voters.clone(),
            epoch: 0,
        };
        Self {
            config,
            previous: None,
            whole: Some(1),
        }
    }

    /// Without the old config: wrong, for models to notice.
    pub(super) fn new_only(self) -> Self {
        Self {
            previous: None,
            ..self
        }
    }

    /// All voters of the new and the old config.
    pub fn voters(&self) -> BTreeSet<DiskId> {
        self.configs()
            .flat_map(|config| config.voters.iter().copied())
            .collect()
    }

    /// Whether those for whom `has` holds suffice for promises, leases for reads, and read checks.
    /// Never in a config without voters.
    pub fn promises(&self, has: impl Fn(DiskId) -> bool) -> bool {
        self.configs()
            .all(|config| !config.voters.is_empty() && count(config, &has) >= config.read_quorum())
    }

    /// Whether those for whom `has` holds could elect a leader by what any of them may know of the
    /// voters: the new config or the old one.
    pub fn could_elect(&self, has: impl Fn(DiskId) -> bool) -> bool {
        self.configs()
            .any(|config| count(config, &has) >= config.read_quorum())
    }

    /// Whether those for whom `has` holds are as many as a commit takes once it is known who votes:
    /// the others cannot have given them up.
    pub fn majorities(&self, has: impl Fn(DiskId) -> bool) -> bool {
        self.configs()
            .all(|config| count(config, &has) >= config.commit_quorum())
    }

    /// Whether those for whom `has` holds suffice for a commit, and for the leases that a write
    /// needs.
    pub fn commits(&self, has: impl Fn(DiskId) -> bool) -> bool {
        self.configs().all(|config| {
            let needed = if self.whole.is_some() {
                config.voters.len()
            } else {
                config.commit_quorum()
            };
            !config.voters.is_empty() && count(config, &has) >= needed
        })
    }

    /// Whether the log up to `index` is on enough voters, each holding it up to `held`.
    pub fn hold(&self, index: u64, held: impl Fn(DiskId) -> u64) -> bool {
        // Only the config's own entry needs all voters; what follows it needs it committed, and
        // what a forced one follows commits with it: its old voters are not there to ask.
        let founded = self
            .whole
            .is_none_or(|whole| self.commits(|disk| held(disk) >= whole));
        let plain = Self {
            whole: None,
            ..self.clone()
        };
        founded && plain.commits(|disk| held(disk) >= index)
    }

    /// The new config, and the old one while it counts.
    pub fn configs(&self) -> impl Iterator<Item = &Config> {
        std::iter::once(&self.config).chain(self.previous.as_ref())
    }
}

fn count(config: &Config, has: impl Fn(DiskId) -> bool) -> usize {
    config.voters.iter().filter(|disk| has(**disk)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(voters: &[u128]) -> Config {
        Config {
            voters: voters.iter().copied().map(DiskId::from_u128).collect(),
            epoch: 0,
        }
    }

    #[track_caller]
    fn check(quorums: &Quorums, have: &[u128], promises: bool, commits: bool) {
        let has = |disk: DiskId| have.contains(&disk.as_u128());
        assert_eq!(
            (quorums.promises(has), quorums.commits(has)),
            (promises, commits),
            "{quorums:?} {have:?}"
        );
    }

    #[test]
    fn a_pair_reads_with_one_and_writes_with_both() {
        let pair = Membership {
            config: config(&[1, 2]),
            index: 4,
            previous: None,
            forced: false,
        }
        .quorums(4);
        check(&pair, &[], false, false);
        check(&pair, &[2], true, false);
        check(&pair, &[1, 2], true, true);
        check(&pair, &[3], false, false);
    }

    #[test]
    fn an_uncommitted_config_needs_both_quorums() {
        let membership = Membership {
            config: config(&[1, 2, 3]),
            index: 7,
            previous: Some(config(&[1, 2])),
            forced: false,
        };
        check(&membership.quorums(6), &[2, 3], true, false);
        check(&membership.quorums(6), &[1, 2], true, true);
        check(&membership.quorums(7), &[2, 3], true, true);
    }

    #[test]
    fn a_first_config_commits_on_all_of_its_voters() {
        let first = Membership {
            config: config(&[1, 2, 3]),
            index: 1,
            previous: None,
            forced: false,
        };
        check(&first.quorums(0), &[1, 2], true, false);
        check(&first.quorums(0), &[1, 2, 3], true, true);
        check(&first.quorums(1), &[1, 2], true, true);
        let held = |disk: DiskId| if disk.as_u128() == 3 { 1 } else { 5 };
        assert!(first.quorums(0).hold(5, held));
        assert!(
            !first
                .quorums(0)
                .hold(5, |disk| if disk.as_u128() == 3 { 0 } else { 5 })
        );
    }

    #[test]
    fn a_forced_config_asks_its_own_voters_only_and_all_of_them() {
        let forced = Membership {
            config: config(&[1, 2]),
            index: 9,
            previous: None,
            forced: true,
        };
        check(&forced.quorums(8), &[1], true, false);
        check(&forced.quorums(8), &[1, 2], true, true);
        let held = |disk: DiskId| if disk.as_u128() == 2 { 9 } else { 12 };
        assert!(forced.quorums(8).hold(9, held));
        assert!(!forced.quorums(8).hold(10, held));
        // What comes before it commits with it, not on the strength of anybody before.
        assert!(!forced.quorums(8).hold(8, |_| 8));
        check(&forced.quorums(9), &[1], true, false);
    }

    #[test]
    fn a_blank_log_has_no_quorum() {
        check(&Membership::default().quorums(0), &[1, 2, 3], false, false);
    }
}
