//! How the health of an app is asked for, as the file says it: of its pods and of its URLs. Resolves nothing. Headers belong to the one place
//! that they stand beside: an entry of `urls` inherits none, since a secret of one host is not meant for another.

use super::{
    SecretRef, Sourced,
    build::Builder,
    file::{At, Entries, Opt},
    reference::RawValue,
};
use crate::{
    safe,
    text::{Redactor, Safe},
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};
use std::{borrow::Cow, fmt, marker::PhantomData};

/// A text, or settings: `health: /api/health/` and `health: {path: /api/health/}` are the same.
pub(super) enum Short<T> {
    /// The one thing that matters most.
    Text(String),
    /// All of it.
    Settings(Box<T>),
    /// Neither. Kept until `build`, which knows its exact place.
    Other,
}

/// What a [`Short`] is, for its errors and its schema.
pub(super) trait Shortened: for<'de> Deserialize<'de> + JsonSchema {
    /// What is expected, in words.
    const EXPECTS: &'static str;
}

impl<'de, T: Shortened> Deserialize<'de> for Short<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visit<T>(PhantomData<T>);
        impl<'de, T: Shortened> Visitor<'de> for Visit<T> {
            type Value = Short<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(T::EXPECTS)
            }
            fn visit_str<E>(self, text: &str) -> Result<Short<T>, E> {
                Ok(Short::Text(text.to_owned()))
            }
            fn visit_u64<E>(self, _: u64) -> Result<Short<T>, E> {
                Ok(Short::Other)
            }
            fn visit_i64<E>(self, _: i64) -> Result<Short<T>, E> {
                Ok(Short::Other)
            }
            fn visit_f64<E>(self, _: f64) -> Result<Short<T>, E> {
                Ok(Short::Other)
            }
            fn visit_bool<E>(self, _: bool) -> Result<Short<T>, E> {
                Ok(Short::Other)
            }
            fn visit_unit<E>(self) -> Result<Short<T>, E> {
                Ok(Short::Other)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Short<T>, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Short::Other)
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Short<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(|settings| Short::Settings(Box::new(settings)))
            }
        }
        from.deserialize_any(Visit(PhantomData))
    }
}

impl<T: Shortened> JsonSchema for Short<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("Short{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({"anyOf": [{"type": "string"}, generator.subschema_for::<T>()]})
    }
}

/// How the health of an app is asked for.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "the settings of health: path, host, headers, dialect, verify, ca")]
#[schemars(rename = "health")]
pub(super) struct RawHealth {
    /// The path of the endpoint: /api/health/.
    pub path: Opt<At<String>>,
    /// The Host that its pods are told: app.example.org.
    pub host: Opt<At<String>>,
    /// Headers for its pods and for its `url`; what is secret by reference.
    pub headers: Entries<At<RawValue>>,
    /// The form of the answer, where it is not recognised by itself.
    pub dialect: Opt<At<Dialect>>,
    /// false: the certificate of its `url` is not verified, and every answer warns of it.
    pub verify: Opt<At<bool>>,
    /// The authority that signed the certificate of its `url`, in PEM form; without it, those of this machine.
    pub ca: Opt<At<RawValue>>,
}

impl Shortened for RawHealth {
    const EXPECTS: &'static str = "a path (/api/health/), or the settings of health: path, host, headers, dialect, verify, ca";
}

/// A further URL of an app.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "a URL with its settings: url, path, host, headers, dialect, verify, ca")]
#[schemars(rename = "app_url")]
pub(super) struct RawUrl {
    /// The URL: https://10.0.3.7 asks this one machine.
    pub url: Opt<At<String>>,
    /// The path, in place of that of `health`.
    pub path: Opt<At<String>>,
    /// The Host that it is told, and the name that its certificate has to have, in place of that of the URL.
    pub host: Opt<At<String>>,
    /// Headers for this URL alone.
    pub headers: Entries<At<RawValue>>,
    /// The form of the answer, in place of that of `health`.
    pub dialect: Opt<At<Dialect>>,
    /// false: its certificate is not verified, and every answer warns of it.
    pub verify: Opt<At<bool>>,
    /// The authority that signed its certificate, in PEM form; without it, those of this machine.
    pub ca: Opt<At<RawValue>>,
}

impl Shortened for RawUrl {
    const EXPECTS: &'static str = "a URL, or one with its settings: url, path, host, headers, dialect, verify, ca";
}

/// The forms in which endpoints say how they are, as flags, the configuration and JSON name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "dialect")]
pub enum Dialect {
    /// `{"status": "healthy", "db": "ok"}`.
    Flat,
    /// `{"status": "ready", "checks": {"db": "ok"}}`.
    Nested,
    /// django-health-check, 3 and 4.
    DjangoHealthCheck,
    /// Dockerflow's `/__heartbeat__`.
    Dockerflow,
    /// `[+]etcd ok`.
    Kubernetes,
    /// `application/health+json`.
    Ietf,
    /// Spring's actuator.
    Spring,
    /// ASP.NET.
    AspNet,
    /// `{"db": true}`, `{"db": {"healthy": true}}`.
    Booleans,
    /// A word.
    Text,
    /// Nothing but the status.
    Empty,
}

