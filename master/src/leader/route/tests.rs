//! Questions that go to another master, which answers as the test says, and to this one's loop.

#![expect(
    clippy::disallowed_methods,
    reason = "the tasks of a test end with its runtime"
)]

use super::*;
use crate::leader::command::{Delete, FileInfo};
use crate::leader::handle::Question;
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use mdfs_client::link::{CarriedBody, CarryError, Network, Pieces, Reads};
use mdfs_core::id::{Incarnation, RequestId, Term};
use mdfs_core::name::FileName;
use mdfs_core::records::Precondition;
use mdfs_core::time::LogTime;
use mdfs_protocol::access::{ClusterKey, Secret};
use mdfs_protocol::problem::Problem;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;

const HOLD: Duration = Duration::from_secs(10);

/// What the other master does with a question.
#[derive(Debug)]
enum Act {
    Answers(Told),
    /// It refuses to be asked at all.
    Refuses(Code),
    /// It takes the question, and its answer is lost.
    Dies,
    /// It takes the question, and says nothing for ever.
    Hangs,
}

/// The other master: what it does with each question, and what it was asked.
#[derive(Debug, Default)]
struct Other {
    acts: Mutex<VecDeque<Act>>,
    asked: Mutex<Vec<Asked>>,
}

impl mdfs_client::link::Route for Other {
    fn carry(
        &self,
        request: Request<Pieces>,
    ) -> BoxFuture<'static, Result<Response<CarriedBody>, CarryError>> {
        let body: Vec<u8> = request.body().iter().flatten().copied().collect();
        let asked = postcard::from_bytes(&body).unwrap();
        self.asked.lock().unwrap().push(asked);
        let act = self.acts.lock().unwrap().pop_front();
        async move {
            let told = match act.unwrap_or(Act::Hangs) {
                Act::Answers(told) => told,
                Act::Refuses(code) => {
                    let problem = Problem::new(code, "no", "r");
                    let bytes = Bytes::from(serde_json::to_vec(&problem).unwrap());
                    let body = Full::new(bytes).map_err(|never| match never {}).boxed();
                    let mut response = Response::new(body);
                    *response.status_mut() = code.status().try_into().unwrap();
                    return Ok(response);
                }
                Act::Dies => return Err("it died".into()),
                Act::Hangs => std::future::pending().await,
            };
            let bytes = Bytes::from(postcard::to_stdvec(&told).unwrap());
            let body = Full::new(bytes).map_err(|never| match never {}).boxed();
            Ok(Response::new(body))
        }
        .boxed()
    }
}

struct Setup {
    other: Arc<Other>,
    lead: watch::Sender<Lead>,
    handle: LeaderHandle,
    /// What this master's own loop is asked.
    inbox: mpsc::Receiver<Question>,
}

fn at(url: &str) -> Lead {
    let incarnation = Incarnation(1);
    let term = Term {
        round: 1,
        incarnation,
    };
    let url = url.to_owned();
    Lead::At(Leader { term, url })
}

impl Setup {
    fn new(lead: Lead, acts: Vec<Act>) -> Self {
        let other = Arc::new(Other::default());
        *other.acts.lock().unwrap() = acts.into();
        let network = Network::simulated(Arc::clone(&other) as _);
        Self::on(lead, &network, other)
    }

    fn on(lead: Lead, network: &Network, other: Arc<Other>) -> Self {
        let key = ClusterKey::new(&Secret::new(&[b'k'; 32]).unwrap());
        let links = Links::on(network, &key, None, Reads::Large).unwrap();
        let (lead, known) = watch::channel(lead);
        let (questions, inbox) = mpsc::channel(8);
        let handle = LeaderHandle::routed(
            questions,
            Route::new(known, links, HOLD),
            crate::board::Board::new(mdfs_service::Clock::manual()),
            mdfs_service::Threads::real(),
        );
        Self {
            other,
            lead,
            handle,
            inbox,
        }
    }

    fn asked(&self) -> usize {
        self.other.asked.lock().unwrap().len()
    }
}

fn name() -> FileName {
    FileName::parse("a").unwrap()
}

fn delete(request: Option<RequestId>) -> Delete {
    Delete {
        request,
        name: name(),
        precondition: Precondition::default(),
    }
}

fn request() -> Option<RequestId> {
    Some(RequestId::issue(LogTime::from_millis(1), 2))
}

fn no_leader() -> Act {
    Act::Answers(Told::Refused(Refused::NoLeader))
}

fn leads_not() -> Act {
    Act::Answers(Told::NotLeader { hint: None })
}

