//! Clients that store, delete and read small files through any master, and write down what they were
//! told.

use anyhow::{Context, Result, ensure};
use mdfs_tests::chance::Chance;
use mdfs_tests::content::Content;
use mdfs_tests::history::History;
use mdfs_tests::http::{Answer, Connection};
use mdfs_tests::linear::Action;
use mdfs_tests::transfer;
use mdfs_tests::wait::pause;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Names that are used at a time: few, so that clients meet at each.
const NAMES: u64 = 16;
/// How long a master may say nothing: longer than it holds a request.
const SILENCE: Duration = Duration::from_secs(12);
/// The same of those who wait for one that was stopped.
const LONG_SILENCE: Duration = Duration::from_secs(90);
/// In which a master that can be reached takes a connection.
const CONNECTS: Duration = Duration::from_secs(3);
/// How long a client waits after a master refused it, at least.
const AFTER_REFUSAL: Duration = Duration::from_millis(20);
/// The same in pauses between two requests.
const PAUSES_AFTER_REFUSAL: u32 = 4;
/// Stands for no master.
const NONE: usize = usize::MAX;

/// What all clients have in common.
pub(crate) struct Load {
    pub(crate) history: History,
    urls: Vec<String>,
    token: String,
    seed: u64,
    /// What each client waits between two requests.
    pause: Duration,
    /// Names are those of a round, so that each has few operations.
    round: AtomicU64,
    /// The number of the next content.
    next: AtomicU64,
    /// The master whose faults some readers wait out.
    stopped: AtomicUsize,
    done: AtomicBool,
    /// Acknowledged writes: begun and ended, by the latter.
    acks: Mutex<Vec<(u64, u64)>>,
    /// Answers that no master may give.
    wrong: Mutex<Vec<String>>,
}

/// One client.
struct Client<'a> {
    load: &'a Load,
    chance: Chance,
    /// Whether it goes to another master also without need.
    wanders: bool,
    master: usize,
    connection: Option<Connection>,
    silence: Duration,
}

impl Load {
    pub(crate) fn new(urls: Vec<String>, token: &str, seed: u64) -> Self {
        Self {
            history: History::default(),
            urls,
            token: token.to_owned(),
            seed,
            pause: Duration::ZERO,
            round: AtomicU64::new(0),
            next: AtomicU64::new(1),
            stopped: AtomicUsize::new(NONE),
            done: AtomicBool::new(false),
            acks: Mutex::default(),
            wrong: Mutex::default(),
        }
    }

    /// The same with a pause of each client after each request, so that long runs stay small.
    pub(crate) fn with_pauses(self, pause: Duration) -> Self {
        Self { pause, ..self }
    }

    /// From now on, clients use the names of this round, and read earlier ones now and then.
    pub(crate) fn begin_round(&self, round: u64) {
        self.round.store(round, Ordering::Relaxed);
    }

    /// From now on, some readers ask the master at `url` alone, however long it takes; none: nobody does.
    pub(crate) fn wait_out(&self, url: Option<&str>) {
        let place = url.and_then(|url| self.urls.iter().position(|one| one == url));
        self.stopped.store(place.unwrap_or(NONE), Ordering::Relaxed);
    }

    /// Ends all clients, each after what it is doing.
    pub(crate) fn end(&self) {
        self.done.store(true, Ordering::Relaxed);
    }

    /// When the first write was acknowledged that was begun at `moment` or later.
    pub(crate) fn first_ack_from(&self, moment: u64) -> Option<u64> {
        let acks = self.acks();
        let late = acks.iter().rev().take_while(|(_, ended)| *ended >= moment);
        late.filter(|(begun, _)| *begun >= moment)
            .map(|(_, ended)| *ended)
            .last()
    }

    /// The longest time between `from` and `to` in which no write was acknowledged.
    pub(crate) fn longest_gap(&self, from: u64, to: u64) -> u64 {
        let acks = self.acks();
        let between = acks.iter().map(|(_, ended)| *ended);
        let between = between.filter(|ended| (from..to).contains(ended));
        let (mut last, mut longest) = (from, 0);
        for ended in between.chain([to]) {
            longest = longest.max(ended - last);
            last = ended;
        }
        longest
    }

