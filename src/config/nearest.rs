//! The nearest known word to a mistyped one. Knows words only, not what they name.

/// The one of `known` that `typed` most likely meant: the fewest slips of the finger, at most one in three letters; or the only one that
/// it begins.
pub fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let known: Vec<&str> = known.into_iter().collect();
    let typed: Vec<char> = typed.to_lowercase().chars().collect();
    // Nobody mistypes a name of hundreds of letters, and the distance costs the product of both lengths.
    if typed.is_empty() || typed.len() > 64 {
        return None;
    }
    let closest = known
        .iter()
        .map(|word| (distance(&typed, &word.to_lowercase().chars().take(96).collect::<Vec<_>>()), *word))
        .min_by_key(|(slips, _)| *slips)
        .filter(|(slips, _)| *slips <= (typed.len() / 3).clamp(1, 3) && *slips < typed.len());
    if let Some((_, word)) = closest {
        return Some(word);
    }
    let prefix: String = typed.iter().collect();
    let mut begun = known.iter().filter(|word| typed.len() >= 3 && word.to_lowercase().starts_with(&prefix));
    match (begun.next(), begun.next()) {
        (Some(only), None) => Some(only),
        _ => None,
    }
}

/// Letters to insert, remove, replace or swap with their neighbour.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut best = (last[j] + usize::from(x != y)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_meant_and_nothing_else() {
        let of = |typed| nearest(typed, ["context", "namespace", "kubeconfig", "production", "staging"]);
        assert_eq!(of("contxt"), Some("context"));
        assert_eq!(of("Context"), Some("context"));
        assert_eq!(of("cnotext"), Some("context"));
        assert_eq!(of("prod"), Some("production"));
        assert_eq!(of("stagign"), Some("staging"));
        for other in ["", "x", "hunter2", "development", &"a".repeat(10_000)] {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
