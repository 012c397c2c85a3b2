//! One comparison: `oldest > 5m`, `status == 200`, `connections range 0:90%`. Typed: what cannot be compared is found when it is read.

use super::{
    kind::{CheckKind, FigureKind},
    model::{Figure, Quantity, Unit, amount},
    range::Range,
};
use crate::{
    config::nearest,
    safe,
    text::{Safe, units},
};
use regex::Regex;

/// A comparison of one figure.
#[derive(Clone, Debug)]
pub struct Threshold {
    /// The figure's name: of the kind's own, or `$.path`, `header name`.
    pub figure: String,
    /// Its unit.
    pub unit: Unit,
    /// The comparison.
    pub is: Relation,
    /// As it was written.
    pub says: Safe,
}

/// How a figure is compared.
#[derive(Clone, Debug)]
pub enum Relation {
    /// With a number, by this order.
    Number(Versus, f64),
    /// Outside of the range (with `@`: inside).
    Range(Range),
    /// The same words, or (false) other ones.
    Same(String, bool),
    /// Words that match, or (false) do not.
    Matches(Regex, bool),
}

/// An order of two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Versus {
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    More,
    /// `>=`
    AtLeast,
    /// `==`
    Equal,
    /// `!=`
    Other,
}

/// Longer ones first, so that `<=` is not read as `<`.
const WORDS: [&str; 9] = ["<=", ">=", "==", "!=", "=~", "!~", "<", ">", "range "];

impl Threshold {
    /// Reads one for a kind of check.
    ///
    /// # Errors
    /// A sentence about what is wrong; it quotes what was written, which holds no secret.
    pub fn parse(text: &str, kind: &CheckKind) -> Result<Self, Safe> {
        let text = text.trim();
        let (name, word, value) =
            split(text).ok_or_else(|| safe!("no comparison: {}", example(kind.figures().first().copied().unwrap_or(NONE))))?;
        let (name, unit) = named(name, value, kind)?;
        let is = relation(word, value, unit).map_err(|why| safe!("{}: {}", Safe::name(&name), why))?;
        Ok(Self { figure: name, unit, is, says: Safe::name(text) })
    }

    /// Whether a figure is of this threshold.
    pub fn of(&self, figure: &Figure) -> bool {
        figure.name.as_str() == self.figure
    }

    /// Whether the comparison holds. None: there is nothing to compare, a word in place of a number.
    pub fn holds(&self, figure: &Figure) -> Option<bool> {
        match (&self.is, &figure.value) {
            (Relation::Number(order, bound), Quantity::Number(n)) if n.is_finite() => Some(order.holds(*n, *bound)),
            (Relation::Range(range), Quantity::Number(n)) if n.is_finite() => Some(range.alerts(*n)),
            (Relation::Number(order, bound), Quantity::Text(text)) => text.trim().parse::<f64>().ok().map(|n| order.holds(n, *bound)),
            (Relation::Range(range), Quantity::Text(text)) => text.trim().parse::<f64>().ok().map(|n| range.alerts(n)),
            (Relation::Same(wanted, same), value) => Some((words(value).as_str() == wanted) == *same),
            (Relation::Matches(regex, matches), value) => Some(regex.is_match(&words(value)) == *matches),
            _ => None,
        }
    }

    /// The range outside of which it alerts when holding is bad news (`bad`), or when not holding is. None: it compares words.
    pub fn range(&self, bad: bool) -> Option<Range> {
        let inf = f64::INFINITY;
        let range = match &self.is {
            Relation::Range(range) => *range,
            Relation::Number(order, n) => match order {
                Versus::More => Range { start: -inf, end: *n, inside: false },
                Versus::AtLeast => Range { start: *n, end: inf, inside: true },
                Versus::Less => Range { start: *n, end: inf, inside: false },
                Versus::AtMost => Range { start: -inf, end: *n, inside: true },
                Versus::Equal => Range { start: *n, end: *n, inside: true },
                Versus::Other => Range { start: *n, end: *n, inside: false },
            },
            Relation::Same(..) | Relation::Matches(..) => return None,
        };
        Some(Range { inside: range.inside == bad, ..range })
    }

