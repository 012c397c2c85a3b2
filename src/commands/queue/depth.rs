//! `obsctl queue depth`: two looks at the broker, and what they mean; or one look after the other, with `--watch`.

use super::{broker::Opened, looks::Looks};
use crate::{
    answer::{Answer, Verdict},
    celery::{model::DepthFacts, view},
    cli::FailOn,
    error::{Error, Kind, Result},
    exit::{ExitStatus, Outcome},
    report::{Line, Out, Style},
    session::Session,
};
use std::time::Duration;

/// Count what waits in every queue, whatever its priority, and what the workers hold; tell how long the oldest waits and how that is
/// known, and whether the queues grow. Reads only: no key of the broker is touched.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  obsctl queue depth                  every queue that is configured, else that can be found\n  obsctl queue depth mail --once      one look at one queue: no rate\n  obsctl queue depth -w               again and again, with the course of each queue\n\nExit status: 0 ok or warnings (4 with --fail-on warn), 1 failed, 2 usage, 3 unknown."
)]
pub struct Args {
    /// The queues; none: those of the configuration, else all that there are
    #[arg(value_name = "QUEUE")]
    pub queues: Vec<String>,
    /// One look: no rate, but for what the last run saw
    #[arg(long, conflicts_with = "watch")]
    pub once: bool,
    /// The time between two looks
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = interval)]
    pub interval: jiff::SignedDuration,
    /// Look again and again: a screen on a terminal, one JSON line per look otherwise
    #[arg(short = 'w', long)]
    pub watch: bool,
    /// Show the redis-cli commands that were sent, on stderr
    #[arg(long)]
    pub show_commands: bool,
    /// Exit 4 for warnings
    #[arg(long, value_name = "WHAT", value_enum)]
    pub fail_on: Option<FailOn>,
}

fn interval(text: &str) -> std::result::Result<jiff::SignedDuration, String> {
    let fits = |d: &jiff::SignedDuration| (100..=3_600_000).contains(&d.as_millis());
    crate::text::units::parse_duration(text).filter(fits).ok_or_else(|| "a duration from 100ms to 1h, as in 2s".into())
}

pub(super) async fn run(args: Args, broker: &Opened, session: &Session, out: &mut Out) -> Result<ExitStatus> {
    let interval = Duration::try_from(args.interval).unwrap_or(Duration::from_secs(2));
    let begun = async { Ok(Looks::begin(broker, session, &args).await) };
    let mut looks = session.unless_stopped("looking at the queues".into(), begun).await?;
    let stop = session.stop.token();
    let until_stop = async |looks: &mut Looks<'_>| {
        tokio::select! {
            looked = looks.look() => looked,
            () = stop.cancelled() => Ok(()),
        }
    };
    until_stop(&mut looks).await?;
    if !args.watch {
        if !args.once && looks.wait(interval).await {
            until_stop(&mut looks).await?;
        }
        if !args.once {
            looks.hear_them_out().await;
        }
        let around = async {
            looks.look_elsewhere().await;
            looks.look_at_pods().await;
        };
        tokio::select! {
            () = around => {}
            () = stop.cancelled() => {}
        }
        show_commands(&args, &mut looks, out);
        let Some(answer) = looks.answer().await else { return stopped(session) };
        looks.remember();
        let status = status(&answer, &args, session);
        out.answer(&answer, &broker.place, status, |look| view::depth(&answer, &broker.place, look, None))?;
        return Ok(status);
    }
    let mut history = view::DepthHistory::default();
    loop {
        looks.look_at_pods().await;
        show_commands(&args, &mut looks, out);
        let Some(answer) = looks.answer().await else { return stopped(session) };
        looks.remember();
        history.add(&answer.facts);
        let status = status(&answer, &args, session);
        if out.repaints() {
            let doc = view::depth(&answer, &broker.place, &out.look, Some(&history));
            out.repaint(&doc)?;
        } else {
            out.answer_line(&answer, &broker.place, status)?;
        }
        if !looks.wait(interval).await {
            return Ok(status_of_stop(session, status));
        }
        until_stop(&mut looks).await?;
        if session.stop.reason().is_some() {
            return Ok(status_of_stop(session, status));
        }
    }
}

fn status(answer: &Answer<DepthFacts>, args: &Args, session: &Session) -> ExitStatus {
    let verdict: Verdict = answer.verdict();
    let status = ExitStatus::of(&Ok(Outcome::Answered(verdict)), args.fail_on.is_some());
    status_of_stop(session, status)
}

fn status_of_stop(session: &Session, status: ExitStatus) -> ExitStatus {
    session.stop.reason().map_or(status, |reason| ExitStatus::of(&Ok(reason), false))
}

/// Before the first look was over there is nothing to report.
fn stopped(session: &Session) -> Result<ExitStatus> {
    let none = || Error::new(Kind::Cancelled, "looking at the queues").what("stopped before the first look");
    session.stop.reason().map(|reason| ExitStatus::of(&Ok(reason), false)).ok_or_else(none)
}

/// One line per round trip would be as hard to read as to paste: each command has its own.
fn show_commands(args: &Args, looks: &mut Looks<'_>, out: &mut Out) {
    if !args.show_commands {
        return;
    }
    for (i, trip) in looks.sent().iter().enumerate() {
        out.note(&Line::new().with(Style::Dim, crate::safe!("# round trip {}", i + 1)));
        trip.iter().for_each(|command| out.note(&Line::plain(crate::safe!("redis-cli {}", command))));
    }
}
