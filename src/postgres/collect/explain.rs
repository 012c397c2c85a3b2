//! Explaining one statement safely: what it reaches is screened first, in transactions of their own; then one short transaction in which
//! the server parses it again, must show the very same tree, and gives its plans. The text of a statement reaches the server in one form
//! only, `PREPARE … AS`, by the extended protocol: the server itself refuses two statements, and commands that have no plan.

use super::{
    catalog::closure,
    server::{facts, get},
    transaction::{Access, Answers, BACK, Limits, ROLLBACK, SAVEPOINT, TREES_OFF, holds, literal, send, under, unique_name},
};
use crate::{
    answer::Hint,
    connect::postgres::{BurstAsk, BurstFault, Postgres},
    error::{Error, Kind, Result},
    postgres::{
        decode,
        model::{PgServer, Plan},
        screen::{self, Objection, Vouched, tree::TreeShape},
        statement::Statement,
    },
    safe,
    text::{Redactor, Safe},
};
use serde::Serialize;
use serde_json::value::RawValue;
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio_postgres::{Row, types::Json};

/// How long a cancelled statement may take to end.
const ENDING: Duration = Duration::from_secs(2);
/// How often a statement is opened before its tree is given up.
const OPENINGS: usize = 3;
/// The places of a burst that opens a transaction.
const AT_LIMITS: usize = 1;
const AT_PREPARE: usize = 3;

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The values of its parameters.
    pub values: Values,
    /// Whether it is run (`EXPLAIN ANALYZE`).
    pub analyze: bool,
    /// Whether a statement that writes is run and rolled back. Sequences advance, dead rows stay, row locks are held, triggers fire.
    pub write_and_roll_back: bool,
    /// Whether a superuser may run it.
    pub allow_superuser: bool,
    /// The functions that the user vouches for.
    pub vouched: Vouched,
    /// What it may take.
    pub limits: Limits,
}

/// Values for parameters; None is NULL.
#[derive(Clone, Debug, Default)]
pub struct Values {
    /// In the order of their numbers; empty: none are known, and the plan is the generic one.
    pub list: Vec<Option<String>>,
    /// Where they came from.
    pub from: ValuesFrom,
}

/// Where the values of parameters came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ValuesFrom {
    /// The user gave them, or the text holds them.
    #[default]
    Given,
    /// A session that runs the statement.
    Live,
    /// The column's statistics: likely ones, never seen together.
    Sampled,
}

/// What came of running it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Analysis {
    /// The plan with its times.
    Ran(Box<Plan>),
    /// Nobody asked for it.
    NotAsked,
    /// It was not run, and why.
    Withheld(Safe),
    /// It ran into this; the plain plan stands.
    Failed(Safe),
    /// The user, or the deadline, stopped it.
    Interrupted,
}

/// A statement's plans, and all that is needed to trust them.
#[derive(Clone, Debug, Serialize)]
pub struct Explained {
    /// The plan as it would be: for the given values, or the generic one.
    pub plain: Plan,
    /// The generic plan, where values were given too: another shape is a flip.
    pub generic: Option<Plan>,
    /// What came of running it.
    pub analysis: Analysis,
    /// Whether the plain plan is the generic one.
    pub is_generic: bool,
    /// Where the values came from.
    pub values_from: ValuesFrom,
    /// The types of its parameters.
    pub parameter_types: Vec<Safe>,
    /// Whether it changes or locks rows.
    pub writes: bool,
    /// The server.
    pub server: PgServer,
    /// What its user should know: functions that were vouched for.
    pub warnings: Vec<Safe>,
    /// Every statement that was sent, in order.
    pub sent: Vec<Safe>,
    /// The plan that says most, the run's before the plain one, as the server sent it. Holds literals: not safe to print.
    #[serde(skip)]
    pub json: String,
}

/// Explains statements over one session.
pub struct Explainer<'a> {
    pub(super) pg: &'a Postgres,
    redact: &'a Redactor,
    /// The plans that came in, as the server sent them.
    texts: Mutex<Vec<String>>,
    /// Statements that were let through, with the tree that was judged.
    screened: Mutex<BTreeMap<String, String>>,
    /// The server.
    pub server: PgServer,
}

