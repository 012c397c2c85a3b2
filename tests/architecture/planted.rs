//! Tests of the rules themselves: each is handed sources with a planted violation, which it must report with its line, and innocent
//! ones that look alike, which it must not.

use crate::{LEVELS, PURE_ROOMS, RESERVED, SYSTEMS, rules::House, scan::Source};

fn broken(files: &[(&str, &str)], rule: impl Fn(&House) -> Vec<String>) -> Vec<String> {
    let sources: Vec<Source<'_>> = files.iter().map(|(path, text)| Source { path, text }).collect();
    let house = House::of(&sources);
    assert_eq!(house.unreadable(), Vec::<String>::new());
    rule(&house)
}

fn layers(files: &[(&str, &str)]) -> Vec<String> {
    broken(files, |house| house.layers(LEVELS, RESERVED))
}

/// The file breaks the layers exactly once, at this line, with these words.
#[track_caller]
fn forbidden(path: &str, text: &str, line: usize, says: &str) {
    let found = layers(&[(path, text)]);
    assert_eq!(found.len(), 1, "{text}\n{found:#?}");
    assert!(found[0].starts_with(&format!("{path}:{line}: ")) && found[0].contains(says), "{text}\n{found:#?}");
}

#[track_caller]
fn allowed(path: &str, text: &str) {
    assert_eq!(layers(&[(path, text)]), Vec::<String>::new(), "{text}");
}

#[test]
fn a_higher_module_is_found_however_it_is_named() {
    let above = "text names logs, which is above it";
    forbidden("src/text/safe.rs", "use crate::logs;", 1, above);
    forbidden("src/text/safe.rs", "use crate::logs::model::Record;", 1, above);
    forbidden("src/text/safe.rs", "use crate::logs as innocent;", 1, above);
    forbidden("src/text/safe.rs", "pub use crate::logs::*;", 1, above);
    forbidden("src/text/safe.rs", "use crate::{\n    text::Safe,\n    logs::{self, model},\n};", 3, above);
    forbidden("src/text/safe.rs", "use crate::{{text, {logs}}};", 1, above);
    forbidden("src/text/safe.rs", "use {std::fmt, crate::{text::units, logs::Record}};", 1, above);
    forbidden("src/text/safe.rs", "use super::super::logs::Record;", 1, above);
    forbidden("src/text/safe.rs", "use self::super::super::logs::Record;", 1, above);
    forbidden("src/text/mod.rs", "use super::logs::Record;", 1, above);
    forbidden("src/text/mod.rs", "mod inner {\n    use super::super::logs::Record;\n}", 2, above);
    forbidden("src/text/safe.rs", "fn f() {\n    let x = crate::logs::now();\n}", 2, above);
    forbidden("src/text/safe.rs", "fn f(r: &[crate::logs::Record]) {}", 1, above);
    forbidden("src/text/safe.rs", "fn f() -> Vec<crate::logs::Record> { vec![] }", 1, above);
    forbidden("src/text/safe.rs", "fn f() { <crate::logs::Record as Clone>::clone(r) }", 1, above);
    forbidden("src/text/safe.rs", "impl From<crate::text::Safe> for super::super::logs::Record {}", 1, above);
    forbidden("src/text/safe.rs", "fn f() { println!(\"{}\", crate::logs::now()) }", 1, above);
    forbidden("src/text/safe.rs", "use obsctl::logs::Record;", 1, above);
    forbidden("src/text/safe.rs", "use ::obsctl::logs::Record;", 1, above);
    forbidden("src/text/safe.rs", "use crate::r#logs::Record;", 1, above);
    forbidden("src/text/safe.rs", "macro_rules! m {\n    () => { $crate::logs::now() };\n}", 2, above);
    forbidden("src/text/safe.rs", "#[serde(with = \"crate::logs::stamp\")]\nstruct S;", 1, above);
    forbidden("src/text/safe.rs", "#[cfg(not(test))]\nuse crate::logs::Record;", 2, above);
    forbidden("src/text/safe.rs", "#[cfg(any(test, unix))]\nuse crate::logs::Record;", 2, above);
    forbidden("src/text/safe.rs", "pub(in crate::text) fn f(x: crate::logs::X) {}", 1, above);
    forbidden("src/text/safe.rs", "fn f() { for i in 0..crate::logs::MAX {} }", 1, above);
}

