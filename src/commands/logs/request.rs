//! `--request-id` and `--requests`: what requests did, told one after the other.

use super::{Resolved, gather::Told, live};
use crate::{
    answer::{Answer, Coverage, Finding, Hint, Verdict},
    error::{Error, Kind, Result},
    exit::{ExitStatus, Outcome},
    kubernetes::collect::{self, Scope},
    logs::{
        mark::StreamMark,
        model::Record,
        read::{self, Sink},
        request::{self, ManyRequests, RequestFacts, Story},
        view,
    },
    report::{Line, Out, Style},
    safe,
    text::{Redactor, Safe},
};
use jiff::Timestamp;
use std::collections::HashMap;

/// How many requests `--requests` tells, the newest.
const MOST: usize = 20;
/// How many IDs it keeps to choose from.
const MOST_IDS: usize = 10_000;

/// The requests with these IDs.
pub(super) async fn run(resolved: &Resolved<'_>, out: &mut Out) -> Result<ExitStatus> {
    let asked = &resolved.args.request_id;
    let redact = asked.iter().fold(resolved.session.redact.clone(), |r, id| r.keeping(id.as_bytes()));
    let stories = asked.iter().map(|id| Story::new(id, &resolved.query, &resolved.fields)).collect();
    if resolved.args.follow {
        return live::run(resolved, stories, &redact, out).await;
    }
    let mut told = Told::of(stories);
    told.read(resolved, out, &redact).await?;
    answer(resolved, told, &redact, Vec::new(), out).await
}

/// The requests of the records that the filters admit.
pub(super) async fn of_records(mut resolved: Resolved<'_>, out: &mut Out) -> Result<ExitStatus> {
    if !resolved.query.filters() {
        return Err(Error::new(Kind::Usage, "reading --requests")
            .what("it tells the requests of the records that the filters admit, and there is none")
            .hint(Hint::Try("--field user_id=4411, --level error, -i TEXT".into())));
    }
    let mut found = Found { ids: HashMap::new(), without: 0, resolved: &resolved, out };
    let outcome = read::read(&resolved.sources, &resolved.reading(resolved.query.clone()), &mut found).await?;
    let (ids, without) = (found.ids, found.without);
    let mut newest: Vec<(String, Option<Timestamp>)> = ids.into_iter().collect();
    newest.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let more = newest.len().saturating_sub(MOST);
    newest.truncate(MOST);
    newest.reverse();
    let mut findings = Vec::new();
    if more > 0 {
        let says = safe!("{} older requests match too and are not told: --since and --until choose others", more);
        findings.push(Finding::new("more-requests", crate::answer::Severity::Info, says));
    }
    if without > 0 {
        let says = safe!("{} matching records carry no request ID: -i or --field with --around 5s shows what stood near them", without);
        findings.push(Finding::new("no-request-id", crate::answer::Severity::Info, says));
    }
    // Their other lines need not pass the filters.
    (resolved.query.want, resolved.query.not) = (Vec::new(), Vec::new());
    let stories = newest.iter().map(|(id, _)| Story::of_request(id, &resolved.query, &resolved.fields)).collect();
    let redact = newest.iter().fold(resolved.session.redact.clone(), |r, (id, _)| r.keeping(id.as_bytes()));
    let mut told = Told::of(stories);
    told.read(&resolved, out, &redact).await?;
    told.coverage.join(outcome.coverage);
    told.seen.join(outcome.seen);
    answer(&resolved, told, &redact, findings, out).await
}

/// The IDs that matching records carry, with the time of the newest.
struct Found<'a> {
    ids: HashMap<String, Option<Timestamp>>,
    without: usize,
    resolved: &'a Resolved<'a>,
    out: &'a mut Out,
}

