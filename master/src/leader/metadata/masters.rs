//! The masters: who leads, who follows this one, and which are known at all.

use super::super::route::Lead;
use super::super::seeds::Present;
use super::{Metadata, Now};
use crate::error::Error;
use mdfs_core::detect::Liveness;
use mdfs_core::format::{Formats, KNOWN_FOR};
use mdfs_core::id::DiskId;
use mdfs_core::log::feed::{Extent, FeedFrom};
use mdfs_core::time::Timestamp;
use mdfs_protocol::ask::Hello;
use mdfs_protocol::feed::FeedRequest;
use mdfs_protocol::internal::{Leader, MOST_MASTERS, URL_MAX_BYTES};
use mdfs_protocol::public::{MasterInfo, MasterRole};
use mdfs_service::settings::is_base_url;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// A master that follows and says nothing for so long is gone: it says hello every second, and asks to
/// be fed as often.
const GONE: Duration = Duration::from_secs(5);

/// A master that follows has asked for the feed again by then: it was answered within a second. One
/// that has not may have stopped.
const FED_WITHIN: Duration = Duration::from_millis(1500);

/// So many masters are remembered, besides this one: all that there may be, and as many that went
/// while servers were replaced.
const MOST_REMEMBERED: usize = 2 * MOST_MASTERS;

/// The longest name of a version that is remembered, in bytes.
const VERSION_MAX_BYTES: usize = 64;

/// The version of this program.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The masters that follow this one, by their URL.
#[derive(Debug, Default)]
pub(super) struct Masters {
    /// Those that are there, and those that went less than [`KNOWN_FOR`] ago: they may come back as the
    /// program that they were. At most [`MOST_REMEMBERED`].
    followers: BTreeMap<String, Follower>,
    /// When one that is not among them was heard of last, for want of room.
    missed: Option<Timestamp>,
}

impl Masters {
    /// What each knows of those that follow, or did a while ago; none for those that are not
    /// remembered.
    pub(super) fn formats(&self, now: Now) -> impl Iterator<Item = Option<Formats>> {
        let lately = move |heard: Timestamp| now.mono.since(heard) < KNOWN_FOR;
        let followers = self.followers.values();
        let known = followers.filter(move |it| lately(it.heard));
        let missed = self.missed.filter(|heard| lately(*heard));
        let known = known.map(|it| Some(it.formats));
        known.chain(missed.map(|_| None))
    }

    /// Makes room for one more that is there, if need be; false if there are too many.
    fn make_room(&mut self, now: Now, url: &str) -> bool {
        let Self { followers, missed } = self;
        followers.retain(|_, it| now.mono.since(it.heard) < KNOWN_FOR);
        if followers.get(url).is_some_and(|it| it.is_there(now)) {
            return true;
        }
        let present = followers.values().filter(|it| it.is_there(now)).count();
        // This master is one more.
        if present + 1 >= MOST_MASTERS {
            *missed = Some(now.mono);
            return false;
        }
        if followers.len() >= MOST_REMEMBERED && !followers.contains_key(url) {
            // Not one of those that are there: they are fewer.
            let longest = followers.iter().min_by_key(|(_, it)| it.heard);
            if let Some((url, heard)) = longest.map(|(url, it)| (url.clone(), it.heard)) {
                followers.remove(&url);
                *missed = (*missed).max(Some(heard));
            }
        }
        true
    }
}

/// What a master that follows said.
#[derive(Debug)]
struct Follower {
    heard: Timestamp,
    formats: Formats,
    /// None before it said hello.
    version: Option<String>,
    /// The last entry that it has a copy of, and whether it has all records as of that.
    copied: Option<(u64, bool)>,
    /// When it asked for the feed last.
    fed: Option<Timestamp>,
}

