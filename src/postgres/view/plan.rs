//! The tree of a plan: what takes the time in full, the rest folded. Figures stand in columns beside it.

use crate::{
    postgres::{
        analyze::{
            explain::Judged,
            times::Approximation,
            weights::Weights,
            words::{bare, label, rows, time},
        },
        model::{Actual, Buffers, NodeId, PlanNode, Relationship},
        rules::Impact,
    },
    report::{Branch, Cell, Doc, Line, Look, Style, Tree, bar},
    safe,
    text::{Safe, SafeBuf, units},
};

/// A part of the whole from which on a node is shown, and its conditions with it.
const SHOWN: f64 = 0.01;
/// Plans up to this size are shown whole.
const SMALL: usize = 12;
/// Nodes that are shown for their weight, at most; those above them come with them.
const MOST: usize = 30;
const BLOCK: u64 = 8_192;
/// A terminal that is narrower gets shorter bars.
const WIDE: usize = 96;

/// Draws the tree. `full` folds nothing.
pub(super) fn tree(judged: &Judged, look: &Look, full: bool, doc: &mut Doc) {
    let drawing = Drawing::of(judged, look, full);
    let mut head = vec![Cell::right(Style::Dim, if drawing.timed { "SELF" } else { "COST" })];
    if drawing.timed {
        head.push(Cell::left(Style::Dim, "SHARE"));
    }
    head.push(Cell::right(Style::Dim, if drawing.ran { "ROWS est → real" } else { "ROWS" }));
    if drawing.buffered {
        head.push(Cell::right(Style::Dim, "BUFFERS"));
    }
    head.push(Cell::left(Style::Dim, "NODE"));
    doc.tree(Tree { head, rows: drawing.rows() });
    drawing.footnotes(doc);
}

struct Drawing<'j> {
    judged: &'j Judged,
    weights: Weights,
    shown: Vec<bool>,
    /// Which nodes a cause of some weight is about.
    told: Vec<bool>,
    timed: bool,
    ran: bool,
    buffered: bool,
    bars: usize,
    full: bool,
}

impl<'j> Drawing<'j> {
    fn of(judged: &'j Judged, look: &Look, full: bool) -> Self {
        let plan = &judged.plan;
        let weights = Weights::of(plan, &judged.own);
        let shown = shown(judged, &weights, full);
        let mut told = vec![false; plan.nodes.len()];
        for node in judged.meaning.causes.iter().filter(|c| c.impact >= Impact::Medium).flat_map(|c| &c.nodes) {
            if let Some(told) = told.get_mut(node.0) {
                *told = true;
            }
        }
        Self {
            timed: weights.timed,
            ran: plan.nodes.iter().any(|n| n.actual.is_some()),
            buffered: plan.nodes.iter().any(|n| n.buffers.is_some()),
            bars: if look.width >= WIDE { 10 } else { 5 },
            full,
            judged,
            weights,
            shown,
            told,
        }
    }

    fn rows(&self) -> Vec<Branch> {
        let nodes = &self.judged.plan.nodes;
        let mut rows = Vec::new();
        // Each entry: a node that is shown, or the children of one that are folded together.
        let mut open: Vec<Entry> = (!nodes.is_empty()).then_some(Entry::Node(NodeId(0))).into_iter().collect();
        while let Some(entry) = open.pop() {
            match entry {
                Entry::Folded(depth, folded) => rows.push(self.fold(depth, &folded)),
                Entry::Node(id) => {
                    let Some(node) = nodes.get(id.0) else { continue };
                    self.node(id, node, &mut rows);
                    let (kept, folded): (Vec<_>, Vec<_>) = node.children.iter().partition(|c| self.is_shown(**c));
                    if !folded.is_empty() {
                        open.push(Entry::Folded(node.depth + 1, folded));
                    }
                    open.extend(kept.into_iter().rev().map(Entry::Node));
                }
            }
        }
        rows
    }

