//! From checks and what was seen to results: the one evaluator of a single run, of `--wait` and of a watch. Pure; the clock and what earlier
//! runs knew are arguments.

use super::{
    history::{CheckHistory, Lasting},
    kind::CheckKind,
    kinds::{BlindSpot, Glance, MissingFigure, Sighting},
    model::{BoundSaid, CheckFacts, CheckResult, CheckStatus, Figure, Quantity, RootCause, Unanswered},
    spec::{CheckSpec, JudgedBy, OnNoData},
    threshold::{Relation, Threshold, Versus},
};
use crate::{
    answer::Severity,
    safe,
    text::{Safe, units},
};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// So many lines of evidence of one check.
const EVIDENCE: usize = 8;
/// So many figures of one check.
const FIGURES: usize = 200;

/// Judges all of them.
pub fn evaluate(checks: &[(CheckSpec, &Glance)], history: &mut CheckHistory, now: Timestamp) -> CheckFacts {
    let mut results: Vec<CheckResult> = checks.iter().map(|(spec, glance)| judge(spec, glance, history, now)).collect();
    let causes = suppress(checks, &mut results);
    // Stable: among equals, the order in which they stand.
    results.sort_by_key(|result| std::cmp::Reverse(result.status));
    CheckFacts { observed_at: now, counts: super::model::CheckCounts::of(&results), checks: results, causes, ..CheckFacts::default() }
}

/// Judges one, by itself.
pub fn judge(spec: &CheckSpec, glance: &Glance, history: &mut CheckHistory, now: Timestamp) -> CheckResult {
    let mut result = blank(spec);
    match glance {
        Err(spot) => blind(spec, spot, &mut result),
        Ok(seen) => {
            result.took_ms = seen.took_ms;
            if spec.compares() { compare(spec, seen, &mut result) } else { weigh(spec, seen, &mut result) }
        }
    }
    lasting(spec, &mut result, history, now);
    result.evidence.truncate(EVIDENCE);
    result.figures.truncate(FIGURES);
    result
}

fn blank(spec: &CheckSpec) -> CheckResult {
    let bound = |t: &Threshold, fails: bool, bad: bool| BoundSaid {
        figure: Safe::name(&t.figure),
        fails,
        range: t.range(bad).map(|r| r.says()),
        says: t.says.clone(),
    };
    let bounds = spec.warn.iter().map(|t| bound(t, false, true));
    let bounds = bounds.chain(spec.fail.iter().map(|t| bound(t, true, true))).chain(spec.want.iter().map(|t| bound(t, true, false)));
    CheckResult {
        name: Safe::name(&spec.name),
        system: spec.kind.word(),
        status: CheckStatus::Ok,
        unanswered: None,
        says: Safe::EMPTY,
        want: spec.wants(),
        figures: Vec::new(),
        bounds: bounds.collect(),
        evidence: Vec::new(),
        next: Vec::new(),
        route: spec.route,
        runbook: spec.runbook.clone(),
        tags: spec.tags.iter().map(Safe::name).collect(),
        because_of: Vec::new(),
        since: None,
        note: None,
        place: spec.place.clone(),
        took_ms: 0,
    }
}

/// Nothing was seen.
fn blind(spec: &CheckSpec, spot: &BlindSpot, result: &mut CheckResult) {
    result.took_ms = spot.took_ms;
    result.unanswered = Some(spot.why);
    result.says = spot.says.clone();
    result.next.clone_from(&spot.next);
    let ill = spot.status == CheckStatus::Failed;
    // Who asks whether it answers has his answer.
    if ill && spec.thresholds().any(|t| t.figure == "reachable") {
        let missing = spec.kind.figures().iter().filter(|f| f.name != "reachable");
        let missing =
            missing.map(|f| MissingFigure { figure: f.name, why: spot.why, says: spot.says.clone(), hint: None, partly: false }).collect();
        let figures = vec![Figure::flag("reachable", Safe::EMPTY, false)];
        compare(spec, &Sighting { figures, missing, evidence: vec![spot.says.clone()], ..Sighting::default() }, result);
        return;
    }
    let asks_that = matches!(spec.judged_by, JudgedBy::Answering) || matches!(spec.kind, CheckKind::Redis);
    result.status = match spec.on_no_data {
        _ if asks_that && !spec.compares() => spot.status,
        _ if spot.why != Unanswered::NoData => CheckStatus::Unknown,
        on => no_data(on),
    };
}

