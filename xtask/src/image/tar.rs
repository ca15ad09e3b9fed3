//! An archive of files that depends on their names and bytes alone: sorted, of no time, of no user.

use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;

/// What every part of an archive is a multiple of.
const BLOCK: usize = 512;

/// Files by their path, without a leading slash. The folders above them are added by themselves.
#[derive(Default)]
pub(super) struct Tar {
    files: BTreeMap<String, (u32, Vec<u8>)>,
}

impl Tar {
    /// Adds a file.
    pub(super) fn file(mut self, path: &str, mode: u32, bytes: &[u8]) -> Self {
        self.files.insert(path.to_owned(), (mode, bytes.to_vec()));
        self
    }

    /// The archive.
    ///
    /// # Errors
    /// If a path is too long for the oldest form of the format, which everybody reads.
    pub(super) fn finish(self) -> Result<Vec<u8>> {
        let mut entries: BTreeMap<String, (u32, u8, Vec<u8>)> = BTreeMap::new();
        for (path, (mode, bytes)) in self.files {
            for (place, _) in path.match_indices('/') {
                let folder = path.get(..=place).unwrap_or_default();
                entries.insert(folder.to_owned(), (0o755, b'5', Vec::new()));
            }
            entries.insert(path, (mode, b'0', bytes));
        }
        let mut archive = Vec::new();
        for (path, (mode, kind, bytes)) in entries {
            archive.extend(header(&path, mode, kind, bytes.len())?);
            archive.extend(&bytes);
            archive.resize(archive.len().next_multiple_of(BLOCK), 0);
        }
        archive.resize(archive.len() + 2 * BLOCK, 0);
        Ok(archive)
    }
}

/// The block before the bytes of an entry, in the `ustar` form.
fn header(path: &str, mode: u32, kind: u8, length: usize) -> Result<[u8; BLOCK]> {
    let mut header = [0; BLOCK];
    let mut put = |place: usize, text: &str| -> Result<()> {
        let field = header.get_mut(place..place + text.len());
        field
            .context("a field within the header")?
            .copy_from_slice(text.as_bytes());
        Ok(())
    };
    ensure!(path.len() <= 100, "{path:?} is too long for the archive");
    ensure!(length < 1 << 33, "{path:?} is too large for the archive");
    put(0, path)?;
    put(100, &format!("{mode:07o}"))?;
    put(108, "0000000")?;
    put(116, "0000000")?;
    put(124, &format!("{length:011o}"))?;
    put(136, "00000000000")?;
    // The sum is taken with its own field blank.
    put(148, "        ")?;
    put(156, char::from(kind).encode_utf8(&mut [0; 4]))?;
    put(257, "ustar")?;
    put(263, "00")?;
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    let text = format!("{sum:06o}\0 ");
    header
        .get_mut(148..156)
        .context("a field within the header")?
        .copy_from_slice(text.as_bytes());
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn the_order_of_adding_does_not_matter() {
        let one = Tar::default()
            .file("a/b", 0o644, b"1")
            .file("c", 0o755, b"2");
        let two = Tar::default()
            .file("c", 0o755, b"2")
            .file("a/b", 0o644, b"1");
        assert_eq!(one.finish().unwrap(), two.finish().unwrap());
        assert!(
            Tar::default()
                .file(&"x".repeat(101), 0, b"")
                .finish()
                .is_err()
        );
    }

    #[test]
    fn tar_reads_what_was_written() {
        let bytes = vec![7; 1000];
        let archive = Tar::default().file("usr/bin/program", 0o755, &bytes).file(
            "etc/passwd",
            0o644,
            b"root\n",
        );
        let file = std::env::temp_dir().join(format!("mdfs-xtask-{}.tar", std::process::id()));
        std::fs::write(&file, archive.finish().unwrap()).unwrap();
        let tar = |words: &[&str]| {
            let output = Command::new("tar").args(words).arg(&file).output().unwrap();
            assert!(output.status.success(), "{output:?}");
            output.stdout
        };
        let listed = tar(&["--list", "--verbose", "--numeric-owner", "--file"]);
        let listed = String::from_utf8(listed).unwrap();
        let names = listed
            .lines()
            .map(|line| line.split(' ').next_back().unwrap());
        let wanted = ["etc/", "etc/passwd", "usr/", "usr/bin/", "usr/bin/program"];
        assert_eq!(names.collect::<Vec<_>>(), wanted);
        assert!(listed.contains("-rwxr-xr-x 0/0 "), "{listed}");
        let words = [
            "--extract",
            "--to-stdout",
            "--wildcards",
            "*program",
            "--file",
        ];
        assert_eq!(tar(&words), bytes);
        std::fs::remove_file(&file).unwrap();
    }
}
