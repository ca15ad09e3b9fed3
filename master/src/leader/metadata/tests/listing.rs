//! Pages of names, against a naive model.

use super::asking::done;
use super::world::World;
use crate::leader::command::{List, Page};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::collections::BTreeSet;

/// What stands in a listing, sorted: files, and folders that end in the delimiter.
fn lines(names: &BTreeSet<String>, list: &List) -> BTreeSet<String> {
    let line = |name: &String| {
        let rest = name.strip_prefix(&list.prefix)?;
        let cut = list.delimiter.and_then(|delimiter| {
            let at = rest.find(delimiter)?;
            Some(list.prefix.len() + at + delimiter.len_utf8())
        });
        Some(cut.map_or(name.clone(), |cut| name[..cut].to_owned()))
    };
    let after = |line: &String| list.after.as_ref().is_none_or(|after| line > after);
    names.iter().filter_map(line).filter(after).collect()
}

fn merged(page: &Page) -> Vec<String> {
    let files = page.files.iter().map(|info| info.name.to_string());
    let mut all: Vec<String> = files.chain(page.folders.iter().cloned()).collect();
    assert!(
        page.folders.is_sorted() && page.files.is_sorted_by_key(|f| f.name.as_str().to_owned())
    );
    all.sort();
    all
}

/// A world with so many names, in three levels of folders.
fn filled(count: u32) -> (World, BTreeSet<String>) {
    let mut world = World::founded_by(1);
    let mut names = BTreeSet::new();
    for n in 0..count {
        let text = match n % 5 {
            0 => format!("file-{n}"),
            1 => format!("film-é/{}/part-{n}", n % 17),
            2 => format!("a/{}/b/{n}", n % 3),
            3 => format!("folder{}/{n}", n % 70),
            _ => format!("a{n}/x"),
        };
        world.touch(&text);
        names.insert(text);
    }
    (world, names)
}

#[test]
fn pages_of_2500_names_equal_those_of_a_naive_model() {
    let (mut world, names) = filled(2500);
    let prefixes = [
        "",
        "a",
        "a/",
        "film-",
        "film-é/3/",
        "folder7",
        "x",
        "a/1/b",
        "file-1",
    ];
    let afters = prop_oneof![
        Just(None),
        Just(Some("a/".to_owned())),
        Just(Some("a/1/b/117".to_owned())),
        Just(Some("folder69/".to_owned())),
        Just(Some("zzz".to_owned())),
        "[a-z/é]{1,6}".prop_map(Some),
        prop::sample::select(names.iter().cloned().collect::<Vec<_>>()).prop_map(Some),
    ];
    let delimiters = prop::sample::select(vec![None, Some('/'), Some('-'), Some('é')]);
    let lists = (
        prop::sample::select(prefixes.to_vec()),
        delimiters,
        afters,
        1_usize..=1000,
    );
    let config = Config {
        failure_persistence: None,
        ..Config::with_cases(200)
    };
    let mut runner = TestRunner::new(config);
    let world = std::cell::RefCell::new(&mut world);
    runner
        .run(&lists, |(prefix, delimiter, after, limit)| {
            let list = List {
                prefix: prefix.to_owned(),
                delimiter,
                after,
                limit,
            };
            let page = done(world.borrow_mut().list(list.clone())).unwrap();
            let model = lines(&names, &list);
            let wanted: Vec<String> = model.iter().take(limit).cloned().collect();
            prop_assert_eq!(&merged(&page), &wanted);
            let next = (model.len() > limit).then(|| wanted[limit - 1].clone());
            prop_assert_eq!(page.next, next);
            Ok(())
        })
        .unwrap();
}

#[test]
fn following_the_pages_gives_every_name_once() {
    let (mut world, names) = filled(300);
    for delimiter in [None, Some('/')] {
        let mut list = List {
            delimiter,
            limit: 7,
            ..List::default()
        };
        let wanted = lines(&names, &list);
        let mut found = Vec::new();
        loop {
            let page = done(world.list(list.clone())).unwrap();
            found.extend(merged(&page));
            list.after = page.next;
            if list.after.is_none() {
                break;
            }
        }
        assert!(found.is_sorted());
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), wanted);
    }
}
