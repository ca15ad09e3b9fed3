//! How real servers find each other: masters by seeds, workers by a name, all by what others know.
//! Each server has an address of its own, and a book says what names stand for.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use mdfs_client::link::{Links, Network, Peer, Reads, Resolve};
use mdfs_client::{Client, ClientConfig};
use mdfs_core::id::{ClusterId, DiskId};
use mdfs_protocol::access::{ClusterKey, Secret};
use mdfs_protocol::link::LinkKey;
use mdfs_protocol::public::{Bootstrap, MasterRole, Status, WorkerInfo, WorkerState};
use mdfs_service::Tasks;
use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// In which everything must have come about, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(50);
const TOKEN: &str = "root-token-root-token-root-token-root";
const WORKERS: &str = "http://workers:8081";
const MASTERS: &str = "http://masters:8080";

/// What names stand for. A name that is not in it stands for nothing.
#[derive(Clone, Debug, Default)]
struct Book(Arc<Mutex<BTreeMap<String, Vec<SocketAddr>>>>);

impl Book {
    fn set(&self, name: &str, servers: &[&Server]) {
        let addresses = servers.iter().map(|server| server.address).collect();
        self.0.lock().unwrap().insert(name.to_owned(), addresses);
    }
}

impl Resolve for Book {
    fn resolve(&self, name: &str, _: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        let found = self.0.lock().unwrap().get(name).cloned();
        async move { found.ok_or_else(|| io::ErrorKind::NotFound.into()) }.boxed()
    }
}

/// Servers and what they find each other by.
struct Setup {
    book: Book,
    folder: tempfile::TempDir,
    tasks: Tasks,
}

/// One server.
struct Server {
    address: SocketAddr,
    stop: CancellationToken,
    ended: JoinHandle<()>,
}

impl Server {
    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    async fn stop(self) {
        self.stop.cancel();
        timeout(PATIENCE, self.ended).await.unwrap().unwrap();
    }
}

fn secret() -> Secret {
    Secret::new(&[b'k'; 32]).unwrap()
}

/// An address of this machine that nobody has, the last number of which is `host`.
async fn listen(host: u8) -> TcpListener {
    TcpListener::bind((Ipv4Addr::new(127, 0, 0, host), 0))
        .await
        .unwrap()
}

impl Setup {
    fn new() -> Self {
        Self {
            book: Book::default(),
            folder: tempfile::tempdir().unwrap(),
            tasks: Tasks::new(CancellationToken::new()),
        }
    }

    fn network(&self) -> Network {
        Network::real().resolving(Arc::new(self.book.clone()))
    }

    fn links(&self) -> Links {
        Links::on(
            &self.network(),
            &ClusterKey::new(&secret()),
            None,
            Reads::Small,
        )
        .unwrap()
    }

    async fn master(&self, host: u8, seeds: &[&str], cluster: Option<ClusterId>) -> Server {
        let listener = listen(host).await;
        let address = listener.local_addr().unwrap();
        let token = Secret::new(TOKEN.as_bytes()).unwrap();
        let key = ClusterKey::new(&secret());
        let mut config = mdfs_master::Config::new(key, token, LinkKey::new(secret()));
        config.cluster = cluster;
        config.seeds = seeds.iter().map(|&seed| seed.to_owned()).collect();
        let (stop, network) = (CancellationToken::new(), self.network());
        let running = mdfs_master::run_on(config, listener, network, stop.clone());
        self.start(address, stop, async {
            running.await.map_err(|error| error.to_string())
        })
    }

    async fn worker(&self, listener: TcpListener, data: &str, masters: &[&str]) -> Server {
        let address = listener.local_addr().unwrap();
        let masters = masters.iter().map(|&url| url.to_owned()).collect();
        let (folder, key) = (self.data(data), ClusterKey::new(&secret()));
        let mut config = mdfs_worker::Config::new(folder, data.to_owned(), masters, key);
        config.reserve_bytes = Some(0);
        let (stop, network) = (CancellationToken::new(), self.network());
        let running = mdfs_worker::run_on(config, listener, network, stop.clone());
        self.start(address, stop, async {
            running.await.map_err(|error| error.to_string())
        })
    }

    fn start(
        &self,
        address: SocketAddr,
        stop: CancellationToken,
        running: impl Future<Output = Result<(), String>> + Send + 'static,
    ) -> Server {
        let ended = self.tasks.spawn_request("server", async move {
            running.await.unwrap();
        });
        Server {
            address,
            stop,
            ended,
        }
    }

    fn data(&self, name: &str) -> PathBuf {
        Path::new(self.folder.path()).join(name)
    }

    /// Who answers there, once anybody does.
    async fn disk_at(&self, url: &str) -> DiskId {
        let links = self.links();
        let asked = until(async || links.identity(url, Duration::from_secs(1)).await.ok());
        asked.await.disk
    }
}

fn client(master: &Server) -> Client {
    Client::new(ClientConfig::new(master.url()).with_token(TOKEN)).unwrap()
}

/// What is there once it is.
async fn until<T>(look: impl AsyncFn() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    timeout(PATIENCE, looking).await.expect("it comes about")
}

/// The status, once it is as wanted.
async fn status(client: &Client, want: impl Fn(&Status) -> bool) -> Status {
    until(async || client.status().await.ok().filter(|status| want(status))).await
}

