//! The settings that a server would run with, as a file that it can be given.

use super::file::Given;
use super::table::{Kind, Role, Row};
use clap::ArgMatches;
use clap::parser::ValueSource;
use serde_yaml::Value;
use std::ffi::OsStr;
use std::path::Path;

/// All settings of a role, each with where it comes from. Secrets are files: only their paths are
/// settings.
pub(super) fn show(
    role: Role,
    settings: &ArgMatches,
    given: &Given,
    file: Option<&Path>,
) -> String {
    let mut text = format!("# What this {} would run with.\n", role.name());
    if let Some(file) = file {
        text.push_str(&format!("# The file is {}.\n", file.display()));
    }
    let mut heading = String::new();
    for row in role.settings() {
        if row.heading() != heading {
            row.heading().clone_into(&mut heading);
            text.push_str(&format!("\n# {heading}\n"));
        }
        let source = match settings.value_source(&row.name) {
            Some(ValueSource::CommandLine) => "flag",
            Some(ValueSource::EnvVariable) => "environment",
            _ if given.contains_key(&row.name) => "file",
            _ => "default",
        };
        // An empty variable stands for none.
        let values = settings.get_raw(&row.name).into_iter().flatten();
        let values = values.filter(|value| !value.is_empty());
        let values: Vec<String> = values.map(|value| scalar(&row, value)).collect();
        text.push_str(&lines(&row, &values, source));
    }
    text
}

fn lines(row: &Row, values: &[String], source: &str) -> String {
    let name = &row.name;
    match values {
        [] => {
            let default = row.default.as_deref().unwrap_or("none");
            format!("# {name} is not set: {default}\n")
        }
        [value] => format!("{name}: {value}  # {source}\n"),
        values => {
            let items = values.iter().map(|value| format!("  - {value}\n"));
            format!("{name}:  # {source}\n{}", items.collect::<String>())
        }
    }
}

/// A value as YAML: as it is where that means the same, else in quotes.
fn scalar(row: &Row, value: &OsStr) -> String {
    let path = Path::new(value);
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let text = match row.kind {
        // Where the file with these lines will be is not known.
        Kind::Path => path.to_string_lossy(),
        _ => value.to_string_lossy(),
    };
    quoted(row.kind, &text)
}

/// A text as YAML reads it back: in quotes where it would be taken for something else.
pub(super) fn quoted(kind: Kind, text: &str) -> String {
    let is_plain = match kind {
        Kind::Number | Kind::Switch | Kind::Size | Kind::Rate => true,
        Kind::Span | Kind::Path | Kind::Text => {
            !text.contains(|c: char| c.is_control())
                && serde_yaml::from_str::<Value>(text).is_ok_and(|read| read == *text)
        }
    };
    if is_plain {
        text.to_owned()
    } else {
        // A text of JSON is one of YAML.
        serde_json::Value::from(text).to_string()
    }
}
