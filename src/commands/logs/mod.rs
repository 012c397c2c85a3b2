//! `obsctl logs`: records of pods and files, or everything that one request did.

mod args;
mod ask;
mod figures;
mod gather;
mod live;
mod neighbourhood;
mod request;
mod stream;

pub use args::Args;
pub(super) use args::bytes;
pub(super) use ask::query;

use crate::{
    error::{Error, Kind, Result},
    exit::ExitStatus,
    kubernetes::collect::{AppName, Scope},
    logs::{
        query::{Query, REQUEST_ID_FIELDS},
        read::Reading,
        source::{
            LogSource,
            files::{Files, Named},
            pods::Pods,
        },
    },
    report::{Out, Where},
    safe,
    session::Session,
    text::Safe,
};
use jiff::tz::TimeZone;
use std::sync::Arc;

/// What was resolved before the first log is read.
#[derive(Clone)]
struct Resolved<'a> {
    args: &'a Args,
    query: Query,
    /// The fields that carry request IDs.
    fields: Arc<[String]>,
    sources: Vec<Arc<dyn LogSource>>,
    place: Where,
    session: &'a Session,
}

impl Resolved<'_> {
    /// One reading of everything.
    fn reading(&self, query: Query) -> Reading {
        Reading {
            query: Arc::new(query),
            id_fields: self.fields.clone(),
            max_bytes: self.args.max_bytes,
            cancel: self.session.stop.token(),
        }
    }

    /// The zone of times that are written without one.
    fn zone(&self) -> TimeZone {
        self.session.env.timezone.clone().unwrap_or(TimeZone::UTC)
    }
}

/// Runs the command.
///
/// # Errors
/// A target, flag or connection that makes the whole question unanswerable; what only part of it could not see is coverage.
pub async fn run(args: Args, session: &Session, out: &mut Out) -> Result<ExitStatus> {
    let now = session.now();
    let (sources, place) = sources(&args, session).await?;
    let fields = id_fields(session);
    let query = ask::query(&args, &now, &fields, place.files.is_some())?;
    for warning in &session.env.warnings {
        out.note(&crate::report::Line::plain(safe!("warning: {}", warning)));
    }
    let resolved = Resolved { args: &args, query, fields, sources, place, session };
    if args.figures.wanted() {
        return figures::run(resolved, out).await;
    }
    match (args.requests, args.request_id.is_empty() || args.around.is_some()) {
        (true, _) => request::of_records(resolved, out).await,
        (false, false) => request::run(&resolved, out).await,
        (false, true) => stream::run(resolved, out).await,
    }
}

/// The fields that carry a request's ID: the configured ones first.
pub(super) fn id_fields(session: &Session) -> Arc<[String]> {
    let env = &session.env;
    let configured = env.request_id_fields.iter().chain(env.apps.values().flat_map(|a| &a.request_id_fields)).cloned();
    let mut fields: Vec<String> = configured.chain(REQUEST_ID_FIELDS.iter().map(|f| (*f).to_owned())).collect();
    let mut seen = std::collections::HashSet::new();
    fields.retain(|f| seen.insert(f.clone()));
    fields.into()
}

/// A bare word is a file only with `/`, `.` or a glob in it, and only if it does not read as KIND/NAME.
fn is_file(target: &str) -> bool {
    let kind_and_name = target.split_once('/').is_some_and(|(kind, name)| {
        !name.contains('/') && (matches!(kind, "pod" | "pods" | "po") || crate::kubernetes::model::WorkloadKind::parse(kind).is_some())
    });
    target == "-" || (!kind_and_name && target.contains(['/', '.', '*', '?', '[']))
}

