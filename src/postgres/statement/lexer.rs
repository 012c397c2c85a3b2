//! PostgreSQL's lexer, near enough to find placeholders, comments and the end of a statement. It never decides what may run: that is the
//! server's Parse. Its tokens, joined, are the text.

use std::ops::Range;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lexeme {
    /// White space.
    Space,
    /// `-- …` or `/* … */`, nested.
    Comment,
    /// A literal in quotes or dollars, with its prefix.
    Text,
    /// `"name"`, `U&"name"`.
    QuotedName,
    /// A keyword or a name.
    Word,
    /// A number.
    Number,
    /// `$1`.
    Parameter,
    /// An operator of one or more signs.
    Operator,
    /// A bracket, a comma, a semicolon, a full stop, a colon.
    Sign,
    /// A quote, a comment or a dollar quote that never ends.
    Unfinished,
    /// Anything else.
    Stray,
}

/// PostgreSQL takes none that is longer. Each sign of a run of them may be one of its own, so no more is looked at for each.
const LONGEST_OPERATOR: usize = 64;

/// A piece of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlToken {
    /// What it is.
    pub kind: Lexeme,
    /// Where it stands, in bytes.
    pub at: Range<usize>,
}

impl SqlToken {
    /// Its text.
    pub fn text<'t>(&self, of: &'t str) -> &'t str {
        of.get(self.at.clone()).unwrap_or_default()
    }
}

/// Cuts a text into tokens. `conforming`: the server's `standard_conforming_strings`.
pub fn tokens(text: &str, conforming: bool) -> Vec<SqlToken> {
    let mut cursor = Cursor { bytes: text.as_bytes(), at: 0, conforming };
    let mut found = Vec::new();
    while cursor.at < cursor.bytes.len() {
        let start = cursor.at;
        let kind = cursor.next();
        // No byte is left behind, and none is read twice.
        cursor.at = cursor.at.clamp(start + 1, cursor.bytes.len());
        while !text.is_char_boundary(cursor.at) {
            cursor.at += 1;
        }
        found.push(SqlToken { kind, at: start..cursor.at });
    }
    found
}

struct Cursor<'t> {
    bytes: &'t [u8],
    at: usize,
    conforming: bool,
}

