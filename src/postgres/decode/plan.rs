//! `EXPLAIN (FORMAT JSON)` of PostgreSQL 14 to 18 → [`Plan`]. Any combination of options is understood and unknown keys are kept. The text
//! is gone through once, without recursion: a plan may be nested deeper than a JSON parser likes, and have thousands of nodes.

use super::{
    node::{KeyOrder, NodePlace, PlanFields, SafeTexts, members, node, words},
    pass::{JsonPass, number_of},
    saved,
};
use crate::{
    error::{Error, Kind, Result},
    postgres::model::{Jit, NodeId, Plan, PlanNode, Trigger},
    text::{Redactor, Safe},
};
use serde_json::Value;
use std::{borrow::Cow, collections::BTreeMap};

/// More nodes than any planner makes.
const MOST_NODES: usize = 100_000;
/// More levels than any planner makes.
const DEEPEST: usize = 1_000;

/// Reads a plan as the server sends it (a list with one object), or as tools save it (the object alone, or in a list of one row).
///
/// # Errors
/// `Protocol` where it is no plan; the sentence says what it is instead.
pub fn plan(text: &str, redact: &Redactor) -> Result<Plan> {
    let body = saved::unwrapped(text)?;
    let mut pass = JsonPass::new(&body);
    let mut lists = 0_usize;
    // pgAdmin and auto_explain save the object; some clients save rows of it: [{"QUERY PLAN": [...]}].
    let top = loop {
        while pass.peek() == Some(b'[') && lists < 2 {
            lists += 1;
            pass.expect(b'[')?;
            if !pass.element()? {
                return Err(fail("an empty list".into()));
            }
        }
        match top(&mut pass, redact)? {
            Top::Row => {}
            Top::Plan(plan) => break plan,
        }
    };
    // What follows (the footer of a listing, another plan) is not looked at, but a list that breaks off is no whole file.
    if lists > 0 && !matches!(pass.peek(), Some(b']' | b',')) {
        return Err(pass.broken());
    }
    Ok(*top)
}

fn fail(what: Safe) -> Error {
    Error::new(Kind::Protocol, "reading a plan").what(what)
}

enum Top {
    /// The object is a row of a listing, whose value comes next.
    Row,
    /// The whole plan.
    Plan(Box<Plan>),
}

/// The object that holds the plan.
fn top<'t>(pass: &mut JsonPass<'t>, redact: &'t Redactor) -> Result<Top> {
    pass.expect(b'{')?;
    let mut nodes = None;
    let mut rest: BTreeMap<Cow<'_, str>, &str> = BTreeMap::new();
    while let Some(key) = pass.member()? {
        match key.as_ref() {
            "Plan" => nodes = Some(tree(pass, redact)?),
            "QUERY PLAN" if nodes.is_none() && pass.peek() == Some(b'[') => return Ok(Top::Row),
            _ => {
                rest.insert(key, pass.value()?);
            }
        }
    }
    let nodes = nodes.ok_or_else(|| fail("JSON, but no plan: it has no key \"Plan\"".into()))?;
    let mut number = |key: &str| match rest.get(key).copied().and_then(number_of) {
        Some(n) => rest.remove(key).map(|_| n),
        None => None,
    };
    let (planning_ms, execution_ms) = (number("Planning Time"), number("Execution Time"));
    let mut object = |key: &str| rest.remove(key).map(|raw| serde_json::from_str::<Value>(raw).unwrap_or_default());
    let (triggers, jit) = (object("Triggers"), object("JIT"));
    let serialization_ms = object("Serialization").and_then(|s| s.get("Time").and_then(Value::as_f64));
    let planning_buffers = rest.remove("Planning").and_then(|raw| members(&mut JsonPass::new(raw)).ok()?.buffers());
    let settings = rest.remove("Settings").and_then(|raw| settings(raw, redact).ok()).unwrap_or_default();
    Ok(Top::Plan(Box::new(Plan {
        nodes,
        planning_ms,
        execution_ms,
        planning_buffers,
        triggers: triggers.as_ref().map(self::triggers).unwrap_or_default(),
        jit: jit.as_ref().and_then(self::jit),
        serialization_ms,
        settings,
        other: rest.into_iter().map(|(key, raw)| (key.into_owned(), redact.safe(words(raw).as_bytes()))).collect(),
    })))
}

