//! What the rest of a master asks of the leader, and what the leader answers: in one process or from
//! another. Postcard; see [`crate::internal`].

mod board;
mod browse;
mod commands;
mod refused;
mod uploads;

pub use board::{EventsAfter, Traffic};
pub use browse::{Browse, Browsed, BrowsedFile, By, Line, Sorted};
pub use commands::{
    Bootstrap, Bootstrapped, Delete, FileInfo, FileView, Import, ImportStep, List, ListTrash,
    Order, Page, Rename, SetLabels, SitesOfRun, Token, TrashPage, TrashedFile, Undelete,
};
pub use refused::Refused;
pub use uploads::{
    BeginUpload, Begun, CommitUpload, Copies, FindUpload, FoundUpload, KnownChunk, ListUploads,
    OpenSession, OpenUpload, Place, RecordChunk, Site, UploadPage,
};

use crate::internal::Leader;
use crate::public::{Policy, Recover, Recovered, Status, Tasks, Workers};
use mdfs_core::chunk::ChunkId;
use mdfs_core::format::Formats;
use mdfs_core::id::{FileId, TokenId};
use mdfs_core::name::FileName;
use mdfs_core::records::TokenRecord;
use mdfs_core::records::plan::{ImportResult, PolicyChange};
use serde::{Deserialize, Serialize};

/// `POST` [`Asked`] to a master: one question, as another master would ask its own leader. Answers
/// [`Told`]; postcard both ways. Whoever is asked answers by itself, and asks nobody else.
pub const ASK: &str = "/internal/v1/ask";

/// One question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Asked {
    /// Opens an upload. Answers [`Told::Begun`].
    BeginUpload(Box<BeginUpload>),
    /// Where a chunk goes. Answers [`Told::Sites`].
    Place(Place),
    /// A chunk of a session is durable. Answers [`Told::Done`].
    RecordChunk(RecordChunk),
    /// What is known of a session. Answers [`Told::Upload`].
    FindUpload(FindUpload),
    /// Which sessions are open. Answers [`Told::Uploads`].
    ListUploads(ListUploads),
    /// Makes an upload a file. Answers [`Told::File`].
    CommitUpload(CommitUpload),
    /// Ends an upload without a file. Answers [`Told::Done`].
    AbortUpload(FileId),
    /// What a name stands for. Answers [`Told::View`].
    Lookup(FileName),
    /// A page of names. Answers [`Told::Page`].
    List(List),
    /// Moves a file to the trash. Answers [`Told::Done`].
    Delete(Delete),
    /// Removes a file for good. Answers [`Told::Done`].
    Purge(Delete),
    /// Brings a file back from the trash. Answers [`Told::File`].
    Undelete(Undelete),
    /// A page of the trash. Answers [`Told::Trash`].
    ListTrash(ListTrash),
    /// Moves a file to another name. Answers [`Told::File`].
    Rename(Rename),
    /// Changes what is said of a file. Answers [`Told::File`].
    SetLabels(Box<SetLabels>),
    /// Starts the cluster. Answers [`Told::Bootstrapped`].
    Bootstrap(Bootstrap),
    /// What an administrator orders. Answers [`Told::Done`].
    Order(Order),
    /// What is known of a token. Answers [`Told::Token`].
    Token(TokenId),
    /// All tokens. Answers [`Told::Tokens`].
    Tokens,
    /// Adds a token. Answers [`Told::Done`].
    AddToken(Box<Token>),
    /// Ends a token. Answers [`Told::Revoked`].
    RevokeToken(TokenId),
    /// The state of the cluster. Answers [`Told::Status`].
    Status,
    /// The members. Answers [`Told::Workers`].
    Workers,
    /// What the mover does. Answers [`Told::Tasks`].
    Tasks,
    /// The policy. Answers [`Told::Policy`].
    Policy,
    /// Changes the policy. Answers [`Told::Policy`].
    ChangePolicy(PolicyChange),
    /// A master that follows says that it is there. Answers [`Told::Done`].
    Hello(Hello),
    /// Takes in some files of an export. Answers [`Told::Imported`].
    Import(Import),
    /// Rebuilds the log without voters that are lost. Answers [`Told::Recovered`].
    Recover(Recover),
    /// A page of names for people. Answers [`Told::Browsed`].
    Browse(Browse),
    /// What goes on, for another master that shows it. Answers [`Told::Json`].
    Events(EventsAfter),
    /// The figures of so many minutes. Answers [`Told::Json`].
    History(u64),
    /// What a master that follows has moved. Answers [`Told::Done`].
    Traffic(Traffic),
    /// Who may have a chunk, whether they should or not: every member but those that hold nothing of its
    /// partition, as is known, and should hold nothing. Live ones come first. Answers [`Told::Sites`].
    WhoMayHave(ChunkId),
}

