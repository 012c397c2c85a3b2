//! `obsctl doctor --print`: the smallest rights, filled in with what this environment is.

use super::Rights;
use crate::{
    config::{SecretRef, Via},
    doctor::rights::{RoleFor, grants, redis_acl, role},
    error::Result,
    session::Session,
    text::Safe,
};

/// The lines to print. A database that can be reached says which schemas it has; else the usual one stands there.
///
/// # Errors
/// As `Session::cluster`, for the namespace of the Role.
pub(super) async fn rights(what: Rights, session: &Session) -> Result<Vec<Safe>> {
    Ok(match what {
        Rights::Role => role(&role_for(session).await?),
        Rights::RedisAcl => redis_acl(session.broker().await.map(|link| link.login().db).unwrap_or_default()),
        Rights::Grants => {
            let (database, schemas) =
                schemas(session).await.unwrap_or_else(|_| ("DATABASE".into(), vec![("public".into(), "OWNER".into())]));
            grants(&database, &schemas)
        }
    })
}

async fn role_for(session: &Session) -> Result<RoleFor> {
    let cluster = session.cluster().await?;
    let mut of = RoleFor { namespace: Safe::name(&cluster.namespace), ..RoleFor::default() };
    for value in session.env.addresses() {
        let (names, name) = match &value.value {
            SecretRef::Secret { name, .. } => (&mut of.secrets, name),
            SecretRef::ConfigMap { name, .. } => (&mut of.config_maps, name),
            _ => continue,
        };
        let name = Safe::name(name);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let endpoints = session.env.postgres.values().chain(session.env.broker.iter().map(|broker| &broker.endpoint));
    of.relays = endpoints.into_iter().any(|endpoint| endpoint.via == Via::Exec);
    Ok(of)
}

/// The database, and its schemas with those who own their tables.
async fn schemas(session: &Session) -> Result<(Safe, Vec<(Safe, Safe)>)> {
    const SQL: &str = "SELECT DISTINCT quote_ident(current_database()), quote_ident(n.nspname), quote_ident(pg_get_userbyid(c.relowner)) \
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
        WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY 2, 3 LIMIT 50";
    let pg = session.postgres("main").await?.open().await?;
    let rows = pg.rows("looking for the schemas".into(), SQL, &[]).await?;
    let text = |row: &tokio_postgres::Row, at: usize| Safe::name(row.try_get::<_, String>(at).unwrap_or_default());
    let database = rows.first().map_or_else(|| "DATABASE".into(), |row| text(row, 0));
    Ok((database, rows.iter().map(|row| (text(row, 1), text(row, 2))).collect()))
}
