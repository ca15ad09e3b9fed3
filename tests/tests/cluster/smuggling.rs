//! Requests that two servers could read differently: each is refused as a whole, and what it hides
//! is never taken for a request of its own.

use crate::{ask, with_cluster};
use anyhow::{Context, Result, ensure};
use mdfs_tests::content::Content;
use mdfs_tests::dev_cluster::DevCluster;
use mdfs_tests::transfer;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Longer than a server waits for the rest of a head.
const SILENCE: Duration = Duration::from_secs(20);

/// Header lines, in bytes as they are sent, of a request with a token and a body.
const HEADERS: &[&[u8]] = &[
    // Lengths that are no plain number.
    b"Content-Length: +5",
    b"Content-Length: -5",
    b"Content-Length: 5,5",
    b"Content-Length: 5, 5",
    b"Content-Length: 5 5",
    b"Content-Length: 5\t5",
    b"Content-Length: ,5",
    b"Content-Length: 5,",
    b"Content-Length: 5;",
    b"Content-Length: 5.0",
    b"Content-Length: 5e0",
    b"Content-Length: 0x5",
    b"Content-Length: 5h",
    b"Content-Length: five",
    b"Content-Length: \"5\"",
    b"Content-Length: '5'",
    b"Content-Length: #5",
    b"Content-Length: 5 bytes",
    b"Content-Length:",
    b"Content-Length: ",
    b"Content-Length: \x0b5",
    b"Content-Length: 5\x0b",
    b"Content-Length: 5\x0c",
    b"Content-Length: 5\x00",
    b"Content-Length: \x005",
    b"Content-Length: \xef\xbc\x95",
    b"Content-Length: \xd9\xa5",
    b"Content-Length: 18446744073709551616",
    b"Content-Length: 99999999999999999999999",
    b"Content-Length: NaN",
    // Two lengths, equal or not.
    b"Content-Length: 5\r\nContent-Length: 5",
    b"Content-Length: 5\r\nContent-Length: 6",
    b"Content-Length: 0\r\nContent-Length: 5",
    b"Content-Length: 5\r\ncontent-length: 5",
    b"CONTENT-LENGTH: 5\r\nContent-Length: 0",
    b"Content-Length: 5\r\nX: y\r\nContent-Length: 5",
    b"Content-Length: 5\r\nContent-Length:",
    // A length and a coding.
    b"Content-Length: 5\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked\r\nContent-Length: 5",
    b"content-length: 0\r\ntransfer-encoding: chunked",
    b"Transfer-Encoding: Chunked\r\nContent-Length: 0",
    b"Transfer-Encoding: chunked\r\nX: y\r\nContent-Length: 5",
    b"Content-Length: 5\r\nTransfer-Encoding: identity",
    b"Content-Length: 5\r\nTransfer-Encoding: x",
    b"Content-Length: 5\r\nTransfer-Encoding:",
    // Codings other than exactly one `chunked`.
    b"Transfer-Encoding: gzip",
    b"Transfer-Encoding: deflate",
    b"Transfer-Encoding: compress",
    b"Transfer-Encoding: br",
    b"Transfer-Encoding: identity",
    b"Transfer-Encoding: trailers",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: gzip,chunked",
    b"Transfer-Encoding: chunked, gzip",
    b"Transfer-Encoding: chunked, identity",
    b"Transfer-Encoding: identity, chunked",
    b"Transfer-Encoding: chunked, chunked",
    b"Transfer-Encoding: chunked,",
    b"Transfer-Encoding: , chunked",
    b"Transfer-Encoding: chunked;q=1",
    b"Transfer-Encoding: chunked; a=b",
    b"Transfer-Encoding: \"chunked\"",
    b"Transfer-Encoding: 'chunked'",
    b"Transfer-Encoding: chunk",
    b"Transfer-Encoding: chunkedx",
    b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding: x chunked",
    b"Transfer-Encoding: chunked x",
    b"Transfer-Encoding: chunked\x00",
    b"Transfer-Encoding: \x00chunked",
    b"Transfer-Encoding: chunked\x0b",
    b"Transfer-Encoding: \x0bchunked",
    b"Transfer-Encoding: chunked\x0c",
    b"Transfer-Encoding: chun\x7fked",
    b"Transfer-Encoding: \xc2\xa0chunked",
    b"Transfer-Encoding: chunked\xc2\xa0",
    b"Transfer-Encoding: \xef\xbb\xbfchunked",
    b"Transfer-Encoding: chun\xc5\xbfed",
    b"Transfer-Encoding:",
    b"Transfer-Encoding: ",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip",
    b"Transfer-Encoding: x\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked\r\ntransfer-encoding: x",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding:",
    // Names that some servers take for others.
    b"Transfer-Encoding : chunked",
    b"Transfer-Encoding\t: chunked",
    b"Transfer-Encoding \t : chunked",
    b"Content-Length : 5",
    b"Content-Length\t: 5",
    b"Content Length: 5",
    b"Transfer Encoding: chunked",
    b"Transfer-Encoding\x00: chunked",
    b"\x00Transfer-Encoding: chunked",
    b"Transfer-Encoding\x0b: chunked",
    b"\x0bTransfer-Encoding: chunked",
    b"\xef\xbb\xbfTransfer-Encoding: chunked",
    b"Transfer-Enc\xc3\xb6ding: chunked",
    b"\"Transfer-Encoding\": chunked",
    b"(Transfer-Encoding): chunked",
    b"Transfer-Encoding, x: chunked",
    b"Transfer-Encoding/: chunked",
    b"@Transfer-Encoding: chunked",
    b"[Content-Length]: 5",
    b"Content-Length",
    b"Transfer-Encoding",
    b"Transfer-Encoding chunked",
    b"Content-Length 5",
    b"Content-Length=5",
    b": 5",
    b" : 5",
    b"X Y: z",
    // Lines that are folded, or begin with a space.
    b"X: y\r\n Transfer-Encoding: chunked",
    b"X: y\r\n\tTransfer-Encoding: chunked",
    b"X: y\r\n Content-Length: 5",
    b"X:\r\n y",
    b"X: y\r\n z",
    b"X: y\r\n\tz",
    b"Transfer-Encoding:\r\n chunked",
    b"Transfer-Encoding:\r\n\tchunked",
    b"Transfer-Encoding: x,\r\n chunked",
    b"Transfer-Encoding: chunked\r\n , x",
    b"Content-Length:\r\n 5",
    b"Content-Length: 5\r\n 0",
    b"Content-Length: 5\r\n\t",
    // Ends of lines that are not CR LF, and other bytes that are in no header.
    b"X: y\nTransfer-Encoding: chunked",
    b"X: y\nContent-Length: 5",
    b"Content-Length: 5\nX: y",
    b"X: y\n",
    b"X: y\rTransfer-Encoding: chunked",
    b"X: y\rContent-Length: 5",
    b"X: y\r\rContent-Length: 5",
    b"Content-Length: 5\r",
    b"Transfer-Encoding: chunked\r",
    b"X: y\r\r\nContent-Length: 5",
    b"X: \x00",
    b"X: y\x00z",
    b"X: y\x01z",
    b"X: y\x08z",
    b"X: y\x0bz",
    b"X: y\x1fz",
    b"X: y\x7fz",
    b"X\x7f: y",
    // More than one host.
    b"Host: other",
    b"host: other",
    b"Host:",
];

