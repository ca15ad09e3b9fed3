//! The short routes of the original system: aliases of the routes under `/v1/`, with the name in the
//! query, and files that come in a form.

use super::App;
use super::audit::{Subject, cut};
use super::caller::{Caller, PathName};
use super::conditions::precondition;
use super::disposition::Disposition;
use super::error::{HttpError, problem_of};
use super::files;
use super::form::{Form, FormError, FormFile, Part};
use super::name::parse_name;
use super::query::Query;
use super::reading;
use super::storing::{created, media_type};
use super::wire::{checksums, stored_info};
use crate::gateway::{Expected, Upload};
use crate::leader::command::{BeginUpload, FileInfo};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderMap, Method, StatusCode, Uri};
use mdfs_core::access::{Folder, Role};
use mdfs_core::labels::Labels;
use mdfs_core::media_type::media_type_of;
use mdfs_core::name::{FileName, MAX_NAME_BYTES};
use mdfs_core::records::Precondition;
use mdfs_protocol::problem::Code;
use mdfs_protocol::public::{Checksums, FormFiles, FormResult, REQUEST_HEADER, Verified};
use mdfs_service::RequestId;

/// `POST`: stores the files of a form.
pub(crate) const UPLOAD: &str = "/upload";
/// `GET`, `HEAD` `?name=`: a file's bytes, to be saved.
pub(crate) const DOWNLOAD: &str = "/download";
/// `GET`, `HEAD` `?name=`: a file's bytes, to be shown.
pub(crate) const PLAY: &str = "/play";
/// `GET ?name=`: what a file's bytes hash to.
pub(crate) const CHECKSUM: &str = "/get-checksum";
/// `GET ?name=`: has all copies of a file read.
pub(crate) const VERIFY: &str = "/verify";
/// `POST`, `DELETE` `?name=`: deletes a file.
pub(crate) const DELETE: &str = "/delete";

/// So many files of a form are refused by what is known of them before their bytes; then it ends.
const MOST_REFUSED: usize = 100;
/// How much of a text that is too long for a name is answered.
const SHOWN_CHARS: usize = 100;

/// The query of a route whose name stands in it, with these parameters besides.
fn query(uri: &Uri, others: &[&str]) -> Result<Query, HttpError> {
    let query = Query::parse(uri.query().unwrap_or_default())?;
    query.without(&["name"]).only(others)
}

