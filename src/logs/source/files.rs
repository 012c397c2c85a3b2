//! Files and stdin: plain lines. A missing or unreadable file is a gap in the coverage, never silence.
#![expect(clippy::disallowed_methods, reason = "a file that is followed says nothing when it grows: it is looked at again and again")]

use super::{Budget, Lane, Lanes, LogLine, LogSource, Piece};
use crate::{
    answer::{Coverage, Missing, Part, Why},
    error::{Error, Kind, Result},
    logs::{flow::split::Splitter, model::LogOrigin, query::Query},
    safe,
    text::Safe,
};
use futures_util::future::{BoxFuture, FutureExt};
use jiff::tz::TimeZone;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncSeekExt},
    sync::mpsc,
};

const CHUNK: usize = 256 << 10;
/// How often a followed file is looked at for more.
const LOOK: Duration = Duration::from_millis(200);

/// Files of one app, or as they were named.
#[derive(Clone, Debug)]
pub struct Named {
    /// A path or a glob; `-` is stdin.
    pub pattern: String,
    /// The app they belong to.
    pub app: Option<String>,
    /// The zone of times without one.
    pub zone: Option<TimeZone>,
}

enum Input {
    Stdin,
    File(PathBuf),
}

/// A set of files.
pub struct Files {
    inputs: Vec<(Input, Lane)>,
}

impl Files {
    /// Resolves the patterns.
    ///
    /// # Errors
    /// `NotFound` for a pattern or path that names no file; `Usage` for a malformed glob.
    pub fn resolve(named: &[Named]) -> Result<Self> {
        let mut paths: Vec<(PathBuf, &Named)> = Vec::new();
        let mut stdin = None;
        for one in named {
            if one.pattern == "-" {
                stdin = Some(one);
                continue;
            }
            let doing = || safe!("looking for {}", Safe::name(&one.pattern));
            let found: Vec<PathBuf> = if one.pattern.contains(['*', '?', '[']) && !Path::new(&one.pattern).exists() {
                let found = glob::glob(&one.pattern).map_err(|e| Error::new(Kind::Usage, doing()).what(Safe::name(e.msg)))?;
                found.filter_map(Result::ok).filter(|p| !p.is_dir()).collect()
            } else {
                vec![PathBuf::from(&one.pattern)].into_iter().filter(|p| p.exists()).collect()
            };
            if found.is_empty() {
                let error = Error::new(Kind::NotFound, doing()).what("no such file");
                // `service/backend`, `deplyo/backend`: meant for the cluster.
                let as_target = one
                    .pattern
                    .split_once('/')
                    .is_some_and(|(kind, name)| !kind.contains('.') && !kind.is_empty() && !name.contains(['/', '.', '*']));
                return Err(if as_target { error.hint(crate::kubernetes::target::kinds_hint()) } else { error });
            }
            if found.iter().any(|p| p.is_dir()) {
                return Err(Error::new(Kind::Usage, doing())
                    .what("it is a folder")
                    .hint(crate::answer::Hint::Try(safe!("name its files: '{}/*.log'", Safe::name(one.pattern.trim_end_matches('/'))))));
            }
            for path in found {
                if !paths.iter().any(|(p, _)| *p == path) {
                    paths.push((path, one));
                }
            }
        }
        let names = short_names(&paths.iter().map(|(p, _)| p.as_path()).collect::<Vec<_>>());
        let mut inputs = Vec::new();
        for ((path, one), name) in paths.into_iter().zip(names) {
            inputs.push((Input::File(path), lane(inputs.len(), Safe::name(name), one)));
        }
        if let Some(one) = stdin {
            inputs.push((Input::Stdin, lane(inputs.len(), "stdin".into(), one)));
        }
        Ok(Self { inputs })
    }
}

fn lane(key: usize, name: Safe, named: &Named) -> Lane {
    let origin = LogOrigin { name, app: named.app.as_ref().map(Safe::name), alone: true, ..LogOrigin::default() };
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
            let mut coverage = Coverage::default();
            let Some((input, _)) = self.inputs.get(lane.key) else { return coverage };
            let (system, result) = match input {
                Input::Stdin => ("stdin", pump(tokio::io::stdin(), None, &mut coverage.bytes, &out).await),
                Input::File(path) => {
                    let result = match tokio::fs::File::open(path).await {
                        Ok(file) => pump(file, query.follow.then_some(path.as_path()), &mut coverage.bytes, &out).await,
                        Err(e) => Err(e),
                    };
                    ("file", result)
                }
            };
            let part = Part { system, name: lane.origin.name.clone() };
            match result {
                Ok(cut) => {
                    if cut > 0 {
                        let _ = out
                            .send(Piece::Note(safe!(
                                "{}: cut at 4 MiB: {}",
                                part.name,
                                crate::text::units::plural(usize::try_from(cut).unwrap_or(usize::MAX), "line", "lines")
                            )))
                            .await;
                    }
                    coverage.searched.push(part);
                }
                Err(e) => coverage.miss(Missing { part, why: Why::Unreachable(Safe::name(e.to_string())), hint: None }),
            }
            coverage
        }
        .boxed()
    }
}

/// Reads to the end, and under follow beyond it. Gives the number of lines that were cut.
async fn pump(
    mut input: impl AsyncRead + Unpin,
    follow: Option<&Path>,
    bytes: &mut u64,
    out: &mpsc::Sender<Piece>,
) -> std::io::Result<u64> {
    let mut splitter = Splitter::default();
    let mut buffer = vec![0; CHUNK];
    let mut followed: Option<tokio::fs::File> = None;
    loop {
        let read = match &mut followed {
            Some(file) => file.read(&mut buffer).await?,
            None => input.read(&mut buffer).await?,
        };
        if read == 0 {
            let Some(path) = follow else { break };
            tokio::time::sleep(LOOK).await;
            if out.is_closed() {
                break;
            }
            // Truncated or replaced: what is there now is read from its beginning.
            let length = tokio::fs::metadata(path).await.map(|m| m.len()).unwrap_or(*bytes);
            if length < *bytes {
                let mut file = tokio::fs::File::open(path).await?;
                file.seek(std::io::SeekFrom::Start(0)).await?;
                followed = Some(file);
                *bytes = 0;
            }
            continue;
        }
        *bytes += read as u64;
        let mut lines = Vec::new();
        splitter.push(&buffer[..read], |text| lines.push(LogLine { at: None, text }));
        if !lines.is_empty() && out.send(Piece::Lines(lines)).await.is_err() {
            return Ok(splitter.cut);
        }
    }
    if let Some(text) = splitter.finish() {
        let _ = out.send(Piece::Lines(vec![LogLine { at: None, text }])).await;
    }
    Ok(splitter.cut)
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
        let named = |p: &str| Named { pattern: p.into(), app: None, zone: None };
        let kind = |p| Files::resolve(&[named(p)]).err().map(|e| e.kind());
        assert_eq!(kind("/nowhere/*.log"), Some(Kind::NotFound));
        assert_eq!(kind("/nowhere/x.log"), Some(Kind::NotFound));
        assert_eq!(kind("/"), Some(Kind::Usage));
    }
}