/// First lines of a request.
const FIRST_LINES: &[&[u8]] = &[
    b"PUT http://a/v1/files/x HTTP/1.1",
    b"PUT https://a/v1/files/x HTTP/1.1",
    b"PUT http://user:pass@a/v1/files/x HTTP/1.1",
    b"PUT //a:80/v1/files/x HTTP/1.1 HTTP/1.1",
    b"PUT  /v1/files/x HTTP/1.1",
    b"PUT /v1/files/x  HTTP/1.1",
    b"PUT\t/v1/files/x HTTP/1.1",
    b"PUT /v1/files/x\tHTTP/1.1",
    b"PUT /v1/files/x HTTP/1.1 x",
    b"PUT /v1/files/x y HTTP/1.1",
    b"PUT /v1/files/x HTTP/1.2",
    b"PUT /v1/files/x HTTP/2.0",
    b"PUT /v1/files/x HTTP/0.9",
    b"PUT /v1/files/x HTTP/1",
    b"PUT /v1/files/x HTTP/1.",
    b"PUT /v1/files/x HTTP/11",
    b"PUT /v1/files/x HTTP/1.10",
    b"PUT /v1/files/x HTTP/ 1.1",
    b"PUT /v1/files/x http/1.1",
    b"PUT /v1/files/x HTTP",
    b"PUT /v1/files/x XTTP/1.1",
    b"PUT /v1/files/x",
    b"PUT v1/files/x HTTP/1.1",
    b"PUT * HTTP/1.1",
    b"PUT HTTP/1.1",
    b"/v1/files/x HTTP/1.1",
    b"PUT /v1/files/\x00x HTTP/1.1",
    b"PUT /v1/files/\x0bx HTTP/1.1",
    b"PUT /v1/files/\x7fx HTTP/1.1",
    b"PUT /v1/files/x HTTP/1.1\rX: y",
    b"PUT /v1/files/x HTTP/1.1\nX: y",
    b"PUT /v1/files/x HTTP/1.1\r",
    b"P\x00T /v1/files/x HTTP/1.1",
    b"P(T /v1/files/x HTTP/1.1",
    b"P\xc3\x9cT /v1/files/x HTTP/1.1",
    b"CONNECT a:80 HTTP/1.1",
    b"CONNECT /v1/files/x HTTP/1.1",
    b"PRI * HTTP/2.0",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
];

