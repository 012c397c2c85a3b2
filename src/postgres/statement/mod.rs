//! A statement as it was given: what obsctl makes of its text before a server sees it. Placeholders get PostgreSQL's form, comments of
//! sqlcommenter are taken off, a text that was cut off is refused. Whether it is one statement, and what it does, the server's Parse says.

pub mod comment;
pub mod lexer;
pub mod shown;

use crate::{
    answer::Hint,
    error::{Error, Kind, Result},
    safe,
    text::Safe,
};
use lexer::{Lexeme, SqlToken};
use std::collections::BTreeMap;

/// A statement, ready for the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Its text, with `$1` for placeholders, without comments of sqlcommenter and without the last semicolon. Not safe to print.
    pub sql: String,
    /// Its parameters in the order of their numbers.
    pub parameters: Vec<Parameter>,
    /// What the application says about itself in comments. Not safe to print.
    pub origin: Vec<(String, String)>,
    /// What it seems to be.
    pub seems: StatementKind,
}

/// A place for a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its number, from 1.
    pub number: usize,
    /// Its name in the application's text: `%(since)s`.
    pub name: Option<String>,
}

/// What a statement seems to be by its first word: for the wording of questions only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatementKind {
    /// It reads.
    Read,
    /// It changes rows.
    Write,
    /// Anything else: it has no plan.
    Utility,
}

/// No statement of an application is longer; PostgreSQL itself takes a gigabyte.
const LONGEST: usize = 4 << 20;
/// PostgreSQL's own limit.
const MOST_PARAMETERS: usize = 65_535;

impl Statement {
    /// Reads a text. `conforming` is the server's `standard_conforming_strings`, `true` where it is not known.
    ///
    /// # Errors
    /// `Usage`: nothing in it, more than one statement, not finished, a placeholder that makes no sense.
    pub fn read(text: &str, conforming: bool) -> Result<Self> {
        let refused = |what: Safe| Error::new(Kind::Usage, "reading the statement").what(what);
        if text.len() > LONGEST {
            return Err(refused(safe!("it is longer than {} MiB", LONGEST >> 20)));
        }
        if text.contains('\0') {
            return Err(refused("it holds a NUL byte, which PostgreSQL cannot take".into()));
        }
        let mut tokens = lexer::tokens(text, conforming);
        if let Some(open) = tokens.iter().find(|t| t.kind == Lexeme::Unfinished) {
            return Err(refused(safe!("a quote or a comment that begins at byte {} never ends: was the text cut off?", open.at.start))
                .hint(Hint::Try("the whole text, from the application's source or from pg_stat_statements (--queryid)".into())));
        }
        let mut origin = Vec::new();
        for token in &mut tokens {
            if let Some(pairs) = (token.kind == Lexeme::Comment).then(|| comment::pairs(token.text(text))).flatten() {
                origin.extend(pairs);
                // Nothing of it stays but the space that a comment is.
                *token = SqlToken { kind: Lexeme::Space, at: token.at.start..token.at.start };
            }
        }
        let blank = |t: &SqlToken| matches!(t.kind, Lexeme::Space | Lexeme::Comment);
        let semicolon = |t: &SqlToken| t.kind == Lexeme::Sign && t.text(text) == ";";
        // What follows the last word is of no use, and a comment there would swallow what is put behind it.
        while tokens.last().is_some_and(|t| blank(t) || semicolon(t)) {
            tokens.pop();
        }
        if tokens.iter().all(blank) {
            return Err(refused("there is no statement in it".into()));
        }
        if tokens.iter().any(semicolon) && !is_body(&tokens, text) {
            return Err(refused("it holds more than one statement; one is explained at a time".into()));
        }
        let seems = seems(&tokens, text);
        let (sql, parameters) = placeholders(&tokens, text).map_err(refused)?;
        Ok(Self { sql: sql.trim_start().to_owned(), parameters, origin, seems })
    }

    /// Whether a value is needed to know its plan for real.
    pub fn has_parameters(&self) -> bool {
        !self.parameters.is_empty()
    }
}

