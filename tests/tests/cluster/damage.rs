//! Chunk files that somebody or something changed on a disk.

use crate::ask;
use anyhow::{Context, Result, ensure};
use mdfs_tests::content::Content;
use mdfs_tests::dev_cluster::{DevCluster, Options};
use mdfs_tests::http::Connection;
use mdfs_tests::{disks, transfer};
use std::fs;
use std::path::PathBuf;

const MIB: u64 = 1 << 20;
const LENGTH: u64 = 3 * MIB + 5;

/// Puts a file of four chunks and gives the paths of both copies of each.
fn stored(cluster: &DevCluster, name: &str, content: Content) -> Result<Vec<Vec<PathBuf>>> {
    let path = format!("{}?chunk_size={MIB}", transfer::path(name));
    let body = content.reader(LENGTH);
    let answer = cluster
        .connect()?
        .upload("PUT", &path, &[], body, Some(LENGTH))?;
    transfer::stored(name, LENGTH, &answer)?;
    let answer = answer.json()?;
    let file_id = answer
        .get("file_id")
        .and_then(|id| id.as_str())
        .context("no file_id")?;
    let mut copies = vec![Vec::new(); 4];
    for worker in cluster.role("worker") {
        let data_dir = worker.data_dir.context("a worker without a data_dir")?;
        for (index, path) in disks::chunks(&data_dir, file_id)? {
            copies
                .get_mut(usize::try_from(index)?)
                .context("a fifth chunk")?
                .push(path);
        }
    }
    ensure!(
        copies.iter().all(|copies| copies.len() == 2),
        "copies are {copies:?}"
    );
    Ok(copies)
}

/// Turns one bit of a chunk file.
fn flip(path: &PathBuf, offset: u64) -> Result<()> {
    let mut bytes = fs::read(path)?;
    *bytes
        .get_mut(usize::try_from(offset)?)
        .context("the file is shorter")? ^= 1;
    Ok(fs::write(path, bytes)?)
}

#[test]
fn a_damaged_copy_is_made_up_for_in_the_same_answer() -> Result<()> {
    DevCluster::with(&Options::default(), |cluster| {
        let content = Content::new(1);
        let copies = stored(cluster, "x", content)?;
        // A flipped bit in either copy, in different blocks: together they are whole.
        flip(&copies[0][0], 70_000)?;
        flip(&copies[0][1], 700_000)?;
        // A truncated copy, one of no bytes, and one that is gone.
        let half = fs::read(&copies[1][0])?;
        fs::write(&copies[1][0], &half[..half.len() / 2])?;
        fs::write(&copies[2][1], b"")?;
        fs::remove_file(&copies[3][0])?;
        // A file that is none of ours changes nothing.
        let folder = copies[3][1].parent().context("chunks are in folders")?;
        fs::write(folder.join("foreign"), b"what is this?")?;

        let mut connection = cluster.connect()?;
        for _ in 0..3 {
            transfer::get(&mut connection, "x", content, LENGTH, |_| Ok(()))?;
        }
        for offset in [69_990, 699_990, MIB - 3, 2 * MIB - 3, 3 * MIB] {
            transfer::get_range(&mut connection, "x", content, offset, 5)?;
        }
        Ok(())
    })
}

#[test]
fn bytes_damaged_in_every_copy_are_an_error_and_all_others_play() -> Result<()> {
    DevCluster::with(&Options::default(), |cluster| {
        let content = Content::new(1);
        let copies = stored(cluster, "x", content)?;
        for copy in &copies[1] {
            flip(copy, 200_000)?;
        }
        let bad = MIB + 200_000;
        let whole = transfer::get(&mut cluster.connect()?, "x", content, LENGTH, |_| Ok(()));
        ensure!(whole.is_err(), "damaged bytes were served");
        let range = format!("bytes={bad}-{bad}");
        let answer = cluster
            .connect()?
            .request("GET", "/v1/files/x", &[("range", &range)], &[]);
        ensure!(
            answer.is_err() || answer.is_ok_and(|one| one.status() >= 500),
            "{range} is served"
        );
        let mut connection: Connection = cluster.connect()?;
        transfer::get_range(&mut connection, "x", content, 0, MIB)?;
        transfer::get_range(&mut connection, "x", content, 2 * MIB, MIB)?;
        transfer::get_range(&mut connection, "x", content, MIB + 300_000, 1000)?;
        // The last copies stay, whatever is wrong with them.
        ensure!(
            copies[1].iter().all(|copy| copy.exists()),
            "a damaged copy was removed"
        );
        let health = ask(cluster, "GET", "/health")?;
        ensure!(
            health.status() == 200,
            "/health was answered {}",
            health.status()
        );
        Ok(())
    })
}
