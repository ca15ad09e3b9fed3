//! Who asks, and what they may do.

use super::error::HttpError;
use axum::extract::FromRequestParts;
use http::request::Parts;
use mdfs_core::access::{Grant, Role};
use mdfs_core::id::TokenId;
use mdfs_core::name::FileName;
use mdfs_core::records::Holder;
use mdfs_core::time::LogTime;
use mdfs_protocol::problem::Code;
use mdfs_service::serve::customer;
use std::convert::Infallible;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// The address of whoever no address is known of.
const NOWHERE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// Whoever sent a request. An extractor; nobody, who may do nothing, unless the guard said
/// otherwise.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    who: Who,
    grant: Arc<Grant>,
    /// When their token expires.
    until: Option<LogTime>,
    /// When the session ends that they are known by.
    session: Option<LogTime>,
    address: IpAddr,
}

/// How somebody is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// Not at all.
    Nobody,
    /// By the cluster key.
    Server,
    /// By a root token.
    Root,
    /// By a token.
    Token(TokenId),
    /// By a link that a root token signed.
    RootLink,
    /// By a link that a token signed.
    TokenLink(TokenId),
}

impl Caller {
    /// Somebody unknown.
    pub(crate) fn nobody() -> Self {
        Self::without_grant(Who::Nobody)
    }

    /// Another server of the cluster.
    pub(crate) fn server() -> Self {
        Self::without_grant(Who::Server)
    }

    /// Who may do everything.
    pub(crate) fn root() -> Self {
        Self {
            who: Who::Root,
            grant: Arc::new(Grant::all()),
            until: None,
            session: None,
            address: NOWHERE,
        }
    }

    /// The holder of a token.
    pub(crate) fn token(token: TokenId, grant: Grant, until: LogTime) -> Self {
        Self {
            who: Who::Token(token),
            grant: Arc::new(grant),
            until: Some(until),
            session: None,
            address: NOWHERE,
        }
    }

    /// The holder of a link that `self` signed: does what `self` may do, where the link leads.
    pub(crate) fn by_link(self) -> Self {
        let who = match self.who {
            Who::Token(token) | Who::TokenLink(token) => Who::TokenLink(token),
            Who::Root | Who::RootLink => Who::RootLink,
            Who::Nobody | Who::Server => Who::Nobody,
        };
        Self { who, ..self }
    }

    fn without_grant(who: Who) -> Self {
        let grant = Grant {
            roles: Default::default(),
            folder: Default::default(),
        };
        Self {
            who,
            grant: Arc::new(grant),
            until: None,
            session: None,
            address: NOWHERE,
        }
    }

    /// The same, known by a session that ends then.
    pub(crate) fn in_session(self, until: LogTime) -> Self {
        Self {
            session: Some(until),
            ..self
        }
    }

    /// What they may do.
    pub(crate) fn grant(&self) -> &Grant {
        &self.grant
    }

    /// The same, asking from this address.
    pub(crate) fn at(self, address: IpAddr) -> Self {
        Self { address, ..self }
    }

    /// Where they ask from.
    pub(crate) fn address(&self) -> IpAddr {
        self.address
    }

    /// Whom what they read and store counts for.
    pub(crate) fn holder(&self) -> Holder {
        match self.who {
            Who::Token(token) => Holder::Token(token),
            Who::Nobody | Who::Server | Who::Root | Who::RootLink | Who::TokenLink(_) => {
                Holder::Address(customer(self.address))
            }
        }
    }

    /// How they are known.
    pub(crate) fn who(&self) -> Who {
        self.who
    }

    /// When what they are known by expires, if it does: their token, or the session before it.
    pub(crate) fn until(&self) -> Option<LogTime> {
        self.until.into_iter().chain(self.session).min()
    }

    /// When their token expires, if it does: what they make for others lasts as long as that, however
    /// they are known.
    pub(crate) fn token_until(&self) -> Option<LogTime> {
        self.until
    }