    fn is_shown(&self, id: NodeId) -> bool {
        self.shown.get(id.0).copied().unwrap_or(false)
    }

    fn fold(&self, depth: usize, folded: &[NodeId]) -> Branch {
        let count: usize = folded.iter().filter_map(|c| self.weights.nodes.get(c.0)).sum();
        let weight: f64 = folded.iter().filter_map(|c| self.weights.below.get(c.0)).sum();
        let never = folded.iter().filter_map(|c| self.judged.plan.nodes.get(c.0)).all(|n| self.ran && !n.ran());
        let what = match (never, self.timed) {
            (true, _) => ", never executed".into(),
            (false, true) => safe!(", {}", time(weight)),
            (false, false) => Safe::EMPTY,
        };
        let text = safe!("… {}{} (--full)", units::plural(count, "more node", "more nodes"), what);
        Branch { cells: Vec::new(), depth, node: true, text: Line::new().with(Style::Dim, text) }
    }

    fn node(&self, id: NodeId, node: &PlanNode, drawn: &mut Vec<Branch>) {
        let part = self.part(id);
        let never = self.ran && !node.ran();
        let style = match () {
            () if never => Style::Dim,
            () if self.timed && part >= 0.4 => Style::Bad,
            () if self.timed && part >= 0.1 => Style::Warn,
            () => Style::Plain,
        };
        let mut text = Line::new();
        if let Some(name) = &node.subplan {
            text.push(Style::Strong, &safe!("{}: ", name));
        }
        text.push(style, &label(node));
        if let Some(workers) = node.workers {
            let says = match workers.launched {
                Some(launched) => safe!("  {} of {} workers", launched, workers.planned),
                None => safe!("  {}", units::plural(workers.planned as usize, "worker", "workers")),
            };
            text.push(Style::Dim, &says);
        }
        if node.disabled {
            text.fixed(Style::Dim, "  disabled by a setting");
        }
        if never {
            text.fixed(Style::Dim, "  never executed");
        }
        drawn.push(Branch { cells: self.cells(id, node, style), depth: node.depth, node: true, text });

        let told = self.told.get(id.0).copied().unwrap_or(false);
        let detail = self.full || told || part >= if self.timed { 0.05 } else { 0.2 };
        let mut more = |cell: Option<Safe>, text: Safe| {
            let mut cells: Vec<Cell> = Vec::new();
            if let Some(cell) = cell {
                cells.resize_with(if self.timed { 2 } else { 1 }, || Cell::left(Style::Plain, Safe::EMPTY));
                cells.push(Cell::right(Style::Warn, cell));
            }
            drawn.push(Branch { cells, depth: node.depth, node: false, text: Line::new().with(Style::Dim, text) });
        };
        let removed = removed(node);
        let mut lines = if detail { details(node, self.full) } else { Vec::new() }.into_iter();
        match removed.filter(|n| *n >= 1.0 && (detail || *n >= 1_000.0)) {
            Some(n) => more(Some(safe!("removed {}", rows(n))), lines.next().unwrap_or_default()),
            None => lines.by_ref().take(1).for_each(|line| more(None, line)),
        }
        lines.for_each(|line| more(None, line));
    }

    /// A node's part of the whole.
    fn part(&self, id: NodeId) -> f64 {
        let whole = match self.timed {
            true => self.judged.meaning.total_ms.unwrap_or_else(|| self.weights.whole()),
            false => self.weights.whole(),
        };
        self.weights.own.get(id.0).copied().unwrap_or(0.0) / whole.max(f64::MIN_POSITIVE)
    }

