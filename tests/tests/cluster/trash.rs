//! What is deleted comes back until it is purged.

use crate::{ask, names, refused, with_cluster};
use anyhow::{Result, ensure};
use mdfs_tests::content::Content;
use mdfs_tests::transfer;
use std::fs;

const LENGTH: u64 = 5_000_000;

#[test]
fn a_deleted_file_comes_back_whole_and_a_purged_one_does_not() -> Result<()> {
    with_cluster(|cluster| {
        let mut connection = cluster.connect()?;
        transfer::put(&mut connection, "films/a", Content::new(1), LENGTH)?;
        let etag = |connection: &mut mdfs_tests::http::Connection| -> Result<_> {
            let head = connection.request("HEAD", "/v1/files/films/a", &[], &[])?;
            Ok(head.header("etag").map(str::to_owned))
        };
        let stored = etag(&mut connection)?;
        let undelete = "/v1/files/films/a?undelete";
        refused(&ask(cluster, "POST", undelete)?, "409 conflict", undelete)?;

        let deleted = ask(cluster, "DELETE", "/v1/files/films/a")?;
        ensure!(deleted.status() == 204, "delete: {}", deleted.problem());
        let absent = "404 file_not_found";
        refused(&ask(cluster, "GET", "/v1/files/films/a")?, absent, "get")?;
        let trash = ask(cluster, "GET", "/v1/trash")?.json()?;
        ensure!(trash["files"][0]["name"] == "films/a", "{trash}");
        ensure!(trash["files"][0]["size"] == LENGTH, "{trash}");

        let back = ask(cluster, "POST", undelete)?;
        ensure!(back.status() == 200, "undelete: {}", back.problem());
        transfer::get(&mut connection, "films/a", Content::new(1), LENGTH, |_| {
            Ok(())
        })?;
        ensure!(etag(&mut connection)? == stored, "another entity tag");

        let purged = ask(cluster, "DELETE", "/v1/files/films/a?purge")?;
        ensure!(purged.status() == 204, "purge: {}", purged.problem());
        refused(&ask(cluster, "POST", undelete)?, absent, undelete)?;
        let again = ask(cluster, "DELETE", "/v1/files/films/a?purge")?;
        refused(&again, absent, "a second purge")?;
        ensure!(names(&mut connection)?.is_empty(), "something is left");
        let trash = ask(cluster, "GET", "/v1/trash")?.json()?;
        ensure!(trash["files"] == serde_json::json!([]), "{trash}");
        Ok(())
    })
}

#[test]
fn the_program_lists_the_trash_brings_back_and_purges() -> Result<()> {
    with_cluster(|cluster| {
        let film = Content::new(2).bytes(0, 3_000_000);
        fs::write(cluster.folder().join("film.mkv"), &film)?;
        for name in ["films/a b.mkv", "c.mkv"] {
            cluster.cli_ends(0, &["put", "film.mkv", name])?;
            cluster.cli_ends(0, &["rm", name, "--yes"])?;
        }
        let list = cluster.cli_ends(0, &["ls", "--trash", "films/", "-o", "json"])?;
        let list: serde_json::Value = serde_json::from_slice(&list.stdout)?;
        let files = list["files"].as_array().map(Vec::len);
        ensure!(files == Some(1), "the trash is {list}");
        ensure!(
            list["files"][0]["name"] == "films/a b.mkv",
            "the trash is {list}"
        );
        let table = cluster.cli_ends(0, &["ls", "--trash"])?.text();
        ensure!(
            table.contains("DELETED") && table.contains("c.mkv"),
            "{table}"
        );

        cluster.cli_ends(0, &["undelete", "films/a b.mkv", "c.mkv"])?;
        let found = cluster.cli_ends(0, &["cat", "films/a b.mkv"])?.stdout;
        ensure!(found == film, "it differs");
        cluster.cli_ends(1, &["undelete", "c.mkv"])?;
        ensure!(cluster.cli_ends(0, &["ls", "--trash"])?.stdout.is_empty());

        cluster.cli_ends(2, &["rm", "--purge", "c.mkv"])?;
        cluster.cli_ends(0, &["rm", "--purge", "--yes", "films/a b.mkv", "c.mkv"])?;
        cluster.cli_ends(3, &["undelete", "c.mkv"])?;
        cluster.cli_ends(3, &["rm", "--purge", "--yes", "c.mkv"])?;
        cluster.cli_ends(2, &["undelete"])?;
        cluster.cli_ends(2, &["ls", "--trash", "--recursive"])?;
        Ok(())
    })
}