/// A file's bytes, to be saved.
pub(crate) async fn download(
    State(app): State<App>,
    PathName(name): PathName,
    caller: Caller,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, HttpError> {
    query(&uri, &[])?;
    let view = app.0.leader.look_up(name).await?;
    reading::bytes(app, view, Disposition::Attachment, caller, method, &headers).await
}

/// A file's bytes, to be shown.
pub(crate) async fn play(
    State(app): State<App>,
    PathName(name): PathName,
    caller: Caller,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, HttpError> {
    query(&uri, &[])?;
    let view = app.0.leader.look_up(name).await?;
    reading::bytes(app, view, Disposition::Inline, caller, method, &headers).await
}

/// What a file's bytes hash to.
pub(crate) async fn checksum(
    State(app): State<App>,
    PathName(name): PathName,
    uri: Uri,
) -> Result<Json<Checksums>, HttpError> {
    query(&uri, &[])?;
    let view = app.0.leader.look_up(name).await?;
    Ok(Json(checksums(&view.info)))
}

/// Has all copies of a file read.
pub(crate) async fn verify(
    State(app): State<App>,
    PathName(name): PathName,
    caller: Caller,
    uri: Uri,
) -> Result<Json<Verified>, HttpError> {
    query(&uri, &[])?;
    let view = app.0.leader.look_up(name).await?;
    Ok(Json(app.0.gateway.verify(&view, caller.holder()).await?))
}

/// Deletes a file; with `purge`, for good.
pub(crate) async fn delete(
    State(app): State<App>,
    PathName(name): PathName,
    uri: Uri,
    headers: HeaderMap,
) -> Result<StatusCode, HttpError> {
    let purge = query(&uri, &["purge"])?.flag("purge")?;
    files::end(&app, name, purge, &headers).await
}

/// Stores the files of a form. One is answered as `PUT` answers; of several, each by itself.
pub(crate) async fn upload(
    State(app): State<App>,
    caller: Caller,
    subject: Subject,
    request: RequestId,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, HttpError> {
    // Whoever may store nothing anywhere is told so before a byte is read.
    caller.scope(Role::Write)?;
    Query::parse(uri.query().unwrap_or_default())?.only(&[])?;
    if headers.contains_key(REQUEST_HEADER) {
        let detail = format!("{REQUEST_HEADER} names one change, and a form may make many");
        return Err(HttpError::invalid(detail));
    }
    let content_type = headers.get(CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok());
    let form = Form::new(content_type.unwrap_or_default(), body.into_data_stream())?;
    let mut storing = Storing {
        app,
        caller,
        subject,
        precondition: precondition(&headers)?,
        folder: None,
        name: None,
        done: Vec::new(),
        refused: 0,
    };
    let end = storing.all(form).await;
    storing.answer(end, request.as_str())
}

/// The files of one form, on their way.
struct Storing {
    app: App,
    caller: Caller,
    subject: Subject,
    precondition: Precondition,
    /// Where the files belong.
    folder: Option<Folder>,
    /// What the next file is called.
    name: Option<String>,
    /// What became of those that came, by name.
    done: Vec<Done>,
    /// How many were refused before anybody was asked.
    refused: usize,
}

/// What became of a file, and its name, cut.
type Done = (String, Result<FileInfo, HttpError>);

impl Storing {
    /// Takes one part after another.
    ///
    /// # Errors
    /// For what ends the whole form, whatever became of the files before.
    async fn all(&mut self, mut form: Form) -> Result<(), HttpError> {
        while let Some(part) = form.next().await? {
            match part {
                Part::Text(field, text) => self.told(&field, text)?,
                Part::File(file) => {
                    if !matches!(file.field.as_str(), "file" | "files" | "file[]" | "files[]") {
                        return Err(unknown(&file.field));
                    }
                    self.file(*file).await?;
                }
            }
        }
        if self.done.is_empty() {
            let hint = "the form has no file: send it in the field `file`, with a filename";
            return Err(HttpError::invalid(hint));
        }
        match self.name {
            Some(_) => Err(out_of_order("`name` has no file behind it")),
            None => Ok(()),
        }
    }

    /// Notes what a text says of the files behind it.
    fn told(&mut self, field: &str, text: String) -> Result<(), HttpError> {
        match field {
            "name" if self.name.is_some() => {
                Err(out_of_order("`name` is given twice for one file"))
            }
            "name" => {
                self.name = Some(text);
                Ok(())
            }
            "path" | "folder" if !self.done.is_empty() => {
                Err(out_of_order(&format!("`{field}` came behind a file")))
            }
            "path" | "folder" if self.folder.is_some() => {
                Err(out_of_order("the folder is given twice"))
            }
            "path" | "folder" => {
                let folder = Folder::parse(&text);
                let invalid =
                    |error| HttpError::new(Code::InvalidName, format!("{field}: {error}"));
                self.folder = Some(folder.map_err(invalid)?);
                Ok(())
            }
            other => Err(unknown(other)),
        }
    }

    /// Stores one file, and notes what became of it.
    ///
    /// # Errors
    /// If nothing that follows it can be stored either.
    async fn file(&mut self, file: FormFile) -> Result<(), HttpError> {
        let FormFile {
            field: _,
            name,
            content_type,
            bytes,
        } = file;
        let name = self.name.take().unwrap_or(name);
        let folder = self.folder.as_ref().map_or("", Folder::as_str);
        let name = format!("{folder}{name}");
        self.subject.begins(&name);
        // A form may last long: who sends it is asked for before each file.
        if let Err(gone) = self.app.0.entrance.still_knows(&self.caller).await {
            return self.ended(&name, Err(gone));
        }
        let begin = match self.begin(&name, content_type.as_deref()) {
            Ok(begin) => begin,
            Err(refused) => {
                self.refused += 1;
                self.ended(&name, Err(refused))?;
                if self.refused < MOST_REFUSED {
                    return Ok(());
                }
                let detail = format!("form: it ends behind {MOST_REFUSED} files that are refused");
                return Err(HttpError::invalid(detail));
            }
        };
        let upload = Upload {
            begin,
            length: None,
            expected: Expected::default(),
        };
        let body = Body::from_stream(bytes);
        let holder = self.caller.holder();
        let stored = self.app.0.gateway.store(upload, body, holder).await;
        self.ended(&name, stored.map_err(HttpError::from))
    }

    /// Notes what became of a file.
    ///
    /// # Errors
    /// If nothing that follows it can be stored either: the form is over, or its sender is not known
    /// any more, or the cluster cannot.
    fn ended(&mut self, name: &str, stored: Result<FileInfo, HttpError>) -> Result<(), HttpError> {
        self.subject
            .ends(stored.as_ref().err().map(HttpError::code));
        let end = match &stored {
            Err(error) if error.code() == Code::IncompleteBody => Err(error.clone()),
            Err(error) if error.code() == Code::Unauthorized => Err(error.clone()),
            Err(error) if error.code().status() >= 500 => Err(error.clone()),
            Ok(_) | Err(_) => Ok(()),
        };
        self.done.push((shown(name), stored));
        end
    }

    /// Checks what is known of a file before its bytes.
    fn begin(&self, name: &str, content_type: Option<&str>) -> Result<BeginUpload, HttpError> {
        let name: FileName = parse_name(name)?;
        self.caller.may(Role::Write, &name)?;
        let content_type = match content_type {
            // Browsers say this of everything that they do not know.
            None | Some("application/octet-stream") => media_type_of(name.as_str()).to_owned(),
            Some(text) => media_type(text)?,
        };
        Ok(BeginUpload {
            request: None,
            content_type,
            name,
            chunk_size: None,
            replicas: None,
            labels: Labels::default(),
            precondition: self.precondition.clone(),
            session: None,
            holder: None,
        })
    }

    /// What is answered when the form has ended so.
    ///
    /// # Errors
    /// If nothing is stored: with what ended the form, or with what became of its first file.
    fn answer(self, end: Result<(), HttpError>, request_id: &str) -> Result<Response, HttpError> {
        let done = self.done;
        let is_stored = |(_, file): &Done| file.is_ok();
        let whole = end.is_ok() && done.iter().all(is_stored);
        if let [(_, Ok(info))] = done.as_slice()
            && whole
        {
            return Ok(created(info));
        }
        let first = done
            .iter()
            .find_map(|(_, file)| file.as_ref().err())
            .cloned();
        let nothing = !done.iter().any(is_stored);
        let failed = |error: &HttpError| problem_of(error, request_id);
        let several = done.len() > 1;
        let file = |(name, file): Done| match file {
            Ok(info) => FormResult::Stored(stored_info(&info)),
            Err(error) => FormResult::Refused {
                name,
                problem: failed(&error),
            },
        };
        let files: Vec<_> = done.into_iter().map(file).collect();
        if nothing && let Some(error) = end.as_ref().err().cloned().or(first) {
            return Err(match several {
                true => error.with_files(files),
                false => error,
            });
        }
        let files = FormFiles {
            ended_by: end.err().map(|error| failed(&error)),
            files,
        };
        let status = match whole {
            true => StatusCode::CREATED,
            false => StatusCode::MULTI_STATUS,
        };
        let no_store = [(HeaderName::from_static("cache-control"), "no-store")];
        Ok((status, no_store, Json(files)).into_response())
    }
}

/// A name as it is answered: whole if it is one.
fn shown(name: &str) -> String {
    match name.len() <= MAX_NAME_BYTES {
        true => name.to_owned(),
        false => cut(name, SHOWN_CHARS),
    }
}

fn out_of_order(what: &str) -> HttpError {
    HttpError::invalid(format!(
        "form: {what}; the order is: `path` (or `folder`) once, then the files, each with its `name`, if \
         it has one, before its `file`"
    ))
}

fn unknown(field: &str) -> HttpError {
    let field: String = field.chars().take(64).collect();
    HttpError::invalid(format!(
        "form: the field {field:?} is unknown: there are file, name, and path or folder"
    ))
}

impl From<FormError> for HttpError {
    fn from(error: FormError) -> Self {
        let code = match error {
            FormError::Invalid(_) => Code::InvalidRequest,
            FormError::BrokeOff(_) => Code::IncompleteBody,
            FormError::TooLarge { .. } => Code::TooLarge,
        };
        Self::new(code, error.to_string())
    }
}
