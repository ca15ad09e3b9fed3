use super::*;
use crate::id::{DiskId, Incarnation};
use crate::log::message::{Append, Base, Change, Config, Entry, Put, SnapshotPage};
use crate::time::LogTime;

fn term(round: u64) -> Term {
    Term {
        round,
        incarnation: Incarnation(1),
    }
}

fn at(round: u64, index: u64) -> Position {
    Position {
        term: if index == 0 {
            Term::default()
        } else {
            term(round)
        },
        index,
    }
}

fn entry(round: u64, index: u64) -> Entry {
    let change = match index {
        1 => Change::Config(Config {
            voters: [DiskId::from_u128(1)].into(),
            epoch: 0,
        }),
        _ => Change::Records(vec![Put {
            key: vec![1],
            value: Some(vec![2]),
        }]),
    };
    Entry {
        index,
        term: term(round),
        time: LogTime::default(),
        request: None,
        change,
    }
}

fn append(round: u64, previous: Position, entries: &[Entry], commit: u64) -> Request {
    Request::Append(Append {
        term: term(round),
        previous,
        entries: entries.to_vec(),
        commit,
        epoch: 0,
        send: 1,
        leader_url: "m".into(),
        lease_millis: 3000,
    })
}

fn blank() -> Voter {
    let settings = VoterSettings::DEFAULT;
    Voter::restore(DurableVoter::default(), Timestamp::default(), settings).unwrap()
}

