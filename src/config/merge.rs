//! Precedence: flag > `OBSCTL_*` variable > file > discovered > default. The only reader of environment variables in the crate; everyone
//! else asks `Vars`. Finds no file (`trust`) and checks no value (`build`).
#![expect(clippy::disallowed_methods, reason = "the one reader of environment variables; everyone else asks `Vars`")]

use super::{
    Environment,
    build::{Builder, Picked},
    file::{self, At, READING, RawEnvironment, RawFile, shown},
    nearest, trust,
};
use crate::{
    answer::Hint,
    error::{Error, Kind, Result},
    safe,
    text::Safe,
};
use serde::{Serialize, Serializer};
use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fmt,
    path::PathBuf,
};

/// The environment variables, read once. Values are never shown: any of them may be a secret.
#[derive(Clone, Default)]
pub struct Vars(BTreeMap<OsString, OsString>);

impl Vars {
    /// Those of this process.
    pub fn capture() -> Self {
        Self(std::env::vars_os().collect())
    }
    /// Exactly these, for tests.
    pub fn of<K: Into<OsString>, V: Into<OsString>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        Self(pairs.into_iter().map(|(k, v)| (k.into(), v.into())).collect())
    }
    /// A variable that is set, also to nothing.
    pub fn raw(&self, name: &str) -> Option<&OsStr> {
        self.0.get(OsStr::new(name)).map(OsString::as_os_str)
    }
    /// A text with its variables `${NAME}` in place.
    ///
    /// # Errors
    /// A sentence: one of them is not set, or it is not well formed.
    pub fn expanded(&self, text: &str) -> Result<String, Safe> {
        let malformed = || Safe::from("a variable is written ${NAME}, and a plain ${ is written $${");
        let template = Template::parse(text).map_err(|_| malformed())?;
        template.expand(self).map_err(|unexpanded| match unexpanded {
            Unexpanded::Unset(name) => safe!("the variable {} is not set", Safe::name(name)),
            Unexpanded::Malformed => malformed(),
        })
    }
    /// A variable that says something: set, not empty, text.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.raw(name).and_then(OsStr::to_str).filter(|value| !value.is_empty())
    }
    /// A path that says something.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.raw(name).filter(|value| !value.is_empty()).map(PathBuf::from)
    }
    /// One of obsctl's own variables: one that is no text is an error, not silence.
    fn own(&self, name: &'static str) -> Result<Option<&str>> {
        match self.raw(name) {
            Some(value) if value.to_str().is_none() => Err(Error::new(Kind::Config, READING).what(safe!("{} is not UTF-8", name))),
            _ => Ok(self.get(name)),
        }
    }
    /// The user's home.
    pub fn home(&self) -> Option<PathBuf> {
        self.path("HOME").filter(|path| path.is_absolute())
    }
    /// An XDG folder, or its default under the home; a relative one is ignored, as the standard says.
    pub(super) fn xdg(&self, name: &str, default: &str) -> Option<PathBuf> {
        self.path(name).filter(|path| path.is_absolute()).or_else(|| Some(self.home()?.join(default)))
    }
    /// The kubeconfig files, first wins: those of `KUBECONFIG`, else `~/.kube/config`.
    pub fn kubeconfig(&self) -> Vec<PathBuf> {
        let listed: Vec<PathBuf> =
            self.raw("KUBECONFIG").into_iter().flat_map(std::env::split_paths).filter(|p| !p.as_os_str().is_empty()).collect();
        if listed.is_empty() { self.home().map(|home| home.join(".kube/config")).into_iter().collect() } else { listed }
    }
    /// `NO_COLOR` says no; an empty one says nothing.
    pub fn no_color(&self) -> bool {
        self.raw("NO_COLOR").is_some_and(|value| !value.is_empty())
    }
    /// `CLICOLOR_FORCE` asks for colour even in a pipe.
    pub fn force_color(&self) -> bool {
        self.raw("CLICOLOR_FORCE").is_some_and(|value| !value.is_empty() && value != "0")
    }
    /// `CLICOLOR=0` says no.
    pub fn clicolor_off(&self) -> bool {
        self.raw("CLICOLOR").is_some_and(|value| value == "0")
    }
    /// `COLUMNS`: the width that the user wants.
    pub fn columns(&self) -> Option<u16> {
        self.get("COLUMNS")?.parse().ok().filter(|columns| *columns > 0)
    }
    /// Whether `TERM` names a terminal without control sequences.
    pub fn dumb_terminal(&self) -> bool {
        self.get("TERM") == Some("dumb")
    }
    /// `TZ`: the user's own zone.
    pub fn time_zone(&self) -> Option<&str> {
        self.get("TZ")
    }
    /// The proxy for `https`, in either spelling of curl.
    pub fn https_proxy(&self) -> Option<&str> {
        self.either(["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
    }
    /// The proxy for `http`. `HTTP_PROXY` in capitals is left alone, as curl does: a CGI server sets it from a request's header.
    pub fn http_proxy(&self) -> Option<&str> {
        self.either(["http_proxy", "ALL_PROXY", "all_proxy"])
    }
    /// The hosts that need no proxy.
    pub fn no_proxy(&self) -> Option<&str> {
        self.either(["NO_PROXY", "no_proxy"])
    }
    fn either<const N: usize>(&self, names: [&str; N]) -> Option<&str> {
        names.into_iter().find_map(|name| self.get(name))
    }
}

impl fmt::Debug for Vars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vars({} set)", self.0.len())
    }
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A flag.
    Flag(&'static str),
    /// An environment variable.
    Variable(String),
    /// The configuration file.
    File {
        /// Which.
        path: PathBuf,
        /// The line, from 1.
        line: u32,
        /// The column, from 1.
        column: u32,
    },
    /// Found in a live system.
    Discovered(Safe),
    /// Nobody said otherwise.
    Default,
}

