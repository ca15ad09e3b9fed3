//! Smaller and larger: which workers are emptied, and when one is gone.

use super::Step;
use crate::controller::observed::{ClaimSeen, Observed, Report};
use crate::controller::validate::ValidatedCluster;
use crate::names;
use mdfs_client::DiskId;
use mdfs_client::api::{WorkerInfo, WorkerState};

/// Whether a smaller cluster was asked for, and how far it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ScaleDown {
    /// It was not.
    #[default]
    NotRequested,
    /// Workers are being emptied, or go.
    Running,
    /// It does not go on.
    Blocked(ScaleDownBlock, String),
}

/// What holds a smaller cluster up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScaleDownBlock {
    /// Fewer workers than copies would be left.
    BelowReplicationFactor,
    /// What they have does not fit on the others.
    InsufficientCapacity,
    /// The leader does not answer, or does not know a worker that is to go.
    TopologyUnknown,
}

pub(super) struct Scaling {
    pub(super) replicas: u32,
    pub(super) steps: Vec<Step>,
    pub(super) state: ScaleDown,
}

/// Decides how many pods there are to be, and what happens to disks for that.
pub(super) fn plan(cluster: &ValidatedCluster, observed: &Observed) -> Scaling {
    let now = observed.worker_replicas();
    let mut scaling = Scaling {
        replicas: now.max(cluster.workers.replicas),
        steps: Vec::new(),
        state: ScaleDown::NotRequested,
    };
    grow(cluster, observed, &mut scaling);
    let is_smaller = cluster.workers.replicas < now;
    if is_smaller {
        scaling.state = ScaleDown::Running;
    }
    let Some(report) = observed.leader.fresh() else {
        if is_smaller {
            let why = "the leader does not answer: nobody knows what the workers have".to_owned();
            scaling.state = ScaleDown::Blocked(ScaleDownBlock::TopologyUnknown, why);
        }
        return scaling;
    };
    let view = View {
        cluster,
        observed,
        report,
        now,
    };
    match view.refusal() {
        Some((block, why)) => scaling.state = ScaleDown::Blocked(block, view.told(why)),
        None => view.drain(&mut scaling.steps),
    }
    view.undrain(&mut scaling.steps);
    view.retire(&mut scaling);
    view.retire_lost(&mut scaling.steps);
    scaling
}

/// A retired disk is refused for ever: its claim has to go before its worker is there again.
fn grow(cluster: &ValidatedCluster, observed: &Observed, scaling: &mut Scaling) {
    let report = observed.leader.fresh();
    let set = observed.set.as_ref().map_or(0, |set| set.replicas);
    for (&ordinal, worker) in &observed.workers {
        let claim = worker.claim.as_ref();
        let Some(mark) = claim.and_then(|claim| claim.retired.as_ref()) else {
            continue;
        };
        if ordinal >= cluster.workers.replicas {
            continue;
        }
        // Not less than there are: growth waits, and takes nothing away.
        let held = scaling.replicas.min(ordinal.max(set));
        let name = names::worker(&cluster.name, ordinal);
        match report.map(|report| marked(report, &name, mark)) {
            // It was only marked, and is wanted again.
            Some(Marked::Member(_)) => scaling.steps.push(Step::UnmarkRetired { ordinal }),
            Some(Marked::Gone) => {
                scaling.steps.push(Step::Discard { ordinal });
                scaling.replicas = held;
            }
            Some(Marked::Unclear) | None => scaling.replicas = held,
        }
    }
}

/// What became of a disk that is marked on the claim of a worker.
enum Marked<'a> {
    /// It is a member.
    Member(&'a WorkerInfo),
    /// It is refused, and the worker has no other disk.
    Gone,
    /// The mark names no disk, or the worker has another one: what is on the volume is not known.
    Unclear,
}

fn marked<'a>(report: &'a Report, name: &str, mark: &str) -> Marked<'a> {
    let Ok(disk) = mark.parse::<DiskId>() else {
        return Marked::Unclear;
    };
    match (report.disk(&disk), report.member(name)) {
        (Some(member), _) => Marked::Member(member),
        (None, None) => Marked::Gone,
        (None, Some(_)) => Marked::Unclear,
    }
}

fn member_of<'a>(report: &'a Report, disk: &str) -> Option<&'a WorkerInfo> {
    report.disk(&disk.parse::<DiskId>().ok()?)
}

struct View<'a> {
    cluster: &'a ValidatedCluster,
    observed: &'a Observed,
    report: &'a Report,
    now: u32,
}

