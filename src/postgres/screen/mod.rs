//! May this run? Judges every function that a statement reaches, as the catalogs describe it. READ ONLY stops neither `dblink_exec` nor
//! advisory locks, and a plain EXPLAIN runs functions that are declared STABLE or IMMUTABLE: so this comes before any EXPLAIN.

pub mod lists;
pub mod tree;

use super::statement::lexer::{self, Lexeme};
use crate::{safe, text::Safe};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// A function as the catalogs describe it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FunctionFacts {
    /// Its OID.
    pub oid: u32,
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// `f`, `p`, `a` or `w`.
    pub kind: String,
    /// `i`, `s` or `v`.
    pub volatility: String,
    /// Whether it runs with the rights of its owner.
    pub security_definer: bool,
    /// `c`, `internal`, `sql`, `plpgsql`.
    pub language: String,
    /// Whether its language can do no more than the role that calls it.
    pub language_is_trusted: bool,
    /// Whether it belongs to a superuser: nobody else can have put something else in its place.
    pub owner_is_superuser: bool,
    /// The extension that it is a part of.
    pub extension: Option<String>,
    /// Its text, for languages that have one.
    pub body: String,
}

impl FunctionFacts {
    /// `schema.name`.
    pub fn qualified(&self) -> Safe {
        safe!("{}.{}", Safe::name(&self.schema), Safe::name(&self.name))
    }

    /// Whether it came with the server.
    fn is_builtin(&self) -> bool {
        self.oid < tree::FIRST_OF_USERS
    }
}

/// Functions that the user vouches for: `schema.name`, or `name` in any schema.
#[derive(Clone, Debug, Default)]
pub struct Vouched(BTreeSet<String>);

impl Vouched {
    /// The names as they were given.
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        Self(names.into_iter().map(|n| n.trim_end_matches("()").to_owned()).collect())
    }

    /// Whether this function was named.
    pub fn holds(&self, function: &FunctionFacts) -> bool {
        self.0.contains(&function.name) || self.0.contains(&format!("{}.{}", function.schema, function.name))
    }
}

/// Why something may not run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Objection {
    /// The function: `public.report_total`.
    pub function: Safe,
    /// Why.
    pub why: Safe,
    /// Whether `--allow-function` lifts it.
    pub can_be_allowed: bool,
    /// Whether only a run calls it: planning never calls what is VOLATILE.
    pub only_when_run: bool,
    /// Whether it is `nextval`, which the default of a column calls.
    pub advances_sequence: bool,
}

impl Objection {
    /// As a sentence.
    pub fn says(&self) -> Safe {
        safe!("{}: {}", self.function, self.why)
    }
}

/// All objections, the worst first. `called` are functions that no tree names: those that a body may call.
pub fn objections(reached: &[FunctionFacts], called: &[FunctionFacts], vouched: &Vouched) -> Vec<Objection> {
    let bodies = Bodies::of(reached.iter().chain(called));
    let mut found: Vec<Objection> = reached.iter().filter_map(|f| objection(f, &bodies, vouched)).collect();
    found.sort_by(|a, b| (a.can_be_allowed, &a.function).cmp(&(b.can_be_allowed, &b.function)));
    found.dedup();
    found
}

