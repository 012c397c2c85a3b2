//! From readings of pg_stat_statements to the statements that matter: in all, or between two readings, so that "slow now" is told from
//! "slow since March". One statement for each row of another (N+1) can only be suspected here: very many runs, about one row each.

use crate::{
    answer::{Finding, Hint, Severity},
    postgres::{
        model::{
            Backend, DatabaseSeen, RankedStatement, StatementFacts, StatementOrder, StatementReading, StatementSpan, StatementStats,
            StatementTotal,
        },
        statement::{
            lexer::{self, Lexeme},
            shown::Asker,
        },
    },
    safe,
    text::{Safe, units},
};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// PgHero: slow is a mean from here on …
const SLOW_MEAN_MS: f64 = 20.0;
/// … of at least so many runs.
const SLOW_CALLS: i64 = 100;
/// However few its runs: a statement with a mean from here on …
const LONG_MEAN_MS: f64 = 500.0;
/// … that takes this part of all time.
const LONG_SHARE: f64 = 0.2;
/// A run that touches fewer blocks has no work for half a second: it waited.
const FEW_BLOCKS: f64 = 500.0;
/// From so many runs on one row each is suspicious; in a span of seconds a tenth of it.
const MANY_CALLS: i64 = 1000;
/// … where they are this part of all runs.
const MANY_SHARE: f64 = 0.2;
/// Against a reading before: a run takes this many times as long.
const SLOWER: f64 = 2.0;

/// What is ranked.
pub struct Readings<'r> {
    /// The server.
    pub server: DatabaseSeen,
    /// The reading.
    pub now: &'r StatementReading,
    /// An earlier one: the figures are of the span between.
    pub from: Option<&'r StatementReading>,
    /// What a run took in a reading that was saved, to compare with.
    pub before: Option<&'r StatementReading>,
    /// Sessions that run something now.
    pub running: &'r [Backend],
}

/// What happened between two readings. A statement that is new since, or whose counting began anew, counts in full.
pub fn between(from: &StatementReading, to: &StatementReading) -> Vec<StatementStats> {
    let reset = from.reset_at != to.reset_at;
    let before: BTreeMap<_, _> = from.statements.iter().map(|s| (&s.key, s)).collect();
    let changed = to.statements.iter().filter_map(|now| match before.get(&now.key) {
        Some(old) if !reset && old.since == now.since && old.calls <= now.calls => {
            (now.calls > old.calls || now.total_ms > old.total_ms).then(|| less(now, old))
        }
        _ => (now.calls > 0).then(|| now.clone()),
    });
    changed.collect()
}

fn less(now: &StatementStats, old: &StatementStats) -> StatementStats {
    StatementStats {
        calls: now.calls - old.calls,
        total_ms: (now.total_ms - old.total_ms).max(0.0),
        rows: now.rows - old.rows,
        hit: now.hit - old.hit,
        read: now.read - old.read,
        temp: now.temp - old.temp,
        io_ms: now.io_ms.zip(old.io_ms).map(|(now, old)| (now - old).max(0.0)),
        wal_bytes: now.wal_bytes.zip(old.wal_bytes).map(|(now, old)| now - old),
        ..now.clone()
    }
}

/// Ranks the statements and keeps the first `limit`.
pub fn rank(readings: &Readings<'_>, by: StatementOrder, limit: usize) -> StatementFacts {
    let Readings { server, now, from, before, running } = readings;
    let (statements, span) = match from {
        Some(from) => (between(from, now), StatementSpan::Between { from: from.at, to: now.at }),
        None => (now.statements.clone(), StatementSpan::SinceReset { at: now.reset_at }),
    };
    // What a function runs is part of the time of the statement that called it: it is ranked, and not added twice.
    let mut total = StatementTotal::default();
    for one in statements.iter().filter(|s| s.key.toplevel) {
        total.ms += one.total_ms;
        total.calls += one.calls;
    }
    let known = statements.len();
    let old: BTreeMap<_, _> = before.iter().flat_map(|b| &b.statements).map(|s| (&s.key, mean(s))).collect();
    let mut ranked: Vec<RankedStatement> = statements
        .into_iter()
        .map(|stats| RankedStatement {
            mean_ms: mean(&stats),
            share: if total.ms > 0.0 { (stats.total_ms / total.ms).min(1.0) } else { 0.0 },
            rows_per_call: per_call(stats.rows, stats.calls),
            askers: askers(&stats, running),
            mean_before_ms: old.get(&stats.key).copied(),
            n_plus_one: suspect(&stats, total, span),
            stats,
        })
        .collect();
    let weight = |r: &RankedStatement| match by {
        StatementOrder::Total => r.stats.total_ms,
        StatementOrder::Mean => r.mean_ms,
        StatementOrder::Calls => r.stats.calls as f64,
        StatementOrder::Rows => r.stats.rows as f64,
        StatementOrder::Io => (r.stats.read + r.stats.temp) as f64,
    };
    ranked.sort_by(|a, b| weight(b).total_cmp(&weight(a)).then_with(|| a.stats.key.cmp(&b.stats.key)));
    let mut suspects = ranked.split_off(limit.min(ranked.len()));
    suspects.retain(|one| one.n_plus_one);
    StatementFacts { server: server.clone(), span, by, total, statements: ranked, suspects, known }
}

