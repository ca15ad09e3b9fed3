//! Puts the description together.

use super::operation::{Body, Content, Operation, Parameter, SCHEMA_OF_NAME};
use crate::http::rule::Rule;
use mdfs_core::access::Role;
use mdfs_protocol::link::LINK_SIGNATURE;
use mdfs_protocol::problem::{self, Code, Problem};
use mdfs_protocol::schema::FileNameText;
use mdfs_protocol::transfer;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Where the schemas of types stand.
const SCHEMAS: &str = "/components/schemas";

/// The rules of each path.
pub(super) type Rules = [(&'static str, &'static [(&'static str, Rule)])];

/// The generators of schemas: what is read may leave out what is written always.
struct Schemas {
    /// Answers that are errors, by their codes: many operations have the same.
    problems: BTreeMap<String, Value>,
    read: SchemaGenerator,
    written: SchemaGenerator,
}

impl Schemas {
    fn new() -> Self {
        let settings = || {
            SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = SCHEMAS.into();
            })
        };
        Self {
            problems: BTreeMap::new(),
            read: settings().for_deserialize().into_generator(),
            written: settings().for_serialize().into_generator(),
        }
    }

    fn written<T: JsonSchema>(&mut self) -> Value {
        self.written.subschema_for::<T>().to_value()
    }

    /// The answer that one of these codes is.
    fn problem(&mut self, codes: &[Code], method: &str) -> Value {
        let words: Vec<&str> = codes.iter().map(|code| code.as_str()).collect();
        let mut name = words.join("-");
        if method == "HEAD" {
            name.push_str("-head");
        }
        let reference = format!("#/components/responses/{name}");
        let made = || problem_of(codes, method);
        self.problems.entry(name).or_insert_with(made);
        json!({ "$ref": reference })
    }

    fn all(mut self) -> Value {
        let mut all = self.written.take_definitions(true);
        for (name, schema) in self.read.take_definitions(true) {
            // What is both read and written is described as it is read, which allows more.
            all.insert(name, schema);
        }
        Value::Object(all)
    }
}

/// The whole description.
pub(super) fn of(rules: &Rules, operations: Vec<Operation>) -> Value {
    let mut schemas = Schemas::new();
    schemas.written::<Problem>();
    schemas.written::<FileNameText>();
    let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    for operation in operations {
        let rule = rules
            .iter()
            .filter(|(path, _)| *path == operation.path)
            .flat_map(|(_, methods)| methods.iter())
            .find(|(method, _)| *method == operation.method)
            .map_or(Rule::Holder, |(_, rule)| *rule);
        let path = operation.path.replace("{*", "{");
        let method = operation.method.to_lowercase();
        let described = describe(&operation, rule, &mut schemas);
        paths.entry(path).or_default().insert(method, described);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "MDFS",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "A replicated store for large media files",
            "description": "Every route of a master. Errors are problems (RFC 9457) with a stable \
                `code`; 503 says with Retry-After when to try again. Secrets never stand in a URL.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A root token, or one that was made by POST /v1/admin/tokens.",
                },
                "link": {
                    "type": "apiKey",
                    "in": "query",
                    "name": LINK_SIGNATURE,
                    "description": "A link that was signed by POST /v1/sign.",
                },
                "cluster": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "authorization",
                    "description": "The credential of the servers of a cluster.",
                },
            },
            "responses": std::mem::take(&mut schemas.problems),
            "schemas": schemas.all(),
        },
    })
}

fn describe(operation: &Operation, rule: Rule, schemas: &mut Schemas) -> Value {
    let mut described = Map::new();
    let mut set = |key: &str, value: Value| {
        described.insert(key.to_owned(), value);
    };
    set("operationId", operation.id().into());
    set("summary", operation.summary.into());
    set("description", needs(rule).into());
    set("tags", json!([tag(operation.path)]));
    set("security", security(rule, operation.method));
    let parameters: Vec<Value> = in_path(operation.path)
        .chain(operation.parameters.iter().map(parameter))
        .collect();
    if !parameters.is_empty() {
        set("parameters", parameters.into());
    }
    if let Some(body) = &operation.body {
        set("requestBody", request_body(body, schemas));
    }
    set("responses", responses(operation, rule, schemas));
    Value::Object(described)
}

