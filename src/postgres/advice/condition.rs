//! Which parts of a condition an index could serve. Conditions are read as PostgreSQL writes them in plans: every comparison in
//! parentheses, strings and names quoted where they must be. What is not understood is left out, never guessed.

/// A comparison of one column with something that is known when the scan begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// The column, unquoted.
    pub column: String,
    /// How it is compared.
    pub compared: Compared,
    /// Whether it was read as text: harmless for `varchar`, a different value for anything else.
    pub as_text: bool,
}

/// How a column is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compared {
    /// `=`, `= ANY`, `IS NULL`.
    Equal,
    /// `<`, `<=`, `>`, `>=`.
    Range,
}

/// A condition, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// What an index could serve.
    pub served: Vec<Term>,
    /// How many of its parts none could: OR, functions, LIKE.
    pub unserved: usize,
}

/// Takes a condition on the rows of `alias` apart.
pub fn terms(condition: &str, alias: &str) -> Terms {
    let mut found = Terms::default();
    let mut open = vec![condition];
    while let Some(part) = open.pop() {
        let part = bare(part);
        let all = split(part, " AND ");
        // Where both stand side by side without parentheses the text is not PostgreSQL's.
        if all.len() > 1 && split(part, " OR ").len() == 1 {
            open.extend(all.into_iter().rev());
            continue;
        }
        match term(part, alias) {
            Some(term) => found.served.push(term),
            None => found.unserved += 1,
        }
    }
    found
}

/// The columns of a sort key that belong to `alias`, up to the first that does not: `i.created DESC`.
pub fn order(keys: &str, alias: &str) -> Vec<(String, bool)> {
    let key = |key: &str| {
        let plain = key.trim().strip_suffix(" DESC");
        Some((column(plain.unwrap_or(key.trim()), alias)?.0, plain.is_some()))
    };
    split(keys, ", ").into_iter().map_while(key).collect()
}

/// A text without the parentheses around the whole of it.
fn bare(text: &str) -> &str {
    let mut text = text.trim();
    while let Some(inside) = text.strip_prefix('(').and_then(|t| t.strip_suffix(')'))
        && closed(inside)
    {
        text = inside.trim();
    }
    text
}

/// Whether every parenthesis that closes was opened before.
fn closed(text: &str) -> bool {
    let mut depth = 0_i64;
    outside_quotes(text).all(|(_, c)| {
        depth += i64::from(c == '(') - i64::from(c == ')');
        depth >= 0
    })
}

/// The characters that stand in no quotes. A doubled quote closes and opens, which comes to the same.
fn outside_quotes(text: &str) -> impl Iterator<Item = (usize, char)> + '_ {
    let mut quote = None;
    text.char_indices().filter(move |(_, c)| match quote {
        Some(open) => {
            if *c == open {
                quote = None;
            }
            false
        }
        None if matches!(c, '\'' | '"') => {
            quote = Some(*c);
            false
        }
        None => true,
    })
}

/// Cuts at a separator that stands in no quotes and no parentheses.
fn split<'t>(text: &'t str, separator: &str) -> Vec<&'t str> {
    let mut parts = Vec::new();
    let (mut depth, mut from) = (0_i64, 0);
    for (at, c) in outside_quotes(text) {
        depth += i64::from(c == '(') - i64::from(c == ')');
        if depth == 0 && at >= from && text.get(at..).is_some_and(|rest| rest.starts_with(separator)) {
            parts.extend(text.get(from..at));
            from = at + separator.len();
        }
    }
    parts.extend(text.get(from..));
    parts
}

fn term(text: &str, alias: &str) -> Option<Term> {
    if let Some(tested) = text.strip_suffix(" IS NULL") {
        let (column, as_text) = column(tested, alias)?;
        return Some(Term { column, compared: Compared::Equal, as_text });
    }
    let (operator, left, right) =
        ["=", "<", "<=", ">", ">="].into_iter().find_map(|operator| match split(text, &format!(" {operator} ")).as_slice() {
            [left, right] => Some((operator, *left, *right)),
            _ => None,
        })?;
    let compared = if operator == "=" { Compared::Equal } else { Compared::Range };
    let list = right.strip_prefix("ANY ").filter(|_| compared == Compared::Equal);
    if right.starts_with("ALL ") || (right.starts_with("ANY ") && list.is_none()) {
        return None;
    }
    let sides = [(left, list.unwrap_or(right)), (right, left)];
    let sides = sides.iter().take(if list.is_some() { 1 } else { 2 });
    sides
        .filter_map(|(side, other)| Some((column(side, alias)?, other)))
        .find(|(_, other)| known(other, alias))
        .map(|((column, as_text), _)| Term { column, compared, as_text })
}

/// The column that a text is, and whether it is read as text: `i.product_id`, `(state)::text`.
fn column(text: &str, alias: &str) -> Option<(String, bool)> {
    let text = bare(text);
    if let Some(inner) = text.strip_suffix("::text") {
        return column(inner, alias).map(|(name, _)| (name, true));
    }
    let parts = path(text)?;
    match parts.as_slice() {
        [name] => Some((name.clone(), false)),
        [of, name] if of == alias => Some((name.clone(), false)),
        _ => None,
    }
}

