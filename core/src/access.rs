//! What the holder of a token may do: roles, and the folder of names that they hold for.

use crate::name::{FileName, InvalidName};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// One thing that a token may allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Role {
    /// See names and read bytes.
    Read = 1,
    /// Store files, new ones and over others, and bring them back from the trash.
    Write = 2,
    /// Delete files, also for good.
    Delete = 4,
    /// See counters, without a name of a file in them.
    Metrics = 8,
    /// See and change everything that is no file: workers, tokens, the state of the cluster.
    Admin = 16,
}

impl Role {
    /// Every role.
    pub const ALL: [Role; 5] = [
        Role::Read,
        Role::Write,
        Role::Delete,
        Role::Metrics,
        Role::Admin,
    ];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Role::Read => "read",
            Role::Write => "write",
            Role::Delete => "delete",
            Role::Metrics => "metrics",
            Role::Admin => "admin",
        }
    }

    /// Whether it holds for single names; the others hold for the whole cluster.
    pub const fn is_of_names(self) -> bool {
        match self {
            Role::Read | Role::Write | Role::Delete => true,
            Role::Metrics | Role::Admin => false,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that is no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no role: there are read, write, delete, metrics and admin")]
pub struct InvalidRole(String);

impl FromStr for Role {
    type Err = InvalidRole;

    fn from_str(text: &str) -> Result<Self, InvalidRole> {
        let found = Role::ALL.into_iter().find(|role| role.as_str() == text);
        found.ok_or_else(|| InvalidRole(text.chars().take(64).collect()))
    }
}

/// A set of roles.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Roles(u8);

impl Roles {
    /// Every role.
    pub const ALL: Roles = Roles(1 | 2 | 4 | 8 | 16);

    /// Whether the role is among them. An administrator sees counters too.
    pub const fn has(self, role: Role) -> bool {
        let wanted = match role {
            Role::Metrics => Role::Metrics as u8 | Role::Admin as u8,
            Role::Read | Role::Write | Role::Delete | Role::Admin => role as u8,
        };
        self.0 & wanted != 0
    }

    /// Whether there are none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The roles, in the order of [`Role::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Role> {
        Role::ALL
            .into_iter()
            .filter(move |&role| self.0 & role as u8 != 0)
    }
}

impl FromIterator<Role> for Roles {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        Self(roles.into_iter().fold(0, |bits, role| bits | role as u8))
    }
}

impl fmt::Debug for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// A set is a list of words for people, and a byte in records.
impl Serialize for Roles {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_seq(self.iter().map(Role::as_str))
        } else {
            serializer.serialize_u8(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Roles {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        if deserializer.is_human_readable() {
            let words = Vec::<String>::deserialize(deserializer)?;
            let roles = words.iter().map(|word| word.parse::<Role>());
            return roles.collect::<Result<_, _>>().map_err(D::Error::custom);
        }
        let bits = u8::deserialize(deserializer)?;
        if bits & !Self::ALL.0 != 0 {
            return Err(D::Error::custom("a role that is not known"));
        }
        Ok(Self(bits))
    }
}

/// All names, or all that are in one folder, however deep.
///
/// Empty, or a name followed by a slash: `films/` has `films/a.mkv` in it, and not `films-b/c.mkv`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Folder(Box<str>);

impl Folder {
    /// Reads a folder; the slash at its end may be left out.
    ///
    /// # Errors
    /// If the text without that slash is neither empty nor a name.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let name = FileName::parse(text.strip_suffix('/').unwrap_or(text))?;
        Ok(Self(format!("{}/", name.as_str()).into()))
    }

    /// The folder with its slash; empty for all names.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether all names that begin with `text` are in it.
    pub fn has(&self, text: &str) -> bool {
        text.starts_with(&*self.0)
    }
}

impl Serialize for Folder {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Folder {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// What a token allows: these roles, for the names in this folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The roles.
    pub roles: Roles,
    /// Where they hold.
    pub folder: Folder,
}

/// A grant that makes no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidGrant {
    /// It allows nothing.
    #[error("a token needs at least one role")]
    Nothing,
    /// A role for the whole cluster, in a folder.
    #[error("the role {0} holds for the whole cluster and goes with no prefix")]
    NotOfNames(Role),
}

impl Grant {
    /// Everything.
    pub fn all() -> Self {
        Self {
            roles: Roles::ALL,
            folder: Folder::default(),
        }
    }

