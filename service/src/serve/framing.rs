//! Follows the bytes that arrive on a connection far enough to see where request heads end and how
//! their bodies are framed.
//!
//! hyper reads the requests; it forgives some heads that another server on the way may read
//! differently (both lengths given, bare line feeds, two lengths). Here those are found and refused.
//! Pure: bytes in, findings out.

/// What a head says about its request, besides what hyper says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// Nothing wrong.
    Sound,
    /// The body is chunked: the connection is not followed beyond it, so it must close after.
    Chunked,
    /// The request must be refused and the connection closed, for this reason.
    Refused(&'static str),
    /// One header is longer than allowed.
    HeaderTooLong,
}

/// What is expected next from the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expecting {
    /// A new request, or nothing.
    Request,
    /// The rest of a head.
    Head,
    /// Bytes of a body, or anything at all once the connection is not followed any more.
    Body,
}

/// Where a connection's input stands.
#[derive(Debug)]
pub(super) struct Framing {
    state: State,
    line: Vec<u8>,
    head: Head,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Start,
    Head,
    Body(u64),
    Opaque,
}

#[derive(Debug, Default)]
struct Head {
    length: Option<u64>,
    chunked: bool,
    hosts: usize,
    version_11: bool,
    refused: Option<&'static str>,
    too_long: bool,
}

/// The longest request line or header that is looked at.
pub(super) const LINE_MAX_BYTES: usize = 16 * 1024;

impl Framing {
    pub(super) fn new() -> Self {
        Self {
            state: State::Start,
            line: Vec::new(),
            head: Head::default(),
        }
    }

    pub(super) fn expecting(&self) -> Expecting {
        match self.state {
            State::Start if self.line.is_empty() => Expecting::Request,
            State::Start | State::Head => Expecting::Head,
            State::Body(_) | State::Opaque => Expecting::Body,
        }
    }

    /// Takes the next bytes; calls `found` once for each head that ends in them, in order.
    pub(super) fn feed(&mut self, mut bytes: &[u8], mut found: impl FnMut(Finding)) {
        while !bytes.is_empty() {
            match self.state {
                State::Opaque => return,
                State::Body(left) => {
                    let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                    bytes = bytes.get(here..).unwrap_or_default();
                    let left = left.saturating_sub(u64::try_from(here).unwrap_or(u64::MAX));
                    self.state = if left == 0 {
                        State::Start
                    } else {
                        State::Body(left)
                    };
                }
                State::Start | State::Head => {
                    let end = bytes.iter().position(|&b| b == b'\n');
                    let (part, rest) = bytes.split_at(end.map_or(bytes.len(), |at| at + 1));
                    bytes = rest;
                    self.line.extend_from_slice(part);
                    // The line may be cut: hyper ends heads that are longer in all.
                    if self.line.len() > LINE_MAX_BYTES + 1 {
                        self.head.too_long |= self.state == State::Head;
                        self.line.truncate(LINE_MAX_BYTES + 1);
                    }
                    if end.is_some()
                        && let Some(finding) = self.end_line(part.ends_with(b"\r\n"))
                    {
                        found(finding);
                    }
                }
            }
        }
    }

    /// Ends a line. `whole` says whether its last part ended as it should; a line cut in two
    /// between CR and LF is told by the line itself.
    fn end_line(&mut self, whole: bool) -> Option<Finding> {
        let line = std::mem::take(&mut self.line);
        if !whole && !line.ends_with(b"\r\n") && line.len() <= LINE_MAX_BYTES {
            self.head
                .refused
                .get_or_insert("a line does not end with CR LF");
        }
        let line = line.trim_ascii_end();
        match self.state {
            // Empty lines before a request are skipped, as hyper does.
            State::Start if line.is_empty() => None,
            State::Start => {
                self.head.version_11 = line.ends_with(b" HTTP/1.1");
                self.state = State::Head;
                None
            }
            State::Head if line.is_empty() => Some(self.end_head()),
            State::Head => {
                self.head.take(line);
                None
            }
            State::Body(_) | State::Opaque => None,
        }
    }

    fn end_head(&mut self) -> Finding {
        let head = std::mem::take(&mut self.head);
        let finding = head.finding();
        self.state = match (finding, head.length) {
            (Finding::Sound, None | Some(0)) => State::Start,
            (Finding::Sound, Some(length)) => State::Body(length),
            (Finding::Chunked | Finding::Refused(_) | Finding::HeaderTooLong, _) => State::Opaque,
        };
        finding
    }
}

