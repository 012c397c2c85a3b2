//! A round of looks, and a second one where what a reference gave was refused: it may have been rotated since it was read.

use super::Rig;
use crate::{
    checks::{
        kinds::{BlindSpot, Glance},
        spec::CheckSpec,
    },
    error::{Error, Kind},
};
use std::sync::{Arc, atomic::Ordering};

impl Rig<'_> {
    /// A round: looks anew at everything. Where a server refused what a reference gave, the references are read anew, and it looks once more.
    pub(in crate::commands::check) async fn round(&self, specs: &[CheckSpec]) -> Vec<Arc<Glance>> {
        self.forget();
        self.refused.store(false, Ordering::Relaxed);
        let glances = self.all(specs).await;
        if !self.refused.load(Ordering::Relaxed) || !self.session.refresh().await {
            return glances;
        }
        self.forget();
        self.all(specs).await
    }

    /// Why a look saw nothing; a refusal of credentials is noted.
    pub(super) fn blind(&self, error: &Error) -> BlindSpot {
        if error.kind() == Kind::Auth {
            self.refused.store(true, Ordering::Relaxed);
        }
        BlindSpot::of(error)
    }
}
