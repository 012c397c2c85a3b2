//! The container runtime's own log files as they lie on a node: which there are (`listing`), their lines (`line`), and long lines that
//! were written in parts (`Parts`).

use super::time::in_front;
use bytes::{Bytes, BytesMut};
use jiff::Timestamp;

/// A log file of one container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeFile {
    /// Its name in the container's folder.
    pub name: String,
    /// Which life of the container wrote it: 0, then one more for each restart.
    pub life: u32,
    /// When it was rotated, as the kubelet writes it; none for the one that is being written.
    pub stamp: Option<String>,
    /// Whether it is compressed.
    pub gzipped: bool,
}

impl NodeFile {
    /// Reads a name: `0.log`, `0.log.20261121-152526`, `0.log.20261121-152526.gz`; none for what is no log, as `….tmp`.
    pub fn parse(name: &str) -> Option<Self> {
        let (life, rest) = name.split_once(".log")?;
        let life = life.parse().ok().filter(|_| life.bytes().all(|b| b.is_ascii_digit()))?;
        let gzipped = rest.ends_with(".gz");
        let stamp = rest.strip_suffix(".gz").unwrap_or(rest);
        let stamp = match stamp.strip_prefix('.') {
            None if stamp.is_empty() && !gzipped => None,
            Some(stamp) if stamp.len() == 15 && stamp.bytes().all(|b| b.is_ascii_digit() || b == b'-') => Some(stamp.to_owned()),
            _ => return None,
        };
        Some(Self { name: name.to_owned(), life, stamp, gzipped })
    }

    /// Its place among the files of the container: by life, then by rotation; the one that is being written comes last.
    pub fn place(&self) -> NodePlace {
        NodePlace { life: self.life, current: self.stamp.is_none(), stamp: self.stamp.clone().unwrap_or_default() }
    }
}

/// Where a file stands in the order of writing. It stays the same when the file is compressed; a rotation gives it another.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodePlace {
    life: u32,
    current: bool,
    stamp: String,
}

impl NodePlace {
    /// Whether a rotation can have made the other file of this one.
    pub fn renamed_to(&self, other: &Self) -> bool {
        self.current && !other.current && self.life == other.life
    }
}

/// The names of a folder, from the page that the kubelet makes of it (Go's file server: a link for each).
pub fn names(page: &str) -> Vec<String> {
    page.split("<a href=\"")
        .skip(1)
        .filter_map(|rest| rest.split_once('"'))
        .map(|(name, _)| name.trim_end_matches('/').to_owned())
        .collect()
}

/// The log files of a container's folder in the order in which they were written, each once: while the kubelet compresses one, it lies
/// there twice, and the one that is not compressed is the cheaper to read.
pub fn listing(page: &str) -> Vec<NodeFile> {
    let mut files: Vec<NodeFile> = names(page).iter().filter_map(|name| NodeFile::parse(name)).collect();
    files.sort_by_key(|f| (f.place(), f.gzipped));
    files.dedup_by_key(|f| f.place());
    files
}

/// A line of such a file: `2026-11-21T15:34:13.411234574Z stdout F …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeLine {
    /// When the runtime took it.
    pub at: Timestamp,
    /// Whether it was written to stderr.
    pub stderr: bool,
    /// Whether the next part of the same stream belongs to it (`P`).
    pub partial: bool,
    /// What the application wrote.
    pub text: Bytes,
}

/// Reads a line; none when it is no such line.
pub fn line(raw: &Bytes) -> Option<NodeLine> {
    let (at, rest) = in_front(raw)?;
    let (stream, rest) = word(rest)?;
    let (tags, text) = word(rest).unwrap_or((rest, b""));
    let stderr = match stream {
        b"stdout" => false,
        b"stderr" => true,
        _ => return None,
    };
    let partial = match tags.split(|b| *b == b':').next()? {
        b"P" => true,
        b"F" => false,
        _ => return None,
    };
    Some(NodeLine { at, stderr, partial, text: raw.slice(raw.len() - text.len()..) })
}

fn word(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(b' ', bytes)?;
    Some((bytes.get(..end)?, bytes.get(end + 1..)?))
}

/// The longest line that is joined; what comes beyond is a line of its own.
const LONGEST: usize = 4 << 20;

/// Joins the parts of long lines. The time of a line is that of its first part, as the API has it.
#[derive(Debug, Default)]
pub struct Parts {
    open: [Option<(Timestamp, BytesMut)>; 2],
}

