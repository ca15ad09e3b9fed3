//! The routes of a worker: status, code and body of every answer that a caller relies on.

mod access;
mod chain;
mod chunks;
mod faults;
mod faulty;
mod log;
mod orders;
mod support;
