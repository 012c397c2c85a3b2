//! What workers say by themselves on the event channels: heartbeats every two seconds, and that they come and go. Task events, where an
//! application has them on, are passed over.

use super::{Undecodable, epoch};
use crate::{
    celery::model::{Heartbeat, Sign},
    text::Safe,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

/// The largest event that is looked into; a heartbeat has some 600 bytes.
const LARGEST: usize = 64 << 10;

#[derive(Deserialize)]
struct RawEvent<'a> {
    #[serde(borrow)]
    body: &'a RawValue,
}

#[derive(Deserialize)]
struct RawHeartbeat {
    hostname: String,
    #[serde(default)]
    timestamp: Option<f64>,
    #[serde(default)]
    active: Option<u64>,
    #[serde(default)]
    processed: Option<u64>,
    #[serde(default)]
    freq: Option<f64>,
    #[serde(default)]
    loadavg: Option<Vec<f64>>,
    #[serde(default)]
    pid: Option<u64>,
    #[serde(default)]
    sw_ver: Option<String>,
}

/// One message of an event channel. None: an event of another kind.
///
/// # Errors
/// It is no message of kombu's, or larger than any heartbeat.
pub fn heartbeat(raw: &[u8]) -> Result<Option<Heartbeat>, Undecodable> {
    let no = || Undecodable("an event that is none of Celery's".into());
    if raw.len() > LARGEST {
        return Err(Undecodable("an event of more than 64 KiB".into()));
    }
    let RawEvent { body } = serde_json::from_slice(raw).map_err(|_| no())?;
    let text: String = serde_json::from_str(body.get()).map_err(|_| no())?;
    let bytes = STANDARD.decode(&text).unwrap_or(text.into_bytes());
    let value: Value = serde_json::from_slice(&bytes).map_err(|_| no())?;
    // `task.multi` carries a list.
    let sign = match value.get("type").and_then(Value::as_str) {
        Some("worker-heartbeat" | "worker.heartbeat") => Sign::Beats,
        Some("worker-online" | "worker.online") => Sign::Online,
        Some("worker-offline" | "worker.offline") => Sign::Offline,
        Some(_) => return Ok(None),
        None if value.is_array() => return Ok(None),
        None => return Err(no()),
    };
    let RawHeartbeat { hostname, timestamp, active, processed, freq, loadavg, pid, sw_ver } =
        serde_json::from_value(value).map_err(|_| no())?;
    Ok(Some(Heartbeat {
        worker: Safe::name(hostname),
        sign,
        at: timestamp.and_then(epoch),
        active,
        processed,
        every_s: freq.filter(|s| s.is_finite() && *s > 0.0),
        load: loadavg.and_then(|l| l.first().copied()),
        pid,
        version: sw_ver.map(Safe::name),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(body: &str) -> Vec<u8> {
        let body = STANDARD.encode(body);
        format!(r#"{{"body":"{body}","content-encoding":"utf-8","content-type":"application/json","headers":{{"hostname":"w1@lab"}},"properties":{{}}}}"#)
            .into_bytes()
    }

    #[test]
    fn heartbeats_as_celery_sends_them() {
        let beat = heartbeat(&message(
            r#"{"hostname":"w1@lab","utcoffset":0,"pid":17,"clock":41,"freq":2.0,"active":3,"processed":90,"loadavg":[0.5,0.4,0.3],"sw_ident":"py-celery","sw_ver":"5.6.0","sw_sys":"Linux","timestamp":1763684050.5,"type":"worker-heartbeat"}"#,
        ))
        .expect("it is one")
        .expect("it is a heartbeat");
        assert_eq!((beat.worker.as_str(), beat.sign, beat.active, beat.processed), ("w1@lab", Sign::Beats, Some(3), Some(90)));
        assert_eq!((beat.every_s, beat.load, beat.version.as_deref()), (Some(2.0), Some(0.5), Some("5.6.0")));
        assert_eq!(beat.at.map(|t| t.to_string()).as_deref(), Some("2025-11-21T00:14:10.5Z"));
        let gone = heartbeat(&message(r#"{"hostname":"w1@lab","type":"worker-offline"}"#));
        assert!(matches!(gone, Ok(Some(Heartbeat { sign: Sign::Offline, active: None, .. }))), "{gone:?}");
    }

    #[test]
    fn other_events_are_passed_over_and_garbage_is_said() {
        assert_eq!(heartbeat(&message(r#"[{"type":"task-sent"}]"#)), Ok(None));
        assert_eq!(heartbeat(&message(r#"{"type":"task-started","uuid":"x"}"#)), Ok(None));
        for raw in [&b""[..], b"{}", b"{\"body\": 5}", &message("{\"type\": \"worker-heartbeat\"}"), &message("no JSON")] {
            assert!(heartbeat(raw).is_err(), "{}", String::from_utf8_lossy(raw));
        }
    }

    proptest! {
        #[test]
        fn never_panics(raw in proptest::collection::vec(any::<u8>(), 0..200), body in "[ -~]{0,80}") {
            let _ = (heartbeat(&raw), heartbeat(&message(&body)));
        }
    }
}
