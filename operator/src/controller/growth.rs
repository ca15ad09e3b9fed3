//! Larger volumes: claims first, then the StatefulSet, which is replaced without its pods. Pure; each
//! step follows from what is there, so a crash between any two changes nothing.

use super::observed::{ClaimSeen, Observed};
use super::validate::Storage;
use crate::quantity;

/// What is to be done about the size of volumes, and how far it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Growth {
    /// Claims that are to ask for more, by the number of their worker.
    pub patch: Vec<u32>,
    /// Whether the StatefulSet is to be deleted without its pods, to be made anew with the size that is
    /// wanted: its template of claims cannot be changed.
    pub replace_set: bool,
    /// The size that its template has meanwhile.
    pub template_size: String,
    /// Claims that have less than they ask for, or are to.
    pub resizing: Vec<u32>,
    /// Claims whose file system grows only when the pod is started anew.
    pub restart_needed: Vec<u32>,
    /// Claims whose class cannot grow.
    pub unresizable: Vec<u32>,
    /// What the API server said of the first of them, if it was asked.
    pub refusal: Option<String>,
    /// Whether less is wanted than there is.
    pub shrink: bool,
}

/// Decides about the size of all volumes.
pub fn plan_growth(wanted: &Storage, observed: &Observed) -> Growth {
    let mut growth = Growth {
        template_size: wanted.size.clone(),
        ..Growth::default()
    };
    let template = observed.set.as_ref().map(|set| &set.template_size);
    let template_bytes = template.and_then(|size| quantity::bytes(size));
    if let Some(template) = template {
        template.clone_into(&mut growth.template_size);
    }
    if template_bytes.is_some_and(|there| there > wanted.size_bytes) {
        growth.shrink = true;
        return growth;
    }
    let mut unbound = false;
    for (ordinal, claim) in claims(observed) {
        if claim.requested < wanted.size_bytes {
            match (claim.expandable, claim.capacity) {
                (Some(false), _) => {
                    growth.unresizable.push(ordinal);
                    growth.refusal = growth.refusal.or_else(|| claim.refused.clone());
                    continue;
                }
                // It may not ask for more before it has what it asked for.
                (_, None) => {
                    unbound = true;
                    growth.resizing.push(ordinal);
                }
                // Where nobody knows about the class, the API server tells.
                (Some(true) | None, Some(_)) => growth.patch.push(ordinal),
            }
        }
        let asked = claim.requested.max(wanted.size_bytes);
        if claim.capacity.is_some_and(|there| there < asked) {
            growth.resizing.push(ordinal);
            if claim.file_system_pending {
                growth.restart_needed.push(ordinal);
            }
        }
    }
    let is_old = template_bytes.is_some_and(|there| there < wanted.size_bytes);
    let terminating = observed.set.as_ref().is_some_and(|set| set.terminating);
    growth.replace_set = is_old
        && !terminating
        && !unbound
        && growth.patch.is_empty()
        && growth.unresizable.is_empty();
    growth
}

