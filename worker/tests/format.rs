//! The format on the disk does not drift: `docs/format.md` draws what is compared here.

mod support;

use mdfs_core::checksum::{Crc32, block_checksum};
use mdfs_core::chunk::BLOCK_BYTES;
use mdfs_core::id::{ClusterId, DiskId, Incarnation, Term};
use mdfs_worker::disk::{Disk, RealDisk};
use mdfs_worker::store::{ChunkStore, StoreSettings};
use std::sync::Arc;
use support::{bytes_of, chunk_of, seal_of};

#[test]
fn a_chunk_file_and_an_identity_have_the_bytes_of_format_version_1() {
    let dir = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::new(dir.path(), true));
    let settings = StoreSettings {
        reserve_bytes: Some(0),
        ..StoreSettings::default()
    };
    let store = ChunkStore::open(disk, settings, DiskId::from_u128(0xd1)).unwrap();
    store.adopt(ClusterId::from_u128(0xc1)).unwrap();
    store
        .raise_fence(Term {
            round: 6,
            incarnation: Incarnation(0xabcd),
        })
        .unwrap();
    let chunk = chunk_of(0xf00d << 48, 3);
    let bytes = bytes_of(7, BLOCK_BYTES as usize + 5);
    let seal = seal_of(&bytes);
    store
        .store_whole(chunk, &bytes, Crc32::of(&bytes), &seal)
        .unwrap();

    let identity = std::fs::read(dir.path().join("identity")).unwrap();
    let want = "4d4446534449534b0100000001000000\
                000000000000000000000000000000c1\
                000000000000000000000000000000d1\
                01000000000000000600000000000000\
                cdab00000000000000000000";
    assert_eq!(hex(&identity[..76]), want);
    assert_eq!(identity[76..], Crc32::of(&identity[..76]).0.to_le_bytes());

    let path = "chunks/f00/f00d0000000000000000000000000000.3";
    let file = std::fs::read(dir.path().join(path)).unwrap();
    let (data, tail) = file.split_at(bytes.len());
    assert_eq!(data, bytes);
    let head = "4d444653464f4f540100000000000100\
                000000000000000000000000000000c1\
                f00d0000000000000000000000000000\
                03000000010000000500010000000000\
                00000004000000002a00000000000000\
                05000100000000000707070707070707\
                07070707070707070707070707070707\
                0707070707070707";
    assert_eq!(hex(&tail[..120]), head);
    assert_eq!(tail[120..124], Crc32::of(&bytes).0.to_le_bytes());
    assert_eq!(tail[124..128], 15_u32.to_le_bytes());
    assert_eq!(&tail[128..143], "films/été.mkv".as_bytes());
    assert!(tail[143..1152].iter().all(|byte| *byte == 0));
    for (number, block) in (0..).zip(bytes.chunks(BLOCK_BYTES as usize)) {
        let len = u32::try_from(block.len()).unwrap();
        let want = block_checksum(chunk.file, 3, number, Crc32::of(block), len);
        let at = 1152 + 4 * usize::try_from(number).unwrap();
        assert_eq!(tail[at..at + 4], want.0.to_le_bytes());
    }
    assert_eq!(tail[1160..1164], 1160_u32.to_le_bytes());
    assert_eq!(tail[1164..1168], Crc32::of(&tail[..1160]).0.to_le_bytes());
    assert_eq!(&tail[1168..], b"MDFSTAIL");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
