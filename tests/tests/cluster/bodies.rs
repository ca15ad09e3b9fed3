//! Bodies: lengths that do not fit, checksums, and files of any size.

use crate::{ask, names, refused, with_cluster};
use anyhow::{Result, ensure};
use mdfs_tests::content::Content;
use mdfs_tests::dev_cluster::DevCluster;
use mdfs_tests::http::Connection;
use mdfs_tests::transfer;
use std::thread;

/// Sends a request whose head is written by hand.
fn by_hand(cluster: &DevCluster, headers: &str, body: &str) -> Result<(Connection, u16)> {
    let mut connection = Connection::open(cluster.url(), None)?;
    let token = cluster.token();
    let head = format!("PUT /v1/files/x HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n");
    let answer = connection.raw(format!("{head}{headers}\r\n\r\n{body}").as_bytes())?;
    Ok((connection, answer.status()))
}

#[test]
fn lengths_that_contradict_each_other_are_refused() -> Result<()> {
    with_cluster(|cluster| {
        let bad = [
            (
                "content-length: 3\r\ntransfer-encoding: chunked",
                "3\r\nabc\r\n0\r\n\r\n",
            ),
            (
                "transfer-encoding: chunked\r\ncontent-length: 3",
                "3\r\nabc\r\n0\r\n\r\n",
            ),
            ("content-length: 3\r\ncontent-length: 4", "abcd"),
            ("content-length: +3", "abc"),
            ("content-length: -3", "abc"),
            ("content-length: 3, 4", "abcd"),
            ("transfer-encoding: chunked", "xyz\r\nabc\r\n0\r\n\r\n"),
            ("transfer-encoding: gzip", "abc"),
        ];
        for (headers, body) in bad {
            let (mut connection, status) = by_hand(cluster, headers, body)?;
            ensure!(
                matches!(status, 400 | 501),
                "{headers:?} was answered {status}"
            );
            ensure!(
                connection.is_closed()?,
                "{headers:?} left the connection open"
            );
        }
        ensure!(
            names(&mut cluster.connect()?)?.is_empty(),
            "something was stored"
        );
        Ok(())
    })
}

#[test]
fn a_body_of_another_length_than_announced_is_never_half_a_file() -> Result<()> {
    with_cluster(|cluster| {
        let content = Content::new(1);
        // Shorter: the client goes away in the middle; whether it hears of it does not matter.
        for (number, length) in [1, 70_000, 3_000_000].into_iter().enumerate() {
            let path = transfer::path(&format!("short/{number}"));
            let body = content.reader(length);
            let answer = cluster
                .connect()?
                .upload("PUT", &path, &[], body, Some(length + 1));
            if let Ok(answer) = answer {
                refused(&answer, "400 incomplete_body", "a short body")?;
            }
            refused(
                &ask(cluster, "GET", &path)?,
                "404 file_not_found",
                "what was cut off",
            )?;
        }
        // Chunks that never end.
        let connection = Connection::open(cluster.url(), None)?;
        let token = cluster.token();
        let head = "PUT /v1/files/short/chunks HTTP/1.1\r\nhost: x\r\n";
        let rest = "transfer-encoding: chunked\r\n\r\n5\r\nab";
        let cut_off = format!("{head}authorization: Bearer {token}\r\n{rest}");
        connection.cut_off(cut_off.as_bytes())?;
        ensure!(
            names(&mut cluster.connect()?)?.is_empty(),
            "something was stored"
        );

        // Longer: what follows the announced bytes is no part of the file, nor a request.
        let (mut connection, status) = by_hand(cluster, "content-length: 3", "abcdefgh\r\n\r\n")?;
        ensure!(
            status == 201,
            "a body with bytes behind it was answered {status}"
        );
        let next = connection.raw(b"")?;
        ensure!(
            next.status() == 400,
            "bytes behind a body were answered {}",
            next.status()
        );
        let stored = ask(cluster, "GET", "/v1/files/x")?;
        ensure!(stored.body == b"abc", "stored is {:?}", stored.text());
        Ok(())
    })
}

