//! Health endpoints, asked as `obsctl health` asks them.

use super::Rig;
use crate::{
    checks::{
        kind::HealthAsk,
        kinds::{Glance, health},
    },
    commands::health::{Args, Rounds},
};
use std::time::Duration;

impl Rig<'_> {
    pub(super) async fn health(&self, ask: &HealthAsk) -> Glance {
        let patience = Duration::try_from(self.patience).unwrap_or_default();
        let args = Args {
            targets: ask.targets.clone(),
            path: ask.path.clone(),
            // Sooner than the look as a whole ends: one that is late keeps nobody from hearing of the others.
            timeout: (patience * 9 / 10).min(Duration::from_secs(10)),
            ..Args::default()
        };
        let mut rounds = Rounds::new(args).map_err(|error| self.blind(&error))?;
        let round = rounds.look(self.session).await;
        if let Some(error) = round.blind.as_ref().filter(|_| round.facts.targets.is_empty()) {
            return Err(self.blind(error));
        }
        for target in round.facts.targets.iter().filter(|t| t.asked == crate::health::model::Asked::Url) {
            self.source(crate::answer::Provenance { system: "http", at: target.name.clone(), through: None });
        }
        let mut seen = health::sighting(&round.facts, self.session.now().timestamp());
        // URLs can be asked though the cluster cannot.
        seen.evidence.extend(round.blind.iter().map(|error| crate::safe!("pods were not asked: {}", error.says())));
        Ok(seen)
    }
}