impl<'a> Explainer<'a> {
    /// Asks the server about itself.
    ///
    /// # Errors
    /// As `server_facts`.
    pub async fn new(pg: &'a Postgres, redact: &'a Redactor) -> Result<Self> {
        let server = facts(pg, &Limits::default()).await?;
        Ok(Self { pg, redact, texts: Mutex::default(), screened: Mutex::default(), server })
    }

    /// Every statement that was sent so far.
    pub fn sent(&self) -> Vec<Safe> {
        self.pg.sent().iter().map(|sql| self.redact.safe(sql.as_bytes())).collect()
    }

    /// Screens the statement and gives its plans. Once the plain plan is known nothing takes it away: what happens to the run is told in
    /// `analysis`.
    ///
    /// # Errors
    /// `Usage` for what the server does not parse as one statement with a plan; `Denied` for what may not run, with what would allow it;
    /// `Cancelled` where the session is told to stop before a plan is known; else as the connection's.
    pub async fn explain(&self, statement: &Statement, request: &Request) -> Result<Explained> {
        let screened = self.screen(statement, request).await?;
        let writes = screened.shape.writes || screened.shape.locks;
        let withheld = self.withheld(statement, request, writes);
        let analyze = request.analyze && withheld.is_none();
        let access = if analyze && writes { Access::Write } else { Access::Only };
        let opened = self.open(statement, &request.limits, access).await?;
        let planned = match opened.tree == screened.tree {
            true => self.plans(statement, request, &opened).await,
            false => Err(Error::new(Kind::Denied, "screening the statement")
                .what("what it reaches changed while it was being screened")
                .hint(Hint::Try("the same again: a migration may be running".into()))),
        };
        let analysis = match &planned {
            Ok(_) if analyze => self.analyze(request, &opened, access).await,
            Ok(_) => withheld.filter(|_| request.analyze).map_or(Analysis::NotAsked, Analysis::Withheld),
            Err(_) => Analysis::NotAsked,
        };
        self.close(&opened, &request.limits).await;
        let (plain, generic) = planned?;
        let mut texts = std::mem::take(&mut *self.texts.lock().unwrap_or_else(PoisonError::into_inner)).into_iter();
        let first = texts.next();
        let json = if matches!(analysis, Analysis::Ran(_)) { texts.last() } else { first }.unwrap_or_default();
        Ok(Explained {
            plain,
            generic,
            analysis,
            is_generic: statement.has_parameters() && request.values.list.is_empty(),
            values_from: request.values.from,
            parameter_types: opened.types,
            writes,
            server: self.server.clone(),
            warnings: screened.warnings,
            sent: self.sent(),
            json,
        })
    }

    /// Why a statement is not run although that was asked for.
    fn withheld(&self, statement: &Statement, request: &Request, writes: bool) -> Option<Safe> {
        if statement.has_parameters() && request.values.list.is_empty() {
            return Some("its parameters have no values, and a run with NULLs measures nothing: --param gives them".into());
        }
        if request.values.from == ValuesFrom::Sampled && !self.server.replica {
            return Some("its values are sampled ones, and this is a primary: they are run on a replica only (-d or --on names one; --param gives values)".into());
        }
        if writes && !request.write_and_roll_back {
            return Some("it changes or locks rows".into());
        }
        if writes && self.server.replica {
            return Some("it changes or locks rows, and this is a replica".into());
        }
        let power = self.server.too_powerful().filter(|_| !request.allow_superuser)?;
        Some(safe!("{}: what such a role runs is limited by nothing; --allow-superuser runs it all the same", power))
    }

