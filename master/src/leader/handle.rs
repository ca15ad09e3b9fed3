//! How the rest of a master reaches the leader's loop.

use super::command::{
    BeginUpload, Begun, Bootstrap, Bootstrapped, CommitUpload, Delete, Export, FileInfo, FileView,
    FindUpload, FoundUpload, Import, List, ListTrash, ListUploads, Order, Page, Place, RecordChunk,
    Rename, SetLabels, Site, Token, TrashPage, Undelete, UploadPage,
};
use crate::error::Error;
use mdfs_core::id::{FileId, TokenId};
use mdfs_core::name::FileName;
use mdfs_core::records::TokenRecord;
use mdfs_core::records::plan::{ImportResult, PolicyChange};
use mdfs_protocol::internal::{Heartbeat, HeartbeatReply};
use mdfs_protocol::public::{Policy, Status, Tasks, Workers};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// A question to the leader and where its answer goes.
pub type Answer<T> = oneshot::Sender<Result<T, Error>>;

/// Everything that can be asked of the leader.
#[expect(
    missing_docs,
    reason = "each variant is a method of `LeaderHandle`, documented there"
)]
#[derive(Debug)]
pub enum Question {
    BeginUpload(Box<BeginUpload>, Answer<Begun>),
    Place(Place, Answer<Vec<Site>>),
    RecordChunk(RecordChunk, Answer<()>),
    FindUpload(FindUpload, Answer<FoundUpload>),
    ListUploads(ListUploads, Answer<UploadPage>),
    CommitUpload(CommitUpload, Answer<FileInfo>),
    AbortUpload(FileId, Answer<()>),
    Lookup(FileName, Answer<FileView>),
    List(List, Answer<Page>),
    Delete(Delete, Answer<()>),
    Purge(Delete, Answer<()>),
    Undelete(Undelete, Answer<FileInfo>),
    ListTrash(ListTrash, Answer<TrashPage>),
    Rename(Rename, Answer<FileInfo>),
    SetLabels(Box<SetLabels>, Answer<FileInfo>),
    Bootstrap(Bootstrap, Answer<Bootstrapped>),
    Order(Order, Answer<()>),
    Token(TokenId, Answer<Option<TokenRecord>>),
    Tokens(Answer<Vec<Token>>),
    AddToken(Box<Token>, Answer<()>),
    RevokeToken(TokenId, Answer<TokenRecord>),
    Heartbeat(Box<Heartbeat>, CancellationToken, Answer<HeartbeatReply>),
    Status(Answer<Status>),
    Workers(Answer<Workers>),
    Tasks(Answer<Tasks>),
    Policy(Answer<Policy>),
    ChangePolicy(PolicyChange, Answer<Policy>),
    Export(Answer<Export>),
    Import(Import, Answer<ImportResult>),
}

/// How the rest of a master reaches the leader's loop. Cheap to clone.
///
/// Every method waits until the answer is certain: a change until it is committed, a read until the
/// leader knows that it still leads. Without a leader a question is held for up to 10 s, then
/// answered [`Error::NoLeader`].
///
/// # Cancel safety
/// Dropping a call's future loses the answer, not the question: it may still take effect.
#[derive(Clone, Debug)]
pub struct LeaderHandle {
    inbox: mpsc::Sender<Question>,
}

impl LeaderHandle {
    /// A handle to the loop that receives from the other end of `inbox`.
    pub fn new(inbox: mpsc::Sender<Question>) -> Self {
        Self { inbox }
    }