fn needs(rule: Rule) -> String {
    match rule {
        Rule::Anyone => "For anyone.".to_owned(),
        Rule::Servers => "For servers of the cluster.".to_owned(),
        Rule::Has(role) => format!("Needs the role `{role}`."),
        Rule::Name(role) | Rule::NameInQuery(role) => {
            format!("Needs the role `{role}` for the name.")
        }
        Rule::Act => format!(
            "Needs the role `{}` or `{}` for the name, by what is asked.",
            Role::Read,
            Role::Write
        ),
        Rule::Holder => "For any token, as far as it allows.".to_owned(),
    }
}

fn tag(path: &str) -> &'static str {
    match path {
        path if path.starts_with("/internal/") => "servers",
        path if path.starts_with("/v1/admin/") => "administration",
        path if path.starts_with("/v1/uploads") => "uploads",
        path if path.starts_with("/v1/files") || path.starts_with("/play/") => "files",
        "/v1/rename" | "/v1/sign" | "/v1/trash" => "files",
        path if path.starts_with("/v1/") => "cluster",
        path if path.starts_with("/console/") => "console",
        "/stats" | "/metrics" => "monitoring",
        path if path.starts_with("/health") => "monitoring",
        _ => "short",
    }
}

fn security(rule: Rule, method: &str) -> Value {
    match (rule, method) {
        (Rule::Anyone, _) => json!([]),
        (Rule::Servers, _) => json!([{ "cluster": [] }]),
        (Rule::Name(_), "GET" | "HEAD" | "PUT") => json!([{ "token": [] }, { "link": [] }]),
        (Rule::Name(_) | Rule::NameInQuery(_) | Rule::Has(_) | Rule::Act | Rule::Holder, _) => {
            json!([{ "token": [] }])
        }
    }
}

/// The parameters that stand in a path.
fn in_path(path: &'static str) -> impl Iterator<Item = Value> {
    path.split('{').skip(1).filter_map(|rest| {
        let name = rest.split('}').next()?.trim_start_matches('*');
        let (schema, text) = match name {
            "name" => (
                json!({ "$ref": SCHEMA_OF_NAME }),
                "A file's name, of at most 1024 bytes, percent-encoded; slashes may stand as they are.",
            ),
            "index" => (
                json!({ "type": "integer", "format": "uint32", "minimum": 0, "maximum": u32::MAX }),
                "The number of a chunk, from zero.",
            ),
            "path" => (json!({ "type": "string" }), "Where it is."),
            _ => (
                json!({ "type": "string", "pattern": "^[0-9a-f]{32}$" }),
                "An id.",
            ),
        };
        Some(json!({
            "name": name,
            "in": "path",
            "required": true,
            "description": text,
            "schema": schema,
        }))
    })
}

fn parameter(parameter: &Parameter) -> Value {
    json!({
        "name": parameter.name,
        "in": if parameter.in_header { "header" } else { "query" },
        "required": parameter.required,
        "description": parameter.text,
        "schema": parameter.schema,
    })
}

fn request_body(body: &Body, schemas: &mut Schemas) -> Value {
    let (kind, schema) = match body {
        Body::Json(schema) | Body::JsonOrNothing(schema) => {
            ("application/json", schema(&mut schemas.read).to_value())
        }
        Body::Bytes => ("application/octet-stream", json!({})),
        Body::Lines => (transfer::CONTENT_TYPE, json!({ "type": "string" })),
        Body::Form => (
            "multipart/form-data",
            json!({
                "type": "object",
                "properties": {
                    "path": { "type": "string", "description": "The folder of all files; comes first." },
                    "name": { "type": "string", "description": "The name of the next file." },
                    "file": {
                        "type": "string",
                        "format": "binary",
                        "description": "A file; its filename is its name. May come many times.",
                    },
                },
                "required": ["file"],
                "additionalProperties": false,
            }),
        ),
    };
    let required = !matches!(body, Body::JsonOrNothing(_));
    json!({ "required": required, "content": { kind: { "schema": schema } } })
}

