//! Draws a tree beside its columns: guides of one column per level, texts that wrap without breaking them. A tree that is deeper than
//! its column is wide loses the guides of the levels that are far above, never the text.

use super::{
    doc::{Branch, Cell, Line, Style, Tree},
    human::paint,
    out::Look,
};
use std::borrow::Cow;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The narrowest column for a text, whatever the terminal.
const NARROWEST: usize = 24;
/// Columns per level.
const STEP: usize = 2;
/// Between columns.
const GAP: usize = 2;

pub(super) fn draw(tree: &Tree, look: &Look, out: &mut String) {
    let columns = tree.rows.iter().map(|row| row.cells.len()).max().unwrap_or(0);
    let cells = |i: usize| tree.rows.iter().filter_map(move |row| row.cells.get(i)).chain(tree.head.get(i));
    let widths: Vec<usize> = (0..columns).map(|i| cells(i).map(|c| width(&c.text)).max().unwrap_or(0)).collect();
    let before: usize = widths.iter().map(|w| w + GAP).sum();
    let room = look.width.saturating_sub(before).max(NARROWEST);

    draw_cells(tree.head.get(..columns).unwrap_or(&tree.head), &widths, look, out);
    if let Some(head) = tree.head.get(columns) {
        paint(&head.text, head.style, look, out);
    }
    end(out);
    let mut guide = Guide::default();
    for (row, followed) in tree.rows.iter().zip(followed(&tree.rows)) {
        guide.at(row, &followed);
        // At least half of the column is for the text.
        let shown = cut(&guide.first, room / 2);
        let after = cut(&guide.next, room / 2);
        let width_left = room - width(&shown).max(width(&after));
        if width(row.text.text()) <= width_left {
            draw_cells(&row.cells, &widths, look, out);
            paint(&shown, Style::Dim, look, out);
            row.text.parts().for_each(|(text, style)| paint(text, style, look, out));
            end(out);
            continue;
        }
        for (i, line) in wrapped(&row.text, width_left).iter().enumerate() {
            draw_cells(if i == 0 { &row.cells } else { &[] }, &widths, look, out);
            paint(if i == 0 { &shown } else { &after }, Style::Dim, look, out);
            for (text, style) in line {
                paint(text, *style, look, out);
            }
            end(out);
        }
    }
}

/// The columns that a text takes. Most text is plain, and every byte of it takes one.
fn width(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.width() }
}

fn spaces(count: usize, out: &mut String) {
    const SOME: &str = "                                                                ";
    let mut left = count;
    while left > 0 {
        let now = left.min(SOME.len());
        out.push_str(SOME.get(..now).unwrap_or(SOME));
        left -= now;
    }
}

/// Ends a line without spaces at its end.
fn end(out: &mut String) {
    out.truncate(out.trim_end_matches(' ').len());
    out.push('\n');
}

fn draw_cells(cells: &[Cell], widths: &[usize], look: &Look, out: &mut String) {
    if cells.is_empty() {
        return spaces(widths.iter().map(|width| width + GAP).sum(), out);
    }
    for (i, column) in widths.iter().enumerate() {
        let text = cells.get(i).map_or("", |cell| &cell.text);
        let fill = column.saturating_sub(width(text));
        let right = cells.get(i).is_some_and(|cell| cell.right);
        spaces(if right { fill } else { 0 }, out);
        paint(text, cells.get(i).map_or(Style::Plain, |cell| cell.style), look, out);
        spaces(if right { 0 } else { fill } + GAP, out);
    }
}

/// What follows a row: whether one more of its level, and whether something that hangs on it.
struct Followed {
    beside: bool,
    below: bool,
}

