//! What goes on, for whoever watches: the last events, and the figures that live on the first page.
//!
//! The leader's loop and [`watch`] write here; a master that follows copies what the leader's board has,
//! while somebody watches ([`mirror`]). Readers come with the id of the last event that they know, and
//! are told to read everything anew if what came after it is not here any more: so nobody has a queue.

pub mod mirror;
mod told;
mod traffic;
pub mod watch;

use mdfs_core::id::Term;
use mdfs_core::time::LogTime;
use mdfs_protocol::ask::{EventsAfter, Traffic};
use mdfs_protocol::date::rfc3339;
use mdfs_protocol::public::{EVENTS_KEPT, Event, EventKind, Events, History, Rates, Tick};
use mdfs_service::{Clock, watch as signal};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use told::size;
pub use told::{Copy, Known, News};
use traffic::Masters;
pub use traffic::Moved;

/// Lists of a history are as long as it reaches back.
const HISTORY_LINES: usize = 360;
/// Bytes of events that are handed out at once: names may be long, and there may be many readers.
const PIECE: usize = 64 << 10;

/// A board. A clone is the same one.
#[derive(Clone, Debug)]
pub struct Board(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    clock: Clock,
    state: Mutex<State>,
    /// Changes with every event and tick.
    changed: signal::Sender<u64>,
    moved: Moved,
}

#[derive(Debug, Default)]
struct State {
    /// The term of the leader whose events these are, as text; empty while there is none.
    term: String,
    /// Whether that is this master.
    is_own: bool,
    /// The number of the next event.
    next: u64,
    /// Those last told, at most [`EVENTS_KEPT`].
    events: VecDeque<Event>,
    tick: Option<Tick>,
    /// How many ticks there were.
    ticks: u64,
    history: VecDeque<[u64; 7]>,
    masters: Masters,
}

