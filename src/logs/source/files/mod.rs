//! Files, pipes and commands. A missing or unreadable file is a gap in the coverage, never silence.
#![expect(clippy::disallowed_methods, reason = "a file that is followed says nothing when it grows: it is looked at again and again")]

mod follow;
mod hand;
mod scan;
mod siblings;
mod whole;

use super::{Budget, Lane, Lanes, LogSource, Piece};
use crate::{
    answer::{Coverage, Hint, Missing, Part, Why},
    connect::process,
    error::{Error, Kind, Result},
    logs::{
        flow::{prefix::of_path, split::Splitter},
        model::LogOrigin,
        query::Query,
    },
    safe,
    text::{Redactor, Safe},
};
use follow::{Followed, News};
use futures_util::future::{BoxFuture, FutureExt};
use hand::Hand;
use jiff::tz::TimeZone;
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    sync::{Semaphore, mpsc},
};

const CHUNK: usize = 64 << 10;
/// How often a followed file is looked at for more.
const LOOK: Duration = Duration::from_millis(200);
/// A pipe that says nothing for so long has said all of its last record.
const QUIET: Duration = Duration::from_millis(500);
/// So many files are read at once: each is searched on all cores.
const AT_ONCE: usize = 2;

/// Files of one app, or as they were named.
#[derive(Clone, Debug, Default)]
pub struct Named {
    /// A path, a glob or a folder; `-` is stdin.
    pub pattern: String,
    /// A command whose output is the log, instead of files.
    pub command: Vec<String>,
    /// The app they belong to.
    pub app: Option<String>,
    /// The zone of times without one.
    pub zone: Option<TimeZone>,
}

enum Input {
    Stdin,
    /// The files of one log, oldest first.
    Log(Vec<PathBuf>),
    Command(Vec<String>),
}

/// A set of files.
pub struct Files {
    inputs: Vec<(Input, Lane)>,
    turns: Semaphore,
    redact: Redactor,
}

impl Files {
    /// Resolves the patterns.
    ///
    /// # Errors
    /// `NotFound` for a pattern or path that names no file; `Usage` for a malformed glob.
    pub fn resolve(named: &[Named], redact: Redactor) -> Result<Self> {
        let mut paths = Vec::new();
        let mut owners: HashMap<PathBuf, &Named> = HashMap::new();
        let mut rest = Vec::new();
        for one in named {
            if !one.command.is_empty() {
                rest.push((Input::Command(one.command.clone()), one));
            } else if one.pattern == "-" {
                rest.retain(|(input, _)| !matches!(input, Input::Stdin));
                rest.push((Input::Stdin, one));
            } else {
                for path in found(one)? {
                    if owners.insert(path.clone(), one).is_none() {
                        paths.push(path);
                    }
                }
            }
        }
        let logs = siblings::chains(paths);
        let newest: Vec<&Path> = logs.iter().filter_map(|chain| chain.last()).map(PathBuf::as_path).collect();
        let names = short_names(&newest);
        let mut inputs = Vec::new();
        for (chain, name) in logs.into_iter().zip(names) {
            let Some((newest, one)) = chain.last().and_then(|newest| Some((newest, owners.get(newest)?))) else { continue };
            let lane = lane(inputs.len(), Safe::name(name), one, Some(newest));
            inputs.push((Input::Log(chain), lane));
        }
        for (input, one) in rest {
            let name = match &input {
                Input::Command(words) => one.app.as_ref().or(words.first()).map_or(Safe::EMPTY, Safe::name),
                _ => "stdin".into(),
            };
            inputs.push((input, lane(inputs.len(), name, one, None)));
        }
        Ok(Self { inputs, turns: Semaphore::new(AT_ONCE), redact })
    }
}

/// The files that a pattern names.
fn found(one: &Named) -> Result<Vec<PathBuf>> {
    let doing = || safe!("looking for {}", Safe::name(&one.pattern));
    let path = Path::new(&one.pattern);
    if path.is_dir() {
        let found = siblings::of_folder(path);
        if found.is_empty() {
            return Err(Error::new(Kind::NotFound, doing())
                .what("no file in this folder is named like a log")
                .hint(Hint::Try(safe!("name its files: '{}/*'", Safe::name(one.pattern.trim_end_matches('/'))))));
        }
        return Ok(found);
    }
    let found: Vec<PathBuf> = if one.pattern.contains(['*', '?', '[']) && !path.exists() {
        let found = glob::glob(&one.pattern).map_err(|e| Error::new(Kind::Usage, doing()).what(Safe::name(e.msg)))?;
        found.filter_map(std::result::Result::ok).filter(|p| !p.is_dir()).collect()
    } else {
        vec![path.to_owned()].into_iter().filter(|p| p.exists()).collect()
    };
    if !found.is_empty() {
        return Ok(found);
    }
    let error = Error::new(Kind::NotFound, doing()).what("no such file");
    // `service/backend`, `deplyo/backend`: meant for the cluster.
    let as_target =
        one.pattern.split_once('/').is_some_and(|(kind, name)| !kind.contains('.') && !kind.is_empty() && !name.contains(['/', '.', '*']));
    Err(if as_target { error.hint(crate::kubernetes::target::kinds_hint()) } else { error })
}

