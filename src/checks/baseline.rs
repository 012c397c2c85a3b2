//! A run that was kept, and what is worse than then: the gate of a deploy. Pure.

use super::model::{CheckFacts, CheckStatus, Comparison, Figure, Quantity, Unit, WorseFigure};
use crate::{safe, text::Safe};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The version of the file; another one is not read.
const VERSION: u32 = 1;
/// A figure is worse when it is worse by more than this part.
const WORSE: f64 = 0.2;
/// So many figures are listed.
const LISTED: usize = 50;

/// A run that was kept.
#[derive(Debug, Serialize, Deserialize)]
pub struct Baseline {
    obsctl_checks: u32,
    at: Timestamp,
    checks: Vec<KeptCheck>,
}

#[derive(Debug, Serialize, Deserialize)]
struct KeptCheck {
    name: String,
    status: String,
    says: String,
    figures: Vec<KeptFigure>,
}

#[derive(Debug, Serialize, Deserialize)]
struct KeptFigure {
    name: String,
    of: String,
    value: f64,
}

impl Baseline {
    /// Of a run.
    pub fn of(facts: &CheckFacts) -> Self {
        let figure = |f: &Figure| match f.value {
            Quantity::Number(value) if value.is_finite() => Some(KeptFigure { name: f.name.to_string(), of: f.of.to_string(), value }),
            _ => None,
        };
        let check = |c: &super::model::CheckResult| KeptCheck {
            name: c.name.to_string(),
            status: c.status.word().to_owned(),
            says: c.says.to_string(),
            figures: c.figures.iter().filter_map(figure).collect(),
        };
        Self { obsctl_checks: VERSION, at: facts.observed_at, checks: facts.checks.iter().map(check).collect() }
    }

    /// Reads one.
    ///
    /// # Errors
    /// A sentence: it is none, or of another version.
    pub fn read(bytes: &[u8]) -> Result<Self, Safe> {
        let kept: Self = serde_json::from_slice(bytes).map_err(|_| Safe::from("this is nothing that obsctl check --save has written"))?;
        if kept.obsctl_checks == VERSION {
            Ok(kept)
        } else {
            Err(safe!("it is of version {}, and this obsctl reads {}", kept.obsctl_checks, VERSION))
        }
    }

    /// What a run is against this one.
    pub fn compare(&self, facts: &CheckFacts) -> Comparison {
        let before: BTreeMap<&str, &KeptCheck> = self.checks.iter().map(|c| (c.name.as_str(), c)).collect();
        let mut found = Comparison { with: self.at, ..Comparison::default() };
        let now: BTreeSet<&str> = facts.checks.iter().map(|c| c.name.as_str()).collect();
        found.gone = self.checks.iter().filter(|c| !now.contains(c.name.as_str())).map(|c| Safe::name(&c.name)).collect();
        for check in &facts.checks {
            let old = before.get(check.name.as_str());
            let was = old.map_or(CheckStatus::Ok, |old| status(&old.status));
            match (was, check.status) {
                (CheckStatus::Failed, CheckStatus::Failed) => found.still.push(check.name.clone()),
                (_, CheckStatus::Failed) => found.new.push(check.name.clone()),
                (CheckStatus::Failed, CheckStatus::Ok | CheckStatus::Warning) => found.fixed.push(check.name.clone()),
                (was, now) if now > CheckStatus::Skipped && now > was => found.worsened.push(check.name.clone()),
                (was, now) if now > CheckStatus::Skipped && was > CheckStatus::Skipped => found.still.push(check.name.clone()),
                (CheckStatus::Unknown | CheckStatus::Warning, CheckStatus::Ok) => found.fixed.push(check.name.clone()),
                _ => {}
            }
            let Some(old) = old else { continue };
            let crossed = check.status > CheckStatus::Skipped && was <= CheckStatus::Skipped;
            let known: BTreeMap<(&str, &str), f64> = old.figures.iter().map(|f| ((f.name.as_str(), f.of.as_str()), f.value)).collect();
            for (i, figure) in check.figures.iter().enumerate() {
                let Quantity::Number(now) = figure.value else { continue };
                let Some(then) = known.get(&(figure.name.as_str(), figure.of.as_str())) else { continue };
                let Some(grew) = worse(figure, *then, now, check) else { continue };
                // The first figure of a check is the one that decided.
                if grew || (crossed && i == 0) {
                    let shown = |n| super::model::amount(n, figure.unit);
                    let (then, now) = (shown(*then), shown(now));
                    found.worse.push(WorseFigure {
                        check: check.name.clone(),
                        figure: figure.named(),
                        before: then,
                        now,
                        crossed: crossed && i == 0,
                    });
                }
            }
        }
        found.worse.truncate(LISTED);
        found
    }
}

