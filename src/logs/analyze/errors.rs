//! Which errors there are: occurrences by cause, how often, where, since when, and whether a rollout brought them. One sample of each.

use super::{
    Census,
    cause::{self, Cause},
    timeline::Timeline,
};
use crate::{
    answer::Hint,
    kubernetes::rollout::{self, RolloutState},
    logs::{
        decode,
        flow::keep::Seen,
        model::{Entry, Level, LogOrigin, Record},
        query::{Predicate, Test},
    },
    report::Report,
    safe,
    text::{Redactor, Safe},
};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use serde::Serialize;
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

/// So many kinds are told apart; records of further ones are counted together.
const MOST_KINDS: usize = 2_000;
/// So many places are told apart for one kind.
const MOST_PLACES: usize = 400;
/// Columns of the timeline.
pub const COLUMNS: usize = 24;
/// Two loggers that tell of one failure do so within this.
const SAME: SignedDuration = SignedDuration::from_secs(2);
/// So many occurrences are remembered to see that.
const RECENT: usize = 32;
/// Times further ahead than this come from a wrong clock.
const AHEAD: SignedDuration = SignedDuration::from_mins(10);
/// As much of a sample is kept.
const SAMPLE_LINE: usize = 8 << 10;
const SAMPLE_LINES: usize = 60;
/// The fields that name a release.
const RELEASES: [&str; 5] = ["release", "version", "service.version", "app_version", "git_sha"];

/// What counts as an error: that level or worse, or a traceback at any level.
pub fn wanted() -> Predicate {
    let holds = |text: &str| Predicate::Line(Test::Contains(text.to_owned()));
    Predicate::Any(vec![Predicate::Level(Level::Error), holds(decode::traceback::OPENING), holds("\"exc_type\"")])
}

/// The errors of a time.
#[derive(Clone, Debug, Serialize)]
pub struct ErrorFacts {
    /// Since when was asked; none: everything there is.
    pub since: Option<Timestamp>,
    /// When it was looked.
    pub observed_at: Timestamp,
    /// The first and the last error that has a time.
    pub first: Option<Timestamp>,
    /// The last one.
    pub last: Option<Timestamp>,
    /// The timelines' bounds.
    pub shown: Option<(Timestamp, Timestamp)>,
    /// Records that were read, errors or not.
    pub records: u64,
    /// Occurrences in all.
    pub occurrences: u64,
    /// By cause: those that a rollout brought first, then the most frequent.
    pub kinds: Vec<ErrorKind>,
    /// Occurrences of further causes, too many to tell apart.
    pub left_out: u64,
    /// Occurrences without a time.
    pub undated: u64,
    /// Occurrences that say they are yet to come: their writer's clock is wrong.
    pub ahead: u64,
    /// The rollouts of that time.
    pub rollouts: Vec<RolloutState>,
    /// How many there were lately and in the time before, where that was asked.
    pub rate: Option<ErrorRate>,
}

impl Report for ErrorFacts {
    const KIND: &'static str = "errors";
    const VERSION: u32 = 1;
}

impl ErrorFacts {
    /// The kinds that the last rollouts brought, for sure.
    pub fn brought(&self) -> impl Iterator<Item = &ErrorKind> {
        self.kinds.iter().filter(|k| k.novelty == Novelty::New)
    }
}

/// Errors of one cause.
#[derive(Clone, Debug, Serialize)]
pub struct ErrorKind {
    /// What they have in common.
    pub cause: Cause,
    /// How often.
    pub count: u64,
    /// Lines that only told of the same failure again.
    pub repeats: u64,
    /// The worst level.
    pub level: Option<Level>,
    /// The first time.
    pub first: Option<Timestamp>,
    /// The last time.
    pub last: Option<Timestamp>,
    /// How often, over the time shown.
    pub timeline: Vec<u64>,
    /// Where: most first.
    pub places: Vec<ErrorPlace>,
    /// Occurrences at further places.
    pub elsewhere: u64,
    /// Whether a rollout brought it.
    pub novelty: Novelty,
    /// The rollout that it follows.
    pub rollout: Option<RolloutState>,
    /// One of them.
    pub sample: ErrorSample,
    /// What to run to see more of it.
    pub next: Hint,
}

