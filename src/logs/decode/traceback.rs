//! Python tracebacks as applications write them: as text, chained, of exception groups, or as structlog's lists. Text to exceptions and
//! their frames; what they mean is judged elsewhere.

use serde_json::Value;

/// What a traceback begins with.
pub const OPENING: &str = "Traceback (most recent call last)";
/// Nobody raises more exceptions from each other, or from so deep, and means it.
const MOST_RAISED: usize = 32;
const MOST_FRAMES: usize = 1_000;

/// One exception of a traceback.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Raised {
    /// Its type, with its module: `psycopg.errors.UniqueViolation`.
    pub kind: String,
    /// What it says, first line.
    pub says: String,
    /// The calls, outermost first.
    pub frames: Vec<Frame>,
}

/// One call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// The file.
    pub path: String,
    /// The line in it, as written.
    pub line: String,
    /// The function; `?` where none is named.
    pub function: String,
    /// The source of that line, where it is shown.
    pub source: Option<String>,
}

impl Frame {
    /// Reads `  File "path", line 88, in send_receipt`.
    pub fn parse(line: &str) -> Option<Self> {
        let rest = line.trim_start().strip_prefix("File \"")?;
        let (path, rest) = rest.split_once("\", line ")?;
        let (line, function) = rest.split_once(", in ").unwrap_or((rest, "?"));
        Some(Self { path: path.to_owned(), line: line.trim().to_owned(), function: function.trim().to_owned(), source: None })
    }

    /// Whether it is Python's own or an installed package, not the application.
    pub fn is_library(&self) -> bool {
        ["site-packages", "dist-packages", "/lib/python", "<frozen", "<string>", "<decorator-gen"].iter().any(|p| self.path.contains(p))
    }

    /// The end of its path that people know it by: `mail/tasks.py`; of a module of Python's own the file alone.
    pub fn short_path(&self) -> String {
        let deep = if self.is_library() && !self.path.contains("-packages") { 1 } else { 2 };
        let mut parts: Vec<&str> = self.path.rsplit('/').take(deep).collect();
        parts.reverse();
        parts.join("/")
    }
}

impl Raised {
    /// The type without its module.
    pub fn short_kind(&self) -> &str {
        self.kind.rsplit('.').next().unwrap_or(&self.kind)
    }

    fn is_group(&self) -> bool {
        self.kind.ends_with("ExceptionGroup")
    }

    /// The innermost call of the application's own code.
    pub fn application(&self) -> Option<&Frame> {
        self.frames.iter().rev().find(|f| !f.is_library())
    }
}

/// The exceptions of a traceback's text, in its order: the cause first, what was raised in the end last. Empty when it is none.
pub fn parse(text: &str) -> Vec<Raised> {
    let mut all: Vec<Raised> = Vec::new();
    let mut open: Option<Raised> = None;
    for line in text.lines() {
        let line = bare(line);
        if line.contains(OPENING) {
            all.extend(open.take());
            if all.len() >= MOST_RAISED {
                return all;
            }
            open = Some(Raised::default());
            continue;
        }
        let Some(raised) = &mut open else { continue };
        if let Some(frame) = Frame::parse(line) {
            if raised.frames.len() < MOST_FRAMES {
                raised.frames.push(frame);
            }
        } else if line.starts_with([' ', '\t']) {
            let source = line.trim();
            if let Some(frame) = raised.frames.last_mut()
                && frame.source.is_none()
                && source.contains(|c: char| c.is_alphanumeric())
            {
                frame.source = Some(source.to_owned());
            }
        } else if !line.trim().is_empty() {
            (raised.kind, raised.says) = exception(line);
            all.extend(open.take());
        }
    }
    // A traceback that was cut before its exception still says where.
    all.extend(open.filter(|r| !r.frames.is_empty()));
    all
}

/// A line of an exception group without the lines that draw its tree.
fn bare(line: &str) -> &str {
    let inner = line.trim_start();
    match inner.strip_prefix(['|', '+']) {
        Some(rest) if inner.len() < line.len() => rest.strip_prefix(' ').unwrap_or(rest).trim_start_matches(['-', '+']),
        _ => line,
    }
}

/// `psycopg.errors.UniqueViolation: duplicate key` in its two parts.
fn exception(line: &str) -> (String, String) {
    let (kind, says) = line.split_once(':').unwrap_or((line, ""));
    let kind = kind.trim();
    let named = !kind.is_empty() && kind.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '<' | '>'));
    if named { (kind.to_owned(), says.trim().to_owned()) } else { (String::new(), line.trim().to_owned()) }
}

