//! Files that were acknowledged, and are read again after a cluster was changed.

use super::installed::Mdfs;
use anyhow::{Context, Result};
use mdfs_tests::chance::Chance;
use mdfs_tests::content::Content;
use mdfs_tests::transfer;

/// The longest file, so that many fit on the smallest volumes.
const LONGEST: u64 = 200_000;

/// One file that was acknowledged.
#[derive(Clone, Debug)]
pub(super) struct File {
    name: String,
    number: u64,
    length: u64,
}

/// Stores so many files.
pub(super) fn store(mdfs: &Mdfs, prefix: &str, count: u64) -> Result<Vec<File>> {
    let mut connection = mdfs.connect()?;
    let file = |number: u64| {
        let file = file(prefix, number);
        transfer::put(
            &mut connection,
            &file.name,
            Content::new(file.number),
            file.length,
        )?;
        Ok(file)
    };
    (0..count).map(file).collect()
}

/// Reads all of them, every byte compared.
pub(super) fn read_back(mdfs: &Mdfs, files: &[File]) -> Result<()> {
    let mut connection = mdfs.connect()?;
    for file in files {
        let content = Content::new(file.number);
        transfer::get(
            &mut connection,
            &file.name,
            content,
            file.length,
            |_| Ok(()),
        )
        .with_context(|| format!("{} was acknowledged", file.name))?;
    }
    Ok(())
}

fn file(prefix: &str, number: u64) -> File {
    File {
        name: format!("{prefix}/{number}"),
        number,
        length: Chance::new(number).within(1, LONGEST),
    }
}