impl Head {
    fn take(&mut self, line: &[u8]) {
        let Some(colon) = line.iter().position(|&b| b == b':') else {
            return;
        };
        let (name, value) = line.split_at(colon);
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        if name.eq_ignore_ascii_case(b"content-length") {
            let parsed = std::str::from_utf8(value)
                .ok()
                .filter(|text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()));
            match parsed.and_then(|text| text.parse().ok()) {
                None => self.refuse("the content length is not a number"),
                Some(_) if self.length.is_some() => self.refuse("two content lengths are given"),
                Some(length) => self.length = Some(length),
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
                self.refuse("the only transfer encoding is chunked, once");
            }
            self.chunked = true;
        } else if name.eq_ignore_ascii_case(b"host") {
            self.hosts += 1;
        }
    }

    fn refuse(&mut self, reason: &'static str) {
        self.refused.get_or_insert(reason);
    }

    fn finding(&self) -> Finding {
        if self.too_long {
            return Finding::HeaderTooLong;
        }
        if let Some(reason) = self.refused {
            return Finding::Refused(reason);
        }
        if self.chunked && self.length.is_some() {
            return Finding::Refused("both a content length and a transfer encoding are given");
        }
        if self.hosts > 1 || (self.version_11 && self.hosts == 0) {
            return Finding::Refused("exactly one host must be named");
        }
        if self.chunked {
            Finding::Chunked
        } else {
            Finding::Sound
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `input` whole, and byte by byte: both must find the same.
    #[track_caller]
    fn check(input: &str, want: &[Finding], expecting: Expecting) {
        for step in [input.len().max(1), 1] {
            let mut framing = Framing::new();
            let mut found = Vec::new();
            for part in input.as_bytes().chunks(step) {
                framing.feed(part, |finding| found.push(finding));
            }
            assert_eq!(found, want, "{input:?} in steps of {step}");
            assert_eq!(
                framing.expecting(),
                expecting,
                "{input:?} in steps of {step}"
            );
        }
    }

    #[test]
    fn heads_are_found_where_they_end_and_bodies_are_passed_over() {
        use Expecting::{Body, Head, Request};
        let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        check("", &[], Request);
        check("GET /", &[], Head);
        check(get, &[Finding::Sound], Request);
        check(
            &format!("\r\n{get}\r\n{get}"),
            &[Finding::Sound, Finding::Sound],
            Request,
        );
        let put = "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n";
        check(&format!("{put}\n\n\r\n"), &[Finding::Sound], Body);
        check(
            &format!("{put}\r\n\r\n1{get}"),
            &[Finding::Sound, Finding::Sound],
            Request,
        );
        let chunked = "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n";
        check(
            &format!("{chunked}0\r\n\r\n{get}"),
            &[Finding::Chunked],
            Body,
        );
        check("GET / HTTP/1.0\r\n\r\n", &[Finding::Sound], Request);
    }

    #[test]
    fn heads_that_can_be_read_in_two_ways_are_refused() {
        #[track_caller]
        fn refused(headers: &str) {
            let head = format!("PUT / HTTP/1.1\r\nHost: a\r\n{headers}\r\n");
            let mut found = Vec::new();
            Framing::new().feed(head.as_bytes(), |finding| found.push(finding));
            assert!(
                matches!(found[..], [Finding::Refused(_)]),
                "{headers:?}: {found:?}"
            );
        }
        refused("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n");
        refused("Transfer-Encoding: chunked\r\ncontent-length: 5\r\n");
        refused("Content-Length: 5\r\nContent-Length: 6\r\n");
        refused("Content-Length: 5\r\nContent-Length: 5\r\n");
        refused("Content-Length: 5, 5\r\n");
        refused("Content-Length: +5\r\n");
        refused("Content-Length:\r\n");
        refused("Content-Length: 99999999999999999999\r\n");
        refused("Transfer-Encoding: gzip, chunked\r\n");
        refused("Transfer-Encoding: xchunked\r\n");
        refused("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n");
        refused("X-Bare: line feed\n");
        refused("Host: b\r\n");
    }

    #[test]
    fn a_header_beyond_the_limit_is_told_and_not_kept() {
        let mut framing = Framing::new();
        let mut found = Vec::new();
        framing.feed(b"GET / HTTP/1.1\r\nHost: a\r\nX: ", |finding| {
            found.push(finding)
        });
        for _ in 0..100 {
            framing.feed(&[b'x'; 1024], |finding| found.push(finding));
            assert!(framing.line.len() <= LINE_MAX_BYTES + 1);
        }
        framing.feed(b"\r\n\r\n", |finding| found.push(finding));
        assert_eq!(found, [Finding::HeaderTooLong]);
    }
}