impl Dialect {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Flat,
        Self::Nested,
        Self::DjangoHealthCheck,
        Self::Dockerflow,
        Self::Kubernetes,
        Self::Ietf,
        Self::Spring,
        Self::AspNet,
        Self::Booleans,
        Self::Text,
        Self::Empty,
    ];
    /// Its name in flags, in the configuration and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Flat => "flat",
            Self::Nested => "nested",
            Self::DjangoHealthCheck => "django-health-check",
            Self::Dockerflow => "dockerflow",
            Self::Kubernetes => "kubernetes",
            Self::Ietf => "ietf",
            Self::Spring => "spring",
            Self::AspNet => "asp-net",
            Self::Booleans => "booleans",
            Self::Text => "text",
            Self::Empty => "empty",
        }
    }
    /// The one of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|d| d.name() == name)
    }
}

/// How one place is asked how it is.
#[derive(Clone, Debug, Default)]
pub struct HealthSettings {
    /// The path.
    pub path: Option<String>,
    /// What stands in the request's Host, in place of what leads there.
    pub host: Option<String>,
    /// Further headers. Their values may be secret, and are meant for this place alone.
    pub headers: Vec<(http::HeaderName, Sourced<SecretRef>)>,
    /// The form of the answer.
    pub dialect: Option<Dialect>,
    /// Whether the certificate is verified.
    pub verify: Option<bool>,
    /// Who may have signed it.
    pub ca: Option<Sourced<SecretRef>>,
}

impl HealthSettings {
    /// All values that may stand elsewhere.
    pub fn values(&self) -> impl Iterator<Item = &Sourced<SecretRef>> {
        self.headers.iter().map(|(_, value)| value).chain(&self.ca)
    }
}

/// A URL of an app, and how it is asked.
#[derive(Clone, Debug)]
pub struct AppUrl {
    /// The URL.
    pub url: String,
    /// How it is asked.
    pub health: HealthSettings,
}

/// The parts that an app and a URL of it have in common.
struct Asked<'r> {
    path: &'r Opt<At<String>>,
    host: &'r Opt<At<String>>,
    headers: &'r Entries<At<RawValue>>,
    dialect: &'r Opt<At<Dialect>>,
    verify: &'r Opt<At<bool>>,
    ca: &'r Opt<At<RawValue>>,
}

/// Headers that say how the bytes are framed, or which are somebody else's: a second one would make another request of it.
const OURS: &[(&str, &str)] = &[
    ("host", "the Host has a key of its own: host"),
    ("connection", "how the connection is made is not the file's to say"),
    ("content-length", "a question has no body"),
    ("transfer-encoding", "a question has no body"),
    ("te", "how the connection is made is not the file's to say"),
    ("upgrade", "how the connection is made is not the file's to say"),
    ("proxy-authorization", "a proxy's password stands in HTTPS_PROXY or http_proxy"),
    ("accept-encoding", "bodies are asked for as they are, not compressed"),
];

