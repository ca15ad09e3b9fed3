//! Who may do what: every route with every kind of caller, for names inside and outside their
//! folder, that are there and are not; links altered in one place; tokens revoked; and no secret in
//! any log.

mod callers;
mod links;

pub(crate) use callers::secret as token;

use crate::figures::figure;
use anyhow::{Context, Result, bail, ensure};
use callers::{Caller, Known};
use mdfs_tests::dev_cluster::{DevCluster, Options};
use mdfs_tests::http::{Answer, Connection};
use mdfs_tests::program::repository;
use mdfs_tests::wait::{now, pause};
use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

/// A file in the folder that callers' tokens are for, one that is not there, and the same outside.
const NAMES: [&str; 4] = ["films/here", "films/absent", "other/here", "other/absent"];
/// In how much time a revoked token must have ended.
const REVOKED_WITHIN: Duration = Duration::from_secs(2);

/// A method of a route, and what the documentation says of who may use it.
struct Row {
    method: String,
    path: String,
    who: String,
}

pub(crate) fn prove(short: bool) -> Result<()> {
    let options = Options {
        processes: !short,
        log: Some("trace"),
        ..Options::default()
    };
    DevCluster::with(&options, |cluster| {
        let rows = routes()?;
        let callers = callers::make(cluster)?;
        let mut matrix = Matrix {
            cluster,
            root: cluster.connect()?,
            cells: 0,
            refusals: BTreeMap::new(),
        };
        for row in &rows {
            for caller in &callers {
                matrix.row(row, caller)?;
            }
        }
        matrix.names_in_bodies(&callers)?;
        let cells = matrix.cells;
        ensure!(cells >= 300, "only {cells} cells");
        figure(
            "routes and methods, callers",
            &format!("{}, {}", rows.len(), callers.len()),
        );
        figure("cells as the table says", &cells.to_string());

        let tried = links::check(cluster, if short { 60 } else { usize::MAX })?;
        figure(
            "links altered in one place, all refused",
            &tried.to_string(),
        );
        let took = revoked(cluster)?;
        figure(
            "a revoked token ended after, ms",
            &took.as_millis().to_string(),
        );
        let bytes = no_secret_is_told(cluster, &callers)?;
        figure("bytes of trace logs without a secret", &bytes.to_string());
        Ok(())
    })
}

/// The routes, as the documentation has them; a test compares that with the code.
fn routes() -> Result<Vec<Row>> {
    let page = fs::read_to_string(repository()?.join("docs/routes.md"))?;
    let mut rows = Vec::new();
    for line in page.lines().filter(|line| line.contains(" `/")) {
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        let mut next = || cells.next().context("a row of three cells");
        let (method, path, who) = (next()?, next()?, next()?);
        rows.push(Row {
            method: method.to_owned(),
            path: path.trim_matches('`').to_owned(),
            who: who.to_owned(),
        });
    }
    ensure!(
        rows.len() > 30,
        "the page of routes has {} rows",
        rows.len()
    );
    Ok(rows)
}

struct Matrix<'a> {
    cluster: &'a DevCluster,
    root: Connection,
    cells: u64,
    /// What was said to those who may not, by who they are, and method and path without the name.
    refusals: BTreeMap<(String, String), String>,
}

