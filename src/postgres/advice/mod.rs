//! Indexes that would help: found in the plan, held against what the catalog says of the table, and, where hypopg is installed, tried
//! without building them. Pure: `collect` asks what is asked here. Where it does not know it is silent.

pub mod candidate;
pub mod condition;
pub mod trial;

use super::model::{NodeId, TableFacts};
use crate::{
    postgres::analyze::words::rows,
    safe,
    text::{Safe, units},
};
use candidate::Candidate;
use serde::Serialize;
use trial::Trial;

/// An index to build, and what speaks for it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct IndexAdvice {
    /// The node that would read it.
    pub node: NodeId,
    /// The table.
    pub relation: Safe,
    /// Its columns, in order.
    pub columns: Vec<Safe>,
    /// Ready to paste; none where an index is there already.
    pub statement: Option<Safe>,
    /// How sure that is.
    pub proof: Proof,
    /// What it rests on.
    pub evidence: Vec<Safe>,
    /// What it costs.
    pub price: Vec<Safe>,
}

/// How sure an advice is.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Proof {
    /// The planner was asked with a hypothetical index, and took it.
    Hypopg {
        /// The statement's cost before.
        before: f64,
        /// The cost with it.
        after: f64,
    },
    /// Nobody was asked.
    Unverified {
        /// Why not.
        why: Safe,
    },
    /// There is one, and the planner did not take it.
    Exists {
        /// Its name.
        index: Safe,
        /// Why not, as far as can be told.
        why: Safe,
    },
}

impl IndexAdvice {
    /// What is missing, where the catalog was asked: `no index leads with product_id`.
    pub fn missing(&self) -> Option<Safe> {
        self.evidence.last().filter(|e| e.starts_with("no index leads")).cloned()
    }
}

/// Most useful of all pieces of advice: more are not read.
const MOST: usize = 3;

/// Makes the advice of a candidate. None where the catalog or the planner speaks against it.
pub fn advise(candidate: &Candidate, table: Option<&TableFacts>, trial: Option<&Trial>) -> Option<IndexAdvice> {
    let mut columns = candidate.ranked(table)?;
    let mut evidence = vec![safe!("reads {} rows to keep {}", rows(candidate.read), rows(candidate.kept))];
    if candidate.unserved > 0 {
        evidence.push(safe!("{} of the condition no index serves", units::plural(candidate.unserved, "part", "parts")));
    }
    // How much the other parts throw away is not known, so neither is how much is left for them.
    let asked = matches!(trial, Some(Trial::Hypothetical(_)));
    if candidate.unserved > 0 && !asked && candidate.kept_by_equality(table).is_none() {
        return None;
    }
    let mut bytes = table.map(|t| t.index_bytes(&columns));
    let proof = match (table.and_then(|t| t.leading_index(&columns)), trial) {
        (Some(index), trial) => Proof::Exists { index: index.name.clone(), why: trial::not_taken(trial) },
        (None, Some(Trial::Hypothetical(tried))) => {
            let chosen = trial::chosen(tried)?;
            columns.truncate(chosen.columns);
            bytes = Some(chosen.bytes);
            Proof::Hypopg { before: chosen.before, after: chosen.after }
        }
        (None, Some(Trial::NotInstalled)) => Proof::Unverified { why: "hypopg is not installed".into() },
        (None, Some(Trial::WithoutSeqScan(_)) | None) => Proof::Unverified {
            why: if table.is_some() { "not tried" } else { "a saved plan does not say which indexes there are" }.into(),
        },
    };
    if table.is_some() && !matches!(proof, Proof::Exists { .. }) {
        evidence.push(safe!("no index leads with {}", listed(&columns)));
    }
    let mut price = Vec::new();
    if let Some(table) = table.filter(|_| !matches!(proof, Proof::Exists { .. })) {
        price.extend(bytes.map(|b| safe!("about {}, beside a table of {}", units::bytes(b), units::bytes(table.bytes))));
        price.extend(table.writes_per_s.map(|n| match n {
            n if n < 0.1 => "the table is hardly written to".into(),
            n => safe!(
                "the table takes {:.1} writes/s, each then keeps {} up to date",
                n,
                units::plural(table.indexes.len() + 1, "index", "indexes")
            ),
        }));
    }
    let statement = (!matches!(proof, Proof::Exists { .. })).then(|| candidate.statement(&columns));
    Some(IndexAdvice { node: candidate.node, relation: candidate.relation.clone(), columns, statement, proof, evidence, price })
}

/// All that is worth saying without asking anybody: for a saved plan.
pub fn offline(candidates: &[Candidate]) -> Vec<IndexAdvice> {
    let mut found: Vec<IndexAdvice> = Vec::new();
    for advice in candidates.iter().filter_map(|c| advise(c, None, None)) {
        if found.len() < MOST && !found.iter().any(|f| f.statement == advice.statement) {
            found.push(advice);
        }
    }
    found
}

