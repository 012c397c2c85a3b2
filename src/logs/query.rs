//! The question as data. Needles only over-approximate, so that most bytes are never looked at twice; `admits` alone decides.

use super::{
    flow::needle::{Needle, Needles},
    model::{Entry, Level, Record},
};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use memchr::memmem;
use regex::bytes::Regex;
use std::sync::{Arc, RwLock};

/// The fields that carry a request's ID where nothing else is configured. The first is the one to recommend.
pub const REQUEST_ID_FIELDS: [&str; 14] = [
    "request_id",
    "requestId",
    "request-id",
    "correlation_id",
    "correlationId",
    "Correlation-ID",
    "correlation-id",
    "x_request_id",
    "X-Request-ID",
    "x-request-id",
    "trace_id",
    "traceId",
    "otelTraceID",
    "req_id",
];

/// The fields that carry a Celery task's ID.
pub const TASK_ID_FIELDS: [&str; 5] = ["task_id", "child_task_id", "celery_task_id", "taskId", "data.id"];

/// What to read and what to keep.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Not older than this.
    pub since: Option<Timestamp>,
    /// Not newer than this.
    pub until: Option<Timestamp>,
    /// Whether to go on when the end is reached.
    pub follow: bool,
    /// Whether followed records come as they arrive, and not in order of time.
    pub arrival: bool,
    /// At most so many records per container, the newest, counted after filtering.
    pub tail: Option<u64>,
    /// The container that ran before, as kubectl's `--previous`.
    pub previous: bool,
    /// What a record must have, all of it.
    pub want: Vec<Predicate>,
    /// What it must not have.
    pub not: Vec<Predicate>,
    /// So many records before and after each hit are shown too.
    pub around: usize,
    /// The zone of times that are written without one.
    pub zone: Option<TimeZone>,
    /// The node's own files too: rotated, compressed, of every life of a container.
    pub rotated: bool,
    /// The newest lines of every container first, so that what happened lately is found at once.
    pub newest: bool,
    /// Where following begins when everything is filtered: so many lines back.
    pub back: Option<u64>,
    /// Only what was written in one of these spans; what does not pass `want` is the neighbourhood of what does.
    pub spans: Option<Arc<Spans>>,
}

/// Spans of time, in order, none touching the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spans(Vec<(Timestamp, Timestamp)>);

impl Spans {
    /// So long before and after each of these moments.
    pub fn around(moments: impl IntoIterator<Item = Timestamp>, length: SignedDuration) -> Self {
        let reach = |at: Timestamp| (at.saturating_sub(length).unwrap_or(at), at.saturating_add(length).unwrap_or(at));
        let mut spans: Vec<_> = moments.into_iter().map(reach).collect();
        spans.sort_unstable();
        let mut joined: Vec<(Timestamp, Timestamp)> = Vec::with_capacity(spans.len());
        for (from, to) in spans {
            match joined.last_mut() {
                Some(last) if from <= last.1 => last.1 = last.1.max(to),
                _ => joined.push((from, to)),
            }
        }
        Self(joined)
    }

    /// The first moment and the last.
    pub fn ends(&self) -> Option<(Timestamp, Timestamp)> {
        Some((self.0.first()?.0, self.0.last()?.1))
    }

    /// Whether a moment is in one of them.
    pub fn hold(&self, at: Timestamp) -> bool {
        let next = self.0.partition_point(|(from, _)| *from <= at);
        next > 0 && self.0.get(next - 1).is_some_and(|(_, to)| at <= *to)
    }
}

/// One condition.
#[derive(Clone, Debug)]
pub enum Predicate {
    /// One of these fields passes the test.
    Field {
        /// Their names.
        names: Arc<[String]>,
        /// The test.
        is: Test,
    },
    /// At least this bad. A record without a level has none: it does not pass.
    Level(Level),
    /// The line, or one of its further lines, passes the test.
    Line(Test),
    /// One of these.
    Any(Vec<Predicate>),
    /// The lines of tasks that become known while the reading goes on.
    Tasks(Arc<KnownTasks>),
}

/// Tasks whose IDs are learnt from the very lines that are read. Only ever grows.
#[derive(Debug, Default)]
pub struct KnownTasks(RwLock<Vec<String>>);

impl KnownTasks {
    /// Adds those that are new.
    pub fn learn(&self, ids: impl IntoIterator<Item = String>) {
        let mut known = self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        for id in ids {
            if !known.contains(&id) {
                known.push(id);
            }
        }
    }

    fn pass(&self, record: &Record, entry: &Entry) -> bool {
        let known = self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        known.iter().any(|id| memmem::find(&record.head, id.as_bytes()).is_some() && Predicate::task(id).passes(record, entry))
    }
}

