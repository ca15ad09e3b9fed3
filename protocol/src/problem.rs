//! How an error looks on the wire: `application/problem+json` with a stable code.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// The media type of an error body.
pub const CONTENT_TYPE: &str = "application/problem+json";

/// The header that names a request in answers, errors and logs.
pub const REQUEST_ID_HEADER: &str = "x-request-id";

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $word:literal $status:literal $title:literal,)*) => {
        /// Why a request failed: stable words that clients may rely on.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $($(#[$doc])* $variant,)*
        }

        impl Code {
            /// Every code there is.
            pub const ALL: &'static [Code] = &[$(Code::$variant),*];

            /// The stable word.
            pub const fn as_str(self) -> &'static str {
                match self { $(Code::$variant => $word),* }
            }

            /// The HTTP status that goes with it.
            pub const fn status(self) -> u16 {
                match self { $(Code::$variant => $status),* }
            }

            /// A short text for people, the same for every occurrence.
            pub const fn title(self) -> &'static str {
                match self { $(Code::$variant => $title),* }
            }
        }
    };
}

codes! {
    /// A parameter, header or body that does not parse or contradicts another.
    InvalidRequest = "invalid_request" 400 "the request is not valid",
    /// A name that breaks the rules for names.
    InvalidName = "invalid_name" 400 "the file name is not valid",
    /// The body ended before its announced length.
    IncompleteBody = "incomplete_body" 400 "the body ended early",
    /// The client's checksum differs from that of the bytes received.
    ChecksumMismatch = "checksum_mismatch" 400 "the checksum does not match the bytes",
    /// An export that cannot be read, or broke off. What stands before the line that is named was taken
    /// in, if it was complete in itself.
    InvalidExport = "invalid_export" 400 "the export cannot be read",
    /// No token, or none that is known.
    Unauthorized = "unauthorized" 401 "a valid token is needed",
    /// A known caller who may not do this.
    Forbidden = "forbidden" 403 "not allowed",
    /// A browser sent a session along for a page of somebody else.
    CrossSite = "cross_site" 403 "the request comes from another site",
    /// The leader knows that there is no such file.
    FileNotFound = "file_not_found" 404 "no such file",
    /// No token has this id.
    TokenNotFound = "token_not_found" 404 "no such token",
    /// No member has this name or disk.
    WorkerNotFound = "worker_not_found" 404 "no such worker",
    /// The leader knows of no such upload, or of none any more.
    UploadNotFound = "upload_not_found" 404 "no such upload",
    /// No route has this path.
    RouteNotFound = "route_not_found" 404 "no such route",
    /// A worker does not have the chunk.
    ChunkNotFound = "chunk_not_found" 404 "no such chunk on this worker",
    /// The route exists, not with this method.
    MethodNotAllowed = "method_not_allowed" 405 "the method is not allowed here",
    /// The change contradicts what is there (name taken, upload ended, other bootstrap list).
    Conflict = "conflict" 409 "the request conflicts with the present state",
    /// The id of a change was not issued within the time in which repeats are recognised: nothing
    /// was looked at or done.
    RequestOutsideWindow = "request_outside_window" 409 "the request id is from another time",
    /// The upload has ended: it became a file, or nobody went on with it, or somebody ended it.
    UploadEnded = "upload_ended" 409 "the upload has ended",
    /// An upload is to be committed, and some of its chunks were never stored.
    MissingChunks = "missing_chunks" 409 "chunks of the upload are missing",
    /// A disk has the last good copy of something, and was not said to be lost.
    WouldLoseFiles = "would_lose_files" 409 "files would be lost",
    /// A recovery is to end, and nobody has looked for what is left of files.
    NotSearched = "not_searched" 409 "what is left of files was not searched for",
    /// If-Match, If-None-Match or If-Unmodified-Since did not hold.
    PreconditionFailed = "precondition_failed" 412 "a precondition does not hold",
    /// A `PUT` by a link that bounds the bytes, without their number.
    LengthRequired = "length_required" 411 "a content length is needed",
    /// The body is longer than allowed here.
    TooLarge = "too_large" 413 "the body is too large",
    /// The path and query are longer than any route takes.
    TargetTooLong = "target_too_long" 414 "the path and query are too long",
    /// A header is longer than any route takes.
    HeaderTooLong = "header_too_long" 431 "a header is too long",
    /// No byte of the file lies in the asked ranges.
    RangeNotSatisfiable = "range_not_satisfiable" 416 "the range is beyond the end of the file",
    /// Too many wrong tokens or links came from there, or from everywhere.
    TooManyFailures = "too_many_failures" 429 "too many attempts failed",
    /// The request reached another disk than the one it names.
    WrongDisk = "wrong_disk" 421 "another disk answers at this address",
    /// An order or write of a term below the disk's fence.
    Fenced = "fenced" 409 "a later leader has fenced this off",
    /// A disk of another cluster, or one that may not take part.
    ForeignDisk = "foreign_disk" 409 "the disk does not belong to this cluster",
    /// As many uploads are open as the cluster allows.
    TooManyUploads = "too_many_uploads" 429 "too many uploads are open",
    /// Something went wrong inside; the server's log has the details.
    Internal = "internal" 500 "internal error",
    /// Every copy of the asked bytes is damaged or gone.
    DataDamaged = "data_damaged" 500 "no good copy of these bytes is reachable",
    /// A worker found a block whose checksum does not match.
    BadBlock = "bad_block" 500 "a stored block is damaged",
    /// The disk took an I/O error and no longer accepts writes.
    ReadOnly = "read_only" 503 "the disk accepts no writes",
    /// There is no leader that can answer now.
    NoLeader = "no_leader" 503 "no leader can answer at the moment",
    /// Not enough voters can be reached to write.
    NoQuorum = "no_quorum" 503 "not enough voters are reachable",
    /// Not enough live workers for the asked number of copies.
    TooFewWorkers = "too_few_workers" 503 "not enough workers are live",
    /// No reachable worker has the bytes at the moment.
    Unavailable = "unavailable" 503 "the bytes cannot be reached at the moment",
    /// The server is at a limit or shutting down.
    Busy = "busy" 503 "the server is busy",
    /// The cluster was not started yet.
    NotBootstrapped = "not_bootstrapped" 503 "the cluster is not bootstrapped yet",
    /// The disks are full.
    NoSpace = "no_space" 507 "not enough space is left",
}

