//! From waits to trees: who holds up whom, and for how long. Workers of a parallel query are their leader; a prepared transaction has
//! nobody who would end it.

use crate::{
    answer::{Finding, Hint, Severity},
    postgres::model::{Backend, DatabaseSeen, HeldLock, LockFacts, LockNode, LockOwner, LockWait, PreparedTransaction, RawWait},
    safe,
    text::{Safe, units},
};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// check_postgres: a lock that is waited for this long is to be looked at, and this long is bad.
pub const WAIT_WARNING: SignedDuration = SignedDuration::from_secs(60);
/// The second of them.
pub const WAIT_FAILED: SignedDuration = SignedDuration::from_secs(120);
/// Trees are drawn no deeper: what is below is counted.
const DEEPEST: usize = 12;

/// What `collect` has read, one moment after the other.
#[derive(Debug, Default)]
pub struct SeenLocks {
    /// Those who wait.
    pub waits: Vec<RawWait>,
    /// What those hold who are waited for.
    pub held: Vec<(i32, HeldLock)>,
    /// Prepared transactions, where one is waited for.
    pub prepared: Vec<PreparedTransaction>,
    /// All sessions.
    pub backends: Vec<Backend>,
    /// Those to be named even where nobody waits for them.
    pub named: Vec<i32>,
}

struct Edge {
    blockers: BTreeSet<i32>,
    wait: Option<LockWait>,
}

struct Forest<'s> {
    edges: BTreeMap<i32, Edge>,
    below: BTreeMap<i32, BTreeSet<i32>>,
    backends: BTreeMap<i32, &'s Backend>,
    held: BTreeMap<i32, Vec<HeldLock>>,
    prepared: &'s [PreparedTransaction],
    named: BTreeSet<i32>,
    drawn: BTreeSet<i32>,
}

/// Builds the trees.
pub fn trees(server: DatabaseSeen, seen: SeenLocks) -> LockFacts {
    let backends: BTreeMap<i32, &Backend> = seen.backends.iter().map(|b| (b.pid, b)).collect();
    let leader = |pid: i32| backends.get(&pid).and_then(|b| b.leader).unwrap_or(pid);
    let mut edges: BTreeMap<i32, Edge> = BTreeMap::new();
    for wait in seen.waits {
        let pid = leader(wait.pid);
        let edge = edges.entry(pid).or_insert(Edge { blockers: BTreeSet::new(), wait: None });
        edge.blockers.extend(wait.blockers.iter().map(|blocker| leader(*blocker)).filter(|blocker| *blocker != pid));
        let older = |new: &LockWait, old: &LockWait| new.since.is_some_and(|new| old.since.is_none_or(|old| new < old));
        if let Some(wait) = wait.wait
            && edge.wait.as_ref().is_none_or(|old| older(&wait, old))
        {
            edge.wait = Some(wait);
        }
    }
    // One whose blockers have gone meanwhile waits no more.
    edges.retain(|_, edge| !edge.blockers.is_empty());
    let mut below: BTreeMap<i32, BTreeSet<i32>> = BTreeMap::new();
    for (pid, edge) in &edges {
        for blocker in &edge.blockers {
            below.entry(*blocker).or_default().insert(*pid);
        }
    }
    let mut held: BTreeMap<i32, Vec<HeldLock>> = BTreeMap::new();
    for (pid, lock) in seen.held {
        let locks = held.entry(leader(pid)).or_default();
        if !locks.contains(&lock) {
            locks.push(lock);
        }
    }
    for locks in held.values_mut() {
        locks.sort_by_key(|lock| (std::cmp::Reverse(strength(&lock.mode)), lock.on.clone()));
    }
    let waiting = edges.len();
    let named = seen.named.iter().map(|pid| leader(*pid)).collect();
    let mut forest = Forest { edges, below, backends, held, prepared: &seen.prepared, named, drawn: BTreeSet::new() };
    let mut trees = forest.all();
    trees.sort_by_key(|tree| std::cmp::Reverse(tree.held_up));
    LockFacts { server, trees, waiting }
}

