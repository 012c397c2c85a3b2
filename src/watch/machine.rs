//! From probes to transitions. A subject is in trouble after so many bad probes in a row, and well again after so many good ones; what could
//! not be found out counts neither way. When nothing at all answers, it is us: nobody is called for that.

use super::{
    history::Mark,
    state::{Standing, SubjectState, WatchState},
};
use jiff::Timestamp;
use std::{collections::BTreeSet, time::Duration};

/// When a subject changes its standing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Bad probes in a row until it is in trouble.
    pub fail_after: u32,
    /// Good probes in a row until it is well again.
    pub recover_after: u32,
}

impl Default for Patience {
    fn default() -> Self {
        Self { fail_after: 3, recover_after: 2 }
    }
}

/// What one probe of a subject said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// The subject's stable name.
    pub subject: String,
    /// What it said.
    pub mark: Mark,
    /// How long it took.
    pub ms: u32,
    /// Whether it was asked at all: what could not be, because something before it failed, is no witness of our own way out.
    pub asked: bool,
    /// Whether it was reached at all: a refusal and a 503 were, a timeout and an unknown host were not.
    pub reached: bool,
    /// Whether a window or a silence holds.
    pub quiet: bool,
}

/// A moment at which somebody should be told, or could be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The subject.
    pub subject: String,
    /// Its number: with the subject's name the key of the incident, for its trouble and its recovery alike.
    pub incident: u64,
    /// What it became.
    pub to: Standing,
    /// When the first of the probes that led to it was.
    pub since: Timestamp,
    /// How long it was what it was before, where that is known.
    pub before: Option<Timestamp>,
}

impl Transition {
    /// The key of the incident, the same after a restart: `web/backend#3`.
    pub fn key(&self) -> String {
        format!("{}#{}", self.subject, self.incident)
    }
}

/// What became of our own way out in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WayOut {
    /// Something was reached.
    Open,
    /// Nothing was reached, for the first time.
    JustCut,
    /// Nothing was reached, as before.
    StillCut,
    /// Something is reached again after it was cut since then.
    Back(Timestamp),
}

/// One round of probes: changes the state and says what is to be told, in the order of the probes.
pub fn round(state: &mut WatchState, probes: &[Observed], patience: Patience, now: Timestamp) -> (WayOut, Vec<Transition>) {
    // One target alone is no proof that it is us.
    let asked = || probes.iter().filter(|probe| probe.asked);
    let cut = asked().count() > 1 && asked().all(|probe| !probe.reached);
    let way = match (cut, state.cut_off_since) {
        (true, None) => WayOut::JustCut,
        (true, Some(_)) => WayOut::StillCut,
        (false, Some(since)) => WayOut::Back(since),
        (false, None) => WayOut::Open,
    };
    state.cut_off_since = if cut { state.cut_off_since.or(Some(now)) } else { None };
    let mut told = Vec::new();
    for probe in probes {
        let subject = state.subjects.entry(probe.subject.clone()).or_default();
        let mark = if cut { Mark::Unknown } else { probe.mark };
        subject.history.push(mark, probe.ms);
        told.extend(step(subject, probe, mark, patience, now));
    }
    (way, told)
}

/// Forgets subjects that are watched no longer; the recovery of one that was in trouble would never come.
pub fn forget(state: &mut WatchState, watched: &BTreeSet<String>) -> Vec<Transition> {
    let gone: Vec<String> = state.subjects.keys().filter(|name| !watched.contains(*name)).cloned().collect();
    let mut told = Vec::new();
    for name in gone {
        if let Some(subject) = state.subjects.remove(&name)
            && subject.told
            && let Some(since) = subject.since
        {
            told.push(Transition { subject: name, incident: subject.incident, to: Standing::New, since, before: None });
        }
    }
    told
}

fn step(subject: &mut SubjectState, probe: &Observed, mark: Mark, patience: Patience, now: Timestamp) -> Option<Transition> {
    let bad = match mark {
        Mark::Unknown => return None,
        Mark::Bad => true,
        Mark::Good | Mark::Warned => false,
    };
    let contradicts = bad == (subject.standing != Standing::Down);
    if subject.standing == Standing::New && !bad {
        // Seen well for the first time: nothing to tell.
        (subject.standing, subject.since) = (Standing::Up, Some(now));
        (subject.against, subject.against_since) = (0, None);
        return None;
    }
    if !contradicts {
        (subject.against, subject.against_since) = (0, None);
        // Trouble that began in a window is told when the window is over and it is still there.
        let late = subject.standing == Standing::Down && !subject.told && !probe.quiet;
        return late.then(|| {
            subject.told = true;
            transition(subject, probe, subject.since.unwrap_or(now), None)
        });
    }
    subject.against += 1;
    let since = *subject.against_since.get_or_insert(now);
    let needed = if bad { patience.fail_after } else { patience.recover_after };
    if subject.against < needed.max(1) {
        return None;
    }
    let before = subject.since.replace(since);
    (subject.against, subject.against_since) = (0, None);
    if bad {
        subject.standing = Standing::Down;
        subject.incident += 1;
        subject.told = !probe.quiet;
        return subject.told.then(|| transition(subject, probe, since, before));
    }
    subject.standing = Standing::Up;
    // Who was told of the trouble is told of its end, whatever the hour.
    std::mem::take(&mut subject.told).then(|| transition(subject, probe, since, before))
}

fn transition(subject: &SubjectState, probe: &Observed, since: Timestamp, before: Option<Timestamp>) -> Transition {
    Transition { subject: probe.subject.clone(), incident: subject.incident, to: subject.standing, since, before }
}