impl Parts {
    /// Takes a line or a part; gives what is whole.
    pub fn push(&mut self, line: NodeLine) -> Option<(Timestamp, Bytes)> {
        let open = &mut self.open[usize::from(line.stderr)];
        match open {
            None if !line.partial => Some((line.at, line.text)),
            None => {
                *open = Some((line.at, BytesMut::from(&line.text[..])));
                None
            }
            Some((_, text)) => {
                text.extend_from_slice(&line.text);
                let over = !line.partial || text.len() > LONGEST;
                if over { open.take().map(|(at, text)| (at, text.freeze())) } else { None }
            }
        }
    }

    /// Parts whose end never came: the container died in the middle of a line.
    pub fn finish(&mut self) -> Vec<(Timestamp, Bytes)> {
        let mut rest: Vec<_> = self.open.iter_mut().filter_map(Option::take).map(|(at, text)| (at, text.freeze())).collect();
        rest.sort_by_key(|(at, _)| *at);
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn files_stand_in_the_order_in_which_they_were_written() {
        let page = "<!doctype html>\n<pre>\n<a href=\"0.log.20261121-152526\">0.log.20261121-152526</a>\n<a href=\"1.log\">1.log</a>\n\
            <a href=\"0.log.20261121-152520.gz\">x</a>\n<a href=\"0.log.20261121-152526.gz\">x</a>\n<a href=\"0.log.20261121-152526.gz.tmp\">x</a>\n\
            <a href=\"0.log\">0.log</a>\n<a href=\"10.log.20261121-152500.gz\">x</a>\n<a href=\"notes.log.txt\">x</a>\n</pre>\n";
        let order: Vec<String> = listing(page).into_iter().map(|f| f.name).collect();
        let expected = ["0.log.20261121-152520.gz", "0.log.20261121-152526", "0.log", "1.log", "10.log.20261121-152500.gz"];
        assert_eq!(order, expected);
        assert_eq!(names("<a href=\"shop_web-1_uid/\">shop_web-1_uid/</a>"), ["shop_web-1_uid"]);
        for name in ["a.log", "0.log.gz", "0.log.1", "+0.log", "0.txt", ".log", "0.log.20261121-152526.gz.tmp"] {
            assert_eq!(NodeFile::parse(name), None, "{name}");
        }
    }

    fn parts(lines: &[&str]) -> Vec<String> {
        let mut parts = Parts::default();
        let raw = lines.iter().map(|l| Bytes::from(format!("2026-11-21T15:34:1{l}")));
        let mut whole: Vec<_> = raw.filter_map(|l| line(&l)).filter_map(|l| parts.push(l)).collect();
        whole.extend(parts.finish());
        whole.into_iter().map(|(at, text)| format!("{} {}", at.as_second() % 10, String::from_utf8_lossy(&text))).collect()
    }

    #[test]
    fn parts_of_both_streams_are_joined_with_the_time_of_the_first() {
        let whole = parts(&[
            "1Z stdout P ab",
            "2Z stderr P x",
            "3Z stdout P cd",
            "4Z stdout F ef",
            "5Z stderr F y z",
            "6Z stdout F ",
            "7Z stdout P cut",
        ]);
        assert_eq!(whole, ["1 abcdef", "2 xy z", "6 ", "7 cut"]);
        assert_eq!(parts(&["1Z stdout F:tag x", "2Z nowhere F x", "3Z stdout Q x", "4Z stdout", "rubbish"]), ["1 x"]);
    }

    proptest! {
        /// However a line was cut into parts, the same line comes out.
        #[test]
        fn any_cut_joins_to_the_same_line(text in "[ -~é]{0,80}", cuts in proptest::collection::vec(0usize..80, 0..6)) {
            let mut at: Vec<usize> = cuts.into_iter().map(|c| c.min(text.len())).filter(|c| text.is_char_boundary(*c)).collect();
            at.sort_unstable();
            at.push(text.len());
            let (mut joined, mut from) = (Parts::default(), 0);
            let mut whole = Vec::new();
            for (i, end) in at.iter().enumerate() {
                let tag = if i + 1 == at.len() { "F" } else { "P" };
                let raw = Bytes::from(format!("2026-11-21T15:34:13Z stdout {tag} {}", text.get(from..*end).unwrap_or_default()));
                whole.extend(line(&raw).and_then(|l| joined.push(l)));
                from = *end;
            }
            prop_assert_eq!(whole.len(), 1);
            prop_assert_eq!(&whole[0].1[..], text.as_bytes());
        }
    }
}
