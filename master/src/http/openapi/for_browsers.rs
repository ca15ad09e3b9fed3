//! What there is for browsers: the console's files, its sessions, and what its first page shows.

use super::operation::{Content, Operation};
use crate::http::console;
use mdfs_protocol::problem::Code::*;
use mdfs_protocol::public::*;
use mdfs_protocol::session::{OpenSession, SESSION, SessionInfo};
use serde_json::json;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::new("GET", SESSION, "Who asks, and what there is for them")
            .json::<SessionInfo>(200, "That."),
        Operation::new(
            "POST",
            SESSION,
            "Opens a session of a browser: a cookie stands for a token",
        )
        .takes::<OpenSession>()
        .json::<SessionInfo>(200, "It is open; `set-cookie` has the cookie.")
        .fails(&[Unauthorized, CrossSite, TooManyFailures, RouteNotFound])
        .fails(&[Busy, NoLeader, NotBootstrapped]),
        Operation::new("DELETE", SESSION, "Has the browser forget its session")
            .empty(204, "`set-cookie` ends the cookie."),
        Operation::new(
            "GET",
            EVENTS,
            "What went on lately; with `Accept: text/event-stream`, what goes on",
        )
        .query(
            "after",
            json!({ "type": "string" }),
            "The `next` of the page before, or the id of an event.",
        )
        .pages()
        .header(
            "accept",
            "With `text/event-stream`, events are answered as they come.",
        )
        .json::<Events>(200, "A page.")
        .fails(&[Busy]),
        Operation::new("GET", OVERVIEW, "What the first page of the console shows")
            .json::<Overview>(200, "That."),
        Operation::new(
            "GET",
            HISTORY,
            "Figures of the last hour, of 10 seconds each",
        )
        .query(
            "minutes",
            json!({ "type": "integer", "minimum": 1, "maximum": 60 }),
            "How far back; 60 if left out.",
        )
        .json::<History>(200, "Lists of one length."),
        Operation::new("GET", console::FILE, "A file of the console")
            .query(
                "h",
                json!({ "type": "string" }),
                "The hash of the file: it is then kept for ever.",
            )
            .answer(200, "The file.", Content::File, &[])
            .answer(304, "The browser has it.", Content::Nothing, &[])
            .fails(&[RouteNotFound]),
        Operation::new("HEAD", console::FILE, "A file of the console")
            .answer(200, "The file.", Content::File, &[])
            .answer(304, "The browser has it.", Content::Nothing, &[])
            .fails(&[RouteNotFound]),
    ]
}