/// Bodies in chunks that are not well formed.
const CHUNKS: &[&[u8]] = &[
    b"z\r\nhello\r\n0\r\n\r\n",
    b"\r\nhello\r\n0\r\n\r\n",
    b"-5\r\nhello\r\n0\r\n\r\n",
    b"+5\r\nhello\r\n0\r\n\r\n",
    b"0x5\r\nhello\r\n0\r\n\r\n",
    b"5x\r\nhello\r\n0\r\n\r\n",
    b" 5\r\nhello\r\n0\r\n\r\n",
    b"5,5\r\nhello\r\n0\r\n\r\n",
    b"5\r\nhell\r\n0\r\n\r\n",
    b"5\r\nhelloo\r\n0\r\n\r\n",
    b"5\r\nhello0\r\n\r\n",
    b"5\r\nhello\n0\r\n\r\n",
    b"5\r\nhello\r0\r\n\r\n",
    b"5\rhello\r\n0\r\n\r\n",
    b"5\nhello\r\n0\r\n\r\n",
    b"5;\nhello\r\n0\r\n\r\n",
    b"5;x\nhello\r\n0\r\n\r\n",
    b"fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
    b"10000000000000005\r\nhello\r\n0\r\n\r\n",
    b"\xef\xbc\x95\r\nhello\r\n0\r\n\r\n",
    b"5\r\nhello\r\nz\r\n\r\n",
    b"5\r\nhello\r\n-0\r\n\r\n",
];

/// A request that must never be taken for one.
fn hidden(cluster: &DevCluster) -> String {
    let token = cluster.token();
    format!("DELETE /v1/files/victim HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n")
}

/// Sends bytes on a connection of their own, and gives all that comes back until the server closes.
fn exchange(cluster: &DevCluster, bytes: &[u8]) -> Result<String> {
    let host = cluster.url().strip_prefix("http://").context("a URL")?;
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(SILENCE))?;
    // The server may have closed before it has all.
    match stream.write_all(bytes) {
        Err(error) if !is_closed(&error) => return Err(error.into()),
        _ => {}
    }
    let mut said = Vec::new();
    match stream.read_to_end(&mut said) {
        Err(error) if !is_closed(&error) => Err(error).context("the connection stays open"),
        _ => Ok(String::from_utf8_lossy(&said).into_owned()),
    }
}

fn is_closed(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
    )
}

