//! Stores many files at a time, and one file in chunks that go out in any order.

use anyhow::{Context, Result, ensure};
use clap::Parser;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use mdfs_client::api::{BeginUpload, CommitUpload, UploadInfo};
use mdfs_client::{Bytes, Client, ClientConfig, GetFileOptions, PutBody, PutOptions};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug, Parser)]
struct Args {
    /// Address of a master
    #[arg(long, env = "MDFS_URL", default_value = "http://127.0.0.1:8080")]
    url: String,
    /// File with the access token
    #[arg(long, env = "MDFS_TOKEN_FILE", default_value = "mdfs-data/root-token")]
    token_file: PathBuf,
    /// How many files are stored
    #[arg(long, default_value_t = 40)]
    files: u64,
    /// How many of them, or chunks, are under way at a time: what bounds memory and connections
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u8).range(1..))]
    parallel: u8,
}

const FILE_BYTES: usize = 300_000;
const CHUNK_BYTES: u64 = 1 << 20;
/// Eight chunks, the last of which is shorter.
const SESSION_BYTES: u64 = 7 * CHUNK_BYTES + 12_345;

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let token = std::fs::read_to_string(&args.token_file)
        .with_context(|| format!("cannot read the token in {}", args.token_file.display()))?;
    let client = Client::new(ClientConfig::new(&args.url).with_token(token))?;
    store_many(&client, &args).await?;
    let session = begin(&client).await?;
    if let Err(error) = store_in_chunks(&client, &session, &args).await {
        // Left alone it would expire after a while; this way its room is free at once.
        client.abort_upload(session.id).await?;
        return Err(error);
    }
    fetch(&client, &args).await
}

/// Many files, a bounded number of them at a time. The first that fails ends it all.
async fn store_many(client: &Client, args: &Args) -> Result<()> {
    let done = AtomicU64::new(0);
    let store = async |number: u64| {
        let name = format!("examples/concurrent/{number:03}.bin");
        let body = PutBody::bytes(content(number, 0, FILE_BYTES));
        let stored = client.put(&name, body, &PutOptions::default()).await?;
        let count = done.fetch_add(1, Ordering::Relaxed) + 1;
        eprintln!("{count} of {} files", args.files);
        Ok::<u64, mdfs_client::Error>(stored.size)
    };
    let stored: Vec<u64> = stream::iter(0..args.files)
        .map(store)
        .buffer_unordered(usize::from(args.parallel))
        .try_collect()
        .await?;
    let bytes: u64 = stored.iter().sum();
    println!("stored {} files of {bytes} bytes in all", stored.len());
    Ok(())
}

async fn begin(client: &Client) -> Result<UploadInfo> {
    let begin = BeginUpload {
        name: "examples/concurrent/session.bin".to_owned(),
        size: Some(SESSION_BYTES),
        chunk_size: Some(CHUNK_BYTES),
        ..BeginUpload::default()
    };
    Ok(client.begin_upload(&begin, false).await?)
}

/// The chunks of one file, the last one first.
async fn store_in_chunks(client: &Client, session: &UploadInfo, args: &Args) -> Result<()> {
    let sent = AtomicU64::new(0);
    let store = async |index: u32| {
        let offset = u64::from(index) * CHUNK_BYTES;
        let length = CHUNK_BYTES.min(SESSION_BYTES - offset);
        let bytes = content(u64::MAX, offset, usize::try_from(length)?);
        let chunk = client.put_chunk(session.id, index, bytes).await?;
        let sent = sent.fetch_add(chunk.length, Ordering::Relaxed) + chunk.length;
        eprintln!("{} % of the session", sent * 100 / SESSION_BYTES);
        anyhow::Ok(())
    };
    let chunks = u32::try_from(SESSION_BYTES.div_ceil(CHUNK_BYTES))?;
    stream::iter((0..chunks).rev())
        .map(store)
        .buffer_unordered(usize::from(args.parallel))
        .try_collect::<()>()
        .await?;
    let known = client.find_upload(session.id).await?;
    println!(
        "{} bytes in {chunks} chunks are durable, and nobody sees them yet",
        known.stored_bytes
    );
    let whole = CommitUpload {
        size: Some(SESSION_BYTES),
        ..CommitUpload::default()
    };
    let file = client.commit_upload(session.id, &whole).await?;
    println!("committed {}: {} bytes", file.name, file.size);
    Ok(())
}

/// Reads the file of the session back, in parts at a time, and compares it.
async fn fetch(client: &Client, args: &Args) -> Result<()> {
    let name = "examples/concurrent/session.bin";
    let path = std::env::temp_dir().join(format!("mdfs-example-{}.bin", std::process::id()));
    let options = GetFileOptions {
        streams: usize::from(args.parallel),
        progress: Some(Arc::new(|bytes| eprintln!("{bytes} bytes fetched"))),
    };
    client.get_file(name, &path, &options).await?;
    let fetched = std::fs::read(&path);
    std::fs::remove_file(&path)?;
    let wanted = content(u64::MAX, 0, usize::try_from(SESSION_BYTES)?);
    ensure!(fetched? == wanted, "other bytes came back");
    println!("fetched it again, byte for byte");
    Ok(())
}

/// Bytes that depend on the file and on their place in it.
fn content(file: u64, offset: u64, length: usize) -> Bytes {
    let place = |at: u64| (at / 256).wrapping_mul(0x9E37_79B9).wrapping_add(at ^ file);
    let bytes = (offset..).map(|at| place(at).to_le_bytes()[0]);
    bytes.take(length).collect()
}
