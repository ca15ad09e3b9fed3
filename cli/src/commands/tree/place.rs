//! Where names go in a local folder: inside it, and nowhere else.

use super::Trouble;
use crate::commands::part::{failed, is_hidden_part};
use crate::output::shown;
use mdfs_core::name::FileName;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

/// Whether a fetch that is not finished has this name.
pub(super) fn is_unfinished(name: &str) -> bool {
    is_hidden_part(name)
}

/// Where a name goes.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    /// The regular file that is there.
    pub(super) present: Option<Metadata>,
}

/// The place of `name` below `folder`. With `make`, the folders on the way are made. Whatever stands
/// there, nothing but folders is gone through.
///
/// # Errors
/// If something is in the way, or a folder cannot be made.
pub(super) fn place(folder: &Path, name: &FileName, make: bool) -> Result<Place, Trouble> {
    if name.as_str().split('/').any(is_unfinished) {
        return Err(Trouble::Refused(
            "names of this form are kept for what is being fetched".to_owned(),
        ));
    }
    let mut path = folder.to_owned();
    let mut parts = name.as_str().split('/').peekable();
    while let Some(part) = parts.next() {
        path.push(part);
        if parts.peek().is_some() && !is_folder(&path, make)? {
            // The rest is not there either.
            let path = folder.join(name.as_str());
            return Ok(Place {
                path,
                present: None,
            });
        }
    }
    let present = look(&path)?;
    match &present {
        Some(found) if found.is_dir() => Err(in_the_way(&path, "a folder")),
        Some(found) if found.is_symlink() => Err(in_the_way(&path, "a link")),
        Some(found) if !found.is_file() => Err(in_the_way(&path, "no regular file")),
        _ => Ok(Place { path, present }),
    }
}

/// Whether there is a folder; made if need be with `make`.
fn is_folder(path: &Path, make: bool) -> Result<bool, Trouble> {
    if make {
        match fs::create_dir(path) {
            // Another file of the folder may have made it meanwhile.
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(failed("make the folder", path)(error).into());
            }
            _ => {}
        }
    }
    match look(path)? {
        Some(found) if found.is_dir() => Ok(true),
        Some(found) if found.is_symlink() => Err(in_the_way(path, "a link, which is not followed")),
        Some(_) => Err(in_the_way(path, "a file")),
        None => Ok(false),
    }
}

fn look(path: &Path) -> Result<Option<Metadata>, Trouble> {
    match fs::symlink_metadata(path) {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", path)(error).into()),
    }
}

fn in_the_way(path: &Path, what: &str) -> Trouble {
    let path = path.to_string_lossy();
    Trouble::Refused(format!("{} is {what}", shown(&path)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_name_goes_into_the_folder_through_folders_alone() {
        let outside = tempfile::tempdir().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path();
        symlink(outside.path(), here.join("out")).unwrap();
        symlink("nowhere", here.join("link")).unwrap();
        fs::write(here.join("file"), "x").unwrap();
        fs::create_dir(here.join("folder")).unwrap();
        let place = |name: &str, make| place(here, &FileName::parse(name).unwrap(), make);
        for refused in [
            "out/a",
            "out/b/c",
            "link",
            "file/a",
            "folder",
            ".mdfs-0.part",
            "a/.mdfs-0.part.etag/b",
        ] {
            assert!(place(refused, true).is_err(), "{refused}");
        }
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
        assert!(place("file", true).unwrap().present.is_some());
        assert!(place("new/a/b", false).unwrap().present.is_none());
        assert!(!here.join("new").exists());
        assert_eq!(place("new/a/b", true).unwrap().path, here.join("new/a/b"));
        assert!(here.join("new/a").is_dir());
        assert!(place(&"x".repeat(300), true).is_err());
    }
}
