//! Standard input and output for bulk bytes.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

/// The stream behind `handle`, in large pieces and without the buffer that `std` puts before it.
///
/// # Errors
/// If it is closed, or too many files are open.
pub(crate) fn unbuffered(handle: impl AsFd) -> io::Result<tokio::fs::File> {
    let mut file = tokio::fs::File::from_std(File::from(handle.as_fd().try_clone_to_owned()?));
    file.set_max_buf_size(1 << 20);
    Ok(file)
}
