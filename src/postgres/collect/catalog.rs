//! Everything that a statement reaches beyond its own tree, from the catalogs: what operators, casts, aggregates, types, domains, indexes,
//! constraints, partitions and triggers call. Followed until nothing new is found; the answers are trees too, and read the same way.

use super::{
    server::get,
    transaction::{Access, Limits, ROLLBACK, send, under},
};
use crate::{
    connect::postgres::{BurstAsk, Postgres},
    error::{Error, Kind, Result},
    postgres::screen::{
        FunctionFacts, names_in,
        tree::{FIRST_OF_USERS, Reach},
    },
    safe,
};
use std::collections::{BTreeMap, BTreeSet};
use tokio_postgres::{Row, types::Type};

/// More rounds, or more objects, than any statement needs that a person can read.
const ROUNDS: usize = 24;
const OBJECTS: usize = 20_000;

/// What objects lead to: `f` a function, `o` an operator, `x` another object, `t` a tree. $1: objects; $2: whether triggers and defaults run.
const EDGES: &str = "
    SELECT 'f', p.oid, NULL::text FROM pg_proc p WHERE p.oid = ANY ($1)
    UNION ALL SELECT 'o', o.oid, NULL FROM pg_operator o WHERE o.oid = ANY ($1)
    UNION ALL SELECT 'x', e, NULL FROM pg_type t, unnest(ARRAY[t.typbasetype, t.typelem, t.typrelid]) e WHERE t.oid = ANY ($1)
    UNION ALL SELECT 'u', f, NULL FROM pg_type t, unnest(ARRAY[t.typinput::oid, t.typoutput::oid, t.typreceive::oid, t.typsend::oid,
        t.typmodin::oid, t.typmodout::oid, t.typsubscript::oid]) f WHERE t.oid = ANY ($1)
    UNION ALL SELECT 't', 0::oid, c.conbin::text FROM pg_constraint c WHERE c.contypid = ANY ($1) AND c.conbin IS NOT NULL
    UNION ALL SELECT 'f', f, NULL FROM pg_range r, unnest(ARRAY[r.rngcanonical::oid, r.rngsubdiff::oid]) f
        WHERE r.rngtypid = ANY ($1) OR r.rngmultitypid = ANY ($1)
    UNION ALL SELECT 'x', e, NULL FROM pg_range r, unnest(ARRAY[r.rngsubtype, r.rngtypid]) e WHERE r.rngtypid = ANY ($1) OR r.rngmultitypid = ANY ($1)
    UNION ALL SELECT 'f', c.castfunc, NULL FROM pg_cast c WHERE c.castsource = ANY ($1) AND c.casttarget IN (114, 142, 3802)
    UNION ALL SELECT 'u', p.amproc::oid, NULL FROM pg_opclass k JOIN pg_amproc p ON p.amprocfamily = k.opcfamily WHERE k.opcintype = ANY ($1)
    UNION ALL SELECT 'o', p.amopopr, NULL FROM pg_opclass k JOIN pg_amop p ON p.amopfamily = k.opcfamily WHERE k.opcintype = ANY ($1)
    UNION ALL SELECT 'x', a.atttypid, NULL FROM pg_attribute a WHERE a.attrelid = ANY ($1) AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL SELECT 'x', h.inhrelid, NULL FROM pg_inherits h WHERE h.inhparent = ANY ($1)
    UNION ALL SELECT 't', 0::oid, d.adbin::text FROM pg_attrdef d JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
        WHERE d.adrelid = ANY ($1) AND (a.attgenerated <> '' OR $2)
    UNION ALL SELECT 't', 0::oid, concat(i.indexprs::text, ' ', i.indpred::text) FROM pg_index i WHERE i.indrelid = ANY ($1)
    UNION ALL SELECT 'u', p.amproc::oid, NULL FROM pg_index i JOIN pg_opclass k ON k.oid = ANY (i.indclass)
        JOIN pg_amproc p ON p.amprocfamily = k.opcfamily WHERE i.indrelid = ANY ($1)
    UNION ALL SELECT 'o', p.amopopr, NULL FROM pg_index i JOIN pg_opclass k ON k.oid = ANY (i.indclass)
        JOIN pg_amop p ON p.amopfamily = k.opcfamily WHERE i.indrelid = ANY ($1) AND p.amopopr >= 16384
    UNION ALL SELECT 't', 0::oid, c.conbin::text FROM pg_constraint c WHERE c.conrelid = ANY ($1) AND c.conbin IS NOT NULL
    UNION ALL SELECT 't', 0::oid, p.partexprs::text FROM pg_partitioned_table p WHERE p.partrelid = ANY ($1) AND p.partexprs IS NOT NULL
    UNION ALL SELECT 'u', s.amproc::oid, NULL FROM pg_partitioned_table p JOIN pg_opclass k ON k.oid = ANY (p.partclass)
        JOIN pg_amproc s ON s.amprocfamily = k.opcfamily WHERE p.partrelid = ANY ($1)
    UNION ALL SELECT 't', 0::oid, s.stxexprs::text FROM pg_statistic_ext s WHERE s.stxrelid = ANY ($1) AND s.stxexprs IS NOT NULL
    UNION ALL SELECT 't', 0::oid, c.relpartbound::text FROM pg_class c WHERE c.oid = ANY ($1) AND c.relpartbound IS NOT NULL
    UNION ALL SELECT 'u', a.amhandler::oid, NULL FROM pg_class c JOIN pg_am a ON a.oid = c.relam WHERE c.oid = ANY ($1)
    UNION ALL SELECT 'f', w.fdwhandler, NULL FROM pg_foreign_table f JOIN pg_foreign_server s ON s.oid = f.ftserver
        JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw WHERE f.ftrelid = ANY ($1)
    UNION ALL SELECT 'f', g.tgfoid, NULL FROM pg_trigger g WHERE $2 AND g.tgrelid = ANY ($1)
    UNION ALL SELECT 'x', c.conrelid, NULL FROM pg_constraint c WHERE $2 AND c.confrelid = ANY ($1)";

