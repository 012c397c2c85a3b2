//! A statement explained by a server: screened, planned, run where it only reads; then the indexes that would help.

use super::{
    Args,
    around::{self, Servers},
    link::{Linked, seconds},
    saved,
    source::{self, Given},
};
use crate::{
    answer::{Answer, Coverage, Hint, Part},
    error::{Error, Kind, Result},
    postgres::{
        advice::candidate::candidates,
        analyze::explain::Judged,
        collect::{Analysis, Explainer, Limits, Request, Values, server_facts},
        decode::shared::{self, Hide},
        screen::Vouched,
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
    let found_on = Linked::open(&args.database, session, out).await?;
    let other = match args.on.as_ref().filter(|on| **on != args.database) {
        Some(on) => Some(Linked::open(on, session, out).await?),
        None => None,
    };
    let servers = Servers { found_on: &found_on, runs_on: other.as_ref().unwrap_or(&found_on) };
    let pg = &servers.runs_on.pg;
    let stop = session.stop.token();
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
    if given.found.is_some() && statement.has_parameters() && request.values.list.is_empty() {
        let generic = match explainer.explain(&statement, &Request { analyze: false, ..request.clone() }, &stop).await {
            Ok(generic) => generic,
            // The server has put $1 where a value's type said which function was meant.
            Err(error) if error.what_happened().contains("42725") => {
                return Err(error.hint(Hint::Try("the statement itself, with its values in place of $1: obsctl explain 'SQL'".into())));
            }
            Err(error) => {
                let error = servers.newer(error, &explainer.server);
                return Err(servers.instead(error, given.pid, &statement, args, session).await);
            }
        };
        request.values = explainer.likely_values(&statement, &generic.plain).await?.unwrap_or_default();
    }
    let mut explained = match explainer.explain(&statement, &request, &stop).await {
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
        Analysis::Interrupted => (explained.plain.clone(), Some("stopped".into())),
    };
    let hide = saved::hide(args);
    let json = || shared::hidden(&explained.json, hide, &session.redact);
    // Figures are the same whatever is hidden; names and literals are what the flags leave.
    let mut judged = if hide == Hide::Secrets { Judged::of(plan) } else { saved::judged(&json(), &session.redact)? };
    let advice = match hide == Hide::Names || stop.is_cancelled() {
        true => Vec::new(),
        // What cannot be asked is not worth losing the plan for.
        false => explainer.advise(&statement, &request, &explained, &candidates(&judged)).await.unwrap_or_else(|error| {
            out.note(&Line::new().with(Style::Dim, safe!("no index advice: {}", error.says())));
            Vec::new()
        }),
    };
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

fn request(args: &Args, statement: &Statement, given: &Given) -> Result<Request> {
    let mut values = values(&args.params, statement)?;
    if args.params.is_empty() {
        values.from = given.values_from;
    }
    Ok(Request {
        values,
        analyze: if given.found.is_some() { args.analyze } else { !args.plain },
        write_and_roll_back: args.run_write_and_roll_back,
        allow_superuser: args.allow_superuser,
        vouched: Vouched::new(args.allowed.iter().cloned()),
        limits: Limits { statement: args.timeout, ..Limits::default() },
    })
}

/// The values, in the order of the parameters' numbers: by name where the text names them.
fn values(given: &[String], statement: &Statement) -> Result<Values> {
    let wrong = |what: Safe| Error::new(Kind::Usage, "reading the parameters").what(what);
    if given.is_empty() {
        return Ok(Values::default());
    }
    let mut list = Vec::new();
    for (at, parameter) in statement.parameters.iter().enumerate() {
        let value = match &parameter.name {
            Some(name) => given.iter().find_map(|g| g.strip_prefix(name.as_str())?.strip_prefix('=')),
            None => given.get(at).map(String::as_str),
        };
        let name = parameter.name.as_ref().map_or_else(|| safe!("${}", parameter.number), Safe::name);
        let hint =
            || Hint::Try(safe!("--param {}", parameter.name.as_ref().map_or_else(|| "VALUE".into(), |n| safe!("{}=VALUE", Safe::name(n)))));
        list.push(Some(value.ok_or_else(|| wrong(safe!("{} has no value", name)).hint(hint()))?.to_owned()));
    }
    if given.len() != list.len() {
        return Err(wrong(safe!("it has {} parameters and {} values were given", list.len(), given.len())));
    }
    Ok(Values { list, ..Values::default() })
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
