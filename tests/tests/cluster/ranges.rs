//! Ranges and conditions (RFC 9110).

use crate::{refused, with_cluster};
use anyhow::{Context, Result, ensure};
use mdfs_tests::content::Content;
use mdfs_tests::dev_cluster::DevCluster;
use mdfs_tests::http::Answer;
use mdfs_tests::transfer;

const LENGTH: u64 = 300_000;

fn get(cluster: &DevCluster, headers: &[(&str, &str)]) -> Result<Answer> {
    cluster
        .connect()?
        .request("GET", "/v1/files/x", headers, &[])
}

#[test]
fn a_range_is_answered_with_exactly_its_bytes() -> Result<()> {
    with_cluster(|cluster| {
        let content = Content::new(1);
        transfer::put(&mut cluster.connect()?, "x", content, LENGTH)?;
        let partial = [
            ("bytes=0-0", 0, 1),
            ("bytes=-1", 299_999, 1),
            ("bytes=-400000", 0, 300_000),
            ("bytes=299999-", 299_999, 1),
            ("bytes=65535-65536", 65_535, 2),
            ("bytes=100-99999999999999999999", 100, 299_900),
            ("BYTES=5-6", 5, 2),
        ];
        for (range, offset, length) in partial {
            let answer = get(cluster, &[("range", range)])?;
            ensure!(
                answer.status() == 206,
                "{range} was answered {}",
                answer.problem()
            );
            let wanted = format!("bytes {offset}-{}/{LENGTH}", offset + length - 1);
            let found = answer.header("content-range");
            ensure!(
                found == Some(&wanted),
                "{range} was answered with {found:?}"
            );
            ensure!(
                u64::try_from(answer.body.len())? == length,
                "{range} has another length"
            );
            content.check(offset, &answer.body).context(range)?;
        }
        let many = format!("bytes={}", vec!["0-0"; 17].join(","));
        let whole = [
            "bytes=5-2",
            "bytes=",
            "bytes=a-b",
            "bytes",
            "chunks=0-1",
            "bytes=1-2-3",
            &many,
        ];
        for range in whole {
            let answer = get(cluster, &[("range", range)])?;
            ensure!(
                answer.status() == 200,
                "{range} was answered {}",
                answer.problem()
            );
            ensure!(
                u64::try_from(answer.body.len())? == LENGTH,
                "{range} has another length"
            );
        }
        for range in [
            "bytes=-0",
            "bytes=300000-",
            "bytes=300000-300001",
            "bytes=400000-",
        ] {
            let answer = get(cluster, &[("range", range)])?;
            refused(&answer, "416 range_not_satisfiable", range)?;
            let found = answer.header("content-range");
            ensure!(
                found == Some("bytes */300000"),
                "{range} was answered with {found:?}"
            );
        }
        Ok(())
    })
}

#[test]
fn several_ranges_come_in_parts() -> Result<()> {
    with_cluster(|cluster| {
        let content = Content::new(1);
        transfer::put(&mut cluster.connect()?, "x", content, LENGTH)?;
        let answer = get(cluster, &[("range", "bytes=0-99,1000-1099, -5")])?;
        ensure!(
            answer.status() == 206,
            "it was answered {}",
            answer.problem()
        );
        let media_type = answer.header("content-type").unwrap_or_default().to_owned();
        let boundary = media_type.strip_prefix("multipart/byteranges; boundary=");
        let boundary = boundary.with_context(|| format!("the type is {media_type}"))?;
        for (offset, length) in [(0, 100), (1000, 100), (299_995, 5)] {
            let head = format!("bytes {offset}-{}/{LENGTH}\r\n\r\n", offset + length - 1);
            let wanted = [
                head.into_bytes(),
                content.bytes(offset, usize::try_from(length)?),
            ];
            let wanted = wanted.concat();
            let found = answer.body.windows(wanted.len()).any(|part| part == wanted);
            ensure!(found, "no part has the bytes at {offset}");
        }
        let end = format!("--{}--", boundary.trim_matches('"'));
        let tail = String::from_utf8_lossy(&answer.body)
            .trim_end()
            .ends_with(&end);
        ensure!(tail, "the parts have no end");
        Ok(())
    })
}