    /// Asks for a role that holds for the whole cluster.
    ///
    /// # Errors
    /// [`Code::Forbidden`].
    pub(crate) fn has(&self, role: Role) -> Result<(), HttpError> {
        self.may_all(role, "")
    }

    /// Asks for a role for a name. Says the same whether there is such a file or not.
    ///
    /// # Errors
    /// [`Code::Forbidden`].
    pub(crate) fn may(&self, role: Role, name: &FileName) -> Result<(), HttpError> {
        self.may_all(role, name.as_str())
    }

    /// Asks for a role for all names that begin with `prefix`.
    ///
    /// # Errors
    /// [`Code::Forbidden`].
    pub(crate) fn may_all(&self, role: Role, prefix: &str) -> Result<(), HttpError> {
        if self.grant.allows_all(role, prefix) {
            return Ok(());
        }
        let folder = self.grant.folder.as_str();
        let detail = match self.who {
            // Who has but a link need not learn of more than its file.
            Who::Token(_) if self.grant.roles.has(role) && !folder.is_empty() => {
                format!("the token does not allow this: it is for {folder:?} alone")
            }
            _ => format!("the token does not allow this: it needs the role {role} here"),
        };
        Err(HttpError::new(Code::Forbidden, detail))
    }

    /// The beginning of all names that they may do this to.
    ///
    /// # Errors
    /// [`Code::Forbidden`], if there are none.
    pub(crate) fn scope(&self, role: Role) -> Result<&str, HttpError> {
        let folder = self.grant.folder.as_str();
        self.may_all(role, folder)?;
        Ok(folder)
    }

    /// Asks whether they may do everything that `grant` allows.
    ///
    /// # Errors
    /// [`Code::Forbidden`].
    pub(crate) fn may_pass_on(&self, grant: &Grant) -> Result<(), HttpError> {
        if self.grant.covers(grant) {
            return Ok(());
        }
        let detail = "a token can be given no more than whoever makes it may do";
        Err(HttpError::new(Code::Forbidden, detail))
    }
}

/// As it stands in the audit log.
impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.who {
            Who::Nobody => f.write_str("nobody"),
            Who::Server => f.write_str("server"),
            Who::Root => f.write_str("root"),
            Who::Token(token) => write!(f, "{token}"),
            Who::RootLink => f.write_str("link/root"),
            Who::TokenLink(token) => write!(f, "link/{token}"),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let caller = parts.extensions.get::<Self>();
        Ok(caller.cloned().unwrap_or_else(Self::nobody))
    }
}

/// The name in a request's path, which the guard let the caller through for. An extractor; there is
/// no other way from a path to a name.
#[derive(Clone, Debug)]
pub(crate) struct PathName(pub(crate) FileName);

impl<S: Sync> FromRequestParts<S> for PathName {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, HttpError> {
        let name = parts.extensions.get::<Self>().cloned();
        // A handler of a route whose rule has no name asked for one.
        name.ok_or_else(|| HttpError::new(Code::Internal, "the route has no name"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::error::problem_of;
    use mdfs_core::access::Folder;

    #[test]
    fn a_token_for_a_folder_is_told_which() {
        let grant = Grant {
            roles: [Role::Read].into_iter().collect(),
            folder: Folder::parse("films").unwrap(),
        };
        let token = TokenId::from_u128(7);
        let until = LogTime::from_millis(1);
        let told = |caller: &Caller, role| {
            let error = caller.may_all(role, "").unwrap_err();
            problem_of(&error, "r").detail
        };
        let caller = Caller::token(token, grant.clone(), until);
        assert!(told(&caller, Role::Read).contains("\"films/\" alone"));
        assert!(told(&caller, Role::Write).contains("the role write"));
        let link = Caller {
            who: Who::TokenLink(token),
            ..caller
        };
        assert!(!told(&link, Role::Read).contains("films"));
    }
}
