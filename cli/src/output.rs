//! What goes to standard output.

use crate::error::CliError;
use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;
use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};

/// How results are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Table,
    /// One JSON document; one for each name where several are given
    Json,
    /// The same as YAML
    Yaml,
    /// Names alone, one a line
    Name,
}

/// Prints a document: `table` for people, `names` one a line, or all of `value`.
///
/// # Errors
/// If standard output cannot be written.
pub(crate) fn print<'a, T: Serialize>(
    format: Format,
    value: &T,
    table: impl FnOnce() -> String,
    names: impl IntoIterator<Item = &'a str>,
) -> Result<(), CliError> {
    let text = match format {
        Format::Table => table(),
        Format::Json => serde_json::to_string_pretty(value)
            .map_err(|error| stdout_failed(io::Error::other(error)))?,
        Format::Yaml => {
            serde_yaml::to_string(value).map_err(|error| stdout_failed(io::Error::other(error)))?
        }
        Format::Name => {
            let terminal = io::stdout().is_terminal();
            let show = |name| {
                if terminal {
                    shown(name)
                } else {
                    Cow::Borrowed(name)
                }
            };
            names.into_iter().map(show).collect::<Vec<_>>().join("\n")
        }
    };
    print_text(&text)
}

/// Prints what stands before each of several documents.
///
/// # Errors
/// If standard output cannot be written.
pub(crate) fn separate(format: Format, documents: usize) -> Result<(), CliError> {
    match format {
        Format::Yaml if documents > 1 => print_text("---"),
        Format::Yaml | Format::Table | Format::Json | Format::Name => Ok(()),
    }
}

/// Prints lines.
///
/// # Errors
/// If standard output cannot be written. A reader that has enough is no error.
pub(crate) fn print_text(text: &str) -> Result<(), CliError> {
    let text = text.trim_end_matches('\n');
    if text.is_empty() {
        return Ok(());
    }
    let mut stdout = io::stdout().lock();
    match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(stdout_failed(error)),
        _ => Ok(()),
    }
}

pub(crate) fn stdout_failed(source: io::Error) -> CliError {
    CliError::Stdio {
        action: "write to standard output",
        source,
    }
}

/// A name as it may stand on a terminal: as it is, or in quotes with escapes if it has control
/// characters, invisible ones, quotes or backslashes.
pub(crate) fn shown(name: &str) -> Cow<'_, str> {
    let quoted = format!("{name:?}");
    let plain = quoted
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        == Some(name);
    if plain {
        Cow::Borrowed(name)
    } else {
        Cow::Owned(quoted)
    }
}

/// Bytes with a unit, three digits or so.
pub(crate) fn size(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}

/// Lines of a label and a value.
pub(crate) fn fields(fields: &[(&str, String)]) -> String {
    let width = fields
        .iter()
        .map(|(label, _)| label.len())
        .max()
        .unwrap_or(0);
    let line = |(label, value): &(&str, String)| format!("{label:width$}  {value}\n");
    fields.iter().map(line).collect()
}

/// A table without borders; columns whose heading starts with `>` are aligned to the right.
pub(crate) fn table(headings: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(
        headings
            .iter()
            .map(|heading| heading.trim_start_matches('>')),
    );
    table.add_rows(rows);
    for (index, heading) in headings.iter().enumerate() {
        if let Some(column) = table.column_mut(index) {
            column.set_padding((0, 2));
            if heading.starts_with('>') {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
    }
    let line = |line: String| format!("{}\n", line.trim_end());
    table.lines().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_names_are_quoted_and_plain_ones_are_not() {
        for plain in ["a/b c.mkv", "Füße 映画.mkv", "🎬"] {
            assert_eq!(shown(plain), plain);
        }
        assert_eq!(shown("a\u{1b}[2Jb"), "\"a\\u{1b}[2Jb\"");
        assert_eq!(shown("a\nb"), "\"a\\nb\"");
        assert_eq!(shown("gpj.\u{202e}exe"), "\"gpj.\\u{202e}exe\"");
    }

    #[test]
    fn tables_align_without_trailing_space() {
        let rows = [
            vec!["5".to_owned(), "a".to_owned()],
            vec!["512".to_owned(), "b".to_owned()],
        ];
        assert_eq!(
            table(&[">SIZE", "NAME"], rows),
            "SIZE  NAME\n   5  a\n 512  b\n"
        );
        assert_eq!(
            fields(&[("a", "1".into()), ("long", "2".into())]),
            "a     1\nlong  2\n"
        );
    }
}
