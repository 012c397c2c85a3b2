//! `obsctl notify`: whether those who would be told can be.

use super::watch::Post;
use crate::{
    answer::Hint,
    config::nearest,
    error::{Error, Kind, Result},
    exit::ExitStatus,
    notify::{
        model::{Alert, AlertRoute, AlertState},
        outbox::Reaction,
    },
    report::{Line, Out, Style},
    safe,
    session::Session,
    text::Safe,
};

/// Try the channels of the configuration.
#[derive(Clone, Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Verb {
    /// Send a test to a channel, or to all of them: it says that it is one
    #[command(after_help = "Exit status: 0 all took it, 1 one refused it, 2 usage or configuration, 3 one could not be reached.")]
    Test {
        /// The channel; none: all of them
        #[arg(value_name = "CHANNEL")]
        channel: Option<String>,
    },
}

/// Runs the command.
///
/// # Errors
/// `Config`: there is no such channel, or one cannot be used.
pub async fn run(args: &Args, session: &Session, out: &mut Out) -> Result<ExitStatus> {
    let Verb::Test { channel } = &args.verb;
    let settings = &session.env.notify;
    let fail = |what: Safe| Error::new(Kind::Config, "looking for the channel").what(what);
    let wanted: Vec<&String> = match channel {
        _ if settings.untrusted => Vec::new(),
        Some(name) if !settings.channels.contains_key(name) => {
            let near = nearest(name, settings.channels.keys().map(String::as_str)).map(|near| Hint::Try(Safe::name(near)));
            let error = fail(safe!("there is none of the name {}", Safe::name(name)));
            return Err(near.into_iter().fold(error, Error::hint));
        }
        Some(name) => vec![name],
        None => settings.channels.keys().collect(),
    };
    if wanted.is_empty() && !settings.untrusted {
        return Err(fail("the configuration names none".into()).hint(Hint::Set("notify: {channels: {team: {slack: {file: …}}}}".into())));
    }
    let post = Post::ready(session, wanted.iter().copied()).await?;
    let now = session.now().timestamp();
    let alert = Alert {
        key: safe!("test-{}", now.as_second()),
        state: AlertState::Firing,
        route: AlertRoute::Record,
        environment: session.env.name.clone().unwrap_or_else(|| "no environment".into()),
        subject: "obsctl notify test".into(),
        says: "this is a test, nothing is wrong".into(),
        since: now,
        until: None,
        evidence: Vec::new(),
        changed: Vec::new(),
        runbook: settings.runbook.clone(),
        again: false,
    };
    // Whoever keeps incidents open is told at once that this one is over.
    let end = Alert { state: AlertState::Resolved, says: "the test is over".into(), until: Some(now), ..alert.clone() };
    let mut status = ExitStatus::Good;
    for (name, channel) in post.channels() {
        let mut attempt = channel.send(&alert, &post.office, now).await;
        if attempt.reaction == Reaction::Taken {
            attempt = channel.send(&end, &post.office, now).await;
        }
        let (style, says) = match attempt.reaction {
            Reaction::Taken => (Style::Good, safe!("{}  took it", Safe::name(&name))),
            Reaction::Refused => {
                status = ExitStatus::BadNews;
                (Style::Bad, safe!("{}  REFUSED it: {}", Safe::name(&name), attempt.says))
            }
            Reaction::Later(_) | Reaction::Unclear => {
                if status == ExitStatus::Good {
                    status = ExitStatus::CouldNotTell;
                }
                (Style::Warn, safe!("{}  did not take it: {}", Safe::name(&name), attempt.says))
            }
        };
        out.line(&Line::new().with(style, says))?;
    }
    out.flush()?;
    Ok(status)
}
