//! The times that applications write, and those that the container runtime puts in front of each line.

use jiff::{Timestamp, civil::DateTime, fmt::strtime, tz::TimeZone};

/// A written time: RFC 3339, Python's `2026-11-21 17:31:22,260`, `21/Nov/2026:17:28:34 +0000`. Without a zone it is in `zone`.
pub fn parse(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(t) = text.parse::<Timestamp>() {
        return Some(t);
    }
    // Python writes the milliseconds after a comma.
    let dotted = text.replacen(',', ".", 1);
    if let Ok(t) = dotted.parse::<DateTime>() {
        return Some(t.to_zoned(zone.clone()).ok()?.timestamp());
    }
    for format in ["%d/%b/%Y:%H:%M:%S %z", "%d/%b/%Y %H:%M:%S", "%Y-%m-%d %H:%M:%S%.f %z", "%Y-%m-%d %H:%M:%S%.f UTC"] {
        if let Ok(parsed) = strtime::parse(format, &dotted) {
            if let Ok(t) = parsed.to_timestamp() {
                return Some(t);
            }
            let named = if format.ends_with("UTC") { TimeZone::UTC } else { zone.clone() };
            return parsed.to_datetime().ok()?.to_zoned(named).ok().map(|z| z.timestamp());
        }
    }
    None
}

/// Seconds, milliseconds, microseconds or nanoseconds since 1970, told apart by their size.
pub fn from_number(n: f64) -> Option<Timestamp> {
    let seconds = match n.abs() {
        1e8..1e11 => n,
        1e11..1e14 => n / 1e3,
        1e14..1e17 => n / 1e6,
        1e17..1e20 => n / 1e9,
        _ => return None,
    };
    Timestamp::from_microsecond((seconds * 1e6) as i64).ok()
}

/// Splits the container runtime's time from a line of the API (`timestamps=true`); none when the line carries none.
pub fn in_front(line: &[u8]) -> Option<(Timestamp, &[u8])> {
    let end = memchr::memchr(b' ', line.get(..64.min(line.len()))?).unwrap_or(line.len());
    let stamp = line.get(..end).filter(|s| s.len() >= 20 && s[4] == b'-' && s[10] == b'T')?;
    let at = std::str::from_utf8(stamp).ok()?.parse().ok()?;
    Some((at, line.get(end + 1..).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_form() {
        let at = |s| parse(s, &TimeZone::UTC).map(|t| t.to_string());
        assert_eq!(at("2026-11-21T02:44:10.114+03:00").as_deref(), Some("2026-11-20T23:44:10.114Z"));
        assert_eq!(at("2026-11-21 17:31:22,260").as_deref(), Some("2026-11-21T17:31:22.26Z"));
        assert_eq!(at("21/Nov/2026:17:28:34 +0000").as_deref(), Some("2026-11-21T17:28:34Z"));
        assert_eq!(at("2026-11-21 17:52:33 +0000").as_deref(), Some("2026-11-21T17:52:33Z"));
        assert_eq!(at("2026-11-21 17:52:33.250 UTC").as_deref(), Some("2026-11-21T17:52:33.25Z"));
        assert_eq!(at("soon"), None);
        assert_eq!(from_number(1_795_000_000.5).map(|t| t.as_second()), Some(1_795_000_000));
        assert_eq!(from_number(1_795_000_000_500.0).map(|t| t.as_second()), Some(1_795_000_000));
    }

    #[test]
    fn takes_the_runtime_s_time_from_the_front() {
        let (at, rest) = in_front(b"2026-11-21T15:34:13.411234574+03:00 {\"a\": 1}").expect("a time");
        assert_eq!((at.to_string().as_str(), rest), ("2026-11-21T12:34:13.411234574Z", &b"{\"a\": 1}"[..]));
        assert_eq!(in_front(b"2026-11-21T15:34:13.4Z").map(|(_, r)| r), Some(&b""[..]));
        assert!(in_front(b"failed to create fsnotify watcher: too many open files").is_none());
        assert!(in_front(b"").is_none());
    }
}
