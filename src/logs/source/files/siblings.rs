//! Which files are one log: `app.log` with `app.log.1`, `app.log.2.gz`, `app.log-20261121`, `app.log.2026-11-21`, `0.log.20261121-150000`.
//! Oldest first, as they were written. And which files of a folder are logs at all.

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// How deep a folder is looked through: the kubelet's has two levels.
const DEEPEST: usize = 4;

/// The place of a file among its siblings: dated ones come first, then the numbered ones, the highest first, then the log itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Age {
    Dated(String),
    Numbered(Reverse<u32>),
    Newest,
}

/// The log that a file belongs to, and its place there.
fn of_name(name: &str) -> (String, Age) {
    let plain = name.strip_suffix(".gz").unwrap_or(name);
    if let Some((base, end)) = plain.rsplit_once('.')
        && !end.is_empty()
        && end.len() <= 4
        && let Ok(number) = end.parse()
    {
        return (base.to_owned(), Age::Numbered(Reverse(number)));
    }
    // `app.log-20261121`, `app.log.2026-11-21_15`, and `app-20261121.log`.
    let (stem, ending) = match plain.rsplit_once('.') {
        Some((stem, ending)) if matches!(ending, "log" | "out" | "txt" | "json" | "jsonl") => (stem, Some(ending)),
        _ => (plain, None),
    };
    let marks: String = stem.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    for (at, _) in marks.match_indices(['.', '-', '_']) {
        let (Some(date), Some(base), Some(said)) = (marks.get(at + 1..), stem.get(..at), stem.get(at + 1..)) else { continue };
        if !base.is_empty() && is_date(date) {
            let digits = said.chars().filter(char::is_ascii_digit).collect();
            let base = ending.map_or_else(|| base.to_owned(), |e| format!("{base}.{e}"));
            return (base, Age::Dated(digits));
        }
    }
    (plain.to_owned(), Age::Newest)
}

/// `00000000` or `0000-00-00`, and a time of day behind it.
fn is_date(marks: &str) -> bool {
    let Some(rest) = marks.strip_prefix("00000000").or_else(|| marks.strip_prefix("0000-00-00")) else { return false };
    rest.is_empty() || (rest.starts_with(['-', '_', 'T', '.']) && rest.chars().all(|c| matches!(c, '0' | '-' | '_' | 'T' | ':' | '.')))
}

/// Puts those that are one log together, each oldest first; the logs stay in the order in which they were named. A file that is there packed
/// and unpacked counts once.
pub(super) fn chains(paths: Vec<PathBuf>) -> Vec<Vec<PathBuf>> {
    let mut chains: Vec<Vec<(Age, PathBuf)>> = Vec::new();
    let mut known: BTreeMap<(PathBuf, String), usize> = BTreeMap::new();
    for path in paths {
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let (base, age) = of_name(&name);
        let key = (path.parent().unwrap_or(Path::new("")).to_owned(), base);
        let at = *known.entry(key).or_insert_with(|| {
            chains.push(Vec::new());
            chains.len() - 1
        });
        if let Some(chain) = chains.get_mut(at) {
            chain.push((age, path));
        }
    }
    let one = |mut chain: Vec<(Age, PathBuf)>| {
        // Unpacked before packed, of which the second is dropped.
        chain.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| is_packed(&a.1).cmp(&is_packed(&b.1))));
        chain.dedup_by(|b, a| a.0 == b.0 && is_packed(&b.1) && !is_packed(&a.1));
        chain.into_iter().map(|(_, path)| path).collect()
    };
    chains.into_iter().map(one).collect()
}

fn is_packed(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "gz")
}

/// The older parts of a log that lie beside it, oldest first, without itself.
pub(super) fn older(path: &Path) -> Vec<PathBuf> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Some(name) = path.file_name().map(|n| n.to_string_lossy().into_owned()) else { return Vec::new() };
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let of_it = entries.filter_map(Result::ok).map(|e| e.file_name().to_string_lossy().into_owned());
    let mut paths: Vec<PathBuf> = of_it.filter(|n| *n != name && of_name(n).0 == name).map(|n| folder.join(n)).collect();
    paths.sort();
    chains(paths).into_iter().next().unwrap_or_default()
}

/// The logs of a folder and of those in it; hidden ones are left out.
pub(super) fn of_folder(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    look(folder, 0, &mut found);
    found.sort();
    found
}

fn look(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.filter_map(Result::ok) {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = entry.path();
        if name.starts_with('.') {
            continue;
        }
        // A link to a folder could lead in a circle; the kubelet's links to files are fine.
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            if depth < DEEPEST {
                look(&path, depth + 1, found);
            }
        } else if path.is_file() && is_log(&name) {
            found.push(path);
        }
    }
}

fn is_log(name: &str) -> bool {
    let (base, _) = of_name(name);
    base.contains(".log") || [".out", ".err", ".txt", ".json", ".jsonl", ".ndjson"].iter().any(|e| base.ends_with(e))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chained(names: &[&str]) -> Vec<String> {
        let chains = chains(names.iter().map(PathBuf::from).collect());
        chains.into_iter().map(|c| c.iter().map(|p| p.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")).collect()
    }

    #[test]
    fn rotated_files_are_one_log_oldest_first() {
        assert_eq!(chained(&["app.log", "app.log.1", "app.log.10.gz", "app.log.2.gz"]), ["app.log.10.gz app.log.2.gz app.log.1 app.log"]);
        assert_eq!(chained(&["a.log-20261121", "a.log", "a.log-20261120.gz"]), ["a.log-20261120.gz a.log-20261121 a.log"]);
        assert_eq!(chained(&["x/0.log", "x/0.log.20261121-150001", "x/0.log.20261121-150000.gz", "x/1.log"]).len(), 2);
        assert_eq!(chained(&["w.log.2026-11-21", "w.log.2026-11-20_10"]), ["w.log.2026-11-20_10 w.log.2026-11-21"]);
        assert_eq!(chained(&["app-20261121.log", "app.log"]), ["app-20261121.log app.log"]);
        assert_eq!(chained(&["backend-1.log", "backend-2.log", "a/x.log", "b/x.log.1"]).len(), 4);
        assert_eq!(chained(&["app.log.1.gz", "app.log.1", "app.log"]), ["app.log.1 app.log"]);
    }

    #[test]
    fn a_folder_gives_its_logs() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["web.log", "web.log.1.gz", ".hidden.log", "core", "a/b/0.log", "data.jsonl"] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("one")).expect("a folder");
            fs::write(path, "x\n").expect("a file");
        }
        let names: Vec<String> = of_folder(folder.path())
            .iter()
            .map(|p| p.strip_prefix(folder.path()).expect("inside").to_string_lossy().into_owned())
            .collect();
        assert_eq!(names, ["a/b/0.log", "data.jsonl", "web.log", "web.log.1.gz"]);
        assert_eq!(older(&folder.path().join("web.log")), [folder.path().join("web.log.1.gz")]);
    }
}
