//! Signed links, altered in every place.

use super::callers;
use anyhow::{Context, Result, ensure};
use mdfs_tests::dev_cluster::DevCluster;
use mdfs_tests::http::Connection;
use mdfs_tests::wait::{now, wait_for};
use std::time::Duration;

/// Altered links sent from one address: fewer than it may fail with at once.
const OF_ONE_ADDRESS: usize = 25;

/// Checks links that are sound, late, of another method, and altered in up to `most` places.
/// Returns in how many.
pub(super) fn check(cluster: &DevCluster, most: usize) -> Result<usize> {
    let mut root = cluster.connect()?;
    let put = root.request("PUT", "/v1/files/films/linked", &[], b"bytes")?;
    ensure!(put.status() == 201, "PUT was answered {}", put.problem());
    let signer = callers::token(&mut root, &["read", "write"], "films/", 3600)?;
    let mut signer_asks = Connection::open(cluster.url(), Some(&signer.secret))?;
    let to_read = sign(
        &mut signer_asks,
        "\"download\": true, \"expires_in_seconds\": 600",
    )?;
    let to_store = "\"method\": \"PUT\", \"max_bytes\": 100, \"expires_in_seconds\": 600";
    let to_store = sign(&mut signer_asks, to_store)?;

    let mut nobody = Connection::open(cluster.url(), None)?;
    let mut ask = |method: &str, link: &str| -> Result<u16> {
        Ok(nobody.request(method, link, &[], b"")?.status())
    };
    ensure!(ask("GET", &to_read)? == 200, "the link does not read");
    ensure!(
        ask("HEAD", &to_read)? == 200,
        "the link does not answer HEAD"
    );
    for (method, link) in [
        ("PUT", &to_read),
        ("DELETE", &to_read),
        ("POST", &to_read),
        ("GET", &to_store),
        ("HEAD", &to_store),
        ("DELETE", &to_store),
    ] {
        let status = ask(method, link)?;
        ensure!(
            matches!(status, 401 | 405),
            "{method} by a link for another: {status}"
        );
    }
    expires(&mut signer_asks, cluster)?;

    let mut altered = changes(&to_read);
    let every = altered.len().div_ceil(most.max(1)).max(1);
    altered = altered.into_iter().step_by(every).collect();
    let mut tried = 0;
    for (number, some) in altered.chunks(OF_ONE_ADDRESS).enumerate() {
        let source = [127, 7, 0, u8::try_from(number + 1)?];
        for link in some {
            // Each on its own connection: what is malformed closes it.
            let mut client = Connection::open_from(cluster.url(), source.into())?;
            let status = client.request("GET", link, &[], &[])?.status();
            ensure!(
                matches!(status, 400 | 401),
                "GET {link} was answered {status}"
            );
            tried += 1;
        }
    }
    ensure!(
        most < 500 || tried >= 500,
        "only {tried} links were altered"
    );
    ensure!(
        ask("GET", &to_read)? == 200,
        "the link does not read any more"
    );

    let path = format!("/v1/admin/tokens/{}", signer.id);
    let status = root.request("DELETE", &path, &[], &[])?.status();
    ensure!(status == 204, "revoking was answered {status}");
    wait_for(
        "end of a link whose signer is gone",
        Duration::from_secs(2),
        || Ok((ask("GET", &to_read)? == 401).then_some(())),
    )?;
    Ok(tried)
}

/// A link that ends while it is used.
fn expires(signer: &mut Connection, cluster: &DevCluster) -> Result<()> {
    let signed = now();
    let link = sign(signer, "\"expires_in_seconds\": 5")?;
    let mut nobody = Connection::open(cluster.url(), None)?;
    let mut status = || Ok::<_, anyhow::Error>(nobody.request("GET", &link, &[], &[])?.status());
    ensure!(status()? == 200, "a link of five seconds does not work");
    wait_for("end of a link", Duration::from_secs(30), || {
        Ok((status()? == 401).then_some(()))
    })?;
    // It ends with a whole second of the clock.
    ensure!(
        signed.elapsed() > Duration::from_millis(3900),
        "a link of five seconds ended too early"
    );
    Ok(())
}

fn sign(by: &mut Connection, terms: &str) -> Result<String> {
    let body = format!("{{\"name\": \"films/linked\", {terms}}}");
    let answer = by.request("POST", "/v1/sign", &[], body.as_bytes())?;
    ensure!(
        answer.status() == 200,
        "signing was answered {}",
        answer.problem()
    );
    let path = answer.json()?;
    let path = path.get("path").and_then(|path| path.as_str());
    path.map(str::to_owned).context("a link without a path")
}

/// The link with one character altered, taken out or put in, and with one field taken out, doubled
/// or exchanged with its neighbour. What is altered is still a request line.
fn changes(link: &str) -> Vec<String> {
    let mut changed = Vec::new();
    let sane = |c: char| {
        c.is_ascii_graphic()
            && !matches!(
                c,
                '#' | '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}'
            )
    };
    let chars: Vec<char> = link.chars().collect();
    // The slash at the front stays: without it, the target is no path.
    for at in 1..chars.len() {
        let (before, rest) = chars.split_at(at);
        let Some((&own, after)) = rest.split_first() else {
            continue;
        };
        let text = |middle: &[char]| [before, middle, after].concat().iter().collect::<String>();
        let flipped = u8::try_from(own).map_or('0', |byte| char::from(byte ^ 1));
        if sane(flipped) {
            changed.push(text(&[flipped]));
        }
        changed.push(text(&[]));
        changed.push(text(&[own, own]));
    }
    let (path, query) = link.split_once('?').unwrap_or((link, ""));
    let fields: Vec<&str> = query.split('&').collect();
    for at in 0..fields.len() {
        let mut without = fields.clone();
        let taken = without.remove(at);
        changed.push(format!("{path}?{}", without.join("&")));
        changed.push(format!("{link}&{taken}"));
        changed.push(format!("{path}?{taken}&{query}"));
        let mut moved = fields.clone();
        moved.swap(at, (at + 1) % fields.len());
        changed.push(format!("{path}?{}", moved.join("&")));
    }
    changed.push(format!("{link}&"));
    changed.push(format!("{link}&download=0"));
    changed.push(link.replace("/linked", "/here"));
    changed.retain(|it| it != link);
    changed
}
