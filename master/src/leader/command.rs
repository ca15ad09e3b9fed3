//! What the rest of a master asks of the leader, and what it answers: masters ask each other too.

pub use mdfs_protocol::ask::{
    BeginUpload, Begun, Bootstrap, Bootstrapped, Browse, Browsed, BrowsedFile, By, CommitUpload,
    Copies, Delete, FileInfo, FileView, FindUpload, FoundUpload, Import, ImportStep, KnownChunk,
    Line, List, ListTrash, ListUploads, OpenSession, OpenUpload, Order, Page, Place, RecordChunk,
    Rename, SetLabels, Site, SitesOfRun, Sorted, Token, TrashPage, TrashedFile, Undelete,
    UploadPage,
};

use mdfs_core::id::Term;
use mdfs_core::log::table::Table;
use mdfs_core::records::ClusterRecord;
use mdfs_core::time::LogTime;

/// All records at one point of the log. Given out by the leader's own process only: it shares its
/// pages with the leader's table.
#[derive(Clone, Debug)]
pub struct Export {
    /// The records.
    pub table: Table,
    /// The cluster.
    pub cluster: ClusterRecord,
    /// The index up to which they have everything.
    pub index: u64,
    /// The log time.
    pub log_time: LogTime,
    /// The leader's term.
    pub term: Term,
}