#[test]
fn a_checksum_that_differs_leaves_the_old_file() -> Result<()> {
    with_cluster(|cluster| {
        let mut connection = cluster.connect()?;
        let put = |connection: &mut Connection, header: (&str, &str), body: &[u8]| {
            connection.request("PUT", "/v1/files/x", &[header], body)
        };
        // The CRC-32 of "123456789" is the usual check value.
        let good = put(&mut connection, ("x-mdfs-crc32", "cbf43926"), b"123456789")?;
        ensure!(
            good.status() == 201,
            "a right checksum was answered {}",
            good.problem()
        );
        ensure!(good.json()?["crc32"] == "cbf43926", "{}", good.text());
        let wrong = [
            ("x-mdfs-crc32", "cbf43927"),
            (
                "content-digest",
                "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:",
            ),
        ];
        for header in wrong {
            let answer = put(&mut connection, header, b"something else")?;
            refused(&answer, "400 checksum_mismatch", header.0)?;
        }
        let answer = put(
            &mut connection,
            ("x-mdfs-crc32", "no number"),
            b"something else",
        )?;
        refused(&answer, "400 invalid_request", "a checksum that is none")?;
        ensure!(
            ask(cluster, "GET", "/v1/files/x")?.body == b"123456789",
            "the file changed"
        );
        Ok(())
    })
}

#[test]
fn files_of_every_size_come_back() -> Result<()> {
    with_cluster(|cluster| {
        let mib = 1 << 20;
        let sizes = [
            0,
            1,
            65_535,
            65_536,
            65_537,
            mib - 1,
            mib,
            mib + 1,
            3 * mib + 7,
        ];
        for (number, size) in (1..).zip(sizes) {
            let content = Content::new(number);
            let name = format!("s/{size}");
            let path = format!("{}?chunk_size={mib}", transfer::path(&name));
            let length = if number % 2 == 0 { None } else { Some(size) };
            // A server may close after a body without a length.
            let mut connection = cluster.connect()?;
            let answer = connection.upload("PUT", &path, &[], content.reader(size), length)?;
            transfer::stored(&name, size, &answer)?;
            transfer::get(&mut cluster.connect()?, &name, content, size, |_| Ok(()))?;
        }
        let nothing = ask(cluster, "GET", "/v1/files/s/0")?;
        ensure!(
            nothing.status() == 200 && nothing.body.is_empty(),
            "{}",
            nothing.problem()
        );
        let range = [("range", "bytes=0-0")];
        let answer = cluster
            .connect()?
            .request("GET", "/v1/files/s/0", &range, &[])?;
        refused(
            &answer,
            "416 range_not_satisfiable",
            "a range of an empty file",
        )
    })
}

#[test]
fn an_encoded_body_is_stored_as_it_is() -> Result<()> {
    with_cluster(|cluster| {
        let mut connection = cluster.connect()?;
        let body = b"\x1f\x8b\x08\x00 no real gzip";
        let headers = [
            ("content-encoding", "gzip"),
            ("content-type", "application/x-test"),
        ];
        let answer = connection.request("PUT", "/v1/files/x", &headers, body)?;
        ensure!(
            answer.status() == 201,
            "it was answered {}",
            answer.problem()
        );
        let answer = ask(cluster, "GET", "/v1/files/x")?;
        ensure!(answer.body == body, "it came back as {:?}", answer.text());
        let media_type = answer.header("content-type");
        ensure!(
            media_type == Some("application/x-test"),
            "its type is {media_type:?}"
        );
        Ok(())
    })
}

#[test]
fn of_uploads_to_one_name_at_once_one_wins_whole() -> Result<()> {
    with_cluster(|cluster| {
        let cluster = &*cluster;
        let length = |number: u64| 900_000 + number * 1000;
        let put = |number: u64| -> Result<()> {
            let content = Content::new(number);
            transfer::put(&mut cluster.connect()?, "x", content, length(number))
        };
        thread::scope(|scope| {
            let threads: Vec<_> = (0..6)
                .map(|number| scope.spawn(move || put(number)))
                .collect();
            threads.into_iter().try_for_each(|one| {
                one.join()
                    .unwrap_or_else(|_| Err(anyhow::anyhow!("an upload ended badly")))
            })
        })?;
        let found = ask(cluster, "GET", "/v1/files/x")?.body;
        let bytes = u64::try_from(found.len())?;
        let winner = (0..6).find(|number| length(*number) == bytes);
        let winner = winner.ok_or_else(|| anyhow::anyhow!("{bytes} bytes are nobody's"))?;
        Content::new(winner).check(0, &found)
    })
}

#[test]
fn a_reader_keeps_the_version_it_began_with() -> Result<()> {
    with_cluster(|cluster| {
        let (old, new, length) = (Content::new(1), Content::new(2), 24 << 20);
        let mut reader = cluster.connect()?;
        transfer::put(&mut reader, "x", old, length)?;
        let mut overwritten = false;
        transfer::get(&mut reader, "x", old, length, |_| {
            if !overwritten {
                overwritten = true;
                transfer::put(&mut cluster.connect()?, "x", new, length + 1)?;
            }
            Ok(())
        })?;
        transfer::get(&mut reader, "x", new, length + 1, |_| Ok(())).map(drop)
    })
}
