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
    let at = by_hand(stamp).or_else(|| std::str::from_utf8(stamp).ok()?.parse().ok())?;
    Some((at, line.get(end + 1..).unwrap_or_default()))
}

/// RFC 3339 as container runtimes write it. Every line of a log has one, so it is read without a parser for everything; none for any
/// other form.
fn by_hand(stamp: &[u8]) -> Option<Timestamp> {
    let (head, rest) = stamp.split_at_checked(19)?;
    let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T', h1, h2, b':', i1, i2, b':', s1, s2] = head else { return None };
    let digits = |ds: &[u8]| ds.iter().try_fold(0i64, |n, d| d.is_ascii_digit().then(|| n * 10 + i64::from(d - b'0')));
    let (year, month, day) = (digits(&[y1, y2, y3, y4])?, digits(&[m1, m2])?, digits(&[d1, d2])?);
    let (hour, minute, second) = (digits(&[h1, h2])?, digits(&[i1, i2])?, digits(&[s1, s2])?);
    // A leap second, the 31st of February: whoever knows calendars may say what that is.
    if !(1..=12).contains(&month) || !(1..=28).contains(&day) && jiff::civil::Date::new(year as i16, month as i8, day as i8).is_err() {
        return None;
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (nanos, zone) = match rest.strip_prefix(b".") {
        None => (0, rest),
        Some(rest) => {
            let length = rest.iter().take_while(|b| b.is_ascii_digit()).count();
            let (fraction, zone) = rest.split_at_checked(length).filter(|(f, _)| (1..=9).contains(&f.len()))?;
            (digits(fraction)? * 10i64.pow(9 - length as u32), zone)
        }
    };
    let offset = match zone {
        b"Z" => 0,
        &[sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let seconds = digits(&[h1, h2])? * 3_600 + digits(&[m1, m2])? * 60;
            if sign == b'-' { -seconds } else { seconds }
        }
        _ => return None,
    };
    // Days since 1970 in the civil calendar, counted from March, so that the leap day is a year's last.
    let (years, months) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, of_era) = (years.div_euclid(400), years.rem_euclid(400));
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + (153 * months + 2) / 5 + day - 1 - 719_468;
    Timestamp::new(days * 86_400 + hour * 3_600 + minute * 60 + second - offset, nanos as i32).ok()
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

    proptest::proptest! {
        /// By hand or by a parser that knows everything: the same.
        #[test]
        fn stamps_are_read_as_a_parser_reads_them(seconds in -60_000_000_000i64..250_000_000_000, nanos in 0i32..1_000_000_000, hours in -12i8..14, cut in 0usize..36) {
            let at = Timestamp::new(seconds, nanos).expect("a time");
            let zoned = at.to_zoned(TimeZone::fixed(jiff::tz::offset(hours)));
            for text in [at.to_string(), zoned.strftime("%Y-%m-%dT%H:%M:%S%.9f%:z").to_string(), zoned.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()] {
                let known = text.parse::<Timestamp>().ok();
                proptest::prop_assert!(known.is_none() || by_hand(text.as_bytes()) == known || text.len() < 20 || !text.as_bytes()[0].is_ascii_digit(), "{}", text);
                let part = text.get(..cut).unwrap_or(&text);
                if let Some(read) = by_hand(part.as_bytes()) {
                    proptest::prop_assert_eq!(Some(read), part.parse().ok());
                }
            }
        }
    }

    #[test]
    fn impossible_times_are_none() {
        for text in [
            "2026-02-30T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00.1234567890Z",
            "2026-01-01T00:00:00",
        ] {
            assert_eq!(by_hand(text.as_bytes()), None, "{text}");
        }
        assert!(by_hand(b"2024-02-29T23:59:59.5-03:30").is_some());
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
