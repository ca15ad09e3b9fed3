//! Bootstrap: the birth of a cluster, once.
//!
//! The disks are adopted first, then the log is founded on them, then the first records are
//! committed. A master may die anywhere between; the same order given again goes on from there.

use super::super::command::{Bootstrap, Bootstrapped};
use super::super::handle::{Answer, Question};
use super::certain::Held;
use super::membership::ADOPT_AGAIN;
use super::refounding::given_up;
use super::{Effect, Metadata, Now, respond};
use crate::error::Error;
use mdfs_core::chunk::ChunkSize;
use mdfs_core::id::{ClusterId, DiskId};
use mdfs_core::log::leader as log;
use mdfs_core::records::plan::plan_bootstrap;
use mdfs_core::records::{ClusterRecord, Recovery};
use mdfs_core::ring::{Assignment, ReplicationFactor, assign};
use mdfs_core::time::Timestamp;
use std::collections::BTreeSet;
use std::time::Duration;

/// How many disks should vote in a log that begins anew: how many there were is not known.
const VOTERS_AGAIN: u8 = 3;

/// How long a bootstrap may take: a few heartbeats, a lease, and the commits.
const PATIENCE: Duration = Duration::from_secs(20);

/// Called once the cluster is founded, or is not.
pub(super) type Founder = Box<dyn FnOnce(Result<ClusterId, Error>) + Send>;

/// A bootstrap under way.
pub(super) struct Founding {
    order: Bootstrap,
    disks: BTreeSet<DiskId>,
    pub(super) cluster: ClusterId,
    /// When blank disks were last asked to join.
    asked: Timestamp,
    answers: Vec<Founder>,
    /// Voters of a log before, if it is founded anew because nothing is left of that.
    lost: BTreeSet<DiskId>,
    stage: Stage,
    ticket: u64,
    deadline: Timestamp,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Until all disks say that they belong to the cluster.
    Adopting,
    /// Until the log is founded.
    Log,
    /// Until the first records are committed.
    Records,
}

impl Metadata {
    /// Takes the order to start the cluster.
    pub(super) fn bootstrap(
        &mut self,
        now: Now,
        deadline: Timestamp,
        order: Bootstrap,
        answer: Answer<Bootstrapped>,
    ) {
        let disks: BTreeSet<DiskId> = order.disks.iter().copied().collect();
        if disks.len() != order.disks.len() || !matches!(disks.len(), 1 | 3) {
            let why = format!("it takes 1 or 3 different disks, not {}", order.disks.len());
            respond(answer, Err(Error::BootstrapRefused(why)));
            return;
        }
        if let Some(cluster) = &self.catalog.cluster {
            // Who votes by now does not matter: the same order is repeated in vain for ever.
            let (founders, cluster) = (&cluster.founders, cluster.cluster);
            let result = match *founders == disks {
                true => Ok(Bootstrapped { cluster }),
                false => {
                    let why = format!("cluster {cluster} was started with other disks");
                    Err(Error::BootstrapRefused(why))
                }
            };
            respond(answer, result);
            return;
        }
        if self.founding.is_none() && self.was_in_use(&disks) {
            let question = Question::Bootstrap(order, answer);
            self.hold(now, deadline, Held::Question(question));
            return;
        }
        match &mut self.founding {
            Some(founding) if founding.disks == disks && founding.lost.is_empty() => {
                founding.answers.push(founder(answer));
            }
            Some(_) => {
                let why = "another bootstrap is under way".to_owned();
                respond(answer, Err(Error::BootstrapRefused(why)));
            }
            None => match self.check_founders(&disks) {
                Ok(cluster) => {
                    let ticket = self.next_ticket;
                    self.next_ticket += 1;
                    self.founding = Some(Founding {
                        order,
                        disks,
                        cluster,
                        asked: now.mono,
                        answers: vec![founder(answer)],
                        lost: BTreeSet::new(),
                        stage: Stage::Adopting,
                        ticket,
                        deadline: now.mono.plus(PATIENCE),
                    });
                    self.adopt_founders();
                    self.go_on_founding(now);
                }
                Err(error) => respond(answer, Err(error)),
            },
        }
    }