fn status(word: &str) -> CheckStatus {
    let all = [CheckStatus::Skipped, CheckStatus::Warning, CheckStatus::Unknown, CheckStatus::Failed];
    all.into_iter().find(|s| s.word() == word).unwrap_or(CheckStatus::Ok)
}

/// Whether a figure moved in its bad direction (else none), and by more than a fifth and more than noise.
fn worse(figure: &Figure, then: f64, now: f64, check: &super::model::CheckResult) -> Option<bool> {
    let said = check.bounds.iter().find(|b| b.figure == figure.name).and_then(|b| b.range.as_ref());
    let more_is_bad = match said.map(Safe::as_str) {
        // `~:10` alerts above, `10:` below.
        Some(range) if range.starts_with("~:") => true,
        Some(range) if range.starts_with('@') && range.ends_with(':') => true,
        Some(range) if range.ends_with(':') || range.starts_with("@~:") => false,
        Some(_) => return None,
        None => match figure.name.as_str() {
            "ready" | "certificate" | "heard" | "reachable" | "verified" => false,
            "status" | "running" | "delivered" | "series" | "rows" | "value" | "size" | "releases" => return None,
            _ => true,
        },
    };
    let by = if more_is_bad { now - then } else { then - now };
    let noise = match figure.unit {
        Unit::Seconds => 0.1,
        Unit::Share => 0.05,
        Unit::Bytes => 1_048_576.0,
        Unit::PerSecond => 0.1,
        Unit::Count => 1.0,
        _ => 0.0,
    };
    (by > 0.0).then(|| by >= noise && by > WORSE * then.abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::{
        evaluate::evaluate,
        history::CheckHistory,
        kind::CheckKind,
        kinds::{Glance, Sighting},
        spec::CheckSpec,
        threshold::Threshold,
    };

    fn run(seconds: &[(&str, f64)]) -> CheckFacts {
        let specs = seconds.iter().map(|(name, _)| {
            let mut spec = CheckSpec::new(*name, CheckKind::Queue(Vec::new()));
            spec.fail = vec![Threshold::parse("oldest > 10m", &spec.kind).expect("good")];
            spec
        });
        let of = |s: f64| -> Glance {
            Ok(Sighting { figures: vec![Figure::number("oldest", "mail", Unit::Seconds, s)], ..Sighting::default() })
        };
        let glances: Vec<Glance> = seconds.iter().map(|(_, s)| of(*s)).collect();
        let checks: Vec<_> = specs.zip(&glances).collect();
        evaluate(&checks, &mut CheckHistory::default(), Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn only_what_is_new_is_a_failure() {
        let before = Baseline::of(&run(&[("a", 700.0), ("b", 1.0), ("c", 900.0), ("d", 100.0), ("gone", 1.0)]));
        let before = Baseline::read(&serde_json::to_vec(&before).expect("JSON")).expect("ours");
        let mut after = run(&[("a", 700.0), ("b", 800.0), ("c", 1.0), ("d", 130.0), ("e", 900.0)]);
        let found = before.compare(&after);
        let names = |all: &[Safe]| all.iter().map(Safe::to_string).collect::<Vec<_>>();
        assert_eq!(
            (names(&found.new), names(&found.fixed), names(&found.still)),
            (vec!["b".into(), "e".into()], vec!["c".into()], vec!["a".into()])
        );
        assert_eq!(names(&found.gone), ["gone"]);
        let worse: Vec<(&str, bool)> = found.worse.iter().map(|w| (w.check.as_str(), w.crossed)).collect();
        assert_eq!(worse, [("b", true), ("d", false)]);
        after.compared = Some(found);
        assert_eq!(after.findings().iter().filter(|f| f.severity == crate::answer::Severity::Failed).count(), 2);
        let mut same = run(&[("a", 700.0)]);
        same.compared = Some(before.compare(&same));
        assert!(same.findings().iter().all(|f| f.severity == crate::answer::Severity::Info));
    }

    #[test]
    fn what_is_no_kept_run_is_said() {
        for text in ["", "{}", "[1]", r#"{"obsctl_checks":9,"at":"1970-01-01T00:00:00Z","checks":[]}"#] {
            assert!(Baseline::read(text.as_bytes()).is_err(), "{text}");
        }
    }
}
