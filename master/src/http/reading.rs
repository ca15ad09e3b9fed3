//! `GET` and `HEAD` of a file: the whole, ranges, or nothing that the client has already.

use super::App;
use super::caller::{Caller, PathName};
use super::conditions::{Outcome, last_modified, read_outcome};
use super::disposition::{Disposition, content_disposition, is_only_shown};
use super::error::{HttpError, range_not_satisfiable};
use super::multipart;
use super::query::Query;
use super::subtitles;
use super::wire::{bytes_up_to, checksums, replicas};
use crate::gateway::Piece;
use crate::leader::command::FileView;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, LAST_MODIFIED, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use mdfs_core::labels::{Labels, SourceTime};
use mdfs_core::range::{ByteRange, Resolution, content_range, resolve};
use mdfs_core::records::FileRecord;
use mdfs_protocol::link::LINK_PARAMETERS;
use mdfs_protocol::problem::Code;
use mdfs_protocol::public::{
    ATTRIBUTE_HEADER_PREFIX, BLAKE3_HEADER, CRC_HEADER, LOG_TIME_HEADER, REPLICAS_HEADER,
    SOURCE_MODIFIED_HEADER, VERSION_HEADER,
};
use mdfs_service::chance::random_u128;

/// What is stored runs nothing and loads nothing where a browser shows it, and has another origin than
/// this server: it must not act for whoever is logged in.
const SANDBOX: &str = "sandbox; default-src 'none'; style-src 'unsafe-inline'";

