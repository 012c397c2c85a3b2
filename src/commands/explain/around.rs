//! What surrounds a statement that is explained: the reasons that no plan shows. Asked once its plan is known; what cannot be asked is said
//! to be not seen, and never costs the plan.

use super::{
    Args,
    link::{Linked, seconds},
};
use crate::{
    answer::{Finding, Hint},
    commands::db,
    error::{Error, Kind},
    postgres::{
        analyze::{
            explain::Meaning,
            locks,
            reasons::{self, Reasons},
        },
        collect::{
            circumstances::{circumstances, replica_state, tables_of_plan},
            locks::holders,
        },
        model::{PgServer, Plan},
        statement::{Statement, StatementKind},
    },
    safe,
    session::Session,
    text::{Redactor, Safe},
};
use std::time::Duration;

/// The state of an error that says that a lock was waited for too long.
const LOCK_TIMEOUT: &str = "55P03";

/// Where a statement was found, and where it is explained: the same server, unless `--on` names another.
pub(super) struct Servers<'a> {
    /// Whose sessions, locks and statistics count.
    pub found_on: &'a Linked,
    /// Where it is planned and run.
    pub runs_on: &'a Linked,
}

impl Servers<'_> {
    /// Everything that was sent: first to where the statement was looked for.
    pub(super) fn sent(&self, redact: &Redactor) -> Vec<Safe> {
        let mut sent = self.found_on.pg.sent();
        if self.runs_on.is_other(self.found_on) {
            sent.append(&mut self.runs_on.pg.sent());
        }
        sent.iter().map(|sql| redact.safe(sql.as_bytes())).collect()
    }

    /// Looks around. `pid`: the session whose statement it is.
    pub(super) async fn look(&self, plan: Option<&Plan>, pid: Option<i32>, args: &Args, session: &Session) -> Reasons {
        let stop = session.stop.token();
        let not_seen = |why: Safe| Reasons { not_seen: vec![safe!("what surrounds it ({})", why)], ..Reasons::default() };
        if args.redact_names {
            // Sessions and tables are what they are called.
            return not_seen("names are hidden".into());
        }
        let look = async {
            let pg = &self.found_on.pg;
            let tables = match plan {
                Some(plan) => tables_of_plan(pg, plan).await?,
                None => Vec::new(),
            };
            let mut around = circumstances(pg, &tables, &session.redact).await?;
            if self.runs_on.is_other(self.found_on) {
                around.replica = replica_state(&self.runs_on.pg).await?;
            }
            Ok::<_, Error>(reasons::reasons(&around, pid))
        };
        let mut found = tokio::select! {
            found = look => found.unwrap_or_else(|error| not_seen(if stop.is_cancelled() { session.stop.says() } else { error.says() })),
            () = stop.cancelled() => not_seen(session.stop.says()),
        };
        db::of_database(&mut found.findings, &args.database);
        found
    }

    /// What is not there on a replica may be there on its primary.
    pub(super) fn newer(&self, error: Error, server: &PgServer) -> Error {
        let missing = ["42P01", "42703", "42883"].iter().any(|state| error.what_happened().contains(state));
        if !missing || !server.replica {
            return error;
        }
        error.hint(Hint::Try(match server.replay_age_seconds {
            Some(age) => {
                let ago = seconds(Duration::try_from_secs_f64(age.max(0.0)).unwrap_or_default());
                safe!("the primary: this replica last replayed {} ago, and has nothing that is newer", ago)
            }
            None => "the primary: this replica has replayed nothing since it was started".into(),
        }))
    }

    /// There is no plan: its tables are locked, or our role may not plan what another runs. Who is in the way of a session is known all
    /// the same, and is what was asked for.
    pub(super) async fn instead(&self, error: Error, pid: Option<i32>, asked: &Statement, args: &Args, session: &Session) -> Error {
        let may_be_blocked = error.kind() == Kind::Timeout || (pid.is_some() && matches!(error.kind(), Kind::Denied | Kind::NotFound));
        if !may_be_blocked {
            return error;
        }
        let found = self.look(None, pid, args, session).await.findings;
        let mut blocked: Vec<Finding> = found.into_iter().filter(|finding| finding.code.starts_with("blocked")).collect();
        if blocked.is_empty() && error.what_happened().contains(LOCK_TIMEOUT) && !args.redact_names {
            // Nobody else waits, and we do no more.
            let writes = asked.seems != StatementKind::Read;
            let held = holders(&self.runs_on.pg, &asked.sql, writes, &session.redact).await;
            blocked = held.map(|facts| locks::findings(&facts)).unwrap_or_default();
        }
        if blocked.is_empty() {
            return error;
        }
        let grounds = blocked.iter().flat_map(|finding| std::iter::once(&finding.says).chain(&finding.evidence)).cloned();
        let what: Vec<Safe> = grounds.chain([safe!("there is no plan: {}", error.what_happened())]).collect();
        let hints = blocked.iter().flat_map(|finding| finding.next.clone());
        hints.fold(
            Error::new(error.kind(), "explaining the statement").to(self.found_on.pg.provenance()).what(Safe::join(&what, "; ")),
            Error::hint,
        )
    }
}

/// Adds what was looked at around the statement to what its plan tells. The plan's own blocks and those of the tables since ever are one
/// subject: what this very run read counts, and where nothing was run, what its tables say.
pub(super) fn add(meaning: &mut Meaning, reasons: &mut Reasons) {
    let cache = |says: &Safe| says.starts_with("cold cache");
    let files = meaning.not_seen.iter().any(|says| says.starts_with("how long files were waited for"))
        || meaning.causes.iter().any(|cause| cause.codes.contains(&"waits-for-files"));
    if meaning.ruled_out.iter().any(|says| cache(says) && !says.contains("waiting")) {
        reasons.findings.retain(|finding| finding.code != "cold-cache");
    }
    if reasons.findings.iter().any(|finding| finding.code == "cold-cache") {
        meaning.ruled_out.retain(|says| !cache(says));
    } else if files || meaning.ruled_out.iter().any(cache) {
        reasons.ruled_out.retain(|says| !cache(says));
    }
    meaning.ruled_out.append(&mut reasons.ruled_out);
    meaning.not_seen.append(&mut reasons.not_seen);
}
