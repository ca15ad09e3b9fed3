//! All records at once: export and import.
//!
//! Neither is held whole in memory: an export is encoded as its client takes it, from a copy of the
//! table that shares the leader's pages; an import goes to the leader in batches as it comes.

mod ids;
mod lines;
mod take;

use super::App;
use super::admin::change_of;
use super::caller::Caller;
use super::error::HttpError;
use super::query::Query;
use crate::error::Error;
use crate::leader::command::Export;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{AppendHeaders, IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::Uri;
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use lines::Lines;
use mdfs_client::link::LinkError;
use mdfs_core::checksum::Blake3;
use mdfs_core::records::{
    ClusterRecord, Corrupt, FileRecord, Key, Kind, TokenRecord, TrashRecord, decode,
};
use mdfs_protocol::internal::Leader;
use mdfs_protocol::problem::Code;
use mdfs_protocol::public::{Imported, PolicyChange};
use mdfs_protocol::transfer::{self, End, File, Head, Line, Token, Trashed};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;

/// Exports and imports at a time in one master. Each holds on to a copy of the table, whose pages are
/// kept as they were while the leader writes others.
pub(super) const MOST_TRANSFERS: usize = 2;
/// In which the leader has to begin with what another master passes on, and to go on with it.
const PASS_WITHIN: Duration = Duration::from_secs(30);
const PASS_STALL: Duration = Duration::from_secs(120);
/// Bytes of an export that are encoded at a time: what the client has to take before more is.
const PIECE_BYTES: usize = 256 * 1024;

/// Gives out all records but uploads and what follows from the disks.
pub(crate) async fn export(State(app): State<App>, uri: Uri) -> Result<Response, HttpError> {
    let query = Query::parse(uri.query().unwrap_or_default())?.only(&["tokens"])?;
    let with_tokens = query.flag("tokens")?;
    let permit = permit(&app)?;
    match records(&app).await? {
        Records::Here(export) => Ok(export_of(*export, with_tokens, permit)),
        Records::At(leader) => {
            // The leader counts those that it gives out.
            drop(permit);
            let query = if with_tokens { "?tokens=1" } else { "" };
            let path = format!("{}{query}", transfer::PASSED);
            Ok(exported(pass_on(&app, &leader, &path).await?))
        }
    }
}

/// The same for another master, of this one alone.
pub(crate) async fn export_here(State(app): State<App>, uri: Uri) -> Result<Response, HttpError> {
    let query = Query::parse(uri.query().unwrap_or_default())?.only(&["tokens"])?;
    let with_tokens = query.flag("tokens")?;
    let permit = permit(&app)?;
    let export = app.0.leader.export().await?;
    Ok(export_of(export, with_tokens, permit))
}

/// All records, or who has them: only the leader does.
pub(super) enum Records {
    Here(Box<Export>),
    At(Leader),
}

/// Who leads may become known while this master's own loop holds the question.
pub(super) async fn records(app: &App) -> Result<Records, Error> {
    if let Some(leader) = app.0.leader.elsewhere() {
        return Ok(Records::At(leader));
    }
    match app.0.leader.export().await {
        Ok(export) => Ok(Records::Here(Box::new(export))),
        Err(Error::NotLeader { hint: Some(leader) }) => Ok(Records::At(leader)),
        Err(error) => Err(error),
    }
}

/// The ids of all files that are here, for another master that imports.
pub(crate) async fn ids_here(State(app): State<App>) -> Result<Response, HttpError> {
    let permit = permit(&app)?;
    let ids = ids::Ids::new(app.0.leader.export().await?, permit);
    let pieces = stream::try_unfold(ids, |mut ids| async move {
        let piece = ids.piece()?;
        Ok::<_, Corrupt>(piece.map(|piece| (piece, ids)))
    });
    Ok(Body::from_stream(pieces).into_response())
}

/// What the master that leads answers to a `GET`, as it comes.
pub(super) async fn pass_on(app: &App, leader: &Leader, path: &str) -> Result<Body, HttpError> {
    let links = app.0.gateway.links();
    let passed = links.passed(&leader.url, path, PASS_WITHIN, PASS_STALL);
    let passed = passed.await.map_err(not_passed)?;
    let pieces = stream::try_unfold(passed, |mut passed| async move {
        let piece = passed.next().await?;
        Ok::<_, LinkError>(piece.map(|piece| (piece, passed)))
    });
    Ok(Body::from_stream(pieces))
}

/// The leader's refusal is the answer; if it is not there, nobody leads.
fn not_passed(error: LinkError) -> HttpError {
    match error {
        LinkError::Refused { code, detail, .. } => HttpError::new(code, detail),
        error => {
            tracing::debug!(%error, "the leader does not answer");
            Error::NoLeader.into()
        }
    }
}

fn export_of(export: Export, with_tokens: bool, permit: OwnedSemaphorePermit) -> Response {
    let writer = Writer::new(export, with_tokens, permit);
    let pieces = stream::try_unfold(writer, |mut writer| async move {
        let piece = writer.piece()?;
        Ok::<_, Corrupt>(piece.map(|piece| (piece, writer)))
    });
    exported(Body::from_stream(pieces))
}

fn exported(body: Body) -> Response {
    let headers = AppendHeaders([
        (CONTENT_TYPE, transfer::CONTENT_TYPE),
        (CACHE_CONTROL, "no-store"),
        (
            CONTENT_DISPOSITION,
            "attachment; filename=\"mdfs-export.jsonl\"",
        ),
    ]);
    (headers, body).into_response()
}

/// Takes in what is missing of an export.
///
/// What was committed of one that breaks off stays: the same import again takes in the rest.
pub(crate) async fn import(
    State(app): State<App>,
    caller: Caller,
    uri: Uri,
    body: Body,
) -> Result<Json<Imported>, HttpError> {
    let query = Query::parse(uri.query().unwrap_or_default())?;
    let query = query.only(&["overwrite", "policy", "other_cluster", "tokens"])?;
    let overwrite = query.flag("overwrite")?;
    let also = Also {
        policy: query.flag("policy")?,
        tokens: query.flag("tokens")?,
    };
    let other_cluster = query.flag("other_cluster")?;
    let _permit = permit(&app)?;
    let mut lines = Lines::new(body);
    let head = lines.head().await?;
    let cluster = app.0.leader.status().await?.cluster_id;
    let cluster = cluster.ok_or(Error::NoLeader)?;
    if head.cluster != cluster && !other_cluster {
        let detail = format!(
            "the export is of cluster {}, and this is {cluster}: other_cluster=1 takes it all the same",
            head.cluster
        );
        return Err(HttpError::new(Code::Conflict, detail));
    }
    let import = app.0.chance.random_u128();
    take::begin(&app, import).await?;
    let known = ids::known(&app).await?;
    let mut taker = take::Taker::new(&app, overwrite, known, import);
    let read = read(&app, &caller, &also, &mut lines, &mut taker).await;
    // What stands before a line that cannot be read stays, so it is waited for.
    let taken = taker.finish().await;
    match (read, taken) {
        (Ok(()), taken) => Ok(Json(taken?)),
        (Err(error), Ok(taken)) => {
            let before = taken.files + taken.trashed;
            Err(error.with_detail(&format!("{before} files before that were taken in")))
        }
        (Err(error), Err(_)) => Err(error),
    }
}

/// What else is taken in if it was asked for: both are older than what is here.
struct Also {
    policy: bool,
    /// Some may have been ended since.
    tokens: bool,
}

/// Takes one line after the other.
async fn read(
    app: &App,
    caller: &Caller,
    also: &Also,
    lines: &mut Lines,
    taker: &mut take::Taker<'_>,
) -> Result<(), HttpError> {
    while let Some((line, bytes)) = lines.line().await? {
        match line {
            Line::File(file) => {
                let (name, record) = file.into_record().map_err(|error| lines.invalid(&error))?;
                taker.take(name, record, None, bytes).await?;
            }
            Line::Trash(Trashed { deleted, file }) => {
                let (name, record) = file.into_record().map_err(|error| lines.invalid(&error))?;
                taker.take(name, record, Some(deleted), bytes).await?;
            }
            Line::Policy(change) if also.policy => {
                app.0.leader.change_policy(change_of(change)?).await?;
                taker.imported.policy = true;
            }
            Line::Policy(_) => {}
            Line::Token(_) if !also.tokens => {}
            Line::Token(token) => {
                let (id, record) = token.into_record();
                record
                    .grant
                    .check()
                    .map_err(|error| lines.invalid(&error))?;
                taker.token(caller, id, record).await?;
            }
            // The reader stops there.
            Line::End(_) => {}
        }
    }
    Ok(())
}

pub(super) fn permit(app: &App) -> Result<OwnedSemaphorePermit, HttpError> {
    let permit = app.0.transfers.clone().try_acquire_owned();
    permit.map_err(|_| HttpError::new(Code::Busy, "other exports and imports are under way"))
}

/// An export under way.
struct Writer {
    export: Export,
    /// Kinds of records that are still to come; of the first, those behind `after`.
    kinds: VecDeque<Kind>,
    after: Option<Vec<u8>>,
    written: Written,
    ended: bool,
    _permit: OwnedSemaphorePermit,
}

/// Lines that are encoded.
#[derive(Default)]
struct Written {
    /// Those that nobody took yet.
    bytes: Vec<u8>,
    /// How many there are in all.
    lines: u64,
    /// Of all that were taken.
    hasher: blake3::Hasher,
}

impl Writer {
    fn new(export: Export, with_tokens: bool, permit: OwnedSemaphorePermit) -> Self {
        // The trash first: what came there before a file of the same name is older than it.
        let mut kinds = VecDeque::from([Kind::Trash, Kind::File]);
        kinds.extend(with_tokens.then_some(Kind::Token));
        let head = Head::new(export.cluster.cluster, export.index, export.log_time);
        let mut written = Written::default();
        written.line(&head);
        written.line(&Line::Policy(policy_of(&export.cluster)));
        Self {
            export,
            kinds,
            after: None,
            written,
            ended: false,
            _permit: permit,
        }
    }

    /// The next bytes; none after the last ones.
    fn piece(&mut self) -> Result<Option<Bytes>, Corrupt> {
        while !self.written.is_enough() && !self.ended {
            let Some(&kind) = self.kinds.front() else {
                self.written.end();
                self.ended = true;
                break;
            };
            let (prefix, after) = ([kind.tag()], self.after.take());
            for (key, value) in self.export.table.range(&prefix, after.as_deref()) {
                if self.written.is_enough() {
                    break;
                }
                self.after = Some(key.to_vec());
                if let Some(line) = line_of(key, value)? {
                    self.written.line(&line);
                }
            }
            if self.after.is_none() {
                self.kinds.pop_front();
            }
        }
        Ok(self.written.take())
    }
}

impl Written {
    fn is_enough(&self) -> bool {
        self.bytes.len() >= PIECE_BYTES
    }

    fn line(&mut self, line: &impl serde::Serialize) {
        // Texts and numbers: they always encode, and a list of bytes always takes more.
        if serde_json::to_writer(&mut self.bytes, line).is_ok() {
            self.bytes.push(b'\n');
            self.lines += 1;
        }
    }

    fn end(&mut self) {
        let mut hasher = self.hasher.clone();
        hasher.update(&self.bytes);
        let end = End {
            lines: self.lines,
            blake3: Blake3(*hasher.finalize().as_bytes()),
        };
        self.line(&Line::End(end));
    }

    fn take(&mut self) -> Option<Bytes> {
        self.hasher.update(&self.bytes);
        let bytes = std::mem::take(&mut self.bytes);
        (!bytes.is_empty()).then(|| Bytes::from(bytes))
    }
}

fn line_of(key: &[u8], value: &[u8]) -> Result<Option<Line>, Corrupt> {
    Ok(match Key::from_bytes(key)? {
        Key::File(name) => {
            let record: FileRecord = decode(value)?;
            Some(Line::File(Box::new(File::new(name, record))))
        }
        Key::Trash(deleted, _) => {
            let TrashRecord { name, file } = decode(value)?;
            let file = Box::new(File::new(name, file));
            Some(Line::Trash(Trashed { deleted, file }))
        }
        Key::Token(id) => {
            let record: TokenRecord = decode(value)?;
            Some(Line::Token(Token::new(id, record)))
        }
        _ => None,
    })
}

fn policy_of(cluster: &ClusterRecord) -> PolicyChange {
    PolicyChange {
        replicas: Some(cluster.replicas.get()),
        chunk_size: Some(cluster.chunk_size.bytes()),
        repair_delay_seconds: Some(cluster.repair_delay_seconds),
        trash_keep_seconds: Some(cluster.trash_keep_seconds),
        lower_after_seconds: Some(cluster.lower_after_seconds),
        // Another cluster may have too few voters for it; asked for by hand, it is refused there.
        min_write_copies: None,
    }
}
