//! The description of all routes for programs (OpenAPI 3.1).
//!
//! Made from the table of routes, from what [`operations`] says of each method, and from the types of
//! `mdfs_protocol`: what it says of a body is what is read and written.

mod all_records;
mod document;
mod for_browsers;
mod operation;
mod operations;

use super::error::HttpError;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use std::sync::LazyLock;

/// `GET`: this description.
pub(crate) const PATH: &str = "/v1/openapi.json";

static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
    let document = document::of(&super::routes::rules(), operations::all());
    // Texts, numbers, lists and maps with texts as keys: it always encodes.
    let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
    text.push('\n');
    text
});

/// The description of the routes of a master, as `docs/openapi.json` has it.
pub fn openapi() -> &'static str {
    &DOCUMENT
}

/// Answers it.
pub(crate) async fn answer() -> Result<Response, HttpError> {
    let headers = [
        (CONTENT_TYPE, "application/json"),
        (CACHE_CONTROL, "private, no-cache"),
    ];
    Ok((headers, openapi()).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::collections::BTreeSet;

    fn document() -> Value {
        serde_json::from_str(openapi()).unwrap()
    }

    #[test]
    fn the_committed_description_is_the_one_here() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");
        let written = std::fs::read_to_string(path).unwrap_or_default();
        let how = "cargo run -p mdfs-master --example openapi > docs/openapi.json";
        assert!(written == openapi(), "docs/openapi.json is old: {how}");
    }

    /// Both ways. Paths that end where a name should begin are those with a name, for an empty one.
    #[test]
    fn each_method_of_each_route_is_described_and_nothing_else() {
        let mut routes = BTreeSet::new();
        for (path, rules) in super::super::routes::rules() {
            if path.ends_with('/') {
                continue;
            }
            let path = path.replace("{*", "{");
            routes.extend(
                rules
                    .iter()
                    .map(|(method, _)| (path.clone(), method.to_lowercase())),
            );
        }
        let document = document();
        let mut described = BTreeSet::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            let methods = methods.as_object().unwrap().keys();
            described.extend(methods.map(|method| (path.clone(), method.clone())));
        }
        assert_eq!(routes, described);
    }

    #[test]
    fn all_it_refers_to_is_there_and_ids_are_told_apart() {
        let document = document();
        let mut ids = BTreeSet::new();
        for methods in document["paths"].as_object().unwrap().values() {
            for operation in methods.as_object().unwrap().values() {
                let id = operation["operationId"].as_str().unwrap();
                assert!(ids.insert(id.to_owned()), "{id} twice");
            }
        }
        let text = openapi();
        for reference in text.split("\"$ref\": \"#").skip(1) {
            let pointer = reference.split('"').next().unwrap();
            assert!(document.pointer(pointer).is_some(), "{pointer}");
        }
    }

    #[test]
    fn every_error_that_is_described_has_its_own_status() {
        use mdfs_protocol::problem::Code;
        let document = document();
        let mut seen = BTreeSet::new();
        for methods in document["paths"].as_object().unwrap().values() {
            for operation in methods.as_object().unwrap().values() {
                for (status, response) in operation["responses"].as_object().unwrap() {
                    let pointer = response["$ref"].as_str().map(|text| &text[1..]);
                    let response = pointer.map_or(response, |at| document.pointer(at).unwrap());
                    let at = "/content/application~1problem+json/schema/properties/code/enum";
                    let codes = response.pointer(at).and_then(Value::as_array);
                    for word in codes.into_iter().flatten() {
                        let code: Code = serde_json::from_value(word.clone()).unwrap();
                        assert_eq!(code.status().to_string(), *status);
                        seen.insert(code);
                    }
                }
            }
        }
        // Codes that only workers answer, to masters.
        let of_workers = [
            Code::ChunkNotFound,
            Code::WrongDisk,
            Code::BadBlock,
            Code::ReadOnly,
        ];
        let of_no_route = [Code::RouteNotFound, Code::MethodNotAllowed];
        for code in Code::ALL {
            let known =
                seen.contains(code) || of_workers.contains(code) || of_no_route.contains(code);
            assert!(known, "no route is said to answer {code}");
        }
    }
}
