//! The leader: the metadata in memory, and every decision about it.

mod affinity;
mod asked;
pub mod browse;
mod catalog;
pub mod command;
pub mod driver;
mod fleet;
pub mod following;
pub mod handle;
pub mod metadata;
mod mover;
mod progress;
mod refused;
pub mod route;
pub mod seeds;
pub mod survey;
mod trashed;
mod truth;
mod watched;
