//! Sending: an alert and a channel that is ready, one attempt, and what the receiver said. Keeps nothing and repeats nothing: that is the
//! outbox's. A secret of a channel is in no error.

use super::{
    model::Alert,
    outbox::Reaction,
    payload::{discord, mail, pagerduty, slack, webhook},
};
use crate::{
    config::Channel,
    connect::{
        http::{HttpPost, HttpTrust, HttpUrl, Posted, Proxies, post},
        process,
    },
    error::{Error, Kind, Result},
    safe,
    text::{Redactor, Safe},
};
use bytes::Bytes;
use jiff::Timestamp;
use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{Mailbox, header::ContentType},
    transport::smtp::{
        authentication::Credentials,
        client::{Tls, TlsParameters},
    },
};
use secrecy::{ExposeSecret, SecretString};
use std::{sync::Arc, time::Duration};

/// How long one attempt may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Where PagerDuty listens.
const PAGERDUTY: &str = "https://events.pagerduty.com/v2/enqueue";

/// A channel whose secrets are known and whose address makes sense.
pub struct ReadyChannel(Ready);

enum Ready {
    Http(HttpUrl, Shape),
    Mail { mailer: Box<AsyncSmtpTransport<Tokio1Executor>>, from: Mailbox, to: Vec<Mailbox> },
    Command(Vec<String>),
}

enum Shape {
    Slack,
    Discord,
    PagerDuty(SecretString),
    Webhook,
}

/// What all channels share.
pub struct PostOffice {
    /// The proxies.
    pub proxies: Arc<Proxies>,
    /// Who is trusted.
    pub trust: HttpTrust,
    /// Hides secrets in what receivers said.
    pub redact: Redactor,
}

/// What came of an attempt.
#[derive(Debug)]
pub struct Delivery {
    /// For the outbox.
    pub reaction: Reaction,
    /// What went wrong; empty where nothing did.
    pub says: Safe,
}

impl ReadyChannel {
    /// Makes a channel ready. `secret` is the value of its reference; a command has none.
    ///
    /// # Errors
    /// `Config`: its address is none.
    pub fn of(name: &str, channel: &Channel, secret: Option<&SecretString>) -> Result<Self> {
        let fail = |what: &'static str| Error::new(Kind::Config, safe!("preparing the channel {}", Safe::name(name))).what(what);
        let text = secret.map(|s| s.expose_secret().trim()).unwrap_or_default();
        // The parser's own words could show what it could not read.
        let url = |text: &str| HttpUrl::parse(text).map_err(|_| fail("its URL is none, or holds a password: https://hooks.example.org/…"));
        Ok(Self(match channel {
            Channel::Slack(_) => Ready::Http(url(text)?, Shape::Slack),
            Channel::Discord(_) => Ready::Http(url(text)?, Shape::Discord),
            Channel::Webhook(_) => Ready::Http(url(text)?, Shape::Webhook),
            Channel::PagerDuty(_, at) => Ready::Http(url(at.as_deref().unwrap_or(PAGERDUTY))?, Shape::PagerDuty(SecretString::from(text))),
            Channel::Mail(_, from, to) => {
                let mailbox = |text: &String| text.parse::<Mailbox>().map_err(|_| fail("a sender or receiver is no mail address"));
                let to = to.iter().map(mailbox).collect::<Result<_>>()?;
                Ready::Mail { mailer: Box::new(mailer(text, fail)?), from: mailbox(from)?, to }
            }
            Channel::Command(words) => Ready::Command(words.clone()),
        }))
    }

    /// Tries once.
    pub async fn send(&self, alert: &Alert, office: &PostOffice, now: Timestamp) -> Delivery {
        match &self.0 {
            Ready::Http(url, shape) => {
                let body = match shape {
                    Shape::Slack => slack(alert),
                    Shape::Discord => discord(alert),
                    Shape::PagerDuty(key) => pagerduty(alert, key.expose_secret()),
                    Shape::Webhook => webhook(alert),
                };
                let json = Bytes::from(body.to_string());
                let question = HttpPost { url, proxies: office.proxies.clone(), trust: &office.trust, json, patience: PATIENCE, now };
                posted(url, post(&question, &office.redact).await)
            }
            Ready::Mail { mailer, from, to } => send_mail(mailer, from, to, alert, &office.redact).await,
            Ready::Command(words) => {
                let input = webhook(alert).to_string();
                match process::feed(words, input.as_bytes(), PATIENCE, &office.redact).await {
                    Ok(()) => Delivery { reaction: Reaction::Taken, says: Safe::EMPTY },
                    // It ran and did not end: it may have told somebody.
                    Err(error) if error.kind() == Kind::Timeout => Delivery { reaction: Reaction::Unclear, says: error.says() },
                    Err(error) => Delivery { reaction: Reaction::Later(None), says: error.says() },
                }
            }
        }
    }
}

