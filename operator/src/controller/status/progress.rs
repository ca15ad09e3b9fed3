//! Whether what the spec asks for is the case, and if not, what is under way. Whatever is not known to be in
//! force is not called converged.

use super::Deleting;
use super::Facts;
use super::conditions::{Truth, Verdict, starting, verdict};
use super::work::volumes_resized;
use crate::controller::observed::Observed;
use crate::controller::policy::not_in_force;
use crate::controller::removal::{Plan, ScaleDown, Step};
use crate::controller::validate::ValidatedCluster;

/// The reason when everything is as wanted.
pub(super) const CONVERGED: &str = "Converged";

pub(super) fn progressing(facts: &Facts<'_>) -> Verdict {
    let say = |truth, reason, message: String| verdict("Progressing", truth, reason, message);
    if facts.deleting != Deleting::No {
        let message = "the resource is being deleted".to_owned();
        return say(Truth::True, "Deleting", message);
    }
    if facts.bootstrap.is_none() {
        return say(Truth::True, "Creating", starting(facts));
    }
    let (Ok(valid), Some(plan)) = (facts.valid, facts.plan) else {
        let message = "the spec cannot be used, so nothing is applied".to_owned();
        return say(Truth::False, "Stalled", message);
    };
    let under_way = workers(facts, valid, plan)
        .or_else(|| masters(facts, valid))
        .or_else(|| volumes(facts))
        .or_else(|| objects(facts))
        .or_else(|| policy(facts, valid))
        .or_else(|| facts.failed.map(|why| ("ApplyFailed", why.to_owned())));
    if let Some((reason, message)) = under_way {
        return say(Truth::True, reason, message);
    }
    if facts.observed.leader.report().is_none() {
        let message = "the leader does not answer: nobody knows what it goes by".to_owned();
        return say(Truth::Unknown, "PolicyUnknown", message);
    }
    // Nothing is tried any more.
    let resized = volumes_resized(facts);
    if resized.truth == Truth::False {
        return say(Truth::False, "Stalled", resized.message);
    }
    // What failed once and needed doing was found above; what failed twice too.
    let passing = facts.passing.map(|why| format!("; tried again: {why}"));
    let message = format!("everything is as wanted{}", passing.unwrap_or_default());
    say(Truth::False, CONVERGED, message)
}

/// What is under way: a reason and a sentence.
type UnderWay = Option<(&'static str, String)>;

fn workers(facts: &Facts<'_>, valid: &ValidatedCluster, plan: &Plan) -> UnderWay {
    let observed = facts.observed;
    let wanted = facts.wanted_workers;
    match &plan.scale_down {
        ScaleDown::NotRequested => {}
        // Nobody is to go: workers are to be emptied, and cannot be.
        ScaleDown::Blocked(_, why) if plan.replicas <= wanted => {
            return Some(("Draining", why.clone()));
        }
        ScaleDown::Running | ScaleDown::Blocked(..) => {
            let from = plan.replicas;
            return Some(("Draining", format!("from {from} workers to {wanted}")));
        }
    }
    let pods = observed.worker_pods().count();
    if pods < usize::try_from(wanted).unwrap_or(usize::MAX) {
        let message = format!("{pods} of {wanted} workers have a pod");
        return Some(("ScalingUp", message));
    }
    if !plan.outdated.is_empty() || plan.current.is_some() {
        let updated = pods.saturating_sub(plan.outdated.len());
        let held = plan.held.as_ref();
        let held = held.map(|held| format!("; {}: {}", held.predicate.as_str(), held.message));
        let held = held.unwrap_or_default();
        let message = format!("{updated} of {pods} workers are as wanted{held}");
        return Some(("RollingOut", message));
    }
    let set = observed.set.as_ref();
    if !set.is_some_and(|set| set.makes(&plan.target) && set.replicas == wanted) {
        let message = "what workers are made of is not as wanted yet".to_owned();
        return Some(("RollingOut", message));
    }
    moving_off(valid, observed, plan).map(|message| ("Draining", message))
}

/// Whether workers are yet to be emptied without going, or to take part again.
fn moving_off(valid: &ValidatedCluster, observed: &Observed, plan: &Plan) -> Option<String> {
    let begins = |step: &&Step| matches!(step, Step::Drain { .. } | Step::Undrain { .. });
    let begin = plan.steps.iter().filter(begins).count();
    if begin > 0 {
        return Some(format!(
            "{begin} workers are to be emptied, or to take part again"
        ));
    }
    let named = valid.decommission.iter();
    let members = named.filter_map(|name| observed.leader.report()?.member(name));
    let left = members.filter(|member| member.chunks > 0).count();
    (left > 0).then(|| format!("{left} workers are being emptied"))
}

fn masters(facts: &Facts<'_>, valid: &ValidatedCluster) -> UnderWay {
    let wanted = valid.masters.replicas;
    let pods = facts.observed.master_pods.iter();
    let old = pods.filter(|pod| pod.template != facts.master_template);
    let old = old.count();
    let masters = facts.observed.masters.clone().unwrap_or_default();
    if old == 0 && masters.are(wanted, facts.master_template) {
        return None;
    }
    let updated = match masters.template == facts.master_template {
        true => masters.updated.min(masters.available),
        false => 0,
    };
    let mut message = format!("{updated} of {wanted} masters are as wanted and take requests");
    if old > 0 {
        message = format!("{message}; {old} of before are still there");
    }
    Some(("RollingOut", message))
}

fn volumes(facts: &Facts<'_>) -> UnderWay {
    let growth = facts.growth?;
    let rests = growth.resizing.is_empty() && growth.patch.is_empty() && !growth.replace_set;
    let message = || format!("{} volumes are growing", growth.resizing.len());
    (!rests).then(|| ("ResizingVolumes", message()))
}

fn objects(facts: &Facts<'_>) -> UnderWay {
    let what = facts.unapplied?;
    Some(("Applying", format!("{what} is not as wanted yet")))
}

fn policy(facts: &Facts<'_>, valid: &ValidatedCluster) -> UnderWay {
    let report = facts.observed.leader.report()?;
    let fields = not_in_force(&valid.policy, valid.voters, report);
    if fields.is_empty() {
        return None;
    }
    let why = facts.failed.or(facts.refused_policy).or(facts.passing);
    let why = why.map(|why| format!(": {why}")).unwrap_or_default();
    let fields = fields.join(", ");
    Some(("ApplyingPolicy", format!("not in force yet: {fields}{why}")))
}