fn no_data(on: OnNoData) -> CheckStatus {
    match on {
        OnNoData::Unknown => CheckStatus::Unknown,
        OnNoData::Fail => CheckStatus::Failed,
        OnNoData::Warn => CheckStatus::Warning,
        OnNoData::Ok => CheckStatus::Ok,
    }
}

/// By its own thresholds.
fn compare(spec: &CheckSpec, seen: &Sighting, result: &mut CheckResult) {
    let subjects = spec.kind.subjects();
    let ours = |f: &&Figure| subjects.is_empty() || f.of.is_empty() || subjects.iter().any(|s| s.as_str() == f.of.as_str());
    let mut worst: Option<(CheckStatus, Figure, usize, &Threshold)> = None;
    let mut shown: Vec<Figure> = Vec::new();
    let wants = spec.want.iter().map(|t| (t, CheckStatus::Failed, false));
    let fails = spec.fail.iter().map(|t| (t, CheckStatus::Failed, true));
    let all = wants.chain(fails).chain(spec.warn.iter().map(|t| (t, CheckStatus::Warning, true)));
    let mut blind_of: Option<(&Threshold, Unanswered, Safe)> = None;
    for (threshold, status, bad) in all {
        let figures: Vec<&Figure> = seen.figures.iter().filter(ours).filter(|f| threshold.of(f)).collect();
        let mut breached: Vec<&Figure> = Vec::new();
        let mut compared = 0;
        for figure in &figures {
            if let Some(holds) = threshold.holds(figure) {
                compared += 1;
                if holds == bad {
                    breached.push(figure);
                }
            }
        }
        let asked_for_absent =
            subjects.iter().find(|s| !figures.iter().any(|f| f.of.as_str() == s.as_str()) && figures.iter().any(|f| !f.of.is_empty()));
        let of_body = threshold.figure.starts_with(['$', 'h']) && threshold.figure.contains([' ', '$']);
        let missing = seen.missing.iter().find(|m| m.figure == threshold.figure || (m.figure.is_empty() && of_body));
        // A figure that is partly measured and breached is bad news all the same; without a breach it proves nothing.
        if breached.is_empty() && (compared == 0 || asked_for_absent.is_some() || missing.is_some_and(|m| m.partly)) {
            let (why, says) = match (missing, asked_for_absent) {
                (Some(m), _) => (m.why, m.says.clone()),
                (None, Some(subject)) => {
                    (Unanswered::NoData, safe!("there is no {} of {}", Safe::name(&threshold.figure), Safe::name(subject)))
                }
                (None, None) => (Unanswered::NoData, safe!("there is no {} to compare", Safe::name(&threshold.figure))),
            };
            result.next.extend(missing.and_then(|m| m.hint.clone()));
            blind_of.get_or_insert((threshold, why, says));
        }
        breached.sort_by(|a, b| further(threshold, a, b));
        if let Some(first) = breached.first()
            && worst.as_ref().is_none_or(|(known, ..)| status > *known)
        {
            worst = Some((status, (*first).clone(), breached.len(), threshold));
        }
        for figure in breached.iter().chain(&figures) {
            if !shown.contains(figure) {
                shown.push((*figure).clone());
            }
        }
    }
    result.figures = shown;
    match (worst, blind_of) {
        (Some((status, figure, n, threshold)), _) => {
            let more = if n > 1 { safe!(" and {} more", n - 1) } else { Safe::EMPTY };
            result.status = status;
            result.says = safe!("{} {}{}", figure.named(), figure.shown().clipped(120), more);
            result.want = if spec.want.iter().any(|t| std::ptr::eq(t, threshold)) { threshold.says.clone() } else { threshold.opposite() };
            result.figures.sort_by_key(|f| *f != figure);
            result.evidence.clone_from(&seen.evidence);
            let about =
                seen.findings.iter().filter(|f| f.finding.severity >= Severity::Warning && f.of.as_ref().is_none_or(|of| *of == figure.of));
            for finding in about.take(2) {
                result.next.extend(finding.finding.next.iter().cloned());
            }
        }
        (None, Some((_, why, says))) => {
            // That it answers is what is asserted of an address, whatever else is.
            let address = matches!(spec.kind, CheckKind::Http(_) | CheckKind::Tcp(_) | CheckKind::Tls(_));
            result.status = match why {
                Unanswered::NoData => no_data(spec.on_no_data),
                Unanswered::Unreachable | Unanswered::Timeout if address => CheckStatus::Failed,
                _ => CheckStatus::Unknown,
            };
            result.unanswered = Some(why);
            result.says = says;
        }
        (None, None) => {
            let parts: Vec<Safe> = result.figures.iter().take(3).map(|f| safe!("{} {}", f.named(), f.shown().clipped(60))).collect();
            result.says = Safe::join(&parts, ", ");
        }
    }
}