fn posted(url: &HttpUrl, posted: Posted) -> Delivery {
    let at = url.at();
    match posted {
        Posted::Answered(200..300, _) => Delivery { reaction: Reaction::Taken, says: Safe::EMPTY },
        Posted::Answered(status @ (408 | 425 | 429 | 500..), pause) => {
            Delivery { reaction: Reaction::Later(pause), says: safe!("{} answered {}", at, status) }
        }
        Posted::Answered(status @ 300..400, _) => {
            Delivery { reaction: Reaction::Refused, says: safe!("{} answered {}: a redirect is not followed with a secret", at, status) }
        }
        Posted::Answered(status, _) => {
            Delivery { reaction: Reaction::Refused, says: safe!("{} answered {}: it will not take this", at, status) }
        }
        Posted::Unsent(what) => Delivery { reaction: Reaction::Later(None), says: safe!("{}: {}", at, what) },
        Posted::Unclear(what) => Delivery { reaction: Reaction::Unclear, says: safe!("{}: {}", at, what) },
    }
}

/// `smtps://` is TLS from the first byte, `smtp://` asks for STARTTLS. Without TLS (`?tls=none`, or this machine itself) no password goes out.
fn mailer(text: &str, fail: impl Fn(&'static str) -> Error) -> Result<AsyncSmtpTransport<Tokio1Executor>> {
    let no_url = || fail("its server is no URL: smtps://user:password@mail.example.org, or smtp://… with STARTTLS");
    let (scheme, rest) = text.split_once("://").ok_or_else(no_url)?;
    let wrapped = match scheme {
        "smtps" => true,
        "smtp" => false,
        _ => return Err(no_url()),
    };
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (login, place) = rest.rsplit_once('@').map_or((None, rest), |(login, place)| (Some(login), place));
    let authority: http::uri::Authority = place.trim_end_matches('/').parse().map_err(|_| no_url())?;
    let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
    let local = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    let plain = !wrapped && (local || query == "tls=none");
    let tls =
        || TlsParameters::builder(host.clone()).build_rustls().map_err(|_| fail("its server's name is none that a certificate could have"));
    let tls = match (plain, wrapped) {
        (true, _) => Tls::None,
        (false, true) => Tls::Wrapper(tls()?),
        (false, false) => Tls::Required(tls()?),
    };
    let port = authority.port_u16().unwrap_or(if wrapped { 465 } else { 587 });
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host).port(port).tls(tls).timeout(Some(PATIENCE));
    if let Some((user, password)) = login.map(|login| login.split_once(':').unwrap_or((login, ""))) {
        if plain {
            return Err(fail("a password would go out without TLS: use smtps://, or smtp:// with STARTTLS"));
        }
        builder = builder.credentials(Credentials::new(unescaped(user), unescaped(password)));
    }
    Ok(builder.build())
}

/// A user or password of a URL, with its `%40` and the like in place.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        let hex = more.get(..2).and_then(|h| std::str::from_utf8(h).ok()).and_then(|h| u8::from_str_radix(h, 16).ok());
        match hex.filter(|_| *first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = more.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = more;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

async fn send_mail(
    mailer: &AsyncSmtpTransport<Tokio1Executor>,
    from: &Mailbox,
    to: &[Mailbox],
    alert: &Alert,
    redact: &Redactor,
) -> Delivery {
    let (subject, body) = mail(alert);
    let mut message = Message::builder().from(from.clone()).subject(subject).header(ContentType::TEXT_PLAIN);
    for one in to {
        message = message.to(one.clone());
    }
    let Ok(message) = message.body(body) else {
        return Delivery { reaction: Reaction::Refused, says: "the mail cannot be written".into() };
    };
    match tokio::time::timeout(PATIENCE * 2, mailer.send(message)).await {
        Ok(Ok(_)) => Delivery { reaction: Reaction::Taken, says: Safe::EMPTY },
        Ok(Err(error)) => {
            let says = redact.safe(error.to_string().as_bytes()).clipped(200);
            let reaction = match (error.is_permanent(), error.is_timeout()) {
                (true, _) => Reaction::Refused,
                (_, true) => Reaction::Unclear,
                _ => Reaction::Later(None),
            };
            Delivery { reaction, says }
        }
        Err(_) => Delivery { reaction: Reaction::Unclear, says: "the mail server did not answer in time".into() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Origin, SecretRef, Sourced};

    fn ready(secret: &str) -> Result<ReadyChannel> {
        let value = Sourced::new(SecretRef::Literal("x".into()), Origin::Default);
        let channel = if secret.starts_with("smtp") {
            Channel::Mail(value, "obsctl@example.org".into(), vec!["ops@example.org".into()])
        } else {
            Channel::Slack(value)
        };
        ReadyChannel::of("team", &channel, Some(&SecretString::from(secret)))
    }

    #[tokio::test]
    async fn addresses_make_sense_and_no_error_shows_one() {
        for good in [
            "https://hooks.example.org/T0/B0/s3cret",
            "smtp://127.0.0.1:2525",
            "smtps://u:p%40@mail.example.org",
            "smtp://u:p@mail.example.org",
        ] {
            assert!(ready(good).is_ok(), "{good}");
        }
        for bad in [
            "hooks.example.org/s3cret",
            "https://u:s3cret@h/",
            "smtp://u:s3cret@127.0.0.1:25",
            "smtp://u:s3cret@h?tls=none",
            "smtpx://s3cret",
        ] {
            let error = ready(bad).err().unwrap_or_else(|| panic!("{bad} was taken"));
            assert!(error.kind() == Kind::Config && !error.to_string().contains("s3cret"), "{bad}: {error}");
        }
        assert_eq!(unescaped("p%40s%"), "p@s%");
    }
}
