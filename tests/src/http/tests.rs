use super::*;
use std::net::TcpListener;

/// A server that reads one request head, answers `answer`, and closes.
fn answering(answer: &'static [u8]) -> Connection {
    answering_and_then(answer, drop)
}

/// A server that reads one request head, answers `answer`, and then does `next` with its end.
fn answering_and_then(
    answer: &'static [u8],
    next: impl FnOnce(TcpStream) + Send + 'static,
) -> Connection {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut seen = Vec::new();
        while !seen.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            assert_eq!(stream.read(&mut byte).unwrap(), 1);
            seen.extend(byte);
        }
        stream.write_all(answer).unwrap();
        next(stream);
    });
    Connection::open(&url, Some("secret")).unwrap()
}

#[test]
fn a_body_in_chunks_is_joined() {
    let mut connection = answering(
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\
          3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n",
    );
    assert_eq!(
        connection.request("GET", "/", &[], &[]).unwrap().text(),
        "abcde"
    );
    assert!(connection.is_closed().unwrap());
}

#[test]
fn an_informational_answer_is_passed_over() {
    let mut connection = answering(
        b"HTTP/1.1 100 Continue\r\n\r\n\
          HTTP/1.1 404 Not Found\r\nContent-Length: 13\r\n\r\n{\"code\": \"x\"}",
    );
    assert_eq!(
        connection.request("GET", "/", &[], &[]).unwrap().problem(),
        "404 x"
    );
}

#[test]
fn a_body_that_ends_early_is_an_error() {
    let mut connection = answering(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabc");
    let error = connection.request("GET", "/", &[], &[]).unwrap_err();
    assert_eq!(error.to_string(), "the body ended 2 bytes early");

    let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabc";
    assert!(answering(chunked).request("GET", "/", &[], &[]).is_err());
}

#[test]
fn a_connection_closed_without_an_answer_is_an_error() {
    assert!(answering(b"").request("GET", "/", &[], &[]).is_err());
}

#[test]
fn the_answer_to_head_has_no_body() {
    let mut connection = answering(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n");
    let answer = connection.request("HEAD", "/", &[], &[]).unwrap();
    assert_eq!(
        (answer.header("Content-Length"), answer.body.len()),
        (Some("5"), 0)
    );
}

#[test]
fn the_end_of_a_body_is_seen_while_the_connection_stays_open() {
    let (held, holds) = std::sync::mpsc::channel();
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc";
    let mut connection = answering_and_then(answer, move |stream| held.send(stream).unwrap());
    assert_eq!(
        connection.request("GET", "/", &[], &[]).unwrap().text(),
        "abc"
    );
    drop(holds);
}

#[test]
fn an_answer_says_whether_another_may_come() {
    for (answer, closes) in [
        (&b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"[..], false),
        (
            b"HTTP/1.1 200 OK\r\nConnection: close\r\ncontent-length: 0\r\n\r\n",
            true,
        ),
    ] {
        let mut connection = answering(answer);
        connection.request("GET", "/", &[], &[]).unwrap();
        assert_eq!(connection.closes(), closes);
    }
}
