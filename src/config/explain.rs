//! The YAML parser's errors in our words. Only fixed words and known keys come through: the parser's own texts quote the file, and a
//! password may stand there.

use super::nearest;
use crate::{safe, text::Safe};
use serde_saphyr::{Error as Yaml, granit_parser::ErrorKind, localizer::ExternalMessageSource};

/// The parser's error in our words. Only fixed words and known keys come through: its own texts quote the file.
pub(super) fn explain(error: &Yaml) -> Safe {
    match error.without_snippet() {
        Yaml::SerdeUnknownField { field, expected, .. } => unknown("key", field, expected),
        Yaml::SerdeUnknownVariant { variant, expected, .. } => unknown("word", variant, expected),
        Yaml::DuplicateMappingKey { key, .. } => match key.as_deref().and_then(known_key) {
            Some(key) => safe!("the key `{}` stands here a second time", key),
            None => "this key stands here a second time".into(),
        },
        // `expected` is what the types above say of themselves; `unexpected` holds the value and stays out.
        Yaml::SerdeInvalidType { expected, .. } | Yaml::SerdeInvalidValue { expected, .. } => safe!("expected {}", Safe::name(expected)),
        Yaml::InvalidScalar { ty: "u16", .. } => "expected a whole number from 0 to 65535".into(),
        Yaml::InvalidScalar { ty: "u8", .. } => "expected a whole number from 0 to 255".into(),
        Yaml::InvalidBooleanStrict { .. } => "expected true or false".into(),
        Yaml::InvalidScalar { .. } => "expected another kind of value".into(),
        Yaml::Unexpected { expected: "mapping start", .. } => "expected settings: {key: value}, or `key: value` lines".into(),
        Yaml::Unexpected { expected: "sequence start", .. } => "expected a list: [one, two]".into(),
        Yaml::Unexpected { expected: "string scalar", .. } => "expected one text".into(),
        Yaml::Unexpected { expected, .. } => safe!("expected {}", *expected),
        Yaml::NullIntoString { .. } => "nothing stands behind this key: write a value, or leave the key out".into(),
        Yaml::UnsupportedTag { .. } | Yaml::TaggedStructFieldName { .. } => "a tag (!…) means nothing here".into(),
        Yaml::UnknownAnchor { .. } => "this alias names no anchor before it".into(),
        Yaml::MultipleDocuments { .. } => "a second document begins: one file holds one".into(),
        Yaml::Eof { .. } => "the file ends in the middle of a value".into(),
        Yaml::Budget { .. } | Yaml::AliasExpansionLimitExceeded { .. } | Yaml::AliasReplayLimitExceeded { .. } => {
            "nested too deeply, or too many aliases".into()
        }
        Yaml::AliasError { error, .. } => explain(error),
        Yaml::ExternalMessage { source, .. } => match &**source {
            ExternalMessageSource::Parser(scan) => syntax(scan.kind()).into(),
            _ => "not valid YAML".into(),
        },
        _ => "not what the configuration can hold here (its form: obsctl config schema)".into(),
    }
}

/// An unknown word is shown only where it is nearly a known one: `password: {hunter2}` is a key too.
fn unknown(what: &'static str, found: &str, expected: &[&'static str]) -> Safe {
    match nearest(found, expected.iter().copied()) {
        Some(near) => safe!("unknown {} `{}`: did you mean `{}`?", what, Safe::name(found), Safe::name(near)),
        None => {
            let all: Vec<Safe> = expected.iter().map(|e| Safe::from(*e)).collect();
            safe!("unknown {}: here stands one of {}", what, Safe::join(&all, ", "))
        }
    }
}

fn known_key(found: &str) -> Option<&'static str> {
    const KEYS: [&str; 60] = [
        "default_environment",
        "environments",
        "kube",
        "apps",
        "postgres",
        "broker",
        "results",
        "request_id_fields",
        "timezone",
        "deadline",
        "context",
        "namespace",
        "kubeconfig",
        "selector",
        "workload",
        "container",
        "port",
        "health",
        "url",
        "files",
        "host",
        "user",
        "password",
        "dbname",
        "db",
        "via",
        "django_db",
        "file",
        "command",
        "secret",
        "config_map",
        "key",
        "main",
        "relay",
        "ca",
        "cert",
        "verify",
        "master_name",
        "sentinel_user",
        "sentinel_password",
        "visibility_timeout",
        "key_prefix",
        "priority_steps",
        "sep",
        "unacked_key",
        "unacked_index_key",
        "queues",
        "thresholds",
        "oldest_warning",
        "oldest_failed",
        "growing_oldest_failed",
        "empty_in_warning",
        "stuck_after",
        "env",
        "urls",
        "path",
        "headers",
        "dialect",
        "windows",
        "channels",
    ];
    KEYS.into_iter().find(|known| *known == found)
}

fn syntax(kind: &ErrorKind) -> &'static str {
    use ErrorKind as K;
    match kind {
        K::TabNotAllowed | K::TabInBlockIndentation | K::TabInIndentation | K::TabInPlainScalar | K::TabAtBlockScalarStart => {
            "not valid YAML: a tab where spaces belong"
        }
        K::UnclosedQuotedScalar => "not valid YAML: a quote is not closed",
        K::UnclosedFlowCollection { .. } | K::UnexpectedEofFlowMapping | K::UnexpectedEofFlowSequence => {
            "not valid YAML: a bracket is not closed"
        }
        K::ExpectedFlowMappingSeparator | K::ExpectedFlowSequenceSeparator => "not valid YAML: a comma or a closing bracket is missing",
        K::InvalidIndentation | K::InvalidBlockScalarIndent | K::InvalidFlowScalarIndent => {
            "not valid YAML: the indentation fits no line above"
        }
        K::InvalidQuotedScalarIndent => "not valid YAML: a quote is not closed, or its next line is not indented",
        K::MappingValueNotAllowed => "not valid YAML: a second `key:` in one line; put the value in quotes",
        K::SimpleKeyExpected | K::ExpectedBlockMappingKey => "not valid YAML: expected `key: value`",
        K::UnknownAnchor => "this alias names no anchor before it",
        K::RecursionLimitExceeded => "nested too deeply",
        _ => "not valid YAML",
    }
}
