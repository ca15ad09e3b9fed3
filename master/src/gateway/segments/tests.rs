use super::*;
use futures_util::stream;
use mdfs_core::checksum::join;

const CHUNK: ChunkSize = ChunkSize::MIN;

fn body(pieces: &[usize]) -> (Body, Vec<u8>) {
    let total = pieces.iter().sum();
    let bytes: Vec<u8> = (0..=250_u8).cycle().take(total).collect();
    let mut rest = Bytes::from(bytes.clone());
    let frames: Vec<Result<Bytes, axum::Error>> = pieces
        .iter()
        .map(|length| Ok(rest.split_to(*length)))
        .collect();
    (Body::from_stream(stream::iter(frames)), bytes)
}

fn whole(segment: &Segment) -> Vec<u8> {
    segment.bytes.iter().flatten().copied().collect()
}

async fn all(segments: &mut Segments) -> Result<Vec<Segment>, StoreError> {
    let mut read = Vec::new();
    while let Some(segment) = segments.next().await? {
        read.push(segment);
    }
    Ok(read)
}

#[tokio::test]
async fn frames_of_any_size_become_full_segments_with_the_hashes_of_the_whole() {
    for pieces in [
        vec![],
        vec![1],
        vec![1_048_576],
        vec![1_048_577],
        vec![700_000, 0, 700_000, 3_000_000, 5],
        vec![100; 30_000],
    ] {
        let (body, bytes) = body(&pieces);
        let announced = u64::try_from(bytes.len()).unwrap();
        let sha256 = Some(Sha256::digest(&bytes).into());
        let expected = Expected {
            crc32: Some(Crc32::of(&bytes)),
            blake3: None,
            sha256,
        };
        let mut segments = Segments::new(body, Some(announced), expected, CHUNK);
        let read = all(&mut segments).await.unwrap();
        let joined: Vec<u8> = read.iter().flat_map(whole).collect();
        assert!(joined == bytes);
        for (index, segment) in read.iter().enumerate() {
            assert!(index + 1 == read.len() || segment.bytes.len() == 1 << 20);
            assert_eq!(segment.crc32, Crc32::of(&whole(segment)));
        }
        let sums = segments.sums().unwrap();
        assert_eq!(sums.crc32, Crc32::of(&bytes));
        assert_eq!(sums.blake3, Blake3::of(&bytes));
        let hashes: Vec<_> = std::iter::from_fn(|| segments.take_chunk_hash()).collect();
        assert_eq!(hashes.len(), read.len());
        assert_eq!(join(&hashes), sums.blake3);
    }
}

#[tokio::test]
async fn a_chunks_hash_is_known_when_the_next_chunk_has_begun() {
    let (body, _) = body(&[3 << 20]);
    let mut segments = Segments::new(body, None, Expected::default(), CHUNK);
    segments.next().await.unwrap();
    assert_eq!(segments.take_chunk_hash(), None);
    segments.next().await.unwrap();
    assert!(segments.take_chunk_hash().is_some());
    assert_eq!(segments.take_chunk_hash(), None);
}

#[tokio::test]
async fn a_body_of_another_length_is_refused() {
    for announced in [0, 99, 101] {
        let (body, _) = body(&[60, 40]);
        let mut segments = Segments::new(body, Some(announced), Expected::default(), CHUNK);
        let error = all(&mut segments).await.unwrap_err();
        assert!(
            matches!(error, StoreError::IncompleteBody { received: 100, .. }),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_told_with_how_far_it_came() {
    let frames = [
        Ok(Bytes::from(vec![0; 2 << 20])),
        Err(axum::Error::new("gone")),
    ];
    let body = Body::from_stream(stream::iter(frames));
    let mut segments = Segments::new(body, None, Expected::default(), CHUNK);
    let error = all(&mut segments).await.unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::IncompleteBody {
                received: 2_097_152,
                ..
            }
        ),
        "{error}"
    );
    assert!(segments.sums().is_none());
}

#[tokio::test]
async fn each_checksum_that_differs_is_told() {
    let right = Expected::default();
    for (expected, name) in [
        (
            Expected {
                crc32: Some(Crc32(1)),
                ..right
            },
            "CRC-32",
        ),
        (
            Expected {
                blake3: Some(Blake3([1; 32])),
                ..right
            },
            "BLAKE3",
        ),
        (
            Expected {
                sha256: Some([1; 32]),
                ..right
            },
            "SHA-256",
        ),
    ] {
        let (body, _) = body(&[100]);
        let mut segments = Segments::new(body, None, expected, CHUNK);
        let error = all(&mut segments).await.unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
        assert!(segments.sums().is_none());
    }
}
