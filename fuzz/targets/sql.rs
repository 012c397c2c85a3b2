//! Whatever text is given as a statement: its tokens join to the text, and what comes out of placeholders reads the same again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use obsctl::postgres::{screen::names_in, statement::{Statement, comment, lexer::tokens}};

fuzz_target!(|text: &str| {
    for conforming in [true, false] {
        let joined: String = tokens(text, conforming).iter().map(|t| t.text(text)).collect();
        assert_eq!(joined, text, "tokens are the text");
        if let Ok(statement) = Statement::read(text, conforming) {
            for (at, parameter) in statement.parameters.iter().enumerate() {
                assert_eq!(parameter.number, at + 1, "parameters count from one");
            }
        }
    }
    let _ = names_in(text);
    let _ = comment::pairs(text);
});
