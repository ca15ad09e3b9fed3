//! Names that cannot all be files of one folder tree.

use mdfs_core::checksum::Blake3;
use std::collections::BTreeSet;
use std::path::Path;

/// Finds names that get in each other's way. Takes them in the order of their bytes.
#[derive(Debug)]
pub(super) struct Clashes {
    /// Earlier names that the one at hand begins with: names with the same beginning follow each other.
    beginnings: Vec<String>,
    /// What was seen, by the hash of its lower case, where the file system does not tell cases apart.
    seen: Option<BTreeSet<[u8; 16]>>,
}

impl Clashes {
    /// For a file system that tells upper from lower case, or does not.
    pub(super) fn new(tells_cases: bool) -> Self {
        Self {
            beginnings: Vec::new(),
            seen: (!tells_cases).then(BTreeSet::new),
        }
    }

    /// Why the next name cannot be a file, if an earlier one is.
    pub(super) fn next(&mut self, name: &str) -> Option<String> {
        while self
            .beginnings
            .last()
            .is_some_and(|one| !name.starts_with(one.as_str()))
        {
            self.beginnings.pop();
        }
        let is_folder = |one: &&String| name.as_bytes().get(one.len()) == Some(&b'/');
        if let Some(file) = self.beginnings.iter().find(is_folder) {
            return Some(format!("{file:?} is a file, so it cannot be a folder too"));
        }
        if let Some(seen) = &mut self.seen {
            let Blake3(hash) = Blake3::of(name.to_lowercase().as_bytes());
            let half = hash.first_chunk().copied().unwrap_or_default();
            if !seen.insert(half) {
                return Some("another name differs in upper and lower case alone".to_owned());
            }
        }
        self.beginnings.push(name.to_owned());
        None
    }
}

/// Whether the file system of `folder` tells upper from lower case.
///
/// # Errors
/// If nothing can be written there.
pub(super) fn tells_cases(folder: &Path) -> std::io::Result<bool> {
    // Drawn at random, so that nobody can have put something there.
    let name = format!(
        ".mdfs-{:016x}.part",
        getrandom::u64().map_err(std::io::Error::other)?
    );
    let lower = folder.join(&name);
    drop(std::fs::File::create_new(&lower)?);
    let tells = !folder.join(name.to_uppercase()).exists();
    std::fs::remove_file(lower)?;
    Ok(tells)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(tells_cases: bool, names: &[&str], refused: &[&str]) {
        let mut names = names.to_vec();
        names.sort_unstable();
        let mut clashes = Clashes::new(tells_cases);
        names.retain(|name| clashes.next(name).is_some());
        assert_eq!(names, refused);
    }

    #[test]
    fn a_file_is_no_folder_whatever_stands_between() {
        check(
            true,
            &["a", "a!b", "a.c", "a/b", "a/b/c", "a0", "b/a"],
            &["a/b", "a/b/c"],
        );
        check(true, &["a/b", "a/b.c", "a/b/c", "a/c"], &["a/b/c"]);
        check(true, &["a", "A", "B/x", "b/X"], &[]);
    }

    #[test]
    fn names_that_differ_by_case_clash_where_cases_are_not_told_apart() {
        check(false, &["a", "A", "B/x", "b/X", "c"], &["a", "b/X"]);
        check(false, &["Ä", "ä"], &["ä"]);
    }

    #[test]
    fn a_file_system_is_asked_and_left_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        tells_cases(folder.path()).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
