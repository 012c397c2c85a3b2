//! A file that is followed by its name, across rotation (renamed and created anew) and truncation (copied and cut). It says nothing when it
//! grows, so it is looked at again and again; each look tells what is new, and where lines may be lost.

use super::siblings;
use crate::{logs::flow::split::Splitter, safe, text::Safe};
use bytes::Bytes;
use std::{
    collections::HashSet,
    fs::{self, File, Metadata},
    io,
    os::unix::fs::{FileExt, MetadataExt},
    path::PathBuf,
    time::SystemTime,
};

const CHUNK: usize = 64 << 10;
/// So much is read in one look; the rest in the next, at once.
const LOOK: usize = 1 << 20;
/// So many bytes before the place that was read to are known, to see whether they are still the same.
const KNOWN: usize = 64;
/// After so many looks without news a renamed file is done with.
const QUIET: u32 = 2;
/// For so many looks more its last lines are still awaited: a writer opens the new file late.
const LINGER: u32 = 50;

/// What a look gives.
pub(super) enum News {
    /// A whole line.
    Line(Bytes),
    /// Something that happened to the file.
    Note(Safe),
}

/// Which file it is, whatever its name: the number of a removed one is soon given again, its birth is not.
type Id = (u64, u64, Option<SystemTime>);

fn id(data: &Metadata) -> Id {
    (data.dev(), data.ino(), data.created().ok())
}

fn ids(paths: &[PathBuf]) -> HashSet<Id> {
    paths.iter().filter_map(|path| fs::metadata(path).ok()).map(|data| id(&data)).collect()
}

struct Open {
    file: File,
    id: Id,
    at: u64,
    known: Vec<u8>,
    splitter: Splitter,
}

impl Open {
    fn new(file: File, at: u64) -> io::Result<Self> {
        let data = file.metadata()?;
        let mut open = Self { id: id(&data), file, at, known: Vec::new(), splitter: Splitter::default() };
        let mut before = vec![0; KNOWN.min(usize::try_from(at).unwrap_or(KNOWN))];
        let from = at - before.len() as u64;
        if open.file.read_exact_at(&mut before, from).is_ok() {
            open.known = before;
        }
        Ok(open)
    }

    /// Reads on; gives how much.
    fn read(&mut self, most: usize, news: &mut dyn FnMut(News)) -> io::Result<usize> {
        let mut buffer = vec![0; CHUNK];
        let mut all = 0;
        while all < most {
            let got = self.file.read_at(&mut buffer, self.at)?;
            if got == 0 {
                break;
            }
            let part = buffer.get(..got).unwrap_or_default();
            self.splitter.push(part, |line| news(News::Line(line)));
            self.at += got as u64;
            all += got;
            self.known.extend_from_slice(part.get(got.saturating_sub(KNOWN)..).unwrap_or_default());
            self.known.drain(..self.known.len().saturating_sub(KNOWN));
        }
        Ok(all)
    }

    /// Whether the bytes before the place that was read to are those that were read.
    fn same(&self, file: &File) -> bool {
        let mut now = vec![0; self.known.len()];
        file.read_exact_at(&mut now, self.at - self.known.len() as u64).is_ok() && now == self.known
    }

    fn finish(&mut self, news: &mut dyn FnMut(News)) {
        self.splitter.finish().into_iter().for_each(|line| news(News::Line(line)));
    }
}

/// A file by its name.
pub(super) struct Followed {
    path: PathBuf,
    name: Safe,
    open: Option<Open>,
    /// The older parts that were there when it was opened.
    older: HashSet<Id>,
    /// Renamed, and perhaps still written to.
    old: Vec<(Open, u32)>,
    quiet: u32,
    gone: bool,
    /// Bytes read in all.
    pub bytes: u64,
    cut: u64,
}