impl Matrix<'_> {
    fn row(&mut self, row: &Row, caller: &Caller) -> Result<()> {
        let Row { method, path, who } = row;
        let in_query = who.ends_with("for the name in the query");
        if !path.contains("{*name}") && !in_query {
            let target = path
                .replace("{id}", &"0".repeat(32))
                .replace("{*path}", "index.html")
                .replace("{index}", "0");
            let allowed = self.allowed(caller, who, "")?;
            if method == "GET" {
                // For whom `GET` is, though most routes have no handler of its own for it.
                self.cell(caller, "HEAD", &target, "", allowed)?;
            }
            return self.cell(caller, method, &target, "", allowed);
        }
        let acts: &[(&str, &str)] = match who.as_str() {
            "by the query, for the name" => &[
                ("?undelete", "write"),
                ("?attributes", "write"),
                ("?verify", "read"),
            ],
            _ => &[("", "")],
        };
        for name in NAMES {
            for (query, role) in acts {
                // Deleted or stored by the cell before.
                self.restore(name, method)?;
                let target = match in_query {
                    true => format!("{path}?name={name}"),
                    false => format!("{}{query}", path.replace("{*name}", name)),
                };
                let who = if role.is_empty() {
                    who.clone()
                } else {
                    format!("{role}, for the name")
                };
                let allowed = self.allowed(caller, &who, name)?;
                self.cell(caller, method, &target, name, allowed)?;
            }
        }
        Ok(())
    }

    /// Whether the documentation lets a caller do something to a name; none if they count as
    /// unknown.
    fn allowed(&self, caller: &Caller, who: &str, name: &str) -> Result<Option<bool>> {
        if who == "anyone" {
            return Ok(Some(true));
        }
        let grant = match &caller.known {
            Known::No => return Ok(None),
            Known::Root => return Ok((who != "servers of the cluster").then_some(true)),
            Known::Token { roles, folder } => (roles, folder),
        };
        let (roles, folder) = grant;
        let has = |role: &str| roles.iter().any(|own| own == role);
        Ok(match who {
            "servers of the cluster" => None,
            "admin" => Some(has("admin")),
            "metrics" => Some(has("admin") || has("metrics")),
            who if who.starts_with("any token") => Some(true),
            who => {
                let (role, _) = who.split_once(", for the name").context(who.to_owned())?;
                // An empty name is in no folder, and no name.
                Some(has(role) && (name.starts_with(folder.as_str())) || name.is_empty())
            }
        })
    }

    /// One cell: unknown callers get 401, known ones 403 unless they may, and everybody else
    /// anything but these.
    fn cell(
        &mut self,
        caller: &Caller,
        method: &str,
        target: &str,
        name: &str,
        allowed: Option<bool>,
    ) -> Result<()> {
        let answer = caller.ask(self.cluster, method, target, &[])?;
        let status = answer.status();
        self.cells += 1;
        let who = &caller.name;
        match allowed {
            None => ensure!(
                status == 401,
                "{method} {target} by {who}: {status}, not 401"
            ),
            // Those of any token tell by the names in their bodies, which these requests lack.
            Some(true) if name.is_empty() => {
                ensure!(status != 401, "{method} {target} by {who}: {status}");
            }
            Some(true) => ensure!(
                !matches!(status, 401 | 403),
                "{method} {target} by {who}: {status}, though they may"
            ),
            Some(false) => {
                ensure!(
                    status == 403,
                    "{method} {target} by {who}: {status}, not 403"
                );
                self.is_silent(caller, method, target, name, &answer)?;
            }
        }
        Ok(())
    }

    /// What a caller is refused with is the same whether there is such a file or not.
    fn is_silent(
        &mut self,
        caller: &Caller,
        method: &str,
        target: &str,
        name: &str,
        answer: &Answer,
    ) -> Result<()> {
        if name.is_empty() {
            return Ok(());
        }
        let mut said = answer.text();
        if let Some(id) = answer.header("x-request-id") {
            said = said.replace(id, "ID");
        }
        let request = format!("{method} {}", target.replace(name, ""));
        let key = (caller.name.clone(), request);
        let before = self.refusals.entry(key).or_insert_with(|| said.clone());
        ensure!(*before == said, "{method} {target} tells more: {said}");
        Ok(())
    }

    /// Makes a name what it is called, where a cell may have changed that.
    fn restore(&mut self, name: &str, method: &str) -> Result<()> {
        if matches!(method, "GET" | "HEAD") {
            return Ok(());
        }
        let path = format!("/v1/files/{name}");
        let (method, body, fine): (_, &[u8], &[u16]) = if name.ends_with("here") {
            ("PUT", b"bytes", &[201])
        } else {
            ("DELETE", b"", &[204, 404])
        };
        let status = self.root.request(method, &path, &[], body)?.status();
        ensure!(fine.contains(&status), "{method} {path} by root: {status}");
        Ok(())
    }

    /// The routes whose names stand in a body or a query.
    fn names_in_bodies(&mut self, callers: &[Caller]) -> Result<()> {
        for caller in callers {
            for from in NAMES {
                for to in ["films/new", "other/new"] {
                    self.restore(from, "POST")?;
                    self.root
                        .request("DELETE", &format!("/v1/files/{to}"), &[], &[])?;
                    let body = format!("{{\"from\": \"{from}\", \"to\": \"{to}\"}}");
                    let needs = [("read", from), ("delete", from), ("write", to)];
                    self.body_cell(caller, "POST", "/v1/rename", &body, &needs)?;
                }
                for (method, role) in [("GET", "read"), ("PUT", "write")] {
                    let body = format!(
                        "{{\"name\": \"{from}\", \"expires_in_seconds\": 60, \"method\": \"{method}\"}}"
                    );
                    self.body_cell(caller, "POST", "/v1/sign", &body, &[(role, from)])?;
                }
            }
            for prefix in ["", "film", "films/", "films/h", "other/"] {
                let target = format!("/v1/files?prefix={prefix}");
                self.body_cell(caller, "GET", &target, "", &[("read", prefix)])?;
            }
            self.trash_cell(caller)?;
        }
        Ok(())
    }

    fn body_cell(
        &mut self,
        caller: &Caller,
        method: &str,
        target: &str,
        body: &str,
        needs: &[(&str, &str)],
    ) -> Result<()> {
        let allowed = match &caller.known {
            Known::No => None,
            Known::Root => Some(true),
            Known::Token { roles, folder } => Some(needs.iter().all(|(role, name)| {
                roles.iter().any(|own| own == role) && name.starts_with(folder.as_str())
            })),
        };
        let status = caller
            .ask(self.cluster, method, target, body.as_bytes())?
            .status();
        self.cells += 1;
        let right = match allowed {
            None => status == 401,
            Some(true) => !matches!(status, 401 | 403),
            Some(false) => status == 403,
        };
        let who = &caller.name;
        ensure!(
            right,
            "{method} {target} {body} by {who}: {status} ({allowed:?})"
        );
        Ok(())
    }

    fn trash_cell(&mut self, caller: &Caller) -> Result<()> {
        let answer = caller.ask(self.cluster, "GET", "/v1/trash", &[])?;
        self.cells += 1;
        let folder = match &caller.known {
            Known::No => return expect(&answer, 401),
            Known::Root => "",
            Known::Token { roles, folder } if roles.iter().any(|own| own == "read") => folder,
            Known::Token { .. } => return expect(&answer, 403),
        };
        let page = answer.json()?;
        let files = page.get("files").and_then(|files| files.as_array());
        for file in files.context("a page of the trash")? {
            let name = file.get("name").and_then(|name| name.as_str());
            let name = name.context("a name")?;
            ensure!(
                name.starts_with(folder),
                "{} sees {name} in the trash",
                caller.name
            );
        }
        Ok(())
    }
}

