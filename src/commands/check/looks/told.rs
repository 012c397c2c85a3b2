//! What the looks have to tell beside what they saw: where it came from, and what its user should know.

use super::{Rig, lock};
use crate::{answer::Provenance, report::Where, text::Safe};

#[derive(Default)]
pub(super) struct Told {
    pub warnings: Vec<Safe>,
    pub sources: Vec<Provenance>,
    pub place: Option<Where>,
}

impl Rig<'_> {
    pub(super) fn warn(&self, warnings: &[Safe]) {
        let mut told = lock(&self.told);
        for warning in warnings {
            if !told.warnings.contains(warning) {
                told.warnings.push(warning.clone());
            }
        }
    }

    pub(super) fn source(&self, source: Provenance) {
        let mut told = lock(&self.told);
        if !told.sources.contains(&source) {
            told.sources.push(source);
        }
    }

    /// What the user should know of the connections.
    pub fn warnings(&self) -> Vec<Safe> {
        lock(&self.told).warnings.clone()
    }

    /// Where the facts came from.
    pub fn sources(&self) -> Vec<Provenance> {
        lock(&self.told).sources.clone()
    }

    /// Where it ran.
    pub fn place(&self) -> Where {
        let place = lock(&self.told).place.clone();
        place.unwrap_or_else(|| Where { environment: self.session.env.name.clone(), ..Where::default() })
    }
}