fn claims(observed: &Observed) -> impl Iterator<Item = (u32, &ClaimSeen)> {
    observed
        .workers
        .iter()
        .filter_map(|(ordinal, worker)| Some((*ordinal, worker.claim.as_ref()?)))
        .filter(|(_, claim)| !claim.terminating && claim.retired.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::observed::{SetSeen, WorkerSeen};

    const GI: u64 = 1 << 30;

    /// `template` and `claims` in GiB; a claim is what it asks for, what it has, and whether it can grow.
    fn seen(template: Option<u64>, claims: &[(u64, u64, Option<bool>)]) -> Observed {
        let claim = |(ordinal, &(asked, has, expandable)): (usize, &(u64, u64, Option<bool>))| {
            let claim = ClaimSeen {
                requested: asked * GI,
                capacity: Some(has * GI),
                expandable,
                ..ClaimSeen::default()
            };
            let worker = WorkerSeen {
                claim: Some(claim),
                ..WorkerSeen::default()
            };
            (u32::try_from(ordinal).unwrap(), worker)
        };
        Observed {
            set: template.map(|size| SetSeen {
                template_size: format!("{size}Gi"),
                ..SetSeen::default()
            }),
            workers: claims.iter().enumerate().map(claim).collect(),
            ..Observed::default()
        }
    }

    fn two() -> Storage {
        Storage {
            size: "2Gi".to_owned(),
            size_bytes: 2 * GI,
            class: None,
        }
    }

    #[track_caller]
    fn check(observed: &Observed, patch: &[u32], replace: bool, template: &str) -> Growth {
        let growth = plan_growth(&two(), observed);
        assert_eq!(growth.patch, patch);
        assert_eq!(growth.replace_set, replace);
        assert_eq!(growth.template_size, template);
        growth
    }

    const YES: Option<bool> = Some(true);

    #[test]
    fn claims_ask_first_then_the_set_is_replaced_and_a_crash_between_goes_on_from_there() {
        check(&seen(None, &[]), &[], false, "2Gi");
        check(
            &seen(Some(1), &[(1, 1, YES), (1, 1, YES)]),
            &[0, 1],
            false,
            "1Gi",
        );
        // Crashed after the first.
        check(
            &seen(Some(1), &[(2, 1, YES), (1, 1, YES)]),
            &[1],
            false,
            "1Gi",
        );
        let growth = check(
            &seen(Some(1), &[(2, 1, YES), (2, 2, YES)]),
            &[],
            true,
            "1Gi",
        );
        assert_eq!(growth.resizing, [0]);
        // Crashed after the set was deleted.
        check(&seen(None, &[(2, 1, YES), (2, 2, YES)]), &[], false, "2Gi");
        let growth = check(
            &seen(Some(2), &[(2, 2, YES), (2, 2, YES)]),
            &[],
            false,
            "2Gi",
        );
        assert!(growth.resizing.is_empty());
    }

    #[test]
    fn a_class_that_cannot_grow_is_told_and_the_set_stays() {
        let growth = check(
            &seen(Some(1), &[(1, 1, Some(false)), (1, 1, YES)]),
            &[1],
            false,
            "1Gi",
        );
        assert_eq!(growth.unresizable, [0]);
    }

    #[test]
    fn a_class_that_nobody_may_read_is_tried() {
        let growth = check(&seen(Some(1), &[(1, 1, None)]), &[0], false, "1Gi");
        assert!(growth.unresizable.is_empty());
    }

    #[test]
    fn a_refusal_is_told_with_the_word_of_who_refused() {
        let mut refused = seen(Some(1), &[(1, 1, Some(false))]);
        let claim = refused.workers.get_mut(&0).unwrap().claim.as_mut();
        claim.unwrap().refused = Some("exceeded quota".to_owned());
        let growth = check(&refused, &[], false, "1Gi");
        assert_eq!(growth.refusal.as_deref(), Some("exceeded quota"));
    }

    #[test]
    fn a_claim_without_a_volume_is_waited_for() {
        let mut observed = seen(Some(1), &[(1, 1, YES), (2, 2, YES)]);
        let worker = observed.workers.get_mut(&0).unwrap();
        worker.claim.as_mut().unwrap().capacity = None;
        let growth = check(&observed, &[], false, "1Gi");
        assert_eq!(growth.resizing, [0]);
    }

    #[test]
    fn nothing_shrinks() {
        let growth = check(&seen(Some(3), &[(3, 3, YES)]), &[], false, "3Gi");
        assert!(growth.shrink);
    }

    #[test]
    fn a_set_that_is_on_its_way_out_is_not_deleted_again() {
        let mut observed = seen(Some(1), &[(2, 2, YES)]);
        observed.set.as_mut().unwrap().terminating = true;
        check(&observed, &[], false, "1Gi");
    }
}
