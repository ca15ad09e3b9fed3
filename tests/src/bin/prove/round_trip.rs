//! What is put comes back byte for byte: whole, in ranges, and many at once.

use crate::figures::{figure, gigabytes_per_second};
use crate::ranges::{self, File};
use crate::{GIB, MIB};
use anyhow::{Context, Result, ensure};
use mdfs_tests::chance::Chance;
use mdfs_tests::command::succeed;
use mdfs_tests::content::Content;
use mdfs_tests::dev_cluster::{DevCluster, Options};
use mdfs_tests::transfer;
use mdfs_tests::wait::now;
use sha2::{Digest, Sha256};
use std::io::{Read, Write};
use std::path::Path;
use std::thread;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(900);

pub(crate) fn prove(short: bool) -> Result<()> {
    let (length, ranges, many, each) = if short {
        (32 * MIB + 12_345, 50, 4, 16 * MIB + 7)
    } else {
        (2 * GIB, 500, 16, 256 * MIB)
    };
    DevCluster::with(&Options::default(), |cluster| {
        let content = Content::new(1);
        let original = cluster.folder().join("original");
        let wanted = write(&original, content, length)?;

        let started = now();
        let original = original
            .to_str()
            .context("the temporary folder has a name of UTF-8")?;
        succeed(
            &mut cluster.cli(&["put", original, "films/original.mkv"])?,
            LIMIT,
        )?;
        figure("put with the CLI, GB/s", &rate(length, started.elapsed()));
        let started = now();
        succeed(
            &mut cluster.cli(&["get", "films/original.mkv", "copy"])?,
            LIMIT,
        )?;
        figure("got with the CLI, GB/s", &rate(length, started.elapsed()));
        let found = hash(&cluster.folder().join("copy"))?;
        ensure!(found == wanted, "SHA-256 is {found}, should be {wanted}");
        figure("bytes with equal SHA-256", &format!("{length} {found}"));

        let file = File {
            url: cluster.url().to_owned(),
            token: cluster.token().to_owned(),
            name: "films/original.mkv".to_owned(),
            content,
            length,
        };
        let mut chance = Chance::new(2);
        let mut connection = cluster.connect()?;
        for _ in 0..ranges {
            ranges::read_one(&mut connection, &file, &mut chance, 4 * MIB)?;
        }
        figure(
            "random ranges equal to the same slices",
            &ranges.to_string(),
        );
        at_once(cluster, many, each)
    })
}

/// Puts `many` files of `each` bytes at the same time, then reads all of them.
fn at_once(cluster: &DevCluster, many: u64, each: u64) -> Result<()> {
    let started = now();
    thread::scope(|scope| {
        let puts = (0..many).map(|number| {
            scope.spawn(move || -> Result<()> {
                let content = Content::new(100 + number);
                transfer::put(
                    &mut cluster.connect()?,
                    &format!("many/{number}"),
                    content,
                    each,
                )
            })
        });
        let puts: Vec<_> = puts.collect();
        puts.into_iter()
            .try_for_each(|put| put.join().unwrap_or_else(|_| ended_badly()))
    })?;
    let what = format!("{many} uploads at once of {each} bytes, GB/s");
    figure(&what, &rate(many * each, started.elapsed()));
    let mut connection = cluster.connect()?;
    for number in 0..many {
        let content = Content::new(100 + number);
        transfer::get(
            &mut connection,
            &format!("many/{number}"),
            content,
            each,
            |_| Ok(()),
        )?;
    }
    figure("of them read back whole", &many.to_string());
    Ok(())
}

fn ended_badly() -> Result<()> {
    anyhow::bail!("an upload ended badly")
}

fn rate(bytes: u64, took: Duration) -> String {
    format!(
        "{:.3} ({bytes} bytes in {:.2} s)",
        gigabytes_per_second(bytes, took),
        took.as_secs_f64()
    )
}

fn write(path: &Path, content: Content, length: u64) -> Result<String> {
    let mut file = std::fs::File::create(path)?;
    let mut hash = Sha256::new();
    pass(content.reader(length), |bytes| {
        hash.update(bytes);
        Ok(file.write_all(bytes)?)
    })?;
    Ok(hex(&hash.finalize()))
}

fn hash(path: &Path) -> Result<String> {
    let mut hash = Sha256::new();
    pass(std::fs::File::open(path)?, |bytes| {
        hash.update(bytes);
        Ok(())
    })?;
    Ok(hex(&hash.finalize()))
}

fn pass(mut from: impl Read, mut to: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = from.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        to(buffer.get(..count).unwrap_or_default())?;
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
