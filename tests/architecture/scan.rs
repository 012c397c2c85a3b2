//! Reads one Rust source from its tokens: what it names, declares and switches off. Tokens know what is a comment, a string or a macro,
//! and where an item ends, so that `#[cfg(test)]` items can be told from the rest. It does not expand macros and resolves no types.

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};
use std::collections::BTreeSet;

/// A source file, with its path from the root of the repository.
pub struct Source<'a> {
    pub path: &'a str,
    pub text: &'a str,
}

/// A thing that was seen, and its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen<T> {
    pub what: T,
    pub line: usize,
}

/// Where a path of this crate leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// To this name at the crate's root: a folder, a file or an exported macro.
    Name(String),
    /// To the crate's root itself (`crate::*`, `use crate as c`), behind which anything can hide.
    Root,
}

/// What one file says, in the order of its lines.
#[derive(Default)]
pub struct Facts {
    /// Its path from the root of the repository.
    pub path: String,
    /// How many lines it has, tests included.
    pub lines: usize,
    pub first_line: String,
    /// The file or the folder under `src/` that it belongs to; `None` outside of `src/`.
    pub top: Option<String>,
    /// Where it stands in the module tree; empty for the roots.
    pub module: Vec<String>,
    /// Paths into this crate, outside of tests.
    pub paths: Vec<Seen<Target>>,
    /// Types and traits that are `pub` without a restriction, outside of tests.
    pub types: Vec<Seen<String>>,
    /// Macros that `#[macro_export]` puts at the crate's root.
    pub macros: Vec<String>,
    /// Every identifier outside of tests.
    pub words: Vec<Seen<String>>,
    /// `unsafe`, `todo!`, ignored tests and the like, in tests too.
    pub banned: Vec<Seen<String>>,
    /// Lints of `clippy.toml`'s lists that it may break: `disallowed_methods`, ….
    pub marks: BTreeSet<String>,
    /// Lints of those lists switched off in a way that is not a mark.
    pub silenced: Vec<Seen<String>>,
    /// Modules in files of their own that exist for tests only.
    pub test_modules: Vec<Vec<String>>,
    /// How many of its lines belong to tests.
    pub test_lines: usize,
    /// Why it could not be read.
    pub unreadable: Option<String>,
}

/// Reads a source.
pub fn scan(source: &Source<'_>) -> Facts {
    let mut facts = Facts {
        path: source.path.to_owned(),
        lines: source.text.lines().count(),
        first_line: source.text.lines().next().unwrap_or_default().to_owned(),
        top: top(source.path),
        module: module(source.path),
        ..Facts::default()
    };
    match source.text.parse::<TokenStream>() {
        Ok(tokens) => {
            let place = Place { module: facts.module.clone(), test: false, in_macro: false };
            walk(tokens, place, &mut facts);
        }
        Err(error) => facts.unreadable = Some(error.to_string()),
    }
    facts
}

/// `src/logs/model.rs` → `logs`, `src/exit.rs` → `exit`.
fn top(path: &str) -> Option<String> {
    let inner = path.strip_prefix("src/")?;
    let first = inner.split('/').next()?;
    Some(first.strip_suffix(".rs").unwrap_or(first).to_owned())
}

/// `src/logs/model.rs` → `[logs, model]`, `src/logs/mod.rs` → `[logs]`, `src/lib.rs` → `[]`.
fn module(path: &str) -> Vec<String> {
    let inner = path.strip_prefix("src/").unwrap_or(path).trim_end_matches(".rs");
    let mut names: Vec<String> = inner.split('/').map(str::to_owned).collect();
    if names.last().is_some_and(|last| last == "mod") || matches!(inner, "lib" | "main") {
        names.pop();
    }
    names
}

#[derive(Clone)]
struct Place {
    module: Vec<String>,
    test: bool,
    in_macro: bool,
}

/// Walks the items, statements or expressions of one nesting level.
fn walk(tokens: TokenStream, mut place: Place, facts: &mut Facts) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut i = 0;
    while i < tokens.len() {
        if let Some(attribute) = Attribute::at(&tokens, i) {
            attribute.read(&place, facts);
            let start = i;
            i += attribute.length;
            if attribute.is_cfg_test() && !place.test {
                if attribute.inner {
                    place.test = true;
                    facts.test_lines += lines(&tokens[start..]);
                } else {
                    let end = item_end(&tokens, i);
                    facts.test_lines += lines(&tokens[start..end]);
                    if let Some(name) = file_module(&tokens[i..end]) {
                        facts.test_modules.push(place.module.iter().cloned().chain([name]).collect());
                    }
                    walk(tokens[i..end].iter().cloned().collect(), Place { test: true, ..place.clone() }, facts);
                    i = end;
                }
            } else if attribute.is("macro_export") && !place.test {
                let name = tokens[i..].windows(3).find(|w| word(&w[0]).as_deref() == Some("macro_rules"));
                facts.macros.extend(name.and_then(|w| word(&w[2])));
            }
            continue;
        }
        i = token(&tokens, i, &place, facts);
    }
}

