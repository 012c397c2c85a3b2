//! Why a statement is slow though its plan is good: it waits for somebody, the statistics are stale, the cache is cold, the connections are
//! used up, the replica is behind. What was looked at and is fine is ruled out; what could not be looked at is said.

use super::{
    activity::Saturation,
    locks::{self, longest},
};
use crate::{
    answer::{Finding, Hint, Severity},
    postgres::model::{Circumstances, LockFacts, LockNode, LookedAt, ReplicaState, TableStats},
    safe,
    text::{Safe, units},
};
use jiff::{SignedDuration, Timestamp};

/// Below so many rows the planner reads a table whole, whatever it believes.
const SMALL: f64 = 1000.0;
/// The planner's belief is wrong by this factor.
const OFF: f64 = 2.0;
/// Less of the blocks found in memory is cold. PgHero wants 99 % of a whole server; of a statement's tables, where nine of ten blocks are
/// in memory, files are not the reason.
const COLD: f64 = 0.90;
/// Fewer blocks say nothing.
const FEW_BLOCKS: i64 = 1000;
/// A replica that is this far behind answers with old rows, and cancels statements to catch up.
const BEHIND_S: f64 = 30.0;

/// What surrounds a statement, judged.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reasons {
    /// What may be the reason, the worst first.
    pub findings: Vec<Finding>,
    /// What was looked at and is not.
    pub ruled_out: Vec<Safe>,
    /// What could not be looked at.
    pub not_seen: Vec<Safe>,
}

/// Judges. `pid`: the session whose statement it is, where there is one; else anybody who is blocked counts.
pub fn reasons(around: &Circumstances, pid: Option<i32>) -> Reasons {
    let mut found = Reasons::default();
    let now = around.server.observed_at;
    match &around.locks {
        LookedAt::Seen(facts) => blocked(facts, pid, now, &mut found),
        LookedAt::NotSeen(why) => found.not_seen.push(safe!("whether it is blocked ({})", why)),
    }
    match &around.activity {
        LookedAt::Seen(facts) => {
            let saturation = Saturation::of(facts);
            match saturation.severity() {
                Some(severity) => {
                    let hint = Hint::Run("obsctl db activity".into());
                    found.findings.push(Finding::new("connections-nearly-used-up", severity, saturation.says()).next(hint));
                }
                None => found.ruled_out.push(safe!("connections used up ({} of {})", saturation.used, saturation.of)),
            }
            if !around.server.sees_all {
                found.not_seen.push(safe!("what other roles run: {}", around.server.grant()));
            }
        }
        LookedAt::NotSeen(why) => found.not_seen.push(safe!("connections ({})", why)),
    }
    match &around.tables {
        LookedAt::Seen(tables) => of_tables(tables, now, around.server.replica, &mut found),
        LookedAt::NotSeen(why) => found.not_seen.push(safe!("statistics of its tables ({})", why)),
    }
    match &around.replica {
        None => {}
        Some(LookedAt::Seen(state)) => of_replica(state, &mut found),
        Some(LookedAt::NotSeen(why)) => found.not_seen.push(safe!("how far the replica is behind ({})", why)),
    }
    found.findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    found
}

/// The way from a root down to a session.
fn path(node: &LockNode, pid: i32) -> Option<Vec<&LockNode>> {
    if node.who.pid() == pid {
        return Some(vec![node]);
    }
    let mut below = node.blocks.iter().find_map(|below| path(below, pid))?;
    below.insert(0, node);
    Some(below)
}

