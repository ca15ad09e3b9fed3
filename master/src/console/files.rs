//! Where the files come from.

use super::Console;
use std::sync::Arc;

/// The console as it is now; none if there are no files of it.
#[cfg(console_inside)]
pub(crate) fn current() -> Option<Arc<Console>> {
    use bytes::Bytes;
    use std::sync::LazyLock;

    static INSIDE: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/console.rs"));
    static CONSOLE: LazyLock<Option<Arc<Console>>> = LazyLock::new(|| {
        let file =
            |(path, bytes): &(&str, &'static [u8])| ((*path).to_owned(), Bytes::from_static(bytes));
        Console::new(INSIDE.iter().map(file)).map(Arc::new)
    });
    CONSOLE.clone()
}

/// The console as it is now; none if there are no files of it. Reads them again once one has changed.
#[cfg(not(console_inside))]
pub(crate) fn current() -> Option<Arc<Console>> {
    on_disk::current()
}

#[cfg(not(console_inside))]
mod on_disk {
    use super::super::Console;
    use bytes::Bytes;
    use std::path::{Path, PathBuf};
    use std::sync::{Arc, Mutex, PoisonError};
    use std::time::SystemTime;

    const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/console");

    type Known = Vec<(PathBuf, SystemTime, u64)>;

    static CONSOLE: Mutex<Option<(Known, Arc<Console>)>> = Mutex::new(None);

    pub(super) fn current() -> Option<Arc<Console>> {
        let mut found = Known::new();
        gather(Path::new(FOLDER), &mut found).ok()?;
        found.sort();
        let mut known = CONSOLE.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((as_of, console)) = &*known
            && *as_of == found
        {
            return Some(Arc::clone(console));
        }
        let read = |(path, _, _): &(PathBuf, SystemTime, u64)| {
            let name = path.strip_prefix(FOLDER).ok()?.to_str()?.to_owned();
            Some((name, Bytes::from(std::fs::read(path).ok()?)))
        };
        let console = Arc::new(Console::new(found.iter().filter_map(read))?);
        *known = Some((found, Arc::clone(&console)));
        Some(console)
    }

    fn gather(folder: &Path, files: &mut Known) -> std::io::Result<()> {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let known = entry.metadata()?;
            if known.is_dir() {
                gather(&entry.path(), files)?;
            } else {
                files.push((entry.path(), known.modified()?, known.len()));
            }
        }
        Ok(())
    }
}
