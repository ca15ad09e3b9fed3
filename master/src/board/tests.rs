use super::*;
use mdfs_core::id::Incarnation;
use mdfs_protocol::public::Health;

fn term(round: u64) -> Term {
    Term {
        round,
        incarnation: Incarnation(7),
    }
}

fn board() -> Board {
    let board = Board::new(Clock::manual());
    board.lead(term(1));
    board
}

fn stored(board: &Board, name: &str) {
    let mut event = Event::new(EventKind::Stored);
    event.name = Some(name.to_owned());
    board.tell(event);
}

fn shown(news: &News) -> String {
    let events = news.events.iter().map(|event| match &event.name {
        Some(name) => name.as_str(),
        None => event.kind.as_str(),
    });
    let events: Vec<&str> = events.collect();
    let reset = if news.is_reset { "reset " } else { "" };
    format!("{reset}{}", events.join(" "))
}

#[test]
fn a_reader_gets_each_event_once_and_in_order() {
    let board = board();
    let mut known = Known::default();
    assert_eq!(shown(&board.news(&mut known)), "leader");
    stored(&board, "a");
    stored(&board, "b");
    assert_eq!(shown(&board.news(&mut known)), "a b");
    assert_eq!(shown(&board.news(&mut known)), "");
    let mut late = board.present();
    stored(&board, "c");
    assert_eq!(shown(&board.news(&mut late)), "c");
    assert_eq!(shown(&board.news(&mut known)), "c");
}

#[test]
fn whoever_missed_something_is_told_so_and_given_nothing_old() {
    let board = board();
    let mut known = board.present();
    for number in 0..EVENTS_KEPT {
        stored(&board, &number.to_string());
    }
    assert!(!board.news(&mut known.clone()).is_reset);
    stored(&board, "one too many");
    assert_eq!(shown(&board.news(&mut known)), "reset ");
    stored(&board, "later");
    assert_eq!(shown(&board.news(&mut known)), "later");
    for odd in [
        "nonsense",
        "1.0000000000000007-99999",
        "-",
        "1.0000000000000007-x",
    ] {
        let mut known = Known {
            event: odd.to_owned(),
            ..Known::default()
        };
        assert!(board.news(&mut known).is_reset, "{odd}");
    }
}

#[test]
fn another_term_and_the_end_of_leading_are_told() {
    let board = board();
    let mut known = board.present();
    board.lead(term(2));
    assert_eq!(shown(&board.news(&mut known)), "reset ");
    board.follow();
    stored(&board, "not mine to tell");
    assert_eq!(shown(&board.news(&mut known)), "reset ");
    assert_eq!(shown(&board.news(&mut known)), "");
    board.lead(term(3));
    assert_eq!(shown(&board.news(&mut known)), "leader");
}

#[test]
fn pages_go_on_where_the_last_one_ended() {
    let board = board();
    for name in ["a", "b", "c"] {
        stored(&board, name);
    }
    let mut asked = EventsAfter {
        after: None,
        limit: 3,
    };
    let page = board.page(&asked);
    assert_eq!(page.events.len(), 3);
    asked.after = Some(page.next);
    let page = board.page(&asked);
    assert_eq!(page.events.len(), 1);
    assert_eq!(page.events[0].name.as_deref(), Some("c"));
    asked.after = Some(page.next.clone());
    let last = board.page(&asked);
    assert_eq!((last.events.len(), &last.next), (0, &page.next));
    asked.after = Some("0.0-1".to_owned());
    assert_eq!(board.page(&asked).events[0].kind, EventKind::Reset);
}

/// What a follower shows has the ids of the leader: a reader may go from one to the other.
#[test]
fn a_copy_shows_what_the_leader_shows_whatever_is_asked_twice() {
    let (leader, follower) = (board(), Board::new(Clock::manual()));
    let copy = || {
        let after = EventsAfter {
            after: Some(follower.present().event),
            limit: EVENTS_KEPT,
        };
        leader.copy(&after).unwrap()
    };
    stored(&leader, "a");
    let (one, same) = (copy(), copy());
    follower.take(one);
    follower.take(same);
    stored(&leader, "b");
    follower.take(copy());
    let mut known = Known::default();
    assert_eq!(shown(&follower.news(&mut known)), "leader a b");
    assert_eq!(follower.present().event, leader.present().event);
    leader.lead(term(2));
    follower.take(copy());
    assert_eq!(shown(&follower.news(&mut known)), "reset ");
    assert_eq!(follower.copy(&EventsAfter::default()), None);
}

#[test]
fn a_history_has_a_list_for_each_column_and_an_end() {
    let board = board();
    for line in 0..400 {
        board.note([line; 7]);
    }
    let history = board.history(60);
    assert_eq!(history.columns.len(), history.data.len());
    assert!(history.data.iter().all(|list| list.len() == HISTORY_LINES));
    assert_eq!(history.data[0].last(), Some(&399));
    assert_eq!(board.history(1).data[0], [394, 395, 396, 397, 398, 399]);
}

#[test]
fn figures_of_a_leader_that_is_gone_are_not_shown() {
    let tick = Tick {
        health: Health::Ok,
        ..Tick::unknown()
    };
    let leader = board();
    leader.tick(tick.clone());
    let follower = Board::new(Clock::manual());
    let mut known = Known::default();
    let copy = || leader.copy(&EventsAfter::default()).unwrap();
    follower.take(copy());
    assert_eq!(follower.news(&mut known).tick, Some(tick.clone()));
    // It is not reached, and then it is: nothing that was told is told again.
    follower.lose();
    follower.lose();
    let news = follower.news(&mut known);
    assert_eq!((news.tick, news.is_reset), (Some(Tick::unknown()), false));
    follower.take(copy());
    let news = follower.news(&mut known);
    assert_eq!((news.tick, news.events.len()), (Some(tick.clone()), 0));
    // It does not lead any more; or leads anew, and has looked at nothing.
    let mut known = leader.present();
    leader.follow();
    assert_eq!(leader.news(&mut known).tick, Some(Tick::unknown()));
    leader.lead(term(2));
    assert_eq!(leader.news(&mut known).tick, Some(Tick::unknown()));
}

#[test]
fn a_lot_of_events_comes_in_pieces_and_the_figures_behind_them() {
    let board = board();
    let mut known = board.present();
    let names: Vec<String> = (0..200).map(|at| format!("{at:01000}")).collect();
    for name in &names {
        stored(&board, name);
    }
    let mut got = Vec::new();
    let mut pieces = 0;
    loop {
        let news = board.news(&mut known);
        pieces += 1;
        let bytes: usize = news.events.iter().map(size).sum();
        assert!(bytes < PIECE + 2048, "{bytes}");
        got.extend(news.events.into_iter().filter_map(|event| event.name));
        assert_eq!(news.tick.is_some(), !news.has_more);
        if !news.has_more {
            break;
        }
    }
    assert_eq!(got, names);
    assert_eq!(pieces, 4);
}