    /// Whether these disks belong to one cluster, and it has chunks: it was started long ago, and
    /// only its leader can tell with which disks.
    fn was_in_use(&self, disks: &BTreeSet<DiskId>) -> bool {
        let identity = |disk: &DiskId| Some(self.fleet.get(*disk)?.beat.identity.cluster);
        let clusters: BTreeSet<_> = disks.iter().map(|disk| identity(disk).flatten()).collect();
        let mut clusters = clusters.into_iter();
        match (clusters.next().flatten(), clusters.next()) {
            (Some(cluster), None) => self.chunks_of(cluster).is_some(),
            _ => false,
        }
    }

    /// A disk of the cluster that holds chunks, and how many.
    fn chunks_of(&self, cluster: ClusterId) -> Option<(DiskId, u64)> {
        self.fleet
            .iter()
            .filter(|(_, observed)| observed.beat.identity.cluster == Some(cluster))
            .map(|(disk, observed)| (disk, observed.beat.chunks))
            .find(|(_, chunks)| *chunks > 0)
    }

    /// The founders must all beat here, and be blank or left over from the same order; no disk of
    /// their cluster may hold chunks.
    fn check_founders(&mut self, disks: &BTreeSet<DiskId>) -> Result<ClusterId, Error> {
        let refuse = |why: String| Err(Error::BootstrapRefused(why));
        let mut clusters: BTreeSet<ClusterId> = self.settings.cluster.into_iter().collect();
        for &disk in disks {
            let Some(observed) = self.fleet.get(disk) else {
                return refuse(format!("disk {disk} has not been heard of"));
            };
            clusters.extend(observed.beat.identity.cluster);
            if observed.beat.chunks > 0 {
                return refuse(format!("disk {disk} holds {} chunks", observed.beat.chunks));
            }
        }
        if clusters.len() > 1 {
            return refuse("its disks belong to different clusters".to_owned());
        }
        if let Some((disk, chunks)) = clusters.first().and_then(|&it| self.chunks_of(it)) {
            return refuse(format!("disk {disk} holds {chunks} chunks"));
        }
        let drawn = ClusterId::from_u128((self.settings.chance)());
        Ok(clusters.pop_first().unwrap_or(drawn))
    }

    fn adopt_founders(&mut self) {
        let Some(founding) = &self.founding else {
            return;
        };
        for &disk in &founding.disks {
            let Some(observed) = self.fleet.get(disk) else {
                continue;
            };
            if observed.beat.identity.cluster.is_none() {
                let url = observed.beat.url.clone();
                self.effects.push(Effect::Adopt {
                    disk,
                    url,
                    cluster: founding.cluster,
                });
            }
        }
    }

    /// Takes the next stage when the present one is done. Called whenever something has changed.
    pub(super) fn go_on_founding(&mut self, now: Now) {
        let Some(founding) = &mut self.founding else {
            return;
        };
        if now.mono >= founding.deadline {
            self.refuse_founding(|| Error::BootstrapRefused("not all disks answered".to_owned()));
            return;
        }
        match founding.stage {
            Stage::Adopting => {
                let ours = self.fleet.of_cluster(founding.cluster);
                if !founding.disks.is_subset(&ours) {
                    if now.mono.since(founding.asked) >= ADOPT_AGAIN {
                        founding.asked = now.mono;
                        self.adopt_founders();
                    }
                    return;
                }
                founding.stage = Stage::Log;
                let (ticket, disks) = (founding.ticket, founding.disks.clone());
                let seen = log::Event::Seen { disks: ours };
                self.log_step(now, seen);
                let order = log::Event::Bootstrap {
                    ticket,
                    disks,
                    wall: now.wall,
                };
                self.log_step(now, order);
            }
            Stage::Log => {}
            Stage::Records => {
                if self.established.is_some() && self.log.can_write(now.mono) {
                    self.write_first_records(now);
                }
            }
        }
    }

    /// Founds the log anew with these disks, or goes on to its first records if it is founded.
    pub(super) fn begin_again(
        &mut self,
        now: Now,
        cluster: ClusterId,
        disks: BTreeSet<DiskId>,
        lost: BTreeSet<DiskId>,
        answer: Founder,
    ) {
        tracing::warn!(?lost, ?disks, "ordered to begin a new log");
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let is_founded = self.log.is_established();
        self.founding = Some(Founding {
            order: Bootstrap {
                disks: disks.iter().copied().collect(),
                replicas: ReplicationFactor::default(),
                chunk_size: ChunkSize::default(),
            },
            disks: disks.clone(),
            cluster,
            asked: now.mono,
            answers: vec![answer],
            lost: lost.clone(),
            stage: if is_founded {
                Stage::Records
            } else {
                Stage::Log
            },
            ticket,
            deadline: now.mono.plus(PATIENCE),
        });
        if is_founded {
            return self.go_on_founding(now);
        }
        let seen = log::Event::Seen {
            disks: self.fleet.of_cluster(cluster),
        };
        self.log_step(now, seen);
        let effects = self
            .log
            .found_again(now.mono, ticket, disks, lost, now.wall);
        self.absorb(now, effects);
    }