impl Forest<'_> {
    fn all(&mut self) -> Vec<LockNode> {
        let roots: BTreeSet<i32> = self.below.keys().chain(&self.named).copied().filter(|pid| !self.edges.contains_key(pid)).collect();
        let mut roots = self.most_first(roots.into_iter().collect());
        let mut trees: Vec<LockNode> = Vec::new();
        for root in roots.drain(..) {
            trees.push(self.node(root, None, 0));
        }
        // A ring has no root: a deadlock that the server has not broken yet. It is opened at its first member.
        while let Some(pid) = self.edges.keys().copied().find(|pid| !self.drawn.contains(pid)) {
            trees.push(self.node(pid, None, 0));
        }
        trees
    }

    fn most_first(&self, mut pids: Vec<i32>) -> Vec<i32> {
        pids.sort_by_key(|pid| (std::cmp::Reverse(self.count_below(*pid)), *pid));
        pids
    }

    fn count_below(&self, pid: i32) -> usize {
        let (mut found, mut next) = (BTreeSet::new(), vec![pid]);
        while let Some(pid) = next.pop() {
            next.extend(self.below.get(&pid).into_iter().flatten().copied().filter(|below| found.insert(*below)));
        }
        found.remove(&pid);
        found.len()
    }

    fn node(&mut self, pid: i32, above: Option<i32>, depth: usize) -> LockNode {
        self.drawn.insert(pid);
        let held_up = self.count_below(pid);
        let below: Vec<i32> = self.below.get(&pid).into_iter().flatten().copied().collect();
        let mut blocks = Vec::new();
        for below in self.most_first(below) {
            // Each is drawn once, below the first that holds it up; the others are named there.
            if depth < DEEPEST && !self.drawn.contains(&below) {
                blocks.push(self.node(below, Some(pid), depth + 1));
            } else {
                self.drawn.insert(below);
            }
        }
        let who = match (pid, self.backends.get(&pid)) {
            (0, _) => LockOwner::Prepared { transactions: self.prepared.to_vec() },
            (_, Some(backend)) => LockOwner::Session(Box::new((*backend).clone())),
            (_, None) => LockOwner::Gone { pid },
        };
        let edge = self.edges.get(&pid);
        LockNode {
            who,
            waits: edge.and_then(|edge| edge.wait.clone()),
            holds: self.held.get(&pid).cloned().unwrap_or_default(),
            also_blocked_by: edge.map(|e| e.blockers.iter().copied().filter(|b| Some(*b) != above).collect()).unwrap_or_default(),
            blocks,
            held_up,
        }
    }
}

/// How much else a lock keeps away.
fn strength(mode: &Safe) -> u8 {
    match mode.as_str() {
        "AccessExclusiveLock" => 8,
        "ExclusiveLock" => 7,
        "ShareRowExclusiveLock" => 6,
        "ShareLock" => 5,
        "ShareUpdateExclusiveLock" => 4,
        "RowExclusiveLock" => 3,
        "RowShareLock" => 2,
        _ => 1,
    }
}

/// What the trees mean.
pub fn findings(facts: &LockFacts) -> Vec<Finding> {
    let now = facts.server.observed_at;
    let mut found: Vec<Finding> = facts.trees.iter().map(|tree| of_tree(tree, now)).collect();
    found.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    found
}

/// How long the one waits that waits longest, below a node.
pub fn longest(node: &LockNode, now: Timestamp) -> Option<SignedDuration> {
    let own = |n: &LockNode| n.waits.as_ref().and_then(|wait| wait.since).map(|since| now.duration_since(since));
    node.blocks.iter().filter_map(|below| own(below).into_iter().chain(longest(below, now)).max()).max()
}

fn of_tree(tree: &LockNode, now: Timestamp) -> Finding {
    let longest = longest(tree, now);
    let severity = match longest {
        Some(age) if age >= WAIT_FAILED => Severity::Failed,
        Some(age) if age >= WAIT_WARNING => Severity::Warning,
        _ if tree.held_up == 0 => Severity::Warning,
        _ => Severity::Info,
    };
    let waits = longest.map(|age| safe!(", the longest for {}", units::duration(age))).unwrap_or_default();
    let held_up = units::plural(tree.held_up, "session", "sessions");
    let says = match tree.held_up {
        0 => safe!("{} is in the way", who(&tree.who, now)),
        _ => safe!("{} holds up {}{}", who(&tree.who, now), held_up, waits),
    };
    let mut finding = Finding::new("blocked-by-lock", severity, says);
    for lock in tree.holds.iter().take(3) {
        finding = finding.evidence(safe!("holds {} on {}", lock.mode, lock.on));
    }
    match &tree.who {
        LockOwner::Session(backend) => {
            if let Some(query) = &backend.query {
                let running = backend.state == crate::postgres::model::BackendState::Active;
                finding = finding.evidence(safe!("{} {}", if running { "runs" } else { "its last statement:" }, query.clipped(160)));
            }
            let end = safe!("if nothing of it is needed: SELECT pg_terminate_backend({}); which rolls its transaction back", backend.pid);
            finding.next(Hint::Try(end))
        }
        LockOwner::Prepared { transactions } => {
            for one in transactions.iter().take(3) {
                let age = units::duration(now.duration_since(one.prepared_at));
                finding = finding.evidence(safe!("{} of {} in {}, prepared {} ago", one.gid, one.owner, one.database, age));
            }
            finding.next(Hint::Try("COMMIT PREPARED or ROLLBACK PREPARED by its owner, in its database".into()))
        }
        LockOwner::Gone { .. } => finding,
    }
}

