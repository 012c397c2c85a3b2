//! One pass over the text of a JSON document: members and elements in their order, values as slices of the text. Keeps no stack, so that
//! a document may be nested as deep as it likes; a value that nobody wants is stepped over, not built.

use crate::{
    error::{Error, Kind, Result},
    safe,
};
use std::borrow::Cow;

/// A place in a JSON text.
pub(super) struct JsonPass<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> JsonPass<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, at: 0 }
    }

    /// The first byte of what comes next.
    pub(super) fn peek(&mut self) -> Option<u8> {
        let rest = self.text.as_bytes().get(self.at..)?;
        let space = rest.iter().take_while(|b| matches!(b, b' ' | b'\n' | b'\t' | b'\r')).count();
        self.at += space;
        rest.get(space).copied()
    }

    /// Steps over this byte.
    ///
    /// # Errors
    /// `Protocol` where something else comes.
    pub(super) fn expect(&mut self, byte: u8) -> Result<()> {
        if self.peek() != Some(byte) {
            return Err(self.broken());
        }
        self.at += 1;
        Ok(())
    }

    /// The key of the next member of an object, whose opening brace or last value has just been read; none at its end, which is read too.
    pub(super) fn member(&mut self) -> Result<Option<Cow<'t, str>>> {
        if self.is_over(b'{', b'}')? {
            return Ok(None);
        }
        if self.peek() != Some(b'"') {
            return Err(self.broken());
        }
        let (raw, plain) = self.string()?;
        // Between the quotes, which are a byte each.
        let key = if plain { raw.get(1..raw.len() - 1).map(Cow::Borrowed) } else { text_of(raw) };
        let key = key.ok_or_else(|| self.broken())?;
        self.expect(b':')?;
        Ok(Some(key))
    }

    /// Whether a list, whose opening bracket or last element has just been read, has one more; its end is read.
    pub(super) fn element(&mut self) -> Result<bool> {
        self.is_over(b'[', b']').map(|over| !over)
    }

    fn is_over(&mut self, open: u8, close: u8) -> Result<bool> {
        let first = self.text.as_bytes().get(self.at.wrapping_sub(1)) == Some(&open);
        match self.peek() {
            Some(byte) if byte == close => self.at += 1,
            Some(_) if first => return Ok(false),
            Some(b',') => {
                self.at += 1;
                return Ok(false);
            }
            _ => return Err(self.broken()),
        }
        Ok(true)
    }

    /// Steps over a value of any kind and gives its text.
    pub(super) fn value(&mut self) -> Result<&'t str> {
        match self.peek() {
            Some(b'"') => self.string().map(|(raw, _)| raw),
            Some(b'{' | b'[') => {
                let start = self.at;
                let mut depth = 0_usize;
                while let Some(byte) = self.text.as_bytes().get(self.at) {
                    match byte {
                        b'"' => {
                            self.string()?;
                            continue;
                        }
                        b'{' | b'[' => depth += 1,
                        b'}' | b']' => depth -= 1,
                        _ => {}
                    }
                    self.at += 1;
                    if depth == 0 {
                        return Ok(self.since(start));
                    }
                }
                Err(self.broken())
            }
            Some(byte) if byte.is_ascii_alphanumeric() || byte == b'-' => {
                let start = self.at;
                let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
                self.at += rest.iter().take_while(|b| b.is_ascii_alphanumeric() || b"+-.".contains(b)).count();
                Ok(self.since(start))
            }
            _ => Err(self.broken()),
        }
    }

    /// Steps over a string, with its quotes; also whether nothing in it is escaped.
    fn string(&mut self) -> Result<(&'t str, bool)> {
        let start = self.at;
        self.at += 1;
        let mut plain = true;
        loop {
            let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
            match memchr::memchr2(b'"', b'\\', rest).map(|at| (at, rest.get(at) == Some(&b'"'))) {
                Some((at, true)) => {
                    self.at += at + 1;
                    return Ok((self.since(start), plain));
                }
                // What is escaped is stepped over with its backslash.
                Some((at, false)) => {
                    self.at += at + 2;
                    plain = false;
                }
                None => {
                    self.at = self.text.len();
                    return Err(self.broken());
                }
            }
        }
    }

    fn since(&self, start: usize) -> &'t str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// That the document ends or breaks here.
    pub(super) fn broken(&self) -> Error {
        let before = self.text.as_bytes().get(..self.at).unwrap_or(self.text.as_bytes());
        let line = before.iter().filter(|b| **b == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|b| **b != b'\n').count() + 1;
        Error::new(Kind::Protocol, "reading a plan").what(safe!("no plan in JSON: line {}, column {}", line, column))
    }
}

