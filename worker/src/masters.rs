//! The masters that the worker beats at, and how it comes to know them: it was given their URLs, or a
//! name that stands for them; other masters name them; or they call, because the worker is a seed of
//! theirs. One that nobody names any more, and that does not answer, is forgotten.

use crate::error::Error;
use crate::heartbeat::Beats;
use crate::node::Node;
use crate::orders::Orders;
use crate::worker::Worker;
use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use mdfs_client::link::Links;
use mdfs_protocol::internal::{self, MOST_MASTERS, URL_MAX_BYTES};
use mdfs_service::Tasks;
use mdfs_service::settings::is_base_url;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long a master is believed in that called, or that another one named, or that answered.
const BELIEVED: Duration = Duration::from_secs(60);
/// How often it is looked who is believed in no more.
const LOOK: Duration = Duration::from_secs(5);
/// How soon the names are looked at again while no master answers.
const EAGER: Duration = Duration::from_secs(1);
/// The same while one does: so long a master may wait that no other one knows.
const STEADY: Duration = Duration::from_secs(5);
/// In which the system must say what a name stands for.
const NAME_WITHIN: Duration = Duration::from_secs(5);
/// In which whoever answers there must say which master it is.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// The masters that the worker knows. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Masters {
    held: Arc<Mutex<Held>>,
    /// Fires when there may be others to beat at.
    changed: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Held {
    /// Always beaten at.
    given: BTreeSet<String>,
    /// Those that called, or were found behind a name, and when.
    called: BTreeMap<String, Instant>,
    /// Those that answered.
    lines: BTreeMap<String, Line>,
}

/// What a master said.
#[derive(Debug)]
struct Line {
    heard: Instant,
    /// The masters it knows, itself first, under the URL that it has for itself.
    names: Vec<String>,
}

impl Masters {
    /// Takes in masters that called.
    ///
    /// # Errors
    /// If these are no places of masters.
    pub(crate) fn call(&self, urls: &[String]) -> Result<(), Error> {
        if urls.len() > MOST_MASTERS || !urls.iter().all(|url| may_be_master(url)) {
            let why = "they are not so few URLs of servers".to_owned();
            return Err(Error::Invalid {
                what: "masters",
                why,
            });
        }
        let (mut held, now) = (self.lock(), Instant::now());
        for url in urls {
            let url = url.trim_end_matches('/');
            // More are not kept than may be beaten at, whoever calls.
            if held.called.len() < MOST_MASTERS || held.called.contains_key(url) {
                held.called.insert(url.to_owned(), now);
            }
        }
        drop(held);
        self.changed.notify_one();
        Ok(())
    }

    /// A master answered, and perhaps said which ones it knows.
    pub(crate) fn heard(&self, master: &str, names: Option<Vec<String>>) {
        let (mut held, now) = (self.lock(), Instant::now());
        let line = held.lines.entry(master.to_owned());
        let line = line.or_insert_with(|| Line {
            heard: now,
            names: Vec::new(),
        });
        line.heard = now;
        if let Some(names) = names {
            let names = names.into_iter().filter(|url| may_be_master(url));
            line.names = names.take(MOST_MASTERS).collect();
            drop(held);
            self.changed.notify_one();
        }
    }

    /// How many answered lately.
    pub(crate) fn answering(&self) -> usize {
        let (mut held, now) = (self.lock(), Instant::now());
        held.forget(now);
        held.lines.len()
    }