impl ErrorKind {
    /// `DivisionByZero`, or the message.
    pub fn title(&self) -> &Safe {
        match &self.cause {
            Cause::Exception { exception, .. } => exception,
            Cause::Message { message, .. } => message,
        }
    }
}

/// Whether a rollout brought an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Novelty {
    /// It was first seen after the rollout, and the logs from before it have none.
    New,
    /// It was first seen after the rollout, and the logs from before it are gone.
    Unknown,
    /// It was there before, or there was no rollout.
    Old,
}

/// Where an error happened.
#[derive(Clone, Debug, Serialize)]
pub struct ErrorPlace {
    /// Who wrote it.
    #[serde(flatten)]
    pub origin: LogOrigin,
    /// The release: the image's tag, or what the record says.
    pub release: Option<Safe>,
    /// How often.
    pub count: u64,
}

/// One occurrence, to look at.
#[derive(Clone, Debug, Serialize)]
pub struct ErrorSample {
    /// When.
    pub at: Option<Timestamp>,
    /// Who wrote it.
    #[serde(flatten)]
    pub origin: LogOrigin,
    /// The request that it belongs to.
    pub request_id: Option<Safe>,
    /// What the exception or the message says.
    pub says: Safe,
    /// What the record says, where that is something else.
    pub message: Option<Safe>,
    /// The application's innermost call: `mail/tasks.py:88 send_receipt`.
    pub frame: Option<Safe>,
    /// The line, redacted.
    pub line: Safe,
    /// The lines that belong to it, redacted.
    pub more: Vec<Safe>,
}

/// How many errors there were lately, and in the time before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ErrorRate {
    /// How long each of the two times is, in seconds.
    pub span_seconds: i64,
    /// In the last of them.
    pub recent: u64,
    /// In the one before.
    pub before: u64,
    /// Whether the logs reach back over both: else `before` is a lower bound.
    pub reaches_back: bool,
}

/// What the kinds are told with.
struct Around<'a> {
    origins: &'a [Arc<LogOrigin>],
    redact: &'a Redactor,
    files: &'a Safe,
    bounds: Option<(Timestamp, Timestamp)>,
    seen: &'a Seen,
    rollouts: &'a [RolloutState],
}

struct Kept {
    count: u64,
    repeats: u64,
    level: Option<Level>,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    timeline: Timeline,
    places: HashMap<(usize, Option<Safe>), u64>,
    elsewhere: u64,
    recent: VecDeque<Recent>,
    sample: Sample,
}

#[derive(PartialEq)]
struct Recent {
    origin: usize,
    id: u64,
    at: Timestamp,
    said: u64,
}

struct Sample {
    record: Record,
    entry: Entry,
    says: Safe,
    frame: Option<Safe>,
    request_id: Option<String>,
}

/// Collects errors.
pub struct ErrorTally {
    redact: Redactor,
    id_fields: Arc<[String]>,
    now: Timestamp,
    span: Option<SignedDuration>,
    files: Safe,
    kinds: HashMap<Cause, Kept>,
    origins: Vec<Arc<LogOrigin>>,
    numbers: HashMap<Arc<LogOrigin>, usize>,
    occurrences: u64,
    left_out: u64,
    undated: u64,
    ahead: u64,
    recent: u64,
    before: u64,
}

impl ErrorTally {
    /// For a look at this moment; `id_fields` carry request IDs.
    pub fn new(redact: Redactor, id_fields: Arc<[String]>, now: Timestamp) -> Self {
        Self {
            redact,
            id_fields,
            now,
            span: None,
            files: Safe::EMPTY,
            kinds: HashMap::new(),
            origins: Vec::new(),
            numbers: HashMap::new(),
            occurrences: 0,
            left_out: 0,
            undated: 0,
            ahead: 0,
            recent: 0,
            before: 0,
        }
    }

