//! Draws a tree beside its columns: guides of one column per level, texts that wrap without breaking them. A tree that is deeper than
//! its column is wide loses the guides of the levels that are far above, never the text.

use super::{
    doc::{Branch, Cell, Line, Style, Tree},
    human::paint,
    out::Look,
};
use unicode_width::UnicodeWidthStr;

/// The narrowest column for a text, whatever the terminal.
const NARROWEST: usize = 24;
/// Columns per level.
const STEP: usize = 2;
/// Between columns.
const GAP: usize = 2;

pub(super) fn draw(tree: &Tree, look: &Look, out: &mut String) {
    let columns = tree.rows.iter().map(|row| row.cells.len()).max().unwrap_or(0);
    let cells = |i: usize| tree.rows.iter().filter_map(move |row| row.cells.get(i)).chain(tree.head.get(i));
    let widths: Vec<usize> = (0..columns).map(|i| cells(i).map(|c| c.text.width()).max().unwrap_or(0)).collect();
    let before: usize = widths.iter().map(|w| w + GAP).sum();
    let room = look.width.saturating_sub(before).max(NARROWEST);

    draw_cells(tree.head.get(..columns).unwrap_or(&tree.head), &widths, look, out);
    if let Some(head) = tree.head.get(columns) {
        paint(&head.text, head.style, look, out);
    }
    end(out);
    for (row, guide) in tree.rows.iter().zip(guides(&tree.rows)) {
        // At least half of the column is for the text.
        let shown = cut(&guide.first, room / 2);
        let after = cut(&guide.next, room / 2);
        for (i, line) in wrapped(&row.text, room - shown.width().max(after.width())).iter().enumerate() {
            draw_cells(if i == 0 { &row.cells } else { &[] }, &widths, look, out);
            paint(if i == 0 { &shown } else { &after }, Style::Dim, look, out);
            for (text, style) in line {
                paint(text, *style, look, out);
            }
            end(out);
        }
    }
}

/// Ends a line without spaces at its end.
fn end(out: &mut String) {
    out.truncate(out.trim_end_matches(' ').len());
    out.push('\n');
}

fn draw_cells(cells: &[Cell], widths: &[usize], look: &Look, out: &mut String) {
    for (i, width) in widths.iter().enumerate() {
        let text = cells.get(i).map_or("", |cell| &cell.text);
        let fill = width.saturating_sub(text.width());
        let right = cells.get(i).is_some_and(|cell| cell.right);
        out.extend(std::iter::repeat_n(' ', if right { fill } else { 0 }));
        paint(text, cells.get(i).map_or(Style::Plain, |cell| cell.style), look, out);
        out.extend(std::iter::repeat_n(' ', if right { 0 } else { fill } + GAP));
    }
}

/// What stands before a row's text, and before the lines that it wraps into.
struct Guide {
    first: String,
    next: String,
}

/// The guides of all rows, found from the end, where it is known which levels go on.
fn guides(rows: &[Branch]) -> Vec<Guide> {
    // Whether a node of each level follows before the level above it ends.
    let mut follows: Vec<bool> = Vec::new();
    let mut found: Vec<Guide> = Vec::with_capacity(rows.len());
    for row in rows.iter().rev() {
        let depth = row.depth;
        let has_child = follows.get(depth + 1).copied().unwrap_or(false);
        let level = |d: usize| if follows.get(d).copied().unwrap_or(false) { "│ " } else { "  " };
        let above: String = (1..depth).map(level).collect();
        let own = if depth == 0 { "" } else { level(depth) };
        let below = if has_child { "│ " } else { "  " };
        let next = format!("{above}{own}{below}");
        let first = match (row.node, depth) {
            (false, _) => next.clone(),
            (true, 0) => String::new(),
            (true, _) => format!("{above}{}", if own == "│ " { "├ " } else { "└ " }),
        };
        found.push(Guide { first, next });
        if row.node {
            follows.resize(depth + 1, false);
            follows[depth] = true;
        }
    }
    found.reverse();
    found
}

