//! Draws a `Doc` for people: colour where it is wanted, wrapped to the width. The only file that knows `colored` and `comfy-table`.

use super::{
    doc::{Block, Cell, Doc, Line, Style, Table},
    out::Look,
};
use colored::{Color, ColoredString, Colorize};
use std::fmt::Write as _;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The colours of pod tags, readable on dark and light; a pod keeps its own by the hash of its name.
const TAGS: [Color; 6] = [Color::Cyan, Color::Green, Color::Magenta, Color::Blue, Color::BrightCyan, Color::BrightMagenta];

/// The least that a last column needs beside the others, and how far it stands in where it stands below them.
const NARROWEST: usize = 32;
const INDENT: &str = "    ";

/// The whole screen as text.
pub fn text(doc: &Doc, look: &Look) -> String {
    let mut out = String::new();
    draw(doc, look, &mut out);
    out
}

/// Draws the whole screen.
pub(super) fn draw(doc: &Doc, look: &Look, out: &mut String) {
    for part in &doc.parts {
        match part {
            Block::Line(line) => draw_line(line, look, out),
            Block::Wrapped(line, indent) => draw_wrapped(line, *indent, look, out),
            Block::Table(table) => draw_table(table, look, out),
            Block::Tree(tree) => super::tree::draw(tree, look, out),
        }
    }
}

/// Draws one line as it is, however long: records are never cut.
pub(super) fn draw_line(line: &Line, look: &Look, out: &mut String) {
    for (text, style) in line.parts() {
        paint(text, style, look, out);
    }
    out.push('\n');
}

pub(super) fn paint(text: &str, style: Style, look: &Look, out: &mut String) {
    if !look.colour || style == Style::Plain || text.is_empty() {
        out.push_str(text);
        return;
    }
    let painted: ColoredString = match style {
        Style::Plain => text.normal(),
        Style::Dim => text.dimmed(),
        Style::Strong => text.bold(),
        Style::Good => text.green(),
        Style::Warn => text.yellow(),
        Style::Bad => text.red().bold(),
        Style::Tag(i) => text.color(TAGS[usize::from(i) % TAGS.len()]),
    };
    // Writing to a String cannot fail.
    let _ = write!(out, "{painted}");
}

/// Wraps at spaces; a word that is longer than the line stays whole.
fn draw_wrapped(line: &Line, indent: usize, look: &Look, out: &mut String) {
    let mut column = 0;
    for (text, style) in line.parts() {
        let mut rest = text;
        while !rest.is_empty() {
            // A word with the spaces before it: the unit that moves to the next line.
            let bare = rest.trim_start_matches(' ');
            let end = bare.find(' ').map_or(rest.len(), |i| rest.len() - bare.len() + i);
            let (word, after) = rest.split_at(end);
            let width = word.width();
            if column > indent && column + width > look.width && !word.trim_start().is_empty() {
                out.push('\n');
                out.extend(std::iter::repeat_n(' ', indent));
                column = indent;
                let bare = word.trim_start_matches(' ');
                paint(bare, style, look, out);
                column += bare.width();
            } else {
                paint(word, style, look, out);
                column += width;
            }
            rest = after;
        }
    }
    out.push('\n');
}

fn draw_table(table: &Table, look: &Look, out: &mut String) {
    let columns = table.head.len().max(table.rows.iter().map(Vec::len).max().unwrap_or(0));
    if columns == 0 {
        return;
    }
    let widths: Vec<usize> = (0..columns)
        .map(|i| table.rows.iter().chain([&table.head]).filter_map(|r| r.get(i)).map(|c| c.text.width()).max().unwrap_or(0))
        .collect();
    let before: usize = widths[..columns - 1].iter().map(|w| w + 2).sum();
    let left = look.width.saturating_sub(before);
    // Where the others leave no room, the last column stands below its row: half a word a line is nothing to read.
    let below = columns > 1 && left < NARROWEST && widths[columns - 1] > left;
    let beside = if below { columns - 1 } else { columns };

    let mut drawn = comfy_table::Table::new();
    drawn.load_style(comfy_table::presets::NOTHING).set_content_arrangement(comfy_table::ContentArrangement::Disabled);
    drawn.force_no_tty();
    if look.colour {
        drawn.enforce_styling();
    }
    if !table.head.is_empty() {
        drawn.set_header(table.head.iter().take(beside).map(|c| cell(c, None)));
    }
    for row in &table.rows {
        let end = row.len().saturating_sub(1);
        drawn.add_row(
            row.iter().take(beside).enumerate().map(|(i, c)| cell(c, (i == end && i == columns - 1).then_some(left.max(NARROWEST)))),
        );
    }
    for i in 0..beside {
        if let Some(column) = drawn.column_mut(i) {
            column.set_padding((0, 2));
        }
    }
    // What stands below is one line of the table for each row, and the head before them.
    let details = table.head.first().map(|_| None).into_iter().chain(table.rows.iter().map(|row| row.get(columns - 1)));
    let mut details = details.filter(|_| below);
    for line in drawn.lines() {
        out.push_str(line.trim_end());
        out.push('\n');
        if let Some(detail) = details.next().flatten().filter(|detail| !detail.text.is_empty()) {
            draw_wrapped(&Line::new().with(Style::Plain, INDENT).with(detail.style, detail.text.clone()), INDENT.len(), look, out);
        }
    }
}

