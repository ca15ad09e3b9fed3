//! Where requests really come from, if proxies stand in between.

use http::HeaderMap;
use mdfs_service::Network;
use std::net::IpAddr;

/// The header in which proxies name whom they ask for.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// The address of whoever asks: that of the connection, unless it is one of the proxies; then the
/// last that these name and that is none of them. Whatever a client itself claims is not believed.
pub(super) fn client_address(peer: IpAddr, headers: &HeaderMap, proxies: &[Network]) -> IpAddr {
    let is_proxy = |address: IpAddr| proxies.iter().any(|network| network.has(address));
    if !is_proxy(peer) {
        return peer.to_canonical();
    }
    let lines = headers.get_all(FORWARDED_FOR).iter();
    let lines: Vec<&str> = lines.map(|line| line.to_str().unwrap_or("?")).collect();
    let mut client = peer;
    for hop in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
        // What cannot be read stands for whoever wrote it.
        let Some(address) = address_of(hop.trim()) else {
            break;
        };
        client = address;
        if !is_proxy(address) {
            break;
        }
    }
    client.to_canonical()
}

/// An address, as proxies write it: some add a port.
fn address_of(text: &str) -> Option<IpAddr> {
    let socket = || text.parse().map(|socket: std::net::SocketAddr| socket.ip());
    text.parse().or_else(|_| socket()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, lines: &[&str], proxies: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, line.parse().unwrap());
        }
        let proxies: Vec<Network> = proxies.iter().map(|text| text.parse().unwrap()).collect();
        client_address(peer.parse().unwrap(), &headers, &proxies).to_string()
    }

    #[test]
    fn only_the_word_of_a_proxy_is_believed() {
        let proxies = &["10.0.0.0/8", "fd00::/8"];
        for (peer, lines, want) in [
            ("1.2.3.4", &["9.9.9.9"][..], "1.2.3.4"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["1.2.3.4"], "1.2.3.4"),
            ("10.0.0.1", &["9.9.9.9, 1.2.3.4"], "1.2.3.4"),
            ("10.0.0.1", &["9.9.9.9, 1.2.3.4, 10.0.0.2"], "1.2.3.4"),
            ("10.0.0.1", &["9.9.9.9", "1.2.3.4:555"], "1.2.3.4"),
            ("10.0.0.1", &["9.9.9.9, odd"], "10.0.0.1"),
            ("10.0.0.1", &["9.9.9.9, odd, 10.0.0.3"], "10.0.0.3"),
            ("fd00::1", &["[2001:db8::5]:443"], "2001:db8::5"),
            ("::ffff:10.0.0.1", &["1.2.3.4"], "1.2.3.4"),
            ("10.0.0.1", &["10.0.0.7, 10.0.0.8"], "10.0.0.7"),
        ] {
            assert_eq!(client(peer, lines, proxies), want, "{peer} {lines:?}");
        }
        assert_eq!(client("10.0.0.1", &["1.2.3.4"], &[]), "10.0.0.1");
    }
}
