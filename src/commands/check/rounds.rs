//! A file of checks, looked at again and again: what `obsctl watch FILE` stands watch over. The same looks and the same evaluator as a single
//! run; who is told, and when, is the watch's business.

use super::{Args, looks::Rig, plan};
use crate::{
    checks::{
        evaluate::evaluate,
        history::CheckHistory,
        model::{CheckResult, CheckRoute, CheckStatus, Unanswered},
        spec::CheckSpec,
    },
    commands::health::{Given, Round},
    config::{RouteName, Vars},
    error::Result,
    health::{analyze::SubjectSeen, model::Condition},
    report::out::hint_line,
    session::Session,
    text::Safe,
};
use jiff::SignedDuration;
use std::path::PathBuf;

/// How long one look may take.
const PATIENCE: SignedDuration = SignedDuration::from_secs(30);

/// Checks that are looked at again and again.
pub(in crate::commands) struct CheckRounds<'a> {
    specs: Vec<CheckSpec>,
    rig: Rig<'a>,
    history: CheckHistory,
}

impl<'a> CheckRounds<'a> {
    /// Whether what is to be watched is a file of checks.
    pub fn meant(targets: &[String]) -> bool {
        !targets.is_empty() && targets.iter().all(|t| !t.contains("://") && (t.ends_with(".yaml") || t.ends_with(".yml")))
    }

    /// Reads the files.
    ///
    /// # Errors
    /// One is wrong, or nothing is to be checked.
    pub fn new(files: &[String], session: &'a Session) -> Result<Self> {
        let args = Args { files: files.iter().map(PathBuf::from).collect(), ..Args::default() };
        let specs = plan::chosen(plan::from_files(&args, &Vars::capture())?, &args, session)?;
        Ok(Self { specs, rig: Rig::new(session, PATIENCE)?, history: CheckHistory::default() })
    }

    /// One look.
    pub async fn look(&mut self) -> Round {
        let glances = self.rig.round(&self.specs).await;
        let now = self.rig.session().now().timestamp();
        let checks: Vec<_> = self.specs.iter().cloned().zip(glances.iter().map(|glance| &**glance)).collect();
        let facts = evaluate(&checks, &mut self.history, now);
        let changes = self.rig.changes(now).await;
        Round::given(facts.checks.iter().map(given).collect(), changes, now)
    }
}

fn given(check: &CheckResult) -> Given {
    let condition = match check.status {
        CheckStatus::Ok => Condition::Ok,
        CheckStatus::Warning => Condition::Degraded,
        // Its root is told; whether it is well itself nobody knows, so it neither fails nor recovers.
        CheckStatus::Skipped | CheckStatus::Unknown => Condition::Unknown,
        CheckStatus::Failed => Condition::Failed,
    };
    let mut evidence: Vec<Safe> = check.evidence.clone();
    evidence.extend(check.next.iter().take(2).map(hint_line));
    let seen = SubjectSeen {
        name: check.name.clone(),
        condition,
        ms: u32::try_from(check.took_ms).unwrap_or(u32::MAX),
        reached: !matches!(check.unanswered, Some(Unanswered::Unreachable | Unanswered::Timeout)),
        says: crate::safe!("{} (want {})", check.says, check.want),
        evidence,
    };
    let route = match check.route {
        CheckRoute::Page => RouteName::Page,
        CheckRoute::Notify => RouteName::Notify,
        CheckRoute::Record => RouteName::Record,
    };
    Given { seen, route, runbook: check.runbook.clone() }
}
