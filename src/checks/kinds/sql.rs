//! Rows of a user's own statement, as a sighting: the first column of the first row.

use super::Sighting;
use crate::{
    checks::{
        kind::Gauge,
        model::{Figure, Unit},
    },
    text::{Redactor, Safe},
};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use std::fmt;

/// The first value of an object, in the order of its text.
struct First(Option<serde_json::Value>);

impl<'de> Deserialize<'de> for First {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'de> Visitor<'de> for Visit {
            type Value = First;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a row")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<First, A::Error> {
                let mut first = None;
                while map.next_key::<IgnoredAny>()?.is_some() {
                    if first.is_none() {
                        first = Some(map.next_value::<serde_json::Value>()?);
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(First(first))
            }
        }
        from.deserialize_map(Visit)
    }
}

/// Of rows, each the text of a JSON object.
pub fn sighting(rows: &[String], unit: Gauge, redact: &Redactor) -> Sighting {
    let mut seen = Sighting::default();
    seen.figures.push(Figure::count("rows", Safe::EMPTY, rows.len() as u64));
    let first = rows.first().and_then(|row| serde_json::from_str::<First>(row).ok()).and_then(|first| first.0);
    seen.figures.extend(first.and_then(|value| figure(&value, unit, redact)));
    seen.evidence.extend(rows.iter().take(3).map(|row| redact.safe(row.as_bytes()).clipped(200)));
    seen
}

/// NULL is no data.
fn figure(value: &serde_json::Value, unit: Gauge, redact: &Redactor) -> Option<Figure> {
    let number = match value {
        serde_json::Value::Number(n) => n.as_f64(),
        serde_json::Value::String(s) if unit.unit != Unit::Text => s.trim().parse::<f64>().ok(),
        serde_json::Value::Bool(b) => Some(if *b { 1.0 } else { 0.0 }),
        _ => None,
    };
    match (number, unit.unit, value) {
        (_, _, serde_json::Value::Null) => None,
        (Some(n), of, _) if of != Unit::Text => Some(Figure::number("value", Safe::EMPTY, of, n * unit.scale)),
        (_, Unit::Text, serde_json::Value::String(s)) => Some(Figure::text("value", Safe::EMPTY, redact.safe(s.as_bytes()))),
        (_, _, other) => Some(Figure::text("value", Safe::EMPTY, redact.safe(other.to_string().as_bytes()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::model::Quantity;

    #[test]
    fn the_first_column_counts_and_null_is_no_data() {
        let value = |row: &str, unit, scale| {
            let seen = sighting(&[row.to_owned()], Gauge { unit, scale }, &Redactor::default());
            seen.figures.into_iter().find(|f| f.name.as_str() == "value").map(|f| f.value)
        };
        assert_eq!(value(r#"{"z": 12.5, "a": 1}"#, Unit::Number, 1.0), Some(Quantity::Number(12.5)));
        assert_eq!(value(r#"{"ms": "1500"}"#, Unit::Seconds, 0.001), Some(Quantity::Number(1.5)));
        assert_eq!(value(r#"{"a": null}"#, Unit::Number, 1.0), None);
        assert_eq!(value(r#"{"a": "x"}"#, Unit::Text, 1.0), Some(Quantity::Text("x".into())));
        assert_eq!(value("no row", Unit::Text, 1.0), None);
    }
}
