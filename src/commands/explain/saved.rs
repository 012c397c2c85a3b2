//! Plans in files: read, hidden, saved.

use super::Args;
use crate::{
    answer::{Answer, Coverage, Part, Provenance},
    cli::Global,
    commands::setup,
    config::Vars,
    error::{Error, Kind, Result},
    postgres::{
        analyze::explain::Judged,
        decode::{
            plan, saved,
            shared::{self, Hide},
        },
        view::explain::{Explanation, Origin},
    },
    report::Where,
    safe,
    text::Safe,
};
use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

/// Larger than the plan of any statement that a server would finish planning.
const MOST_BYTES: u64 = 256 << 20;

/// Explains the plan of a file.
pub(super) fn explain(args: &Args, global: &Global, vars: &Vars) -> Result<(Answer<Explanation>, Where)> {
    let redact = setup::redactor(global, vars);
    let name = named(&args.plan);
    let raw = read(&args.plan)?;
    let bytes = raw.len() as u64;
    let json = saved::json(&raw).map_err(|e| e.to(provenance(&name)))?;
    let json = match hide(args) {
        Some(hide) => shared::hidden(&json, hide, &redact),
        None => json.into_owned(),
    };
    let plan = plan::plan(&json, &redact).map_err(|e| e.to(provenance(&name)))?;
    let judged = Judged::of(plan);
    let findings = judged.meaning.causes.iter().map(|c| c.finding()).collect();
    let coverage = Coverage { searched: vec![Part { system: "file", name: name.clone() }], missing: Vec::new(), bytes };
    let facts = Explanation { origin: Origin::File(name.clone()), judged };
    let place = Where { files: Some(name.clone()), ..Where::default() };
    Ok((Answer { facts, findings, coverage, sources: vec![provenance(&name)] }, place))
}

/// What the flags hide, beyond secrets.
fn hide(args: &Args) -> Option<Hide> {
    match (args.redact_names, args.redact) {
        (true, _) => Some(Hide::Names),
        (false, true) => Some(Hide::Literals),
        (false, false) => None,
    }
}

fn named(path: &Path) -> Safe {
    if path == Path::new("-") { "stdin".into() } else { Safe::name(path.to_string_lossy().as_bytes()) }
}

fn provenance(name: &Safe) -> Provenance {
    Provenance { system: "file", at: name.clone(), through: None }
}

/// A whole file, or stdin; what is no UTF-8 is replaced, since a log may hold anything beside the plan.
fn read(path: &Path) -> Result<String> {
    let fail = |kind: Kind, e: io::Error| Error::new(kind, safe!("reading {}", named(path))).what(Safe::name(e.to_string()));
    let mut bytes = Vec::new();
    let read = |from: &mut dyn Read, bytes: &mut Vec<u8>| from.take(MOST_BYTES + 1).read_to_end(bytes);
    match path == Path::new("-") {
        true => read(&mut io::stdin().lock(), &mut bytes),
        false => File::open(path).and_then(|mut file| read(&mut file, &mut bytes)),
    }
    .map_err(|e| fail(if e.kind() == io::ErrorKind::NotFound { Kind::NotFound } else { Kind::Usage }, e))?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(Error::new(Kind::Usage, safe!("reading {}", named(path))).what("larger than any plan"));
    }
    Ok(String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()))
}
