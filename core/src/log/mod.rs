//! The metadata log: stateless leaders (masters), stateful voters (workers).
//!
//! `Voter` and `Leader` are state machines: events in, effects out. What is sent between them is in
//! `message`.

pub mod message;
