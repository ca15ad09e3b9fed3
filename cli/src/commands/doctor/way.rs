//! From this machine to a master.

use super::PATIENCE;
use super::report::{Check, Report};
use mdfs_core::time::LogTime;
use mdfs_protocol::date::parse_http_date;
use mdfs_protocol::token::BearerToken;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Clocks that differ by more are told of: links and tokens end by wall time.
const CLOCK_SECONDS: u64 = 5;
/// The metric that has the version of a server.
const BUILD: &str = "mdfs_build_info{";

/// Looks at the token's file; the token, if there is one. What it is never goes into the report.
pub(super) fn token(report: &mut Report, file: Option<&Path>) -> Option<String> {
    let Some(file) = file else {
        report.add(
            Check::warn("token file", "none is given")
                .hint("name it by --token-file or MDFS_TOKEN_FILE"),
        );
        return None;
    };
    let shown = file.display();
    let read = std::fs::read_to_string(file).and_then(|text| Ok((text, file.metadata()?)));
    let (text, metadata) = match read {
        Ok(read) => read,
        Err(error) => {
            let check = Check::fail("token file", format!("cannot read {shown}: {error}"));
            report.add(check.hint("ask an administrator for a token: `mdfs token create`"));
            return None;
        }
    };
    let text = text.trim().to_owned();
    let what = match BearerToken::parse(&text) {
        Some(token) => format!("{shown} has token {}", token.id()),
        None => format!("{shown} has a token without an id, as root tokens are"),
    };
    let check = if text.is_empty() {
        Check::fail("token file", format!("{shown} is empty"))
    } else if metadata.permissions().mode() & 0o077 != 0 {
        Check::warn("token file", format!("{what}, and others may read it"))
            .hint(format!("chmod 600 {shown}"))
    } else {
        Check::ok("token file", what)
    };
    report.add(check);
    Some(text)
}

/// Looks up the name in an address and connects to it.
pub(super) async fn address(report: &mut Report, url: &str) {
    let Some(place) = place(url) else {
        report.add(
            Check::fail(
                "address",
                format!("{url} is not of the form http://HOST:PORT"),
            )
            .hint("correct --url, MDFS_URL or `url` in the configuration"),
        );
        return;
    };
    let found = timeout(PATIENCE, tokio::net::lookup_host(&place)).await;
    let addresses: Vec<SocketAddr> = match found {
        Ok(Ok(found)) => found.collect(),
        Ok(Err(error)) => {
            report.add(
                Check::fail("name", format!("{place} is not known: {error}"))
                    .hint("is the host spelled right, and does this machine ask the right DNS?"),
            );
            return;
        }
        Err(_) => {
            report.add(
                Check::fail("name", format!("DNS does not answer for {place}"))
                    .hint("look at /etc/resolv.conf"),
            );
            return;
        }
    };
    let shown: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    report.add(Check::ok(
        "name",
        format!("{place} is {}", shown.join(", ")),
    ));
    let mut refused = Vec::new();
    let mut connects = false;
    for address in &addresses {
        let connected = timeout(PATIENCE, TcpStream::connect(address)).await;
        match connected {
            Ok(Ok(_)) => {
                report.add(Check::ok("port", format!("{address} takes connections")));
                connects = true;
            }
            Ok(Err(error)) => refused.push((address, error.to_string())),
            Err(_) => refused.push((address, "no answer".to_owned())),
        }
    }
    for (address, why) in refused {
        let why = format!("{address}: {why}");
        report.add(if connects {
            // As an address of the other family, behind a name that has both.
            Check::warn("port", why).hint("other addresses of the same name answer")
        } else if address.ip().is_loopback() {
            Check::fail("port", why).hint("is it running? start one with `mdfs dev`")
        } else {
            Check::fail("port", why)
                .hint("does the master run there, and does a firewall let it through?")
        });
    }
    report.add(transport(url, &addresses));
}

/// Whether bytes and token can be read on their way.
fn transport(url: &str, addresses: &[SocketAddr]) -> Check {
    if url.starts_with("https:") {
        return Check::ok("transport", "TLS");
    }
    if addresses.iter().all(|address| is_near(address.ip())) {
        return Check::ok(
            "transport",
            "plain HTTP, to this machine or a private network",
        );
    }
    Check::warn("transport", "plain HTTP: the token can be read on its way")
        .hint("reach the cluster through a proxy with TLS, or a VPN")
}

