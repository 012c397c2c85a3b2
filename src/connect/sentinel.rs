//! Which server is the master: asked of the sentinels at each dial, so that a failover is found, and believed only when that server says
//! so itself. Speaks the little RESP that this takes.

use super::stream::Duplex;
use crate::{
    answer::Hint,
    error::{Error, Kind, Result},
    safe,
    text::{Redactor, Safe},
};
use secrecy::{ExposeSecret, SecretString};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// How long a sentinel or a server may take for one answer.
const ANSWER: Duration = Duration::from_secs(5);
/// The longest answer that any of these questions has, each part of it.
const LONGEST: usize = 64 << 10;

/// A reply, as far as it can come here.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Text(Vec<u8>),
    Number(i64),
    Refused(String),
    Nothing,
    Several(Vec<Said>),
}

/// Who we are to a server.
#[derive(Clone, Default)]
pub(super) struct Identity {
    pub user: Option<String>,
    pub password: Option<SecretString>,
}

/// Where a sentinel says that the master is. None: it watches no master of that name.
pub(super) async fn master(stream: &mut Box<dyn Duplex>, who: &Identity, name: &str, redact: &Redactor) -> Result<Option<(String, u16)>> {
    let doing = safe!("asking a sentinel for the master {}", Safe::name(name));
    greet(stream, who, &doing, redact).await?;
    match ask(stream, &[b"SENTINEL", b"get-master-addr-by-name", name.as_bytes()], &doing).await? {
        Said::Nothing => Ok(None),
        Said::Several(parts) => match parts.as_slice() {
            [Said::Text(host), Said::Text(port)] => {
                let port = std::str::from_utf8(port).ok().and_then(|p| p.parse::<u16>().ok());
                let host = String::from_utf8(host.clone()).ok();
                host.zip(port).map(Some).ok_or_else(|| nonsense(&doing))
            }
            _ => Err(nonsense(&doing)),
        },
        Said::Refused(why) => Err(refused(&doing, &why, redact)),
        _ => Err(nonsense(&doing)),
    }
}

/// The role that a server has by its own word: `master`, `slave`. None: it may not say.
pub(super) async fn role(stream: &mut Box<dyn Duplex>, who: &Identity, redact: &Redactor) -> Result<Option<String>> {
    let doing = Safe::from("asking a server for its role");
    greet(stream, who, &doing, redact).await?;
    match ask(stream, &[b"ROLE"], &doing).await? {
        Said::Several(parts) => match parts.into_iter().next() {
            Some(Said::Text(role)) => Ok(String::from_utf8(role).ok()),
            _ => Err(nonsense(&doing)),
        },
        // The read-only user of an application need not know ROLE.
        Said::Refused(why) if why.starts_with("NOPERM") => Ok(None),
        Said::Refused(why) => Err(refused(&doing, &why, redact)),
        _ => Err(nonsense(&doing)),
    }
}

async fn greet(stream: &mut Box<dyn Duplex>, who: &Identity, doing: &Safe, redact: &Redactor) -> Result<()> {
    let Some(password) = &who.password else { return Ok(()) };
    let password = password.expose_secret().as_bytes();
    let said = match &who.user {
        Some(user) => ask(stream, &[b"AUTH", user.as_bytes(), password], doing).await?,
        None => ask(stream, &[b"AUTH", password], doing).await?,
    };
    match said {
        // A server without a password is not a server that refuses one.
        Said::Refused(why) if why.contains("without any password configured") => Ok(()),
        Said::Refused(why) => Err(refused(doing, &why, redact)),
        _ => Ok(()),
    }
}

fn refused(doing: &Safe, why: &str, redact: &Redactor) -> Error {
    let kind = if why.starts_with("WRONGPASS") || why.starts_with("NOAUTH") { Kind::Auth } else { Kind::Denied };
    let error = Error::new(kind, doing.clone()).what(redact.safe(why.as_bytes()).clipped(200));
    if kind == Kind::Auth {
        error.hint(Hint::Set("sentinel_user and sentinel_password, where the sentinels have their own".into()))
    } else {
        error
    }
}

