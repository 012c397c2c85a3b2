//! Quantiles in bounded memory: exact while there are few values, then within one percent (logarithmic buckets, as DDSketch has them).

use std::collections::BTreeMap;

/// So many values are kept as they are.
const EXACT: usize = 2_048;
/// How far a quantile may be from the true one, relative to it, when there were more.
pub const RELATIVE_ERROR: f64 = 0.01;
/// So many buckets at most: those of the smallest values are joined first, which leaves the upper quantiles as good as they were.
const MOST: usize = 1_024;

/// The spread of a value.
#[derive(Clone, Debug)]
pub struct Spread {
    values: Values,
    /// How many.
    pub count: u64,
    /// The least.
    pub min: f64,
    /// The most.
    pub max: f64,
    /// All together.
    pub sum: f64,
}

#[derive(Clone, Debug)]
enum Values {
    Exact(Vec<f64>),
    Buckets(BTreeMap<i32, u64>),
}

impl Default for Spread {
    fn default() -> Self {
        Self { values: Values::Exact(Vec::new()), count: 0, min: f64::INFINITY, max: f64::NEG_INFINITY, sum: 0.0 }
    }
}

impl Spread {
    /// Takes a value; what is no finite number is none.
    pub fn add(&mut self, value: f64) {
        if !value.is_finite() {
            return;
        }
        self.count += 1;
        self.sum += value;
        (self.min, self.max) = (self.min.min(value), self.max.max(value));
        match &mut self.values {
            Values::Exact(values) if values.len() < EXACT => values.push(value),
            Values::Exact(values) => {
                let mut buckets = BTreeMap::new();
                values.iter().chain([&value]).for_each(|v| *buckets.entry(bucket(*v)).or_insert(0) += 1);
                self.values = Values::Buckets(buckets);
                self.shrink();
            }
            Values::Buckets(buckets) => {
                *buckets.entry(bucket(value)).or_insert(0) += 1;
                self.shrink();
            }
        }
    }

    fn shrink(&mut self) {
        let Values::Buckets(buckets) = &mut self.values else { return };
        while buckets.len() > MOST {
            let Some((_, count)) = buckets.pop_first() else { return };
            if let Some(mut next) = buckets.first_entry() {
                *next.get_mut() += count;
            }
        }
    }

    /// Whether quantiles are exact.
    pub fn is_exact(&self) -> bool {
        matches!(self.values, Values::Exact(_))
    }

    /// The value that this share of all values does not exceed (nearest rank); none without values.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        if self.count == 0 {
            return None;
        }
        let rank = ((share.clamp(0.0, 1.0) * self.count as f64).ceil() as u64).max(1);
        match &self.values {
            Values::Exact(values) => {
                let mut sorted = values.clone();
                sorted.sort_by(f64::total_cmp);
                sorted.get(usize::try_from(rank - 1).ok()?).copied()
            }
            Values::Buckets(buckets) => {
                let mut passed = 0;
                let found = buckets.iter().find(|(_, count)| {
                    passed += **count;
                    passed >= rank
                });
                found.map(|(bucket, _)| middle(*bucket).clamp(self.min, self.max))
            }
        }
    }
}

/// The ratio of a bucket's bounds.
fn gamma() -> f64 {
    (1.0 + RELATIVE_ERROR) / (1.0 - RELATIVE_ERROR)
}

/// Far from every bucket of a value: 0 lies between the negative and the positive ones.
const OFFSET: i32 = 1 << 20;
/// Smaller values are 0.
const LEAST: f64 = 1e-12;

fn bucket(value: f64) -> i32 {
    if value.abs() < LEAST {
        return 0;
    }
    let index = (value.abs().ln() / gamma().ln()).ceil() as i32 + OFFSET;
    if value > 0.0 { index } else { -index }
}

/// The value that is within the error of every value of its bucket.
fn middle(bucket: i32) -> f64 {
    if bucket == 0 {
        return 0.0;
    }
    let value = 2.0 * gamma().powi(bucket.abs() - OFFSET) / (gamma() + 1.0);
    if bucket > 0 { value } else { -value }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn few_are_exact() {
        let mut spread = Spread::default();
        (1..=100).for_each(|v| spread.add(f64::from(v)));
        assert_eq!((spread.quantile(0.5), spread.quantile(0.95), spread.quantile(1.0)), (Some(50.0), Some(95.0), Some(100.0)));
        assert!(spread.is_exact());
        spread.add(f64::NAN);
        assert_eq!((spread.count, spread.min, spread.max, spread.sum), (100, 1.0, 100.0, 5050.0));
        assert_eq!(Spread::default().quantile(0.5), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        /// Many are within one percent of the true value at that rank, whatever their size and sign.
        #[test]
        fn many_are_close(values in proptest::collection::vec(prop_oneof![1e-3f64..1e6, -1e6f64..-1e-3, Just(0.0)], 2_100..3_000), share in 0.0f64..1.0) {
            let mut spread = Spread::default();
            values.iter().for_each(|v| spread.add(*v));
            prop_assert!(!spread.is_exact());
            let mut sorted = values.clone();
            sorted.sort_by(f64::total_cmp);
            let rank = ((share * sorted.len() as f64).ceil() as usize).max(1);
            let (truth, told) = (sorted[rank - 1], spread.quantile(share).expect("a value"));
            let Values::Buckets(buckets) = &spread.values else { panic!("not many") };
            prop_assert!(buckets.len() <= MOST);
            // Joined buckets, those of the smallest values, are no closer than their bounds.
            let joined = buckets.len() == MOST;
            prop_assert!(joined || (told - truth).abs() <= truth.abs() * RELATIVE_ERROR * 1.000_001 + 1e-9, "{} {}", told, truth);
        }
    }
}