impl Builder<'_> {
    /// How the health of an app is asked for. `has_pods`: whether it is more than a URL.
    pub(super) fn health(&mut self, key: &Safe, raw: &Opt<At<Short<RawHealth>>>, has_pods: bool) -> HealthSettings {
        let Some(At { value, place }) = &raw.0 else { return HealthSettings::default() };
        match value {
            Short::Text(text) => {
                let at = At { value: text.clone(), place: *place };
                HealthSettings { path: self.path_at(key.clone(), &at), ..HealthSettings::default() }
            }
            Short::Other => self.refuse(*place, safe!("expected {}", RawHealth::EXPECTS)).unwrap_or_default(),
            Short::Settings(raw) => {
                let RawHealth { path, host, headers, dialect, verify, ca } = &**raw;
                if let Some(at) = host.0.as_ref().filter(|_| !has_pods) {
                    let what = "health.host is what pods are told, and this app has none: urls: [{url: …, host: …}]";
                    return self.refuse(at.place, what).unwrap_or_default();
                }
                self.asked(key, &Asked { path, host, headers, dialect, verify, ca })
            }
        }
    }

    /// The URLs of an app: `url`, which is asked as its health says, and the further ones, which take the path and the dialect from there.
    pub(super) fn urls(
        &mut self,
        key: &dyn Fn(&'static str) -> Safe,
        url: &Opt<At<String>>,
        more: &[At<Short<RawUrl>>],
        health: &HealthSettings,
    ) -> Vec<AppUrl> {
        // The Host is for pods: whoever has a URL has its name.
        let first = url.0.as_ref().and_then(|at| self.url(key("url"), at));
        let mut all: Vec<AppUrl> =
            first.map(|url| AppUrl { url, health: HealthSettings { host: None, ..health.clone() } }).into_iter().collect();
        for entry in more {
            all.extend(self.further(&key("urls"), entry, health));
        }
        all
    }

    fn further(&mut self, key: &Safe, At { value, place }: &At<Short<RawUrl>>, health: &HealthSettings) -> Option<AppUrl> {
        let inherited = || HealthSettings { path: health.path.clone(), dialect: health.dialect, ..HealthSettings::default() };
        let raw = match value {
            Short::Text(text) => {
                let url = self.url(key.clone(), &At { value: text.clone(), place: *place })?;
                return Some(AppUrl { url, health: inherited() });
            }
            Short::Other => return self.refuse(*place, safe!("expected {}", RawUrl::EXPECTS)),
            Short::Settings(raw) => raw,
        };
        let RawUrl { url, path, host, headers, dialect, verify, ca } = &**raw;
        let Some(url) = &url.0 else { return self.refuse(*place, "url is missing: {url: https://10.0.3.7, host: app.example.org}") };
        let url = self.url(key.clone(), url)?;
        let own = self.asked(key, &Asked { path, host, headers, dialect, verify, ca });
        let inherited = inherited();
        let health = HealthSettings { path: own.path.or(inherited.path), dialect: own.dialect.or(inherited.dialect), ..own };
        Some(AppUrl { url, health })
    }

    fn asked(&mut self, key: &Safe, raw: &Asked<'_>) -> HealthSettings {
        let of = |part: &'static str| safe!("{}.{}", *key, part);
        HealthSettings {
            path: raw.path.0.as_ref().and_then(|at| self.path_at(of("path"), at)),
            host: raw.host.0.as_ref().and_then(|at| self.host_at(of("host"), at)),
            headers: raw.headers.0.iter().filter_map(|(name, value)| self.header(key, name, value)).collect(),
            dialect: raw.dialect.0.as_ref().map(|at| {
                let from = self.origin(at.place);
                self.record(of("dialect"), at.value.name().into(), from, Vec::new());
                at.value
            }),
            verify: raw.verify.0.as_ref().and_then(|at| self.verify(of("verify"), at)),
            ca: raw.ca.0.as_ref().and_then(|at| self.pem(of("ca"), at, false)),
        }
    }

    fn path_at(&mut self, key: Safe, at: &At<String>) -> Option<String> {
        let text = self.text(key, at)?.value;
        // A space or a line end would end the request's first line.
        let good = text.starts_with('/') && !text.starts_with("//") && text.parse::<http::uri::PathAndQuery>().is_ok();
        self.unless(good, at.place, "a health endpoint is a path that begins with /: /api/health/")?;
        Some(text)
    }

    fn host_at(&mut self, key: Safe, at: &At<String>) -> Option<String> {
        let text = self.text(key, at)?.value;
        let good = text.parse::<http::uri::Authority>().is_ok_and(|a| !a.as_str().contains('@') && !a.host().is_empty());
        self.unless(good, at.place, "a host is a name, with its port where that is unusual: app.example.org")?;
        Some(text)
    }

    fn header(&mut self, key: &Safe, name: &At<String>, value: &At<RawValue>) -> Option<(http::HeaderName, Sourced<SecretRef>)> {
        let Ok(parsed) = http::HeaderName::from_bytes(name.value.as_bytes()) else {
            return self.refuse(name.place, "no name of a header: X-Api-Key");
        };
        if let Some((_, why)) = OURS.iter().find(|(ours, _)| parsed == *ours) {
            return self.refuse(name.place, *why);
        }
        let before = self.literal_secrets.len();
        let key = safe!("{}.headers.{}", *key, Safe::name(&name.value));
        // Nobody but its writer knows whether it is secret: it is never shown.
        let value = self.value(key, value, true)?;
        if !is_secret(&parsed) {
            self.literal_secrets.truncate(before);
        }
        Some((parsed, value))
    }

    /// Whether a server is verified. What is secret would go to whoever answers, so that only a trusted file says no.
    pub(super) fn verify(&mut self, key: Safe, at: &At<bool>) -> Option<bool> {
        if !at.value && !self.may_now(at.place, "turns off the verification of a server", &key) {
            return None;
        }
        let from = self.origin(at.place);
        self.record(key, if at.value { "true" } else { "false" }.into(), from, Vec::new());
        Some(at.value)
    }
}

/// Whether a header of this name holds a secret, as logs are judged too.
fn is_secret(name: &http::HeaderName) -> bool {
    const SOME: &str = "planted";
    Redactor::default().field(name.as_str(), SOME).as_str() != SOME
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dialect_has_one_name_everywhere() {
        let schema = schemars::schema_for!(Dialect).to_value().to_string();
        for dialect in Dialect::ALL {
            assert_eq!(serde_json::to_value(dialect).unwrap(), dialect.name());
            assert_eq!(Dialect::parse(dialect.name()), Some(dialect));
            assert!(schema.contains(&format!("\"{}\"", dialect.name())), "{schema}");
        }
    }

    #[test]
    fn headers_that_hold_secrets_are_known_by_name() {
        for (name, is) in [("authorization", true), ("cookie", true), ("x-api-key", true), ("x-forwarded-proto", false), ("accept", false)]
        {
            assert_eq!(is_secret(&http::HeaderName::from_static(name)), is, "{name}");
        }
    }
}
