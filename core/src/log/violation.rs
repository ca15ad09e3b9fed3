//! What must never happen. Whoever sees one of these stops its process.

use crate::id::Term;

/// A broken invariant: a defect of the protocol or of a disk, never a matter of the network.
///
/// The process that sees it must stop before it answers anything more.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// A leader's log differs from a voter's where the voter knows it committed.
    #[error("the leader of term {term} contradicts entry {index}, committed up to {commit}")]
    CommittedConflict {
        /// The leader's term.
        term: Term,
        /// Where the logs differ.
        index: u64,
        /// The voter's commit index.
        commit: u64,
    },
    /// A leader would cut the entry by which the cluster was founded.
    #[error("the leader of term {term} would cut the first entry")]
    FoundingCut {
        /// The leader's term.
        term: Term,
    },
    /// Entries in a message do not follow each other, or change more than one voter at a time.
    #[error("entry {index} of term {term} does not follow its predecessor")]
    OutOfOrder {
        /// The leader's term.
        term: Term,
        /// The entry that does not follow.
        index: u64,
    },
    /// A voter vouches for entries its leader does not have.
    #[error("a voter vouches for index {index}, the log of term {term} ends at {last}")]
    BeyondLog {
        /// The leader's term.
        term: Term,
        /// What the voter vouches for.
        index: u64,
        /// Where the leader's log ends.
        last: u64,
    },
    /// A leader changed the voters while its change before was not committed.
    #[error("the leader of term {term} changed the voters in entry {index} before it might")]
    TwoConfigs {
        /// The leader's term.
        term: Term,
        /// The later change.
        index: u64,
    },
    /// What this master knows to be committed differs from a log that should hold it too.
    #[error("entry {index}, known committed, is another one in the log of term {term}")]
    CopyContradicted {
        /// The term of the leader, or the one that the log was chosen for.
        term: Term,
        /// Where the two differ.
        index: u64,
    },
    /// A voter knows more to be committed than the log chosen from a quorum of promises holds.
    #[error("committed up to {commit}, the log chosen for term {term} ends at {last}")]
    CommitLost {
        /// The new leader's term.
        term: Term,
        /// What a voter knows to be committed.
        commit: u64,
        /// Where the chosen log ends.
        last: u64,
    },
}

/// What was read back from a voter's disk is not what a voter wrote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Corrupt {
    /// Entries are missing or out of order.
    #[error("the log entries on disk do not follow each other from index {base}")]
    Gap {
        /// Where the log begins.
        base: u64,
    },
    /// The table claims entries that the log does not have.
    #[error("the table is applied up to {applied}, the log holds {base} to {last}")]
    Applied {
        /// Up to where the table says it is applied.
        applied: u64,
        /// Where the log begins.
        base: u64,
        /// Where the log ends.
        last: u64,
    },
    /// The log has entries of a term above the promised one.
    #[error("the log ends in term {last}, the promised term is {promised}")]
    Promise {
        /// The term of the last entry.
        last: Term,
        /// The promised term.
        promised: Term,
    },
}