impl Followed {
    /// From the beginning, or from the last so many lines.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn new(path: PathBuf, name: Safe, tail: Option<u64>) -> io::Result<Self> {
        let file = File::open(&path)?;
        let at = match tail {
            Some(lines) => last_lines(&file, lines)?,
            None => 0,
        };
        let open = Some(Open::new(file, at)?);
        let older = ids(&siblings::older(&path));
        Ok(Self { path, name, open, older, old: Vec::new(), quiet: 0, gone: false, bytes: 0, cut: 0 })
    }

    /// How many lines were cut.
    pub(super) fn cut(&self) -> u64 {
        self.cut + self.open.as_ref().map_or(0, |o| o.splitter.cut)
    }

    /// Looks once; true when there may be more at once.
    ///
    /// # Errors
    /// The file cannot be read any more.
    pub(super) fn look(&mut self, news: &mut dyn FnMut(News)) -> io::Result<bool> {
        for (old, looks) in &mut self.old {
            // A renamed file that was packed and removed reads on as it was.
            self.bytes += old.read(LOOK, news).unwrap_or(0) as u64;
            *looks += 1;
        }
        let (done, old): (Vec<_>, Vec<_>) = std::mem::take(&mut self.old).into_iter().partition(|(_, looks)| *looks > LINGER);
        self.old = old;
        for (mut open, _) in done {
            open.finish(news);
            self.cut += open.splitter.cut;
        }
        if let Some(open) = &mut self.open {
            let length = open.file.metadata()?.len();
            if length < open.at || (length > open.at && !open.same(&open.file)) {
                self.was_cut(news)?;
            }
        }
        let got = match &mut self.open {
            Some(open) => open.read(LOOK, news)?,
            None => 0,
        };
        self.bytes += got as u64;
        if got > 0 {
            self.quiet = 0;
            return Ok(got >= LOOK);
        }
        self.renamed(news)
    }

    /// The file has a new content: what it held beyond the place that was read to is in a copy, or lost.
    fn was_cut(&mut self, news: &mut dyn FnMut(News)) -> io::Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let copy = siblings::older(&self.path).into_iter().rev().find_map(|path| {
            let file = File::open(path).ok()?;
            let whole = open.at > 0 && file.metadata().is_ok_and(|d| d.len() >= open.at);
            (whole && open.same(&file)).then_some(file)
        });
        if let Some(copy) = copy {
            let current = std::mem::replace(&mut open.file, copy);
            while open.read(LOOK, news)? > 0 {}
            open.file = current;
            open.finish(news);
            // The copy has been read: it is no part that came between.
            self.older = ids(&siblings::older(&self.path));
            news(News::Note(safe!("{}: was copied and cut (rotated); the copy holds all of it", self.name)));
        } else {
            open.finish(news);
            news(News::Note(safe!("{}: was cut; lines that were written just before may be missing here", self.name)));
        }
        open.at = 0;
        open.known.clear();
        Ok(())
    }

    /// Nothing new: is it still the file of this name?
    fn renamed(&mut self, news: &mut dyn FnMut(News)) -> io::Result<bool> {
        let data = match fs::metadata(&self.path) {
            Ok(data) => data,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                if !std::mem::replace(&mut self.gone, true) {
                    news(News::Note(safe!("{}: is gone; a new one of this name is awaited", self.name)));
                }
                return Ok(false);
            }
            Err(e) => return Err(e),
        };
        if self.open.as_ref().is_some_and(|o| o.id == id(&data)) {
            self.gone = false;
            return Ok(false);
        }
        // The old one first gets the chance to say its last.
        self.quiet += 1;
        if self.quiet < QUIET {
            return Ok(false);
        }
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(e) => return Err(e),
        };
        self.quiet = 0;
        self.gone = false;
        news(News::Note(safe!("{}: goes on in a new file (rotated)", self.name)));
        if let Some(open) = self.open.take() {
            let missed = between(&siblings::older(&self.path), open.id, &self.older);
            self.old.push((open, 0));
            match missed {
                Some(missed) => {
                    for path in missed {
                        let mut between = Open::new(File::open(path)?, 0)?;
                        while between.read(LOOK, news)? > 0 {}
                        self.bytes += between.at;
                        between.finish(news);
                    }
                }
                None => news(News::Note(safe!(
                    "{}: was rotated more than once, or its older part is gone: lines may be missing here",
                    self.name
                ))),
            }
        }
        self.older = ids(&siblings::older(&self.path));
        self.open = Some(Open::new(file, 0)?);
        Ok(true)
    }
}

/// The files that came after the one that was read, all of them readable as they are; none when that cannot be known. Where it was rotated
/// away altogether, they are those that were not there before.
fn between(older: &[PathBuf], ours: Id, before: &HashSet<Id>) -> Option<Vec<PathBuf>> {
    let is = |path: &PathBuf, wanted: &dyn Fn(&Id) -> bool| fs::metadata(path).is_ok_and(|data| wanted(&id(&data)));
    let at = older.iter().position(|path| is(path, &|id| *id == ours));
    let packed = |path: &PathBuf| path.extension().is_some_and(|e| e == "gz");
    let behind = older.get(at.map_or(0, |at| at + 1)..)?;
    let missed: Vec<PathBuf> = behind.iter().filter(|path| is(path, &|id| !before.contains(id))).cloned().collect();
    // A part that was there may have been packed since then: only behind ours is a packed one known to be missed.
    if at.is_some() && missed.iter().any(packed) {
        return None;
    }
    Some(missed.into_iter().filter(|path| !packed(path)).collect())
}

