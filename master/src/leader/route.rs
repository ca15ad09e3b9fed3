//! Where questions go: to this master's own loop, or to the master that leads.
//!
//! A question that came from another master goes nowhere else ([`LeaderHandle::answer`]), so none is
//! passed on twice. A change whose fate is open, because its answer was lost, is asked again only if the
//! second time is recognised ([`Asked::is_repeatable`]); whoever sent any other has to look what came of
//! it.

use super::handle::LeaderHandle;
use crate::error::Error;
use mdfs_client::link::Links;
use mdfs_protocol::ask::{Asked, Refused, Told};
use mdfs_protocol::internal::Leader;
use mdfs_protocol::problem::Code;
use mdfs_service::watch;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// Questions that wait here because whoever leads did not answer them. As many as a loop holds; more
/// are answered "busy", so memory stays bounded.
const MAX_WAITING: usize = 4096;
/// How soon a question is put again, if nothing is heard of a leader before.
const AGAIN: Duration = Duration::from_millis(50);
/// In which the leader has to answer even what was held here for long.
const LEAST: Duration = Duration::from_secs(1);
/// In which the leader has to have started a cluster, or said why not.
const BOOTSTRAP: Duration = Duration::from_secs(30);
/// In which the leader has to say what the state is, before this master says what it knows itself.
const STATUS: Duration = Duration::from_secs(2);

/// Who leads, as this master's loop sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Lead {
    /// This master, now or in a moment.
    Here,
    /// Another master, as voters told last.
    At(Leader),
    /// Nobody that is known.
    #[default]
    Nobody,
}

impl Lead {
    /// Who leads elsewhere.
    pub fn elsewhere(&self) -> Option<&Leader> {
        match self {
            Lead::At(leader) => Some(leader),
            Lead::Here | Lead::Nobody => None,
        }
    }
}

/// The way to whoever leads.
#[derive(Debug)]
pub struct Route {
    lead: watch::Receiver<Lead>,
    links: Links,
    hold: Duration,
    waiting: Semaphore,
}

/// What came of one try.
enum Tried {
    /// An answer.
    Done(Result<Told, Error>),
    /// Nothing was done.
    Nothing,
    /// Whether something was done is not known.
    Open,
}

impl Route {
    /// A route by what the loop says of who leads. Questions are held for up to `hold` while nobody
    /// answers them.
    pub fn new(lead: watch::Receiver<Lead>, links: Links, hold: Duration) -> Self {
        Self {
            lead,
            links,
            hold,
            waiting: Semaphore::new(MAX_WAITING),
        }
    }

    /// Who else is to be asked, if this master does not lead; within, who that is as far as is known.
    pub(super) fn not_here(&self) -> Option<Option<Leader>> {
        match self.lead.get() {
            Lead::Here => None,
            Lead::At(leader) => Some(Some(leader)),
            Lead::Nobody => Some(None),
        }
    }

    /// The other master that leads, if there is one.
    pub(super) fn elsewhere(&self) -> Option<Leader> {
        self.lead.get().elsewhere().cloned()
    }

    /// Asks whoever leads, again and again until that is known to have answered, or must not be asked
    /// again, or the time is over.
    pub(super) async fn ask(&self, here: &LeaderHandle, asked: Asked) -> Result<Told, Error> {
        let deadline = Instant::now() + self.hold;
        match self.attempt(here, asked.clone(), deadline).await {
            Tried::Done(done) => return done,
            tried => self.check(here, &tried, &asked, deadline)?,
        }
        let Ok(_turn) = self.waiting.try_acquire() else {
            return Err(Error::Busy);
        };
        let mut lead = self.lead.clone();
        loop {
            // Marks what is there as seen: only what comes later ends the pause.
            lead.see();
            let _ = tokio::time::timeout(AGAIN, lead.changed()).await;
            let attempt = self.attempt(here, asked.clone(), deadline);
            // This master's own loop holds a question for its whole time once more.
            let tried = tokio::time::timeout_at(deadline + LEAST, attempt).await;
            match tried.unwrap_or(Tried::Open) {
                Tried::Done(done) => return done,
                tried => self.check(here, &tried, &asked, deadline)?,
            }
        }
    }

    /// Whether a question may be put again.
    fn check(
        &self,
        here: &LeaderHandle,
        tried: &Tried,
        asked: &Asked,
        deadline: Instant,
    ) -> Result<(), Error> {
        let may = matches!(tried, Tried::Nothing) || asked.is_repeatable();
        if !may || here.is_closed() || Instant::now() >= deadline {
            return Err(Error::NoLeader);
        }
        Ok(())
    }

    /// Asks whoever leads elsewhere, once. None if that is nobody, or does not answer.
    pub(super) async fn try_ask(&self, asked: Asked) -> Option<Told> {
        let leader = self.lead.get().elsewhere().cloned()?;
        match self.links.ask(&leader.url, &asked, STATUS).await.ok()? {
            Told::Refused(_) | Told::NotLeader { .. } => None,
            told => Some(told),
        }
    }

    async fn attempt(&self, here: &LeaderHandle, asked: Asked, deadline: Instant) -> Tried {
        let leader = self.lead.get().elsewhere().cloned();
        match leader {
            Some(leader) => self.forward(&leader, &asked, deadline).await,
            None => match here.here(asked).await {
                Err(Error::NotLeader { .. }) => Tried::Nothing,
                Err(Error::NoLeader) => Tried::Open,
                done => Tried::Done(done),
            },
        }
    }

    async fn forward(&self, leader: &Leader, asked: &Asked, deadline: Instant) -> Tried {
        let within = match asked {
            Asked::Bootstrap(_) => BOOTSTRAP,
            _ => deadline.duration_since(Instant::now()).max(LEAST),
        };
        let mut lead = self.lead.clone();
        let leads_no_more = lead.wait_for(|lead| {
            let now = lead.elsewhere();
            now.is_none_or(|now| now.url != leader.url)
        });
        let told = tokio::select! {
            biased;
            told = self.links.ask(&leader.url, asked, within) => told,
            // It may be stopped in the middle of the question, and answer after hours.
            _ = leads_no_more => return Tried::Open,
        };
        match told {
            Ok(Told::NotLeader { .. }) => Tried::Nothing,
            Ok(Told::Refused(Refused::NoLeader)) => Tried::Open,
            Ok(Told::Refused(refused)) => Tried::Done(Err(refused.into())),
            Ok(told) => Tried::Done(Ok(told)),
            Err(error) => {
                tracing::debug!(leader = leader.url, %error, "the leader did not answer");
                match error.code() {
                    // It was not even taken for a question, as there were too many.
                    Some(Code::Busy | Code::Unavailable) => Tried::Nothing,
                    // The same question will be refused each time.
                    Some(code) if code != Code::Internal => {
                        tracing::warn!(leader = leader.url, %error, "the leader refuses to be asked");
                        Tried::Done(Err(Error::NoLeader))
                    }
                    _ if error.is_unsent() => Tried::Nothing,
                    _ => Tried::Open,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
