//! The table as it will be once the whole log is committed.

use super::Table;
use crate::log::message::{Entry, Put};
use std::collections::BTreeMap;
use std::ops::Bound;

/// What the uncommitted entries change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(in crate::log) struct Overlay {
    /// By key: the newest value, and the entry that wrote it.
    records: BTreeMap<Vec<u8>, (Option<Vec<u8>>, u64)>,
}

impl Overlay {
    /// Adds what an entry changes.
    pub(in crate::log) fn add(&mut self, entry: &Entry) {
        for Put { key, value } in entry.puts() {
            self.records
                .insert(key.clone(), (value.clone(), entry.index));
        }
    }

    /// Forgets what an entry changed, now that it is in the table.
    pub(in crate::log) fn forget(&mut self, entry: &Entry) {
        for Put { key, .. } in entry.puts() {
            if self
                .records
                .get(key)
                .is_some_and(|(_, index)| *index <= entry.index)
            {
                self.records.remove(key);
            }
        }
    }
}

/// The table with the uncommitted entries applied: what the next change is planned against.
///
/// Never for answers to readers: what it shows may yet be lost.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    table: &'a Table,
    overlay: &'a Overlay,
}

impl<'a> View<'a> {
    pub(in crate::log) fn new(table: &'a Table, overlay: &'a Overlay) -> Self {
        Self { table, overlay }
    }

    /// The value at `key`.
    pub fn get(&self, key: &[u8]) -> Option<&'a [u8]> {
        match self.overlay.records.get(key) {
            Some((value, _)) => value.as_deref(),
            None => self.table.get(key),
        }
    }

    /// The records whose keys begin with `prefix` and are greater than `after`, in order.
    pub fn range(
        &self,
        prefix: &'a [u8],
        after: Option<&'a [u8]>,
    ) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + 'a {
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            Some(_) | None => Bound::Included(prefix),
        };
        let mut over = self
            .overlay
            .records
            .range::<[u8], _>((from, Bound::Unbounded))
            .map(|(key, (value, _))| (key.as_slice(), value.as_deref()))
            .take_while(move |(key, _)| key.starts_with(prefix))
            .peekable();
        let mut under = self.table.range(prefix, after).peekable();
        let merged = std::iter::from_fn(move || {
            let Some((changed, _)) = over.peek() else {
                return under.next().map(|(key, value)| (key, Some(value)));
            };
            let order = under.peek().map(|(key, _)| key.cmp(changed));
            match order {
                Some(std::cmp::Ordering::Less) => {
                    under.next().map(|(key, value)| (key, Some(value)))
                }
                Some(std::cmp::Ordering::Equal) => {
                    under.next();
                    over.next()
                }
                Some(std::cmp::Ordering::Greater) | None => over.next(),
            }
        });
        merged.filter_map(|(key, value)| value.map(|value| (key, value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Term;
    use crate::log::message::Change;
    use crate::time::LogTime;

    fn entry(index: u64, puts: &[(&str, Option<&str>)]) -> Entry {
        let puts = puts.iter().map(|(key, value)| Put {
            key: key.as_bytes().to_vec(),
            value: value.map(|value| value.as_bytes().to_vec()),
        });
        Entry {
            index,
            term: Term::default(),
            time: LogTime::default(),
            request: None,
            change: Change::Records(puts.collect()),
        }
    }

    #[track_caller]
    fn check(table: &Table, overlay: &Overlay, want: &str) {
        let view = View::new(table, overlay);
        let all = view.range(b"", None).map(|(key, value)| {
            assert_eq!(view.get(key), Some(value));
            format!(
                "{}{}",
                String::from_utf8_lossy(key),
                String::from_utf8_lossy(value)
            )
        });
        assert_eq!(all.collect::<Vec<_>>().join(" "), want);
    }

    #[test]
    fn uncommitted_entries_show_over_the_table_until_they_are_in_it() {
        let mut table = Table::default();
        for (key, value) in [("b", "1"), ("d", "1"), ("f", "1")] {
            table.insert(key.as_bytes(), value.as_bytes());
        }
        let mut overlay = Overlay::default();
        let first = entry(1, &[("a", Some("2")), ("d", None), ("f", Some("2"))]);
        let second = entry(2, &[("f", None), ("g", Some("3"))]);
        overlay.add(&first);
        check(&table, &overlay, "a2 b1 f2");
        overlay.add(&second);
        check(&table, &overlay, "a2 b1 g3");
        let view = View::new(&table, &overlay);
        let behind: Vec<_> = view.range(b"", Some(b"b")).map(|(key, _)| key).collect();
        assert_eq!(behind, [b"g"]);
        for put in first.puts() {
            table.apply(put);
        }
        overlay.forget(&first);
        check(&table, &overlay, "a2 b1 g3");
        assert_eq!(table.get(b"f"), Some(&b"2"[..]));
    }
}
