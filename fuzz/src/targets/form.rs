//! Forms with files: the same however they come in pieces.

use super::kind;
use crate::Target;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use mdfs_master::http::form::{Form, Part, TEXT_MAX_BYTES};
use std::convert::Infallible;

/// The target: the first byte is the length of the pieces, the rest a form.
pub const TARGET: Target = Target {
    name: "form",
    run,
    seeds: Vec::new,
    words: &[
        "--edge",
        "--edge--",
        "\r\n",
        "\r\n\r\n",
        "\r\n--edge",
        "\r\n--edge--",
        "--",
        "content-disposition: form-data; ",
        "name=\"file\"",
        "; filename=\"a\"",
        "; filename*=UTF-8''",
        "content-type: text/plain\r\n",
        "\"",
        "\\\"",
        ":",
    ],
};

/// What a form says: its parts, and whether it came to its end.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    parts: Vec<SaidPart>,
    whole: bool,
}

/// A text or, if it has one, a file of this name and media type.
#[derive(Debug, PartialEq, Eq)]
struct SaidPart {
    field: String,
    file: Option<(String, Option<String>)>,
    bytes: Vec<u8>,
}

fn run(bytes: &[u8]) -> u64 {
    let (&length, form) = bytes.split_first().unwrap_or((&0, &[]));
    let at_once = read(form, form.len().max(1));
    let in_pieces = read(form, usize::from(length % 64) + 1);
    assert_eq!(at_once.whole, in_pieces.whole, "in pieces of {length}");
    if at_once.whole {
        assert_eq!(at_once, in_pieces, "in pieces of {length}");
    }
    let sum: usize = at_once.parts.iter().map(|part| part.bytes.len()).sum();
    assert!(sum <= form.len(), "more came out than went in");
    let files = at_once
        .parts
        .iter()
        .filter(|part| part.file.is_some())
        .count();
    let (parts, empty) = (at_once.parts.len().min(9), sum == 0);
    kind((at_once.whole, parts, files.min(9), empty))
}

fn read(form: &[u8], length: usize) -> Said {
    let pieces: Vec<_> = form
        .chunks(length)
        .map(|piece| Ok::<_, Infallible>(Bytes::copy_from_slice(piece)))
        .collect();
    let mut said = Said {
        parts: Vec::new(),
        whole: false,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let (Ok(runtime), Ok(mut form)) = (
        runtime,
        Form::new("multipart/form-data; boundary=edge", stream::iter(pieces)),
    ) else {
        return said;
    };
    runtime.block_on(async {
        loop {
            match form.next().await {
                Err(_) => return,
                Ok(None) => {
                    said.whole = true;
                    return;
                }
                Ok(Some(Part::Text(field, text))) => {
                    assert!(text.len() <= TEXT_MAX_BYTES, "a text of {}", text.len());
                    said.parts.push(SaidPart {
                        field,
                        file: None,
                        bytes: text.into_bytes(),
                    });
                }
                Ok(Some(Part::File(mut file))) => {
                    let mut bytes = Vec::new();
                    while let Some(piece) = file.bytes.next().await {
                        let Ok(piece) = piece else { return };
                        bytes.extend_from_slice(&piece);
                    }
                    said.parts.push(SaidPart {
                        field: file.field,
                        file: Some((file.name, file.content_type)),
                        bytes,
                    });
                }
            }
        }
    });
    said
}
