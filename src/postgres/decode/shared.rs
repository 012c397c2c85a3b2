//! A plan's JSON that may be handed on: secrets masked, or all literals, or the names as well. Works on the text, so that every other
//! byte stays as the server sent it, keys that obsctl does not know included.

use crate::{
    postgres::statement::lexer::{self, Lexeme},
    text::{Redactor, Safe},
};
use std::{borrow::Cow, collections::HashMap};

/// How much is hidden in a plan that leaves the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hide {
    /// What the redactor takes for a secret.
    Secrets,
    /// Every literal of the statement.
    Literals,
    /// Literals, and the names of tables, columns, indexes and all else.
    Names,
}

/// The same JSON with this much hidden.
pub fn hidden(json: &str, hide: Hide, redact: &Redactor) -> String {
    let mut names = Names::default();
    strings(json, |place, value| match (hide, place.key) {
        _ if STRUCTURE.contains(&place.key) => Cow::Borrowed(value),
        (Hide::Secrets, _) => plain(&redact.safe(value.as_bytes())),
        (Hide::Names, "search_path" | "application_name" | "Query Text" | "Remote SQL") => Cow::Borrowed("…"),
        _ if place.setting => plain(&redact.safe(value.as_bytes())),
        (Hide::Literals, key) if NAMES.contains(&key) => Cow::Borrowed(value),
        (Hide::Literals, _) => plain(&redact.safe(without_literals(value).as_bytes())),
        (Hide::Names, "Subplan Name") => match value.strip_prefix("CTE ") {
            Some(name) => format!("CTE {}", names.whole(name)).into(),
            None => Cow::Borrowed(value),
        },
        (Hide::Names, key) if NAMES.contains(&key) => names.whole(value).into(),
        (Hide::Names, _) => names.within(value).into(),
    })
}

fn plain<'a>(safe: &Safe) -> Cow<'a, str> {
    Cow::Owned(safe.to_string())
}

/// Keys whose words are PostgreSQL's own.
const STRUCTURE: [&str; 18] = [
    "Node Type",
    "Parent Relationship",
    "Strategy",
    "Partial Mode",
    "Join Type",
    "Operation",
    "Scan Direction",
    "Command",
    "Sort Method",
    "Sort Space Type",
    "Sort Methods Used",
    "Cache Mode",
    "Storage",
    "Format",
    "Custom Plan Provider",
    "Conflict Resolution",
    "Sampling Method",
    "Query Identifier",
];

/// Keys whose value is one name.
const NAMES: [&str; 12] = [
    "Subplan Name",
    "CTE Name",
    "Relation Name",
    "Schema",
    "Alias",
    "Index Name",
    "Function Name",
    "Table Function Name",
    "Trigger Name",
    "Constraint Name",
    "Relation",
    "Tuplestore Name",
];

/// Where a string stands.
struct Place<'k> {
    /// The key that it is the value of, or an element of whose list.
    key: &'k str,
    /// Whether it is the value of a setting.
    setting: bool,
}

/// Rewrites every string that is a value. Keeps no stack: plans may be nested deeper than a parser likes.
fn strings(json: &str, mut of: impl for<'v> FnMut(&Place<'_>, &'v str) -> Cow<'v, str>) -> String {
    let mut out = String::with_capacity(json.len());
    let mut rest = json;
    let mut key = String::new();
    let mut setting = false;
    while let Some(at) = rest.find('"') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        setting &= !before.contains('}');
        let (token, after) = from.split_at(end_of_string(from));
        rest = after;
        let Ok(value) = serde_json::from_str::<String>(token) else {
            // No JSON: the decoder says so; here nothing of it is handed on.
            out.push_str("\"\"");
            continue;
        };
        if after.trim_start().starts_with(':') {
            out.push_str(token);
            setting |= value == "Settings";
            key = value;
        } else {
            let new = of(&Place { key: &key, setting }, &value);
            out.push_str(&serde_json::Value::String(new.into_owned()).to_string());
        }
    }
    out.push_str(rest);
    out
}

/// The length of the string that a text begins with, its quotes included.
fn end_of_string(text: &str) -> usize {
    let mut escaped = false;
    for (i, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return i + 1,
            _ => {}
        }
    }
    text.len()
}

/// SQL, or an expression of a plan, with every literal replaced and every comment gone.
pub fn without_literals(sql: &str) -> String {
    rewritten(sql, |word| word.into())
}

fn rewritten<'a>(sql: &'a str, mut name: impl FnMut(&'a str) -> Cow<'a, str>) -> String {
    let mut out = String::with_capacity(sql.len());
    let mut last = "";
    for token in lexer::tokens(sql, true) {
        let text = token.text(sql);
        match token.kind {
            // The number in `(InitPlan 1)` is PostgreSQL's own.
            Lexeme::Number if matches!(last, "InitPlan" | "SubPlan") => out.push_str(text),
            Lexeme::Number => out.push('0'),
            // What never ends may be a literal to its end, whatever it begins with.
            Lexeme::Text | Lexeme::Unfinished => out.push_str("'…'"),
            Lexeme::Comment => {}
            Lexeme::Word | Lexeme::QuotedName => {
                last = text;
                out.push_str(&name(text));
            }
            Lexeme::Space => out.push_str(text),
            Lexeme::Parameter | Lexeme::Operator | Lexeme::Sign | Lexeme::Stray => {
                last = "";
                out.push_str(text);
            }
        }
    }
    out
}

