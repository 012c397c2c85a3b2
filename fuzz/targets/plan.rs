//! Whatever is given as a saved plan: read, or said not to be one. What is read has its figures in order and can be judged, drawn and
//! written; a password in it is in none of that.
#![no_main]

use libfuzzer_sys::fuzz_target;
use obsctl::postgres::analyze::explain::Judged;
use obsctl::postgres::decode::plan::plan;
use obsctl::text::{MaskKey, Redactor};
use std::sync::LazyLock;

static REDACT: LazyLock<Redactor> = LazyLock::new(|| Redactor::new(MaskKey::from_bytes([7; 32])));

fuzz_target!(|text: &str| {
    let Ok(plan) = plan(text, &REDACT) else { return };
    assert!(plan.nodes.first().is_some_and(|root| root.parent.is_none()), "the first is the root");
    for (at, node) in plan.nodes.iter().enumerate().skip(1) {
        let above = node.parent.expect("only the root has nothing above it");
        assert!(above.0 < at && plan.nodes[above.0].children.iter().any(|child| child.0 == at), "a tree, parents first");
    }
    let judged = Judged::of(plan);
    assert!(judged.own.nodes.iter().all(|own| own.own_ms.is_none_or(|ms| ms >= 0.0)), "no time is negative");
    serde_json::to_string(&judged).expect("every plan can be written");
});