/// The one that is further from what it should be comes first.
fn further(threshold: &Threshold, a: &Figure, b: &Figure) -> std::cmp::Ordering {
    let number = |f: &Figure| if let Quantity::Number(n) = f.value { n } else { 0.0 };
    let low = matches!(threshold.is, Relation::Number(Versus::Less | Versus::AtMost, _));
    if low { number(a).total_cmp(&number(b)) } else { number(b).total_cmp(&number(a)) }
}

/// By the kind's own analysis.
fn weigh(spec: &CheckSpec, seen: &Sighting, result: &mut CheckResult) {
    let subjects = spec.kind.subjects();
    let ours = |of: Option<&Safe>| subjects.is_empty() || of.is_none_or(|of| subjects.iter().any(|s| s.as_str() == of.as_str()));
    let names: Vec<&str> = spec.kind.figures().iter().map(|f| f.name).collect();
    let own = |f: &&Figure| names.contains(&f.name.as_str()) && ours(Some(&f.of).filter(|of| !of.is_empty()));
    result.figures = seen.figures.iter().filter(own).cloned().collect();
    // What it is about comes first.
    let judged = judged_figures(spec);
    result.figures.sort_by_key(|f| !judged.contains(&f.name.as_str()));
    let counted = seen.findings.iter().filter(|f| spec.judged_by.counts(f.finding.code) && ours(f.of.as_ref()));
    let mut found: Vec<_> = counted.filter(|f| f.finding.severity > Severity::Info).collect();
    found.sort_by_key(|f| std::cmp::Reverse(f.finding.severity));
    if let Some(worst) = found.first() {
        result.status = match worst.finding.severity {
            Severity::Info => CheckStatus::Ok,
            Severity::Warning => CheckStatus::Warning,
            Severity::Unknown => CheckStatus::Unknown,
            Severity::Failed => CheckStatus::Failed,
        };
        let more = if found.len() > 1 { safe!(" (and {} more)", found.len() - 1) } else { Safe::EMPTY };
        result.says = safe!("{}{}", worst.finding.says, more);
        result.unanswered = match worst.finding.code {
            "unreachable" => Some(Unanswered::Unreachable),
            "timeout" => Some(Unanswered::Timeout),
            _ => (worst.finding.severity == Severity::Unknown).then_some(Unanswered::NoData),
        };
        result.evidence.clone_from(&worst.finding.evidence);
        result.evidence.extend(found.iter().skip(1).map(|f| f.finding.says.clone()));
        // What a finding rests on itself says more than what stood around it.
        if result.evidence.is_empty() {
            result.evidence.clone_from(&seen.evidence);
        }
        result.next.clone_from(&worst.finding.next);
        if let Some(of) = &worst.of {
            result.figures.sort_by_key(|f| f.of != *of);
        }
        return;
    }
    if let Some(subject) = subjects.iter().find(|s| !seen.figures.iter().any(|f| f.of.as_str() == s.as_str())) {
        (result.status, result.unanswered) = (no_data(spec.on_no_data), Some(Unanswered::NoData));
        result.says = safe!("there is no {} {}", spec.kind.word(), Safe::name(subject));
        return;
    }
    // What the analysis could not look at is no "well".
    let mut missed = seen.missing.iter().filter(|m| judged.contains(&m.figure));
    if let Some(missing) = missed.clone().find(|m| !m.partly) {
        result.status = if missing.why == Unanswered::NoData { no_data(spec.on_no_data) } else { CheckStatus::Unknown };
        result.unanswered = Some(missing.why);
        result.says = missing.says.clone();
        result.next.extend(missing.hint.clone());
        return;
    }
    // The command whose verdict this is takes what it is shown, and says what it is not.
    result.note = missed.next().map(|m| m.says.clone());
    let parts: Vec<Safe> = result.figures.iter().take(3).map(|f| safe!("{} {}", f.named(), f.shown().clipped(60))).collect();
    result.says = Safe::join(&parts, ", ");
}