fn objection(function: &FunctionFacts, bodies: &Bodies, vouched: &Vouched) -> Option<Objection> {
    let volatile = function.volatility != "i" && function.volatility != "s";
    let object = |why: Safe, can_be_allowed: bool| Objection {
        function: function.qualified(),
        why,
        can_be_allowed,
        // The planner calls estimators, which are written in C, however they are declared.
        only_when_run: volatile && (function.is_builtin() || function.language != "c"),
        advances_sequence: function.is_builtin() && function.name == "nextval",
    };
    let never = |why: Safe| Some(object(why, false));
    let ask = |why: Safe| (!vouched.holds(function)).then(|| object(why, true));
    if function.is_builtin() {
        if lists::NOT_INERT.iter().any(|(oid, _)| *oid == function.oid) {
            return never(lists::why_not_inert(function.oid).into());
        }
        let name = function.name.as_str();
        let harmless =
            lists::HARMLESS_VOLATILE.contains(&name) || lists::TRIGGERS.contains(&name) || name.starts_with(lists::FOREIGN_KEY_TRIGGERS);
        return match volatile && !harmless {
            false => None,
            true if lists::acts_outside(name) => never("READ ONLY and ROLLBACK do not undo what it does".into()),
            true => ask("it is VOLATILE and not among those known to change nothing".into()),
        };
    }
    if let Some(extension) = function.extension.as_deref().filter(|e| lists::REFUSED_EXTENSIONS.contains(e)) {
        return never(safe!("the extension {} acts outside of the transaction", Safe::name(extension)));
    }
    if lists::acts_outside(&function.name) && matches!(function.language.as_str(), "c" | "internal") {
        return never("READ ONLY and ROLLBACK do not undo what it does".into());
    }
    if let Some(extension) = function.extension.as_deref().filter(|e| lists::TRUSTED_EXTENSIONS.contains(e)) {
        let in_c = matches!(function.language.as_str(), "c" | "internal") && function.owner_is_superuser && !function.security_definer;
        let harmless = !volatile || lists::HARMLESS_OF_EXTENSIONS.contains(&(extension, function.name.as_str()));
        if in_c && harmless {
            return None;
        }
    }
    // An aggregate is what its parts are, and each of them is judged.
    if function.kind == "a" {
        return None;
    }
    if function.security_definer {
        return never("it is SECURITY DEFINER: it runs with rights that the limits here do not cover".into());
    }
    if function.extension.is_some() && function.language == "c" && function.owner_is_superuser {
        return ask("it is a part of an extension that is not among those known to do what they say".into());
    }
    if !function.language_is_trusted {
        return never(safe!(
            "it is written in {}, which can do anything that the server's own account can",
            Safe::name(&function.language)
        ));
    }
    if let Some(path) = bodies.outside(function) {
        return never(safe!("its text names {}, which no rollback undoes", path));
    }
    let declared = match function.volatility.as_str() {
        "i" => "IMMUTABLE",
        "s" => "STABLE",
        _ => "VOLATILE",
    };
    ask(safe!("it is a function of this database, declared {}; what it does cannot be seen from here", declared))
}

/// What functions' texts name, so that a harmless-looking one that calls another is found out.
struct Bodies<'f> {
    named: BTreeMap<&'f str, BTreeSet<String>>,
}

impl<'f> Bodies<'f> {
    fn of(functions: impl Iterator<Item = &'f FunctionFacts>) -> Self {
        let mut named: BTreeMap<&'f str, BTreeSet<String>> = BTreeMap::new();
        for function in functions.filter(|f| !f.is_builtin()) {
            named.entry(&function.name).or_default().extend(names_in(&function.body));
        }
        Self { named }
    }

    /// The first name among those that a function's text leads to that acts outside of the transaction.
    fn outside(&self, function: &FunctionFacts) -> Option<Safe> {
        let mut seen = BTreeSet::new();
        let mut open: Vec<String> = names_in(&function.body).into_iter().collect();
        while let Some(name) = open.pop() {
            if !seen.insert(name.clone()) {
                continue;
            }
            if lists::acts_outside(&name) {
                return Some(Safe::name(name));
            }
            open.extend(self.named.get(name.as_str()).into_iter().flatten().cloned());
        }
        None
    }
}

/// Every name in a function's text, in its strings too: they may be run as SQL.
pub fn names_in(body: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    gather(body, &mut found, 0);
    found
}

/// Strings in strings are looked into so deep; beyond that, word by word.
const DEEPEST: usize = 4;

