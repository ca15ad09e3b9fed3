//! What goes into the metadata service, and what comes out of it.

use super::super::handle::Question;
use super::super::survey::{Survey, SurveyRequest};
use mdfs_core::id::{ClusterId, DiskId, FileId, Term};
use mdfs_core::log::message::{Reply, Request};
use mdfs_core::log::violation::Violation;
use mdfs_core::partition::Partition;
use mdfs_core::time::{LogTime, Timestamp};
use mdfs_protocol::holdings::{Digests, Listing};
use mdfs_protocol::public::Event as Happened;
use std::collections::BTreeSet;

/// The time of an event.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Monotonic.
    pub mono: Timestamp,
    /// The wall clock: where a new cluster's log time begins.
    pub wall: LogTime,
}

/// Everything that can happen.
#[derive(Debug)]
pub enum Event {
    /// Time has passed; at least every 50 ms.
    Tick,
    /// Somebody asks.
    Question(Question),
    /// A voter answered.
    Reply {
        /// The voter's disk.
        from: DiskId,
        /// Its answer.
        reply: Reply,
    },
    /// A message to a voter, or its answer, was lost.
    Unreachable {
        /// The voter's disk.
        disk: DiskId,
    },
    /// A blank disk now belongs to the cluster.
    Adopted {
        /// The disk.
        disk: DiskId,
        /// The cluster.
        cluster: ClusterId,
    },
    /// A disk was asked what it holds.
    Digests {
        /// The disk.
        disk: DiskId,
        /// As in the effect.
        term: Term,
        /// None if it did not answer.
        said: Option<Digests>,
    },
    /// A disk was asked for lists.
    Listed {
        /// The disk.
        disk: DiskId,
        /// As in the effect.
        token: u64,
        /// As in the effect.
        partitions: BTreeSet<Partition>,
        /// None if it did not answer.
        list: Option<Listing>,
    },
    /// A survey has ended; without figures if it failed.
    Surveyed(Option<Survey>),
}

/// Everything the driver has to do, none of which it may wait for.
#[derive(Debug)]
pub enum Effect {
    /// Send this to a voter, and report the answer, or that there will be none.
    Send {
        /// The voter's disk.
        disk: DiskId,
        /// Where it answers.
        url: String,
        /// The message.
        request: Request,
    },
    /// Ask a blank disk to belong to the cluster, and report a yes.
    Adopt {
        /// The disk.
        disk: DiskId,
        /// Where it answers.
        url: String,
        /// The cluster.
        cluster: ClusterId,
    },
    /// Order disks to drop a file id that the log says nobody needs. Lost orders do no harm.
    Drop {
        /// The file id.
        file: FileId,
        /// The term of the order.
        term: Term,
        /// The disks and where they answer.
        sites: Vec<(DiskId, String)>,
    },
    /// Ask a disk for the digests of all it holds, and report.
    Digests {
        /// The disk.
        disk: DiskId,
        /// Where it answers.
        url: String,
        /// The term in which it is asked.
        term: Term,
    },
    /// Ask a disk for the chunks of some partitions, and report.
    List {
        /// The disk.
        disk: DiskId,
        /// Where it answers.
        url: String,
        /// The term in which it is asked.
        term: Term,
        /// Comes back with the answer.
        token: u64,
        /// The partitions.
        partitions: BTreeSet<Partition>,
    },
    /// Compare records and lists, and report.
    Survey(Box<SurveyRequest>),
    /// Tell whoever watches that something happened.
    Tell(Box<Happened>),
    /// This master leads: watchers begin anew.
    Leads(Term),
    /// It does not any more.
    Follows,
    /// An invariant is broken: stop the process.
    Broken(Violation),
    /// A record cannot be read, by this version at least: stop the process.
    Unreadable(String),
}
