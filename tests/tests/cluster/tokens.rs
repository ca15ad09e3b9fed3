//! Who may do what.

use crate::{ask, names, with_cluster};
use anyhow::{Context, Result, ensure};
use mdfs_tests::content::Content;
use mdfs_tests::http::Connection;
use mdfs_tests::{players, transfer};
use std::os::unix::fs::PermissionsExt;

#[test]
fn without_a_token_only_health_is_answered() -> Result<()> {
    with_cluster(|cluster| {
        transfer::put(&mut cluster.connect()?, "x", Content::new(1), 1000)?;
        let almost = format!("{}0", cluster.token());
        for token in [None, Some("wrong"), Some(""), Some(&almost)] {
            let mut connection = Connection::open(cluster.url(), token)?;
            let closed = [
                ("GET", "/v1/files/x"),
                ("HEAD", "/v1/files/x"),
                ("PUT", "/v1/files/y"),
                ("DELETE", "/v1/files/x"),
                ("DELETE", "/v1/files/x?purge"),
                ("POST", "/v1/files/x?undelete"),
                ("GET", "/v1/trash"),
                ("GET", "/v1/files"),
                ("POST", "/v1/rename"),
                ("POST", "/v1/sign"),
                ("GET", "/v1/status"),
                ("GET", "/v1/workers"),
                ("POST", "/v1/admin/bootstrap"),
                ("GET", "/play/x"),
                ("GET", "/stats"),
                ("GET", "/metrics"),
            ];
            for (method, path) in closed {
                let answer = connection.request(method, path, &[], &[])?;
                let status = answer.status();
                ensure!(
                    status == 401,
                    "{method} {path} with {token:?} was answered {status}"
                );
            }
            for path in ["/health", "/health/live", "/health/ready"] {
                let status = connection.request("GET", path, &[], &[])?.status();
                ensure!(status == 200, "{path} was answered {status}");
            }
        }
        // A token in a URL would end up in logs and histories.
        let path = format!("/v1/files/x?token={}", cluster.token());
        let in_url = Connection::open(cluster.url(), None)?.request("GET", &path, &[], &[])?;
        ensure!(
            matches!(in_url.status(), 400 | 401),
            "it was answered {}",
            in_url.status()
        );
        ensure!(
            names(&mut cluster.connect()?)? == ["x"],
            "the files changed"
        );
        Ok(())
    })
}

#[test]
fn a_signed_link_reads_one_file_and_nothing_else() -> Result<()> {
    with_cluster(|cluster| {
        let (content, length) = (Content::new(1), 100_000);
        for name in ["films/a%20b.mkv", "films/other.mkv"] {
            transfer::put(&mut cluster.connect()?, name, content, length)?;
        }
        let body = br#"{"name": "films/a b.mkv", "expires_in_seconds": 600}"#;
        let json = [("content-type", "application/json")];
        let answer = cluster
            .connect()?
            .request("POST", "/v1/sign", &json, body)?;
        ensure!(
            answer.status() == 200,
            "it was answered {}",
            answer.problem()
        );
        let link = answer.json()?;
        let link = link["path"].as_str().context("a link without a path")?;

        let mut nobody = Connection::open(cluster.url(), None)?;
        let answer = nobody.request("GET", link, &[("range", "bytes=10-19")], &[])?;
        ensure!(
            answer.status() == 206,
            "the link was answered {}",
            answer.problem()
        );
        content.check(10, &answer.body)?;
        ensure!(
            nobody.request("HEAD", link, &[], &[])?.status() == 200,
            "HEAD was refused"
        );

        let altered = [
            ("GET", link.replace("a%20b", "other")),
            ("GET", link.replace("expires=", "expires=9")),
            ("GET", format!("{link}0")),
            ("GET", link.replace("signature=", "signature=0")),
            ("GET", link.replace('?', "?download=1&")),
            ("PUT", link.to_owned()),
            ("DELETE", link.to_owned()),
            ("GET", link.replace("/play/", "/v1/files/")),
        ];
        for (method, path) in altered {
            if path == link && method == "GET" {
                continue;
            }
            let status = nobody.request(method, &path, &[], &[])?.status();
            ensure!(
                matches!(status, 401 | 403 | 405),
                "{method} {path} was answered {status}"
            );
        }
        let long = br#"{"name": "films/a b.mkv", "expires_in_seconds": 604801}"#;
        let answer = cluster
            .connect()?
            .request("POST", "/v1/sign", &json, long)?;
        ensure!(
            answer.status() == 400,
            "a link for too long was answered {}",
            answer.problem()
        );
        Ok(())
    })
}

