//! What the catalog and the statistics say of a table that a plan reads.

use crate::text::Safe;
use serde::Serialize;

/// A table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TableFacts {
    /// Its schema.
    pub schema: Safe,
    /// Its name.
    pub name: Safe,
    /// Rows, as last estimated.
    pub rows: f64,
    /// Bytes, without its indexes.
    pub bytes: u64,
    /// Its columns.
    pub columns: Vec<ColumnFacts>,
    /// Its indexes.
    pub indexes: Vec<IndexFacts>,
    /// Rows inserted, changed and deleted per second, on average since the statistics were reset.
    pub writes_per_s: Option<f64>,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ColumnFacts {
    /// Its name.
    pub name: Safe,
    /// Its type: `integer`, `character varying(20)`.
    pub type_name: Safe,
    /// Different values; below zero, as a share of the rows. None where the statistics are not to be seen.
    pub n_distinct: Option<f64>,
    /// Bytes of a value, on average.
    pub width: Option<u64>,
}

/// An index.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct IndexFacts {
    /// Its name.
    pub name: Safe,
    /// `btree`, `gin`.
    pub method: Safe,
    /// Its key columns; none for an expression.
    pub columns: Vec<Option<Safe>>,
    /// Whether it is valid and ready.
    pub usable: bool,
    /// Whether it has a condition.
    pub partial: bool,
    /// How often it was read.
    pub scans: Option<u64>,
    /// Its bytes.
    pub bytes: u64,
}

impl TableFacts {
    fn column(&self, name: &Safe) -> Option<&ColumnFacts> {
        self.columns.iter().find(|c| c.name == *name)
    }

    /// How many different values a column has, where known.
    pub fn distinct(&self, column: &Safe) -> Option<f64> {
        let n = self.column(column)?.n_distinct?;
        Some(if n < 0.0 { -n * self.rows.max(1.0) } else { n }).filter(|n| *n > 0.0)
    }

    /// Whether a column's values are text already, so that reading them as text changes nothing.
    pub fn is_text(&self, column: &Safe) -> Option<bool> {
        let name = &self.column(column)?.type_name;
        Some(name.as_str() == "text" || name.starts_with("character varying"))
    }

    /// An index whose first columns are these, in any order.
    pub fn leading_index(&self, columns: &[Safe]) -> Option<&IndexFacts> {
        let leads = |index: &&IndexFacts| {
            let first: Vec<&Safe> = index.columns.iter().take(columns.len()).flatten().collect();
            first.len() == columns.len() && columns.iter().all(|c| first.contains(&c))
        };
        self.indexes.iter().filter(|i| i.usable && !i.partial && i.method.as_str() == "btree").find(leads)
    }

    /// What a B-tree on these columns would take: a header and a pointer per row, pages nine tenths full.
    pub fn index_bytes(&self, columns: &[Safe]) -> u64 {
        let width: u64 = columns.iter().map(|c| self.column(c).and_then(|c| c.width).unwrap_or(8)).sum();
        (self.rows.max(0.0) * (width.next_multiple_of(8) + 12) as f64 / 0.9) as u64
    }
}