impl Cursor<'_> {
    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn before(&self) -> u8 {
        self.at.checked_sub(1).and_then(|at| self.bytes.get(at)).copied().unwrap_or(0)
    }

    fn next(&mut self) -> Lexeme {
        let first = self.peek(0);
        match first {
            _ if is_space(first) => self.run(Lexeme::Space, is_space),
            b'-' if self.peek(1) == b'-' => self.run(Lexeme::Comment, |b| b != b'\n' && b != b'\r'),
            b'/' if self.peek(1) == b'*' => self.block_comment(),
            b'\'' => self.quoted(0, !self.conforming),
            b'"' => self.name_in_quotes(0),
            b'e' | b'E' if self.peek(1) == b'\'' => self.quoted(1, true),
            b'n' | b'N' if self.peek(1) == b'\'' => self.quoted(1, !self.conforming),
            b'b' | b'B' | b'x' | b'X' if self.peek(1) == b'\'' => self.quoted(1, false),
            b'u' | b'U' if self.peek(1) == b'&' && self.peek(2) == b'\'' => self.quoted(2, false),
            b'u' | b'U' if self.peek(1) == b'&' && self.peek(2) == b'"' => self.name_in_quotes(2),
            b'$' => self.dollar(),
            _ if is_name_start(first) => self.run(Lexeme::Word, |b| is_name_start(b) || b.is_ascii_digit() || b == b'$'),
            b'0'..=b'9' => self.number(),
            b'.' if self.peek(1).is_ascii_digit() && self.before() != b'.' => self.number(),
            b'(' | b')' | b'[' | b']' | b',' | b';' | b'.' | b':' => {
                self.at += 1;
                Lexeme::Sign
            }
            _ if is_operator(first) => self.operator(),
            _ => {
                self.at += 1;
                Lexeme::Stray
            }
        }
    }

    fn run(&mut self, kind: Lexeme, of: impl Fn(u8) -> bool) -> Lexeme {
        self.at += self.bytes.iter().skip(self.at).take_while(|b| of(**b)).count();
        kind
    }

    fn block_comment(&mut self) -> Lexeme {
        let mut depth = 0_usize;
        while self.at < self.bytes.len() {
            match (self.peek(0), self.peek(1)) {
                (b'/', b'*') => {
                    depth += 1;
                    self.at += 2;
                }
                (b'*', b'/') => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return Lexeme::Comment;
                    }
                }
                _ => self.at += 1,
            }
        }
        Lexeme::Unfinished
    }

    /// A literal in single quotes, whose quote stands after `prefix` bytes. Literals apart by a line end are one, read the same way.
    fn quoted(&mut self, prefix: usize, escapes: bool) -> Lexeme {
        self.at += prefix + 1;
        while self.at < self.bytes.len() {
            match (self.peek(0), self.peek(1)) {
                (b'\'', b'\'') => self.at += 2,
                (b'\\', _) if escapes => self.at += 2,
                (b'\'', _) => {
                    self.at += 1;
                    match self.continued() {
                        Some(more) => self.at = more,
                        None => return Lexeme::Text,
                    }
                }
                _ => self.at += 1,
            }
        }
        Lexeme::Unfinished
    }

    /// Where a literal goes on after white space with a line end, behind its quote.
    fn continued(&self) -> Option<usize> {
        let mut lines = 0;
        let mut at = self.at;
        loop {
            match *self.bytes.get(at)? {
                b'\n' | b'\r' => lines += 1,
                b if is_space(b) => {}
                // Once a line has ended, a comment may stand in between.
                b'-' if self.bytes.get(at + 1) == Some(&b'-') && lines > 0 => {
                    at += self.bytes.iter().skip(at).take_while(|b| !matches!(**b, b'\n' | b'\r')).count();
                    continue;
                }
                b'\'' if lines > 0 => return Some(at + 1),
                _ => return None,
            }
            at += 1;
        }
    }

    fn name_in_quotes(&mut self, prefix: usize) -> Lexeme {
        self.at += prefix + 1;
        while self.at < self.bytes.len() {
            match (self.peek(0), self.peek(1)) {
                (b'"', b'"') => self.at += 2,
                (b'"', _) => {
                    self.at += 1;
                    return Lexeme::QuotedName;
                }
                _ => self.at += 1,
            }
        }
        Lexeme::Unfinished
    }

    fn dollar(&mut self) -> Lexeme {
        if self.peek(1).is_ascii_digit() {
            self.at += 1;
            return self.run(Lexeme::Parameter, |b| b.is_ascii_digit());
        }
        let tag = self.bytes.iter().skip(self.at + 1).take_while(|b| is_name_start(**b) || b.is_ascii_digit()).count() + 2;
        let Some(delimiter) = self.bytes.get(self.at..self.at + tag).filter(|d| d.last() == Some(&b'$')) else {
            self.at += 1;
            return Lexeme::Stray;
        };
        let inside = self.bytes.get(self.at + tag..).unwrap_or_default();
        match memchr::memmem::find(inside, delimiter) {
            Some(end) => {
                self.at += tag + end + tag;
                Lexeme::Text
            }
            None => {
                self.at = self.bytes.len();
                Lexeme::Unfinished
            }
        }
    }

    fn number(&mut self) -> Lexeme {
        if self.peek(0) == b'0' && matches!(self.peek(1), b'x' | b'X' | b'o' | b'O' | b'b' | b'B') && self.peek(2).is_ascii_hexdigit() {
            self.at += 2;
            return self.run(Lexeme::Number, |b| b.is_ascii_hexdigit() || b == b'_');
        }
        let digits = |b: u8| b.is_ascii_digit() || b == b'_';
        self.run(Lexeme::Number, digits);
        // `1..10` is two numbers with two full stops.
        if self.peek(0) == b'.' && self.peek(1) != b'.' {
            self.at += 1;
            self.run(Lexeme::Number, digits);
        }
        let signed = usize::from(matches!(self.peek(1), b'+' | b'-'));
        if matches!(self.peek(0), b'e' | b'E') && self.peek(1 + signed).is_ascii_digit() {
            self.at += 1 + signed;
            self.run(Lexeme::Number, digits);
        }
        Lexeme::Number
    }

    fn operator(&mut self) -> Lexeme {
        let signs = self.bytes.iter().skip(self.at).take(LONGEST_OPERATOR).take_while(|b| is_operator(**b)).count();
        let mut length = 0;
        // A comment ends an operator.
        while length < signs && !(length > 0 && matches!((self.peek(length), self.peek(length + 1)), (b'-', b'-') | (b'/', b'*'))) {
            length += 1;
        }
        let odd = |b: &u8| matches!(*b, b'~' | b'!' | b'@' | b'#' | b'%' | b'^' | b'&' | b'|' | b'`' | b'?');
        // Where none of these stands in it, none does when it is shorter.
        let first_odd = self.bytes.iter().skip(self.at).take(length).position(odd).unwrap_or(length);
        while length > 1 && matches!(self.peek(length - 1), b'+' | b'-') && first_odd >= length {
            length -= 1;
        }
        self.at += length;
        Lexeme::Operator
    }
}

