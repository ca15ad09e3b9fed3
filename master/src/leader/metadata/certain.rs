//! Answers that wait: for a commit, for the certainty that this master still leads, for a leader.

use super::super::catalog::steps;
use super::super::handle::{Answer, Question};
use super::refusal::{reason_of, refusal_of};
use super::voting::{Forgotten, error_of};
use super::{Effect, MAX_HELD, Metadata, Now, respond};
use crate::error::Error;
use mdfs_core::id::{FileId, RequestId};
use mdfs_core::log::leader::NotLeading;
use mdfs_core::log::message::Put;
use mdfs_core::records::plan::{Planned, plan_refused};
use mdfs_core::time::Timestamp;

/// Called once what it waits for is certain, or will not be.
pub(super) type Certain = Box<dyn FnOnce(Result<(), Error>) + Send>;
/// Called once the committed records may be read, or cannot be.
pub(super) type Read = Box<dyn FnOnce(Result<&Metadata, Error>, Now) + Send>;

/// An answer that waits for a commit.
pub(super) struct Waiting {
    /// None once it was answered that its fate is open.
    pub(super) answer: Option<Certain>,
    /// Until when it waits.
    deadline: Timestamp,
    /// Carried out when it commits, however late.
    pub(super) then: Vec<Effect>,
}

impl Waiting {
    pub(super) fn new(answer: Certain, deadline: Timestamp) -> Self {
        Self {
            answer: Some(answer),
            deadline,
            then: Vec::new(),
        }
    }
}

pub(super) enum Held {
    Question(Question),
    Read(Read),
}

impl Metadata {
    /// Appends what was planned. `answer` is called once it is committed, or its fate is open: when
    /// this master steps down, or at the deadline.
    pub(super) fn append(
        &mut self,
        now: Now,
        deadline: Timestamp,
        request: Option<RequestId>,
        puts: Vec<Put>,
        then: Vec<Effect>,
        answer: Certain,
    ) -> Result<(), (NotLeading, Certain)> {
        let steps = match self.log.view().map(|view| steps(&view, &puts)) {
            Some(Ok(steps)) => steps,
            Some(Err(corrupt)) => {
                answer(Err(Error::Broken(corrupt.to_string())));
                return Ok(());
            }
            None => return Err((NotLeading::Follower, answer)),
        };
        match self.log.append(now.mono, request, puts) {
            Ok((index, effects)) => {
                for step in &steps {
                    self.planned.apply(step);
                    self.trash.apply(step);
                    self.note_upload(now, step);
                }
                self.steps.insert(index, steps);
                self.waiting.entry(index).or_default().push(Waiting {
                    answer: Some(answer),
                    deadline,
                    then,
                });
                self.absorb(now, effects);
                Ok(())
            }
            Err(refused) => Err((refused, answer)),
        }
    }

    /// Forces the voters, with records that are written before; answers as [`Metadata::append`] does.
    /// Whether it was appended.
    pub(super) fn force(
        &mut self,
        now: Now,
        deadline: Timestamp,
        (lost, survivors, puts): Forgotten,
        answer: Answer<()>,
    ) -> bool {
        let steps = match self.log.view().map(|view| steps(&view, &puts)) {
            Some(Ok(steps)) => steps,
            Some(Err(corrupt)) => {
                respond(answer, Err(Error::Broken(corrupt.to_string())));
                return false;
            }
            None => {
                respond(answer, Err(Error::NoLeader));
                return false;
            }
        };
        let forced = self
            .log
            .force_voters(now.mono, survivors, [lost].into(), puts);
        match forced {
            Ok((index, effects)) => {
                for step in &steps {
                    self.planned.apply(step);
                }
                // The records are in the entry before that of the voters.
                self.steps.insert(index.saturating_sub(1), steps);
                self.waiting.entry(index).or_default().push(Waiting {
                    answer: Some(Box::new(move |certain| respond(answer, certain))),
                    deadline,
                    then: Vec::new(),
                });
                self.absorb(now, effects);
                true
            }
            Err(refused) => {
                respond(answer, Err(error_of(refused)));
                false
            }
        }
    }

