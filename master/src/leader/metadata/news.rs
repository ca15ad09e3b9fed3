//! What an entry did to files, for whoever watches.

use super::super::catalog::Step;
use mdfs_core::id::FileId;
use mdfs_core::name::FileName;
use mdfs_core::records::FileRecord;
use mdfs_protocol::public::{Event, EventKind};
use std::collections::{BTreeMap, BTreeSet};

/// Events of one entry that is committed, in the order of names.
pub(super) fn of_files(steps: &[Step]) -> Vec<Event> {
    let mut added: BTreeMap<&FileName, &FileRecord> = BTreeMap::new();
    let mut removed: BTreeMap<&FileName, &FileRecord> = BTreeMap::new();
    let mut to_trash: BTreeSet<FileId> = BTreeSet::new();
    let mut from_trash: BTreeMap<FileId, &FileName> = BTreeMap::new();
    for step in steps {
        match step {
            Step::FileAdded(name, file) => drop(added.insert(name, file)),
            Step::FileRemoved(name, file) => drop(removed.insert(name, file)),
            Step::TrashAdded(_, trashed) => drop(to_trash.insert(trashed.file.file)),
            Step::TrashRemoved(_, trashed) => {
                from_trash.insert(trashed.file.file, &trashed.name);
            }
            Step::Cluster(_)
            | Step::Member(..)
            | Step::Holders(..)
            | Step::Move(..)
            | Step::UploadAdded(..)
            | Step::UploadRemoved(_)
            | Step::ChunkAdded(..)
            | Step::ChunkRemoved(..)
            | Step::EndedAdded(..)
            | Step::EndedRemoved(..) => {}
        }
    }
    let mut events = Vec::new();
    let before: BTreeMap<FileId, &FileName> = removed
        .iter()
        .map(|(&name, file)| (file.file, name))
        .collect();
    let now: BTreeSet<FileId> = added.values().map(|file| file.file).collect();
    for (&name, &file) in &added {
        let before = before.get(&file.file).copied();
        let kind = match before {
            Some(from) if from == name => EventKind::Changed,
            Some(_) => EventKind::Renamed,
            None if from_trash.contains_key(&file.file) => EventKind::Restored,
            None => EventKind::Stored,
        };
        let mut event = of_file(kind, name, file);
        if let Some(from) = before.filter(|_| kind == EventKind::Renamed) {
            event.to = event.name.take();
            event.from = Some(from.as_str().to_owned());
        }
        events.push(event);
    }
    for (&name, &file) in &removed {
        // What another file of the name took the place of is told by that one.
        if now.contains(&file.file) || (added.contains_key(name) && to_trash.contains(&file.file)) {
            continue;
        }
        let kind = match to_trash.contains(&file.file) {
            true => EventKind::Deleted,
            false => EventKind::Purged,
        };
        events.push(of_file(kind, name, file));
    }
    for (id, name) in from_trash {
        if !now.contains(&id) {
            let mut event = Event::new(EventKind::Purged);
            event.name = Some(name.as_str().to_owned());
            events.push(event);
        }
    }
    events
}

fn of_file(kind: EventKind, name: &FileName, file: &FileRecord) -> Event {
    let mut event = Event::new(kind);
    event.name = Some(name.as_str().to_owned());
    event.version = Some(file.version);
    event.size = Some(file.size);
    event
}

/// A token was made, or ended.
pub(super) fn of_token(label: &str, to: &str) -> Event {
    let mut event = Event::new(EventKind::Token);
    event.name = Some(label.to_owned());
    event.to = Some(to.to_owned());
    event
}

#[cfg(test)]
mod tests {
    use super::*;
    use mdfs_core::checksum::{Blake3, Crc32};
    use mdfs_core::chunk::{ChunkLayout, ChunkSize};
    use mdfs_core::labels::Labels;
    use mdfs_core::records::{TrashRecord, Wanted};
    use mdfs_core::ring::ReplicationFactor;
    use mdfs_core::time::LogTime;

    fn file(id: u128) -> Box<FileRecord> {
        Box::new(FileRecord {
            version: 1,
            file: FileId::from_u128(id),
            size: 3,
            layout: ChunkLayout::of_file(3, ChunkSize::MIN).unwrap(),
            chunk_size: ChunkSize::MIN,
            replicas: Wanted::exactly(ReplicationFactor::DEFAULT),
            crc32: Crc32::default(),
            blake3: Blake3::of(b"abc"),
            content_type: String::new(),
            labels: Labels::default(),
            modified: LogTime::default(),
            exceptions: Vec::new(),
        })
    }

    /// `+a1` adds the file 1 as `a`, `-a1` removes it; `+Ta1` and `-Ta1` do so in the trash.
    fn steps(text: &str) -> Vec<Step> {
        let step = |word: &str| {
            let (sign, rest) = word.split_at(1);
            let (in_trash, rest) = match rest.strip_prefix('T') {
                Some(rest) => (true, rest),
                None => (false, rest),
            };
            let (name, id) = rest.split_at(1);
            let (name, file) = (FileName::parse(name).unwrap(), file(id.parse().unwrap()));
            let trashed = |name, file: Box<FileRecord>| Box::new(TrashRecord { name, file: *file });
            match (sign, in_trash) {
                ("+", false) => Step::FileAdded(name, file),
                ("-", false) => Step::FileRemoved(name, file),
                ("+", true) => Step::TrashAdded(LogTime::default(), trashed(name, file)),
                _ => Step::TrashRemoved(LogTime::default(), trashed(name, file)),
            }
        };
        text.split(' ').map(step).collect()
    }

    #[test]
    fn what_an_entry_did_to_files_is_told_once_and_by_its_name() {
        for (entry, want) in [
            ("+a1", "stored a"),
            ("-a1 +Ta1 +a2", "stored a"),
            ("-a1 +a1", "changed a"),
            ("-a1 +b1", "renamed a b"),
            ("-a1 -b2 +Tb2 +b1", "renamed a b"),
            ("-a1 +Ta1", "deleted a"),
            ("-a1", "purged a"),
            ("-Ta1", "purged a"),
            ("-Ta1 +a1", "restored a"),
            ("-Ta1 -Tb2", "purged a, purged b"),
            ("+a1 +b2", "stored a, stored b"),
        ] {
            let told = of_files(&steps(entry)).into_iter().map(|event| {
                let names = [event.name, event.from, event.to].into_iter().flatten();
                let words = [event.kind.as_str().to_owned()].into_iter().chain(names);
                words.collect::<Vec<_>>().join(" ")
            });
            assert_eq!(told.collect::<Vec<_>>().join(", "), want, "{entry}");
        }
    }
}
