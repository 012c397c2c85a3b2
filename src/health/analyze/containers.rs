//! Containers as Docker sees them: nobody was asked, the state and Docker's own check are all there is.

use crate::{
    answer::{Finding, Hint, Severity},
    health::model::{Asked, Condition, TargetHealth},
    safe,
    text::Safe,
};

/// What is wrong with one of them.
pub(super) fn of(target: &TargetHealth) -> Option<Finding> {
    let standing = target.pod.as_ref()?;
    let mut why = standing.why.iter().cloned();
    let first = why.next().unwrap_or_default();
    let (severity, code, says) = match target.condition {
        Condition::Ok | Condition::Skipped => return None,
        Condition::Failed => (Severity::Failed, "container-failed", safe!("{} is not well: {}", target.name, first)),
        Condition::Degraded => (Severity::Warning, "container-idle", safe!("{} is {}: it does nothing", target.name, first)),
        Condition::Unknown => {
            (Severity::Unknown, "container-unknown", safe!("{}: Docker says “{}”, which is no known state", target.name, first))
        }
    };
    let logs = match &target.app {
        Some(service) => safe!("docker compose logs --tail 50 {}", service),
        None => safe!("docker logs --tail 50 {}", target.name),
    };
    let mut finding = Finding::new(code, severity, says);
    finding.evidence.extend(why);
    Some(if severity == Severity::Failed { finding.next(Hint::Run(logs)) } else { finding })
}

/// Without `--all` those that ended are left out, and one that crashed is among them.
pub(super) fn ended(targets: &[TargetHealth]) -> Option<Finding> {
    let all = targets.iter().all(|t| t.asked == Asked::Container && t.condition != Condition::Skipped && !is_gone(t));
    (all && !targets.is_empty()).then(|| {
        let says = "every container of the list runs: one that ended is listed only with --all".into();
        Finding::new("containers-running-only", Severity::Info, says).next(Hint::Run("docker compose ps --all --format json".into()))
    })
}

fn is_gone(target: &TargetHealth) -> bool {
    let why = target.pod.iter().flat_map(|p| &p.why);
    target.condition == Condition::Failed && why.map(Safe::as_str).any(|text| text.starts_with("ended"))
}
