use super::*;
use proptest::prelude::*;

fn layout(lengths: &[u64]) -> ChunkLayout {
    let mut layout = ChunkLayout::new();
    lengths
        .iter()
        .for_each(|&length| layout.push(length).unwrap());
    layout
}

#[test]
fn chunk_sizes_are_powers_of_two_from_one_mib_to_one_gib() {
    for shift in 20..=30 {
        assert_eq!(
            ChunkSize::new(1 << shift).map(ChunkSize::bytes),
            Ok(1 << shift)
        );
    }
    for bad in [0, 1, 1 << 19, 3 << 20, (1 << 20) + 1, 1 << 31, u64::MAX] {
        assert_eq!(ChunkSize::new(bad), Err(InvalidChunkSize(bad)));
    }
    assert_eq!("67108864".parse(), Ok(ChunkSize::DEFAULT));
    assert!("64M".parse::<ChunkSize>().is_err());
    assert!("3".parse::<ChunkSize>().is_err());
}

#[test]
fn a_file_cut_evenly_takes_two_runs_at_most() {
    let size = ChunkSize::MIN;
    let of = |bytes| ChunkLayout::of_file(bytes, size).unwrap();
    assert_eq!(of(0), ChunkLayout::new());
    assert_eq!(
        of(1).runs(),
        [ChunkRun {
            count: 1,
            length: 1
        }]
    );
    assert_eq!(
        of(2 << 20).runs(),
        [ChunkRun {
            count: 2,
            length: 1 << 20
        }]
    );
    assert_eq!(of((2 << 20) + 5).runs().len(), 2);
    assert_eq!(of((2 << 20) + 5).total_bytes(), (2 << 20) + 5);
    assert_eq!(
        ChunkLayout::of_file(u64::MAX, size),
        Err(InvalidLayout::TooLarge)
    );
}

#[test]
fn row_76_a_terabyte_is_found_by_64_bit_offsets() {
    let layout = ChunkLayout::of_file((1 << 40) + 7, ChunkSize::DEFAULT).unwrap();
    assert_eq!(layout.chunk_count(), 16_385);
    assert_eq!(layout.chunk_len(16_384), Some(7));
    assert_eq!(layout.offset_of(16_384), Some(1 << 40));
    let at = |offset| layout.locate(offset);
    assert_eq!(
        at((1 << 40) - 1),
        Some(ChunkPosition {
            index: 16_383,
            offset: (64 << 20) - 1
        })
    );
    assert_eq!(
        at((1 << 40) + 6),
        Some(ChunkPosition {
            index: 16_384,
            offset: 6
        })
    );
    assert_eq!(at((1 << 40) + 7), None);
    assert_eq!(at(u64::MAX), None);
}

#[test]
fn a_file_of_no_bytes_has_no_chunk() {
    let empty = ChunkLayout::new();
    assert_eq!((empty.total_bytes(), empty.chunk_count()), (0, 0));
    assert_eq!(
        (empty.locate(0), empty.chunk_len(0), empty.offset_of(0)),
        (None, None, None)
    );
}

#[test]
fn a_layout_refuses_what_cannot_be() {
    let mut full = layout(&[5]);
    assert_eq!(full.push(0), Err(InvalidLayout::EmptyChunk));
    assert_eq!(full.push(u64::MAX), Err(InvalidLayout::TooLarge));
    assert_eq!(full, layout(&[5]));
    let run = |count, length| ChunkRun { count, length };
    for bad in [
        vec![run(0, 5)],
        vec![run(5, 0)],
        vec![run(2, u64::MAX)],
        vec![run(u32::MAX, 1), run(1, 2)],
    ] {
        assert!(ChunkLayout::try_from(bad.clone()).is_err(), "{bad:?}");
        let bytes = postcard::to_stdvec(&bad).unwrap();
        assert!(
            postcard::from_bytes::<ChunkLayout>(&bytes).is_err(),
            "{bad:?}"
        );
    }
    let split = ChunkLayout::try_from(vec![run(2, 5), run(3, 5)]).unwrap();
    assert_eq!(split, layout(&[5; 5]));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn look_ups_agree_with_the_plain_list(lengths in prop::collection::vec(1_u64..4, 0..40)) {
        let layout = layout(&lengths);
        prop_assert_eq!(layout.total_bytes(), lengths.iter().sum::<u64>());
        let mut offset = 0;
        for (index, &length) in (0..).zip(&lengths) {
            prop_assert_eq!(layout.chunk_len(index), Some(length));
            prop_assert_eq!(layout.offset_of(index), Some(offset));
            for within in 0..length {
                let want = Some(ChunkPosition { index, offset: within });
                prop_assert_eq!(layout.locate(offset + within), want);
            }
            offset += length;
        }
        prop_assert_eq!(layout.locate(offset), None);
        prop_assert_eq!(layout.chunk_len(layout.chunk_count()), None);
        let bytes = postcard::to_stdvec(&layout).unwrap();
        prop_assert_eq!(postcard::from_bytes::<ChunkLayout>(&bytes).unwrap(), layout);
    }
}