/// How long to wait from one round to the next: up to a tenth more or less than the interval, by whatever the clock's last digits are, so
/// that several watches do not ask at the same moments.
pub fn pause(interval: Duration, nanoseconds: i32) -> Duration {
    const STEPS: u32 = 99_991;
    interval.mul_f64(0.9 + 0.2 * f64::from(nanoseconds.unsigned_abs() % STEPS) / f64::from(STEPS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;
    use proptest::prelude::*;

    fn observed(mark: Mark) -> Observed {
        Observed { subject: "web".into(), mark, ms: 10, asked: true, reached: mark != Mark::Unknown, quiet: false }
    }

    proptest! {
        #[test]
        fn a_pause_is_the_interval_give_or_take_a_tenth(seconds in 1u64..100_000, nanoseconds in 0i32..1_000_000_000) {
            let interval = Duration::from_secs(seconds);
            let pause = pause(interval, nanoseconds);
            prop_assert!(pause >= interval.mul_f64(0.899) && pause <= interval.mul_f64(1.101));
            // A clock that counts in microseconds spreads it too.
            prop_assert!(super::pause(interval, nanoseconds / 1000 * 1000) != super::pause(interval, nanoseconds / 1000 * 1000 + 1000));
        }
    }

    fn start() -> Timestamp {
        "2026-11-21T02:44:00Z".parse().expect("a time")
    }

    /// Feeds one probe a minute and returns what was told, with its minute.
    fn told(marks: &[(Mark, bool)]) -> Vec<(usize, Standing)> {
        let mut state = WatchState::default();
        let mut all = Vec::new();
        for (minute, (mark, quiet)) in marks.iter().enumerate() {
            let now = start().checked_add(SignedDuration::from_mins(minute as i64)).expect("in time");
            // A restart now and then: the state survives as text.
            if minute % 7 == 3 && (minute < 60 || minute % 100 == 3) {
                state = serde_json::from_str(&serde_json::to_string(&state).expect("JSON")).expect("the same");
            }
            let (_, told) = round(&mut state, &[Observed { quiet: *quiet, ..observed(*mark) }], Patience::default(), now);
            all.extend(told.into_iter().map(|t| (minute, t.to)));
        }
        all
    }

    fn marks(text: &str) -> Vec<(Mark, bool)> {
        let mark = |c| match c {
            'g' | 'G' => Mark::Good,
            'b' | 'B' => Mark::Bad,
            _ => Mark::Unknown,
        };
        text.chars().map(|c| (mark(c), c.is_ascii_uppercase())).collect()
    }

    #[test]
    fn three_bad_ones_in_a_row_and_two_good_ones() {
        assert_eq!(told(&marks("ggbbgbbbgbgg")), [(7, Standing::Down), (11, Standing::Up)]);
        assert_eq!(told(&marks("gbgbgbgb")), []);
    }

    #[test]
    fn a_subject_that_is_down_from_the_start_is_told() {
        assert_eq!(told(&marks("bbb")), [(2, Standing::Down)]);
    }

    #[test]
    fn what_could_not_be_found_out_counts_neither_way() {
        assert_eq!(told(&marks("gb?b?b")), [(5, Standing::Down)]);
        assert_eq!(told(&marks("g????????")), []);
    }

    #[test]
    fn in_a_window_nothing_is_told_and_after_it_what_is_still_there() {
        // Capitals: a window holds.
        assert_eq!(told(&marks("gBBBBGG")), []);
        assert_eq!(told(&marks("gBBBBbb")), [(5, Standing::Down)]);
        assert_eq!(told(&marks("gbbbGG")), [(3, Standing::Down), (5, Standing::Up)]);
    }

    #[test]
    fn when_nothing_at_all_answers_it_is_us() {
        let mut state = WatchState::default();
        let lost = |subject: &str| Observed { subject: subject.into(), mark: Mark::Bad, ms: 0, asked: true, reached: false, quiet: false };
        for minute in 0..10 {
            let now = start().checked_add(SignedDuration::from_mins(minute)).expect("in time");
            let (way, told) = round(&mut state, &[lost("web"), lost("api")], Patience::default(), now);
            assert_eq!((way, told), (if minute == 0 { WayOut::JustCut } else { WayOut::StillCut }, Vec::new()));
        }
        let (way, _) = round(&mut state, &[observed(Mark::Good), lost("api")], Patience::default(), start());
        assert_eq!(way, WayOut::Back(start()));
    }

    #[test]
    fn a_subject_that_is_watched_no_longer_is_closed() {
        let mut state = WatchState::default();
        for _ in 0..3 {
            round(&mut state, &[observed(Mark::Bad)], Patience::default(), start());
        }
        let closed = forget(&mut state, &BTreeSet::new());
        assert_eq!(closed.iter().map(|t| (t.key(), t.to)).collect::<Vec<_>>(), [("web#1".to_owned(), Standing::New)]);
        assert!(state.subjects.is_empty());
    }

    proptest! {
        /// A simulated day: what is told alternates, begins with a trouble, and is what the rule says when it is applied by hand.
        #[test]
        fn what_is_told_are_the_transitions(text in proptest::collection::vec(prop_oneof![4 => Just('g'), 3 => Just('b'), 1 => Just('?')], 0..1_440)) {
            let text: String = text.into_iter().collect();
            let known: Vec<(usize, char)> = text.chars().enumerate().filter(|(_, c)| *c != '?').collect();
            let (mut down, mut run, mut expected) = (false, 0, Vec::new());
            for (minute, c) in known {
                run = if (c == 'b') != down { run + 1 } else { 0 };
                if run == if down { 2 } else { 3 } {
                    (down, run) = (!down, 0);
                    expected.push((minute, if down { Standing::Down } else { Standing::Up }));
                }
            }
            prop_assert_eq!(told(&marks(&text)), expected);
        }
    }
}