    /// The opposite, for people: of `> 5m`, `≤ 5m`.
    pub fn opposite(&self) -> Safe {
        let name = safe!("{}", Safe::name(&self.figure));
        match &self.is {
            Relation::Number(order, n) => {
                let word = match order {
                    Versus::Less => "≥",
                    Versus::AtMost => ">",
                    Versus::More => "≤",
                    Versus::AtLeast => "<",
                    Versus::Equal => "not",
                    Versus::Other => "=",
                };
                safe!("{} {} {}", name, word, amount(*n, self.unit))
            }
            Relation::Range(range) => {
                safe!("{} {} {}", name, if range.inside { "outside" } else { "within" }, Range { inside: false, ..*range }.says())
            }
            Relation::Same(wanted, same) => safe!("{} {} {}", name, if *same { "not" } else { "=" }, Safe::name(wanted)),
            Relation::Matches(regex, matches) => {
                safe!("{} {} {}", name, if *matches { "unlike" } else { "like" }, Safe::name(regex.as_str()))
            }
        }
    }
}

impl Versus {
    fn holds(self, n: f64, bound: f64) -> bool {
        match self {
            Self::Less => n < bound,
            Self::AtMost => n <= bound,
            Self::More => n > bound,
            Self::AtLeast => n >= bound,
            Self::Equal => n == bound,
            Self::Other => n != bound,
        }
    }
}

const NONE: FigureKind = FigureKind { name: "value", unit: Unit::Number, says: "" };

fn words(value: &Quantity) -> String {
    match value {
        Quantity::Text(text) => text.to_string(),
        Quantity::Number(n) => n.to_string(),
    }
}

