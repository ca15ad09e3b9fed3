use super::*;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, RawQuery};
use axum::response::IntoResponse;
use axum::routing::{any, get, post, put};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::HeaderMap;
use http_body_util::BodyExt;
use mdfs_core::chunk::ChunkSize;
use mdfs_core::id::{Generation, Incarnation};
use mdfs_protocol::access::Secret;
use mdfs_protocol::access::{CLUSTER_HEADER, DISK_HEADER};
use mdfs_protocol::holdings::Report;
use mdfs_protocol::internal::{DiskState, Heartbeat, HeartbeatReply, VoterState};
use mdfs_protocol::problem::Code;
use mdfs_service::{Limits, RequestId, Tasks, serve};
use std::io;
use std::sync::Mutex;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

const WITHIN: Duration = Duration::from_secs(5);

fn key() -> ClusterKey {
    ClusterKey::new(&Secret::new(&[7; 32]).unwrap())
}

async fn peer(router: Router) -> (Links, Peer) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let stop = CancellationToken::new();
    Tasks::new(stop.clone())
        .spawn_request("serve", serve(listener, router, Limits::default(), stop));
    let links = Links::new(&key(), Some(ClusterId::from_u128(5)), Reads::Large).unwrap();
    (
        links,
        Peer {
            disk: DiskId::from_u128(9),
            url,
        },
    )
}

fn chunk() -> ChunkId {
    ChunkId {
        file: FileId::from_u128(3),
        index: 2,
    }
}

#[tokio::test]
async fn a_call_says_who_calls_and_whom_it_means() {
    let router = Router::new().route(
        internal::CHUNK_STAGED,
        get(
            |headers: HeaderMap, Path((file, index)): Path<(FileId, u32)>| async move {
                assert!(key().admits(headers["authorization"].to_str().ok()));
                assert_eq!(headers[DISK_HEADER], DiskId::from_u128(9).to_string());
                assert_eq!(headers[CLUSTER_HEADER], ClusterId::from_u128(5).to_string());
                assert_eq!(ChunkId { file, index }, chunk());
                axum::Json(Staged { received: 77 })
            },
        ),
    );
    let (links, peer) = peer(router).await;
    assert_eq!(
        links.staged(&peer, chunk(), WITHIN).await.unwrap().received,
        77
    );
}

#[tokio::test]
async fn a_segment_carries_offset_term_chain_and_checksum() {
    let router = Router::new().route(
        internal::CHUNK_SEGMENT,
        put(
            |RawQuery(query): RawQuery, headers: HeaderMap, body: Bytes| async move {
                let (one, two) = (DiskId::from_u128(1), DiskId::from_u128(2));
                let want = format!("offset=1048576&term=4.00000000000000aa&next={one},{two}");
                assert_eq!(query.as_deref(), Some(want.as_str()));
                assert_eq!(headers[CRC_HEADER], Crc32::of(&body).to_string());
                axum::Json(HopsReply { hops: Vec::new() })
            },
        ),
    );
    let (links, peer) = peer(router).await;
    let bytes = Bytes::from(vec![5; 1 << 20]);
    let crc = Crc32::of(&bytes);
    let term = Term {
        round: 4,
        incarnation: Incarnation(0xaa),
    };
    let next = [DiskId::from_u128(1), DiskId::from_u128(2)];
    // In pieces, some of them empty: they arrive as one body of their length.
    let cuts = [0, 7, 7, 600_000, bytes.len(), bytes.len()];
    let pieces = cuts.windows(2).map(|cut| bytes.slice(cut[0]..cut[1]));
    let bytes: Pieces = pieces.collect();
    assert_eq!((bytes.len(), bytes.iter().count()), (1 << 20, 3));
    let reply = links
        .segment(&peer, chunk(), 1 << 20, term, bytes, crc, &next, WITHIN)
        .await;
    assert_eq!(reply.unwrap().hops, []);
}

#[tokio::test]
async fn a_seal_passes_through_a_header_whatever_the_name() {
    let seal = Seal {
        length: 5,
        crc32: Crc32::of(b"hello"),
        hash: mdfs_core::checksum::ChunkHash([1; 32]),
        chunk_size: ChunkSize::default(),
        name: "film \"ü\" 🎬 \u{7f}\u{202e}.mkv".to_owned(),
        begun_at: 3,
        file_bytes: Some(5),
    };
    let want = seal.clone();
    let router = Router::new().route(
        internal::CHUNK,
        put(|headers: HeaderMap| async move {
            let got: Seal = serde_json::from_slice(headers[SEAL_HEADER].as_bytes()).unwrap();
            assert_eq!(got, want);
            axum::Json(Stored {
                length: got.length,
                crc32: got.crc32,
            })
        }),
    );
    let (links, peer) = peer(router).await;
    let body = Bytes::from_static(b"hello");
    let stored = links
        .store_whole(&peer, chunk(), Term::default(), body.into(), &seal, WITHIN)
        .await;
    assert_eq!(stored.unwrap().length, 5);
}

