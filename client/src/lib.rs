//! The client of MDFS, a replicated store for large media files.
//!
//! [`Client`] is the API for people's programs: files go in and out, whole, in parts and as streams.
//! This page is its five-minute course. ([`link`] is how the servers of a cluster call each other, and
//! of no use to anybody else.)
//!
//! # Connect, store, read
//! A client knows where masters are, and has a token. It connects when it first has to; a clone shares
//! its connections, so one serves a whole program.
//!
//! ```no_run
//! use mdfs_client::{Client, ClientConfig, PutBody, PutOptions};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let token = std::fs::read_to_string("mdfs-data/root-token")?;
//! let client = Client::new(ClientConfig::new("http://127.0.0.1:8080").with_token(token))?;
//!
//! // Once this returns, every copy would survive a power cut.
//! let body = PutBody::bytes("hello");
//! let stored = client.put("notes/hello.txt", body, &PutOptions::default()).await?;
//!
//! // At most 1 MiB is held here; what is larger is read piece by piece.
//! let bytes = client.get("notes/hello.txt").await?.bytes(1 << 20).await?;
//! assert_eq!(bytes.len() as u64, stored.size);
//! # Ok(())
//! # }
//! ```
//!
//! # Which call for what
//! | to | call |
//! |---|---|
//! | store bytes, a stream, a pipe | [`Client::put`] with a [`PutBody`] |
//! | store a large local file, and go on after an interruption | [`Client::put_file`] |
//! | store chunks in any order, from anywhere | [`Client::begin_upload`], [`Client::put_chunk`], [`Client::commit_upload`] |
//! | read a file, or a range of it, as it arrives | [`Client::get`], [`Client::get_part`], [`Download::next`], [`Download::into_stream`] |
//! | fetch a large file into a local one, many parts at a time | [`Client::get_file`] |
//! | know of a file | [`Client::stat`], [`Client::replicas`], [`Client::verify`] |
//! | list names | [`Client::files`] one by one, [`Client::pages`] with folders |
//! | rename, delete, bring back | [`Client::rename`], [`Client::delete`], [`Client::undelete`], [`Client::trash`] |
//! | let others in | [`Client::sign`], [`Client::create_token`] |
//! | run a cluster | [`Client::status`], [`Client::workers`], [`Client::drain`], [`Client::policy`] and their neighbours |
//! | recover what a disaster left | [`Client::recover`], [`Client::search_remains`], [`Client::finish_recovery`] |
//! | keep all records elsewhere | [`Client::export`], [`Client::import`] |
//! | keep all records elsewhere | [`Client::export`], [`Client::import`] |
//!
//! What goes in and comes out as a document is in [`api`].
//!
//! # Several masters
//! Any master will do: one leads, the others forward. Give the client all of them; when one cannot
//! answer, the next is asked.
//!
//! ```
//! use mdfs_client::ClientConfig;
//! use std::time::Duration;
//!
//! let mut config = ClientConfig::new("http://master-0:8080").with_url("http://master-1:8080");
//! config.retry_for = Duration::from_secs(30);
//! ```
//!
//! # What is tried again
//! A call that may safely come twice is tried again while the failure is one that passes
//! ([`Error::is_transient`]): for [`ClientConfig::retry_for`] after the first failure, and until each
//! master was asked once, after pauses of 50 ms that grow to a second, each shortened by chance to as
//! little as a half so that many clients do not come back at once. A master that is silent for
//! [`ClientConfig::stall`] has failed; an upload may take as long as it needs. Deletions, renames and uploads of bytes and files carry an id by which the cluster knows a
//! repeated one and gives it the first answer; what can neither be recognised nor sent again, such
//! as a pipe, is not. A [`Download`] goes on at the byte where its connection broke off, with the same
//! version of the file; the time without progress counts.
//!
//! # Errors
//! All calls fail with an [`Error`]: what the cluster refused has a [`Code`], a stable word to match.
//!
//! ```no_run
//! use mdfs_client::{Client, Code, Error};
//!
//! # async fn example(client: &Client) -> Result<(), Error> {
//! match client.stat("films/a.mkv").await {
//!     Ok(head) => println!("{} bytes", head.size),
//!     Err(error) if error.code() == Some(Code::FileNotFound) => println!("there is none"),
//!     Err(error) if error.is_transient() => println!("not now: {error}"),
//!     Err(error) => return Err(error),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Cancelling
//! Every future here may be dropped, as by a timeout; what that leaves is said at each call under
//! *Cancel safety*. In short: what reads changes nothing, and what changes something takes effect whole
//! or not at all.

mod answer;
mod client;
mod config;
mod download;
mod error;
mod folder;
mod get_file;
pub mod link;
mod listing;
mod log_time;
mod name;
mod put;
mod put_file;
mod recovery;
mod retry;
mod shown;
mod silence;
mod source;
mod transfer;
mod trash;
mod upload;

pub use bytes::Bytes;
pub use client::{Client, FileHead, Probe};
pub use config::ClientConfig;
pub use download::{Download, GetOptions};
pub use error::Error;
pub use folder::sync_folder;
pub use get_file::GetFileOptions;
pub use listing::{ListOptions, Pager};
pub use mdfs_core::access::{Role, Roles};
pub use mdfs_core::checksum::{Blake3, Crc32};
pub use mdfs_core::id::{DiskId, FileId, TokenId};
pub use mdfs_protocol::link::LinkMethod;
pub use mdfs_protocol::problem::Code;
pub use mdfs_protocol::public as api;
pub use put::PutOptions;
pub use put_file::PutFileOptions;
pub use recovery::Search;
pub use shown::without_user;
pub use source::PutBody;
pub use transfer::{Export, ImportOptions};

#[cfg(test)]
mod tests;