fn mean(stats: &StatementStats) -> f64 {
    if stats.calls > 0 { stats.total_ms / stats.calls as f64 } else { 0.0 }
}

fn per_call(rows: i64, calls: i64) -> f64 {
    if calls > 0 { rows as f64 / calls as f64 } else { 0.0 }
}

/// Its comment says who asked first; sessions that run it now say who asks.
fn askers(stats: &StatementStats, running: &[Backend]) -> Vec<Asker> {
    let mut found: Vec<Asker> = stats.asker.iter().cloned().collect();
    for backend in running.iter().filter(|b| b.query_id == Some(stats.key.queryid) && stats.key.queryid != 0) {
        found.extend(backend.asker.clone().or_else(|| backend.application.clone().map(Asker::Application)));
    }
    found.sort();
    found.dedup();
    found
}

fn suspect(stats: &StatementStats, total: StatementTotal, span: StatementSpan) -> bool {
    let least = match span {
        StatementSpan::SinceReset { .. } => MANY_CALLS,
        StatementSpan::Between { .. } => MANY_CALLS / 10,
    };
    let reads =
        stats.query.as_ref().is_some_and(|q| q.get(..6).is_some_and(|word| word.eq_ignore_ascii_case("select")) && q.contains(" = "));
    let one_row = (0.5..=1.1).contains(&per_call(stats.rows, stats.calls));
    reads && one_row && stats.calls >= least && stats.calls as f64 >= MANY_SHARE * total.calls as f64 && mean(stats) < SLOW_MEAN_MS
}

/// What the ranking means, the worst first.
pub fn findings(facts: &StatementFacts) -> Vec<Finding> {
    let mut found = Vec::new();
    for one in facts.statements.iter().chain(&facts.suspects) {
        let query = one.stats.query.clone().unwrap_or_else(|| "a statement that is not shown to us".into()).clipped(160);
        let whose: Vec<Safe> = one.askers.iter().map(Asker::says).collect();
        let asked = |finding: Finding| match whose.is_empty() {
            true => finding.evidence(query.clone()),
            false => finding.evidence(query.clone()).evidence(safe!("asked by {}", Safe::join(&whose, ", "))),
        };
        let subject = match (one.askers.first(), &one.stats.query) {
            (Some(asker), _) => safe!("a statement of {}", asker.says()),
            (None, Some(_)) => safe!("statement {}", one.stats.key.queryid),
            // Its ID is not shown either.
            (None, None) => "a statement that is not shown to us".into(),
        };
        let runs = match one.stats.calls {
            1 => "once".into(),
            calls => safe!("{} times", units::count(u64::try_from(calls).unwrap_or(0))),
        };
        let explained = one.stats.query.as_ref().is_some_and(|query| has_plan(query));
        let explain = |finding: Finding| match explained {
            true => finding.next(Hint::Run(safe!("obsctl explain --queryid {}", one.stats.key.queryid))),
            false => finding,
        };
        if let Some(before) = one.mean_before_ms.filter(|before| one.mean_ms >= SLOW_MEAN_MS && one.mean_ms >= SLOWER * before) {
            let says = safe!("{} takes {} a run, {} before", subject, ms(one.mean_ms), ms(before));
            found.push(explain(asked(Finding::new("slower-than-before", Severity::Warning, says))));
        } else if slow(one) {
            let each = if one.stats.calls == 1 { "" } else { " each" };
            let says = safe!("{} ran {}, {}{}: {} of all time", subject, runs, ms(one.mean_ms), each, percent(one.share));
            let finding = asked(Finding::new("slow-statement", Severity::Warning, says));
            found.push(match waited(one) {
                Some(blocks) => finding
                    .evidence(safe!(
                        "a run touches {:.0} blocks: most of its time was waiting, for locks most likely, which counts here too",
                        blocks
                    ))
                    .next(Hint::Run("obsctl db locks".into())),
                None => explain(finding),
            });
        }
        if one.n_plus_one {
            let rows = one.rows_per_call;
            let says = safe!("{} ran {} for {:.1} rows each: perhaps one for each row of another (N+1)", subject, runs, rows);
            let hint = "select_related or prefetch_related where that view or task loops; from here it can only be suspected";
            found.push(asked(Finding::new("n-plus-one-suspected", Severity::Warning, says)).next(Hint::Try(hint.into())));
        }
    }
    found
}

