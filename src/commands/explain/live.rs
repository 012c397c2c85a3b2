//! A statement explained by a server: screened, planned, run where it only reads; then the indexes that would help.

use super::{
    Args,
    around::{self, Servers},
    link::{Linked, seconds},
    planned::{own_deadline, planned, request},
    saved, source,
};
use crate::{
    answer::{Answer, Coverage, Part},
    error::Result,
    postgres::{
        advice::candidate::candidates,
        analyze::explain::Judged,
        collect::{Analysis, Explainer, Limits, Request, server_facts},
        decode::shared::{self, Hide},
        statement::{Statement, StatementKind},
        view::explain::{Explanation, PlanOrigin, Run},
    },
    report::{Line, Out, Style, Where},
    safe,
    session::Session,
    text::Safe,
};

/// Explains the statement that was given.
pub(super) async fn explain(args: &Args, session: &Session, out: &mut Out) -> Result<(Answer<Explanation>, Where)> {
    let typed = source::typed(args)?;
    for warning in &session.env.warnings {
        out.note(&Line::plain(safe!("warning: {}", warning)));
    }
    session.stop.within(own_deadline(args, session));
    let found_on = Linked::open(&args.database, session, out).await?;
    let other = match args.on.as_ref().filter(|on| **on != args.database) {
        Some(on) => Some(Linked::open(on, session, out).await?),
        None => None,
    };
    let servers = Servers { found_on: &found_on, runs_on: other.as_ref().unwrap_or(&found_on) };
    let pg = &servers.runs_on.pg;
    let explainer = Explainer::new(pg, &session.redact).await?;
    let given = match &other {
        Some(_) => source::given(args, typed, &found_on.pg, &server_facts(&found_on.pg).await?).await?,
        None => source::given(args, typed, pg, &explainer.server).await?,
    };
    let statement = Statement::read(&given.sql, explainer.server.standard_conforming_strings)?;
    let mut request = request(args, &statement, &given)?;
    let place = servers.runs_on.place(session, &explainer.server);
    let runs = runs(&request, &statement);
    // What is about to happen is said before it happens.
    out.note(&Line::new().with(Style::Dim, safe!("{}  runs {}", place.line(), runs)));
    let mut explained = match planned(&explainer, &statement, &mut request, &given).await {
        Ok(explained) => explained,
        Err(error) => {
            let error = servers.newer(error, &explainer.server);
            return Err(servers.instead(error, given.pid, &statement, args, session).await);
        }
    };

    let (plan, not_run) = match std::mem::replace(&mut explained.analysis, Analysis::NotAsked) {
        Analysis::Ran(plan) => (*plan, None),
        Analysis::NotAsked if args.plain => (explained.plain.clone(), Some("--plain".into())),
        Analysis::NotAsked => (explained.plain.clone(), Some("a statement that was found on the server is run with --analyze only".into())),
        Analysis::Withheld(why) | Analysis::Failed(why) => (explained.plain.clone(), Some(why)),
        Analysis::Interrupted => (explained.plain.clone(), Some(session.stop.says())),
    };
    let hide = saved::hide(args);
    let json = || shared::hidden(&explained.json, hide, &session.redact);
    // Figures are the same whatever is hidden; names and literals are what the flags leave.
    let mut judged = if hide == Hide::Secrets { Judged::of(plan) } else { saved::judged(&json(), &session.redact)? };
    let advice = match hide == Hide::Names {
        true => Vec::new(),
        // What cannot be asked is not worth losing the plan for.
        false => explainer.advise(&statement, &request, &explained, &candidates(&judged)).await.unwrap_or_else(|error| {
            out.note(&Line::new().with(Style::Dim, safe!("no index advice: {}", error.says())));
            Vec::new()
        }),
    };
    if session.stop.reason().is_some() {
        judged.meaning.not_seen.push(safe!("which index would help ({})", session.stop.says()));
    }
    let mut coverage =
        Coverage { searched: vec![Part { system: "postgres", name: servers.runs_on.link.at() }], missing: Vec::new(), bytes: 0 };
    let mut sources = vec![pg.provenance()];
    let mut reasons = servers.look(Some(&explained.plain), given.pid, args, session).await;
    around::add(&mut judged.meaning, &mut reasons);
    if other.is_some() {
        coverage.searched.push(Part { system: "postgres", name: found_on.link.at() });
        sources.push(found_on.pg.provenance());
    }
    let diff = saved::diff(args, &judged, &session.redact, &mut coverage, &mut sources)?;
    if let Some(path) = &args.save {
        saved::save(path, &json())?;
    }
    let flips = explained.generic.as_ref().map(|generic| shape(generic) != shape(&explained.plain));
    let told = given.found.map(|found| safe!("{}: {}", found, Safe::name(shared::without_literals(&statement.sql)).clipped(400)));
    let run = Run {
        statement: told,
        server: explained.server,
        runs,
        not_run,
        is_generic: explained.is_generic,
        values_from: explained.values_from,
        parameter_types: explained.parameter_types,
        flips,
        warnings: explained.warnings,
        sent: servers.sent(&session.redact),
    };
    // Who is in the way comes before any plan; what the plan shows, before what may only be so.
    let (first, last): (Vec<_>, Vec<_>) = reasons.findings.iter().cloned().partition(|finding| finding.code == "blocked");
    let findings = first.into_iter().chain(judged.meaning.causes.iter().map(|c| c.finding())).chain(last).collect();
    let facts = Explanation { origin: PlanOrigin::Server(Box::new(run)), judged, reasons: reasons.findings, advice, diff };
    Ok((Answer { facts, findings, coverage, sources }, place))
}

/// What will run, as said before it does.
fn runs(request: &Request, statement: &Statement) -> Safe {
    let Limits { statement: most, lock } = request.limits;
    let what = match (request.analyze, statement.seems) {
        (false, _) => "EXPLAIN only",
        (true, StatementKind::Write) if request.write_and_roll_back => "EXPLAIN, then EXPLAIN ANALYZE of a write, rolled back",
        (true, StatementKind::Write) => "EXPLAIN only, since it writes",
        (true, _) => "EXPLAIN, then EXPLAIN ANALYZE",
    };
    let access = if request.write_and_roll_back { "" } else { "; READ ONLY" };
    safe!("{}{}; ends after {}; waits {} for locks", what, access, seconds(most), seconds(lock))
}

/// The kinds and indexes of a plan: what a flip changes.
fn shape(plan: &crate::postgres::model::Plan) -> Vec<(&str, Option<&Safe>)> {
    plan.nodes.iter().map(|n| (n.kind.as_str(), n.index.as_ref())).collect()
}
