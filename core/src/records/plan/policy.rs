//! The policy of the cluster: how many copies, and how long things are waited for.

use super::{Planned, Refusal};
use crate::chunk::ChunkSize;
use crate::records::{ClusterRecord, Key, Lookup, Lowering, get, put};
use crate::ring::ReplicationFactor;
use crate::time::LogTime;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What is to change; nothing else does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyChange {
    /// Copies of each chunk of files that did not ask for another number.
    pub replicas: Option<ReplicationFactor>,
    /// Bytes of a chunk of uploads to come.
    pub chunk_size: Option<ChunkSize>,
    /// How long a dead worker is waited for, in seconds.
    pub repair_delay_seconds: Option<u64>,
    /// How long files stay in the trash, in seconds.
    pub trash_keep_seconds: Option<u64>,
    /// How long after it was asked for a lower number of copies holds, in seconds.
    pub lower_after_seconds: Option<u64>,
    /// So many copies of a chunk suffice to acknowledge it while no more can be made; 0 if all are
    /// needed.
    pub min_write_copies: Option<u8>,
}

/// Whether a recovery is under way.
pub(super) fn recovers(records: &impl Lookup) -> Result<bool, Refusal> {
    let cluster: Option<ClusterRecord> = get(records, &Key::Cluster)?;
    Ok(cluster.is_some_and(|record| record.recovery.is_some()))
}

/// Voters that a cluster has before less than all copies may suffice: it must be able to lose one
/// without the log standing still.
pub const VOTERS_FOR_FEWER_COPIES: usize = 3;

/// Plans a change of the policy. The answer is the policy as it is then.
///
/// A higher number of copies holds at once: files lack copies until they are made. A lower one holds
/// after a while, and until then it can be taken back at no cost; no copy is dropped before.
///
/// # Errors
/// If there is no cluster yet, it has fewer than `members` for a higher number of copies, or fewer than
/// [`VOTERS_FOR_FEWER_COPIES`] `voters` to let fewer copies suffice.
pub fn plan_policy(
    records: &impl Lookup,
    change: PolicyChange,
    members: usize,
    voters: usize,
    now: LogTime,
) -> Result<Planned<ClusterRecord>, Refusal> {
    let before = cluster(records)?;
    let mut record = before.clone();
    let PolicyChange {
        replicas,
        chunk_size,
        repair_delay_seconds,
        trash_keep_seconds,
        lower_after_seconds,
        min_write_copies,
    } = change;
    if let Some(least) = min_write_copies {
        if least > 0 && voters < VOTERS_FOR_FEWER_COPIES {
            return Err(Refusal::TooFewVoters { voters });
        }
        record.min_write_copies = (least > 0).then_some(least);
    }
    record.chunk_size = chunk_size.unwrap_or(record.chunk_size);
    record.repair_delay_seconds = repair_delay_seconds.unwrap_or(record.repair_delay_seconds);
    record.trash_keep_seconds = trash_keep_seconds.unwrap_or(record.trash_keep_seconds);
    record.lower_after_seconds = lower_after_seconds.unwrap_or(record.lower_after_seconds);
    if let Some(replicas) = replicas {
        if replicas > before.replicas && usize::from(replicas.get()) > members {
            let wanted = replicas.get();
            return Err(Refusal::TooFewMembers { wanted, members });
        }
        if replicas < before.replicas {
            let at = now.plus(Duration::from_secs(record.lower_after_seconds));
            record.lowering = match record.lowering {
                // Asked for again, it does not begin anew.
                Some(lowering) if lowering.replicas == replicas => Some(lowering),
                Some(_) | None => Some(Lowering { replicas, at }),
            };
        } else {
            record.replicas = replicas;
            record.lowering = None;
        }
    }
    let puts = match record == before {
        true => Vec::new(),
        false => vec![put(&Key::Cluster, &record)?],
    };
    Ok(Planned {
        puts,
        answer: record,
    })
}

/// Plans that a lower number of copies holds, if its time has come.
///
/// # Errors
/// If there is no cluster yet.
pub fn plan_lowered(records: &impl Lookup, now: LogTime) -> Result<Planned<()>, Refusal> {
    let record = cluster(records)?;
    let puts = match record.lowering.filter(|lowering| lowering.at <= now) {
        Some(Lowering { replicas, .. }) => {
            let record = ClusterRecord {
                replicas,
                lowering: None,
                ..record
            };
            vec![put(&Key::Cluster, &record)?]
        }
        None => Vec::new(),
    };
    Ok(Planned { puts, answer: () })
}

/// Plans that so many disks should vote.
///
/// # Errors
/// If there is no cluster yet.
pub fn plan_voters(records: &impl Lookup, wanted: u8) -> Result<Planned<()>, Refusal> {
    let before = cluster(records)?;
    let record = ClusterRecord {
        voters_wanted: wanted,
        ..before.clone()
    };
    let puts = match record == before {
        true => Vec::new(),
        false => vec![put(&Key::Cluster, &record)?],
    };
    Ok(Planned { puts, answer: () })
}

/// Plans that the log and its records may hold what version `format` brought.
///
/// # Errors
/// If there is no cluster yet.
pub fn plan_format(records: &impl Lookup, format: u32) -> Result<Planned<()>, Refusal> {
    let before = cluster(records)?;
    let puts = match before.format < format {
        true => vec![put(&Key::Cluster, &ClusterRecord { format, ..before })?],
        // It never falls: there may be what it brought.
        false => Vec::new(),
    };
    Ok(Planned { puts, answer: () })
}

