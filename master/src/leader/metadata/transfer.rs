//! All records at once: given out, and taken in.

use super::super::command::{Export, Import};
use super::super::handle::Answer;
use super::{Metadata, Now, respond};
use crate::error::Error;
use mdfs_core::records::plan::{ImportResult, Refusal, plan_import};
use mdfs_core::records::{ClusterRecord, Key, get};
use mdfs_core::time::Timestamp;

impl Metadata {
    /// A copy of the table, which shares its pages: the loop goes on while somebody reads it.
    pub(super) fn export(&mut self, now: Now, deadline: Timestamp, answer: Answer<Export>) {
        let read = move |metadata: Result<&Metadata, Error>, now: Now| {
            let export = metadata.and_then(|metadata| {
                let log = &metadata.log;
                let table = log.committed().ok_or(Error::NoLeader)?;
                let cluster: Option<ClusterRecord> =
                    get(table, &Key::Cluster).map_err(Refusal::from)?;
                Ok(Export {
                    table: table.clone(),
                    cluster: cluster.ok_or(Error::NotBootstrapped)?,
                    index: log.commit().ok_or(Error::NoLeader)?,
                    log_time: log.log_time(now.mono).ok_or(Error::NoLeader)?,
                })
            });
            respond(answer, export);
        };
        self.read(now, deadline, Box::new(read));
    }

    pub(super) fn import(
        &mut self,
        now: Now,
        deadline: Timestamp,
        import: Import,
        answer: Answer<ImportResult>,
    ) {
        let Import { files, overwrite } = import;
        let planned = self.next(now).ok_or(Error::NoLeader).and_then(|at| {
            let view = self.view()?;
            Ok(plan_import(&view, files, overwrite, at)?)
        });
        self.carry_out(now, deadline, None, planned, answer, Vec::new(), |result| {
            result
        });
    }
}