fn lane(key: usize, name: Safe, named: &Named, path: Option<&PathBuf>) -> Lane {
    let app = named.app.as_ref().map(Safe::name);
    let path = path.map(|p| p.to_string_lossy().into_owned()).unwrap_or_default();
    let origin = match of_path(&path) {
        Some((namespace, pod, container)) => LogOrigin {
            namespace: Some(Safe::name(namespace)),
            name: Safe::name(pod),
            container: Some(Safe::name(container)),
            app,
            ..LogOrigin::default()
        },
        None => LogOrigin { name, app, alone: true, ..LogOrigin::default() },
    };
    Lane { key, origin: Arc::new(origin), zone: named.zone.clone() }
}

/// The shortest endings that tell the files apart: `backend-1.log`, or `a/web.log` and `b/web.log`.
fn short_names(paths: &[&Path]) -> Vec<String> {
    let ending = |path: &Path, parts: usize| {
        let all: Vec<_> = path.components().collect();
        let from = all.len().saturating_sub(parts);
        all[from..].iter().collect::<PathBuf>().to_string_lossy().into_owned()
    };
    let deepest = paths.iter().map(|p| p.components().count()).max().unwrap_or(1);
    for parts in 1..=deepest {
        let names: Vec<String> = paths.iter().map(|p| ending(p, parts)).collect();
        let mut unique = names.clone();
        unique.sort();
        unique.dedup();
        if unique.len() == names.len() {
            return names;
        }
    }
    paths.iter().map(|p| p.to_string_lossy().into_owned()).collect()
}

impl LogSource for Files {
    fn lanes(self: Arc<Self>, _query: Arc<Query>) -> BoxFuture<'static, Result<Lanes>> {
        let open = self.inputs.iter().map(|(_, lane)| lane.clone()).collect();
        async { Ok(Lanes { open, later: None, coverage: Coverage::default() }) }.boxed()
    }

    fn read(
        self: Arc<Self>,
        lane: Lane,
        query: Arc<Query>,
        _budget: Arc<Budget>,
        out: mpsc::Sender<Piece>,
    ) -> BoxFuture<'static, Coverage> {
        async move {
            let Some((input, _)) = self.inputs.get(lane.key) else { return Coverage::default() };
            let hand = Hand::new(lane.origin.clone(), out);
            match input {
                Input::Stdin => pipe(tokio::io::stdin(), "stdin", &lane.origin.name, hand).await,
                Input::Command(words) => run(words, &lane.origin.name, query.follow, &self.redact, hand).await,
                Input::Log(paths) if query.follow => follow(paths, &lane.origin.tag(), query, hand).await,
                Input::Log(paths) => {
                    let Ok(_turn) = self.turns.acquire().await else { return Coverage::default() };
                    blocking(paths.clone(), lane.origin.tag(), query, hand).await.0
                }
            }
        }
        .boxed()
    }
}

/// Whole files, in a thread of their own.
async fn blocking(paths: Vec<PathBuf>, name: Safe, query: Arc<Query>, mut hand: Hand) -> (Coverage, Option<Hand>) {
    let part = Part { system: "file", name: name.clone() };
    let reads = tokio::task::spawn_blocking(move || {
        let coverage = whole::read(&paths, &name, &query, &mut hand);
        (coverage, hand)
    });
    match reads.await {
        Ok((coverage, hand)) => (coverage, Some(hand)),
        Err(e) => {
            let mut coverage = Coverage::default();
            coverage.miss(Missing { part, why: Why::Unreachable(Safe::name(e.to_string())), hint: None });
            (coverage, None)
        }
    }
}

fn read_or_not(part: Part, bytes: u64, result: std::io::Result<()>) -> Coverage {
    let mut coverage = Coverage { bytes, ..Coverage::default() };
    match result {
        Ok(()) => coverage.searched.push(part),
        Err(e) => coverage.miss(Missing { part, why: Why::Unreachable(Safe::name(e.to_string())), hint: None }),
    }
    coverage
}