    /// Parses it on the server without planning it, and judges everything that its tree leads to.
    pub(super) async fn screen(&self, statement: &Statement, request: &Request) -> Result<Screened> {
        let opened = self.open(statement, &request.limits, Access::Only).await?;
        self.close(&opened, &request.limits).await;
        let shape = TreeShape::of(&opened.tree);
        let refused = |what: &'static str| Err(Error::new(Kind::Denied, "screening the statement").what(what));
        if !shape.whole || shape.statements == 0 {
            return refused("the server's account of it cannot be read, so what it reaches is not known");
        }
        if shape.utility {
            return refused("it is a command without a plan");
        }
        if shape.statements > 1 {
            return refused("a rule of the database makes several statements of it");
        }
        let writes = shape.writes || shape.locks;
        let runs_write = writes && request.analyze && request.write_and_roll_back;
        let closure = closure(self.pg, &request.limits, self.server.major(), &opened.tree, runs_write).await?;
        let mut objections = screen::objections(&closure.reached, &closure.called, &request.vouched);
        if writes {
            // A default of a write: planning does not call what is VOLATILE, and whoever runs the write was told about sequences.
            objections.retain(|o| !o.only_when_run || (runs_write && !o.advances_sequence));
        }
        if let Some(first) = objections.first() {
            return Err(denied(first, &objections));
        }
        let vouched = closure.reached.iter().filter(|f| request.vouched.holds(f));
        let warnings = vouched.map(|f| safe!("{} runs because it was allowed by name", f.qualified())).collect();
        self.screened.lock().unwrap_or_else(PoisonError::into_inner).insert(statement.sql.clone(), opened.tree.clone());
        Ok(Screened { tree: opened.tree, shape, warnings })
    }

    /// Whether a statement with this very tree was let through.
    pub(super) fn was_screened(&self, sql: &str, tree: &str) -> bool {
        self.screened.lock().unwrap_or_else(PoisonError::into_inner).get(sql).is_some_and(|screened| screened == tree)
    }

    /// Begins a transaction, sets its limits, and has the server parse the statement and show its tree.
    pub(super) async fn open(&self, statement: &Statement, limits: &Limits, access: Access) -> Result<Opened> {
        let mut shown = 0;
        // What the server reads once more because something changed at that moment shows a tree too many; the next time it does not.
        for _ in 0..OPENINGS {
            match self.open_once(statement, limits, access).await? {
                Ok(opened) => return Ok(opened),
                Err(trees) => shown = trees,
            }
        }
        Err(Error::new(Kind::Denied, "screening the statement")
            .what(safe!("the server does not show what it makes of the statement ({} trees in place of 4)", shown)))
    }

    /// One try; how many trees the server has shown, where it is not to be told which is the statement's.
    async fn open_once(&self, statement: &Statement, limits: &Limits, access: Access) -> Result<Result<Opened, usize>> {
        let doing = safe!("having PostgreSQL parse the statement");
        let name = unique_name();
        let mut further = vec![("client_min_messages", "log"), ("debug_pretty_print", "off"), ("debug_print_rewritten", "on")];
        if self.server.linux {
            further.push(("client_connection_check_interval", "1s"));
        }
        let limit = under(limits, self.server.major(), &further);
        let prepare = format!("PREPARE {name} AS {}", statement.sql);
        let types = format!(
            "SELECT pg_catalog.format_type(u.t, NULL) FROM pg_catalog.pg_prepared_statements p, \
             LATERAL pg_catalog.unnest(p.parameter_types) WITH ORDINALITY u(t, n) WHERE p.name OPERATOR(pg_catalog.=) '{name}' ORDER BY u.n"
        );
        let mut asks = vec![
            BurstAsk::plain(access.begin()),
            BurstAsk::plain(&limit),
            BurstAsk::plain(SAVEPOINT),
            BurstAsk::plain(&prepare),
            BurstAsk::plain(TREES_OFF),
            BurstAsk::plain(&types),
        ];
        if self.server.major() < 15 {
            // PREPARE of 14 does not show what it prepares; the protocol's Parse does. The driver may then look up types, with operators
            // by name.
            if self.server.search_path.to_lowercase().contains("pg_catalog") {
                return Err(Error::new(Kind::Denied, doing).what("on PostgreSQL 14 a search_path that names pg_catalog is not safe to use"));
            }
            asks.insert(AT_PREPARE + 1, BurstAsk::parsed(&statement.sql));
        }
        let at_types = asks.len() - 1;
        self.pg.trees();
        let mut answers = send(self.pg, &doing, &asks, limits.patience()).await?;
        let trees = self.pg.trees();
        let opened = async {
            let limited = answers.rows(AT_LIMITS);
            answers.failed(AT_PREPARE - 1)?;
            if !holds(limited.map_err(|f| f.error)?.first(), access) {
                return Err(Error::new(Kind::Denied, doing.clone()).what("the limits that were set do not hold on this server"));
            }
            if let Err(fault) = answers.rows(AT_PREPARE) {
                return Err(not_parsed(fault, &prepare, &statement.sql));
            }
            answers.failed(at_types)?;
            let types: Result<Vec<Safe>> =
                answers.rows(at_types).map_err(|f| f.error)?.iter().map(|r| get::<String>(r, 0).map(Safe::name)).collect();
            let shown = trees.len();
            match of_statement(trees) {
                Some(tree) => Ok(Ok(Opened { name: name.clone(), tree, types: types? })),
                None => Ok(Err(shown)),
            }
        };
        let opened: Result<Result<Opened, usize>> = opened.await;
        if !matches!(opened, Ok(Ok(_))) {
            self.close(&Opened { name, tree: String::new(), types: Vec::new() }, limits).await;
        }
        opened
    }

