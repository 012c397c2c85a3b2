//! What other tools put in front of each line, taken off again, so that pods and containers are known: `kubectl logs --prefix`, stern's own
//! form (with its colours), captured `docker compose logs`, and the files that the container runtime writes (CRI), whose lines come in parts.

use crate::logs::decode::time::in_front;
use bytes::{Bytes, BytesMut};
use jiff::Timestamp;

/// The tool whose output a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prefix {
    /// `[pod/backend-6d8f9c7b5-x2x4z/web] `.
    Kubectl,
    /// `backend-6d8f9c7b5-x2x4z web `, under `-A` with the namespace first.
    Stern,
    /// `web-1  | `.
    Compose,
    /// `2026-11-21T15:34:13.411234574+03:00 stdout F `.
    Cri,
}

/// Who wrote a line, as the prefix names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Writer<'a> {
    /// The namespace.
    pub namespace: Option<&'a [u8]>,
    /// The pod, or Compose's container.
    pub name: &'a [u8],
    /// The pod's container.
    pub container: Option<&'a [u8]>,
}

/// How many lines tell the form of a file.
const TELLING: usize = 32;

impl Prefix {
    /// The form of these lines, the first of a file: most of them have its prefix. One is enough where there are no more.
    pub fn of<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        let lines: Vec<&[u8]> = lines.filter(|l| !l.trim_ascii().is_empty()).take(TELLING).collect();
        [Self::Kubectl, Self::Cri, Self::Compose, Self::Stern].into_iter().find(|form| {
            let with = lines.iter().filter(|l| form.split(l).is_some()).count();
            with > 0 && with * 5 >= lines.len() * 4
        })
    }

    /// The writer, the tool's own time, and how much of the line is prefix; none for a line without one.
    pub fn split<'a>(self, line: &'a [u8]) -> Option<(Writer<'a>, Option<Timestamp>, usize)> {
        let mut cursor = Cursor(line);
        let writer = match self {
            Self::Kubectl => cursor.kubectl()?,
            Self::Stern => cursor.stern()?,
            Self::Compose => cursor.compose()?,
            Self::Cri => {
                let part = CriPart::of(line)?;
                return Some((Writer::default(), Some(part.at), line.len() - part.text.len()));
            }
        };
        // Only the runtime's own times have nine digits; any other is the application's.
        let timed = in_front(cursor.0)
            .filter(|_| cursor.0.get(19) == Some(&b'.') && cursor.0.get(20..29).is_some_and(|n| n.iter().all(u8::is_ascii_digit)));
        let (at, rest) = timed.map_or((None, cursor.0), |(at, rest)| (Some(at), rest));
        Some((writer, at, line.len() - rest.len()))
    }
}

struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, what: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(what)?;
        Some(())
    }

    /// Passes over colours.
    fn colour(&mut self) {
        while let Some(rest) = self.0.strip_prefix(b"\x1b[") {
            let Some(end) = rest.iter().position(|b| !(b.is_ascii_digit() || *b == b';')) else { return };
            if rest.get(end) != Some(&b'm') {
                return;
            }
            self.0 = rest.get(end + 1..).unwrap_or_default();
        }
    }

    /// A name as Kubernetes and Compose allow them.
    fn name(&mut self, more: &[u8]) -> Option<&'a [u8]> {
        let end = self
            .0
            .iter()
            .position(|b| !(b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-' || more.contains(b)))
            .unwrap_or(self.0.len());
        let (name, rest) = self.0.split_at_checked(end)?;
        let whole = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
        if end > 253 || !whole(name.first()) || !whole(name.last()) {
            return None;
        }
        self.0 = rest;
        Some(name)
    }

    fn kubectl(&mut self) -> Option<Writer<'a>> {
        self.take(b"[pod/")?;
        let name = self.name(b".")?;
        self.take(b"/")?;
        let container = self.name(b"")?;
        self.take(b"]")?;
        // An empty line ends with the prefix.
        if !self.0.is_empty() {
            self.take(b" ")?;
        }
        Some(Writer { namespace: None, name, container: Some(container) })
    }

    fn painted(&mut self, more: &[u8]) -> Option<&'a [u8]> {
        self.colour();
        let name = self.name(more)?;
        self.colour();
        self.take(b" ")?;
        Some(name)
    }

    fn stern(&mut self) -> Option<Writer<'a>> {
        let first = self.painted(b".")?;
        if is_pod(first) {
            let container = self.painted(b"")?;
            return Some(Writer { namespace: None, name: first, container: Some(container) });
        }
        let name = self.painted(b".").filter(|n| is_pod(n))?;
        let container = self.painted(b"")?;
        Some(Writer { namespace: Some(first), name, container: Some(container) })
    }

    fn compose(&mut self) -> Option<Writer<'a>> {
        self.colour();
        let name = self.name(b"._ABCDEFGHIJKLMNOPQRSTUVWXYZ")?;
        self.colour();
        self.take(b" ")?;
        while self.take(b" ").is_some() {}
        self.take(b"|")?;
        self.colour();
        if !self.0.is_empty() {
            self.take(b" ")?;
        }
        self.colour();
        Some(Writer { namespace: None, name, container: None })
    }
}

