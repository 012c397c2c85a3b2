//! Values for parameters that nobody gave: likely ones, from the statistics of the columns that they are compared with. The generic plan
//! says which parameter stands beside which column. They are marked as sampled wherever they go.

use super::{
    explain::{Explainer, Values, ValuesFrom},
    server::get,
    transaction::{Access, Limits, ROLLBACK, send, under},
};
use crate::{
    connect::postgres::BurstAsk,
    error::Result,
    postgres::{
        model::Plan,
        statement::{
            Statement,
            lexer::{self, Lexeme},
        },
    },
    safe,
};
use regex::Regex;
use std::sync::LazyLock;
use tokio_postgres::types::Type;

/// The column that a parameter is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Compared {
    schema: String,
    relation: String,
    column: String,
    equals: bool,
    any: bool,
}

/// Where the value of a parameter is taken from.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Taken {
    Column(Compared),
    Fixed(&'static str),
}

/// `column = $1`, `((t.column)::text ~~ $1)`, `column = ANY ($1)`.
static COMPARISON: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let name = r#"(?:[\p{L}_][\p{L}\p{N}_$]*|"(?:[^"]|"")+")"#;
    Regex::new(&format!(r"(?:{name}\.)?({name})\)*(?:::[\w ]+(?:\(\d+\))?)?\)* (=|<|>|<=|>=|~~\*?) (ANY \()?\(*\$(\d+)(?:[^\d]|$)")).ok()
});

const STATISTICS: &str = "SELECT (SELECT v[1] FROM (SELECT s.most_common_vals::text::text[] AS v) m), \
    (SELECT v[(cardinality(v) + 1) / 2] FROM (SELECT s.histogram_bounds::text::text[] AS v) h) \
    FROM pg_stats s WHERE s.schemaname = $1 AND s.tablename = $2 AND s.attname = $3 ORDER BY s.inherited DESC LIMIT 1";

impl Explainer<'_> {
    /// Likely values for all parameters, or None where one of them stands beside no column, or the statistics say nothing of it.
    ///
    /// # Errors
    /// As the connection's.
    pub async fn likely_values(&self, statement: &Statement, generic: &Plan) -> Result<Option<Values>> {
        let limits = Limits::default();
        let mut list = Vec::with_capacity(statement.parameters.len());
        for parameter in &statement.parameters {
            let value = match taken(generic, statement, parameter.number) {
                None => None,
                Some(Taken::Fixed(value)) => Some(value.to_owned()),
                Some(Taken::Column(column)) => self.likely(&column, &limits).await?,
            };
            match value {
                Some(value) => list.push(Some(value)),
                None => return Ok(None),
            }
        }
        Ok(Some(Values { list, from: ValuesFrom::Sampled }))
    }

    async fn likely(&self, of: &Compared, limits: &Limits) -> Result<Option<String>> {
        let limit = under(limits, self.server.major(), &[]);
        let asks = [
            BurstAsk::plain(Access::Only.begin()),
            BurstAsk::plain(&limit),
            BurstAsk::plain("SET LOCAL search_path = pg_catalog, pg_temp"),
            BurstAsk::with(STATISTICS, vec![(&of.schema, Type::TEXT), (&of.relation, Type::TEXT), (&of.column, Type::TEXT)]),
            BurstAsk::plain(ROLLBACK),
        ];
        let mut answers = send(self.pg, &safe!("looking for likely values"), &asks, limits.patience()).await?;
        answers.failed(4)?;
        let rows = answers.rows(3).map_err(|f| f.error)?;
        let Some(row) = rows.first() else { return Ok(None) };
        let (common, middle) = (get::<Option<String>>(row, 0)?, get::<Option<String>>(row, 1)?);
        let value = if of.equals { common.or(middle) } else { middle.or(common) };
        Ok(value.map(|v| if of.any { format!("{{\"{}\"}}", v.replace('\\', "\\\\").replace('"', "\\\"")) } else { v }))
    }
}

fn taken(plan: &Plan, statement: &Statement, number: usize) -> Option<Taken> {
    let named = plan.nodes.iter().find_map(|node| {
        let (schema, relation) = (node.schema.as_ref()?, node.relation.as_ref()?);
        let conditions = node.expressions.iter().filter(|e| e.name.contains("Cond") || e.name.contains("Filter"));
        conditions.into_iter().find_map(|condition| {
            let captures =
                COMPARISON.as_ref()?.captures_iter(&condition.text).find(|c| c.get(4).is_some_and(|n| n.as_str() == number.to_string()))?;
            let column = captures.get(1)?.as_str();
            Some(Compared {
                schema: schema.to_string(),
                relation: relation.to_string(),
                column: column
                    .strip_prefix('"')
                    .and_then(|c| c.strip_suffix('"'))
                    .map_or_else(|| column.to_owned(), |c| c.replace("\"\"", "\"")),
                equals: captures.get(2)?.as_str() == "=",
                any: captures.get(3).is_some(),
            })
        })
    });
    named.map(Taken::Column).or_else(|| paged(statement, number).map(Taken::Fixed))
}

/// LIMIT and OFFSET stand beside no column: a page as people read it.
fn paged(statement: &Statement, number: usize) -> Option<&'static str> {
    let text = &statement.sql;
    let tokens: Vec<_> = lexer::tokens(text, true).into_iter().filter(|t| !matches!(t.kind, Lexeme::Space | Lexeme::Comment)).collect();
    let at = tokens.iter().position(|t| t.kind == Lexeme::Parameter && t.text(text) == format!("${number}"))?;
    match tokens.get(at.checked_sub(1)?)?.text(text) {
        word if word.eq_ignore_ascii_case("limit") => Some("20"),
        word if word.eq_ignore_ascii_case("offset") => Some("0"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(condition: &str) -> Option<(String, String)> {
        let captures = COMPARISON.as_ref().expect("a pattern").captures(condition)?;
        Some((captures[1].to_owned(), captures[4].to_owned()))
    }

    #[test]
    fn a_parameter_is_found_beside_its_column() {
        for (condition, column, number) in [
            ("(job.status = $1)", "status", "1"),
            ("((job.status)::text = $12)", "status", "12"),
            ("(job.id = ANY ($1))", "id", "1"),
            ("((name)::text ~~ $2)", "name", "2"),
            ("(job.made >= $3)", "made", "3"),
            ("(job.\"Odd Name\" = ($1)::text)", "\"Odd Name\"", "1"),
            ("((a.x)::character varying(10) = $1)", "x", "1"),
        ] {
            assert_eq!(found(condition), Some((column.to_owned(), number.to_owned())), "{condition}");
        }
        assert_eq!(found("(job.made > (now() - $2))"), None);
    }

    #[test]
    fn a_page_needs_no_column() {
        let statement = Statement::read("SELECT 1 LIMIT %s OFFSET %s", true).expect("good");
        assert_eq!((paged(&statement, 1), paged(&statement, 2)), (Some("20"), Some("0")));
    }
}