/// Found from the end, where it is known which levels go on.
fn followed(rows: &[Branch]) -> Vec<Followed> {
    // Whether a node of each level follows before the level above it ends.
    let mut follows: Vec<bool> = Vec::new();
    let mut found: Vec<Followed> = Vec::with_capacity(rows.len());
    for row in rows.iter().rev() {
        let at = |depth: usize| follows.get(depth).copied().unwrap_or(false);
        found.push(Followed { beside: at(row.depth), below: at(row.depth + 1) });
        if row.node {
            follows.resize(row.depth + 1, false);
            follows[row.depth] = true;
        }
    }
    found.reverse();
    found
}

/// What stands before a row's text, and before the lines that it wraps into; one for all rows, so that thousands of them need no memory.
#[derive(Default)]
struct Guide {
    /// Of each level down to the last node: whether it goes on.
    levels: Vec<bool>,
    first: String,
    next: String,
}

impl Guide {
    fn at(&mut self, row: &Branch, followed: &Followed) {
        let line = |on: bool| if on { "│ " } else { "  " };
        self.levels.resize(row.depth, false);
        self.levels.push(followed.beside);
        self.next.clear();
        for on in self.levels.iter().take(row.depth).skip(1) {
            self.next.push_str(line(*on));
        }
        self.first.clear();
        if row.node && row.depth > 0 {
            self.first.push_str(&self.next);
            self.first.push_str(if followed.beside { "├ " } else { "└ " });
        }
        if row.depth > 0 {
            self.next.push_str(line(followed.beside));
        }
        self.next.push_str(line(followed.below));
        if !row.node {
            self.first.push_str(&self.next);
        }
    }
}

/// The last columns of a guide, with a mark in place of the first ones.
fn cut(guide: &str, most: usize) -> Cow<'_, str> {
    // A character takes one byte at least.
    if guide.len() <= most {
        return Cow::Borrowed(guide);
    }
    let width = guide.chars().count();
    if width <= most {
        return Cow::Borrowed(guide);
    }
    // Whole levels go, so that what is left stands where it stood.
    let gone = (width - most + STEP).div_ceil(STEP) * STEP;
    let rest: String = guide.chars().skip(gone).collect();
    Cow::Owned(format!("⋯ {rest}"))
}

/// Wraps at spaces; a word that is longer than the line is broken.
fn wrapped(line: &Line, width: usize) -> Vec<Vec<(&str, Style)>> {
    let mut lines = vec![Vec::new()];
    let mut column = 0;
    for (text, style) in line.parts() {
        for word in text.split_inclusive(' ') {
            let mut word = word;
            if column > 0 && column + self::width(word.trim_end()) > width {
                lines.push(Vec::new());
                column = 0;
            }
            while let Some(fits) = fitting(word, width) {
                let (head, tail) = word.split_at(fits);
                if let Some(last) = lines.last_mut() {
                    last.push((head, style));
                }
                lines.push(Vec::new());
                word = tail;
            }
            column += self::width(word);
            if let Some(last) = lines.last_mut() {
                last.push((word, style));
            }
        }
    }
    lines
}

/// How much of a word stands in so many columns, where not all of it does. Looks no further: the word may be a list of 200,000 numbers.
fn fitting(word: &str, width: usize) -> Option<usize> {
    let (mut columns, mut fits) = (0, 0);
    for (at, c) in word.trim_end().char_indices() {
        columns += c.width().unwrap_or(0);
        if columns > width {
            return (fits > 0).then_some(fits);
        }
        fits = at + c.len_utf8();
    }
    None
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
    fn a_word_that_never_ends_is_measured_once() {
        // Measured anew for each line that it fills, this would not end in an hour.
        let line = Line::plain(Safe::name("1000000,".repeat(500_000).as_str()));
        let lines = wrapped(&line, 60);
        assert_eq!(
            (lines.len(), lines.iter().flatten().map(|(text, _)| text.len()).sum::<usize>()),
            (4_000_000_usize.div_ceil(60), 4_000_000)
        );
        assert_eq!(wrapped(&Line::plain("漢字漢字 a"), 4).len(), 3);
        assert_eq!(wrapped(&Line::plain("漢字"), 1).len(), 1);
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
