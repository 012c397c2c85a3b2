//! `EXPLAIN (FORMAT JSON)` of PostgreSQL 14 to 18 → [`Plan`]. Any combination of options is understood and unknown keys are kept; a plan
//! may be nested deeper than a JSON parser likes, so the levels are read one by one.

use crate::{
    error::{Error, Kind, Result},
    postgres::{
        decode::saved,
        model::{
            Actual, BlockCounts, Buffers, Expression, HashUse, HeapBlocks, IoTime, Jit, NodeId, Plan, PlanNode, PlanWorker, Relationship,
            Removed, SortUse, Trigger, Workers,
        },
    },
    safe,
    text::{Redactor, Safe},
};
use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};
use std::collections::BTreeMap;

/// More nodes than any planner makes.
const MOST_NODES: usize = 100_000;
/// Levels; each is read again by the one above, so their number is bounded.
const DEEPEST: usize = 1_000;

/// The keys that hold conditions and sort, group or hash keys, in the order in which a reader wants them.
const EXPRESSIONS: [&str; 20] = [
    "Index Cond",
    "Recheck Cond",
    "TID Cond",
    "Hash Cond",
    "Merge Cond",
    "Join Filter",
    "Filter",
    "One-Time Filter",
    "Order By",
    "Sort Key",
    "Presorted Key",
    "Group Key",
    "Grouping Sets",
    "Hash Key",
    "Cache Key",
    "Function Call",
    "Table Function Call",
    "Conflict Filter",
    "Run Condition",
    "Output",
];

/// A level of the document. Keys are few and come in any order; children stay text until their turn.
#[derive(Deserialize)]
struct RawNode<'a> {
    #[serde(borrow, default, rename = "Plans")]
    plans: Option<Vec<&'a RawValue>>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Deserialize)]
struct RawPlan<'a> {
    #[serde(borrow, rename = "Plan")]
    plan: &'a RawValue,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// Reads a plan as the server sends it (a list with one object), or as tools save it (the object alone, or in a list of one row).
///
/// # Errors
/// `Protocol` where it is no plan; the sentence says what it is instead.
pub fn plan(text: &str, redact: &Redactor) -> Result<Plan> {
    let fail = |what: Safe| Error::new(Kind::Protocol, "reading a plan").what(what);
    let body = saved::json(text)?;
    let body = body.as_ref();
    let at = |e: &serde_json::Error| fail(safe!("no plan in JSON: line {}, column {}", e.line(), e.column()));
    let mut stream = if body.starts_with('[') {
        let list: Vec<&RawValue> = first(body).map_err(|e| at(&e))?;
        list.first().map(|first| first.get()).ok_or_else(|| fail("an empty list".into()))?
    } else {
        body
    };
    // pgAdmin and auto_explain save the object; some clients save rows of it: [{"QUERY PLAN": [...]}].
    if let Ok(row) = first::<RowOf<'_>>(stream)
        && let Ok(list) = serde_json::from_str::<Vec<&RawValue>>(row.plan.get())
        && let Some(inner) = list.first()
    {
        stream = inner.get();
    }
    let raw: RawPlan<'_> = first(stream).map_err(|e| match e.is_data() {
        true => fail("JSON, but no plan: it has no key \"Plan\"".into()),
        false => at(&e),
    })?;
    let nodes = nodes(raw.plan, redact)?;
    let mut rest = raw.rest;
    Ok(Plan {
        nodes,
        planning_ms: take(&mut rest, "Planning Time"),
        execution_ms: take(&mut rest, "Execution Time"),
        planning_buffers: rest.remove("Planning").and_then(|p| p.as_object().cloned()).and_then(|mut p| buffers(&mut p)),
        triggers: rest.remove("Triggers").map(|t| triggers(&t)).unwrap_or_default(),
        jit: rest.remove("JIT").as_ref().and_then(jit),
        serialization_ms: rest.remove("Serialization").and_then(|s| s.get("Time").and_then(Value::as_f64)),
        settings: rest.remove("Settings").and_then(|s| s.as_object().cloned()).map(|s| kept(s, redact)).unwrap_or_default(),
        other: kept(rest, redact),
    })
}

#[derive(Deserialize)]
struct RowOf<'a> {
    #[serde(borrow, rename = "QUERY PLAN")]
    plan: &'a RawValue,
}

/// The first value of a text; what follows it (the footer of a listing) is not looked at.
fn first<'a, T: Deserialize<'a>>(text: &'a str) -> serde_json::Result<T> {
    T::deserialize(&mut serde_json::Deserializer::from_str(text))
}

