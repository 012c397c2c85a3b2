//! Single values of the file: expanded, checked, recorded with their place, and refused where an untrusted file may not ask for them. A
//! value that is wrong becomes a problem and None, so that one look finds all of them.

use super::{
    Action, LogGlob, Origin, SecretRef, Setting, Sourced,
    build::{Builder, Problem},
    file::{At, Opt, Place, shown},
    merge::{Template, Unexpanded},
    reference::{RawReference, RawValue},
};
use crate::{
    answer::Hint,
    safe,
    text::{Redactor, Safe, units},
};
use jiff::{SignedDuration, fmt::temporal::DateTimeParser, tz::TimeZone};
use secrecy::{ExposeSecret, SecretString};
use std::path::{Component, Path, PathBuf};

impl Builder<'_> {
    /// Something is wrong here.
    pub(super) fn refuse<T>(&mut self, place: Place, what: impl Into<Safe>) -> Option<T> {
        self.problems.push(Problem { place, what: what.into(), hint: None });
        None
    }

    /// Something is wrong here unless `good`.
    pub(super) fn unless(&mut self, good: bool, place: Place, what: &'static str) -> Option<()> {
        if good { Some(()) } else { self.refuse(place, what) }
    }

    /// Notes what the file would do, and says whether it may.
    pub(super) fn may(&mut self, place: Place, does: &'static str, what: &Safe) -> bool {
        self.actions.push(Action { place: place.in_file(&self.path), does, what: what.clone() });
        self.trusted
    }

    /// The same, for what is needed at once: a problem if it may not.
    pub(super) fn may_now(&mut self, place: Place, does: &'static str, what: &Safe) -> bool {
        let may = self.may(place, does, what);
        if !may {
            let what = safe!("this file {} ({}), and nobody trusted it yet", does, *what);
            self.problems.push(Problem { place, what, hint: Some(Hint::Run("obsctl config trust".into())) });
        }
        may
    }

    /// The origin of a value at this place.
    pub(super) fn origin(&self, place: Place) -> Origin {
        Origin::File { path: self.path.clone(), line: place.line, column: place.column }
    }

    /// Notes a value for `config show`.
    pub(super) fn record(&mut self, key: Safe, value: Safe, from: Origin, variables: Vec<Safe>) {
        self.settings.push(Setting { key, value, from, variables });
    }

    /// Names are typed as targets: a `.` or a `/` would make a file of them.
    pub(super) fn named(&mut self, name: &At<String>) -> bool {
        let text = name.value.as_bytes();
        let good = text.first().is_some_and(u8::is_ascii_alphanumeric)
            && text.len() <= 63
            && text.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-' || *b == b'_');
        self.unless(good, name.place, "a name is up to 63 letters, digits, - and _, and begins with a letter or digit").is_some()
    }

    /// A plain value with its variables in place, and their names.
    pub(super) fn plain(&mut self, at: &At<String>) -> Option<(String, Vec<Safe>)> {
        let template = self.template(at.place, &at.value)?;
        let names: Vec<Safe> = template.variables().into_iter().map(|name| safe!("${{{}}}", Safe::name(name))).collect();
        if !names.is_empty() && !self.may_now(at.place, "reads variables", &Safe::join(&names, ", ")) {
            return None;
        }
        let text = match template.expand(self.vars) {
            Ok(text) => text,
            Err(Unexpanded::Unset(name)) => return self.refuse(at.place, safe!("the variable {} is not set", Safe::name(name))),
            // `parse` found it well formed.
            Err(Unexpanded::Malformed) => return None,
        };
        self.unless(!text.trim().is_empty(), at.place, "empty: write a value, or leave the key out")?;
        Some((text, names))
    }

    fn template<'t>(&mut self, place: Place, text: &'t str) -> Option<Template<'t>> {
        match Template::parse(text) {
            Ok(template) => Some(template),
            Err(_) => self.refuse(place, "a variable is written ${NAME}, and a plain ${ is written $${"),
        }
    }

    /// A plain value, recorded.
    pub(super) fn text(&mut self, key: Safe, at: &At<String>) -> Option<Sourced<String>> {
        let (text, variables) = self.plain(at)?;
        let from = self.origin(at.place);
        self.record(key, Safe::name(&text), from.clone(), variables);
        Some(Sourced::new(text, from))
    }

    /// Several plain values under one key.
    pub(super) fn texts(&mut self, key: Safe, all: &[At<String>]) -> Vec<String> {
        all.iter().filter_map(|at| self.text(key.clone(), at)).map(|s| s.value).collect()
    }

    /// A time zone.
    pub(super) fn zone(&mut self, key: Safe, at: &Opt<At<String>>) -> Option<TimeZone> {
        static ZONES: DateTimeParser = DateTimeParser::new();
        let at = at.0.as_ref()?;
        let text = self.text(key, at)?.value;
        if let Ok(zone) = ZONES.parse_time_zone(&text) {
            return Some(zone);
        }
        // A slim container has no zones at all, which is not the file's fault.
        let none_here = jiff::tz::db().available().next().is_none();
        self.refuse(
            at.place,
            if none_here {
                "this machine has no time zone database (tzdata): only offsets like +03:00 work here"
            } else {
                "no such time zone: Europe/Istanbul or +03:00"
            },
        )
    }

    /// A duration above zero.
    pub(super) fn duration(&mut self, key: Safe, at: &Opt<At<String>>) -> Option<SignedDuration> {
        let at = at.0.as_ref()?;
        let text = self.text(key, at)?.value;
        match units::parse_duration(&text).filter(SignedDuration::is_positive) {
            Some(duration) => Some(duration),
            None => self.refuse(at.place, "no duration: 30s, 2m, 1h30m"),
        }
    }

    /// The public URL of an app. It is shown in answers, so it cannot hold a password.
    pub(super) fn url(&mut self, key: Safe, at: &At<String>) -> Option<String> {
        let (text, variables) = self.plain(at)?;
        let parsed = text.parse::<http::Uri>().ok();
        let authority = parsed.as_ref().filter(|u| matches!(u.scheme_str(), Some("http" | "https"))).and_then(http::Uri::authority);
        let Some((uri, authority)) = parsed.as_ref().zip(authority) else {
            return self.refuse(at.place, "no URL: https://app.example.org");
        };
        self.unless(!authority.as_str().contains('@'), at.place, "a user or password in the URL of an app would be shown in answers")?;
        // A query can hold a token: not shown.
        let query = if uri.query().is_some() { "?…" } else { "" };
        let scheme = Safe::name(uri.scheme_str().unwrap_or_default());
        let seen = safe!("{}://{}{}{}", scheme, Safe::name(authority.as_str()), Safe::name(uri.path()), query);
        let from = self.origin(at.place);
        self.record(key, seen, from, variables);
        Some(text)
    }

    /// A path of the file: absolute, from the home, or from the folder of the file.
    pub(super) fn resolve(&mut self, place: Place, text: &str) -> Option<PathBuf> {
        match text.strip_prefix("~/") {
            // Collected again, which leaves `.` out.
            None => Some(self.folder.join(text).components().collect()),
            Some(rest) => match self.vars.home() {
                Some(home) => Some(home.join(rest)),
                None => self.refuse(place, "~ needs HOME to be set"),
            },
        }
    }

    /// A command that prints a log.
    pub(super) fn log_command(&mut self, key: Safe, at: &At<Vec<String>>) -> Option<Vec<String>> {
        let words = &at.value;
        let some = words.first().is_some_and(|w| !w.is_empty());
        self.unless(some, at.place, "a command is a program and its arguments: [docker, compose, logs, web]")?;
        let shown = Redactor::default().safe(words.join(" ").as_bytes());
        if !self.may_now(at.place, "runs a command", &shown) {
            return None;
        }
        let from = self.origin(at.place);
        self.record(key, shown, from, Vec::new());
        Some(words.clone())
    }

    /// A glob of log files. An untrusted file names those of its own folder only.
    pub(super) fn log_glob(&mut self, key: Safe, at: &At<String>) -> Option<LogGlob> {
        let (text, variables) = self.plain(at)?;
        let inside = !text.starts_with('~') && Path::new(&text).components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
        if !inside && !self.may_now(at.place, "reads log files outside its folder", &Safe::name(&text)) {
            return None;
        }
        // The folder is a place, not a pattern: `[` in its name is a letter.
        let home = self.vars.home();
        let base = match (text.strip_prefix("~/"), &home) {
            (None, _) if Path::new(&text).is_absolute() => None,
            (None, _) => Some((self.folder.as_path(), text.as_str())),
            (Some(rest), Some(home)) => Some((home.as_path(), rest)),
            (Some(_), None) => return self.refuse(at.place, "~ needs HOME to be set"),
        };
        let pattern = match base {
            None => text.clone(),
            Some((folder, rest)) => match folder.to_str() {
                Some(folder) => format!("{}/{}", glob::Pattern::escape(folder.trim_end_matches('/')), rest.trim_start_matches("./")),
                None => return self.refuse(at.place, "the folder of this file has a name that is not UTF-8"),
            },
        };
        self.unless(glob::Pattern::new(&pattern).is_ok(), at.place, "no glob: logs/*.log, logs/**/*.log")?;
        let from = self.origin(at.place);
        self.record(key, Safe::name(&pattern), from, variables);
        Some(LogGlob { pattern, only_within: (!self.trusted).then(|| self.folder.clone()) })
    }

    /// A value that may stand elsewhere. Nothing is fetched: a command that never needs it must not fail for it.
    pub(super) fn value(&mut self, key: Safe, at: &At<RawValue>, secret: bool) -> Option<Sourced<SecretRef>> {
        let place = at.place;
        let is_number = key.ends_with("port") || key.ends_with("db") || key.ends_with("dbname");
        let value = match &at.value {
            RawValue::Number(number) if is_number => SecretRef::Literal(SecretString::from(number.to_string())),
            // 0x1f would have become 31: a password is text.
            RawValue::Number(_) => return self.refuse(place, "a number where text belongs: put it in quotes"),
            RawValue::Other => {
                return self.refuse(
                    place,
                    "expected text (in quotes where it reads as a number or as true), or {file}, {command}, {secret, key}, {config_map, key} or {workload, env}",
                );
            }
            RawValue::Text(text) => self.literal(place, text, secret)?,
            RawValue::Reference(reference) => self.reference(place, reference)?,
        };
        let from = self.origin(place);
        let seen = match &value {
            SecretRef::Literal(text) if !secret && text.expose_secret().contains('\n') => "<several lines>".into(),
            SecretRef::Literal(text) if !secret => Safe::name(text.expose_secret()),
            other if secret => safe!("<secret, from {}>", other.says()),
            other => safe!("<from {}>", other.says()),
        };
        self.record(key, seen, from.clone(), Vec::new());
        Some(Sourced::new(value, from))
    }

    /// A certificate or a key. A path written in its place would be taken for one, and fail later with worse words.
    pub(super) fn pem(&mut self, key: Safe, at: &At<RawValue>, secret: bool) -> Option<Sourced<SecretRef>> {
        let value = self.value(key, at, secret)?;
        if let SecretRef::Literal(text) = &value.value {
            let is_pem = text.expose_secret().contains("-----BEGIN ");
            self.unless(is_pem, at.place, "a text in PEM form (-----BEGIN …), or where it stands: {file: ca.pem}")?;
        }
        Some(value)
    }

    fn literal(&mut self, place: Place, text: &SecretString, secret: bool) -> Option<SecretRef> {
        let text = text.expose_secret();
        let template = self.template(place, text)?;
        let names: Vec<String> = template.variables().into_iter().map(str::to_owned).collect();
        if names.is_empty() {
            self.unless(!text.trim().is_empty(), place, "empty: write a value, or leave the key out")?;
            // A URL without an `@` has no password.
            if secret && (text.contains('@') || !text.contains("://")) {
                self.literal_secrets.push(place);
            }
        } else {
            let seen: Vec<Safe> = names.iter().map(|n| safe!("${{{}}}", Safe::name(n))).collect();
            if !self.may(place, "reads variables", &Safe::join(&seen, ", ")) {
                return Some(SecretRef::Untrusted("a variable"));
            }
        }
        match template.expand(self.vars) {
            Ok(text) if names.is_empty() => Some(SecretRef::Literal(SecretString::from(text))),
            Ok(text) => Some(SecretRef::Variables { names, value: SecretString::from(text) }),
            Err(Unexpanded::Unset(variable)) => Some(SecretRef::Unset { variable }),
            // `parse` found it well formed.
            Err(Unexpanded::Malformed) => None,
        }
    }

    fn reference(&mut self, place: Place, raw: &RawReference) -> Option<SecretRef> {
        let RawReference { file, command, secret, config_map, key, workload, env } = raw;
        let here = [file.0.is_some(), command.0.is_some(), secret.0.is_some(), config_map.0.is_some(), workload.0.is_some()];
        if here.into_iter().filter(|is| *is).count() != 1 {
            return self.refuse(place, "a reference is one of {file}, {command}, {secret, key}, {config_map, key} and {workload, env}");
        }
        let keyed = secret.0.is_some() || config_map.0.is_some();
        self.unless(key.0.is_none() || keyed, place, "key belongs to secret or config_map")?;
        self.unless(env.0.is_none() || workload.0.is_some(), place, "env belongs to workload")?;
        if let Some(file) = &file.0 {
            let (text, _) = self.plain(file)?;
            let path = self.resolve(file.place, &text)?;
            let may = self.may(file.place, "reads a file", &shown(&path));
            return Some(if may { SecretRef::File(path) } else { SecretRef::Untrusted("a file") });
        }
        if let Some(words) = &command.0 {
            self.unless(
                words.first().is_some_and(|program| !program.is_empty()),
                place,
                "a command is a program and its arguments: [pass, show, db]",
            )?;
            // Arguments can hold a token; whoever decides about trust still has to see the rest.
            let may = self.may(place, "runs a command", &Redactor::default().safe(words.join(" ").as_bytes()));
            return Some(if may { SecretRef::Command(words.clone()) } else { SecretRef::Untrusted("a command") });
        }
        if let Some(workload) = &workload.0 {
            let Some(env) = &env.0 else { return self.refuse(place, "env is missing: which variable of its containers") };
            let (text, _) = self.plain(workload)?;
            let Some((kind, name)) =
                text.split_once('/').filter(|(kind, name)| !kind.is_empty() && !name.is_empty() && !name.contains('/'))
            else {
                return self.refuse(workload.place, "a workload is kind/name: deployment/backend");
            };
            let (env, _) = self.plain(env)?;
            return Some(SecretRef::Workload { kind: kind.to_owned(), name: name.to_owned(), env });
        }
        let Some(key) = &key.0 else { return self.refuse(place, "key is missing: which key of it") };
        if let Some(name) = &secret.0 {
            let ((name, _), (key, _)) = (self.plain(name)?, self.plain(key)?);
            return Some(SecretRef::Secret { name, key });
        }
        let ((name, _), (key, _)) = (self.plain(config_map.0.as_ref()?)?, self.plain(key)?);
        Some(SecretRef::ConfigMap { name, key })
    }
}