    /// Carries out a plan: appends it if it changes anything, with what is to be done once it is
    /// committed, and answers when it is certain. Returns whether an entry was appended.
    #[expect(
        clippy::too_many_arguments,
        reason = "a plan, whom it answers, and when"
    )]
    pub(super) fn carry_out<T: Send + 'static, A: Send + 'static>(
        &mut self,
        now: Now,
        deadline: Timestamp,
        request: Option<RequestId>,
        planned: Result<Planned<T>, Error>,
        answer: Answer<A>,
        then: Vec<Effect>,
        convert: impl FnOnce(T) -> A + Send + 'static,
    ) -> bool {
        match planned {
            Ok(Planned {
                puts,
                answer: result,
            }) if puts.is_empty() => {
                let certain = move |certain: Result<(), Error>| {
                    respond(answer, certain.map(|()| convert(result)));
                };
                self.when_certain(now, deadline, Box::new(certain));
                false
            }
            Ok(Planned {
                puts,
                answer: result,
            }) => {
                let certain = Box::new(move |certain: Result<(), Error>| {
                    respond(answer, certain.map(|()| convert(result)));
                });
                if let Err((refused, certain)) =
                    self.append(now, deadline, request, puts, then, certain)
                {
                    certain(Err(refusal_of(refused)));
                    return false;
                }
                true
            }
            Err(refusal) => {
                self.refuse(now, deadline, (request, None), refusal, answer);
                false
            }
        }
    }

    /// Answers that a change is refused, once that is certain. Of a request, or the commit of an
    /// `upload`, that is the answer for good: it is in the log before it is told, so no try that comes
    /// later takes effect.
    pub(super) fn refuse<A: Send + 'static>(
        &mut self,
        now: Now,
        deadline: Timestamp,
        (request, upload): (Option<RequestId>, Option<FileId>),
        refusal: Error,
        answer: Answer<A>,
    ) {
        let planned = self.plan_refused(now, request, upload, &refusal);
        let (term, certain) = (self.log.term(), move |certain: Result<(), Error>| {
            respond(answer, Err(certain.err().unwrap_or(refusal)));
        });
        let planned = match planned {
            Ok(planned) => planned,
            Err(error) => return certain(Err(error)),
        };
        if planned.puts.is_empty() {
            return self.when_certain(now, deadline, Box::new(certain));
        }
        // Not told, so it need not be remembered: the same request may come again.
        if planned.answer.is_none() && !self.refusals.note(now.mono) {
            return certain(Err(Error::Busy));
        }
        let drops = planned.answer.zip(term);
        let drops = drops.map(|(old, term)| self.drop_of(old, term));
        let (puts, then) = (planned.puts, drops.into_iter().collect());
        let refused = self.append(now, deadline, request, puts, then, Box::new(certain));
        if let Err((refused, certain)) = refused {
            certain(Err(refusal_of(refused)));
        }
    }

    /// What is written of a refusal, and the upload that ends with it.
    fn plan_refused(
        &self,
        now: Now,
        request: Option<RequestId>,
        upload: Option<FileId>,
        refusal: &Error,
    ) -> Result<Planned<Option<FileId>>, Error> {
        let nothing = Planned {
            puts: Vec::new(),
            answer: None,
        };
        match (reason_of(refusal), self.next(now), self.view()) {
            (Some(refusal), Some(at), Ok(view)) => {
                Ok(plan_refused(&view, request, upload, &refusal, at)?)
            }
            _ => Ok(nothing),
        }
    }

    /// Calls back once all that the log holds now is committed, and this master leads at that time.
    pub(super) fn when_certain(&mut self, now: Now, deadline: Timestamp, answer: Certain) {
        let (last, commit) = (self.log.last(), self.log.commit());
        match (last, commit) {
            (Some(last), Some(commit)) if last.index > commit => {
                let waiting = Waiting {
                    answer: Some(answer),
                    deadline,
                    then: Vec::new(),
                };
                self.waiting.entry(last.index).or_default().push(waiting);
            }
            _ => {
                let read =
                    move |metadata: Result<&Metadata, Error>, _| answer(metadata.map(|_| ()));
                self.read(now, deadline, Box::new(read));
            }
        }
    }

    /// Calls back once the committed records may be read.
    pub(super) fn read(&mut self, now: Now, deadline: Timestamp, read: Read) {
        if self.log.committed().is_none() || self.catalog.cluster.is_none() {
            self.hold(now, deadline, Held::Read(read));
            return;
        }
        if self.reads.len() >= MAX_HELD {
            read(Err(Error::Busy), now);
            return;
        }
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.reads.insert(ticket, (deadline, read));
        let effects = self.log.read(now.mono, ticket);
        self.absorb(now, effects);
    }

    pub(super) fn hold(&mut self, now: Now, deadline: Timestamp, held: Held) {
        if let Some(elsewhere) = self.asked_elsewhere() {
            held.refuse(now, elsewhere);
            return;
        }
        if self.held.len() >= MAX_HELD {
            held.refuse(now, Error::Busy);
            return;
        }
        self.held.push_back((deadline, held));
    }

    /// Answers those who have waited for a commit for too long: its fate is open.
    pub(super) fn answer_overdue(&mut self, now: Now) {
        let overdue = self
            .waiting
            .values_mut()
            .flatten()
            .filter(|waiting| now.mono >= waiting.deadline);
        for answer in overdue.filter_map(|waiting| waiting.answer.take()) {
            answer(Err(Error::NoQuorum));
        }
    }

    /// Asks again what was held; what was held for too long is answered.
    pub(super) fn retry_held(&mut self, now: Now) {
        for (deadline, held) in std::mem::take(&mut self.held) {
            if now.mono >= deadline {
                held.refuse(now, self.why_held());
                continue;
            }
            match held {
                Held::Read(read) => self.read(now, deadline, read),
                Held::Question(question) => self.change(now, deadline, question),
            }
        }
    }

    pub(super) fn why_held(&self) -> Error {
        let leads = self.log.term().is_some();
        if self.is_unborn() || (leads && self.catalog.cluster.is_none()) {
            Error::NotBootstrapped
        } else if leads {
            Error::NoQuorum
        } else {
            Error::NoLeader
        }
    }
}

impl Held {
    pub(super) fn refuse(self, now: Now, error: Error) {
        match self {
            Held::Read(read) => read(Err(error), now),
            Held::Question(question) => question.refuse(error),
        }
    }
}
