//! The table of records as of the commit, and the view over it that planning uses.
//!
//! A copy of the table shares its pages with the original, so a copy taken for a slow voter costs
//! little and stays as it was.

pub(in crate::log) mod view;

pub use view::View;

use crate::log::message::{Put, Record};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

/// Records in a page before it is split in two.
const PAGE_RECORDS: usize = 128;

type Page = Vec<(Arc<[u8]>, Arc<[u8]>)>;

/// An ordered map from keys to values.
///
/// Cloning copies one pointer for some 100 records; writing to a shared page copies that page's
/// pointers.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// By a lower bound of the keys of the page; the first bound is the empty key. No page but the
    /// first is empty.
    pages: BTreeMap<Arc<[u8]>, Arc<Page>>,
    len: usize,
}

impl Table {
    /// The value at `key`.
    pub fn get(&self, key: &[u8]) -> Option<&[u8]> {
        let page = self.page_of(key)?;
        let at = page.binary_search_by(|(own, _)| (**own).cmp(key)).ok()?;
        page.get(at).map(|(_, value)| &**value)
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no records.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The records whose keys begin with `prefix` and are greater than `after`, in order.
    pub fn range<'a>(
        &'a self,
        prefix: &'a [u8],
        after: Option<&'a [u8]>,
    ) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + 'a {
        let from = after.map_or(prefix, |after| after.max(prefix));
        let mut first = self
            .pages
            .range::<[u8], _>((Bound::Unbounded, Bound::Included(from)));
        let first = first
            .next_back()
            .map(|(bound, _)| &**bound)
            .unwrap_or_default();
        self.pages
            .range::<[u8], _>((Bound::Included(first), Bound::Unbounded))
            .flat_map(|(_, page)| page.iter().map(|(key, value)| (&**key, &**value)))
            .skip_while(move |(key, _)| *key < from)
            .skip_while(move |(key, _)| after.is_some_and(|after| *key <= after))
            .take_while(move |(key, _)| key.starts_with(prefix))
    }

    /// About `limit_bytes` of records behind `after`, at least one if there is one, and whether
    /// there are more behind them.
    pub fn page(&self, after: Option<&[u8]>, limit_bytes: usize) -> (Vec<Record>, bool) {
        let mut room = limit_bytes;
        let mut page = Vec::new();
        for (key, value) in self.range(&[], after) {
            let size = key.len() + value.len() + 16;
            if size > room && !page.is_empty() {
                return (page, true);
            }
            room = room.saturating_sub(size);
            page.push((key.to_vec(), value.to_vec()));
        }
        (page, false)
    }

    /// Writes or removes one record.
    pub fn apply(&mut self, put: &Put) {
        match &put.value {
            Some(value) => self.insert(&put.key, value),
            None => self.remove(&put.key),
        }
    }

    /// Writes one record.
    pub fn insert(&mut self, key: &[u8], value: &[u8]) {
        if self.pages.is_empty() {
            self.pages.insert(Arc::from([]), Arc::default());
        }
        let below = (Bound::Unbounded, Bound::Included(key));
        let Some((_, shared)) = self.pages.range_mut::<[u8], _>(below).next_back() else {
            return;
        };
        let page = Arc::make_mut(shared);
        match page.binary_search_by(|(own, _)| (**own).cmp(key)) {
            Ok(at) => {
                if let Some(record) = page.get_mut(at) {
                    record.1 = Arc::from(value);
                }
            }
            Err(at) => {
                page.insert(at, (Arc::from(key), Arc::from(value)));
                self.len += 1;
            }
        }
        if page.len() > PAGE_RECORDS {
            let upper = page.split_off(page.len() / 2);
            if let Some((bound, _)) = upper.first() {
                self.pages.insert(Arc::clone(bound), Arc::new(upper));
            }
        }
    }

    /// Removes one record, if it is there.
    pub fn remove(&mut self, key: &[u8]) {
        let below = (Bound::Unbounded, Bound::Included(key));
        let Some((bound, shared)) = self.pages.range_mut::<[u8], _>(below).next_back() else {
            return;
        };
        let Ok(at) = shared.binary_search_by(|(own, _)| (**own).cmp(key)) else {
            return;
        };
        let page = Arc::make_mut(shared);
        page.remove(at);
        self.len -= 1;
        if page.is_empty() && !bound.is_empty() {
            let bound = Arc::clone(bound);
            self.pages.remove(&bound);
        }
    }

    fn page_of(&self, key: &[u8]) -> Option<&Page> {
        let below = (Bound::Unbounded, Bound::Included(key));
        self.pages
            .range::<[u8], _>(below)
            .next_back()
            .map(|(_, page)| &**page)
    }
}

/// Tables are equal when their records are, however they are paged.
impl PartialEq for Table {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.range(&[], None).eq(other.range(&[], None))
    }
}

impl Eq for Table {}

impl std::hash::Hash for Table {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.len.hash(state);
        for record in self.range(&[], None) {
            record.hash(state);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts<'a>(range: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Vec<String> {
        range
            .map(|(key, _)| String::from_utf8_lossy(key).into_owned())
            .collect()
    }

    #[test]
    fn a_range_keeps_to_its_prefix_and_begins_behind_its_cursor() {
        let mut table = Table::default();
        for key in ["a", "b/1", "b/2", "b/3", "c"] {
            table.insert(key.as_bytes(), b"x");
        }
        assert_eq!(texts(table.range(b"b/", None)), ["b/1", "b/2", "b/3"]);
        assert_eq!(texts(table.range(b"b/", Some(b"b/1"))), ["b/2", "b/3"]);
        assert_eq!(texts(table.range(b"", Some(b"b/2"))), ["b/3", "c"]);
        assert_eq!(texts(table.range(b"b/", Some(b"a"))), ["b/1", "b/2", "b/3"]);
        assert_eq!(texts(table.range(b"d", None)), [""; 0]);
    }

    #[test]
    fn a_page_holds_at_least_one_record() {
        let mut table = Table::default();
        table.insert(b"a", &[0; 100]);
        table.insert(b"b", &[0; 100]);
        let (page, more) = table.page(None, 10);
        assert_eq!((page.len(), more), (1, true));
        let (page, more) = table.page(Some(b"a"), 10);
        assert_eq!((page.len(), more), (1, false));
    }

    proptest! {
        #[test]
        fn it_behaves_as_a_sorted_map_and_copies_stay_as_they_were(
            puts in prop::collection::vec((0u16..700, prop::option::of(0u8..4)), 0..2000),
            copy_at in 0usize..2000,
        ) {
            let mut table = Table::default();
            let mut map = BTreeMap::new();
            let mut copies = None;
            for (step, (key, value)) in puts.into_iter().enumerate() {
                if step == copy_at {
                    copies = Some((table.clone(), map.clone()));
                }
                let key = key.to_be_bytes().to_vec();
                match value {
                    Some(value) => map.insert(key.clone(), vec![value]),
                    None => map.remove(&key),
                };
                table.apply(&Put { key, value: value.map(|value| vec![value]) });
            }
            for (table, map) in copies.into_iter().chain([(table, map)]) {
                prop_assert_eq!(table.len(), map.len());
                let records: Vec<_> =
                    table.range(&[], None).map(|(k, v)| (k.to_vec(), v.to_vec())).collect();
                prop_assert_eq!(records, map.clone().into_iter().collect::<Vec<_>>());
                for key in 0u16..700 {
                    let key = key.to_be_bytes();
                    prop_assert_eq!(table.get(&key), map.get(&key[..]).map(Vec::as_slice));
                }
            }
        }
    }
}