    /// The log is founded, by this order or by an earlier one with the same disks.
    pub(super) fn founded(&mut self, ticket: u64) {
        if let Some(founding) = &mut self.founding
            && founding.ticket == ticket
        {
            founding.stage = Stage::Records;
        }
    }

    /// The log was not founded.
    pub(super) fn founding_refused(&mut self, ticket: u64, error: Error) {
        if self
            .founding
            .as_ref()
            .is_some_and(|founding| founding.ticket == ticket)
        {
            let why = error.to_string();
            self.refuse_founding(|| Error::BootstrapRefused(why.clone()));
        }
    }

    fn refuse_founding(&mut self, error: impl Fn() -> Error) {
        for answer in self
            .founding
            .take()
            .into_iter()
            .flat_map(|founding| founding.answers)
        {
            answer(Err(error()));
        }
    }

    fn write_first_records(&mut self, now: Now) {
        let Some(founding) = self.founding.take() else {
            return;
        };
        let cluster = founding.cluster;
        self.founded = Some(cluster);
        let answers = founding.answers;
        let answer: super::Certain = Box::new(move |certain: Result<(), Error>| {
            let why = certain.err().map(|error| error.to_string());
            for answer in answers {
                answer(match &why {
                    None => Ok(cluster),
                    Some(why) => Err(Error::BootstrapRefused(why.clone())),
                });
            }
        });
        if self.planned.cluster.is_some() {
            self.when_certain(now, founding.deadline, answer);
            return;
        }
        let record = ClusterRecord {
            cluster,
            replicas: founding.order.replicas,
            lowering: None,
            repair_delay_seconds: self.settings.repair_delay.as_secs(),
            trash_keep_seconds: self.settings.trash_keep.as_secs(),
            lower_after_seconds: ClusterRecord::LOWER_AFTER_SECONDS,
            chunk_size: founding.order.chunk_size,
            founders: founding.disks.clone(),
            format: self.founding_format(now, &founding.disks),
            recovery: (!founding.lost.is_empty()).then(|| Recovery {
                since: now.wall,
                lost: founding.lost.clone(),
                all_voters_lost: true,
            }),
            voters_wanted: match founding.lost.is_empty() {
                true => u8::try_from(founding.disks.len()).unwrap_or(u8::MAX),
                false => VOTERS_AGAIN,
            },
            min_write_copies: None,
        };
        let mut disks = founding.disks.clone();
        if !founding.lost.is_empty() {
            // All that are there: their chunks are looked at next.
            disks.extend(self.fleet.of_cluster(cluster));
            disks.retain(|disk| !founding.lost.contains(disk));
        }
        let members: Vec<_> = disks
            .iter()
            .filter_map(|&disk| self.new_member(disk))
            .collect();
        let ring = super::membership::ring_members(members.iter().map(|m| (m.disk, &m.record)));
        let empty = Assignment::empty();
        let assignment = assign(&empty, None, &ring, record.replicas, |_| true);
        let lost = founding.lost.iter().map(|disk| given_up(*disk));
        let members: Vec<_> = members.into_iter().chain(lost).collect();
        match plan_bootstrap(&record, &members, &assignment) {
            Ok(planned) => {
                let appended = self.append(
                    now,
                    founding.deadline,
                    None,
                    planned.puts,
                    Vec::new(),
                    answer,
                );
                if let Err((refused, answer)) = appended {
                    answer(Err(super::refusal_of(refused)));
                }
            }
            Err(refusal) => answer(Err(refusal.into())),
        }
    }
}

/// Whom a bootstrap answers.
fn founder(answer: Answer<Bootstrapped>) -> Founder {
    Box::new(move |founded| respond(answer, founded.map(|cluster| Bootstrapped { cluster })))
}
