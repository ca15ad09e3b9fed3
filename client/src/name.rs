//! Names on their way into a path.

use crate::error::Error;
use mdfs_core::name::FileName;
use mdfs_protocol::problem::Code;
use mdfs_protocol::public;

/// The path of the file `name`. A text that names no file does not become one: `..` would lead to
/// another route.
///
/// # Errors
/// As the cluster would refuse it: [`Error::Refused`] with `invalid_name`.
pub(crate) fn file_path(name: &str) -> Result<String, Error> {
    let checked = FileName::parse(name).map_err(|why| Error::Refused {
        subject: name.to_owned(),
        code: Code::InvalidName,
        detail: why.to_string(),
        request_id: String::new(),
    })?;
    Ok(public::file_path(checked.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_no_name_leads_nowhere() {
        assert_eq!(file_path("a b/c").unwrap(), "/v1/files/a%20b/c");
        for bad in ["", "..", "../status", "a/../../status", "/a", "a/"] {
            let error = file_path(bad).unwrap_err();
            assert_eq!(error.code(), Some(Code::InvalidName), "{bad:?}");
        }
    }
}