    /// The plain plan, and the generic one beside it where values are known.
    async fn plans(&self, statement: &Statement, request: &Request, opened: &Opened) -> Result<(Plan, Option<Plan>)> {
        let doing = safe!("explaining the statement");
        let generic_only = statement.has_parameters() && request.values.list.is_empty();
        if !generic_only && request.values.list.len() != opened.types.len() {
            return Err(Error::new(Kind::Usage, doing).what(safe!(
                "it has {} parameters and {} values were given",
                opened.types.len(),
                request.values.list.len()
            )));
        }
        let generic = explain("", opened, &vec![None; opened.types.len()]);
        let custom = explain("", opened, &request.values.list);
        let as_generic = "SET LOCAL plan_cache_mode = force_generic_plan";
        let as_custom = "SET LOCAL plan_cache_mode = force_custom_plan";
        let asks: Vec<BurstAsk<'_>> = if generic_only {
            [as_generic, generic.as_str()].map(BurstAsk::plain).into()
        } else if statement.has_parameters() {
            [as_custom, custom.as_str(), as_generic, generic.as_str(), as_custom].map(BurstAsk::plain).into()
        } else {
            [as_custom, custom.as_str()].map(BurstAsk::plain).into()
        };
        let mut answers = send(self.pg, &doing, &asks, request.limits.patience()).await?;
        let plain = self.plan(&mut answers, 1).map_err(|fault| fault.error)?;
        Ok((plain, (asks.len() > 2).then(|| self.plan(&mut answers, 3).ok()).flatten()))
    }

    /// Runs it, to its end, its timeout, the user's Ctrl-C or the deadline.
    async fn analyze(&self, request: &Request, opened: &Opened, access: Access) -> Analysis {
        let doing = safe!("running the statement");
        let wal = if access == Access::Write { ", WAL" } else { "" };
        let run = explain(&format!("ANALYZE, BUFFERS, TIMING{wal}, "), opened, &request.values.list);
        let asks = [BurstAsk::plain(&run)];
        let mut answers = match send(self.pg, &doing, &asks, request.limits.patience()).await {
            Ok(answers) => answers,
            Err(error) if error.kind() == Kind::Cancelled => return Analysis::Interrupted,
            Err(error) => {
                let _ = self.pg.cancel().await;
                return Analysis::Failed(error.what_happened().clone());
            }
        };
        match self.plan(&mut answers, 0) {
            Ok(plan) => Analysis::Ran(Box::new(plan)),
            Err(fault) if fault.state.as_deref() == Some("57014") => {
                Analysis::Failed(safe!("it was cancelled after {} s, which is all that it may take", request.limits.statement.as_secs()))
            }
            Err(fault) => Analysis::Failed(fault.error.what_happened().clone()),
        }
    }

    pub(super) fn plan(&self, answers: &mut Answers, at: usize) -> Result<Plan, BurstFault> {
        let rows = answers.rows(at)?;
        let odd = |error: Error| BurstFault { state: None, position: None, error };
        let json: Json<Box<RawValue>> = rows
            .first()
            .and_then(|row: &Row| row.try_get(0).ok())
            .ok_or_else(|| odd(Error::new(Kind::Protocol, "reading the plan").what("there is none in the answer")))?;
        self.texts.lock().unwrap_or_else(PoisonError::into_inner).push(json.0.get().to_owned());
        decode::plan::plan(json.0.get(), self.redact).map_err(odd)
    }

    /// Ends the transaction whatever happened in it, and leaves nothing in the server's session.
    pub(super) async fn close(&self, opened: &Opened, limits: &Limits) {
        let deallocate = format!("DEALLOCATE {}", opened.name);
        let asks = [BACK, deallocate.as_str(), ROLLBACK].map(BurstAsk::plain);
        self.pg.last_burst(&asks, limits.lock + ENDING).await;
    }
}

