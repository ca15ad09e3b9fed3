//! How the rest of a master reaches the leader's loop.

mod refuse;

use super::browse::Records;
use super::command::{
    BeginUpload, Begun, Bootstrap, Bootstrapped, CommitUpload, Delete, Export, FileInfo, FileView,
    FindUpload, FoundUpload, Import, List, ListTrash, ListUploads, Order, Page, Place, RecordChunk,
    Rename, SetLabels, Site, Token, TrashPage, Undelete, UploadPage,
};
use super::following::Following;
use super::route::Route;
use super::seeds::Present;
use crate::board::Board;
use crate::error::Error;
use mdfs_core::chunk::ChunkId;
use mdfs_core::id::{DiskId, FileId, Term, TokenId};
use mdfs_core::name::FileName;
use mdfs_core::records::TokenRecord;
use mdfs_core::records::plan::{ImportResult, PolicyChange};
use mdfs_protocol::ask::{Asked, Hello, Told};
use mdfs_protocol::internal::{Heartbeat, HeartbeatReply, Leader, Masters};
use mdfs_protocol::public::{Policy, Recover, Recovered, Status, Tasks, Workers};
use mdfs_service::{Clock, Threads};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// A search for what is left of files has ended.
#[derive(Debug)]
pub struct Searched {
    /// The leader's whose orders it read by.
    pub term: Term,
    /// The disks that told of all that they have.
    pub told: BTreeSet<DiskId>,
}

/// A question to the leader and where its answer goes.
pub type Answer<T> = oneshot::Sender<Result<T, Error>>;

/// Everything that can be asked of the leader.
#[expect(
    missing_docs,
    reason = "each variant is a question of `mdfs_protocol::ask`, or a method of `LeaderHandle`"
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
    WhoMayHave(ChunkId, Answer<Vec<Site>>),
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
    Recover(Recover, Answer<Recovered>),
    Searched(Searched, Answer<()>),
    Hello(Hello, Answer<()>),
    Present(Answer<Present>),
    Masters(Answer<Masters>),
    Following(Following),
    Records(String, Answer<Records>),
}

/// How the rest of a master reaches the leader, here or elsewhere. Cheap to clone.
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
    /// The way to another master that leads; none if this one answers for itself alone.
    pub(super) route: Option<Arc<Route>>,
    /// Where pages are made that take longer than the loop may.
    pub(super) threads: Threads,
    pub(super) pages: Arc<Semaphore>,
    /// What goes on.
    pub(super) board: Board,
}

/// Pages made at a time: each takes a thread for up to a second or so.
pub(super) const MOST_PAGES: usize = 2;

/// Takes the one kind of answer that a question has.
macro_rules! told {
    ($told:expr, $kind:ident) => {
        match $told {
            Told::$kind(told) => Ok(told),
            other => Err(unexpected(&other)),
        }
    };
}

impl LeaderHandle {
    /// A handle to the loop that receives from the other end of `inbox`, and to no other master.
    pub fn new(inbox: mpsc::Sender<Question>) -> Self {
        Self {
            inbox,
            route: None,
            board: Board::new(Clock::manual()),
            threads: Threads::real(),
            pages: Arc::new(Semaphore::new(MOST_PAGES)),
        }
    }

    /// A handle to the loop that receives from the other end of `inbox` while that leads, or nobody
    /// does, and to whoever leads otherwise.
    pub fn routed(
        inbox: mpsc::Sender<Question>,
        route: Route,
        board: Board,
        threads: Threads,
    ) -> Self {
        Self {
            route: Some(Arc::new(route)),
            board,
            threads,
            ..Self::new(inbox)
        }
    }

    pub(super) async fn ask(&self, asked: Asked) -> Result<Told, Error> {
        match &self.route {
            Some(route) => route.ask(self, asked).await,
            None => self.here(asked).await,
        }
    }

