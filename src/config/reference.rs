//! A value of the file that may stand elsewhere, in its raw form: a literal, or the reference to a file, a command or an object of the
//! cluster. Resolves nothing.

use super::file::{At, Opt};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use secrecy::SecretString;
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};
use std::{borrow::Cow, fmt};

/// A value: written here, or a reference to where it stands.
#[derive(Clone)]
pub(super) enum RawValue {
    /// As it is, `${VAR}` not yet expanded. Secret until somebody knows that it is none.
    Text(SecretString),
    /// A whole number: a port, the number of a database.
    Number(u64),
    /// Somewhere else.
    Reference(Box<RawReference>),
    /// Nothing of that. Kept until `build`, which knows its exact place.
    Other,
}

/// A reference: `{file}`, `{command}`, `{secret, key}`, `{config_map, key}` or `{workload, env}`.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "a reference: {file}, {command}, {secret, key}, {config_map, key} or {workload, env}")]
#[schemars(rename = "reference")]
pub(super) struct RawReference {
    /// A file that holds the value alone.
    pub file: Opt<At<String>>,
    /// A command that prints the value alone.
    pub command: Opt<Vec<String>>,
    /// A Secret of the namespace.
    pub secret: Opt<At<String>>,
    /// A ConfigMap of the namespace.
    pub config_map: Opt<At<String>>,
    /// The key in the Secret or ConfigMap.
    pub key: Opt<At<String>>,
    /// A workload of the namespace: deployment/backend.
    pub workload: Opt<At<String>>,
    /// The variable that the containers of the workload get.
    pub env: Opt<At<String>>,
}

impl<'de> Deserialize<'de> for RawValue {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'de> Visitor<'de> for Visit {
            type Value = RawValue;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text (numbers and words like yes in quotes), or a reference: ")?;
                f.write_str("{file}, {command}, {secret, key}, {config_map, key}, {workload, env}")
            }
            fn visit_str<E>(self, text: &str) -> Result<RawValue, E> {
                Ok(RawValue::Text(SecretString::from(text)))
            }
            fn visit_string<E>(self, text: String) -> Result<RawValue, E> {
                Ok(RawValue::Text(SecretString::from(text)))
            }
            fn visit_u64<E>(self, number: u64) -> Result<RawValue, E> {
                Ok(RawValue::Number(number))
            }
            fn visit_i64<E>(self, _: i64) -> Result<RawValue, E> {
                Ok(RawValue::Other)
            }
            fn visit_f64<E>(self, _: f64) -> Result<RawValue, E> {
                Ok(RawValue::Other)
            }
            fn visit_bool<E>(self, _: bool) -> Result<RawValue, E> {
                Ok(RawValue::Other)
            }
            fn visit_unit<E>(self) -> Result<RawValue, E> {
                Ok(RawValue::Other)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<RawValue, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(RawValue::Other)
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawValue, A::Error> {
                RawReference::deserialize(MapAccessDeserializer::new(map)).map(|r| RawValue::Reference(Box::new(r)))
            }
        }
        from.deserialize_any(Visit)
    }
}

impl JsonSchema for RawValue {
    fn schema_name() -> Cow<'static, str> {
        "value".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A literal, ${VAR}, or a reference to where the value stands.",
            "anyOf": [{"type": ["string", "integer"]}, generator.subschema_for::<RawReference>()],
        })
    }
}
