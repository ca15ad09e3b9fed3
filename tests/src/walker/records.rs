//! The files of a cluster, as its API lists them.

use crate::disks::Chunk;
use crate::http::Connection;
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::Value;

/// A file, in the trash or not.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Record {
    /// Its name, or the one it had.
    pub name: String,
    /// The identity of its bytes.
    pub file_id: String,
    /// Bytes.
    pub size: u64,
    /// Bytes of each chunk but the last.
    pub chunk_size: u64,
    /// Copies wanted of each chunk.
    pub replicas: u64,
}

impl Record {
    /// Its chunks and their lengths.
    pub fn chunks(&self) -> impl Iterator<Item = (Chunk, u64)> + '_ {
        let size = self.chunk_size.max(1);
        (0..self.size.div_ceil(size)).map(move |index| {
            let length = size.min(self.size - index * size);
            ((self.file_id.clone(), index), length)
        })
    }
}

/// All files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records {
    /// Those that have a name.
    pub files: Vec<Record>,
    /// Those in the trash.
    pub trash: Vec<Record>,
}

impl Records {
    /// Lists everything. Not of one moment, if files come and go meanwhile.
    ///
    /// # Errors
    /// If a page is not answered with 200.
    pub fn list(connection: &mut Connection) -> Result<Self> {
        Ok(Self {
            files: pages(connection, "/v1/files")?,
            trash: pages(connection, "/v1/trash")?,
        })
    }
}

fn pages(connection: &mut Connection, path: &str) -> Result<Vec<Record>> {
    let (mut listed, mut after) = (Vec::new(), String::new());
    loop {
        let target = format!("{path}?limit=1000{after}");
        let answer = connection.request("GET", &target, &[], &[])?;
        let status = answer.status();
        ensure!(status == 200, "{target} was answered {}", answer.problem());
        let mut page = answer.json()?;
        let files = page.get_mut("files").map(Value::take);
        let files: Vec<Record> = serde_json::from_value(files.context("a page without files")?)?;
        listed.extend(files);
        match page.get("next").and_then(Value::as_str) {
            Some(next) => after = format!("&after={}", escaped(next)),
            None => return Ok(listed),
        }
    }
}

/// A value of a query, with every byte escaped that is not plain.
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    let escape = |byte: u8| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}
