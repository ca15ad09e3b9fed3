//! What is said of a file beside its bytes, and what became of files in forms.

use super::FileInfo;
use crate::problem::Problem;
use crate::schema;
use mdfs_core::checksum::{Blake3, Crc32};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a file's bytes hash to, `GET …?checksum`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Checksums {
    /// The file's name.
    pub name: String,
    /// The log index that made this version.
    pub version: u64,
    /// Bytes.
    pub size: u64,
    /// CRC-32 of all bytes.
    #[schemars(with = "schema::Crc32Text")]
    pub crc32: Crc32,
    /// BLAKE3 of all bytes.
    #[schemars(with = "schema::Blake3Text")]
    pub blake3: Blake3,
}

/// Changes what is said of a file, `POST …?attributes`; what is left out stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetAttributes {
    /// Media type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// All attributes of the user's own, at most 2 KiB: those that are not among them go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attributes: Option<BTreeMap<String, String>>,
}

/// What became of a form with several files, or of one that ended early.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FormFiles {
    /// Each file that came, in order.
    pub files: Vec<FormResult>,
    /// What ended the form early; none if it came whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<Problem>,
}

/// What became of one file of a form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum FormResult {
    /// It is stored.
    Stored(FileInfo),
    /// It is not.
    Refused {
        /// The name it would have.
        name: String,
        /// Why.
        problem: Problem,
    },
}

/// The problem of a form of which nothing is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormRefused {
    /// What ended the form; if it came whole, why its first file is refused.
    #[serde(flatten)]
    pub problem: Problem,
    /// Each file that came, in order; empty if there was at most one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FormResult>,
}
