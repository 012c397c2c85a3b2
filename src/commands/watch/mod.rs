//! `obsctl watch`: stand watch, and tell somebody.

mod args;
mod desk;
mod post;
mod quiet;
mod round;

pub use args::Args;
pub(super) use post::Post;

use crate::{
    answer::{Answer, Coverage},
    commands::check::CheckRounds,
    connect::http::{HttpTrust, HttpUrl},
    error::{Kind, Result},
    exit::{ExitStatus, Outcome},
    notify::{
        model::{Alert, AlertState},
        payload,
    },
    report::{Format, Line, Out, Style, Where},
    safe,
    session::Session,
    text::{Safe, units},
    watch::{
        analyze,
        machine::{self, WayOut},
        model::WatchFacts,
        view,
    },
};
use desk::Desk;
use jiff::Timestamp;
use quiet::Watch;
use round::Looks;
use secrecy::ExposeSecret;
use std::{collections::VecDeque, time::Duration};
use tokio::time::{Instant, timeout, timeout_at};

/// How many changes stay on a terminal's screen.
const SHOWN: usize = 12;
/// How long the end waits for what is still to be told.
const LAST_WORDS: Duration = Duration::from_secs(15);
const LAST_WORDS_STOPPED: Duration = Duration::from_millis(1200);

/// Runs the command.
///
/// # Errors
/// The first round shows that the question makes no sense, or a channel cannot be used.
pub async fn run(args: Args, session: &Session, out: &mut Out) -> Result<ExitStatus> {
    let post = match CheckRounds::meant(&args.targets) {
        // Each check has a route of its own.
        true => Post::of_all(session).await?,
        false => Post::of_route(session, session.env.watch.route).await?,
    };
    let ping = match (&args.ping, &session.env.watch.ping) {
        (Some(url), _) => Some(HttpUrl::parse(url)?),
        (None, Some(value)) => Some(HttpUrl::parse(session.resolve(value).await?.expose_secret())?),
        (None, None) => None,
    };
    let trust = HttpTrust::machine();
    let desk = Desk::take(&args, session)?;
    for warning in &session.env.warnings {
        out.note(&Line::plain(safe!("warning: {}", warning)));
    }
    // One delivery from beginning to end: what is on its way when the rounds end still arrives.
    let (mut delivery, who) = (std::pin::pin!(post.deliver(&desk, session)), post.who());
    let told = tokio::select! {
        told = rounds(&args, &desk, &who, session, out) => told,
        () = &mut delivery => Ok(()),
        () = post::live(ping.as_ref(), &trust, &desk, session) => Ok(()),
    };
    told?;
    // What was just found out is still to be told; what nobody takes now, the next watch tells.
    let stopped = session.stop.reason();
    let patience = if stopped.is_some() { LAST_WORDS_STOPPED } else { LAST_WORDS };
    let emptied = async { while desk.known().1 > 0 && timeout(Duration::from_millis(50), std::future::pending::<()>()).await.is_err() {} };
    tokio::select! {
        _ = timeout(patience, delivery) => {}
        () = emptied => {}
    }
    remarks(&desk, out);
    let answer = answer(&desk, session.now().timestamp());
    let status = ExitStatus::of(&Ok(stopped.unwrap_or_else(|| Outcome::Answered(answer.verdict()))), false);
    out.answer(&answer, &place(session), status, |look| view::watch(&answer, &place(session), std::iter::empty(), look))?;
    Ok(status)
}

