//! What stands behind a chunk's bytes on a disk.

use super::kind;
use crate::Target;
use mdfs_worker::store::footer_read_again;

/// The target: the bytes are a footer. What is wrong with its checksum is put right first, or no
/// altered one would be looked into.
pub const TARGET: Target = Target {
    name: "footer",
    run,
    seeds: || vec![mdfs_worker::store::sample_footer()],
    words: &[
        "MDFSFOOT",
        "MDFSTAIL",
        "\u{0}\u{0}\u{0}\u{0}",
        "\u{1}\u{0}\u{0}\u{0}",
    ],
};

fn run(bytes: &[u8]) -> u64 {
    let as_it_is = footer_read_again(bytes);
    let mut mended = bytes.to_vec();
    let split = mended.len().saturating_sub(16);
    if let Some((footer, trailer)) = mended.split_at_mut_checked(split)
        && let Some((length, rest)) = trailer.split_first_chunk_mut::<4>()
        && let Some((crc, _)) = rest.split_first_chunk_mut::<4>()
    {
        *length = u32::try_from(footer.len()).unwrap_or(0).to_le_bytes();
        *crc = mdfs_core::checksum::Crc32::of(footer).0.to_le_bytes();
    }
    let read = footer_read_again(&mended);
    if let Ok(again) = &read {
        assert_eq!(
            footer_read_again(again).as_ref(),
            Ok(again),
            "read as it was written"
        );
        assert_eq!(again.len(), mended.len(), "a footer has one length");
    }
    if let Ok(again) = &as_it_is {
        assert_eq!(again.len(), bytes.len(), "a footer has one length");
    }
    kind((as_it_is.err(), read.err(), mended.len() / 64))
}
