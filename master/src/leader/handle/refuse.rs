//! An error as the answer to any question.

use super::Question;
use crate::error::Error;

impl Question {
    /// Answers with an error, whatever was asked.
    pub(in crate::leader) fn refuse(self, error: Error) {
        // Who asked may have gone; nothing is lost by that.
        match self {
            Question::BeginUpload(_, answer) => drop(answer.send(Err(error))),
            Question::Place(_, answer) => drop(answer.send(Err(error))),
            Question::FindUpload(_, answer) => drop(answer.send(Err(error))),
            Question::ListUploads(_, answer) => drop(answer.send(Err(error))),
            Question::CommitUpload(_, answer) => drop(answer.send(Err(error))),
            Question::AbortUpload(_, answer)
            | Question::RecordChunk(_, answer)
            | Question::Delete(_, answer)
            | Question::Purge(_, answer)
            | Question::Order(_, answer)
            | Question::AddToken(_, answer)
            | Question::Hello(_, answer)
            | Question::Searched(_, answer) => drop(answer.send(Err(error))),
            Question::Lookup(_, answer) => drop(answer.send(Err(error))),
            Question::WhoMayHave(_, answer) => drop(answer.send(Err(error))),
            Question::List(_, answer) => drop(answer.send(Err(error))),
            Question::Undelete(_, answer) => drop(answer.send(Err(error))),
            Question::ListTrash(_, answer) => drop(answer.send(Err(error))),
            Question::Present(answer) => drop(answer.send(Err(error))),
            Question::Masters(answer) => drop(answer.send(Err(error))),
            Question::Following(following) => following.refuse(error),
            Question::Records(_, answer) => drop(answer.send(Err(error))),
            Question::Token(_, answer) => drop(answer.send(Err(error))),
            Question::Tokens(answer) => drop(answer.send(Err(error))),
            Question::RevokeToken(_, answer) => drop(answer.send(Err(error))),
            Question::SetLabels(_, answer) => drop(answer.send(Err(error))),
            Question::Rename(_, answer) => drop(answer.send(Err(error))),
            Question::Bootstrap(_, answer) => drop(answer.send(Err(error))),
            Question::Heartbeat(_, _, answer) => drop(answer.send(Err(error))),
            Question::Status(answer) => drop(answer.send(Err(error))),
            Question::Workers(answer) => drop(answer.send(Err(error))),
            Question::Tasks(answer) => drop(answer.send(Err(error))),
            Question::Export(answer) => drop(answer.send(Err(error))),
            Question::Recover(_, answer) => drop(answer.send(Err(error))),
            Question::Import(_, answer) => drop(answer.send(Err(error))),
            Question::Policy(answer) | Question::ChangePolicy(_, answer) => {
                drop(answer.send(Err(error)));
            }
        }
    }
}