fn blocked(facts: &LockFacts, pid: Option<i32>, now: Timestamp, found: &mut Reasons) {
    let Some(pid) = pid else {
        if facts.trees.is_empty() {
            found.ruled_out.push("blocked (nobody waits for a lock)".into());
        } else {
            found.findings.extend(locks::findings(facts).into_iter().map(|f| f.next(Hint::Run("obsctl db locks".into()))));
        }
        return;
    };
    match facts.trees.iter().find_map(|tree| path(tree, pid)).as_deref() {
        // At the root it holds others up, and waits for nobody.
        None | Some([] | [_]) => found.ruled_out.push("blocked".into()),
        Some([root, .., own]) => {
            let wait = own.waits.as_ref();
            let since = wait.and_then(|w| w.since).map(|since| now.duration_since(since));
            let severity = match since {
                Some(age) if age >= locks::WAIT_FAILED => Severity::Failed,
                _ => Severity::Warning,
            };
            let age = since.map(|age| safe!(" for {}", units::duration(age))).unwrap_or_default();
            let by = locks::who(&root.who, now);
            let says = safe!("it is not slow, it waits{}: blocked by {}", age, Safe::name(by.trim_end_matches(',')));
            let mut finding = Finding::new("blocked", severity, says);
            if let Some(wait) = wait {
                finding = finding.evidence(safe!("waits for {} on {}", wait.mode, wait.on));
            }
            if let crate::postgres::model::LockOwner::Session(backend) = &root.who
                && let Some(query) = &backend.query
            {
                finding = finding.evidence(safe!("the blocker's statement: {}", query.clipped(160)));
            }
            if let Some(oldest) = longest(root, now) {
                let others = units::plural(root.held_up, "session", "sessions");
                finding = finding.evidence(safe!("{} wait below it, the longest for {}", others, units::duration(oldest)));
            }
            found.findings.push(finding.next(Hint::Run("obsctl db locks".into())));
        }
    }
}

/// Whether the planner may believe something wrong of a table.
fn stale(table: &TableStats) -> bool {
    let live = table.live_rows as f64;
    let off = |a: f64, b: f64| a.max(b) > SMALL && a.max(1.0) / b.max(1.0) >= OFF;
    let never = table.analyzed_at.is_none() && table.planned_rows == 0.0 && live > SMALL;
    let changed = table.changed_since_analyze as f64 > table.analyze_after && live.max(table.planned_rows) > SMALL;
    never || changed || (live > 0.0 && (off(table.planned_rows, live) || off(live, table.planned_rows)))
}

fn of_tables(tables: &[TableStats], now: Timestamp, replica: bool, found: &mut Reasons) {
    if tables.is_empty() {
        return;
    }
    // A replica counts its own reads, and nobody's changes.
    if replica && tables.iter().all(|t| t.live_rows == 0 && t.changed_since_analyze == 0) {
        found.not_seen.push("how stale its statistics are (only the primary counts changes)".into());
    } else {
        let stale: Vec<&TableStats> = tables.iter().filter(|table| stale(table)).collect();
        for table in &stale {
            let says = safe!("the statistics of {} are stale", table.name);
            let when = match table.analyzed_at {
                Some(at) => safe!("analyzed {} ago", units::duration(now.duration_since(at))),
                None => "never analyzed since the counters were reset".into(),
            };
            let rows = |n: f64| units::count(n.clamp(0.0, 9e18) as u64);
            let evidence = safe!(
                "{}; the planner believes in {} rows, {} are counted, {} changed since",
                when,
                rows(table.planned_rows),
                rows(table.live_rows as f64),
                rows(table.changed_since_analyze as f64)
            );
            let finding = Finding::new("stale-statistics", Severity::Warning, says).evidence(evidence);
            found.findings.push(finding.next(Hint::Try(safe!("ANALYZE {};", table.name))));
        }
        if stale.is_empty() {
            let oldest = tables.iter().filter_map(|t| t.analyzed_at).min();
            let when = oldest.map(|at| safe!(" (analyzed {} ago)", units::duration(now.duration_since(at)))).unwrap_or_default();
            found.ruled_out.push(safe!("stale statistics{}", when));
        }
    }
    cache(tables, found);
}

