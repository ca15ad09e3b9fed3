//! Questions as they come over the wire, put to this master's loop.

use super::handle::{LeaderHandle, Question, Searched};
use crate::error::Error;
use mdfs_core::id::{DiskId, Term};
use mdfs_protocol::ask::{Asked, Told};
use std::collections::BTreeSet;

impl LeaderHandle {
    /// Asks this master's own loop, and nobody else.
    ///
    /// # Errors
    /// What the loop refuses; [`Error::NotLeader`] if another master is to be asked.
    pub(super) async fn here(&self, asked: Asked) -> Result<Told, Error> {
        let done = |()| Told::Done;
        match asked {
            Asked::BeginUpload(begin) => self
                .put(|answer| Question::BeginUpload(begin, answer))
                .await
                .map(|begun| Told::Begun(Box::new(begun))),
            Asked::Place(place) => self
                .put(|answer| Question::Place(place, answer))
                .await
                .map(Told::Sites),
            Asked::RecordChunk(chunk) => self
                .put(|answer| Question::RecordChunk(chunk, answer))
                .await
                .map(done),
            Asked::FindUpload(find) => self
                .put(|answer| Question::FindUpload(find, answer))
                .await
                .map(|found| Told::Upload(Box::new(found))),
            Asked::ListUploads(list) => self
                .put(|answer| Question::ListUploads(list, answer))
                .await
                .map(Told::Uploads),
            Asked::CommitUpload(commit) => self
                .put(|answer| Question::CommitUpload(commit, answer))
                .await
                .map(|file| Told::File(Box::new(file))),
            Asked::AbortUpload(file) => self
                .put(|answer| Question::AbortUpload(file, answer))
                .await
                .map(done),
            Asked::Lookup(name) => self
                .put(|answer| Question::Lookup(name, answer))
                .await
                .map(|view| Told::View(Box::new(view))),
            Asked::WhoMayHave(chunk) => self
                .put(|answer| Question::WhoMayHave(chunk, answer))
                .await
                .map(Told::Sites),
            Asked::List(list) => self
                .put(|answer| Question::List(list, answer))
                .await
                .map(Told::Page),
            Asked::Delete(delete) => self
                .put(|answer| Question::Delete(delete, answer))
                .await
                .map(done),
            Asked::Purge(delete) => self
                .put(|answer| Question::Purge(delete, answer))
                .await
                .map(done),
            Asked::Undelete(undelete) => self
                .put(|answer| Question::Undelete(undelete, answer))
                .await
                .map(|file| Told::File(Box::new(file))),
            Asked::ListTrash(list) => self
                .put(|answer| Question::ListTrash(list, answer))
                .await
                .map(Told::Trash),
            Asked::Rename(rename) => self
                .put(|answer| Question::Rename(rename, answer))
                .await
                .map(|file| Told::File(Box::new(file))),
            Asked::SetLabels(set) => self
                .put(|answer| Question::SetLabels(set, answer))
                .await
                .map(|file| Told::File(Box::new(file))),
            Asked::Bootstrap(order) => self
                .put(|answer| Question::Bootstrap(order, answer))
                .await
                .map(Told::Bootstrapped),
            Asked::Browse(browse) => self.browse_here(browse).await.map(Told::Browsed),
            Asked::Events(_) | Asked::History(_) | Asked::Traffic(_) => self.board_here(&asked),
            asked => self.here_for_administrators(asked).await,
        }
    }

    /// Says to this master's own loop that a search for what is left of files has ended, by what these
    /// disks told the leader of that term: each of them all that it has.
    pub async fn searched(&self, term: Term, told: BTreeSet<DiskId>) -> Result<(), Error> {
        self.put(|answer| Question::Searched(Searched { term, told }, answer))
            .await
    }

    async fn here_for_administrators(&self, asked: Asked) -> Result<Told, Error> {
        let done = |()| Told::Done;
        match asked {
            Asked::Order(order) => self
                .put(|answer| Question::Order(order, answer))
                .await
                .map(done),
            Asked::Token(token) => self
                .put(|answer| Question::Token(token, answer))
                .await
                .map(|record| Told::Token(record.map(Box::new))),
            Asked::Tokens => self.put(Question::Tokens).await.map(Told::Tokens),
            Asked::AddToken(token) => self
                .put(|answer| Question::AddToken(token, answer))
                .await
                .map(done),
            Asked::RevokeToken(token) => self
                .put(|answer| Question::RevokeToken(token, answer))
                .await
                .map(|record| Told::Revoked(Box::new(record))),
            Asked::Status => self
                .put(Question::Status)
                .await
                .map(|status| Told::Status(Box::new(status))),
            Asked::Workers => self.put(Question::Workers).await.map(Told::Workers),
            Asked::Tasks => self.put(Question::Tasks).await.map(Told::Tasks),
            Asked::Policy => self.put(Question::Policy).await.map(Told::Policy),
            Asked::ChangePolicy(change) => self
                .put(|answer| Question::ChangePolicy(change, answer))
                .await
                .map(Told::Policy),
            Asked::Import(import) => self
                .put(|answer| Question::Import(import, answer))
                .await
                .map(Told::Imported),
            Asked::Recover(recover) => self
                .put(|answer| Question::Recover(recover, answer))
                .await
                .map(Told::Recovered),
            Asked::Hello(hello) => self
                .put(|answer| Question::Hello(hello, answer))
                .await
                .map(done),
            Asked::BeginUpload(_)
            | Asked::Place(_)
            | Asked::RecordChunk(_)
            | Asked::FindUpload(_)
            | Asked::ListUploads(_)
            | Asked::CommitUpload(_)
            | Asked::AbortUpload(_)
            | Asked::Lookup(_)
            | Asked::WhoMayHave(_)
            | Asked::List(_)
            | Asked::Browse(_)
            | Asked::Events(_)
            | Asked::History(_)
            | Asked::Traffic(_)
            | Asked::Delete(_)
            | Asked::Purge(_)
            | Asked::Undelete(_)
            | Asked::ListTrash(_)
            | Asked::Rename(_)
            | Asked::SetLabels(_)
            | Asked::Bootstrap(_) => Err(Error::Broken("a question went astray".to_owned())),
        }
    }
}
