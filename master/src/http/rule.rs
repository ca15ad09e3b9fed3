//! What a route asks of whoever calls it.

use mdfs_core::access::Role;

/// Who may use a method of a route. There is no route without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Everybody.
    Anyone,
    /// Servers of the cluster.
    Servers,
    /// Whoever has this role, which holds for the whole cluster.
    Has(Role),
    /// Whoever has this role for the name in the path. A signed link may stand for a token where
    /// its method is one that links have.
    Name(Role),
    /// Whoever has this role for the name that the query's `name` says.
    NameInQuery(Role),
    /// Whoever has the role that the act in the query needs ([`ACTS`]) for the name in the path.
    Act,
    /// Every holder of a token. What the request names stands in its body or behind an id: the
    /// handler asks [`Caller`] for each name before it looks at anything.
    ///
    /// [`Caller`]: super::caller::Caller
    Holder,
}

/// Whoever may see figures.
pub(crate) const FIGURES: Rule = Rule::Has(Role::Metrics);

/// What can be done with a file by `POST`, as the query says it, and the role that it needs.
pub(crate) const ACTS: [(&str, Role); 3] = [
    ("attributes", Role::Write),
    // It makes a file of this name, as `PUT` does.
    ("undelete", Role::Write),
    ("verify", Role::Read),
];

impl Rule {
    /// Where the name stands that it is about.
    pub(crate) const fn place_of_name(self) -> Place {
        match self {
            Rule::Name(_) | Rule::Act => Place::Path,
            Rule::NameInQuery(_) => Place::Query,
            Rule::Anyone | Rule::Servers | Rule::Has(_) | Rule::Holder => Place::Nowhere,
        }
    }
}

/// Where a request names the file that its rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The path ends in it.
    Path,
    /// The query has it, as `name`.
    Query,
    /// The rule is about no name.
    Nowhere,
}