/// The figures on which the verdict of a check without thresholds rests.
fn judged_figures(spec: &CheckSpec) -> Vec<&'static str> {
    let of = |code: &str| match code {
        "blocked-by-lock" => Some("blocked"),
        "replica-lags" => Some("lag"),
        "long-running-statement" => Some("longest_transaction"),
        "connections-nearly-used-up" => Some("connections"),
        "silent-workers" => Some("silent"),
        "beat-late" => Some("late"),
        "rollout-stuck" => Some("rollout"),
        "job-failed" => Some("events"),
        "pod-restarted" => Some("restarts"),
        "releases-differ" => Some("releases"),
        _ => None,
    };
    match spec.judged_by {
        JudgedBy::Codes(codes) => codes.iter().filter_map(|code| of(code)).collect(),
        JudgedBy::Others(_) if spec.kind.word() == "kubernetes" => vec!["ready"],
        JudgedBy::Others(_) | JudgedBy::Answering => Vec::new(),
        // That it answers is all that is asked of an address; what else it would have said is not missed.
        JudgedBy::All if matches!(spec.kind, CheckKind::Http(_) | CheckKind::Tcp(_) | CheckKind::Tls(_) | CheckKind::Command(_)) => {
            Vec::new()
        }
        // Asked for everything: whatever is missing is missed, but for what the file did not name.
        JudgedBy::All => spec.kind.figures().iter().map(|f| f.name).filter(|name| *name != "slow").collect(),
    }
}

/// Holds a breach back until it has lasted.
fn lasting(spec: &CheckSpec, result: &mut CheckResult, history: &mut CheckHistory, now: Timestamp) {
    let bad = matches!(result.status, CheckStatus::Warning | CheckStatus::Failed);
    match spec.lasts {
        _ if result.status == CheckStatus::Unknown => {}
        _ if !bad => history.well(&spec.name, now),
        lasts => match history.breached(&spec.name, lasts.unwrap_or_default(), now) {
            Lasting::Counts(since) => result.since = Some(since),
            Lasting::NoHistory => {
                if lasts.is_some() {
                    result.note =
                        Some(safe!("for {}: no earlier run is known, so it counts at once", units::duration(lasts.unwrap_or_default())));
                }
            }
            Lasting::NotYet(since) => {
                let (wanted, lasted) = (units::duration(lasts.unwrap_or_default()), units::duration(now.duration_since(since)));
                result.since = Some(since);
                result.note = Some(safe!("not yet: {} for {} of {}", result.status.word(), lasted, wanted));
                result.status = CheckStatus::Ok;
            }
        },
    }
}

