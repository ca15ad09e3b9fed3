//! Chance, drawn from the operating system.

/// 64 random bits.
///
/// # Panics
/// If the operating system has no randomness to give; it always has after boot.
pub fn random_u64() -> u64 {
    let mut bytes = [0; 8];
    fill(&mut bytes);
    u64::from_ne_bytes(bytes)
}

/// 128 random bits: enough that two draws never meet.
///
/// # Panics
/// As [`random_u64`].
pub fn random_u128() -> u128 {
    let mut bytes = [0; 16];
    fill(&mut bytes);
    u128::from_ne_bytes(bytes)
}

/// Fills `bytes` with random bytes, fit for keys and tokens.
///
/// # Panics
/// As [`random_u64`].
#[expect(
    clippy::expect_used,
    reason = "no id or key may be made without randomness"
)]
pub fn fill(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the operating system gives random bytes");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_draws_differ() {
        assert_ne!(random_u128(), random_u128());
        assert_ne!(random_u64(), random_u64());
    }
}
