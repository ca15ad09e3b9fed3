//! What MDFS servers and clients say to each other: wire types, routes, error codes.
//!
//! Everything that crosses the network is defined here and nowhere else. `public` is the HTTP API
//! for people and programs, `internal` is what servers say among themselves, `problem` is how an
//! error looks on either.

pub mod access;
pub mod ask;
pub mod date;
pub mod feed;
pub mod footers;
pub mod holdings;
pub mod internal;
pub mod link;
pub mod local;
pub mod order;
pub mod problem;
pub mod public;
pub mod recovery;
pub mod schema;
pub mod session;
pub mod token;
pub mod transfer;

#[cfg(test)]
mod tests;