/// Where the last so many lines begin.
fn last_lines(file: &File, lines: u64) -> io::Result<u64> {
    let length = file.metadata()?.len();
    let mut end = length;
    let mut left = lines;
    let mut buffer = vec![0; CHUNK];
    while end > 0 {
        let size = CHUNK.min(usize::try_from(end).unwrap_or(CHUNK));
        let from = end - size as u64;
        let part = buffer.get_mut(..size).unwrap_or_default();
        file.read_exact_at(part, from)?;
        for at in memchr::memrchr_iter(b'\n', part) {
            let place = from + at as u64;
            // The end of the last line is none between two.
            if place + 1 == length {
                continue;
            }
            left = left.saturating_sub(1);
            if left == 0 && lines > 0 {
                return Ok(place + 1);
            }
        }
        if lines == 0 {
            return Ok(length);
        }
        end = from;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{io::Write, path::Path};

    struct Log {
        folder: tempfile::TempDir,
        followed: Followed,
        lines: Vec<String>,
        notes: Vec<String>,
    }

    impl Log {
        fn new(text: &str, tail: Option<u64>) -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("app.log");
            fs::write(&path, text).expect("a file");
            let followed = Followed::new(path, "app.log".into(), tail).expect("a file");
            Self { folder, followed, lines: Vec::new(), notes: Vec::new() }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        fn append(&self, name: &str, text: &str) {
            append(&self.path(name), text);
        }

        fn look(&mut self, times: u32) -> &mut Self {
            let Self { followed, lines, notes, .. } = self;
            for _ in 0..times {
                followed
                    .look(&mut |news| match news {
                        News::Line(line) => lines.push(String::from_utf8_lossy(&line).into_owned()),
                        News::Note(note) => notes.push(note.to_string()),
                    })
                    .expect("readable");
            }
            self
        }
    }

    fn append(path: &Path, text: &str) {
        fs::OpenOptions::new().create(true).append(true).open(path).and_then(|mut f| f.write_all(text.as_bytes())).expect("a file");
    }

    #[test]
    fn renamed_and_created_anew() {
        let mut log = Log::new("1\n2\n", None);
        log.look(1);
        log.append("app.log", "3\nha");
        fs::rename(log.path("app.log"), log.path("app.log.1")).expect("renamed");
        log.look(2);
        log.append("app.log.1", "lf\n");
        log.append("app.log", "5\n");
        log.look(5);
        // The writer opens the new one late.
        log.append("app.log.1", "late\n");
        log.append("app.log", "6\n");
        log.look(2);
        assert_eq!(log.lines, ["1", "2", "3", "half", "5", "late", "6"]);
        assert_eq!(log.notes, ["app.log: is gone; a new one of this name is awaited", "app.log: goes on in a new file (rotated)"]);
    }

    #[test]
    fn rotated_twice_between_two_looks() {
        let mut log = Log::new("1\n", None);
        log.look(1);
        fs::rename(log.path("app.log"), log.path("app.log.2")).expect("renamed");
        log.append("app.log.1", "2\n3\n");
        log.append("app.log", "4\n");
        log.look(4);
        assert_eq!(log.lines, ["1", "2", "3", "4"]);
    }

    #[test]
    fn copied_and_cut() {
        let mut log = Log::new("one\ntwo\n", None);
        log.look(1);
        log.append("app.log", "three\n");
        fs::copy(log.path("app.log"), log.path("app.log.1")).expect("copied");
        fs::OpenOptions::new().write(true).open(log.path("app.log")).and_then(|f| f.set_len(0)).expect("cut");
        // Longer again than what was read, before anybody looks.
        log.append("app.log", "four\nfive\nsix and more\n");
        log.look(2);
        assert_eq!(log.lines, ["one", "two", "three", "four", "five", "six and more"]);
        assert_eq!(log.notes, ["app.log: was copied and cut (rotated); the copy holds all of it"]);
    }

    #[test]
    fn cut_without_a_copy_is_said() {
        let mut log = Log::new("one\ntwo\n", None);
        log.look(1);
        fs::write(log.path("app.log"), "x\n").expect("cut");
        log.look(1);
        assert_eq!(log.lines, ["one", "two", "x"]);
        assert_eq!(log.notes, ["app.log: was cut; lines that were written just before may be missing here"]);
    }

    #[test]
    fn from_the_last_lines() {
        for (tail, expected) in [(0, vec![]), (1, vec!["c"]), (2, vec!["b", "c"]), (9, vec!["a", "b", "c"])] {
            assert_eq!(Log::new("a\nb\nc\n", Some(tail)).look(1).lines, expected, "{tail}");
        }
        assert_eq!(Log::new("a\nb", Some(1)).look(1).append_and_look("c\n"), ["bc"]);
    }

    impl Log {
        fn append_and_look(&mut self, text: &str) -> Vec<String> {
            self.append("app.log", text);
            self.look(1).lines.clone()
        }
    }
}
