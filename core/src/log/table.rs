//! The table of records as of the commit, and the view over it that planning uses.
//!
//! A copy of the table shares its pages with the original, so a copy taken for a slow voter costs
//! little and stays as it was.

mod page;
pub(in crate::log) mod view;

pub use view::View;

use crate::log::message::{Put, Record};
use page::Page;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

/// Records in a page before it is split in two.
const PAGE_RECORDS: usize = 64;
/// Bytes of keys and values in a page before it is split in two: what a write copies at most, beside
/// one record.
const PAGE_BYTES: usize = 16 << 10;
/// Records in a page below which it is joined with the next one, if both are small.
const SMALL_PAGE_RECORDS: usize = 16;

/// An ordered map from keys to values.
///
/// Cloning copies one pointer for some 50 records; a write makes one page anew. Beside keys and
/// values it takes some 12 bytes a record.
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
        let (_, page) = self.page_of(key)?;
        page.get(page.find(key).ok()?).map(|(_, value)| value)
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
        let first = self.page_of(from);
        let bound = first.map_or(&[][..], |(bound, _)| &**bound);
        let rest = (Bound::Excluded(bound), Bound::Unbounded);
        let rest = self.pages.range::<[u8], _>(rest);
        let in_first = first.into_iter().flat_map(move |(_, page)| {
            let (Ok(at) | Err(at)) = page.find(from);
            page.from(at)
        });
        in_first
            .chain(rest.flat_map(|(_, page)| page.from(0)))
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
        let below = (Bound::Unbounded, Bound::Included(key));
        let Some((_, slot)) = self.pages.range_mut::<[u8], _>(below).next_back() else {
            let page = Page::default().with(0..0, Some((key, value)));
            self.pages.insert(Arc::from([]), Arc::new(page));
            self.len += 1;
            return;
        };
        let (at, places) = match slot.find(key) {
            Ok(at) => (at, at..at + 1),
            Err(at) => {
                self.len += 1;
                (at, at..at)
            }
        };
        let page = slot.with(places, Some((key, value)));
        let fits = page.len() <= PAGE_RECORDS && page.size_bytes() <= PAGE_BYTES;
        if fits || page.len() < 2 {
            *slot = Arc::new(page);
            return;
        }
        // What comes in order leaves full pages behind.
        let is_last = at + 1 == page.len();
        let middle = if is_last { at } else { page.len() / 2 };
        *slot = Arc::new(page.only(0..middle));
        let upper = page.only(middle..page.len());
        if let Some((bound, _)) = upper.get(0) {
            self.pages.insert(Arc::from(bound), Arc::new(upper));
        }
    }

    /// Removes one record, if it is there.
    pub fn remove(&mut self, key: &[u8]) {
        let below = (Bound::Unbounded, Bound::Included(key));
        let Some((bound, slot)) = self.pages.range_mut::<[u8], _>(below).next_back() else {
            return;
        };
        let Ok(at) = slot.find(key) else {
            return;
        };
        let page = slot.with(at..at + 1, None);
        self.len -= 1;
        let bound = Arc::clone(bound);
        let small = page.len() < SMALL_PAGE_RECORDS;
        if page.is_empty() && !bound.is_empty() {
            self.pages.remove(&bound);
            return;
        }
        *slot = Arc::new(page);
        if small {
            let before = (Bound::Unbounded, Bound::Excluded(&*bound));
            let before = self.pages.range::<[u8], _>(before).next_back();
            let before = before.map(|(before, _)| Arc::clone(before));
            self.join_with_next(&bound);
            if let Some(before) = before {
                self.join_with_next(&before);
            }
        }
    }

    /// Joins a page with the next one if they leave room for more: so tables from which much was
    /// removed have no more pages than they need.
    fn join_with_next(&mut self, bound: &Arc<[u8]>) {
        let behind = (Bound::Excluded(&**bound), Bound::Unbounded);
        let next = self.pages.range::<[u8], _>(behind).next();
        let Some((own, (next_bound, next))) = self.pages.get(bound).zip(next) else {
            return;
        };
        let records = own.len() + next.len();
        let bytes = own.size_bytes() + next.size_bytes();
        if records <= PAGE_RECORDS / 2 && bytes <= PAGE_BYTES / 2 {
            let (joined, gone) = (own.joined(next), Arc::clone(next_bound));
            self.pages.remove(&gone);
            self.pages.insert(Arc::clone(bound), Arc::new(joined));
        }
    }

    fn page_of(&self, key: &[u8]) -> Option<(&Arc<[u8]>, &Arc<Page>)> {
        let below = (Bound::Unbounded, Bound::Included(key));
        self.pages.range::<[u8], _>(below).next_back()
    }

    /// Bytes of memory, without what the allocator adds.
    #[cfg(test)]
    fn memory_bytes(&self) -> usize {
        let pages = self.pages.iter().map(|(bound, page)| {
            // The two counts of each `Arc`, and the pointers to both in the map.
            bound.len() + 2 * 16 + 24 + page.memory_bytes()
        });
        pages.sum()
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

    fn name(number: u64) -> String {
        // As names are: a long common part, and no order in which they come.
        format!("fseries/{:04}/episode-{:08}.mkv", number % 1000, number)
    }

    /// In which order files come makes little difference.
    #[test]
    fn a_hundred_thousand_files_take_their_bytes_and_little_more() {
        let value = [7; 100];
        for order in [1_u64, 48_271] {
            let mut table = Table::default();
            let mut bytes = 0;
            for number in 0..100_000_u64 {
                let name = name(number * order % 100_003);
                table.insert(name.as_bytes(), &value);
            }
            for (key, value) in table.range(&[], None) {
                bytes += key.len() + value.len();
            }
            let more = (table.memory_bytes() - bytes) / table.len();
            assert!(table.len() == 100_000 && more <= 14, "{more} of {order}");
        }
    }

    #[test]
    fn what_is_left_of_a_large_table_takes_few_pages() {
        let mut table = Table::default();
        for number in 0..10_000_u32 {
            table.insert(&number.to_be_bytes(), b"x");
        }
        for number in (0..10_000_u32).filter(|number| number % 50 != 0) {
            table.remove(&number.to_be_bytes());
        }
        assert_eq!(table.len(), 200);
        assert!(table.pages.len() <= 20, "{}", table.pages.len());
    }

    #[test]
    fn a_record_larger_than_a_page_is_a_page() {
        let mut table = Table::default();
        for key in [b"a", b"b", b"c", b"d"] {
            table.insert(key, &[1; PAGE_BYTES]);
            table.insert(key, &vec![2; 2 * PAGE_BYTES]);
        }
        assert_eq!(table.len(), 4);
        let values = table.range(&[], None).map(|(_, value)| value);
        assert!(values.eq(vec![vec![2; 2 * PAGE_BYTES]; 4]));
        assert!(table.pages.values().all(|page| page.len() == 1));
    }

    proptest! {
        #[test]
        fn it_behaves_as_a_sorted_map_and_copies_stay_as_they_were(
            puts in prop::collection::vec(
                (0u16..700, prop::option::of((0u8..4, 0usize..600))),
                0..2000,
            ),
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
                    Some((value, len)) => map.insert(key.clone(), vec![value; len]),
                    None => map.remove(&key),
                };
                table.apply(&Put { key, value: value.map(|(value, len)| vec![value; len]) });
            }
            for (table, map) in copies.into_iter().chain([(table, map)]) {
                prop_assert_eq!(table.len(), map.len());
                let records: Vec<_> =
                    table.range(&[], None).map(|(k, v)| (k.to_vec(), v.to_vec())).collect();
                prop_assert_eq!(records, map.clone().into_iter().collect::<Vec<_>>());
                for after in (0u16..700).step_by(23) {
                    let after = after.to_be_bytes();
                    let keys = table.range(&after[..1], Some(&after)).map(|(key, _)| key);
                    let want = map.keys().map(Vec::as_slice);
                    prop_assert!(keys.eq(want.filter(|k| k[0] == after[0] && *k > &after[..])));
                }
                let empty = table.pages.values().skip(1).filter(|page| page.is_empty()).count();
                prop_assert_eq!(empty, 0);
                for key in 0u16..700 {
                    let key = key.to_be_bytes();
                    prop_assert_eq!(table.get(&key), map.get(&key[..]).map(Vec::as_slice));
                }
            }
        }
    }
}
