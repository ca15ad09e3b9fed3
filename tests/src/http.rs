//! A plain HTTP/1.1 client that sends exactly what it is told, also what no decent client would.
//!
//! Blocking, one connection, no retries, no redirects: what a test sees is what the server did.

use anyhow::{Context, Result, bail, ensure};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// How long a server may say nothing.
const SILENCE: Duration = Duration::from_secs(60);
/// How much of a body is written at once.
const WRITE_BYTES: usize = 256 * 1024;
/// How many bytes of headers an answer may have.
const HEAD_MAX: usize = 64 * 1024;

/// One connection to a server, kept open from request to request.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<TcpStream>,
    host: String,
    token: Option<String>,
}

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

/// An answer whose body is still to be read.
#[derive(Debug)]
pub struct Download<'a> {
    /// Its first lines.
    pub head: Head,
    stream: &'a mut BufReader<TcpStream>,
    framing: Framing,
}

#[derive(Clone, Copy, Debug)]
enum Framing {
    Length(u64),
    /// Bytes left of the present chunk; zero before the first and after the last.
    Chunked {
        left: u64,
        ended: bool,
    },
    UntilClose,
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

impl Connection {
    /// Connects to `url`, such as `http://127.0.0.1:8080`; requests carry `token` if there is one.
    ///
    /// # Errors
    /// If nothing listens there.
    pub fn open(url: &str, token: Option<&str>) -> Result<Self> {
        let rest = url
            .strip_prefix("http://")
            .context("only http is spoken here")?;
        let host = rest.split('/').next().unwrap_or_default().to_owned();
        let stream = TcpStream::connect(&host).with_context(|| format!("connect to {host}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE))?;
        stream.set_write_timeout(Some(SILENCE))?;
        let stream = BufReader::with_capacity(WRITE_BYTES, stream);
        Ok(Self {
            stream,
            host,
            token: token.map(str::to_owned),
        })
    }

    /// Sends a request with `body` (none if it is empty) and reads the whole answer.
    ///
    /// # Errors
    /// If the connection breaks or the answer is no HTTP.
    pub fn request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer> {
        if body.is_empty() && matches!(method, "GET" | "HEAD") {
            return self.download(method, path, headers)?.finish();
        }
        let length = u64::try_from(body.len())?;
        self.upload(method, path, headers, body, Some(length))
    }

    /// Sends a request with a body of `length` bytes, or in chunks if that is none, and reads the
    /// whole answer. A body that ends before `length` ends the sending side of the connection.
    ///
    /// # Errors
    /// If the connection breaks without an answer, or the answer is no HTTP.
    pub fn upload(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Read,
        length: Option<u64>,
    ) -> Result<Answer> {
        let framing = match length {
            Some(length) => format!("content-length: {length}\r\n"),
            None => "transfer-encoding: chunked\r\n".to_owned(),
        };
        let head = self.head(method, path, headers, &framing);
        // A server may answer and close before it has read everything: the answer counts.
        let written = self
            .write(head.as_bytes())
            .and_then(|()| self.write_body(body, length));
        match self.read_answer(method == "HEAD") {
            Ok(answer) => Ok(answer),
            Err(error) => match written {
                Ok(()) => Err(error),
                Err(written) => Err(error.context(written)),
            },
        }
    }

    /// Sends a request without a body; the answer's body is left to be read.
    ///
    /// # Errors
    /// If the connection breaks or the answer is no HTTP.
    pub fn download(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Download<'_>> {
        let head = self.head(method, path, headers, "");
        self.write(head.as_bytes())?;
        self.start(method == "HEAD")
    }

    /// Sends these bytes as they are and reads one whole answer.
    ///
    /// # Errors
    /// If the connection breaks or the answer is no HTTP.
    pub fn raw(&mut self, bytes: &[u8]) -> Result<Answer> {
        self.write(bytes)?;
        self.read_answer(false)
    }

    /// Whether the server closes the connection next.
    ///
    /// # Errors
    /// If it says something instead.
    pub fn is_closed(&mut self) -> Result<bool> {
        let mut byte = [0];
        match self.stream.read(&mut byte) {
            Ok(0) => Ok(true),
            Ok(_) => bail!("the server went on talking"),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    fn head(&self, method: &str, path: &str, headers: &[(&str, &str)], framing: &str) -> String {
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\n", self.host);
        if let Some(token) = &self.token {
            head.push_str(&format!("authorization: Bearer {token}\r\n"));
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(framing);
        head.push_str("\r\n");
        head
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stream.get_mut().write_all(bytes)?)
    }

    fn write_body(&mut self, mut body: impl Read, length: Option<u64>) -> Result<()> {
        let mut buffer = vec![0; WRITE_BYTES];
        let mut sent = 0;
        loop {
            let count = body.read(&mut buffer)?;
            let part = buffer.get(..count).unwrap_or_default();
            if length.is_none() {
                self.write(format!("{count:x}\r\n").as_bytes())?;
                self.write(part)?;
                self.write(b"\r\n")?;
            } else {
                self.write(part)?;
            }
            sent += u64::try_from(count)?;
            if count == 0 {
                break;
            }
        }
        if length.is_some_and(|length| sent < length) {
            self.stream.get_mut().shutdown(std::net::Shutdown::Write)?;
        }
        Ok(())
    }

    fn read_answer(&mut self, without_body: bool) -> Result<Answer> {
        self.start(without_body)?.finish()
    }

    fn start(&mut self, without_body: bool) -> Result<Download<'_>> {
        let head = loop {
            let head = read_head(&mut self.stream)?;
            // 1xx: the answer is still to come.
            if head.status >= 200 {
                break head;
            }
        };
        let framing = if without_body || matches!(head.status, 204 | 304) {
            Framing::Length(0)
        } else if let Some(length) = head.header("content-length") {
            Framing::Length(
                length
                    .parse()
                    .context("a content-length that is no number")?,
            )
        } else if head.header("transfer-encoding").is_some() {
            Framing::Chunked {
                left: 0,
                ended: false,
            }
        } else {
            Framing::UntilClose
        };
        Ok(Download {
            head,
            stream: &mut self.stream,
            framing,
        })
    }
}

impl Download<'_> {
    /// Reads the rest of the body.
    ///
    /// # Errors
    /// If it ends early.
    pub fn finish(mut self) -> Result<Answer> {
        let mut body = Vec::new();
        self.read_to_end(&mut body)?;
        Ok(Answer {
            head: self.head,
            body,
        })
    }

    fn next_chunk(&mut self) -> io::Result<Framing> {
        let bad = || io::Error::new(io::ErrorKind::InvalidData, "a chunk without a length");
        let line = read_line(self.stream)?;
        let left = u64::from_str_radix(line.split(';').next().unwrap_or_default(), 16);
        let left = left.map_err(|_| bad())?;
        if left == 0 {
            while !read_line(self.stream)?.is_empty() {}
        }
        Ok(Framing::Chunked {
            left,
            ended: left == 0,
        })
    }
}

impl Read for Download<'_> {
    /// A body that ends before its announced length is an error, never an end.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Framing::Chunked {
            left: 0,
            ended: false,
        } = self.framing
        {
            self.framing = self.next_chunk()?;
        }
        let left = match self.framing {
            Framing::Length(left) | Framing::Chunked { left, .. } => left,
            Framing::UntilClose => u64::MAX,
        };
        let count = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let (part, _) = buffer.split_at_mut(count);
        let read = self.stream.read(part)?;
        if read == 0 && count > 0 && !matches!(self.framing, Framing::UntilClose) {
            let why = format!("the body ended {left} bytes early");
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, why));
        }
        let read_bytes = u64::try_from(read).map_err(io::Error::other)?;
        match &mut self.framing {
            Framing::Length(left) => *left -= read_bytes,
            Framing::Chunked { left, .. } => {
                *left -= read_bytes;
                if *left == 0 && read > 0 && !read_line(self.stream)?.is_empty() {
                    let why = "a chunk longer than its length";
                    return Err(io::Error::new(io::ErrorKind::InvalidData, why));
                }
            }
            Framing::UntilClose => {}
        }
        Ok(read)
    }
}

fn read_head(stream: &mut BufReader<TcpStream>) -> Result<Head> {
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
fn read_line(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = Vec::new();
    stream.read_until(b'\n', &mut line)?;
    Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
}
