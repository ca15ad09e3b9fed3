use super::*;
use crate::board::Known;
use crate::leader::handle::Question;
use mdfs_client::link::Reads;
use mdfs_core::id::{Incarnation, Term};
use mdfs_protocol::access::{ClusterKey, Secret};
use mdfs_service::Tasks;
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;

fn status(term: &str, health: Health) -> Status {
    Status {
        cluster_id: None,
        health,
        reasons: Vec::new(),
        files: 1,
        bytes: 2,
        trashed_files: 0,
        open_uploads: 0,
        upload_sessions: 0,
        upload_bytes: 0,
        oldest_upload_seconds: 0,
        under_replicated_files: 0,
        missing_files: 0,
        damaged_chunks: 0,
        excess_copies: 0,
        at_risk: Vec::new(),
        counted_millis_ago: None,
        copies_to_make: 0,
        bytes_to_copy: 0,
        moving_partitions: 0,
        tasks: Vec::new(),
        repair_paused: false,
        live_workers: 0,
        workers: 0,
        leased_voters: 0,
        voters: 0,
        replicas: 2,
        chunk_size: 1 << 20,
        term: Some(term.to_owned()),
        leader_url: None,
        masters: Vec::new(),
        commit: 0,
        format: None,
    }
}

/// A watch of a leader that says this, or nothing at all.
fn setup() -> (Watch, Arc<Mutex<Option<Status>>>, Tasks) {
    let says = Arc::new(Mutex::new(Some(status("1", Health::Ok))));
    let said = Arc::clone(&says);
    let tasks = Tasks::new(CancellationToken::new());
    let (sender, mut inbox) = mpsc::channel(8);
    let _leader = tasks.spawn_request("leader", async move {
        let mut unanswered = Vec::new();
        while let Some(question) = inbox.recv().await {
            let said = said.lock().unwrap().clone();
            match (question, said) {
                (Question::Status(answer), Some(status)) => {
                    let _ = answer.send(Ok(status));
                }
                (Question::Workers(answer), _) => {
                    let workers = Vec::new();
                    let _ = answer.send(Ok(Workers { workers }));
                }
                (Question::Policy(answer), _) => {
                    let _ = answer.send(Ok(Policy {
                        replicas: 2,
                        lowering: None,
                        chunk_size: 1 << 20,
                        repair_delay_seconds: 300,
                        trash_keep_seconds: 1000,
                        lower_after_seconds: 600,
                        min_write_copies: None,
                    }));
                }
                (question, _) => unanswered.push(question),
            }
        }
    });
    let clock = Clock::manual();
    let board = Board::new(clock.clone());
    board.lead(Term {
        round: 1,
        incarnation: Incarnation(7),
    });
    let secret = Secret::new(&[b'c'; 32]).unwrap();
    let watch = Watch {
        board,
        leader: LeaderHandle::new(sender),
        lead: watch::Sender::new(Lead::Here).subscribe(),
        links: Links::new(&ClusterKey::new(&secret), None, Reads::Large).unwrap(),
        url: "http://m".to_owned(),
        clock,
    };
    (watch, says, tasks)
}

/// What is told after a look: the health that the figures have, and from what to what it changed.
async fn looked(watch: &Watch, seen: &mut Seen, known: &mut Known) -> (Option<Health>, String) {
    watch.look_in_time(seen).await;
    let news = watch.board.news(known);
    let events = news.events.iter();
    let events: Vec<String> = events
        .map(|event| {
            let [from, to] = [&event.from, &event.to].map(|text| text.clone().unwrap_or_default());
            format!("{from}-{to}")
        })
        .collect();
    (news.tick.map(|tick| tick.health), events.join(" "))
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_says_nothing_for_a_while_is_unknown_and_no_change_is_lost() {
    let (watch, says, _tasks) = setup();
    let (mut seen, mut known) = (Seen::default(), watch.board.present());
    let mut look = async |says_now: Option<Status>| {
        *says.lock().unwrap() = says_now;
        looked(&watch, &mut seen, &mut known).await
    };
    let none = String::new;
    let ok = || Some(status("1", Health::Ok));
    assert_eq!(look(ok()).await, (Some(Health::Ok), none()));
    assert_eq!(look(None).await, (Some(Health::Unknown), none()));
    let critical = || Some(status("1", Health::Critical));
    let changed = "ok-critical".to_owned();
    assert_eq!(look(critical()).await, (Some(Health::Critical), changed));
    assert_eq!(look(critical()).await, (None, none()));
    // What was so in another term is not compared with.
    let other = Some(status("2", Health::Ok));
    assert_eq!(look(other).await, (Some(Health::Ok), none()));
    // Figures that nobody has counted are not told as if they were none.
    let tick = tick_of(&status("1", Health::Ok), Rates::default());
    assert_eq!((tick.files, tick.under_replicated), (Some(1), None));
}
