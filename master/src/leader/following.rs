//! Follows the master that leads: reads its feed, so that this one could take over at once.

use super::handle::{Answer, LeaderHandle, Question};
use super::route::Lead;
use crate::error::Error;
use mdfs_client::link::Links;
use mdfs_core::format::FORMATS;
use mdfs_protocol::feed::{FeedFrom, FeedPage, FeedReply, FeedRequest};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// In which the leader has to answer: it does so after a second when there is nothing new.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// How soon it is asked again after it did not answer, or leads no more. Voters are asked as often
/// whether somebody else may lead.
const AGAIN: Duration = Duration::from_millis(100);

/// What the loop is asked about following.
#[derive(Debug)]
pub enum Following {
    /// Another master asks to be fed.
    Serve(FeedRequest, Answer<FeedReply>),
    /// From where on this one wants to be fed; none while it campaigns or leads.
    Where(Answer<Option<FeedFrom>>),
    /// It was fed.
    Take(Box<FeedPage>, Answer<()>),
    /// Whoever led says that it leads no more, or nothing at all.
    Gone(Answer<()>),
}

impl Following {
    /// Answers with an error, whatever was asked.
    pub(super) fn refuse(self, error: Error) {
        // Who asked may have gone; nothing is lost by that.
        match self {
            Following::Serve(_, answer) => drop(answer.send(Err(error))),
            Following::Where(answer) => drop(answer.send(Err(error))),
            Following::Take(_, answer) | Following::Gone(answer) => {
                drop(answer.send(Err(error)));
            }
        }
    }
}

/// Reads the feed of whoever leads elsewhere, until `stop` fires.
///
/// # Cancel safety
/// May be dropped: what was fed so far stays.
pub async fn follow(
    leader: LeaderHandle,
    url: String,
    links: Links,
    lead: watch::Receiver<Lead>,
    stop: CancellationToken,
) {
    let follow = async {
        let mut lead = lead;
        loop {
            let at = lead.borrow_and_update().elsewhere().cloned();
            let Some(at) = at else {
                if lead.changed().await.is_err() {
                    // The loop has ended: the process is stopping.
                    return std::future::pending().await;
                }
                continue;
            };
            if !feed_once(&leader, &url, &links, &at.url).await {
                tokio::time::sleep(AGAIN).await;
            }
        }
    };
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        () = follow => {}
    }
}

/// Reads one page from the master at `at`; false if there is none.
async fn feed_once(leader: &LeaderHandle, url: &str, links: &Links, at: &str) -> bool {
    let Ok(Some(from)) = leader.follow(Following::Where).await else {
        return false;
    };
    let request = FeedRequest {
        url: url.to_owned(),
        formats: FORMATS,
        from,
    };
    match links.feed(at, &request, ANSWER_WITHIN).await {
        Ok(FeedReply::Page(page)) => {
            let page = Box::new(page);
            let taken = leader.follow(|answer| Following::Take(page, answer)).await;
            taken.is_ok()
        }
        Ok(FeedReply::Ended { .. }) | Err(_) => {
            // No answer is the loop's: it may have ended.
            let _ = leader.follow(Following::Gone).await;
            false
        }
    }
}

impl LeaderHandle {
    /// Answers another master that asks to be fed.
    pub async fn feed(&self, request: FeedRequest) -> Result<FeedReply, Error> {
        self.follow(|answer| Following::Serve(request, answer))
            .await
    }

    async fn follow<T>(&self, following: impl FnOnce(Answer<T>) -> Following) -> Result<T, Error> {
        self.put(|answer| Question::Following(following(answer)))
            .await
    }
}
