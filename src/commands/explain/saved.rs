//! Plans in files: read, hidden, saved.

use super::{Args, is_stdin};
use crate::{
    answer::{Answer, Coverage, Part, Provenance},
    error::{Error, Kind, Result},
    postgres::{
        advice::{self, candidate},
        analyze::{diff, explain::Judged},
        decode::{
            plan, saved,
            shared::{self, Hide},
        },
        view::explain::{Earlier, Explanation, PlanOrigin},
    },
    report::Where,
    safe, store,
    text::{Redactor, Safe},
};
use std::{
    borrow::Cow,
    fs::File,
    io::{self, Read},
    path::Path,
};

/// Larger than the plan of any statement that a server would finish planning.
const MOST_BYTES: u64 = 256 << 20;

/// Explains the plan of a file.
pub(super) fn explain(path: &Path, args: &Args, redact: &Redactor) -> Result<(Answer<Explanation>, Where)> {
    let name = named(path);
    let now = take(path, args, redact)?;
    let mut coverage = Coverage { searched: vec![part(&name)], missing: Vec::new(), bytes: now.bytes };
    let mut sources = vec![provenance(&name)];
    let diff = diff(args, &now.judged, redact, &mut coverage, &mut sources)?;
    if let Some(path) = &args.save {
        save(path, &now.shareable(args, redact))?;
    }
    let judged = now.judged;
    let findings = judged.meaning.causes.iter().map(|c| c.finding()).collect();
    let advice = advice::offline(&candidate::candidates(&judged));
    let facts = Explanation { origin: PlanOrigin::File(name.clone()), judged, reasons: Vec::new(), advice, diff };
    let place = Where { files: Some(name), ..Where::default() };
    Ok((Answer { facts, findings, coverage, sources }, place))
}

/// What changed since the plan that `--diff` names.
pub(super) fn diff(
    args: &Args,
    now: &Judged,
    redact: &Redactor,
    coverage: &mut Coverage,
    sources: &mut Vec<Provenance>,
) -> Result<Option<Earlier>> {
    let Some(path) = &args.diff else { return Ok(None) };
    let (from, before) = (named(path), take(path, args, redact)?);
    coverage.searched.push(part(&from));
    coverage.bytes += before.bytes;
    sources.push(provenance(&from));
    Ok(Some(Earlier { diff: diff::diff(&before.judged, now), from }))
}

/// The plan of a JSON that comes from a server.
pub(super) fn judged(json: &str, redact: &Redactor) -> Result<Judged> {
    plan::plan(json, redact).map(Judged::of)
}

/// A plan out of a file.
struct Taken {
    judged: Judged,
    json: String,
    bytes: u64,
}

impl Taken {
    /// What may be kept: not even secrets that the user may see belong into a file, unless they were asked for.
    fn shareable(&self, args: &Args, redact: &Redactor) -> Cow<'_, str> {
        match hide(args) {
            Hide::Secrets => shared::hidden(&self.json, Hide::Secrets, redact).into(),
            Hide::Literals | Hide::Names => Cow::Borrowed(&self.json),
        }
    }
}

fn take(path: &Path, args: &Args, redact: &Redactor) -> Result<Taken> {
    let name = named(path);
    let raw = read(path)?;
    let of = |e: Error| e.to(provenance(&name));
    let json = saved::json(&raw).map_err(of)?;
    // What is shown is redacted as it is read; only what the flags hide beyond that is taken out of the text before.
    let json = if hide(args) == Hide::Secrets { json } else { shared::hidden(&json, hide(args), redact).into() };
    let judged = Judged::of(plan::plan(&json, redact).map_err(of)?);
    Ok(Taken { judged, json: json.into_owned(), bytes: raw.len() as u64 })
}

/// Keeps a plan: whole or not at all, for its owner only.
pub(super) fn save(path: &Path, json: &str) -> Result<()> {
    store::keep(path, json.as_bytes())
        .map_err(|e| Error::new(Kind::Usage, safe!("saving the plan as {}", named(path))).what(Safe::name(e.to_string())))
}

/// What the flags hide.
pub(super) fn hide(args: &Args) -> Hide {
    match (args.redact_names, args.redact) {
        (true, _) => Hide::Names,
        (false, true) => Hide::Literals,
        (false, false) => Hide::Secrets,
    }
}

fn part(name: &Safe) -> Part {
    Part { system: "file", name: name.clone() }
}

fn named(path: &Path) -> Safe {
    if is_stdin(path) { "stdin".into() } else { Safe::name(path.to_string_lossy().as_bytes()) }
}

fn provenance(name: &Safe) -> Provenance {
    Provenance { system: "file", at: name.clone(), through: None }
}

/// A whole file, or stdin; what is no UTF-8 is replaced, since a log may hold anything beside the plan.
pub(super) fn read(path: &Path) -> Result<String> {
    let fail = |kind: Kind, e: io::Error| Error::new(kind, safe!("reading {}", named(path))).what(Safe::name(e.to_string()));
    let mut bytes = Vec::new();
    let read = |from: &mut dyn Read, bytes: &mut Vec<u8>| from.take(MOST_BYTES + 1).read_to_end(bytes);
    match is_stdin(path) {
        true => read(&mut io::stdin().lock(), &mut bytes),
        false => File::open(path).and_then(|mut file| read(&mut file, &mut bytes)),
    }
    .map_err(|e| fail(if e.kind() == io::ErrorKind::NotFound { Kind::NotFound } else { Kind::Usage }, e))?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(Error::new(Kind::Usage, safe!("reading {}", named(path))).what("larger than any plan"));
    }
    Ok(String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()))
}