fn is_near(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

/// Host and port of an address.
fn place(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let usual = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let place = rest.split('/').next().filter(|place| !place.is_empty())?;
    let has_port = place.rsplit_once(':').is_some_and(|(_, port)| {
        !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())
    });
    if place.contains('@') {
        return None;
    }
    Some(if has_port {
        place.to_owned()
    } else {
        format!("{place}:{usual}")
    })
}

/// Compares this machine's clock with a master's.
pub(super) fn clock(date: Option<&str>, here: LogTime) -> Check {
    let Some(there) = date.and_then(parse_http_date) else {
        return Check::skip("clock", "the master does not say what time it is");
    };
    let (here, there) = (here.as_millis() / 1000, there.as_millis() / 1000);
    let differ = here.abs_diff(there);
    if differ <= CLOCK_SECONDS {
        return Check::ok("clock", format!("differs by {differ} s at most"));
    }
    let ahead = if here > there { "ahead of" } else { "behind" };
    Check::warn(
        "clock",
        format!("this machine is {differ} s {ahead} the master"),
    )
    .hint("set the clocks by NTP: links and tokens end by them")
}

/// Compares the versions of this program and of a master.
pub(super) fn version(metrics: Option<&str>) -> Check {
    let own = env!("CARGO_PKG_VERSION");
    let Some(metrics) = metrics else {
        return Check::skip(
            "version",
            format!("{own} here; this token may not see the master's"),
        );
    };
    let line = metrics.lines().find(|line| line.starts_with(BUILD));
    let theirs = line
        .and_then(|line| line.split_once("version=\""))
        .and_then(|(_, rest)| rest.split('"').next());
    match theirs {
        Some(theirs) if theirs == own => Check::ok("version", format!("{own}, as the master")),
        Some(theirs) => Check::warn("version", format!("{own} here, {theirs} there"))
            .hint("use the program of the cluster's version"),
        None => Check::warn(
            "version",
            format!("{own} here; the master does not say its own"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_port() {
        for (url, want) in [
            ("http://a", Some("a:80")),
            ("http://a:8080/x", Some("a:8080")),
            ("https://a", Some("a:443")),
            ("http://[::1]:80", Some("[::1]:80")),
            ("http://[::1]", Some("[::1]:80")),
            ("a:80", None),
            ("ftp://a", None),
            ("http:///x", None),
            ("http://a:b@c", None),
        ] {
            assert_eq!(place(url).as_deref(), want, "{url}");
        }
    }

    #[test]
    fn clocks_and_versions_are_compared() {
        let here = parse_http_date("Sun, 01 Mar 2026 12:00:00 GMT").unwrap();
        assert_eq!(
            clock(Some("Sun, 01 Mar 2026 12:00:03 GMT"), here),
            Check::ok("clock", "differs by 3 s at most")
        );
        let text = format!("{:?}", clock(Some("Sun, 01 Mar 2026 11:00:00 GMT"), here));
        assert!(text.contains("3600 s ahead of the master"), "{text}");
        assert!(format!("{:?}", clock(None, here)).contains("Skip"));
        let own = env!("CARGO_PKG_VERSION");
        let metrics = format!("# HELP x\nmdfs_build_info{{version=\"{own}\"}} 1\n");
        assert_eq!(
            version(Some(&metrics)),
            Check::ok("version", format!("{own}, as the master"))
        );
        let other = version(Some("mdfs_build_info{version=\"9.9\"} 1"));
        assert!(format!("{other:?}").contains("9.9 there"));
    }

    #[test]
    fn a_token_is_not_told_and_its_file_is_the_owners() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "very-secret\n").unwrap();
        for (mode, hint) in [(0o600, false), (0o644, true)] {
            let permissions = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(file.path(), permissions).unwrap();
            let mut report = Report::default();
            let token = token(&mut report, Some(file.path()));
            assert_eq!(token.as_deref(), Some("very-secret"));
            let text = serde_json::to_string(&report).unwrap();
            assert!(!text.contains("very-secret"), "{text}");
            assert_eq!(text.contains("chmod 600"), hint, "{text}");
        }
    }
}
