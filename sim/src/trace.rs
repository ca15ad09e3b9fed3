//! What happened in a run, as one number: two runs of a seed must give the same.

use mdfs_tests::chance::Chance;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;

/// The trace of one run. A clone is the same.
#[derive(Clone)]
pub(crate) struct Trace(Arc<Inner>);

struct Inner {
    begun: Instant,
    state: Mutex<State>,
}

struct State {
    hash: u64,
    events: u64,
    marks: BTreeMap<&'static str, u64>,
    /// What is so at the moment.
    now: BTreeSet<&'static str>,
    lines: Option<Vec<String>>,
    broken: Vec<String>,
}

impl Trace {
    /// An empty trace, which keeps a line for each event if it is to be read. Called in a runtime.
    pub(crate) fn new(readable: bool) -> Self {
        Self(Arc::new(Inner {
            begun: Instant::now(),
            state: Mutex::new(State {
                hash: 0,
                events: 0,
                marks: BTreeMap::new(),
                now: BTreeSet::new(),
                lines: readable.then(Vec::new),
                broken: Vec::new(),
            }),
        }))
    }

    /// Milliseconds since the run began.
    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.0.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Something happened.
    pub(crate) fn note(&self, what: fmt::Arguments<'_>) {
        let now = self.now();
        let text = what.to_string();
        let mut state = self.lock();
        let mut hash = Chance::new(state.hash ^ now).number();
        for piece in text.as_bytes().chunks(8) {
            let mut word = [0; 8];
            word.iter_mut()
                .zip(piece)
                .for_each(|(to, from)| *to = *from);
            hash = Chance::new(hash ^ u64::from_le_bytes(word)).number();
        }
        state.hash = hash;
        state.events += 1;
        if let Some(lines) = &mut state.lines {
            lines.push(format!("{now:>9} {text}"));
        }
    }

    /// A state was reached that the simulation is there to reach.
    pub(crate) fn reach(&self, mark: &'static str) {
        *self.lock().marks.entry(mark).or_default() += 1;
    }

    /// From now on something is so, or not.
    pub(crate) fn set(&self, what: &'static str, is_so: bool) {
        let mut state = self.lock();
        match is_so {
            true => state.now.insert(what),
            false => state.now.remove(what),
        };
    }

    /// Whether something is so now.
    pub(crate) fn is(&self, what: &'static str) -> bool {
        self.lock().now.contains(what)
    }

    /// A promise was broken.
    pub(crate) fn broken(&self, what: String) {
        self.note(format_args!("BROKEN {what}"));
        self.lock().broken.push(what);
    }

    /// What came of it all.
    pub(crate) fn outcome(&self) -> Outcome {
        let simulated_millis = self.now();
        let mut state = self.lock();
        Outcome {
            hash: state.hash,
            events: state.events,
            simulated_millis,
            marks: std::mem::take(&mut state.marks),
            broken: std::mem::take(&mut state.broken),
            lines: state.lines.take().unwrap_or_default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Trace")
    }
}

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Of everything that happened, in its order.
    pub hash: u64,
    /// How much that was.
    pub events: u64,
    /// The time that passed in the simulation.
    pub simulated_millis: u64,
    /// How often what was reached.
    pub marks: BTreeMap<&'static str, u64>,
    /// Promises that were broken; none in a good run.
    pub broken: Vec<String>,
    /// A line for each event, if it was to be read.
    pub lines: Vec<String>,
}