async fn rounds(args: &Args, desk: &Desk, who: &Safe, session: &Session, out: &mut Out) -> Result<()> {
    let watch = Watch::of(args, session);
    let mut rounds = Looks::of(args, session)?;
    let stop = session.stop.token();
    let long = |d: jiff::SignedDuration| Duration::try_from(d).unwrap_or_default();
    let (begun, mut shown, mut first, mut blind) = (Instant::now(), VecDeque::new(), true, false);
    loop {
        let at = Instant::now();
        let round = rounds.look(session).await;
        if stop.is_cancelled() {
            return Ok(());
        }
        match &round.blind {
            Some(error) if first && matches!(error.kind(), Kind::Usage | Kind::Config | Kind::NotFound) => {
                let blind = round.blind;
                return blind.map_or(Ok(()), Err);
            }
            Some(error) if !blind => desk.remark(safe!("the pods are not seen: {}", error.says())),
            None if blind => desk.remark("the pods are seen again".into()),
            _ => {}
        }
        blind = round.blind.is_some();
        let told = round::judge(&watch, args, desk, &round, first, session).await;
        if first && round.blind.is_none() {
            first = false;
            let subjects = units::plural(desk.known().0.subjects.len(), "subject", "subjects");
            desk.remark(safe!("watching {} every {}; {}", subjects, units::duration(args.interval), who));
        }
        // Who sees nothing gives no sign of life: that silence is what calls somebody.
        if !blind && matches!(told.way, WayOut::Open | WayOut::Back(_)) {
            desk.alive.notify_one();
        }
        show(&told, desk, session, &mut shown, out)?;
        if args.lasts.is_some_and(|lasts| begun.elapsed() >= long(lasts)) {
            return Ok(());
        }
        let pause = machine::pause(long(args.interval), session.now().timestamp().subsec_nanosecond());
        if timeout_at(at + pause, stop.cancelled()).await.is_ok() {
            return Ok(());
        }
    }
}

/// One line for each change; on a terminal, the screen anew.
fn show(told: &round::Told, desk: &Desk, session: &Session, shown: &mut VecDeque<(Style, Safe)>, out: &mut Out) -> Result<()> {
    remarks(desk, out);
    let now = session.now().timestamp();
    let clock = Safe::name(session.now().strftime("%H:%M:%S").to_string());
    let mut lines: Vec<(Style, Safe)> = Vec::new();
    match told.way {
        WayOut::JustCut => lines.push((Style::Warn, safe!("{}  cannot reach anything: it is me, and nobody is told", clock))),
        WayOut::Back(since) => {
            lines.push((Style::Good, safe!("{}  can reach things again, after {}", clock, units::duration(now.duration_since(since)))));
        }
        WayOut::Open | WayOut::StillCut => {}
    }
    lines.extend(told.alerts.iter().map(|alert| line(&clock, alert)));
    match out.format {
        Format::Ndjson => told.alerts.iter().try_for_each(|alert| out.object(&payload::webhook(alert)))?,
        Format::Json => {}
        Format::Human if out.repaints() => {
            shown.extend(lines);
            shown.drain(..shown.len().saturating_sub(SHOWN));
            let answer = answer(desk, now);
            let changes = shown.iter().map(|(style, text)| Line::new().with(*style, text.clone()));
            let doc = view::watch(&answer, &place(session), changes, &out.look.clone());
            out.repaint(&doc)?;
        }
        Format::Human => lines.into_iter().try_for_each(|(style, text)| out.line(&Line::new().with(style, text)))?,
    }
    out.flush()
}

fn line(clock: &Safe, alert: &Alert) -> (Style, Safe) {
    match alert.state {
        AlertState::Firing => (Style::Bad, safe!("{}  FAILED    {}  {}", clock, alert.subject, alert.says)),
        AlertState::Resolved => (Style::Good, safe!("{}  ok again  {}  {}", clock, alert.subject, alert.says)),
    }
}

fn remarks(desk: &Desk, out: &mut Out) {
    desk.remarks().into_iter().for_each(|says| out.note(&Line::plain(says)));
}

fn answer(desk: &Desk, now: Timestamp) -> Answer<WatchFacts> {
    let (state, untold) = desk.known();
    let (facts, findings) = analyze::watch(&state, untold, now);
    Answer { facts, findings, coverage: Coverage::default(), sources: Vec::new() }
}

fn place(session: &Session) -> Where {
    Where { environment: session.env.name.clone(), ..Where::default() }
}
