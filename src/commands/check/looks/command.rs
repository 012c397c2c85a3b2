//! A program of the user's own. Only files that are named on the command line hold checks, so it is his word that runs.

use super::Rig;
use crate::{
    answer::{Finding, Severity},
    checks::{
        kinds::{BlindSpot, Glance, Sighting},
        model::{Figure, Unit},
    },
    connect::process,
    safe,
    text::Safe,
};
use secrecy::ExposeSecret;
use std::time::Duration;
use tokio::time::Instant;

impl Rig<'_> {
    pub(super) async fn command(&self, words: &[String]) -> Glance {
        let patience = Duration::try_from(self.patience).unwrap_or_default();
        let begun = Instant::now();
        let ended = process::end_of(words, patience, &self.session.redact).await.map_err(|error| BlindSpot::of(&error))?;
        let mut seen = Sighting::default();
        let printed = ended.printed.expose_secret().trim();
        seen.figures.push(Figure::count("status", Safe::EMPTY, ended.status));
        seen.figures.push(Figure::number("time", Safe::EMPTY, Unit::Seconds, begun.elapsed().as_secs_f64()));
        seen.figures.push(Figure::text("stdout", Safe::EMPTY, self.session.redact.safe(printed.as_bytes()).clipped(4096)));
        seen.figures
            .extend(printed.parse::<f64>().ok().filter(|n| n.is_finite()).map(|n| Figure::number("value", Safe::EMPTY, Unit::Number, n)));
        if !ended.complaint.is_empty() {
            seen.evidence.push(ended.complaint.clone());
        }
        if ended.status != 0 {
            let said = if ended.complaint.is_empty() { Safe::EMPTY } else { safe!(": {}", ended.complaint) };
            let name = words.first().map(Safe::name).unwrap_or_default();
            seen.found(
                None,
                Finding::new("command-failed", Severity::Failed, safe!("{} ended with status {}{}", name, ended.status, said)),
            );
        }
        Ok(seen)
    }
}