impl View<'_> {
    fn name(&self, ordinal: u32) -> String {
        names::worker(&self.cluster.name, ordinal)
    }

    fn claim(&self, ordinal: u32) -> Option<&ClaimSeen> {
        self.observed.workers.get(&ordinal)?.claim.as_ref()
    }

    /// Whether a worker is to have nothing.
    fn leaves(&self, ordinal: u32) -> bool {
        ordinal >= self.cluster.workers.replicas
            || self.cluster.decommission.contains(&self.name(ordinal))
    }

    fn all(&self) -> impl Iterator<Item = u32> {
        0..self.now.max(self.cluster.workers.replicas)
    }

    /// Whether a worker never had a disk: its claim was never bound, and nobody knows it.
    fn never_was(&self, ordinal: u32) -> bool {
        let claim = self.claim(ordinal);
        let bound = claim.is_some_and(|claim| claim.capacity.is_some());
        !bound && self.report.member(&self.name(ordinal)).is_none()
    }

    /// Why no worker may be emptied, if one is to be.
    fn refusal(&self) -> Option<(ScaleDownBlock, String)> {
        let members = |leaves: bool| {
            self.all()
                .filter(move |ordinal| self.leaves(*ordinal) == leaves)
                .filter_map(|ordinal| self.report.member(&self.name(ordinal)))
        };
        let mut unknown = self.all().filter(|ordinal| {
            let retired = self
                .claim(*ordinal)
                .is_some_and(|claim| claim.retired.is_some());
            self.leaves(*ordinal)
                && !retired
                && !self.never_was(*ordinal)
                && self.report.member(&self.name(*ordinal)).is_none()
        });
        if let Some(ordinal) = unknown.next() {
            let why = format!("the leader does not know {}", self.name(ordinal));
            return Some((ScaleDownBlock::TopologyUnknown, why));
        }
        let to_move: u64 = members(true).map(|it| it.chunk_bytes).sum();
        if members(true).all(|it| it.draining) {
            return None;
        }
        let staying = || members(false).filter(|it| it.state == WorkerState::Live && !it.read_only);
        let count = staying().count();
        let factor = usize::from(self.cluster.policy.factor);
        if count < factor {
            let why = format!("{count} workers would be left for {factor} copies of each chunk");
            return Some((ScaleDownBlock::BelowReplicationFactor, why));
        }
        let free: u64 = staying().map(|it| it.free_bytes).sum();
        if free < to_move {
            let why = "what has to move finds no room on the workers that stay".to_owned();
            return Some((ScaleDownBlock::InsufficientCapacity, why));
        }
        None
    }

    /// With the workers that are to be emptied and stay: nobody asked for fewer because of them.
    fn told(&self, why: String) -> String {
        let stay = (0..self.cluster.workers.replicas)
            .filter(|ordinal| self.leaves(*ordinal))
            .map(|ordinal| self.name(ordinal));
        match stay.collect::<Vec<_>>().join(", ") {
            stay if stay.is_empty() => why,
            stay => format!("decommission of {stay}: {why}"),
        }
    }

    fn drain(&self, steps: &mut Vec<Step>) {
        for ordinal in self.all().filter(|ordinal| self.leaves(*ordinal)) {
            if let Some(member) = self.report.member(&self.name(ordinal))
                && !member.draining
            {
                let disk = member.disk_id;
                steps.push(Step::Drain { ordinal, disk });
            }
        }
    }

    /// What the operator had emptied and is wanted again. What people had emptied is theirs.
    fn undrain(&self, steps: &mut Vec<Step>) {
        for ordinal in self.all().filter(|ordinal| !self.leaves(*ordinal)) {
            let claim = self.claim(ordinal).filter(|claim| claim.retired.is_none());
            let Some(marked) = claim.and_then(|claim| claim.drained.as_ref()) else {
                continue;
            };
            match member_of(self.report, marked) {
                Some(member) if member.draining && !member.decommissioning => {
                    let disk = member.disk_id;
                    steps.push(Step::Undrain { ordinal, disk });
                }
                _ => steps.push(Step::Unmark { ordinal }),
            }
        }
    }

    /// From the top: a worker that has nothing is retired, and goes once it is.
    fn retire(&self, scaling: &mut Scaling) {
        while scaling.replicas > self.cluster.workers.replicas {
            let ordinal = scaling.replicas - 1;
            if self.never_was(ordinal) {
                scaling.replicas = ordinal;
                continue;
            }
            let retired = self.claim(ordinal).and_then(|claim| claim.retired.as_ref());
            let name = self.name(ordinal);
            match retired.map(|mark| marked(self.report, &name, mark)) {
                Some(Marked::Member(member)) => {
                    let disk = member.disk_id;
                    scaling.steps.push(Step::Retire { ordinal, disk });
                    return;
                }
                Some(Marked::Gone) => scaling.replicas = ordinal,
                Some(Marked::Unclear) => {
                    let why = format!("the disk of {name} is not the one that its claim says");
                    scaling.state = ScaleDown::Blocked(ScaleDownBlock::TopologyUnknown, why);
                    return;
                }
                None => {
                    let member = self.report.member(&name);
                    if let Some(member) = member.filter(|it| is_empty(it)) {
                        let disk = member.disk_id;
                        scaling.steps.push(Step::MarkRetired { ordinal, disk });
                    }
                    return;
                }
            }
        }
    }

    /// A disk that is lost while its worker is back with another: its volume is gone. It is given up
    /// only if nothing is lost by that; the leader sees to it, and is asked once all is repaired. A vote
    /// that does not come back need not be waited for either.
    fn retire_lost(&self, steps: &mut Vec<Step>) {
        if !self.report.is_fully_replicated() {
            return;
        }
        for ordinal in self.all() {
            let name = self.name(ordinal);
            let named = || self.report.workers.iter().filter(|it| it.name == name);
            if !named().any(|it| it.state == WorkerState::Live) {
                continue;
            }
            for lost in named().filter(|it| it.state == WorkerState::Dead) {
                let disk = lost.disk_id;
                match (lost.voter, lost.draining) {
                    (false, _) => steps.push(Step::Retire { ordinal, disk }),
                    (true, false) => steps.push(Step::Unseat { ordinal, disk }),
                    // Another disk is taught the log before this one's vote goes.
                    (true, true) => {}
                }
            }
        }
    }
}

/// Whether nothing is on a disk and nothing comes to it any more, by its own word of now.
pub(crate) fn is_empty(member: &WorkerInfo) -> bool {
    member.draining
        && member.state == WorkerState::Live
        && member.chunks == 0
        && member.partitions == 0
        && !member.voter
}