/// The tree, level by level, without recursion.
fn nodes(root: &RawValue, redact: &Redactor) -> Result<Vec<PlanNode>> {
    let fail = |what: Safe| Error::new(Kind::Protocol, "reading a plan").what(what);
    let mut done: Vec<PlanNode> = Vec::new();
    let mut open: Vec<(Option<NodeId>, &RawValue)> = vec![(None, root)];
    while let Some((parent, raw)) = open.pop() {
        let raw: RawNode<'_> = serde_json::from_str(raw.get()).map_err(|_| fail("a node is no JSON object".into()))?;
        let depth = parent.and_then(|p| done.get(p.0)).map_or(0, |p| p.depth + 1);
        if depth > DEEPEST || done.len() >= MOST_NODES {
            return Err(fail("more nodes than any planner makes".into()));
        }
        let id = NodeId(done.len());
        done.push(node(raw.rest, parent, depth, redact)?);
        if let Some(parent) = parent.and_then(|p| done.get_mut(p.0)) {
            parent.children.push(id);
        }
        // The last pushed is read next: reversed, so that nodes stand in the order of the text form.
        open.extend(raw.plans.into_iter().flatten().rev().map(|child| (Some(id), child)));
    }
    Ok(done)
}

fn node(mut map: Map<String, Value>, parent: Option<NodeId>, depth: usize, redact: &Redactor) -> Result<PlanNode> {
    let kind = text(&mut map, "Node Type").ok_or_else(|| Error::new(Kind::Protocol, "reading a plan").what("a node without its type"))?;
    let name = |map: &mut Map<String, Value>, key: &str| text(map, key).map(Safe::name);
    let relationship = match text(&mut map, "Parent Relationship").as_deref() {
        None => Relationship::Root,
        Some("Inner") => Relationship::Inner,
        Some("Member") => Relationship::Member,
        Some("Subquery") => Relationship::Subquery,
        Some("InitPlan") => Relationship::InitPlan,
        Some("SubPlan") => Relationship::SubPlan,
        Some(_) => Relationship::Outer,
    };
    let by_worker: Vec<PlanWorker>;
    let mut sorts: Vec<SortUse> = sort(&mut map, redact).into_iter().collect();
    let mut hash = hash_use(&mut map);
    match map.remove("Workers") {
        Some(Value::Array(list)) => {
            let mut parts = Vec::new();
            for mut worker in list.into_iter().filter_map(|w| if let Value::Object(map) = w { Some(map) } else { None }) {
                sorts.extend(sort(&mut worker, redact));
                // What a worker's hash table went to disk with counts like the leader's.
                if let Some(part) = hash_use(&mut worker) {
                    let all = hash.get_or_insert_default();
                    all.batches = all.batches.max(part.batches);
                    all.memory_kb = all.memory_kb.max(part.memory_kb);
                    all.disk_kb += part.disk_kb;
                }
                parts.push(PlanWorker {
                    number: take::<f64>(&mut worker, "Worker Number").unwrap_or(0.0) as u64,
                    actual: actual(&mut worker),
                });
            }
            by_worker = parts;
        }
        _ => by_worker = Vec::new(),
    }
    let expressions = EXPRESSIONS
        .iter()
        .filter_map(|key| map.remove(*key).map(|value| Expression { name: key, text: redact.safe(words(&value).as_bytes()) }))
        .collect();
    let exact = take(&mut map, "Exact Heap Blocks");
    let lossy = take(&mut map, "Lossy Heap Blocks");
    let count = |n: f64| n as u64;
    Ok(PlanNode {
        parent,
        children: Vec::new(),
        depth,
        relationship,
        subplan: name(&mut map, "Subplan Name"),
        kind,
        partial_mode: text(&mut map, "Partial Mode"),
        strategy: text(&mut map, "Strategy"),
        join_type: text(&mut map, "Join Type"),
        operation: text(&mut map, "Operation"),
        parallel_aware: flag(&mut map, "Parallel Aware"),
        disabled: flag(&mut map, "Disabled"),
        schema: name(&mut map, "Schema"),
        relation: name(&mut map, "Relation Name"),
        alias: name(&mut map, "Alias"),
        index: name(&mut map, "Index Name"),
        backward: text(&mut map, "Scan Direction").is_some_and(|d| d == "Backward"),
        cte: name(&mut map, "CTE Name"),
        function: name(&mut map, "Function Name"),
        expressions,
        startup_cost: take(&mut map, "Startup Cost").unwrap_or(0.0),
        total_cost: take(&mut map, "Total Cost").unwrap_or(0.0),
        plan_rows: take(&mut map, "Plan Rows").unwrap_or(0.0),
        plan_width: take(&mut map, "Plan Width").map_or(0, count),
        actual: actual(&mut map),
        removed: Removed {
            by_filter: take(&mut map, "Rows Removed by Filter").unwrap_or(0.0),
            by_join_filter: take(&mut map, "Rows Removed by Join Filter").unwrap_or(0.0),
            by_recheck: take(&mut map, "Rows Removed by Index Recheck").unwrap_or(0.0),
        },
        heap_fetches: take(&mut map, "Heap Fetches").map(count),
        heap_blocks: (exact.is_some() || lossy.is_some())
            .then(|| HeapBlocks { exact: exact.map_or(0, count), lossy: lossy.map_or(0, count) }),
        index_searches: take(&mut map, "Index Searches").map(count),
        sorts,
        hash,
        buffers: buffers(&mut map),
        io: io(&mut map),
        workers: take(&mut map, "Workers Planned")
            .map(|planned: f64| Workers { planned: count(planned), launched: take(&mut map, "Workers Launched").map(count) }),
        by_worker,
        other: kept(map, redact),
    })
}

