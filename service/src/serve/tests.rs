use super::*;
use crate::tasks::Tasks;
use axum::Router;
use axum::body::Body;
use axum::routing::{get, post};
use bytes::Bytes;
use futures_util::stream;
use http::StatusCode;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

const OK: &str = "HTTP/1.1 200 OK";
const REFUSED: &str = "HTTP/1.1 400 Bad Request";

struct Server {
    address: SocketAddr,
    leave: CancellationToken,
    stop: CancellationToken,
    task: JoinHandle<io::Result<()>>,
}

impl Server {
    async fn start(router: Router) -> Self {
        Self::limited(router, Limits::default()).await
    }

    async fn limited(router: Router, limits: Limits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (leave, stop) = (CancellationToken::new(), CancellationToken::new());
        let serving = serve_leaving(listener, router, limits, leave.clone(), stop.clone());
        let task = Tasks::new(stop.clone()).spawn_request("serve", serving);
        Self {
            address,
            leave,
            stop,
            task,
        }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends `raw` on a new connection and returns all that comes until the server closes it.
    async fn exchange(&self, raw: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(raw.as_bytes()).await.unwrap();
        rest(&mut stream).await
    }
}

async fn rest(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

/// Reads until `text` has come.
async fn until(stream: &mut TcpStream, text: &str) -> String {
    let mut got = Vec::new();
    while !String::from_utf8_lossy(&got).contains(text) {
        let byte = stream.read_u8().await.unwrap();
        got.push(byte);
    }
    String::from_utf8(got).unwrap()
}

async fn echo(body: Bytes) -> Bytes {
    body
}

fn echoing() -> Router {
    Router::new().route("/", get(|| async { "hello" }).post(echo).put(echo))
}

#[tokio::test]
async fn ambiguous_requests_get_400_and_the_connection_closes() {
    let server = Server::start(echoing()).await;
    for headers in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: -1\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "X-Bare: feed\n",
        "X-Folded: a\r\n b\r\n",
        "X Spaced: a\r\n",
        "Host: other\r\n",
    ] {
        let next = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        let raw = format!("POST / HTTP/1.1\r\nHost: a\r\n{headers}\r\n0\r\n\r\n{next}");
        let got = server.exchange(&raw).await;
        assert!(got.starts_with(REFUSED), "{headers:?}: {got}");
        assert_eq!(got.matches("HTTP/1.1").count(), 1, "{headers:?}: {got}");
    }
    for head in [
        "GET http://a/ HTTP/1.1\r\nHost: a\r\n",
        "GET / HTTP/1.1\r\n",
        "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n",
    ] {
        let got = server.exchange(&format!("{head}\r\n")).await;
        assert!(got.starts_with(REFUSED), "{head:?}: {got}");
        assert!(
            got.contains("\"code\":\"invalid_request\""),
            "{head:?}: {got}"
        );
    }
}

#[tokio::test]
async fn bad_chunks_are_refused_and_good_ones_end_the_connection() {
    let server = Server::start(echoing()).await;
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for bad in [
        "zz\r\nhello\r\n0\r\n\r\n",
        "5\r\nhelloo\r\n0\r\n\r\n",
        "fffffffffffffffff\r\n",
    ] {
        let got = server.exchange(&format!("{head}{bad}")).await;
        assert!(got.starts_with(REFUSED), "{bad:?}: {got}");
    }
    let got = server
        .exchange(&format!("{head}5\r\nhello\r\n0\r\n\r\n"))
        .await;
    assert!(got.starts_with(OK) && got.ends_with("hello"), "{got}");
    assert!(got.contains("connection: close"), "{got}");
}

#[tokio::test]
async fn long_paths_and_heads_are_refused_at_their_limits() {
    let server = Server::start(echoing()).await;
    let got = server
        .exchange(&format!(
            "GET /{} HTTP/1.1\r\nHost: a\r\n\r\n",
            "x".repeat(8192)
        ))
        .await;
    assert!(got.starts_with("HTTP/1.1 414 "), "{got}");
    assert!(got.contains("application/problem+json"), "{got}");
    let header = |bytes: usize| format!("X: {}\r\n", "x".repeat(bytes));
    let many = "X: y\r\n".repeat(10_000);
    for headers in [
        header(17_000),
        header(16_000).repeat(5),
        header(1_000_000),
        many,
    ] {
        let got = server
            .exchange(&format!("GET / HTTP/1.1\r\nHost: a\r\n{headers}\r\n"))
            .await;
        assert!(
            got.starts_with("HTTP/1.1 431 "),
            "{} bytes: {got}",
            headers.len()
        );
    }
    let fine = header(15_000).repeat(3);
    let got = server
        .exchange(&format!(
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fine}\r\n"
        ))
        .await;
    assert!(got.starts_with(OK), "{got}");
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let server = Server::start(echoing()).await;
    let post = |body: &str| {
        format!(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let last = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let got = server
        .exchange(&format!("{}{}{last}", post("first"), post("\r\n\r\n")))
        .await;
    assert_eq!(got.matches(OK).count(), 3, "{got}");
    assert!(
        got.find("first").unwrap() < got.find("hello").unwrap(),
        "{got}"
    );
}

#[tokio::test]
async fn a_request_id_is_kept_when_sane_and_drawn_when_not() {
    let router = Router::new().route(
        "/",
        get(|id: RequestId| async move { id.as_str().to_owned() }),
    );
    let server = Server::start(router).await;
    let ask = async |id: &str| {
        let head =
            format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Request-Id: {id}\r\n\r\n");
        server.exchange(&head).await
    };
    let got = ask("abc-1_2.3").await;
    assert!(
        got.contains("x-request-id: abc-1_2.3\r\n") && got.ends_with("abc-1_2.3"),
        "{got}"
    );
    for odd in ["", "a b", "<script>", &"x".repeat(65)] {
        let got = ask(odd).await;
        let drawn = got.rsplit("\r\n\r\n").next().unwrap();
        assert_eq!(drawn.len(), 16, "{odd:?}: {got}");
        assert!(
            got.contains(&format!("x-request-id: {drawn}\r\n")),
            "{odd:?}: {got}"
        );
    }
}

#[tokio::test]
async fn a_panicking_handler_is_a_500_that_says_nothing_and_closes() {
    async fn fragile() -> &'static str {
        panic!("secret {}", 42)
    }
    let server = Server::start(Router::new().route("/", get(fragile))).await;
    let got = server.exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(got.starts_with("HTTP/1.1 500 "), "{got}");
    assert!(
        got.contains("\"code\":\"internal\"") && !got.contains("secret"),
        "{got}"
    );
    assert!(!server.stop.is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn a_head_that_trickles_in_is_cut_off_after_its_limit() {
    let server = Server::start(echoing()).await;
    let start = Instant::now();
    let mut stream = server.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    let trickle = async {
        for _ in 0..100 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if stream.write_all(b"X: y\r\n").await.is_err() {
                break;
            }
        }
    };
    trickle.await;
    assert!(
        start.elapsed() < Duration::from_secs(15),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_and_a_long_answer_is_not_idle() {
    let slow = || async {
        tokio::time::sleep(Duration::from_secs(300)).await;
        "late"
    };
    let server = Server::start(Router::new().route("/", get(slow))).await;
    let start = Instant::now();
    let mut stream = server.connect().await;
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    let got = rest(&mut stream).await;
    assert!(got.starts_with(OK) && got.ends_with("late"), "{got}");
    let waited = start.elapsed().as_secs();
    assert!((355..=365).contains(&waited), "{waited}");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stalls_is_given_up_and_the_connection_closes() {
    let server = Server::start(echoing()).await;
    let start = Instant::now();
    let raw = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\nhello";
    let got = server.exchange(raw).await;
    assert!(got.starts_with(REFUSED), "{got}");
    let waited = start.elapsed().as_secs();
    assert!((29..=35).contains(&waited), "{waited}");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_trickles_in_is_given_up_after_half_a_minute() {
    let server = Server::start(echoing()).await;
    let send = async |every: u64, bytes: usize, seconds: u64| {
        let start = Instant::now();
        let length = usize::try_from(seconds / every).unwrap() * bytes;
        let mut stream = server.connect().await;
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let (mut reader, mut writer) = stream.split();
        let writing = async {
            for _ in 0..seconds / every {
                tokio::time::sleep(Duration::from_secs(every)).await;
                if writer.write_all(&vec![b'x'; bytes]).await.is_err() {
                    break;
                }
            }
            std::future::pending::<()>().await;
        };
        let mut head = [0; 12];
        tokio::select! {
            () = writing => {}
            read = reader.read_exact(&mut head) => drop(read.unwrap()),
        }
        (
            String::from_utf8_lossy(&head).into_owned(),
            start.elapsed().as_secs(),
        )
    };
    let (status, waited) = send(1, 900, 100).await;
    assert_eq!(status, "HTTP/1.1 400");
    assert!((29..=32).contains(&waited), "{waited}");
    let (status, waited) = send(1, 1100, 100).await;
    assert_eq!(status, "HTTP/1.1 200");
    assert!((99..=101).contains(&waited), "{waited}");
    let (status, _) = send(20, 40_000, 100).await;
    assert_eq!(status, "HTTP/1.1 200");
}

#[tokio::test]
async fn one_address_has_no_more_connections_than_it_may() {
    let limits = Limits {
        connections_of_one: 2,
        ..Limits::default()
    };
    let server = Server::limited(echoing(), limits).await;
    let head = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut first = server.connect().await;
    let mut second = server.connect().await;
    for stream in [&mut first, &mut second] {
        stream.write_all(head.as_bytes()).await.unwrap();
        until(stream, "hello").await;
    }
    let mut third = server.connect().await;
    let got = rest(&mut third).await;
    assert!(got.starts_with("HTTP/1.1 503 "), "{got}");
    drop(first);
    // The server learns of the end by and by.
    loop {
        let mut stream = server.connect().await;
        let sent = stream.write_all(head.as_bytes()).await;
        let mut byte = [0; 10];
        if sent.is_ok() && stream.read_exact(&mut byte).await.is_ok() && byte.ends_with(b"2") {
            break;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_no_bytes_is_given_up() {
    let (sender, mut closed) = mpsc::unbounded_channel();
    let endless = get(move |connection: ConnectionClosed| async move {
        let _ = sender.send(connection);
        Body::from_stream(stream::repeat_with(|| {
            io::Result::Ok(Bytes::from(vec![0; 1 << 20]))
        }))
    });
    let server = Server::start(Router::new().route("/", endless)).await;
    let mut stream = server.connect().await;
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    let connection = closed.recv().await.unwrap();
    let start = Instant::now();
    connection.0.cancelled().await;
    let waited = start.elapsed().as_secs();
    assert!((59..=62).contains(&waited), "{waited}");
}

#[tokio::test]
async fn a_client_that_hangs_up_cancels_its_request_and_its_connection() {
    struct Told(mpsc::UnboundedSender<&'static str>);
    impl Drop for Told {
        fn drop(&mut self) {
            let _ = self.0.send("dropped");
        }
    }
    let (sender, mut told) = mpsc::unbounded_channel();
    let handler = get(move |closed: ConnectionClosed| {
        let held = Told(sender.clone());
        async move {
            let watch = Tasks::new(CancellationToken::new());
            let sender = held.0.clone();
            watch.spawn_request("watch", async move {
                closed.0.cancelled().await;
                let _ = sender.send("closed");
            });
            let _ = held.0.send("started");
            std::future::pending::<()>().await;
        }
    });
    let server = Server::start(Router::new().route("/", handler)).await;
    let mut stream = server.connect().await;
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(told.recv().await, Some("started"));
    drop(stream);
    let mut got = [told.recv().await.unwrap(), told.recv().await.unwrap()];
    got.sort_unstable();
    assert_eq!(got, ["closed", "dropped"]);
}

#[tokio::test(start_paused = true)]
async fn connections_beyond_the_limit_wait_for_a_free_one() {
    let server = Server::limited(
        echoing(),
        Limits {
            max_connections: 1,
            ..Limits::default()
        },
    )
    .await;
    let head = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut first = server.connect().await;
    first.write_all(head.as_bytes()).await.unwrap();
    until(&mut first, "hello").await;
    let mut second = server.connect().await;
    second.write_all(head.as_bytes()).await.unwrap();
    let early = tokio::time::timeout(Duration::from_secs(5), second.read_u8()).await;
    assert!(early.is_err());
    drop(first);
    assert!(until(&mut second, "hello").await.starts_with(OK));
}

#[tokio::test(start_paused = true)]
async fn stopping_lets_requests_finish_but_not_for_ever() {
    let router = Router::new()
        .route(
            "/short",
            post(|| async { tokio::time::sleep(Duration::from_secs(5)).await }),
        )
        .route(
            "/long",
            post(|| async { tokio::time::sleep(Duration::from_secs(500)).await }),
        );
    let server = Server::start(router).await;
    let ask = async |path: &str| {
        let mut stream = server.connect().await;
        let head = format!("POST {path} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        stream
    };
    let (mut short, mut long) = (ask("/short").await, ask("/long").await);
    let start = Instant::now();
    server.stop.cancel();
    assert!(rest(&mut short).await.contains("200 OK"));
    server.task.await.unwrap().unwrap();
    assert_eq!(start.elapsed().as_secs(), 20);
    let mut nothing = Vec::new();
    let _ = long.read_to_end(&mut nothing).await;
    assert!(nothing.is_empty());
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn one_that_leaves_serves_on_and_sends_its_clients_elsewhere() {
    let handler = get(|Leaving(leaving): Leaving| async move { format!("leaving {leaving}.") });
    let limits = Limits {
        shutdown_delay: Duration::from_secs(5),
        ..Limits::default()
    };
    let server = Server::limited(Router::new().route("/", handler), limits).await;
    let head = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut old = server.connect().await;
    old.write_all(head.as_bytes()).await.unwrap();
    let got = until(&mut old, "leaving false.").await;
    assert!(!got.contains("connection: close"), "{got}");

    let start = Instant::now();
    server.leave.cancel();
    old.write_all(head.as_bytes()).await.unwrap();
    for got in [rest(&mut old).await, server.exchange(head).await] {
        assert!(
            got.starts_with(OK) && got.contains("connection: close"),
            "{got}"
        );
        assert!(got.ends_with("leaving true."), "{got}");
    }
    assert!(!server.stop.is_cancelled());
    server.task.await.unwrap().unwrap();
    assert!(server.stop.is_cancelled());
    assert_eq!(start.elapsed().as_secs(), 5);
}

#[tokio::test]
async fn an_early_refusal_of_a_large_upload_reaches_its_client() {
    let router = Router::new().route("/", post(|| async { (StatusCode::UNAUTHORIZED, "no") }));
    let server = Server::start(router).await;
    let mut stream = server.connect().await;
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8388608\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&vec![b'x'; 4 << 20]).await.unwrap();
    let got = until(&mut stream, "\r\n\r\nno").await;
    assert!(got.starts_with("HTTP/1.1 401 "), "{got}");
}
