//! What is made once and kept in the cache: the virtual environment and PostgreSQL's seeded data folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::description::{Description, Values, fill};
use crate::cluster::build::{cache, hex};
use crate::failure::{Doing, Result};
use crate::need::{self, Need, need};
use crate::ports;
use crate::process::{self, Start};
use crate::run::Run;
use crate::venv::{self, lock};

const NEEDS: [Need; 4] = [
    need("/usr/sbin/nginx", "nginx"),
    need("/usr/lib/postgresql/15/bin/postgres", "postgresql-15"),
    need("/usr/share/postgresql/15/extension/pg_stat_statements.control", "postgresql-15"),
    need("/usr/bin/redis-server", "redis-server"),
];

pub const PGBIN: &str = "/usr/lib/postgresql/15/bin";
/// PostgreSQL refuses to run as root.
pub const PGUSER: &str = "postgres";

/// The user under whom PostgreSQL runs here: its own if we are root, else ourselves.
pub fn postgres_user() -> Option<&'static str> {
    rustix::process::geteuid().is_root().then_some(PGUSER)
}

#[derive(Clone, Debug)]
pub struct Parts {
    /// The environment's interpreter.
    pub python: PathBuf,
    /// The environment's folder.
    pub venv: PathBuf,
    /// The data folder to be copied.
    pub data: PathBuf,
}

impl Parts {
    /// Makes what is missing: half a minute for each the first time.
    pub fn ready(run: &Run, description: &Description) -> Result<Self> {
        need::all("the sandbox", &NEEDS)?;
        let venv = venv::ready(&super::sources(), "requirements.txt")?;
        let python = venv.join("bin/python");
        let data = template(run, description, &python)?;
        Ok(Self { python, venv, data })
    }

    /// A copy of the data folder, owned as the original is.
    pub fn copy_data(&self, to: &Path) -> Result<()> {
        copy(&self.data, to)
    }
}

/// A copy of a folder with owners and links.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    Start::new("cp", "cp").args(["-a", "--reflink=auto"]).arg(from).arg(to).output().map(drop)
}

/// A data folder in which everything is migrated and seeded, made by the sandbox's own migrations.
fn template(run: &Run, description: &Description, python: &Path) -> Result<PathBuf> {
    let folder = cache()?.join(format!("shop-pg-{}", template_key(description)?));
    if folder.exists() {
        return Ok(folder);
    }
    let _lock = lock(&folder)?;
    if folder.exists() {
        return Ok(folder);
    }
    eprintln!("lab: making {} (half a minute, once)", folder.display());
    let data = run.folder("template")?;
    seed(run, description, python, &data)?;
    let half = folder.with_extension("new");
    let _ = fs::remove_dir_all(&half);
    copy(&data, &half)?;
    fs::rename(&half, &folder).doing(|| format!("moving it to {}", folder.display()))?;
    let _ = fs::remove_dir_all(&data);
    Ok(folder)
}

/// Everything that decides what is in the data folder; views and tasks may change without a new one.
fn template_key(description: &Description) -> Result<String> {
    let sources = super::sources();
    let mut files = vec![sources.join("requirements.txt"), sources.join("shop/shop/management/commands/seed.py")];
    for folder in ["postgres", "shop/audit/migrations", "shop/customers/migrations", "shop/orders/migrations", "shop/products/migrations"] {
        let folder = sources.join(folder);
        for entry in fs::read_dir(&folder).doing(|| format!("listing {}", folder.display()))?.flatten() {
            files.push(entry.path());
        }
    }
    files.sort();
    let mut hash = Sha256::new();
    for file in files.iter().filter(|file| file.is_file()) {
        hash.update(file.as_os_str().as_encoded_bytes());
        hash.update(fs::read(file).doing(|| format!("reading {}", file.display()))?);
    }
    hash.update(format!("{:?}", description.passwords));
    hash.update(AFTER_SEEDING);
    hash.update(process::run(&[&format!("{PGBIN}/postgres"), "--version"])?);
    Ok(hex(&hash.finalize())[..12].to_owned())
}

/// A production's statements are those of its users: the seeding of millions of rows is none, and would be the slowest of all.
const AFTER_SEEDING: &str = "SELECT pg_stat_statements_reset()";

fn seed(run: &Run, description: &Description, python: &Path, data: &Path) -> Result<()> {
    let as_postgres = |start: Start| if let Some(user) = postgres_user() { start.user(user).folder("/") } else { start };
    if let Some(user) = postgres_user() {
        Start::new("chown", "chown").arg(format!("{user}:{user}")).arg(data).output()?;
    }
    as_postgres(Start::new("initdb", format!("{PGBIN}/initdb")))
        .args(["--username=postgres", "--auth=trust", "--locale=C.UTF-8", "--encoding=UTF8", "--no-sync", "-D"])
        .arg(data)
        .output()?;
    let sources = super::sources().join("postgres");
    let read = |path: PathBuf| fs::read_to_string(&path).doing(|| format!("reading {}", path.display()));
    let settings = read(data.join("postgresql.conf"))? + &read(sources.join("shop.conf"))?;
    // Written over, not replaced: the files keep their owner.
    fs::write(data.join("postgresql.conf"), settings).doing(|| "writing postgresql.conf")?;
    fs::write(data.join("pg_hba.conf"), read(sources.join("pg_hba.conf"))?).doing(|| "writing pg_hba.conf")?;

    let port = ports::free()?;
    let mut server = as_postgres(Start::new("template", format!("{PGBIN}/postgres")))
        .args(["-c", "listen_addresses=127.0.0.1", "-p", &port.to_string(), "-c"])
        .arg(format!("unix_socket_directories={}", data.display()))
        .arg("-D")
        .arg(data)
        .spawn(run)?;
    let psql = || Start::new("psql", "/usr/bin/psql").args(["-X", "-q", "-U", "postgres", "-p", &port.to_string(), "-h"]).arg(data);
    server.wait_ready(Duration::from_secs(60), || psql().args(["-c", "SELECT 1"]).output().map(drop).map_err(|error| error.to_string()))?;
    let mut roles = psql().args(["-v", "ON_ERROR_STOP=1"]);
    for (name, password) in &description.passwords {
        roles = roles.args(["-v", &format!("{name}={password}")]);
    }
    roles.arg("-f").arg(sources.join("roles.sql")).output()?;
    for command in ["migrate", "seed"] {
        manage(description, python, port, command)?.output()?;
    }
    psql().args(["-d", "shop", "-c", AFTER_SEEDING]).output()?;
    server.stop(Duration::from_secs(60))
}

/// One of the project's own commands against the template: brokers are named and never spoken to.
fn manage(description: &Description, python: &Path, port: u16, command: &str) -> Result<Start> {
    let mut values = Values::from([("postgres".to_owned(), format!("127.0.0.1:{port}"))]);
    values.extend(description.passwords.clone());
    let owner = description.secrets.get("migrate-env").and_then(|secret| secret.get("DATABASE_URL")).cloned().unwrap_or_default();
    Ok(Start::new(command, python)
        .args(["manage.py", command])
        .folder(super::sources().join("shop"))
        .clear_env()
        .env("DATABASE_URL", fill(&owner, &values)?)
        .env("CELERY_BROKER_URL", "redis://127.0.0.1:1/0")
        .env("REDIS_URL", "redis://127.0.0.1:1/1")
        .env("SECRET_KEY", "only-for-migrations")
        .env("PYTHONDONTWRITEBYTECODE", "1"))
}
