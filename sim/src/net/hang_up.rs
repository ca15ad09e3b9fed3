//! Who hangs up.

use super::{HostId, Net};
use tokio_util::sync::CancellationToken;

/// Ends the connection unless it is disarmed.
pub(super) struct HangUp<'a> {
    pub(super) net: &'a Net,
    pub(super) from: HostId,
    pub(super) to: HostId,
    pub(super) armed: bool,
}

impl HangUp<'_> {
    pub(super) fn disarm(mut self) {
        self.armed = false;
    }
}

impl Drop for HangUp<'_> {
    fn drop(&mut self) {
        if self.armed && self.net.passes(self.from, self.to) {
            self.net.hang_up(self.from, self.to);
        }
    }
}

impl Net {
    /// Ends the connection.
    fn hang_up(&self, from: HostId, to: HostId) {
        let mut state = self.lock();
        let path = state.path(from, to);
        path.closed.cancel();
        path.closed = CancellationToken::new();
    }
}
