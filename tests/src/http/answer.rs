//! What a server answered.

use anyhow::{Context, Result, ensure};
use std::io::{self, BufRead, BufReader};
use std::net::TcpStream;

/// How many bytes of headers an answer may have.
const HEAD_MAX: usize = 64 * 1024;

/// The first lines of an answer.
#[derive(Clone, Debug)]
pub struct Head {
    /// The status code.
    pub status: u16,
    headers: Vec<(String, String)>,
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its first lines.
    pub head: Head,
    /// Its body.
    pub body: Vec<u8>,
}

impl Head {
    /// The value of a header; none if it is not there.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(header, _)| header.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

impl Answer {
    /// The status code.
    pub fn status(&self) -> u16 {
        self.head.status
    }

    /// The value of a header; none if it is not there.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// If it is none.
    pub fn json(&self) -> Result<serde_json::Value> {
        serde_json::from_slice(&self.body).with_context(|| {
            format!(
                "{} with a body that is no JSON: {}",
                self.status(),
                self.text()
            )
        })
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The status and the stable word of an error's body, such as `404 file_not_found`.
    pub fn problem(&self) -> String {
        let body = self.json().unwrap_or_default();
        let code = body
            .get("code")
            .and_then(|code| code.as_str())
            .unwrap_or("without a code");
        format!("{} {code}", self.status())
    }
}

pub(super) fn read_head(stream: &mut BufReader<TcpStream>) -> Result<Head> {
    let first = read_line(stream)?;
    ensure!(
        !first.is_empty(),
        "the connection was closed without an answer"
    );
    let status = first
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3)?.parse().ok());
    let status = status.with_context(|| format!("{first:?} is no status line"))?;
    let mut headers = Vec::new();
    let mut bytes = first.len();
    loop {
        let line = read_line(stream)?;
        bytes += line.len();
        ensure!(
            bytes <= HEAD_MAX,
            "an answer with more than {HEAD_MAX} bytes of headers"
        );
        if line.is_empty() {
            return Ok(Head { status, headers });
        }
        let (name, value) = line.split_once(':').context("a header without a colon")?;
        headers.push((name.trim().to_owned(), value.trim().to_owned()));
    }
}

/// A line without its end; empty also when the stream has ended.
pub(super) fn read_line(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = Vec::new();
    stream.read_until(b'\n', &mut line)?;
    Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
}
