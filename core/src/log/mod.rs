//! The metadata log: stateless leaders (masters), stateful voters (workers).
//!
//! [`voter::Voter`] and [`leader::Leader`] are state machines: events in, effects out. What is sent
//! between them is in [`message`], what a voter keeps on its disk in [`persist`]. Their drivers
//! keep two rules: an answer leaves a voter only after what it states is durable, and a machine
//! that reports a [`violation::Violation`] is never stepped again.

mod entries;
pub mod feed;
pub mod leader;
pub mod membership;
pub mod message;
#[doc(hidden)]
pub mod mutant;
pub mod persist;
pub mod table;
pub mod violation;
pub mod voter;

pub use entries::Window;