#[tokio::test]
async fn messages_of_the_log_travel_in_the_compact_form() {
    let router = Router::new().route(
        internal::LOG,
        post(|body: Bytes| async move {
            let (number, text): (u64, String) = postcard::from_bytes(&body).unwrap();
            postcard::to_stdvec(&(text, number + 1)).unwrap()
        }),
    );
    let (links, peer) = peer(router).await;
    let answer: (String, u64) = links.log(&peer, &(41_u64, "x"), WITHIN).await.unwrap();
    assert_eq!(answer, ("x".to_owned(), 42));
    let wrong: Result<[u8; 32], _> = links.log(&peer, &(41_u64, "x"), WITHIN).await;
    assert!(matches!(wrong.unwrap_err(), LinkError::Protocol { .. }));
}

#[tokio::test]
async fn a_refusal_keeps_its_code_and_other_failures_are_told_apart() {
    let refuse = |id: RequestId| async move {
        mdfs_service::serve::problem_response(Code::Fenced, "late", &id)
    };
    let router = Router::new()
        .route(internal::CHUNK_STAGED, any(refuse))
        .route(
            internal::IDENTITY,
            get(|| async { (http::StatusCode::BAD_GATEWAY, "??") }),
        );
    let (links, peer) = peer(router).await;
    let error = links
        .discard_staged(&peer, chunk(), WITHIN)
        .await
        .unwrap_err();
    assert_eq!(error.code(), Some(Code::Fenced));
    assert!(!error.is_unreachable());
    let error = links.identity(&peer.url, WITHIN).await.unwrap_err();
    assert!(matches!(error, LinkError::Protocol { .. }), "{error:?}");
    let gone = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let error = links
        .identity(&format!("http://{gone}"), WITHIN)
        .await
        .unwrap_err();
    assert!(error.is_unreachable(), "{error:?}");
    let error = links.identity("not a url", WITHIN).await.unwrap_err();
    assert!(matches!(error, LinkError::Protocol { .. }), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_unreachable_after_the_time_given() {
    let router = Router::new().route(
        internal::IDENTITY,
        get(std::future::pending::<axum::Json<Identity>>),
    );
    let (links, peer) = peer(router).await;
    let start = tokio::time::Instant::now();
    let error = links.identity(&peer.url, WITHIN).await.unwrap_err();
    assert!(error.is_unreachable(), "{error:?}");
    assert_eq!(start.elapsed().as_secs(), WITHIN.as_secs());
}

fn reading(body: impl Fn() -> Body + Clone + Send + Sync + 'static) -> Router {
    Router::new().route(
        internal::CHUNK,
        get(move || async move { body().into_response() }),
    )
}

#[tokio::test]
async fn a_read_gives_exactly_what_was_asked_for() {
    let (links, peer) = peer(reading(|| Body::from(vec![8; 3 << 20]))).await;
    let mut bytes = links
        .read(&peer, chunk(), 0, 3 << 20, WITHIN)
        .await
        .unwrap();
    let mut got = 0;
    while let Some(frame) = bytes.frame().await.unwrap() {
        got += frame.len();
    }
    assert_eq!((got, bytes.left()), (3 << 20, 0));
    let more = links.read(&peer, chunk(), 0, 100, WITHIN).await.unwrap();
    let last = more.collect::<Vec<_>>().await.pop().unwrap();
    assert!(matches!(last, Err(LinkError::Protocol { .. })), "{last:?}");
    let fewer = links
        .read(&peer, chunk(), 0, 4 << 20, WITHIN)
        .await
        .unwrap();
    let last = fewer.collect::<Vec<_>>().await.pop().unwrap();
    assert!(
        last.as_ref().is_err_and(LinkError::is_unreachable),
        "{last:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_read_that_breaks_or_stalls_keeps_what_came_before() {
    let piece = || Ok::<_, io::Error>(Bytes::from_static(b"good"));
    let broken = move || {
        let error = Err(io::Error::other("disk"));
        Body::from_stream(stream::iter([piece(), error]).then(|piece| async {
            tokio::task::yield_now().await;
            piece
        }))
    };
    let stalled = move || {
        Body::from_stream(stream::iter([piece()]).chain(stream::pending::<io::Result<_>>()))
    };
    for router in [reading(broken), reading(stalled)] {
        let (links, peer) = peer(router).await;
        let mut bytes = links.read(&peer, chunk(), 0, 100, WITHIN).await.unwrap();
        assert_eq!(bytes.frame().await.unwrap().unwrap(), "good");
        assert!(bytes.frame().await.unwrap_err().is_unreachable());
        assert!(bytes.frame().await.unwrap().is_none());
        assert_eq!(bytes.left(), 96);
    }
}

/// A beat of a worker that holds nothing.
fn beat() -> Heartbeat {
    Heartbeat {
        identity: Identity {
            disk: DiskId::from_u128(9),
            cluster: None,
            generation: Generation(1),
        },
        name: String::new(),
        url: String::new(),
        zone: None,
        capacity_bytes: 0,
        free_bytes: 0,
        chunks: 0,
        chunk_bytes: 0,
        bad_blocks: 0,
        oldest_unverified_millis: None,
        seal_millis: None,
        state: DiskState::Healthy,
        voter: VoterState::Healthy,
        leaving: false,
        directory_version: 0,
        holdings: Report::default(),
        done: Vec::new(),
        formats: mdfs_core::format::FORMATS,
        lease_millis: 3000,
        voter_last: mdfs_core::log::message::Position::default(),
        witness: false,
    }
}

#[tokio::test]
async fn a_line_keeps_its_connection_over_refusals_until_the_server_ends_it() {
    let callers = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&callers);
    // What is asked for stands in the name.
    let answer =
        move |caller: mdfs_service::Peer, id: RequestId, headers: HeaderMap, body: Bytes| {
            heard.lock().unwrap().push(caller.0);
            async move {
                assert!(key().admits(headers["authorization"].to_str().ok()));
                assert_eq!(headers[CLUSTER_HEADER], ClusterId::from_u128(5).to_string());
                let beat: Heartbeat = postcard::from_bytes(&body).unwrap();
                let reply = HeartbeatReply {
                    leader: None,
                    accepted: false,
                    directory: None,
                    masters: None,
                    known: None,
                    orders: Vec::new(),
                };
                let reply = postcard::to_stdvec(&reply).unwrap();
                match beat.name.as_str() {
                    "refuse" => mdfs_service::serve::problem_response(Code::Busy, "later", &id),
                    "end" => ([("connection", "close")], reply).into_response(),
                    "nonsense" => "?".repeat(999).into_response(),
                    "hang" => std::future::pending().await,
                    _ => reply.into_response(),
                }
            }
        };
    // An earlier master: it does not say to whoever asks with a server's key what it does not have.
    let routes = post(answer).get(async || http::StatusCode::UNAUTHORIZED);
    let (links, peer) = peer(Router::new().route(internal::HEARTBEAT, routes)).await;
    let mut line = links.line(&peer.url);
    let mut codes = Vec::new();
    for name in [
        "", "", "refuse", "", "end", "", "nonsense", "", "hang", "", "",
    ] {
        let within = match name {
            "hang" => Duration::from_millis(50),
            _ => WITHIN,
        };
        let name = name.to_owned();
        let said = line.heartbeat(&Heartbeat { name, ..beat() }, within).await;
        codes.push(match said {
            Ok(_) => "ok",
            Err(LinkError::Refused { .. }) => "refused",
            Err(LinkError::Unreachable { .. }) => "unreachable",
            Err(LinkError::Protocol { .. }) => "protocol",
        });
    }
    let want = [
        "ok",
        "ok",
        "refused",
        "ok",
        "ok",
        "ok",
        "protocol",
        "ok",
        "unreachable",
        "ok",
        "ok",
    ];
    assert_eq!(codes, want);
    let callers = callers.lock().unwrap().clone();
    let connections: Vec<_> = callers.chunk_by(|a, b| a == b).map(<[_]>::len).collect();
    assert_eq!(connections, [5, 4, 2]);
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = format!("http://{}", gone.local_addr().unwrap());
    let error = links.line(&gone).heartbeat(&beat(), WITHIN).await;
    assert!(error.unwrap_err().is_unreachable());
    let error = links.line("not a url").heartbeat(&beat(), WITHIN).await;
    assert!(matches!(error.unwrap_err(), LinkError::Protocol { .. }));
}

/// Answers every call with its path, or not at all.
#[derive(Debug)]
struct Echo {
    broken: bool,
}

impl Route for Echo {
    fn carry(
        &self,
        request: http::Request<Pieces>,
    ) -> futures_util::future::BoxFuture<'static, Result<http::Response<CarriedBody>, CarryError>>
    {
        let broken = self.broken;
        Box::pin(async move {
            if broken {
                return Err("the cable is cut".into());
            }
            let staged = format!("{{\"received\":{}}}", request.body().len());
            let body =
                http_body_util::Full::new(Bytes::from(staged)).map_err(|never| match never {});
            Ok(http::Response::new(CarriedBody::new(body)))
        })
    }
}

#[tokio::test]
async fn what_stands_in_for_the_network_carries_every_call() {
    let peer = Peer {
        disk: DiskId::from_u128(9),
        url: "http://nowhere:1".to_owned(),
    };
    for broken in [false, true] {
        let network = Network::simulated(Arc::new(Echo { broken }));
        let links = Links::on(&network, &key(), None, Reads::Large).unwrap();
        let staged = links.staged(&peer, chunk(), WITHIN).await;
        match broken {
            false => assert_eq!(staged.unwrap().received, 0),
            true => assert!(staged.unwrap_err().is_unreachable()),
        }
    }
}
