//! What a look at a queue means. Pure.

use crate::{
    answer::{Finding, Hint, Severity},
    celery::model::PeekFacts,
    safe,
    text::{Safe, units},
};

/// The findings.
pub fn peek(facts: &PeekFacts) -> Vec<Finding> {
    let mut all = Vec::new();
    let sample = &facts.sample;
    for bucket in &facts.buckets {
        if let Some(wrong) = &bucket.wrong {
            let says = safe!("priority {} of queue {} could not be read: {}", bucket.step, facts.queue, *wrong);
            all.push(Finding::new("unreadable-bucket", Severity::Unknown, says));
        }
    }
    if sample.undecodable > 0 {
        let says = safe!(
            "{} of {} could not be decoded: no task of Celery's, or not in a form that obsctl reads",
            sample.undecodable,
            units::plural(sample.read as usize, "message", "messages")
        );
        let mut finding = Finding::new("undecodable", Severity::Warning, says);
        finding.evidence = facts.next.iter().filter_map(|task| task.why.clone()).take(3).collect();
        all.push(finding);
    }
    if sample.too_large > 0 {
        let says = safe!("{} not fetched: too large", units::plural(sample.too_large as usize, "message was", "messages were"));
        all.push(Finding::new("too-large", Severity::Warning, says).next(Hint::Set("store the data elsewhere, and publish its ID".into())));
    }
    if let Some(first) = facts.next.iter().find_map(|task| task.message.as_ref()) {
        let id: Safe = first.id.clone();
        let says = safe!("the next is {} {}", first.task, id);
        all.push(Finding::new("next", Severity::Info, says).next(Hint::Run(safe!("obsctl queue find {}", id))));
    }
    all
}