/// Whether a text that a server shows of a session was cut off: it keeps `track_activity_query_size` bytes, one of them for the end, and
/// never half a character.
pub fn is_cut(text: &str, track_activity_query_size: usize) -> bool {
    text.len() + 4 >= track_activity_query_size
}

/// A function's body may hold semicolons; it stands in no statement that has a plan, and the server says so better.
fn is_body(tokens: &[SqlToken], text: &str) -> bool {
    words(tokens, text).any(|w| w.eq_ignore_ascii_case("atomic"))
}

fn words<'t>(tokens: &'t [SqlToken], text: &'t str) -> impl Iterator<Item = &'t str> {
    tokens.iter().filter(|t| t.kind == Lexeme::Word).map(|t| t.text(text))
}

fn seems(tokens: &[SqlToken], text: &str) -> StatementKind {
    let is = |w: &str, any: &[&str]| any.iter().any(|a| w.eq_ignore_ascii_case(a));
    let writes = ["insert", "update", "delete", "merge"];
    match words(tokens, text).next() {
        Some(first) if is(first, &writes) => StatementKind::Write,
        Some(first) if is(first, &["with"]) && words(tokens, text).any(|w| is(w, &writes)) => StatementKind::Write,
        Some(first) if is(first, &["select", "values", "table", "with"]) => StatementKind::Read,
        _ => StatementKind::Utility,
    }
}

/// The types that may stand before a literal without a cast, but not before a parameter.
const TYPE_WORDS: [&str; 6] = ["interval", "date", "time", "timestamp", "timestamptz", "timetz"];
const LONGEST_TYPE_WORD: usize = "timestamptz".len();

/// Writes the text anew with `$n` for every placeholder.
fn placeholders(tokens: &[SqlToken], text: &str) -> Result<(String, Vec<Parameter>), Safe> {
    let python = tokens.iter().enumerate().any(|(at, _)| python_at(tokens, at, text).is_some());
    let numbered: Vec<usize> = tokens
        .iter()
        .filter(|t| t.kind == Lexeme::Parameter)
        .map(|t| number(t.text(text)))
        .collect::<Option<_>>()
        .ok_or("a parameter's number is too large")?;
    if python && !numbered.is_empty() {
        return Err("it mixes $1 with %s: one form, please".into());
    }
    if numbered.iter().any(|n| *n == 0 || *n > MOST_PARAMETERS) {
        return Err("parameters count from $1 to $65535".into());
    }
    let mut out = String::with_capacity(text.len() + 16);
    let mut parameters: Vec<Parameter> = Vec::new();
    if let Some(last) = numbered.iter().max() {
        parameters = (1..=*last).map(|number| Parameter { number, name: None }).collect();
    }
    let mut named: BTreeMap<String, usize> = BTreeMap::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let raw = token.text(text);
        match python.then(|| python_at(tokens, at, text)).flatten() {
            Some(found) => {
                out.push_str(&found.before);
                let number = match &found.name {
                    Some(name) => named.get(name).copied(),
                    None => None,
                };
                let number = number.unwrap_or_else(|| {
                    let number = parameters.len() + 1;
                    named.extend(found.name.iter().map(|name| (name.clone(), number)));
                    parameters.push(Parameter { number, name: found.name });
                    number
                });
                push_parameter(&mut out, number);
                at += found.tokens;
            }
            None => {
                match token.kind {
                    Lexeme::Parameter => push_parameter(&mut out, number(raw).unwrap_or(0)),
                    Lexeme::Space if token.at.is_empty() => out.push(' '),
                    // As psycopg takes it: where values are bound, `%%` is a `%`, within quotes too.
                    _ if python => out.push_str(&raw.replace("%%", "%")),
                    _ => out.push_str(raw),
                }
                at += 1;
            }
        }
        if parameters.len() > MOST_PARAMETERS {
            return Err("it has more than 65535 placeholders".into());
        }
    }
    if parameters.iter().any(|p| p.name.is_some()) && parameters.iter().any(|p| p.name.is_none()) {
        return Err("it mixes %s with %(name)s: one form, please".into());
    }
    Ok((out, parameters))
}