fn expect(answer: &Answer, status: u16) -> Result<()> {
    ensure!(
        answer.status() == status,
        "{}, not {status}",
        answer.problem()
    );
    Ok(())
}

/// Revokes a token in use, and says how long it went on working.
fn revoked(cluster: &DevCluster) -> Result<Duration> {
    let mut root = cluster.connect()?;
    let token = callers::token(&mut root, &["read"], "", 600)?;
    let mut holder = Connection::open(cluster.url(), Some(&token.secret))?;
    let mut list =
        || Ok::<_, anyhow::Error>(holder.request("GET", "/v1/files", &[], &[])?.status());
    ensure!(list()? == 200, "the token does not work");
    let path = format!("/v1/admin/tokens/{}", token.id);
    let status = root.request("DELETE", &path, &[], &[])?.status();
    ensure!(status == 204, "revoking was answered {status}");
    let since = now();
    while list()? != 401 {
        if since.elapsed() > REVOKED_WITHIN {
            bail!("the token still works after {REVOKED_WITHIN:?}");
        }
        pause(Duration::from_millis(10));
    }
    Ok(since.elapsed())
}

/// Looks for every secret there is in what the servers logged and in their command lines.
fn no_secret_is_told(cluster: &DevCluster, callers: &[Caller]) -> Result<usize> {
    let mut secrets: Vec<(String, String)> = callers
        .iter()
        .filter_map(|caller| Some((caller.name.clone(), caller.bits()?)))
        .collect();
    for entry in fs::read_dir(cluster.data())? {
        let path = entry?.path();
        // Small files beside the disks' folders: the keys and the token. Who the cluster is tells every status.
        let is_told = path.ends_with("cluster-id");
        if !is_told && path.is_file() && fs::metadata(&path)?.len() <= 256 {
            let text = fs::read_to_string(&path)
                .unwrap_or_default()
                .trim()
                .to_owned();
            if text.len() >= 32 && !text.starts_with('{') {
                secrets.push((path.display().to_string(), text));
            }
        }
    }
    ensure!(
        secrets.len() > 10,
        "only {} secrets are known",
        secrets.len()
    );
    let mut texts = vec![("the log".to_owned(), cluster.log()?)];
    for process in &cluster.state().processes {
        let line = fs::read(format!("/proc/{}/cmdline", process.pid)).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        texts.push((format!("the command line of {}", process.name), line));
    }
    for (place, text) in &texts {
        for (what, secret) in &secrets {
            ensure!(
                !text.contains(secret.as_str()),
                "{place} tells the secret of {what}"
            );
        }
        // A signed link, and what servers show each other.
        for secret in ["signature=", "MDFS-Cluster ", "Bearer "] {
            ensure!(!text.contains(secret), "{place} has {secret:?}");
        }
    }
    let log = texts.first().map_or(0, |(_, text)| text.len());
    ensure!(
        log > 100_000,
        "the log has {log} bytes: it is not at trace level"
    );
    Ok(log)
}