/// What needs something that is not well is not judged: it has one root, and one line. A check that is well stays well.
fn suppress(checks: &[(CheckSpec, &Glance)], results: &mut [CheckResult]) -> Vec<RootCause> {
    let mut skipped_by: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    // A cluster that cannot be asked is one cause, whatever was to be asked through it.
    let away = |i: &usize| matches!(checks.get(*i), Some((_, Err(spot))) if spot.cluster_away);
    let mut away = (0..results.len()).filter(away);
    if let Some(root) = away.next()
        && let Some(name) = results.get(root).map(|r| r.name.clone())
    {
        for i in away {
            let Some(result) = results.get_mut(i) else { continue };
            result.status = CheckStatus::Skipped;
            result.because_of = vec![name.clone()];
            result.evidence.insert(0, std::mem::replace(&mut result.says, safe!("the cluster cannot be asked: see {}", name)));
            skipped_by.entry(root).or_default().push(i);
        }
    }
    let at: BTreeMap<&str, usize> = checks.iter().enumerate().map(|(i, (spec, _))| (spec.name.as_str(), i)).collect();
    let ill: BTreeSet<usize> = results
        .iter()
        .enumerate()
        .filter(|(_, r)| matches!(r.status, CheckStatus::Failed | CheckStatus::Unknown))
        .map(|(i, _)| i)
        .collect();
    for (i, (spec, _)) in checks.iter().enumerate() {
        if results.get(i).is_none_or(|r| r.status <= CheckStatus::Skipped) {
            continue;
        }
        let roots = roots(checks, &at, &ill, spec);
        if roots.is_empty() {
            continue;
        }
        if let Some(result) = results.get_mut(i) {
            result.status = CheckStatus::Skipped;
            result.because_of = roots.iter().filter_map(|r| checks.get(*r)).map(|(s, _)| Safe::name(&s.name)).collect();
            // What it saw itself is kept: nothing is dropped.
            if !result.says.is_empty() {
                result.evidence.insert(0, result.says.clone());
            }
            result.says = safe!("needs {}", Safe::join(&result.because_of, ", "));
        }
        for root in roots {
            skipped_by.entry(root).or_default().push(i);
        }
    }
    let cause = |(root, skipped): (usize, Vec<usize>)| {
        let result = results.get(root)?;
        let skipped = skipped.iter().filter_map(|i| results.get(*i)).map(|r| r.name.clone()).collect();
        Some(RootCause { check: result.name.clone(), says: result.says.clone(), skipped })
    };
    skipped_by.into_iter().filter_map(cause).collect()
}

/// The furthest of what a check needs that is not well; circles end.
fn roots(checks: &[(CheckSpec, &Glance)], at: &BTreeMap<&str, usize>, ill: &BTreeSet<usize>, spec: &CheckSpec) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    let mut seen: BTreeSet<&str> = BTreeSet::from([spec.name.as_str()]);
    let mut open: Vec<&CheckSpec> = vec![spec];
    while let Some(one) = open.pop() {
        let needed = one.needs.iter().filter_map(|need| Some((at.get(need.as_str())?, need)));
        let mut deeper = false;
        for (i, need) in needed {
            let Some((next, _)) = checks.get(*i) else { continue };
            deeper |= ill.contains(i) && **need != spec.name;
            if seen.insert(need.as_str()) {
                open.push(next);
            }
        }
        let own = at.get(one.name.as_str()).copied();
        if !deeper && !std::ptr::eq(one, spec) {
            found.extend(own.filter(|i| ill.contains(i)));
        }
    }
    found
}

#[cfg(test)]
mod tests;
