//! Lines to records: a traceback, a DETAIL, an indented line belongs to the record before it in the same container, never to the next.

use crate::logs::{
    decode::{postgres, text},
    model::{LogOrigin, Record},
};
use bytes::Bytes;
use jiff::Timestamp;
use std::sync::Arc;

/// The most lines and bytes that one record collects; what comes beyond begins a record of its own.
const MOST_LINES: usize = 2_000;
const MOST_BYTES: usize = 4 << 20;

#[derive(Clone, Copy, PartialEq, Eq)]
enum In {
    Record,
    Frames,
    AfterException,
    /// Inside of a quoted text of PostgreSQL's csvlog.
    Quoted,
}

/// Groups the lines of one origin.
pub struct Grouper {
    origin: Arc<LogOrigin>,
    open: Option<Record>,
    state: In,
    size: usize,
    sequence: u64,
}

impl Grouper {
    /// For the lines of this origin.
    pub fn new(origin: Arc<LogOrigin>) -> Self {
        Self { origin, open: None, state: In::Record, size: 0, sequence: 0 }
    }

    /// Takes a line; gives the record that it ended, if it begins the next.
    pub fn push(&mut self, at: Option<Timestamp>, line: Bytes) -> Option<Record> {
        if let Some(open) = &mut self.open
            && let Some(state) = continues(&open.head, &line, self.state)
            && open.tail.len() < MOST_LINES
            && self.size + line.len() < MOST_BYTES
        {
            self.state = state;
            self.size += line.len();
            open.tail.push(line);
            return None;
        }
        self.state = if line.starts_with(TRACEBACK) {
            In::Frames
        } else if postgres::begins_csv(&line) && postgres::quote_open(&line, false) {
            In::Quoted
        } else {
            In::Record
        };
        self.size = line.len();
        self.sequence += 1;
        let next = Record { at, origin: self.origin.clone(), sequence: self.sequence, head: line, tail: Vec::new(), nearby: false };
        self.open.replace(next)
    }

    /// Whether a record is open that a further line could belong to.
    pub fn pending(&self) -> bool {
        self.open.is_some()
    }

    /// The record that is still open.
    pub fn finish(&mut self) -> Option<Record> {
        self.state = In::Record;
        self.open.take()
    }
}

const TRACEBACK: &[u8] = b"Traceback (most recent call last)";

/// The state after the line, if it belongs to the open record.
fn continues(head: &[u8], line: &[u8], state: In) -> Option<In> {
    if state == In::Quoted {
        // A quote that never ends, as in a file that was cut, does not swallow the next record.
        let next = if postgres::quote_open(line, true) { In::Quoted } else { In::Record };
        return (!postgres::begins_csv(line)).then_some(next);
    }
    if line.starts_with(TRACEBACK) {
        return Some(In::Frames);
    }
    if line.first().is_some_and(|b| matches!(b, b' ' | b'\t')) && !line.trim_ascii().is_empty() {
        return (!text::is_access_without_a_client(line)).then_some(state);
    }
    match state {
        In::Record => postgres::continues(head, line).then_some(In::Record),
        // The first line that is not indented ends the frames: the exception itself.
        In::Frames => (!text::begins(line)).then_some(if line.trim_ascii().is_empty() { In::Frames } else { In::AfterException }),
        In::Quoted => None,
        In::AfterException => after_exception(line).then_some(In::AfterException),
    }
}

/// Whether a line begins a record whatever stands further above: all that is known is the line before it, or not even that. A line of which
/// that cannot be said may still begin one.
pub fn starts(line: &[u8], before: Option<&[u8]>) -> bool {
    let indented = |l: &[u8]| l.first().is_some_and(|b| matches!(b, b' ' | b'\t'));
    if line.trim_ascii().is_empty()
        || indented(line)
        || line.starts_with(TRACEBACK)
        || after_exception(line)
        || postgres::continues(line, line)
    {
        return false;
    }
    // No exception is open below such a line: it was one itself, or a record.
    let closed = |l: &[u8]| !l.trim_ascii().is_empty() && !indented(l) && !l.starts_with(TRACEBACK);
    text::begins(line) || before.is_some_and(closed)
}

