//! How quantities are written for people, and read from flags and files: durations, sizes, counts. One form each, always with its unit.

use crate::{safe, text::Safe};
use jiff::{SignedDuration, Span, Timestamp, Zoned};

/// A duration as a person says it: `318 ms`, `41.0 s`, `9m 10s`, `2h 4m`, `3d 2h`.
pub fn duration(d: SignedDuration) -> Safe {
    let ms = d.as_millis();
    let sign = if ms < 0 { "−" } else { "" };
    let ms = u64::try_from(ms.unsigned_abs()).unwrap_or(u64::MAX);
    let s = ms / 1000;
    match ms {
        0..1_000 => safe!("{}{} ms", sign, ms),
        1_000..100_000 => safe!("{}{:.1} s", sign, ms as f64 / 1000.0),
        100_000..3_600_000 if s.is_multiple_of(60) => safe!("{}{}m", sign, s / 60),
        100_000..3_600_000 => safe!("{}{}m {}s", sign, s / 60, s % 60),
        3_600_000..172_800_000 => safe!("{}{}h {}m", sign, s / 3600, s % 3600 / 60),
        _ => safe!("{}{}d {}h", sign, s / 86_400, s % 86_400 / 3600),
    }
}

/// A number of bytes in binary units: `742 B`, `1.5 KiB`, `96.0 MiB`.
pub fn bytes(n: u64) -> Safe {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if n < 1024 {
        return safe!("{} B", n);
    }
    let mut value = n as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1023.95 && unit < UNITS.len() - 1 {
        value /= 1024.0;
        unit += 1;
    }
    safe!("{:.1} {}", value, UNITS[unit])
}

/// A count with thin groups of three: `4 209 145`.
pub fn count(n: u64) -> Safe {
    if n < 1_000 {
        return safe!("{}", n);
    }
    // The largest has twenty digits and six gaps.
    let (mut out, mut at, mut left) = ([0_u8; 26], 26, n);
    for i in 0.. {
        if i > 0 && i % 3 == 0 {
            at -= 1;
            out[at] = b' ';
        }
        at -= 1;
        out[at] = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 {
            break;
        }
    }
    Safe::name(out.get(at..).unwrap_or_default())
}

/// `1 pod`, `2 pods`.
pub fn plural(n: usize, one: &'static str, many: &'static str) -> Safe {
    safe!("{} {}", count(n as u64), if n == 1 { one } else { many })
}

/// The share of a part in percent, whole: 0 to 100.
pub fn percent(part: SignedDuration, whole: SignedDuration) -> u64 {
    let whole = whole.as_millis();
    if whole <= 0 { 0 } else { u64::try_from(part.as_millis().max(0) * 100 / whole).unwrap_or(0) }
}

/// Reads a duration as kubectl and people write it: `90s`, `10m`, `1h30m`, `2d`, `1w`. A day is 24 hours. None when it is none, or negative.
pub fn parse_duration(text: &str) -> Option<SignedDuration> {
    let span: Span = text.trim().parse().ok()?;
    let relative = jiff::SpanRelativeTo::days_are_24_hours();
    let d = span.to_duration(relative).ok()?;
    (!d.is_negative()).then_some(d)
}

/// Reads a size: `512`, `64k`, `10MiB`, `2GiB`, `1.5G`. Letters without `i` are decimal as in Kubernetes (`k`, `M`, `G`, `T`).
pub fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let split = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor: f64 = match unit.trim().trim_end_matches(['b', 'B']) {
        "" => 1.0,
        "k" | "K" => 1e3,
        "M" | "m" => 1e6,
        "G" | "g" => 1e9,
        "T" | "t" => 1e12,
        "Ki" | "ki" => 1024.0,
        "Mi" | "mi" => 1_048_576.0,
        "Gi" | "gi" => 1_073_741_824.0,
        "Ti" | "ti" => 1_099_511_627_776.0,
        _ => return None,
    };
    let value = number.parse::<f64>().ok()? * factor;
    (value.is_finite() && value < u64::MAX as f64).then_some(value as u64)
}

/// A point in time as a flag gives it: RFC 3339, `2026-11-21 02:44[:10]`, a clock time `02:44[:10]` (the most recent one), or a duration
/// before `now`. A time without an offset is read in the zone of `now`.
pub fn parse_moment(text: &str, now: &Zoned) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(t) = text.parse::<Timestamp>() {
        return Some(t);
    }
    if let Ok(d) = text.parse::<jiff::civil::DateTime>() {
        return Some(d.to_zoned(now.time_zone().clone()).ok()?.timestamp());
    }
    if text.contains(':')
        && let Ok(t) = text.parse::<jiff::civil::Time>()
    {
        let today = now.date().to_datetime(t).to_zoned(now.time_zone().clone()).ok()?;
        let at = if today.timestamp() > now.timestamp() {
            now.date().yesterday().ok()?.to_datetime(t).to_zoned(now.time_zone().clone()).ok()?
        } else {
            today
        };
        return Some(at.timestamp());
    }
    now.timestamp().checked_sub(parse_duration(text)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_durations_as_people_say_them() {
        let shown = |ms| duration(SignedDuration::from_millis(ms)).to_string();
        assert_eq!(
            [318, 1_000, 41_040, 550_000, 7_440_000, 266_400_000, -20].map(shown),
            ["318 ms", "1.0 s", "41.0 s", "9m 10s", "2h 4m", "3d 2h", "−20 ms"]
        );
        assert_eq!(shown(600_000), "10m");
    }

    #[test]
    fn reads_durations_and_refuses_the_rest() {
        assert_eq!(parse_duration("1h30m"), Some(SignedDuration::from_secs(5400)));
        assert_eq!(parse_duration("2d"), Some(SignedDuration::from_hours(48)));
        for bad in ["", "ten", "-5m", "5", "5parsecs"] {
            assert_eq!(parse_duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn reads_and_writes_sizes() {
        assert_eq!(parse_bytes("2GiB"), Some(2 << 30));
        assert_eq!(parse_bytes("64k"), Some(64_000));
        assert_eq!(parse_bytes("1.5Ki"), Some(1536));
        assert_eq!(parse_bytes("many"), None);
        assert_eq!([bytes(742), bytes(1536), bytes(96 << 20)].map(|s| s.to_string()), ["742 B", "1.5 KiB", "96.0 MiB"]);
        assert_eq!(count(4_209_145).as_str(), "4 209 145");
    }

    #[test]
    fn a_clock_time_is_the_most_recent_one() {
        let now: Zoned = "2026-11-21T02:00:00+00:00[UTC]".parse().expect("a zoned time");
        let at = |s| parse_moment(s, &now).map(|t| t.to_string());
        assert_eq!(at("01:30").as_deref(), Some("2026-11-21T01:30:00Z"));
        assert_eq!(at("23:30").as_deref(), Some("2026-11-20T23:30:00Z"));
        assert_eq!(at("10m").as_deref(), Some("2026-11-21T01:50:00Z"));
        assert_eq!(at("2026-11-20T10:00:00+03:00").as_deref(), Some("2026-11-20T07:00:00Z"));
        assert_eq!(at("yesterday"), None);
    }
}
