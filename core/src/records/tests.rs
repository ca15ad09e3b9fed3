use super::*;
use crate::chunk::ChunkId;
use crate::id::{DiskId, FileId, RequestId, TokenId};
use crate::name::FileName;
use crate::partition::Partition;
use crate::time::LogTime;

#[test]
fn every_key_reads_back_and_nothing_else_does() {
    let keys = [
        Key::Cluster,
        Key::Member(DiskId::from_u128(7)),
        Key::Partition(Partition::new(4095).unwrap()),
        Key::File(FileName::parse("films/a b.mkv").unwrap()),
        Key::Upload(FileId::from_u128(9)),
        Key::Chunk(ChunkId {
            file: FileId::from_u128(9),
            index: 258,
        }),
        Key::Ended(FileId::from_u128(9)),
        Key::Trash(LogTime::from_millis(5), FileId::from_u128(9)),
        Key::Request(RequestId::from_u128(u128::MAX)),
        Key::Token(TokenId::from_u128(3)),
    ];
    for key in keys {
        let bytes = key.to_bytes();
        assert_eq!(bytes.first(), Some(&key.kind().tag()));
        assert_eq!(Key::from_bytes(&bytes), Ok(key));
    }
    for bad in [
        &b""[..],
        b"x",
        b"cx",
        b"m123",
        b"p\xff\xff",
        b"f",
        b"f../x",
        b"f\xff",
        b"t12345678",
        b"k123",
    ] {
        assert_eq!(Key::from_bytes(bad), Err(Corrupt::Key(bad.to_vec())));
    }
}

#[test]
fn files_sort_by_name_bytes_and_trash_by_age() {
    let file = |name| Key::File(FileName::parse(name).unwrap()).to_bytes();
    assert!(file("a") < file("a/b") && file("a/b") < file("b"));
    let trash = |time| Key::Trash(LogTime::from_millis(time), FileId::from_u128(1)).to_bytes();
    assert!(trash(255) < trash(256));
}

#[test]
fn chunks_of_an_upload_sort_by_number_behind_all_uploads() {
    let file = FileId::from_u128(9);
    let chunk = |index| Key::Chunk(ChunkId { file, index }).to_bytes();
    assert!(chunk(255) < chunk(256));
    assert!(chunk(7).starts_with(&Key::chunks_of(file)));
    assert!(Key::Upload(FileId::from_u128(u128::MAX)).to_bytes() < chunk(0));
}

#[test]
fn a_value_of_a_later_version_or_cut_short_is_refused() {
    let record = PartitionRecord {
        holders: vec![DiskId::from_u128(1), DiskId::from_u128(2)],
    };
    let bytes = encode(&record).unwrap();
    assert_eq!(decode::<PartitionRecord>(&bytes), Ok(record));
    assert_eq!(decode::<PartitionRecord>(&[]), Err(Corrupt::Empty));
    assert_eq!(decode::<PartitionRecord>(&[9, 0]), Err(Corrupt::Version(9)));
    for end in 1..bytes.len() {
        assert!(matches!(
            decode::<PartitionRecord>(&bytes[..end]),
            Err(Corrupt::Value(_))
        ));
    }
}
