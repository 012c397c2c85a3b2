//! `obsctl config show|check|schema|trust`: what the configuration says, whether it is good, its form, and the leave to act. Opens no
//! connection and fetches no secret.

use super::setup;
use crate::{
    answer::{Answer, Coverage, Finding, Hint, Provenance, Severity},
    cli::Global,
    config::{self, Action, Environment, Inputs, Origin, SecretRef, Setting, Vars},
    connect::kube::Contexts,
    error::{Error, Kind, Result},
    exit::{ExitStatus, Outcome},
    report::{Cell, Doc, Line, Out, Report, Style, Table, Where, out::hint_line},
    safe,
    text::{Safe, units},
};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Shows, checks and trusts the configuration.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Print every value with where it came from; secrets are masked
    Show,
    /// Check the whole file, every environment of it
    Check,
    /// Print the JSON Schema of the file
    Schema,
    /// Show what a project's file would do, and let it
    #[command(after_help = "A file that lies in a project folder may run no command, read no file and expand no variable until \
        its content was trusted here. Changing the file, or moving it, ends that.")]
    Trust {
        /// The file; without it, the one that is found
        file: Option<PathBuf>,
    },
}

/// Runs it.
///
/// # Errors
/// The configuration cannot be read, no environment can be chosen, or the output cannot be written.
pub fn run(args: &Args, global: &Global, vars: Vars, out: &mut Out) -> Result<ExitStatus> {
    let inputs = &setup::inputs(global, vars)?;
    match &args.verb {
        Verb::Show => show(global, inputs, out),
        Verb::Check => check(inputs, out),
        // Its own object, not an answer's: editors and validators read it as it is.
        Verb::Schema => out.object_pretty(&config::schema()).and_then(|()| out.flush()).map(|()| ExitStatus::Good),
        Verb::Trust { file } => trust(inputs, file.as_deref(), out),
    }
}

macro_rules! reports {
    ($($facts:ident: $kind:literal),*) => { $(impl Report for $facts {
        const KIND: &'static str = $kind;
        const VERSION: u32 = 1;
    })* };
}
reports!(ShownConfig: "config.show", CheckedConfig: "config.check", TrustedConfig: "config.trust");

/// The facts of `config show`: every value with where it came from.
#[derive(Debug, Serialize)]
pub struct ShownConfig {
    environment: Option<Safe>,
    file: Option<Safe>,
    trusted: bool,
    settings: Vec<Setting>,
}

fn show(global: &Global, inputs: &Inputs, out: &mut Out) -> Result<ExitStatus> {
    let env = config::load(inputs)?;
    let settings = env.settings.iter().map(|s| discovered(s.clone(), global, &env, inputs)).collect();
    let file = env.file.as_deref().map(path);
    let facts = ShownConfig { environment: env.name.clone(), file: file.clone(), trusted: env.trusted, settings };
    let mut findings: Vec<Finding> = env.warnings.iter().map(|w| Finding::new("config-overridden", Severity::Warning, w.clone())).collect();
    if env.addresses().chain(env.of_health()).any(|value| matches!(value.value, SecretRef::Untrusted(_))) {
        let says = "not trusted: this file's commands, files and variables are not used".into();
        findings.push(Finding::new("config-untrusted", Severity::Info, says).next(Hint::Run("obsctl config trust".into())));
    }
    let title = match (&env.name, &file) {
        (Some(name), Some(file)) => safe!("{}  {}", name, file),
        (_, Some(file)) => safe!("{} names no environment: the kubeconfig's place is used", file),
        (_, None) => "no configuration file: the kubeconfig's place is used".into(),
    };
    let from = |s: &Setting| Safe::join(s.variables.iter().chain([&s.from.says()]), ", ");
    let rows = facts.settings.iter().map(|s| [s.key.clone(), s.value.clone(), from(s)]);
    let doc = screen(Line::new().with(Style::Strong, title), Some((["SETTING", "VALUE", "FROM"], rows.collect())), &findings);
    let kube = env.kube.clone().unwrap_or_default();
    let [context, namespace] = [kube.context, kube.namespace].map(|s| s.map(|s| Safe::name(s.value)));
    let place = Where { environment: env.name.clone(), context, namespace, ..Where::default() };
    finish(out, facts, findings, env.file.as_deref(), &place, doc)
}

/// A value; in place of the context that nobody names, the kubeconfig's own.
fn discovered(mut setting: Setting, global: &Global, env: &Environment, inputs: &Inputs) -> Setting {
    if setting.key.as_str() == "kube.context" && setting.from == Origin::Default {
        let ask = setup::kube_ask(global, env.kube.as_ref(), &inputs.vars);
        if let Some(current) = Contexts::read(&ask).current {
            (setting.value, setting.from) = (Safe::name(current), Origin::Discovered("the kubeconfig".into()));
        }
    }
    setting
}

/// The facts of `config check`; what is wrong are its findings.
#[derive(Debug, Serialize)]
pub struct CheckedConfig {
    file: Option<Safe>,
    trusted: bool,
    environments: Vec<Safe>,
    problems: usize,
    warnings: usize,
}

