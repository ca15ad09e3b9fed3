//! Masters that say nothing, and uploads that only take long.

use super::*;
use axum::routing::post;
use mdfs_protocol::public::Verified;

/// How long a master may be silent here, and how long a call is tried again.
const STALL: Duration = Duration::from_millis(300);
const RETRY_FOR: Duration = Duration::from_millis(100);

/// A client of the masters at `urls`, in this order.
fn client_of(urls: &[&str]) -> Client {
    let mut config = ClientConfig::new(urls[0]).with_token("secret");
    config.urls = urls.iter().map(ToString::to_string).collect();
    (config.stall, config.retry_for) = (STALL, RETRY_FOR);
    Client::new(config).unwrap()
}

/// `count` pieces of a byte, one in a third of the time that a master may be silent.
fn trickle(count: usize) -> PutBody {
    let pieces = stream::iter(vec![Bytes::from_static(b"a"); count]);
    let pieces = pieces.then(|piece| async {
        tokio::time::sleep(STALL / 3).await;
        Ok(piece)
    });
    PutBody::stream(pieces, None)
}

#[tokio::test]
async fn an_upload_may_take_longer_than_a_master_may_be_silent() {
    let good = Fake::default().client().await;
    let client = client_of(&[good.base_url()]);
    let stored = client.put("a", trickle(9), &PutOptions::default()).await;
    assert_eq!(stored.unwrap().size, 9);
}

#[tokio::test]
async fn another_master_is_asked_when_one_is_silent_for_longer_than_calls_are_tried_again() {
    // Connections are made by the system; nobody answers them.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = format!("http://{}", listener.local_addr().unwrap());
    let good = Fake::of(10).client().await;
    let client = client_of(&[&silent, good.base_url()]);
    assert_eq!(client.stat("a").await.unwrap().size, 10);
}

#[tokio::test]
async fn what_disks_have_to_read_first_may_take_longer() {
    let verified = Verified {
        name: "a".to_owned(),
        good: true,
        chunks: 1,
        replicas: 2,
        lost_chunks: 0,
        crc32: "00000000".to_owned(),
        found_crc32: None,
        workers: Vec::new(),
        problems: Vec::new(),
    };
    let slow = async || {
        tokio::time::sleep(STALL * 2).await;
        axum::Json(verified)
    };
    let url = serve_at(Router::new().route(public::FILE, post(slow))).await;
    assert!(client_of(&[&url]).verify("a").await.unwrap().good);
}

#[tokio::test]
async fn a_silent_master_is_told_of() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = format!("http://{}", listener.local_addr().unwrap());
    let error = client_of(&[&silent]).stat("a").await.unwrap_err();
    assert!(error.is_transient() && !error.did_nothing());
    assert_eq!(error.to_string(), "a: nothing came for 0.3 s");
}

#[tokio::test]
async fn a_download_goes_on_with_another_master_when_one_falls_silent() {
    let hanging = Fake {
        hangs: true,
        ..Fake::of(100_000)
    };
    let good = Fake::of(100_000);
    let (want, asked) = (good.bytes.clone(), good.asked.clone());
    let (hanging, good) = (hanging.client().await, good.client().await);
    let client = client_of(&[hanging.base_url(), good.base_url()]);
    let got = client.get("a").await.unwrap().bytes(1 << 20).await.unwrap();
    assert!(got == want);
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}