/// Reads the token at `i` and what belongs to it; returns where to go on.
fn token(tokens: &[TokenTree], i: usize, place: &Place, facts: &mut Facts) -> usize {
    let TokenTree::Ident(ident) = &tokens[i] else {
        if let TokenTree::Group(group) = &tokens[i] {
            walk(group.stream(), place.clone(), facts);
        }
        return i + 1;
    };
    let (name, line) = (ident.to_string(), ident.span().start().line);
    let next_word = tokens.get(i + 1).and_then(word);
    let calls_macro = is_punct(tokens.get(i + 1), '!') && matches!(tokens.get(i + 2), Some(TokenTree::Group(_)));
    if name == "unsafe" {
        facts.banned.push(Seen { what: "unsafe".to_owned(), line });
    }
    if calls_macro && matches!(name.as_str(), "todo" | "unimplemented" | "dbg") {
        facts.banned.push(Seen { what: format!("{name}!"), line });
    }
    if !place.test {
        facts.words.push(Seen { what: name.clone(), line });
    }
    match name.as_str() {
        "mod" => {
            if let (Some(inner), Some(TokenTree::Group(body))) = (next_word, tokens.get(i + 2)) {
                let module = place.module.iter().cloned().chain([inner]).collect();
                walk(body.stream(), Place { module, ..place.clone() }, facts);
                return i + 3;
            }
        }
        "macro_rules" if is_punct(tokens.get(i + 1), '!') => {
            if let Some(TokenTree::Group(body)) = tokens.get(i + 3) {
                walk(body.stream(), Place { in_macro: true, ..place.clone() }, facts);
                return i + 4;
            }
        }
        "pub" => {
            // `pub(super)` and `pub(in crate::logs)` name no more than where they stand.
            if let Some(TokenTree::Group(group)) = tokens.get(i + 1)
                && group.delimiter() == Delimiter::Parenthesis
                && group
                    .stream()
                    .into_iter()
                    .next()
                    .as_ref()
                    .and_then(word)
                    .is_some_and(|w| matches!(&*w, "crate" | "self" | "super" | "in"))
            {
                return i + 2;
            }
            public_type(tokens, i, place, facts);
        }
        "crate" | "super" | "self" | "obsctl" => {
            let relative = matches!(name.as_str(), "super" | "self");
            let mut found = Vec::new();
            let end = path(tokens, i, &[], &mut found);
            // What `super` means in a macro is known where it is used only.
            if !(place.test || place.in_macro && relative) {
                for (segments, line) in found {
                    facts.paths.extend(resolve(&segments, &place.module).map(|what| Seen { what, line }));
                }
            }
            return end;
        }
        _ => {}
    }
    i + 1
}

/// Collects the paths that start at `i`, with those inside of braces; returns where they end.
fn path(tokens: &[TokenTree], i: usize, before: &[String], found: &mut Vec<(Vec<String>, usize)>) -> usize {
    let Some(here) = tokens.get(i) else { return i };
    let line = here.span().start().line;
    match here {
        TokenTree::Ident(ident) => {
            let mut segments = before.to_vec();
            segments.push(ident.to_string().trim_start_matches("r#").to_owned());
            let goes_on = is_path_separator(tokens, i + 1)
                && match tokens.get(i + 3) {
                    Some(TokenTree::Ident(_)) => true,
                    Some(TokenTree::Punct(p)) => p.as_char() == '*',
                    Some(TokenTree::Group(g)) => g.delimiter() == Delimiter::Brace,
                    _ => false,
                };
            if goes_on {
                return path(tokens, i + 3, &segments, found);
            }
            // Alone they are values and visibilities; `use super as x` is a name for a module. `self as x` ends `use std::io::{…}` too.
            let renamed = *ident != "self" && tokens.get(i + 1).and_then(word).as_deref() == Some("as");
            if segments.len() > 1 || renamed {
                found.push((segments, line));
            }
            i + 1
        }
        TokenTree::Punct(_) => {
            found.push((before.iter().cloned().chain(["*".to_owned()]).collect(), line));
            i + 1
        }
        TokenTree::Group(group) => {
            let inner: Vec<TokenTree> = group.stream().into_iter().collect();
            let mut at = 0;
            while at < inner.len() {
                at = path(&inner, at, before, found).max(at + 1);
                while at < inner.len() && !is_punct(inner.get(at), ',') {
                    at += 1;
                }
                at += 1;
            }
            i + 1
        }
        TokenTree::Literal(_) => i + 1,
    }
}

