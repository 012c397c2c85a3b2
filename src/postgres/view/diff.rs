//! Two plans side by side: what got worse first.

use crate::{
    postgres::analyze::{
        diff::{NodeChange, NodeFigures, PlanDiff, Trend},
        words::{rows, time},
    },
    report::{Cell, Doc, Line, Style, Table},
    safe,
    text::{Safe, units},
};

/// Nodes that are shown unless all are wanted.
const MOST: usize = 12;

pub(super) fn diff(diff: &PlanDiff, from: &Safe, full: bool, doc: &mut Doc) {
    let (word, style) = match diff.trend {
        Trend::Better => ("BETTER   ", Style::Good),
        Trend::Same => ("SAME     ", Style::Strong),
        Trend::Worse => ("WORSE    ", Style::Bad),
    };
    doc.wrapped(Line::new().with(style, word).with(Style::Strong, diff.says.clone()).with(Style::Dim, safe!("  (before: {})", from)), 9);
    if diff.changes.is_empty() {
        return;
    }
    doc.gap();
    let head = |text: &'static str| Cell::right(Style::Dim, text);
    let mut table =
        Table { head: vec![head("CHANGE"), head("SELF"), head("ROWS"), head("BUFFERS"), Cell::left(Style::Dim, "NODE")], rows: Vec::new() };
    let shown = if full { diff.changes.len() } else { MOST };
    // What got worse stands at the front, what got better at the end: both ends are shown.
    let (front, end) = match diff.changes.len() {
        n if n <= shown => (n, n),
        n => (shown - shown / 3, n - shown / 3),
    };
    table.rows.extend(diff.changes.iter().take(front).map(row));
    table.rows.extend(diff.changes.iter().skip(end).map(row));
    doc.table(table);
    if end > front {
        let text = safe!("… {} with smaller changes (--full)", units::plural(end - front, "more node", "more nodes"));
        doc.line(Line::new().with(Style::Dim, text));
    }
}

fn row(change: &NodeChange) -> Vec<Cell> {
    let ms = change.delta_ms();
    let style = match () {
        () if ms >= 1.0 => Style::Bad,
        () if ms <= -1.0 => Style::Good,
        () => Style::Plain,
    };
    let delta = match ms {
        ms if ms.abs() < 0.005 => Safe::EMPTY,
        ms if ms > 0.0 => safe!("+{}", time(ms)),
        ms => safe!("−{}", time(-ms)),
    };
    let pair = |of: &dyn Fn(&NodeFigures) -> Option<Safe>| {
        let side = |side: &Option<NodeFigures>| side.as_ref().and_then(of);
        match (side(&change.before), side(&change.after)) {
            (None, None) => Safe::EMPTY,
            (Some(before), Some(after)) if before == after => before,
            (before, after) => safe!("{} → {}", before.unwrap_or_else(|| "–".into()), after.unwrap_or_else(|| "–".into())),
        }
    };
    let node = match (&change.before, &change.after) {
        (Some(before), Some(after)) if before.says == after.says => after.says.clone(),
        (Some(before), Some(after)) => safe!("{} → {}", before.says, after.says),
        (Some(before), None) => safe!("gone: {}", before.says),
        (None, Some(after)) => safe!("new: {}", after.says),
        (None, None) => Safe::EMPTY,
    };
    vec![
        Cell::right(style, delta),
        Cell::right(Style::Plain, pair(&|f| f.own_ms.map(time))),
        Cell::right(Style::Plain, pair(&|f| f.rows.map(rows))),
        Cell::right(Style::Plain, pair(&|f| f.read_bytes.filter(|n| *n > 0).map(units::bytes))),
        Cell::left(Style::Plain, node),
    ]
}