    /// Those that are beaten at now.
    pub(crate) fn urls(&self) -> Vec<String> {
        self.lock().wanted(Instant::now())
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// Forgets what is believed no more.
    fn forget(&mut self, now: Instant) {
        let is_recent = |at: Instant| now.saturating_duration_since(at) < BELIEVED;
        self.called.retain(|_, called| is_recent(*called));
        self.lines.retain(|_, line| is_recent(line.heard));
    }

    /// The masters to beat at, at most [`MOST_MASTERS`]. A master that is beaten at under one URL is not
    /// beaten at under the one that it has for itself.
    fn wanted(&mut self, now: Instant) -> Vec<String> {
        self.forget(now);
        let mut wanted: Vec<String> = self.given.iter().cloned().collect();
        // Before those that were never heard: who answers is kept.
        let lines = self.lines.iter();
        let named = lines.flat_map(|(url, line)| std::iter::once(url).chain(&line.names));
        for url in named.chain(self.called.keys()) {
            let mut names = wanted.iter().filter_map(|known| self.lines.get(known));
            let is_there = names.any(|line| line.names.first() == Some(url));
            if !is_there && !wanted.contains(url) {
                wanted.push(url.clone());
            }
        }
        wanted.truncate(MOST_MASTERS);
        wanted
    }
}

/// Whether a master may be there.
fn may_be_master(url: &str) -> bool {
    url.len() <= URL_MAX_BYTES && is_base_url(url)
}

/// Beats at all masters, each by a task of its own.
pub(crate) struct Lines {
    pub(crate) worker: Worker,
    pub(crate) node: Arc<Node>,
    /// Where the worker is reached.
    pub(crate) url: String,
    /// Takes what the leader orders.
    pub(crate) orders: Orders,
    pub(crate) tasks: Tasks,
    /// Dropped with the last beats.
    pub(crate) said_farewell: mpsc::Sender<()>,
}

impl Lines {
    /// Begins and ends lines as masters come and go, until the worker leaves; returns when `stop` fires.
    ///
    /// # Errors
    /// If a line ended by itself.
    pub(crate) async fn run(self, stop: CancellationToken) -> Result<(), &'static str> {
        let masters = self.worker.masters().clone();
        {
            let links = self.node.peers.links();
            let given = self.worker.config().masters.iter();
            let given = given.filter(|url| !links.is_name(url));
            let given = given.map(|url| url.trim_end_matches('/').to_owned());
            masters.lock().given = given.collect();
        }
        let mut lines: BTreeMap<String, CancellationToken> = BTreeMap::new();
        let mut running = FuturesUnordered::new();
        let mut look = tokio::time::interval(LOOK);
        while !self.worker.leaving().is_cancelled() {
            let wanted = masters.urls();
            lines.retain(|url, end| {
                let stays = wanted.contains(url);
                if !stays {
                    tracing::info!(master = url, "a master is gone");
                    end.cancel();
                    self.node.directory.forget(url);
                }
                stays
            });
            for url in wanted {
                if !lines.contains_key(&url) {
                    let end = stop.child_token();
                    lines.insert(url.clone(), end.clone());
                    let beats = self.beats(url);
                    let line = self.tasks.spawn_request("heartbeat", async move {
                        beats.run(end.clone()).await;
                        end.is_cancelled()
                    });
                    running.push(line);
                }
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                () = self.worker.leaving().cancelled() => {}
                Some(ended) = running.next() => {
                    if !matches!(ended, Ok(true)) {
                        return Err("heartbeats to a master ended");
                    }
                }
                () = masters.changed.notified() => {}
                _ = look.tick() => {}
            }
        }
        drop(self);
        stop.cancelled().await;
        Ok(())
    }

    fn beats(&self, master: String) -> Beats {
        Beats {
            worker: self.worker.clone(),
            node: Arc::clone(&self.node),
            url: self.url.clone(),
            master,
            orders: self.orders.clone(),
            said_farewell: self.said_farewell.clone(),
        }
    }
}