/// A node whose members are being read.
struct OpenNode<'t> {
    id: NodeId,
    children: Vec<NodeId>,
    fields: PlanFields<'t>,
}

/// The tree that is being read. A node is finished when its object ends: its own members may stand before and after those below it.
#[derive(Default)]
struct Growing<'t> {
    /// In the order of the text form; those that are not finished are missing.
    nodes: Vec<Option<PlanNode>>,
    /// The way from the root to the node that is being read; what is behind it is kept to be used again.
    way: Vec<OpenNode<'t>>,
    /// How long the way is.
    depth: usize,
}

impl<'t> Growing<'t> {
    /// The object that comes next is a node, below the one that is being read.
    fn open(&mut self, pass: &mut JsonPass<'t>) -> Result<()> {
        if pass.peek() != Some(b'{') {
            return Err(if pass.value().is_ok() { fail("a node is no JSON object".into()) } else { pass.broken() });
        }
        pass.expect(b'{')?;
        if self.depth > DEEPEST || self.nodes.len() >= MOST_NODES {
            return Err(fail("more nodes than any planner makes".into()));
        }
        let id = NodeId(self.nodes.len());
        self.nodes.push(None);
        if let Some(above) = self.depth.checked_sub(1).and_then(|at| self.way.get_mut(at)) {
            above.children.push(id);
        }
        match self.way.get_mut(self.depth) {
            Some(used) => used.id = id,
            None => self.way.push(OpenNode { id, children: Vec::new(), fields: PlanFields::new() }),
        }
        self.depth += 1;
        Ok(())
    }

    /// Its object has ended.
    fn close(&mut self, texts: &mut SafeTexts<'t>) -> Result<()> {
        self.depth -= 1;
        let parent = self.depth.checked_sub(1).and_then(|at| self.way.get(at)).map(|above| above.id);
        if let Some(ended) = self.way.get_mut(self.depth) {
            let place = NodePlace { parent, children: std::mem::take(&mut ended.children), depth: self.depth };
            self.nodes[ended.id.0] = Some(node(&mut ended.fields, place, texts)?);
        }
        Ok(())
    }
}

fn tree<'t>(pass: &mut JsonPass<'t>, redact: &'t Redactor) -> Result<Vec<PlanNode>> {
    let mut growing = Growing::default();
    let (mut order, mut texts) = (KeyOrder::new(), SafeTexts::new(redact));
    growing.open(pass)?;
    while let Some(at) = growing.depth.checked_sub(1) {
        match pass.member()? {
            Some(key) if key == "Plans" && pass.peek() == Some(b'[') => {
                pass.expect(b'[')?;
                if pass.element()? {
                    growing.open(pass)?;
                }
            }
            Some(key) => growing.way[at].fields.add(key, pass.value()?, &mut order),
            None => {
                growing.close(&mut texts)?;
                // What comes next is a sibling, or the rest of the node above.
                if growing.depth > 0 && pass.element()? {
                    growing.open(pass)?;
                }
            }
        }
    }
    growing.nodes.into_iter().collect::<Option<Vec<_>>>().ok_or_else(|| pass.broken())
}

fn settings(raw: &str, redact: &Redactor) -> Result<BTreeMap<String, Safe>> {
    let mut pass = JsonPass::new(raw);
    pass.expect(b'{')?;
    let mut all = BTreeMap::new();
    while let Some(name) = pass.member()? {
        all.insert(name.into_owned(), redact.safe(words(pass.value()?).as_bytes()));
    }
    Ok(all)
}

/// A number; the server may write it as text in other formats, so both are read.
fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok()).filter(|n: &f64| n.is_finite())
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
