//! A plan as somebody saved it → its JSON: as EXPLAIN sends it, out of psql's frames, out of a CSV, out of a server's log. Only unwraps;
//! `plan` reads what is inside.

use crate::{
    answer::Hint,
    error::{Error, Kind, Result},
};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// The JSON of a saved plan, without the frame, heading and footer of the listing that it stands in.
///
/// # Errors
/// `Protocol` where there is none; the sentence says what it is instead.
pub fn json(saved: &str) -> Result<Cow<'_, str>> {
    Ok(match unwrapped(saved)? {
        Cow::Borrowed(text) => Cow::Borrowed(first_value(text)),
        Cow::Owned(text) => Cow::Owned(first_value(&text).to_owned()),
    })
}

/// The first value of a text; all of it where that is broken, so that the decoder can say how.
fn first_value(text: &str) -> &str {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
    values.next().and_then(std::result::Result::ok).map_or(text, RawValue::get)
}

/// As [`json`], with what follows it.
pub(super) fn unwrapped(saved: &str) -> Result<Cow<'_, str>> {
    let text = saved.trim_start_matches('\u{feff}').trim();
    let Some(start) = opening(text) else {
        return Err(no_json(text));
    };
    let (before, body) = text.split_at(start);
    // `psql --csv` and COPY double every quote.
    if before.ends_with('"') && body.contains("\"\"Plan\"\"") {
        return Ok(Cow::Owned(body.replace("\"\"", "\"")));
    }
    // psql's frame: each line ends in `+`, and in expanded form begins at a bar. A line of JSON itself ends in neither.
    if body.lines().next().is_some_and(|first| first.trim_end().ends_with('+')) {
        let expanded = before.lines().last().is_some_and(|line| line.contains('|'));
        return Ok(Cow::Owned(body.lines().enumerate().map(|(i, line)| unframed(line, expanded && i > 0)).collect::<Vec<_>>().join("\n")));
    }
    Ok(Cow::Borrowed(body))
}

/// Where the JSON begins: at a bracket that is followed by what a plan has next, so that a log's `[1234]` is none.
fn opening(text: &str) -> Option<usize> {
    let next = |from: usize, wanted: &[char]| {
        let rest = text.get(from..).unwrap_or_default().trim_start_matches(|c: char| c.is_whitespace() || c == '+' || c == '|');
        rest.chars().next().is_some_and(|c| wanted.contains(&c))
    };
    text.match_indices(['[', '{'])
        .find(|(at, bracket)| match *bracket {
            "{" => next(at + 1, &['"', '}']),
            _ => next(at + 1, &['{', ']']),
        })
        .map(|(at, _)| at)
}

fn unframed(line: &str, expanded: bool) -> &str {
    let line = if expanded { line.split_once('|').map_or(line, |(_, value)| value) } else { line };
    let line = line.trim_end();
    line.strip_suffix('+').unwrap_or(line)
}

fn no_json(text: &str) -> Error {
    let what = match () {
        () if text.is_empty() => "nothing is in it",
        () if text.contains("(cost=") => "a plan in text form, which does not say all that is needed",
        () if text.contains("<explain") => "a plan in XML, not in JSON",
        () if text.contains("Node Type:") => "a plan in YAML, not in JSON",
        () => "it is no JSON",
    };
    let hint = Hint::Try("EXPLAIN (ANALYZE, VERBOSE, BUFFERS, FORMAT JSON) makes what is read here".into());
    Error::new(Kind::Protocol, "reading a plan").what(what).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{postgres::decode::plan::plan, text::Redactor};

    const JSON: &str = "[\n  {\n    \"Plan\": {\n      \"Node Type\": \"Seq Scan\",\n      \"Filter\": \"(a = '+')\"\n    }\n  }\n]";

    fn read(text: &str) -> Result<String> {
        let plan = plan(text, &Redactor::default())?;
        assert_eq!(plan.nodes[0].expression("Filter").map(|f| f.to_string()).as_deref(), Some("(a = '+')"));
        Ok(plan.nodes[0].kind.clone())
    }

    #[test]
    fn all_forms_in_which_plans_are_kept() {
        let framed: String = JSON.lines().map(|line| format!(" {line:<40}+\n")).collect();
        let framed =
            format!("               QUERY PLAN               \n----------------\n{}\n(1 row)\n", framed.trim_end().trim_end_matches('+'));
        let mut lines = JSON.lines();
        let expanded: String = lines.by_ref().map(|line| format!("           | {line:<40}+\n")).collect();
        let expanded =
            format!("-[ RECORD 1 ]----\n{}", expanded.replacen("           |", "QUERY PLAN |", 1).trim_end().trim_end_matches('+'));
        let csv = format!("QUERY PLAN\n\"{}\"\n", JSON.replace('"', "\"\""));
        let logged = format!(
            "2026-11-21 18:00:00 UTC [1234] app@shop LOG:  duration: 3.651 ms  plan:\n\t{{\n\t  \"Query Text\": \"SELECT 1\",{}",
            JSON.trim_start_matches(|c: char| !c.is_alphanumeric()).replacen("Plan", "\t  \"Plan", 1).trim_end_matches(['\n', ']'])
        );
        let rows = format!("[{{\"QUERY PLAN\": {JSON}}}]");
        let alone = JSON.trim_start_matches(['[', '\n', ' ']).trim_end_matches([']', '\n']);
        for text in [JSON, &framed, &expanded, &csv, &logged, &rows, alone, &format!("\u{feff}{JSON}")] {
            assert_eq!(read(text).expect(text), "Seq Scan", "{text}");
        }
    }

    #[test]
    fn what_is_no_json_is_named() {
        for (text, says) in [
            ("", "nothing is in it"),
            ("Seq Scan on a  (cost=0.00..1.01 rows=1 width=4)", "text form"),
            ("<explain xmlns=\"http://www.postgresql.org/2009/explain\">", "XML"),
            ("- Plan: \n    Node Type: \"Seq Scan\"", "YAML"),
            ("hello", "no JSON"),
            ("[1234] hello", "no JSON"),
        ] {
            let error = plan(text, &Redactor::default()).expect_err(text).to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
