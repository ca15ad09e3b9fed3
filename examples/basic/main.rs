//! Stores a file, looks at it, reads a part of it, lists it, and deletes it again.

use anyhow::{Context, Result, ensure};
use clap::Parser;
use futures_util::TryStreamExt;
use mdfs_client::{Client, ClientConfig, Code, GetOptions, PutBody, PutOptions};
use std::path::PathBuf;

#[derive(Debug, Parser)]
struct Args {
    /// Address of a master
    #[arg(long, env = "MDFS_URL", default_value = "http://127.0.0.1:8080")]
    url: String,
    /// File with the access token
    #[arg(long, env = "MDFS_TOKEN_FILE", default_value = "mdfs-data/root-token")]
    token_file: PathBuf,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let token = std::fs::read_to_string(&args.token_file)
        .with_context(|| format!("cannot read the token in {}", args.token_file.display()))?;
    let client = Client::new(ClientConfig::new(args.url).with_token(token))?;

    let name = "examples/basic/lines.txt";
    let lines: String = (1..=1000).map(|line| format!("line {line:4}\n")).collect();
    let options = PutOptions {
        content_type: Some("text/plain".to_owned()),
        ..PutOptions::default()
    };
    let body = PutBody::bytes(lines.clone());
    let stored = client.put(name, body, &options).await?;
    println!(
        "stored {name}: {} bytes, CRC-32 {}",
        stored.size, stored.crc32
    );

    let head = client.stat(name).await?;
    println!("it is {}, in {} copies", head.content_type, head.replicas);

    // Each line has ten bytes.
    let part = client.get_part(name, &GetOptions::range(410..430)).await?;
    let part = part.bytes(20).await?;
    print!("bytes 410 to 429:\n{}", String::from_utf8_lossy(&part));

    let whole = client.get(name).await?.bytes(1 << 20).await?;
    ensure!(whole == lines.as_bytes(), "other bytes came back");
    println!("the whole file is what was stored");

    let mut files = client.files("examples/basic/");
    while let Some(file) = files.try_next().await? {
        println!("listed: {} ({} bytes)", file.name, file.size);
    }

    client.delete(name).await?;
    match client.stat(name).await {
        Err(error) if error.code() == Some(Code::FileNotFound) => println!("deleted"),
        Err(error) => return Err(error.into()),
        Ok(_) => println!("somebody has stored it again"),
    }
    Ok(())
}
