//! One run: look, judge, and with `--wait` again; then the answer.

use super::{Args, looks::Rig, reports::Reports};
use crate::{
    answer::{Answer, Coverage, Missing, Part, Severity, Verdict, Why},
    checks::{
        baseline::Baseline,
        evaluate::evaluate,
        history::CheckHistory,
        model::{CheckFacts, CheckStatus},
        spec::CheckSpec,
    },
    error::{Error, Kind, Result},
    exit::{ExitStatus, Outcome},
    report::{Line, Out, Style},
    safe,
    session::Session,
    store::{self, Shelf},
    text::{Safe, units},
};
use std::{fs, path::Path, time::Duration};
use tokio::time::{Instant, timeout_at};

pub(super) async fn run(specs: Vec<CheckSpec>, args: &Args, reports: &Reports, session: &Session, out: &mut Out) -> Result<ExitStatus> {
    let before = args.diff.as_deref().map(kept).transpose()?;
    let rig = Rig::new(session, args.timeout)?;
    let (mut history, shelf) = history(&specs, session);
    let stop = session.stop.token();
    let until = args.wait.and_then(|d| Duration::try_from(d).ok()).map(|d| Instant::now() + d);
    let (facts, ended) = loop {
        let facts = round(&specs, args, before.as_ref(), &rig, &mut history).await;
        if let Some(shelf) = &shelf
            && let Err(e) = history.lay(shelf, facts.observed_at)
        {
            tracing::debug!("the next run will not know of this one: {e}");
        }
        let Some(until) = until else { break (facts, None) };
        if good(&facts, args) || session.stop.reason().is_some() {
            break (facts, None);
        }
        if Instant::now() >= until {
            break (facts, Some(Outcome::Deadline));
        }
        progress(&facts, until, out);
        let pause = Duration::try_from(args.interval).unwrap_or_default();
        // The last round ends when the time does.
        let next = (Instant::now() + pause).min(until);
        let _ = timeout_at(next, stop.cancelled()).await;
    };
    show(facts, ended, args, reports, &rig, session, out)
}

/// The run to compare with.
fn kept(file: &Path) -> Result<Baseline> {
    let doing = || Error::new(Kind::Usage, safe!("reading {}", Safe::name(file.as_os_str().as_encoded_bytes())));
    let bytes = fs::read(file).map_err(|e| doing().what(Safe::name(e.kind().to_string())))?;
    Baseline::read(&bytes).map_err(|why| doing().what(why))
}

/// Keeps a run.
fn keep(file: &Path, facts: &CheckFacts) -> Result<()> {
    let doing = || Error::new(Kind::Output, safe!("saving the results in {}", Safe::name(file.as_os_str().as_encoded_bytes())));
    let bytes = serde_json::to_vec_pretty(&Baseline::of(facts)).map_err(|_| doing().what("they cannot be written as JSON"))?;
    store::keep(file, &bytes).map_err(|e| doing().what(Safe::name(e.kind().to_string())))
}

/// One look at everything, judged.
async fn round(specs: &[CheckSpec], args: &Args, before: Option<&Baseline>, rig: &Rig<'_>, history: &mut CheckHistory) -> CheckFacts {
    let begun = Instant::now();
    let glances = rig.round(specs).await;
    let now = rig.session().now().timestamp();
    let checks: Vec<_> = specs.iter().cloned().zip(glances.iter().map(|glance| &**glance)).collect();
    let mut facts = evaluate(&checks, history, now);
    facts.files = args.all_files().iter().map(|f| Safe::name(f.as_os_str().as_encoded_bytes())).collect();
    facts.changes = rig.changes(now).await;
    facts.compared = before.map(|before| before.compare(&facts));
    facts.took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    facts
}

/// Whether there is nothing left to wait for: no failure that is new, and something that is well.
fn good(facts: &CheckFacts, args: &Args) -> bool {
    let worst = facts.findings().iter().map(|f| f.severity).max().unwrap_or(Severity::Info);
    let most = if args.fail_on.is_some() { Severity::Info } else { Severity::Warning };
    worst <= most && !nothing(facts, Verdict::Ok)
}

