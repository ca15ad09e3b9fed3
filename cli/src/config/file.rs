//! A configuration file of a server.

use super::table::{Kind, Role, Row};
use crate::error::CliError;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::Path;

/// What a file says: the values of each setting that is in it.
pub(super) type Given = BTreeMap<String, Vec<OsString>>;

/// Names that are nearer than this are taken for the same one, misspelt.
const NEAR: f64 = 0.8;

/// Reads a file of settings. A path in it counts from the file's folder.
///
/// # Errors
/// If the file cannot be read; if it does not say what it should: names line, setting and what is
/// expected.
pub(super) fn read(path: &Path, role: Role) -> Result<Given, CliError> {
    let text = std::fs::read_to_string(path).map_err(|source| CliError::File {
        action: "read the configuration file",
        path: path.to_owned(),
        source,
    })?;
    let rows = role.settings();
    let said = parse(&text, &rows).map_err(|what| CliError::ConfigFile {
        path: path.to_owned(),
        what,
    })?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let from_here = |row: &Row, value: String| match row.kind {
        Kind::Path => folder.join(value).into_os_string(),
        _ => value.into(),
    };
    let given = rows.iter().filter_map(|row| {
        let values = said.get(&row.name)?.iter().cloned();
        let values = values.map(|value| from_here(row, value)).collect();
        Some((row.name.clone(), values))
    });
    Ok(given.collect())
}

fn parse(text: &str, rows: &[Row]) -> Result<BTreeMap<String, Vec<String>>, String> {
    let all = serde_yaml::Deserializer::from_str(text);
    let mut said = BTreeMap::new();
    for (number, document) in all.enumerate() {
        if number > 0 {
            return Err("it must be one document, without a line of ---".to_owned());
        }
        said = File { rows }
            .deserialize(document)
            .map_err(|error| at_line(&error))?;
    }
    Ok(said)
}

/// What is wrong, with the line before it: the column says nothing more where a line has one setting.
fn at_line(error: &serde_yaml::Error) -> String {
    let text = error.to_string();
    let Some(place) = error.location() else {
        return text;
    };
    let (line, column) = (place.line(), place.column());
    let tail = format!(" at line {line} column {column}");
    format!("line {line}: {}", text.strip_suffix(&tail).unwrap_or(&text))
}

/// All of it.
struct File<'a> {
    rows: &'a [Row],
}

/// The name of a setting.
struct Name<'a, 'b> {
    rows: &'a [Row],
    /// What was read so far.
    said: &'b BTreeMap<String, Vec<String>>,
}

/// What a setting is given.
struct Values<'a> {
    row: &'a Row,
}

/// One value. Taken as it stands there: `015` is no number for a name.
struct Value<'a> {
    row: &'a Row,
}

impl<'de> DeserializeSeed<'de> for File<'_> {
    type Value = BTreeMap<String, Vec<String>>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for File<'_> {
    type Value = BTreeMap<String, Vec<String>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("lines of `setting: value`")
    }

    /// Nothing but comments.
    fn visit_none<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(BTreeMap::new())
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(BTreeMap::new())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Self::Value, A::Error> {
        let mut said = BTreeMap::new();
        let rows = self.rows;
        while let Some(row) = from.next_key_seed(Name { rows, said: &said })? {
            let values = from.next_value_seed(Values { row })?;
            said.insert(row.name.clone(), values);
        }
        Ok(said)
    }
}

impl<'de, 'a> DeserializeSeed<'de> for Name<'a, '_> {
    type Value = &'a Row;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<&'a Row, D::Error> {
        from.deserialize_str(self)
    }
}

impl<'a> Visitor<'_> for Name<'a, '_> {
    type Value = &'a Row;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a setting")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<&'a Row, E> {
        if self.said.contains_key(name) {
            return Err(E::custom(format_args!("{name} is there twice")));
        }
        let known = self.rows.iter().find(|row| row.name == name);
        known.ok_or_else(|| {
            let near = self
                .rows
                .iter()
                .map(|row| (strsim::jaro_winkler(&row.name, name), &row.name))
                .filter(|(likeness, _)| *likeness > NEAR)
                .max_by(|(one, _), (other, _)| one.total_cmp(other));
            let hint = near.map(|(_, near)| format!(", did you mean {near}?"));
            let hint = hint.unwrap_or_default();
            E::custom(format_args!("there is no setting {name}{hint}"))
        })
    }
}

impl<'de> DeserializeSeed<'de> for Values<'_> {
    type Value = Vec<String>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Vec<String>, D::Error> {
        if self.row.many {
            from.deserialize_any(self)
        } else {
            let value = Value { row: self.row }.deserialize(from)?;
            Ok(vec![value])
        }
    }
}

impl<'de> Visitor<'de> for Values<'_> {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a list of texts")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Vec<String>, E> {
        let value = Value { row: self.row }.visit_str(text)?;
        Ok(vec![value])
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Vec<String>, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = from.next_element_seed(Value { row: self.row })? {
            values.push(value);
        }
        Ok(values)
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<String, D::Error> {
        from.deserialize_str(self)
    }
}

impl Visitor<'_> for Value<'_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one value")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<String, E> {
        if text.is_empty() {
            let why = "there is no value; without the line it has its default";
            return Err(E::custom(why));
        }
        match self.row.check(text) {
            Ok(()) => Ok(text.to_owned()),
            Err(why) => Err(E::custom(why)),
        }
    }
}
