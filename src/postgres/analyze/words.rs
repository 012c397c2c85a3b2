//! How nodes, rows, shares and milliseconds are put into words; the same in every sentence, tree and table.

use crate::{
    postgres::model::PlanNode,
    safe,
    text::{Safe, SafeBuf, units},
};
use jiff::SignedDuration;

/// `Parallel Seq Scan`, `Partial HashAggregate`, `Hash Left Join`: what PostgreSQL's own text form calls it.
pub fn kind(node: &PlanNode) -> Safe {
    let named = match (node.kind.as_str(), node.strategy.as_deref()) {
        ("Aggregate", Some("Sorted")) => "GroupAggregate".into(),
        ("Aggregate", Some("Hashed")) => "HashAggregate".into(),
        ("Aggregate", Some("Mixed")) => "MixedAggregate".into(),
        ("SetOp", Some("Hashed")) => "HashSetOp".into(),
        ("ModifyTable", _) => Safe::name(node.operation.as_deref().unwrap_or("ModifyTable")),
        (kind, _) => Safe::name(kind),
    };
    let joined = match node.join_type.as_deref() {
        None | Some("Inner") => named,
        Some(how) => match named.strip_suffix(" Join") {
            Some(join) => safe!("{} {} Join", Safe::name(join), Safe::name(how)),
            None => safe!("{} {} Join", named, Safe::name(how)),
        },
    };
    let turned = if node.backward { safe!("{} Backward", joined) } else { joined };
    let shared = if node.parallel_aware { safe!("Parallel {}", turned) } else { turned };
    match node.partial_mode.as_deref() {
        None | Some("Simple") => shared,
        Some(mode) => safe!("{} {}", Safe::name(mode), shared),
    }
}

/// `Seq Scan shop_orderitem i`, `Index Scan orders_pkey on orders`: a node as the tree names it.
pub fn label(node: &PlanNode) -> Safe {
    let mut label = SafeBuf::from(kind(node));
    let mut add = |before: &'static str, name: Option<&Safe>| {
        if let Some(name) = name {
            label.push_fixed(before);
            label.push(name);
        }
    };
    match (&node.index, &node.relation) {
        (None, None) => add(" ", node.cte.as_ref().or(node.function.as_ref())),
        (index, relation) => {
            add(" ", index.as_ref());
            add(if index.is_some() { " on " } else { " " }, relation.as_ref());
        }
    }
    let named = [&node.relation, &node.cte, &node.function];
    add(" ", node.alias.as_ref().filter(|alias| named.iter().all(|name| name.as_ref() != Some(*alias))));
    label.into_safe()
}

/// Rows as people read them: whole up to ten millions, then `12.3 M`.
pub fn rows(n: f64) -> Safe {
    match n.max(0.0) {
        n if n < 1e7 => units::count(n.round() as u64),
        n if n < 1e9 => safe!("{:.1} M", n / 1e6),
        n => safe!("{:.1} G", n / 1e9),
    }
}

/// A share in percent: `0.03 %`, `12 %`.
pub fn share(part: f64, whole: f64) -> Safe {
    let percent = 100.0 * part / whole.max(f64::MIN_POSITIVE);
    match () {
        () if percent == 0.0 => "0 %".into(),
        () if percent < 0.01 => "< 0.01 %".into(),
        () if percent < 1.0 => safe!("{:.2} %", percent),
        () => safe!("{:.0} %", percent),
    }
}

/// Rows that a node kept. Up to 17 the mean over its loops is rounded, so of many loops only a bound is known.
pub struct Kept {
    /// At most.
    pub most: f64,
    /// Rows, without a share of what was read.
    pub says: Safe,
    /// Whether the number is known well enough for a share.
    pub exact: bool,
}

/// What a node kept, over all loops; none where it did not run.
pub fn kept(node: &PlanNode) -> Option<Kept> {
    let actual = node.actual?;
    let all = actual.rows * actual.loops;
    let rounded = actual.loops > 1.0 && actual.rows.fract() == 0.0;
    Some(match rounded && actual.rows < 1.0 {
        true => Kept { most: 0.5 * actual.loops, says: safe!("at most {}", rows(0.5 * actual.loops)), exact: false },
        false => Kept { most: all, says: rows(all), exact: true },
    })
}

impl Kept {
    /// `1 187 (0.03 %)`; without the share where the number is only a bound.
    pub fn of(&self, read: f64) -> Safe {
        if self.exact { safe!("{} ({})", self.says, share(self.most, read)) } else { self.says.clone() }
    }
}

/// Milliseconds as people read them: `12 µs`, `0.40 ms`, `31 ms`, `1.84 s`, `9m 10s`.
pub fn time(ms: f64) -> Safe {
    match ms.max(0.0) {
        ms if ms < 0.000_5 => "0 ms".into(),
        ms if ms < 0.099_5 => safe!("{:.0} µs", ms * 1e3),
        ms if ms < 9.995 => safe!("{:.2} ms", ms),
        ms if ms < 999.5 => safe!("{:.0} ms", ms),
        ms if ms < 9_995.0 => safe!("{:.2} s", ms / 1e3),
        ms => units::duration(SignedDuration::from_micros((ms * 1e3) as i64)),
    }
}

/// A condition without the parentheses around the whole of it.
pub fn bare(text: &Safe) -> Safe {
    let mut depth = 0_usize;
    let inside = text.strip_prefix('(').and_then(|t| t.strip_suffix(')'));
    let whole = inside.is_some_and(|inside| {
        inside.chars().all(|c| {
            match c {
                '(' => depth += 1,
                ')' if depth == 0 => return false,
                ')' => depth -= 1,
                _ => {}
            }
            true
        })
    });
    match inside.filter(|_| whole) {
        Some(inside) => Safe::name(inside),
        None => text.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::fixtures::plan;

    #[test]
    fn milliseconds_keep_the_digits_that_matter() {
        let said = [0.000_1, 0.04, 0.4, 9.999, 31.4, 999.6, 1_840.0, 41_040.0, 550_000.0].map(|ms| time(ms).to_string());
        assert_eq!(said, ["0 ms", "40 µs", "0.40 ms", "10 ms", "31 ms", "1.00 s", "1.84 s", "41.0 s", "9m 10s"]);
    }

    #[test]
    fn nodes_have_the_names_of_the_text_form() {
        let labels = |name: &str| plan(name).nodes.iter().map(|n| label(n).to_string()).collect::<Vec<_>>();
        assert_eq!(
            labels("pg15/parallel"),
            ["Finalize GroupAggregate", "Gather Merge", "Sort", "Partial HashAggregate", "Parallel Seq Scan item"]
        );
        assert_eq!(labels("pg15/seq-scan"), ["Nested Loop", "Seq Scan item i", "Index Only Scan orders_pkey on orders o"]);
    }

    #[test]
    fn many_rows_are_written_short() {
        assert_eq!([1_187.4, 9_999_999.0, 12_345_678.0, 3e9].map(|n| rows(n).to_string()), ["1 187", "9 999 999", "12.3 M", "3.0 G"]);
    }
}