/// What operators call. The planner may put one's commutator or negator in its place.
const OPERATORS: &str = "SELECT o.oid, ARRAY[o.oprcode::oid, o.oprrest::oid, o.oprjoin::oid], ARRAY[o.oprcom, o.oprnegate] \
    FROM pg_operator o WHERE o.oid = ANY ($1)";

/// What functions are, and what aggregates and planner support call.
const FUNCTIONS: &str = "SELECT p.oid, n.nspname::text, p.proname::text, p.prokind::text, p.provolatile::text, p.prosecdef, l.lanname::text, \
    l.lanpltrusted, (p.proowner = 10 OR coalesce(r.rolsuper, false)), x.extname::text, \
    CASE WHEN p.oid < 16384 THEN '' ELSE concat(p.prosrc, ' ', p.probin, ' ', pg_get_function_sqlbody(p.oid), ' ', array_to_string(p.proconfig, ' ')) END, \
    CASE WHEN a.aggfnoid IS NULL THEN ARRAY[p.prosupport::oid] ELSE ARRAY[p.prosupport::oid, a.aggtransfn::oid, a.aggfinalfn::oid, \
        a.aggcombinefn::oid, a.aggserialfn::oid, a.aggdeserialfn::oid, a.aggmtransfn::oid, a.aggminvtransfn::oid, a.aggmfinalfn::oid] END, \
    coalesce(a.aggsortop, 0::oid), ARRAY[p.prorettype, p.provariadic] || p.proargtypes::oid[] || coalesce(p.proallargtypes, '{}') || coalesce(a.aggtranstype, 0::oid) \
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang \
    LEFT JOIN pg_roles r ON r.oid = p.proowner LEFT JOIN pg_aggregate a ON a.aggfnoid = p.oid \
    LEFT JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e' \
    LEFT JOIN pg_extension x ON x.oid = d.refobjid WHERE ";

/// The functions that a statement reaches, and those that the bodies of these may call.
#[derive(Default)]
pub(super) struct Closure {
    pub(super) reached: Vec<FunctionFacts>,
    pub(super) called: Vec<FunctionFacts>,
}

/// Follows the catalogs from a statement's tree.
///
/// # Errors
/// `Denied` where a function could not be looked up, or there is no end to it; else as the connection's.
pub(super) async fn closure(pg: &Postgres, limits: &Limits, major: u32, tree: &str, writes: bool) -> Result<Closure> {
    let mut walk = Walk { pg, limits, under: under(limits, major, &[]), writes };
    let mut reach = Reach::default();
    reach.add(tree);
    let (mut objects, mut operators, mut functions) = (BTreeSet::new(), BTreeSet::new(), BTreeMap::new());
    let mut looked_up = BTreeSet::new();
    for _ in 0..ROUNDS {
        let new_objects: Vec<u32> = reach.objects.difference(&objects).copied().collect();
        let new_operators: Vec<u32> = reach.operators.difference(&operators).copied().collect();
        let new_functions: Vec<u32> = reach.functions.difference(&looked_up).copied().collect();
        if new_objects.is_empty() && new_operators.is_empty() && new_functions.is_empty() {
            let reached: Vec<FunctionFacts> = functions.into_values().collect();
            let called = walk.called(&reached).await?;
            return Ok(Closure { reached, called });
        }
        if reach.objects.len() + reach.functions.len() > OBJECTS {
            break;
        }
        let [edges, calls, found] = walk.round(&new_objects, &new_operators, &new_functions).await?;
        objects.extend(new_objects);
        operators.extend(new_operators);
        looked_up.extend(&new_functions);
        for row in &edges {
            edge(row, &mut reach)?;
        }
        for row in &calls {
            reach.functions.extend(get::<Vec<u32>>(row, 1)?.into_iter().filter(|oid| *oid > 0));
            reach.operators.extend(get::<Vec<u32>>(row, 2)?.into_iter().filter(|oid| *oid > 0));
        }
        for row in &found {
            let function = function(row)?;
            reach.functions.extend(get::<Vec<u32>>(row, 11)?.into_iter().filter(|oid| *oid > 0));
            reach.operators.extend(Some(get::<u32>(row, 12)?).filter(|oid| *oid > 0));
            reach.objects.extend(get::<Vec<u32>>(row, 13)?.into_iter().filter(|oid| *oid >= FIRST_OF_USERS));
            functions.insert(function.oid, function);
        }
        if let Some(lost) = new_functions.iter().find(|oid| !functions.contains_key(oid)) {
            return Err(Error::new(Kind::Denied, "screening the statement")
                .what(safe!("it reaches a function with OID {} that the catalogs do not show", *lost)));
        }
    }
    Err(Error::new(Kind::Denied, "screening the statement").what("it reaches more objects than can be screened"))
}