/// The parts of a name; none where it is something else.
fn path(text: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut rest = text;
    loop {
        if let Some(quoted) = rest.strip_prefix('"') {
            let (name, after) = quoted.split_once('"')?;
            // A quote within a name is so rare that it is not worth a reader.
            parts.push((!after.starts_with('"')).then(|| name.to_owned())?);
            rest = after;
        } else {
            let plain = |c: char| c.is_lowercase() || c.is_ascii_digit() || c == '_' || c == '$';
            let end = rest.find(|c| !plain(c)).unwrap_or(rest.len());
            let (name, after) = rest.split_at(end);
            let begins = name.chars().next().is_some_and(|c| c.is_lowercase() || c == '_');
            parts.push((begins && !matches!(name, "true" | "false" | "null")).then(|| name.to_owned())?);
            rest = after;
        }
        match rest.strip_prefix('.') {
            Some(after) => rest = after,
            None => return rest.is_empty().then_some(parts),
        }
    }
}

/// Whether a value is known when the scan begins: it names no column of the same rows. A name without its table may be one.
fn known(value: &str, alias: &str) -> bool {
    let mut rest = value;
    let mut after_cast = false;
    let in_name = |c: char| c.is_alphanumeric() || c == '_' || c == '$' || c == '.' || c == '"';
    while let Some(first) = rest.chars().next() {
        let end = match first {
            '\'' => rest.get(1..).and_then(|r| r.find('\'')).map_or(rest.len(), |end| end + 2),
            c if c.is_alphabetic() || c == '_' || c == '"' => rest.find(|c| !in_name(c)).unwrap_or(rest.len()),
            // `$1` and numbers, with their letters.
            c if c.is_ascii_digit() || c == '$' => rest.find(|c| !in_name(c)).unwrap_or(rest.len()),
            c => c.len_utf8(),
        };
        let (token, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
        if first.is_lowercase() || first == '_' || first == '"' {
            let word = token.trim_end_matches('.');
            let parts = path(word);
            let own = parts.as_ref().is_some_and(|p| p.len() == 1 || p.first().is_some_and(|of| of == alias));
            let harmless = after_cast || after.starts_with('(') || TYPE_WORDS.contains(&word);
            if own && !harmless {
                return false;
            }
        }
        // `(InitPlan 1).col1` names a column too, of other rows.
        after_cast = matches!(token, ":" | ".");
        rest = after;
    }
    true
}

/// The further words of types: `timestamp with time zone`, `double precision`, `character varying`.
const TYPE_WORDS: [&str; 9] = ["with", "without", "time", "zone", "precision", "varying", "true", "false", "null"];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn served(condition: &str, alias: &str) -> (Vec<(String, Compared)>, usize) {
        let terms = terms(condition, alias);
        (terms.served.into_iter().map(|t| (t.column, t.compared)).collect(), terms.unserved)
    }

    #[test]
    fn comparisons_with_what_is_known_are_served() {
        use Compared::{Equal, Range};
        for (condition, columns, unserved) in [
            ("(i.product_id = 77)", vec![("product_id", Equal)], 0),
            ("((i.state)::text = 'open'::text)", vec![("state", Equal)], 0),
            (
                "((i.a = $1) AND (i.b >= '2026-11-01 00:00:00+00'::timestamp with time zone) AND (i.\"Odd name\" IS NULL))",
                vec![("a", Equal), ("b", Range), ("Odd name", Equal)],
                0,
            ),
            ("(i.a = ANY ('{1,2}'::integer[]))", vec![("a", Equal)], 0),
            ("(o.id = i.order_id)", vec![("order_id", Equal)], 0),
            ("(i.price > (InitPlan 1).col1)", vec![("price", Range)], 0),
            ("(i.created > (now() - '1 day'::interval))", vec![("created", Range)], 0),
            ("((i.a = 1) AND ((i.b = 2) OR (i.c = 3)))", vec![("a", Equal)], 1),
            ("((i.a = 1) OR (i.b = 2))", vec![], 1),
            ("(lower((i.name)::text) = 'x'::text)", vec![], 1),
            ("((i.note ~~ '%a AND b = c%'::text) AND (i.a <> 3))", vec![], 2),
            ("(i.a = i.b)", vec![], 1),
            ("((i.a % 9) = 0)", vec![], 1),
            ("(i.active AND (NOT i.gone))", vec![], 2),
            ("(i.a = ALL ('{1}'::integer[]))", vec![], 1),
        ] {
            let columns = columns.into_iter().map(|(c, how)| (c.to_owned(), how)).collect();
            assert_eq!(served(condition, "i"), (columns, unserved), "{condition}");
        }
    }

    #[test]
    fn without_its_table_a_name_may_be_a_column_of_the_same_rows() {
        assert_eq!(served("(product_id = 77)", "item").0.len(), 1);
        assert_eq!(served("(product_id = other_id)", "item"), (vec![], 1));
        assert_eq!(served("(created > now())", "item").0.len(), 1);
        assert_eq!(served("(at > '2026-01-01'::date)", "item").0.len(), 1);
    }

    #[test]
    fn a_sort_key_ends_at_what_is_no_column() {
        assert_eq!(order("i.created DESC, i.id, lower(i.name)", "i"), [("created".to_owned(), true), ("id".to_owned(), false)]);
        assert_eq!(order("(count(*)) DESC", "i"), []);
    }

    proptest! {
        #[test]
        fn any_condition_can_be_read(text in "[ -~ä]{0,60}") {
            terms(&text, "i");
            order(&text, "i");
        }
    }
}