#[test]
fn monitoring_keeps_its_names() -> Result<()> {
    with_cluster(|cluster| {
        transfer::put(&mut cluster.connect()?, "secret", Content::new(1), 10)?;
        cluster.wait_healthy()?;
        let metrics = ask(cluster, "GET", "/metrics")?.text();
        let wanted = [
            "mdfs_active_nodes 3",
            "mdfs_total_files 1",
            "mdfs_under_replicated_files 0",
            "mdfs_up 1",
        ];
        for line in wanted {
            ensure!(
                metrics.lines().any(|found| found == line),
                "no {line} in\n{metrics}"
            );
        }
        ensure!(
            !metrics.contains("secret"),
            "a file's name is in the metrics"
        );
        ensure!(
            ask(cluster, "GET", "/stats")?.json()?.is_object(),
            "/stats is no object"
        );
        ensure!(
            ask(cluster, "GET", "/health")?.text().trim() == "OK",
            "/health is not OK"
        );
        Ok(())
    })
}

#[test]
fn every_real_client_reads_a_signed_link() -> Result<()> {
    with_cluster(|cluster| {
        for extension in ["mp4", "mkv"] {
            let film = cluster.folder().join(format!("film.{extension}"));
            mdfs_tests::film::make(&film, 6, "320x180")?;
            let name = format!("films/film.{extension}");
            let bytes = std::fs::read(&film)?;
            let path = format!("{}?chunk_size=1048576", transfer::path(&name));
            let answer = cluster.connect()?.request("PUT", &path, &[], &bytes)?;
            transfer::stored(&name, u64::try_from(bytes.len())?, &answer)?;
            let said = cluster.cli_ends(0, &["sign", &name])?.text();
            let mut words = said.split_whitespace();
            let link = words.find(|word| word.starts_with("http://") && word.contains("/play/"));
            let link = link.with_context(|| format!("no link in {said}"))?;
            players::check_all(link, &film, cluster.folder())
                .with_context(|| format!("a film in {extension}"))?;
        }
        Ok(())
    })
}

#[test]
fn a_token_made_by_the_program_does_its_part_until_it_is_revoked() -> Result<()> {
    with_cluster(|cluster| {
        let film = cluster.folder().join("film");
        std::fs::write(&film, b"bytes")?;
        let film = film.to_str().context("a path of UTF-8")?;
        let out = cluster.folder().join("token");
        let path = out.to_str().context("a path of UTF-8")?;
        let create = [
            "token",
            "create",
            "an uploader",
            "--role",
            "write,delete",
            "--prefix",
            "in",
        ];
        let create = [
            &create[..],
            &["--expires", "1h", "--out", path, "-o", "json"],
        ]
        .concat();
        let said = cluster.cli_ends(0, &create)?;
        let made: serde_json::Value = serde_json::from_str(&said.text())?;
        let id = made["id"].as_str().context("an id")?;
        let mode = std::fs::metadata(&out)?.permissions().mode();
        ensure!(mode & 0o777 == 0o600, "the file's mode is {mode:o}");
        let secret = std::fs::read_to_string(&out)?;
        let bits = secret.trim().rsplit('_').next().context("bits")?;
        ensure!(!said.text().contains(bits), "the secret is shown");
        // A file that is there is not written over.
        cluster.cli_ends(1, &create)?;
        ensure!(
            std::fs::read_to_string(&out)? == secret,
            "the file has changed"
        );

        let as_uploader = |code, words: &[&str]| {
            cluster.cli_ends(code, &[words, &["--token-file", path]].concat())
        };
        as_uploader(0, &["put", film, "in/film"])?;
        as_uploader(4, &["put", film, "elsewhere/film"])?;
        as_uploader(4, &["get", "in/film", "copy"])?;
        as_uploader(4, &["ls", "in/"])?;
        as_uploader(4, &["status"])?;
        as_uploader(4, &["token", "ls"])?;
        as_uploader(0, &["rm", "--yes", "in/film"])?;
        let shown = cluster.cli_ends(0, &["token", "ls"])?.text();
        let line = shown
            .lines()
            .find(|line| line.starts_with(id))
            .context("its line")?;
        for word in ["an uploader", "write,delete", "in/", "valid"] {
            ensure!(line.contains(word), "no {word:?} in {line:?}");
        }
        ensure!(!shown.contains(bits), "the secret is listed");
        cluster.cli_ends(0, &["token", "revoke", id])?;
        as_uploader(4, &["put", film, "in/film"])?;
        cluster.cli_ends(3, &["token", "revoke", id])?;
        let once = cluster
            .cli_ends(0, &["token", "create", "x", "--role", "read"])?
            .text();
        ensure!(
            once.trim().len() == 102 && once.starts_with("mdfs_"),
            "it says {once:?}"
        );
        cluster.cli_ends(2, &["token", "create", "x", "--role", "root"])?;
        Ok(())
    })
}