/// The name before the comparison, the comparison, and what stands behind it. A JSONPath may hold comparisons in brackets.
fn split(text: &str) -> Option<(&str, &'static str, &str)> {
    let mut depth = 0usize;
    let mut quoted: Option<char> = None;
    for (at, c) in text.char_indices() {
        match (quoted, c) {
            (Some(quote), c) if c == quote => quoted = None,
            (Some(_), _) => continue,
            (None, '\'' | '"') if text.starts_with('$') => quoted = Some(c),
            (None, '[' | '(') => depth += 1,
            (None, ']' | ')') => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > 0 || quoted.is_some() {
            continue;
        }
        let rest = text.get(at..).unwrap_or_default();
        // `range` is a word of its own, not the end of one.
        let begins = |word: &&&str| {
            rest.starts_with(**word) && (!word.starts_with('r') || text.get(..at).is_none_or(|b| b.is_empty() || b.ends_with(' ')))
        };
        if let Some(word) = WORDS.iter().find(begins) {
            let (before, behind) = (text.get(..at)?.trim(), rest.strip_prefix(*word)?.trim());
            return (!behind.is_empty()).then_some((before, *word, behind));
        }
    }
    None
}

/// The figure that is meant, and its unit.
fn named(name: &str, value: &str, kind: &CheckKind) -> Result<(String, Unit), Safe> {
    if name.is_empty() {
        let first = kind.figures().first().copied().unwrap_or(NONE);
        return Ok((first.name.to_owned(), kind.figure(first.name).map_or(first.unit, |f| f.unit)));
    }
    let dynamic = name.starts_with('$') || name.starts_with("header ");
    if dynamic && kind.reads_bodies() {
        if name.starts_with('$') {
            jsonpath_rust::parser::parse_json_path(name).map_err(|_| safe!("{} is no JSONPath", Safe::name(name)))?;
        }
        let name = name.strip_prefix("header ").map_or(name.to_owned(), |header| format!("header {}", header.trim().to_ascii_lowercase()));
        let number = value.parse::<f64>().is_ok();
        return Ok((name, if number { Unit::Number } else { Unit::Text }));
    }
    if let Some(figure) = kind.figure(name) {
        return Ok((name.to_owned(), figure.unit));
    }
    let known: Vec<&'static str> = kind.figures().iter().map(|f| f.name).collect();
    Err(match nearest(name, known.iter().copied()) {
        Some(near) => safe!("{} has no `{}`: did you mean `{}`?", kind.word(), Safe::name(name), Safe::name(near)),
        None => {
            let all: Vec<Safe> = known.iter().map(|k| Safe::from(*k)).collect();
            safe!("{} has no `{}`; it has {}", kind.word(), Safe::name(name).clipped(40), Safe::join(&all, ", "))
        }
    })
}

fn relation(word: &str, value: &str, unit: Unit) -> Result<Relation, Safe> {
    let order = match word {
        "<" => Versus::Less,
        "<=" => Versus::AtMost,
        ">" => Versus::More,
        ">=" => Versus::AtLeast,
        "==" => Versus::Equal,
        "!=" => Versus::Other,
        "=~" | "!~" => {
            let regex = Regex::new(unquoted(value)).map_err(|_| Safe::from("no regular expression"))?;
            return match unit {
                Unit::Text | Unit::Number => Ok(Relation::Matches(regex, word == "=~")),
                _ => Err(safe!("a {} is no text: compare it with <, <=, >, >=, == or !=", noun(unit))),
            };
        }
        _ if unit == Unit::Text => return Err("words are in no range: compare them with ==, !=, =~ or !~".into()),
        _ => {
            let range = Range::parse_with(value, |end| read(end, unit).ok());
            return range.map(Relation::Range).ok_or_else(|| safe!("no range: [@]start:end, each end as in {}", example_of(unit)));
        }
    };
    match (unit, order) {
        (Unit::Text, Versus::Equal | Versus::Other) => Ok(Relation::Same(unquoted(value).to_owned(), order == Versus::Equal)),
        (Unit::Text, _) => Err("words are not more or less: compare them with ==, !=, =~ or !~".into()),
        (Unit::Flag, Versus::Less | Versus::AtMost | Versus::More | Versus::AtLeast) => {
            Err("yes and no are not more or less: == or !=".into())
        }
        _ => read(value, unit).map(|n| Relation::Number(order, n)),
    }
}

fn unquoted(value: &str) -> &str {
    let inner = |quote| value.strip_prefix(quote).and_then(|v| v.strip_suffix(quote));
    inner('"').or_else(|| inner('\'')).unwrap_or(value)
}

/// A value in the unit of its figure.
fn read(value: &str, unit: Unit) -> Result<f64, Safe> {
    let value = unquoted(value);
    let plain = || value.parse::<f64>().ok().filter(|n| n.is_finite());
    let nought = || plain().filter(|n| *n == 0.0);
    let found = match unit {
        Unit::Count => plain().filter(|n| *n >= 0.0 && n.fract() == 0.0).or_else(|| plain().filter(|n| *n < 0.0)),
        Unit::Number => plain(),
        Unit::Seconds => nought().or_else(|| units::parse_duration(value).map(|d| d.as_secs_f64())),
        Unit::Bytes => nought()
            .or_else(|| value.ends_with(|c: char| c.is_ascii_alphabetic()).then(|| units::parse_bytes(value)).flatten().map(|n| n as f64)),
        Unit::Share => {
            nought().or_else(|| value.strip_suffix('%')?.trim().parse::<f64>().ok().filter(|n| n.is_finite()).map(|n| n / 100.0))
        }
        Unit::PerSecond => nought().or_else(|| {
            let (n, per) = value.split_once('/')?;
            let seconds = match per.trim() {
                "s" => 1.0,
                "m" | "min" => 60.0,
                "h" => 3600.0,
                _ => return None,
            };
            n.trim().parse::<f64>().ok().filter(|n| n.is_finite()).map(|n| n / seconds)
        }),
        Unit::Flag => match value {
            "yes" | "true" => Some(1.0),
            "no" | "false" => Some(0.0),
            _ => None,
        },
        Unit::Text => None,
    };
    found.ok_or_else(|| safe!("{} is no {}: {}", Safe::name(value).clipped(40), noun(unit), example_of(unit)))
}

fn noun(unit: Unit) -> &'static str {
    match unit {
        Unit::Count => "whole number",
        Unit::Number => "number",
        Unit::Seconds => "duration",
        Unit::Bytes => "size",
        Unit::Share => "share",
        Unit::PerSecond => "rate",
        Unit::Flag => "yes or no",
        Unit::Text => "text",
    }
}

fn example_of(unit: Unit) -> &'static str {
    match unit {
        Unit::Count => "1000",
        Unit::Number => "0.5",
        Unit::Seconds => "90s, 5m, 2h",
        Unit::Bytes => "512MiB, 1.5GiB",
        Unit::Share => "95%",
        Unit::PerSecond => "10/s, 5/m",
        Unit::Flag => "yes",
        Unit::Text => "ok",
    }
}