/// The last columns of a guide, with a mark in place of the first ones.
fn cut(guide: &str, most: usize) -> String {
    let width = guide.chars().count();
    if width <= most {
        return guide.to_owned();
    }
    // Whole levels go, so that what is left stands where it stood.
    let gone = (width - most + STEP).div_ceil(STEP) * STEP;
    let rest: String = guide.chars().skip(gone).collect();
    format!("⋯ {rest}")
}

/// Wraps at spaces; a word that is longer than the line is broken.
fn wrapped(line: &Line, width: usize) -> Vec<Vec<(&str, Style)>> {
    let mut lines = vec![Vec::new()];
    let mut column = 0;
    for (text, style) in line.parts() {
        for word in text.split_inclusive(' ') {
            let mut word = word;
            if column > 0 && column + word.trim_end().width() > width {
                lines.push(Vec::new());
                column = 0;
            }
            while word.trim_end().width() > width {
                let fits = word
                    .char_indices()
                    .map(|(i, c)| i + c.len_utf8())
                    .take_while(|to| word.get(..*to).unwrap_or_default().width() <= width)
                    .last();
                let (head, tail) = word.split_at(fits.unwrap_or(word.len()));
                if let Some(last) = lines.last_mut() {
                    last.push((head, style));
                }
                lines.push(Vec::new());
                word = tail;
            }
            column += word.width();
            if let Some(last) = lines.last_mut() {
                last.push((word, style));
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{report::doc::bar, text::Safe};

    fn row(depth: usize, node: bool, cell: &'static str, text: &'static str) -> Branch {
        Branch { cells: vec![Cell::right(Style::Plain, cell)], depth, node, text: Line::plain(text) }
    }

    fn drawn(rows: Vec<Branch>, width: usize) -> String {
        let head = vec![Cell::right(Style::Dim, "SELF"), Cell::left(Style::Dim, "NODE")];
        let mut out = String::new();
        draw(&Tree { head, rows }, &Look { width, ..Look::default() }, &mut out);
        out
    }

    #[test]
    fn guides_tie_a_node_to_what_hangs_on_it() {
        let rows = vec![
            row(0, true, "1 ms", "Limit"),
            row(1, true, "", "Nested Loop"),
            row(1, false, "", "join filter a"),
            row(2, true, "2 ms", "Seq Scan a"),
            row(2, false, "", "filter x"),
            row(2, true, "", "Sort"),
            row(3, true, "", "Seq Scan b"),
            row(1, true, "3 ms", "InitPlan 1"),
        ];
        let expected = [
            "SELF  NODE",
            "1 ms  Limit",
            "      ├ Nested Loop",
            "      │ │ join filter a",
            "2 ms  │ ├ Seq Scan a",
            "      │ │   filter x",
            "      │ └ Sort",
            "      │   └ Seq Scan b",
            "3 ms  └ InitPlan 1",
        ];
        assert_eq!(drawn(rows, 80).lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_text_wraps_inside_of_its_branch() {
        let rows =
            vec![row(0, true, "", "Append"), row(1, true, "", "Index Scan some_index_name on some_table"), row(1, true, "", "Result")];
        let expected =
            ["SELF  NODE", "      Append", "      ├ Index Scan", "      │   some_index_name on", "      │   some_table", "      └ Result"];
        assert_eq!(drawn(rows, 30).lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_deep_tree_keeps_room_for_its_texts() {
        let rows = (0..400).map(|depth| row(depth, true, "", "Materialize")).collect();
        let drawn = drawn(rows, 80);
        assert_eq!(drawn.lines().count(), 401);
        assert!(drawn.lines().all(|line| line.width() <= 80));
        assert!(drawn.lines().last().is_some_and(|line| line.ends_with("└ Materialize") && line.contains('⋯')));
    }

    #[test]
    fn bars_are_exact_to_an_eighth() {
        let bars = [0.0, 0.004, 0.02, 0.5, 0.97, 1.0, 7.0, f64::NAN].map(|share| bar(share, 4));
        assert_eq!(bars, ["", "", "▏", "██", "███▉", "████", "████", ""].map(Safe::from));
    }
}
