//! Names: which are refused, and that the others are kept byte for byte.

use crate::{ask, names, refused, with_cluster};
use anyhow::{Result, ensure};
use mdfs_tests::content::Content;
use mdfs_tests::transfer;

#[test]
fn bad_names_are_refused_and_leave_nothing() -> Result<()> {
    with_cluster(|cluster| {
        let long = "a".repeat(1025);
        let long_umlauts = "%c3%a4".repeat(513);
        let bad = [
            "..",
            "../../etc/passwd",
            "a/../b",
            "a/./b",
            ".",
            "%2e%2e",
            "%2e%2e/%2e%2e/etc/passwd",
            "%2e%2e%2fetc%2fpasswd",
            "a/%2E%2e/b",
            "a%00b",
            "a%5cb",
            "..%5c..%5cb",
            "a%0ab",
            "a%0d%0ab",
            "a%1bb",
            "a%7fb",
            "a%c2%85b",
            "a//b",
            "/a",
            "%2fa",
            "a/",
            "a%ff",
            "a%c3",
            &long,
            &long_umlauts,
        ];
        for name in bad {
            for method in ["PUT", "GET", "HEAD", "DELETE"] {
                let body: &[u8] = if method == "PUT" { b"x" } else { b"" };
                let path = format!("/v1/files/{name}");
                let answer = cluster.connect()?.request(method, &path, &[], body)?;
                if method == "HEAD" {
                    ensure!(answer.status() == 400, "HEAD {name}: {}", answer.status());
                } else {
                    refused(&answer, "400 invalid_name", &format!("{method} {name}"))?;
                }
            }
        }
        // Without a name there is no such route, or no such file; nothing is stored either.
        let empty = cluster.connect()?.request("PUT", "/v1/files/", &[], b"x")?;
        ensure!(
            matches!(empty.status(), 400 | 404 | 405),
            "{}",
            empty.text()
        );
        ensure!(
            names(&mut cluster.connect()?)?.is_empty(),
            "something was stored"
        );

        let rename = br#"{"from": "a", "to": "../b"}"#;
        let json = [("content-type", "application/json")];
        let answer = cluster
            .connect()?
            .request("POST", "/v1/rename", &json, rename)?;
        refused(&answer, "400 invalid_name", "rename to ../b")
    })
}

#[test]
fn good_names_are_kept_byte_for_byte() -> Result<()> {
    with_cluster(|cluster| {
        let longest = "a".repeat(1024);
        // As sent, and as listed. The two spellings of an umlaut are two names.
        let good = [
            ("a%20b%25c%3f.mkv", "a b%c?.mkv"),
            ("%c3%a4.mkv", "\u{e4}.mkv"),
            ("a%cc%88.mkv", "a\u{308}.mkv"),
            ("%f0%9f%8e%ac", "\u{1f3ac}"),
            ("...", "..."),
            ("..a/b..", "..a/b.."),
            ("%252e%252e", "%2e%2e"),
            ("A", "A"),
            (&longest, &longest),
        ];
        let mut connection = cluster.connect()?;
        for (number, (sent, listed)) in (1..).zip(good) {
            let content = Content::new(number);
            transfer::put(&mut connection, sent, content, 100 + number)?;
            let answer = ask(cluster, "GET", &transfer::path(sent))?;
            ensure!(
                answer.status() == 200,
                "{listed} was answered {}",
                answer.problem()
            );
        }
        for (number, (sent, _)) in (1..).zip(good) {
            transfer::get(
                &mut connection,
                sent,
                Content::new(number),
                100 + number,
                |_| Ok(()),
            )?;
        }
        let mut wanted: Vec<String> = good
            .iter()
            .map(|(_, listed)| (*listed).to_owned())
            .collect();
        wanted.sort();
        let found = names(&mut connection)?;
        ensure!(found == wanted, "listed are {found:?}");
        Ok(())
    })
}

#[test]
fn folders_and_pages_of_a_list_add_up() -> Result<()> {
    with_cluster(|cluster| {
        let mut connection = cluster.connect()?;
        for name in ["a", "f/1", "f/2", "f/g/3", "h/4"] {
            transfer::put(&mut connection, name, Content::new(1), 10)?;
        }
        let top = ask(cluster, "GET", "/v1/files?delimiter=/")?.json()?;
        ensure!(top["folders"] == serde_json::json!(["f/", "h/"]), "{top}");
        ensure!(top["files"].as_array().map(Vec::len) == Some(1), "{top}");

        let mut found = Vec::new();
        let mut after = String::new();
        for _ in 0..10 {
            let path = format!("/v1/files?prefix=f/&limit=1&after={after}");
            let page = ask(cluster, "GET", &path)?.json()?;
            found.extend(page["files"][0]["name"].as_str().map(str::to_owned));
            match page["next"].as_str() {
                Some(next) => after = next.to_owned(),
                None => break,
            }
        }
        ensure!(found == ["f/1", "f/2", "f/g/3"], "listed are {found:?}");
        Ok(())
    })
}