/// All of them skipped is no pass.
fn nothing(facts: &CheckFacts, verdict: Verdict) -> bool {
    facts.counts.ok == 0 && facts.counts.warning == 0 && facts.compared.is_none() && verdict == Verdict::Ok
}

/// On stderr: what is still waited for.
fn progress(facts: &CheckFacts, until: Instant, out: &mut Out) {
    let left = until.saturating_duration_since(Instant::now());
    let left = units::duration(jiff::SignedDuration::try_from(left).unwrap_or_default());
    let bad: Vec<Safe> = facts
        .checks
        .iter()
        .filter(|c| c.status > CheckStatus::Skipped)
        .take(3)
        .map(|c| safe!("{}: {}", c.name, c.says.clipped(80)))
        .collect();
    out.note(
        &Line::new().with(
            Style::Dim,
            safe!("waiting, {} left: {} of {} ok; {}", left, facts.counts.ok, facts.counts.checks, Safe::join(&bad, "; ")),
        ),
    );
}

/// What earlier runs knew of these checks in this environment.
fn history(specs: &[CheckSpec], session: &Session) -> (CheckHistory, Option<Shelf>) {
    let Some(folder) = &session.state else { return Default::default() };
    let kube = session.env.kube.as_ref();
    let part = |of: Option<&String>| of.cloned().unwrap_or_default();
    let context = part(kube.and_then(|k| k.context.as_ref()).map(|c| &c.value));
    let namespace = part(kube.and_then(|k| k.namespace.as_ref()).map(|n| &n.value));
    let file = specs.first().and_then(|s| s.place.as_ref()).map(|p| p.file.to_string()).unwrap_or_default();
    let identity = format!("{}\n{context}\n{namespace}\n{file}", session.env.name.clone().unwrap_or_default());
    CheckHistory::take(folder, &identity).unwrap_or_else(|e| {
        tracing::debug!("earlier runs are not known: {e}");
        Default::default()
    })
}

fn show(
    facts: CheckFacts,
    ended: Option<Outcome>,
    args: &Args,
    reports: &Reports,
    rig: &Rig<'_>,
    session: &Session,
    out: &mut Out,
) -> Result<ExitStatus> {
    if let Some(file) = &args.save {
        keep(file, &facts)?;
        out.note(&Line::plain(safe!("saved in {}", Safe::name(file.as_os_str().as_encoded_bytes()))));
    }
    for warning in session.env.warnings.iter().chain(&rig.warnings()) {
        out.note(&Line::plain(safe!("warning: {}", warning)));
    }
    let answer = Answer { findings: facts.findings(), coverage: coverage(&facts), sources: rig.sources(), facts };
    let place = rig.place();
    let verdict = answer.verdict();
    let verdict = if nothing(&answer.facts, verdict) { Verdict::Unknown } else { verdict };
    let outcome = session.stop.reason().or(ended).unwrap_or(Outcome::Answered(verdict));
    let status = match (args.nagios, outcome) {
        (true, Outcome::Answered(verdict)) => ExitStatus::nagios(verdict),
        (true, _) => ExitStatus::nagios(Verdict::Unknown),
        (false, outcome) => ExitStatus::of(&Ok(outcome), args.fail_on.is_some()),
    };
    reports.write(&answer, &place, status, args, out)
}

/// What was asked, and what did not answer.
fn coverage(facts: &CheckFacts) -> Coverage {
    let mut coverage = Coverage::default();
    for check in &facts.checks {
        let part = Part { system: check.system, name: check.name.clone() };
        // What may be missing is not missed.
        match check.unanswered.filter(|_| check.status != CheckStatus::Ok) {
            Some(why) => {
                let why = Why::Unreachable(safe!("{}: {}", why.word(), check.says));
                coverage.miss(Missing { part, why, hint: check.next.first().cloned() });
            }
            None => coverage.searched.push(part),
        }
    }
    coverage
}
