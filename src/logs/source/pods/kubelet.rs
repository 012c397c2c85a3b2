//! One container from the kubelet's own files, through the API server's node proxy: rotated, compressed, and of every life. The pod log API
//! gives the newest of them only. Used where `--rotated` says so and the user may `get nodes/proxy`, which is asked before the first file.

use super::{Ended, Reader, node::Fault};
use crate::{
    answer::{Hint, Missing, Part, Why},
    kubernetes::model::State,
    logs::{
        decode::node::{self, NodeFile, NodePlace, Parts},
        flow::split::Splitter,
        source::{LogLine, Piece},
    },
    safe,
    text::Safe,
};
use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use jiff::{SignedDuration, Timestamp};
use std::{io::Write, time::Duration};

/// How often a container's files are begun again after something went wrong.
const AGAIN: u32 = 6;
/// How often, and after which pause, it is looked whether the runtime has opened the file after one that was renamed.
const NEXT_FILE_TRIES: u32 = 20;
const NEXT_FILE_PAUSE: Duration = Duration::from_millis(100);
/// A first line so long after the container's start was not its first.
const LATE: SignedDuration = SignedDuration::from_secs(5);

/// What became of a container's files.
pub(super) enum Files {
    /// Every line that they hold was handed on.
    Whole,
    /// Nobody listens any more, or a limit was reached: nothing else makes sense.
    Over,
    /// They cannot be read, or not to their end: the rest has to come from the API.
    Api,
}

/// Where the reading of the files is.
#[derive(Default)]
pub(super) struct Shelf {
    pub(super) folder: Safe,
    pub(super) path: String,
    /// The last file that was read to its end.
    after: Option<NodePlace>,
    /// The file that is being read, and how much of it was, decompressed.
    reading: Option<NodePlace>,
    pub(super) at: u64,
    /// The files that were there in the beginning. What is written later belongs to the next question.
    expected: Vec<NodePlace>,
    /// The last of them that will be written no more: the file after it was the newest in the beginning, and is the last to be read.
    settled: Option<NodePlace>,
    /// The time of the newest file's first line in the beginning, by which it is known again when it was renamed.
    newest: Option<Timestamp>,
    /// Whether files that were there in the beginning could not be read; and whether they stood right before the file of now.
    lost: bool,
    gap: bool,
    /// Whether the last file was renamed and nothing came after it: its container writes no more.
    alone: bool,
    splitter: Splitter,
    parts: Parts,
}

