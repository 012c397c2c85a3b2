//! A statement as it may be printed: without its literals, on one line; and what the application says about itself in its comment.

use super::{
    comment,
    lexer::{Lexeme, tokens},
};
use crate::{
    safe,
    text::{Redactor, Safe},
};
use serde::Serialize;

/// Who asks, as sqlcommenter writes it into a comment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "name")]
pub enum Asker {
    /// A Django view, by its name or its route.
    View(Safe),
    /// A Celery task.
    Task(Safe),
    /// A program that says its name only.
    Application(Safe),
}

impl Asker {
    /// `view orders:list`.
    pub fn says(&self) -> Safe {
        match self {
            Self::View(name) => safe!("view {}", name),
            Self::Task(name) => safe!("task {}", name),
            Self::Application(name) => name.clone(),
        }
    }
}

/// Keys of a comment, the most telling first.
const TASK_KEYS: [&str; 5] = ["task", "task_name", "celery_task", "celery.task_name", "job"];
const VIEW_KEYS: [&str; 5] = ["controller", "view", "action", "route", "path"];
const APPLICATION_KEYS: [&str; 3] = ["application", "app_name", "app"];

/// A statement for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownStatement {
    /// Its text.
    pub text: Safe,
    /// Who asks, if a comment says so.
    pub asker: Option<Asker>,
}

/// Hides the literals of a statement, unless the redactor shows everything. A text that was cut off in the middle of a literal ends there.
/// What is left is names and keywords: nothing that a redactor could find, but much that it could take for a secret
/// (`password = $1`), so it does not read it.
pub fn shown(text: &str, redact: &Redactor) -> ShownStatement {
    let mut out = String::with_capacity(text.len());
    let mut asker = None;
    // Where a backslash may escape, a literal seems to end too early, and its rest would be shown: both readings must agree.
    let found = tokens(text, true);
    let agreed = found == tokens(text, false);
    for token in &found {
        let raw = token.text(text);
        match token.kind {
            Lexeme::Comment => {
                if let Some(pairs) = comment::pairs(raw) {
                    asker = asker.or_else(|| asker_of(&pairs, redact));
                }
                push_space(&mut out);
            }
            Lexeme::Space => push_space(&mut out),
            Lexeme::Text if !agreed => {
                out.push_str("'…");
                break;
            }
            Lexeme::Text => out.push_str("'…'"),
            Lexeme::Number => out.push('?'),
            Lexeme::Unfinished if raw.starts_with("/*") => break,
            Lexeme::Unfinished => {
                out.push_str(if raw.starts_with('"') { "\"…" } else { "'…" });
                break;
            }
            _ => out.push_str(raw),
        }
    }
    let text = if redact.shows_sensitive() {
        let one_line: Vec<&str> = text.split_whitespace().collect();
        Safe::name(one_line.join(" "))
    } else {
        Safe::name(out.trim_end())
    };
    ShownStatement { text, asker }
}

fn push_space(out: &mut String) {
    if !out.is_empty() && !out.ends_with(' ') {
        out.push(' ');
    }
}

fn asker_of(pairs: &[(String, String)], redact: &Redactor) -> Option<Asker> {
    let first = |keys: &[&str]| {
        let value = keys.iter().find_map(|key| pairs.iter().find(|(k, v)| k == key && !v.is_empty()));
        value.map(|(_, value)| redact.safe(value.as_bytes()).clipped(120))
    };
    first(&TASK_KEYS)
        .map(Asker::Task)
        .or_else(|| first(&VIEW_KEYS).map(Asker::View))
        .or_else(|| first(&APPLICATION_KEYS).map(Asker::Application))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(sql: &str) -> String {
        shown(sql, &Redactor::default()).text.to_string()
    }

    #[test]
    fn literals_are_hidden_and_names_stay() {
        assert_eq!(
            text("SELECT *\n  FROM \"auth_user\" WHERE password = 'hunter2' AND id = 4711 AND x = $1 -- why 12\n"),
            "SELECT * FROM \"auth_user\" WHERE password = '…' AND id = ? AND x = $1"
        );
        assert_eq!(text("SELECT $q$secret$q$, E'it\\'s', U&'d', 1.5e3"), "SELECT '…', '…', '…', ?");
    }

    #[test]
    fn what_was_cut_off_shows_nothing_of_its_literal() {
        assert_eq!(text("SELECT 1 WHERE name = 'hunt"), "SELECT ? WHERE name = '…");
        assert_eq!(text("SELECT 1 /* user hunt"), "SELECT ?");
        assert_eq!(text("SELECT $q$hunt"), "SELECT '…");
        // With and without standard_conforming_strings: neither reading may show the rest.
        assert_eq!(text(r"SELECT 'a\', ' hunter2 '"), "SELECT '…");
    }

    #[test]
    fn the_comment_says_who_asks() {
        let asker = |sql: &str| shown(sql, &Redactor::default()).asker.map(|a| a.says().to_string());
        assert_eq!(asker("SELECT 1 /*controller='orders%3Alist',framework='django%3A5.2'*/").as_deref(), Some("view orders:list"));
        assert_eq!(asker("SELECT 1 /*task='mail.send_receipt',controller='x'*/").as_deref(), Some("task mail.send_receipt"));
        assert_eq!(asker("SELECT 1 /* no pairs */"), None);
    }

    #[test]
    fn everything_is_shown_where_it_was_asked_for() {
        let all = Redactor::default().showing_sensitive();
        assert_eq!(shown("SELECT  'a'\n", &all).text.as_str(), "SELECT 'a'");
    }

    proptest! {
        #[test]
        fn no_literal_is_shown(before in "[a-z =(]{0,20}", secret in "[A-Z]{6}[0-9]{3}", after in "[a-z )]{0,20}", cut in 0_usize..60) {
            let sql = format!("{before} '{secret}' {after} E'{secret}\\'' = $${secret}$$ /*{secret}*/");
            let cut = sql.chars().take(cut).collect::<String>();
            prop_assert!(!text(&sql).contains(&secret));
            prop_assert!(!text(&cut).contains(&secret));
        }
    }
}