/// Whether it is something that has a plan, by its first word.
fn has_plan(query: &str) -> bool {
    let mut words = lexer::tokens(query, true).into_iter().filter(|token| token.kind == Lexeme::Word);
    let first = words.next().map(|token| token.text(query).to_ascii_lowercase());
    matches!(first.as_deref(), Some("select" | "with" | "insert" | "update" | "delete" | "merge" | "values"))
}

/// By PgHero's rule, or because a few runs take a good part of all time.
fn slow(one: &RankedStatement) -> bool {
    let often = one.mean_ms >= SLOW_MEAN_MS && one.stats.calls >= SLOW_CALLS;
    often || (one.mean_ms >= LONG_MEAN_MS && one.share >= LONG_SHARE)
}

/// The blocks of a run, where they are too few for its time.
fn waited(one: &RankedStatement) -> Option<f64> {
    let stats = &one.stats;
    let blocks = per_call(stats.hit.saturating_add(stats.read).saturating_add(stats.temp), stats.calls);
    (one.mean_ms >= LONG_MEAN_MS && blocks < FEW_BLOCKS && one.rows_per_call < FEW_BLOCKS).then_some(blocks)
}

/// Notes about a span: the figures are of less than they seem.
pub fn doubts(readings: &Readings<'_>) -> Vec<Safe> {
    let mut doubts = Vec::new();
    if let Some(from) = readings.from {
        if from.reset_at != readings.now.reset_at {
            doubts.push("the statistics were reset between the readings: the figures are since then".into());
        }
        match from.evictions.zip(readings.now.evictions).map(|(old, new)| new - old) {
            Some(n) if n > 0 => {
                doubts.push("the server dropped rarely run statements between the readings (pg_stat_statements.max)".into())
            }
            _ => {}
        }
    }
    if readings.now.statements.iter().all(|s| s.io_ms.is_none()) {
        doubts.push("how long files were waited for is not measured (track_io_timing)".into());
    }
    doubts
}

/// `1.8 s`, `0.4 ms`.
pub fn ms(ms: f64) -> Safe {
    match ms {
        ms if ms < 10.0 => safe!("{:.2} ms", ms),
        ms => units::duration(SignedDuration::try_from_secs_f64(ms / 1000.0).unwrap_or(SignedDuration::MAX)),
    }
}

/// `63 %`, `< 1 %`.
pub fn percent(share: f64) -> Safe {
    match share * 100.0 {
        p if p > 0.0 && p < 1.0 => "< 1 %".into(),
        p => safe!("{:.0} %", p),
    }
}