#[tokio::test(start_paused = true)]
async fn the_answer_of_whoever_leads_is_the_answer() {
    let missing = Refused::FileNotFound {
        name: "a".to_owned(),
    };
    let acts = vec![
        Act::Answers(Told::Done),
        Act::Answers(Told::Refused(missing)),
    ];
    let setup = Setup::new(at("http://b"), acts);
    setup.handle.delete(delete(None)).await.unwrap();
    let refused = setup.handle.delete(delete(None)).await.unwrap_err();
    assert!(matches!(refused, Error::FileNotFound { .. }));
    assert_eq!(setup.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_change_whose_answer_was_lost_is_sent_again_only_if_it_is_recognised() {
    for lost in [Act::Dies, no_leader()] {
        let setup = Setup::new(at("http://b"), vec![lost]);
        let error = setup.handle.delete(delete(None)).await.unwrap_err();
        assert!(matches!(error, Error::NoLeader));
        assert_eq!(setup.asked(), 1);
    }
    let acts = vec![Act::Dies, no_leader(), Act::Answers(Told::Done)];
    let setup = Setup::new(at("http://b"), acts);
    setup.handle.delete(delete(request())).await.unwrap();
    assert_eq!(setup.asked(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_change_that_did_nothing_is_sent_again_until_somebody_leads_or_the_time_is_over() {
    let acts = vec![leads_not(), leads_not(), Act::Answers(Told::Done)];
    let setup = Setup::new(at("http://b"), acts);
    setup.handle.delete(delete(None)).await.unwrap();
    assert_eq!(setup.asked(), 3);

    let acts = (0..1000).map(|_| leads_not()).collect();
    let setup = Setup::new(at("http://b"), acts);
    let begun = Instant::now();
    let error = setup.handle.delete(delete(None)).await.unwrap_err();
    assert!(matches!(error, Error::NoLeader));
    assert!((HOLD..HOLD + LEAST * 2).contains(&begun.elapsed()));
}

#[tokio::test(start_paused = true)]
async fn a_master_that_is_not_there_was_asked_nothing() {
    // Nobody listens at the port of a socket that is gone.
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", gone.local_addr().unwrap());
    drop(gone);
    let other = Arc::new(Other::default());
    let mut setup = Setup::on(at(&url), &Network::real(), other);
    let handle = setup.handle.clone();
    let asked = tokio::spawn(async move { handle.delete(delete(None)).await });
    tokio::time::sleep(Duration::from_millis(500)).await;
    setup.lead.send(Lead::Here);
    let Some(Question::Delete(_, answer)) = setup.inbox.recv().await else {
        panic!("another question");
    };
    answer.send(Ok(())).unwrap();
    asked.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_leader_that_was_stopped_asks_the_next_one() {
    let mut setup = Setup::new(at("http://b"), vec![Act::Hangs, Act::Hangs]);
    let (one, two) = (setup.handle.clone(), setup.handle.clone());
    let read = tokio::spawn(async move { one.token(mdfs_core::id::TokenId::from_u128(1)).await });
    let change = tokio::spawn(async move { two.delete(delete(None)).await });
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(setup.asked(), 2);
    setup.lead.send(Lead::Here);
    let Some(Question::Token(_, answer)) = setup.inbox.recv().await else {
        panic!("another question");
    };
    answer.send(Ok(None)).unwrap();
    assert_eq!(read.await.unwrap().unwrap(), None);
    // Whether the one before carried it out nobody knows.
    assert!(matches!(change.await.unwrap(), Err(Error::NoLeader)));
    assert!(setup.inbox.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn what_the_own_loop_gives_back_goes_to_whoever_leads() {
    let mut setup = Setup::new(Lead::Nobody, vec![Act::Answers(Told::Done)]);
    let handle = setup.handle.clone();
    let asked = tokio::spawn(async move { handle.delete(delete(None)).await });
    let Some(Question::Delete(_, answer)) = setup.inbox.recv().await else {
        panic!("another question");
    };
    setup.lead.send(at("http://b"));
    answer.send(Err(Error::NotLeader { hint: None })).unwrap();
    asked.await.unwrap().unwrap();
    assert_eq!(setup.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_question_of_another_master_is_not_passed_on() {
    for lead in [at("http://b"), Lead::Nobody] {
        let mut setup = Setup::new(lead.clone(), vec![Act::Answers(Told::Done)]);
        let told = setup.handle.answer(Asked::Delete(delete(None))).await;
        let hint = lead.elsewhere().cloned();
        assert_eq!(told, Told::NotLeader { hint });
        assert_eq!(setup.asked(), 0);
        assert!(setup.inbox.try_recv().is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn the_state_is_told_without_a_leader_too() {
    let mut setup = Setup::new(at("http://b"), vec![Act::Dies]);
    let handle = setup.handle.clone();
    let asked = tokio::spawn(async move { handle.status().await.map(drop) });
    let Some(Question::Status(answer)) = setup.inbox.recv().await else {
        panic!("another question");
    };
    answer.send(Err(Error::Busy)).unwrap();
    assert!(matches!(asked.await.unwrap(), Err(Error::Busy)));
    assert_eq!(setup.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_another_kind_is_none() {
    let setup = Setup::new(at("http://b"), vec![Act::Answers(Told::Done)]);
    let told: Result<FileInfo, Error> = setup
        .handle
        .undelete(crate::leader::command::Undelete {
            request: None,
            name: name(),
        })
        .await;
    assert!(matches!(told, Err(Error::Broken(_))));
}

#[tokio::test(start_paused = true)]
async fn a_question_that_is_refused_as_such_is_asked_once_and_one_for_which_there_is_no_room_again()
{
    let setup = Setup::new(at("http://b"), vec![Act::Refuses(Code::Unauthorized)]);
    let begun = Instant::now();
    let refused = setup.handle.delete(delete(request())).await.unwrap_err();
    assert!(matches!(refused, Error::NoLeader));
    assert_eq!((setup.asked(), begun.elapsed()), (1, Duration::ZERO));
    let acts = vec![Act::Refuses(Code::Busy), Act::Answers(Told::Done)];
    let setup = Setup::new(at("http://b"), acts);
    setup.handle.delete(delete(None)).await.unwrap();
    assert_eq!(setup.asked(), 2);
}
