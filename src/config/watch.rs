//! What the file says of a watch: when silence is wanted, and who is told that it lives. Resolves nothing.

use super::{
    RouteName, SecretRef, Sourced,
    build::Builder,
    file::{At, Opt},
    reference::RawValue,
};
use crate::safe;
use jiff::{
    SignedDuration,
    civil::{Time, Weekday},
    tz::TimeZone,
};
use schemars::JsonSchema;
use serde::Deserialize;

/// How the environment is watched.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "the settings of the watch: windows, ping")]
#[schemars(rename = "watch")]
pub(super) struct RawWatch {
    /// When nobody is told of new trouble.
    pub windows: Vec<At<RawWindow>>,
    /// Who is told of trouble: page, notify or record. Without it: page.
    pub route: Opt<At<RouteName>>,
    /// A URL that is asked after every round: whoever stops hearing from it raises the alarm.
    pub ping: Opt<At<RawValue>>,
}

/// A time that comes again and in which nobody is told of new trouble.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "a window: from, lasts, days, timezone, of")]
#[schemars(rename = "window")]
pub(super) struct RawWindow {
    /// Its beginning, as a clock time: "23:30".
    pub from: Opt<At<String>>,
    /// How long it lasts: 2h.
    pub lasts: Opt<At<String>>,
    /// On which days it begins: mon, tue, wed, thu, fri, sat, sun; without them, on each.
    pub days: Vec<At<String>>,
    /// Whose clock; without it, that of the environment, else UTC.
    pub timezone: Opt<At<String>>,
    /// Only what is watched under a name that begins so.
    pub of: Opt<At<String>>,
}

/// How an environment is watched.
#[derive(Clone, Debug, Default)]
pub struct WatchSettings {
    /// When nobody is told of new trouble.
    pub windows: Vec<WindowSetting>,
    /// Who is told of trouble.
    pub route: RouteName,
    /// The dead man's switch.
    pub ping: Option<Sourced<SecretRef>>,
}

/// A time that comes again.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowSetting {
    /// The clock time at which it begins.
    pub from: Time,
    /// For how long.
    pub lasts: SignedDuration,
    /// On which days; empty: on each.
    pub days: Vec<Weekday>,
    /// Whose clock, where the window says.
    pub zone: Option<TimeZone>,
    /// Only names that begin so.
    pub of: String,
}

impl Builder<'_> {
    /// The watch of a file.
    pub(super) fn watch(&mut self, raw: &Opt<RawWatch>) -> WatchSettings {
        let Some(raw) = &raw.0 else { return WatchSettings::default() };
        let windows = raw.windows.iter().filter_map(|window| self.window(window)).collect();
        let ping = raw.ping.0.as_ref().filter(|at| self.may(at.place, "sends a sign of life", &"watch.ping".into()));
        let route = raw.route.0.as_ref().map(|at| {
            let from = self.origin(at.place);
            self.record("watch.route".into(), at.value.name().into(), from, Vec::new());
            at.value
        });
        WatchSettings { windows, route: route.unwrap_or_default(), ping: ping.and_then(|at| self.value("watch.ping".into(), at, true)) }
    }

    fn window(&mut self, At { value: raw, place }: &At<RawWindow>) -> Option<WindowSetting> {
        let key = |of: &'static str| safe!("watch.windows.{}", of);
        let (Some(from), true) = (&raw.from.0, raw.lasts.0.is_some()) else {
            return self.refuse(*place, "a window has a beginning and a length: {from: \"23:30\", lasts: 2h}");
        };
        let text = self.text(key("from"), from)?.value;
        let Ok(time) = text.parse::<Time>() else { return self.refuse(from.place, "no clock time: \"23:30\"") };
        let lasts = self.duration(key("lasts"), &raw.lasts)?;
        self.unless(lasts <= SignedDuration::from_hours(7 * 24), *place, "a window lasts a week at most")?;
        let mut days = Vec::new();
        for day in &raw.days {
            let text = self.text(key("days"), day)?.value;
            match weekday(&text) {
                Some(day) => days.push(day),
                None => return self.refuse(day.place, "no day: mon, tue, wed, thu, fri, sat, sun"),
            }
        }
        let of = raw.of.0.as_ref().and_then(|at| self.text(key("of"), at)).map(|s| s.value).unwrap_or_default();
        Some(WindowSetting { from: time, lasts, days, zone: self.zone(key("timezone"), &raw.timezone), of })
    }
}

fn weekday(text: &str) -> Option<Weekday> {
    Some(match text.to_ascii_lowercase().as_str() {
        "mon" => Weekday::Monday,
        "tue" => Weekday::Tuesday,
        "wed" => Weekday::Wednesday,
        "thu" => Weekday::Thursday,
        "fri" => Weekday::Friday,
        "sat" => Weekday::Saturday,
        "sun" => Weekday::Sunday,
        _ => return None,
    })
}
