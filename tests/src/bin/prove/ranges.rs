//! Random ranges of one file, read and compared until told to stop.

use anyhow::Result;
use mdfs_tests::chance::Chance;
use mdfs_tests::content::Content;
use mdfs_tests::http::Connection;
use mdfs_tests::transfer::get_range;
use mdfs_tests::wait::now;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The file that is read.
#[derive(Clone, Debug)]
pub(crate) struct File {
    /// Where the API is.
    pub(crate) url: String,
    /// The token.
    pub(crate) token: String,
    /// The file's name.
    pub(crate) name: String,
    /// What it holds.
    pub(crate) content: Content,
    /// How many bytes of that.
    pub(crate) length: u64,
}

/// What reading saw.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    /// Ranges read, all of them right.
    pub(crate) ranges: u64,
    /// The longest that one took.
    pub(crate) slowest: Duration,
}

/// Reads one range of a random place and size up to `most` bytes.
///
/// # Errors
/// If it cannot be read, or differs.
pub(crate) fn read_one(
    connection: &mut Connection,
    file: &File,
    chance: &mut Chance,
    most: u64,
) -> Result<()> {
    let offset = chance.within(0, file.length);
    let length = chance.within(1, most.min(file.length - offset) + 1);
    get_range(connection, &file.name, file.content, offset, length)
}

/// Reads ranges on one connection until `stop`; the least is one.
///
/// # Errors
/// If one cannot be read, or differs.
pub(crate) fn read_until(file: &File, seed: u64, stop: &AtomicBool) -> Result<Seen> {
    let mut connection = Connection::open(&file.url, Some(&file.token))?;
    let mut chance = Chance::new(seed);
    let mut seen = Seen::default();
    loop {
        let started = now();
        read_one(&mut connection, file, &mut chance, 256 * 1024)?;
        seen.ranges += 1;
        seen.slowest = seen.slowest.max(started.elapsed());
        if stop.load(Ordering::Relaxed) {
            return Ok(seen);
        }
    }
}