#[test]
fn what_only_looks_like_a_name_is_not_found() {
    allowed("src/text/safe.rs", "//! See [`crate::logs::Record`].\n\n/// Like crate::logs::Record.\nfn f() {}");
    allowed("src/text/safe.rs", "// use crate::logs::Record;\n/* use crate::logs; */\nfn f() {}");
    allowed("src/text/safe.rs", "const X: &str = \"use crate::logs::Record;\";\nconst Y: &str = r#\"crate::logs\"#;");
    allowed("src/text/safe.rs", "#[doc = \"crate::logs::Record\"]\nfn f() {}");
    allowed("src/text/safe.rs", "use kube::logs; use crate::text::{logs, units::logs as x};");
    allowed("src/text/safe.rs", "fn f() { let x = logs::now(); self.logs::<u8>() }");
    allowed("src/text/safe.rs", "pub(crate) struct A; pub(super) struct B; pub(in super::super) struct C;");
    allowed("src/text/safe.rs", "use std::io::{self as logs, Read}; use super::units; use self::inner::X;");
    allowed("src/text/safe.rs", "macro_rules! m { () => { super::super::logs::now() }; }");
    allowed("src/lib.rs", "pub mod text;\npub mod logs;");
}

#[test]
fn tests_may_name_anything() {
    allowed("src/text/safe.rs", "#[cfg(test)]\nmod tests {\n    use crate::logs::Record;\n    use super::super::super::logs;\n}");
    allowed("src/text/safe.rs", "#[cfg(all(unix, test))]\nuse crate::logs::{Record, model};");
    allowed("src/text/safe.rs", "#[cfg(test)]\n#[allow(unused)]\npub(crate) fn f(r: crate::logs::Record) -> u8 { 1 }");
    allowed("src/text/safe.rs", "struct S {\n    a: u8,\n    #[cfg(test)]\n    b: crate::logs::Record,\n}");
    allowed("src/text/planted.rs", "//! x\n#![cfg(test)]\nuse crate::logs::Record;");
    let by_parent = [("src/text/mod.rs", "#[cfg(test)]\nmod planted;"), ("src/text/planted.rs", "use crate::logs::Record;")];
    assert_eq!(layers(&by_parent), Vec::<String>::new());
    // What follows the tests' item is no test.
    forbidden("src/text/safe.rs", "#[cfg(test)]\nuse crate::logs::{a, b};\nuse crate::logs::c;", 3, "above it");
    forbidden("src/text/safe.rs", "#[cfg(test)]\nmod tests {}\nuse crate::logs::c;", 3, "above it");
    forbidden("src/text/safe.rs", "#[cfg(test)]\nmod tests;\nuse crate::logs::c;", 3, "above it");
    forbidden("src/text/safe.rs", "#[cfg(test)]\nconst X: [u8; { 3 }] = [0; 3];\nuse crate::logs::c;", 3, "above it");
    forbidden("src/text/safe.rs", "struct S {\n    #[cfg(test)]\n    a: u8,\n    b: crate::logs::Record,\n}", 4, "above it");
}

