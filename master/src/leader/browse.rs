//! Pages of names for people. A page may take a look at all files of a folder, so it is made beside the
//! leader's loop, of a copy of the table that shares its pages.

use super::catalog::prefix;
use super::command::{Browse, Browsed, BrowsedFile, By, FileInfo, Line};
use crate::error::Error;
use mdfs_core::log::table::Table;
use mdfs_core::name::FileName;
use mdfs_core::records::plan::Refusal;
use mdfs_core::records::{FileRecord, Kind, decode};
use mdfs_core::ring::ReplicationFactor;
use mdfs_core::time::LogTime;
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// Names looked at for one page in the order of names: a search that finds little goes on with the next
/// page.
const LOOKED_AT: usize = 500_000;

/// What pages are made of.
#[derive(Clone, Debug)]
pub struct Records {
    /// The committed records; shares its pages with the leader's table.
    pub table: Table,
    /// How many copies files have that follow the policy.
    pub replicas: ReplicationFactor,
    /// None while nothing was counted.
    pub counted: Option<Counted>,
}

/// What is known of copies.
#[derive(Clone, Debug)]
pub struct Counted {
    /// Of when that is: of later files it says nothing.
    pub at: LogTime,
    /// Good copies of files that have too few.
    pub short: BTreeMap<String, u8>,
    /// Whether all others have as many as they should.
    pub is_all: bool,
}

impl Records {
    /// Makes a page, as long as somebody wants it.
    ///
    /// # Errors
    /// If a record cannot be read; [`Error::Busy`] if nobody wants the page any more.
    pub(super) fn page(
        &self,
        asked: &Browse,
        is_wanted: &dyn Fn() -> bool,
    ) -> Result<Browsed, Error> {
        if asked.order.by == By::Name && !asked.order.falling {
            return self.by_name(asked, is_wanted);
        }
        let before = |one: &Line, other: &Line| compare(asked, one, other);
        let most = asked.limit.saturating_add(1);
        let mut lines: Vec<Line> = Vec::new();
        self.walk(asked, None, |mut line, value| {
            if !is_wanted() {
                return Err(Error::Busy);
            }
            if !fits(asked, &line.name) {
                return Ok(true);
            }
            if line.is_file && asked.order.by != By::Name {
                let record: FileRecord = decode(value).map_err(Refusal::from)?;
                line.rank = rank(asked.order.by, &record);
            }
            let after = asked.after.as_ref();
            if after.is_none_or(|after| before(&line, after) == Ordering::Greater) {
                lines.push(line);
            }
            if lines.len() >= 2 * most {
                // Those that come first are kept, in no order yet.
                lines.select_nth_unstable_by(most, before);
                lines.truncate(most);
            }
            Ok(true)
        })?;
        lines.sort_unstable_by(before);
        let has_more = lines.len() > asked.limit;
        lines.truncate(asked.limit);
        let next = lines.last().filter(|_| has_more).cloned();
        self.told(lines, next)
    }

    /// A page in the order of names, folders among files: nothing behind it is looked at.
    fn by_name(&self, asked: &Browse, is_wanted: &dyn Fn() -> bool) -> Result<Browsed, Error> {
        let after = asked.after.as_ref().map(|line| line.name.as_str());
        let mut lines: Vec<Line> = Vec::new();
        let (mut looked, mut last, mut next) = (0_usize, None, None);
        self.walk(asked, after, |line, _| {
            if !is_wanted() {
                return Err(Error::Busy);
            }
            if lines.len() >= asked.limit || looked >= LOOKED_AT {
                next = last.take();
                return Ok(false);
            }
            looked += 1;
            last = Some(line.clone());
            let is_new = line.is_file || after.is_none_or(|after| after < line.name.as_str());
            if is_new && fits(asked, &line.name) {
                lines.push(line);
            }
            Ok(true)
        })?;
        self.told(lines, next)
    }

    /// Hands out all lines behind a name, in the order of names, each folder once, until `take` wants
    /// no more.
    fn walk(
        &self,
        asked: &Browse,
        after: Option<&str>,
        mut take: impl FnMut(Line, &[u8]) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        let wanted = key(&asked.prefix);
        let mut from = after.map(key);
        loop {
            let mut behind_folder = None;
            for (found, value) in self.table.range(&wanted, from.as_deref()) {
                let name = found.get(1..).map(std::str::from_utf8);
                let Some(Ok(name)) = name else {
                    return Err(Error::Broken("a file's name is not UTF-8".into()));
                };
                let folder = folder_of(asked, name);
                let line = Line {
                    is_file: folder.is_none(),
                    rank: 0,
                    name: folder.unwrap_or(name).to_owned(),
                };
                if !take(line, value)? {
                    return Ok(());
                }
                if let Some(folder) = folder {
                    // A key that sorts behind all names of the folder: no name has a byte 0xff.
                    behind_folder = Some([&key(folder)[..], &[0xff]].concat());
                    break;
                }
            }
            match behind_folder {
                Some(behind) => from = Some(behind),
                None => return Ok(()),
            }
        }
    }

    fn told(&self, lines: Vec<Line>, next: Option<Line>) -> Result<Browsed, Error> {
        let mut page = Browsed {
            next,
            ..Browsed::default()
        };
        for Line { is_file, name, .. } in lines {
            if !is_file {
                page.folders.push(name);
                continue;
            }
            let Some(value) = self.table.get(&key(&name)) else {
                continue;
            };
            let mut record: FileRecord = decode(value).map_err(Refusal::from)?;
            let good = self.good(&name, &record);
            let name = FileName::parse(&name)
                .map_err(|invalid| Error::Broken(format!("a stored name: {invalid}")))?;
            record.replicas = record.replicas.told_under(self.replicas);
            let info = FileInfo { name, record };
            page.files.push(BrowsedFile { info, good });
        }
        Ok(page)
    }

    fn good(&self, name: &str, record: &FileRecord) -> Option<u8> {
        let counted = self.counted.as_ref()?;
        if record.modified > counted.at {
            return None;
        }
        let short = counted.short.get(name).copied();
        let all = record.replicas.told_under(self.replicas).get();
        short.or_else(|| counted.is_all.then_some(all))
    }
}

fn key(name: &str) -> Vec<u8> {
    [&prefix(Kind::File)[..], name.as_bytes()].concat()
}

/// The folder, delimiter included, that stands for a name; none if the name itself is shown.
fn folder_of<'a>(asked: &Browse, name: &'a str) -> Option<&'a str> {
    let delimiter = asked.delimiter?;
    let rest = name.get(asked.prefix.len()..)?;
    let end = asked.prefix.len() + rest.find(delimiter)? + delimiter.len_utf8();
    name.get(..end)
}

fn fits(asked: &Browse, shown: &str) -> bool {
    let Some(search) = &asked.search else {
        return true;
    };
    let rest = shown.get(asked.prefix.len()..).unwrap_or_default();
    rest.to_lowercase().contains(search)
}

fn rank(by: By, record: &FileRecord) -> u64 {
    match by {
        By::Name => 0,
        By::Size => record.size,
        By::Modified => record.modified.as_millis(),
    }
}

/// Which of two comes first. Folders do, by their names.
fn compare(asked: &Browse, one: &Line, other: &Line) -> Ordering {
    let order = (one.rank, &one.name).cmp(&(other.rank, &other.name));
    let folders = !one.is_file && !other.is_file;
    let falls = asked.order.falling && (!folders || asked.order.by == By::Name);
    let order = if falls { order.reverse() } else { order };
    one.is_file.cmp(&other.is_file).then(order)
}

#[cfg(test)]
mod tests;
