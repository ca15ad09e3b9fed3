//! Everybody who may ask, and some who may not.

use anyhow::{Context, Result, ensure};
use mdfs_tests::dev_cluster::DevCluster;
use mdfs_tests::http::{Answer, Connection};
use mdfs_tests::wait::wait_for;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// What a caller is known by, if they are.
pub(super) enum Known {
    No,
    Root,
    Token { roles: Vec<String>, folder: String },
}

pub(super) struct Caller {
    pub(super) name: String,
    pub(super) known: Known,
    /// What they show of themselves.
    headers: Vec<(&'static str, String)>,
}

/// How many requests were sent, and how many go out from one address: fewer than may fail at once.
static ASKED: AtomicU32 = AtomicU32::new(0);
const FROM_ONE_ADDRESS: u32 = 25;

/// A token that was made.
pub(super) struct Made {
    pub(super) id: String,
    pub(super) secret: String,
}

impl Caller {
    /// Asks, from an address whose failures are few.
    pub(super) fn ask(
        &self,
        cluster: &DevCluster,
        method: &str,
        target: &str,
        body: &[u8],
    ) -> Result<Answer> {
        loop {
            let mut connection = Connection::open_from(cluster.url(), self.address())?;
            let headers = self.headers.iter();
            let headers: Vec<_> = headers
                .map(|(name, value)| (*name, value.as_str()))
                .collect();
            let answer = connection.request(method, target, &headers, body)?;
            if answer.status() != 429 {
                return Ok(answer);
            }
            // Those who show something wrong are told to wait, and do.
            let seconds = answer
                .header("retry-after")
                .and_then(|text| text.parse().ok());
            let seconds: u64 = seconds.context("a 429 that does not say when to try again")?;
            ensure!(matches!(self.known, Known::No), "{} has to wait", self.name);
            mdfs_tests::wait::pause(Duration::from_secs(seconds));
        }
    }

    /// An address that nobody else asks from, and they themselves not for long.
    fn address(&self) -> Ipv4Addr {
        let asked = ASKED.fetch_add(1, Ordering::Relaxed);
        let [_, _, high, low] = (asked / FROM_ONE_ADDRESS).to_be_bytes();
        Ipv4Addr::new(127, 9, high, low.saturating_add(1))
    }

