//! The files of the console: pages for browsers, which use the routes of the API as any program does.
//!
//! What has its hash in its URL is kept by browsers for ever. `index.html` is made when it is asked for:
//! it gets the hashes of all files, so it is the only one that has to be asked for anew.

mod files;
mod page;

pub(crate) use files::current;

use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// The name of the page among the files.
const INDEX: &str = "index.html";
/// Short names of modules, and which file each stands for: part of the import map.
const IMPORTS: &str = "imports.json";
/// Below it, nothing is made smaller.
const PACKED_LEAST_BYTES: usize = 512;
/// How hard gzip tries: the best that still takes a few milliseconds for each file, once.
const PACKED_LEVEL: u8 = 9;

/// One file.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) bytes: Bytes,
    /// The beginning of the BLAKE3 of the bytes, in hexadecimal digits.
    pub(crate) hash: String,
    pub(crate) media_type: &'static str,
    packed: OnceLock<Option<Bytes>>,
}

/// All files, and the page that is made of them.
#[derive(Debug)]
pub(crate) struct Console {
    files: BTreeMap<String, File>,
    pub(crate) index: File,
    /// What the pages may load and run.
    pub(crate) policy: String,
}

impl File {
    fn new(path: &str, bytes: Bytes) -> Self {
        let hash = blake3::hash(&bytes).to_hex();
        Self {
            hash: hash.chars().take(16).collect(),
            media_type: media_type_of(path),
            bytes,
            packed: OnceLock::new(),
        }
    }

    /// The bytes in gzip, if that makes them smaller.
    pub(crate) fn packed(&self) -> Option<&Bytes> {
        let is_text = !matches!(self.media_type, "font/woff2" | "image/png");
        let pack = || {
            let packed = gzip(&self.bytes);
            (packed.len() < self.bytes.len()).then(|| packed.into())
        };
        if !is_text || self.bytes.len() < PACKED_LEAST_BYTES {
            return None;
        }
        self.packed.get_or_init(pack).as_ref()
    }
}

impl Console {
    /// Makes the page; none if it is not among the files.
    fn new(files: impl IntoIterator<Item = (String, Bytes)>) -> Option<Self> {
        let file = |(path, bytes): (String, Bytes)| {
            let file = File::new(&path, bytes);
            (path, file)
        };
        let files: BTreeMap<String, File> = files.into_iter().map(file).collect();
        let page = page::make(&files)?;
        Some(Self {
            index: File::new(INDEX, page.html.into()),
            policy: page.policy,
            files,
        })
    }

    /// A file by its path below `console/`.
    pub(crate) fn find(&self, path: &str) -> Option<&File> {
        self.files.get(path)
    }
}

fn media_type_of(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, ending)| ending) {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json" | "map") => "application/json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("woff2") => "font/woff2",
        Some(_) | None => "text/plain; charset=utf-8",
    }
}

/// RFC 1952: a head without a time, the bytes, their CRC-32 and how many they are.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 255];
    packed.extend(miniz_oxide::deflate::compress_to_vec(bytes, PACKED_LEVEL));
    packed.extend(crc32fast::hash(bytes).to_le_bytes());
    let length = u32::try_from(bytes.len() & 0xffff_ffff).unwrap_or_default();
    packed.extend(length.to_le_bytes());
    packed
}

#[cfg(test)]
mod tests;