fn example(figure: FigureKind) -> Safe {
    let word = if matches!(figure.unit, Unit::Text | Unit::Flag) { "==" } else { ">" };
    let value = example_of(figure.unit).split(',').next().unwrap_or_default();
    safe!("{} {} {}", figure.name, word, Safe::name(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::kind::HttpAsk;
    use jiff::SignedDuration;
    use proptest::prelude::*;

    fn http() -> CheckKind {
        CheckKind::Http(HttpAsk {
            url: "http://x".into(),
            headers: Default::default(),
            reachable: true,
            timeout: SignedDuration::from_secs(1),
        })
    }

    fn queue(text: &str) -> Result<Threshold, Safe> {
        Threshold::parse(text, &CheckKind::Queue(Vec::new()))
    }

    #[test]
    fn compares_in_the_unit_of_the_figure() {
        let oldest = |s: f64| Figure::number("oldest", "mail", Unit::Seconds, s);
        let t = queue("oldest > 5m").expect("good");
        assert_eq!([299.0, 300.0, 300.5].map(|s| t.holds(&oldest(s))), [Some(false), Some(false), Some(true)]);
        assert_eq!(t.holds(&oldest(f64::NAN)), None);
        let t = queue("> 1h30m").expect("the first figure is meant");
        assert_eq!((t.figure.as_str(), t.holds(&oldest(5401.0))), ("oldest", Some(true)));
        let t = Threshold::parse("connections >= 90%", &CheckKind::Postgres("main".into())).expect("good");
        assert_eq!(t.holds(&Figure::number("connections", "", Unit::Share, 0.9)), Some(true));
        let t = Threshold::parse("used > 1.5GiB", &CheckKind::Redis).expect("good");
        assert_eq!(t.holds(&Figure::number("used", "", Unit::Bytes, 1_610_612_737.0)), Some(true));
        // A float is not cut to a whole number.
        let t = queue("growth <= 0.01/s").expect("good");
        assert_eq!(t.holds(&Figure::number("growth", "", Unit::PerSecond, 0.9)), Some(false));
        let t = queue("oldest range 1m:5m").expect("good");
        assert_eq!([30.0, 120.0, 301.0].map(|s| t.holds(&oldest(s))), [Some(true), Some(false), Some(true)]);
    }

    #[test]
    fn bodies_are_reached_by_path_and_header() {
        let t = Threshold::parse("$.checks[?(@.name == 'db')].status == ok", &http()).expect("good");
        assert_eq!((t.figure.as_str(), t.unit), ("$.checks[?(@.name == 'db')].status", Unit::Text));
        let t = Threshold::parse("header Content-Type =~ json", &http()).expect("good");
        assert_eq!(t.holds(&Figure::text("header content-type", "", "application/json".into())), Some(true));
        assert_eq!(Threshold::parse("$.n > 3", &http()).expect("good").holds(&Figure::text("$.n", "", "12".into())), Some(true));
        assert!(queue("$.n > 3").is_err());
    }

    #[test]
    fn what_cannot_be_compared_is_said() {
        for (text, says) in [
            ("oldest > 5", "oldest: 5 is no duration: 90s, 5m, 2h"),
            ("oldest > 5MiB", "oldest: 5MiB is no duration: 90s, 5m, 2h"),
            ("waiting > 5m", "waiting: 5m is no whole number: 1000"),
            ("waiting > 1.5", "waiting: 1.5 is no whole number: 1000"),
            ("oldst > 5m", "queue has no `oldst`: did you mean `oldest`?"),
            ("oldest =~ a", "oldest: a duration is no text: compare it with <, <=, >, >=, == or !="),
            ("oldest range 5:1", "oldest: no range: [@]start:end, each end as in 90s, 5m, 2h"),
            ("oldest", "no comparison: oldest > 90s"),
            ("oldest >", "no comparison: oldest > 90s"),
            ("", "no comparison: oldest > 90s"),
        ] {
            assert_eq!(queue(text).err().unwrap_or_default().as_str(), says, "{text}");
        }
        assert!(Threshold::parse("body > 3", &http()).is_err() && Threshold::parse("body =~ (", &http()).is_err());
        assert!(Threshold::parse("reachable > yes", &http()).is_err() && Threshold::parse("$..[ == 1", &http()).is_err());
    }

    #[test]
    fn ranges_for_performance_data_mean_the_same() {
        for (text, bad, range) in [
            ("waiting > 5", true, "~:5"),
            ("waiting >= 5", true, "@5:"),
            ("waiting < 5", true, "5:"),
            ("waiting <= 5", true, "@~:5"),
            ("waiting == 5", true, "@5:5"),
            ("waiting != 5", true, "5:5"),
            ("waiting < 5", false, "@5:"),
        ] {
            let t = queue(text).expect("good");
            let range_said = t.range(bad).expect("numbers");
            assert_eq!(range_said.says().as_str(), range, "{text}");
            for n in [0.0, 4.0, 5.0, 6.0] {
                assert_eq!(t.holds(&Figure::count("waiting", "", n as u64)), Some(range_said.alerts(n) == bad), "{text} at {n}");
            }
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,40}") {
            let _ = queue(&text);
            let _ = Threshold::parse(&text, &http());
        }
    }
}