fn gather(text: &str, found: &mut BTreeSet<String>, depth: usize) {
    for token in lexer::tokens(text, true) {
        let raw = token.text(text);
        match token.kind {
            Lexeme::Word => {
                found.insert(raw.to_lowercase());
            }
            Lexeme::QuotedName | Lexeme::Text | Lexeme::Unfinished | Lexeme::Comment => {
                let inside = raw.trim_matches(|c: char| !c.is_alphanumeric() && c != '_');
                if depth < DEEPEST && inside.len() < raw.len() && !matches!(token.kind, Lexeme::Comment) {
                    gather(inside, found, depth + 1);
                }
                found.extend(raw.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|w| !w.is_empty()).map(str::to_lowercase));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(name: &str) -> FunctionFacts {
        FunctionFacts {
            oid: 20_000,
            schema: "public".into(),
            name: name.into(),
            kind: "f".into(),
            volatility: "s".into(),
            language: "plpgsql".into(),
            language_is_trusted: true,
            ..FunctionFacts::default()
        }
    }
    fn builtin(oid: u32, name: &str, volatility: &str) -> FunctionFacts {
        FunctionFacts {
            oid,
            schema: "pg_catalog".into(),
            volatility: volatility.into(),
            language: "internal".into(),
            owner_is_superuser: true,
            ..function(name)
        }
    }
    fn judged(f: &FunctionFacts, vouched: &[&str]) -> Option<bool> {
        let vouched = Vouched::new(vouched.iter().map(|n| (*n).to_owned()));
        objections(std::slice::from_ref(f), &[], &vouched).first().map(|o| o.can_be_allowed)
    }

    #[test]
    fn functions_of_the_server_run_unless_they_act() {
        assert_eq!(judged(&builtin(870, "lower", "i"), &[]), None);
        assert_eq!(judged(&builtin(1598, "random", "v"), &[]), None);
        assert_eq!(judged(&builtin(2626, "pg_sleep", "v"), &[]), Some(true));
        assert_eq!(judged(&builtin(2626, "pg_sleep", "v"), &["pg_sleep"]), None);
        for name in ["pg_advisory_lock", "pg_reload_conf", "set_config", "pg_stat_reset", "lo_unlink", "nextval", "pg_read_file"] {
            assert_eq!(judged(&builtin(2621, name, "v"), &[name]), Some(false), "{name}");
        }
        for (oid, name) in lists::NOT_INERT {
            assert_eq!(judged(&builtin(*oid, name, "s"), &[name]), Some(false), "{name}");
        }
    }

    #[test]
    fn functions_of_the_database_are_asked_for() {
        assert_eq!(judged(&function("total"), &[]), Some(true));
        assert_eq!(judged(&function("total"), &["public.total"]), None);
        assert_eq!(judged(&function("total"), &["total()"]), None);
        assert_eq!(judged(&function("total"), &["other.total"]), Some(true));
    }

    #[test]
    fn what_cannot_be_vouched_for() {
        let definer = FunctionFacts { security_definer: true, ..function("f") };
        let perl = FunctionFacts { language: "plperlu".into(), language_is_trusted: false, ..function("f") };
        let remote = FunctionFacts { body: "BEGIN PERFORM dblink_exec('', 'x'); END".into(), ..function("f") };
        let hidden = FunctionFacts { body: "BEGIN EXECUTE 'select pg_catalog.\"pg_reload_conf\"()'; END".into(), ..function("f") };
        let extension = FunctionFacts { extension: Some("dblink".into()), language: "c".into(), ..function("f") };
        for f in [definer, perl, remote, hidden, extension] {
            assert_eq!(judged(&f, &["f"]), Some(false), "{f:?}");
        }
    }

    #[test]
    fn a_wrapper_of_a_wrapper_is_found_out() {
        let outer = FunctionFacts { body: "select inner_one()".into(), ..function("outer_one") };
        let inner = FunctionFacts { body: "select dblink_exec('', '')".into(), ..function("inner_one") };
        let vouched = Vouched::new(["outer_one".to_owned(), "inner_one".to_owned()]);
        let found = objections(&[outer], &[inner], &vouched);
        assert!(found[0].why.contains("dblink_exec"), "{found:?}");
    }

    #[test]
    fn trusted_extensions_are_trusted_in_c_only() {
        let citext =
            FunctionFacts { extension: Some("citext".into()), language: "c".into(), owner_is_superuser: true, ..function("citext_eq") };
        assert_eq!(judged(&citext, &[]), None);
        assert_eq!(judged(&FunctionFacts { language: "sql".into(), ..citext.clone() }, &[]), Some(true));
        assert_eq!(judged(&FunctionFacts { owner_is_superuser: false, language_is_trusted: false, ..citext.clone() }, &[]), Some(false));
        let unknown = FunctionFacts { extension: Some("timescaledb".into()), language_is_trusted: false, ..citext.clone() };
        for f in [FunctionFacts { volatility: "v".into(), language_is_trusted: false, ..citext }, unknown] {
            assert_eq!((judged(&f, &[]), judged(&f, &["citext_eq"])), (Some(true), None));
        }
    }
}