/// `a, b and c`.
pub(super) fn listed(columns: &[Safe]) -> Safe {
    match columns {
        [] => Safe::EMPTY,
        [one] => one.clone(),
        [first @ .., last] => safe!("{} and {}", Safe::join(first, ", "), last),
    }
}

#[cfg(test)]
mod tests {
    use super::{candidate::candidates, trial::Hypothetical, *};
    use crate::postgres::{
        analyze::explain::Judged,
        fixtures,
        model::{ColumnFacts, IndexFacts},
    };

    fn of(name: &str) -> Vec<Candidate> {
        candidates(&Judged::of(fixtures::plan(name)))
    }

    fn item(indexes: Vec<IndexFacts>) -> TableFacts {
        let column =
            |name: &str, n_distinct| ColumnFacts { name: Safe::name(name), type_name: "integer".into(), n_distinct, width: Some(4) };
        TableFacts {
            schema: "public".into(),
            name: "item".into(),
            rows: 200_000.0,
            bytes: 10 << 20,
            columns: vec![column("product_id", Some(900.0)), column("order_id", Some(-0.3)), column("kind", Some(3.0))],
            indexes,
            writes_per_s: Some(3.0),
        }
    }

    fn index(columns: &[&str]) -> IndexFacts {
        let columns = columns.iter().map(|c| Some(Safe::name(c))).collect();
        IndexFacts {
            name: "item_some".into(),
            method: "btree".into(),
            columns,
            usable: true,
            partial: false,
            scans: Some(7),
            bytes: 1 << 20,
        }
    }

    fn tried(columns: usize, before: f64, after: f64) -> Hypothetical {
        Hypothetical { columns, before, after, used: true, bytes: 90 << 20 }
    }

    #[test]
    fn a_full_read_for_a_few_rows_asks_for_an_index() {
        for version in ["pg14", "pg15", "pg16", "pg17", "pg18"] {
            let advice = offline(&of(&format!("{version}/seq-scan")));
            assert_eq!(
                advice.iter().map(|a| a.statement.clone().unwrap_or_default().to_string()).collect::<Vec<_>>(),
                ["CREATE INDEX CONCURRENTLY ON item (product_id);"]
            );
            assert!(matches!(&advice[0].proof, Proof::Unverified { why } if why.contains("saved plan")));
        }
    }

    #[test]
    fn what_hypopg_says_is_the_proof() {
        let candidate = &of("pg15/seq-scan")[0];
        let advise = |trial| advise(candidate, Some(&item(vec![index(&["order_id"])])), Some(&Trial::Hypothetical(trial)));
        let good = advise(vec![tried(1, 98_412.0, 1_630.0)]).expect("an advice");
        assert_eq!(good.proof, Proof::Hypopg { before: 98_412.0, after: 1_630.0 });
        assert_eq!(good.evidence.last().map(|e| e.as_str()), Some("no index leads with product_id"));
        assert!(good.price[0].contains("90.0 MiB") && good.price[1].contains("3.0 writes/s"), "{:?}", good.price);
        // The planner was asked and shrugged: silence.
        assert_eq!(advise(vec![tried(1, 98_412.0, 60_000.0)]), None);
        assert_eq!(advise(vec![tried(1, 80.0, 8.0)]), None);
    }

    #[test]
    fn an_index_that_is_there_is_not_asked_for_again() {
        let candidate = &of("pg15/seq-scan")[0];
        let advice = advise(candidate, Some(&item(vec![index(&["product_id", "order_id"])])), None).expect("a word about it");
        assert!(advice.statement.is_none() && matches!(advice.proof, Proof::Exists { .. }), "{advice:?}");
        // Partial and broken ones are as good as none.
        let partial = IndexFacts { partial: true, ..index(&["product_id"]) };
        assert!(advise(candidate, Some(&item(vec![partial])), None).is_some_and(|a| a.statement.is_some()));
    }

    #[test]
    fn silent_where_it_does_not_know() {
        for name in ["or-join", "limit-wrong-index", "hash-fine", "seq-scan-fine", "sort-disk", "parallel", "window", "foreign", "triggers"]
        {
            for version in ["pg14", "pg15", "pg18"] {
                assert_eq!(offline(&of(&format!("{version}/{name}"))), [], "{version}/{name}");
            }
        }
    }

    #[test]
    fn columns_with_few_values_are_no_advice() {
        let mut candidate = of("pg15/seq-scan").remove(0);
        candidate.equal = vec![("kind".into(), false)];
        assert_eq!(advise(&candidate, Some(&item(vec![])), None), None);
        candidate.equal = vec![("kind".into(), false), ("product_id".into(), false)];
        let columns = candidate.ranked(Some(&item(vec![]))).expect("a candidate");
        assert_eq!(columns, ["product_id", "kind"].map(Safe::from));
    }
}
