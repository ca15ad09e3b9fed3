//! What tests and proofs share: a cluster of real processes, clients that check every byte, films.
//!
//! Everything here sees MDFS from outside, through its program, its HTTP API and its disks, as
//! people and players do. No package of the workspace is called.

pub mod api;
pub mod bare;
pub mod chance;
pub mod command;
pub mod content;
pub mod dev_cluster;
pub mod disks;
pub mod film;
pub mod history;
pub mod http;
pub mod isolation;
pub mod kube;
pub mod linear;
pub mod network;
pub mod nginx;
pub mod pages;
pub mod players;
pub mod process;
pub mod program;
pub mod prometheus;
pub mod proxy;
pub mod readme;
pub mod transfer;
pub mod wait;
pub mod walker;