impl Origin {
    /// In a few words: `--context`, `OBSCTL_ENV`, `obsctl.yaml:4:13`.
    pub fn says(&self) -> Safe {
        match self {
            Self::Flag(flag) => Safe::from(*flag),
            Self::Variable(name) => Safe::name(name),
            Self::File { path, line, column } => safe!("{}:{}:{}", shown(path), *line, *column),
            Self::Discovered(by) => safe!("discovered: {}", *by),
            Self::Default => "default".into(),
        }
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.says().serialize(to)
    }
}

/// A value and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sourced<T> {
    /// The value.
    pub value: T,
    /// Where it came from.
    pub from: Origin,
}

impl<T> Sourced<T> {
    /// Both.
    pub fn new(value: T, from: Origin) -> Self {
        Self { value, from }
    }
}

/// What the configuration is made of, besides the file.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `-e`, `--env`.
    pub env: Option<String>,
    /// `--context`.
    pub context: Option<String>,
    /// `-n`, `--namespace`.
    pub namespace: Option<String>,
    /// `--kubeconfig`.
    pub kubeconfig: Option<PathBuf>,
    /// The environment variables.
    pub vars: Vars,
    /// The working folder, absolute.
    pub cwd: PathBuf,
}

impl Inputs {
    /// Flag, else variable. An empty flag is a script's unset variable: better refused than read as "not given".
    pub(super) fn pick(&self, flag: &'static str, given: Option<&str>, variable: &'static str) -> Result<Option<Sourced<String>>> {
        match given {
            Some("") => Err(Error::new(Kind::Usage, "reading the command line").what(safe!("{} is empty", flag))),
            Some(value) => Ok(Some(Sourced::new(value.to_owned(), Origin::Flag(flag)))),
            None => Ok(self.vars.own(variable)?.map(|value| Sourced::new(value.to_owned(), Origin::Variable(variable.to_owned())))),
        }
    }
    fn picked(&self) -> Result<Picked> {
        Ok(Picked {
            context: self.pick("--context", self.context.as_deref(), "OBSCTL_CONTEXT")?,
            namespace: self.pick("--namespace", self.namespace.as_deref(), "OBSCTL_NAMESPACE")?,
            kubeconfig: self.kubeconfig.as_ref().map(|path| Sourced::new(self.cwd.join(path), Origin::Flag("--kubeconfig"))),
        })
    }
}

/// Merges everything into the environment that is meant.
pub fn load(inputs: &Inputs) -> Result<Environment> {
    let picked = inputs.picked()?;
    let Some(source) = trust::open(inputs)? else {
        return match wanted(inputs)? {
            None => Ok(Builder::without_file(&inputs.vars).ambient(picked)),
            Some(name) => Err(no_environment(&name, &[], "no configuration file was found")),
        };
    };
    let raw = file::parse(&source.bytes, &source.path)?;
    let mut builder = Builder::new(&source, &inputs.vars);
    let Some((name, environment, from)) = choose(&raw, inputs, &source)? else {
        return Ok(builder.ambient(picked));
    };
    let environment = builder.environment(name, environment, from, picked);
    let problems = builder.problems();
    match problems.first() {
        None => Ok(environment),
        Some(first) => {
            let error = first.error(&source.path);
            Err(if problems.len() > 1 { error.hint(Hint::Run("obsctl config check".into())) } else { error })
        }
    }
}

/// The names of the environments, for shell completion: what can be known, without errors.
pub fn names(inputs: &Inputs) -> Vec<String> {
    let Ok(Some(source)) = trust::open(inputs) else { return Vec::new() };
    let Ok(raw) = file::parse(&source.bytes, &source.path) else { return Vec::new() };
    raw.environments.0.into_iter().map(|(name, _)| name.value).collect()
}