/// The exceptions of structlog's `dict_tracebacks`: a list, the last one raised first.
pub fn of_list(value: &Value) -> Vec<Raised> {
    let text = |v: &Value, name: &str| v.get(name).map(|t| t.as_str().map_or_else(|| t.to_string(), str::to_owned)).unwrap_or_default();
    let stacks = value.as_array().into_iter().flatten().take(MOST_RAISED);
    let mut all: Vec<Raised> = stacks
        .filter(|stack| stack.get("exc_type").is_some())
        .map(|stack| Raised {
            kind: text(stack, "exc_type"),
            says: text(stack, "exc_value").lines().next().unwrap_or_default().to_owned(),
            frames: stack
                .get("frames")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .take(MOST_FRAMES)
                .map(|f| Frame {
                    path: text(f, "filename"),
                    line: text(f, "lineno"),
                    function: text(f, "name"),
                    source: f.get("line").and_then(Value::as_str).filter(|l| !l.is_empty()).map(str::to_owned),
                })
                .collect(),
        })
        .collect();
    all.reverse();
    all
}

/// What it began with: the first exception that is no group, and the application's innermost call on the way to it.
pub fn cause(raised: &[Raised]) -> Option<(&Raised, Option<&Frame>)> {
    let first = raised.iter().find(|r| !r.is_group()).or_else(|| raised.first())?;
    // A database's own exception is raised below library calls alone; the one that was raised from it names the caller.
    let frame = first.application().or_else(|| raised.iter().find_map(Raised::application));
    Some((first, frame))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Option<String> {
        let all = parse(text);
        let (raised, frame) = cause(&all)?;
        Some(format!(
            "{} {}",
            raised.short_kind(),
            frame.map(|f| format!("{}:{} {}", f.short_path(), f.line, f.function)).unwrap_or_default()
        ))
    }

    const CHAIN: &str = "Traceback (most recent call last):
  File \"/v/lib/python3.11/site-packages/django/db/backends/utils.py\", line 105, in _execute
    return self.cursor.execute(sql, params)
           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
psycopg.errors.UniqueViolation: duplicate key value violates unique constraint \"x\"
DETAIL:  Key (id)=(1) already exists.

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File \"/srv/shop/orders/views.py\", line 41, in checkout
    order.save()
  File \"/v/lib/python3.11/site-packages/django/db/models/base.py\", line 814, in save
    self.save_base()
django.db.utils.IntegrityError: duplicate key value violates unique constraint \"x\"";

    #[test]
    fn a_chain_is_known_by_its_cause_and_the_application_s_call() {
        assert_eq!(told(CHAIN).as_deref(), Some("UniqueViolation orders/views.py:41 checkout"));
        let all = parse(CHAIN);
        assert_eq!(
            all.iter().map(|r| r.kind.as_str()).collect::<Vec<_>>(),
            ["psycopg.errors.UniqueViolation", "django.db.utils.IntegrityError"]
        );
        assert_eq!(all[1].frames[0].source.as_deref(), Some("order.save()"));
    }

    #[test]
    fn a_group_is_known_by_its_first_member() {
        let text = "  + Exception Group Traceback (most recent call last):
  |   File \"/srv/a/run.py\", line 9, in main
  |     raise ExceptionGroup(\"two\", errors)
  | ExceptionGroup: two (2 sub-exceptions)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File \"/srv/a/work.py\", line 3, in work
    |     return 1 / 0
    | ZeroDivisionError: division by zero
    +---------------- 2 ----------------
    | Traceback (most recent call last):
    |   File \"/srv/a/work.py\", line 5, in other
    | ValueError: no
    +------------------------------------";
        assert_eq!(told(text).as_deref(), Some("ZeroDivisionError a/work.py:3 work"));
        assert_eq!(parse(text).len(), 3);
    }

    #[test]
    fn structlog_s_list_is_read_too() {
        let list = serde_json::json!([
            {"exc_type": "RuntimeError", "exc_value": "outer", "frames": [{"filename": "/srv/a/b.py", "lineno": 4, "name": "run"}]},
            {"exc_type": "KeyError", "exc_value": "'x'", "is_cause": true, "frames": [{"filename": "/srv/a/c.py", "lineno": 7, "name": "get"}]}
        ]);
        let all = of_list(&list);
        let (raised, frame) = cause(&all).expect("a cause");
        assert_eq!((raised.kind.as_str(), frame.map(|f| f.line.as_str())), ("KeyError", Some("7")));
        assert!(of_list(&serde_json::json!(["no", {"x": 1}])).is_empty());
    }

    #[test]
    fn odd_ones_are_no_panic() {
        for (text, expected) in [
            ("no traceback", None),
            ("Traceback (most recent call last):", None),
            ("Traceback (most recent call last):\n  File \"a.py\", line 1, in f\n", Some(" ./a.py:1 f")),
            (
                "Traceback (most recent call last):\n  File \"a.py\", line 1\n    x(\n     ^\nSyntaxError: '(' was never closed",
                Some("SyntaxError a.py:1 ?"),
            ),
            ("Traceback (most recent call last):\nKeyError", Some("KeyError ")),
            ("Traceback (most recent call last):\nwhat is this: no type", Some(" ")),
        ] {
            let found = told(text);
            assert_eq!(found.map(|t| t.replace("./", "")), expected.map(|t| t.replace("./", "")), "{text}");
        }
    }
}
