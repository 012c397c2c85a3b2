//! The desk of a watch: its state and its outbox, in one file, changed together. What is to be told is on disk before it is sent.

use super::Args;
use crate::{
    answer::Hint,
    error::{Error, Kind, Result},
    notify::{
        model::Alert,
        outbox::{Fate, Letter, Outbox},
        send::Delivery,
    },
    safe,
    session::Session,
    store::{Shelf, Shelved},
    text::Safe,
    watch::state::WatchState,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

const VERSION: u32 = 1;
/// Remarks that wait to be shown.
const REMARKS: usize = 100;

/// What survives.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    version: u32,
    watch: WatchState,
    outbox: Outbox,
}

/// The desk.
pub(super) struct Desk {
    /// None: there is no home, and nothing survives.
    shelf: Option<Shelf>,
    kept: Mutex<Kept>,
    remarks: Mutex<Vec<Safe>>,
    /// Something is to be sent.
    pub wake: Notify,
    /// A round is over in which something was reached.
    pub alive: Notify,
}

impl Desk {
    /// Takes the desk of these targets in this environment.
    ///
    /// # Errors
    /// `Config`: another watch of the same sits there, or the folder cannot be used.
    pub fn take(args: &Args, session: &Session) -> Result<Self> {
        let fail = |what: Safe| Error::new(Kind::Config, "taking the state of the watch").what(what);
        let mut desk = Self { shelf: None, kept: Mutex::default(), remarks: Mutex::default(), wake: Notify::new(), alive: Notify::new() };
        let Some(folder) = &session.state else {
            desk.remark("there is no state folder (HOME, XDG_STATE_HOME): nothing survives the end of this watch".into());
            return Ok(desk);
        };
        let io = |e: std::io::Error| fail(safe!("{}: {}", Safe::name(folder.as_os_str().as_encoded_bytes()), Safe::name(e.to_string())));
        let Some(shelf) = Shelf::take(folder, "watch", &identity(args, session)).map_err(io)? else {
            return Err(fail("another obsctl watch of the same targets is running".into())
                .hint(Hint::Try("end that one, or name other targets".into())));
        };
        match shelf.read::<Kept>(VERSION).map_err(io)? {
            Shelved::Nothing => {}
            Shelved::Found(kept) => desk.kept = Mutex::new(kept),
            Shelved::Aside(path) => {
                let at = Safe::name(path.as_os_str().as_encoded_bytes());
                desk.remark(safe!("what an earlier watch left could not be read and was laid aside: {}", at));
            }
        }
        desk.shelf = Some(shelf);
        // What was on its way when obsctl was ended may have arrived.
        desk.change(|kept| kept.outbox.wake());
        Ok(desk)
    }

    /// Changes the state and what is to be told for it, and writes both down.
    pub fn round<T>(&self, put: impl FnOnce(&mut WatchState, &mut Outbox) -> T) -> T {
        let done = self.change(|kept| put(&mut kept.watch, &mut kept.outbox));
        self.wake.notify_one();
        done
    }

    /// A copy of what is known, and how many letters nobody took.
    pub fn known(&self) -> (WatchState, usize) {
        let kept = lock(&self.kept);
        (kept.watch.clone(), kept.outbox.len())
    }

    /// The letters that may go now; they are marked on disk before this returns. Where that cannot be written they go all the same: to be
    /// told twice, and the second time unmarked, is better than never.
    pub fn due(&self, now: Timestamp) -> Vec<Letter> {
        if lock(&self.kept).outbox.is_empty() {
            return Vec::new();
        }
        let due = lock(&self.kept).outbox.due(now);
        if !due.is_empty() {
            self.lay();
        }
        due
    }

    /// What came of a letter.
    pub fn reacted(&self, letter: &Letter, attempt: &Delivery, now: Timestamp) {
        let fate = self.change(|kept| kept.outbox.reacted(letter.number, attempt.reaction, now));
        let (channel, key) = (Safe::name(&letter.channel), Safe::name(&letter.key));
        match fate {
            Fate::Sent => {}
            Fate::Waits if letter.attempts > 1 => {}
            Fate::Waits => self.remark(safe!("{} could not be told of {} and will be again: {}", channel, key, attempt.says)),
            Fate::GivenUp => self.remark(safe!("{} was not told of {}, and never will be: {}", channel, key, attempt.says)),
        }
    }

    /// Something for people, on stderr.
    pub fn remark(&self, says: Safe) {
        let mut remarks = lock(&self.remarks);
        if remarks.len() < REMARKS {
            remarks.push(says);
        }
    }

    /// What is to be said.
    pub fn remarks(&self) -> Vec<Safe> {
        std::mem::take(&mut *lock(&self.remarks))
    }

    fn change<T>(&self, change: impl FnOnce(&mut Kept) -> T) -> T {
        let done = change(&mut lock(&self.kept));
        self.lay();
        done
    }

    fn lay(&self) {
        let Some(shelf) = &self.shelf else { return };
        let kept = Kept { version: VERSION, ..lock(&self.kept).clone() };
        if let Err(e) = shelf.lay(&kept) {
            self.remark(safe!("the state of the watch cannot be written: {}", Safe::name(e.to_string())));
        }
    }
}

/// Puts an alert into the outbox, once for each channel; gives what had to be given up for it.
pub(super) fn put(outbox: &mut Outbox, alert: &Alert, channels: &[String], now: Timestamp) -> Vec<Letter> {
    let Ok(stored) = serde_json::to_value(alert) else { return Vec::new() };
    channels.iter().filter_map(|channel| outbox.put(channel, &alert.key, stored.clone(), now)).collect()
}

/// The same targets in another namespace are others.
fn identity(args: &Args, session: &Session) -> String {
    let kube = session.env.kube.as_ref();
    let context = kube.and_then(|k| k.context.as_ref()).map_or("", |c| c.value.as_str());
    let namespace = kube.and_then(|k| k.namespace.as_ref()).map_or("", |n| n.value.as_str());
    let environment = session.env.name.clone().unwrap_or_default();
    let selector = args.selector.as_deref().unwrap_or_default();
    format!("{environment}\n{context}\n{namespace}\n{selector}\n{}", args.targets.join("\n"))
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
