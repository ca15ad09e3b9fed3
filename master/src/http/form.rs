//! Forms with files in them (`multipart/form-data`), read as they come.
//!
//! The library that takes a form apart buffers whatever its source has ready. The `Gate` before it
//! lets through one piece at a time, and only so many bytes where no file's bytes are due: so a form
//! costs no more memory than what a connection reads at once, and one header.

use bytes::Bytes;
use futures_util::Stream;
use multer::{Field, Multipart};
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

/// Most parts of a form, files and texts together.
pub const MOST_PARTS: usize = 1000;
/// Most bytes of a text, and of the headers of a part.
pub const TEXT_MAX_BYTES: usize = 8 * 1024;
/// Most bytes of a boundary (RFC 2046).
const BOUNDARY_MAX_BYTES: usize = 70;
/// What may come between the bytes of two files: headers, texts, and what stands before the form.
const BETWEEN_MAX_BYTES: usize = 64 * 1024;

/// Why a form cannot be read any further.
#[derive(Debug, thiserror::Error)]
pub enum FormError {
    /// It is none, or breaks a rule.
    #[error("form: {0}")]
    Invalid(String),
    /// It broke off.
    #[error("the form broke off: {0}")]
    BrokeOff(String),
    /// Too much of something.
    #[error("form: {what}: at most {most} are taken")]
    TooLarge {
        /// Of what.
        what: &'static str,
        /// How much is taken.
        most: usize,
    },
}

/// A form under way.
pub struct Form {
    parts: Multipart<'static>,
    allowance: Arc<Allowance>,
    read: usize,
}

/// A part of a form.
pub enum Part {
    /// A text: its field, and what it says.
    Text(String, String),
    /// A file.
    File(Box<FormFile>),
}

/// A file in a form. It has to be read, or dropped, before the next part can be had.
pub struct FormFile {
    /// Its field.
    pub field: String,
    /// What the form calls it.
    pub name: String,
    /// Its media type, if the form says.
    pub content_type: Option<String>,
    /// Its bytes.
    pub bytes: FileBytes,
}

/// The bytes of a file in a form, piece by piece.
pub struct FileBytes(Field<'static>);

impl Form {
    /// Reads a form of the type that `content_type` says.
    ///
    /// # Errors
    /// If that is no form.
    pub fn new<S, E>(content_type: &str, body: S) -> Result<Self, FormError>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + Unpin + 'static,
        E: std::error::Error + Send + Sync + 'static,
    {
        let boundary = multer::parse_boundary(content_type);
        let boundary = boundary.map_err(|error| FormError::Invalid(error.to_string()))?;
        if !(1..=BOUNDARY_MAX_BYTES).contains(&boundary.len()) {
            let rule = format!("a boundary has 1 to {BOUNDARY_MAX_BYTES} bytes");
            return Err(FormError::Invalid(rule));
        }
        let allowance = Arc::new(Allowance::default());
        let gate = Gate {
            body,
            pieces: VecDeque::new(),
            pause: false,
            allowance: Arc::clone(&allowance),
        };
        Ok(Self {
            parts: Multipart::new(gate, boundary),
            allowance,
            read: 0,
        })
    }

    /// The next part; none at the end of the form.
    ///
    /// # Errors
    /// See [`FormError`]; nothing more can be read then.
    pub async fn next(&mut self) -> Result<Option<Part>, FormError> {
        self.allowance.set(BETWEEN_MAX_BYTES);
        let Some(field) = self.parts.next_field().await.map_err(told)? else {
            return Ok(None);
        };
        self.read += 1;
        if self.read > MOST_PARTS {
            let (what, most) = ("parts", MOST_PARTS);
            return Err(FormError::TooLarge { what, most });
        }
        let headers: usize = field
            .headers()
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len())
            .sum();
        if headers > TEXT_MAX_BYTES {
            let (what, most) = ("bytes in the headers of a part", TEXT_MAX_BYTES);
            return Err(FormError::TooLarge { what, most });
        }
        let Some(name) = field.name().map(str::to_owned) else {
            return Err(FormError::Invalid("a part has no name".to_owned()));
        };
        match field.file_name().map(str::to_owned) {
            None => Ok(Some(Part::Text(name, text(field).await?))),
            Some(file_name) => {
                self.allowance.set(usize::MAX);
                Ok(Some(Part::File(Box::new(FormFile {
                    field: name,
                    name: file_name,
                    content_type: field.content_type().map(ToString::to_string),
                    bytes: FileBytes(field),
                }))))
            }
        }
    }
}

