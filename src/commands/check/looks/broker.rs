//! The broker: one look for queues, workers, beat and Redis, as `obsctl queue depth` looks.

use super::Rig;
use crate::{
    checks::{
        kind::CheckKind,
        kinds::{Glance, queue},
        spec::CheckSpec,
    },
    commands,
};

impl Rig<'_> {
    pub(super) async fn broker(&self, ours: &[(usize, &CheckSpec)]) -> Glance {
        // Whether Redis is safe is known at the first look; rates and workers take a moment.
        let once = ours.iter().all(|(_, spec)| matches!(spec.kind, CheckKind::Redis | CheckKind::Beat));
        let (answer, warnings) = commands::queue::observe(self.session, once).await.map_err(|error| self.blind(&error))?;
        self.warn(&warnings);
        answer.sources.iter().for_each(|source| self.source(source.clone()));
        Ok(queue::sighting(&answer.facts, &answer.findings))
    }
}
