//! Pages of names for people: what they ask, and what they get.

use super::error::HttpError;
use super::query::Query;
use super::wire::file_info;
use crate::leader::command::{Browse, Browsed, BrowsedFile, By, Line, Sorted};
use mdfs_core::name::{MAX_NAME_BYTES, check_prefix};
use mdfs_protocol::public::{CopiesInfo, FileInfo, Listing};

/// Reads what is asked.
///
/// # Errors
/// If a parameter is not understood.
pub(super) fn browse(
    query: &Query,
    prefix: String,
    delimiter: Option<char>,
    limit: usize,
) -> Result<Browse, HttpError> {
    let search = query.text("search").filter(|text| !text.is_empty());
    if search.is_some_and(|text| text.len() > MAX_NAME_BYTES) {
        return Err(HttpError::invalid("search: longer than any name"));
    }
    let order = match query.text("sort") {
        None => Sorted::default(),
        Some(text) => sorted(text).ok_or_else(|| {
            HttpError::invalid(
                "sort: name, size or modified, with - before it for the largest first",
            )
        })?,
    };
    let after = query.text("after").filter(|text| !text.is_empty());
    let after = after.map(|text| place_of(order, text)).transpose()?;
    Ok(Browse {
        prefix,
        delimiter,
        search: search.map(str::to_lowercase),
        order,
        after,
        limit,
    })
}

fn sorted(text: &str) -> Option<Sorted> {
    let (falling, by) = match text.strip_prefix('-') {
        Some(by) => (true, by),
        None => (false, text),
    };
    let by = match by {
        "name" => By::Name,
        "size" => By::Size,
        "modified" => By::Modified,
        _ => return None,
    };
    Some(Sorted { by, falling })
}

/// A place, as clients pass it on from page to page: in the order of names a name.
fn place_of(order: Sorted, text: &str) -> Result<Line, HttpError> {
    let line = if order == Sorted::default() {
        Some((true, 0, text))
    } else {
        text.split_once(':').and_then(|(kind, rest)| {
            let (rank, name) = rest.split_once(':')?;
            let is_file = match kind {
                "f" => true,
                "d" => false,
                _ => return None,
            };
            Some((is_file, rank.parse().ok()?, name))
        })
    };
    let line = line.filter(|(_, _, name)| check_prefix(name).is_ok());
    let line = line.map(|(is_file, rank, name)| Line {
        is_file,
        rank,
        name: name.to_owned(),
    });
    line.ok_or_else(|| HttpError::invalid("after: not the `next` of a page in this order"))
}

fn text_of(order: Sorted, line: Line) -> String {
    if order == Sorted::default() {
        return line.name;
    }
    let kind = if line.is_file { 'f' } else { 'd' };
    format!("{kind}:{}:{}", line.rank, line.name)
}

/// A page as clients see it.
pub(super) fn listing(page: Browsed, order: Sorted, has_copies: bool) -> Listing {
    let file = |file: BrowsedFile| {
        let wanted = file.info.record.replicas.get();
        let good = file.good;
        FileInfo {
            copies: has_copies.then_some(CopiesInfo { wanted, good }),
            ..file_info(&file.info)
        }
    };
    Listing {
        files: page.files.into_iter().map(file).collect(),
        folders: page.folders,
        next: page.next.map(|line| text_of(order, line)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_comes_back_as_it_was_told() {
        let falling = Sorted {
            by: By::Size,
            falling: true,
        };
        let line = |is_file, rank| Line {
            is_file,
            rank,
            name: "films/a:b".to_owned(),
        };
        for (order, line) in [
            (Sorted::default(), line(true, 0)),
            (falling, line(true, 7)),
            (falling, line(false, 0)),
        ] {
            let text = text_of(order, line.clone());
            assert_eq!(place_of(order, &text).unwrap(), line);
        }
        for odd in ["films/a", "f:x:a", "g:1:a", "f:1:a\u{1}", "f:-1:a"] {
            assert!(place_of(falling, odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn orders_have_words() {
        for (text, by, falling) in [
            ("name", By::Name, false),
            ("-size", By::Size, true),
            ("modified", By::Modified, false),
        ] {
            assert_eq!(sorted(text), Some(Sorted { by, falling }));
        }
        for odd in ["", "-", "--name", "Name", "size,name"] {
            assert_eq!(sorted(odd), None);
        }
    }
}