/// Whether a name ends as those of pods do: five letters of the alphabet of Kubernetes, or a number.
fn is_pod(name: &[u8]) -> bool {
    let mut parts = name.rsplit(|b| *b == b'-');
    let last = parts.next().unwrap_or_default();
    let random = last.len() == 5 && last.iter().all(|b| b"bcdfghjklmnpqrstvwxz2456789".contains(b));
    parts.next().is_some() && (random || (!last.is_empty() && last.len() <= 4 && last.iter().all(u8::is_ascii_digit)))
}

/// A line of the container runtime's file.
struct CriPart<'a> {
    at: Timestamp,
    error: bool,
    whole: bool,
    text: &'a [u8],
}

impl<'a> CriPart<'a> {
    fn of(line: &'a [u8]) -> Option<Self> {
        let (at, rest) = in_front(line)?;
        let (error, rest) = match (rest.strip_prefix(b"stdout "), rest.strip_prefix(b"stderr ")) {
            (Some(rest), _) => (false, rest),
            (_, Some(rest)) => (true, rest),
            _ => return None,
        };
        let end = memchr::memchr(b' ', rest).unwrap_or(rest.len());
        // Further tags may follow the first, after colons.
        let whole = match rest.get(..end)?.split(|b| *b == b':').next()? {
            b"F" => true,
            b"P" => false,
            _ => return None,
        };
        Some(Self { at, error, whole, text: rest.get(end + 1..).unwrap_or_default() })
    }
}

/// Joins the parts of lines that the container runtime has split. Its two streams are written side by side.
#[derive(Debug, Default)]
pub struct CriJoin {
    open: [Option<(Timestamp, BytesMut)>; 2],
    /// How many lines were cut because their parts were too many.
    pub cut: u64,
}

impl CriJoin {
    /// Takes a line of the file; gives the application's line when it is whole. One that is no such line comes back as it is.
    pub fn push(&mut self, line: &Bytes) -> Option<(Option<Timestamp>, Bytes)> {
        let Some(part) = CriPart::of(line) else { return Some((None, line.clone())) };
        let slot = self.open.get_mut(usize::from(part.error))?;
        if part.whole && slot.is_none() {
            return Some((Some(part.at), line.slice(line.len() - part.text.len()..)));
        }
        let (_, text) = slot.get_or_insert_with(|| (part.at, BytesMut::new()));
        let room = super::split::LONGEST.saturating_sub(text.len());
        if part.text.len() > room && room > 0 {
            self.cut += 1;
        }
        text.extend_from_slice(part.text.get(..room.min(part.text.len())).unwrap_or_default());
        if part.whole { slot.take().map(|(at, text)| (Some(at), text.freeze())) } else { None }
    }

    /// Lines whose last part never came.
    pub fn finish(&mut self) -> impl Iterator<Item = (Option<Timestamp>, Bytes)> {
        std::mem::take(&mut self.open).into_iter().flatten().map(|(at, text)| (Some(at), text.freeze()))
    }
}