fn is_space(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

fn is_name_start(b: u8) -> bool {
    b.is_ascii_alphabetic() || b == b'_' || b >= 0x80
}

fn is_operator(b: u8) -> bool {
    matches!(b, b'+' | b'-' | b'*' | b'/' | b'<' | b'>' | b'=' | b'~' | b'!' | b'@' | b'#' | b'%' | b'^' | b'&' | b'|' | b'`' | b'?')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kinds(text: &str) -> Vec<(Lexeme, &str)> {
        tokens(text, true).into_iter().filter(|t| t.kind != Lexeme::Space).map(|t| (t.kind, t.text(text))).collect()
    }

    #[test]
    fn literals_of_every_form_are_one_token() {
        for literal in [
            "'it''s'",
            r"E'a\'b'",
            r"e'\\'",
            "U&'d!0061t' ",
            "B'101'",
            "x'1F'",
            "N'n'",
            "$$a ' $1$$",
            "$q$ $$ ; $q$",
            "'a'\n  'b'",
            "E'a' -- no\n",
            "E'a'\n -- but\n '\\'b'",
            r"'ends in \'",
        ] {
            let found = kinds(literal);
            assert_eq!(found[0].0, Lexeme::Text, "{literal}");
            assert!(found.len() == 1 || found[1].0 == Lexeme::Comment, "{literal}: {found:?}");
        }
    }

    #[test]
    fn without_conforming_strings_a_backslash_escapes() {
        assert_eq!(tokens(r"'a\';'", false).len(), 1);
        assert_eq!(tokens(r"'a\';'", true).last().map(|t| t.kind), Some(Lexeme::Unfinished));
    }

    #[test]
    fn comments_nest_and_end_operators() {
        assert_eq!(kinds("/* a /* b */ ; */ 1")[0], (Lexeme::Comment, "/* a /* b */ ; */"));
        assert_eq!(kinds("a+--b\n")[1], (Lexeme::Operator, "+"));
        assert_eq!(kinds("a*/*x*/b")[1], (Lexeme::Operator, "*"));
        assert_eq!(kinds("1-+2")[1], (Lexeme::Operator, "-"));
        assert_eq!(kinds("a @- b")[1], (Lexeme::Operator, "@-"));
    }

    #[test]
    fn parameters_are_not_parts_of_names() {
        assert_eq!(kinds("a$1"), [(Lexeme::Word, "a$1")]);
        assert_eq!(kinds("$12a"), [(Lexeme::Parameter, "$12"), (Lexeme::Word, "a")]);
        assert_eq!(kinds("1..2").len(), 4);
    }

    #[test]
    fn a_long_text_is_read_once() {
        // A look back or ahead over all of it, at each token, would not end in a day.
        for piece in ["+", "-/", "1,", "'a',", "$1 ", "%", "(", "x$", "$a", "'a'\n ", "/*", "\"a\".", "1e+", "E'\\'"] {
            let text = piece.repeat((1 << 20) / piece.len());
            let found = tokens(&text, true);
            assert_eq!(found.iter().map(|t| t.at.len()).sum::<usize>(), text.len(), "{piece}");
        }
    }

    proptest! {
        #[test]
        fn tokens_join_to_the_text(text in r#"([a-zA-Z0-9 \n'"$%;:().,*/+\-=<>\\&_äß€]|\$q\$|/\*|\*/|--|E'|U&'){0,60}"#, conforming: bool) {
            let joined: String = tokens(&text, conforming).iter().map(|t| t.text(&text)).collect();
            prop_assert_eq!(joined, text);
        }

        #[test]
        fn no_text_is_too_odd(text in any::<String>()) {
            let found = tokens(&text, true);
            prop_assert_eq!(found.iter().map(|t| t.at.len()).sum::<usize>(), text.len());
        }
    }
}
