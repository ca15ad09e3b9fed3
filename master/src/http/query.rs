//! Query strings, read strictly: a misspelt option must not be taken for none.

use super::error::HttpError;
use super::name::decode;
use std::fmt::Display;
use std::str::FromStr;

/// The decoded parameters of a query.
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads a query, the way browsers write them: `+` stands for a space.
    ///
    /// # Errors
    /// If an escape is malformed or a name occurs twice.
    pub(crate) fn parse(raw: &str) -> Result<Self, HttpError> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for pair in raw.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let text = |raw: &str| {
                decode(&raw.replace('+', " "))
                    .map_err(|what| HttpError::invalid(format!("query: {what}")))
            };
            let (key, value) = (text(key)?, text(value)?);
            if pairs.iter().any(|(known, _)| *known == key) {
                return Err(HttpError::invalid(format!(
                    "the parameter {key:?} occurs twice"
                )));
            }
            pairs.push((key, value));
        }
        Ok(Self(pairs))
    }

    /// The same without these parameters, which are for somebody else.
    pub(crate) fn without(mut self, others: &[&str]) -> Self {
        self.0.retain(|(key, _)| !others.contains(&key.as_str()));
        self
    }

    /// The same, if there are no other parameters than these.
    ///
    /// # Errors
    /// Names the parameter that is not known.
    pub(crate) fn only(self, known: &[&str]) -> Result<Self, HttpError> {
        match self
            .0
            .iter()
            .find(|(key, _)| !known.contains(&key.as_str()))
        {
            Some((key, _)) => Err(HttpError::invalid(format!("unknown parameter {key:?}"))),
            None => Ok(self),
        }
    }

    /// The text of a parameter.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, _)| known == key)
            .map(|(_, value)| value.as_str())
    }

    /// Whether a parameter without a value is given.
    ///
    /// # Errors
    /// Names the parameter, if it has a value other than 0 or 1.
    pub(crate) fn flag(&self, key: &str) -> Result<bool, HttpError> {
        match self.text(key) {
            None | Some("0") => Ok(false),
            Some("" | "1") => Ok(true),
            Some(_) => Err(HttpError::invalid(format!("{key}: not 0 or 1"))),
        }
    }

    /// The value of a parameter, read from its text.
    ///
    /// # Errors
    /// Names the parameter, with what is wrong.
    pub(crate) fn value<T>(&self, key: &str) -> Result<Option<T>, HttpError>
    where
        T: FromStr<Err: Display>,
    {
        let read = |text: &str| {
            text.parse()
                .map_err(|error| HttpError::invalid(format!("{key}={text:?}: {error}")))
        };
        self.text(key).map(read).transpose()
    }
}

/// The names of the parameters as they stand in a query, not decoded.
pub(crate) fn keys(raw: &str) -> impl Iterator<Item = &str> {
    raw.split('&')
        .map(|pair| pair.split_once('=').map_or(pair, |(key, _)| key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_mistakes_are_told() {
        let query = Query::parse("prefix=a%2Fb+c&limit=7&flag&one=1&off=0").unwrap();
        assert_eq!(query.text("prefix"), Some("a/b c"));
        assert_eq!(query.value::<u32>("limit").unwrap(), Some(7));
        assert_eq!(query.value::<u32>("absent").unwrap(), None);
        assert_eq!(query.text("flag"), Some(""));
        let flag = |key| query.flag(key).ok();
        assert_eq!([flag("flag"), flag("one")], [Some(true); 2]);
        assert_eq!([flag("off"), flag("absent")], [Some(false); 2]);
        assert_eq!(flag("limit"), None);
        assert!(query.value::<u32>("prefix").is_err());
        assert!(query.only(&["prefix", "limit"]).is_err());
        assert!(Query::parse("a=1&a=2").is_err());
        assert!(Query::parse("a=%f").is_err());
    }
}
