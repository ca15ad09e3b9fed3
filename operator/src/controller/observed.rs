//! What was seen of a cluster: of Kubernetes now, and of its leader at most a few polls ago.
//!
//! Plain values without a clock or a connection, so that everything that is decided from them is a
//! function and a table.

use mdfs_client::DiskId;
use mdfs_client::api::{Health, Policy, Status, WorkerInfo, WorkerState};
use std::collections::BTreeMap;
use std::time::Duration;

/// Everything that was seen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// The StatefulSet of workers.
    pub set: Option<SetSeen>,
    /// The Deployment of masters.
    pub masters: Option<MastersSeen>,
    /// Pods of masters.
    pub master_pods: Vec<PodSeen>,
    /// Workers, by number: each that has a pod or a claim.
    pub workers: BTreeMap<u32, WorkerSeen>,
    /// What the leader said.
    pub leader: Leader,
    /// Whether there is a kind ServiceMonitor.
    pub service_monitors: bool,
}

/// A StatefulSet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SetSeen {
    /// Its identity.
    pub uid: String,
    /// Pods that it is to have.
    pub replicas: u32,
    /// The size in its template of claims.
    pub template_size: String,
    /// What its pods are to be made of.
    pub template: String,
    /// Whether its controller has seen the newest of it.
    pub current: bool,
    /// Whether it is being deleted.
    pub terminating: bool,
}

/// A Deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MastersSeen {
    /// The image in its template.
    pub image: String,
    /// What its pods are to be made of.
    pub template: String,
    /// Whether its controller has seen the newest of it; counts of before say nothing of it.
    pub current: bool,
    /// Pods that are there, of whatever template.
    pub pods: u32,
    /// Pods that are ready.
    pub ready: u32,
    /// Pods that are of the newest template.
    pub updated: u32,
    /// Pods that take requests.
    pub available: u32,
}

/// A worker, as Kubernetes sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkerSeen {
    /// Its pod.
    pub pod: Option<PodSeen>,
    /// Its claim.
    pub claim: Option<ClaimSeen>,
}

/// A pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodSeen {
    /// Its name.
    pub name: String,
    /// Its identity.
    pub uid: String,
    /// Whether it is ready.
    pub ready: bool,
    /// Whether it is being deleted.
    pub terminating: bool,
    /// What it is made of.
    pub template: String,
    /// What it runs.
    pub image: String,
    /// Its address.
    pub ip: Option<String>,
    /// Why it does not run, such as `ImagePullBackOff`, if that is known.
    pub waiting: Option<String>,
}

/// A claim.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClaimSeen {
    /// Bytes that it asks for.
    pub requested: u64,
    /// Bytes that it has; none before it is bound.
    pub capacity: Option<u64>,
    /// Whether its class can grow; none if the class is not known.
    pub expandable: Option<bool>,
    /// Why Kubernetes refused a moment ago to let it grow.
    pub refused: Option<String>,
    /// Whether its file system grows when the pod is started anew.
    pub file_system_pending: bool,
    /// Whether it is being deleted.
    pub terminating: bool,
    /// Its disk, if the operator had it drained.
    pub drained: Option<String>,
    /// Its disk, if the operator has retired it.
    pub retired: Option<String>,
}

/// What is known from the leader.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Leader {
    /// Nothing, or nothing of now.
    #[default]
    Unknown,
    /// Masters answer, and none of them leads.
    None,
    /// Masters answer, and take the operator's token for none of theirs.
    Refused,
    /// It said so.
    Told(Box<Report>),
}

/// What the leader said.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The state of the cluster.
    pub status: Status,
    /// Its members.
    pub workers: Vec<WorkerInfo>,
    /// Its policy.
    pub policy: Policy,
    /// How long ago that was.
    pub age: Duration,
}

/// A leader's answer that is older is none: three polls, and what a slow one takes.
pub const ANSWER_MOST: Duration = Duration::from_secs(25);
/// Figures that are older say nothing of now.
pub const FIGURES_MOST: Duration = Duration::from_secs(30);

impl Leader {
    /// What it said, if it did.
    pub fn report(&self) -> Option<&Report> {
        match self {
            Self::Told(report) => Some(report),
            Self::None | Self::Unknown | Self::Refused => None,
        }
    }

    /// The same, if it said so in this very pass.
    pub fn fresh(&self) -> Option<&Report> {
        self.report().filter(|report| report.age.is_zero())
    }
}

impl Report {
    /// How old its figures about files are; none if nothing was counted, or too long ago.
    pub fn figures_age(&self) -> Option<Duration> {
        if self.status.health == Health::Unknown {
            return None;
        }
        let counted = Duration::from_millis(self.status.counted_millis_ago?);
        Some(counted + self.age).filter(|age| *age <= FIGURES_MOST)
    }

    /// Whether every chunk has all its copies, as far as it is known, and it is.
    pub fn is_fully_replicated(&self) -> bool {
        let status = &self.status;
        self.figures_age().is_some()
            && status.under_replicated_files == 0
            && status.missing_files == 0
            && status.damaged_chunks == 0
    }

    /// Whether the voters could still write if one of them went.
    pub fn can_lose_a_voter(&self) -> bool {
        let majority = self.status.voters / 2 + 1;
        self.status.leased_voters > majority
    }

    /// The member with this name that is not lost; the one that is live if several have it.
    pub fn member(&self, name: &str) -> Option<&WorkerInfo> {
        let named = || self.workers.iter().filter(|it| it.name == name);
        let live = named().find(|it| it.state == WorkerState::Live);
        live.or_else(|| named().find(|it| it.state == WorkerState::Suspect))
            .or_else(|| named().next())
    }

    /// The member with this disk.
    pub fn disk(&self, disk: &DiskId) -> Option<&WorkerInfo> {
        self.workers.iter().find(|it| it.disk_id == *disk)
    }
}

impl SetSeen {
    /// Whether a pod that goes comes back made of this.
    pub fn makes(&self, template: &str) -> bool {
        self.template == template && self.current && !self.terminating
    }
}

impl MastersSeen {
    /// Whether so many pods are there and take requests, all made of this.
    pub fn are(&self, wanted: u32, template: &str) -> bool {
        let counts = [self.pods, self.updated, self.available];
        self.current && self.template == template && counts.iter().all(|count| *count == wanted)
    }
}

impl Observed {
    /// Pods of workers that there are to be, whatever is wanted: a claim that was not given up may hold
    /// what nobody else has, so its worker has to be there.
    pub fn worker_replicas(&self) -> u32 {
        let set = self.set.as_ref().map_or(0, |set| set.replicas);
        let kept = |(ordinal, worker): (&u32, &WorkerSeen)| {
            let claim = worker.claim.as_ref()?;
            // One that was never bound never had a disk.
            let holds = claim.capacity.is_some() && claim.retired.is_none();
            (holds && !claim.terminating).then_some(ordinal + 1)
        };
        let claims = self.workers.iter().filter_map(kept).max().unwrap_or(0);
        set.max(claims)
    }

    /// The pods of workers.
    pub fn worker_pods(&self) -> impl Iterator<Item = (u32, &PodSeen)> {
        self.workers
            .iter()
            .filter_map(|(ordinal, worker)| Some((*ordinal, worker.pod.as_ref()?)))
    }
}
