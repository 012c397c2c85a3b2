//! Which checks: those of the files, else of the built-in runbook for what the environment has; and of them what `--only` says.

use super::Args;
use crate::{
    answer::{Hint, Verdict},
    checks::{
        builtin::{self, Estate},
        file,
        model::CheckFacts,
        spec::CheckSpec,
        view,
    },
    config::Vars,
    error::{Error, Kind, Result},
    exit::{ExitStatus, Outcome},
    report::{Format, Out, Where},
    safe,
    session::Session,
    text::Safe,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// The largest file that is read.
const LARGEST: u64 = 8 << 20;

/// The checks of the files. None: no file is named.
pub(super) fn from_files(args: &Args, vars: &Vars) -> Result<Option<Vec<CheckSpec>>> {
    let files = args.all_files();
    if files.is_empty() {
        return Ok(None);
    }
    file::load(&files, vars, &read).map(Some)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let fail = |what: Safe| {
        Error::new(Kind::Config, "reading the checks").what(safe!("{}: {}", Safe::name(path.as_os_str().as_encoded_bytes()), what))
    };
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(|e| fail(Safe::name(e.kind().to_string())))?;
    std::io::Read::read_to_end(&mut std::io::Read::take(file, LARGEST + 1), &mut bytes)
        .map_err(|e| fail(Safe::name(e.kind().to_string())))?;
    if bytes.len() as u64 > LARGEST { Err(fail("larger than 8 MiB".into())) } else { Ok(bytes) }
}

/// What the environment has to be asked about.
pub(super) fn inventory(session: &Session) -> Estate {
    let env = &session.env;
    let cluster = env.kube.is_some();
    let mut databases: Vec<String> = env.postgres.keys().cloned().collect();
    // What the file does not name, the apps' own variables may.
    if databases.is_empty() && cluster {
        databases.push("main".into());
    }
    databases.sort_by_key(|name| name != "main");
    Estate {
        cluster,
        broker: env.broker.is_some() || cluster,
        databases,
        endpoints: cluster || env.apps.values().any(|app| !app.urls.is_empty()),
        logs: cluster || env.apps.values().any(|app| !app.files.is_empty()),
    }
}

/// The checks of this run.
///
/// # Errors
/// `Usage`: there is nothing to check.
pub(super) fn chosen(specs: Option<Vec<CheckSpec>>, args: &Args, session: &Session) -> Result<Vec<CheckSpec>> {
    let builtin = specs.is_none();
    let all = specs.unwrap_or_else(|| builtin::runbook(&inventory(session)));
    let choosing = || Error::new(Kind::Usage, "choosing the checks");
    if all.is_empty() && builtin {
        return Err(choosing()
            .what("there is nothing to check: the environment has no cluster, no broker, no database, no URL and no logs")
            .hint(Hint::Run("obsctl config show".into())));
    }
    if args.only.is_empty() {
        return Ok(all);
    }
    let fits = |spec: &CheckSpec| {
        args.only
            .iter()
            .any(|only| spec.name.starts_with(only.as_str()) || spec.kind.word() == only || spec.tags.iter().any(|tag| tag == only))
    };
    let by_name: BTreeMap<&str, &CheckSpec> = all.iter().map(|s| (s.name.as_str(), s)).collect();
    let mut wanted: BTreeSet<&str> = BTreeSet::new();
    let mut open: Vec<&CheckSpec> = all.iter().filter(|s| fits(s)).collect();
    // What they need is asked as well: without it they would blame themselves.
    while let Some(spec) = open.pop() {
        if wanted.insert(&spec.name) {
            open.extend(spec.needs.iter().filter_map(|need| by_name.get(need.as_str()).copied()));
        }
    }
    if wanted.is_empty() {
        let names: Vec<Safe> = all.iter().take(20).map(|s| Safe::name(&s.name)).collect();
        let only: Vec<Safe> = args.only.iter().map(Safe::name).collect();
        return Err(choosing()
            .what(safe!("no check is named or tagged {}", Safe::join(&only, ", ")))
            .hint(Hint::Try(safe!("there are {}", Safe::join(&names, ", ")))));
    }
    let wanted: BTreeSet<String> = wanted.into_iter().map(str::to_owned).collect();
    Ok(all.into_iter().filter(|s| wanted.contains(&s.name)).collect())
}

/// `--dry-run`: what would be asked.
pub(super) fn show(specs: &[CheckSpec], args: &Args, session: &Session, out: &mut Out) -> Result<ExitStatus> {
    let status = ExitStatus::of(&Ok(Outcome::Answered(Verdict::Ok)), false);
    let files: Vec<Safe> = args.all_files().iter().map(|f| Safe::name(f.as_os_str().as_encoded_bytes())).collect();
    let facts = CheckFacts { files, ..view::planned(specs) };
    let place = Where { environment: session.env.name.clone(), ..Where::default() };
    let answer = crate::answer::Answer { facts, findings: Vec::new(), coverage: crate::answer::Coverage::default(), sources: Vec::new() };
    if out.format == Format::Human {
        let doc = view::plan(specs, &place);
        out.doc(&doc)?;
        out.flush()?;
    } else {
        out.answer(&answer, &place, status, |_| crate::report::Doc::default())?;
    }
    Ok(status)
}