    /// The same, comparing the last of this length with the one before it. The logs of both have to be read.
    pub fn comparing(mut self, span: SignedDuration) -> Self {
        self.span = Some(span);
        self
    }

    /// The same, of these files: what is named as the next step reads them again.
    pub fn of_files<'a>(mut self, files: impl IntoIterator<Item = &'a String>) -> Self {
        let words: Vec<Safe> = files.into_iter().map(|f| quoted(f)).collect();
        self.files = Safe::join(&words, " ");
        self
    }

    /// How many kinds there are so far.
    pub fn kinds(&self) -> usize {
        self.kinds.len()
    }

    fn number(&mut self, origin: &Arc<LogOrigin>) -> usize {
        if let Some(number) = self.numbers.get(origin) {
            return *number;
        }
        self.origins.push(origin.clone());
        self.numbers.insert(origin.clone(), self.origins.len() - 1);
        self.origins.len() - 1
    }

    /// The facts. `seen` tells how much was read, `rollouts` what was rolled out meanwhile.
    pub fn finish(self, since: Option<Timestamp>, seen: &Seen, rollouts: &[RolloutState]) -> ErrorFacts {
        let first = self.kinds.values().filter_map(|k| k.first).min();
        let last = self.kinds.values().filter_map(|k| k.last).max();
        let bounds = since.or(first).zip(last.map(|last| if since.is_some() { last.max(self.now) } else { last }));
        let rate = self.span.map(|span| ErrorRate {
            span_seconds: span.as_secs(),
            recent: self.recent,
            before: self.before,
            reaches_back: self.now.checked_sub(span + span).is_ok_and(|from| seen.oldest().is_some_and(|oldest| oldest <= from)),
        });
        let around = Around { origins: &self.origins, redact: &self.redact, files: &self.files, bounds, seen, rollouts };
        let mut kinds: Vec<ErrorKind> = self.kinds.into_iter().map(|(cause, kept)| kept.kind(cause, &around)).collect();
        kinds.sort_by(|a, b| {
            let rank = |k: &ErrorKind| (k.novelty != Novelty::New, std::cmp::Reverse(k.count));
            rank(a).cmp(&rank(b)).then_with(|| (a.first, a.title()).cmp(&(b.first, b.title())))
        });
        ErrorFacts {
            since,
            observed_at: self.now,
            first,
            last,
            shown: bounds,
            records: seen.records(),
            occurrences: self.occurrences,
            kinds,
            left_out: self.left_out,
            undated: self.undated,
            ahead: self.ahead,
            rollouts: rollouts.iter().filter(|r| since.is_none_or(|s| r.begun >= s)).cloned().collect(),
            rate,
        }
    }
}

impl Census for ErrorTally {
    fn take(&mut self, record: &Record, entry: &Entry) {
        if record.nearby {
            return;
        }
        let found = cause::of(record, entry, &self.redact);
        // A clock that is ahead would stretch every timeline: such a time is counted, not shown.
        let ahead = record.at.is_some_and(|at| self.now.checked_add(AHEAD).is_ok_and(|limit| at > limit));
        let at = record.at.filter(|_| !ahead);
        let request_id = entry.any_field(self.id_fields.iter().map(String::as_str));
        let origin = self.number(&record.origin);
        if !self.kinds.contains_key(&found.cause) && self.kinds.len() >= MOST_KINDS {
            self.left_out += 1;
            self.occurrences += 1;
            return;
        }
        let kept = self.kinds.entry(found.cause).or_insert_with(|| Kept::new(record, entry, &found.says));
        kept.level = kept.level.max(entry.level);
        let id = request_id.as_deref().map(|id| hashed(&id)).or_else(|| entry.field("task_id").map(|id| hashed(&id)));
        if let (Some(id), Some(at)) = (id, at)
            && kept.again(Recent { origin, id, at, said: hashed(&(&entry.logger, &entry.message)) })
        {
            kept.repeats += 1;
            return;
        }
        kept.count += 1;
        self.occurrences += 1;
        self.undated += u64::from(record.at.is_none());
        self.ahead += u64::from(ahead);
        if let Some(at) = at {
            kept.first = Some(kept.first.map_or(at, |first| first.min(at)));
            kept.last = Some(kept.last.map_or(at, |last| last.max(at)));
            kept.timeline.add(at);
            if let Some(span) = self.span {
                let age = self.now.duration_since(at);
                self.recent += u64::from(age < span);
                self.before += u64::from(age >= span && age < span + span);
            }
        }
        let release = release(record, entry, &self.redact);
        if kept.places.len() < MOST_PLACES || kept.places.contains_key(&(origin, release.clone())) {
            *kept.places.entry((origin, release)).or_default() += 1;
        } else {
            kept.elsewhere += 1;
        }
        // The newest, but one that names its request before one that does not.
        let newer = record.at >= kept.sample.record.at;
        if (request_id.is_some(), newer) > (kept.sample.request_id.is_some(), false) || kept.count == 1 {
            kept.sample = Sample { record: copied(record), entry: entry.clone(), says: found.says, frame: found.frame, request_id };
        }
    }
}