fn cache(tables: &[TableStats], found: &mut Reasons) {
    let (hit, read) = tables.iter().fold((0_i64, 0_i64), |(hit, read), t| (hit.saturating_add(t.hit), read.saturating_add(t.read)));
    let all = hit.saturating_add(read);
    if all < FEW_BLOCKS {
        found.not_seen.push("how warm the cache is (too few blocks were read since the counters were reset)".into());
        return;
    }
    let share = hit as f64 / all as f64;
    let shown = safe!("{:.1} % of the blocks of its tables were found in shared memory", share * 100.0);
    match share {
        share if share >= COLD => found.ruled_out.push(safe!("cold cache ({:.1} % hit)", share * 100.0)),
        _ => {
            let finding = Finding::new("cold-cache", Severity::Warning, shown);
            let hint = "what it reads, first (an index); then shared_buffers; blocks from the system's own cache count as read too";
            found.findings.push(finding.next(Hint::Try(hint.into())));
        }
    }
}

/// What the state of a replica means.
pub fn replica(state: &ReplicaState) -> Vec<Finding> {
    let mut found = Reasons::default();
    of_replica(state, &mut found);
    found.findings
}

fn of_replica(state: &ReplicaState, found: &mut Reasons) {
    let behind = state.replayed_s_ago.filter(|s| !state.caught_up && *s >= BEHIND_S);
    let lag = |s: f64| units::duration(SignedDuration::try_from_secs_f64(s).unwrap_or(SignedDuration::MAX));
    if state.paused {
        let says = "the replica's replay is paused: it answers with the rows of then";
        found.findings.push(Finding::new("replica-paused", Severity::Warning, says.into()));
    } else if let Some(s) = behind {
        let says = safe!("the replica is {} behind", lag(s));
        let hint = "a long statement here holds replay up (max_standby_streaming_delay), or the primary writes more than it can replay";
        found.findings.push(Finding::new("replica-lags", Severity::Warning, says).next(Hint::Try(hint.into())));
    } else if state.receiving == Some(false) {
        found.findings.push(Finding::new(
            "replica-receives-nothing",
            Severity::Warning,
            "the replica receives nothing from its primary".into(),
        ));
    } else {
        let how = match (state.caught_up, state.replayed_s_ago) {
            (false, Some(s)) => safe!(" ({})", lag(s)),
            _ => " (it has replayed all that it received)".into(),
        };
        found.ruled_out.push(safe!("replica lag{}", how));
    }
    if state.cancelled > 0 {
        let cancelled = units::count(u64::try_from(state.cancelled).unwrap_or(0));
        let says = safe!("recovery has cancelled {} statements on this replica since its counters were reset", cancelled);
        let hint = "hot_standby_feedback = on, or a longer max_standby_streaming_delay";
        found.findings.push(Finding::new("recovery-conflicts", Severity::Info, says).next(Hint::Try(hint.into())));
    } else {
        found.ruled_out.push("conflicts with recovery".into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::{
        analyze::locks::{SeenLocks, trees},
        fixtures::{backend, server},
        model::{ActivityFacts, BackendState, LockWait, RawWait},
    };

    fn table() -> TableStats {
        TableStats {
            name: "public.orders".into(),
            planned_rows: 60_000.0,
            live_rows: 60_100,
            dead_rows: 0,
            changed_since_analyze: 100,
            analyze_after: 6050.0,
            analyzed_at: "2026-11-21T18:10:00Z".parse().ok(),
            hit: 99_900,
            read: 100,
        }
    }

    fn calm() -> Circumstances {
        Circumstances {
            server: server(),
            activity: LookedAt::Seen(ActivityFacts { server: server(), backends: vec![backend(2)], connections: 2 }),
            locks: LookedAt::Seen(trees(server(), SeenLocks::default())),
            tables: LookedAt::Seen(vec![table()]),
            replica: None,
        }
    }

    fn codes(around: &Circumstances, pid: Option<i32>) -> Vec<&'static str> {
        reasons(around, pid).findings.iter().map(|f| f.code).collect()
    }

    #[test]
    fn in_calm_everything_is_ruled_out() {
        let found = reasons(&calm(), Some(2));
        assert_eq!(found.findings, []);
        let ruled: Vec<_> = found.ruled_out.iter().map(Safe::as_str).collect();
        let expected = ["blocked", "connections used up (2 of 37)", "stale statistics (analyzed 2h 0m ago)", "cold cache (99.9 % hit)"];
        assert_eq!(ruled, expected);
        assert!(found.not_seen.is_empty());
    }

    #[test]
    fn a_blocked_statement_is_not_called_slow() {
        let mut holder = backend(7);
        holder.state = BackendState::IdleInTransaction;
        let wait = LockWait { on: "row of t".into(), mode: "ShareLock".into(), since: "2026-11-21T20:07:00Z".parse().ok() };
        let waits = vec![RawWait { pid: 2, blockers: vec![7], wait: Some(wait) }];
        let around = Circumstances {
            locks: LookedAt::Seen(trees(server(), SeenLocks { waits, backends: vec![holder, backend(2)], ..SeenLocks::default() })),
            ..calm()
        };
        let found = reasons(&around, Some(2));
        let says = "it is not slow, it waits for 3m: blocked by session 7 (web, app), idle in transaction for 10m";
        assert_eq!((found.findings[0].code, found.findings[0].says.as_str()), ("blocked", says));
        assert_eq!(codes(&around, None), ["blocked-by-lock"]);
        // The holder itself waits for nobody.
        assert!(codes(&around, Some(7)).is_empty());
    }

    #[test]
    fn stale_statistics_are_told_from_young_tables() {
        let stale = |table: TableStats| codes(&Circumstances { tables: LookedAt::Seen(vec![table]), ..calm() }, None);
        assert_eq!(stale(TableStats { changed_since_analyze: 9000, ..table() }), ["stale-statistics"]);
        assert_eq!(stale(TableStats { planned_rows: 10.0, ..table() }), ["stale-statistics"]);
        assert_eq!(stale(TableStats { planned_rows: 0.0, analyzed_at: None, ..table() }), ["stale-statistics"]);
        let small = TableStats { planned_rows: 0.0, live_rows: 300, changed_since_analyze: 300, analyze_after: 50.0, ..table() };
        assert!(stale(small).is_empty());
    }

    #[test]
    fn a_cache_is_cold_where_a_tenth_comes_from_files() {
        let with = |hit, read| {
            let found = reasons(&Circumstances { tables: LookedAt::Seen(vec![TableStats { hit, read, ..table() }]), ..calm() }, None);
            (
                found.findings.iter().map(|f| (f.code, f.severity)).collect::<Vec<_>>(),
                found.ruled_out.iter().any(|r| r.contains("cold cache")),
            )
        };
        assert_eq!(with(95_000, 5_000), (vec![], true));
        assert_eq!(with(80_000, 20_000), (vec![("cold-cache", Severity::Warning)], false));
        assert_eq!(with(8, 2), (vec![], false));
    }

    #[test]
    fn what_cannot_be_looked_at_is_said() {
        let refused = || LookedAt::NotSeen("refused".into());
        let around = Circumstances { locks: refused(), tables: LookedAt::NotSeen("refused".into()), ..calm() };
        let found = reasons(&around, None);
        assert_eq!(found.not_seen.len(), 2);
        assert!(!found.ruled_out.iter().any(|r| r.contains("blocked") || r.contains("stale")));
    }

    #[test]
    fn a_replica_is_asked_how_far_it_is() {
        let state = ReplicaState { caught_up: true, replayed_s_ago: Some(9000.0), paused: false, receiving: Some(true), cancelled: 0 };
        let with = |state| codes(&Circumstances { replica: Some(LookedAt::Seen(state)), ..calm() }, None);
        // Nothing was written for hours: that is no lag.
        assert!(with(state).is_empty());
        assert_eq!(with(ReplicaState { caught_up: false, cancelled: 2, ..state }), ["replica-lags", "recovery-conflicts"]);
        assert_eq!(with(ReplicaState { paused: true, ..state }), ["replica-paused"]);
    }
}
