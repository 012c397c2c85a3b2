//! Prometheus' answer to a question, as a sighting. Private raw types; never panics.

use super::{BlindSpot, Glance, Sighting};
use crate::{
    checks::{
        kind::Gauge,
        model::{CheckStatus, Figure, Unanswered},
    },
    safe,
    text::{Redactor, Safe},
};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Series that are looked at.
const MOST: usize = 1000;

#[derive(Deserialize)]
struct RawAnswer {
    status: String,
    #[serde(default)]
    error: String,
    data: Option<RawData>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawData {
    result_type: String,
    #[serde(default)]
    result: Value,
}

#[derive(Deserialize)]
struct RawSeries {
    #[serde(default)]
    metric: BTreeMap<String, String>,
    value: (Value, String),
}

/// Of the answer.
///
/// # Errors
/// It is none, or Prometheus refused the question.
pub fn sighting(status: u16, body: &[u8], unit: Gauge, redact: &Redactor) -> Glance {
    let blind = |why, says| BlindSpot { why, says, next: Vec::new(), status: CheckStatus::Unknown, cluster_away: false, took_ms: 0 };
    let Ok(answer) = serde_json::from_slice::<RawAnswer>(body) else {
        let why = if matches!(status, 401 | 403) { Unanswered::NoPermission } else { Unanswered::Error };
        return Err(blind(why, safe!("it answered {}, and not as Prometheus does", status)));
    };
    if answer.status != "success" {
        let why = if status == 503 { Unanswered::Timeout } else { Unanswered::Error };
        return Err(blind(why, safe!("Prometheus refused the question: {}", redact.safe(answer.error.as_bytes()).clipped(200))));
    }
    let data = answer.data.unwrap_or(RawData { result_type: String::new(), result: Value::Null });
    let series: Vec<RawSeries> = match data.result_type.as_str() {
        "vector" => serde_json::from_value(data.result).unwrap_or_default(),
        "scalar" => serde_json::from_value(data.result).map(|value| vec![RawSeries { metric: BTreeMap::new(), value }]).unwrap_or_default(),
        other => {
            let says = safe!("the question gives a {}: ask for a vector or a scalar", Safe::name(other).clipped(20));
            return Err(blind(Unanswered::Error, says));
        }
    };
    let mut seen = Sighting::default();
    seen.figures.push(Figure::count("series", Safe::EMPTY, series.len() as u64));
    for one in series.iter().take(MOST) {
        let labels: Vec<Safe> = one.metric.iter().map(|(k, v)| safe!("{}={}", Safe::name(k), redact.safe(v.as_bytes()))).collect();
        let of = Safe::join(&labels, ",");
        // NaN is what an empty quotient gives: no data.
        seen.figures.extend(
            one.value.1.parse::<f64>().ok().filter(|n| !n.is_nan()).map(|n| Figure::number("value", of, unit.unit, n * unit.scale)),
        );
    }
    Ok(seen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::model::{Quantity, Unit};

    #[test]
    fn vectors_and_scalars_are_read_and_refusals_said() {
        let read = |status, body: &str| sighting(status, body.as_bytes(), Gauge { unit: Unit::Number, scale: 1.0 }, &Redactor::default());
        let vector = r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"job":"web"},"value":[1,"0.5"]},{"metric":{},"value":[1,"NaN"]}]}}"#;
        let seen = read(200, vector).expect("good");
        assert_eq!(
            seen.figures.iter().map(|f| (f.of.as_str(), &f.value)).collect::<Vec<_>>(),
            [("", &Quantity::Number(2.0)), ("job=web", &Quantity::Number(0.5))]
        );
        let seen = read(200, r#"{"status":"success","data":{"resultType":"scalar","result":[1,"3"]}}"#).expect("good");
        assert_eq!(seen.figures[1].value, Quantity::Number(3.0));
        let refused = read(400, r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#).expect_err("refused");
        assert_eq!((refused.why, refused.says.as_str()), (Unanswered::Error, "Prometheus refused the question: parse error"));
        assert_eq!(read(403, "<html>").expect_err("no answer").why, Unanswered::NoPermission);
        assert!(read(200, r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#).is_err());
    }
}