/// The members, once they are as wanted.
async fn workers(client: &Client, want: impl Fn(&[WorkerInfo]) -> bool) -> Vec<WorkerInfo> {
    let look = async || {
        let members = client.workers().await.ok()?.workers;
        want(&members).then_some(members)
    };
    until(look).await
}

fn all_live(members: &[WorkerInfo], count: usize) -> bool {
    let live = |member: &WorkerInfo| member.state == WorkerState::Live;
    members.len() == count && members.iter().all(live)
}

/// Waits until a worker is heard by so many masters.
async fn beats_at(worker: &Server, masters: usize) {
    let want = format!("\"masters\":{masters},");
    let look = async || {
        let mut connection = TcpStream::connect(worker.address).await.ok()?;
        let question = b"GET /stats HTTP/1.1\r\nhost: w\r\nconnection: close\r\n\r\n";
        connection.write_all(question).await.ok()?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.ok()?;
        answer.contains(&want).then_some(())
    };
    until(look).await;
}

async fn found(client: &Client, disk: DiskId) {
    let bootstrap = Bootstrap {
        disks: vec![disk],
        replicas: Some(2),
        chunk_size: None,
    };
    until(async || client.bootstrap(&bootstrap).await.ok()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn masters_find_workers_that_know_of_none_wherever_they_go() {
    let setup = Setup::new();
    // Nothing stands behind the name yet.
    let one = setup.master(2, &[WORKERS], None).await;
    let a = setup.worker(listen(11).await, "a", &[]).await;
    let b = setup.worker(listen(12).await, "b", &[]).await;
    // A disk of another cluster with the same key.
    let foreign = setup.worker(listen(13).await, "foreign", &[]).await;
    let alien = setup.disk_at(&foreign.url()).await;
    let peer = Peer {
        disk: alien,
        url: foreign.url(),
    };
    let other = ClusterId::from_u128(77);
    let links = setup.links();
    links.adopt(&peer, other, PATIENCE).await.unwrap();
    let disk = setup.disk_at(&a.url()).await;
    let first = client(&one);
    setup.book.set("workers", &[&a, &b]);
    found(&first, disk).await;
    setup.book.set("workers", &[&a, &b, &foreign]);
    workers(&first, |members| all_live(members, 2)).await;

    // Another master finds them, and follows; the one that leads says how far it is. It was told which
    // cluster it serves: by the disks alone it could be either.
    let ours = status(&first, |status| status.cluster_id.is_some()).await;
    let two = setup.master(3, &[WORKERS], ours.cluster_id).await;
    let second = client(&two);
    let seen = status(&first, |status| status.masters.len() == 2).await;
    assert_eq!(seen.masters[0].url, one.url());
    assert_eq!(seen.masters[0].role, MasterRole::Leader);
    assert_eq!(seen.masters[1].role, MasterRole::Follower);
    status(&first, |status| {
        let other = status.masters.get(1);
        other.is_some_and(|it| it.url == two.url() && it.warm && it.behind == Some(0))
    })
    .await;

    // A worker comes back at another address, and a blank one has its old address.
    let before = a.address;
    let (b_disk, url) = (setup.disk_at(&b.url()).await, b.url());
    b.stop().await;
    let port = url.rsplit(':').next().unwrap().parse::<u16>().unwrap();
    let again = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 12), port))
        .await
        .unwrap();
    let usurper = setup.worker(again, "c", &[]).await;
    let b = setup.worker(listen(14).await, "b", &[]).await;
    setup.book.set("workers", &[&a, &b, &usurper, &foreign]);
    let members = workers(&second, |members| {
        let moved = |it: &WorkerInfo| it.url.as_deref() == Some(&b.url());
        all_live(members, 3) && members.iter().any(moved)
    })
    .await;
    let at = |url: &str| {
        members
            .iter()
            .find(|it| it.url.as_deref() == Some(url))
            .unwrap()
    };
    assert_eq!(at(&b.url()).disk_id, b_disk);
    assert_ne!(at(&usurper.url()).disk_id, b_disk);
    assert_eq!(at(&format!("http://{before}")).disk_id, disk);
    assert!(members.iter().all(|it| it.disk_id != alien));

    // The one that leads goes: the other has heard of all workers before.
    beats_at(&b, 2).await;
    beats_at(&usurper, 2).await;
    one.stop().await;
    status(&second, |status| {
        status.masters[0].role == MasterRole::Leader
    })
    .await;
    workers(&second, |members| all_live(members, 3)).await;
    for server in [two, a, b, usurper, foreign] {
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_that_know_one_master_by_name_beat_at_all() {
    let setup = Setup::new();
    let a = setup.worker(listen(21).await, "a", &[MASTERS]).await;
    let b = setup.worker(listen(22).await, "b", &[MASTERS]).await;
    let disk = setup.disk_at(&a.url()).await;
    let one = setup.master(4, &[], None).await;
    setup.book.set("masters", &[&one]);
    let first = client(&one);
    found(&first, disk).await;
    workers(&first, |members| all_live(members, 2)).await;
    // One of the workers is its seed: by the voter it hears who leads, and that one tells the others.
    let seed = a.url();
    let two = setup.master(5, &[&seed], None).await;
    beats_at(&b, 2).await;
    let second = client(&two);
    one.stop().await;
    status(&second, |status| {
        status.masters[0].role == MasterRole::Leader
    })
    .await;
    workers(&second, |members| all_live(members, 2)).await;
    for server in [two, a, b] {
        server.stop().await;
    }
}
