//! The rules of the house, each a function from all that was scanned to the sentences about what breaks it.

use crate::scan::{Facts, Seen, Source, Target, scan};
use std::collections::{BTreeMap, BTreeSet};

/// How the modules of one level stand to each other. Each may name what is lower; these say what beside that.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Peers {
    /// They do not know each other.
    Apart,
    /// They belong together.
    Together,
}

/// The levels, the lowest first.
pub type Levels = [(Peers, &'static [&'static str])];

/// What all sources say.
pub struct House {
    files: Vec<Facts>,
    test_modules: BTreeSet<Vec<String>>,
}

impl House {
    /// Scans them all.
    pub fn of(sources: &[Source<'_>]) -> Self {
        let files: Vec<_> = sources.iter().map(scan).collect();
        let test_modules = files.iter().flat_map(|facts| facts.test_modules.iter().cloned()).collect();
        Self { files, test_modules }
    }

    /// Files that could not be read: no rule can say anything about them.
    pub fn unreadable(&self) -> Vec<String> {
        let broken = self.files.iter().filter_map(|facts| Some((&facts.path, facts.unreadable.as_ref()?)));
        broken.map(|(path, why)| format!("{path}: cannot be read: {why}")).collect()
    }

    /// What is compiled into the crate: `src/` without the modules that exist for tests.
    fn crate_files(&self) -> impl Iterator<Item = (&Facts, &str)> {
        self.files.iter().filter_map(|facts| {
            let for_tests = (1..=facts.module.len()).any(|depth| self.test_modules.contains(&facts.module[..depth]));
            (!for_tests).then_some((facts, facts.top.as_deref()?))
        })
    }

    /// A module names lower ones only, and every top module has its place in the table.
    pub fn layers(&self, levels: &Levels, reserved: &[(&str, &[&str])]) -> Vec<String> {
        let level = |name: &str| levels.iter().position(|(_, names)| names.contains(&name));
        let owner_of_macro: BTreeMap<&str, &str> =
            self.crate_files().flat_map(|(facts, top)| facts.macros.iter().map(move |name| (name.as_str(), top))).collect();
        let mut broken = Vec::new();
        for (facts, top) in self.crate_files() {
            // The root declares the modules; what it would re-export is found where it is named.
            if top == "lib" {
                continue;
            }
            let Some(own) = level(top) else {
                broken.push(format!("{}: `{top}` has no place in the table of layers", facts.path));
                continue;
            };
            for Seen { what, line } in &facts.paths {
                let at = format!("{}:{line}", facts.path);
                let Target::Name(name) = what else {
                    broken.push(format!("{at}: names the crate's root itself; name the module"));
                    continue;
                };
                let named = owner_of_macro.get(name.as_str()).copied().unwrap_or(name);
                if named == top && top != "main" {
                    continue;
                }
                match level(named) {
                    None => broken.push(format!("{at}: `{named}` is no module in the table of layers; name things by their module")),
                    Some(other) if other > own => broken.push(format!("{at}: {top} names {named}, which is above it")),
                    Some(other) if other == own && levels[own].0 == Peers::Apart => {
                        broken.push(format!("{at}: {top} names {named}, which is beside it"));
                    }
                    Some(_) => {}
                }
                if let Some((_, users)) = reserved.iter().find(|(name, users)| *name == named && !users.contains(&top)) {
                    broken.push(format!("{at}: {top} names {named}, which is for {} only", users.join(", ")));
                }
            }
        }
        broken.dedup();
        broken
    }

    /// No file grows too long; its tests do not count.
    pub fn lengths(&self, limit: usize, special: &[(&str, usize)]) -> Vec<String> {
        let over = |facts: &Facts| {
            let limit = special.iter().find(|(folder, _)| facts.path.starts_with(folder)).map_or(limit, |(_, limit)| *limit);
            let lines = facts.lines.saturating_sub(facts.test_lines);
            (lines > limit).then(|| format!("{}: {lines} lines without tests, {limit} is the limit", facts.path))
        };
        self.files.iter().filter_map(over).collect()
    }

    /// Each file opens with its purpose.
    pub fn openings(&self) -> Vec<String> {
        let purpose =
            |text: &str| text.lines().next().and_then(|line| line.strip_prefix("//!")).is_some_and(|rest| !rest.trim().is_empty());
        let silent = self.files.iter().filter(|facts| !purpose(&facts.first_line));
        silent.map(|facts| format!("{}: does not open with `//! what it is for`", facts.path)).collect()
    }

    /// A name of a public type means one thing in the whole crate.
    pub fn type_names(&self, may_repeat: &[&str]) -> Vec<String> {
        let mut first: BTreeMap<&str, String> = BTreeMap::new();
        let mut broken = Vec::new();
        for (facts, _) in self.crate_files() {
            for Seen { what, line } in facts.types.iter().filter(|seen| !may_repeat.contains(&seen.what.as_str())) {
                let at = format!("{}:{line}", facts.path);
                match first.get(what.as_str()) {
                    Some(before) => broken.push(format!("{at}: the type `{what}` exists already, at {before}")),
                    None => {
                        first.insert(what, at);
                    }
                }
            }
        }
        broken
    }

    /// A model is what is written, never what is read: bytes become a model in `decode`, through types of its own.
    pub fn models(&self) -> Vec<String> {
        let mut broken = Vec::new();
        for (facts, _) in self.crate_files().filter(|(facts, _)| facts.module.iter().any(|room| room == "model")) {
            let reading = facts.words.iter().filter(|seen| seen.what.starts_with("Deserialize") || seen.what == "deserialize");
            broken.extend(reading.map(|seen| format!("{}:{}: {} in a model", facts.path, seen.line, seen.what)));
        }
        broken
    }

    /// Exactly the listed files may break the lists of `clippy.toml`, and they say so with `expect`.
    pub fn marks(&self, listed: &[(&str, &[&str])], free: &[&str]) -> Vec<String> {
        let mut broken = Vec::new();
        for facts in self.files.iter().filter(|facts| !free.iter().any(|folder| facts.path.starts_with(folder))) {
            let may = listed.iter().find(|(path, _)| *path == facts.path).map_or(&[][..], |(_, lints)| lints);
            for lint in facts.marks.iter().filter(|lint| !may.contains(&lint.as_str())) {
                broken.push(format!("{}: expects clippy::{lint}, but tests/architecture.rs does not list it", facts.path));
            }
            for lint in may.iter().filter(|lint| !facts.marks.contains(**lint)) {
                broken.push(format!("{}: tests/architecture.rs lists it for clippy::{lint}, which it does not expect", facts.path));
            }
            for Seen { what, line } in &facts.silenced {
                broken.push(format!("{}:{line}: `{what}` hides the lists of clippy.toml; expect the one lint, with a reason", facts.path));
            }
        }
        let gone = listed.iter().filter(|(path, _)| !self.files.iter().any(|facts| facts.path == *path));
        broken.extend(gone.map(|(path, _)| format!("{path}: tests/architecture.rs lists it, but it does not exist")));
        broken
    }

    /// Words that are nowhere, in tests neither.
    pub fn banned(&self) -> Vec<String> {
        let all = self.files.iter().flat_map(|facts| facts.banned.iter().map(move |seen| (&facts.path, seen)));
        all.map(|(path, Seen { what, line })| format!("{path}:{line}: {what}")).collect()
    }

    /// Rooms that only compute: they wait for nothing, open nothing and read no clock, so that a test can hand them everything.
    pub fn pure_rooms(&self, systems: &[&str], rooms: &[&str]) -> Vec<String> {
        const IMPURE: &[&str] = &["async", "await", "tokio", "reqwest", "hyper_util", "Instant", "SystemTime"];
        let mut broken = Vec::new();
        for (facts, top) in self.crate_files() {
            let pure = systems.contains(&top) && facts.module.get(1).is_some_and(|room| rooms.contains(&room.as_str()));
            if !pure {
                continue;
            }
            for Seen { what, line } in facts.words.iter().filter(|seen| IMPURE.contains(&seen.what.as_str())) {
                broken.push(format!("{}:{line}: `{what}` in a room that only computes", facts.path));
            }
            let connects = facts.paths.iter().filter(|seen| seen.what == Target::Name("connect".to_owned()));
            broken.extend(connects.map(|seen| format!("{}:{}: names connect in a room that only computes", facts.path, seen.line)));
        }
        broken
    }
}