fn wanted(inputs: &Inputs) -> Result<Option<Sourced<String>>> {
    inputs.pick("--env", inputs.env.as_deref(), "OBSCTL_ENV")
}

/// An environment of the file, and who chose it.
type Chosen<'r> = (&'r At<String>, &'r RawEnvironment, Origin);

/// The environment that is meant. None: the file names none at all, and nobody asked for one.
fn choose<'r>(raw: &'r RawFile, inputs: &Inputs, source: &trust::Source) -> Result<Option<Chosen<'r>>> {
    let all = &raw.environments.0;
    let find = |name: &str| all.iter().find(|(n, _)| n.value == name);
    let known: Vec<&str> = all.iter().map(|(n, _)| n.value.as_str()).collect();
    if let Some(name) = wanted(inputs)? {
        return match find(&name.value) {
            Some((n, e)) => Ok(Some((n, e, name.from))),
            None => Err(no_environment(&name, &known, "the configuration names none")),
        };
    }
    if let Some(default) = &raw.default_environment.0 {
        let from = Origin::File { path: source.path.clone(), line: default.place.line, column: default.place.column };
        return match find(&default.value) {
            Some((n, e)) => Ok(Some((n, e, from))),
            None => {
                Err(default.place.error(&source.path, &safe!("default_environment names none of the environments: {}", listed(&known))))
            }
        };
    }
    match all.as_slice() {
        [] => Ok(None),
        [(n, e)] => {
            let from = Origin::File { path: source.path.clone(), line: n.place.line, column: n.place.column };
            Ok(Some((n, e, from)))
        }
        _ => Err(Error::new(Kind::Usage, "choosing the environment")
            .what(safe!("there are several and no default_environment: {}", listed(&known)))
            .hint(Hint::Try("name one with -e".into()))),
    }
}

/// For a look at the file: whether a name that was given names something. Several environments without a default are fine there.
pub(super) fn names_something(raw: &RawFile, inputs: &Inputs, source: &trust::Source) -> Result<()> {
    if wanted(inputs)?.is_some() || raw.default_environment.0.is_some() {
        choose(raw, inputs, source)?;
    }
    Ok(())
}

fn no_environment(name: &Sourced<String>, known: &[&str], none: &'static str) -> Error {
    let from = name.from.says();
    let there = if known.is_empty() { none.into() } else { safe!("there are {}", listed(known)) };
    let error = Error::new(Kind::Usage, "choosing the environment").what(safe!(
        "no environment `{}` ({}): {}",
        Safe::name(&name.value),
        from,
        there
    ));
    match nearest(&name.value, known.iter().copied()) {
        Some(near) => error.hint(Hint::Try(safe!("-e {}", Safe::name(near)))),
        None => error,
    }
}

fn listed(names: &[&str]) -> Safe {
    if names.is_empty() {
        return "none".into();
    }
    let names: Vec<Safe> = names.iter().map(Safe::name).collect();
    Safe::join(&names, ", ")
}

/// Why a text could not be expanded.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unexpanded {
    /// A variable of this name is not set, or is no text.
    Unset(String),
    /// `${` without a name and `}` behind it.
    Malformed,
}

/// A text cut at its variables.
pub(super) struct Template<'t>(Vec<Piece<'t>>);

enum Piece<'t> {
    Text(&'t str),
    Variable(&'t str),
}

impl<'t> Template<'t> {
    /// Cuts a text at each `${NAME}`; `$${` is a plain `${`.
    pub fn parse(text: &'t str) -> Result<Self, Unexpanded> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once("${") {
            if let Some(before) = before.strip_suffix('$') {
                pieces.extend([Piece::Text(before), Piece::Text("${")]);
                rest = behind;
                continue;
            }
            let (name, behind) = behind.split_once('}').ok_or(Unexpanded::Malformed)?;
            let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
            if !name.bytes().all(word) || name.bytes().next().is_none_or(|first| first.is_ascii_digit()) {
                return Err(Unexpanded::Malformed);
            }
            pieces.extend([Piece::Text(before), Piece::Variable(name)]);
            rest = behind;
        }
        pieces.push(Piece::Text(rest));
        Ok(Self(pieces))
    }

    /// The names of its variables, each once.
    pub fn variables(&self) -> Vec<&'t str> {
        let mut names = Vec::new();
        for piece in &self.0 {
            if let Piece::Variable(name) = piece
                && !names.contains(name)
            {
                names.push(*name);
            }
        }
        names
    }

    /// The text with its variables in place; a variable's own value is not expanded again.
    pub fn expand(&self, vars: &Vars) -> Result<String, Unexpanded> {
        let mut out = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Variable(name) => match vars.raw(name).and_then(OsStr::to_str) {
                    Some(value) => out.push_str(value),
                    None => return Err(Unexpanded::Unset((*name).to_owned())),
                },
            }
        }
        Ok(out)
    }
}
