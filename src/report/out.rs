//! The one way out: stdout for the answer, stderr for everything else. Colour and width are decided here, once. A closed pipe is a
//! quiet end (`Kind::Closed`), never a panic.
#![expect(clippy::disallowed_methods, reason = "the one writer of stdout and stderr")]

use super::{
    Report,
    doc::{Doc, Line},
    human, json,
};
use crate::{
    answer::{Answer, Hint},
    error::{Error, Kind, Result},
    exit::ExitStatus,
    text::Safe,
};
use jiff::tz::TimeZone;
use serde::Serialize;
use std::io::{self, BufWriter, IsTerminal, Write};

/// The form of the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people.
    #[default]
    Human,
    /// One versioned object.
    Json,
    /// One object per line.
    Ndjson,
}

/// How things are drawn.
#[derive(Clone, Debug)]
pub struct Look {
    /// Columns.
    pub width: usize,
    /// Whether stdout gets colour.
    pub colour: bool,
    /// The zone in which times are shown.
    pub zone: TimeZone,
    /// `-v`: nothing is folded.
    pub verbose: bool,
}

impl Default for Look {
    fn default() -> Self {
        Self { width: 100, colour: false, zone: TimeZone::UTC, verbose: false }
    }
}

/// What the user and the environment say about colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Colour {
    /// Only on a terminal.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Where an answer was made: the first line of every answer.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Where {
    /// The environment, if one is configured.
    pub environment: Option<Safe>,
    /// The kubeconfig context.
    pub context: Option<Safe>,
    /// The namespace; `*` for all.
    pub namespace: Option<Safe>,
    /// The API server.
    pub server: Option<Safe>,
    /// Files and pipes, where there is no cluster.
    pub files: Option<Safe>,
    /// The database or broker, and the way there: `redis-0:6379 db 0 (tunnel)`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<Safe>,
}

impl Where {
    /// The line: `production  ctx prod-eu  ns shop`.
    pub fn line(&self) -> Safe {
        let part = |label: &'static str, value: &Option<Safe>| value.as_ref().map(|v| crate::safe!("{}{}", label, v));
        let parts: Vec<Safe> = [
            self.environment.clone(),
            part("ctx ", &self.context),
            part("ns ", &self.namespace),
            part("server ", &self.server),
            part("files ", &self.files),
            self.system.clone(),
        ]
        .into_iter()
        .flatten()
        .collect();
        Safe::join(&parts, "  ")
    }
}

/// The writers and the form.
pub struct Out {
    stdout: BufWriter<Box<dyn Write + Send>>,
    stderr: Box<dyn Write + Send>,
    /// The form of the answer.
    pub format: Format,
    /// How it is drawn.
    pub look: Look,
    stderr_terminal: bool,
    stdout_terminal: bool,
    buffer: String,
    quiet: bool,
}

impl Out {
    /// The process's own stdout and stderr. Colour: `--color` first, then `NO_COLOR` (when not empty), `CLICOLOR_FORCE`, else a terminal.
    pub fn process(format: Format, mut look: Look, colour: Colour, quiet: bool) -> Self {
        look.colour = match colour {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => io::stdout().is_terminal(),
        };
        // `colored` keeps one process-wide switch of its own: ours decides.
        colored::control::set_override(true);
        Self {
            stdout: BufWriter::with_capacity(64 * 1024, Box::new(io::stdout())),
            stderr: Box::new(io::stderr()),
            format,
            look,
            stderr_terminal: io::stderr().is_terminal(),
            stdout_terminal: io::stdout().is_terminal(),
            buffer: String::new(),
            quiet,
        }
    }

    /// Whether stderr is a terminal: where a preview and progress may go.
    pub fn previews(&self) -> bool {
        self.stderr_terminal && !self.quiet
    }

    /// Writes an answer as one line of a stream of objects, whatever the form.
    ///
    /// # Errors
    /// stdout cannot be written.
    pub fn answer_line<T: Report>(&mut self, answer: &Answer<T>, place: &Where, status: ExitStatus) -> Result<()> {
        self.object(&json::envelope(answer, place, status.code()))?;
        self.flush()
    }

