//! Changes one after the other while voters and masters come and go, against a plain map.

use super::asking::{Asked, commit, done, ids, waits};
use super::world::{HOLD, World};
use crate::error::Error;
use crate::leader::command::{Begun, CommitUpload, OpenUpload};
use crate::leader::handle::Question;
use mdfs_core::id::FileId;
use std::collections::BTreeMap;

/// A generator that gives one history for each seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) % bound
    }
}

struct History {
    world: World,
    chance: Chance,
    /// What every name stands for.
    files: BTreeMap<String, FileId>,
    uncertain: u32,
    done: u32,
}

impl History {
    /// Something breaks or is mended.
    fn disturb(&mut self) {
        match self.chance.below(12) {
            0 => self.world.restart_master(),
            1 => {
                let round = 100 + self.world.now / 1000;
                self.world.promise_to_another(round);
            }
            2 | 3 => {
                let number = 1 + u128::from(self.chance.below(3));
                self.world.cut(&[number]);
            }
            4 => self.world.kill(1 + u128::from(self.chance.below(3))),
            5 | 6 => self.world.heal(),
            _ => {}
        }
        let pause = self.chance.below(8) * 50;
        self.world.run(pause);
    }

    /// The answer, in whatever time it takes.
    fn wait<T>(&mut self, mut asked: Asked<T>) -> Result<T, Error> {
        let mut result = None;
        for _ in 0..(HOLD + 5000) / 100 {
            match asked.try_recv() {
                Ok(answer) => {
                    result = Some(answer);
                    break;
                }
                // The master that was asked is gone.
                Err(tokio::sync::oneshot::error::TryRecvError::Closed) => {
                    result = Some(Err(Error::NoLeader));
                    break;
                }
                Err(tokio::sync::oneshot::error::TryRecvError::Empty) => {}
            }
            if self.chance.below(20) == 0 {
                self.disturb();
            }
            self.world.run(100);
        }
        result.expect("a question stays without an answer")
    }

    fn name(&mut self) -> String {
        format!("file-{}", self.chance.below(4))
    }

    fn change(&mut self) {
        let (name, other) = (self.name(), self.name());
        let result = match self.chance.below(4) {
            0 | 1 => self.store(&name),
            2 => self.delete(&name),
            _ => self.rename(&name, &other),
        };
        match result {
            Ok(()) => self.done += 1,
            Err(Error::NoLeader | Error::NoQuorum | Error::TooFewWorkers { .. }) => {
                // Its fate is open until somebody reads; from then on it is settled.
                self.uncertain += 1;
                let before = self.files.clone();
                self.files = self.read();
                let changed: Vec<_> = [&name, &other]
                    .into_iter()
                    .filter(|name| before.get(*name) != self.files.get(*name))
                    .collect();
                let mut expected = before;
                for name in changed {
                    match self.files.get(name) {
                        Some(file) => expected.insert(name.clone(), *file),
                        None => expected.remove(name),
                    };
                }
                assert_eq!(self.files, expected, "names that nobody changed differ");
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn store(&mut self, name: &str) -> Result<(), Error> {
        let asked = self.world.begin(name);
        let upload = match self.wait(asked)? {
            Begun::Open(upload) => upload,
            Begun::Already(_) => panic!("no request was repeated"),
        };
        let on = match self.world.place(&upload, 0) {
            Ok(sites) => ids(sites),
            Err(Error::UploadNotOpen { .. }) => panic!("a committed upload is gone"),
            Err(error) => return Err(error),
        };
        self.disturb();
        let file = self.commit(upload, &on)?;
        self.files.insert(name.to_owned(), file);
        Ok(())
    }

    fn commit(
        &mut self,
        mut upload: OpenUpload,
        on: &[mdfs_core::id::DiskId],
    ) -> Result<FileId, Error> {
        loop {
            let order: CommitUpload = commit(&upload, on);
            let asked = self
                .world
                .ask(|answer| Question::CommitUpload(order, answer));
            match self.wait(asked) {
                Ok(info) => return Ok(info.record.file),
                Err(Error::VerifyFirst { term }) => upload.term = term,
                // A master that did not hear of the commit finds no upload any more.
                Err(Error::UploadNotOpen { .. }) => return Err(Error::NoLeader),
                Err(error) => return Err(error),
            }
        }
    }

    fn delete(&mut self, name: &str) -> Result<(), Error> {
        let there = self.files.contains_key(name);
        let asked = self.world.delete(name);
        match self.wait(asked) {
            Ok(()) => {
                assert!(there, "{name} was deleted and not there");
                self.files.remove(name);
                Ok(())
            }
            Err(Error::FileNotFound { .. }) => {
                assert!(!there, "{name} is there and was not found");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), Error> {
        let (there, taken) = (self.files.contains_key(from), self.files.contains_key(to));
        let asked = self.world.rename(from, to);
        match self.wait(asked) {
            Ok(info) => {
                assert!(there, "{from} was moved and not there");
                self.files.remove(from);
                self.files.insert(to.to_owned(), info.record.file);
                Ok(())
            }
            Err(Error::FileNotFound { .. }) => {
                assert!(!there, "{from} is there and was not found");
                Ok(())
            }
            Err(Error::NameTaken { .. }) => {
                assert!(there && taken, "{to} is not taken");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// All names and what they stand for, read when all is mended.
    fn read(&mut self) -> BTreeMap<String, FileId> {
        self.world.heal();
        self.world.run(12_000);
        let list = crate::leader::command::List {
            limit: 100,
            ..Default::default()
        };
        let page = done(self.world.list(list)).unwrap();
        let files = page.files.into_iter();
        files
            .map(|info| (info.name.to_string(), info.record.file))
            .collect()
    }
}

#[test]
fn what_was_answered_holds_whatever_fails() {
    let (mut done, mut uncertain) = (0, 0);
    for seed in 1..=6 {
        let mut history = History {
            world: World::founded(),
            chance: Chance(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed)),
            files: BTreeMap::new(),
            uncertain: 0,
            done: 0,
        };
        for _ in 0..60 {
            history.disturb();
            history.change();
        }
        let files = history.read();
        assert_eq!(files, history.files, "seed {seed}");
        (done, uncertain) = (done + history.done, uncertain + history.uncertain);
        let kept = format!("{:?}", history.world.master.catalog);
        history.world.restart_master();
        assert_eq!(history.read(), files, "seed {seed}");
        let derived = format!("{:?}", history.world.master.catalog);
        assert!(
            kept == derived,
            "seed {seed}: figures differ from those derived anew"
        );
        let mut begun = history.world.begin("last");
        assert!(
            !waits(&mut begun),
            "seed {seed}: nothing can be written any more"
        );
    }
    assert!(
        done > 100 && uncertain > 10,
        "{done} done, {uncertain} uncertain"
    );
}
