//! The files of libpq in a user's home: passwords by host (`.pgpass`) and named services (`.pg_service.conf`). Read as libpq reads them; a
//! password file that others may read is left alone, as libpq does.

use crate::{
    answer::Hint,
    config::PostgresUrl,
    error::{Error, Kind, Result},
    safe,
    text::Safe,
};
use secrecy::SecretString;
use std::{io::Read, path::Path};

/// Nobody keeps more in one.
const LARGEST: u64 = 1 << 20;

/// The password for a host, a database and a role.
pub(super) fn password(file: &Path, (host, port): &(String, u16), database: &str, user: &str) -> Option<SecretString> {
    if is_open_to_others(file) {
        return None;
    }
    // libpq knows the default folders of sockets as localhost.
    let host = if host.starts_with('/') { "localhost" } else { host };
    find(&read(file)?, [host, &port.to_string(), database, user]).map(SecretString::from)
}

/// What a service of this name says, behind what the URL itself says.
pub(super) fn service(name: &str, url: PostgresUrl, file: Option<&Path>) -> Result<PostgresUrl> {
    let fail = |what: Safe| Error::new(Kind::Config, safe!("reading the service {}", Safe::name(name))).what(what);
    let Some(file) = file else {
        return Err(fail("there is no service file, or the configuration is not trusted to read it".into())
            .hint(Hint::Run("obsctl config trust".into())));
    };
    let text = read(file).ok_or_else(|| fail(safe!("{} cannot be read", Safe::name(file.as_os_str().as_encoded_bytes()))))?;
    let pairs =
        section(&text, name).ok_or_else(|| fail(safe!("{} has none of that name", Safe::name(file.as_os_str().as_encoded_bytes()))))?;
    let of_service = PostgresUrl::default().with(&pairs)?;
    let own = PostgresUrl::default();
    let hosts = if url.hosts() == own.hosts() { of_service.hosts() } else { url.hosts() };
    let mut hosts = hosts.into_iter();
    let (host, port) = hosts.next().unwrap_or((own.host.clone(), own.port));
    Ok(PostgresUrl {
        host,
        port,
        others: hosts.collect(),
        user: url.user.or(of_service.user),
        password: url.password.or(of_service.password),
        database: url.database.or(of_service.database),
        ssl: if url.ssl == own.ssl { of_service.ssl } else { url.ssl },
        ca: url.ca.or(of_service.ca),
        cert: url.cert.or(of_service.cert),
        key: url.key.or(of_service.key),
        wanted: if url.wanted == own.wanted { of_service.wanted } else { url.wanted },
        options: url.options.or(of_service.options),
        passfile: url.passfile.or(of_service.passfile),
        service: None,
    })
}

fn read(file: &Path) -> Option<String> {
    let mut text = String::new();
    std::fs::File::open(file).ok()?.take(LARGEST).read_to_string(&mut text).ok()?;
    Some(text)
}

fn is_open_to_others(file: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    !std::fs::metadata(file).is_ok_and(|m| m.is_file() && m.mode() & 0o077 == 0)
}

/// `host:port:database:user:password`; `*` is any, a backslash keeps a colon.
fn find(text: &str, wanted: [&str; 4]) -> Option<String> {
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let fields = fields(line);
        let matches =
            fields.len() >= 5 && fields.iter().zip(wanted).all(|((field, bare), wanted)| (*bare && field == "*") || field == wanted);
        matches.then(|| fields.into_iter().nth(4)).flatten().map(|(password, _)| password).filter(|p| !p.is_empty())
    })
}

/// The fields of a line, and whether each stood there without a backslash.
fn fields(line: &str) -> Vec<(String, bool)> {
    let (mut found, mut bare, mut escaped) = (vec![(String::new(), true)], true, false);
    for c in line.chars() {
        match c {
            '\\' if !escaped => {
                (escaped, bare) = (true, false);
            }
            // The password is all the rest.
            ':' if !escaped && found.len() < 5 => {
                found.push((String::new(), true));
                bare = true;
            }
            c => {
                escaped = false;
                if let Some(last) = found.last_mut() {
                    last.0.push(c);
                    last.1 = bare;
                }
            }
        }
    }
    found
}

fn section(text: &str, name: &str) -> Option<Vec<(String, String)>> {
    let mut lines = text.lines().map(str::trim).skip_while(|line| line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) != Some(name));
    lines.next()?;
    let pairs = lines.take_while(|line| !line.starts_with('[')).filter(|line| !line.is_empty() && !line.starts_with('#'));
    Some(pairs.filter_map(|line| line.split_once('=')).map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWORDS: &str = "# none\ndb:5432:shop:app:first\ndb:*:*:app:p\\:w:x\n\\*:5432:*:*:star\n*:*:*:last:any\n";

    #[test]
    fn the_first_line_that_fits_has_the_password() {
        let of = |wanted: [&str; 4]| find(PASSWORDS, wanted);
        assert_eq!(of(["db", "5432", "shop", "app"]).as_deref(), Some("first"));
        assert_eq!(of(["db", "6432", "shop", "app"]).as_deref(), Some("p:w:x"));
        assert_eq!(of(["elsewhere", "5432", "shop", "app"]), None);
        assert_eq!(of(["*", "5432", "shop", "app"]).as_deref(), Some("star"));
        assert_eq!(of(["x", "1", "y", "last"]).as_deref(), Some("any"));
    }

    #[test]
    fn a_file_that_others_may_read_is_left_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join(".pgpass");
        std::fs::write(&file, PASSWORDS).expect("written");
        let at = ("db".to_owned(), 5432);
        for (mode, found) in [(0o644, false), (0o600, true)] {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).expect("set");
            assert_eq!(password(&file, &at, "shop", "app").is_some(), found, "{mode:o}");
        }
    }

    #[test]
    fn a_service_stands_behind_what_the_url_says() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("services");
        std::fs::write(&file, "[other]\nhost=x\n[shop]\n# here\nhost = db\nport=5433\nuser=app\ndbname=shop\n").expect("written");
        let url = PostgresUrl::parse("service=shop user=me").expect("good");
        let url = service("shop", url, Some(&file)).expect("found");
        assert_eq!((url.says().as_str(), url.user.as_deref()), ("db:5433/shop", Some("me")));
        assert!(service("none", PostgresUrl::default(), Some(&file)).is_err());
        assert!(service("shop", PostgresUrl::default(), None).is_err());
    }
}
