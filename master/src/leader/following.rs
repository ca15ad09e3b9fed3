//! Follows the master that leads: reads its feed, so that this one could take over at once.

use super::handle::{Answer, LeaderHandle, Question};
use super::route::Lead;
use crate::error::Error;
use mdfs_client::link::{LinkError, Links};
use mdfs_core::format::FORMATS;
use mdfs_protocol::feed::{FeedFrom, FeedPage, FeedReply, FeedRequest};
use mdfs_protocol::problem::Code;
use mdfs_service::watch;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// In which the leader has to answer: it does so after a second when there is nothing new.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// How soon it is asked again after it did not answer, or leads no more, and twice as long each time
/// after that. Voters are asked as often whether somebody else may lead: what they say of the lease
/// tells when it is worth while.
const AGAIN: Duration = Duration::from_millis(100);
/// The longest such pause.
const AGAIN_MOST: Duration = Duration::from_secs(1);

/// What came of asking once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fed {
    /// A page was taken.
    Page,
    /// It leads, and has no page now: others wait there, or it has only just begun.
    Later,
    /// It leads no more, or nobody answers there.
    Gone,
}

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
        let (mut lead, mut pause) = (lead, AGAIN);
        loop {
            let at = lead.see().elsewhere().cloned();
            let Some(at) = at else {
                if lead.changed().await.is_err() {
                    // The loop has ended: the process is stopping.
                    return std::future::pending().await;
                }
                pause = AGAIN;
                continue;
            };
            match feed_once(&leader, &url, &links, &at.url).await {
                Fed::Page => pause = AGAIN,
                Fed::Later => tokio::time::sleep(AGAIN).await,
                Fed::Gone => {
                    // No answer is the loop's: it may have ended.
                    let _ = leader.follow(Following::Gone).await;
                    // Another one that leads is asked at once.
                    if let Ok(changed) = tokio::time::timeout(pause, lead.changed()).await {
                        if changed.is_err() {
                            return std::future::pending().await;
                        }
                        pause = AGAIN;
                    } else {
                        pause = (pause * 2).min(AGAIN_MOST);
                    }
                }
            }
        }
    };
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        () = follow => {}
    }
}

/// Reads one page from the master at `at`.
async fn feed_once(leader: &LeaderHandle, url: &str, links: &Links, at: &str) -> Fed {
    let Ok(Some(from)) = leader.follow(Following::Where).await else {
        return Fed::Later;
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
            taken.map_or(Fed::Later, |()| Fed::Page)
        }
        Ok(FeedReply::Ended { .. }) => Fed::Gone,
        Err(error) => without_page(&error),
    }
}

/// What it means that no page came.
fn without_page(error: &LinkError) -> Fed {
    match error.code() {
        Some(Code::Busy | Code::Unavailable) => Fed::Later,
        Some(_) | None => Fed::Gone,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_that_is_busy_is_not_gone() {
        let refused = |code| LinkError::Refused {
            url: "http://m".to_owned(),
            code,
            detail: String::new(),
        };
        assert_eq!(without_page(&refused(Code::Busy)), Fed::Later);
        assert_eq!(without_page(&refused(Code::Internal)), Fed::Gone);
        let silent = LinkError::Unreachable {
            url: "http://m".to_owned(),
            source: "nobody".into(),
        };
        assert_eq!(without_page(&silent), Fed::Gone);
    }
}