/// How many copies files have that follow the policy.
pub(super) fn policy(records: &impl Lookup) -> Result<ReplicationFactor, Refusal> {
    Ok(cluster(records)?.replicas)
}

pub(super) fn cluster(records: &impl Lookup) -> Result<ClusterRecord, Refusal> {
    get(records, &Key::Cluster)?.ok_or(Refusal::NotBootstrapped)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ClusterId;
    use crate::log::table::Table;

    fn copies(number: u8) -> ReplicationFactor {
        ReplicationFactor::new(number).unwrap()
    }

    fn at(seconds: u64) -> LogTime {
        LogTime::from_millis(seconds * 1000)
    }

    /// A cluster of two copies.
    fn table() -> Table {
        let record = ClusterRecord {
            cluster: ClusterId::from_u128(1),
            replicas: copies(2),
            lowering: None,
            chunk_size: ChunkSize::MIN,
            repair_delay_seconds: 300,
            trash_keep_seconds: 1000,
            lower_after_seconds: 600,
            founders: std::collections::BTreeSet::new(),
            format: 1,
            recovery: None,
            voters_wanted: 1,
            min_write_copies: None,
        };
        let mut table = Table::default();
        table.apply(&put(&Key::Cluster, &record).unwrap());
        table
    }

    fn change(table: &mut Table, replicas: u8, now: u64) -> Result<ClusterRecord, Refusal> {
        let change = PolicyChange {
            replicas: Some(copies(replicas)),
            ..PolicyChange::default()
        };
        let planned = plan_policy(table, change, 4, 3, at(now))?;
        for put in &planned.puts {
            table.apply(put);
        }
        Ok(planned.answer)
    }

    #[test]
    fn the_version_of_the_format_rises_and_never_falls() {
        let mut table = table();
        let raised = plan_format(&table, 2).unwrap();
        raised.puts.iter().for_each(|put| table.apply(put));
        assert_eq!(cluster(&table).unwrap().format, 2);
        for format in [1, 2] {
            assert_eq!(plan_format(&table, format).unwrap().puts, []);
        }
    }

    #[test]
    fn what_is_not_named_stays_and_no_change_writes_nothing() {
        let table = table();
        let none = plan_policy(&table, PolicyChange::default(), 4, 3, at(0)).unwrap();
        assert!(none.puts.is_empty());
        let change = PolicyChange {
            repair_delay_seconds: Some(15),
            ..PolicyChange::default()
        };
        let planned = plan_policy(&table, change, 4, 3, at(0)).unwrap();
        assert_eq!(planned.puts.len(), 1);
        let ClusterRecord {
            repair_delay_seconds,
            trash_keep_seconds,
            ..
        } = planned.answer;
        assert_eq!((repair_delay_seconds, trash_keep_seconds), (15, 1000));
    }

    #[test]
    fn more_copies_hold_at_once_and_fewer_after_a_while() {
        let mut table = table();
        assert_eq!(change(&mut table, 3, 0).unwrap().replicas, copies(3));
        let lowered = change(&mut table, 2, 100).unwrap();
        assert_eq!(lowered.replicas, copies(3));
        let lowering = Lowering {
            replicas: copies(2),
            at: at(700),
        };
        assert_eq!(lowered.lowering, Some(lowering));
        let again = change(&mut table, 2, 200).unwrap();
        assert_eq!(again.lowering, Some(lowering), "it does not begin anew");
        assert!(plan_lowered(&table, at(699)).unwrap().puts.is_empty());
        for put in plan_lowered(&table, at(700)).unwrap().puts {
            table.apply(&put);
        }
        let record = cluster(&table).unwrap();
        assert_eq!((record.replicas, record.lowering), (copies(2), None));
        // Taken back in time, nothing comes of it.
        change(&mut table, 1, 800).unwrap();
        assert_eq!(change(&mut table, 2, 801).unwrap().lowering, None);
    }

    #[test]
    fn fewer_copies_suffice_only_where_the_log_survives_a_voter() {
        let change = |least| PolicyChange {
            min_write_copies: Some(least),
            ..PolicyChange::default()
        };
        let plan = |least, voters| plan_policy(&table(), change(least), 4, voters, at(0));
        let refused = plan(1, 2).unwrap_err();
        assert_eq!(refused, Refusal::TooFewVoters { voters: 2 });
        let record = plan(1, 3).unwrap().answer;
        let least = [1, 2, 3].map(|wanted| record.least_copies(copies(wanted)));
        assert_eq!(least, [1, 1, 1]);
        let record = plan(2, 3).unwrap().answer;
        let least = [1, 2, 3].map(|wanted| record.least_copies(copies(wanted)));
        assert_eq!(least, [1, 2, 2]);
        // All copies can be asked for again whoever votes.
        let record = plan(0, 1).unwrap().answer;
        assert_eq!(record.least_copies(copies(3)), 3);
    }

    #[test]
    fn more_copies_than_members_are_refused() {
        let refused = change(&mut table(), 5, 0).unwrap_err();
        let (wanted, members) = (5, 4);
        assert_eq!(refused, Refusal::TooFewMembers { wanted, members });
    }
}