    /// Writes an answer: the object, or the screen that `doc` draws.
    pub fn answer<T: Report>(
        &mut self,
        answer: &Answer<T>,
        place: &Where,
        status: ExitStatus,
        doc: impl FnOnce(&Look) -> Doc,
    ) -> Result<()> {
        match self.format {
            Format::Human => {
                let doc = doc(&self.look);
                let look = self.look.clone();
                self.buffer.clear();
                human::draw(&doc, &look, &mut self.buffer);
                self.put()
            }
            Format::Json | Format::Ndjson => {
                let envelope = json::envelope(answer, place, status.code());
                if self.format == Format::Json { self.object_pretty(&envelope) } else { self.object(&envelope) }
            }
        }?;
        self.flush()
    }

    /// Writes one line of a stream to stdout; `flush` shows it.
    pub fn line(&mut self, line: &Line) -> Result<()> {
        self.buffer.clear();
        human::draw_line(line, &self.look, &mut self.buffer);
        self.put()
    }

    /// Writes a whole screen to stdout.
    pub fn doc(&mut self, doc: &Doc) -> Result<()> {
        self.buffer.clear();
        human::draw(doc, &self.look, &mut self.buffer);
        self.put()
    }

    /// Whether stdout is a terminal, where a screen can be drawn anew.
    pub fn repaints(&self) -> bool {
        self.format == Format::Human && self.stdout_terminal
    }

    /// Draws a screen in place of the one before. Nothing is switched over, so that an end at any moment leaves the terminal as it was.
    pub fn repaint(&mut self, doc: &Doc) -> Result<()> {
        closed(self.stdout.write_all(b"\x1b[H\x1b[2J"))?;
        self.doc(doc)?;
        self.flush()
    }

    /// Writes text that is safe already, as it is.
    pub fn text(&mut self, text: &Safe) -> Result<()> {
        closed(self.stdout.write_all(text.as_bytes()))
    }

    /// Writes one object as one line.
    pub fn object(&mut self, value: &impl Serialize) -> Result<()> {
        closed(serde_json::to_writer(&mut self.stdout, value).map_err(io::Error::from).and_then(|()| self.stdout.write_all(b"\n")))
    }

    /// Writes one object for people's eyes as well.
    pub fn object_pretty(&mut self, value: &impl Serialize) -> Result<()> {
        closed(serde_json::to_writer_pretty(&mut self.stdout, value).map_err(io::Error::from).and_then(|()| self.stdout.write_all(b"\n")))
    }

    /// Shows what was written.
    pub fn flush(&mut self) -> Result<()> {
        closed(self.stdout.flush())
    }

    /// A line for stderr: where it ran, a preview, a gap. A closed stderr is no reason to stop.
    pub fn note(&mut self, line: &Line) {
        if self.quiet {
            return;
        }
        let mut text = String::new();
        let look = Look { colour: self.look.colour && self.stderr_terminal, ..self.look.clone() };
        human::draw_line(line, &look, &mut text);
        let _ = self.stderr.write_all(text.as_bytes());
    }

    /// A screen for stderr.
    pub fn aside(&mut self, doc: &Doc) {
        if self.quiet {
            return;
        }
        let mut text = String::new();
        let look = Look { colour: self.look.colour && self.stderr_terminal, ..self.look.clone() };
        human::draw(doc, &look, &mut text);
        let _ = self.stderr.write_all(text.as_bytes());
    }

    /// An error, with what to try next, on stderr.
    pub fn error(&mut self, error: &Error) {
        let mut text = format!("error: {}\n", error.says());
        for hint in error.hints() {
            text.push_str("  ");
            text.push_str(&hint_line(hint));
            text.push('\n');
        }
        let _ = self.stderr.write_all(text.as_bytes());
    }

    fn put(&mut self) -> Result<()> {
        closed(self.stdout.write_all(self.buffer.as_bytes()))
    }
}

/// One hint in one line.
pub fn hint_line(hint: &Hint) -> Safe {
    match hint {
        Hint::Run(command) => crate::safe!("run    {}", command),
        Hint::Grant(p) => crate::safe!("grant  {} on {} in {}", p.verb, p.resource, p.scope),
        Hint::Set(what) => crate::safe!("set    {}", what),
        Hint::Try(what) => crate::safe!("try    {}", what),
    }
}

fn closed(result: io::Result<()>) -> Result<()> {
    result.map_err(|e| {
        let kind = if e.kind() == io::ErrorKind::BrokenPipe { Kind::Closed } else { Kind::Output };
        Error::new(kind, "writing to stdout").what(Safe::name(e.to_string()))
    })
}