    /// Checks what the parts leave open.
    ///
    /// # Errors
    /// Says what is wrong.
    pub fn check(&self) -> Result<(), InvalidGrant> {
        if self.roles.is_empty() {
            return Err(InvalidGrant::Nothing);
        }
        let wide = self.roles.iter().find(|role| !role.is_of_names());
        match wide {
            Some(role) if !self.folder.as_str().is_empty() => Err(InvalidGrant::NotOfNames(role)),
            _ => Ok(()),
        }
    }

    /// Whether it allows `role` for this name.
    pub fn allows(&self, role: Role, name: &FileName) -> bool {
        self.allows_all(role, name.as_str())
    }

    /// Whether it allows `role` for every name that begins with `text`.
    pub fn allows_all(&self, role: Role, text: &str) -> bool {
        self.roles.has(role) && self.folder.has(text)
    }

    /// Whether everything that `other` allows is allowed by this one.
    pub fn covers(&self, other: &Grant) -> bool {
        let mut roles = other.roles.iter();
        roles.all(|role| self.roles.has(role)) && self.folder.has(other.folder.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roles(words: &[&str]) -> Roles {
        words
            .iter()
            .map(|word| word.parse::<Role>().unwrap())
            .collect()
    }

    fn grant(words: &[&str], folder: &str) -> Grant {
        Grant {
            roles: roles(words),
            folder: Folder::parse(folder).unwrap(),
        }
    }

    #[test]
    fn a_grant_holds_in_its_folder_and_nowhere_beside_it() {
        let name = |text| FileName::parse(text).unwrap();
        let films = grant(&["read", "delete"], "films");
        assert_eq!(films.folder.as_str(), "films/");
        for (role, text, want) in [
            (Role::Read, "films/a", true),
            (Role::Read, "films/a/b", true),
            (Role::Delete, "films/a", true),
            (Role::Write, "films/a", false),
            (Role::Admin, "films/a", false),
            (Role::Read, "films", false),
            (Role::Read, "films-b/c", false),
            (Role::Read, "Films/a", false),
            (Role::Read, "x/films/a", false),
        ] {
            assert_eq!(films.allows(role, &name(text)), want, "{role} {text}");
        }
        assert!(grant(&["read"], "").allows(Role::Read, &name("any/thing")));
        for (prefix, want) in [
            ("films/", true),
            ("films/a", true),
            ("films", false),
            ("", false),
        ] {
            assert_eq!(films.allows_all(Role::Read, prefix), want, "{prefix}");
        }
    }

    #[test]
    fn a_grant_covers_what_is_within_it() {
        let films = grant(&["read", "write"], "films/");
        for (words, folder, want) in [
            (&["read"][..], "films/", true),
            (&["read", "write"], "films/new/", true),
            (&["delete"], "films/", false),
            (&["read"], "", false),
            (&["read"], "films-b/", false),
            (&["metrics"], "", false),
        ] {
            assert_eq!(
                films.covers(&grant(words, folder)),
                want,
                "{words:?} {folder}"
            );
        }
        let admin = grant(&["admin"], "");
        assert!(admin.covers(&grant(&["metrics"], "")));
        assert!(!admin.covers(&grant(&["read"], "")));
        for role in Role::ALL {
            assert!(Grant::all().covers(&grant(&[role.as_str()], "")));
        }
    }

    #[test]
    fn a_grant_of_nothing_or_of_a_wide_role_in_a_folder_is_refused() {
        assert_eq!(grant(&[], "").check(), Err(InvalidGrant::Nothing));
        let wide = Err(InvalidGrant::NotOfNames(Role::Admin));
        assert_eq!(grant(&["read", "admin"], "a").check(), wide);
        assert_eq!(grant(&["read", "admin"], "").check(), Ok(()));
        for bad in ["/", "a//b", "../a", "a/./b", "/a", "a\\b"] {
            assert!(Folder::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn roles_are_words_for_people_and_a_byte_in_records() {
        let set = roles(&["admin", "read", "read"]);
        let bytes = postcard::to_allocvec(&set).unwrap();
        assert_eq!(bytes, [17]);
        assert_eq!(postcard::from_bytes::<Roles>(&bytes), Ok(set));
        assert!(postcard::from_bytes::<Roles>(&[32]).is_err());
        let words: Vec<_> = set.iter().map(Role::as_str).collect();
        assert_eq!(words, ["read", "admin"]);
        assert!("root".parse::<Role>().is_err());
    }
}
