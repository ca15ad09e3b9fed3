//! What pages of names for people are made of.

use super::super::browse::{Counted, Records};
use super::super::handle::Answer;
use super::{Metadata, Now, respond};
use crate::error::Error;
use mdfs_core::time::{LogTime, Timestamp};

impl Metadata {
    /// What pages of names that begin with `prefix` are made of.
    pub(super) fn records(
        &mut self,
        now: Now,
        deadline: Timestamp,
        prefix: String,
        answer: Answer<Records>,
    ) {
        let read = move |metadata: Result<&Metadata, Error>, now| {
            let records = metadata.and_then(|metadata| {
                let table = metadata.log.committed().ok_or(Error::NoLeader)?;
                Ok(Records {
                    table: table.clone(),
                    replicas: metadata.catalog.replicas(),
                    counted: metadata.counted_below(now, &prefix),
                })
            });
            respond(answer, records);
        };
        self.read(now, deadline, Box::new(read));
    }

    /// What is known of the copies of files whose names begin with `prefix`.
    fn counted_below(&self, now: Now, prefix: &str) -> Option<Counted> {
        let found = self.report.counted()?;
        let age = self.report.age(now.mono)?;
        let time = self.log.log_time(now.mono)?.as_millis();
        let short = found.names.iter();
        let short = short.filter(|file| file.name.as_str().starts_with(prefix));
        let copies = |good: usize| u8::try_from(good).unwrap_or(u8::MAX);
        Some(Counted {
            at: LogTime::from_millis(time.saturating_sub(age)),
            short: short
                .map(|file| (file.name.to_string(), copies(file.good)))
                .collect(),
            is_all: found.unlisted_partitions == 0
                && found.unreadable_files == 0
                && found.under_replicated_files
                    == u64::try_from(found.names.len()).unwrap_or(u64::MAX),
        })
    }
}
