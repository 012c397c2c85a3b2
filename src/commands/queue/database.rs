//! What the application's database knows of its workers: how many connections are left, and when beat last ran. Both are asked only where
//! the configuration names a database; what cannot be read is said, and stands in nobody's way.

use crate::{
    answer::Finding,
    celery::{
        analyze::beat::beat as judge,
        decode::beat::{GRANT, QUERY, beat as decode},
        model::{BeatSaid, DatabaseRoom},
    },
    error::{Error, Kind},
    safe,
    session::Session,
};

const ROOM: &str = "SELECT (SELECT sum(numbackends) FROM pg_stat_database)::bigint, current_setting('max_connections')::bigint";

/// The database that the workers use: `main`, else the first.
fn name(session: &Session) -> Option<&String> {
    let databases = &session.env.postgres;
    databases.get_key_value("main").or_else(|| databases.first_key_value()).map(|(name, _)| name)
}

/// How many connections it has and may have. None: not seen.
pub(super) async fn room(session: &Session) -> Option<DatabaseRoom> {
    let name = name(session)?;
    let asking = async {
        let rows = session.postgres(name).await?.open().await?.rows("counting connections".into(), ROOM, &[]).await?;
        let number = |at: usize| rows.first()?.try_get::<_, i64>(at).ok().and_then(|n| u64::try_from(n).ok());
        Ok(number(0).zip(number(1)).map(|(used, most)| DatabaseRoom { used, most }))
    };
    let asked = session.unless_stopped("counting connections".into(), asking).await;
    asked.inspect_err(|error| tracing::debug!("the database's connections were not seen: {error}")).ok().flatten()
}

/// When beat last ran. None: its tables are not there, or nobody says where the database is.
pub(super) async fn beat(session: &Session) -> Option<(BeatSaid, Vec<Finding>)> {
    let name = name(session)?;
    let asking = async {
        let rows = session.postgres(name).await?.open().await?.rows("reading beat's schedule".into(), QUERY, &[]).await?;
        let json = rows.first().and_then(|row| row.try_get::<_, String>(0).ok()).unwrap_or_default();
        decode(json.as_bytes()).map_err(|undecodable| Error::new(Kind::Protocol, "reading beat's schedule").what(undecodable.0))
    };
    match session.unless_stopped("reading beat's schedule".into(), asking).await {
        Ok(facts) => judge(&facts),
        // Without the tables there is another beat, or none.
        Err(error) if error.kind() == Kind::NotFound => None,
        Err(error) => {
            let grant = if error.kind() == Kind::Denied { safe!(" ({})", GRANT) } else { "".into() };
            Some((BeatSaid { says: safe!("not seen: {}{}", error.says(), grant), late: false }, Vec::new()))
        }
    }
}