    pub(crate) fn acknowledged(&self) -> usize {
        self.acks().len()
    }

    /// # Errors
    /// If an answer was wrong whatever the order of things.
    pub(crate) fn nothing_was_wrong(&self) -> Result<()> {
        let wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        ensure!(wrong.is_empty(), "wrong answers: {}", wrong.join("; "));
        Ok(())
    }

    /// Stores and deletes until the load ends.
    pub(crate) fn write(&self, number: u64) {
        let mut client = Client::new(self, number, SILENCE);
        while !self.done.load(Ordering::Relaxed) {
            let name = client.name();
            client.change(&name);
            pause(self.pause);
        }
    }

    /// Reads until the load ends. Every fourth waits out the faults of a stopped master.
    pub(crate) fn read(&self, number: u64) {
        let mut client = Client::new(self, number + 1000, SILENCE);
        while !self.done.load(Ordering::Relaxed) {
            let stopped = self.stopped.load(Ordering::Relaxed);
            let waits = number.is_multiple_of(4) && stopped != NONE;
            client.silence = if waits { LONG_SILENCE } else { SILENCE };
            if waits && client.master != stopped {
                client.go_to(stopped);
            }
            let name = client.any_name();
            client.look(&name);
            pause(self.pause);
        }
    }

    /// Reads all names there ever were at the master at `url`.
    ///
    /// # Errors
    /// If one cannot be read.
    pub(crate) fn read_all(&self, url: &str) -> Result<()> {
        let place = self.urls.iter().position(|one| one == url);
        let mut client = Client::new(self, 0, SILENCE);
        client.go_to(place.context("no master is there")?);
        for name in self.history.names() {
            ensure!(client.look(&name), "{name} cannot be read at {url}");
        }
        Ok(())
    }

    fn acks(&self) -> MutexGuard<'_, Vec<(u64, u64)>> {
        self.acks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say_wrong(&self, what: String) {
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        // The first ones tell enough.
        if wrong.len() < 20 {
            wrong.push(what);
        }
    }
}

impl<'a> Client<'a> {
    fn new(load: &'a Load, number: u64, silence: Duration) -> Self {
        let mut chance = Chance::new(load.seed ^ (number << 32));
        let masters = u64::try_from(load.urls.len()).unwrap_or(1);
        let master = usize::try_from(chance.within(0, masters)).unwrap_or_default();
        Self {
            load,
            chance,
            wanders: number.is_multiple_of(2),
            master,
            connection: None,
            silence,
        }
    }

    /// One of this round's names.
    fn name(&mut self) -> String {
        let round = self.load.round.load(Ordering::Relaxed);
        self.name_of(round)
    }

    /// One of an earlier round's, in one case of four.
    fn any_name(&mut self) -> String {
        let mut round = self.load.round.load(Ordering::Relaxed);
        if self.chance.within(0, 4) == 0 {
            round = self.chance.within(0, round + 1);
        }
        self.name_of(round)
    }

    fn name_of(&mut self, round: u64) -> String {
        let slot = self.chance.within(0, NAMES);
        format!("leader/{round:04}/{slot:02}")
    }

    fn go_to(&mut self, master: usize) {
        self.master = master;
        self.connection = None;
    }

