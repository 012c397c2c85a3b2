//! What is asked of the server about a statement, in how much time, and the plans that come of it: once one is known nothing takes it away.

use super::{Args, source::Given};
use crate::{
    answer::Hint,
    error::{Error, Kind, Result},
    postgres::{
        collect::{Analysis, Explained, Explainer, Limits, Request, Values},
        screen::Vouched,
        statement::Statement,
    },
    safe,
    session::Session,
    text::Safe,
};
use std::time::Duration;

/// What all that is asked around a statement's run may take. With the 10 s of the run and the 2 s in which obsctl ends: 30 s.
const AROUND: Duration = Duration::from_secs(18);
const RUN: Duration = Duration::from_secs(10);

/// How long the command may take where nobody says otherwise.
pub(super) fn own_deadline(args: &Args, session: &Session) -> Duration {
    let configured = session.env.deadline.and_then(|limit| Duration::try_from(limit).ok());
    configured.unwrap_or(args.timeout.max(RUN) + AROUND)
}

/// The plans. Where the statement was found without the values of its parameters, those of likely values; else the generic one stands.
pub(super) async fn planned(explainer: &Explainer<'_>, statement: &Statement, request: &mut Request, given: &Given) -> Result<Explained> {
    if given.found.is_none() || !statement.has_parameters() || !request.values.list.is_empty() {
        return explainer.explain(statement, request).await;
    }
    let generic = match explainer.explain(statement, &Request { analyze: false, ..request.clone() }).await {
        // The server has put $1 where a value's type said which function was meant.
        Err(error) if error.what_happened().contains("42725") => {
            return Err(error.hint(Hint::Try("the statement itself, with its values in place of $1: obsctl explain 'SQL'".into())));
        }
        generic => generic?,
    };
    let better = async {
        request.values = explainer.likely_values(statement, &generic.plain).await?.unwrap_or_default();
        explainer.explain(statement, request).await
    };
    Ok(better.await.unwrap_or_else(|error| {
        let stopped = error.kind() == Kind::Cancelled;
        Explained { analysis: if stopped { Analysis::Interrupted } else { Analysis::Failed(error.says()) }, ..generic }
    }))
}

pub(super) fn request(args: &Args, statement: &Statement, given: &Given) -> Result<Request> {
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