/// `4711 (celery-mail, shop_app), idle in transaction for 9m,`.
pub fn who(owner: &LockOwner, now: Timestamp) -> Safe {
    match owner {
        LockOwner::Prepared { transactions } if transactions.len() == 1 => "a prepared transaction".into(),
        LockOwner::Prepared { transactions } => safe!("one of {} prepared transactions", transactions.len()),
        LockOwner::Gone { pid } => safe!("session {}, gone by now,", *pid),
        LockOwner::Session(backend) => {
            let mut names: Vec<Safe> = backend.application.iter().chain(&backend.role).cloned().collect();
            names.extend(backend.asker.as_ref().map(super::super::statement::shown::Asker::says));
            if !backend.is_client() {
                names.insert(0, backend.kind.clone());
            }
            let names = if names.is_empty() { Safe::EMPTY } else { safe!(" ({})", Safe::join(&names, ", ")) };
            let since = backend.state_at.map(|at| safe!(" for {}", units::duration(now.duration_since(at)))).unwrap_or_default();
            safe!("session {}{}, {}{},", backend.pid, names, backend.state.says(), since)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::fixtures::{backend, server};
    use proptest::prelude::*;

    fn wait(pid: i32, blockers: &[i32]) -> RawWait {
        let wait =
            LockWait { on: "row of t".into(), mode: "ShareLock".into(), since: Some("2026-11-21T20:00:00Z".parse().expect("a time")) };
        RawWait { pid, blockers: blockers.to_vec(), wait: Some(wait) }
    }

    fn built(waits: Vec<RawWait>, backends: Vec<Backend>) -> LockFacts {
        trees(server(), SeenLocks { waits, backends, ..SeenLocks::default() })
    }

    /// `1(2(3) 4)`.
    fn drawn(node: &LockNode) -> String {
        let below: Vec<String> = node.blocks.iter().map(drawn).collect();
        if below.is_empty() { node.who.pid().to_string() } else { format!("{}({})", node.who.pid(), below.join(" ")) }
    }

    #[test]
    fn who_is_named_needs_nobody_that_waits() {
        let held = vec![(7, HeldLock { on: "public.stock".into(), mode: "AccessExclusiveLock".into() })];
        let seen = SeenLocks { held, backends: vec![backend(7), backend(8)], named: vec![7], ..SeenLocks::default() };
        let facts = trees(server(), seen);
        assert_eq!((facts.trees.len(), facts.waiting), (1, 0));
        let found = findings(&facts);
        assert_eq!(found[0].says.as_str(), "session 7 (web, app), active for 10m, is in the way");
        assert_eq!(found[0].evidence[0].as_str(), "holds AccessExclusiveLock on public.stock");
    }

    #[test]
    fn a_chain_hangs_below_its_head() {
        let facts = built(vec![wait(2, &[1]), wait(3, &[2, 1]), wait(4, &[1])], vec![backend(1)]);
        assert_eq!(facts.trees.iter().map(drawn).collect::<Vec<_>>(), ["1(2(3) 4)"]);
        assert_eq!((facts.waiting, facts.trees[0].held_up), (3, 3));
        assert_eq!(facts.trees[0].blocks[0].blocks[0].also_blocked_by, [1]);
    }

    #[test]
    fn workers_are_their_leader_and_repetitions_are_one() {
        let worker = |pid: i32, leader: i32| Backend { leader: Some(leader), ..backend(pid) };
        let facts =
            built(vec![wait(21, &[11, 11, 10]), wait(22, &[11])], vec![backend(10), worker(11, 10), worker(21, 20), worker(22, 20)]);
        assert_eq!(facts.trees.iter().map(drawn).collect::<Vec<_>>(), ["10(20)"]);
        // A leader is not held up by its own workers.
        assert!(built(vec![wait(21, &[22])], vec![worker(21, 20), worker(22, 20)]).trees.is_empty());
    }

    #[test]
    fn prepared_transactions_are_nobodys_session() {
        let facts = built(vec![wait(2, &[0])], vec![]);
        assert!(matches!(facts.trees[0].who, LockOwner::Prepared { .. }));
        assert_eq!(facts.trees[0].held_up, 1);
    }

    #[test]
    fn a_ring_is_drawn_once() {
        let facts = built(vec![wait(1, &[2]), wait(2, &[1])], vec![]);
        assert_eq!(facts.trees.iter().map(drawn).collect::<Vec<_>>(), ["1(2)"]);
    }

    #[test]
    fn the_sentence_names_the_holder() {
        let mut holder = backend(7);
        holder.state = crate::postgres::model::BackendState::IdleInTransaction;
        let found = findings(&built(vec![wait(2, &[7])], vec![holder]));
        let says = "session 7 (web, app), idle in transaction for 10m, holds up 1 session, the longest for 10m";
        assert_eq!((found[0].says.as_str(), found[0].severity), (says, Severity::Failed));
    }

    proptest! {
        #[test]
        fn whoever_waits_is_drawn_at_most_once(waits in proptest::collection::vec((1_i32..12, proptest::collection::vec(0_i32..12, 0..4)), 0..14)) {
            fn pids(node: &LockNode, into: &mut Vec<i32>) {
                into.push(node.who.pid());
                node.blocks.iter().for_each(|below| pids(below, into));
            }
            let facts = built(waits.iter().map(|(pid, blockers)| wait(*pid, blockers)).collect(), vec![]);
            let mut all = Vec::new();
            facts.trees.iter().for_each(|tree| pids(tree, &mut all));
            let count = all.len();
            all.sort_unstable();
            all.dedup();
            prop_assert_eq!(all.len(), count);
            prop_assert!(findings(&facts).len() == facts.trees.len());
        }
    }
}
