//! Records to errors by cause, in bounded memory: what is too many to tell apart is counted.

use super::{COLUMNS, ErrorFacts, ErrorKind, ErrorPlace, ErrorRate, ErrorSample, Novelty, novelty};
use crate::{
    kubernetes::rollout::{self, RolloutState},
    logs::{
        analyze::{
            Census,
            cause::{self, ErrorCause},
            timeline::Timeline,
        },
        decode,
        flow::keep::Seen,
        model::{Entry, Level, LogOrigin, Record},
    },
    text::{Redactor, Safe},
};
use jiff::{SignedDuration, Timestamp};
use std::{
    collections::{HashMap, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

/// So many kinds are told apart; records of further ones are counted together.
const MOST_KINDS: usize = 2_000;
/// So many places are told apart for one kind.
const MOST_PLACES: usize = 400;
/// Two loggers that tell of one failure do so within this.
const SAME: SignedDuration = SignedDuration::from_secs(2);
/// So many occurrences are remembered to see that.
const RECENT: usize = 32;
/// Times further ahead than this come from a wrong clock.
const AHEAD: SignedDuration = SignedDuration::from_mins(10);
/// So small a part of the time before may be missing.
const NEARLY: i32 = 10;
/// As much of a sample is kept.
const SAMPLE_LINE: usize = 8 << 10;
const SAMPLE_LINES: usize = 60;
/// The fields that name a release.
const RELEASES: [&str; 5] = ["release", "version", "service.version", "app_version", "git_sha"];

/// What the kinds are told with.
struct Around<'a> {
    origins: &'a [Arc<LogOrigin>],
    redact: &'a Redactor,
    files: &'a Safe,
    since: Option<Timestamp>,
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
    /// The time that is looked at, and the one before it that it is compared with.
    spans: Option<(SignedDuration, SignedDuration)>,
    files: Safe,
    kinds: HashMap<ErrorCause, Kept>,
    origins: Vec<Arc<LogOrigin>>,
    numbers: HashMap<Arc<LogOrigin>, usize>,
    occurrences: u64,
    left_out: u64,
    undated: u64,
    ahead: u64,
    /// Of each origin, how many lately and in the time before.
    compared: Vec<(u64, u64)>,
}

impl ErrorTally {
    /// For a look at this moment; `id_fields` carry request IDs.
    pub fn new(redact: Redactor, id_fields: Arc<[String]>, now: Timestamp) -> Self {
        Self {
            redact,
            id_fields,
            now,
            spans: None,
            files: Safe::EMPTY,
            kinds: HashMap::new(),
            origins: Vec::new(),
            numbers: HashMap::new(),
            occurrences: 0,
            left_out: 0,
            undated: 0,
            ahead: 0,
            compared: Vec::new(),
        }
    }

    /// The same, comparing the last `span` with the time of this length before it. The logs of both have to be read.
    pub fn comparing(mut self, span: SignedDuration, before: SignedDuration) -> Self {
        self.spans = Some((span, before));
        self
    }

    /// The same, of these files: what is named as the next step reads them again.
    pub fn of_files<'a>(mut self, files: impl IntoIterator<Item = &'a String>) -> Self {
        let words: Vec<Safe> = files.into_iter().map(|f| novelty::quoted(f)).collect();
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
        self.compared.push((0, 0));
        self.numbers.insert(origin.clone(), self.origins.len() - 1);
        self.origins.len() - 1
    }

    /// Log by log: one that began, or was rotated, a moment ago holds each of its errors for the first time, and is compared with nothing.
    fn rate(&self, span: SignedDuration, before: SignedDuration, seen: &Seen) -> ErrorRate {
        let mut rate =
            ErrorRate { span_seconds: span.as_secs(), before_seconds: before.as_secs(), reaches_back: true, ..ErrorRate::default() };
        for (origin, (recent, earlier)) in self.origins.iter().zip(&self.compared) {
            rate.recent += recent;
            let oldest = seen.oldest_of(|name| *name == *origin.name);
            let covered = oldest.map_or(SignedDuration::ZERO, |oldest| (self.now.duration_since(oldest) - span).min(before));
            if covered >= span {
                rate.compared += recent;
                rate.before += (*earlier as f64 * before.as_secs_f64() / covered.as_secs_f64()).ceil() as u64;
            }
            // What is asked for from then on begins with the first line after it: nobody writes all the time.
            rate.reaches_back &= *recent == 0 || covered >= before - before / NEARLY;
        }
        rate
    }

    /// The facts. `seen` tells how much was read, `rollouts` what was rolled out meanwhile.
    pub fn finish(self, since: Option<Timestamp>, seen: &Seen, rollouts: &[RolloutState]) -> ErrorFacts {
        let first = self.kinds.values().filter_map(|k| k.first).min();
        let last = self.kinds.values().filter_map(|k| k.last).max();
        let bounds = since.or(first).zip(last.map(|last| if since.is_some() { last.max(self.now) } else { last }));
        let rate = self.spans.map(|(span, before)| self.rate(span, before, seen));
        let around = Around { origins: &self.origins, redact: &self.redact, files: &self.files, since, bounds, seen, rollouts };
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
            records: seen.counted(),
            oldest: seen.oldest(),
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
            if let Some((span, before)) = self.spans {
                let age = self.now.duration_since(at);
                if let Some((recent, earlier)) = self.compared.get_mut(origin) {
                    *recent += u64::from(age < span);
                    *earlier += u64::from(age >= span && age < span + before);
                }
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

    fn kind(self, cause: ErrorCause, around: &Around<'_>) -> ErrorKind {
        let mut places: Vec<ErrorPlace> = self
            .places
            .into_iter()
            .filter_map(|((origin, release), count)| {
                Some(ErrorPlace { origin: LogOrigin::clone(around.origins.get(origin)?), release, count })
            })
            .collect();
        places.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.origin.name.cmp(&b.origin.name)));
        let (novelty, rollout) = novelty::of(self.first, around.since, &places, around.seen, around.rollouts);
        let apps = places.iter().map(|place| place.origin.app.as_ref().unwrap_or(&place.origin.name));
        let reaches = apps.filter_map(|app| around.seen.oldest_of_app(app)).min();
        let sample = self.sample.shown(around.redact);
        let next = novelty::next(&cause, &sample, around.files);
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
            reaches,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        answer::Severity,
        logs::{analyze::errors::ErrorFacts, decode, flow::keep::Keeper},
    };
    use jiff::tz::TimeZone;

    fn told(now: &str, span: Option<SignedDuration>, lines: &[&str]) -> ErrorFacts {
        let mut tally = ErrorTally::new(Redactor::default(), vec!["request_id".to_owned()].into(), now.parse().expect("a time"))
            .of_files(&["x.log".to_owned()]);
        if let Some(span) = span {
            tally = tally.comparing(span, span);
        }
        let origin = Arc::new(LogOrigin { name: "web-7f9c-x2lq".into(), image: Some("shop/web:0.57.0".into()), ..LogOrigin::default() });
        for line in lines {
            let head = line.to_string().into();
            let mut record = Record { at: None, origin: origin.clone(), sequence: 0, head, tail: Vec::new(), nearby: false };
            let entry = decode::record(&record, &TimeZone::UTC);
            record.at = entry.written;
            tally.take(&record, &entry);
        }
        tally.finish(None, &Seen::default(), &[])
    }

    #[test]
    fn two_loggers_of_one_failure_count_once_one_logger_twice() {
        let failure = |logger: &str, at: &str| {
            format!(
                "{{\"level\": \"error\", \"logger\": \"{logger}\", \"event\": \"failed\", \"request_id\": \"abcdef\", \"timestamp\": \"2026-11-21T18:00:{at}Z\", \
                 \"exception\": \"Traceback (most recent call last):\\n  File \\\"/srv/a.py\\\", line 1, in f\\nKeyError: 'x'\"}}"
            )
        };
        let lines = [failure("one", "00.1"), failure("two", "00.2"), failure("one", "01.0"), failure("one", "09.0")];
        let found = told("2026-11-21T18:01:00Z", None, &lines.iter().map(String::as_str).collect::<Vec<_>>());
        let kind = &found.kinds[0];
        assert_eq!((found.kinds.len(), kind.count, kind.repeats, found.occurrences), (1, 3, 1, 3));
        assert_eq!(kind.places[0].release.as_deref(), Some("0.57.0"));
        assert_eq!(kind.next, crate::answer::Hint::Run("obsctl logs x.log -r abcdef".into()));
    }

    #[test]
    fn the_last_hour_is_compared_with_the_one_before() {
        let lines = ["16:30", "17:30", "17:59", "18:10", "19:00"]
            .map(|at| format!("{{\"level\": \"error\", \"event\": \"e\", \"timestamp\": \"2026-11-21T{at}:00Z\"}}"));
        let found =
            told("2026-11-21T18:30:00Z", Some(SignedDuration::from_hours(1)), &lines.iter().map(String::as_str).collect::<Vec<_>>());
        let rate = found.rate.expect("it was asked for");
        // Nothing is known of how far the log reaches back.
        assert_eq!((rate.recent, rate.compared, rate.before, rate.reaches_back), (2, 0, 0, false));
        assert!(rate.risen().is_none());
        // Half an hour ahead is no time that counts.
        assert_eq!((found.ahead, found.occurrences), (1, 5));
    }

    #[test]
    fn a_log_that_began_a_moment_ago_is_compared_with_nothing() {
        let at = |time: &str| format!("2026-11-21T{time}:00Z").parse::<Timestamp>().expect("a time");
        let origin = |name: &str| Arc::new(LogOrigin { name: Safe::name(name), ..LogOrigin::default() });
        let rate = |pods: &[(&str, &str, &[&str])]| {
            let (hour, minutes) = (SignedDuration::from_hours(1), SignedDuration::from_mins(10));
            let mut tally = ErrorTally::new(Redactor::default(), Arc::from(Vec::new()), at("18:00")).comparing(minutes, hour);
            let mut seen = Seen::default();
            for (name, begins, errors) in pods {
                let origin = origin(name);
                let mut keeper = Keeper::new(Arc::default(), Arc::from(Vec::new()));
                for (time, head) in
                    [(*begins, "{\"event\": \"began\"}")].into_iter().chain(errors.iter().map(|e| (*e, "{\"level\": \"error\"}")))
                {
                    let head = head.to_owned().into();
                    let record = Record { at: Some(at(time)), origin: origin.clone(), sequence: 0, head, tail: Vec::new(), nearby: false };
                    if time != *begins {
                        tally.take(&record, &decode::record(&record, &TimeZone::UTC));
                    }
                    keeper.push(record, &mut |_| {});
                }
                seen.join(keeper.seen(Safe::name(name)));
            }
            tally.finish(None, &seen, &[]).rate.expect("it was asked for")
        };
        let many: &[&str] = &["17:51", "17:52", "17:53", "17:54", "17:55", "17:56", "17:57"];
        // A pod of the rollout of a minute ago, beside one that has been there all day: nobody knows what the new one's rate was.
        assert!(rate(&[("new", "17:50", many), ("old", "10:00", &[])]).risen().is_none());
        let old = rate(&[("old", "10:00", many)]);
        assert_eq!((old.compared, old.before, old.reaches_back), (7, 0, true));
        assert_eq!(old.risen().map(|f| f.severity), Some(Severity::Failed));
        // Half of the hour before is seen: as many again in the other half.
        let half = rate(&[("half", "17:20", &[&["17:30", "17:40"], many].concat())]);
        assert_eq!((half.compared, half.before, half.reaches_back), (7, 4, false));
        assert_eq!(half.risen().map(|f| f.severity), Some(Severity::Warning));
        // As ever.
        assert!(
            rate(&[("old", "10:00", &[&["17:00", "17:10", "17:20", "17:30", "17:40", "17:45", "17:46"], many].concat())]).risen().is_some()
        );
        let often: Vec<String> = (0..50).map(|m| format!("17:{m:02}")).collect();
        let often: Vec<&str> = often.iter().map(String::as_str).chain(many.iter().copied()).collect();
        assert!(rate(&[("old", "10:00", &often)]).risen().is_none());
    }
}