    /// The part of what they send that nobody may learn.
    pub(super) fn bits(&self) -> Option<String> {
        let (name, secret) = self.headers.first()?;
        let secret = match *name {
            "authorization" => secret.strip_prefix("Bearer ")?,
            _ => secret,
        };
        let bits = secret.rsplit(['_', '.']).next()?;
        (bits.len() >= 32).then(|| bits.to_owned())
    }
}

/// Makes a token.
pub(super) fn token(
    root: &mut Connection,
    roles: &[&str],
    folder: &str,
    seconds: u64,
) -> Result<Made> {
    let body = serde_json::json!({
        "label": "proof",
        "roles": roles,
        "prefix": folder,
        "expires_seconds": seconds,
    });
    let answer = root.request("POST", "/v1/admin/tokens", &[], body.to_string().as_bytes())?;
    ensure!(
        answer.status() == 201,
        "a token was answered {}",
        answer.problem()
    );
    let made = answer.json()?;
    let text = |key: &str| {
        let found = made.get(key).and_then(|value| value.as_str());
        found.map(str::to_owned).context("a field of the token")
    };
    Ok(Made {
        id: text("id")?,
        secret: text("secret")?,
    })
}

/// The secret of a new token.
pub(crate) fn secret(root: &mut Connection, roles: &[&str], folder: &str) -> Result<String> {
    Ok(token(root, roles, folder, 7200)?.secret)
}

/// Everybody.
pub(super) fn make(cluster: &DevCluster) -> Result<Vec<Caller>> {
    let root = &mut cluster.connect()?;
    let mut callers = vec![
        Caller {
            name: "root".to_owned(),
            known: Known::Root,
            headers: bearer(cluster.token()),
        },
        unknown("nobody", None),
        unknown("a wrong token", Some(format!("Bearer {}", "x".repeat(40)))),
        unknown(
            "a password",
            Some("Basic cm9vdDpyb290cm9vdHJvb3Q=".to_owned()),
        ),
    ];
    let grants: [(&[&str], &str); 10] = [
        (&["read"], "films/"),
        (&["write"], "films/"),
        (&["delete"], "films/"),
        (&["read", "write", "delete"], "films/"),
        (&["read", "write", "delete"], "films/here/deeper/"),
        (&["read", "write", "delete"], "other/"),
        (&["read"], ""),
        (&["metrics"], ""),
        (&["admin"], ""),
        (&["read", "write", "delete", "metrics", "admin"], ""),
    ];
    for (roles, folder) in grants {
        let made = token(root, roles, folder, 7200)?;
        callers.push(Caller {
            name: format!("{} in {folder:?}", roles.join("+")),
            known: Known::Token {
                roles: roles.iter().map(|role| (*role).to_owned()).collect(),
                folder: folder.to_owned(),
            },
            headers: bearer(&made.secret),
        });
    }
    // The same by cookies, which pages of this server send.
    for (roles, folder) in [grants[3], grants[6], grants[8]] {
        let made = token(root, roles, folder, 7200)?;
        callers.push(Caller {
            name: format!("{} in {folder:?} by a cookie", roles.join("+")),
            known: Known::Token {
                roles: roles.iter().map(|role| (*role).to_owned()).collect(),
                folder: folder.to_owned(),
            },
            headers: of_page(session(root, &made.secret)?),
        });
    }
    let sound = session(root, cluster.token())?;
    let other_end = if sound.ends_with('0') { '1' } else { '0' };
    let altered = format!(
        "{}{other_end}",
        sound.get(..sound.len() - 1).unwrap_or_default()
    );
    callers.push(Caller {
        headers: of_page(altered),
        ..unknown("an altered cookie", None)
    });
    // Right bits under another token's name.
    let (one, other) = (
        token(root, &["admin"], "", 7200)?,
        token(root, &["read"], "", 7200)?,
    );
    let mixed = one.secret.replace(&one.id, &other.id);
    callers.push(unknown("a mixed token", Some(format!("Bearer {mixed}"))));
    let revoked = token(root, &["read", "admin"], "", 7200)?;
    let path = format!("/v1/admin/tokens/{}", revoked.id);
    let status = root.request("DELETE", &path, &[], &[])?.status();
    ensure!(status == 204, "revoking was answered {status}");
    let revoked = format!("Bearer {}", revoked.secret);
    callers.push(unknown("a revoked token", Some(revoked)));
    let expired = token(root, &["read", "admin"], "", 1)?;
    wait_for("end of a token", Duration::from_secs(10), || {
        let list = root.request("GET", "/v1/admin/tokens", &[], &[])?.json()?;
        let tokens = list.get("tokens").and_then(|tokens| tokens.as_array());
        let mut tokens = tokens.context("a list of tokens")?.iter();
        let found =
            tokens.find(|token| token.get("id").and_then(|id| id.as_str()) == Some(&expired.id));
        let is_over = found.and_then(|token| token.get("expired")?.as_bool());
        Ok((is_over == Some(true)).then_some(()))
    })?;
    let expired = format!("Bearer {}", expired.secret);
    callers.push(unknown("an expired token", Some(expired)));
    Ok(callers)
}

fn unknown(name: &str, authorization: Option<String>) -> Caller {
    let headers = authorization.map(|value| ("authorization", value));
    Caller {
        name: name.to_owned(),
        known: Known::No,
        headers: headers.into_iter().collect(),
    }
}

fn bearer(secret: &str) -> Vec<(&'static str, String)> {
    vec![("authorization", format!("Bearer {secret}"))]
}

fn of_page(cookie: String) -> Vec<(&'static str, String)> {
    vec![
        ("cookie", cookie),
        ("sec-fetch-site", "same-origin".to_owned()),
    ]
}

/// The cookie of a new session, as a browser sends it.
fn session(root: &mut Connection, secret: &str) -> Result<String> {
    let body = serde_json::json!({ "token": secret }).to_string();
    let answer = root.request("POST", "/v1/session", &[], body.as_bytes())?;
    ensure!(answer.status() == 200, "logging in: {}", answer.problem());
    let set = answer.header("set-cookie").context("a cookie")?;
    let cookie = set.split(';').next().context("its name and value")?;
    Ok(cookie.to_owned())
}