    /// Sends one request; none if there is no whole answer, and whether anything was sent.
    fn ask(
        &mut self,
        method: &str,
        name: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer, bool> {
        if self.wanders && self.chance.within(0, 8) == 0 {
            self.go_to((self.master + 1) % self.load.urls.len().max(1));
        }
        let url = self.load.urls.get(self.master).cloned().unwrap_or_default();
        if self.connection.is_none() {
            self.connection = Connection::open_within(&url, Some(&self.load.token), CONNECTS).ok();
        }
        let answer = self.connection.as_mut().map(|connection| {
            connection.bear_silence_for(self.silence)?;
            connection.request(method, &transfer::path(name), headers, body)
        });
        let sent = answer.is_some();
        let refused = |answer: &Answer| answer.status() >= 500;
        match answer {
            Some(Ok(answer)) if !refused(&answer) => Ok(answer),
            refusal => {
                // The next master, as clients do.
                self.go_to((self.master + 1) % self.load.urls.len().max(1));
                pause(AFTER_REFUSAL.max(self.load.pause * PAUSES_AFTER_REFUSAL));
                match refusal {
                    Some(Ok(answer)) => Ok(answer),
                    _ => Err(sent),
                }
            }
        }
    }

    fn change(&mut self, name: &str) {
        let own = name.to_owned();
        let history = &self.load.history;
        let begun = history.time();
        if self.chance.within(0, 8) == 0 {
            let deleted = Action::Delete { name: own.clone() };
            let absent = Action::Read {
                name: own,
                content: None,
            };
            match self.ask("DELETE", name, &[], &[]) {
                Ok(answer) => match answer.status() {
                    200 | 204 => {
                        history.answered(name, deleted, begun, None);
                        self.acknowledged(begun);
                    }
                    404 => history.answered(name, absent, begun, None),
                    500.. => history.open(name, deleted, begun),
                    _ => self.wrong("DELETE", name, &answer),
                },
                Err(true) => history.open(name, deleted, begun),
                Err(false) => {}
            }
            return;
        }
        let content = self.load.next.fetch_add(1, Ordering::Relaxed);
        let body = body(content);
        let new = self.chance.within(0, 4) == 0;
        let condition = [("if-none-match", "*")];
        let headers = if new { &condition[..] } else { &[] };
        let stored = if new {
            Action::PutNew {
                name: own.clone(),
                content,
            }
        } else {
            Action::Put {
                name: own.clone(),
                content,
            }
        };
        match self.ask("PUT", name, headers, &body) {
            Ok(answer) => match answer.status() {
                201 => {
                    history.answered(name, stored, begun, version(&answer));
                    self.acknowledged(begun);
                }
                412 if new => history.answered(name, Action::Exists { name: own }, begun, None),
                500.. => history.open(name, stored, begun),
                _ => self.wrong("PUT", name, &answer),
            },
            Err(true) => history.open(name, stored, begun),
            Err(false) => {}
        }
    }

    /// Reads a name; whether there was an answer.
    fn look(&mut self, name: &str) -> bool {
        let history = &self.load.history;
        let begun = history.time();
        let Ok(answer) = self.ask("GET", name, &[], &[]) else {
            return false;
        };
        let content = match answer.status() {
            200 => match content(&answer.body) {
                Ok(content) => Some(content),
                Err(error) => {
                    self.load.say_wrong(format!("GET {name}: {error:#}"));
                    return false;
                }
            },
            404 => None,
            500.. => return false,
            _ => {
                self.wrong("GET", name, &answer);
                return false;
            }
        };
        let own = name.to_owned();
        let read = Action::Read { name: own, content };
        history.answered(name, read, begun, version(&answer));
        true
    }

    fn acknowledged(&self, begun: u64) {
        let mut acks = self.load.acks();
        // Taken inside the lock: so they are in order.
        acks.push((begun, self.load.history.time()));
    }

    fn wrong(&self, method: &str, name: &str, answer: &Answer) {
        let problem = answer.problem();
        self.load
            .say_wrong(format!("{method} {name} was answered {problem}"));
    }
}

fn version(answer: &Answer) -> Option<u64> {
    answer.header("x-mdfs-version")?.parse().ok()
}

/// The file of a content: its number, then bytes that depend on it. One in 512 has several segments, the
/// others are short, for all stay in the trash, and a long run should fit on a disk.
fn body(content: u64) -> Vec<u8> {
    let mut chance = Chance::new(content);
    let most = if chance.within(0, 512) == 0 {
        3 << 20
    } else {
        6000
    };
    let length = usize::try_from(chance.within(0, most)).unwrap_or_default();
    let mut body = content.to_le_bytes().to_vec();
    body.extend(Content::new(content).bytes(8, length));
    body
}

/// Which content a body is.
fn content(found: &[u8]) -> Result<u64> {
    let number = found.first_chunk().context("a body without a number")?;
    let number = u64::from_le_bytes(*number);
    ensure!(
        body(number) == found,
        "the body of content {number} differs"
    );
    Ok(number)
}
