//! Events, by pages or as they come, as far as the caller may see them.

use super::App;
use super::caller::Caller;
use super::error::HttpError;
use super::files::limit;
use super::query::Query;
use crate::board::mirror::{Watcher, copy};
use crate::board::{Board, Known};
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, Uri};
use mdfs_core::access::Role;
use mdfs_core::name::FileName;
use mdfs_protocol::ask::EventsAfter;
use mdfs_protocol::date::rfc3339;
use mdfs_protocol::problem::Code;
use mdfs_protocol::public::{EVENT_STREAM, Event, EventKind, Events};
use mdfs_service::watch;
use serde::Serialize;
use std::convert::Infallible;
use std::time::Duration;
use tokio::time::Instant;

/// Those who watch a master at a time: each costs it a connection, and a look at every event.
const MOST_WATCHERS: usize = 256;
/// How often something is sent, so that the connection is known to live; and how often it is asked
/// whether whoever watches may still do so, however much is sent.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);
/// In which that is answered: if nobody can say, they may.
const ANSWERED: Duration = Duration::from_secs(2);
/// The least time between two pieces: what happens meanwhile goes together, so that many who watch a busy
/// cluster cost it little.
const REST: Duration = Duration::from_millis(100);
/// How soon a browser comes back, in milliseconds.
const RETRY: &str = "retry: 2000\n\n";

/// Answers events.
pub(crate) async fn events(
    State(app): State<App>,
    caller: Caller,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, HttpError> {
    let query = Query::parse(uri.query().unwrap_or_default())?.only(&["after", "limit"])?;
    let limit = limit(&query)?;
    // A browser that comes back says it in a header.
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let after = last
        .or_else(|| query.text("after"))
        .filter(|id| !id.is_empty());
    let board = app.0.leader.board().clone();
    // What a leader had told some time ago is not what goes on.
    if !board.is_own() && !copy(&board, &app.0.leader).await {
        return Err(HttpError::new(
            Code::NoLeader,
            "nobody leads that could tell",
        ));
    }
    let accepts = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    if accepts.is_some_and(|accepts| accepts.contains(EVENT_STREAM)) {
        return watch(app, board, caller, after);
    }
    let after = after.map(str::to_owned);
    let page = board.page(&EventsAfter { after, limit });
    let events = page.events.into_iter();
    let shown = Events {
        events: events.filter_map(|event| visible(&caller, event)).collect(),
        next: page.next,
    };
    Ok(([(CACHE_CONTROL, "no-store")], Json(shown)).into_response())
}

/// One who watches.
struct Watching {
    app: App,
    board: Board,
    known: Known,
    changed: watch::Receiver<u64>,
    caller: Caller,
    /// Nothing is sent before.
    rest: Instant,
    /// When it was asked last whether they may.
    checked: Instant,
    /// What is sent before anything else.
    greeting: Option<&'static str>,
    _counted: Watcher,
}

fn watch(
    app: App,
    board: Board,
    caller: Caller,
    after: Option<&str>,
) -> Result<Response, HttpError> {
    let Some(counted) = app.0.watchers.join(caller.holder(), MOST_WATCHERS) else {
        return Err(HttpError::new(
            Code::Busy,
            "too many watch the events of this master, or too many of them with this token",
        ));
    };
    let watching = Watching {
        known: match after {
            Some(id) => Known::after(id),
            None => board.present(),
        },
        changed: board.subscribe(),
        app,
        board,
        caller,
        rest: Instant::now(),
        checked: Instant::now(),
        greeting: Some(RETRY),
        _counted: counted,
    };
    // Nothing is gathered for whoever reads slowly: what is new is looked up when the last is sent.
    let sent = stream::unfold(watching, |mut watching| async move {
        let text = watching.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from(text)), watching))
    });
    let headers = [
        (CONTENT_TYPE, EVENT_STREAM),
        (CACHE_CONTROL, "no-store"),
        // A proxy that gathers answers would keep events back.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((headers, Body::from_stream(sent)).into_response())
}

impl Watching {
    /// What is sent next; none at the end.
    async fn next(&mut self) -> Option<String> {
        if let Some(greeting) = self.greeting.take() {
            return Some(greeting.to_owned());
        }
        let stop = self.app.0.tasks.stop().clone();
        let end = Instant::now() + SIGN_OF_LIFE;
        tokio::select! {
            biased;
            () = stop.cancelled() => return None,
            () = tokio::time::sleep_until(self.rest) => {}
        }
        loop {
            if !self.may_go_on().await {
                return None;
            }
            // What comes from now on wakes.
            self.changed.see();
            let (text, has_more) = self.news();
            if !text.is_empty() {
                if !has_more {
                    self.rest = Instant::now() + REST;
                }
                return Some(text);
            }
            if has_more {
                continue;
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return None,
                changed = self.changed.changed() => changed.ok()?,
                () = tokio::time::sleep_until(end) => {
                    return self.may_go_on().await.then(|| ":\n\n".to_owned());
                }
            }
        }
    }