impl Sink for Found<'_> {
    fn record(&mut self, record: Record) -> Result<()> {
        match request::request_of(&record, &self.resolved.fields, &self.resolved.zone()) {
            Some(id) if self.ids.len() < MOST_IDS || self.ids.contains_key(&id) => {
                let newest = self.ids.entry(id).or_default();
                *newest = (*newest).max(record.at);
            }
            Some(_) => {}
            None => self.without += 1,
        }
        Ok(())
    }
    fn mark(&mut self, _mark: StreamMark) -> Result<()> {
        Ok(())
    }
    fn note(&mut self, text: Safe) {
        self.out.note(&Line::new().with(Style::Dim, safe!("── {}", text)));
    }
    fn idle(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Says what was found: one request as it is, several below one another.
pub(super) async fn answer(
    resolved: &Resolved<'_>,
    mut told: Told,
    redact: &Redactor,
    mut findings: Vec<Finding>,
    out: &mut Out,
) -> Result<ExitStatus> {
    gone(&mut told, resolved).await;
    let mut facts = told.facts(resolved, redact)?;
    let statuses = facts.iter().map(|(f, of)| verdict(f, of, &told.coverage, resolved.args.strict)).max();
    let verdict = statuses.unwrap_or(if told.coverage.complete() { Verdict::Failed } else { Verdict::Unknown });
    let status = match resolved.session.stop.reason() {
        Some(reason) => ExitStatus::of(&Ok(reason), false),
        None => ExitStatus::of(&Ok(Outcome::Answered(verdict)), false),
    };
    // Where everything was stopped, the cluster is asked for no more; it was read all the same.
    let at_cluster = resolved.session.env.kube.is_some() && resolved.place.files.is_none();
    let sources = match at_cluster.then_some(resolved.session.cluster()) {
        Some(cluster) => cluster.await.ok().map(|c| c.provenance()).into_iter().collect(),
        None => Vec::new(),
    };
    findings.extend(request::clocks(&told.seen));
    let (place, tracebacks, coverage) = (&resolved.place, resolved.args.tracebacks, told.coverage);
    if let ([_], false) = (facts.as_slice(), resolved.args.requests)
        && let Some((facts, mut of)) = facts.pop()
    {
        of.extend(findings);
        let answer = Answer { facts, findings: of, coverage, sources };
        out.answer(&answer, place, status, |look| view::request(&answer, place, look, tracebacks))?;
        return Ok(status);
    }
    let of_each: Vec<Vec<Finding>> = facts.iter().map(|(_, of)| of.clone()).collect();
    let all = of_each.iter().flatten().cloned().chain(findings).collect();
    let requests = facts.into_iter().map(|(f, _)| f).collect();
    let answer = Answer { facts: ManyRequests { requests }, findings: all, coverage, sources };
    out.answer(&answer, place, status, |look| view::requests(&answer, &of_each, place, look, tracebacks))?;
    Ok(status)
}

/// Pods that existed when the requests ran and whose logs are lost: from the events.
async fn gone(told: &mut Told, resolved: &Resolved<'_>) {
    if told.coverage.searched.iter().all(|p| p.system != "kubernetes") {
        return;
    }
    let Ok(cluster) = resolved.session.cluster().await else { return };
    let scope = if resolved.args.all_namespaces { Scope::All } else { Scope::Namespace(cluster.namespace.clone()) };
    let Ok(pods) = collect::pods(&cluster, &scope, None).await else { return };
    // Without the right to list events nothing is claimed about pods that are gone.
    let Ok(gone) = collect::gone(&cluster, &scope, &pods).await else { return };
    let apps: Vec<String> = pods.iter().filter_map(|p| Some(p.name.rsplitn(3, '-').nth(2)?.to_owned())).collect();
    let began = told.began();
    for pod in gone {
        let of_app = apps.iter().any(|a| pod.name.starts_with(&format!("{a}-")));
        if of_app && began.is_none_or(|b| pod.last_heard.is_none_or(|l| l >= b)) {
            told.coverage.miss(crate::answer::Missing {
                part: crate::answer::Part { system: "kubernetes", name: Safe::name(&pod.name) },
                why: crate::answer::Why::Gone,
                hint: None,
            });
        }
    }
}

/// Whether it was found, is absent, or cannot be told.
fn verdict(facts: &RequestFacts, findings: &[Finding], coverage: &Coverage, strict: bool) -> Verdict {
    if !facts.attempts.is_empty() {
        return if coverage.capped() || (strict && !coverage.complete()) { Verdict::Unknown } else { Verdict::Ok };
    }
    if findings.iter().any(|f| f.code == "absent") { Verdict::Failed } else { Verdict::Unknown }
}