#[test]
fn conditions_hold_or_say_so() -> Result<()> {
    with_cluster(|cluster| {
        let mut connection = cluster.connect()?;
        transfer::put(&mut connection, "x", Content::new(1), LENGTH)?;
        let etag = get(cluster, &[])?
            .header("etag")
            .context("no etag")?
            .to_owned();
        let modified = get(cluster, &[])?
            .header("last-modified")
            .map(str::to_owned);

        let unchanged = get(cluster, &[("if-none-match", &etag)])?;
        ensure!(
            unchanged.status() == 304,
            "it was answered {}",
            unchanged.problem()
        );
        let other = get(cluster, &[("if-match", "\"other\"")])?;
        refused(
            &other,
            "412 precondition_failed",
            "If-Match of another version",
        )?;
        let part = get(cluster, &[("range", "bytes=0-9"), ("if-range", &etag)])?;
        ensure!(part.status() == 206, "it was answered {}", part.problem());
        let whole = get(
            cluster,
            &[("range", "bytes=0-9"), ("if-range", "\"other\"")],
        )?;
        ensure!(whole.status() == 200, "it was answered {}", whole.problem());
        if let Some(modified) = modified {
            let same = get(cluster, &[("if-unmodified-since", &modified)])?;
            ensure!(same.status() == 200, "it was answered {}", same.problem());
        }

        // A connection for each: after a refusal that did not wait for the body it may be closed.
        let put = |headers: &[(&str, &str)]| {
            let mut connection = cluster.connect()?;
            connection.request("PUT", "/v1/files/x", headers, b"another version")
        };
        let taken = put(&[("if-none-match", "*")])?;
        refused(
            &taken,
            "412 precondition_failed",
            "If-None-Match of a file that is there",
        )?;
        let other = put(&[("if-match", "\"other\"")])?;
        refused(
            &other,
            "412 precondition_failed",
            "If-Match of another version",
        )?;
        let found = u64::try_from(get(cluster, &[])?.body.len())?;
        ensure!(found == LENGTH, "a refused PUT changed the file");
        let right = put(&[("if-match", &etag)])?;
        ensure!(right.status() == 201, "it was answered {}", right.problem());
        Ok(())
    })
}

#[test]
fn head_says_what_get_says() -> Result<()> {
    with_cluster(|cluster| {
        transfer::put(&mut cluster.connect()?, "x.mkv", Content::new(1), LENGTH)?;
        for path in [
            "/v1/files/x.mkv",
            "/play/x.mkv",
            "/v1/files/x.mkv?download=1",
        ] {
            let mut connection = cluster.connect()?;
            let head = connection.request("HEAD", path, &[], &[])?;
            let get = connection.request("GET", path, &[], &[])?;
            ensure!(
                head.status() == 200 && head.body.is_empty(),
                "{path}: {}",
                head.status()
            );
            let same = [
                "content-length",
                "content-type",
                "content-disposition",
                "etag",
                "last-modified",
                "accept-ranges",
                "x-mdfs-crc32",
                "x-mdfs-blake3",
                "x-mdfs-version",
            ];
            for name in same {
                let (head, get) = (head.header(name), get.header(name));
                ensure!(
                    head == get,
                    "{path}: {name} is {head:?} in HEAD, {get:?} in GET"
                );
            }
            let disposition = get.header("content-disposition").unwrap_or_default();
            let wanted = if path.contains("download") {
                "attachment"
            } else {
                "inline"
            };
            let is_files = path == "/v1/files/x.mkv";
            ensure!(
                is_files || disposition.starts_with(wanted),
                "{path}: {disposition}"
            );
        }
        Ok(())
    })
}
