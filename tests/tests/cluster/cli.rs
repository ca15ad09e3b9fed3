//! The program's commands and their exit codes.

use crate::with_cluster;
use anyhow::{Result, ensure};
use mdfs_tests::command::run;
use mdfs_tests::content::Content;
use std::fs;
use std::process::Stdio;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(120);

#[test]
fn a_file_goes_in_is_seen_moved_read_and_removed() -> Result<()> {
    with_cluster(|cluster| {
        let film = Content::new(1).bytes(0, 5_000_000);
        fs::write(cluster.folder().join("film.mkv"), &film)?;
        cluster.cli_ends(0, &["put", "film.mkv", "films/a b.mkv"])?;
        cluster.cli_ends(0, &["get", "films/a b.mkv", "copy.mkv"])?;
        ensure!(
            fs::read(cluster.folder().join("copy.mkv"))? == film,
            "the copy differs"
        );
        ensure!(
            cluster.cli_ends(0, &["cat", "films/a b.mkv"])?.stdout == film,
            "cat differs"
        );

        let list = cluster.cli_ends(0, &["ls", "films/", "-o", "json"])?;
        let list: serde_json::Value = serde_json::from_slice(&list.stdout)?;
        ensure!(list.to_string().contains("films/a b.mkv"), "ls says {list}");
        let table = cluster.cli_ends(0, &["ls", "films/"])?.text();
        ensure!(table.contains("a b.mkv"), "ls says {table}");
        let stat = cluster.cli_ends(0, &["stat", "films/a b.mkv", "-o", "json"])?;
        let stat: serde_json::Value = serde_json::from_slice(&stat.stdout)?;
        ensure!(stat["size"] == 5_000_000, "stat says {stat}");

        cluster.cli_ends(0, &["mv", "films/a b.mkv", "films/b.mkv"])?;
        cluster.cli_ends(3, &["stat", "films/a b.mkv"])?;
        ensure!(
            cluster.cli_ends(0, &["cat", "films/b.mkv"])?.stdout == film,
            "mv changed it"
        );
        cluster.cli_ends(0, &["rm", "films/b.mkv", "--yes"])?;
        cluster.cli_ends(3, &["get", "films/b.mkv", "gone.mkv"])?;
        ensure!(
            !cluster.folder().join("gone.mkv").exists(),
            "something was got"
        );
        Ok(())
    })
}

#[test]
fn a_pipe_can_be_put() -> Result<()> {
    with_cluster(|cluster| {
        let film = Content::new(2).bytes(0, 3_000_000);
        let path = cluster.folder().join("piped");
        fs::write(&path, &film)?;
        let mut put = cluster.cli(&["put", "-", "piped"])?;
        let output = run(put.stdin(Stdio::from(fs::File::open(&path)?)), LIMIT)?;
        ensure!(
            output.code() == 0,
            "put ended with {}: {}",
            output.code(),
            output.stderr
        );
        ensure!(
            cluster.cli_ends(0, &["cat", "piped"])?.stdout == film,
            "it differs"
        );
        Ok(())
    })
}

#[test]
fn exit_codes_say_what_went_wrong() -> Result<()> {
    with_cluster(|cluster| {
        // Until the files were counted, the health is unknown.
        cluster.wait_healthy()?;
        cluster.cli_ends(0, &["status"])?;
        let status = cluster.cli_ends(0, &["status", "-o", "json"])?;
        let status: serde_json::Value = serde_json::from_slice(&status.stdout)?;
        ensure!(status["health"] == "ok", "status says {status}");
        cluster.cli_ends(2, &["no-such-command"])?;
        cluster.cli_ends(2, &["put"])?;
        cluster.cli_ends(3, &["get", "not-there", "x"])?;
        cluster.cli_ends(3, &["rm", "not-there", "--yes"])?;
        cluster.cli_ends(3, &["put", "no-such-file", "x"])?;
        cluster.cli_ends(2, &["rm", "x"])?;

        let wrong = cluster.folder().join("wrong-token");
        fs::write(&wrong, "0".repeat(64))?;
        let mut denied = cluster.cli(&["ls"])?;
        let denied = run(denied.env("MDFS_TOKEN_FILE", &wrong), LIMIT)?;
        ensure!(
            denied.code() == 4,
            "a wrong token ended with {}",
            denied.code()
        );
        let mut nobody = cluster.cli(&["ls"])?;
        let nobody = run(nobody.env("MDFS_URL", "http://127.0.0.1:1"), LIMIT)?;
        ensure!(nobody.code() == 1, "no server ended with {}", nobody.code());
        for output in [denied, nobody] {
            ensure!(
                !output.stderr.trim().is_empty() && output.stdout.is_empty(),
                "no reason"
            );
        }
        Ok(())
    })
}
