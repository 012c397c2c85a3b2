//! The tables of django_celery_beat, read in one statement that gives one JSON value.

use super::{Undecodable, moment};
use crate::{
    celery::model::{BeatEntry, BeatFacts},
    text::Safe,
};
use serde::Deserialize;

/// The statement. It only reads, and only so much.
pub const QUERY: &str = "\
SELECT json_build_object('now', now(), 'entries', coalesce(json_agg(entry), '[]'::json))::text FROM (
  SELECT p.name, p.task, p.last_run_at, p.date_changed, p.total_run_count, i.every, i.period,
         c.minute, c.hour, c.day_of_week, c.day_of_month, c.month_of_year
  FROM django_celery_beat_periodictask p
  LEFT JOIN django_celery_beat_intervalschedule i ON i.id = p.interval_id
  LEFT JOIN django_celery_beat_crontabschedule c ON c.id = p.crontab_id
  WHERE p.enabled AND NOT p.one_off AND (p.start_time IS NULL OR p.start_time <= now()) AND (p.expires IS NULL OR p.expires > now())
  ORDER BY p.id LIMIT 1000
) entry";

/// What whoever may not read them asks for.
pub const GRANT: &str =
    "GRANT SELECT ON django_celery_beat_periodictask, django_celery_beat_intervalschedule, django_celery_beat_crontabschedule TO …";

#[derive(Deserialize)]
struct RawBeat {
    now: String,
    entries: Vec<RawEntry>,
}

#[derive(Deserialize)]
struct RawEntry {
    name: String,
    task: String,
    last_run_at: Option<String>,
    date_changed: Option<String>,
    #[serde(default)]
    total_run_count: u64,
    every: Option<u64>,
    period: Option<String>,
    minute: Option<String>,
    hour: Option<String>,
    day_of_week: Option<String>,
    day_of_month: Option<String>,
    month_of_year: Option<String>,
}

/// The one value that `QUERY` gives.
///
/// # Errors
/// It is not in that form.
pub fn beat(json: &[u8]) -> Result<BeatFacts, Undecodable> {
    let raw: RawBeat =
        serde_json::from_slice(json).map_err(|_| Undecodable("the tables of django_celery_beat have another form".into()))?;
    let observed_at = moment(&raw.now).ok_or_else(|| Undecodable("the database's clock is in another form".into()))?;
    let entry = |raw: RawEntry| BeatEntry {
        every_s: interval(&raw).or_else(|| crontab(&raw)),
        name: Safe::name(&raw.name),
        task: Safe::name(&raw.task),
        last_run: raw.last_run_at.as_deref().and_then(moment),
        changed: raw.date_changed.as_deref().and_then(moment),
        runs: raw.total_run_count,
    };
    Ok(BeatFacts { observed_at, entries: raw.entries.into_iter().map(entry).collect() })
}

fn interval(raw: &RawEntry) -> Option<u64> {
    let seconds = match raw.period.as_deref()? {
        "days" => 86_400,
        "hours" => 3600,
        "minutes" => 60,
        "seconds" => 1,
        // More often than anybody writes down.
        "microseconds" => return Some(1),
        _ => return None,
    };
    raw.every.filter(|every| *every > 0)?.checked_mul(seconds)
}

/// Every minute, every few minutes, every hour: what cannot be late for another reason, such as a night or a zone.
fn crontab(raw: &RawEntry) -> Option<u64> {
    let any = |field: &Option<String>| field.as_deref() == Some("*");
    if !any(&raw.hour) || !any(&raw.day_of_week) || !any(&raw.day_of_month) || !any(&raw.month_of_year) {
        return None;
    }
    match raw.minute.as_deref()? {
        "*" => Some(60),
        minute => match minute.strip_prefix("*/") {
            Some(n) => n.parse().ok().filter(|n| (1..=30).contains(n)).map(|n: u64| n * 60),
            None => minute.parse().ok().filter(|n: &u64| *n < 60).map(|_| 3600),
        },
    }
}