    /// The same for what is answered by nothing but that it is done.
    async fn order_done(&self, asked: Asked) -> Result<(), Error> {
        match self.ask(asked).await? {
            Told::Done => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    /// Answers another master by this one's loop alone.
    pub async fn answer(&self, asked: Asked) -> Told {
        if let Some(route) = &self.route
            && let Some(hint) = route.not_here()
        {
            return Told::NotLeader { hint };
        }
        match self.here(asked).await {
            Ok(told) => told,
            Err(Error::NotLeader { hint }) => Told::NotLeader { hint },
            Err(error) => Told::Refused(error.into()),
        }
    }

    /// Puts a question to this master's loop.
    pub(super) async fn put<T>(
        &self,
        question: impl FnOnce(Answer<T>) -> Question,
    ) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        // Waits when the queue is full: callers are bounded by the connection limit.
        self.inbox
            .send(question(answer))
            .await
            .map_err(|_| Error::NoLeader)?;
        answered.await.map_err(|_| Error::NoLeader)?
    }

    /// Whether this master's loop has ended.
    pub(super) fn is_closed(&self) -> bool {
        self.inbox.is_closed()
    }

    /// Opens an upload.
    pub async fn begin_upload(&self, begin: BeginUpload) -> Result<Begun, Error> {
        let told = self.ask(Asked::BeginUpload(Box::new(begin))).await?;
        told!(told, Begun).map(|begun| *begun)
    }

    /// Says which disks a chunk of an open upload goes to: as many as the upload has replicas, the
    /// first of the chain first. Keeps the upload from being taken for abandoned.
    pub async fn place(&self, place: Place) -> Result<Vec<Site>, Error> {
        told!(self.ask(Asked::Place(place)).await?, Sites)
    }

    /// Has it recorded that a chunk of a session is durable. Harmless when it was recorded before.
    pub async fn record_chunk(&self, chunk: RecordChunk) -> Result<(), Error> {
        self.order_done(Asked::RecordChunk(chunk)).await
    }

    /// What is known of a session, open or ended.
    pub async fn find_upload(&self, find: FindUpload) -> Result<FoundUpload, Error> {
        let told = self.ask(Asked::FindUpload(find)).await?;
        told!(told, Upload).map(|found| *found)
    }

    /// One page of the sessions that are open.
    pub async fn list_uploads(&self, list: ListUploads) -> Result<UploadPage, Error> {
        told!(self.ask(Asked::ListUploads(list)).await?, Uploads)
    }

    /// Makes an upload a file. Repeating it gives the same answer for as long as the file is there.
    pub async fn commit_upload(&self, commit: CommitUpload) -> Result<FileInfo, Error> {
        let told = self.ask(Asked::CommitUpload(commit)).await?;
        told!(told, File).map(|file| *file)
    }

    /// Ends an upload without a file, and has its chunks dropped. Harmless when it ended before.
    pub async fn abort_upload(&self, file: FileId) -> Result<(), Error> {
        self.order_done(Asked::AbortUpload(file)).await
    }

    /// Says what a name stands for and where its bytes are.
    pub async fn look_up(&self, name: FileName) -> Result<FileView, Error> {
        let told = self.ask(Asked::Lookup(name)).await?;
        told!(told, View).map(|view| *view)
    }

    /// Says who may have a chunk, whether they should or not. A leader of an earlier version, which does not
    /// know the question, is as good as none.
    pub async fn who_may_have(&self, chunk: ChunkId) -> Result<Vec<Site>, Error> {
        told!(self.ask(Asked::WhoMayHave(chunk)).await?, Sites)
    }

    /// One page of names.
    pub async fn list(&self, list: List) -> Result<Page, Error> {
        told!(self.ask(Asked::List(list)).await?, Page)
    }

    /// Deletes a file: it goes to the trash.
    pub async fn delete(&self, delete: Delete) -> Result<(), Error> {
        self.order_done(Asked::Delete(delete)).await
    }

    /// Removes a file for good; if no file has the name, the newest of that name in the trash.
    pub async fn purge(&self, delete: Delete) -> Result<(), Error> {
        self.order_done(Asked::Purge(delete)).await
    }

    /// Brings the newest file of a name in the trash back; the answer is the file as it is now.
    pub async fn undelete(&self, undelete: Undelete) -> Result<FileInfo, Error> {
        let told = self.ask(Asked::Undelete(undelete)).await?;
        told!(told, File).map(|file| *file)
    }

    /// One page of the trash.
    pub async fn list_trash(&self, list: ListTrash) -> Result<TrashPage, Error> {
        told!(self.ask(Asked::ListTrash(list)).await?, Trash)
    }

    /// Moves a file to another name; the answer is the file under its new name.
    pub async fn rename(&self, rename: Rename) -> Result<FileInfo, Error> {
        let told = self.ask(Asked::Rename(rename)).await?;
        told!(told, File).map(|file| *file)
    }

    /// Changes what is said of a file; the answer is the file as it is now.
    pub async fn set_labels(&self, set: SetLabels) -> Result<FileInfo, Error> {
        let told = self.ask(Asked::SetLabels(Box::new(set))).await?;
        told!(told, File).map(|file| *file)
    }

    /// Starts the cluster; harmless when it was started with the same disks.
    pub async fn bootstrap(&self, bootstrap: Bootstrap) -> Result<Bootstrapped, Error> {
        told!(self.ask(Asked::Bootstrap(bootstrap)).await?, Bootstrapped)
    }

    /// Has an administrator's order begun; it is carried out by and by.
    pub async fn order(&self, order: Order) -> Result<(), Error> {
        self.order_done(Asked::Order(order)).await
    }

    /// What is known of a token; none if there is no such token.
    pub async fn token(&self, token: TokenId) -> Result<Option<TokenRecord>, Error> {
        let told = self.ask(Asked::Token(token)).await?;
        told!(told, Token).map(|record| record.map(|record| *record))
    }

    /// All tokens, in the order in which they were made.
    pub async fn tokens(&self) -> Result<Vec<Token>, Error> {
        told!(self.ask(Asked::Tokens).await?, Tokens)
    }

    /// Adds a token.
    pub async fn add_token(&self, token: Token) -> Result<(), Error> {
        self.order_done(Asked::AddToken(Box::new(token))).await
    }

    /// Ends a token; the answer is what it was.
    pub async fn revoke_token(&self, token: TokenId) -> Result<TokenRecord, Error> {
        let told = self.ask(Asked::RevokeToken(token)).await?;
        told!(told, Revoked).map(|record| *record)
    }

    /// Takes a worker's heartbeat: always this master's own. `closed` is cancelled when the connection
    /// that brought it ends: from then on the worker is suspect, until it beats by another one.
    pub async fn heartbeat(
        &self,
        beat: Heartbeat,
        closed: CancellationToken,
    ) -> Result<HeartbeatReply, Error> {
        self.put(|answer| Question::Heartbeat(Box::new(beat), closed, answer))
            .await
    }

    /// The masters that this one knows, itself first: by its own word.
    pub async fn masters(&self) -> Result<Masters, Error> {
        self.put(Question::Masters).await
    }

    /// Which disks beat at this master.
    pub(super) async fn present(&self) -> Result<Present, Error> {
        self.put(Question::Present).await
    }

    /// The state of the cluster, as the leader knows it. Answers without a leader too, and says so.
    pub async fn status(&self) -> Result<Status, Error> {
        let told = match &self.route {
            Some(route) => route.try_ask(Asked::Status).await,
            None => None,
        };
        let told = match told {
            Some(told) => told,
            None => self.here(Asked::Status).await?,
        };
        told!(told, Status).map(|status| *status)
    }

    /// The members of the cluster.
    pub async fn workers(&self) -> Result<Workers, Error> {
        told!(self.ask(Asked::Workers).await?, Workers)
    }

    /// The policy of the cluster.
    pub async fn policy(&self) -> Result<Policy, Error> {
        told!(self.ask(Asked::Policy).await?, Policy)
    }

    /// Changes the policy of the cluster; the answer is what it is then.
    pub async fn change_policy(&self, change: PolicyChange) -> Result<Policy, Error> {
        told!(self.ask(Asked::ChangePolicy(change)).await?, Policy)
    }

    /// All committed records, as they are at one point of the log. Of this master's own loop alone:
    /// elsewhere nobody leads, as far as this goes.
    pub async fn export(&self) -> Result<Export, Error> {
        self.put(Question::Export).await
    }

    /// Takes in some files of an export. Harmless when it did before.
    pub async fn import(&self, import: Import) -> Result<ImportResult, Error> {
        let told = self.ask(Asked::Import(import)).await?;
        told!(told, Imported)
    }

    /// Rebuilds the log without voters that are lost, or says what would come of it. Harmless when it
    /// was done before.
    pub async fn recover(&self, recover: Recover) -> Result<Recovered, Error> {
        told!(self.ask(Asked::Recover(recover)).await?, Recovered)
    }

    /// The other master that leads, as voters told last; none if that is this one, or nobody.
    pub fn elsewhere(&self) -> Option<Leader> {
        self.route.as_ref().and_then(|route| route.elsewhere())
    }

    /// What the mover does; of scrubs the workers know.
    pub async fn tasks(&self) -> Result<Tasks, Error> {
        told!(self.ask(Asked::Tasks).await?, Tasks)
    }
}

/// Another master said what is no answer to the question.
pub(super) fn unexpected(told: &Told) -> Error {
    let kind = std::mem::discriminant(told);
    Error::Broken(format!("the leader gave another kind of answer: {kind:?}"))
}
