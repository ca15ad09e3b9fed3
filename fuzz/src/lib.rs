//! Hostile bytes for everything of MDFS that reads bytes of strangers.
//!
//! A [`Target`] is a function of bytes that asserts what must hold for any of them, so it fits any
//! fuzzer. [`hunt`] is the one of this package: it alters seeds and what it found by a seed of chance,
//! and keeps an input when the target says that something about it is new.

mod hunt;
pub mod targets;

pub use hunt::{Found, Limit, hunt};

/// Something that reads bytes of strangers.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, and that of its folder in `corpus/`.
    pub name: &'static str,
    /// Reads the bytes and asserts what must hold; says in a number what kind of bytes they were.
    pub run: fn(&[u8]) -> u64,
    /// Sound inputs beside those of the corpus.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Words of the language that it reads.
    pub words: &'static [&'static str],
}

/// All of them.
pub const TARGETS: &[Target] = &[
    targets::range::TARGET,
    targets::name::TARGET,
    targets::token::TARGET,
    targets::link::TARGET,
    targets::form::TARGET,
    targets::compact::HEARTBEAT,
    targets::compact::ENTRY,
    targets::footer::TARGET,
    targets::segment::TARGET,
];
