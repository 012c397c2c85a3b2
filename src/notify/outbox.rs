//! The outbox: what is to be told and was not yet, kept on disk. An alert is written down before it is sent, marked before each attempt and
//! dropped only after its receiver said yes: whenever obsctl is ended, none is lost, and the one that was on its way is told again, marked.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// How long it waits after the first failed attempt, and at most.
const FIRST_WAIT: SignedDuration = SignedDuration::from_secs(5);
const LONGEST_WAIT: SignedDuration = SignedDuration::from_mins(10);
/// An alert that nobody took for so long is given up, and that is said.
const GIVEN_UP_AFTER: SignedDuration = SignedDuration::from_hours(24);
/// Everything that many targets could have to tell through several channels while nobody takes it. Beyond it the oldest is given up, and that is
/// said.
const MOST: usize = 5_000;

/// What is to be told, in the order in which it happened.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outbox {
    letters: Vec<Letter>,
    next: u64,
}

/// One alert for one channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Letter {
    /// Its number in this outbox.
    pub number: u64,
    /// The channel by its name in the configuration.
    pub channel: String,
    /// The key of the incident: its end waits for its begin.
    pub key: String,
    /// The alert, as it was written down.
    pub alert: serde_json::Value,
    /// When it happened.
    pub at: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
    /// Whether an attempt has begun of which no end is known.
    pub on_its_way: bool,
    /// Whether it may have arrived already.
    pub again: bool,
    /// Not before.
    pub not_before: Timestamp,
}

/// What the receiver said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// It took it.
    Taken,
    /// Not now; again after so long, where it said.
    Later(Option<SignedDuration>),
    /// It will never take it: the letter itself is wrong.
    Refused,
    /// No answer: it may have taken it.
    Unclear,
}

/// What became of a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Told.
    Sent,
    /// To be tried again.
    Waits,
    /// Given up: it was refused, or nobody took it for too long.
    GivenUp,
}

impl Outbox {
    /// Writes an alert down for a channel. To be stored before anything is sent. Gives the letter for which there was no room any more.
    pub fn put(&mut self, channel: &str, key: &str, alert: serde_json::Value, now: Timestamp) -> Option<Letter> {
        let given_up = (self.letters.len() >= MOST).then(|| self.letters.remove(0));
        self.next += 1;
        self.letters.push(Letter {
            number: self.next,
            channel: channel.to_owned(),
            key: key.to_owned(),
            alert,
            at: now,
            attempts: 0,
            on_its_way: false,
            again: false,
            not_before: now,
        });
        given_up
    }

    /// After a restart: what was on its way may have arrived.
    pub fn wake(&mut self) {
        for letter in self.letters.iter_mut().filter(|l| l.on_its_way) {
            letter.on_its_way = false;
            letter.again = true;
        }
    }

    /// Takes the letters that may go now, marked as being on their way: one per channel and incident, the oldest first, so that an end
    /// never overtakes its begin. To be stored before they are sent.
    pub fn due(&mut self, now: Timestamp) -> Vec<Letter> {
        let mut seen: HashSet<(String, String)> = HashSet::new();
        let mut due = Vec::new();
        for letter in &mut self.letters {
            if !seen.insert((letter.channel.clone(), letter.key.clone())) {
                continue;
            }
            if !letter.on_its_way && letter.not_before <= now {
                letter.on_its_way = true;
                letter.attempts += 1;
                due.push(letter.clone());
            }
        }
        due
    }