#[test]
fn the_table_of_layers_holds() {
    let both = |low: &str, high: &str| {
        allowed(&format!("src/{high}.rs"), &format!("use crate::{low}::X;"));
        forbidden(&format!("src/{low}.rs"), &format!("use crate::{high}::X;"), 1, "above it");
    };
    for (low, high) in [("text", "answer"), ("answer", "error"), ("error", "exit"), ("exit", "config"), ("report", "connect")] {
        both(low, high);
    }
    for (low, high) in [("connect", "kubernetes"), ("kubernetes", "logs"), ("logs", "checks"), ("checks", "commands"), ("checks", "cli")] {
        both(low, high);
    }
    both("commands", "main");
    allowed("src/commands/logs.rs", "use crate::{cli::Cli, commands::shared, logs::model};");
    allowed("src/cli.rs", "use crate::commands::Command;");
    forbidden("src/config/file.rs", "use crate::report::Doc;", 1, "beside it");
    forbidden("src/logs/view.rs", "use crate::celery::model::Task;", 1, "logs names celery, which is beside it");
    forbidden("src/checks/run.rs", "use crate::request::Story;", 1, "beside it");
}

#[test]
fn the_session_is_for_those_that_wire() {
    for user in ["checks", "request", "commands"] {
        allowed(&format!("src/{user}/run.rs"), "use crate::session::Session;");
    }
    allowed("src/main.rs", "use obsctl::session::Session;");
    forbidden("src/logs/collect.rs", "use crate::session::Session;", 1, "session, which is for");
    forbidden("src/cli.rs", "use crate::session::Session;", 1, "session, which is for");
}

#[test]
fn nothing_hides_behind_the_root() {
    let root = "root itself";
    forbidden("src/logs/view.rs", "use crate::*;", 1, root);
    forbidden("src/logs/view.rs", "use crate as everything;", 1, root);
    forbidden("src/logs/view.rs", "use crate::{self as everything};", 1, root);
    forbidden("src/logs/mod.rs", "use super::*;", 1, root);
    forbidden("src/logs/mod.rs", "use super as everything;", 1, root);
    forbidden("src/logs/view.rs", "use super::super::{self as everything};", 1, root);
    forbidden("src/logs/view.rs", "use crate::Reexported;", 1, "`Reexported` is no module");
    forbidden("src/main.rs", "fn main() { crate::own() }", 1, "`own` is no module");
}

#[test]
fn a_top_module_without_a_place_is_found() {
    for path in ["src/utils.rs", "src/utils/mod.rs", "src/utils/strings.rs"] {
        let found = layers(&[(path, "fn f() {}")]);
        assert_eq!(found, [format!("{path}: `utils` has no place in the table of layers")]);
    }
}

#[test]
fn an_exported_macro_belongs_to_its_module() {
    let macros = ("src/logs/model.rs", "#[macro_export]\n#[doc(hidden)]\nmacro_rules! record { () => { $crate::logs::now() }; }");
    assert_eq!(layers(&[macros, ("src/commands/logs.rs", "use crate::record;")]), Vec::<String>::new());
    assert_eq!(layers(&[macros, ("src/text/safe.rs", "use crate::{record};")]), ["src/text/safe.rs:1: text names logs, which is above it"]);
}

#[test]
fn long_files_are_found() {
    let rule = |path: &str, text: &str| broken(&[(path, text)], |house| house.lengths(5, &[("src/commands", 3)]));
    let tests = "#[cfg(test)]\nmod tests {\n    fn a() {}\n    fn b() {}\n}\n";
    assert_eq!(rule("src/text.rs", &"//! x\n".repeat(5)), Vec::<String>::new());
    assert_eq!(rule("src/text.rs", &"//! x\n".repeat(6)), ["src/text.rs: 6 lines without tests, 5 is the limit"]);
    assert_eq!(rule("tests/it/main.rs", &"//! x\n".repeat(6)).len(), 1);
    assert_eq!(rule("src/commands/logs.rs", &"//! x\n".repeat(4)).len(), 1);
    assert_eq!(rule("src/text.rs", &format!("{}{tests}", "//! x\n".repeat(5))), Vec::<String>::new());
    // Code does not hide after the tests.
    assert_eq!(rule("src/text.rs", &format!("{tests}{}", "fn f() {}\n".repeat(6))).len(), 1);
    // Nor in a comment or string that says so.
    assert_eq!(rule("src/text.rs", &format!("// #[cfg(test)] mod tests\n{}", "fn f() {}\n".repeat(5))).len(), 1);
}

