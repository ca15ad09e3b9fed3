//! Progress on a terminal: rate and time left, on stderr, never among the data.

use crate::output::shown;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{self, IsTerminal};

/// A bar for a transfer named `name`, of `total` bytes if that is known. Shows nothing when `quiet`
/// or when stderr is not a terminal.
pub(crate) fn bar(name: &str, total: Option<u64>, quiet: bool) -> ProgressBar {
    if quiet || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let (bar, template) = match total {
        Some(total) => (
            ProgressBar::new(total),
            "{msg}  {percent:>3}% [{bar:30}] {binary_bytes}/{binary_total_bytes}  \
             {binary_bytes_per_sec}  ETA {eta}",
        ),
        None => (
            ProgressBar::new_spinner(),
            "{msg}  {spinner} {binary_bytes}  {binary_bytes_per_sec}",
        ),
    };
    // The templates are constant; a plain bar does no harm.
    let style = ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ");
    bar.with_style(style).with_message(shown(name).into_owned())
}
