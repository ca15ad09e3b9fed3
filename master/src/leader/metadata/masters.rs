//! The masters: who leads, and who follows this one.

use super::super::route::Lead;
use super::{Metadata, Now};
use crate::error::Error;
use mdfs_core::time::Timestamp;
use mdfs_protocol::ask::Hello;
use mdfs_protocol::internal::{Leader, MOST_MASTERS};
use std::collections::BTreeMap;
use std::time::Duration;

/// A master that follows and says nothing for so long is gone: it says hello every second.
const GONE: Duration = Duration::from_secs(5);

/// A master that follows has asked for the feed again by then: it was answered within a second. One
/// that has not may have stopped.
const FED_WITHIN: Duration = Duration::from_millis(1500);

/// The masters that follow this one, and when each was last heard of.
#[derive(Debug, Default)]
pub(super) struct Masters {
    heard: BTreeMap<String, Timestamp>,
    /// When each asked for the feed last.
    fed: BTreeMap<String, Timestamp>,
}

impl Metadata {
    /// Who leads, as far as this master knows.
    pub fn lead(&self) -> Lead {
        match self.known_leader() {
            _ if self.log.is_active() => Lead::Here,
            Some(leader) => Lead::At(leader),
            None => Lead::Nobody,
        }
    }

    /// Another master that leads, as far as voters told this one, which follows.
    pub(super) fn known_leader(&self) -> Option<Leader> {
        let (term, url) = self.log.follows()?;
        // An earlier process at the same address leads no more.
        (url != self.settings.log.url).then(|| Leader {
            term,
            url: url.to_owned(),
        })
    }

    /// Who is to be asked instead of this master, if nothing may be held here.
    pub(super) fn asked_elsewhere(&self) -> Option<Error> {
        let hint = self.known_leader();
        let elsewhere = self.settings.routed && (hint.is_some() || self.log.is_resigned());
        elsewhere.then_some(Error::NotLeader { hint })
    }

    /// Notes a master that follows.
    pub(super) fn greet(&mut self, now: Now, hello: Hello) -> Result<(), Error> {
        if self.log.term().is_none() {
            let hint = self.known_leader();
            return Err(Error::NotLeader { hint });
        }
        let masters = &mut self.masters.heard;
        masters.retain(|_, heard| now.mono.since(*heard) < GONE);
        // This one is one more.
        if masters.len() + 1 >= MOST_MASTERS && !masters.contains_key(&hello.url) {
            return Err(Error::Busy);
        }
        masters.insert(hello.url, now.mono);
        Ok(())
    }

    /// Notes a master that asks for the feed.
    pub(super) fn note_fed(&mut self, now: Now, url: String) {
        let fed = &mut self.masters.fed;
        fed.retain(|_, asked| now.mono.since(*asked) < FED_WITHIN);
        if fed.len() + 1 < MOST_MASTERS {
            fed.insert(url, now.mono);
        }
    }

    /// Whether another master is there that would take over at once: it waits for the feed, or did a
    /// moment ago.
    pub fn has_follower_waiting(&self, now: Now) -> bool {
        let mut fed = self.masters.fed.iter();
        fed.any(|(url, asked)| now.mono.since(*asked) < FED_WITHIN && !self.feeds.has_left(url))
    }

    /// The masters that follow this one.
    pub fn followers(&self, now: Now) -> impl Iterator<Item = &str> {
        let heard = self.masters.heard.iter();
        let there = heard.filter(move |(_, heard)| now.mono.since(**heard) < GONE);
        there.map(|(url, _)| url.as_str())
    }
}
