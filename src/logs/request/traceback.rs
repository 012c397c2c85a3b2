//! A Python traceback, folded to what matters: the exception, and the application's innermost frame.

use crate::{
    safe,
    text::{Redactor, Safe},
};
use serde::Serialize;

/// A folded traceback.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Traceback {
    /// `SMTPServerDisconnected: Connection unexpectedly closed`.
    pub exception: Safe,
    /// The innermost frame that is the application's own: `mail/tasks.py:88 send_receipt`.
    pub application: Option<Safe>,
    /// The innermost frame of all.
    pub innermost: Option<Safe>,
    /// How many frames it has.
    pub frames: usize,
    /// All of it, redacted, line by line.
    pub lines: Vec<Safe>,
}

struct Frame<'a> {
    path: &'a str,
    line: &'a str,
    function: &'a str,
}

impl Frame<'_> {
    /// Reads `  File "path", line 88, in send_receipt`.
    fn parse(line: &str) -> Option<Frame<'_>> {
        let rest = line.trim_start().strip_prefix("File \"")?;
        let (path, rest) = rest.split_once("\", line ")?;
        let (line, function) = rest.split_once(", in ").unwrap_or((rest, "?"));
        Some(Frame { path, line, function })
    }

    fn is_library(&self) -> bool {
        ["site-packages", "dist-packages", "/lib/python", "<frozen", "<string>"].iter().any(|part| self.path.contains(part))
    }

    fn shown(&self, redact: &Redactor) -> Safe {
        let mut parts: Vec<&str> = self.path.rsplit('/').take(2).collect();
        // A library's file alone says enough.
        if self.is_library() && !self.path.contains("-packages") {
            parts.truncate(1);
        }
        parts.reverse();
        safe!("{}:{} {}", redact.safe(parts.join("/").as_bytes()), Safe::name(self.line), Safe::name(self.function))
    }
}

impl Traceback {
    /// Folds a traceback's text; none when it has no frame and no exception.
    pub fn fold(text: &str, redact: &Redactor) -> Option<Self> {
        let lines: Vec<&str> = text.lines().collect();
        // Chained exceptions: the last block is the one that was raised in the end.
        let start = lines.iter().rposition(|l| l.trim_start().starts_with("Traceback (most recent call last)"))?;
        let block = &lines[start..];
        let frames: Vec<Frame<'_>> = block.iter().filter_map(|l| Frame::parse(l)).collect();
        let exception = block.iter().skip(1).find(|l| !l.starts_with([' ', '\t']) && !l.trim().is_empty())?;
        let short = exception
            .split_once(": ")
            .map_or_else(|| (*exception).to_owned(), |(kind, what)| format!("{}: {what}", kind.rsplit('.').next().unwrap_or(kind)));
        let application = frames.iter().rev().find(|f| !f.is_library()).map(|f| f.shown(redact));
        let innermost = frames.last().map(|f| f.shown(redact));
        Some(Self {
            exception: redact.safe(short.as_bytes()),
            innermost: innermost.filter(|i| Some(i) != application.as_ref()),
            application,
            frames: frames.len(),
            lines: lines.iter().map(|l| redact.safe(l.as_bytes())).collect(),
        })
    }

    /// One line: `mail/tasks.py:88 send_receipt → smtplib.py:405 getreply  (19 frames)`.
    pub fn place(&self) -> Safe {
        let frames: Vec<Safe> = [self.application.clone(), self.innermost.clone()].into_iter().flatten().collect();
        safe!("{}  ({} frames)", Safe::join(&frames, " → "), self.frames)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_to_the_application_s_innermost_frame() {
        let text = "Traceback (most recent call last):\n  File \"/srv/v/lib/python3.11/site-packages/celery/app/trace.py\", line 585, in trace_task\n    R = fun()\n  File \"/srv/shop/mail/tasks.py\", line 88, in send_receipt\n    smtp.send()\n  File \"/usr/lib/python3.11/smtplib.py\", line 405, in getreply\n    raise X\nsmtplib.SMTPServerDisconnected: Connection unexpectedly closed";
        let folded = Traceback::fold(text, &Redactor::default()).expect("a traceback");
        assert_eq!(folded.exception.as_str(), "SMTPServerDisconnected: Connection unexpectedly closed");
        assert_eq!(folded.place().as_str(), "mail/tasks.py:88 send_receipt → smtplib.py:405 getreply  (3 frames)");
        assert_eq!(Traceback::fold("no traceback", &Redactor::default()), None);
    }

    #[test]
    fn the_last_of_a_chain_counts() {
        let text = "Traceback (most recent call last):\n  File \"a.py\", line 1, in f\nKeyError: 'x'\n\nDuring handling of the above exception, another exception occurred:\n\nTraceback (most recent call last):\n  File \"b.py\", line 2, in g\nValueError";
        assert_eq!(Traceback::fold(text, &Redactor::default()).map(|t| t.exception.to_string()).as_deref(), Some("ValueError"));
    }
}
