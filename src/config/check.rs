//! A look at the whole file: every environment, every problem, and what is allowed but unwise. Resolves nothing.

use super::{
    Environment, Inputs, SecretRef,
    build::{Builder, Problem},
    file::{self, Place, shown},
    merge, trust,
};
use crate::{answer::Hint, error::Result, safe, text::Safe};
use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

/// A file that was looked at.
#[derive(Debug)]
pub struct Check {
    /// The file.
    pub file: PathBuf,
    /// Whether it may act.
    pub trusted: bool,
    /// The names of its environments, in order.
    pub environments: Vec<Safe>,
    /// What is wrong or unwise, in the order of the file.
    pub found: Vec<Checked>,
}

/// One thing that is wrong, or unwise.
#[derive(Debug)]
pub struct Checked {
    /// Stable, kebab-case.
    pub code: &'static str,
    /// Whether the environment works in spite of it.
    pub only_warning: bool,
    /// `file:line:column: what`.
    pub says: Safe,
    /// What to do.
    pub hint: Option<Hint>,
}

/// Looks at the file that `load` would use. None: there is none. An error where it cannot be read or parsed.
pub fn check(inputs: &Inputs) -> Result<Option<Check>> {
    let Some(source) = trust::open(inputs)? else { return Ok(None) };
    let raw = file::parse(&source.bytes, &source.path)?;
    let mut builder = Builder::new(&source, &inputs.vars);
    let mut found = Vec::new();
    let at = |place: Place, what: &Safe| safe!("{}: {}", place.in_file(&source.path), *what);
    for (name, environment) in &raw.environments.0 {
        let built = builder.look_at(name, environment);
        for Problem { place, what, hint } in builder.problems() {
            found.push(Checked { code: "config-invalid", only_warning: false, says: at(place, &what), hint });
        }
        found.extend(unset(&built));
    }
    if let Err(error) = merge::names_something(&raw, inputs, &source) {
        found.push(Checked { code: "config-environment", only_warning: false, says: error.says(), hint: error.hints().first().cloned() });
    }
    // Group and others, to read: what `ls -l` shows as r in the second and third place.
    let readable = fs::metadata(&source.path).is_ok_and(|m| m.permissions().mode() & 0o044 != 0);
    for place in builder.literal_secrets().iter().filter(|_| readable) {
        let what = "a password stands in a file that others on this machine can read".into();
        let hint = Some(Hint::Run(safe!("chmod 600 {}", shown(&source.path))));
        found.push(Checked { code: "config-readable-password", only_warning: true, says: at(*place, &what), hint });
    }
    let asks = builder.actions().len();
    if !source.trusted && asks > 0 {
        let says = safe!(
            "{}: not trusted yet: {} of its values {} a file, a command, a variable or log files outside its folder",
            shown(&source.path),
            asks,
            if asks == 1 { "needs" } else { "need" }
        );
        found.push(Checked { code: "config-untrusted", only_warning: true, says, hint: Some(Hint::Run("obsctl config trust".into())) });
    }
    let environments = raw.environments.0.iter().map(|(name, _)| Safe::name(&name.value)).collect();
    Ok(Some(Check { file: source.path, trusted: source.trusted, environments, found }))
}

/// Variables that an endpoint needs and that are not set here. A warning: another command may not need it, another shell may have it.
fn unset(environment: &Environment) -> Vec<Checked> {
    environment
        .addresses()
        .chain(environment.of_health())
        .filter_map(|value| match &value.value {
            SecretRef::Unset { variable } => Some(Checked {
                code: "config-variable-unset",
                only_warning: true,
                says: safe!("{}: the variable {} is not set", value.from.says(), Safe::name(variable)),
                hint: Some(Hint::Set(Safe::name(variable))),
            }),
            _ => None,
        })
        .collect()
}
