//! Files of checks: YAML with strict keys → checks, or every problem with `file:line:column`. Opens no file itself: whoever calls hands a
//! reader in, so that includes can be tested and fuzzed.

mod build;
mod raw;

use super::spec::CheckSpec;
use crate::{
    answer::Hint,
    config::{Place, Vars, nearest, read_yaml},
    error::{Error, Kind, Result},
    safe,
    text::Safe,
};
use build::Builder;
use raw::RawChecks;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// Files that one run may read, includes counted.
const FILES: usize = 100;
/// Problems that are listed.
const LISTED: usize = 20;

/// The JSON Schema of a file, made from the types that read it.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(RawChecks).to_value()
}

/// One thing that is wrong with a file.
#[derive(Clone, Debug)]
pub struct FileProblem {
    /// `file:line:column: what`.
    pub says: Safe,
}

/// Reads files and what they include. `read` gives the bytes of a file.
///
/// # Errors
/// `Config`: the first problem, and the others as hints; nothing runs before all files are good. Also where they hold no check at all.
pub fn load(paths: &[PathBuf], vars: &Vars, read: &dyn Fn(&Path) -> Result<Vec<u8>>) -> Result<Vec<CheckSpec>> {
    let mut problems: Vec<FileProblem> = Vec::new();
    let mut specs: Vec<CheckSpec> = Vec::new();
    let mut open: Vec<PathBuf> = paths.iter().rev().cloned().collect();
    let mut seen: Vec<PathBuf> = Vec::new();
    while let Some(path) = open.pop() {
        if seen.contains(&path) {
            continue;
        }
        seen.push(path.clone());
        if seen.len() > FILES {
            return Err(reading().what(safe!("more than {} files", FILES)));
        }
        let raw: RawChecks = read_yaml(&read(&path)?, &path).map_err(|e| reading().what(e.what_happened().clone()))?;
        let mut builder = Builder::new(&path, vars);
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        let mut included: Vec<PathBuf> = builder.texts(&raw.include).into_iter().map(|name| folder.join(name)).collect();
        included.reverse();
        open.extend(included);
        specs.extend(builder.checks(&raw));
        problems.extend(builder.problems);
    }
    names(&mut specs, &mut problems);
    needs(&specs, &mut problems);
    match problems.split_first() {
        None if specs.is_empty() => {
            let shown: Vec<Safe> = paths.iter().map(|p| Safe::name(p.as_os_str().as_encoded_bytes())).collect();
            Err(reading().what(safe!("{}: there is no check in it", Safe::join(&shown, ", "))).hint(Hint::Run("obsctl check init".into())))
        }
        None => Ok(specs),
        Some((first, others)) => {
            let mut error = reading().what(first.says.clone());
            for other in others.iter().take(LISTED) {
                error = error.hint(Hint::Try(safe!("also {}", other.says)));
            }
            if others.len() > LISTED {
                error = error.hint(Hint::Try(safe!("and {} more", others.len() - LISTED)));
            }
            Err(error)
        }
    }
}

fn reading() -> Error {
    Error::new(Kind::Config, "reading the checks")
}

fn at(spec: &CheckSpec) -> Safe {
    spec.place.as_ref().map(super::model::CheckPlace::says).unwrap_or_default()
}

/// Names are unique: results are told apart by them. One that was given by nobody yields to one that was.
fn names(specs: &mut [CheckSpec], problems: &mut Vec<FileProblem>) {
    let mut first: BTreeMap<String, Safe> = BTreeMap::new();
    for spec in specs.iter_mut() {
        if let Some(before) = first.get(&spec.name) {
            problems.push(FileProblem {
                says: safe!("{}: a check named `{}` stands at {} already", at(spec), Safe::name(&spec.name), *before),
            });
        } else {
            first.insert(spec.name.clone(), at(spec));
        }
    }
}

fn needs(specs: &[CheckSpec], problems: &mut Vec<FileProblem>) {
    let known: Vec<&str> = specs.iter().map(|s| s.name.as_str()).collect();
    let set: std::collections::BTreeSet<&str> = known.iter().copied().collect();
    for spec in specs {
        for need in spec.needs.iter().filter(|need| !set.contains(need.as_str())) {
            let near = nearest(need, known.iter().copied()).map(|near| safe!(": did you mean `{}`?", Safe::name(near))).unwrap_or_default();
            problems.push(FileProblem { says: safe!("{}: needs `{}`, which is no check{}", at(spec), Safe::name(need), near) });
        }
        if spec.needs.contains(&spec.name) {
            problems.push(FileProblem { says: safe!("{}: it needs itself", at(spec)) });
        }
    }
}

/// A place as a check keeps it.
fn kept(path: &Path, place: Place) -> super::model::CheckPlace {
    super::model::CheckPlace { file: Safe::name(path.as_os_str().as_encoded_bytes()), line: place.line, column: place.column }
}

#[cfg(test)]
mod tests;
