//! What masters say of the disk since it was mounted.

use crate::error::Error;
use tokio::sync::watch;

/// Whether a leader accepts the disk.
#[derive(Debug)]
pub(crate) struct Verdict {
    said: watch::Sender<Said>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    /// No leader has accepted it, no master has refused it.
    Nothing,
    /// A leader accepts it.
    Accepted,
    /// A master refuses it, and no leader has ever accepted it.
    Refused,
    /// A leader accepted it once, and a master refuses it.
    Disputed,
}

impl Verdict {
    pub(crate) fn new() -> Self {
        Self {
            said: watch::Sender::new(Said::Nothing),
        }
    }

    /// A leader accepted the disk as it is.
    pub(crate) fn accept(&self) {
        self.set(|_| Said::Accepted);
    }

    /// A master refused the disk.
    pub(crate) fn refuse(&self) {
        self.set(|before| match before {
            Said::Nothing | Said::Refused => Said::Refused,
            Said::Accepted | Said::Disputed => Said::Disputed,
        });
    }

    fn set(&self, word: impl Fn(Said) -> Said) {
        self.said.send_if_modified(|said| {
            let before = *said;
            *said = word(before);
            *said != before
        });
    }

    /// Whether the last word was that a leader accepts the disk.
    pub(crate) fn is_accepted(&self) -> bool {
        *self.said.borrow() == Said::Accepted
    }

    /// Waits until the last word is that a leader accepts the disk.
    ///
    /// # Cancel safety
    /// May be dropped.
    pub(crate) async fn until_accepted(&self) {
        let mut said = self.said.subscribe();
        // Ends only with the sender, which is here.
        let _ = said.wait_for(|said| *said == Said::Accepted).await;
    }

    /// Whether others may have chunks on the disk changed. Not if it was refused since it was mounted: it
    /// may be an old copy, or one that was retired and came back. One that a leader accepted before that is
    /// neither: it was retired just now, or a master of another cluster refuses it.
    ///
    /// # Errors
    /// [`Error::DiskRefused`] if it may not.
    pub(crate) fn check_writable(&self) -> Result<(), Error> {
        match *self.said.borrow() {
            Said::Refused => Err(Error::DiskRefused),
            Said::Nothing | Said::Accepted | Said::Disputed => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_left_as_it_is_from_its_refusal_until_a_leader_accepts_it() {
        let verdict = Verdict::new();
        assert!(verdict.check_writable().is_ok());
        verdict.refuse();
        verdict.refuse();
        assert!(verdict.check_writable().is_err());
        assert!(!verdict.is_accepted());
        verdict.accept();
        assert!(verdict.check_writable().is_ok());
        assert!(verdict.is_accepted());
    }

    #[test]
    fn a_refusal_by_others_stops_no_write_to_a_disk_that_a_leader_accepted() {
        let verdict = Verdict::new();
        verdict.accept();
        for _ in 0..2 {
            verdict.refuse();
            assert!(verdict.check_writable().is_ok());
            assert!(!verdict.is_accepted());
        }
    }
}