/// Names, each with what stands for it in the whole plan.
#[derive(Default)]
struct Names(HashMap<String, String>);

impl Names {
    fn whole(&mut self, name: &str) -> String {
        let next = self.0.len() + 1;
        self.0.entry(name.trim_matches('"').to_owned()).or_insert_with(|| format!("n{next}")).clone()
    }
    /// Replaces every word that is neither SQL's own nor a type's, and the literals.
    fn within(&mut self, sql: &str) -> String {
        rewritten(sql, |word| match KEPT.contains(&word.to_ascii_lowercase().as_str()) {
            true => word.into(),
            false => self.whole(word).into(),
        })
    }
}

/// Words that say nothing about whose database it is.
const KEPT: [&str; 74] = [
    "and",
    "or",
    "not",
    "is",
    "null",
    "true",
    "false",
    "in",
    "any",
    "all",
    "some",
    "between",
    "like",
    "ilike",
    "similar",
    "case",
    "when",
    "then",
    "else",
    "end",
    "as",
    "asc",
    "desc",
    "nulls",
    "first",
    "last",
    "using",
    "collate",
    "distinct",
    "from",
    "row",
    "array",
    "cast",
    "initplan",
    "subplan",
    "hashed",
    "returns",
    "col1",
    "col2",
    "partial",
    "over",
    "filter",
    "where",
    "within",
    "group",
    "order",
    "by",
    "count",
    "sum",
    "avg",
    "min",
    "max",
    "coalesce",
    "now",
    "exists",
    "unknown",
    "text",
    "integer",
    "bigint",
    "smallint",
    "numeric",
    "boolean",
    "date",
    "timestamp",
    "timestamptz",
    "time",
    "zone",
    "with",
    "without",
    "uuid",
    "jsonb",
    "interval",
    "character",
    "varying",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::{analyze::times, decode::plan::plan, fixtures};
    use proptest::prelude::*;

    #[test]
    fn literals_are_taken_out_of_sql() {
        for (sql, without) in [
            ("(i.product_id = 77)", "(i.product_id = 0)"),
            ("(name = 'O''Brien'::text) AND (x = $1)", "(name = '…'::text) AND (x = $1)"),
            ("(a = E'it\\'s'::text) OR b", "(a = '…'::text) OR b"),
            ("x /* secret /* deep */ */ = $q$it's$q$ -- secret\nAND y", "x  = '…' \nAND y"),
            ("(price > (InitPlan 1).col1) AND (\"Order\".\"2nd\" > 1.5e3)", "(price > (InitPlan 1).col1) AND (\"Order\".\"2nd\" > 0)"),
            ("(t1.col2 ~~ '%x%'", "(t1.col2 ~~ '…'"),
            ("'never ends", "'…'"),
        ] {
            assert_eq!(without_literals(sql), without, "{sql}");
        }
    }

    #[test]
    fn a_shared_plan_says_the_same_of_times_and_nothing_of_the_data() {
        let redact = Redactor::default();
        for (name, raw) in fixtures::texts() {
            let whole = plan(&raw, &redact).expect(&name);
            for hide in [Hide::Secrets, Hide::Literals, Hide::Names] {
                let text = hidden(&raw, hide, &redact);
                let shared = plan(&text, &redact).expect(&name);
                assert_eq!(times::own(&shared), times::own(&whole), "{name} {hide:?}");
                assert_eq!(hidden(&text, hide, &redact), text, "{name} {hide:?}");
                if hide == Hide::Names {
                    for word in ["orders", "customer", "product_id", "item", "event_a", "audit"] {
                        assert!(!text.contains(word), "{name}: {word} in {text}");
                    }
                }
                if hide != Hide::Secrets {
                    assert!(!text.contains("nobody") && !text.contains("= 77"), "{name}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn any_text_can_be_hidden(text in "[ -~äß\n]{0,80}") {
            hidden(&text, Hide::Names, &Redactor::default());
            without_literals(&text);
        }

        #[test]
        fn no_quoted_literal_is_left(secret in "[a-z]{6}", before in "[a-z0-9 =($\"]{0,20}") {
            // An open quoted name swallows what follows, as it does in SQL.
            prop_assume!(before.matches('"').count() % 2 == 0 && !before.contains('$'));
            let sql = format!("{before} '{secret}!' x");
            let hidden = without_literals(&sql);
            let left = hidden.contains(&format!("{secret}!"));
            prop_assert!(!left, "{}", hidden);
        }
    }
}