fn edge(row: &Row, reach: &mut Reach) -> Result<()> {
    let oid = get::<u32>(row, 1)?;
    match get::<String>(row, 0)?.as_str() {
        "t" => reach.add(&get::<Option<String>>(row, 2)?.unwrap_or_default()),
        _ if oid == 0 => {}
        "f" => {
            reach.functions.insert(oid);
        }
        // Only superusers put functions there, and the server's own do what their place asks.
        "u" if oid >= FIRST_OF_USERS => {
            reach.functions.insert(oid);
        }
        "o" => {
            reach.operators.insert(oid);
        }
        "x" if oid >= FIRST_OF_USERS => {
            reach.objects.insert(oid);
        }
        _ => {}
    }
    Ok(())
}

fn function(row: &Row) -> Result<FunctionFacts> {
    Ok(FunctionFacts {
        oid: get(row, 0)?,
        schema: get(row, 1)?,
        name: get(row, 2)?,
        kind: get(row, 3)?,
        volatility: get(row, 4)?,
        security_definer: get(row, 5)?,
        language: get(row, 6)?,
        language_is_trusted: get(row, 7)?,
        owner_is_superuser: get(row, 8)?,
        extension: get(row, 9)?,
        body: get(row, 10)?,
    })
}

struct Walk<'a> {
    pg: &'a Postgres,
    limits: &'a Limits,
    under: String,
    writes: bool,
}

impl Walk<'_> {
    /// One look at the catalogs, in a transaction of its own.
    async fn round(&mut self, objects: &Vec<u32>, operators: &Vec<u32>, functions: &Vec<u32>) -> Result<[Vec<Row>; 3]> {
        let by_oid = format!("{FUNCTIONS} p.oid = ANY ($1)");
        let questions = vec![
            BurstAsk::with(EDGES, vec![(objects, Type::OID_ARRAY), (&self.writes, Type::BOOL)]),
            BurstAsk::with(OPERATORS, vec![(operators, Type::OID_ARRAY)]),
            BurstAsk::with(&by_oid, vec![(functions, Type::OID_ARRAY)]),
        ];
        let mut rows = self.ask(questions).await?.into_iter();
        Ok([rows.next().unwrap_or_default(), rows.next().unwrap_or_default(), rows.next().unwrap_or_default()])
    }

    async fn ask(&self, questions: Vec<BurstAsk<'_>>) -> Result<Vec<Vec<Row>>> {
        let count = questions.len();
        let mut asks = vec![
            BurstAsk::plain(Access::Only.begin()),
            BurstAsk::plain(&self.under),
            BurstAsk::plain("SET LOCAL search_path = pg_catalog, pg_temp"),
        ];
        asks.extend(questions);
        asks.push(BurstAsk::plain(ROLLBACK));
        let last = asks.len() - 1;
        let mut answers = send(self.pg, &safe!("asking the catalogs what the statement reaches"), &asks, self.limits.patience()).await?;
        answers.failed(last)?;
        (0..count).map(|at| answers.rows(3 + at).map_err(|f| f.error)).collect()
    }

    /// The functions of users that the bodies of others name, by name: any of that name in any schema.
    async fn called(&mut self, reached: &[FunctionFacts]) -> Result<Vec<FunctionFacts>> {
        let mut names: BTreeSet<String> = reached.iter().filter(|f| f.oid >= FIRST_OF_USERS).flat_map(|f| names_in(&f.body)).collect();
        let (mut asked, mut found) = (BTreeSet::new(), BTreeMap::new());
        for _ in 0..ROUNDS {
            let new: Vec<String> = names.difference(&asked).cloned().collect();
            if new.is_empty() || found.len() > OBJECTS {
                break;
            }
            asked.extend(new.iter().cloned());
            let by_name = format!("{FUNCTIONS} p.oid >= 16384 AND lower(p.proname) = ANY ($1)");
            let rows = self.ask(vec![BurstAsk::with(&by_name, vec![(&new, Type::TEXT_ARRAY)])]).await?;
            for row in rows.iter().flatten() {
                let function = function(row)?;
                names.extend(names_in(&function.body));
                found.insert(function.oid, function);
            }
        }
        Ok(found.into_values().collect())
    }
}
