//! Waiting for something to become true, with a deadline. Nothing in the tests sleeps for a guessed time.

use std::thread;
use std::time::{Duration, Instant};

use crate::failure::{Failure, Result};

const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// Tries until `attempt` answers `Ok`, and panics with its last `Err` at the deadline. For tests.
///
/// # Panics
/// When the deadline passes first.
#[track_caller]
pub fn eventually<T>(deadline: Duration, attempt: impl FnMut() -> std::result::Result<T, String>) -> T {
    match poll(deadline, attempt) {
        Ok(value) => value,
        Err(failure) => panic!("{failure}"),
    }
}

/// The same for code that handles its failures.
pub fn poll<T>(deadline: Duration, mut attempt: impl FnMut() -> std::result::Result<T, String>) -> Result<T> {
    let end = Instant::now() + deadline;
    let mut pause = Duration::from_millis(5);
    loop {
        match attempt() {
            Ok(value) => return Ok(value),
            Err(last) if Instant::now() >= end => {
                return Err(Failure::new(format!("not within {deadline:?}: {last}")));
            }
            Err(_) => thread::sleep(pause),
        }
        pause = (pause * 3 / 2).min(LONGEST_PAUSE);
    }
}
