//! Changes of names and bytes that are not durable yet.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) type Names = BTreeMap<PathBuf, Node>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Node {
    Dir,
    File(usize),
}

#[derive(Clone)]
pub(super) enum ByteChange {
    Write(u64, Arc<[u8]>),
    SetLen(u64),
}

/// A change of names that a crash keeps as a whole or not at all.
#[derive(Clone)]
pub(super) enum NameChange {
    Add(PathBuf, Node),
    Rename(PathBuf, PathBuf, Node),
    Remove(PathBuf),
}

pub(super) fn is_in(path: &Path, dir: &Path) -> bool {
    path.parent() == Some(dir)
}

impl NameChange {
    pub(super) fn apply(&self, names: &mut Names) {
        match self {
            Self::Add(path, node) => {
                names.insert(path.clone(), *node);
            }
            Self::Rename(from, to, node) => {
                names.remove(from);
                names.insert(to.clone(), *node);
            }
            Self::Remove(path) => {
                names.remove(path);
            }
        }
    }

    /// What is still in doubt once the names in `dir` are durable.
    pub(super) fn without(self, dir: &Path) -> Option<Self> {
        match self {
            Self::Add(path, _) | Self::Remove(path) if is_in(&path, dir) => None,
            Self::Rename(from, to, node) => match (is_in(&from, dir), is_in(&to, dir)) {
                (true, true) => None,
                (false, true) => Some(Self::Remove(from)),
                (true, false) => Some(Self::Add(to, node)),
                (false, false) => Some(Self::Rename(from, to, node)),
            },
            other => Some(other),
        }
    }
}

impl ByteChange {
    pub(super) fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write(offset, written) => {
                let from = usize::try_from(*offset).unwrap();
                let to = from + written.len();
                if bytes.len() < to {
                    bytes.resize(to, 0);
                }
                bytes[from..to].copy_from_slice(written);
            }
            Self::SetLen(len) => bytes.resize(usize::try_from(*len).unwrap(), 0),
        }
    }

    /// Applies it wholly, not at all, or sector by sector as it comes. Whether a part is missing.
    pub(super) fn apply_part(&self, bytes: &mut Vec<u8>, chance: &mut Chance) -> bool {
        const SECTOR: usize = 512;
        match (chance.next() % 3, self) {
            (0, _) => false,
            (1, Self::Write(offset, written)) => {
                let (mut kept, mut lost) = (false, false);
                for (number, sector) in written.chunks(SECTOR).enumerate() {
                    let keeps = chance.next().is_multiple_of(2);
                    if keeps {
                        let offset = *offset + (number * SECTOR) as u64;
                        Self::Write(offset, sector.into()).apply(bytes);
                    }
                    kept |= keeps;
                    lost |= !keeps;
                }
                kept && lost
            }
            _ => {
                self.apply(bytes);
                false
            }
        }
    }
}

/// Splitmix64.
pub(super) struct Chance(pub(super) u64);

impl Chance {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }
}
