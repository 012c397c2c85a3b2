//! A screen as data: lines of styled text, and tables. Holds safe text only; colours and widths are the renderer's business.

use crate::text::{Safe, SafeBuf};

/// What a piece of text means; the renderer picks the colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Ordinary text.
    Plain,
    /// What the eye may skip.
    Dim,
    /// What the eye should find.
    Strong,
    /// Good.
    Good,
    /// To look at.
    Warn,
    /// Bad.
    Bad,
    /// One of the tag colours, by index: keeps a pod's colour.
    Tag(u8),
}

/// One line: text with runs of style. Cheap to refill, so that a stream of records needs one.
#[derive(Default)]
pub struct Line {
    text: SafeBuf,
    runs: Vec<(usize, Style)>,
}

impl Line {
    /// An empty line.
    pub fn new() -> Self {
        Self::default()
    }
    /// A line of one plain text.
    pub fn plain(text: impl Into<Safe>) -> Self {
        Self::new().with(Style::Plain, text)
    }
    /// Adds text (builder form).
    pub fn with(mut self, style: Style, text: impl Into<Safe>) -> Self {
        self.push(style, &text.into());
        self
    }
    /// Adds text.
    pub fn push(&mut self, style: Style, text: &Safe) {
        self.text.push(text);
        self.runs.push((self.text.as_str().len(), style));
    }
    /// Adds fixed text.
    pub fn fixed(&mut self, style: Style, text: &'static str) {
        self.text.push_fixed(text);
        self.runs.push((self.text.as_str().len(), style));
    }
    /// Adds what `write` puts into the buffer.
    pub fn fill(&mut self, style: Style, write: impl FnOnce(&mut SafeBuf)) {
        write(&mut self.text);
        self.runs.push((self.text.as_str().len(), style));
    }
    /// Empties it, keeping its memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.runs.clear();
    }
    /// The text and the runs: each run ends at a byte and has a style.
    pub(super) fn parts(&self) -> impl Iterator<Item = (&str, Style)> {
        let mut from = 0;
        self.runs.iter().map(move |&(to, style)| {
            let part = self.text.as_str().get(from..to).unwrap_or_default();
            from = to;
            (part, style)
        })
    }
    /// The text alone.
    pub fn text(&self) -> &str {
        self.text.as_str()
    }
}

/// A cell of a table.
pub struct Cell {
    pub(super) text: Safe,
    pub(super) style: Style,
    pub(super) right: bool,
}

impl Cell {
    /// Left-aligned.
    pub fn left(style: Style, text: impl Into<Safe>) -> Self {
        Self { text: text.into(), style, right: false }
    }
    /// Right-aligned, for numbers.
    pub fn right(style: Style, text: impl Into<Safe>) -> Self {
        Self { text: text.into(), style, right: true }
    }
}

/// A table; its last column takes the width that is left and wraps, the others are never cut.
#[derive(Default)]
pub struct Table {
    /// The heads of the columns.
    pub head: Vec<Cell>,
    /// The rows.
    pub rows: Vec<Vec<Cell>>,
}

/// One part of a screen.
pub enum Block {
    /// A line of its own.
    Line(Line),
    /// A sentence to wrap at the width, with a hanging indent of so many columns.
    Wrapped(Line, usize),
    /// A table.
    Table(Table),
}

/// A whole screen.
#[derive(Default)]
pub struct Doc {
    /// Its parts, top to bottom.
    pub parts: Vec<Block>,
}

impl Doc {
    /// Adds a line.
    pub fn line(&mut self, line: Line) {
        self.parts.push(Block::Line(line));
    }
    /// Adds a sentence that wraps.
    pub fn wrapped(&mut self, line: Line, indent: usize) {
        self.parts.push(Block::Wrapped(line, indent));
    }
    /// Adds an empty line.
    pub fn gap(&mut self) {
        self.line(Line::new());
    }
    /// Adds a table.
    pub fn table(&mut self, table: Table) {
        self.parts.push(Block::Table(table));
    }
}
