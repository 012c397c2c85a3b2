//! Indexes that a plan itself asks for: a scan, or a join, that reads far more than it keeps, by a condition that an index can serve.

use super::condition::{Compared, Terms, order, terms};
use crate::{
    postgres::{
        analyze::{explain::Judged, words},
        model::{NodeId, Plan, PlanNode, Relationship, TableFacts},
        rules::Impact,
    },
    safe,
    text::Safe,
};

/// Of what is read; where more is kept, a full read is often the best plan.
const KEPT_SHARE: f64 = 0.1;
/// What is read in all; below, nobody feels the difference.
const FEWEST_ROWS: f64 = 10_000.0;
/// More columns make an index that serves one statement only.
const MOST_COLUMNS: usize = 3;

/// An index that would serve a node's condition.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// The node.
    pub node: NodeId,
    /// The schema, where the plan says it.
    pub schema: Option<Safe>,
    /// The table.
    pub relation: Safe,
    /// Columns compared for equality, and whether each was read as text.
    pub equal: Vec<(Safe, bool)>,
    /// The column compared with a range.
    pub range: Option<(Safe, bool)>,
    /// The order in which the rows are wanted, where a limit wants only the first; and whether descending.
    pub order: Vec<(Safe, bool)>,
    /// Rows read, over all loops.
    pub read: f64,
    /// Rows kept of them.
    pub kept: f64,
    /// Parts of the condition that no index serves.
    pub unserved: usize,
}

/// The candidates of a plan's causes, the weightiest cause first.
pub fn candidates(judged: &Judged) -> Vec<Candidate> {
    let plan = &judged.plan;
    let mut found: Vec<Candidate> = Vec::new();
    for cause in judged.meaning.causes.iter().filter(|c| c.impact >= Impact::Medium) {
        for id in cause.nodes.iter().copied().chain(scans_below(plan, cause.codes.as_slice(), &cause.nodes)) {
            if let Some(candidate) = of_node(plan, id).filter(|c| !found.iter().any(|f| f.node == c.node)) {
                found.push(candidate);
            }
        }
    }
    found
}

/// The full reads inside of a subquery that is run for every row.
fn scans_below(plan: &Plan, codes: &[&str], nodes: &[NodeId]) -> Vec<NodeId> {
    if !codes.contains(&"subquery-per-row") {
        return Vec::new();
    }
    let mut open: Vec<NodeId> = nodes.to_vec();
    let mut scans = Vec::new();
    while let Some(id) = open.pop() {
        let Some(node) = plan.nodes.get(id.0) else { continue };
        if node.kind == "Seq Scan" {
            scans.push(id);
        }
        open.extend(node.children.iter().copied());
    }
    scans
}

fn of_node(plan: &Plan, id: NodeId) -> Option<Candidate> {
    let node = plan.nodes.get(id.0).filter(|n| n.ran())?;
    let alias = node.alias.clone().or_else(|| node.relation.clone())?;
    let parent = node.parent.and_then(|p| plan.nodes.get(p.0));
    let text = |node: &PlanNode, name: &str| node.expression(name).cloned();
    let (conditions, keeps) = match node.kind.as_str() {
        "Seq Scan" => match parent.filter(|p| p.kind == "Nested Loop" && node.relationship == Relationship::Inner) {
            // Read again for each row of the other side: the pairs are what is read and thrown away.
            Some(join) => (vec![text(join, "Join Filter"), text(node, "Filter")], join),
            None => (vec![text(node, "Filter")], node),
        },
        "Index Scan" => (vec![text(node, "Index Cond"), text(node, "Filter")], node),
        "Bitmap Heap Scan" => (vec![text(node, "Recheck Cond"), text(node, "Filter")], node),
        _ => return None,
    };
    let (read, kept) = (read(node)?, words::kept(keeps)?.most);
    if read < FEWEST_ROWS || kept > KEPT_SHARE * read {
        return None;
    }
    let mut all = Terms::default();
    for condition in conditions.into_iter().flatten() {
        let Terms { served, unserved } = terms(&condition, &alias);
        all.served.extend(served);
        all.unserved += unserved;
    }
    let of = |compared| {
        let mut columns: Vec<(Safe, bool)> = Vec::new();
        for term in all.served.iter().filter(|t| t.compared == compared) {
            let column = Safe::name(&term.column);
            if !columns.iter().any(|(c, _)| *c == column) {
                columns.push((column, term.as_text));
            }
        }
        columns
    };
    let equal = of(Compared::Equal);
    let mut ranges = of(Compared::Range);
    ranges.retain(|(column, _)| !equal.iter().any(|(c, _)| c == column));
    // Of a range alone, beside parts that nothing serves, it is not known how much it would keep; nor of two.
    if equal.is_empty() && (all.unserved > 0 || ranges.len() != 1) {
        return None;
    }
    let range = ranges.into_iter().next();
    let order = if range.is_none() { wanted_order(plan, node, &alias) } else { Vec::new() };
    let relation = node.relation.clone()?;
    Some(Candidate { node: id, schema: node.schema.clone(), relation, equal, range, order, read, kept, unserved: all.unserved })
}