/// The first name below the crate's root that a path leads to; `None` when it stays below the module that says it.
fn resolve(segments: &[String], module: &[String]) -> Option<Target> {
    let (first, rest) = segments.split_first()?;
    let mut at: Vec<String> = match first.as_str() {
        "crate" | "obsctl" => Vec::new(),
        "super" => module.split_last().map(|(_, parent)| parent.to_vec())?,
        _ => module.to_vec(),
    };
    for segment in rest {
        match segment.as_str() {
            "super" => {
                at.pop();
            }
            "self" => {}
            name => at.push(name.to_owned()),
        }
    }
    match at.first().map(String::as_str) {
        None | Some("*") => Some(Target::Root),
        Some(name) => Some(Target::Name(name.to_owned())),
    }
}

/// Notes the `pub struct`, `enum`, `union`, `trait` or `type` whose `pub` stands at `i`.
fn public_type(tokens: &[TokenTree], i: usize, place: &Place, facts: &mut Facts) {
    let mut at = i + 1;
    while tokens.get(at).and_then(word).is_some_and(|w| matches!(&*w, "unsafe" | "auto")) {
        at += 1;
    }
    let is_type = tokens.get(at).and_then(word).is_some_and(|w| matches!(&*w, "struct" | "enum" | "union" | "trait" | "type"));
    if let (true, false, Some(TokenTree::Ident(name))) = (is_type, place.test, tokens.get(at + 1)) {
        facts.types.push(Seen { what: name.to_string(), line: name.span().start().line });
    }
}

/// `#[…]` or `#![…]`.
struct Attribute {
    inner: bool,
    length: usize,
    tokens: Vec<TokenTree>,
    line: usize,
}

impl Attribute {
    fn at(tokens: &[TokenTree], i: usize) -> Option<Self> {
        is_punct(tokens.get(i), '#').then_some(())?;
        let inner = is_punct(tokens.get(i + 1), '!');
        let length = if inner { 3 } else { 2 };
        let TokenTree::Group(group) = tokens.get(i + length - 1)? else { return None };
        (group.delimiter() == Delimiter::Bracket).then(|| Self {
            inner,
            length,
            tokens: group.stream().into_iter().collect(),
            line: tokens[i].span().start().line,
        })
    }

    fn is(&self, name: &str) -> bool {
        self.tokens.first().and_then(word).as_deref() == Some(name)
    }

    /// `cfg(test)` and `cfg(all(test, …))`; `any(test, …)` is compiled without tests too.
    fn is_cfg_test(&self) -> bool {
        fn holds(tokens: &[TokenTree]) -> bool {
            match tokens {
                [TokenTree::Ident(name)] => *name == "test",
                [TokenTree::Ident(name), TokenTree::Group(group)] if *name == "all" => {
                    let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                    inner.split(|t| is_punct(Some(t), ',')).any(holds)
                }
                _ => false,
            }
        }
        match &self.tokens[..] {
            [TokenTree::Ident(name), TokenTree::Group(group)] if *name == "cfg" => holds(&group.stream().into_iter().collect::<Vec<_>>()),
            _ => false,
        }
    }

    fn read(&self, place: &Place, facts: &mut Facts) {
        if self.is("doc") {
            return;
        }
        if self.is("path") && facts.top.is_some() {
            facts.banned.push(Seen { what: "#[path]".to_owned(), line: self.line });
        }
        if self.is("ignore") || self.is("cfg_attr") && holds_word(&self.tokens, "ignore") {
            facts.banned.push(Seen { what: "#[ignore]".to_owned(), line: self.line });
        }
        self.read_level(&self.tokens, place, facts);
        walk(self.tokens.iter().cloned().collect(), place.clone(), facts);
    }

