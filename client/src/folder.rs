//! The folder of a local file.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::Path;

/// The folder that `path` is in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// Makes the name of the local file `path` durable, as after it was moved there. Where that cannot be,
/// as some file systems have no such thing and some folders may be written, not read, it does nothing.
///
/// # Errors
/// If the disk fails, or there is no such folder.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    let synced = File::open(folder_of(path)).and_then(|folder| folder.sync_all());
    match synced.as_ref().map_err(io::Error::kind) {
        Err(ErrorKind::InvalidInput | ErrorKind::Unsupported | ErrorKind::PermissionDenied) => {
            Ok(())
        }
        _ => synced,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_cannot_be_made_durable_is_no_failure() {
        let folder = tempfile::tempdir().unwrap();
        assert!(sync_folder(&folder.path().join("a")).is_ok());
        assert!(sync_folder(Path::new("a")).is_ok());
        // A file system without such a thing.
        assert!(sync_folder(Path::new("/proc/a")).is_ok());
        let missing = folder.path().join("none/a");
        assert_eq!(
            sync_folder(&missing).unwrap_err().kind(),
            ErrorKind::NotFound
        );
    }
}
