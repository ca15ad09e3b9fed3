use super::super::command::Sorted;
use super::*;
use mdfs_core::checksum::{Blake3, Crc32};
use mdfs_core::chunk::{ChunkLayout, ChunkSize};
use mdfs_core::id::FileId;
use mdfs_core::labels::Labels;
use mdfs_core::records::{Key, Wanted, encode};

/// Files, each a name, a size and when it was committed.
fn records(files: &[(&str, u64, u64)]) -> Records {
    let mut table = Table::default();
    for &(name, size, modified) in files {
        let record = FileRecord {
            version: 1,
            file: FileId::from_u128(1),
            size,
            layout: ChunkLayout::of_file(size, ChunkSize::MIN).unwrap(),
            chunk_size: ChunkSize::MIN,
            replicas: Wanted::exactly(ReplicationFactor::DEFAULT),
            crc32: Crc32::default(),
            blake3: Blake3::of(b""),
            content_type: String::new(),
            labels: Labels::default(),
            modified: LogTime::from_millis(modified),
            exceptions: Vec::new(),
        };
        let key = Key::File(FileName::parse(name).unwrap());
        table.insert(&key.to_bytes(), &encode(&record).unwrap());
    }
    Records {
        table,
        replicas: ReplicationFactor::DEFAULT,
        counted: None,
    }
}

/// What all pages show, each ended by a bar.
fn pages(records: &Records, prefix: &str, search: &str, order: (By, bool), limit: usize) -> String {
    let mut asked = Browse {
        prefix: prefix.to_owned(),
        delimiter: Some('/'),
        search: (!search.is_empty()).then(|| search.to_owned()),
        order: Sorted {
            by: order.0,
            falling: order.1,
        },
        after: None,
        limit,
    };
    let mut shown = String::new();
    loop {
        let page = records.page(&asked, &|| true).unwrap();
        let files = page.files.iter().map(|file| file.info.name.as_str());
        let names: Vec<&str> = page
            .folders
            .iter()
            .map(String::as_str)
            .chain(files)
            .collect();
        assert!(names.len() <= limit);
        shown += &format!("{} | ", names.join(" "));
        match page.next {
            Some(next) => asked.after = Some(next),
            None => return shown.trim_end_matches(" | ").to_owned(),
        }
    }
}

const FILES: &[(&str, u64, u64)] = &[
    ("b/x", 9, 9),
    ("a", 3, 5),
    ("c", 1, 7),
    ("b/y", 9, 9),
    ("d/z", 1, 1),
    ("e", 3, 6),
    ("f", 2, 5),
];

#[test]
fn each_order_shows_everything_once_page_by_page() {
    let records = records(FILES);
    for limit in [1, 2, 3, 7] {
        for (order, want) in [
            ((By::Name, true), "d/ b/ f e c a"),
            ((By::Size, false), "b/ d/ c f a e"),
            ((By::Size, true), "b/ d/ e a f c"),
            ((By::Modified, false), "b/ d/ a f e c"),
            ((By::Modified, true), "b/ d/ c e f a"),
        ] {
            let shown = pages(&records, "", "", order, limit).replace(" |", "");
            assert_eq!(shown, want, "{order:?} {limit}");
        }
    }
    let by_name = (By::Name, false);
    assert_eq!(pages(&records, "", "", by_name, 2), "b/ a | d/ c | e f");
    assert_eq!(pages(&records, "b/", "", by_name, 9), "b/x b/y");
    assert_eq!(pages(&records, "b/", "", (By::Size, true), 1), "b/y | b/x");
}

#[test]
fn a_search_is_for_what_stands_behind_the_prefix_in_any_case() {
    let records = records(&[
        ("films/Große Fahrt.mkv", 1, 1),
        ("films/fahrt/b.mkv", 1, 1),
        ("films/other.mkv", 1, 1),
        ("films.txt", 1, 1),
    ]);
    let by_name = (By::Name, false);
    let find = |search| pages(&records, "films/", search, by_name, 9);
    assert_eq!(find("fahrt"), "films/fahrt/ films/Große Fahrt.mkv");
    assert_eq!(find("GROSSE"), "");
    assert_eq!(find("große f"), "films/Große Fahrt.mkv");
    assert_eq!(find("films"), "");
    assert_eq!(
        pages(&records, "", "films", (By::Name, true), 9),
        "films/ films.txt"
    );
}

#[test]
fn copies_are_told_as_far_as_they_were_counted() {
    let mut records = records(&[("a", 1, 5), ("b", 1, 5), ("late", 1, 6)]);
    let good = |records: &Records| {
        let asked = Browse {
            limit: 9,
            ..Browse::default()
        };
        let page = records.page(&asked, &|| true).unwrap();
        page.files.iter().map(|file| file.good).collect::<Vec<_>>()
    };
    assert_eq!(good(&records), [None, None, None]);
    records.counted = Some(Counted {
        at: LogTime::from_millis(5),
        short: [("b".to_owned(), 1)].into(),
        is_all: true,
    });
    assert_eq!(good(&records), [Some(2), Some(1), None]);
    if let Some(counted) = &mut records.counted {
        counted.is_all = false;
    }
    assert_eq!(good(&records), [None, Some(1), None]);
}

#[test]
fn a_page_that_nobody_wants_any_more_is_not_made_to_its_end() {
    let records = records(&[("a", 1, 5), ("b", 1, 5), ("c", 1, 6), ("d", 1, 6)]);
    for (by, falling) in [(By::Name, false), (By::Name, true), (By::Size, false)] {
        let asked = Browse {
            order: Sorted { by, falling },
            limit: 9,
            ..Browse::default()
        };
        let looked = std::cell::Cell::new(0);
        let page = records.page(&asked, &|| {
            looked.set(looked.get() + 1);
            looked.get() < 2
        });
        assert!(page.is_err());
        assert_eq!(looked.get(), 2);
    }
}