fn release(record: &Record, entry: &Entry, redact: &Redactor) -> Option<Safe> {
    if let Some(image) = &record.origin.image {
        return Some(Safe::name(rollout::tag(image)));
    }
    entry.any_field(RELEASES).map(|r| redact.safe(r.as_bytes()).clipped(40))
}

/// A record of its own: the bytes of a stream are not held back for a sample.
fn copied(record: &Record) -> Record {
    let copy = |line: &bytes::Bytes| bytes::Bytes::copy_from_slice(line.get(..SAMPLE_LINE).unwrap_or(line));
    // The exception stands at the end of a long traceback.
    let skipped = record.tail.len().saturating_sub(SAMPLE_LINES);
    Record { head: copy(&record.head), tail: record.tail.iter().skip(skipped).map(copy).collect(), ..record.clone() }
}

fn hashed(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

impl Kept {
    fn new(record: &Record, entry: &Entry, says: &Safe) -> Self {
        let sample = Sample { record: copied(record), entry: entry.clone(), says: says.clone(), frame: None, request_id: None };
        Self {
            count: 0,
            repeats: 0,
            level: None,
            first: None,
            last: None,
            timeline: Timeline::default(),
            places: HashMap::new(),
            elsewhere: 0,
            recent: VecDeque::new(),
            sample,
        }
    }

    /// Whether another logger has just told of the same failure of the same request. One logger that says the same twice means two.
    fn again(&mut self, now: Recent) -> bool {
        let same = |r: &Recent| r.origin == now.origin && r.id == now.id && now.at.duration_since(r.at).abs() <= SAME && r.said != now.said;
        let again = self.recent.iter().any(same);
        if !again {
            if self.recent.len() >= RECENT {
                self.recent.pop_front();
            }
            self.recent.push_back(now);
        }
        again
    }

    fn kind(self, cause: Cause, around: &Around<'_>) -> ErrorKind {
        let mut places: Vec<ErrorPlace> = self
            .places
            .into_iter()
            .filter_map(|((origin, release), count)| {
                Some(ErrorPlace { origin: LogOrigin::clone(around.origins.get(origin)?), release, count })
            })
            .collect();
        places.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.origin.name.cmp(&b.origin.name)));
        let (novelty, rollout) = novelty(self.first, &places, around.seen, around.rollouts);
        let sample = self.sample.shown(around.redact);
        let next = next(&cause, &sample, around.files);
        ErrorKind {
            cause,
            count: self.count,
            repeats: self.repeats,
            level: self.level,
            first: self.first,
            last: self.last,
            timeline: around.bounds.map(|(from, to)| self.timeline.columns(from, to, COLUMNS)).unwrap_or_default(),
            places,
            elsewhere: self.elsewhere,
            novelty,
            rollout,
            sample,
            next,
        }
    }
}