/// What a master that follows says of itself, once a second.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Where workers, other masters and clients reach it.
    pub url: String,
    /// The versions that it knows of what the log and its records may hold.
    pub formats: Formats,
    /// The version of the program.
    pub version: String,
}

impl Asked {
    /// Whether it may be asked again when its answer was lost: it changes nothing, or the second time
    /// is recognised and changes nothing more, whatever others did in between.
    pub fn is_repeatable(&self) -> bool {
        match self {
            // What was begun and is not known to whoever asked holds nothing, and ends by itself.
            Asked::BeginUpload(begin) => begin.request.is_some() || begin.session.is_none(),
            Asked::Delete(delete) | Asked::Purge(delete) => delete.request.is_some(),
            Asked::Undelete(undelete) => undelete.request.is_some(),
            Asked::Rename(rename) => rename.request.is_some(),
            Asked::SetLabels(set) => set.request.is_some(),
            Asked::Order(_)
            | Asked::AddToken(_)
            | Asked::RevokeToken(_)
            | Asked::ChangePolicy(_)
            // Others may have taken the names since.
            | Asked::Import(_) => false,
            // The second time it is done, or nothing is to be done.
            Asked::Recover(_) => true,
            Asked::Place(_)
            | Asked::RecordChunk(_)
            | Asked::FindUpload(_)
            | Asked::ListUploads(_)
            | Asked::CommitUpload(_)
            | Asked::AbortUpload(_)
            | Asked::Lookup(_)
            | Asked::WhoMayHave(_)
            | Asked::List(_)
            | Asked::ListTrash(_)
            | Asked::Bootstrap(_)
            | Asked::Token(_)
            | Asked::Tokens
            | Asked::Status
            | Asked::Workers
            | Asked::Tasks
            | Asked::Policy
            | Asked::Browse(_)
            | Asked::Events(_)
            | Asked::History(_)
            | Asked::Traffic(_)
            | Asked::Hello(_) => true,
        }
    }
}

/// What a question is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Told {
    /// It is done, or begun.
    Done,
    /// An upload was opened, or was committed before.
    Begun(Box<Begun>),
    /// Where a chunk goes, or may be.
    Sites(Vec<Site>),
    /// A session.
    Upload(Box<FoundUpload>),
    /// Sessions.
    Uploads(UploadPage),
    /// A file.
    File(Box<FileInfo>),
    /// A file and where its bytes are.
    View(Box<FileView>),
    /// Names.
    Page(Page),
    /// Files in the trash.
    Trash(TrashPage),
    /// The cluster that was started.
    Bootstrapped(Bootstrapped),
    /// A token, if there is one.
    Token(Option<Box<TokenRecord>>),
    /// A token that was ended.
    Revoked(Box<TokenRecord>),
    /// All tokens.
    Tokens(Vec<Token>),
    /// The state of the cluster.
    Status(Box<Status>),
    /// The members.
    Workers(Workers),
    /// What the mover does.
    Tasks(Tasks),
    /// The policy.
    Policy(Policy),
    /// The leader says no: that is the answer.
    Refused(Refused),
    /// Whoever was asked does not lead, and has done nothing.
    NotLeader {
        /// Who leads instead, as far as it knows.
        hint: Option<Leader>,
    },
    /// What came of an import.
    Imported(ImportResult),
    /// What became of lost voters, or would.
    Recovered(Recovered),
    /// Names, searched and sorted.
    Browsed(Browsed),
    /// What masters of the same version understand.
    Json(Vec<u8>),
}

#[cfg(test)]
pub(crate) mod tests;