/// A file's bytes, to be shown or, with `?download=1`, saved.
pub(crate) async fn file(
    State(app): State<App>,
    PathName(name): PathName,
    caller: Caller,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, HttpError> {
    let query = Query::parse(uri.query().unwrap_or_default())?;
    let query = query
        .without(&LINK_PARAMETERS)
        .only(&["download", "replicas", "checksum", "as"])?;
    let disposition = match query.text("download") {
        None | Some("0" | "false") => Disposition::Inline,
        Some("" | "1" | "true") => Disposition::Attachment,
        Some(_) => return Err(HttpError::invalid("download: not 0 or 1")),
    };
    let asked = (query.flag("replicas")?, query.flag("checksum")?);
    if asked == (true, true) {
        return Err(HttpError::invalid("either ?replicas or ?checksum"));
    }
    let converted = match query.text("as") {
        None => false,
        Some("vtt") if asked == (false, false) => true,
        Some("vtt") => return Err(HttpError::invalid("as: alone, or not at all")),
        Some(_) => return Err(HttpError::invalid("as: not vtt")),
    };
    let view = app.0.leader.look_up(name).await?;
    if converted {
        return subtitles(app, view, &caller).await;
    }
    match asked {
        (true, _) => Ok(Json(replicas(&view)).into_response()),
        (_, true) => Ok(Json(checksums(&view.info)).into_response()),
        (false, false) => bytes(app, view, disposition, caller, method, &headers).await,
    }
}

/// A file as subtitles for browsers.
async fn subtitles(app: App, view: FileView, caller: &Caller) -> Result<Response, HttpError> {
    let size = view.info.record.size;
    if size > subtitles::MOST_BYTES {
        let most = subtitles::MOST_BYTES;
        let detail = format!("the file has {size} bytes: at most {most} are converted");
        return Err(HttpError::new(Code::TooLarge, detail));
    }
    let pieces = ByteRange::new(0, size)
        .map(Piece::File)
        .into_iter()
        .collect();
    let body = app.0.gateway.read(view, pieces, caller.holder()).await?;
    let most = usize::try_from(subtitles::MOST_BYTES).unwrap_or(usize::MAX);
    let bytes = bytes_up_to(Body::new(body), most).await;
    // It is our own reading that broke off, and no request.
    let bytes = bytes.map_err(|error| match error.code() {
        Code::IncompleteBody => {
            HttpError::new(Code::Unavailable, "the file cannot be read whole now")
        }
        _ => error,
    })?;
    let headers = [
        (CONTENT_TYPE, subtitles::MEDIA_TYPE),
        (CACHE_CONTROL, "private, no-cache"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CONTENT_SECURITY_POLICY, SANDBOX),
    ];
    Ok((headers, subtitles::as_vtt(&bytes)).into_response())
}

/// The bytes that a request asks for by its method and headers.
pub(crate) async fn bytes(
    app: App,
    view: FileView,
    disposition: Disposition,
    caller: Caller,
    method: Method,
    headers: &HeaderMap,
) -> Result<Response, HttpError> {
    let record = &view.info.record;
    let mut answer = Answer {
        status: StatusCode::OK,
        headers: HeaderMap::new(),
    };
    answer.describe(&view);
    let specs = match read_outcome(headers, record, view.log_time)? {
        Outcome::NotModified => {
            answer.status = StatusCode::NOT_MODIFIED;
            return Ok(answer.with(Body::empty()));
        }
        Outcome::Failed(what) => {
            let refused = HttpError::new(Code::PreconditionFailed, what);
            return Err(refused.with_text(ETAG, &record.etag()));
        }
        Outcome::Whole => Vec::new(),
        Outcome::Ranges(specs) => specs,
    };
    answer.present(&view, disposition);
    let pieces = match resolve(&specs, record.size) {
        Resolution::Unsatisfiable => {
            return Err(range_not_satisfiable(record.size, &record.etag()));
        }
        Resolution::Whole => {
            answer.set(CONTENT_TYPE, &record.content_type);
            ByteRange::new(0, record.size)
                .map(Piece::File)
                .into_iter()
                .collect()
        }
        Resolution::Ranges(ranges) => answer.partial(&ranges, record),
    };
    answer.set(CONTENT_LENGTH, &multipart::length(&pieces).to_string());
    if method == Method::HEAD {
        return Ok(answer.with(Body::empty()));
    }
    let body = app.0.gateway.read(view, pieces, caller.holder()).await?;
    Ok(answer.with(Body::new(body)))
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
}

impl Answer {
    fn set(&mut self, name: HeaderName, text: &str) {
        // Content types come from clients and were checked when they were stored; all other
        // values are made here.
        if let Ok(value) = HeaderValue::from_str(text) {
            self.headers.insert(name, value);
        }
    }

    /// Which version this is: also in a 304.
    fn describe(&mut self, view: &FileView) {
        let record = &view.info.record;
        self.set(ETAG, &record.etag());
        self.set(LAST_MODIFIED, &last_modified(record));
        self.set(
            HeaderName::from_static(VERSION_HEADER),
            &record.version.to_string(),
        );
        let log_time = view.log_time.as_millis().to_string();
        self.set(HeaderName::from_static(LOG_TIME_HEADER), &log_time);
        // Whoever keeps a copy asks whether it is still the version: names are overwritten.
        self.headers
            .insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    }

    fn present(&mut self, view: &FileView, disposition: Disposition) {
        let record = &view.info.record;
        let base_name = view.info.name.base_name();
        let value = content_disposition(disposition, base_name, &record.content_type);
        self.set(CONTENT_DISPOSITION, &value);
        self.set(
            HeaderName::from_static(CRC_HEADER),
            &record.crc32.to_string(),
        );
        self.set(
            HeaderName::from_static(BLAKE3_HEADER),
            &record.blake3.to_string(),
        );
        let replicas = record.replicas.get().to_string();
        self.set(HeaderName::from_static(REPLICAS_HEADER), &replicas);
        self.label(&record.labels);
        self.headers
            .insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        self.headers
            .insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if !is_only_shown(&record.content_type) {
            let sandbox = HeaderValue::from_static(SANDBOX);
            self.headers.insert(CONTENT_SECURITY_POLICY, sandbox);
        }
    }

    /// What whoever stored the file said of it; the names and values were checked then.
    fn label(&mut self, labels: &Labels) {
        if let Some(SourceTime(millis)) = labels.modified {
            let name = HeaderName::from_static(SOURCE_MODIFIED_HEADER);
            self.set(name, &millis.to_string());
        }
        for (name, value) in labels.attributes.iter() {
            let name = HeaderName::try_from(format!("{ATTRIBUTE_HEADER_PREFIX}{name}"));
            if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value.as_bytes())) {
                self.headers.insert(name, value);
            }
        }
    }

    fn partial(&mut self, ranges: &[ByteRange], record: &FileRecord) -> Vec<Piece> {
        self.status = StatusCode::PARTIAL_CONTENT;
        if let [range] = ranges {
            self.set(CONTENT_TYPE, &record.content_type);
            self.set(CONTENT_RANGE, &content_range(range, record.size));
            return vec![Piece::File(*range)];
        }
        let laid = multipart::lay_out(ranges, record.size, &record.content_type, random_u128());
        self.set(CONTENT_TYPE, &laid.content_type);
        laid.pieces
    }

    fn with(self, body: Body) -> Response {
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}