impl Board {
    /// An empty board, whose events are of the times that this clock shows.
    pub fn new(clock: Clock) -> Self {
        Self(Arc::new(Inner {
            clock,
            state: Mutex::default(),
            changed: signal::Sender::new(0),
            moved: Moved::default(),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_changed(&self) {
        self.0.changed.send_if_modified(|changes| {
            *changes += 1;
            true
        });
    }

    /// Wakes whoever waits for news.
    pub fn subscribe(&self) -> signal::Receiver<u64> {
        self.0.changed.subscribe()
    }

    /// What this master moves.
    pub fn moved(&self) -> &Moved {
        &self.0.moved
    }

    /// This master leads in a term: events are told from here on.
    pub fn lead(&self, term: Term) {
        let time = self.0.clock.wall();
        let mut state = self.lock();
        let text = term.to_string();
        if state.is_own && state.term == text {
            return;
        }
        state.begin(text);
        state.is_own = true;
        let mut event = Event::new(EventKind::Leader);
        event.text = Some("a master took the lead".to_owned());
        state.tell(event, time);
        drop(state);
        self.has_changed();
    }

    /// This master does not lead any more.
    pub fn follow(&self) {
        let mut state = self.lock();
        if state.is_own {
            state.begin(String::new());
            drop(state);
            self.has_changed();
        }
    }

    /// Tells of an event, if this master leads.
    pub fn tell(&self, event: Event) {
        let time = self.0.clock.wall();
        let mut state = self.lock();
        if state.is_own {
            state.tell(event, time);
            drop(state);
            self.has_changed();
        }
    }

    /// Tells the figures, if they are others than before.
    pub fn tick(&self, tick: Tick) {
        let mut state = self.lock();
        if state.is_own && state.tick.as_ref() != Some(&tick) {
            state.tick = Some(tick);
            state.ticks += 1;
            drop(state);
            self.has_changed();
        }
    }

    /// What a master says that it has moved.
    pub fn hear(&self, said: Traffic) {
        let now = self.0.clock.now();
        let mut state = self.lock();
        if state.is_own {
            state.masters.hear(now, said);
        }
    }

    /// Bytes read and written, requests and errors of all masters, since this one leads.
    fn moved_by_all(&self) -> [u64; 4] {
        self.lock().masters.all()
    }

    /// Adds a line to the history.
    fn note(&self, line: [u64; 7]) {
        let mut state = self.lock();
        if state.is_own {
            state.history.push_back(line);
            if state.history.len() > HISTORY_LINES {
                state.history.pop_front();
            }
        }
    }

    /// Whether this master leads.
    pub fn is_own(&self) -> bool {
        self.lock().is_own
    }

    /// The bytes in a second that masters moved lately, if this master knows them.
    pub fn rates(&self) -> Option<Rates> {
        self.lock().tick.as_ref()?.rates
    }

    /// Events for one answer; `None` stands for the oldest that is here.
    pub fn page(&self, asked: &EventsAfter) -> Events {
        let state = self.lock();
        let known = asked.after.clone().unwrap_or_default();
        let (is_reset, skip) = state.place(&known);
        let reset = is_reset.then(|| state.reset());
        let events = state.events.iter().skip(skip).take(asked.limit).cloned();
        let events: Vec<Event> = events.collect();
        let next = events
            .last()
            .map_or_else(|| state.last(), |last| last.id.clone());
        Events {
            events: reset.into_iter().chain(events).collect(),
            next,
        }
    }

    /// What is new to a reader, who knows it from then on.
    pub fn news(&self, known: &mut Known) -> News {
        let state = self.lock();
        let (is_reset, skip) = state.place(&known.event);
        let mut news = News {
            is_reset,
            ..News::default()
        };
        // Whoever is told to read everything anew needs nothing that came before.
        let unread = state.events.iter().skip(skip).filter(|_| !is_reset);
        let mut bytes = 0;
        for event in unread {
            if bytes >= PIECE {
                news.has_more = true;
                break;
            }
            bytes += size(event);
            news.events.push(event.clone());
        }
        known.event = match news.events.last() {
            Some(last) if news.has_more => last.id.clone(),
            _ => state.last(),
        };
        if known.ticks != state.ticks && !news.has_more {
            known.ticks = state.ticks;
            news.tick.clone_from(&state.tick);
        }
        news
    }

    /// Knows everything that is here.
    pub fn present(&self) -> Known {
        let state = self.lock();
        Known {
            event: state.last(),
            ticks: 0,
        }
    }

    /// What another master copies that knows everything up to an event; none if this one does not lead.
    pub fn copy(&self, asked: &EventsAfter) -> Option<Copy> {
        let state = self.lock();
        if !state.is_own {
            return None;
        }
        let known = asked.after.clone().unwrap_or_default();
        let (is_reset, skip) = state.place(&known);
        Some(Copy {
            term: state.term.clone(),
            is_reset,
            events: state
                .events
                .iter()
                .skip(skip)
                .take(asked.limit)
                .cloned()
                .collect(),
            next: state.next,
            tick: state.tick.clone(),
        })
    }

    /// Nobody says how the cluster is: what was known of that is not told any more.
    pub fn lose(&self) {
        let mut state = self.lock();
        if state.lose() {
            drop(state);
            self.has_changed();
        }
    }

    /// Takes what the board of the leader has.
    pub fn take(&self, copy: Copy) {
        let mut state = self.lock();
        if state.is_own {
            return;
        }
        if copy.is_reset || copy.term != state.term {
            state.begin(copy.term);
        }
        // Two may have been asked for at once.
        if copy.next < state.next {
            return;
        }
        let known = state.next;
        let is_new = |event: &Event| number_of(&event.id).is_some_and(|number| number >= known);
        state.events.extend(copy.events.into_iter().filter(is_new));
        while state.events.len() > EVENTS_KEPT {
            state.events.pop_front();
        }
        state.next = copy.next;
        if state.tick != copy.tick {
            state.tick = copy.tick;
            state.ticks += 1;
        }
        drop(state);
        self.has_changed();
    }

    /// The figures of the last so many minutes.
    pub fn history(&self, minutes: u64) -> History {
        let state = self.lock();
        let lines = usize::try_from(minutes.saturating_mul(6)).unwrap_or(usize::MAX);
        let skip = state.history.len().saturating_sub(lines);
        let column = |at: usize| {
            let lines = state.history.iter().skip(skip);
            lines
                .map(|line| line.get(at).copied().unwrap_or_default())
                .collect()
        };
        History {
            columns: History::COLUMNS.map(str::to_owned).to_vec(),
            data: (0..History::COLUMNS.len()).map(column).collect(),
        }
    }
}

impl State {
    /// Nothing of what was before is told any more.
    fn begin(&mut self, term: String) {
        let ticks = self.ticks + 1;
        *self = Self {
            term,
            ticks,
            tick: Some(Tick::unknown()),
            ..Self::default()
        };
    }

    /// Whether something was known.
    fn lose(&mut self) -> bool {
        let unknown = Some(Tick::unknown());
        let was_known = self.tick != unknown;
        if was_known {
            self.tick = unknown;
            self.ticks += 1;
        }
        was_known
    }

    fn tell(&mut self, mut event: Event, time: LogTime) {
        event.id = self.id(self.next);
        event.time = rfc3339(time);
        self.next += 1;
        self.events.push_back(event);
        if self.events.len() > EVENTS_KEPT {
            self.events.pop_front();
        }
    }

    fn id(&self, number: u64) -> String {
        format!("{}-{number}", self.term)
    }

    /// The id of the last event, whether or not it is still here.
    fn last(&self) -> String {
        match self.next.checked_sub(1) {
            Some(last) => self.id(last),
            None => String::new(),
        }
    }

    /// How many of the events are known to whoever knows this one; whether some were missed.
    fn place(&self, known: &str) -> (bool, usize) {
        if known.is_empty() || self.next == 0 {
            return (!known.is_empty(), 0);
        }
        let oldest = self.next - u64::try_from(self.events.len()).unwrap_or_default();
        let is_of_term = known
            .rsplit_once('-')
            .is_some_and(|(term, _)| term == self.term);
        let number = number_of(known).filter(|_| is_of_term);
        match number.map(|number| number.saturating_add(1)) {
            Some(next) if (oldest..=self.next).contains(&next) => {
                (false, usize::try_from(next - oldest).unwrap_or(usize::MAX))
            }
            _ => (true, 0),
        }
    }

    fn reset(&self) -> Event {
        let mut event = Event::new(EventKind::Reset);
        event.id = self.last();
        event.time = self
            .events
            .back()
            .map(|last| last.time.clone())
            .unwrap_or_default();
        event
    }
}

fn number_of(id: &str) -> Option<u64> {
    id.rsplit_once('-')?.1.parse().ok()
}

#[cfg(test)]
mod tests;
