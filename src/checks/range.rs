//! Ranges as Nagios' plugins write them, `[@]start:end`: alert outside of them, or with `@` inside. The ends belong to the range.

use crate::{safe, text::Safe};

/// A range. `~` is minus infinity; an end that is left out is infinity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// Its beginning.
    pub start: f64,
    /// Its end.
    pub end: f64,
    /// Alert inside of it, not outside.
    pub inside: bool,
}

impl Range {
    /// Reads one whose ends are plain numbers.
    pub fn parse(text: &str) -> Option<Self> {
        Self::parse_with(text, |end| end.parse::<f64>().ok().filter(|n| n.is_finite()))
    }

    /// Reads one whose ends are read so: `1m:5m`.
    pub fn parse_with(text: &str, number: impl Fn(&str) -> Option<f64>) -> Option<Self> {
        let text = text.trim();
        let (inside, rest) = text.strip_prefix('@').map_or((false, text), |rest| (true, rest));
        let (start, end) = match rest.split_once(':') {
            Some((start, end)) => (if start == "~" { f64::NEG_INFINITY } else { number(start)? }, end),
            // A number alone is the end: from nought.
            None if rest.is_empty() => return None,
            None => (0.0, rest),
        };
        let end = if end.is_empty() { f64::INFINITY } else { number(end)? };
        (start <= end).then_some(Self { start, end, inside })
    }

    /// Whether a value alerts. What is no number always does.
    pub fn alerts(&self, value: f64) -> bool {
        if value.is_nan() {
            return true;
        }
        (value >= self.start && value <= self.end) == self.inside
    }

    /// As it is written.
    pub fn says(&self) -> Safe {
        let end = if self.end == f64::INFINITY { Safe::EMPTY } else { Safe::name(self.end.to_string()) };
        let at = if self.inside { "@" } else { "" };
        if self.start == f64::NEG_INFINITY {
            safe!("{}~:{}", at, end)
        } else if self.start == 0.0 && self.end.is_finite() {
            safe!("{}{}", at, end)
        } else {
            safe!("{}{}:{}", at, Safe::name(self.start.to_string()), end)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn as_the_guidelines_have_it() {
        let inf = f64::INFINITY;
        // text, values that alert, values that do not
        for (text, bad, good) in [
            ("10", &[-1.0, -0.001, 10.001, 11.0][..], &[0.0, 5.0, 10.0][..]),
            ("10:", &[9.0, -inf], &[10.0, 11.0, inf]),
            ("~:10", &[10.5, inf], &[10.0, -100.0, -inf]),
            ("10:20", &[9.99, 20.01], &[10.0, 15.0, 20.0]),
            ("@10:20", &[10.0, 15.0, 20.0], &[9.99, 20.01]),
            ("@10", &[0.0, 10.0], &[-1.0, 10.5]),
            ("0", &[1.0, -1.0], &[0.0]),
            ("@0", &[0.0], &[1.0, -1.0]),
            ("-10:-5", &[-11.0, -4.0, 0.0], &[-10.0, -7.0, -5.0]),
            ("~:", &[f64::NAN], &[0.0, inf, -inf]),
            ("@~:", &[0.0, 1e300], &[]),
            ("1.5:2.5", &[1.4, 2.6], &[1.5, 2.0]),
            ("0:0", &[0.1], &[0.0]),
            ("1e3:", &[999.0], &[1000.0]),
            ("~:0", &[0.001], &[0.0, -3.0]),
            ("0:", &[-0.001], &[0.0, 7.0]),
            ("@0:", &[0.0, 7.0], &[-0.001]),
            ("@~:0", &[-1.0, 0.0], &[0.001]),
            ("-5:5", &[-5.5, 5.5], &[-5.0, 0.0, 5.0]),
            ("@-5:5", &[-5.0, 0.0, 5.0], &[-5.5, 5.5]),
            ("~:-2", &[-1.9, 0.0], &[-2.0, -9.0]),
            ("-2:", &[-2.1], &[-2.0, 0.0]),
            ("5:5", &[4.9, 5.1], &[5.0]),
            ("@5:5", &[5.0], &[4.9, 5.1]),
            ("0.25", &[0.26, -0.1], &[0.0, 0.25]),
            (" 10 ", &[11.0], &[10.0]),
            ("100000000000", &[1e12], &[99_999_999_999.0]),
        ] {
            let range = Range::parse(text).unwrap_or_else(|| panic!("{text} is a range"));
            assert!(bad.iter().all(|v| range.alerts(*v)), "{text} must alert at {bad:?}");
            assert!(good.iter().all(|v| !range.alerts(*v)), "{text} must not alert at {good:?}");
        }
        for no in ["", "@", ":", "a", "10:a", "20:10", "~", "10:~", "1:2:3", "@@1", "1,5", "NaN", "inf:", "--1", "10 20"] {
            assert_eq!(Range::parse(no), None, "{no} is none");
        }
    }

    proptest! {
        /// What is written is read again, and never panics.
        #[test]
        fn says_what_it_reads(text in "[@~0-9:.eE+-]{0,12}") {
            if let Some(range) = Range::parse(&text) {
                prop_assert_eq!(Range::parse(&range.says()), Some(range));
            }
        }
    }
}
