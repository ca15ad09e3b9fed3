//! `multipart/byteranges`: several ranges of a file in one answer (RFC 9110 §14.6).

use crate::gateway::Piece;
use bytes::Bytes;
use mdfs_core::range::{ByteRange, content_range};

/// The parts of an answer with several ranges.
pub(crate) struct Multipart {
    /// The answer's media type, with the boundary.
    pub(crate) content_type: String,
    /// Texts and ranges, in the order to send them.
    pub(crate) pieces: Vec<Piece>,
}

/// Lays out an answer with these ranges of a file of `size` bytes. `random` makes the boundary,
/// which must not occur in the file.
pub(crate) fn lay_out(
    ranges: &[ByteRange],
    size: u64,
    content_type: &str,
    random: u128,
) -> Multipart {
    let boundary = format!("mdfs-{random:032x}");
    let mut pieces = Vec::with_capacity(ranges.len() * 2 + 1);
    for (index, range) in ranges.iter().enumerate() {
        let before = if index == 0 { "" } else { "\r\n" };
        let lines = content_range(range, size);
        let head = format!(
            "{before}--{boundary}\r\nContent-Type: {content_type}\r\nContent-Range: {lines}\r\n\r\n"
        );
        pieces.push(Piece::Text(Bytes::from(head)));
        pieces.push(Piece::File(*range));
    }
    pieces.push(Piece::Text(Bytes::from(format!("\r\n--{boundary}--\r\n"))));
    Multipart {
        content_type: format!("multipart/byteranges; boundary={boundary}"),
        pieces,
    }
}

/// How many bytes the pieces are together.
pub(crate) fn length(pieces: &[Piece]) -> u64 {
    let one = |piece: &Piece| match piece {
        Piece::Text(text) => u64::try_from(text.len()).unwrap_or(u64::MAX),
        Piece::File(range) => range.len(),
    };
    pieces.iter().map(one).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_range_has_its_own_head() {
        let ranges = [ByteRange::new(0, 2).unwrap(), ByteRange::new(5, 6).unwrap()];
        let laid = lay_out(&ranges, 10, "video/mp4", 7);
        let mut text = String::new();
        for piece in &laid.pieces {
            match piece {
                Piece::Text(part) => text.push_str(std::str::from_utf8(part).unwrap()),
                Piece::File(range) => text.push_str(&format!("<{range}>")),
            }
        }
        let boundary = format!("mdfs-{:032x}", 7);
        assert_eq!(
            laid.content_type,
            format!("multipart/byteranges; boundary={boundary}")
        );
        assert_eq!(
            text,
            format!(
                "--{boundary}\r\nContent-Type: video/mp4\r\nContent-Range: bytes 0-1/10\r\n\r\n\
                 <0-1>\r\n--{boundary}\r\nContent-Type: video/mp4\r\n\
                 Content-Range: bytes 5-5/10\r\n\r\n<5-5>\r\n--{boundary}--\r\n"
            )
        );
        let texts = text.len() - "<0-1><5-5>".len();
        assert_eq!(length(&laid.pieces), u64::try_from(texts).unwrap() + 3);
    }
}
