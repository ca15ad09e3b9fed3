//! Disks without space, on a small file system in memory.

use crate::{ask, refused};
use anyhow::{Context, Result, ensure};
use mdfs_tests::content::Content;
use mdfs_tests::dev_cluster::{DevCluster, Options, can_mount};
use mdfs_tests::program::note_skipped;
use mdfs_tests::transfer;

const MIB: u64 = 1 << 20;

#[test]
fn a_full_disk_refuses_uploads_keeps_files_and_lets_them_be_deleted() -> Result<()> {
    if !can_mount() {
        return note_skipped("full_disk", "mounting a file system needs root");
    }
    let options = Options {
        processes: false,
        memory_bytes: Some(768 * MIB),
        ..Options::default()
    };
    DevCluster::with(&options, |cluster| {
        let length = 48 * MIB;
        let mut stored = Vec::new();
        let mut last = None;
        for number in 0..32 {
            let path = transfer::path(&format!("f/{number}"));
            let body = Content::new(number).reader(length);
            let answer = cluster
                .connect()?
                .upload("PUT", &path, &[], body, Some(length))?;
            if answer.status() != 201 {
                last = Some((path, answer));
                break;
            }
            stored.push(number);
        }
        let (path, answer) = last.context("more was stored than there is space")?;
        refused(&answer, "507 no_space", "an upload without space")?;
        refused(
            &ask(cluster, "GET", &path)?,
            "404 file_not_found",
            "what had no space",
        )?;
        ensure!(!stored.is_empty(), "nothing at all was stored");

        for number in &stored {
            let name = format!("f/{number}");
            let content = Content::new(*number);
            transfer::get(&mut cluster.connect()?, &name, content, length, |_| Ok(()))?;
        }
        for number in &stored {
            let path = transfer::path(&format!("f/{number}"));
            let answer = ask(cluster, "DELETE", &path)?;
            ensure!(
                matches!(answer.status(), 200 | 204),
                "DELETE: {}",
                answer.problem()
            );
            refused(
                &ask(cluster, "GET", &path)?,
                "404 file_not_found",
                "what was deleted",
            )?;
        }
        Ok(())
    })
}