impl Follower {
    fn is_there(&self, now: Now) -> bool {
        now.mono.since(self.heard) < GONE
    }
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
        let Hello {
            url,
            formats,
            version,
        } = hello;
        if self.log.term().is_none() {
            let hint = self.known_leader();
            return Err(Error::NotLeader { hint });
        }
        let follower = self.follower(now, url, formats).ok_or(Error::Busy)?;
        let known = version.len() <= VERSION_MAX_BYTES && !version.contains(char::is_control);
        follower.version = known.then_some(version);
        Ok(())
    }

    /// Notes how far a master is that asks to be fed.
    pub(super) fn note_fed(&mut self, now: Now, request: &FeedRequest) {
        let FeedRequest { url, formats, from } = request;
        let FeedFrom { have } = from;
        let copied = have.as_ref();
        let copied = copied.map(|have| (have.position.index, have.extent == Extent::Whole));
        if self.log.term().is_some()
            && let Some(follower) = self.follower(now, url.clone(), *formats)
        {
            (follower.copied, follower.fed) = (copied, Some(now.mono));
        }
    }

    /// What is known of a master that follows and was heard of now; none if there are too many, or it
    /// does not say where it is.
    fn follower(&mut self, now: Now, url: String, formats: Formats) -> Option<&mut Follower> {
        let is_fit = url.len() <= URL_MAX_BYTES && is_base_url(&url);
        if !is_fit || !self.masters.make_room(now, &url) {
            return None;
        }
        let new = || Follower {
            heard: now.mono,
            formats,
            version: None,
            copied: None,
            fed: None,
        };
        let follower = self.masters.followers.entry(url).or_insert_with(new);
        if !follower.is_there(now) {
            // What is there now may be another process.
            *follower = new();
        }
        (follower.heard, follower.formats) = (now.mono, formats);
        Some(follower)
    }

    /// Whether another master is there that would take over at once: it waits for the feed, or did a
    /// moment ago, and knows what the log may hold.
    pub fn has_follower_waiting(&self, now: Now) -> bool {
        let asked_lately = |follower: &Follower| {
            let asked = follower.fed;
            asked.is_some_and(|asked| now.mono.since(asked) < FED_WITHIN)
        };
        let mut followers = self.masters.followers.iter();
        followers.any(|(url, follower)| {
            let may_lead = self.knows_format(follower.formats);
            may_lead && asked_lately(follower) && !self.feeds.has_left(url)
        })
    }

    /// The masters that follow this one and would not take over: they do not know what the log may hold.
    pub(super) fn outdated_followers(&self, now: Now) -> impl Iterator<Item = &str> {
        let followers = self.present_followers(now);
        let outdated = followers.filter(|(_, it)| !self.knows_format(it.formats));
        outdated.map(|(url, _)| url)
    }

    /// The masters that follow this one.
    pub fn followers(&self, now: Now) -> impl Iterator<Item = &str> {
        self.present_followers(now).map(|(url, _)| url)
    }

    fn present_followers(&self, now: Now) -> impl Iterator<Item = (&str, &Follower)> {
        let followers = self.masters.followers.iter();
        let present = followers.filter(move |(_, it)| it.is_there(now));
        present.map(|(url, follower)| (url.as_str(), follower))
    }

    /// All masters that are known, for workers to beat at: this one first. None if it does not know where
    /// it is reached: it listens on all addresses and was not told.
    pub(super) fn known_masters(&self, now: Now) -> Vec<String> {
        let own = &self.settings.log.url;
        if !is_somewhere(own) {
            return Vec::new();
        }
        let leader = self.known_leader().map(|leader| leader.url);
        let mut urls = vec![own.clone()];
        let others = leader.into_iter();
        let others = others.chain(self.followers(now).map(ToOwned::to_owned));
        for url in others {
            if !urls.contains(&url) && is_somewhere(&url) {
                urls.push(url);
            }
        }
        urls.truncate(MOST_MASTERS);
        urls
    }

    /// Which disks beat here, for whoever looks for more.
    pub(super) fn present(&self, now: Now) -> Present {
        let live = |disk: &DiskId| self.fleet.liveness(*disk, now.mono) == Liveness::Live;
        Present {
            cluster: self.certain_cluster(),
            disks: self
                .fleet
                .iter()
                .map(|(disk, _)| disk)
                .filter(live)
                .collect(),
        }
    }

    /// The masters for a status: this one first.
    pub(super) fn list_masters(&self, now: Now) -> Vec<MasterInfo> {
        let commit = self.log.commit();
        let own = MasterInfo {
            url: self.settings.log.url.clone(),
            role: match self.log.term() {
                Some(_) => MasterRole::Leader,
                None => MasterRole::Follower,
            },
            heard_millis_ago: Some(0),
            copied: commit.or_else(|| self.log.copied_up_to()),
            behind: commit.map(|_| 0),
            warm: self.log.is_warm(),
            version: Some(VERSION.to_owned()),
            format_least: Some(self.settings.formats.least),
            format_most: Some(self.settings.formats.most),
        };
        let leader = self.known_leader().map(|leader| MasterInfo {
            url: leader.url,
            role: MasterRole::Leader,
            heard_millis_ago: None,
            copied: None,
            behind: None,
            warm: false,
            version: None,
            format_least: None,
            format_most: None,
        });
        let followers = self.present_followers(now);
        // While it leads: what they said at an earlier time says nothing of now.
        let followers = followers.filter(|_| commit.is_some());
        let followers = followers.map(|(url, follower)| {
            let copied = follower.copied.map(|(index, _)| index);
            let ago = now.mono.since(follower.heard).as_millis();
            MasterInfo {
                url: url.to_owned(),
                role: MasterRole::Follower,
                heard_millis_ago: Some(u64::try_from(ago).unwrap_or(u64::MAX)),
                copied,
                behind: commit.zip(copied).map(|(end, at)| end.saturating_sub(at)),
                warm: follower.copied.is_some_and(|(_, whole)| whole),
                version: follower.version.clone(),
                format_least: Some(follower.formats.least),
                format_most: Some(follower.formats.most),
            }
        });
        let all = std::iter::once(own).chain(leader).chain(followers);
        all.take(MOST_MASTERS).collect()
    }
}

/// Whether others can go there: it is no address that stands for all addresses of a machine.
pub(crate) fn is_somewhere(url: &str) -> bool {
    let Ok(uri) = url.parse::<http::Uri>() else {
        return false;
    };
    let host = uri.host().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let address = bare.parse::<IpAddr>();
    is_base_url(url) && !address.is_ok_and(|address| address.is_unspecified())
}
