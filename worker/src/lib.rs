//! .

pub mod disk;
pub mod store;
pub mod voter;
