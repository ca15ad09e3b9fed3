use super::*;
use std::net::TcpListener;

/// A server that reads one request head, answers `answer`, and closes.
fn answering(answer: &'static [u8]) -> Connection {
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
    });
    Connection::open(&url, Some("secret")).unwrap()
}

#[test]
fn a_body_in_chunks_is_joined() {
    let mut connection = answering(
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n",
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
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 13\r\n\r\n{\"code\": \"x\"}",
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
