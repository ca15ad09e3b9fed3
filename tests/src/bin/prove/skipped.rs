//! What a proof left out: whoever leaves something out has not proved it.

use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

/// The exit code of a proof that left something out; `cargo xtask` counts it as skipped.
const CODE: u8 = 77;

static NOTES: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Notes that this machine lacks what a part needs; the others go on.
pub(crate) fn note(what: impl Into<String>) {
    let mut notes = NOTES.lock().unwrap_or_else(PoisonError::into_inner);
    notes.push(what.into());
}

/// All that was left out, and what to end with; none if nothing was.
pub(crate) fn ended() -> Option<(String, ExitCode)> {
    let notes = NOTES.lock().unwrap_or_else(PoisonError::into_inner);
    (!notes.is_empty()).then(|| (notes.join("; "), ExitCode::from(CODE)))
}
