//! What is asked for people who watch: pages of names, events, figures. None of it is the loop's work.

use super::command::{Browse, Browsed};
use super::handle::{LeaderHandle, Question, unexpected};
use crate::board::{Board, Copy};
use crate::error::Error;
use mdfs_protocol::ask::{Asked, EventsAfter, Told};
use mdfs_protocol::public::Rates;
use std::sync::Arc;
use std::time::Duration;

/// How long a page waits for its turn.
const PAGE_WAIT: Duration = Duration::from_secs(5);

impl LeaderHandle {
    /// One page of names, searched and sorted.
    pub async fn browse(&self, browse: Browse) -> Result<Browsed, Error> {
        match self.ask(Asked::Browse(browse)).await? {
            Told::Browsed(page) => Ok(page),
            other => Err(unexpected(&other)),
        }
    }

    /// What goes on, as this master shows it.
    pub fn board(&self) -> &Board {
        &self.board
    }

    /// What the board of another master has that leads, as JSON; none if there is none, or it does not
    /// say.
    pub async fn board_of_leader(&self, after: EventsAfter) -> Option<Vec<u8>> {
        let told = self.route.as_ref()?.try_ask(Asked::Events(after)).await?;
        match told {
            Told::Json(json) => Some(json),
            _ => None,
        }
    }

    /// The bytes in a second that masters move; none if that is not known.
    pub async fn rates(&self) -> Option<Rates> {
        if self.board.is_own() {
            return self.board.rates();
        }
        let nothing = EventsAfter::default();
        let json = self.board_of_leader(nothing).await?;
        let copy: Copy = serde_json::from_slice(&json).ok()?;
        copy.tick.and_then(|tick| tick.rates)
    }

    /// The figures of the last so many minutes, as JSON.
    pub async fn history(&self, minutes: u64) -> Result<Vec<u8>, Error> {
        match self.ask(Asked::History(minutes)).await? {
            Told::Json(json) => Ok(json),
            other => Err(unexpected(&other)),
        }
    }

    /// What this master's own board has.
    pub(super) fn board_here(&self, asked: &Asked) -> Result<Told, Error> {
        let not_here = || Error::NotLeader { hint: None };
        if !self.board.is_own() {
            return Err(not_here());
        }
        let json = match asked {
            Asked::Events(after) => {
                serde_json::to_vec(&self.board.copy(after).ok_or_else(not_here)?)
            }
            Asked::History(minutes) => serde_json::to_vec(&self.board.history(*minutes)),
            Asked::Traffic(said) => {
                self.board.hear(said.clone());
                return Ok(Told::Done);
            }
            _ => return Err(Error::Broken("a question went astray".to_owned())),
        };
        json.map(Told::Json)
            .map_err(|error| Error::Broken(error.to_string()))
    }

    /// The same of this master's own records.
    pub(super) async fn browse_here(&self, browse: Browse) -> Result<Browsed, Error> {
        let turn = Arc::clone(&self.pages).acquire_owned();
        let Ok(Ok(turn)) = tokio::time::timeout(PAGE_WAIT, turn).await else {
            return Err(Error::Busy);
        };
        let prefix = browse.prefix.clone();
        let records = self.put(|answer| Question::Records(prefix, answer)).await?;
        // Goes with this future.
        let waiting = Arc::new(());
        let is_wanted = Arc::downgrade(&waiting);
        let made = self.threads.run(move || {
            // The thread goes on when nobody waits any more, so the turn is the thread's.
            let _turn = turn;
            records.page(&browse, &|| is_wanted.strong_count() > 0)
        });
        let made = made.await;
        drop(waiting);
        made.map_err(|died| Error::Broken(died.to_string()))?
    }
}

#[cfg(test)]
mod tests {
    use super::super::browse::Records;
    use super::super::command::{By, Sorted};
    use super::super::handle::MOST_PAGES;
    use super::*;
    use mdfs_core::log::table::Table;
    use mdfs_core::ring::ReplicationFactor;
    use mdfs_service::{Tasks, Threads};
    use tokio::sync::mpsc;
    use tokio_util::sync::CancellationToken;

    /// A page that nobody waits for any more still has its turn while a thread makes it.
    #[tokio::test(start_paused = true)]
    async fn abandoned_pages_do_not_pile_up() {
        let tasks = Tasks::new(CancellationToken::new());
        let (sender, mut inbox) = mpsc::channel(8);
        let _leader = tasks.spawn_request("leader", async move {
            while let Some(Question::Records(_, answer)) = inbox.recv().await {
                let _ = answer.send(Ok(Records {
                    table: Table::default(),
                    replicas: ReplicationFactor::DEFAULT,
                    counted: None,
                }));
            }
        });
        let takes = Duration::from_secs(60);
        let mut handle = LeaderHandle::new(sender);
        handle.threads = Threads::inline(tasks.clone(), move || takes);
        let page = || Browse {
            prefix: String::new(),
            delimiter: None,
            search: None,
            order: Sorted {
                by: By::Size,
                falling: true,
            },
            after: None,
            limit: 1,
        };
        for _ in 0..MOST_PAGES {
            let gone = tokio::time::timeout(Duration::from_secs(1), handle.browse_here(page()));
            assert!(gone.await.is_err());
        }
        assert_eq!(handle.pages.available_permits(), 0);
        assert!(matches!(handle.browse_here(page()).await, Err(Error::Busy)));
        let all = u32::try_from(MOST_PAGES).unwrap();
        let ended = tokio::time::timeout(takes * 2, handle.pages.acquire_many(all));
        assert!(ended.await.is_ok());
    }
}
