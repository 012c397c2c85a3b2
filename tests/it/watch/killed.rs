//! SIGKILL between every two steps of storing and sending: strace ends the watch as its n-th call of a kind begins, for every n from its start
//! to the moment at which everything was told and written down. Whenever it is, the next watch leaves nothing untold and repeats at most once,
//! marked.

use super::{
    Patient, Place,
    told::{alerts, place, receiver},
};
use crate::support::SOON;
use lab::{
    eventually,
    need::{self, need},
    process::Start,
    web::Scripted,
};

/// What of a watch can be seen from outside: files synced and put in their place; connections opened, written and read.
const STEPS: [&str; 5] = ["fsync", "renameat", "connect", "writev", "recvfrom"];
/// Far more of a kind than it takes.
const MOST: usize = 30;

/// A watch that is ended as its n-th call of this kind begins; whether it was.
fn ended_at(step: &str, n: usize, place: &Place, patient: &Patient, words: &str) -> bool {
    let inject = format!("inject={step}:signal=KILL:when={n}");
    let state = place.0.path().join("state");
    let config = place.config();
    let start = Start::new("strace", "/usr/bin/strace").clear_env().env("XDG_STATE_HOME", &state).env("HOME", place.0.path());
    // All of it happens on the first thread; strace counts the calls of each thread by itself.
    let start = start.args(["-f", "-qqq", "-o", "/dev/null", "-e", &format!("trace={step}"), "-e", &inject]);
    let start = start.arg(env!("CARGO_BIN_EXE_obsctl")).args(["--config", config.to_str().unwrap(), "watch", "--interval", "150ms"]);
    match start.args(words.split(' ')).arg(patient.url()).ended() {
        Ok((status, _)) => status == 137,
        // strace ends as its program did.
        Err(failure) => failure.to_string().contains("signal: 9"),
    }
}

/// Lets watches tell everything that is to be told.
fn finished(place: &Place, patient: &Patient, hook: &Scripted, standing: &str) {
    eventually(SOON, || {
        place.watch("--fail-after 1 --recover-after 1 --for 200ms", patient).run();
        let kept = place.kept();
        let over = kept.contains("\"letters\":[]") && kept.contains(&format!("\"standing\":\"{standing}\"")) && !hook.told().is_empty();
        if over { Ok(()) } else { Err(kept) }
    });
}

/// What arrived of one state, and whether it was marked.
fn of(hook: &Scripted, state: &str) -> Vec<bool> {
    alerts(hook).into_iter().filter(|(s, _)| s == state).map(|(_, again)| again).collect()
}

#[track_caller]
fn once_or_repeated_and_marked(when: &str, told: &[bool]) {
    assert!(matches!(told, [false] | [false, true] | [true]), "ended at {when}: {told:?}");
}

#[test]
fn an_end_between_every_two_steps_of_the_begin_and_of_the_end_of_a_trouble() {
    need::all("ending a watch between two of its steps", &[need("/usr/bin/strace", "strace")]).unwrap();
    let repeated: usize = STEPS.into_iter().map(ended_at_each).sum();
    // Otherwise no end came between the sending and the word of it.
    assert!(repeated >= 2, "{repeated} repetitions");
}

/// Ends it at the first call of a kind, at the second, and so on; gives how many repetitions that made.
fn ended_at_each(step: &'static str) -> usize {
    let mut repeated = 0;
    for n in 1..MOST {
        let when = format!("the {n}. {step}");
        let hook = receiver(vec![]);
        let place = place(&format!("hook: {{webhook: '{}'}}", hook.url("/hook")));
        let patient = Patient::new();
        let words = "--fail-after 1 --recover-after 1 --for 500ms";
        // Everything was told and that was written down before the end came: later steps are those of idle rounds.
        let over = |state: &str| place.kept().contains("\"letters\":[]") && !of(&hook, state).is_empty();
        patient.is(false);
        let ended = ended_at(step, n, &place, &patient, words);
        let begun = over("firing");
        finished(&place, &patient, &hook, "down");
        once_or_repeated_and_marked(&when, &of(&hook, "firing"));
        // The end of the trouble, with an end of the watch at the same step.
        patient.is(true);
        let ended = ended_at(step, n, &place, &patient, words) && ended;
        let resolved = over("resolved");
        finished(&place, &patient, &hook, "up");
        once_or_repeated_and_marked(&when, &of(&hook, "firing"));
        once_or_repeated_and_marked(&when, &of(&hook, "resolved"));
        repeated += of(&hook, "firing").len() + of(&hook, "resolved").len() - 2;
        assert!(ended || n > 2, "there is no {when}");
        if begun && resolved {
            return repeated;
        }
    }
    panic!("it never came to its end");
}
