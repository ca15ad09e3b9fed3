//! Rules that a check may break on purpose. Without the feature `mutants` none can be broken, and
//! all of this compiles to nothing.

/// A rule broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[doc(hidden)]
pub enum Mutant {
    /// Entries of older terms count as committed before an own entry is.
    OlderTermsCount,
    /// Reads are answered before the own entry is committed.
    ReadBeforeOwnEntry,
    /// Append does not mind the lease of another term.
    AppendIgnoresLease,
    /// While the newest config is open, it alone suffices for a commit.
    NoJointCommit,
    /// While the newest config is open, it alone suffices for leases and read checks.
    NoJointLease,
    /// While the newest config is open, it alone suffices for an election.
    NoJointElection,
    /// Voters follow a leader that does not know that voters were forced.
    EpochIgnored,
    /// The voters are changed while the change before is open.
    TwoOpenConfigs,
    /// The feed tells what is appended, committed or not.
    FeedUncommitted,
}

/// The rules that are broken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Mutants {
    #[cfg(feature = "mutants")]
    broken: Option<Mutant>,
}

impl Mutants {
    #[cfg(feature = "mutants")]
    pub(super) fn add(&mut self, mutant: Mutant) {
        self.broken = Some(mutant);
    }

    /// Whether the rule is broken.
    #[cfg(feature = "mutants")]
    pub(super) fn has(&self, mutant: Mutant) -> bool {
        self.broken == Some(mutant)
    }

    /// Whether the rule is broken: never.
    #[cfg(not(feature = "mutants"))]
    #[expect(clippy::unused_self, reason = "the same shape as with the feature")]
    pub(super) fn has(&self, _mutant: Mutant) -> bool {
        false
    }
}
