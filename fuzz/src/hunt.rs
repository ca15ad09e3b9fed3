//! Alters inputs and looks for one that breaks a target.

use crate::Target;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// The longest input, in bytes.
const INPUT_MAX_BYTES: usize = 4096;
/// The most inputs that are kept.
const MOST_KEPT: usize = 4096;

/// What ends a hunt.
pub enum Limit<'a> {
    /// So many inputs, the same each time.
    Inputs(u64),
    /// Whenever this says so; it is asked now and then.
    Until(&'a dyn Fn() -> bool),
}

/// What came of a hunt.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    /// Inputs that were tried.
    pub tried: u64,
    /// Kinds of inputs that were told apart.
    pub kinds: usize,
    /// The input that broke the target, if one did.
    pub broken: Option<Vec<u8>>,
}

/// Runs a target on its corpus, and on what becomes of it by `seed`.
///
/// # Errors
/// If the corpus cannot be read.
pub fn hunt(target: &Target, seed: u64, limit: &Limit<'_>) -> std::io::Result<Found> {
    let mut kept = corpus(target)?;
    let mut hunt = Hunt {
        target,
        kinds: BTreeSet::new(),
        tried: 0,
    };
    for input in &kept {
        if hunt.breaks(input).is_none() {
            return Ok(hunt.ended(Some(input.clone())));
        }
    }
    let mut chance = Chance(seed);
    while match limit {
        Limit::Inputs(most) => hunt.tried < *most,
        Limit::Until(over) => !hunt.tried.is_multiple_of(256) || !over(),
    } {
        let input = chance.altered(&kept, target.words);
        match hunt.breaks(&input) {
            None => return Ok(hunt.ended(Some(input))),
            Some(true) if kept.len() < MOST_KEPT => kept.push(input),
            Some(_) => {}
        }
    }
    Ok(hunt.ended(None))
}

fn corpus(target: &Target) -> std::io::Result<Vec<Vec<u8>>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let mut inputs = (target.seeds)();
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder.join(target.name))? {
        paths.push(entry?.path());
    }
    // Folders have no order of their own.
    paths.sort();
    for path in paths {
        inputs.push(std::fs::read(path)?);
    }
    inputs.push(Vec::new());
    Ok(inputs)
}

struct Hunt<'a> {
    target: &'a Target,
    kinds: BTreeSet<u64>,
    tried: u64,
}

impl Hunt<'_> {
    /// Tries an input: whether it is of a new kind; none if it breaks the target.
    fn breaks(&mut self, input: &[u8]) -> Option<bool> {
        self.tried += 1;
        let kind = catch_unwind(AssertUnwindSafe(|| (self.target.run)(input))).ok()?;
        Some(self.kinds.insert(kind))
    }

    fn ended(self, broken: Option<Vec<u8>>) -> Found {
        Found {
            tried: self.tried,
            kinds: self.kinds.len(),
            broken,
        }
    }
}

/// Numbers by a seed (SplitMix64).
struct Chance(u64);

impl Chance {
    fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let word = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// A number below `end`; zero if there is none.
    fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap_or(u64::MAX);
        usize::try_from(self.number().checked_rem(end).unwrap_or(0)).unwrap_or(0)
    }

    /// One of the inputs, altered in one to eight ways.
    fn altered(&mut self, kept: &[Vec<u8>], words: &[&str]) -> Vec<u8> {
        let pick = |at: usize| kept.get(at).cloned().unwrap_or_default();
        let mut input = pick(self.below(kept.len()));
        for _ in 0..=self.below(8) {
            let other = pick(self.below(kept.len()));
            self.alter(&mut input, &other, words);
        }
        input.truncate(INPUT_MAX_BYTES);
        input
    }

    fn alter(&mut self, input: &mut Vec<u8>, other: &[u8], words: &[&str]) {
        const ODD: [u8; 10] = [0, 1, 0x7f, 0x80, 0xff, b'-', b'/', b'%', b'\r', b'\n'];
        let at = self.below(input.len() + 1);
        let end = at + self.below(input.len() + 1 - at);
        match self.below(9) {
            0 => {
                let bit = self.below(8);
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << bit;
                }
            }
            1 => {
                let odd = ODD.get(self.below(ODD.len())).copied().unwrap_or(0);
                if let Some(byte) = input.get_mut(at) {
                    *byte = odd;
                }
            }
            2 => {
                input.drain(at..end);
            }
            3 => {
                let again = input.get(at..end).unwrap_or_default().to_vec();
                input.splice(end..end, again);
            }
            4 | 5 => {
                let word = words.get(self.below(words.len())).copied();
                let until = if self.below(2) == 0 { at } else { end };
                input.splice(at..until, word.unwrap_or_default().bytes());
            }
            6 => {
                let from = self.below(other.len() + 1);
                input.truncate(at);
                input.extend_from_slice(other.get(from..).unwrap_or_default());
            }
            7 => {
                let bytes = self.number().to_le_bytes();
                let few = bytes.into_iter().take(1 + self.below(8));
                input.splice(at..at, few);
            }
            _ => {
                // A number in digits, one more or less, or the largest.
                let odd = ["0", "1", "9", "255", "4294967296", "18446744073709551616"];
                let digits = odd.get(self.below(odd.len())).copied();
                input.splice(at..end, digits.unwrap_or_default().bytes());
            }
        }
        input.truncate(2 * INPUT_MAX_BYTES);
    }
}