fn seconds(seconds: u64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

#[track_caller]
fn answer(output: Output) -> Reply {
    match output.answer {
        Answer::Ready(reply) => *reply,
        Answer::Read(_) => panic!("not a Load"),
    }
}

#[track_caller]
fn check_append(voter: &mut Voter, now: Timestamp, request: Request, want: &str) {
    let text = match voter.step(now, request) {
        Err(violation) => violation.to_string(),
        Ok(output) => {
            let synced = output.persist.as_ref().is_some_and(|persist| persist.sync);
            let synced = if synced { " synced" } else { "" };
            match answer(output) {
                Reply::Appended { index, .. } => format!("holds {index}{synced}"),
                Reply::Mismatch { hint, .. } => format!("mismatch {hint}{synced}"),
                Reply::Refused { promised, .. } => format!("refused {}", promised.round),
                Reply::OtherLease { lease_millis, .. } => format!("leases {lease_millis}"),
                other => format!("{other:?}"),
            }
        }
    };
    assert!(text.starts_with(want), "{text} instead of {want}");
}

#[test]
fn a_promise_is_durable_and_given_again_but_never_a_lower_one() {
    let mut voter = blank();
    let output = voter
        .step(seconds(0), Request::Prepare { term: term(2) })
        .unwrap();
    let persist = output.persist.unwrap();
    assert_eq!((persist.promised, persist.sync), (Some(term(2)), true));
    for (round, want) in [(2, true), (1, false)] {
        let output = voter
            .step(seconds(0), Request::Prepare { term: term(round) })
            .unwrap();
        assert_eq!(output.persist, None);
        let Reply::Prepared(vote) = answer(output) else {
            panic!("not a vote")
        };
        assert_eq!((vote.granted, vote.promised), (want, term(2)));
    }
}

#[test]
fn append_matches_cuts_and_refuses() {
    let mut voter = blank();
    let now = seconds(0);
    check_append(
        &mut voter,
        now,
        append(1, at(0, 0), &[entry(1, 1), entry(1, 2)], 1),
        "holds 2 synced",
    );
    // A heartbeat renews and tells the commit without a sync, and vouches for what it names.
    check_append(&mut voter, now, append(1, at(1, 1), &[], 2), "holds 1");
    assert_eq!(voter.commit(), 1);
    check_append(&mut voter, now, append(1, at(1, 5), &[], 1), "mismatch 2");
    let later = seconds(3);
    check_append(
        &mut voter,
        later,
        append(2, at(1, 1), &[entry(2, 2), entry(2, 3)], 1),
        "holds 3 synced",
    );
    assert_eq!(voter.last(), at(2, 3));
    check_append(&mut voter, later, append(1, at(1, 1), &[], 1), "refused 2");
    check_append(&mut voter, later, append(2, at(2, 3), &[], 3), "holds 3");
    assert_eq!(voter.commit(), 3);
    let conflict = append(3, at(1, 1), &[entry(3, 2)], 1);
    check_append(&mut voter, seconds(9), conflict, "the leader of term 3");
}

#[test]
fn the_first_entry_is_never_cut() {
    let mut voter = blank();
    check_append(
        &mut voter,
        seconds(0),
        append(1, at(0, 0), &[entry(1, 1)], 0),
        "holds 1 synced",
    );
    let other = append(2, at(0, 0), &[entry(2, 1)], 0);
    check_append(&mut voter, seconds(5), other, "the leader of term 2");
}

#[test]
fn a_lease_keeps_other_terms_out_and_its_holder_is_told() {
    let mut voter = blank();
    check_append(
        &mut voter,
        seconds(0),
        append(1, at(0, 0), &[entry(1, 1)], 1),
        "holds 1",
    );
    assert_eq!(voter.leader(seconds(2)), Some((term(1), Some("m"))));
    for request in [
        Request::PreVote { term: term(2) },
        Request::Prepare { term: term(2) },
    ] {
        let reply = answer(voter.step(seconds(1), request).unwrap());
        let (Reply::PreVoted(vote) | Reply::Prepared(vote)) = reply else {
            panic!("not a vote")
        };
        assert_eq!((vote.granted, vote.promised), (false, term(1)));
        assert_eq!(vote.lease_left, Some(Duration::from_secs(2)));
    }
    check_append(
        &mut voter,
        seconds(1),
        append(2, at(1, 1), &[], 1),
        "refused 1",
    );
    let reply = answer(voter.step(seconds(1), append(1, at(1, 1), &[], 1)).unwrap());
    assert!(matches!(reply, Reply::Appended { higher: Some(higher), .. } if higher == term(2)));
    // From the last Append on it runs three seconds.
    check_append(
        &mut voter,
        seconds(3),
        append(2, at(1, 1), &[], 1),
        "refused 1",
    );
    check_append(
        &mut voter,
        seconds(4),
        append(2, at(1, 1), &[], 1),
        "holds 1",
    );
}

#[test]
fn what_comes_after_a_lease_was_given_back_gives_it_to_nobody_again() {
    let mut voter = blank();
    let first = append(1, at(0, 0), &[entry(1, 1)], 1);
    check_append(&mut voter, seconds(0), first, "holds 1");
    let release = Request::Release { term: term(1) };
    let reply = answer(voter.step(seconds(1), release).unwrap());
    assert!(matches!(reply, Reply::Released { .. }));
    // It was sent before, on another connection.
    let late = append(1, at(1, 1), &[entry(1, 2)], 1);
    check_append(&mut voter, seconds(1), late, "holds 2");
    assert_eq!(voter.leader(seconds(1)), None);
    let next = append(2, at(1, 2), &[], 1);
    check_append(&mut voter, seconds(1), next, "holds 2");
    assert_eq!(voter.leader(seconds(1)), Some((term(2), Some("m"))));
}

#[test]
fn a_leader_that_counts_on_other_leases_gets_neither_promise_nor_lease() {
    let mut voter = blank();
    let with = |round, lease_millis| match append(round, at(0, 0), &[entry(1, 1)], 0) {
        Request::Append(append) => Request::Append(Append {
            lease_millis,
            ..append
        }),
        other => other,
    };
    check_append(&mut voter, seconds(0), with(1, 3001), "leases 3000");
    assert_eq!(
        (voter.promised(), voter.leader(seconds(0))),
        (Term::default(), None)
    );
    check_append(&mut voter, seconds(0), with(2, 3000), "holds 1");
    // A deposed leader hears of the higher term first.
    check_append(&mut voter, seconds(0), with(1, 2999), "refused 2");
    let Request::Append(append) = with(3, 2999) else {
        panic!("an append")
    };
    let page = SnapshotPage {
        term: append.term,
        base: Base::default(),
        epoch: 0,
        page: 0,
        records: Vec::new(),
        last: true,
        send: 1,
        leader_url: String::new(),
        lease_millis: append.lease_millis,
    };
    check_append(
        &mut voter,
        seconds(9),
        Request::Snapshot(page),
        "leases 3000",
    );
    assert_eq!(voter.promised(), term(2));
}

#[test]
fn load_goes_on_behind_an_entry_the_log_has_and_else_begins_with_the_table() {
    let mut voter = blank();
    let entries = [entry(1, 1), entry(1, 2), entry(2, 3)];
    check_append(
        &mut voter,
        seconds(0),
        append(2, at(0, 0), &entries, 2),
        "holds 3",
    );
    let mut load = |after| {
        let request = Request::Load {
            term: term(2),
            from: LoadFrom::Log { after },
            send: 1,
        };
        let loaded = match voter.step(seconds(1), request).unwrap().answer {
            Answer::Ready(reply) => *reply,
            Answer::Read(read) => read.finish(Vec::new(), false),
        };
        let Reply::Loaded(loaded) = loaded else {
            panic!("not loaded")
        };
        (loaded.from, loaded.entries.len(), loaded.applied)
    };
    let log = |after| LoadFrom::Log { after };
    let table = LoadFrom::Table { after: None };
    assert_eq!(load(at(1, 2)), (log(at(1, 2)), 1, 2));
    assert_eq!(load(at(2, 3)), (log(at(2, 3)), 0, 2));
    assert_eq!(load(at(2, 2)), (table.clone(), 3, 2));
    assert_eq!(load(at(2, 4)), (table, 3, 2));
}

#[test]
fn a_restart_keeps_the_promise_and_assumes_its_lease() {
    let mut voter = blank();
    check_append(
        &mut voter,
        seconds(0),
        append(1, at(0, 0), &[entry(1, 1)], 1),
        "holds 1",
    );
    let durable = voter.to_durable();
    let mut voter = Voter::restore(durable, seconds(10), VoterSettings::DEFAULT).unwrap();
    let grants = |voter: &mut Voter, now| {
        let output = voter.step(now, Request::PreVote { term: term(2) }).unwrap();
        matches!(answer(output), Reply::PreVoted(vote) if vote.granted)
    };
    assert!(!grants(&mut voter, seconds(12)));
    assert!(grants(&mut voter, seconds(13)));
    voter
        .step(seconds(12), Request::Release { term: term(1) })
        .unwrap();
    assert!(grants(&mut voter, seconds(12)));
}

#[test]
fn a_snapshot_is_swapped_in_with_its_last_page() {
    let mut voter = blank();
    let page = |page, last| {
        Request::Snapshot(SnapshotPage {
            term: term(1),
            base: Base {
                position: at(1, 9),
                ..Base::default()
            },
            epoch: 0,
            page,
            records: vec![(vec![1], vec![2])],
            last,
            send: 1,
            leader_url: String::new(),
            lease_millis: 3000,
        })
    };
    let mut step = |request| voter.step(seconds(0), request).unwrap();
    let first = step(page(0, false)).persist.unwrap();
    assert!(first.clear_staged && !first.install);
    // A page out of turn is not taken.
    let Reply::Staged { next_page, .. } = answer(step(page(2, true))) else {
        panic!("taken")
    };
    assert_eq!(next_page, 1);
    let output = step(page(1, true));
    let last = output.persist.unwrap();
    assert!(last.install && last.sync && !last.clear_staged);
    assert_eq!(last.applied, Some(9));
    assert_eq!(
        (voter.base(), voter.last(), voter.commit()),
        (at(1, 9), at(1, 9), 9)
    );
    check_append(
        &mut voter,
        seconds(0),
        append(1, at(0, 0), &[entry(1, 1)], 1),
        "holds 1",
    );
}

#[test]
fn a_late_snapshot_keeps_what_follows_its_entry() {
    let mut voter = blank();
    let entries = [entry(1, 1), entry(1, 2), entry(1, 3)];
    check_append(
        &mut voter,
        seconds(0),
        append(1, at(0, 0), &entries, 0),
        "holds 3 synced",
    );
    let mut snapshot = |round, index| {
        let page = SnapshotPage {
            term: term(2),
            base: Base {
                position: at(round, index),
                ..Base::default()
            },
            epoch: 0,
            page: 0,
            records: Vec::new(),
            last: true,
            send: 1,
            leader_url: String::new(),
            lease_millis: 3000,
        };
        let output = voter.step(seconds(5), Request::Snapshot(page)).unwrap();
        (
            output.persist.and_then(|persist| persist.cut_from),
            voter.last(),
        )
    };
    assert_eq!(snapshot(1, 2), (None, at(1, 3)));
    // One that the log contradicts replaces it, and one that is old changes nothing.
    assert_eq!(snapshot(2, 3), (Some(3), at(2, 3)));
    assert_eq!(snapshot(1, 2), (None, at(2, 3)));
}

#[test]
fn a_disk_that_no_voter_wrote_is_refused() {
    let good = DurableVoter {
        promised: term(3),
        entries: vec![entry(1, 1), entry(2, 2)],
        applied: 1,
        ..DurableVoter::default()
    };
    let restore =
        |disk: DurableVoter| Voter::restore(disk, seconds(0), VoterSettings::DEFAULT).map(|_| ());
    assert_eq!(restore(good.clone()), Ok(()));
    let gap = DurableVoter {
        entries: vec![entry(2, 2)],
        ..good.clone()
    };
    assert_eq!(restore(gap), Err(Corrupt::Gap { base: 0 }));
    let applied = DurableVoter {
        applied: 3,
        ..good.clone()
    };
    assert_eq!(
        restore(applied),
        Err(Corrupt::Applied {
            applied: 3,
            base: 0,
            last: 2
        })
    );
    let promised = DurableVoter {
        promised: term(1),
        ..good
    };
    assert_eq!(
        restore(promised),
        Err(Corrupt::Promise {
            last: term(2),
            promised: term(1)
        })
    );
}

#[test]
fn a_change_of_more_than_one_voter_is_a_broken_invariant() {
    let config = |index: u64, voters: &[u128]| Entry {
        change: Change::Config(Config {
            voters: voters.iter().copied().map(DiskId::from_u128).collect(),
            epoch: 0,
        }),
        ..entry(1, index)
    };
    let mut voter = blank();
    let steps = [config(1, &[1]), config(2, &[1, 2])];
    assert!(
        voter
            .step(seconds(0), append(1, at(1, 0), &steps, 0))
            .is_ok()
    );
    let leap = append(1, at(1, 2), &[config(3, &[3])], 0);
    let broken = voter.step(seconds(0), leap);
    assert!(
        matches!(broken, Err(Violation::OutOfOrder { index: 3, .. })),
        "{broken:?}"
    );
}

#[test]
fn who_does_not_know_that_voters_were_forced_is_not_followed_in_any_term() {
    let forced = Entry {
        change: Change::Forced {
            config: Config {
                voters: [DiskId::from_u128(1)].into(),
                epoch: 1,
            },
            lost: [DiskId::from_u128(2)].into(),
        },
        ..entry(1, 2)
    };
    let mut voter = blank();
    let log = [entry(1, 1), forced];
    assert!(voter.step(seconds(0), append(1, at(1, 0), &log, 0)).is_ok());
    let refused = voter.step(seconds(9), append(7, at(1, 1), &[], 1)).unwrap();
    let reply = Reply::Refused {
        term: term(7),
        send: 1,
        promised: term(1),
        lease_left: None,
    };
    assert_eq!(refused.answer, Answer::Ready(Box::new(reply)));
    assert_eq!((voter.promised(), refused.persist), (term(1), None));
    // A leader with this voter's promise has this voter's log.
    voter
        .step(seconds(9), Request::Prepare { term: term(8) })
        .unwrap();
    let Request::Append(knows) = append(8, at(1, 2), &[], 2) else {
        panic!("an Append")
    };
    let knows = Request::Append(Append { epoch: 1, ..knows });
    let followed = voter.step(seconds(9), knows).unwrap();
    assert!(
        matches!(&followed.answer, Answer::Ready(reply) if matches!(**reply, Reply::Appended { .. })),
        "{followed:?}"
    );
}

#[test]
fn a_founding_is_cut_for_a_later_one_only() {
    let mut voter = blank();
    let first = append(1, at(0, 0), &[entry(1, 1)], 0);
    voter.step(seconds(1), first).unwrap();
    let Request::Append(mut again) = append(2, at(0, 0), &[entry(2, 1)], 0) else {
        panic!("not an Append");
    };
    let mut other = voter.clone();
    let refused = other.step(seconds(9), Request::Append(again.clone()));
    let cut = Violation::FoundingCut { term: term(2) };
    assert_eq!(refused.err(), Some(cut));
    again.epoch = 1;
    voter.step(seconds(9), Request::Append(again)).unwrap();
    assert_eq!(voter.last(), at(2, 1));
}