/// What a scan read: what it kept and what it threw away.
fn read(node: &PlanNode) -> Option<f64> {
    let actual = node.actual?;
    Some((actual.rows + node.removed.by_filter) * actual.loops)
}

/// The order of a sort right above, where a limit wants only its first rows.
fn wanted_order(plan: &Plan, node: &PlanNode, alias: &str) -> Vec<(Safe, bool)> {
    let above = |n: &PlanNode| n.parent.and_then(|p| plan.nodes.get(p.0));
    let sort = above(node).filter(|p| p.kind == "Sort");
    let limited = sort.and_then(above).is_some_and(|p| p.kind == "Limit");
    match sort.filter(|_| limited).and_then(|s| s.expression("Sort Key")) {
        Some(keys) => order(keys, alias).into_iter().map(|(column, down)| (Safe::name(column), down)).collect(),
        None => Vec::new(),
    }
}

impl Candidate {
    /// Its columns in order: equality first, the most telling first; then one range, or the order. None where they tell too little, or
    /// where a column that is read as text is no text.
    pub fn ranked(&self, table: Option<&TableFacts>) -> Option<Vec<Safe>> {
        let distinct = |column: &Safe| table.and_then(|t| t.distinct(column));
        let all = || self.equal.iter().chain(&self.range);
        if all().any(|(column, as_text)| *as_text && table.and_then(|t| t.is_text(column)) == Some(false)) {
            return None;
        }
        let mut equal: Vec<Safe> = self.equal.iter().map(|(c, _)| c.clone()).collect();
        equal.sort_by(|a, b| distinct(b).unwrap_or(0.0).total_cmp(&distinct(a).unwrap_or(0.0)));
        if self.range.is_none() && self.kept_by_equality(table).is_some_and(|kept| kept > KEPT_SHARE) {
            return None;
        }
        let rest = self.range.iter().map(|(c, _)| c.clone()).chain(self.order.iter().map(|(c, _)| c.clone()));
        let mut columns: Vec<Safe> = Vec::new();
        for column in equal.into_iter().chain(rest) {
            if columns.len() < MOST_COLUMNS && !columns.contains(&column) {
                columns.push(column);
            }
        }
        (!columns.is_empty()).then_some(columns)
    }

    /// The share of the rows that its equality columns keep, where that is known. Columns are taken for independent, as the planner does
    /// without better knowledge.
    pub fn kept_by_equality(&self, table: Option<&TableFacts>) -> Option<f64> {
        let shares = self.equal.iter().map(|(column, _)| table?.distinct(column).map(|n| 1.0 / n.max(1.0)));
        shares.product::<Option<f64>>().filter(|_| !self.equal.is_empty())
    }

    /// `CREATE INDEX CONCURRENTLY ON shop_orderitem (product_id);`
    pub fn statement(&self, columns: &[Safe]) -> Safe {
        safe!("CREATE INDEX CONCURRENTLY ON {} ({});", self.table(), self.columns(columns))
    }

    /// The same without building it, for hypopg.
    pub fn hypothetical(&self, columns: &[Safe]) -> Safe {
        safe!("CREATE INDEX ON {} ({})", self.table(), self.columns(columns))
    }

    fn table(&self) -> Safe {
        match self.schema.as_ref().filter(|s| s.as_str() != "public") {
            Some(schema) => safe!("{}.{}", quoted(schema), quoted(&self.relation)),
            None => quoted(&self.relation),
        }
    }

    fn columns(&self, columns: &[Safe]) -> Safe {
        let down = |column: &Safe| self.order.iter().any(|(c, down)| c == column && *down) && !self.equal.iter().any(|(c, _)| c == column);
        let parts: Vec<Safe> = columns.iter().map(|c| if down(c) { safe!("{} DESC", quoted(c)) } else { quoted(c) }).collect();
        Safe::join(&parts, ", ")
    }
}

/// A name as SQL wants it. Words of SQL are quoted too: some would be taken for what they are.
fn quoted(name: &Safe) -> Safe {
    let plain = name.chars().next().is_some_and(|c| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && !RESERVED.contains(&name.as_str());
    if plain { name.clone() } else { safe!("\"{}\"", Safe::name(name.replace('"', "\"\""))) }
}

/// Words that name no column without quotes.
const RESERVED: [&str; 50] = [
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "both",
    "case",
    "cast",
    "check",
    "collate",
    "column",
    "constraint",
    "create",
    "default",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "false",
    "fetch",
    "for",
    "foreign",
    "from",
    "grant",
    "group",
    "having",
    "in",
    "into",
    "limit",
    "not",
    "null",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "primary",
    "references",
    "select",
    "table",
    "then",
    "to",
    "user",
    "where",
    "with",
];
