//! Bounds how many wrong tokens and links are looked at.
//!
//! A token has 256 random bits, so this does not make guessing any harder. It bounds what wrong
//! ones cost the leader, and what they write to the log. So it never stands in the way of somebody
//! who is known: a root token, and a token that was sound when it came here last, are told apart
//! from wrong ones before anything is counted.

use crate::config::Failures;
use mdfs_core::time::Timestamp;
use mdfs_service::chance::random_u128;
use mdfs_service::serve::customer;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How often something may happen: so many at once, then one after each span.
#[derive(Clone, Copy, Debug)]
struct Rate {
    every_millis: u64,
    at_once: u64,
}

impl Rate {
    fn new(at_once: usize, every: Duration) -> Self {
        Self {
            every_millis: u64::try_from(every.as_millis()).unwrap_or(u64::MAX),
            at_once: at_once as u64,
        }
    }
}

/// Addresses share so many counters: memory has a bound, and who shares one with an attacker waits
/// with them. Which share one is drawn anew with every start.
const COUNTERS: usize = 4096;

/// Counts failures.
pub(super) struct Throttle {
    key: [u8; 32],
    /// Failures of one address, or of one network of IPv6 addresses that one customer has.
    of_one: Rate,
    /// Failures of all addresses together.
    of_all: Rate,
    counts: Mutex<Counts>,
}

struct Counts {
    of_all: Count,
    of_one: Vec<Count>,
}

/// The time at which all that was counted is forgotten, in milliseconds.
#[derive(Clone, Copy, Default)]
struct Count(u64);

impl Throttle {
    pub(super) fn new(failures: Failures) -> Self {
        let counts = Counts {
            of_all: Count::default(),
            of_one: vec![Count::default(); COUNTERS],
        };
        let mut key = [0; 32];
        let (low, high) = key.split_at_mut(16);
        low.copy_from_slice(&random_u128().to_le_bytes());
        high.copy_from_slice(&random_u128().to_le_bytes());
        Self {
            key,
            of_one: Rate::new(failures.of_one, failures.of_one_every),
            of_all: Rate::new(failures.of_all, failures.of_all_every),
            counts: Mutex::new(counts),
        }
    }

    /// Counts an attempt, as if it failed.
    ///
    /// # Errors
    /// If too many failed lately: nothing is counted, and the attempt is not to be looked at. Says
    /// when to try again.
    pub(super) fn begin(&self, address: IpAddr, now: Timestamp) -> Result<(), Duration> {
        self.with(address, |of_all, of_one| {
            let all = of_all.room(self.of_all, now);
            let one = of_one.room(self.of_one, now);
            all.and(one)?;
            of_all.add(self.of_all, now);
            of_one.add(self.of_one, now);
            Ok(())
        })
    }

    /// The attempt did not fail.
    pub(super) fn succeeded(&self, address: IpAddr) {
        self.with(address, |of_all, of_one| {
            of_all.take_back(self.of_all);
            of_one.take_back(self.of_one);
        });
    }

    fn with<T>(&self, address: IpAddr, work: impl FnOnce(&mut Count, &mut Count) -> T) -> T {
        let hash = blake3::keyed_hash(&self.key, &customer(address).to_le_bytes());
        let number = hash.as_bytes().first_chunk().copied();
        let number = u16::from_le_bytes(number.unwrap_or_default());
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let Counts { of_all, of_one } = &mut *counts;
        match of_one.get_mut(usize::from(number) & (COUNTERS - 1)) {
            Some(of_one) => work(of_all, of_one),
            None => work(of_all, &mut Count::default()),
        }
    }
}

impl Count {
    fn room(self, rate: Rate, now: Timestamp) -> Result<(), Duration> {
        let full = rate.every_millis.saturating_mul(rate.at_once);
        let counted = self.0.saturating_sub(now.as_millis());
        let after = counted.saturating_add(rate.every_millis);
        match after.checked_sub(full) {
            None | Some(0) => Ok(()),
            Some(over) => Err(Duration::from_millis(over)),
        }
    }

    fn add(&mut self, rate: Rate, now: Timestamp) {
        self.0 = self.0.max(now.as_millis()) + rate.every_millis;
    }

    fn take_back(&mut self, rate: Rate) {
        self.0 = self.0.saturating_sub(rate.every_millis);
    }
}

impl std::fmt::Debug for Throttle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Throttle").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(1_000_000 + millis)
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn allowed(throttle: &Throttle, text: &str, now: u64) -> usize {
        let mut allowed = 0;
        while throttle.begin(address(text), at(now)).is_ok() {
            allowed += 1;
        }
        allowed
    }

    #[test]
    fn one_address_fails_sixty_times_at_once_and_twice_a_second() {
        let throttle = Throttle::new(Failures::default());
        assert_eq!(allowed(&throttle, "10.0.0.1", 0), 60);
        let wait = throttle.begin(address("10.0.0.1"), at(0)).unwrap_err();
        assert_eq!(wait, Duration::from_millis(500));
        assert_eq!(allowed(&throttle, "10.0.0.1", 499), 0);
        assert_eq!(allowed(&throttle, "10.0.0.1", 1000), 2);
        assert_eq!(allowed(&throttle, "10.0.0.1", 3_600_000), 60);
    }

    #[test]
    fn who_does_not_fail_is_not_counted() {
        let throttle = Throttle::new(Failures::default());
        for _ in 0..1000 {
            throttle.begin(address("10.0.0.1"), at(0)).unwrap();
            throttle.succeeded(address("10.0.0.1"));
        }
        assert_eq!(allowed(&throttle, "10.0.0.1", 0), 60);
    }

    #[test]
    fn a_network_of_one_customer_is_one_address_and_so_is_a_mapped_one() {
        let throttle = Throttle::new(Failures::default());
        assert_eq!(allowed(&throttle, "2001:db8:0:1::1", 0), 60);
        assert_eq!(allowed(&throttle, "2001:db8:0:1:ffff::2", 0), 0);
        assert_eq!(allowed(&throttle, "10.1.1.1", 0), 60);
        assert_eq!(allowed(&throttle, "::ffff:10.1.1.1", 0), 0);
    }

    #[test]
    fn all_addresses_together_have_a_bound() {
        let throttle = Throttle::new(Failures::default());
        let mut all = 0;
        for number in 0..1000_u32 {
            let address = IpAddr::from((number + 1).to_be_bytes());
            for _ in 0..10 {
                all += usize::from(throttle.begin(address, at(0)).is_ok());
            }
        }
        assert_eq!(all, 2000);
    }
}
