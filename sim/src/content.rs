//! What clients store: bytes that know which file they are of, and where in it.

use crate::client::Client;
use crate::history::History;
use crate::request::Answer;
use anyhow::{Context, Result, ensure};
use mdfs_tests::content::Content;

/// The bytes that say which content follows.
pub(crate) const HEAD: usize = 8;

impl Client {
    /// Looks at the bytes of an answer, which begin at `offset` of a file. The content they are of.
    pub(crate) fn judge(&self, name: &str, answer: &Answer, offset: u64) -> Option<u64> {
        let known = {
            let seen = self.history.lock();
            let number = answer.crc.and_then(|crc| seen.by_crc.get(&crc).copied());
            number.and_then(|number| Some((number, *seen.made.get(&number)?)))
        };
        let Some((number, length)) = known else {
            let text = format!("{name} has bytes that nobody stored: {:?}", answer.crc);
            self.trace.broken(text);
            return None;
        };
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let want = content(number, length);
        let want = want.get(from..).unwrap_or_default();
        let found = answer.body.as_slice();
        let right =
            want.starts_with(found) && (!answer.whole || offset > 0 || want.len() == found.len());
        if !right {
            let same = want.iter().zip(found).take_while(|(a, b)| a == b).count();
            let text = format!(
                "{name} of content {number:x} from {offset} on: {} of {} bytes, wrong from {same}",
                found.len(),
                want.len()
            );
            self.trace.broken(text);
        }
        Some(number)
    }
}

/// Looks at all bytes of a file.
///
/// # Errors
/// If nobody stored these.
pub(crate) fn check(history: &History, bytes: &[u8]) -> Result<()> {
    let head = bytes.first_chunk().context("shorter than a head")?;
    let number = u64::from_le_bytes(*head);
    let length = history.lock().made.get(&number).copied();
    let length = length.context("a content that nobody stored")?;
    ensure!(
        content(number, length) == bytes,
        "not what was stored as {number:x}"
    );
    Ok(())
}

/// A whole file: which content it is, then that content.
pub(crate) fn content(number: u64, length: u64) -> Vec<u8> {
    let length = usize::try_from(length).unwrap_or(HEAD);
    let mut bytes = number.to_le_bytes().to_vec();
    bytes.extend(Content::new(number).bytes(0, length.saturating_sub(HEAD)));
    bytes
}
