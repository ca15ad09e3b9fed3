//! Going through a local folder in the order of names.

use mdfs_core::name::FileName;
use std::ffi::OsString;
use std::fs::{self, DirEntry, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What is in a folder.
#[derive(Debug)]
pub(super) enum Found {
    /// A regular file, and the name it is to have.
    File { name: FileName, path: PathBuf },
    /// What is left out on purpose, and why.
    Left { path: PathBuf, why: &'static str },
    /// What should go and cannot, and why.
    Failed { path: PathBuf, why: String },
}

/// Goes through `folder` and tells `tell` of everything in it, in the byte order of names, until that
/// says that it has enough. Holds one list of names for each folder on the way down.
pub(super) fn walk(
    folder: &Path,
    prefix: &str,
    follow: bool,
    tell: &mut impl FnMut(Found) -> bool,
) -> bool {
    let mut above = Vec::new();
    enter(folder, prefix, follow, &mut above, tell)
}

/// Something in a folder: its name, and a slash if it is a folder, which is what the order goes by.
struct Entry {
    key: OsString,
    path: PathBuf,
    kind: Kind,
}

enum Kind {
    File,
    Folder,
    Left(&'static str),
    Failed(io::Error),
}

fn enter(
    folder: &Path,
    prefix: &str,
    follow: bool,
    above: &mut Vec<(u64, u64)>,
    tell: &mut impl FnMut(Found) -> bool,
) -> bool {
    let failed = |path: &Path, why: String| Found::Failed {
        path: path.to_owned(),
        why,
    };
    let listed =
        fs::metadata(folder).and_then(|metadata| Ok((identity(&metadata), list(folder, follow)?)));
    let (identity, entries) = match listed {
        Ok(listed) => listed,
        Err(error) => return tell(failed(folder, error.to_string())),
    };
    if above.contains(&identity) {
        return tell(failed(
            folder,
            "the link leads to a folder above it".to_owned(),
        ));
    }
    above.push(identity);
    for Entry { key, path, kind } in entries {
        let goes_on = match kind {
            Kind::Left(why) => tell(Found::Left { path, why }),
            Kind::Failed(error) => tell(failed(&path, error.to_string())),
            Kind::File | Kind::Folder => match (named(prefix, &key), kind) {
                (Err(why), Kind::Folder) => tell(failed(
                    &path,
                    format!("nothing in this folder can go: {why}"),
                )),
                (Err(why), _) => tell(failed(&path, why)),
                (Ok(name), Kind::Folder) => {
                    let prefix = format!("{}/", name.as_str());
                    enter(&path, &prefix, follow, above, tell)
                }
                (Ok(name), _) => tell(Found::File { name, path }),
            },
        };
        if !goes_on {
            return false;
        }
    }
    above.pop();
    true
}

fn named(prefix: &str, key: &OsString) -> Result<FileName, String> {
    let own = key.to_str().ok_or("the name is not UTF-8")?;
    let name = format!("{prefix}{}", own.trim_end_matches('/'));
    FileName::parse(&name).map_err(|why| why.to_string())
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

fn list(folder: &Path, follow: bool) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder)? {
        entries.push(looked_at(&entry?, follow));
    }
    entries.sort_by(|one, other| one.key.cmp(&other.key));
    Ok(entries)
}

fn looked_at(entry: &DirEntry, follow: bool) -> Entry {
    let (mut key, path) = (entry.file_name(), entry.path());
    let kind = kind(entry, &path, follow).unwrap_or_else(Kind::Failed);
    if matches!(kind, Kind::Folder) {
        key.push("/");
    }
    Entry { key, path, kind }
}

fn kind(entry: &DirEntry, path: &Path, follow: bool) -> io::Result<Kind> {
    if super::place::is_unfinished(&entry.file_name().to_string_lossy()) {
        return Ok(Kind::Left("what a fetch has not finished"));
    }
    let own = entry.file_type()?;
    if own.is_symlink() && !follow {
        return Ok(Kind::Left("a link; --follow sends what it leads to"));
    }
    let kind = if own.is_symlink() {
        fs::metadata(path)?.file_type()
    } else {
        own
    };
    Ok(if kind.is_dir() {
        Kind::Folder
    } else if kind.is_file() {
        Kind::File
    } else {
        Kind::Left("no regular file")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;

    fn told(folder: &Path, follow: bool) -> Vec<String> {
        let mut told = Vec::new();
        walk(folder, "p/", follow, &mut |found| {
            told.push(match found {
                Found::File { name, .. } => name.as_str().to_owned(),
                Found::Left { path, why } => format!("{}: {why}", last(&path)),
                Found::Failed { path, why } => format!("! {}: {why}", last(&path)),
            });
            true
        });
        told
    }

    fn last(path: &Path) -> String {
        path.file_name().unwrap().to_string_lossy().into_owned()
    }

    #[test]
    fn files_come_in_the_order_of_their_names() {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path();
        fs::create_dir_all(here.join("a/b")).unwrap();
        for file in ["a/b/z", "a/b.c", "a.b", "a0", "a/a", "ä"] {
            fs::write(here.join(file), "x").unwrap();
        }
        let names = told(here, false);
        let mut sorted = names.clone();
        sorted.sort();
        assert_eq!(names, sorted);
        assert_eq!(names.len(), 6);
    }

    #[test]
    fn hostile_names_and_links_are_told_of_and_the_rest_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path();
        fs::create_dir(here.join("in")).unwrap();
        fs::create_dir(here.join("b\\d")).unwrap();
        fs::write(here.join("b\\d/x"), "x").unwrap();
        let latin = std::ffi::OsStr::from_bytes(b"f\xfc\xdfe");
        fs::write(here.join(latin), "x").unwrap();
        for file in ["a\nb", "c\\d", "ok", ".mdfs-0123456789abcdef.part"] {
            fs::write(here.join(file), "x").unwrap();
        }
        symlink("../in", here.join("in/loop")).unwrap();
        symlink("ok", here.join("link")).unwrap();
        symlink("gone", here.join("nowhere")).unwrap();
        let names = told(here, false);
        assert!(names.contains(&"p/ok".to_owned()), "{names:?}");
        assert_eq!(names.iter().filter(|one| one.starts_with('!')).count(), 4);
        assert_eq!(names.iter().filter(|one| one.contains("a link")).count(), 3);
        let names = told(here, true);
        assert!(names.contains(&"p/link".to_owned()), "{names:?}");
        let has = |text: &str| names.iter().any(|one| one.contains(text));
        assert!(has("! loop: the link leads to a folder above"), "{names:?}");
        assert!(has("! nowhere: "), "{names:?}");
    }
}