    async fn ask<T>(&self, question: impl FnOnce(Answer<T>) -> Question) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        // Waits when the queue is full: callers are bounded by the connection limit.
        self.inbox
            .send(question(answer))
            .await
            .map_err(|_| Error::NoLeader)?;
        answered.await.map_err(|_| Error::NoLeader)?
    }

    /// Opens an upload.
    pub async fn begin_upload(&self, begin: BeginUpload) -> Result<Begun, Error> {
        self.ask(|answer| Question::BeginUpload(Box::new(begin), answer))
            .await
    }

    /// Says which disks a chunk of an open upload goes to: as many as the upload has replicas, the
    /// first of the chain first. Keeps the upload from being taken for abandoned.
    pub async fn place(&self, place: Place) -> Result<Vec<Site>, Error> {
        self.ask(|answer| Question::Place(place, answer)).await
    }

    /// Has it recorded that a chunk of a session is durable. Harmless when it was recorded before.
    pub async fn record_chunk(&self, chunk: RecordChunk) -> Result<(), Error> {
        self.ask(|answer| Question::RecordChunk(chunk, answer))
            .await
    }

    /// What is known of a session, open or ended.
    pub async fn find_upload(&self, find: FindUpload) -> Result<FoundUpload, Error> {
        self.ask(|answer| Question::FindUpload(find, answer)).await
    }

    /// One page of the sessions that are open.
    pub async fn list_uploads(&self, list: ListUploads) -> Result<UploadPage, Error> {
        self.ask(|answer| Question::ListUploads(list, answer)).await
    }

    /// Makes an upload a file. Repeating it gives the same answer for as long as the file is there.
    pub async fn commit_upload(&self, commit: CommitUpload) -> Result<FileInfo, Error> {
        self.ask(|answer| Question::CommitUpload(commit, answer))
            .await
    }

    /// Ends an upload without a file, and has its chunks dropped. Harmless when it ended before.
    pub async fn abort_upload(&self, file: FileId) -> Result<(), Error> {
        self.ask(|answer| Question::AbortUpload(file, answer)).await
    }

    /// Says what a name stands for and where its bytes are.
    pub async fn look_up(&self, name: FileName) -> Result<FileView, Error> {
        self.ask(|answer| Question::Lookup(name, answer)).await
    }

    /// One page of names.
    pub async fn list(&self, list: List) -> Result<Page, Error> {
        self.ask(|answer| Question::List(list, answer)).await
    }

    /// Deletes a file: it goes to the trash.
    pub async fn delete(&self, delete: Delete) -> Result<(), Error> {
        self.ask(|answer| Question::Delete(delete, answer)).await
    }

    /// Removes a file for good; if no file has the name, the newest of that name in the trash.
    pub async fn purge(&self, delete: Delete) -> Result<(), Error> {
        self.ask(|answer| Question::Purge(delete, answer)).await
    }

    /// Brings the newest file of a name in the trash back; the answer is the file as it is now.
    pub async fn undelete(&self, undelete: Undelete) -> Result<FileInfo, Error> {
        self.ask(|answer| Question::Undelete(undelete, answer))
            .await
    }

    /// One page of the trash.
    pub async fn list_trash(&self, list: ListTrash) -> Result<TrashPage, Error> {
        self.ask(|answer| Question::ListTrash(list, answer)).await
    }

    /// Moves a file to another name; the answer is the file under its new name.
    pub async fn rename(&self, rename: Rename) -> Result<FileInfo, Error> {
        self.ask(|answer| Question::Rename(rename, answer)).await
    }

    /// Changes what is said of a file; the answer is the file as it is now.
    pub async fn set_labels(&self, set: SetLabels) -> Result<FileInfo, Error> {
        self.ask(|answer| Question::SetLabels(Box::new(set), answer))
            .await
    }

    /// Starts the cluster; harmless when it was started with the same disks.
    pub async fn bootstrap(&self, bootstrap: Bootstrap) -> Result<Bootstrapped, Error> {
        self.ask(|answer| Question::Bootstrap(bootstrap, answer))
            .await
    }

    /// Has an administrator's order begun; it is carried out by and by.
    pub async fn order(&self, order: Order) -> Result<(), Error> {
        self.ask(|answer| Question::Order(order, answer)).await
    }

    /// What is known of a token; none if there is no such token.
    pub async fn token(&self, token: TokenId) -> Result<Option<TokenRecord>, Error> {
        self.ask(|answer| Question::Token(token, answer)).await
    }

    /// All tokens, in the order in which they were made.
    pub async fn tokens(&self) -> Result<Vec<Token>, Error> {
        self.ask(Question::Tokens).await
    }

    /// Adds a token.
    pub async fn add_token(&self, token: Token) -> Result<(), Error> {
        self.ask(|answer| Question::AddToken(Box::new(token), answer))
            .await
    }

    /// Ends a token; the answer is what it was.
    pub async fn revoke_token(&self, token: TokenId) -> Result<TokenRecord, Error> {
        self.ask(|answer| Question::RevokeToken(token, answer))
            .await
    }

    /// Takes a worker's heartbeat. `closed` is cancelled when the connection that brought it ends:
    /// from then on the worker is suspect, until it beats by another one.
    pub async fn heartbeat(
        &self,
        beat: Heartbeat,
        closed: CancellationToken,
    ) -> Result<HeartbeatReply, Error> {
        self.ask(|answer| Question::Heartbeat(Box::new(beat), closed, answer))
            .await
    }

    /// The state of the cluster. Answers without a leader too, and says so.
    pub async fn status(&self) -> Result<Status, Error> {
        self.ask(Question::Status).await
    }

    /// The members of the cluster.
    pub async fn workers(&self) -> Result<Workers, Error> {
        self.ask(Question::Workers).await
    }

    /// The policy of the cluster.
    pub async fn policy(&self) -> Result<Policy, Error> {
        self.ask(Question::Policy).await
    }

    /// Changes the policy of the cluster; the answer is what it is then.
    pub async fn change_policy(&self, change: PolicyChange) -> Result<Policy, Error> {
        self.ask(|answer| Question::ChangePolicy(change, answer))
            .await
    }

    /// All committed records, as they are at one point of the log.
    pub async fn export(&self) -> Result<Export, Error> {
        self.ask(Question::Export).await
    }

    /// Takes in some files of an export. Harmless when it did before.
    pub async fn import(&self, import: Import) -> Result<ImportResult, Error> {
        self.ask(|answer| Question::Import(import, answer)).await
    }

    /// What the mover does; of scrubs the workers know.
    pub async fn tasks(&self) -> Result<Tasks, Error> {
        self.ask(Question::Tasks).await
    }
}