fn check(inputs: &Inputs, out: &mut Out) -> Result<ExitStatus> {
    let Some(check) = config::check(inputs)? else {
        let facts = CheckedConfig { file: None, trusted: true, environments: Vec::new(), problems: 0, warnings: 0 };
        let doc = screen(Line::plain("no configuration file: the kubeconfig's context and namespace are used"), None, &[]);
        return finish(out, facts, Vec::new(), None, &Where::default(), doc);
    };
    let (environments, file) = (check.environments, path(&check.file));
    let warnings = check.found.iter().filter(|f| f.only_warning).count();
    let problems = check.found.len() - warnings;
    let severity = |only_warning| if only_warning { Severity::Warning } else { Severity::Failed };
    let findings = check
        .found
        .into_iter()
        .map(|f| Finding { next: f.hint.into_iter().collect(), ..Finding::new(f.code, severity(f.only_warning), f.says) });
    let findings: Vec<Finding> = findings.collect();
    let (style, word) = match (problems, warnings) {
        (0, 0) => (Style::Good, "ok"),
        (0, _) => (Style::Warn, "WARNING"),
        _ => (Style::Bad, "FAILED"),
    };
    let names = if environments.is_empty() { "no environments".into() } else { Safe::join(&environments, ", ") };
    let counts = safe!("{}, {}", units::plural(problems, "problem", "problems"), units::plural(warnings, "warning", "warnings"));
    let doc = screen(Line::new().with(style, word).with(Style::Plain, safe!("  {}: {}; {}", file, names, counts)), None, &findings);
    let place = Where { files: Some(file.clone()), ..Where::default() };
    let facts = CheckedConfig { file: Some(file), trusted: check.trusted, environments, problems, warnings };
    finish(out, facts, findings, Some(&check.file), &place, doc)
}

/// The facts of `config trust`: what the file may do from now on.
#[derive(Debug, Serialize)]
pub struct TrustedConfig {
    file: Safe,
    already: bool,
    actions: Vec<Action>,
    stored: Option<Safe>,
}

fn trust(inputs: &Inputs, file: Option<&Path>, out: &mut Out) -> Result<ExitStatus> {
    let plan = config::plan_trust(inputs, file)?;
    let stored = if plan.already { None } else { Some(path(&plan.store(&inputs.vars)?)) };
    let file = path(&plan.file);
    let rows = plan.actions.iter().map(|a| [Safe::from(a.does), a.what.clone(), a.place.clone()]).collect::<Vec<_>>();
    let title =
        if plan.already { safe!("{} was trusted already", file) } else { safe!("{} is trusted now, until it changes or moves", file) };
    let does = if rows.is_empty() { "; it runs no command, reads no file and expands no variable" } else { "" };
    let doc = screen(Line::plain(safe!("{}{}", title, does)), Some((["IT", "WHAT", "WHERE"], rows)).filter(|t| !t.1.is_empty()), &[]);
    let place = Where { files: Some(file.clone()), ..Where::default() };
    let facts = TrustedConfig { file, already: plan.already, actions: plan.actions, stored };
    finish(out, facts, Vec::new(), Some(&plan.file), &place, doc)
}

fn screen(title: Line, table: Option<([&'static str; 3], Vec<[Safe; 3]>)>, findings: &[Finding]) -> Doc {
    let mut doc = Doc::default();
    doc.line(title);
    if let Some((head, rows)) = table {
        let row = |[a, b, c]: [Safe; 3]| vec![Cell::left(Style::Plain, a), Cell::left(Style::Strong, b), Cell::left(Style::Dim, c)];
        doc.table(Table { head: head.map(|h| Cell::left(Style::Dim, h)).into(), rows: rows.into_iter().map(row).collect() });
    }
    for Finding { severity, says, next, .. } in findings {
        let (style, word) = if *severity == Severity::Failed { (Style::Bad, "FAILED") } else { (Style::Warn, "WARN  ") };
        doc.wrapped(Line::new().with(style, word).with(Style::Plain, safe!("  {}", says)), 8);
        next.iter().for_each(|hint| doc.line(Line::new().with(Style::Dim, safe!("        {}", hint_line(hint)))));
    }
    doc
}

/// Writes the answer. A configuration that is wrong is status 2 everywhere, also where asking was the point.
fn finish<T: Report>(out: &mut Out, facts: T, findings: Vec<Finding>, file: Option<&Path>, place: &Where, doc: Doc) -> Result<ExitStatus> {
    let wrong = findings.iter().any(|f| f.severity == Severity::Failed);
    let sources = file.map(|f| Provenance { system: "file", at: path(f), through: None }).into_iter().collect();
    let answer = Answer { facts, findings, coverage: Coverage::default(), sources };
    let result = if wrong { Err(Error::new(Kind::Config, "checking the configuration")) } else { Ok(Outcome::Answered(answer.verdict())) };
    let status = ExitStatus::of(&result, false);
    out.answer(&answer, place, status, |_| doc)?;
    Ok(status)
}

fn path(path: &Path) -> Safe {
    Safe::name(path.as_os_str().as_encoded_bytes())
}