    fn cells(&self, id: NodeId, node: &PlanNode, style: Style) -> Vec<Cell> {
        let own = self.judged.own.nodes.get(id.0);
        let mut cells = Vec::new();
        if self.timed {
            let part = self.part(id);
            let about = own.is_some_and(|o| o.approximate.is_some_and(|a| a != Approximation::Rounding));
            let ms = own.and_then(|o| o.own_ms).filter(|_| node.ran()).map_or("–".into(), |ms| match about {
                true => safe!("≈ {}", time(ms)),
                false => time(ms),
            });
            cells.push(Cell::right(style, ms));
            let percent = if node.ran() { whole_percent(part) } else { Safe::EMPTY };
            let mut share = SafeBuf::new();
            for _ in percent.chars().count()..if node.ran() { 4 } else { 0 } {
                share.push_fixed(" ");
            }
            share.push(&percent);
            share.push_fixed(" ");
            share.push(&bar(part, self.bars));
            cells.push(Cell::left(style, share.into_safe()));
        } else {
            cells.push(Cell::right(style, rows(node.total_cost)));
        }
        cells.push(Cell::right(if far_off(node) { Style::Warn } else { Style::Plain }, self.row_count(node)));
        if self.buffered {
            let read = own.and_then(|o| o.own_buffers).map(blocks).filter(|n| *n > 0);
            cells.push(Cell::right(Style::Plain, read.map_or("–".into(), |n| units::bytes(n * BLOCK))));
        }
        cells
    }

    /// `1 204 → 1 187`, `1 → 1 × 1 187`.
    fn row_count(&self, node: &PlanNode) -> Safe {
        let expected = rows(node.plan_rows);
        let Some(actual) = node.actual else { return expected };
        let mut says = SafeBuf::from(expected);
        says.push_fixed(" → ");
        match actual.loops {
            0.0 => says.push_fixed("–"),
            _ => says.push(&came(actual)),
        }
        if actual.loops > 1.0 {
            says.push_fixed(" × ");
            says.push(&rows(actual.loops));
        }
        says.into_safe()
    }

    fn footnotes(&self, doc: &mut Doc) {
        let shown = |i: &usize| self.is_shown(NodeId(*i));
        let mut said: Vec<&str> = Vec::new();
        for (_, own) in self.judged.own.nodes.iter().enumerate().filter(|(i, _)| shown(i)) {
            if let Some(why) =
                own.approximate.filter(|a| *a != Approximation::Rounding).map(Approximation::says).filter(|s| !said.contains(s))
            {
                said.push(why);
                doc.wrapped(Line::new().with(Style::Dim, safe!("≈ {}", Safe::from(why))), 2);
            }
        }
    }
}

enum Entry {
    Node(NodeId),
    Folded(usize, Vec<NodeId>),
}

/// Which nodes are shown: those with weight, those that a cause is about, and what stands above either.
fn shown(judged: &Judged, weights: &Weights, full: bool) -> Vec<bool> {
    let nodes = &judged.plan.nodes;
    if full || nodes.len() <= SMALL {
        return vec![true; nodes.len()];
    }
    let whole = weights.whole();
    let mut heavy: Vec<usize> = (0..nodes.len()).filter(|i| weights.own[*i] >= SHOWN * whole).collect();
    heavy.sort_by(|a, b| weights.own[*b].total_cmp(&weights.own[*a]));
    heavy.truncate(MOST);
    let told = judged.meaning.causes.iter().take(MOST).flat_map(|c| c.nodes.iter().map(|n| n.0));
    let mut shown = vec![false; nodes.len()];
    for start in heavy.into_iter().chain(told).chain([0]) {
        let mut at = Some(NodeId(start));
        while let Some(id) = at.filter(|id| !shown[id.0]) {
            shown[id.0] = true;
            at = nodes[id.0].parent;
        }
    }
    // A fold takes a line, so what it would hide alone is shown instead.
    for i in 0..nodes.len() {
        let hidden: Vec<NodeId> = nodes[i].children.iter().copied().filter(|c| !shown[c.0]).collect();
        if let [one] = hidden.as_slice()
            && shown[i]
            && nodes[one.0].children.is_empty()
        {
            shown[one.0] = true;
        }
    }
    shown
}

/// Rows of a mean that was rounded: none of many loops is not none.
fn came(actual: Actual) -> Safe {
    match actual.rows {
        n if n < 0.5 && actual.loops > 1.0 => "< 1".into(),
        n => rows(n),
    }
}

