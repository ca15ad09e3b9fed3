//! `mdfs put -r` and `mdfs get -r`: whole folders, and only what is not there already.
//!
//! Both go through names in their order, a page or a folder at a time, so memory does not grow with
//! the number of files. One file that fails is told of and does not stop the others; what would fail
//! for all of them does.

mod clash;
mod down;
mod place;
mod stamp;
mod tally;
mod up;
mod walk;

pub(crate) use down::get_tree;
pub(crate) use up::{PutTree, put_tree};

use crate::error::CliError;
use clap::Args;
use mdfs_client::Error as ClientError;
use mdfs_protocol::problem::Code;

/// What `put` and `get` take for folders
#[derive(Clone, Debug, Args)]
pub(crate) struct TreeArgs {
    /// A whole folder: what is there already, by size and time of change, is skipped
    #[arg(short, long)]
    pub(crate) recursive: bool,
    /// Files under way at a time
    #[arg(short, long, value_name = "COUNT", default_value_t = 4, requires = "recursive",
        value_parser = clap::value_parser!(u8).range(1..=64))]
    jobs: u8,
    /// Compare contents, not times: what is there is read and compared by its BLAKE3 hash
    #[arg(long, requires = "recursive")]
    checksum: bool,
    /// Only say which files would go
    #[arg(long, requires = "recursive")]
    dry_run: bool,
}

/// Why one file did not go.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    /// What a single `put` or `get` may meet.
    #[error(transparent)]
    Command(#[from] CliError),
    /// This file cannot go this way.
    #[error("{0}")]
    Refused(String),
}

impl From<ClientError> for Trouble {
    fn from(error: ClientError) -> Self {
        Self::Command(error.into())
    }
}

impl Trouble {
    /// Whether all other files would meet the same.
    fn is_for_all(&self) -> bool {
        match self {
            Self::Command(CliError::Client(error)) => match error {
                ClientError::Unreachable { .. } | ClientError::Config(_) => true,
                error => error.is_transient() || error.code().is_some_and(stops_all),
            },
            Self::Command(CliError::File { source, .. }) => {
                source.kind() == std::io::ErrorKind::StorageFull
            }
            Self::Command(_) | Self::Refused(_) => false,
        }
    }
}

fn stops_all(code: Code) -> bool {
    matches!(
        code,
        Code::Unauthorized | Code::TooManyFailures | Code::TooManyUploads | Code::NoSpace
    )
}

/// A folder of names as a prefix of them: empty for all names, else with a slash at its end.
fn as_prefix(folder: &str) -> String {
    match folder.trim_end_matches('/') {
        "" => String::new(),
        folder => format!("{folder}/"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_a_prefix_with_one_slash() {
        for (folder, prefix) in [("", ""), ("/", ""), ("a", "a/"), ("a/b/", "a/b/")] {
            assert_eq!(as_prefix(folder), prefix);
        }
    }
}
