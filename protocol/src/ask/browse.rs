//! Pages of names for people: searched, sorted, and with what is known of their copies.

use super::FileInfo;
use serde::{Deserialize, Serialize};

/// Asks for one page.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Browse {
    /// Names start with this.
    pub prefix: String,
    /// Names that go on after the prefix past this are shown as one folder.
    pub delimiter: Option<char>,
    /// What stands behind the prefix has this in it, in any case of letters; in lower case.
    pub search: Option<String>,
    /// What comes first.
    pub order: Sorted,
    /// `next` of the page before.
    pub after: Option<Line>,
    /// At most so many files and folders together, 1 to 1000.
    pub limit: usize,
}

/// What comes first on a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sorted {
    /// What is compared. If that is not names alone, folders come before files.
    pub by: By,
    /// Whether the largest comes first.
    pub falling: bool,
}

/// What is compared; names where that is equal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum By {
    /// The bytes of names.
    #[default]
    Name,
    /// Bytes in files.
    Size,
    /// When versions were committed.
    Modified,
}

/// One page.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Browsed {
    /// Files, in the order that was asked for.
    pub files: Vec<BrowsedFile>,
    /// Folders, each ending in the delimiter.
    pub folders: Vec<String>,
    /// `after` of the next page.
    pub next: Option<Line>,
}

/// A line of such a page: where the next one goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Whether it is a file, and no folder.
    pub is_file: bool,
    /// What is compared before names; zero if that is nothing.
    pub rank: u64,
    /// The name.
    pub name: String,
}

/// A file on a page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrowsedFile {
    /// The file.
    pub info: FileInfo,
    /// Good reachable copies of the chunk that has the fewest; none if that is not known now.
    pub good: Option<u8>,
}