/// The pod and container that the path of one of the kubelet's files names: `pods/NAMESPACE_POD_UID/CONTAINER/0.log`, or
/// `containers/POD_NAMESPACE_CONTAINER-ID.log`.
pub fn of_path(path: &str) -> Option<(&str, &str, &str)> {
    let mut parts = path.rsplit('/');
    let file = parts.next()?;
    let container = parts.next()?;
    if container == "containers" {
        let mut names = file.split_once(".log")?.0.splitn(3, '_');
        let (pod, namespace, rest) = (names.next()?, names.next()?, names.next()?);
        let (container, id) = rest.rsplit_once('-')?;
        return (id.len() == 64).then_some((namespace, pod, container));
    }
    let mut names = parts.next()?.splitn(3, '_');
    let (namespace, pod, uid) = (names.next()?, names.next()?, names.next()?);
    let digits = file.split_once(".log").is_some_and(|(n, _)| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    (digits && !uid.is_empty()).then_some((namespace, pod, container))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(form: Prefix, line: &str) -> Option<(String, String)> {
        let (writer, at, length) = form.split(line.as_bytes())?;
        let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        let who = [writer.namespace, Some(writer.name), writer.container].into_iter().flatten().map(text).collect::<Vec<_>>().join("/");
        Some((format!("{who}{}", if at.is_some() { "@" } else { "" }), line.get(length..).expect("text").to_owned()))
    }

    #[test]
    fn takes_each_prefix_off() {
        let pair = |a: &str, b: &str| Some((a.to_owned(), b.to_owned()));
        assert_eq!(split(Prefix::Kubectl, "[pod/web-6d8f9c7b5-x2x4z/app] {\"a\"}"), pair("web-6d8f9c7b5-x2x4z/app", "{\"a\"}"));
        assert_eq!(split(Prefix::Kubectl, "[pod/web-0/app] 2026-11-21T15:34:13.411234574Z   indented"), pair("web-0/app@", "  indented"));
        assert_eq!(split(Prefix::Kubectl, "[pod/web-0/app]"), pair("web-0/app", ""));
        assert_eq!(split(Prefix::Stern, "web-6d8f9c7b5-x2x4z app hello there"), pair("web-6d8f9c7b5-x2x4z/app", "hello there"));
        assert_eq!(split(Prefix::Stern, "\x1b[95mweb-0\x1b[0m \x1b[35;1mapp\x1b[0m x"), pair("web-0/app", "x"));
        assert_eq!(split(Prefix::Stern, "shop db-postgres-0 main x"), pair("shop/db-postgres-0/main", "x"));
        assert_eq!(split(Prefix::Stern, "plain words in a line"), None);
        assert_eq!(split(Prefix::Compose, "web-1     | GET /"), pair("web-1", "GET /"));
        assert_eq!(
            split(Prefix::Compose, "\x1b[36mshop_web_1  | \x1b[0m2026-11-21T17:53:28Z x"),
            pair("shop_web_1", "2026-11-21T17:53:28Z x")
        );
        assert_eq!(split(Prefix::Compose, "web-1  | 2026-11-21T17:53:28.123456789Z x"), pair("web-1@", "x"));
        assert_eq!(split(Prefix::Compose, "a table | of psql"), None);
    }

    #[test]
    fn the_first_lines_tell_the_form() {
        let of = |text: &str| Prefix::of(text.split('\n').map(str::as_bytes));
        assert_eq!(of("web-1  | a\ndb-1   | b\n\nweb-1 exited with code 0\nweb-1  | c\nweb-1  | d\n"), Some(Prefix::Compose));
        assert_eq!(of("[pod/a/b] x"), Some(Prefix::Kubectl));
        assert_eq!(of("2026-11-21T15:34:13.411234574+03:00 stdout F x\n"), Some(Prefix::Cri));
        assert_eq!(of("web-6d8f9c7b5-x2x4z app hello\n"), Some(Prefix::Stern));
        for other in ["", "{\"a\": 1}\n{\"b\": 2}", "ERROR 2026-11-21 x", "2026-11-21 02:44:10.114 UTC [88] LOG:  x", "took 3 seconds\n"] {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn parts_are_joined_for_each_stream() {
        let mut join = CriJoin::default();
        let mut lines = Vec::new();
        for line in [
            "2026-11-21T15:34:13.411234574Z stdout P {\"a\": ",
            "2026-11-21T15:34:13.5Z stderr F other",
            "2026-11-21T15:34:13.6Z stdout P 1",
            "2026-11-21T15:34:13.7Z stdout F }",
            "2026-11-21T15:34:14Z stdout F ",
            "no such line",
            "2026-11-21T15:34:15Z stderr P half",
        ] {
            lines.extend(join.push(&Bytes::from(line)));
        }
        lines.extend(join.finish());
        let texts: Vec<String> = lines.iter().map(|(_, l)| String::from_utf8_lossy(l).into_owned()).collect();
        assert_eq!(texts, ["other", "{\"a\": 1}", "", "no such line", "half"]);
        assert_eq!(lines.iter().filter(|(at, _)| at.is_some()).count(), 4);
    }

    #[test]
    fn paths_of_the_kubelet_name_the_container() {
        let id = "a".repeat(64);
        assert_eq!(of_path("/var/log/pods/shop_web-0_1f2e/app/0.log"), Some(("shop", "web-0", "app")));
        assert_eq!(of_path("x/shop_web-0_1f2e/app/1.log.20261121-150000.gz"), Some(("shop", "web-0", "app")));
        assert_eq!(of_path(&format!("/var/log/containers/web-0_shop_app-{id}.log")), Some(("shop", "web-0", "app")));
        assert_eq!(of_path("/var/log/a_b_c/app/x.log"), None);
        assert_eq!(of_path("app.log"), None);
    }
}
