//! The runs: which bounds, and which rules broken.

use std::time::Duration;

/// A rule that a driver breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mutant {
    /// A disk forgets its fence when it restarts.
    FenceNotDurable,
    /// A disk obeys whoever orders.
    OrdersUnfenced,
    /// Lists are compared with the records of when they were asked for.
    TableOlderThanList,
    /// The chunks of an upload are dropped before its end is committed.
    DropBeforeCommit,
    /// What disks answered to an earlier leader counts.
    OlderAnswersCount,
    /// Whoever repeats a request does not say so.
    RepeatUnmarked,
}

/// What is explored, and what is broken.
#[derive(Clone, Debug)]
pub struct Bounds {
    pub name: &'static str,
    /// Leaders, one after the other.
    pub terms: u8,
    /// Files, each of one chunk, all of the same name.
    pub files: u8,
    pub aborts: u8,
    /// How often the name is deleted: the second time is a repeated request.
    pub deletes: u8,
    /// How often the trash is emptied.
    pub empties: u8,
    /// Lists that leaders ask of disks.
    pub lists: u8,
    /// Copies that leaders order.
    pub copies: u8,
    pub restarts: u8,
    /// How often a disk loses its chunks.
    pub losses: u8,
    /// Messages that come twice.
    pub doubles: u8,
    pub mutant: Option<Mutant>,
    /// A run that takes longer is no proof.
    pub at_most: Duration,
}

/// Names the columns of [`Bounds::list`].
pub const BOUNDS: &str =
    "leaders | files | aborts | deletes | emptied | lists | copies | restarts | losses | doubled";

const LEAST: Bounds = Bounds {
    name: "",
    terms: 1,
    files: 1,
    aborts: 0,
    deletes: 0,
    empties: 0,
    lists: 0,
    copies: 0,
    restarts: 0,
    losses: 0,
    doubles: 0,
    mutant: None,
    at_most: Duration::from_secs(600),
};

impl Bounds {
    /// The bounds in the order of [`BOUNDS`].
    pub fn list(&self) -> String {
        let Self {
            name: _,
            terms,
            files,
            aborts,
            deletes,
            empties,
            lists,
            copies,
            restarts,
            losses,
            doubles,
            mutant: _,
            at_most: _,
        } = self;
        format!(
            "{terms} | {files} | {aborts} | {deletes} | {empties} | {lists} | {copies} | \
             {restarts} | {losses} | {doubles}"
        )
    }
}

/// Small enough for every run of the tests.
pub fn short() -> Vec<Bounds> {
    vec![
        Bounds {
            name: "chunks: 1 leader, abort, list, doubled",
            aborts: 1,
            lists: 1,
            doubles: 1,
            ..LEAST
        },
        Bounds {
            name: "chunks: 2 leaders, abort, list, restart",
            terms: 2,
            aborts: 1,
            lists: 1,
            restarts: 1,
            ..LEAST
        },
        Bounds {
            name: "chunks: 2 files, deleted twice, emptied",
            files: 2,
            deletes: 2,
            empties: 1,
            lists: 1,
            ..LEAST
        },
        Bounds {
            name: "chunks: 2 leaders, loss, abort, list",
            terms: 2,
            losses: 1,
            aborts: 1,
            lists: 1,
            ..LEAST
        },
    ]
}

/// All that is proven.
pub fn full() -> Vec<Bounds> {
    let long = vec![
        Bounds {
            name: "chunks: 2 leaders, 2 lists, abort, delete, emptied, restart",
            terms: 2,
            aborts: 1,
            deletes: 1,
            empties: 1,
            lists: 2,
            restarts: 1,
            ..LEAST
        },
        Bounds {
            name: "chunks: 2 leaders, delete, emptied, copy, loss, list",
            terms: 2,
            deletes: 1,
            empties: 1,
            lists: 1,
            copies: 1,
            losses: 1,
            ..LEAST
        },
        Bounds {
            name: "chunks: 2 leaders, 2 files, delete, emptied, list",
            terms: 2,
            files: 2,
            deletes: 1,
            empties: 1,
            lists: 1,
            ..LEAST
        },
    ];
    [short(), long].concat()
}

/// Each breaks one rule, and the model must see it.
pub fn mutants() -> Vec<Bounds> {
    let taken_over = Bounds {
        terms: 2,
        lists: 1,
        ..LEAST
    };
    let broken = |name, mutant, bounds: &Bounds| Bounds {
        name,
        mutant: Some(mutant),
        ..bounds.clone()
    };
    vec![
        broken(
            "chunks: the fence is not durable",
            Mutant::FenceNotDurable,
            &Bounds {
                restarts: 1,
                ..taken_over.clone()
            },
        ),
        broken(
            "chunks: orders are not fenced",
            Mutant::OrdersUnfenced,
            &taken_over,
        ),
        broken(
            "chunks: a table older than the list",
            Mutant::TableOlderThanList,
            &Bounds {
                terms: 1,
                ..taken_over.clone()
            },
        ),
        broken(
            "chunks: dropped before the end of the upload is committed",
            Mutant::DropBeforeCommit,
            &Bounds {
                aborts: 1,
                ..taken_over.clone()
            },
        ),
        broken(
            "chunks: answers to an earlier leader count",
            Mutant::OlderAnswersCount,
            &Bounds {
                losses: 1,
                ..taken_over.clone()
            },
        ),
        broken(
            "chunks: a repeated request does not say so",
            Mutant::RepeatUnmarked,
            &Bounds {
                terms: 1,
                files: 2,
                deletes: 2,
                lists: 0,
                ..taken_over
            },
        ),
    ]
}