#[test]
fn files_without_a_purpose_are_found() {
    let rule = |text: &str| broken(&[("src/text.rs", text)], House::openings).len();
    assert_eq!(rule("//! What it is for.\nfn f() {}"), 0);
    for silent in ["", "fn f() {}", "\n//! Late.", "//!\n//! Late.", "/// Of the item.\nfn f() {}", "// Plain.", "use a::b;\n//! x"] {
        let sources = [Source { path: "src/text.rs", text: silent }];
        assert_eq!(House::of(&sources).openings().len(), 1, "{silent:?}");
    }
}

#[test]
fn a_public_type_that_exists_twice_is_found() {
    let rule = |a: &str, b: &str| broken(&[("src/logs/a.rs", a), ("src/text/b.rs", b)], |house| house.type_names(&["Args"]));
    let twice = ["src/text/b.rs:1: the type `Record` exists already, at src/logs/a.rs:1"];
    for other in ["pub struct Record(u8);", "pub enum Record {}", "pub trait Record {}", "pub type Record = u8;", "pub union Record {}"] {
        assert_eq!(rule("pub struct Record<'a> { x: &'a u8 }", other), twice);
        assert_eq!(rule("mod private { pub enum Record {} }", other), twice);
    }
    for other in ["struct Record;", "pub(crate) struct Record;", "pub(in crate::text) enum Record {}", "pub use crate::logs::Record;"] {
        assert_eq!(rule("pub struct Record;", other), Vec::<String>::new());
    }
    for other in ["#[cfg(test)] mod tests { pub struct Record; }", "// pub struct Record;", "pub fn f() { \"pub struct Record\"; }"] {
        assert_eq!(rule("pub struct Record;", other), Vec::<String>::new());
    }
    assert_eq!(rule("pub struct Args;", "pub struct Args;"), Vec::<String>::new());
}

#[test]
fn a_model_that_is_read_from_bytes_is_found() {
    let rule = |path: &str, text: &str| broken(&[(path, text)], House::models).len();
    let read = "use serde::Serialize;\n#[derive(serde::Deserialize, Serialize)]\nstruct S;";
    assert_eq!(rule("src/logs/model.rs", read), 1);
    assert_eq!(rule("src/logs/model/record.rs", read), 1);
    assert_eq!(rule("src/logs/model/mod.rs", "use serde::{Serialize, de::DeserializeOwned};"), 1);
    assert_eq!(rule("src/logs/mod.rs", &format!("mod x {{ {read} }}")), 0);
    assert_eq!(rule("src/logs/decode.rs", read), 0);
    assert_eq!(rule("src/logs/model.rs", "//! No Deserialize here.\n#[derive(Serialize)]\nstruct S;"), 0);
    assert_eq!(rule("src/logs/model.rs", &format!("#[cfg(test)]\nmod tests {{ {read} }}")), 0);
}

