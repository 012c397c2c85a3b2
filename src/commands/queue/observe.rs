//! The queues as `obsctl queue depth` sees them, for a command that asks for more than queues.

use super::{broker::Opened, depth::Args, looks::Looks};
use crate::{
    answer::Answer,
    celery::model::DepthFacts,
    error::{Error, Kind, Result},
    session::Session,
    text::Safe,
};
use std::time::Duration;

/// The time between the two looks.
const APART: jiff::SignedDuration = jiff::SignedDuration::from_secs(2);

/// Two looks, the workers heard out; or (`once`) one, which hears nobody. With the warnings of the connection.
///
/// # Errors
/// The configuration names no broker, or it cannot be reached or read.
pub(in crate::commands) async fn observe(session: &Session, once: bool) -> Result<(Answer<DepthFacts>, Vec<Safe>)> {
    let (broker, warnings) = Opened::of(session).await?;
    let args = Args { queues: Vec::new(), once, interval: APART, watch: false, show_commands: false, fail_on: None };
    let mut looks = Looks::begin(&broker, session, &args).await;
    looks.look().await?;
    if !once && looks.wait(Duration::try_from(APART).unwrap_or_default()).await {
        looks.look().await?;
        looks.hear_them_out().await;
    }
    looks.look_elsewhere().await;
    looks.look_at_pods().await;
    let none = || Error::new(Kind::Cancelled, "looking at the queues").what("stopped before the first look");
    let answer = looks.answer().await.ok_or_else(none)?;
    looks.remember();
    Ok((answer, warnings))
}