impl Code {
    /// Whether the same request may succeed a little later without anybody's help.
    pub const fn is_transient(self) -> bool {
        self.status() == 503
    }
}

/// Every word there is: a later release may have more.
impl JsonSchema for Code {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Code".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let words: Vec<&str> = Self::ALL.iter().map(|code| code.as_str()).collect();
        schemars::json_schema!({ "type": "string", "enum": words })
    }
}

/// As its word, in every form: a number would change its meaning when a code comes in between.
impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = std::borrow::Cow::<str>::deserialize(deserializer)?;
        let known = Self::ALL.iter().find(|code| code.as_str() == word);
        known.copied().ok_or_else(|| {
            // At most a line of the text: it may come from anywhere.
            let word: String = word.chars().take(64).collect();
            serde::de::Error::custom(format_args!("{word:?} is no code of an error"))
        })
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The body of every error answer (RFC 9457).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// `urn:mdfs:` and the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// The code's title.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// The stable word.
    pub code: Code,
    /// What went wrong this time; for an internal error nothing but that.
    pub detail: String,
    /// Names the request in the server's log.
    pub request_id: String,
}

impl Problem {
    /// The problem with this code and detail.
    pub fn new(code: Code, detail: impl Into<String>, request_id: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:mdfs:{code}"),
            title: code.title().to_owned(),
            status: code.status(),
            code,
            detail: detail.into(),
            request_id: request_id.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_reads_back_and_its_code_is_a_stable_word() {
        for &code in Code::ALL {
            let problem = Problem::new(code, "why", "r1");
            let text = serde_json::to_string(&problem).unwrap();
            assert!(
                text.contains(&format!("\"code\":\"{}\"", code.as_str())),
                "{text}"
            );
            assert_eq!(serde_json::from_str::<Problem>(&text).unwrap(), problem);
            // Where everything else is a number too.
            let bytes = postcard::to_stdvec(&code).unwrap();
            assert_eq!(bytes, postcard::to_stdvec(code.as_str()).unwrap());
            assert_eq!(postcard::from_bytes::<Code>(&bytes).unwrap(), code);
            assert!((400..600).contains(&code.status()));
        }
        assert!(serde_json::from_str::<Code>("\"unheard_of\"").is_err());
    }
}
