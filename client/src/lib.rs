//! Whoever calls an MDFS server uses this crate.
//!
//! [`Client`] is the public API for people's programs, [`link`] is how the servers of a cluster call
//! each other.
//!
//! ```no_run
//! use mdfs_client::{Client, ClientConfig, PutBody, PutOptions};
//!
//! # async fn example() -> Result<(), mdfs_client::Error> {
//! let config = ClientConfig::new("http://127.0.0.1:8080").with_token("the token");
//! let client = Client::new(config)?;
//! let stored = client
//!     .put("films/hello.txt", PutBody::bytes("hello"), &PutOptions::default())
//!     .await?;
//! let bytes = client.get("films/hello.txt").await?.bytes(1 << 20).await?;
//! assert_eq!(bytes.len() as u64, stored.size);
//! # Ok(())
//! # }
//! ```

mod answer;
mod client;
mod config;
mod download;
mod error;
pub mod link;
mod log_time;
mod name;
mod put;
mod put_file;
mod retry;
mod source;
mod trash;
mod upload;

pub use client::{Client, FileHead, ListOptions, Pager, Probe};
pub use config::ClientConfig;
pub use download::{Download, GetOptions};
pub use error::Error;
pub use put::PutOptions;
pub use put_file::PutFileOptions;
pub use source::PutBody;

#[cfg(test)]
mod tests;
