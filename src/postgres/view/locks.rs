//! The screen of `obsctl db locks`: each one that holds others up, and below it those who wait, with what for and since when.

use super::parts::{brief, ending, findings, first_line, headline};
use crate::{
    answer::Answer,
    postgres::{
        analyze::locks::who,
        model::{LockFacts, LockNode, LockOwner},
    },
    report::{Doc, Line, Look, Style, Where},
    safe,
    text::{Safe, units},
};
use jiff::Timestamp;

/// Who waits below one session, without `-v`.
const SHOWN: usize = 8;

/// Draws an answer.
pub fn locks(answer: &Answer<LockFacts>, place: &Where, look: &Look) -> Doc {
    let mut doc = Doc::default();
    let facts = &answer.facts;
    first_line(&mut doc, place, &facts.server);
    let waiting = units::plural(facts.waiting, "session waits for a lock", "sessions wait for a lock");
    let calm = if facts.waiting == 0 { "nobody waits for a lock.".into() } else { safe!("{}, none for a minute.", waiting) };
    let told = headline(&mut doc, answer, calm);
    doc.gap();
    for tree in &facts.trees {
        draw(&mut doc, tree, &mut Vec::new(), facts.server.observed_at, look);
    }
    if !facts.trees.is_empty() {
        doc.gap();
    }
    findings(&mut doc, &answer.findings, told, look);
    ending(&mut doc, answer);
    doc
}

/// `last`: for each level above, whether its branch ends there.
fn draw(doc: &mut Doc, node: &LockNode, last: &mut Vec<bool>, now: Timestamp, look: &Look) {
    let mut stem = String::new();
    for (at, ends) in last.iter().enumerate() {
        stem.push_str(match (at + 1 == last.len(), *ends) {
            (true, true) => "└ ",
            (true, false) => "├ ",
            (false, true) => "  ",
            (false, false) => "│ ",
        });
    }
    let says = who(&node.who, now);
    let mut line = Line::new().with(Style::Dim, Safe::name(&stem));
    line.push(if last.is_empty() { Style::Strong } else { Style::Plain }, &Safe::name(says.trim_end_matches(',')));
    if let Some(wait) = &node.waits {
        let since = wait.since.map(|at| safe!(" for {}", units::duration(now.duration_since(at)))).unwrap_or_default();
        line.push(Style::Warn, &safe!("  waits{}: {} on {}", since, wait.mode, wait.on));
    }
    if node.held_up > 0 {
        line.push(Style::Dim, &safe!("  holds up {}", node.held_up));
    }
    if !node.also_blocked_by.is_empty() && !last.is_empty() {
        let pids: Vec<Safe> = node.also_blocked_by.iter().map(|pid| Safe::name(pid.to_string())).collect();
        line.push(Style::Dim, &safe!("  blocked by {} too", Safe::join(&pids, ", ")));
    }
    let indent = 2 * last.len() + 2;
    doc.wrapped(line, indent);
    let below: String = last.iter().map(|ends| if *ends { "  " } else { "│ " }).collect();
    if let (LockOwner::Session(backend), false) = (&node.who, last.is_empty())
        && let Some(query) = &backend.query
    {
        let query = if look.verbose { query.clone() } else { brief(query, 160) };
        doc.wrapped(Line::new().with(Style::Dim, Safe::name(&below)).with(Style::Dim, query), indent);
    }
    let most = if look.verbose { usize::MAX } else { SHOWN };
    let shown = node.blocks.len().min(most);
    for (at, child) in node.blocks.iter().take(most).enumerate() {
        last.push(at + 1 == shown && shown == node.blocks.len());
        draw(doc, child, last, now, look);
        last.pop();
    }
    if node.blocks.len() > shown {
        doc.line(Line::new().with(Style::Dim, safe!("{}└ and {} more (-v)", Safe::name(&below), node.blocks.len() - shown)));
    }
}
