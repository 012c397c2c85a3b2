//! The connections of `obsctl explain`: to the database whose statement it is, and to the replica where it is to run instead.

use crate::{
    connect::postgres::{Postgres, PostgresLink},
    error::{Error, Kind, Result},
    postgres::model::PgServer,
    report::{Line, Out, Where},
    safe,
    session::Session,
    text::Safe,
};
use std::time::Duration;

/// A database that answers.
pub(super) struct Linked {
    /// By its name in the configuration.
    name: String,
    /// How it was found.
    pub link: PostgresLink,
    /// The session.
    pub pg: Postgres,
}

impl Linked {
    /// Connects.
    pub(super) async fn open(name: &str, session: &Session, out: &mut Out) -> Result<Self> {
        let link = session.postgres(name).await?;
        for warning in &link.warnings {
            out.note(&Line::plain(safe!("warning: {}", warning)));
        }
        let stop = session.stop.token();
        let pg = tokio::select! {
            pg = link.open() => pg?,
            () = stop.cancelled() => return Err(Error::new(Kind::Cancelled, "connecting to PostgreSQL").what("stopped")),
        };
        Ok(Self { name: name.to_owned(), link, pg })
    }

    /// Whether it is another database of the configuration.
    pub(super) fn is_other(&self, than: &Self) -> bool {
        self.name != than.name
    }

    /// The first line of the answer: which server, as whom.
    pub(super) fn place(&self, session: &Session, server: &PgServer) -> Where {
        let role = match (server.replica, server.replay_age_seconds) {
            (true, Some(age)) => {
                safe!("replica, last replayed {} ago,", seconds(Duration::try_from_secs_f64(age.max(0.0)).unwrap_or_default()))
            }
            (true, None) => "replica".into(),
            (false, _) => "primary".into(),
        };
        let pooled = if server.pooled { ", behind a pooler" } else { "" };
        let (at, route) = (self.pg.provenance().at, self.pg.route());
        // Debian and others put their package's version behind it.
        let version = Safe::name(server.version.split(' ').next().unwrap_or_default());
        let system = safe!("{} {} ({}{})  role {}  PostgreSQL {}", role, at, route, pooled, server.role, version);
        match self.link.cluster() {
            Some(cluster) => Where { system: Some(system), ..session.at_cluster(cluster, Safe::name(&cluster.namespace)) },
            None => Where { environment: session.env.name.clone(), system: Some(system), ..Where::default() },
        }
    }
}

/// A limit, as short as it can be said.
pub(super) fn seconds(d: Duration) -> Safe {
    if d.subsec_millis() == 0 { safe!("{} s", d.as_secs()) } else { crate::postgres::analyze::words::time(d.as_secs_f64() * 1e3) }
}