    /// Lint levels and paths in strings, at any depth (`cfg_attr` nests them).
    fn read_level(&self, tokens: &[TokenTree], place: &Place, facts: &mut Facts) {
        for (i, token) in tokens.iter().enumerate() {
            match token {
                TokenTree::Ident(level) if *level == "allow" || *level == "expect" => {
                    if let Some(TokenTree::Group(lints)) = tokens.get(i + 1) {
                        self.lint_level(*level == "expect", lints.stream(), facts);
                    }
                }
                TokenTree::Group(group) => self.read_level(&group.stream().into_iter().collect::<Vec<_>>(), place, facts),
                TokenTree::Literal(literal) => {
                    // serde and clap take paths as strings.
                    let text = literal.to_string();
                    let text = text.trim_matches('"');
                    if ["crate::", "super::", "self::"].iter().any(|root| text.starts_with(root))
                        && let Ok(path) = text.parse::<TokenStream>()
                    {
                        let first = facts.paths.len();
                        walk(path, place.clone(), facts);
                        facts.paths.iter_mut().skip(first).for_each(|seen| seen.line = self.line);
                    }
                }
                _ => {}
            }
        }
    }

    /// `expect` of a disallowed list is a mark; anything else that silences such a list is not.
    fn lint_level(&self, expect: bool, lints: TokenStream, facts: &mut Facts) {
        let lints: Vec<TokenTree> = lints.into_iter().collect();
        for lint in lints.split(|t| is_punct(Some(t), ',')) {
            let name: String = lint.iter().map(ToString::to_string).collect();
            let list = name.strip_prefix("clippy::").filter(|lint| lint.starts_with("disallowed_"));
            match (list, expect) {
                (Some(list), true) => {
                    facts.marks.insert(list.to_owned());
                }
                (Some(_), false) => facts.silenced.push(Seen { what: format!("allow({name})"), line: self.line }),
                // The groups that the lists belong to.
                (None, _) if matches!(&*name, "clippy::all" | "clippy::style" | "warnings") => {
                    facts.silenced.push(Seen { what: name, line: self.line });
                }
                (None, _) => {}
            }
        }
    }
}

/// Where the item, field or statement that starts at `i` ends.
fn item_end(tokens: &[TokenTree], i: usize) -> usize {
    let mut at = i;
    while let Some(attribute) = Attribute::at(tokens, at) {
        at += attribute.length;
    }
    let words: Vec<String> =
        tokens[at..].iter().take(6).map_while(|t| word(t).or_else(|| matches!(t, TokenTree::Group(_)).then(String::new))).collect();
    let has = |names: &[&str]| words.iter().any(|w| names.contains(&w.as_str()));
    let has_body = has(&["mod", "fn", "impl", "struct", "enum", "union", "trait", "macro_rules"]);
    let ends_at_semicolon = !has_body && has(&["use", "const", "static", "type", "let", "extern"]);
    for (offset, token) in tokens[at..].iter().enumerate() {
        let body = matches!(token, TokenTree::Group(g) if g.delimiter() == Delimiter::Brace);
        let ends =
            is_punct(Some(token), ';') || !ends_at_semicolon && body || !has_body && !ends_at_semicolon && is_punct(Some(token), ',');
        if ends {
            return at + offset + 1;
        }
    }
    tokens.len()
}

/// The name of a `mod name;`.
fn file_module(item: &[TokenTree]) -> Option<String> {
    let at = item.iter().position(|t| word(t).as_deref() == Some("mod"))?;
    is_punct(item.get(at + 2), ';').then(|| item.get(at + 1).and_then(word)).flatten()
}

fn lines(tokens: &[TokenTree]) -> usize {
    match (tokens.first(), tokens.last()) {
        (Some(first), Some(last)) => last.span().end().line + 1 - first.span().start().line,
        _ => 0,
    }
}

fn word(token: &TokenTree) -> Option<String> {
    if let TokenTree::Ident(ident) = token { Some(ident.to_string()) } else { None }
}

/// Whether a word stands at any depth.
fn holds_word(tokens: &[TokenTree], wanted: &str) -> bool {
    tokens.iter().any(|token| match token {
        TokenTree::Ident(ident) => *ident == wanted,
        TokenTree::Group(group) => holds_word(&group.stream().into_iter().collect::<Vec<_>>(), wanted),
        _ => false,
    })
}

fn is_punct(token: Option<&TokenTree>, wanted: char) -> bool {
    matches!(token, Some(TokenTree::Punct(p)) if p.as_char() == wanted)
}

fn is_path_separator(tokens: &[TokenTree], i: usize) -> bool {
    matches!(tokens.get(i), Some(TokenTree::Punct(p)) if p.as_char() == ':' && p.spacing() == Spacing::Joint)
        && is_punct(tokens.get(i + 1), ':')
}
