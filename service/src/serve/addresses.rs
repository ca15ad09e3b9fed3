//! Where connections come from: networks, and how many connections one address has.

use super::Limits;
use std::collections::HashMap;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

/// A range of addresses: those that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

/// A text that is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither an address nor of the form ADDRESS/BITS")]
pub struct InvalidNetwork(String);

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let refuse = || InvalidNetwork(text.chars().take(64).collect());
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| refuse())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), |bits| bits.parse().map_err(|_| refuse()))?;
        if bits > most {
            return Err(refuse());
        }
        Ok(Self { address, bits })
    }
}

impl Network {
    /// Whether an address is in it.
    pub fn has(&self, address: IpAddr) -> bool {
        let number = |address: IpAddr| match address {
            IpAddr::V4(address) => (u128::from(u32::from(address)) << 96, 32),
            IpAddr::V6(address) => (u128::from(address), 128),
        };
        let (ours, width) = number(self.address);
        let (theirs, their_width) = number(address.to_canonical());
        let same = (ours ^ theirs).leading_zeros();
        width == their_width && same >= u32::from(self.bits)
    }
}

/// An address as one customer has it, as a number: all of an IPv4 address, the first 64 bits of an
/// IPv6 one.
pub fn customer(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address) & !u128::from(u64::MAX),
    }
}

/// The connections that are open, by where they come from. As many entries as there are
/// connections, at most.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    open: Arc<Mutex<HashMap<u128, usize>>>,
}

/// One connection's place among those of its address.
#[derive(Debug)]
pub(super) struct Place {
    open: Arc<Mutex<HashMap<u128, usize>>>,
    customer: u128,
}

impl Addresses {
    /// A place for one more connection of an address; none if it has as many as it may.
    pub(super) fn take(&self, address: IpAddr, limits: &Limits) -> Option<Place> {
        let is_proxy = limits.proxies.iter().any(|network| network.has(address));
        let customer = customer(address);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(customer).or_default();
        if *count >= limits.connections_of_one && !is_proxy {
            return None;
        }
        *count += 1;
        Some(Place {
            open: Arc::clone(&self.open),
            customer,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.customer) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.customer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read_strictly() {
        let has = |network: &str, address: &str| {
            let network: Network = network.parse().unwrap();
            network.has(address.parse().unwrap())
        };
        assert!(has("0.0.0.0/0", "1.2.3.4") && !has("0.0.0.0/0", "::1"));
        assert!(has("10.1.2.3", "10.1.2.3") && !has("10.1.2.3", "10.1.2.2"));
        assert!(has("10.1.2.0/23", "10.1.3.255") && !has("10.1.2.0/23", "10.1.4.0"));
        assert!(has("10.0.0.0/8", "::ffff:10.1.1.1"));
        for bad in ["", "10.0.0.0/33", "10.0.0/8", "::/129", "10.0.0.0/", "a/8"] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_address_has_so_many_connections_and_a_proxy_any_number() {
        let limits = Limits {
            connections_of_one: 2,
            proxies: Arc::from(["10.0.0.0/8".parse().unwrap()]),
            ..Limits::default()
        };
        let addresses = Addresses::default();
        let take = |text: &str| addresses.take(text.parse().unwrap(), &limits);
        let first = take("1.2.3.4").unwrap();
        let _second = take("1.2.3.4").unwrap();
        assert!(take("1.2.3.4").is_none());
        assert!(take("1.2.3.5").is_some());
        let _six = [take("2001:db8::1"), take("2001:db8::2")].map(Option::unwrap);
        assert!(take("2001:db8::3").is_none());
        let _proxied: Vec<_> = (0..9).map(|_| take("10.0.0.1").unwrap()).collect();
        drop(first);
        assert!(take("1.2.3.4").is_some());
        assert_eq!(addresses.open.lock().unwrap().len(), 3);
    }
}
