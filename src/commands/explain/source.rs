//! Where the statement comes from: the command line, a file, or the server itself.

use super::{Args, saved};
use crate::{
    connect::postgres::Postgres,
    error::Result,
    postgres::{
        collect::{
            ValuesFrom,
            source::{self, Slowness},
        },
        model::PgServer,
    },
    safe,
    text::Safe,
};
use clap::ValueEnum;
use std::path::Path;

/// What "slowest" means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum By {
    /// All its calls together
    #[default]
    Total,
    /// One call
    Mean,
    /// The longest that runs right now
    Now,
}

/// A statement, and how it was come by.
pub(super) struct Given {
    /// Its text.
    pub sql: String,
    /// Where it was found, where the user did not type it: then it is not run unasked.
    pub found: Option<Safe>,
    /// The session that runs it.
    pub pid: Option<i32>,
    /// Where its literals come from.
    pub values_from: ValuesFrom,
}

/// Whether the server is to say what the statement is.
fn asks_server(args: &Args) -> bool {
    args.queryid.is_some() || args.slowest || args.pid.is_some()
}

/// The text that was typed, or stands in a file or in stdin; none where the server is to say it.
pub(super) fn typed(args: &Args) -> Result<Option<String>> {
    match (&args.sql, &args.file) {
        _ if asks_server(args) => Ok(None),
        (Some(sql), _) if sql != "-" => Ok(Some(sql.clone())),
        (_, Some(file)) => saved::read(file).map(Some),
        _ => saved::read(Path::new("-")).map(Some),
    }
}

/// The statement. One that runs right now shows its literals, which makes it the better example.
pub(super) async fn given(args: &Args, typed: Option<String>, pg: &Postgres, server: &PgServer) -> Result<Given> {
    if let Some(sql) = typed {
        return Ok(Given { sql, found: None, pid: None, values_from: ValuesFrom::Given });
    }
    let known = match (args.pid, args.queryid) {
        (Some(pid), _) => source::by_pid(pg, server, pid).await?,
        (_, Some(id)) => source::by_query_id(pg, server, id).await?,
        _ => {
            let by = match args.by {
                By::Total => Slowness::Total,
                By::Mean => Slowness::Mean,
                By::Now => Slowness::Now,
            };
            source::slowest(pg, server, by, args.rank).await?
        }
    };
    let running = known.pid.is_some();
    let live = match known.query_id.filter(|_| !running && args.params.is_empty()) {
        Some(id) => source::live_example(pg, server, id).await?,
        None => None,
    };
    let found = match (known.query_id, &live, known.pid) {
        (Some(id), Some(live), _) => safe!("query {} as process {} last ran it", id, live.pid.unwrap_or_default()),
        (_, None, Some(pid)) => safe!("of process {}", pid),
        (Some(id), ..) => safe!("query {} of pg_stat_statements", id),
        (None, ..) => "of pg_stat_statements".into(),
    };
    let values_from = if live.is_some() || running { ValuesFrom::Live } else { ValuesFrom::Given };
    // Who last ran it may be idle by now: nobody's wait is judged by that session.
    Ok(Given { pid: known.pid, sql: live.unwrap_or(known).sql, found: Some(found), values_from })
}
