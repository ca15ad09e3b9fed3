//! Who hangs up.

use super::{HostId, Net};

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
