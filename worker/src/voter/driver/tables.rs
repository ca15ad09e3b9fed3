//! Where a voter's state is kept, as its driver sees it.

use crate::store;
use crate::voter::VoterStorage;
use mdfs_core::log::message::Record;
use mdfs_core::log::persist::Persist;
use std::fmt;

/// Where a voter keeps what must survive; blocking.
pub trait Tables: Send + 'static {
    /// Why a call failed.
    type Error: fmt::Display + Send;

    /// Carries out all of `batch` in order, each whole or not at all. Synced once, behind the last,
    /// if any of them asks for it.
    ///
    /// # Errors
    /// If any of it could not be written. Then nothing is known of what the tables hold.
    fn write(&mut self, batch: Vec<Persist>) -> Result<(), Self::Error>;

    /// Records of the table behind `after` in order of their keys, about `limit_bytes` and one at
    /// least, and whether there are more.
    ///
    /// # Errors
    /// If the table cannot be read.
    fn read(
        &self,
        after: Option<&[u8]>,
        limit_bytes: usize,
    ) -> Result<(Vec<Record>, bool), Self::Error>;
}

impl Tables for VoterStorage {
    type Error = store::Error;

    fn write(&mut self, batch: Vec<Persist>) -> store::Result<()> {
        let sync = batch.iter().any(|persist| persist.sync);
        let mut rest = batch.into_iter().peekable();
        while let Some(mut persist) = rest.next() {
            // One sync makes all that came before it durable, too.
            persist.sync = sync && rest.peek().is_none();
            self.persist(&persist)?;
        }
        Ok(())
    }

    fn read(&self, after: Option<&[u8]>, limit_bytes: usize) -> store::Result<(Vec<Record>, bool)> {
        self.page(after, limit_bytes)
    }
}
