//! The rules of the house that a compiler does not know, checked over every Rust source of the project: who may name whom, how long a
//! file may be, which files may touch the outside. `architecture/planted.rs` proves that each rule finds what it is there for.

#[path = "architecture/planted.rs"]
mod planted;
#[path = "architecture/rules.rs"]
mod rules;
#[path = "architecture/scan.rs"]
mod scan;

use rules::{House, Levels, Peers};
use scan::Source;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

/// Who may name whom: a module names what stands above its line, and its own line only where that says `Together`.
/// A new file or folder below `src/` gets its place here first.
const LEVELS: &Levels = &[
    (Peers::Apart, &["text"]),
    (Peers::Apart, &["answer"]),
    (Peers::Apart, &["error"]),
    (Peers::Apart, &["exit"]),
    (Peers::Apart, &["config", "report", "store"]),
    (Peers::Apart, &["connect"]),
    (Peers::Apart, &["kubernetes"]),
    (Peers::Apart, &["session"]),
    (Peers::Apart, SYSTEMS),
    (Peers::Apart, &["checks", "request"]),
    (Peers::Together, &["commands", "cli"]),
    (Peers::Apart, &["main"]),
];

/// What a user asks about. What joins two of them is fetched by `commands` or `checks` and handed in.
const SYSTEMS: &[&str] = &["logs", "postgres", "celery", "health", "watch", "notify", "doctor"];

/// Modules that only some may name, wherever they stand.
const RESERVED: &[(&str, &[&str])] = &[("session", &["checks", "request", "commands", "main"])];

/// Rooms of a system's folder that only compute.
const PURE_ROOMS: &[&str] = &["model", "decode", "flow", "analyze", "rules", "advice", "screen", "statement", "view"];

const LINES: usize = 500;
const LINES_OF: &[(&str, usize)] = &[("src/commands", 200)];

/// Names of public types that every command has.
const REPEATED_TYPES: &[&str] = &["Args"];

/// The files that may do what `clippy.toml` bans, by the lint that they expect. The reason stands in the file.
const MARKED: &[(&str, &[&str])] = &[
    ("src/commands/logs/live.rs", METHODS),
    ("src/commands/queue/looks.rs", METHODS),
    ("benches/plan.rs", &["disallowed_methods", "disallowed_macros"]),
    ("src/commands/db/slow.rs", METHODS),
    ("src/commands/setup.rs", METHODS),
    ("src/config/merge.rs", METHODS),
    ("src/connect/http/dial.rs", METHODS),
    ("src/connect/kube/mod.rs", METHODS),
    ("src/connect/kube/plugin.rs", METHODS),
    ("src/connect/process.rs", METHODS),
    ("src/connect/redis/mod.rs", METHODS),
    ("src/connect/route.rs", METHODS),
    ("src/logs/follow.rs", METHODS),
    ("src/logs/source/files/mod.rs", METHODS),
    ("src/logs/source/pods/follow.rs", METHODS),
    ("src/logs/source/pods/reader.rs", METHODS),
    ("src/logs/source/pods/stream.rs", METHODS),
    ("src/logs/source/pods/watch.rs", METHODS),
    ("src/main.rs", METHODS),
    ("src/report/out.rs", METHODS),
    ("src/session.rs", METHODS),
    ("src/text/redact/tests.rs", METHODS),
    ("tests/it/cli_support.rs", METHODS),
    ("tests/it/cluster/rotated.rs", METHODS),
    ("tests/it/soak.rs", METHODS),
];
const METHODS: &[&str] = &["disallowed_methods"];

/// Members with a `clippy.toml` of their own: the root's lists do not hold there.
const UNMARKED: &[&str] = &["tests/lab/"];

#[test]
fn sources_can_be_read() {
    hold(House::unreadable);
}

#[test]
fn modules_name_only_lower_ones() {
    hold(|house| house.layers(LEVELS, RESERVED));
}

#[test]
fn files_are_short() {
    hold(|house| house.lengths(LINES, LINES_OF));
}

#[test]
fn files_open_with_their_purpose() {
    hold(House::openings);
}

#[test]
fn a_public_type_name_exists_once() {
    hold(|house| house.type_names(REPEATED_TYPES));
}

#[test]
fn models_are_never_read_from_bytes() {
    hold(House::models);
}

#[test]
fn exactly_the_listed_files_touch_the_outside() {
    hold(|house| house.marks(MARKED, UNMARKED));
}

#[test]
fn nothing_is_unsafe_unfinished_or_ignored() {
    hold(House::banned);
}

#[test]
fn rooms_that_compute_open_nothing() {
    hold(|house| house.pure_rooms(SYSTEMS, PURE_ROOMS));
}

/// The project as it is, read once for all rules.
static HOUSE: LazyLock<House> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut texts = Vec::new();
    for folder in ["src", "tests", "benches"] {
        read(root, &root.join(folder), &mut texts);
    }
    assert!(texts.iter().any(|(path, _)| path == "src/lib.rs"), "no sources found below {}", root.display());
    House::of(&texts.iter().map(|(path, text)| Source { path, text }).collect::<Vec<_>>())
});

/// Checks one rule over the project.
fn hold(rule: impl Fn(&House) -> Vec<String>) {
    let broken = rule(&HOUSE);
    assert!(broken.is_empty(), "{} broken:\n  {}\n", broken.len(), broken.join("\n  "));
}

/// Reads every Rust source below a folder, in a fixed order.
fn read(root: &Path, folder: &Path, texts: &mut Vec<(String, String)>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() && !path.is_symlink() {
            if name != "target" && !name.starts_with('.') {
                read(root, &path, texts);
            }
        } else if name.ends_with(".rs") {
            // What is no text is taken for empty, and an empty file breaks a rule.
            let text = fs::read_to_string(&path).unwrap_or_default();
            let relative = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
            texts.push((relative, text));
        }
    }
}
