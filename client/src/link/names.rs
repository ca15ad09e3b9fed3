//! What the name in a URL stands for: every address behind it, such as all pods behind a headless
//! Service of Kubernetes.

use super::{LinkError, Links, Network};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::Uri;
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// Addresses that are taken from one name: as many as a cluster may have members, by far.
pub const MOST_ADDRESSES: usize = 1024;

/// The port of a URL without one.
const HTTP_PORT: u16 = 80;

/// Says what names stand for.
pub trait Resolve: Debug + Send + Sync {
    /// The addresses of a name, with this port.
    ///
    /// # Errors
    /// If the name stands for nothing, or nobody says what.
    ///
    /// # Cancel safety
    /// May be dropped.
    fn resolve(&self, name: &str, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>>;
}

/// What knows names.
#[derive(Clone, Debug)]
pub(super) enum Names {
    System,
    Given(Arc<dyn Resolve>),
    /// A name is an address.
    Addresses,
}

impl Names {
    pub(super) fn of(network: &Network) -> Self {
        match (&network.resolver, &network.route) {
            (Some(resolver), _) => Self::Given(Arc::clone(resolver)),
            (None, Some(_)) => Self::Addresses,
            (None, None) => Self::System,
        }
    }
}

/// No address.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the name stands for no address")]
struct NoAddress;

impl Links {
    /// Whether a URL has a name in it that may stand for several addresses.
    pub fn is_name(&self, url: &str) -> bool {
        !matches!(self.names, Names::Addresses) && place(url).is_ok_and(|(host, _)| is_name(&host))
    }

    /// The URL of each address that the name in `url` stands for at present, in order, at most
    /// [`MOST_ADDRESSES`]; `url` itself if there is no name in it.
    ///
    /// # Errors
    /// [`LinkError::Unreachable`] if the name stands for nothing, or nobody says within this time what.
    ///
    /// # Cancel safety
    /// May be dropped. A thread may go on asking the system for a while.
    pub async fn addresses(&self, url: &str, within: Duration) -> Result<Vec<String>, LinkError> {
        let (host, port) = place(url)?;
        if !is_name(&host) {
            return Ok(vec![url.to_owned()]);
        }
        let asked = match &self.names {
            Names::Addresses => return Ok(vec![url.to_owned()]),
            Names::Given(resolver) => resolver.resolve(&host, port),
            Names::System => async move {
                let found = tokio::net::lookup_host((host.as_str(), port)).await?;
                Ok(found.collect())
            }
            .boxed(),
        };
        let found: io::Result<Vec<SocketAddr>> = match tokio::time::timeout(within, asked).await {
            Ok(found) => found,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        };
        let found = found.map_err(|error| LinkError::unreachable(url, error))?;
        // In an order of their own: a resolver gives them in another one each time.
        let found: BTreeSet<SocketAddr> = found.into_iter().collect();
        if found.is_empty() {
            return Err(LinkError::unreachable(url, NoAddress));
        }
        let urls = found.into_iter().take(MOST_ADDRESSES);
        Ok(urls.map(|address| format!("http://{address}")).collect())
    }
}

/// Host and port of a server.
fn place(url: &str) -> Result<(String, u16), LinkError> {
    let uri: Uri = url.parse().map_err(|why| LinkError::protocol(url, why))?;
    match uri.host() {
        Some(host) => Ok((host.to_owned(), uri.port_u16().unwrap_or(HTTP_PORT))),
        None => Err(LinkError::protocol(url, "it names no host")),
    }
}

/// Whether this is no address.
fn is_name(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.parse::<IpAddr>().is_err()
}

#[cfg(test)]
mod tests {
    use super::super::{LinkError, Links, Network, Reads, Resolve};
    use super::MOST_ADDRESSES;
    use futures_util::FutureExt;
    use futures_util::future::BoxFuture;
    use mdfs_protocol::access::{ClusterKey, Secret};
    use std::io;
    use std::net::{Ipv4Addr, SocketAddr};
    use std::sync::Arc;
    use std::time::Duration;

    /// `all` stands for many addresses, `none` for none, `slow` for what takes for ever.
    #[derive(Debug)]
    struct Book;

    impl Resolve for Book {
        fn resolve(
            &self,
            name: &str,
            port: u16,
        ) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
            let all = (0..2000_u32).rev();
            let all = all.map(|last| SocketAddr::from((Ipv4Addr::from_bits(last / 2), port)));
            let (all, name) = (all.collect(), name.to_owned());
            async move {
                match name.as_str() {
                    "all" => Ok(all),
                    "none" => Ok(Vec::new()),
                    "slow" => std::future::pending().await,
                    _ => Err(io::ErrorKind::NotFound.into()),
                }
            }
            .boxed()
        }
    }

    fn links() -> Links {
        let key = ClusterKey::new(&Secret::new(&[b'k'; 32]).unwrap());
        let network = Network::real().resolving(Arc::new(Book));
        Links::on(&network, &key, None, Reads::Large).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_stands_for_all_its_addresses_in_order_and_once_each() {
        let (links, within) = (links(), Duration::from_secs(1));
        let all = links.addresses("http://all:81", within).await.unwrap();
        assert_eq!(all.len(), 1000.min(MOST_ADDRESSES));
        assert_eq!(all[0], "http://0.0.0.0:81");
        assert_eq!(all[999], "http://0.0.3.231:81");
        let port = links.addresses("http://all/", within).await.unwrap();
        assert_eq!(port[1], "http://0.0.0.1:80");
        for url in ["http://none:1", "http://slow:1", "http://unknown:1"] {
            let refused = links.addresses(url, within).await.unwrap_err();
            assert!(refused.is_unreachable(), "{url}");
        }
        let none = links.addresses("/path", within).await.unwrap_err();
        assert!(matches!(none, LinkError::Protocol { .. }));
    }

    #[tokio::test]
    async fn an_address_stands_for_itself() {
        let (links, within) = (links(), Duration::from_secs(1));
        for url in ["http://10.0.0.7:8081", "http://[::1]:8081/"] {
            assert_eq!(links.addresses(url, within).await.unwrap(), [url]);
            assert!(!links.is_name(url), "{url}");
        }
        assert!(links.is_name("http://all:81"));
        assert!(!links.is_name("/path"));
    }
}
