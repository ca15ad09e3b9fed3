//! A small world for tables: three healthy workers, and what happens to them.

use super::observed::{
    ClaimSeen, Leader, MastersSeen, Observed, PodSeen, Report, SetSeen, WorkerSeen,
};
use super::validate::{ValidatedCluster, validate};
use crate::crd::MdfsCluster;
use crate::names;
use mdfs_client::DiskId;
use mdfs_client::api::{Health, Policy, Status, WorkerInfo, WorkerState};
use std::time::Duration;

const GI: u64 = 1 << 30;

/// What pods are made of, when they are as they should be.
pub(crate) const TEMPLATE: &str = "new";

pub(crate) struct World {
    pub(crate) observed: Observed,
}

/// The resource `films` in the namespace `media`, as a user writes it.
pub(crate) fn cluster(spec: &str) -> MdfsCluster {
    let yaml = format!(
        "apiVersion: mdfs.io/v1alpha1\nkind: MdfsCluster\n\
         metadata: {{name: films, namespace: media, uid: u-1, generation: 7}}\nspec:\n{spec}"
    );
    serde_yaml::from_str(&yaml).unwrap()
}

pub(crate) const SPEC: &str = "  image: localhost/mdfs:0.1.0\n  workers: {storage: {size: 1Gi}}\n";

/// The same with so many workers.
pub(crate) fn with_workers(replicas: u32) -> ValidatedCluster {
    let spec = format!(
        "  image: localhost/mdfs:0.1.0\n  workers: {{replicas: {replicas}, storage: {{size: 1Gi}}}}\n"
    );
    validate(&cluster(&spec)).unwrap()
}

pub(crate) fn disk(number: u32) -> DiskId {
    format!("{number:032x}").parse().unwrap()
}

impl World {
    pub(crate) fn of_workers(count: u32) -> Self {
        let worker = |ordinal: u32| WorkerSeen {
            pod: Some(PodSeen {
                name: names::worker("films", ordinal),
                uid: format!("pod-{ordinal}"),
                ready: true,
                template: TEMPLATE.to_owned(),
                image: "localhost/mdfs:0.1.0".to_owned(),
                ip: Some(format!("10.0.0.{ordinal}")),
                ..PodSeen::default()
            }),
            claim: Some(ClaimSeen {
                requested: GI,
                capacity: Some(GI),
                expandable: Some(true),
                ..ClaimSeen::default()
            }),
        };
        let master = |number: u32| PodSeen {
            name: format!("films-master-{number}"),
            uid: format!("master-{number}"),
            ready: true,
            template: TEMPLATE.to_owned(),
            image: "localhost/mdfs:0.1.0".to_owned(),
            ip: Some(format!("10.0.1.{number}")),
            ..PodSeen::default()
        };
        let report = Report {
            status: status(count),
            workers: (0..count).map(member).collect(),
            policy: policy(),
            age: Duration::ZERO,
        };
        Self {
            observed: Observed {
                set: Some(SetSeen {
                    uid: "set".to_owned(),
                    replicas: count,
                    template_size: "1Gi".to_owned(),
                    template: TEMPLATE.to_owned(),
                    current: true,
                    terminating: false,
                }),
                masters: Some(MastersSeen {
                    image: "localhost/mdfs:0.1.0".to_owned(),
                    template: TEMPLATE.to_owned(),
                    current: true,
                    pods: 2,
                    ready: 2,
                    updated: 2,
                    available: 2,
                }),
                master_pods: vec![master(0), master(1)],
                workers: (0..count)
                    .map(|ordinal| (ordinal, worker(ordinal)))
                    .collect(),
                leader: Leader::Told(Box::new(report)),
                service_monitors: false,
            },
        }
    }

    pub(crate) fn report(&mut self) -> &mut Report {
        match &mut self.observed.leader {
            Leader::Told(report) => report,
            Leader::None | Leader::Refused | Leader::Unknown => panic!("the leader is silent"),
        }
    }