impl FileBytes {
    /// Reads them for nobody.
    ///
    /// # Errors
    /// As [`Form::next`].
    pub async fn skip(mut self) -> Result<(), FormError> {
        while let Some(piece) = self.0.chunk().await.map_err(told)? {
            drop(piece);
        }
        Ok(())
    }
}

/// The text of a part.
async fn text(mut field: Field<'static>) -> Result<String, FormError> {
    let mut bytes = Vec::new();
    while let Some(piece) = field.chunk().await.map_err(told)? {
        bytes.extend_from_slice(&piece);
        if bytes.len() > TEXT_MAX_BYTES {
            let (what, most) = ("bytes of a text", TEXT_MAX_BYTES);
            return Err(FormError::TooLarge { what, most });
        }
    }
    String::from_utf8(bytes).map_err(|_| FormError::Invalid("a text is not UTF-8".to_owned()))
}

impl Stream for FileBytes {
    type Item = Result<Bytes, FormError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = ready!(Pin::new(&mut self.0).poll_next(cx));
        Poll::Ready(next.map(|piece| piece.map_err(told)))
    }
}

fn told(error: multer::Error) -> FormError {
    use multer::Error;
    match error {
        Error::StreamReadFailed(source) if source.is::<Exceeded>() => FormError::TooLarge {
            what: "bytes between two files",
            most: BETWEEN_MAX_BYTES,
        },
        Error::StreamReadFailed(source) => FormError::BrokeOff(source.to_string()),
        Error::IncompleteFieldData { .. } | Error::IncompleteHeaders | Error::IncompleteStream => {
            FormError::BrokeOff("it has no end".to_owned())
        }
        other => FormError::Invalid(other.to_string()),
    }
}

/// How many bytes may come before something is made of them.
#[derive(Default)]
struct Allowance(AtomicUsize);

impl Allowance {
    fn set(&self, bytes: usize) {
        self.0.store(bytes, Ordering::Relaxed);
    }

    fn take(&self, bytes: usize) -> Result<(), Exceeded> {
        match self.0.load(Ordering::Relaxed) {
            usize::MAX => Ok(()),
            left => {
                self.set(left.checked_sub(bytes).ok_or(Exceeded)?);
                Ok(())
            }
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("too many bytes between two files")]
struct Exceeded;

/// The longest piece that is let through at once.
const PIECE_BYTES: usize = 32 * 1024;

/// Lets one piece through, then has whoever asks come again: they take what they have first.
struct Gate<S> {
    body: S,
    pieces: VecDeque<Bytes>,
    pause: bool,
    allowance: Arc<Allowance>,
}

type GateError = Box<dyn std::error::Error + Send + Sync>;

impl<S, E> Stream for Gate<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: std::error::Error + Send + Sync + 'static,
{
    type Item = Result<Bytes, GateError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.pause) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.pieces.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_next(cx)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                Some(Ok(mut bytes)) => {
                    while bytes.len() > PIECE_BYTES {
                        self.pieces.push_back(bytes.split_to(PIECE_BYTES));
                    }
                    self.pieces.push_back(bytes);
                }
            }
        }
        self.pause = true;
        let piece = self.pieces.pop_front().unwrap_or_default();
        match self.allowance.take(piece.len()) {
            Ok(()) => Poll::Ready(Some(Ok(piece))),
            Err(exceeded) => Poll::Ready(Some(Err(exceeded.into()))),
        }
    }
}