/// Rows thrown away, per loop.
fn removed(node: &PlanNode) -> Option<f64> {
    let all = node.removed.by_filter + node.removed.by_join_filter + node.removed.by_recheck;
    (node.ran() && all > 0.0).then_some(all)
}

/// Whether the planner was wrong by a factor of ten, and it was not a matter of a few rows.
fn far_off(node: &PlanNode) -> bool {
    let Some(actual) = node.actual.filter(|a| a.loops > 0.0 && a.rows >= 1.0) else { return false };
    let (most, least) = (actual.rows.max(node.plan_rows), actual.rows.min(node.plan_rows));
    most - least >= 100.0 && most >= 10.0 * least.max(1.0)
}

/// Percent without decimals, `<1 %` for what is there.
fn whole_percent(part: f64) -> Safe {
    match part * 100.0 {
        p if p > 0.0 && p < 0.5 => "<1 %".into(),
        p => safe!("{:.0} %", p.clamp(0.0, 100.0)),
    }
}

fn blocks(buffers: Buffers) -> u64 {
    let of = |counts: crate::postgres::model::BlockCounts| counts.hit + counts.read;
    of(buffers.shared) + of(buffers.local)
}

/// Conditions, keys, and how it sorted, hashed and read.
fn details(node: &PlanNode, full: bool) -> Vec<Safe> {
    let mut lines: Vec<Safe> = Vec::new();
    let named = node.expressions.iter().filter(|e| e.name != "Output" || full);
    lines.extend(named.map(|e| {
        let mut line = SafeBuf::with_room(e.name.len() + 1 + e.text.len());
        line.push(&name_of(e.name));
        line.push_fixed(" ");
        match full {
            true => line.push(&e.text),
            false => line.push(&bare(&e.text).clipped(160)),
        }
        line.into_safe()
    }));
    let mut sorts: Vec<Safe> = Vec::new();
    for sort in &node.sorts {
        let place = if sort.on_disk { "disk" } else { "memory" };
        sorts.push(safe!("{}, {} {}", sort.method, units::bytes(sort.kilobytes << 10), place));
    }
    sorts.dedup();
    lines.extend(sorts);
    if let Some(hash) = node.hash.filter(|h| h.batches > 1 || h.disk_kb > 0) {
        let disk = if hash.disk_kb > 0 { safe!(", {} disk", units::bytes(hash.disk_kb << 10)) } else { Safe::EMPTY };
        lines.push(safe!("{} pieces, {} memory{}", hash.batches, units::bytes(hash.memory_kb << 10), disk));
    }
    if let Some(fetches) = node.heap_fetches.filter(|n| *n > 0) {
        lines.push(safe!("{} rows looked up in the table", rows(fetches as f64)));
    }
    if let Some(blocks) = node.heap_blocks.filter(|b| b.lossy > 0) {
        lines.push(safe!("{} blocks exact, {} lossy", units::count(blocks.exact), units::count(blocks.lossy)));
    }
    if let Some(io) = node.io.filter(|io| io.read_ms >= 1.0) {
        lines.push(safe!("{} of waiting for files, with what is below", time(io.read_ms)));
    }
    if let Some(temp) = node.buffers.map(|b| b.temp).filter(|t| full && t.written > 0) {
        lines.push(safe!("temporary files: {} written, {} read", units::bytes(temp.written * BLOCK), units::bytes(temp.read * BLOCK)));
    }
    if node.relationship == Relationship::SubPlan && node.subplan.is_none() {
        lines.push("run from an expression".into());
    }
    if full {
        let other = node.other.iter().filter(|(key, _)| key.as_str() != "Async Capable");
        lines.extend(other.map(|(key, value)| safe!("{} {}", Safe::name(key.to_lowercase()), value)));
    }
    lines
}

/// The names of conditions in the middle of a line.
fn name_of(key: &'static str) -> Safe {
    Safe::name(key.to_ascii_lowercase())
}
