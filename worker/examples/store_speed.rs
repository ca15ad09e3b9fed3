//! How fast a store writes durably and reads back verified, on the file system of a directory.
//!
//! Arguments: an existing directory, and mebibytes per copy (1024 without it).

#![expect(
    clippy::disallowed_methods,
    reason = "it measures, and nothing depends on the time"
)]

use mdfs_core::checksum::{ChunkHash, Crc32};
use mdfs_core::chunk::{ChunkId, ChunkSize, SEGMENT_BYTES};
use mdfs_core::id::{ClusterId, DiskId, FileId};
use mdfs_protocol::internal::Seal;
use mdfs_worker::disk::RealDisk;
use mdfs_worker::store::{ChunkStore, Error, StoreSettings};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

const SEGMENT: u64 = SEGMENT_BYTES as u64;
const CHUNK: u64 = ChunkSize::DEFAULT.bytes();

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = std::env::args()
        .nth(1)
        .map(PathBuf::from)
        .ok_or("name a directory")?;
    let mebibytes: u64 = std::env::args()
        .nth(2)
        .map_or(Ok(1024), |text| text.parse())?;
    let chunks = u32::try_from(mebibytes.div_ceil(64))?;
    let bytes = u64::from(chunks) * CHUNK;
    for direct in [false, true] {
        for copies in [1, 2] {
            let stores = (0..copies)
                .map(|copy| open(&root.join(format!("speed-{direct}-{copy}")), direct))
                .collect::<Result<Vec<_>, _>>()?;
            let start = Instant::now();
            std::thread::scope(|scope| {
                let writers: Vec<_> = stores
                    .iter()
                    .map(|store| scope.spawn(|| write(store, chunks)))
                    .collect();
                writers
                    .into_iter()
                    .try_for_each(|writer| writer.join().unwrap_or(Ok(())))
            })?;
            let seconds = start.elapsed().as_secs_f64();
            println!(
                "durable write, direct {direct}, {copies} copies: {:.2} GB/s of each copy",
                gigabytes(bytes) / seconds
            );
            for store in &stores {
                if copies == 1 && direct {
                    read(store, chunks)?;
                }
                store.drop_file(FileId::from_u128(1))?;
            }
        }
    }
    Ok(())
}

fn gigabytes(bytes: u64) -> f64 {
    u32::try_from(bytes / 1000).map_or(f64::MAX, f64::from) / 1e6
}

fn open(root: &Path, direct: bool) -> Result<ChunkStore, Box<dyn std::error::Error>> {
    std::fs::create_dir_all(root)?;
    let disk = Arc::new(RealDisk::new(root, direct));
    let store = ChunkStore::open(disk, StoreSettings::default(), DiskId::from_u128(1))?;
    store.adopt(ClusterId::from_u128(1))?;
    Ok(store)
}

fn chunk(index: u32) -> ChunkId {
    ChunkId {
        file: FileId::from_u128(1),
        index,
    }
}

fn write(store: &ChunkStore, chunks: u32) -> Result<(), Error> {
    let segment = vec![0xa5; SEGMENT_BYTES as usize];
    let crc32 = Crc32::of(&segment);
    let all = (0..CHUNK / SEGMENT).fold(Crc32::default(), |all, _| {
        Crc32::combine(all, crc32, SEGMENT)
    });
    let seal = Seal {
        length: CHUNK,
        crc32: all,
        hash: ChunkHash([0; 32]),
        chunk_size: ChunkSize::DEFAULT,
        name: "speed".to_owned(),
        begun_at: 1,
        file_bytes: None,
    };
    for index in 0..chunks {
        for number in 0..CHUNK / SEGMENT {
            let mut buffer = store.buffers().get();
            buffer.extend(&segment);
            store.write_segment(chunk(index), number * SEGMENT, &buffer, crc32)?;
        }
        store.seal(chunk(index), &seal)?;
    }
    Ok(())
}

fn read(store: &ChunkStore, chunks: u32) -> Result<(), Error> {
    for pass in ["cold", "warm", "warm"] {
        let start = Instant::now();
        for index in 0..chunks {
            let open = store.open_chunk(chunk(index))?;
            for number in 0..CHUNK / SEGMENT {
                open.read(number * SEGMENT, SEGMENT)?;
            }
        }
        let speed = gigabytes(u64::from(chunks) * CHUNK) / start.elapsed().as_secs_f64();
        println!("verified read of 1 MiB pieces, {pass}: {speed:.2} GB/s");
    }
    let start = Instant::now();
    let count = 20_000;
    for number in 0..count {
        let open = store.open_chunk(chunk(number % chunks))?;
        open.read(u64::from(number) * 7919 * 64 % (CHUNK - 65_536), 65_536)?;
    }
    let micros = start.elapsed().as_secs_f64() * 1e6 / f64::from(count);
    println!("verified read of 64 KiB anywhere, warm: {micros:.0} us");
    Ok(())
}
