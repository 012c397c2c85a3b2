//! A hash table did not fit into memory and went to disk in pieces.

use super::{Confidence, MeasuredPlan, PlanFinding, label};
use crate::{safe, text::units};

pub(super) fn check(seen: &MeasuredPlan<'_>) -> Vec<PlanFinding> {
    let mut found = Vec::new();
    for (id, node) in seen.ran() {
        let Some(hash) = node.hash.filter(|h| h.batches > 1 || h.disk_kb > 0) else { continue };
        // The join above reads and writes the pieces of both sides, so its time counts as well.
        let join = node.parent.filter(|_| node.kind == "Hash");
        let ms = seen.own_ms(id) + join.map_or(0.0, |j| seen.own_ms(j));
        let says = match hash.disk_kb {
            0 => safe!("{} in {} pieces, all but one on disk", label(node), hash.batches),
            kb => safe!("{} in {} pieces, {} on disk", label(node), hash.batches, units::bytes(kb << 10)),
        };
        // An aggregate grows its pieces while it runs; what it would have needed is not recorded.
        let needed = (hash.memory_kb.max(1) * hash.batches.max(2)) << 10;
        found.push(
            PlanFinding::new("hash-on-disk", seen, Some(id), ms, Confidence::Certain, says)
                .evidence(safe!("memory at most {}", units::bytes(hash.memory_kb << 10)))
                .next(match node.kind.as_str() {
                    "Hash" => safe!("work_mem × hash_mem_multiplier of about {} for this statement", units::bytes(needed)),
                    _ => "more work_mem × hash_mem_multiplier for this statement".into(),
                }),
        );
    }
    found
}

#[cfg(test)]
mod tests {
    #[test]
    fn fires_on_a_hash_in_pieces() {
        super::super::tests::fires_on("hash-on-disk", "hash-spill");
        super::super::tests::silent_on("hash-on-disk", &["hash-fine", "parallel-join"]);
    }
}
