//! A plain HTTP/1.1 client that sends exactly what it is told, also what no decent client would.
//!
//! Blocking, one connection, no retries, no redirects: what a test sees is what the server did.

mod answer;

pub use answer::{Answer, Head};

use answer::{read_head, read_line};
use anyhow::{Context, Result, bail};
use std::io::{self, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// How long a server may say nothing.
const SILENCE: Duration = Duration::from_secs(60);
/// How much of a body is written at once.
const WRITE_BYTES: usize = 256 * 1024;

/// One connection to a server, kept open from request to request.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<TcpStream>,
    host: String,
    token: Option<String>,
    closes: bool,
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

impl Connection {
    /// Connects to `url`, such as `http://127.0.0.1:8080`; requests carry `token` if there is one.
    ///
    /// # Errors
    /// If nothing listens there.
    pub fn open(url: &str, token: Option<&str>) -> Result<Self> {
        let host = host_of(url)?;
        let stream = TcpStream::connect(host).with_context(|| format!("connect to {host}"))?;
        Self::over(stream, host, token)
    }

    /// The same where the server may be out of reach: no try takes longer than `limit`.
    ///
    /// # Errors
    /// If nothing answers there in time.
    pub fn open_within(url: &str, token: Option<&str>, limit: Duration) -> Result<Self> {
        let host = host_of(url)?;
        let address: SocketAddr = host.parse().context("an address and a port")?;
        let stream = TcpStream::connect_timeout(&address, limit);
        Self::over(
            stream.with_context(|| format!("connect to {host}"))?,
            host,
            token,
        )
    }

    /// Connects to `url` from an address of its own, such as 127.0.0.2. Requests carry no token.
    ///
    /// # Errors
    /// If nothing listens there, or the address is not this machine's.
    pub fn open_from(url: &str, source: Ipv4Addr) -> Result<Self> {
        use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
        let host = host_of(url)?;
        let address: SocketAddr = host.parse().context("an address and a port")?;
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
        bind(&socket, &SocketAddr::from((source, 0))).with_context(|| format!("bind {source}"))?;
        connect(&socket, &address).with_context(|| format!("connect to {host}"))?;
        Self::over(TcpStream::from(socket), host, None)
    }

    fn over(stream: TcpStream, host: &str, token: Option<&str>) -> Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE))?;
        stream.set_write_timeout(Some(SILENCE))?;
        let stream = BufReader::with_capacity(WRITE_BYTES, stream);
        Ok(Self {
            stream,
            host: host.to_owned(),
            token: token.map(str::to_owned),
            closes: false,
        })
    }

    /// How long the server may say nothing, and take nothing, from now on.
    ///
    /// # Errors
    /// If that is no time at all.
    pub fn bear_silence_for(&mut self, time: Duration) -> Result<()> {
        let stream = self.stream.get_ref();
        stream.set_read_timeout(Some(time))?;
        stream.set_write_timeout(Some(time))?;
        Ok(())
    }

    /// The connection as it is, for what is no request and answer. Nothing may have been read.
    pub fn into_stream(self) -> TcpStream {
        self.stream.into_inner()
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

    /// Sends these bytes as they are, ends the sending side, and waits until the server closes.
    /// What it answers does not matter.
    ///
    /// # Errors
    /// If the connection cannot be written to, or stays open.
    pub fn cut_off(mut self, bytes: &[u8]) -> Result<()> {
        self.write(bytes)?;
        self.stream.get_mut().shutdown(std::net::Shutdown::Write)?;
        match self.stream.read_to_end(&mut Vec::new()) {
            Err(error) if error.kind() != io::ErrorKind::ConnectionReset => Err(error.into()),
            _ => Ok(()),
        }
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

    /// Whether the last answer said that no other comes on this connection.
    pub const fn closes(&self) -> bool {
        self.closes
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
        let connection = head.header("connection");
        self.closes = connection.is_some_and(|it| it.eq_ignore_ascii_case("close"));
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

/// Host and port of a URL.
fn host_of(url: &str) -> Result<&str> {
    let rest = url
        .strip_prefix("http://")
        .context("only http is spoken here")?;
    Ok(rest.split('/').next().unwrap_or_default())
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
        if count == 0 {
            // Reading nothing could still wait for something.
            return Ok(0);
        }
        let (part, _) = buffer.split_at_mut(count);
        let read = self.stream.read(part)?;
        if read == 0 && !matches!(self.framing, Framing::UntilClose) {
            let why = format!("the body ended {left} bytes early");
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, why));
        }
        let read_bytes = u64::try_from(read).map_err(io::Error::other)?;
        match &mut self.framing {
            Framing::Length(left) => *left -= read_bytes,
            Framing::Chunked { left, .. } => {
                *left -= read_bytes;
                if *left == 0 && !read_line(self.stream)?.is_empty() {
                    let why = "a chunk longer than its length";
                    return Err(io::Error::new(io::ErrorKind::InvalidData, why));
                }
            }
            Framing::UntilClose => {}
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests;