fn nonsense(doing: &Safe) -> Error {
    Error::new(Kind::Protocol, doing.clone()).what("the answer is none that a Redis gives")
}

async fn ask(stream: &mut Box<dyn Duplex>, words: &[&[u8]], doing: &Safe) -> Result<Said> {
    let talk = async {
        let mut line = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            line.extend(format!("${}\r\n", word.len()).into_bytes());
            line.extend_from_slice(word);
            line.extend_from_slice(b"\r\n");
        }
        stream.write_all(&line).await?;
        stream.flush().await?;
        read(stream, 0).await
    };
    match tokio::time::timeout(ANSWER, talk).await {
        Err(_) => Err(Error::new(Kind::Timeout, doing.clone()).what(safe!("no answer within {} s", ANSWER.as_secs()))),
        Ok(Ok(said)) => Ok(said),
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::InvalidData => Err(nonsense(doing)),
        Ok(Err(error)) => {
            Err(Error::new(Kind::Unreachable, doing.clone()).what(safe!("the connection broke: {}", Safe::name(error.to_string()))))
        }
    }
}

async fn read(stream: &mut Box<dyn Duplex>, depth: u8) -> std::io::Result<Said> {
    let bad = || std::io::Error::from(std::io::ErrorKind::InvalidData);
    let mut line = Vec::new();
    loop {
        line.push(stream.read_u8().await?);
        if line.ends_with(b"\r\n") {
            break;
        }
        if line.len() > LONGEST {
            return Err(bad());
        }
    }
    let text = String::from_utf8_lossy(line.get(1..line.len() - 2).unwrap_or_default()).into_owned();
    let count = || text.parse::<i64>().map_err(|_| bad());
    match line.first() {
        Some(b'+') => Ok(Said::Text(text.into_bytes())),
        Some(b'-') => Ok(Said::Refused(text)),
        Some(b':') => Ok(Said::Number(count()?)),
        Some(b'$') => match usize::try_from(count()?) {
            Err(_) => Ok(Said::Nothing),
            Ok(length) if length > LONGEST => Err(bad()),
            Ok(length) => {
                let mut bytes = vec![0; length + 2];
                stream.read_exact(&mut bytes).await?;
                bytes.truncate(length);
                Ok(Said::Text(bytes))
            }
        },
        Some(b'*') => match usize::try_from(count()?) {
            Err(_) => Ok(Said::Nothing),
            Ok(length) if length > 1024 || depth > 2 => Err(bad()),
            Ok(length) => {
                let mut all = Vec::new();
                for _ in 0..length {
                    all.push(Box::pin(read(stream, depth + 1)).await?);
                }
                Ok(Said::Several(all))
            }
        },
        _ => Err(bad()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is made of an answer, whatever was asked.
    async fn of(answer: &'static [u8]) -> Result<Said, String> {
        let (mut server, client) = tokio::io::duplex(1 << 20);
        server.write_all(answer).await.expect("room");
        drop(server.shutdown().await);
        let mut stream: Box<dyn Duplex> = Box::new(client);
        read(&mut stream, 0).await.map_err(|e| e.kind().to_string())
    }

    #[tokio::test]
    async fn reads_what_a_sentinel_says() {
        let address = vec![Said::Text(b"10.0.0.7".to_vec()), Said::Text(b"6379".to_vec())];
        assert_eq!(of(b"*2\r\n$8\r\n10.0.0.7\r\n$4\r\n6379\r\n").await, Ok(Said::Several(address)));
        assert_eq!(of(b"*-1\r\n").await, Ok(Said::Nothing));
        assert_eq!(of(b"$-1\r\n").await, Ok(Said::Nothing));
        assert_eq!(of(b"-NOAUTH no\r\n").await, Ok(Said::Refused("NOAUTH no".into())));
        assert_eq!(of(b":7\r\n").await, Ok(Said::Number(7)));
        for bad in [&b"HTTP/1.1 400\r\n"[..], b"$999999999999\r\n", b"*x\r\n", b"\r\n", b"*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n"] {
            assert_eq!(of(bad).await, Err("invalid data".into()), "{bad:?}");
        }
        assert_eq!(of(b"$9\r\nabc").await, Err("unexpected end of file".into()));
    }
}