#[test]
fn marks_and_their_list_agree() {
    const LISTED: &[(&str, &[&str])] = &[("src/main.rs", &["disallowed_methods"])];
    let rule = |files: &[(&str, &str)]| broken(files, |house| house.marks(LISTED, &["tests/lab/"]));
    let mark = "#![expect(clippy::disallowed_methods, reason = \"the one place\")]";
    let main = ("src/main.rs", mark);
    assert_eq!(rule(&[main]), Vec::<String>::new());
    assert_eq!(rule(&[main, ("src/text.rs", "// #![expect(clippy::disallowed_methods)]\nfn f() {}")]), Vec::<String>::new());
    assert_eq!(rule(&[main, ("tests/lab/src/lib.rs", "#![allow(clippy::disallowed_methods)]")]), Vec::<String>::new());
    let unlisted = [
        "#[expect(clippy::disallowed_methods, reason = \"one\")]\nfn f() {}",
        "fn f() { #[expect(clippy::disallowed_macros)] println!(); }",
        "#[cfg_attr(unix, expect(clippy::disallowed_types))]\nfn f() {}",
        "#[cfg(test)]\nmod tests {\n    #![expect(clippy::disallowed_methods)]\n}",
        "#![allow(clippy::disallowed_methods, reason = \"no\")]",
        "#![expect(clippy::style)]",
        "#![allow(warnings)]",
        "#![allow(clippy::all)]",
    ];
    for text in unlisted {
        let found = rule(&[main, ("src/text.rs", text)]);
        assert!(found.len() == 1 && found[0].starts_with("src/text.rs:"), "{text}\n{found:#?}");
    }
    assert!(rule(&[("src/main.rs", "fn main() {}")])[0].contains("which it does not expect"));
    assert!(rule(&[("src/text.rs", "")])[0].contains("does not exist"));
}

#[test]
fn banned_words_are_found_in_tests_too() {
    let rule = |text: &str| broken(&[("tests/it/logs.rs", text)], House::banned);
    let found = [
        ("fn f() { unsafe { g() } }", "unsafe"),
        ("unsafe fn f() {}", "unsafe"),
        ("unsafe impl Send for X {}", "unsafe"),
        ("#[unsafe(no_mangle)] fn f() {}", "unsafe"),
        ("fn f() { todo!() }", "todo!"),
        ("fn f() { std::todo!(\"later\") }", "todo!"),
        ("fn f() { unimplemented![] }", "unimplemented!"),
        ("#[cfg(test)] mod t { fn f() { dbg!(1); } }", "dbg!"),
        ("#[test]\n#[ignore]\nfn f() {}", "#[ignore]"),
        ("#[test]\n#[ignore = \"slow\"]\nfn f() {}", "#[ignore]"),
        ("#[test]\n#[cfg_attr(unix, ignore)]\nfn f() {}", "#[ignore]"),
    ];
    for (text, what) in found {
        let said = rule(text);
        assert!(said.len() == 1 && said[0].ends_with(what), "{text}\n{said:#?}");
    }
    let path = broken(&[("src/text/mod.rs", "#[path = \"../logs/model.rs\"]\nmod units;")], House::banned);
    assert_eq!(path, ["src/text/mod.rs:1: #[path]"]);
    for text in
        ["// unsafe todo!()", "const X: &str = \"unsafe\";", "fn f() -> bool { todo != 1 }", "#[serde(ignore)] struct S;", "fn ignore() {}"]
    {
        assert_eq!(rule(text), Vec::<String>::new(), "{text}");
    }
    assert_eq!(rule("#![forbid(unsafe_code)]"), Vec::<String>::new());
}

#[test]
fn rooms_that_reach_out_are_found() {
    let rule = |path: &str, text: &str| broken(&[(path, text)], |house| house.pure_rooms(SYSTEMS, PURE_ROOMS)).len();
    for text in ["async fn f() {}", "use tokio::fs;", "use crate::connect::kube;", "fn f() { std::time::Instant::now(); }"] {
        assert_eq!(rule("src/logs/flow/merge.rs", text), 1, "{text}");
        assert_eq!(rule("src/logs/view.rs", text), 1, "{text}");
        assert_eq!(rule("src/logs/source/pods.rs", text), 0, "{text}");
        assert_eq!(rule("src/connect/view.rs", text), 0, "{text}");
        assert_eq!(rule("src/logs/view.rs", &format!("#[cfg(test)]\nmod tests {{ {text} }}")), 0, "{text}");
    }
}

#[test]
fn what_cannot_be_read_is_said() {
    let sources = [Source { path: "src/text.rs", text: "fn f( {" }];
    assert_eq!(House::of(&sources).unreadable().len(), 1);
}