/// The span in words.
pub fn span(span: StatementSpan, now: Timestamp) -> Safe {
    match span {
        StatementSpan::Between { from, to } => safe!("in {}", units::duration(to.duration_since(from))),
        StatementSpan::SinceReset { at: Some(at) } => safe!("since {} ago", units::duration(now.duration_since(at))),
        StatementSpan::SinceReset { at: None } => "since the last reset".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::{
        fixtures::{backend, server},
        model::StatementKey,
    };

    fn stats(queryid: i64, calls: i64, total_ms: f64, rows: i64, query: &'static str) -> StatementStats {
        StatementStats {
            key: StatementKey { queryid, database: "shop".into(), role: "app".into(), toplevel: true },
            query: Some(query.into()),
            asker: None,
            calls,
            total_ms,
            max_ms: None,
            rows,
            hit: 0,
            read: 0,
            temp: 0,
            io_ms: None,
            wal_bytes: None,
            since: None,
        }
    }

    fn reading(statements: Vec<StatementStats>) -> StatementReading {
        StatementReading { at: "2026-11-21T20:10:00Z".parse().expect("a time"), reset_at: None, evictions: Some(0), statements }
    }

    fn ranked(now: &StatementReading, from: Option<&StatementReading>, by: StatementOrder) -> StatementFacts {
        let running = [Backend { query_id: Some(1), ..backend(5) }];
        rank(&Readings { server: server(), now, from, before: None, running: &running }, by, 10)
    }

    #[test]
    fn the_order_is_what_was_asked_for() {
        let now = reading(vec![stats(1, 10, 100.0, 5, "SELECT a"), stats(2, 1000, 50.0, 9, "SELECT b"), stats(3, 1, 90.0, 0, "SELECT c")]);
        let first = |by| ranked(&now, None, by).statements[0].stats.key.queryid;
        let orders = [StatementOrder::Total, StatementOrder::Mean, StatementOrder::Calls, StatementOrder::Rows];
        assert_eq!(orders.map(first), [1, 3, 2, 2]);
        let facts = ranked(&now, None, StatementOrder::Total);
        assert_eq!((facts.total.calls, facts.known), (1011, 3));
        assert_eq!(facts.statements[0].askers, [Asker::Application("web".into())]);
    }

    #[test]
    fn between_two_readings_only_what_happened_counts() {
        let from = reading(vec![stats(1, 10, 100.0, 10, "a"), stats(2, 5, 5.0, 5, "b"), stats(3, 9, 9.0, 9, "c")]);
        let to = reading(vec![stats(1, 12, 160.0, 12, "a"), stats(2, 5, 5.0, 5, "b"), stats(3, 2, 2.0, 2, "c"), stats(4, 1, 7.0, 1, "d")]);
        let found: Vec<_> = between(&from, &to).iter().map(|s| (s.key.queryid, s.calls, s.total_ms)).collect();
        // 3 was dropped and counted anew, 4 is new.
        assert_eq!(found, [(1, 2, 60.0), (3, 2, 2.0), (4, 1, 7.0)]);
        let reset = StatementReading { reset_at: Some(to.at), ..to.clone() };
        assert_eq!(between(&from, &reset).len(), 4);
    }

    #[test]
    fn what_has_no_plan_is_not_sent_to_be_explained() {
        let next = |query: Option<&'static str>| {
            let one = StatementStats { query: query.map(Into::into), ..stats(7, 1, 90_000.0, 1, "") };
            let found = findings(&ranked(&reading(vec![StatementStats { hit: 90_000, ..one }]), None, StatementOrder::Total));
            (found[0].says.to_string(), found[0].next.contains(&Hint::Run("obsctl explain --queryid 7".into())))
        };
        assert!(next(Some("/* v='x' */ (SELECT $1)")).1);
        assert!(!next(Some("REFRESH MATERIALIZED VIEW m")).1);
        assert_eq!(next(None), ("a statement that is not shown to us ran once, 90.0 s: 100 % of all time".to_owned(), false));
    }

    #[test]
    fn slow_and_suspicious_statements_are_said() {
        let now = reading(vec![
            stats(1, 200, 8000.0, 200, "SELECT * FROM a WHERE b > $1"),
            stats(2, 9000, 900.0, 9000, "SELECT * FROM c WHERE id = $1"),
            stats(3, 9000, 900.0, 90_000, "SELECT * FROM d WHERE id = $1"),
        ]);
        let facts = ranked(&now, None, StatementOrder::Total);
        let codes: Vec<_> = findings(&facts).iter().map(|f| f.code).collect();
        assert_eq!(codes, ["slow-statement", "n-plus-one-suspected"]);
    }

    #[test]
    fn a_few_long_runs_that_touch_little_have_waited() {
        let update = StatementStats { hit: 40, ..stats(1, 4, 117_000.0, 4, "UPDATE p SET n = n - $1 WHERE id = $2") };
        let report = StatementStats { hit: 40_000, ..stats(2, 4, 60_000.0, 4, "SELECT count(*) FROM big") };
        let facts = ranked(&reading(vec![update, report]), None, StatementOrder::Total);
        let waited: Vec<bool> = findings(&facts).iter().map(|f| f.evidence.iter().any(|e| e.contains("waiting"))).collect();
        assert_eq!(waited, [true, false]);
    }

    #[test]
    fn a_saved_reading_shows_what_became_slower() {
        let before = reading(vec![stats(1, 10, 100.0, 1, "SELECT a")]);
        let now = reading(vec![stats(1, 20, 1100.0, 1, "SELECT a")]);
        let facts = rank(
            &Readings { server: server(), now: &now, from: Some(&before), before: Some(&before), running: &[] },
            StatementOrder::Total,
            10,
        );
        assert_eq!((facts.statements[0].mean_ms, facts.statements[0].mean_before_ms), (100.0, Some(10.0)));
        assert_eq!(findings(&facts)[0].code, "slower-than-before");
    }
}