fn responses(operation: &Operation, rule: Rule, schemas: &mut Schemas) -> Value {
    let mut responses: BTreeMap<String, Value> = BTreeMap::new();
    for answer in &operation.answers {
        let mut response = Map::new();
        response.insert("description".to_owned(), answer.text.into());
        let content = match &answer.content {
            Content::Nothing => None,
            Content::Json(schema) => {
                let schema = schema(&mut schemas.written).to_value();
                Some(json!({ "application/json": { "schema": schema } }))
            }
            Content::Text => Some(json!({ "text/plain": { "schema": { "type": "string" } } })),
            Content::Lines => {
                Some(json!({ transfer::CONTENT_TYPE: { "schema": { "type": "string" } } }))
            }
            Content::Compact => Some(json!({ "application/octet-stream": { "schema": {} } })),
            Content::File => Some(json!({ "*/*": { "schema": {} } })),
        };
        if let Some(content) = content.filter(|_| operation.method != "HEAD") {
            response.insert("content".to_owned(), content);
        }
        if !answer.headers.is_empty() {
            let header = |(name, text): &(&str, &str)| {
                let described = json!({ "description": text, "schema": { "type": "string" } });
                ((*name).to_owned(), described)
            };
            let headers: Map<String, Value> = answer.headers.iter().map(header).collect();
            response.insert("headers".to_owned(), headers.into());
        }
        responses.insert(answer.status.to_string(), response.into());
    }
    let mut codes: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in of_rule(rule).iter().chain(&operation.codes) {
        let known = codes.entry(code.status()).or_default();
        if !known.contains(code) {
            known.push(*code);
        }
    }
    // Before anybody looks at what is asked: the target or a header is too long.
    codes.insert(414, vec![Code::TargetTooLong]);
    codes.insert(431, vec![Code::HeaderTooLong]);
    for (status, mut codes) in codes {
        codes.sort_by_key(|code| code.as_str());
        responses.insert(
            status.to_string(),
            schemas.problem(&codes, operation.method),
        );
    }
    json!(responses)
}

/// What every route with such a rule may answer.
fn of_rule(rule: Rule) -> &'static [Code] {
    use Code::{
        Busy, Forbidden, Internal, InvalidName, InvalidRequest, NoLeader, NotBootstrapped,
        TooManyFailures, Unauthorized,
    };
    match rule {
        Rule::Anyone => &[InvalidRequest, Internal],
        Rule::Servers => &[InvalidRequest, Unauthorized, Internal, Busy, NoLeader],
        Rule::Has(_) => &[
            InvalidRequest,
            Unauthorized,
            Forbidden,
            TooManyFailures,
            Internal,
            Busy,
            NoLeader,
            NotBootstrapped,
        ],
        Rule::Name(_) | Rule::NameInQuery(_) | Rule::Act | Rule::Holder => &[
            InvalidRequest,
            InvalidName,
            Unauthorized,
            Forbidden,
            TooManyFailures,
            Internal,
            Busy,
            NoLeader,
            NotBootstrapped,
        ],
    }
}

fn problem_of(codes: &[Code], method: &str) -> Value {
    let titles: Vec<String> = codes
        .iter()
        .map(|code| format!("`{code}`: {}", code.title()))
        .collect();
    let description = titles.join("; ");
    if method == "HEAD" {
        return json!({ "description": description });
    }
    let schema = json!({
        "$ref": format!("#{SCHEMAS}/Problem"),
        "properties": { "code": { "enum": codes } },
    });
    json!({
        "description": description,
        "content": { problem::CONTENT_TYPE: { "schema": schema } },
    })
}