/// A test of a value.
#[derive(Clone, Debug)]
pub enum Test {
    /// The whole value.
    Equals(String),
    /// Its beginning.
    Prefix(String),
    /// These bytes anywhere.
    Contains(String),
    /// A regular expression, anywhere.
    Matches(Arc<Regex>),
}

impl Test {
    fn passes(&self, value: &[u8]) -> bool {
        match self {
            Self::Equals(wanted) => value == wanted.as_bytes(),
            Self::Prefix(wanted) => value.starts_with(wanted.as_bytes()),
            Self::Contains(wanted) => memmem::find(value, wanted.as_bytes()).is_some(),
            Self::Matches(regex) => regex.is_match(value),
        }
    }

    /// The longest run that no JSON escaping can change; none when there is none worth searching.
    fn needle(&self) -> Option<String> {
        let wanted = match self {
            // A number with a fraction can be written in many ways.
            Self::Equals(w) if w.contains('.') && w.parse::<f64>().is_ok() => return None,
            Self::Equals(w) | Self::Prefix(w) | Self::Contains(w) => w,
            Self::Matches(_) => return None,
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        wanted.split(|c| !plain(c)).max_by_key(|run| run.len()).filter(|run| run.len() >= 2).map(str::to_owned)
    }
}

impl Predicate {
    /// A request's ID, by prefix, in any of the fields.
    pub fn request_id(fields: &Arc<[String]>, id: &str) -> Self {
        Self::Field { names: fields.clone(), is: Test::Prefix(id.to_owned()) }
    }

    /// What belongs to an ID, by prefix: a request's or a trace's in any of these fields, or a task's.
    pub fn subject(fields: &Arc<[String]>, id: &str) -> Self {
        let names: Arc<[String]> = TASK_ID_FIELDS.map(str::to_owned).into();
        let mut any = vec![Self::request_id(fields, id), Self::Field { names, is: Test::Prefix(id.to_owned()) }];
        // Celery's own lines name a task as `name[id]`; its IDs are UUIDs.
        if id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-') {
            any.push(Self::Line(Test::Contains(format!("[{id}"))));
        }
        Self::Any(any)
    }

    /// The lines of exactly this request.
    pub fn request(fields: &Arc<[String]>, id: &str) -> Self {
        Self::Field { names: fields.clone(), is: Test::Equals(id.to_owned()) }
    }

    /// A task's lines: a field that holds its ID, or a line that names it as Celery's own lines do. The whole ID, so a match is certain.
    pub fn task(id: &str) -> Self {
        let names: Arc<[String]> = TASK_ID_FIELDS.map(str::to_owned).into();
        Self::Any(vec![Self::Field { names, is: Test::Equals(id.to_owned()) }, Self::Line(Test::Contains(format!("[{id}]")))])
    }

    fn passes(&self, record: &Record, entry: &Entry) -> bool {
        match self {
            Self::Field { names, is } => names.iter().any(|n| entry.field(n).is_some_and(|v| is.passes(v.as_bytes()))),
            Self::Level(least) => entry.level.is_some_and(|l| l >= *least),
            Self::Line(is) => is.passes(&record.head) || record.tail.iter().any(|l| is.passes(l)),
            Self::Any(any) => any.iter().any(|p| p.passes(record, entry)),
            Self::Tasks(tasks) => tasks.pass(record, entry),
        }
    }

    /// What must stand in the bytes of the record; none: cannot tell.
    fn needle(&self) -> Option<Needle> {
        match self {
            Self::Level(least) => Needle::level(*least),
            Self::Line(Test::Matches(regex)) => Needle::patterns([regex.as_str()]),
            Self::Any(any) if any.iter().all(|p| matches!(p, Self::Line(Test::Matches(_)))) => {
                let patterns =
                    any.iter().filter_map(|p| if let Self::Line(Test::Matches(regex)) = p { Some(regex.as_str()) } else { None });
                Needle::patterns(patterns)
            }
            _ => self.words().and_then(Needle::any_of),
        }
    }

    /// Byte strings of which one must be in the record; none: cannot tell.
    fn words(&self) -> Option<Vec<String>> {
        match self {
            Self::Field { is, .. } | Self::Line(is) => is.needle().map(|n| vec![n]),
            Self::Level(_) | Self::Tasks(_) => None,
            Self::Any(any) => {
                let mut words = any.iter().map(Self::words).collect::<Option<Vec<_>>>()?.concat();
                words.sort();
                words.dedup();
                Some(words)
            }
        }
    }
}

impl Query {
    /// What to search for in the bytes, before anything is decoded.
    pub fn needles(&self) -> Needles {
        Needles::new(self.want.iter().filter_map(Predicate::needle).collect())
    }