impl Sample {
    fn shown(self, redact: &Redactor) -> ErrorSample {
        let text = decode::traceback(&self.record, &self.entry).filter(|_| self.record.tail.is_empty());
        let lines: Vec<&str> = text.iter().flat_map(|t| t.lines()).collect();
        let mut more: Vec<Safe> = lines.iter().skip(lines.len().saturating_sub(SAMPLE_LINES)).map(|l| redact.safe(l.as_bytes())).collect();
        more.extend(self.record.tail.iter().map(|l| redact.safe(l)));
        let message = redact.safe(self.entry.message.as_bytes()).clipped(400);
        ErrorSample {
            at: self.record.at,
            origin: LogOrigin::clone(&self.record.origin),
            request_id: self.request_id.map(Safe::name),
            message: (!message.is_empty() && message != self.says).then_some(message),
            says: self.says,
            frame: self.frame,
            line: redact.safe(&self.record.head),
            more,
        }
    }
}

/// A shorter beginning of a request ID is not asked for.
const SHORTEST_ID: usize = 6;

/// Its request as a whole; where it names none, its neighbourhood in its own log.
fn next(cause: &Cause, sample: &ErrorSample, files: &Safe) -> Hint {
    let id = sample.request_id.as_ref().filter(|id| id.len() >= SHORTEST_ID).map(|id| quoted(id));
    let since = sample.at.map(|at| Safe::name(at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()));
    let which = match cause {
        Cause::Exception { exception, .. } => safe!("-i {}", quoted(exception)),
        Cause::Message { .. } => "--level error".into(),
    };
    Hint::Run(match (&sample.origin.namespace, id, since) {
        (Some(namespace), Some(id), _) => safe!("obsctl logs -r {} -n {}", id, namespace),
        (Some(namespace), None, Some(since)) => {
            safe!("obsctl logs pod/{} -n {} --since {} {}", sample.origin.name, namespace, since, which)
        }
        (Some(namespace), None, None) => safe!("obsctl logs pod/{} -n {} {}", sample.origin.name, namespace, which),
        (None, Some(id), _) => safe!("obsctl logs {} -r {}", files, id),
        (None, None, Some(since)) => safe!("obsctl logs {} --since {} {}", files, since, which),
        (None, None, None) => safe!("obsctl logs {} {}", files, which),
    })
}

/// A word as a shell takes it.
fn quoted(word: &str) -> Safe {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./:@%+=-".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return Safe::name(word);
    }
    safe!("'{}'", Safe::name(word.replace('\'', "'\\''")))
}

/// The Deployment that a pod's name is of: `backend` of `backend-7f9c-x2lq`.
fn deployment<'a>(origin: &LogOrigin, rollouts: &'a [RolloutState]) -> impl Iterator<Item = &'a RolloutState> {
    let name = origin.name.rsplitn(3, '-').nth(2).unwrap_or_default().to_owned();
    let namespace = origin.namespace.clone();
    rollouts.iter().filter(move |r| r.deployment == name && namespace.as_ref().is_none_or(|n| **n == *r.namespace))
}

/// Whether the last rollout before its first occurrence brought it. Only where the same Deployment's logs reach back before that rollout
/// can its absence there be known.
fn novelty(first: Option<Timestamp>, places: &[ErrorPlace], seen: &Seen, rollouts: &[RolloutState]) -> (Novelty, Option<RolloutState>) {
    let Some(first) = first else { return (Novelty::Old, None) };
    let of: BTreeMap<Timestamp, &RolloutState> =
        places.iter().flat_map(|p| deployment(&p.origin, rollouts)).map(|r| (r.begun, r)).collect();
    let Some((_, last)) = of.range(..=first).next_back() else { return (Novelty::Old, None) };
    let prefix = format!("{}-", last.deployment);
    let reaches = seen.oldest_of(|pod| pod.strip_prefix(prefix.as_str()).is_some_and(|rest| rest.matches('-').count() == 1));
    match reaches {
        Some(oldest) if oldest < last.begun => (Novelty::New, Some((*last).clone())),
        _ => (Novelty::Unknown, Some((*last).clone())),
    }
}
