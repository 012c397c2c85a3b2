//! What the check-up means: what cannot be seen, and whom to ask for what. Pure.

use super::model::{Checkup, DoctorFacts, Fit, Right};
use crate::{
    answer::{Finding, Hint, Severity},
    safe,
    text::Safe,
};
use jiff::SignedDuration;

/// Clocks that differ by more make `--since` and ages wrong.
pub const CLOCKS: SignedDuration = SignedDuration::from_secs(5);

/// The findings, the worst first.
pub fn doctor(facts: &DoctorFacts) -> Vec<Finding> {
    let mut all: Vec<Finding> = facts.checkups.iter().filter_map(of_checkup).collect();
    all.extend(of_rights(&facts.rights));
    all.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    all
}

fn of_checkup(checkup: &Checkup) -> Option<Finding> {
    let Checkup { system, name, fit, says, lacks, hints } = checkup;
    let mut finding = match fit {
        Fit::Good | Fit::Absent => return None,
        Fit::Failed => Finding::new("unseen", Severity::Failed, safe!("{}: {}", *name, *says)),
        Fit::Limited => Finding::new("limited", Severity::Warning, safe!("{}: {}", *name, Safe::join(lacks, "; "))),
    };
    finding = finding.evidence(Safe::from(*system));
    finding.next.clone_from(hints);
    Some(finding)
}

/// One finding for all rights that are missing, so that one person is asked once.
fn of_rights(rights: &[Right]) -> Option<Finding> {
    let missing: Vec<&Right> = rights.iter().filter(|right| right.allowed == Some(false)).collect();
    let first = missing.first()?;
    let names: Vec<Safe> = missing.iter().map(|right| safe!("{} {}", right.permission.verb, right.permission.resource)).collect();
    // Without this one nothing in the cluster can be seen.
    let blind = missing.iter().any(|right| right.permission.resource.as_str() == "pods");
    let severity = if blind { Severity::Failed } else { Severity::Warning };
    let mut finding = Finding::new("rights", severity, safe!("not allowed in {}: {}", first.permission.scope, Safe::join(&names, ", ")));
    finding.evidence =
        missing.iter().map(|right| safe!("{} {} is for {}", right.permission.verb, right.permission.resource, right.used_for)).collect();
    Some(finding.next(Hint::Run("obsctl doctor --print role".into())))
}

/// How far a server's clock is from ours, in words, where it matters.
pub fn clock(ours: jiff::Timestamp, theirs: jiff::Timestamp) -> Option<Safe> {
    let off = theirs.duration_since(ours);
    (off.abs() > CLOCKS).then(|| {
        let word = if off.is_negative() { "behind" } else { "ahead of" };
        safe!("its clock is {} {} this machine's", crate::text::units::duration(off.abs()), word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::Permission;

    fn right(verb: &'static str, resource: &'static str, allowed: Option<bool>) -> Right {
        let permission = Permission { verb: verb.into(), resource: resource.into(), scope: "namespace shop".into() };
        Right { permission, used_for: "logs".into(), allowed }
    }

    #[test]
    fn what_is_well_is_not_mentioned() {
        let checkups = vec![Checkup::good("redis", "broker".into(), "7.0".into())];
        let rights = vec![right("list", "pods", Some(true)), right("list", "events", None)];
        assert_eq!(doctor(&DoctorFacts { observed_at: jiff::Timestamp::UNIX_EPOCH, checkups, rights }), []);
    }

    #[test]
    fn rights_are_asked_for_once_and_a_blind_user_has_failed() {
        let facts = |rights| DoctorFacts { observed_at: jiff::Timestamp::UNIX_EPOCH, checkups: Vec::new(), rights };
        let found = doctor(&facts(vec![right("list", "events", Some(false)), right("get", "pods/log", Some(false))]));
        assert_eq!((found.len(), found[0].severity, found[0].evidence.len()), (1, Severity::Warning, 2));
        assert_eq!(doctor(&facts(vec![right("list", "pods", Some(false))]))[0].severity, Severity::Failed);
    }

    #[test]
    fn clocks_are_compared_both_ways() {
        let at = |second| jiff::Timestamp::from_second(second).expect("a time");
        assert_eq!(clock(at(100), at(103)), None);
        assert_eq!(clock(at(100), at(160)).map(|s| s.to_string()).as_deref(), Some("its clock is 60.0 s ahead of this machine's"));
        assert_eq!(clock(at(100), at(40)).map(|s| s.to_string()).as_deref(), Some("its clock is 60.0 s behind this machine's"));
    }
}
