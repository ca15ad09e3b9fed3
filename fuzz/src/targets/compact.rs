//! What servers say to each other and what the log keeps, in postcard.

use super::kind;
use crate::Target;
use mdfs_core::id::{ClusterId, DiskId, Generation, Incarnation, Term};
use mdfs_core::log::message::{Change, Entry, Put};
use mdfs_core::records;
use mdfs_core::time::LogTime;
use mdfs_protocol::holdings::Report;
use mdfs_protocol::internal::{DiskState, Heartbeat, Identity, VoterState};
use mdfs_protocol::order::Done;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;

/// The heartbeat of a worker.
pub const HEARTBEAT: Target = Target {
    name: "heartbeat",
    run: |bytes| read::<Heartbeat>(bytes, |beat| kind((beat.leaving, beat.done.len().min(3)))),
    seeds: || postcard::to_stdvec(&beat()).into_iter().collect(),
    words: &["\u{0}", "\u{1}", "http://10.0.0.7:8081", "fenced"],
};

/// An entry of the log, and a record of it.
pub const ENTRY: Target = Target {
    name: "entry",
    run: |bytes| {
        // Of either, a record says first which version it has.
        let record = records::decode::<records::FileRecord>(bytes);
        if let Ok(record) = &record {
            let again = records::encode(record);
            let again = again.and_then(|bytes| records::decode::<records::FileRecord>(&bytes));
            assert_eq!(again.ok().as_ref(), Some(record));
        }
        let of_entry = read::<Entry>(bytes, |entry| {
            kind((
                std::mem::discriminant(&entry.change),
                entry.puts().len().min(4),
            ))
        });
        kind((record.is_ok(), of_entry))
    },
    seeds: || {
        entries()
            .iter()
            .filter_map(|entry| postcard::to_stdvec(entry).ok())
            .collect()
    },
    words: &["\u{0}", "\u{1}", "\u{2}"],
};

/// Reads a message: whatever is read is written and read again the same.
fn read<T: Serialize + DeserializeOwned + PartialEq + Debug>(
    bytes: &[u8],
    what: fn(&T) -> u64,
) -> u64 {
    let (message, rest) = match postcard::take_from_bytes::<T>(bytes) {
        Ok(read) => read,
        Err(error) => return kind((1, std::mem::discriminant(&error))),
    };
    let written = postcard::to_stdvec(&message).unwrap_or_default();
    assert_eq!(
        postcard::from_bytes::<T>(&written).ok().as_ref(),
        Some(&message)
    );
    // Numbers may come longer than they are written, and nothing else.
    assert!(written.len() <= bytes.len() - rest.len(), "{message:?}");
    kind((2, what(&message), rest.is_empty()))
}

fn term() -> Term {
    Term {
        round: 3,
        incarnation: Incarnation(4),
    }
}

fn beat() -> Heartbeat {
    Heartbeat {
        identity: Identity {
            disk: DiskId::from_u128(1),
            cluster: Some(ClusterId::from_u128(2)),
            generation: Generation(3),
        },
        name: "worker-0".to_owned(),
        url: "http://10.0.0.7:8081".to_owned(),
        zone: Some("a".to_owned()),
        capacity_bytes: 1 << 40,
        free_bytes: 1 << 39,
        chunks: 7,
        chunk_bytes: 7 << 26,
        bad_blocks: 0,
        oldest_unverified_millis: Some(1),
        seal_millis: None,
        state: DiskState::Healthy,
        voter: VoterState::Healthy,
        leaving: false,
        directory_version: 1,
        holdings: Report::default(),
        done: vec![Done {
            term: term(),
            id: 1,
            failure: None,
        }],
        formats: mdfs_core::format::FORMATS,
        lease_millis: 3000,
        voter_last: mdfs_core::log::message::Position {
            term: term(),
            index: 7,
        },
        witness: false,
    }
}

fn entries() -> Vec<Entry> {
    let entry = |change| Entry {
        index: 7,
        term: term(),
        time: LogTime::from_millis(1_700_000_000_000),
        request: None,
        change,
    };
    let put = Put {
        key: records::Key::Cluster.to_bytes(),
        value: Some(vec![1, 2, 3]),
    };
    let removed = Put {
        value: None,
        ..put.clone()
    };
    vec![
        entry(Change::Blank),
        entry(Change::Records(vec![put, removed])),
    ]
}