fn cell(cell: &Cell, wrap: Option<usize>) -> comfy_table::Cell {
    let text = match wrap {
        Some(width) => wrap_text(&cell.text, width),
        None => cell.text.to_string(),
    };
    let drawn = comfy_table::Cell::new(text);
    let drawn = if cell.right { drawn.set_alignment(comfy_table::CellAlignment::Right) } else { drawn };
    match cell.style {
        Style::Plain => drawn,
        Style::Dim => drawn.add_attribute(comfy_table::Attribute::Dim),
        Style::Strong => drawn.add_attribute(comfy_table::Attribute::Bold),
        Style::Good => drawn.fg(comfy_table::Color::Green),
        Style::Warn => drawn.fg(comfy_table::Color::Yellow),
        Style::Bad => drawn.fg(comfy_table::Color::Red).add_attribute(comfy_table::Attribute::Bold),
        Style::Tag(i) => drawn.fg([
            comfy_table::Color::DarkCyan,
            comfy_table::Color::DarkGreen,
            comfy_table::Color::DarkMagenta,
            comfy_table::Color::DarkBlue,
            comfy_table::Color::Cyan,
            comfy_table::Color::Magenta,
        ][usize::from(i) % TAGS.len()]),
    }
}

/// Breaks a text at spaces, or inside a word that is longer than the width.
fn wrap_text(text: &str, width: usize) -> String {
    let mut out = String::with_capacity(text.len());
    let mut column = 0;
    for word in text.split_inclusive(' ') {
        if column > 0 && column + word.trim_end().width() > width {
            out.push('\n');
            column = 0;
        }
        for c in word.chars() {
            let w = c.width().unwrap_or(0);
            if column + w > width && c != ' ' {
                out.push('\n');
                column = 0;
            }
            out.push(c);
            column += w;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::doc::Cell;
    use crate::text::Safe;

    fn look(width: usize, colour: bool) -> Look {
        Look { width, colour, ..Look::default() }
    }

    #[test]
    fn a_sentence_wraps_with_a_hanging_indent() {
        let mut doc = Doc::default();
        doc.wrapped(Line::new().with(Style::Bad, "FAILED  ").with(Style::Plain, "one two three four"), 8);
        let mut out = String::new();
        draw(&doc, &look(18, false), &mut out);
        assert_eq!(out, "FAILED  one two\n        three four\n");
    }

    #[test]
    fn a_table_wraps_only_its_last_column() {
        let mut doc = Doc::default();
        let row = |a, b: &'static str| vec![Cell::right(Style::Plain, Safe::name(a)), Cell::left(Style::Plain, b)];
        doc.table(Table {
            head: vec![Cell::right(Style::Dim, "+ms"), Cell::left(Style::Dim, "EVENT")],
            rows: vec![row("7", "a"), row("41320", "a long event that needs more than one line here")],
        });
        let mut out = String::new();
        draw(&doc, &look(40, false), &mut out);
        assert_eq!(out, "  +ms  EVENT\n    7  a\n41320  a long event that needs more than\n       one line here\n");
    }

    #[test]
    fn a_last_column_without_room_stands_below_its_row() {
        let mut doc = Doc::default();
        let row = |a, b: &'static str| vec![Cell::left(Style::Plain, Safe::name(a)), Cell::left(Style::Plain, b)];
        doc.table(Table {
            head: vec![Cell::left(Style::Dim, "WORKER"), Cell::left(Style::Dim, "POD")],
            rows: vec![row("celery@celery-5f44db9c9d-pj5cs", "OOMKilled 6m ago, 3 restarts (memory limit 512Mi)"), row("w1@lab", "")],
        });
        let screen = |width| text(&doc, &look(width, false));
        assert_eq!(
            screen(44),
            "WORKER\ncelery@celery-5f44db9c9d-pj5cs\n    OOMKilled 6m ago, 3 restarts (memory\n    limit 512Mi)\nw1@lab\n"
        );
        // With room for all of it, beside.
        assert!(
            screen(90).starts_with("WORKER                          POD\ncelery@celery-5f44db9c9d-pj5cs  OOMKilled 6m ago"),
            "{}",
            screen(90)
        );
    }

    #[test]
    fn colour_only_where_asked() {
        let line = Line::new().with(Style::Bad, "x");
        let (mut plain, mut painted) = (String::new(), String::new());
        draw_line(&line, &look(80, false), &mut plain);
        colored::control::set_override(true);
        draw_line(&line, &look(80, true), &mut painted);
        assert_eq!(plain, "x\n");
        assert!(painted.starts_with("\u{1b}["));
    }
}