/// Looks behind the names that the worker was given, over and over, until `stop` fires.
///
/// # Cancel safety
/// May be dropped.
pub(crate) async fn seek(worker: Worker, links: Links, stop: CancellationToken) {
    let names = worker.config().masters.iter();
    let names: Vec<String> = names.filter(|url| links.is_name(url)).cloned().collect();
    let look = async {
        // The last failure of each: only changes are logged.
        let mut silent = BTreeSet::new();
        while !names.is_empty() {
            let found = names.iter().map(|name| look_behind(&links, name));
            for (name, found) in names.iter().zip(join_all(found).await) {
                match found {
                    Ok(urls) if !urls.is_empty() => {
                        silent.remove(name);
                        // What a master says of others is looked at there.
                        if let Err(error) = worker.masters().call(&urls) {
                            tracing::warn!(name, %error, "the masters cannot be taken");
                        }
                    }
                    Ok(_) => {
                        if silent.insert(name.clone()) {
                            tracing::warn!(name, "no master answers behind a name");
                        }
                    }
                    Err(error) => {
                        if silent.insert(name.clone()) {
                            tracing::warn!(name, %error, "a name stands for no address");
                        }
                    }
                }
            }
            let alone = worker.masters().lock().lines.is_empty();
            tokio::time::sleep(if alone { EAGER } else { STEADY }).await;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        () = look => {}
    }
}

/// The masters that answer behind a name.
async fn look_behind(
    links: &Links,
    name: &str,
) -> Result<Vec<String>, mdfs_client::link::LinkError> {
    let mut addresses = links.addresses(name, NAME_WITHIN).await?;
    // It is a name of masters, and there are no more.
    addresses.truncate(MOST_MASTERS);
    let asked = addresses.iter().map(|url| async {
        let urls = match links.masters(url, ANSWER_WITHIN).await {
            Ok(internal::Masters { urls }) => urls,
            // It answers, and has no such list to give.
            Err(error) if error.code().is_some() => Vec::new(),
            Err(_) => return None,
        };
        // One that does not know where it is is there.
        Some(urls.into_iter().next().unwrap_or_else(|| url.clone()))
    });
    let found: BTreeSet<String> = join_all(asked).await.into_iter().flatten().collect();
    Ok(found.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn names(urls: &[&str]) -> Option<Vec<String>> {
        Some(urls.iter().map(|&url| url.to_owned()).collect())
    }

    fn given(urls: &[&str]) -> Masters {
        let masters = Masters::default();
        masters.lock().given = urls.iter().map(|&url| url.to_owned()).collect();
        masters
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_calls_or_is_named_is_beaten_at_until_nobody_names_it_and_it_is_silent() {
        let masters = given(&["http://a:1"]);
        assert_eq!(masters.urls(), ["http://a:1"]);
        masters.call(&names(&["http://b:1/"]).unwrap()).unwrap();
        assert_eq!(masters.urls(), ["http://a:1", "http://b:1"]);
        masters.heard("http://a:1", names(&["http://a:1", "http://c:1"]));
        let all = ["http://a:1", "http://c:1", "http://b:1"];
        assert_eq!(masters.urls(), all);
        // One that only called, and never answers, is forgotten; who is named is not.
        for _ in 0..70 {
            tokio::time::advance(SECOND).await;
            masters.heard("http://a:1", None);
        }
        assert_eq!(masters.urls(), ["http://a:1", "http://c:1"]);
        // Nobody names it, and it answers.
        masters.heard("http://c:1", names(&["http://c:1"]));
        masters.heard("http://a:1", names(&["http://a:1"]));
        assert_eq!(masters.urls(), ["http://a:1", "http://c:1"]);
        tokio::time::advance(70 * SECOND).await;
        assert_eq!(masters.urls(), ["http://a:1"], "what was given stays");
    }

    #[tokio::test(start_paused = true)]
    async fn a_master_is_not_beaten_at_twice_if_it_has_another_name_for_itself() {
        let masters = given(&["http://127.0.0.1:1"]);
        masters.heard("http://127.0.0.1:1", names(&["http://m0:1", "http://m1:1"]));
        masters.heard("http://m1:1", names(&["http://m1:1", "http://m0:1"]));
        masters.call(&names(&["http://m0:1"]).unwrap()).unwrap();
        assert_eq!(masters.urls(), ["http://127.0.0.1:1", "http://m1:1"]);
    }

    #[tokio::test(start_paused = true)]
    async fn there_are_at_most_sixteen_and_those_that_answer_come_first() {
        let masters = given(&["http://z:1"]);
        masters.heard("http://y:1", names(&["http://y:1"]));
        for number in 0..40 {
            let url = format!("http://a{number:02}:1");
            masters.call(&[url]).unwrap();
        }
        let urls = masters.urls();
        assert_eq!(urls.len(), MOST_MASTERS);
        assert_eq!(urls[..2], ["http://z:1", "http://y:1"]);
        assert_eq!(masters.lock().called.len(), MOST_MASTERS);
        for wrong in ["https://a:1", "a:1", "http://a:1/path", &"h".repeat(400)] {
            assert!(masters.call(&[wrong.to_owned()]).is_err(), "{wrong}");
        }
        let too_many = vec!["http://a:1".to_owned(); MOST_MASTERS + 1];
        assert!(masters.call(&too_many).is_err());
    }
}