/// What the screening found.
pub(super) struct Screened {
    pub(super) tree: String,
    pub(super) shape: TreeShape,
    warnings: Vec<Safe>,
}

/// A transaction in which the statement is prepared.
pub(super) struct Opened {
    pub(super) name: String,
    pub(super) tree: String,
    pub(super) types: Vec<Safe>,
}

pub(super) fn explain(more: &str, opened: &Opened, values: &[Option<String>]) -> String {
    let values: Vec<String> = values.iter().map(|v| v.as_deref().map_or_else(|| "NULL".to_owned(), literal)).collect();
    let values = if values.is_empty() { String::new() } else { format!("({})", values.join(", ")) };
    format!("EXPLAIN ({more}VERBOSE, SETTINGS, FORMAT JSON) EXECUTE {}{values}", opened.name)
}

/// The tree of the statement, among those that the server shows while a transaction is opened: of the savepoint, of PREPARE itself, of what
/// it prepares, and of the command that ends the showing.
fn of_statement(mut trees: Vec<String>) -> Option<String> {
    // A table's new statistics, at the wrong moment, make the server read the statement once more: the same tree says nothing new.
    while trees.len() > 4 && trees.get(2) == trees.get(3) {
        trees.remove(3);
    }
    let [savepoint, own, tree, last] = <[String; 4]>::try_from(trees).ok()?;
    [savepoint, own, last].iter().all(|t| TreeShape::of(t).utility).then_some(tree)
}

/// `prepared` is the statement in the command that was sent for it.
fn not_parsed(fault: BurstFault, prepared: &str, sql: &str) -> Error {
    // Where a text of several lines is wrong is half of what is wrong with it.
    let before = prepared.chars().count() - sql.chars().count();
    let at = fault.position.and_then(|at| at.checked_sub(before + 1)).filter(|_| sql.contains('\n'));
    let what = match at {
        Some(at) => {
            let read = sql.chars().take(at);
            let line = read.clone().filter(|c| *c == '\n').count();
            let column = read.collect::<String>().chars().rev().take_while(|c| *c != '\n').count();
            safe!("{}, at line {}, column {} of the statement", fault.error.what_happened(), line + 1, column + 1)
        }
        None => fault.error.what_happened().clone(),
    };
    match fault.state.as_deref() {
        // What is no SELECT, INSERT, UPDATE, DELETE, MERGE or VALUES cannot be prepared, and a second statement neither.
        Some("42601") => Error::new(Kind::Usage, "having PostgreSQL parse the statement")
            .what(what)
            .hint(Hint::Try("one SELECT, INSERT, UPDATE, DELETE, MERGE or VALUES, without EXPLAIN before it".into())),
        _ => fault.error.what(what),
    }
}

fn denied(first: &Objection, all: &[Objection]) -> Error {
    let more = match all.len() - 1 {
        0 => Safe::EMPTY,
        more => safe!(" (and {} more)", more),
    };
    let mut error = Error::new(Kind::Denied, "screening the statement").what(safe!("not run: {}{}", first.says(), more));
    if all.iter().all(|o| o.can_be_allowed) {
        for objection in all.iter().take(5) {
            error = error.hint(Hint::Try(safe!("--allow-function {}, once you know what it does", objection.function)));
        }
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_that_is_shown_twice_is_one_and_another_is_too_many() {
        let (utility, read) = ("({QUERY :commandType 5 :utilityStmt ?})", "({QUERY :commandType 1 :utilityStmt <>})");
        let of = |trees: &[&str]| of_statement(trees.iter().map(ToString::to_string).collect());
        assert_eq!(of(&[utility, utility, read, utility]).as_deref(), Some(read));
        assert_eq!(of(&[utility, utility, read, read, read, utility]).as_deref(), Some(read));
        let other = "({QUERY :commandType 1 :utilityStmt <> :rtable ({})})";
        for wrong in [&[utility, utility, read][..], &[utility, read, read, utility], &[utility, utility, read, other, utility]] {
            assert_eq!(of(wrong), None, "{wrong:?}");
        }
    }
}