/// What a JSON string says; none where the text is none.
pub(super) fn text_of(raw: &str) -> Option<Cow<'_, str>> {
    let [b'"', inner @ .., b'"'] = raw.as_bytes() else { return None };
    match inner.contains(&b'\\') {
        false => raw.get(1..raw.len() - 1).map(Cow::Borrowed),
        true => serde_json::from_str(raw).ok().map(Cow::Owned),
    }
}

/// The number that a JSON value is, or that its string holds.
pub(super) fn number_of(raw: &str) -> Option<f64> {
    let digits = match text_of(raw) {
        Some(text) => text.trim().parse().ok()?,
        None => match raw.as_bytes() {
            [b'0'..=b'9' | b'-', ..] => raw.parse().ok()?,
            _ => return None,
        },
    };
    Some(digits).filter(|n: &f64| n.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    /// The same value, built from the pieces that a pass gives.
    fn again(pass: &mut JsonPass<'_>) -> Value {
        match pass.peek() {
            Some(b'{') => {
                pass.expect(b'{').expect("an object");
                let mut map = serde_json::Map::new();
                while let Some(key) = pass.member().expect("a member") {
                    map.insert(key.into_owned(), again(pass));
                }
                Value::Object(map)
            }
            Some(b'[') => {
                pass.expect(b'[').expect("a list");
                let mut list = Vec::new();
                while pass.element().expect("an element") {
                    list.push(again(pass));
                }
                Value::Array(list)
            }
            _ => serde_json::from_str(pass.value().expect("a value")).expect("of JSON"),
        }
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from)
        ];
        leaf.prop_recursive(5, 40, 5, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                proptest::collection::btree_map(".{0,6}", inner, 0..5).prop_map(|map| Value::Object(map.into_iter().collect()))
            ]
        })
    }

    proptest! {
        #[test]
        fn every_document_is_read_as_what_it_is(value in json(), pretty in any::<bool>()) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.expect("JSON");
            let value: Value = serde_json::from_str(&text).expect("JSON");
            prop_assert_eq!(again(&mut JsonPass::new(&text)), value);
            let mut pass = JsonPass::new(&text);
            prop_assert_eq!(pass.value().expect("a value"), text.as_str());
            prop_assert_eq!(pass.peek(), None);
        }

        #[test]
        fn no_text_is_too_odd(text in "[\\[\\]{}\",:\\\\0-9a-z\n ü]{0,40}") {
            let mut pass = JsonPass::new(&text);
            while pass.value().is_ok() || pass.member().is_ok_and(|key| key.is_some()) {}
            prop_assert!(pass.broken().to_string().contains("line"));
        }
    }

    #[test]
    fn where_it_breaks_is_said() {
        let mut pass = JsonPass::new("{\"a\": 1,\n  \"b\" 2}");
        pass.expect(b'{').expect("an object");
        while let Ok(Some(_)) = pass.member() {
            pass.value().expect("a value");
        }
        assert!(pass.broken().to_string().contains("line 2, column 7"), "{}", pass.broken());
    }

    #[test]
    fn numbers_are_read_in_and_out_of_quotes() {
        let read = ["1", "-2.5e3", "\" 7 \"", "\"x\"", "null", "inf", "1e999", "-", "true"].map(number_of);
        assert_eq!(read, [Some(1.0), Some(-2_500.0), Some(7.0), None, None, None, None, None, None]);
    }
}
