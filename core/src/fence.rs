//! What a disk obeys, and whose word about it counts.
//!
//! The fence of a disk is the highest term of an order that it was given, or of a write. It is kept
//! durably, and raised before the order is carried out, so that a leader that was deposed destroys
//! nothing that a later one relies on.

use crate::id::Term;

/// An order of a leader after whom another was heard of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("term {term} is below the fence {fence}")]
pub struct Fenced {
    /// The order's.
    pub term: Term,
    /// The disk's.
    pub fence: Term,
}

/// The fence under which an order of `term` is carried out by a disk with this one.
///
/// # Errors
/// If it is not to be carried out.
pub fn obey(fence: Term, term: Term) -> Result<Term, Fenced> {
    match term < fence {
        true => Err(Fenced { term, fence }),
        false => Ok(term),
    }
}

/// The fence once a write of `term` was let in. Writes of earlier terms are let in as well: they add
/// what nothing refers to until a leader says so, and a change of leaders breaks off no upload.
pub fn admit_write(fence: Term, term: Term) -> Term {
    fence.max(term)
}

/// Whether the leader of `leading` may count on what a disk answered to that of `answered`: only on
/// what it answered to itself. What was said to another may be undone since.
pub fn counts(answered: Term, leading: Term) -> bool {
    answered == leading
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Incarnation;

    #[test]
    fn orders_of_earlier_terms_are_refused_and_writes_are_not() {
        let term = |round| Term {
            round,
            incarnation: Incarnation(1),
        };
        assert_eq!(obey(term(2), term(2)), Ok(term(2)));
        assert_eq!(obey(term(2), term(3)), Ok(term(3)));
        let (fence, earlier) = (term(2), term(1));
        assert_eq!(
            obey(fence, earlier),
            Err(Fenced {
                term: earlier,
                fence
            })
        );
        assert_eq!(admit_write(term(2), term(1)), term(2));
        assert_eq!(admit_write(term(2), term(3)), term(3));
        assert!(counts(term(2), term(2)) && !counts(term(1), term(2)));
    }
}