fn number(parameter: &str) -> Option<usize> {
    parameter.strip_prefix('$')?.parse().ok()
}

/// Adds `$n`; `interval $1` is no PostgreSQL, `$1::interval` is.
fn push_parameter(out: &mut String, number: usize) {
    let trimmed = out.trim_end().len();
    let of_word = |c: &char| c.is_alphanumeric() || matches!(c, '_' | '$' | '"' | '.');
    // No further back than tells the longest of them from a longer word: there may be 65535 parameters.
    let back = out.get(..trimmed).unwrap_or_default().char_indices().rev().take(LONGEST_TYPE_WORD + 1);
    let word = back.take_while(|(_, c)| of_word(c)).last().map_or(trimmed, |(at, _)| at);
    let before = out.get(word..trimmed).unwrap_or_default();
    match TYPE_WORDS.iter().find(|t| before.eq_ignore_ascii_case(t)) {
        Some(kind) if trimmed < out.len() => {
            out.truncate(word);
            out.push_str(&format!("${number}::{kind}"));
        }
        _ => out.push_str(&format!("${number}")),
    }
}

/// A placeholder of Python's: the signs before it, its name, the tokens that it takes.
struct Python {
    before: String,
    name: Option<String>,
    tokens: usize,
}

fn python_at(tokens: &[SqlToken], at: usize, text: &str) -> Option<Python> {
    let token = tokens.get(at).filter(|t| t.kind == Lexeme::Operator)?;
    let raw = token.text(text);
    let percents = raw.bytes().rev().take_while(|b| *b == b'%').count();
    if percents % 2 == 0 {
        return None;
    }
    let before = raw.get(..raw.len() - 1)?.replace("%%", "%");
    // What belongs to it follows without a space.
    let follows = |ahead: usize, what: &str| {
        let next = tokens.get(at + ahead)?;
        let joined = tokens.get(at + ahead - 1).is_some_and(|t| t.at.end == next.at.start);
        (joined && (what.is_empty() || next.text(text) == what)).then(|| next.text(text))
    };
    if follows(1, "s").is_some() {
        return Some(Python { before, name: None, tokens: 2 });
    }
    let name = follows(1, "(").and_then(|_| follows(2, "")).filter(|_| follows(3, ")").is_some() && follows(4, "s").is_some())?;
    (tokens.get(at + 2)?.kind == Lexeme::Word).then(|| Python { before, name: Some(name.to_owned()), tokens: 5 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Statement {
        Statement::read(text, true).expect("a statement")
    }
    fn refused(text: &str) -> String {
        Statement::read(text, true).expect_err("refused").what_happened().to_string()
    }

    #[test]
    fn placeholders_of_python_become_numbers() {
        assert_eq!(read("SELECT * FROM t WHERE a=%s AND b > %s").sql, "SELECT * FROM t WHERE a=$1 AND b > $2");
        let named = read("SELECT %(a)s, %(b)s, %(a)s");
        assert_eq!(named.sql, "SELECT $1, $2, $1");
        assert_eq!(named.parameters[1], Parameter { number: 2, name: Some("b".to_owned()) });
        assert_eq!(read("SELECT id %% 2 FROM t WHERE a = %s").sql, "SELECT id % 2 FROM t WHERE a = $1");
    }

    #[test]
    fn quotes_and_comments_keep_their_percents() {
        let text = "SELECT '%s', \"%s\", $$%s$$ /* %s */ FROM t WHERE a LIKE 'x%%' AND b = %s";
        assert_eq!(read(text).sql, text.replace("b = %s", "b = $1").replace("%%", "%"));
        // Nothing is bound: then it is what it says.
        assert_eq!(read("SELECT a FROM t WHERE a LIKE 'x%%'").sql, "SELECT a FROM t WHERE a LIKE 'x%%'");
        assert_eq!(read("SELECT a % s FROM t").parameters.len(), 0);
        assert_eq!(read("SELECT a % similar FROM t").sql, "SELECT a % similar FROM t");
    }

    #[test]
    fn a_type_before_a_parameter_goes_behind_it() {
        assert_eq!(read("SELECT now() - interval $1").sql, "SELECT now() - $1::interval");
        assert_eq!(read("SELECT date %s, \"date\" ").parameters.len(), 1);
        assert_eq!(read("SELECT INTERVAL $1 + $2").sql, "SELECT $1::interval + $2");
        assert_eq!(read("SELECT t.interval = $1, update $2").sql, "SELECT t.interval = $1, update $2");
    }

    #[test]
    fn one_statement_with_or_without_its_semicolon() {
        assert_eq!(read("SELECT 1 ;; -- done\n").sql, "SELECT 1");
        assert_eq!(read("SELECT ';' -- ;\n, 2").sql, "SELECT ';' -- ;\n, 2");
        assert!(refused("SELECT 1; DROP TABLE t").contains("more than one"));
        assert!(refused(" -- nothing\n;").contains("no statement"));
    }

    #[test]
    fn a_statement_that_was_cut_off_is_refused() {
        assert!(refused("SELECT * FROM t WHERE a = 'abc").contains("cut off"));
        assert!(is_cut(&"x".repeat(1023), 1024) && is_cut(&"x".repeat(1021), 1024) && !is_cut("SELECT 1", 1024));
    }

    #[test]
    fn who_asks_is_taken_from_the_comment() {
        let statement = read("SELECT 1 /*action='list',route='%2Forders'*/");
        assert_eq!(statement.sql, "SELECT 1");
        assert_eq!(statement.origin[1], ("route".to_owned(), "/orders".to_owned()));
        assert_eq!(read("/*+ SeqScan(t) */ SELECT 1").sql, "/*+ SeqScan(t) */ SELECT 1");
    }

    #[test]
    fn what_it_seems_to_be() {
        assert_eq!(read("(SELECT 1)").seems, StatementKind::Read);
        assert_eq!(read("WITH a AS (DELETE FROM t RETURNING 1) SELECT 1").seems, StatementKind::Write);
        assert_eq!(read("VACUUM").seems, StatementKind::Utility);
    }

    #[test]
    fn forms_are_not_mixed() {
        assert!(refused("SELECT $1, %s").contains("mixes"));
        assert!(refused("SELECT %s, %(a)s").contains("mixes"));
        assert!(refused("SELECT $0").contains("count from"));
        assert!(refused("SELECT $99999999999999999999").contains("too large"));
    }

    #[test]
    fn a_long_text_with_many_placeholders_is_rewritten_once() {
        // A look back over what was written, at each placeholder, would not end in an hour; nor would one over all names.
        let many = MOST_PARAMETERS;
        let numbered: Vec<String> = (1..=many).map(|n| format!("{:<30}, ${n}", format!("'{n}'"))).collect();
        assert_eq!(read(&format!("SELECT {}", numbered.join(","))).parameters.len(), many);
        let joined: String = (1..=many).map(|n| format!("${n}")).collect();
        assert_eq!(read(&format!("SELECT {joined}")).sql.len(), joined.len() + 7);
        let named: Vec<String> = (1..=many).map(|n| format!("%(name_{n})s")).collect();
        assert_eq!(read(&format!("SELECT {}", named.join(","))).parameters.len(), many);
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd(text in r#"([a-z0-9 \n'"$%;:().,*/+\-=<>\\&_äß€]|%s|%\(a\)s|interval|/\*|\*/|--){0,60}"#) {
            let _ = Statement::read(&text, true);
        }

        #[test]
        fn without_placeholders_the_text_stays(words in "[a-z][a-z '\"]{0,10}[a-z]") {
            if let Ok(statement) = Statement::read(&words, true) {
                prop_assert_eq!(statement.sql, words);
            }
        }
    }
}
