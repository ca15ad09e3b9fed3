//! The feed: to masters that follow this one, and from the one that it follows.

use super::super::following::Following;
use super::super::handle::Answer;
use super::{Metadata, Now, respond};
use crate::error::Error;
use mdfs_core::time::Timestamp;
use mdfs_protocol::feed::{FeedFrom, FeedReply, FeedRequest};
use mdfs_protocol::internal::MOST_MASTERS;
use std::collections::VecDeque;
use std::time::Duration;

/// Masters that wait for news at a time, one question each, of as many as there may be besides this
/// one; whoever waits longest makes room.
const MOST_WAITING: usize = MOST_MASTERS - 1;
/// How long they wait at most: by an answer they also know that this master is there.
const NEWS_WITHIN: Duration = Duration::from_secs(1);

/// Those who wait for news.
#[derive(Debug, Default)]
pub(super) struct Feeds {
    waiting: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    url: String,
    until: Timestamp,
    from: FeedFrom,
    answer: Answer<FeedReply>,
}

impl Feeds {
    /// Whether a master waited for news and its connection has ended: it has stopped.
    pub(super) fn has_left(&self, url: &str) -> bool {
        let mut theirs = self.waiting.iter().filter(|it| it.url == url).peekable();
        theirs.peek().is_some() && theirs.all(|it| it.answer.is_closed())
    }
}

impl Metadata {
    pub(super) fn follow(&mut self, now: Now, following: Following) {
        match following {
            Following::Serve(request, answer) => self.feed(now, request, answer),
            Following::Where(answer) => respond(answer, Ok(self.log.feed_from())),
            Following::Take(page, answer) => {
                let effects = self.log.feed(now.mono, *page);
                self.absorb(now, effects);
                respond(answer, Ok(()));
            }
            Following::Gone(answer) => {
                let effects = self.log.poll_now(now.mono);
                self.absorb(now, effects);
                respond(answer, Ok(()));
            }
        }
    }

    /// Feeds another master, at once or when there is news.
    fn feed(&mut self, now: Now, request: FeedRequest, answer: Answer<FeedReply>) {
        self.note_fed(now, &request);
        let waiting = Waiting {
            url: request.url,
            until: now.mono.plus(NEWS_WITHIN),
            from: request.from,
            answer,
        };
        let Some(waiting) = self.answer_feed(now, waiting) else {
            return;
        };
        let waits = &mut self.feeds.waiting;
        if waits.len() >= MOST_WAITING
            && let Some(longest) = waits.pop_front()
        {
            respond(longest.answer, Err(Error::Busy));
        }
        waits.push_back(waiting);
    }

    /// Answers those for whom there is news, or whose time is over.
    pub(super) fn feed_waiting(&mut self, now: Now) {
        let waiting = std::mem::take(&mut self.feeds.waiting);
        let still = waiting
            .into_iter()
            .filter_map(|waiting| self.answer_feed(now, waiting));
        self.feeds.waiting = still.collect();
    }

    /// Gives back whoever has to wait.
    fn answer_feed(&self, now: Now, waiting: Waiting) -> Option<Waiting> {
        let reply = match self.log.serve_feed(&waiting.from) {
            Some(page) if page.is_empty() && now.mono < waiting.until => return Some(waiting),
            Some(page) => Ok(FeedReply::Page(page)),
            // In a moment it leads, or somebody else does: it is not gone.
            None if self.log.is_active() && now.mono < waiting.until => return Some(waiting),
            None if self.log.is_active() => Err(Error::Busy),
            None => Ok(FeedReply::Ended {
                leader: self.known_leader(),
            }),
        };
        respond(waiting.answer, reply);
        None
    }

    /// Tells all who wait that this master leads no more.
    pub(super) fn end_feeds(&mut self) {
        for waiting in std::mem::take(&mut self.feeds.waiting) {
            let leader = self.known_leader();
            respond(waiting.answer, Ok(FeedReply::Ended { leader }));
        }
    }
}