    /// What goes into one piece; whether there is more.
    fn news(&mut self) -> (String, bool) {
        let news = self.board.news(&mut self.known);
        let mut text = String::new();
        if news.is_reset {
            let mut reset = Event::new(EventKind::Reset);
            reset.id.clone_from(&self.known.event);
            reset.time = rfc3339(self.app.0.clock.wall());
            write(&mut text, Some(&reset.id), reset.kind.as_str(), &reset);
        }
        for event in news.events {
            if let Some(event) = visible(&self.caller, event) {
                write(&mut text, Some(&event.id), event.kind.as_str(), &event);
            }
        }
        if let Some(tick) = news.tick.filter(|_| self.caller.has(Role::Admin).is_ok()) {
            write(&mut text, None, "tick", &tick);
        }
        (text, news.has_more)
    }

    /// Whether they are still who they were, by a word of at most some seconds ago. If nobody can say,
    /// they are.
    async fn may_go_on(&mut self) -> bool {
        let until = self.caller.until();
        if until.is_some_and(|until| self.app.0.clock.wall() >= until) {
            return false;
        }
        if self.checked.elapsed() < SIGN_OF_LIFE {
            return true;
        }
        let asked = self.app.0.entrance.still_knows(&self.caller);
        let known = tokio::time::timeout(ANSWERED, asked).await;
        self.checked = Instant::now();
        !matches!(known, Ok(Err(error)) if error.code() == Code::Unauthorized)
    }
}

/// Writes one event as a stream has it.
fn write(text: &mut String, id: Option<&str>, kind: &str, said: &impl Serialize) {
    // Texts and numbers: it always encodes, and JSON has no line breaks.
    let json = serde_json::to_string(said).unwrap_or_default();
    if let Some(id) = id {
        text.push_str(&format!("id: {id}\n"));
    }
    text.push_str(&format!("event: {kind}\ndata: {json}\n\n"));
}

/// An event as the caller may see it: files inside their folder, and all else for administrators. Where
/// a file leaves their folder it is gone, and where it comes from elsewhere it is new.
fn visible(caller: &Caller, event: Event) -> Option<Event> {
    let sees = |name: &Option<String>| {
        let name = name.as_deref().and_then(|name| FileName::parse(name).ok());
        name.is_some_and(|name| caller.may(Role::Read, &name).is_ok())
    };
    match event.kind {
        EventKind::Reset => Some(event),
        EventKind::Renamed => match (sees(&event.from), sees(&event.to)) {
            (true, true) => Some(event),
            (true, false) => Some(Event {
                kind: EventKind::Deleted,
                name: event.from,
                from: None,
                to: None,
                version: None,
                ..event
            }),
            (false, true) => Some(Event {
                kind: EventKind::Stored,
                name: event.to,
                from: None,
                to: None,
                ..event
            }),
            (false, false) => None,
        },
        EventKind::Stored
        | EventKind::Changed
        | EventKind::Deleted
        | EventKind::Restored
        | EventKind::Purged => sees(&event.name).then_some(event),
        EventKind::Worker
        | EventKind::Health
        | EventKind::Leader
        | EventKind::Voters
        | EventKind::Task
        | EventKind::Token
        | EventKind::Policy
        | EventKind::Damage => caller.has(Role::Admin).is_ok().then_some(event),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mdfs_core::access::Grant;
    use mdfs_core::id::TokenId;
    use mdfs_core::time::LogTime;

    fn reader() -> Caller {
        let grant = Grant {
            roles: [Role::Read].into_iter().collect(),
            folder: mdfs_core::access::Folder::parse("films").unwrap(),
        };
        Caller::token(TokenId::from_u128(1), grant, LogTime::from_millis(9))
    }

    fn event(kind: EventKind, names: [&str; 3]) -> Event {
        let [name, from, to] = names.map(|name| (!name.is_empty()).then(|| name.to_owned()));
        Event {
            name,
            from,
            to,
            ..Event::new(kind)
        }
    }

    /// What a reader of one folder sees of an event.
    fn seen(kind: EventKind, names: [&str; 3]) -> Option<(EventKind, String)> {
        let event = visible(&reader(), event(kind, names))?;
        let names = [event.name, event.from, event.to];
        Some((
            event.kind,
            names.into_iter().flatten().collect::<Vec<_>>().join(" "),
        ))
    }

    #[test]
    fn nobody_learns_a_name_outside_their_folder() {
        use EventKind::{Deleted, Renamed, Stored, Token, Worker};
        let told = |kind, names: &str| Some((kind, names.to_owned()));
        assert_eq!(seen(Stored, ["films/a", "", ""]), told(Stored, "films/a"));
        assert_eq!(seen(Stored, ["other/a", "", ""]), None);
        assert_eq!(seen(Stored, ["filmsx", "", ""]), None);
        let moved = |from, to| seen(Renamed, ["", from, to]);
        assert_eq!(
            moved("films/a", "films/b"),
            told(Renamed, "films/a films/b")
        );
        assert_eq!(moved("films/a", "other/b"), told(Deleted, "films/a"));
        assert_eq!(moved("other/a", "films/b"), told(Stored, "films/b"));
        assert_eq!(moved("other/a", "other/b"), None);
        assert_eq!(seen(Worker, ["w1", "live", "dead"]), None);
        assert_eq!(seen(Token, ["films/a", "", ""]), None);
        assert!(visible(&Caller::root(), event(Worker, ["w1", "live", "dead"])).is_some());
    }

    #[test]
    fn a_name_cannot_break_out_of_its_event() {
        let mut text = String::new();
        let event = event(EventKind::Stored, ["a\n\nevent: tick\ndata: {}", "", ""]);
        write(&mut text, Some("1-2"), "stored", &event);
        assert_eq!(text.matches('\n').count(), 4);
    }
}