    pub(crate) fn leader_is_silent(&mut self) {
        self.observed.leader = Leader::Unknown;
    }

    pub(crate) fn worker(&mut self, ordinal: u32) -> &mut WorkerSeen {
        self.observed.workers.get_mut(&ordinal).unwrap()
    }

    pub(crate) fn pod(&mut self, ordinal: u32) -> &mut PodSeen {
        self.worker(ordinal).pod.as_mut().unwrap()
    }

    pub(crate) fn claim(&mut self, ordinal: u32) -> &mut ClaimSeen {
        self.worker(ordinal).claim.as_mut().unwrap()
    }

    pub(crate) fn lose_pod(&mut self, ordinal: u32) {
        self.worker(ordinal).pod = None;
    }

    /// The member that a worker is, the first if it has had several disks.
    pub(crate) fn member(&mut self, ordinal: u32) -> &mut WorkerInfo {
        let name = names::worker("films", ordinal);
        let members = &mut self.report().workers;
        members.iter_mut().find(|it| it.name == name).unwrap()
    }

    pub(crate) fn suspect(&mut self, ordinal: u32) {
        self.member(ordinal).state = WorkerState::Suspect;
        self.report().status.live_workers -= 1;
    }

    pub(crate) fn dead(&mut self, ordinal: u32) {
        self.member(ordinal).state = WorkerState::Dead;
        self.report().status.live_workers -= 1;
    }

    /// A worker from which everything has gone.
    pub(crate) fn empty(&mut self, ordinal: u32) {
        let member = self.member(ordinal);
        member.draining = true;
        member.chunks = 0;
        member.chunk_bytes = 0;
        member.partitions = 0;
        member.voter = false;
    }

    /// A member that is gone.
    pub(crate) fn forget(&mut self, ordinal: u32) {
        let name = names::worker("films", ordinal);
        self.report().workers.retain(|it| it.name != name);
    }
}

pub(crate) fn member(ordinal: u32) -> WorkerInfo {
    WorkerInfo {
        disk_id: disk(ordinal),
        name: names::worker("films", ordinal),
        url: Some(format!("http://10.0.0.{ordinal}:8081")),
        state: WorkerState::Live,
        read_only: false,
        draining: false,
        decommissioning: false,
        announced_seconds: None,
        voter: ordinal < 3,
        witness: false,
        voter_broken: false,
        zone: None,
        generation: serde_json::from_str("1").unwrap(),
        partitions: 2000,
        chunk_bytes: GI / 8,
        chunks: 2,
        capacity_bytes: GI,
        free_bytes: GI / 8 * 7,
        bad_blocks: 0,
        oldest_unverified_millis: None,
    }
}

fn policy() -> Policy {
    Policy {
        replicas: 2,
        lowering: None,
        chunk_size: 64 << 20,
        repair_delay_seconds: 300,
        trash_keep_seconds: 30 * 24 * 3600,
        lower_after_seconds: 0,
        min_write_copies: None,
    }
}

fn status(workers: u32) -> Status {
    let voters = u64::from(workers.min(3));
    Status {
        cluster_id: None,
        health: Health::Ok,
        reasons: Vec::new(),
        files: 3,
        bytes: 3 << 20,
        trashed_files: 0,
        open_uploads: 0,
        upload_sessions: 0,
        upload_bytes: 0,
        oldest_upload_seconds: 0,
        under_replicated_files: 0,
        missing_files: 0,
        damaged_chunks: 0,
        excess_copies: 0,
        at_risk: Vec::new(),
        counted_millis_ago: Some(900),
        copies_to_make: 0,
        bytes_to_copy: 0,
        moving_partitions: 0,
        tasks: Vec::new(),
        repair_paused: false,
        live_workers: workers.into(),
        workers: workers.into(),
        leased_voters: voters,
        voters,
        replicas: 2,
        chunk_size: 64 << 20,
        term: Some("1".to_owned()),
        leader_url: Some("http://10.0.1.1:8080".to_owned()),
        masters: Vec::new(),
        commit: 5,
        format: Some(2),
    }
}
