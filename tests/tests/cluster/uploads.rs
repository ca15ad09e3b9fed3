//! Uploads in chunks, as the program and the API show them.

use crate::{ask, with_cluster};
use anyhow::{Context, Result, ensure};
use mdfs_tests::content::Content;
use mdfs_tests::proxy::Proxy;
use mdfs_tests::wait::wait_for;
use serde_json::{Value, json};
use std::fs;
use std::process::Stdio;
use std::time::Duration;

const MIB: u64 = 1 << 20;
const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn a_file_of_many_chunks_is_put_in_a_session_with_all_that_is_said_of_it() -> Result<()> {
    with_cluster(|cluster| {
        let film = Content::new(1).bytes(0, 9_500_000);
        let path = cluster.folder().join("film.mkv");
        fs::write(&path, &film)?;
        let state = cluster.folder().join("remembered");
        let state = state.to_str().context("the folder is UTF-8")?;
        let put = ["put", "film.mkv", "a.mkv", "--chunk-size", "1048576"];
        let more = ["--streams", "3", "--state-dir", state];
        let labels = ["--attribute", "title=Große Fahrt", "-o", "json"];
        let said = cluster.cli_ends(0, &[&put[..], &more, &labels].concat())?;
        let said: Value = serde_json::from_slice(&said.stdout)?;
        ensure!(
            said["attributes"]["title"] == "Große Fahrt",
            "put says {said}"
        );
        let metrics = ask(cluster, "GET", "/metrics")?.text();
        let counted = format!("mdfs_upload_received_bytes_total {}", film.len());
        ensure!(metrics.contains(&counted), "it was not sent in a session");
        ensure!(
            cluster.cli_ends(0, &["cat", "a.mkv"])?.stdout == film,
            "it differs"
        );
        let stat = cluster.cli_ends(0, &["stat", "a.mkv", "-o", "json"])?;
        let stat: Value = serde_json::from_slice(&stat.stdout)?;
        let modified = fs::metadata(&path)?.modified()?;
        let modified = modified.duration_since(std::time::UNIX_EPOCH)?.as_millis();
        let told = stat["source_modified"].as_u64().map(u128::from);
        ensure!(told == Some(modified), "stat says {stat}");
        let kept = fs::read_dir(cluster.folder().join("remembered/uploads"))?;
        ensure!(kept.count() == 0, "a finished upload is remembered");
        cluster.cli_ends(1, &[&put[..], &["--if-absent"], &more].concat())?;
        let open = ask(cluster, "GET", "/v1/uploads")?.json()?;
        ensure!(open["uploads"] == json!([]), "open: {open}");
        Ok(())
    })
}

#[test]
fn what_was_stored_by_another_is_gone_on_with_and_open_uploads_are_shown() -> Result<()> {
    with_cluster(|cluster| {
        let content = Content::new(2);
        let mut connection = cluster.connect()?;
        let begin = json!({ "name": "b", "size": 3 * MIB, "chunk_size": MIB }).to_string();
        let headers = [("content-type", "application/json")];
        let begun = connection.request("POST", "/v1/uploads", &headers, begin.as_bytes())?;
        let id = begun.json()?["id"].as_str().context("an id")?.to_owned();
        let put = |index: u64| -> Result<()> {
            let bytes = content.bytes(index * MIB, usize::try_from(MIB)?);
            let path = format!("/v1/uploads/{id}/chunks/{index}");
            let stored = cluster.connect()?.request("PUT", &path, &[], &bytes)?;
            ensure!(stored.status() == 200, "chunk {index}: {}", stored.text());
            Ok(())
        };
        put(2)?;
        put(0)?;
        let listed = cluster.cli_ends(0, &["uploads", "-o", "json"])?;
        let listed: Value = serde_json::from_slice(&listed.stdout)?;
        let upload = &listed["uploads"][0];
        ensure!(upload["stored_bytes"] == 2 * MIB, "uploads says {listed}");
        let table = cluster.cli_ends(0, &["uploads"])?.text();
        ensure!(table.contains(&id), "uploads says {table}");
        let status = ask(cluster, "GET", "/v1/status")?.json()?;
        ensure!(status["upload_sessions"] == 1, "status says {status}");
        let commit = format!("/v1/uploads/{id}/commit");
        let early = connection.request("POST", &commit, &headers, b"{}")?;
        crate::refused(&early, "409 missing_chunks", "a commit that is early")?;
        put(1)?;
        let done = connection.request("POST", &commit, &headers, b"{}")?;
        ensure!(done.status() == 201, "commit: {}", done.text());
        let length = usize::try_from(3 * MIB)?;
        let read = cluster.cli_ends(0, &["cat", "b"])?.stdout;
        ensure!(read == content.bytes(0, length), "it differs");
        let late = cluster.cli_ends(0, &["uploads", "abort", &id])?.text();
        ensure!(late.contains("nothing was ended"), "abort says {late}");
        cluster.cli_ends(3, &["uploads", "abort", &"0".repeat(32)])?;
        ensure!(
            cluster.cli_ends(0, &["uploads"])?.text().is_empty(),
            "one is open"
        );
        Ok(())
    })
}

#[test]
fn an_upload_of_what_a_file_was_before_is_ended() -> Result<()> {
    with_cluster(|cluster| {
        let path = cluster.folder().join("film.mkv");
        fs::write(&path, Content::new(3).bytes(0, usize::try_from(8 * MIB)?))?;
        let state = cluster.folder().join("remembered");
        let state = state.to_str().context("the folder is UTF-8")?;
        let put = ["put", "film.mkv", "c", "--chunk-size", "1048576"];
        let put = [&put[..], &["--state-dir", state]].concat();
        let open = || -> Result<usize> {
            let open = ask(cluster, "GET", "/v1/uploads")?.json()?;
            let open = open.get("uploads").and_then(Value::as_array);
            Ok(open.context("no list of uploads")?.len())
        };
        let proxy = Proxy::start(cluster.url())?;
        proxy.hold_at(3 * MIB);
        let mut first = cluster.cli(&put)?;
        first.env("MDFS_URL", proxy.url());
        let mut first = first.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let under_way = wait_for("an upload under way", LIMIT, || {
            Ok((proxy.sent() >= 3 * MIB && open()? == 1).then_some(()))
        });
        first.kill()?;
        first.wait()?;
        under_way?;
        let film = Content::new(4).bytes(0, usize::try_from(5 * MIB)?);
        fs::write(&path, &film)?;
        cluster.cli_ends(0, &put)?;
        ensure!(open()? == 0, "the old upload is open");
        ensure!(
            cluster.cli_ends(0, &["cat", "c"])?.stdout == film,
            "it differs"
        );
        Ok(())
    })
}