#[test]
fn what_could_be_read_in_two_ways_is_refused_and_hides_nothing() -> Result<()> {
    with_cluster(|cluster| {
        transfer::put(&mut cluster.connect()?, "victim", Content::new(1), 1000)?;
        let token = cluster.token();
        let hidden = hidden(cluster);
        let sure = format!("Host: a\r\nAuthorization: Bearer {token}\r\n");
        let request = |line: &[u8], headers: &[u8], body: &[u8]| {
            let hidden = hidden.as_bytes();
            let parts = [
                line,
                b"\r\n",
                sure.as_bytes(),
                headers,
                b"\r\n\r\n",
                body,
                hidden,
            ];
            parts.concat()
        };
        let put = b"PUT /v1/files/x HTTP/1.1";
        let body = b"0\r\n\r\n";
        let by_header = HEADERS.iter().map(|headers| request(put, headers, body));
        let by_line = FIRST_LINES
            .iter()
            .map(|line| request(line, b"Content-Length: 0", b""));
        let by_chunk = CHUNKS
            .iter()
            .map(|chunks| request(put, b"Transfer-Encoding: chunked", chunks));
        let cases: Vec<Vec<u8>> = by_header.chain(by_line).chain(by_chunk).collect();
        ensure!(cases.len() >= 150, "only {} cases", cases.len());
        let mut wrong = Vec::new();
        for case in &cases {
            let said = exchange(cluster, case);
            let fine = said.as_ref().is_ok_and(|said| is_one_refusal(said));
            if !fine || ask(cluster, "HEAD", "/v1/files/victim")?.status() != 200 {
                let shown = String::from_utf8_lossy(case).replace(token, "TOKEN");
                wrong.push(format!(
                    "{:?}: {said:?}",
                    shown.replace(&hidden.replace(token, "TOKEN"), "")
                ));
                transfer::put(&mut cluster.connect()?, "victim", Content::new(1), 1000)?;
            }
        }
        ensure!(
            wrong.is_empty(),
            "{} of {}:\n{}",
            wrong.len(),
            cases.len(),
            wrong.join("\n")
        );
        let stored = ask(cluster, "HEAD", "/v1/files/x")?.status();
        ensure!(stored == 404, "something was stored: {stored}");
        Ok(())
    })
}

/// Whether a server said no, once.
fn is_one_refusal(said: &str) -> bool {
    let status = said
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3));
    let refused = matches!(
        status,
        Some("400" | "405" | "411" | "414" | "431" | "501" | "505")
    );
    said.is_empty() || (refused && said.matches("HTTP/1.1 ").count() == 1)
}

#[test]
fn what_can_be_read_in_one_way_only_is_taken() -> Result<()> {
    with_cluster(|cluster| {
        let token = cluster.token();
        let put = |headers: &str, body: &str| {
            let head =
                format!("PUT /v1/files/x HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}");
            format!("{head}\r\n{headers}\r\nConnection: close\r\n\r\n{body}")
        };
        for (headers, body) in [
            ("Content-Length: 5", "hello"),
            ("content-length:5", "hello"),
            ("Content-Length: \t 5 \t ", "hello"),
            ("Content-Length: 05", "hello"),
            ("Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n"),
            ("transfer-encoding:CHUNKED", "5\r\nhello\r\n0\r\n\r\n"),
            ("Transfer-Encoding: chunked", "5;a=b\r\nhello\r\n0\r\n\r\n"),
            ("Transfer-Encoding: chunked", "005\r\nhello\r\n000\r\n\r\n"),
            (
                "Transfer-Encoding: chunked",
                "2\r\nhe\r\n3\r\nllo\r\n0\r\nX: y\r\n\r\n",
            ),
        ] {
            let said = exchange(cluster, put(headers, body).as_bytes())?;
            ensure!(
                said.starts_with("HTTP/1.1 201 "),
                "{headers:?} {body:?}: {said}"
            );
            let read = ask(cluster, "GET", "/v1/files/x")?;
            ensure!(
                read.body == b"hello",
                "{headers:?} {body:?} stored {}",
                read.text()
            );
        }
        Ok(())
    })
}
