//! A page of a table: some records in the order of their keys, packed without slack.

use std::ops::Range;

/// Some records, keys and values one behind the other in one piece of memory.
///
/// Never changed: another page is made from it, which copies a few KiB. So a page takes what its
/// records take and eight bytes each, whoever shares it keeps it as it is, and a write costs about a
/// microsecond.
#[derive(Clone, Debug, Default)]
pub(super) struct Page {
    bytes: Box<[u8]>,
    ends: Box<[Ends]>,
}

/// Where a record ends in a page. It begins where the one before it ends.
#[derive(Clone, Copy, Debug)]
struct Ends {
    key: u32,
    value: u32,
}

impl Page {
    /// How many records there are.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes of keys and values.
    pub(super) fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes of memory.
    #[cfg(test)]
    pub(super) fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.bytes.len() + size_of_val(&*self.ends)
    }

    /// The record at a place.
    pub(super) fn get(&self, at: usize) -> Option<(&[u8], &[u8])> {
        let ends = self.ends.get(at)?;
        let (start, key, value) = (self.start(at), place(ends.key), place(ends.value));
        Some((self.bytes.get(start..key)?, self.bytes.get(key..value)?))
    }

    /// The records from a place on.
    pub(super) fn from(&self, at: usize) -> impl Iterator<Item = (&[u8], &[u8])> {
        (at..self.len()).map_while(|at| self.get(at))
    }

    /// Where a key stands, or would stand.
    pub(super) fn find(&self, key: &[u8]) -> Result<usize, usize> {
        let mut range = 0..self.len();
        while !range.is_empty() {
            let middle = range.start + range.len() / 2;
            let own = self.get(middle).map_or(&[][..], |(own, _)| own);
            match own.cmp(key) {
                std::cmp::Ordering::Less => range.start = middle + 1,
                std::cmp::Ordering::Equal => return Ok(middle),
                std::cmp::Ordering::Greater => range.end = middle,
            }
        }
        Err(range.start)
    }

    /// The same with a record instead of those in `places`, which must be in the page.
    pub(super) fn with(&self, places: Range<usize>, record: Option<(&[u8], &[u8])>) -> Self {
        let (before, behind) = (0..places.start, places.end..self.len());
        let count = before.len() + usize::from(record.is_some()) + behind.len();
        let own = record.map_or(0, |(key, value)| key.len() + value.len());
        let size = self.part(&before).len() + own + self.part(&behind).len();
        let mut new = Builder::with_capacity(count, size);
        new.take(self, before);
        if let Some((key, value)) = record {
            new.push(key, value);
        }
        new.take(self, behind);
        new.page()
    }

    /// Some of its records.
    pub(super) fn only(&self, places: Range<usize>) -> Self {
        let mut new = Builder::with_capacity(places.len(), self.part(&places).len());
        new.take(self, places);
        new.page()
    }

    /// The records of two pages, all keys of the other being greater.
    pub(super) fn joined(&self, other: &Self) -> Self {
        let count = self.len() + other.len();
        let mut new = Builder::with_capacity(count, self.size_bytes() + other.size_bytes());
        new.take(self, 0..self.len());
        new.take(other, 0..other.len());
        new.page()
    }

    fn start(&self, at: usize) -> usize {
        let before = at.checked_sub(1).and_then(|before| self.ends.get(before));
        before.map_or(0, |ends| place(ends.value))
    }

    /// The bytes of some records.
    fn part(&self, places: &Range<usize>) -> &[u8] {
        let part = self.start(places.start)..self.start(places.end);
        self.bytes.get(part).unwrap_or_default()
    }
}

/// A page under construction, of exactly the size it will have.
struct Builder {
    bytes: Vec<u8>,
    ends: Vec<Ends>,
}

impl Builder {
    fn with_capacity(count: usize, size: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(size),
            ends: Vec::with_capacity(count),
        }
    }

    fn push(&mut self, key: &[u8], value: &[u8]) {
        self.bytes.extend_from_slice(key);
        let key = offset(self.bytes.len());
        self.bytes.extend_from_slice(value);
        let value = offset(self.bytes.len());
        self.ends.push(Ends { key, value });
    }

    fn take(&mut self, page: &Page, places: Range<usize>) {
        let (from, to) = (offset(page.start(places.start)), offset(self.bytes.len()));
        self.bytes.extend_from_slice(page.part(&places));
        // Behind `from`, as they stand in the page; then as far behind `to`.
        let moved = |end: u32| end.wrapping_sub(from).wrapping_add(to);
        let ends = page.ends.get(places).unwrap_or_default();
        self.ends.extend(ends.iter().map(|ends| Ends {
            key: moved(ends.key),
            value: moved(ends.value),
        }));
    }

    fn page(self) -> Page {
        Page {
            bytes: self.bytes.into_boxed_slice(),
            ends: self.ends.into_boxed_slice(),
        }
    }
}

fn place(offset: u32) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

#[expect(
    clippy::expect_used,
    reason = "a page has some KiB and one record, which came in one message of some MiB"
)]
fn offset(place: usize) -> u32 {
    u32::try_from(place).expect("a page has less than 4 GiB")
}
