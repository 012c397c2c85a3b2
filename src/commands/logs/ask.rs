//! From flags to the question.

use super::{Args, args::Around};
use crate::{
    answer::Hint,
    error::{Error, Kind, Result},
    logs::query::{Predicate, Query, Test},
    safe,
    text::{Safe, units},
};
use jiff::{SignedDuration, Timestamp, Zoned};
use regex::bytes::Regex;
use std::sync::Arc;

/// Pods without any filter: the newest of this.
pub(super) const DEFAULT_SINCE: SignedDuration = SignedDuration::from_mins(10);
/// And at most so many records per container.
pub(super) const DEFAULT_TAIL: u64 = 200;
/// A shorter prefix of an ID would match by accident.
const SHORTEST_ID: usize = 6;

/// The question that the flags ask.
pub(in crate::commands) fn query(args: &Args, now: &Zoned, fields: &Arc<[String]>, files: bool) -> Result<Query> {
    let mut query = Query {
        since: moment("--since", args.since.as_deref().or(args.since_time.as_deref()), now)?,
        until: moment("--until", args.until.as_deref(), now)?,
        follow: args.follow,
        arrival: args.order == super::args::LogOrder::Arrival,
        tail: args.tail.and_then(|n| u64::try_from(n).ok()),
        previous: args.previous,
        around: match args.around {
            Some(Around::Records(n)) => n,
            _ => 0,
        },
        rotated: args.rotated,
        zone: None,
        ..Query::default()
    };
    if let (Some(since), Some(until)) = (query.since, query.until)
        && since > until
    {
        return Err(Error::new(Kind::Usage, "reading the window").what(safe!("--since {} is after --until {}", since, until)));
    }
    if args.rotated && files {
        return Err(Error::new(Kind::Usage, "reading --rotated")
            .what("it is for pods; rotated files are named like others")
            .hint(Hint::Try("obsctl logs 'app.log*'".into())));
    }
    for id in &args.request_id {
        if id.len() < SHORTEST_ID {
            return Err(Error::new(Kind::Usage, "reading --request-id").what(safe!(
                "{} is too short to be sure: give {} or more characters",
                Safe::name(id),
                SHORTEST_ID
            )));
        }
    }
    // Without following them to the end, requests are records like others.
    if !args.request_id.is_empty() && args.around.is_some() {
        query.want.push(Predicate::Any(args.request_id.iter().map(|id| Predicate::subject(fields, id)).collect()));
    }
    if !args.include.is_empty() {
        query.want.push(Predicate::Any(args.include.iter().map(|r| line("--include", r)).collect::<Result<_>>()?));
    }
    for pattern in &args.exclude {
        query.not.push(line("--exclude", pattern)?);
    }
    query.want.extend(args.level.map(Predicate::Level));
    for field in &args.field {
        let (key, value) = field.split_once('=').filter(|(k, _)| !k.is_empty()).ok_or_else(|| {
            Error::new(Kind::Usage, "reading --field")
                .what(safe!("{} is not KEY=VALUE", Safe::name(field)))
                .hint(Hint::Try("--field user_id=4411".into()))
        })?;
        query.want.push(Predicate::Field { names: Arc::from(vec![key.to_owned()]), is: Test::Equals(value.to_owned()) });
    }
    let asked = !args.request_id.is_empty();
    let whole = args.around.is_none() && args.tail.is_none() && !args.previous;
    query.newest = !files && whole && (asked || query.since.is_some());
    let open = !asked && query.want.is_empty() && query.not.is_empty();
    if open && !files && query.since.is_none() && args.tail.is_none() && !args.previous && query.until.is_none() {
        query.since = now.timestamp().checked_sub(DEFAULT_SINCE).ok();
        query.tail = Some(DEFAULT_TAIL);
    }
    Ok(query)
}

/// Whether nothing narrows the question and the default window stands in.
pub(super) fn is_default(args: &Args, query: &Query, files: bool) -> bool {
    !files
        && args.request_id.is_empty()
        && !query.filters()
        && args.tail.is_none()
        && args.since.is_none()
        && args.since_time.is_none()
        && !args.previous
        && args.until.is_none()
}

fn moment(flag: &'static str, text: Option<&str>, now: &Zoned) -> Result<Option<Timestamp>> {
    let Some(text) = text else { return Ok(None) };
    units::parse_moment(text, now).map(Some).ok_or_else(|| {
        Error::new(Kind::Usage, safe!("reading {}", flag))
            .what(safe!("{} is no time", Safe::name(text)))
            .hint(Hint::Try("10m, 2h30m, 1d, 02:44, 2026-11-21T02:44:10Z".into()))
    })
}

fn line(flag: &'static str, pattern: &str) -> Result<Predicate> {
    let regex = Regex::new(pattern).map_err(|_| {
        Error::new(Kind::Usage, safe!("reading {}", flag))
            .what(safe!("{} is no regular expression", Safe::name(pattern)))
            .hint(Hint::Try("escape what is meant as it is: \\( \\[ \\. \\*".into()))
    })?;
    Ok(Predicate::Line(Test::Matches(Arc::new(regex))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(args: &Args) -> Result<Query> {
        let now: Zoned = "2026-11-21T02:00:00+00:00[UTC]".parse().expect("a time");
        query(args, &now, &Arc::from(vec!["request_id".to_owned()]), false)
    }

    #[test]
    fn without_any_filter_the_last_minutes() {
        let q = of(&Args::default()).expect("a query");
        assert_eq!((q.tail, q.since.map(|t| t.to_string()).as_deref()), (Some(200), Some("2026-11-21T01:50:00Z")));
        let q = of(&Args { tail: Some(-1), ..Args::default() }).expect("a query");
        assert_eq!((q.tail, q.since), (None, None));
        let q = of(&Args { request_id: vec!["abc123".into()], ..Args::default() }).expect("a query");
        assert_eq!((q.tail, q.since, q.want.len(), q.newest), (None, None, 0, true));
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let bad = [
            Args { request_id: vec!["abcdef".into(), "abc".into()], ..Args::default() },
            Args { since: Some("yesterday".into()), ..Args::default() },
            Args { include: vec!["(".into()], ..Args::default() },
            Args { field: vec!["novalue".into()], ..Args::default() },
            Args { since: Some("1h".into()), until: Some("2h".into()), ..Args::default() },
        ];
        for args in bad {
            assert_eq!(of(&args).err().map(|e| e.kind()), Some(Kind::Usage), "{args:?}");
        }
    }
}
