//! What the rest of a master asks of the leader, and what it answers: masters ask each other too.

pub use mdfs_protocol::ask::{
    BeginUpload, Begun, Bootstrap, Bootstrapped, CommitUpload, Copies, Delete, FileInfo, FileView,
    FindUpload, FoundUpload, KnownChunk, List, ListTrash, ListUploads, OpenSession, OpenUpload,
    Order, Page, Place, RecordChunk, Rename, SetLabels, Site, SitesOfRun, Token, TrashPage,
    TrashedFile, Undelete, UploadPage,
};