/// What Python and psycopg write below the exception: chained exceptions and the server's details.
fn after_exception(line: &[u8]) -> bool {
    const MORE: [&[u8]; 9] = [
        b"During handling of the above exception",
        b"The above exception was the direct cause",
        b"DETAIL:",
        b"HINT:",
        b"CONTEXT:",
        b"LINE ",
        b"[SQL",
        b"[parameters",
        b"(Background on this error",
    ];
    line.trim_ascii().is_empty() || MORE.iter().any(|m| line.starts_with(m))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(lines: &[&str]) -> Vec<(String, usize)> {
        let mut grouper = Grouper::new(Arc::new(LogOrigin::default()));
        let mut records: Vec<Record> = lines.iter().filter_map(|l| grouper.push(None, l.to_string().into())).collect();
        records.extend(grouper.finish());
        records.into_iter().map(|r| (String::from_utf8_lossy(&r.head).into_owned(), r.tail.len())).collect()
    }

    #[test]
    fn a_traceback_stays_with_the_record_before_it() {
        let records = group(&[
            "ERROR 2026-11-21 17:31:22,260 log 12 139 Internal Server Error: /api/",
            "Traceback (most recent call last):",
            "  File \"a.py\", line 1, in x",
            "    y()",
            "ZeroDivisionError: division by zero",
            "",
            "During handling of the above exception, another exception occurred:",
            "",
            "Traceback (most recent call last):",
            "  File \"b.py\", line 2, in z",
            "psycopg.errors.UniqueViolation: duplicate key",
            "DETAIL:  Key (id)=(1) already exists.",
            "127.0.0.1 - - [21/Nov/2026:17:28:34 +0000] \"GET / HTTP/1.1\" 500 1",
            "{\"event\": \"next\"}",
            "plain",
        ]);
        assert_eq!(records.iter().map(|r| r.1).collect::<Vec<_>>(), [11, 0, 0, 0]);
    }

    #[test]
    fn postgres_details_stay_with_their_record() {
        let records = group(&[
            "2026-11-21 02:44:10.114 UTC [88] ERROR:  duplicate key",
            "2026-11-21 02:44:10.114 UTC [88] DETAIL:  Key (id)=(1)",
            "2026-11-21 02:44:10.114 UTC [88] STATEMENT:  INSERT",
            "\tINTO x",
            "2026-11-21 02:44:10.115 UTC [88] LOG:  next",
        ]);
        assert_eq!(records.iter().map(|r| r.1).collect::<Vec<_>>(), [3, 0]);
    }

    #[test]
    fn a_statement_of_several_lines_stays_in_its_csv_record() {
        let head = "2026-11-21 18:51:34.011 UTC,\"shop\",\"orders\",88,\"[local]\",6740.58,3,\"INSERT\",2026-11-21 18:51:30 UTC,3/4,741,ERROR,23505,\"no\",,,,,,\"INSERT";
        let records = group(&[head, "INTO \"\"x\"\"", "", "VALUES (1)\",,,\"celery\",\"client backend\",,0", head, head, "plain\""]);
        assert_eq!(records.iter().map(|r| r.1).collect::<Vec<_>>(), [3, 0, 1]);
    }

    #[test]
    fn gunicorn_behind_a_socket_begins_with_a_blank() {
        let line = " - - [21/Nov/2026:17:28:34 +0000] \"GET / HTTP/1.1\" 200 1 \"-\" \"-\"";
        assert_eq!(group(&["{}", line, "  more", line]).len(), 3);
    }

    #[test]
    fn a_traceback_without_a_record_stands_alone_and_endless_ones_are_cut() {
        assert_eq!(group(&["Traceback (most recent call last):", "  File", "X: y", "{}"]).len(), 2);
        let many: Vec<&str> = std::iter::once("{}").chain(std::iter::repeat_n("  more", 5_000)).collect();
        assert_eq!(group(&many).iter().map(|r| r.1 + 1).sum::<usize>(), 5_001);
        assert_eq!(group(&many).len(), 3);
    }
}