impl Question {
    /// Answers with an error, whatever was asked.
    pub(super) fn refuse(self, error: Error) {
        // Who asked may have gone; nothing is lost by that.
        match self {
            Question::BeginUpload(_, answer) => drop(answer.send(Err(error))),
            Question::Place(_, answer) => drop(answer.send(Err(error))),
            Question::FindUpload(_, answer) => drop(answer.send(Err(error))),
            Question::ListUploads(_, answer) => drop(answer.send(Err(error))),
            Question::CommitUpload(_, answer) => drop(answer.send(Err(error))),
            Question::AbortUpload(_, answer) | Question::RecordChunk(_, answer) => {
                drop(answer.send(Err(error)));
            }
            Question::Lookup(_, answer) => drop(answer.send(Err(error))),
            Question::List(_, answer) => drop(answer.send(Err(error))),
            Question::Delete(_, answer) | Question::Purge(_, answer) => {
                drop(answer.send(Err(error)));
            }
            Question::Undelete(_, answer) => drop(answer.send(Err(error))),
            Question::ListTrash(_, answer) => drop(answer.send(Err(error))),
            Question::Order(_, answer) | Question::AddToken(_, answer) => {
                drop(answer.send(Err(error)));
            }
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
            Question::Import(_, answer) => drop(answer.send(Err(error))),
            Question::Policy(answer) | Question::ChangePolicy(_, answer) => {
                drop(answer.send(Err(error)));
            }
        }
    }
}