/// Where the records come from, and what to say about that in the first line.
pub(super) async fn sources(args: &Args, session: &Session) -> Result<(Vec<Arc<dyn LogSource>>, Where)> {
    let env = &session.env;
    let mut files: Vec<Named> = Vec::new();
    let mut pods = Vec::new();
    for target in &args.targets {
        match env.apps.get(target) {
            Some(app) if app.logs_here() => files.extend(files_of(target, app)?),
            None if is_file(target) => files.push(Named { pattern: target.clone(), zone: env.timezone.clone(), ..Named::default() }),
            _ => pods.push(crate::kubernetes::target::parse(target)?),
        }
    }
    if args.targets.is_empty() && args.selector.is_none() {
        for (name, app) in env.apps.iter().filter(|(_, a)| a.logs_here()) {
            files.extend(files_of(name, app)?);
        }
    }
    if let Some(selector) = &args.selector {
        pods.push(crate::kubernetes::target::Target::Selector(selector.clone()));
    }
    if !files.is_empty() {
        if !pods.is_empty() {
            return Err(Error::new(Kind::Usage, "reading the targets").what("files and pods in one question: ask twice"));
        }
        let resolved = Files::resolve(&files, session.redact.clone())?;
        return Ok((vec![Arc::new(resolved)], session.at_files(named_shortly(&files))));
    }
    let cluster = session.cluster().await?;
    let scope = if args.all_namespaces { Scope::All } else { Scope::Namespace(cluster.namespace.clone()) };
    let apps: Vec<AppName> = env
        .apps
        .iter()
        .map(|(name, app)| AppName {
            name: name.clone(),
            selector: app.selector.as_ref().map(|s| s.value.clone()),
            workload: app.workload.clone(),
            container: app.container.clone(),
        })
        .collect();
    let zones = env.apps.iter().filter_map(|(n, a)| Some((n.clone(), a.timezone.clone()?))).collect();
    let place = session.at_cluster(&cluster, scope.shown());
    let pods = Pods::new(cluster, scope, pods, apps, args.container.clone(), zones);
    Ok((vec![Arc::new(pods)], place))
}

/// The files for the first line of an answer: the apps that name them, else the first of them.
fn named_shortly(files: &[Named]) -> Safe {
    let mut names: Vec<&String> = files.iter().map(|f| f.app.as_ref().unwrap_or(&f.pattern)).collect();
    names.dedup();
    let more = names.len().saturating_sub(5);
    let shown: Vec<Safe> = names.into_iter().take(5).map(Safe::name).collect();
    let of = if files.iter().all(|f| f.app.is_some()) { "of " } else { "" };
    let rest = if more > 0 { safe!(" and {} more", more) } else { Safe::EMPTY };
    safe!("{}{}{}", of, Safe::join(&shown, ", "), rest)
}

/// The files of an app, each asked again whether the configuration may name it, and the command that prints its log.
fn files_of(name: &str, app: &crate::config::App) -> Result<Vec<Named>> {
    let mut named = Vec::new();
    if !app.command.is_empty() {
        named.push(Named { command: app.command.clone(), app: Some(name.to_owned()), zone: app.timezone.clone(), ..Named::default() });
    }
    for glob in &app.files {
        if glob.only_within.is_none() {
            named.push(Named { pattern: glob.pattern.clone(), app: Some(name.to_owned()), zone: app.timezone.clone(), ..Named::default() });
            continue;
        }
        let found = glob::glob(&glob.pattern)
            .map_err(|e| Error::new(Kind::Config, safe!("reading the files of {}", Safe::name(name))).what(Safe::name(e.msg)))?;
        for path in found.filter_map(std::result::Result::ok).filter(|p| glob.admits(p)) {
            named.push(Named {
                pattern: path.to_string_lossy().into_owned(),
                app: Some(name.to_owned()),
                zone: app.timezone.clone(),
                ..Named::default()
            });
        }
    }
    Ok(named)
}

#[cfg(test)]
mod tests {
    use super::is_file;

    #[test]
    fn a_bare_word_is_a_name() {
        for (target, file) in [
            ("backend", false),
            ("deploy/x", false),
            ("po/x.y", false),
            ("-", true),
            ("./x", true),
            ("web.log", true),
            ("logs/*", true),
            ("pod", false),
        ] {
            assert_eq!(is_file(target), file, "{target}");
        }
    }
}