/// A number out of the map; the server may write it as text in other formats, so both are read.
fn take<T: From<f64>>(map: &mut Map<String, Value>, key: &str) -> Option<T> {
    match map.get(key).and_then(number) {
        Some(n) => {
            map.remove(key);
            Some(n.into())
        }
        None => None,
    }
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok()).filter(|n: &f64| n.is_finite())
}

fn text(map: &mut Map<String, Value>, key: &str) -> Option<String> {
    match map.remove(key) {
        Some(Value::String(text)) => Some(text),
        Some(other) => {
            map.insert(key.to_owned(), other);
            None
        }
        None => None,
    }
}

fn flag(map: &mut Map<String, Value>, key: &str) -> bool {
    map.remove(key).and_then(|v| v.as_bool()).unwrap_or(false)
}

/// A value in words: a list is joined as the text form does.
fn words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(words).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

fn kept(map: Map<String, Value>, redact: &Redactor) -> BTreeMap<String, Safe> {
    map.into_iter().map(|(key, value)| (key, redact.safe(words(&value).as_bytes()))).collect()
}

fn actual(map: &mut Map<String, Value>) -> Option<Actual> {
    let loops = take(map, "Actual Loops")?;
    Some(Actual {
        startup_ms: take(map, "Actual Startup Time"),
        total_ms: take(map, "Actual Total Time"),
        rows: take(map, "Actual Rows").unwrap_or(0.0),
        loops,
    })
}

fn sort(map: &mut Map<String, Value>, redact: &Redactor) -> Option<SortUse> {
    let method = text(map, "Sort Method")?;
    let kilobytes = take::<f64>(map, "Sort Space Used").unwrap_or(0.0) as u64;
    Some(SortUse { method: redact.safe(method.as_bytes()), kilobytes, on_disk: text(map, "Sort Space Type").is_some_and(|t| t == "Disk") })
}

fn hash_use(map: &mut Map<String, Value>) -> Option<HashUse> {
    let batches: Option<f64> = take(map, "Hash Batches").or_else(|| take(map, "HashAgg Batches"));
    let disk: Option<f64> = take(map, "Disk Usage");
    if batches.is_none() && disk.is_none() {
        return None;
    }
    Some(HashUse {
        batches: batches.unwrap_or(0.0) as u64,
        original_batches: take::<f64>(map, "Original Hash Batches").map(|n| n as u64),
        memory_kb: take::<f64>(map, "Peak Memory Usage").unwrap_or(0.0) as u64,
        disk_kb: disk.unwrap_or(0.0) as u64,
    })
}

fn buffers(map: &mut Map<String, Value>) -> Option<Buffers> {
    let mut any = false;
    let mut blocks = |kind: &str, what: &str| {
        let n: Option<f64> = take(map, &format!("{kind} {what} Blocks"));
        any |= n.is_some();
        n.unwrap_or(0.0) as u64
    };
    let mut of = |kind: &str| BlockCounts {
        hit: blocks(kind, "Hit"),
        read: blocks(kind, "Read"),
        dirtied: blocks(kind, "Dirtied"),
        written: blocks(kind, "Written"),
    };
    let all = Buffers { shared: of("Shared"), local: of("Local"), temp: of("Temp") };
    any.then_some(all)
}

/// Up to 16 one pair for relations, from 17 on split by shared and local; 15 added the temporary files.
fn io(map: &mut Map<String, Value>) -> Option<IoTime> {
    let mut any = false;
    let mut sum = |keys: [&str; 3]| {
        keys.iter().filter_map(|key| take::<f64>(map, key)).fold(0.0, |all, ms| {
            any = true;
            all + ms
        })
    };
    let all = IoTime {
        read_ms: sum(["I/O Read Time", "Shared I/O Read Time", "Local I/O Read Time"]),
        write_ms: sum(["I/O Write Time", "Shared I/O Write Time", "Local I/O Write Time"]),
        temp_read_ms: sum(["Temp I/O Read Time", "", ""]),
        temp_write_ms: sum(["Temp I/O Write Time", "", ""]),
    };
    any.then_some(all)
}

fn triggers(value: &Value) -> Vec<Trigger> {
    let name = |t: &Value, key: &str| t.get(key).and_then(Value::as_str).map(Safe::name);
    let of = |t: &Value| {
        Some(Trigger {
            name: name(t, "Trigger Name").or_else(|| name(t, "Constraint Name"))?,
            relation: name(t, "Relation").unwrap_or_default(),
            ms: t.get("Time").and_then(number).unwrap_or(0.0),
            calls: t.get("Calls").and_then(number).unwrap_or(0.0),
        })
    };
    value.as_array().into_iter().flatten().filter_map(of).collect()
}

fn jit(value: &Value) -> Option<Jit> {
    let timing = value.get("Timing");
    // Where only the parts are there (a worker's), they are added up.
    let total = timing.and_then(|t| t.get("Total")).and_then(number);
    Some(Jit { functions: value.get("Functions").and_then(number)? as u64, total_ms: total })
}
