//! What an operator has to hear of a voter that answers.

use mdfs_core::log::message::Reply;
use mdfs_core::time::Timestamp;
use std::time::Duration;

/// How long nothing more is said: the leader asks all the time.
const SAID_ENOUGH: Duration = Duration::from_secs(10);

/// When it was last said that a leader counts on leases of another length.
#[derive(Debug, Default)]
pub(super) struct Warning(Option<Timestamp>);

impl Warning {
    /// Says that this voter is of no use to a leader, if so: somebody has to mend the settings.
    pub(super) fn look_at(&mut self, now: Timestamp, reply: &Reply) {
        let Reply::OtherLease {
            term, lease_millis, ..
        } = reply
        else {
            return;
        };
        if self.0.is_none_or(|at| now.since(at) >= SAID_ENOUGH) {
            self.0 = Some(now);
            tracing::error!(
                %term, lease_millis,
                "a leader counts on leases of another length than this worker's setting: refused"
            );
        }
    }
}
