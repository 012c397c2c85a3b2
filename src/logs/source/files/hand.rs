//! Lines of a file or pipe to pieces: what other tools put in front of them is taken off, so that each line is handed on as its writer's.

use crate::{
    logs::{
        flow::prefix::{CriJoin, Prefix, Writer},
        model::LogOrigin,
        source::{LogLine, Piece},
    },
    text::Safe,
};
use bytes::Bytes;
use std::{collections::HashMap, mem, sync::Arc};
use tokio::sync::mpsc;

/// So many first lines may tell the form of the input.
const TELLING: usize = 200;
/// So many writers are told apart; more are none.
const MOST_WRITERS: usize = 4_096;
/// So many bytes of lines make a piece.
const PIECE: usize = 256 << 10;

/// Hands the lines of one input on.
pub(super) struct Hand {
    origin: Arc<LogOrigin>,
    out: mpsc::Sender<Piece>,
    form: Option<Prefix>,
    first: Vec<Bytes>,
    seen: usize,
    writers: HashMap<Vec<u8>, Arc<LogOrigin>>,
    join: CriJoin,
    pieces: Vec<Piece>,
    size: usize,
}

impl Hand {
    /// For an input whose own lines are of this origin.
    pub(super) fn new(origin: Arc<LogOrigin>, out: mpsc::Sender<Piece>) -> Self {
        Self {
            origin,
            out,
            form: None,
            first: Vec::new(),
            seen: 0,
            writers: HashMap::new(),
            join: CriJoin::default(),
            pieces: Vec::new(),
            size: 0,
        }
    }

    /// What stands in front of the lines, where that is known from a sample.
    pub(super) fn knows(&mut self, form: Option<Prefix>) {
        self.form = form;
        self.seen = TELLING;
    }

    /// Whether nobody listens any more.
    pub(super) fn unheard(&self) -> bool {
        self.out.is_closed()
    }

    /// Whether there is enough to be sent.
    pub(super) fn full(&self) -> bool {
        self.size >= PIECE
    }

    /// How many lines were cut because their parts were too many.
    pub(super) fn cut(&self) -> u64 {
        self.join.cut
    }

    /// Takes a line.
    pub(super) fn line(&mut self, text: Bytes) {
        self.size += text.len() + 32;
        if self.form.is_none() && self.seen < TELLING {
            self.seen += 1;
            self.first.push(text);
            return;
        }
        self.decide();
        self.put(text);
    }

    /// Something to know in this place.
    pub(super) fn note(&mut self, text: Safe) {
        self.decide();
        self.pieces.push(Piece::Note(text));
    }

    /// Lines were searched that cannot be hits.
    pub(super) fn skipped(&mut self) {
        self.pieces.push(Piece::Skipped);
    }

    /// Nothing has come for a while.
    pub(super) fn quiet(&mut self) {
        self.decide();
        self.pieces.push(Piece::Quiet);
    }

    /// The end of an input: nothing that is open is continued by the next.
    pub(super) fn end(&mut self) {
        self.decide();
        let open: Vec<_> = self.join.finish().collect();
        open.into_iter().for_each(|(at, text)| self.own(LogLine { at, text }));
    }

    /// What is to be sent.
    pub(super) fn take(&mut self) -> Vec<Piece> {
        self.decide();
        self.size = 0;
        mem::take(&mut self.pieces)
    }

    /// Sends from a thread of its own; false when nobody listens.
    pub(super) fn send_blocking(&mut self) -> bool {
        self.take().into_iter().all(|piece| self.out.blocking_send(piece).is_ok())
    }

    /// Sends; false when nobody listens.
    pub(super) async fn send(&mut self) -> bool {
        for piece in self.take() {
            if self.out.send(piece).await.is_err() {
                return false;
            }
        }
        true
    }

    fn decide(&mut self) {
        if self.first.is_empty() {
            return;
        }
        let first = mem::take(&mut self.first);
        self.form = self.form.or_else(|| Prefix::of(first.iter().map(|l| &l[..])));
        first.into_iter().for_each(|line| self.put(line));
    }

    fn put(&mut self, line: Bytes) {
        match self.form {
            None => self.own(LogLine { at: None, text: line }),
            Some(Prefix::Cri) => {
                if let Some((at, text)) = self.join.push(&line) {
                    self.own(LogLine { at, text });
                }
            }
            Some(form) => match form.split(&line) {
                Some((writer, at, length)) => {
                    let text = line.slice(length..);
                    match self.writer(&writer) {
                        Some(origin) => self.of(origin, LogLine { at, text }),
                        None => self.own(LogLine { at, text }),
                    }
                }
                None => self.own(LogLine { at: None, text: line }),
            },
        }
    }

    fn own(&mut self, line: LogLine) {
        match self.pieces.last_mut() {
            Some(Piece::Lines(lines)) => lines.push(line),
            _ => self.pieces.push(Piece::Lines(vec![line])),
        }
    }

    fn of(&mut self, origin: Arc<LogOrigin>, line: LogLine) {
        match self.pieces.last_mut() {
            Some(Piece::Of(before, lines)) if Arc::ptr_eq(before, &origin) => lines.push(line),
            _ => self.pieces.push(Piece::Of(origin, vec![line])),
        }
    }

    fn writer(&mut self, writer: &Writer<'_>) -> Option<Arc<LogOrigin>> {
        let parts = [writer.namespace, Some(writer.name), writer.container];
        let key = parts.map(Option::unwrap_or_default).join(&b' ');
        if let Some(known) = self.writers.get(&key) {
            return Some(known.clone());
        }
        if self.writers.len() >= MOST_WRITERS {
            return None;
        }
        let origin = Arc::new(LogOrigin {
            namespace: writer.namespace.map(Safe::name),
            name: Safe::name(writer.name),
            container: writer.container.map(Safe::name),
            alone: false,
            app: self.origin.app.clone(),
            ..LogOrigin::default()
        });
        self.writers.insert(key, origin.clone());
        Some(origin)
    }
}