impl Reader<'_> {
    /// Reads the files from the first to the last; `Api` says why in the coverage or in a note.
    pub(super) async fn files(&mut self, part: &Part) -> Files {
        let Some(node) = self.known.chosen.pod.node.clone() else { return Files::Api };
        match self.pods.node_rights(&node).await {
            Ok(true) => {}
            Ok(false) => {
                self.say_once(safe!("--rotated: you may not get nodes/proxy; only what the API gives is read")).await;
                return Files::Api;
            }
            Err(says) => {
                self.say_once(safe!(
                    "--rotated: whether you may get nodes/proxy could not be asked ({}); only what the API gives is read",
                    says
                ))
                .await;
                return Files::Api;
            }
        }
        let mut tries = 0;
        let mut shelf = Shelf::default();
        loop {
            let before = (shelf.after.clone(), shelf.at);
            let ended = match self.shelf(&node, &mut shelf).await {
                Ok(ended) => ended,
                Err(Fault::Moved) if shelf.path.is_empty() => {
                    self.say_once(safe!("{}: the kubelet serves no log files (enableSystemLogHandler is off?)", Safe::name(&node))).await;
                    return Files::Api;
                }
                Err(Fault::Refused) => {
                    let says = safe!("its files were refused in the middle: get on nodes/proxy is allowed no more");
                    self.coverage.miss(Missing { part: part.clone(), why: Why::Unreachable(says), hint: None });
                    return Files::Api;
                }
                Err(Fault::Damaged(says)) => {
                    // What it holds up to there was handed on; the next file is begun.
                    self.coverage.miss(Missing { part: part.clone(), why: Why::Unreachable(says), hint: None });
                    continue;
                }
                Err(_) if tries < AGAIN => {
                    // What goes on, however slowly, is not given up.
                    tries = if before == (shelf.after.clone(), shelf.at) { tries + 1 } else { 1 };
                    super::reader::pause(Duration::from_millis(200) * tries).await;
                    continue;
                }
                Err(Fault::Moved) => {
                    let says = safe!("a file of its log was deleted while it was read");
                    self.coverage.miss(Missing { part: part.clone(), why: Why::Unreachable(says), hint: None });
                    return Files::Api;
                }
                Err(Fault::Broken(says)) => {
                    let says = safe!("its files on {}: {}", Safe::name(&node), says);
                    self.coverage.miss(Missing { part: part.clone(), why: Why::Unreachable(says), hint: None });
                    return Files::Api;
                }
            };
            return match ended {
                Ended::Whole => Files::Whole,
                Ended::Unheard => Files::Over,
                Ended::Capped => {
                    self.capped(part);
                    Files::Over
                }
                Ended::Broken(_) => Files::Api,
            };
        }
    }

    /// From where the shelf is to the last file.
    async fn shelf(&mut self, node: &str, shelf: &mut Shelf) -> Result<Ended, Fault> {
        if shelf.path.is_empty() {
            (shelf.path, shelf.folder) = self.folder(node).await?;
            self.begin(shelf).await?;
        }
        loop {
            let turn = self.pods.cluster.turn().await;
            let files = self.list(shelf).await?;
            let Some(at) = files.iter().position(|f| Some(f.place()) > shelf.after) else { break };
            let last = at + 1 == files.len();
            let Some(file) = files.into_iter().nth(at) else { break };
            if file.stamp.is_some() && last && !shelf.alone {
                // The runtime goes on writing into a file that was renamed until it has opened the next one.
                drop(turn);
                self.next_file(shelf, &file).await?;
                continue;
            }
            self.place(shelf, &file);
            if file.stamp.is_some() && Some(file.place()) > shelf.settled && !self.was_newest(shelf, &file).await? {
                break;
            }
            if std::mem::take(&mut shelf.gap) {
                shelf.lost = true;
                // The rest of a line that the runtime cut in two at the rotation is gone: what follows does not belong to it.
                let rest = std::mem::take(&mut shelf.parts).finish();
                if !self.hand_on_lines(rest).await {
                    return Ok(Ended::Unheard);
                }
            }
            let (body, from) = self.open(shelf, &file).await?;
            if file.stamp.is_none() {
                // The kubelet has opened the file now. If a rotation came between the listing and this moment, it may be another one
                // than the listing meant: only a listing that shows no new file between says that it follows the last one.
                let again = self.list(shelf).await?;
                if again.iter().find(|f| Some(f.place()) > shelf.after).is_some_and(|f| f.place() != file.place()) {
                    continue;
                }
            }
            let mut ended = self.file(shelf, &file, body, from).await;
            if matches!(ended, Ok(Ended::Whole)) && file.stamp.is_some() && !file.gzipped {
                // What came into it while its successor was being opened.
                let (body, from) = self.open(shelf, &file).await?;
                ended = self.file(shelf, &file, body, from).await;
            }
            drop(turn);
            match ended {
                Ok(Ended::Whole) => {}
                Err(Fault::Damaged(says)) => {
                    // What was cut off in the middle is no line, and none of the next file.
                    (shelf.splitter, shelf.parts) = (Splitter::default(), Parts::default());
                    (shelf.after, shelf.at) = (Some(file.place()), 0);
                    return Err(Fault::Damaged(says));
                }
                other => return other,
            }
            (shelf.after, shelf.at) = (Some(file.place()), 0);
            if file.stamp.is_none() {
                // Another life writes nothing more into it: what stands behind the last line end was cut off with the container. The
                // newest file is written while we read: half a line at its end belongs to the next question.
                shelf.splitter = Splitter::default();
                let rest = std::mem::take(&mut shelf.parts).finish();
                if !self.hand_on_lines(rest).await {
                    return Ok(Ended::Unheard);
                }
                if let Some(before) =
                    self.known.container.before.as_ref().filter(|_| file.life + 1 == self.known.container.restarts && !self.query.previous)
                {
                    self.mark_restart(before).await;
                }
            }
            if self.query.previous && file.stamp.is_none() || shelf.after > shelf.settled {
                break;
            }
        }
        if shelf.lost {
            let part = super::part(&self.lane.origin);
            let says = safe!("older files of its log were deleted while it was read");
            self.coverage.miss(Missing { part, why: Why::Unreachable(says), hint: None });
        }
        Ok(Ended::Whole)
    }

    /// Waits until a file that was renamed has a successor, as it soon has: a container that died at that moment has none.
    async fn next_file(&self, shelf: &mut Shelf, file: &NodeFile) -> Result<(), Fault> {
        for _ in 0..NEXT_FILE_TRIES {
            super::reader::pause(NEXT_FILE_PAUSE).await;
            if self.list(shelf).await?.last().is_some_and(|f| f.place() > file.place()) {
                return Ok(());
            }
        }
        shelf.alone = true;
        Ok(())
    }

    /// Whether the file that comes after the settled ones may be read as the one that was the newest in the beginning. Where the kubelet
    /// has deleted that one since, what stands between is lost, and that is said.
    async fn was_newest(&self, shelf: &mut Shelf, file: &NodeFile) -> Result<bool, Fault> {
        // There was nothing in it: all that was there in the beginning has been read.
        let Some(newest) = shelf.newest else { return Ok(false) };
        match self.first_line(shelf, file).await? {
            Some(begins) if begins == newest => {}
            Some(begins) => {
                (shelf.gap, shelf.at) = (true, 0);
                shelf.splitter = Splitter::default();
                // From now on it is this one, should the reading of it break off.
                shelf.newest = Some(begins);
            }
            None => return Err(Fault::Moved),
        }
        Ok(true)
    }

    /// Turns to a file: goes on in it where it is the one that was being read, though it may have been renamed since.
    fn place(&self, shelf: &mut Shelf, file: &NodeFile) {
        let place = file.place();
        let same = shelf.reading.as_ref().is_some_and(|reading| *reading == place || reading.renamed_to(&place));
        // What stood between the last file that was read and this one is gone; the newest of the beginning was renamed only.
        let newest = shelf.expected.last().cloned();
        shelf.gap |= shelf.expected.iter().any(|p| Some(p) > shelf.after.as_ref() && *p < place && Some(p) != newest.as_ref());
        if !same {
            shelf.gap |= shelf.at > 0;
            shelf.at = 0;
            shelf.splitter = Splitter::default();
        }
        shelf.reading = Some(place);
    }

    /// Leaves out the files that end before what was asked for, and says so when the first one that is left does not reach back far enough.
    async fn begin(&mut self, shelf: &mut Shelf) -> Result<(), Fault> {
        let mut files = self.list(shelf).await?;
        for _ in 0..AGAIN {
            let Some(newest) = files.last().filter(|f| f.stamp.is_none()) else { break };
            shelf.newest = self.first_line(shelf, newest).await?;
            // A rotation between the listing and the reading would have shown another file's first line.
            let again = self.list(shelf).await?;
            if again.iter().map(NodeFile::place).eq(files.iter().map(NodeFile::place)) {
                break;
            }
            files = again;
        }
        shelf.expected = files.iter().map(NodeFile::place).collect();
        shelf.settled = files.iter().rev().find(|f| f.stamp.is_some() || Some(f.life) < files.last().map(|l| l.life)).map(NodeFile::place);
        let Some(first) = files.first() else { return Ok(()) };
        let mut oldest = self.first_line(shelf, first).await?;
        if let Some(since) = self.query.since
            && oldest.is_some_and(|at| at < since)
        {
            for (i, file) in files.iter().enumerate().skip(1).rev() {
                let begins = self.first_line(shelf, file).await?;
                if begins.is_some_and(|at| at < since) {
                    shelf.after = files.get(i - 1).map(NodeFile::place);
                    shelf.expected.drain(..i);
                    break;
                }
            }
            oldest = None;
        }
        if let Some(oldest) = oldest
            && self.began_before(first, oldest)
        {
            let part = super::part(&self.lane.origin);
            self.coverage.miss(Missing { part, why: Why::Rotated { oldest }, hint: None });
        }
        Ok(())
    }

    /// Whether the container wrote lines before the first one that its files still hold.
    fn began_before(&self, first: &NodeFile, oldest: Timestamp) -> bool {
        let container = &self.known.container;
        let began = match first.life {
            life if life > 0 && life + 1 < container.restarts => return true,
            life if life == container.restarts => match &container.state {
                State::Running(started) => *started,
                State::Terminated(end) => end.started,
                State::Waiting(_) => None,
            },
            life if life + 1 == container.restarts => container.before.as_ref().and_then(|b| b.started),
            _ => None,
        };
        // The kubelet keeps a life's beginning as long as nothing was rotated: then a late first line is a quiet container.
        first.stamp.is_some() && began.is_some_and(|began| oldest.duration_since(began) > LATE)
            || first.life > 0 && self.query.since.is_none_or(|since| since < oldest)
    }

    /// The rest of one file.
    async fn file(&mut self, shelf: &mut Shelf, file: &NodeFile, mut body: kube::client::Body, from: u64) -> Result<Ended, Fault> {
        let mut decoder = file.gzipped.then(|| MultiGzDecoder::new(Vec::with_capacity(256 << 10)));
        // What was read before, where the answer begins earlier.
        let mut skip = shelf.at.saturating_sub(from);
        loop {
            let Some(data) = self.frame(&mut body).await? else { break };
            self.coverage.bytes += data.len() as u64;
            if !self.budget.spend(data.len()) {
                return Ok(Ended::Capped);
            }
            let heard = match &mut decoder {
                None => self.take(shelf, &data, &mut skip).await,
                Some(decoder) => {
                    let mut heard = true;
                    // In small steps: what decompresses to a thousand times its size never lies in memory as a whole.
                    for step in data.chunks(4 << 10) {
                        decoder.write_all(step).map_err(|e| damaged(file, &e))?;
                        let plain = std::mem::take(decoder.get_mut());
                        heard = self.take(shelf, &plain, &mut skip).await;
                        let mut plain = plain;
                        plain.clear();
                        *decoder.get_mut() = plain;
                        if !heard {
                            break;
                        }
                    }
                    heard
                }
            };
            if !heard {
                return Ok(Ended::Unheard);
            }
        }
        if let Some(mut decoder) = decoder {
            let ended = decoder.try_finish();
            let plain = std::mem::take(decoder.get_mut());
            if !self.take(shelf, &plain, &mut skip).await {
                return Ok(Ended::Unheard);
            }
            ended.map_err(|e| damaged(file, &e))?;
        }
        Ok(Ended::Whole)
    }

    /// Decompressed bytes to lines.
    async fn take(&mut self, shelf: &mut Shelf, plain: &[u8], skip: &mut u64) -> bool {
        let over = usize::try_from(*skip).unwrap_or(usize::MAX).min(plain.len());
        *skip -= over as u64;
        let plain = plain.get(over..).unwrap_or_default();
        shelf.at += plain.len() as u64;
        let mut whole: Vec<(Timestamp, Bytes)> = Vec::new();
        let parts = &mut shelf.parts;
        shelf.splitter.push(plain, |raw| whole.extend(node::line(&raw).and_then(|line| parts.push(line))));
        self.hand_on_lines(whole).await
    }

    async fn hand_on_lines(&mut self, whole: Vec<(Timestamp, Bytes)>) -> bool {
        let mut known = Vec::with_capacity(whole.len());
        for (at, text) in whole {
            self.oldest.get_or_insert(at);
            // Remembered, so that the API can go on where the files had to be left.
            self.resume.line(at, text, &mut known);
        }
        let lines: Vec<LogLine> = known.into_iter().map(|(at, text)| LogLine { at: Some(at), text }).collect();
        lines.is_empty() || self.out.send(Piece::Lines(lines)).await.is_ok()
    }

    /// A note that concerns every container of the question.
    async fn say_once(&self, text: Safe) {
        if self.pods.first_to_say(&text) {
            self.note(text).await;
        }
    }
}

/// What helps against a rotated log.
pub(super) fn hint(asked: bool) -> Hint {
    Hint::Try(if asked {
        "somebody who may get nodes/proxy can read them with --rotated; that right opens every pod of a node: not one to be given for this"
            .into()
    } else {
        "--rotated reads the node's older files, where you may get nodes/proxy".into()
    })
}

fn damaged(file: &NodeFile, error: &std::io::Error) -> Fault {
    Fault::Damaged(safe!("{} is cut short or damaged: {}", Safe::name(&file.name), Safe::name(error.to_string())))
}
