//! Real plans for the tests of this folder; `tests/fixtures/plans/PROVENANCE.md` says where they come from.

use super::{decode, model::Plan};
use crate::text::Redactor;
use std::{fs, path::PathBuf};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/plans")
}

/// The plan of this name: `pg15/seq-scan`.
pub(super) fn plan(name: &str) -> Plan {
    let text = fs::read_to_string(folder().join(format!("{name}.json"))).expect("a fixture of this name");
    decode::plan::plan(&text, &Redactor::default()).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// The plan of this name of every version.
pub(super) fn of_all_versions(name: &str) -> Vec<Plan> {
    ["pg14", "pg15", "pg16", "pg17", "pg18"].map(|version| plan(&format!("{version}/{name}"))).into()
}

/// The JSON of all plans of all versions.
pub(super) fn texts() -> Vec<(String, String)> {
    let mut all = Vec::new();
    for version in ["pg14", "pg15", "pg16", "pg17", "pg18"] {
        for file in fs::read_dir(folder().join(version)).expect("a folder per version").flatten() {
            let name = format!("{version}/{}", file.path().file_stem().unwrap_or_default().to_string_lossy());
            all.push((name, fs::read_to_string(file.path()).expect("a text")));
        }
    }
    all.sort();
    all
}

/// All plans of all versions.
pub(super) fn all() -> Vec<(String, Plan)> {
    let read = |(name, text): (String, String)| {
        let plan = decode::plan::plan(&text, &Redactor::default()).unwrap_or_else(|e| panic!("{name}: {e}"));
        (name, plan)
    };
    texts().into_iter().map(read).collect()
}