    /// What the receiver of a letter said. To be stored again.
    pub fn reacted(&mut self, number: u64, reaction: Reaction, now: Timestamp) -> Fate {
        let Some(at) = self.letters.iter().position(|l| l.number == number) else { return Fate::GivenUp };
        let letter = &mut self.letters[at];
        letter.on_its_way = false;
        let wait = match reaction {
            Reaction::Taken => {
                self.letters.remove(at);
                return Fate::Sent;
            }
            Reaction::Refused => {
                self.letters.remove(at);
                return Fate::GivenUp;
            }
            Reaction::Later(asked) => asked,
            Reaction::Unclear => {
                letter.again = true;
                None
            }
        };
        if now.duration_since(letter.at) > GIVEN_UP_AFTER {
            self.letters.remove(at);
            return Fate::GivenUp;
        }
        // 5 s, 10 s, 20 s, …; a receiver that names its own pause is believed, up to an hour.
        let doubled = FIRST_WAIT.checked_mul(1 << letter.attempts.saturating_sub(1).min(10)).unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT);
        let wait = wait.map_or(doubled, |asked| asked.clamp(SignedDuration::ZERO, SignedDuration::from_hours(1)));
        letter.not_before = now.checked_add(wait).unwrap_or(now);
        Fate::Waits
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.letters.len()
    }
    /// Whether everything was told.
    pub fn is_empty(&self) -> bool {
        self.letters.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn now() -> Timestamp {
        "2026-11-21T02:44:00Z".parse().expect("a time")
    }

    fn later(s: i64) -> Timestamp {
        now().checked_add(SignedDuration::from_secs(s)).expect("in time")
    }

    #[test]
    fn an_end_never_overtakes_its_begin() {
        let mut outbox = Outbox::default();
        outbox.put("slack", "web#1", "begin".into(), now());
        outbox.put("slack", "web#1", "end".into(), now());
        outbox.put("slack", "api#1", "begin".into(), now());
        let first = outbox.due(now());
        assert_eq!(first.iter().map(|l| l.number).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(outbox.due(now()), []);
        assert_eq!(outbox.reacted(1, Reaction::Later(None), now()), Fate::Waits);
        assert_eq!(outbox.due(later(1)), []);
        assert_eq!(outbox.due(later(5)).iter().map(|l| l.number).collect::<Vec<_>>(), [1]);
        assert_eq!(outbox.reacted(1, Reaction::Taken, later(5)), Fate::Sent);
        assert_eq!(outbox.due(later(5)).iter().map(|l| l.number).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn what_has_no_room_is_handed_back() {
        let mut outbox = Outbox::default();
        let given_up: Vec<u64> =
            (0..MOST + 2).filter_map(|n| outbox.put("slack", &n.to_string(), "x".into(), now())).map(|l| l.number).collect();
        assert_eq!((given_up, outbox.len()), (vec![1, 2], MOST));
    }

    #[test]
    fn a_receiver_that_names_its_pause_is_believed() {
        let mut outbox = Outbox::default();
        outbox.put("slack", "web#1", "x".into(), now());
        outbox.due(now());
        outbox.reacted(1, Reaction::Later(Some(SignedDuration::from_secs(30))), now());
        assert_eq!((outbox.due(later(29)).len(), outbox.due(later(30)).len()), (0, 1));
    }

    #[test]
    fn what_nobody_takes_is_given_up_in_the_end() {
        let mut outbox = Outbox::default();
        outbox.put("slack", "web#1", "x".into(), now());
        outbox.due(now());
        assert_eq!(outbox.reacted(1, Reaction::Later(None), later(25 * 3600)), Fate::GivenUp);
        outbox.put("slack", "web#1", "x".into(), now());
        outbox.due(now());
        assert_eq!((outbox.reacted(2, Reaction::Refused, now()), outbox.len()), (Fate::GivenUp, 0));
    }

    /// A step after which obsctl is ended: before the letter is stored, before it is sent, before the answer is stored.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Killed {
        Never,
        BeforeSend,
        AfterSend,
    }

    proptest! {
        /// Whatever the receiver says and whenever obsctl is ended: every alert arrives, twice at most once per kill, and marked so.
        #[test]
        fn none_is_lost_and_repetitions_are_marked(steps in proptest::collection::vec((0..3u8, prop_oneof![Just(Killed::Never), Just(Killed::BeforeSend), Just(Killed::AfterSend)]), 0..40)) {
            let mut disk = Outbox::default();
            for n in 0..5 {
                disk.put("slack", &format!("web#{n}"), n.into(), now());
            }
            let (mut arrived, mut kills, mut clock) = (vec![Vec::new(); 5], 0, 0);
            let mut turn = |disk: &mut Outbox, answer: u8, killed: Killed| {
                clock += 700;
                let mut outbox = disk.clone();
                outbox.wake();
                let due = outbox.due(later(clock));
                *disk = outbox.clone();
                for letter in due {
                    if killed == Killed::BeforeSend {
                        kills += 1;
                        return;
                    }
                    let taken = answer != 1;
                    if taken {
                        arrived[letter.alert.as_u64().unwrap_or_default() as usize].push(letter.again);
                    }
                    if killed == Killed::AfterSend {
                        kills += 1;
                        return;
                    }
                    let reaction = match answer { 0 => Reaction::Taken, 1 => Reaction::Later(None), _ => Reaction::Unclear };
                    outbox.reacted(letter.number, reaction, later(clock));
                    *disk = outbox.clone();
                }
            };
            let unclear = steps.iter().filter(|(answer, _)| *answer == 2).count();
            for (answer, killed) in &steps {
                turn(&mut disk, *answer, *killed);
            }
            for _ in 0..20 {
                turn(&mut disk, 0, Killed::Never);
            }
            prop_assert!(disk.is_empty());
            for copies in &arrived {
                prop_assert!(!copies.is_empty());
                prop_assert!(copies.iter().skip(1).all(|again| *again), "a repetition is marked: {copies:?}");
            }
            let repetitions: usize = arrived.iter().map(|copies| copies.len() - 1).sum();
            prop_assert!(repetitions <= kills + unclear * 5);
        }
    }
}