/// A stream to its end.
async fn pump(mut input: impl AsyncRead + Unpin, bytes: &mut u64, hand: &mut Hand) -> std::io::Result<u64> {
    let mut splitter = Splitter::default();
    let mut buffer = vec![0; CHUNK];
    loop {
        let Ok(got) = tokio::time::timeout(QUIET, input.read(&mut buffer)).await else {
            hand.quiet();
            if hand.send().await {
                continue;
            }
            break;
        };
        let got = got?;
        if got == 0 {
            break;
        }
        *bytes += got as u64;
        splitter.push(buffer.get(..got).unwrap_or_default(), |line| hand.line(line));
        if !hand.send().await {
            break;
        }
    }
    splitter.finish().into_iter().for_each(|line| hand.line(line));
    hand.end();
    Ok(splitter.cut + hand.cut())
}

async fn pipe(input: impl AsyncRead + Unpin, system: &'static str, name: &Safe, mut hand: Hand) -> Coverage {
    let mut bytes = 0;
    let result = pump(input, &mut bytes, &mut hand).await;
    let result = result.map(|cut| whole::said(cut, name).into_iter().for_each(|text| hand.note(text)));
    hand.send().await;
    read_or_not(Part { system, name: name.clone() }, bytes, result)
}

/// What a command of the configuration prints. How it ended is said; a failure is a gap.
async fn run(words: &[String], name: &Safe, follow: bool, redact: &Redactor, hand: Hand) -> Coverage {
    let part = Part { system: "command", name: name.clone() };
    let mut words = words.to_vec();
    // As docker, podman, kubectl and journalctl call it.
    if follow && !words.iter().any(|w| w == "-f" || w == "--follow") {
        words.push("--follow".into());
    }
    let broken = |what: &Safe| Missing { part: part.clone(), why: Why::Unreachable(what.clone()), hint: None };
    let mut coverage = Coverage::default();
    match process::start(&words, redact) {
        Err(e) => coverage.miss(broken(e.what_happened())),
        Ok((out, running)) => {
            let (read, ended) = tokio::join!(pipe(out, part.system, name, hand), running.ended());
            coverage = read;
            if let Err(e) = ended {
                coverage.miss(broken(e.what_happened()));
            }
        }
    }
    coverage
}

/// A log under `--follow`: its older files to their ends, then the newest as it grows.
async fn follow(paths: &[PathBuf], name: &Safe, query: Arc<Query>, mut hand: Hand) -> Coverage {
    let part = Part { system: "file", name: name.clone() };
    let mut coverage = Coverage::default();
    let Some((newest, older)) = paths.split_last() else { return coverage };
    // Only the newest lines are asked for: those of the file that is written now.
    let tail = query.tail.filter(|_| !query.filters());
    if !older.is_empty() && tail.is_none() {
        let (read, back) = blocking(older.to_vec(), name.clone(), query.clone(), hand).await;
        coverage.join(read);
        let Some(back) = back else { return coverage };
        hand = back;
    }
    let mut followed = match Followed::new(newest.clone(), name.clone(), tail) {
        Ok(followed) => followed,
        Err(e) => {
            coverage.join(read_or_not(part, 0, Err(e)));
            return coverage;
        }
    };
    let mut failed = false;
    while !hand.unheard() {
        let more = followed.look(&mut |news| match news {
            News::Line(line) => hand.line(line),
            News::Note(text) => hand.note(text),
        });
        let more = match more {
            Ok(more) => {
                failed = false;
                more
            }
            Err(e) => {
                if !std::mem::replace(&mut failed, true) {
                    hand.note(safe!("{}: cannot be read now: {}", name, Safe::name(e.to_string())));
                }
                false
            }
        };
        if !hand.send().await {
            break;
        }
        if !more {
            tokio::time::sleep(LOOK).await;
        }
    }
    whole::said(followed.cut() + hand.cut(), name).into_iter().for_each(|text| hand.note(text));
    hand.send().await;
    coverage.join(read_or_not(part, followed.bytes, Ok(())));
    coverage
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_short_as_they_can_be() {
        let names = |p: &[&str]| short_names(&p.iter().map(Path::new).collect::<Vec<_>>());
        assert_eq!(names(&["/x/a.log", "/x/b.log"]), ["a.log", "b.log"]);
        assert_eq!(names(&["/a/w.log", "/b/w.log"]), ["a/w.log", "b/w.log"]);
    }

    #[test]
    fn a_name_that_matches_nothing_is_an_error() {
        let named = |p: &str| Named { pattern: p.into(), ..Named::default() };
        let kind = |p| Files::resolve(&[named(p)], Redactor::default()).err().map(|e| e.kind());
        assert_eq!(kind("/nowhere/*.log"), Some(Kind::NotFound));
        assert_eq!(kind("/nowhere/x.log"), Some(Kind::NotFound));
        let empty = tempfile::tempdir().expect("a folder");
        assert_eq!(kind(&empty.path().to_string_lossy()), Some(Kind::NotFound));
    }
}
