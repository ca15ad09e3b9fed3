//! Plays a file while servers die, and holds each byte against what was stored.

use anyhow::{Context, Result, ensure};
use clap::Parser;
use mdfs_client::{Bytes, Client, ClientConfig, Code, PutBody, PutOptions};
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Parser)]
struct Args {
    /// Addresses of masters: when one cannot answer, the next is asked
    #[arg(
        long,
        env = "MDFS_URL",
        value_delimiter = ',',
        default_value = "http://127.0.0.1:8080"
    )]
    url: Vec<String>,
    /// File with the access token
    #[arg(long, env = "MDFS_TOKEN_FILE", default_value = "mdfs-data/root-token")]
    token_file: PathBuf,
    /// How fast the file is played, in MiB a second: so long there is time to kill something
    #[arg(long, default_value_t = 2.0)]
    mib_per_second: f64,
}

const NAME: &str = "examples/failover/film.bin";
const MIB: u64 = 1 << 20;
const FILM_BYTES: u64 = 64 * MIB;

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let token = std::fs::read_to_string(&args.token_file)
        .with_context(|| format!("cannot read the token in {}", args.token_file.display()))?;
    let mut urls = args.url.into_iter();
    let first = urls.next().context("no master is given")?;
    let config = urls.fold(ClientConfig::new(first), ClientConfig::with_url);
    let mut config = config.with_token(token);
    // A master that was killed may take a while until it, or another, leads.
    config.retry_for = Duration::from_secs(60);
    let client = Client::new(config)?;

    store(&client).await?;
    println!("playing {NAME}: kill a worker or the master now");
    let pause = Duration::try_from_secs_f64(1.0 / args.mib_per_second)
        .context("the rate is no number above zero")?;
    play(&client, pause).await?;
    println!("{FILM_BYTES} bytes came, each of them right");
    Ok(())
}

/// Stores the film, unless it is there.
async fn store(client: &Client) -> Result<()> {
    match client.stat(NAME).await {
        Ok(head) if head.size == FILM_BYTES => return Ok(()),
        Ok(_) => {}
        Err(error) if error.code() == Some(Code::FileNotFound) => {}
        Err(error) => return Err(error.into()),
    }
    let bytes = content(0, usize::try_from(FILM_BYTES)?);
    let options = PutOptions::default();
    client.put(NAME, PutBody::bytes(bytes), &options).await?;
    Ok(())
}

/// Reads the film as a player does: a little at a time, with pauses. The download goes on by itself at
/// the byte where a connection broke off.
async fn play(client: &Client, pause: Duration) -> Result<()> {
    let mut download = client.get(NAME).await?;
    let (mut at, mut shown) = (0, 0);
    while let Some(bytes) = download.next().await? {
        let right = bytes == content(at, bytes.len());
        ensure!(right, "wrong bytes behind byte {at}");
        at += u64::try_from(bytes.len())?;
        while shown < at / MIB {
            shown += 1;
            eprintln!("{shown} of {} MiB", FILM_BYTES / MIB);
            tokio::time::sleep(pause).await;
        }
    }
    ensure!(at == FILM_BYTES, "the film ended after {at} bytes");
    Ok(())
}

/// Bytes that depend on their place: those of another place are wrong.
fn content(offset: u64, length: usize) -> Bytes {
    let place = |at: u64| (at / 256).wrapping_mul(0x9E37_79B9).wrapping_add(at);
    let bytes = (offset..).map(|at| place(at).to_le_bytes()[0]);
    bytes.take(length).collect()
}
