//! How a method of a route is described.

use crate::http::original;
use mdfs_protocol::problem::Code::{self, *};
use mdfs_protocol::public::{BLAKE3_HEADER, CRC_HEADER, REQUEST_HEADER, VERSION_HEADER};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Value, json};

/// Makes the schema of a type.
pub(super) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// One method of one path.
pub(super) struct Operation {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) summary: &'static str,
    pub(super) parameters: Vec<Parameter>,
    pub(super) body: Option<Body>,
    pub(super) answers: Vec<Answer>,
    /// Why it may fail, beside what its rule says.
    pub(super) codes: Vec<Code>,
}

/// A parameter in the query or a header.
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) in_header: bool,
    pub(super) required: bool,
    pub(super) text: &'static str,
    pub(super) schema: Value,
}

/// What is sent.
pub(super) enum Body {
    Json(SchemaOf),
    /// The same, only for some of what can be asked.
    JsonOrNothing(SchemaOf),
    Bytes,
    /// JSON, an object a line.
    Lines,
    Form,
}

/// An answer that is no error.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) text: &'static str,
    pub(super) content: Content,
    pub(super) headers: &'static [(&'static str, &'static str)],
}

/// What is answered.
pub(super) enum Content {
    Nothing,
    Json(SchemaOf),
    Text,
    /// JSON, an object a line.
    Lines,
    /// Between servers.
    Compact,
    /// The bytes of a file, as their media type, or what is asked of it, as JSON.
    File,
}

/// Where the schema of names stands.
pub(super) const SCHEMA_OF_NAME: &str = "#/components/schemas/FileName";

/// What a change may fail with.
const CHANGE: &[Code] = &[NoQuorum, RequestOutsideWindow];
/// What comes of bytes that are stored.
pub(super) const STORED: &[Code] = &[
    IncompleteBody,
    ChecksumMismatch,
    TooLarge,
    NoSpace,
    TooFewWorkers,
    Unavailable,
    TooManyUploads,
    UploadEnded,
    Conflict,
    PreconditionFailed,
];
const BYTES_READ: &[Code] = &[
    FileNotFound,
    PreconditionFailed,
    RangeNotSatisfiable,
    DataDamaged,
    Unavailable,
];

const FILE_HEADERS: &[(&str, &str)] = &[
    (
        "etag",
        "The strong entity tag: equal bytes have equal tags.",
    ),
    (VERSION_HEADER, "The log index that made this version."),
    (CRC_HEADER, "CRC-32 of the whole file."),
    (BLAKE3_HEADER, "BLAKE3 of the whole file."),
];

impl Operation {
    pub(super) fn new(method: &'static str, path: &'static str, summary: &'static str) -> Self {
        Self {
            method,
            path,
            summary,
            parameters: Vec::new(),
            body: None,
            answers: Vec::new(),
            codes: Vec::new(),
        }
    }

    /// A name that no other has.
    pub(super) fn id(&self) -> String {
        let mut id = self.method.to_lowercase();
        for word in self.path.split(|c: char| !c.is_ascii_alphanumeric()) {
            if !word.is_empty() && word != "v1" {
                id.push('_');
                id.push_str(word);
            }
        }
        // Two paths to play by.
        match self.path {
            original::PLAY => format!("{id}_by_query"),
            _ => id,
        }
    }

    pub(super) fn parameter(mut self, parameter: Parameter) -> Self {
        self.parameters.push(parameter);
        self
    }

    pub(super) fn query(self, name: &'static str, schema: Value, text: &'static str) -> Self {
        self.parameter(Parameter {
            name,
            in_header: false,
            required: false,
            text,
            schema,
        })
    }

    pub(super) fn flag(self, name: &'static str, text: &'static str) -> Self {
        self.query(
            name,
            json!({ "type": "string", "enum": ["", "0", "1"] }),
            text,
        )
    }

    pub(super) fn pattern(
        mut self,
        name: &'static str,
        pattern: &'static str,
        text: &'static str,
    ) -> Self {
        self.parameters.push(Parameter {
            name,
            in_header: true,
            required: false,
            text,
            schema: json!({ "type": "string", "pattern": pattern }),
        });
        self
    }

    pub(super) fn header(self, name: &'static str, text: &'static str) -> Self {
        self.parameter(Parameter {
            name,
            in_header: true,
            required: false,
            text,
            schema: json!({ "type": "string" }),
        })
    }

    pub(super) fn name_in_query(self) -> Self {
        self.parameter(Parameter {
            name: "name",
            in_header: false,
            required: true,
            text: "A file's name.",
            schema: json!({ "$ref": SCHEMA_OF_NAME }),
        })
    }

    pub(super) fn pages(self) -> Self {
        self.query(
            "limit",
            json!({ "type": "integer", "minimum": 1, "maximum": 1000 }),
            "The most that a page has; 1000 if left out.",
        )
    }

    pub(super) fn ranges(self) -> Self {
        self.header("range", "Ranges of bytes, at most 16 (RFC 9110).")
            .header("if-range", "The version that the ranges are of.")
            .header(
                "if-modified-since",
                "Answers 304 if the file is of this time.",
            )
            .conditions()
            .answer(
                200,
                "The whole file, or what is asked of it.",
                Content::File,
                FILE_HEADERS,
            )
            .answer(
                206,
                "The ranges that are asked.",
                Content::File,
                FILE_HEADERS,
            )
            .answer(304, "The client has this version.", Content::Nothing, &[])
            .fails(BYTES_READ)
    }

    pub(super) fn conditions(self) -> Self {
        self.header("if-match", "Only if the present version is one of these.")
            .header(
                "if-none-match",
                "Only if the present version is none of these.",
            )
            .header(
                "if-unmodified-since",
                "Only if the present version is no newer.",
            )
    }

    pub(super) fn repeatable(self) -> Self {
        let text = "Names the change: a repeated one gets the first answer.";
        self.pattern(REQUEST_HEADER, "^[0-9a-f]{32}$", text)
            .fails(CHANGE)
    }

    pub(super) fn takes<T: JsonSchema>(mut self) -> Self {
        self.body = Some(Body::Json(|schemas| schemas.subschema_for::<T>()));
        self.fails(&[TooLarge, IncompleteBody])
    }

    pub(super) fn takes_if_asked<T: JsonSchema>(mut self) -> Self {
        self.body = Some(Body::JsonOrNothing(|schemas| schemas.subschema_for::<T>()));
        self.fails(&[TooLarge, IncompleteBody])
    }

    pub(super) fn takes_bytes(mut self) -> Self {
        self.body = Some(Body::Bytes);
        self.header("content-digest", "SHA-256 of the bytes (RFC 9530).")
            .pattern(CRC_HEADER, "^[0-9a-f]{8}$", "CRC-32 of the bytes.")
            .fails(STORED)
    }

    pub(super) fn answer(
        mut self,
        status: u16,
        text: &'static str,
        content: Content,
        headers: &'static [(&'static str, &'static str)],
    ) -> Self {
        self.answers.push(Answer {
            status,
            text,
            content,
            headers,
        });
        self
    }

    pub(super) fn json<T: JsonSchema>(self, status: u16, text: &'static str) -> Self {
        let schema: SchemaOf = |schemas| schemas.subschema_for::<T>();
        self.answer(status, text, Content::Json(schema), &[])
    }

    pub(super) fn empty(self, status: u16, text: &'static str) -> Self {
        self.answer(status, text, Content::Nothing, &[])
    }

    pub(super) fn fails(mut self, codes: &[Code]) -> Self {
        self.codes.extend(codes);
        self
    }
}
