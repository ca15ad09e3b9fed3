use super::*;
use crate::chunk::ChunkSize;
use crate::id::FileId;
use proptest::prelude::*;
use std::sync::OnceLock;

/// Bytes that repeat nowhere soon; at most 12 MiB.
fn bytes(len: usize) -> &'static [u8] {
    static ALL: OnceLock<Vec<u8>> = OnceLock::new();
    let all = ALL.get_or_init(|| {
        let words = (0..3 << 20).map(|n: u32| n.wrapping_mul(0x9e37_79b9).to_le_bytes());
        words.collect::<Vec<_>>().into_flattened()
    });
    &all[..len]
}

const MIB: usize = 1 << 20;

#[test]
fn crc_of_the_check_text() {
    assert_eq!(Crc32::of(b"123456789"), Crc32(0xcbf4_3926));
    assert_eq!(Crc32::of(b""), Crc32(0));
    assert_eq!(Crc32::of(b"1234").then(b"56789"), Crc32(0xcbf4_3926));
    assert_eq!("cbf43926".parse(), Ok(Crc32(0xcbf4_3926)));
    assert_eq!(Crc32(0xab).to_string(), "000000ab");
    for bad in ["", "ab", "+bf43926", "cbf439260", "xbf43926"] {
        assert!(bad.parse::<Crc32>().is_err(), "{bad:?}");
    }
}

#[test]
fn a_block_checksum_is_the_crc_of_place_and_bytes() {
    let file = FileId::from_u128(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10);
    for len in [0, 1, 1000, 65_535, 65_536] {
        let block = bytes(len);
        let mut all = file.to_bytes().to_vec();
        all.extend(7_u32.to_le_bytes());
        all.extend(9_u32.to_le_bytes());
        all.extend(block);
        let found = block_checksum(file, 7, 9, Crc32::of(block), u32::try_from(len).unwrap());
        assert_eq!(found, Crc32::of(&all), "{len} bytes");
    }
}

#[test]
fn a_block_in_the_wrong_place_has_another_checksum() {
    let crc = Crc32::of(b"block");
    let right = block_checksum(FileId::from_u128(1), 2, 3, crc, 5);
    assert_ne!(right, block_checksum(FileId::from_u128(2), 2, 3, crc, 5));
    assert_ne!(right, block_checksum(FileId::from_u128(1), 3, 3, crc, 5));
    assert_ne!(right, block_checksum(FileId::from_u128(1), 2, 2, crc, 5));
}

#[test]
fn hashes_read_back_from_their_text() {
    let hash = Blake3::of(b"film");
    assert_eq!(hash.to_string().parse(), Ok(hash));
    assert_eq!(hash.to_string().to_uppercase().parse(), Ok(hash));
    let short = &hash.to_string()[1..];
    for bad in [
        "",
        short,
        &format!("{short}g"),
        &format!("+{short}"),
        &"\u{e9}".repeat(32),
    ] {
        assert!(bad.parse::<Blake3>().is_err(), "{bad:?}");
    }
    let packed = postcard::to_stdvec(&hash).unwrap();
    assert_eq!(packed.len(), 32);
    assert_eq!(postcard::from_bytes::<Blake3>(&packed).unwrap(), hash);
}

/// Hashes `len` bytes in pieces and checks the whole, each chunk, and that the chunks join.
#[track_caller]
fn check_file(len: usize, piece: usize) {
    let (size, data) = (ChunkSize::MIN, bytes(len));
    let mut hasher = FileHasher::new(size);
    let mut chunks = Vec::new();
    for part in data.chunks(piece) {
        hasher.update(part);
        chunks.append(&mut hasher.take_chunks());
    }
    let FileHash {
        whole,
        chunks: last,
    } = hasher.finish();
    chunks.extend(last);
    assert_eq!(whole, Blake3::of(data), "{len} bytes by {piece}");
    assert_eq!(join(&chunks), whole, "{len} bytes by {piece}");
    assert_eq!(chunks.len(), len.div_ceil(MIB));
    for ((index, chunk), found) in (0..).zip(data.chunks(MIB)).zip(chunks) {
        let mut hasher = ChunkHasher::new(index, size);
        hasher.update(chunk);
        assert_eq!(
            hasher.finish(len <= MIB),
            found,
            "chunk {index} of {len} bytes"
        );
    }
}

#[test]
fn chunks_hashed_apart_join_to_the_hash_of_the_file() {
    for len in [
        0,
        1,
        1023,
        1024,
        1025,
        MIB - 1,
        MIB,
        MIB + 1,
        2 * MIB,
        3 * MIB,
        3 * MIB + 7,
    ] {
        check_file(len, 64 * 1024);
    }
    for count in 4..12 {
        check_file(count * MIB, 3 * MIB);
        check_file(count * MIB + 1, MIB);
    }
    check_file(5 * MIB + 12_345, 1_000_003);
}

#[test]
fn segments_hashed_apart_join_to_their_chunk_and_the_file() {
    let data = bytes(7 * MIB + 100);
    let mut tree = TreeJoin::new();
    let mut chunks = Vec::new();
    for (index, chunk) in (0_u64..).zip(data.chunks(4 * MIB)) {
        let mut inner = TreeJoin::new();
        for (n, segment) in (0_u64..).zip(chunk.chunks(MIB)) {
            inner.push(subtree_of(segment, index * (4 << 20) + n * (1 << 20)).unwrap());
        }
        let subtree = inner.subtree().unwrap();
        chunks.push(ChunkHash(subtree.bytes()));
        tree.push(subtree);
    }
    assert_eq!(tree.root(), Some(Blake3::of(data)));
    assert_eq!(join(&chunks), Blake3::of(data));
}

#[test]
fn a_part_that_is_no_subtree_has_none() {
    assert_eq!(subtree_of(&[], 0), None);
    assert_eq!(subtree_of(bytes(2048), 1024), None);
    assert_eq!(subtree_of(bytes(1025), 1024), None);
    assert_eq!(subtree_of(bytes(10), 512), None);
    assert!(subtree_of(bytes(1024), 1024).is_some());
    assert!(subtree_of(bytes(3), 5 << 20).is_some());
    assert_eq!(TreeJoin::new().root(), None);
    assert_eq!(TreeJoin::new().subtree(), None);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn crcs_combine_as_their_texts_do(
        first in prop::collection::vec(any::<u8>(), 0..300),
        second in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let both = [first.clone(), second.clone()].concat();
        let len = u64::try_from(second.len()).unwrap();
        let combined = Crc32::combine(Crc32::of(&first), Crc32::of(&second), len);
        prop_assert_eq!(combined, Crc32::of(&both));
    }

    #[test]
    fn combining_agrees_with_the_library_for_any_length(a: u32, b: u32, len: u64) {
        let mut theirs = crc32fast::Hasher::new_with_initial(a);
        theirs.combine(&crc32fast::Hasher::new_with_initial_len(b, len));
        prop_assert_eq!(Crc32::combine(Crc32(a), Crc32(b), len), Crc32(theirs.finalize()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_length_in_any_pieces_gives_the_plain_hash(len in 0..4 * MIB, piece in 1_000..2 * MIB) {
        check_file(len, piece);
    }
}
