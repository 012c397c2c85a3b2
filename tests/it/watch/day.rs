//! A simulated day, a probe a minute of three subjects: whatever happens in it, what is told are the transitions, seen by another rule.

use jiff::{SignedDuration, Timestamp};
use obsctl::watch::{
    history::Mark,
    machine::{self, Observed, Patience, WayOut},
    state::{Standing, WatchState},
};
use proptest::prelude::*;

const MINUTES: usize = 1_440;
const SUBJECTS: [&str; 3] = ["backend", "celery", "https://app.example.org"];

/// What a probe comes upon.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Seen {
    Well,
    Ill,
    /// Nothing was reached.
    Lost,
    /// It was reached and says nothing of itself.
    Riddle,
}

/// Times of trouble, as a day has them: when they begin, how long they last, whose they are, and what is seen.
fn troubles() -> impl Strategy<Value = Vec<(usize, usize, usize, Seen)>> {
    let seen = prop_oneof![6 => Just(Seen::Ill), 2 => Just(Seen::Lost), 1 => Just(Seen::Riddle), 2 => Just(Seen::Well)];
    // The fourth subject is all of them: the way out itself.
    proptest::collection::vec((0..MINUTES, prop_oneof![4 => 1..4_usize, 2 => 4..60_usize, 1 => 60..300_usize], 0..4_usize, seen), 0..60)
}

/// The transitions of one subject, by looking at its whole day from above: `(minute, down)`.
fn from_above(day: &[Seen], cut: &[bool], quiet: impl Fn(usize) -> bool) -> Vec<(usize, bool)> {
    let known: Vec<(usize, bool)> = day
        .iter()
        .enumerate()
        .filter(|(at, seen)| !cut[*at] && **seen != Seen::Riddle)
        .map(|(at, seen)| (at, *seen != Seen::Well))
        .collect();
    let (mut told, mut at) = (Vec::new(), 0);
    loop {
        // Three ill ones in a row begin a trouble, two well ones after them end it.
        let Some(begun) = (at..known.len().saturating_sub(2)).find(|i| known[*i..*i + 3].iter().all(|(_, ill)| *ill)).map(|i| i + 2) else {
            return told;
        };
        let ended = (begun + 1..known.len().saturating_sub(1)).find(|i| !known[*i].1 && !known[*i + 1].1).map(|i| i + 1);
        let said = (begun..ended.unwrap_or(known.len())).find(|i| known[*i].1 && !quiet(known[*i].0));
        told.extend(said.map(|i| (known[i].0, true)));
        let Some(ended) = ended else { return told };
        told.extend(said.map(|_| (known[ended].0, false)));
        at = ended + 1;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_is_told_in_a_day_are_its_transitions(troubles in troubles(), from in 0..MINUTES, lasts in 0..300_usize) {
        let mut days = vec![vec![Seen::Well; MINUTES]; SUBJECTS.len()];
        for (begin, length, whose, seen) in troubles {
            for (n, day) in days.iter_mut().enumerate() {
                if whose == n || whose == SUBJECTS.len() {
                    day.iter_mut().skip(begin).take(length).for_each(|minute| *minute = seen);
                }
            }
        }
        let quiet = |minute: usize| (from..from + lasts).contains(&minute);
        let cut: Vec<bool> = (0..MINUTES).map(|minute| days.iter().all(|day| day[minute] == Seen::Lost)).collect();
        let start: Timestamp = "2026-11-21T00:00:00Z".parse().unwrap();
        let (mut state, mut told, mut was_cut) = (WatchState::default(), vec![Vec::new(); SUBJECTS.len()], false);
        for minute in 0..MINUTES {
            let now = start + SignedDuration::from_mins(minute as i64);
            if minute % 97 == 50 {
                state = serde_json::from_str(&serde_json::to_string(&state).unwrap()).unwrap();
            }
            let probes: Vec<Observed> = SUBJECTS.iter().zip(&days).map(|(subject, day)| {
                let mark = match day[minute] {
                    Seen::Well => Mark::Good,
                    Seen::Ill | Seen::Lost => Mark::Bad,
                    Seen::Riddle => Mark::Unknown,
                };
                Observed { subject: (*subject).to_owned(), mark, ms: 20, asked: true, reached: day[minute] != Seen::Lost, quiet: quiet(minute) }
            }).collect();
            let (way, transitions) = machine::round(&mut state, &probes, Patience::default(), now);
            let expected = match (was_cut, cut[minute]) {
                (false, false) => matches!(way, WayOut::Open),
                (false, true) => way == WayOut::JustCut,
                (true, true) => way == WayOut::StillCut,
                (true, false) => matches!(way, WayOut::Back(_)),
            };
            prop_assert!(expected, "minute {minute}: {way:?}");
            was_cut = cut[minute];
            for one in transitions {
                let at = SUBJECTS.iter().position(|subject| *subject == one.subject).unwrap();
                told[at].push((minute, one.to == Standing::Down));
            }
        }
        for (day, told) in days.iter().zip(&told) {
            prop_assert_eq!(told, &from_above(day, &cut, quiet));
        }
    }
}
