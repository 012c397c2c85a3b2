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
    /// The last run; most lines have no other, and need no list.
    last: Option<(usize, Style)>,
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
        let text = text.into();
        match self.last {
            None => self.text = SafeBuf::from(text),
            Some(_) => self.text.push(&text),
        }
        self.end_run(style);
        self
    }
    /// Adds text.
    pub fn push(&mut self, style: Style, text: &Safe) {
        self.text.push(text);
        self.end_run(style);
    }
    /// Adds fixed text.
    pub fn fixed(&mut self, style: Style, text: &'static str) {
        self.text.push_fixed(text);
        self.end_run(style);
    }
    /// Adds what `write` puts into the buffer.
    pub fn fill(&mut self, style: Style, write: impl FnOnce(&mut SafeBuf)) {
        write(&mut self.text);
        self.end_run(style);
    }
    fn end_run(&mut self, style: Style) {
        self.runs.extend(self.last.replace((self.text.as_str().len(), style)));
    }
    /// Empties it, keeping its memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.runs.clear();
        self.last = None;
    }
    /// The text and the runs: each run ends at a byte and has a style.
    pub(super) fn parts(&self) -> impl Iterator<Item = (&str, Style)> {
        let mut from = 0;
        self.runs.iter().copied().chain(self.last).map(move |(to, style)| {
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

/// A tree beside columns: each row has cells, aligned over the whole tree, and a text that hangs in the tree and wraps there.
#[derive(Default)]
pub struct Tree {
    /// The heads of the columns; the last one is that of the tree.
    pub head: Vec<Cell>,
    /// The rows, each node before what hangs on it.
    pub rows: Vec<Branch>,
}

/// A row of a tree.
pub struct Branch {
    /// The cells before the tree.
    pub cells: Vec<Cell>,
    /// How many nodes stand above it.
    pub depth: usize,
    /// Whether it is a node; else it is one more line of the node before it, of the same depth.
    pub node: bool,
    /// What stands in the tree.
    pub text: Line,
}

/// A share between 0 and 1 as a bar of at most so many columns, exact to an eighth of one; what is there at all is seen.
pub fn bar(share: f64, columns: usize) -> Safe {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
    let mut eighths = (share * columns as f64 * 8.0).round() as usize;
    if share >= 0.01 {
        eighths = eighths.max(1);
    }
    let mut bar = SafeBuf::new();
    for _ in 0..eighths / 8 {
        bar.push_fixed("█");
    }
    bar.push_fixed(EIGHTHS[eighths % 8]);
    bar.into_safe()
}

/// Counts over time, one column each: the highest fills its column, what is there at all is seen, nothing is a dot.
pub fn sparkline(counts: &[u64]) -> Safe {
    const STEPS: [&str; 8] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    let mut line = SafeBuf::new();
    for count in counts {
        let step = (u128::from(*count) * 8).div_ceil(u128::from(most));
        line.push_fixed(usize::try_from(step).ok().and_then(|s| STEPS.get(s.checked_sub(1)?)).copied().unwrap_or("·"));
    }
    line.into_safe()
}

/// One part of a screen.
pub enum Block {
    /// A tree with its columns.
    Tree(Tree),
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
    /// Adds a tree.
    pub fn tree(&mut self, tree: Tree) {
        self.parts.push(Block::Tree(tree));
    }
    /// Adds a table.
    pub fn table(&mut self, table: Table) {
        self.parts.push(Block::Table(table));
    }
}