    /// The names of the fields that are asked for.
    pub fn field_names(&self) -> impl Iterator<Item = &str> {
        self.want
            .iter()
            .filter_map(|p| if let Predicate::Field { names, .. } = p { Some(names) } else { None })
            .flat_map(|n| n.iter())
            .map(String::as_str)
    }

    /// Whether any record is left out by more than its time.
    pub fn filters(&self) -> bool {
        !(self.want.is_empty() && self.not.is_empty())
    }

    /// Whether a record is in the window. One without a time is.
    pub fn in_window(&self, at: Option<Timestamp>) -> bool {
        at.is_none_or(|at| self.since.is_none_or(|s| at >= s) && self.until.is_none_or(|u| at <= u))
    }

    /// Whether a record is wanted; its time is judged apart.
    pub fn admits(&self, record: &Record, entry: &Entry) -> bool {
        self.want.iter().all(|p| p.passes(record, entry)) && !self.not.iter().any(|p| p.passes(record, entry))
    }

    /// The zone of times that are written without one.
    pub fn zone(&self) -> TimeZone {
        self.zone.clone().unwrap_or(TimeZone::UTC)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::{decode, model::LogOrigin};
    use proptest::prelude::*;

    fn record(head: &str, tail: &[&str]) -> Record {
        Record {
            at: None,
            origin: Arc::new(LogOrigin::default()),
            sequence: 0,
            head: head.to_owned().into(),
            tail: tail.iter().map(|l| l.to_string().into()).collect(),
            nearby: false,
        }
    }

    fn admits(query: &Query, record: &Record) -> bool {
        query.admits(record, &decode::entry(&record.head, &TimeZone::UTC))
    }

    fn by_id(id: &str) -> Query {
        let fields: Arc<[String]> = REQUEST_ID_FIELDS.map(str::to_owned).into();
        Query { want: vec![Predicate::request_id(&fields, id)], ..Query::default() }
    }

    #[test]
    fn an_id_must_stand_in_its_field() {
        let query = by_id("abc123");
        assert!(admits(&query, &record(r#"{"event": "x", "request_id": "abc123-9f4e"}"#, &[])));
        assert!(admits(&query, &record(r#"{"event": "x", "extra": {"trace_id": "abc123"}}"#, &[])));
        assert!(admits(&query, &record("INFO 2026-11-21 17:31:22,260 v 1 2 done request_id=abc123-1", &[])));
        assert!(!admits(&query, &record(r#"{"event": "x", "order": "abc123-9f4e"}"#, &[])));
        assert!(!admits(&query, &record(r#"{"event": "abc123", "request_id": "9abc123"}"#, &[])));
    }

    #[test]
    fn a_task_is_found_by_field_and_by_celery_s_own_line() {
        let query = Query { want: vec![Predicate::task("7ec25367-0c7c")], ..Query::default() };
        assert!(admits(&query, &record(r#"{"event": "Task a.b[7ec25367-0c7c] received"}"#, &[])));
        assert!(admits(&query, &record("[2026-11-21 02:44:10,114: INFO/MainProcess] Task a.b[7ec25367-0c7c] received", &[])));
        assert!(admits(&query, &record(r#"{"data": {"id": "7ec25367-0c7c"}, "message": "m"}"#, &[])));
        assert!(!admits(&query, &record(r#"{"task_id": "7ec25367-0c7c-1"}"#, &[])));
    }

    #[test]
    fn levels_and_exclusions() {
        let query = Query {
            want: vec![Predicate::Level(Level::Error)],
            not: vec![Predicate::Line(Test::Contains("noise".into()))],
            ..Query::default()
        };
        assert!(admits(&query, &record("ERROR 2026-11-21 17:31:22,260 v 1 2 broke", &[])));
        assert!(!admits(&query, &record("ERROR 2026-11-21 17:31:22,260 v 1 2 broke", &["noise"])));
        assert!(!admits(&query, &record("no level here", &[])));
    }

    proptest! {
        /// The needle path never loses what the slow path admits, however JSON spells the value.
        #[test]
        fn needles_over_approximate(id in "[A-Za-z0-9_./:-]{1,24}", other in "[a-z]{0,6}", prefix in 1usize..24) {
            let value = serde_json::to_string(&format!("{id}{other}")).expect("a string");
            let r = record(&format!("{{\"event\": \"e\", \"request_id\": {value}}}"), &[]);
            let query = by_id(id.get(..prefix.min(id.len())).unwrap_or(&id));
            prop_assert!(admits(&query, &r));
            prop_assert!(query.needles().may_hit(&r));
            prop_assert!(query.needles().may_hit_chunk(&r.head));
        }
    }
}
