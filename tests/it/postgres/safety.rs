//! Every way of writing that READ ONLY and ROLLBACK do not cover is tried, as a superuser too, and nothing has changed afterwards.

use super::{explain, open, refused, running, server};
use lab::{Major, PostgresServer};
use obsctl::postgres::{
    collect::{Analysis, Request, Values},
    screen::Vouched,
};

/// A database full of traps. Each writes into `mark`, by a connection of its own that no rollback reaches.
fn world(server: &PostgresServer) -> String {
    server.role("app", "pw", "CREATE SCHEMA IF NOT EXISTS nothing");
    let db = server.database(None);
    let remote = format!("host=127.0.0.1 port={} dbname={db} user=app password=pw", server.port());
    let statements = TRAPS.replace("REMOTE", &remote);
    server.psql(&db, &statements);
    db
}

const TRAPS: &str = r"
CREATE EXTENSION dblink; CREATE EXTENSION citext;
CREATE TABLE mark (n int); GRANT ALL ON mark TO app;
CREATE TABLE t (id serial PRIMARY KEY, a int, b text); INSERT INTO t (a, b) SELECT n, 'x' || n FROM generate_series(1, 100) n;
CREATE SEQUENCE s;
GRANT ALL ON ALL TABLES IN SCHEMA public TO app; GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO app; GRANT ALL ON SCHEMA public TO app;
CREATE FUNCTION evil(int) RETURNS int STABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM dblink_exec('REMOTE', 'INSERT INTO mark VALUES (1)'); RETURN $1; END $$;
CREATE FUNCTION wrapper(int) RETURNS int IMMUTABLE LANGUAGE sql AS $$ SELECT public.evil($1) $$;
CREATE FUNCTION writer() RETURNS int LANGUAGE plpgsql AS $$ BEGIN INSERT INTO mark VALUES (2); RETURN 1; END $$;
CREATE FUNCTION opens() RETURNS int LANGUAGE plpgsql AS $$ BEGIN SET TRANSACTION READ WRITE; INSERT INTO mark VALUES (3); RETURN 1; END $$;
CREATE FUNCTION definer(int) RETURNS int STABLE SECURITY DEFINER LANGUAGE sql AS $$ SELECT $1 $$;
CREATE VIEW v AS SELECT id FROM t WHERE a = evil(1);
CREATE VIEW v_admin AS SELECT pg_reload_conf();
CREATE FUNCTION evil_op(int, int) RETURNS bool STABLE LANGUAGE sql AS $$ SELECT public.evil($1) = $2 $$;
CREATE OPERATOR #!# (LEFTARG = int, RIGHTARG = int, FUNCTION = evil_op);
CREATE OPERATOR ### (LEFTARG = int, RIGHTARG = int, FUNCTION = pg_advisory_lock);
CREATE TYPE box2 AS (x int);
CREATE FUNCTION box2_int(box2) RETURNS int STABLE LANGUAGE sql AS $$ SELECT public.evil($1.x) $$;
CREATE CAST (box2 AS int) WITH FUNCTION box2_int(box2) AS IMPLICIT;
CREATE FUNCTION box2_json(box2) RETURNS json STABLE LANGUAGE sql AS $$ SELECT to_json(public.evil(1)) $$;
CREATE CAST (box2 AS json) WITH FUNCTION box2_json(box2);
CREATE FUNCTION checks(int) RETURNS bool IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM public.evil(1); RETURN true; END $$;
CREATE DOMAIN guarded_int AS int CHECK (checks(VALUE));
CREATE TYPE holder AS (g guarded_int);
CREATE TABLE indexed (a int); CREATE INDEX ON indexed ((wrapper(a)));
CREATE TABLE computed (a int, b int GENERATED ALWAYS AS (wrapper(a)) STORED);
CREATE TABLE checked (a int CHECK (checks(a)));
CREATE TABLE parted (a int) PARTITION BY LIST (wrapper(a)); CREATE TABLE parted_1 PARTITION OF parted DEFAULT;
CREATE TABLE policed (a int); INSERT INTO policed VALUES (1); GRANT ALL ON policed TO app;
ALTER TABLE policed ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON policed USING (evil(a) = 1);
CREATE TABLE ruled (a int); CREATE RULE r AS ON UPDATE TO ruled DO ALSO DELETE FROM t;
CREATE PROCEDURE proc() LANGUAGE plpgsql AS $$ BEGIN INSERT INTO mark VALUES (4); COMMIT; END $$;
CREATE SCHEMA evil; GRANT USAGE ON SCHEMA evil TO app;
CREATE FUNCTION evil.lower(text) RETURNS text STABLE LANGUAGE sql AS $$ SELECT public.evil(1)::text $$;
CREATE FUNCTION evil.current_setting(text) RETURNS text STABLE LANGUAGE sql AS $$ SELECT public.evil(1)::text $$;
CREATE FUNCTION evil.set_config(text, text, bool) RETURNS text LANGUAGE sql AS $$ SELECT public.evil(1)::text $$;
CREATE FUNCTION evil.pg_is_in_recovery() RETURNS bool LANGUAGE sql AS $$ SELECT public.evil(1) = 1 $$;
CREATE FUNCTION evil.same(name, name) RETURNS bool STABLE LANGUAGE sql AS $$ SELECT public.evil(1) = 1 $$;
CREATE OPERATOR evil.= (LEFTARG = name, RIGHTARG = name, FUNCTION = evil.same);
CREATE OPERATOR evil.= (LEFTARG = int, RIGHTARG = int, FUNCTION = public.evil_op);
CREATE VIEW evil.pg_proc AS SELECT public.evil(1) AS oid;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA evil TO app;
";

/// Everything that an attempt could have changed, in one line.
fn state(server: &PostgresServer, db: &str) -> String {
    server.psql(
        db,
        "SELECT (SELECT count(*) FROM mark), (SELECT count(*) || '.' || sum(a) FROM t), (SELECT last_value || '.' || is_called FROM s), \
         (SELECT last_value FROM t_id_seq), pg_snapshot_xmax(pg_current_snapshot()), (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'), \
         pg_conf_load_time(), (SELECT stats_reset FROM pg_stat_database WHERE datname = current_database()), \
         (SELECT count(*) FROM pg_largeobject_metadata), (SELECT count(*) FROM pg_class), current_setting('work_mem'), \
         (SELECT count(*) FROM pg_prepared_xacts), (SELECT count(*) FROM pg_replication_slots)",
    )
}

/// A statement, and a part of what is said to it.
const FUNCTIONS: &[(&str, &str)] = &[
    ("SELECT nextval('s')", "nextval"),
    ("SELECT setval('s', 99)", "setval"),
    ("SELECT writer()", "public.writer"),
    ("SELECT opens()", "public.opens"),
    ("SELECT * FROM t WHERE a = evil(1)", "public.evil"),
    ("SELECT * FROM t WHERE a = wrapper(1)", "public.wrapper"),
    ("SELECT * FROM t WHERE a = definer(1)", "SECURITY DEFINER"),
    ("SELECT * FROM v", "public.evil"),
    ("SELECT (SELECT count(*) FROM v), 1", "public.evil"),
    ("WITH c AS (SELECT * FROM v) SELECT 1 FROM c", "public.evil"),
    ("SELECT * FROM v_admin", "pg_reload_conf"),
    ("SELECT 1 #!# 1", "public.evil_op"),
    ("SELECT 1 OPERATOR(public.#!#) a FROM t", "public.evil_op"),
    ("SELECT 1 ### 2", "pg_advisory_lock"),
    ("SELECT * FROM t ORDER BY a = ANY (ARRAY[evil(1)])", "public.evil"),
    ("SELECT 1 + ROW(1)::box2", "public.box2_int"),
    ("SELECT to_jsonb(ROW(1)::box2)", "public.box2_json"),
    ("SELECT row_to_json(q) FROM (SELECT ROW(1)::box2 AS b) q", "public.box2_json"),
    ("SELECT evil_sum(a) FROM t", "public.evil_op2"),
    ("SELECT evil_sum(a) OVER () FROM t", "public.evil_op2"),
    ("SELECT 1::guarded_int", "public.checks"),
    ("SELECT '1'::text::guarded_int", "public.checks"),
    ("SELECT json_populate_record(NULL::holder, '{\"g\": 1}')", "public.checks"),
    ("SELECT * FROM json_to_record('{\"g\": 1}') AS x(g guarded_int)", "public.checks"),
    ("SELECT ARRAY[1]::guarded_int[]", "public.checks"),
    ("SELECT * FROM indexed WHERE a = 1", "public.wrapper"),
    ("SELECT * FROM computed", "public.wrapper"),
    ("SELECT * FROM checked", "public.checks"),
    ("SELECT * FROM parted WHERE a = 1", "public.wrapper"),
    ("SELECT table_to_xml('v', true, true, '')", "table_to_xml"),
    ("SELECT query_to_xml('SELECT evil(1)', true, true, '')", "query_to_xml"),
    ("SELECT ts_stat('SELECT to_tsvector(evil(1)::text)')", "ts_stat"),
    ("SELECT dblink_exec('x', 'y')", "dblink"),
    ("SELECT * FROM dblink('x', 'y') AS d(a int)", "dblink"),
    ("SELECT pg_advisory_lock(42)", "pg_advisory_lock"),
    ("SELECT pg_try_advisory_xact_lock(42)", "pg_try_advisory_xact_lock"),
    ("SELECT pg_stat_reset()", "pg_stat_reset"),
    ("SELECT pg_reload_conf()", "pg_reload_conf"),
    ("SELECT set_config('work_mem', '1MB', false)", "set_config"),
    ("SELECT pg_logical_emit_message(false, 'a', 'b')", "pg_logical_emit_message"),
    ("SELECT lo_create(0)", "lo_create"),
    ("SELECT lo_from_bytea(0, 'x')", "lo_from_bytea"),
    ("SELECT pg_notify('a', 'b')", "pg_notify"),
    ("SELECT pg_read_file('postgresql.conf')", "pg_read_file"),
    ("SELECT pg_terminate_backend(pid) FROM pg_stat_activity", "pg_terminate_backend"),
    ("SELECT pg_create_restore_point('x')", "pg_create_restore_point"),
    ("SELECT txid_current()", "txid_current"),
    ("SELECT pg_current_xact_id()", "pg_current_xact_id"),
    ("SELECT pg_sleep(1)", "pg_sleep"),
    ("SELECT CASE WHEN false THEN pg_reload_conf() END", "pg_reload_conf"),
    ("SELECT 1 LIMIT evil(1)", "public.evil"),
    ("SELECT 1 FROM t GROUP BY evil(a) HAVING evil(1) = 1", "public.evil"),
    ("SELECT * FROM t, LATERAL evil(t.a) e", "public.evil"),
    ("VALUES (evil(1))", "public.evil"),
    ("SELECT * FROM t TABLESAMPLE bernoulli (evil(1))", "public.evil"),
    ("SELECT count(*) FILTER (WHERE evil(1) = 1) FROM t", "public.evil"),
    ("SELECT sum(a) OVER (ORDER BY a ROWS evil(1) PRECEDING) FROM t", "public.evil"),
    ("SELECT t.evil FROM (SELECT 1 AS a) x, LATERAL (SELECT x.a) t(evil), evil(1)", "public.evil"),
    ("UPDATE t SET a = evil(1)", "public.evil"),
];

/// What has no plan, or is not one statement.
const NO_PLAN: &[&str] = &[
    "COPY t TO PROGRAM 'touch /tmp/obsctl-was-here'",
    "COPY (SELECT writer()) TO STDOUT",
    "DO $$ BEGIN INSERT INTO mark VALUES (5); END $$",
    "CALL proc()",
    "SET TRANSACTION READ WRITE",
    "BEGIN READ WRITE",
    "COMMIT",
    "ROLLBACK",
    "EXECUTE other",
    "DEALLOCATE ALL",
    "DISCARD ALL",
    "NOTIFY a",
    "LISTEN a",
    "LOCK TABLE t",
    "TRUNCATE t",
    "VACUUM t",
    "ANALYZE t",
    "CREATE TABLE made AS SELECT 1",
    "SELECT 1 AS a INTO made",
    "DECLARE c CURSOR WITH HOLD FOR SELECT writer()",
    "EXPLAIN ANALYZE DELETE FROM t",
    "PREPARE x AS DELETE FROM t",
    "ALTER SYSTEM SET work_mem = '1MB'",
    "REFRESH MATERIALIZED VIEW m",
    "SELECT 1; DELETE FROM t",
    "SELECT 1 --\n; DELETE FROM t",
    "SELECT 1 /* ; /* */ */ ; DELETE FROM t",
    "SELECT $q$a$q$; DELETE FROM t",
    "SELECT 'a\\'; DELETE FROM t; --'",
    "SELECT E'a\\''; DELETE FROM t; --'",
    "SELECT 1 AS \"a;\"; DELETE FROM t",
    "SELECT U&'\\0027; DELETE FROM t",
    "(SELECT 1); COMMIT; DELETE FROM t",
    "; DELETE FROM t",
    "CREATE FUNCTION x() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT 2; END",
];

/// What writes by itself: its plan is shown, and it is not run.
const WRITES: &[&str] = &[
    "INSERT INTO t (a, b) VALUES (1, 'y')",
    "INSERT INTO t (a) SELECT a FROM t",
    "UPDATE t SET a = 0",
    "DELETE FROM t",
    "WITH gone AS (DELETE FROM t RETURNING *) SELECT count(*) FROM gone",
    "WITH made AS (INSERT INTO mark VALUES (6) RETURNING 1) SELECT * FROM made",
    "SELECT * FROM t FOR UPDATE",
    "SELECT * FROM (SELECT * FROM t FOR SHARE) q",
    "SELECT * FROM t WHERE id = 1 FOR NO KEY UPDATE SKIP LOCKED",
];

/// Adds what needs functions that are defined late.
fn finish(server: &PostgresServer, db: &str) {
    server.psql(
        db,
        "CREATE FUNCTION evil_op2(int, int) RETURNS int STABLE LANGUAGE sql AS $$ SELECT public.evil($1) + $2 $$; \
         CREATE AGGREGATE evil_sum(int) (SFUNC = evil_op2, STYPE = int, INITCOND = '0')",
    );
}

fn trapped(version: Major) -> (PostgresServer, String) {
    let server = server(version);
    let db = world(&server);
    finish(&server, &db);
    (server, db)
}

#[test]
fn the_traps_work() {
    // Otherwise nothing below would show anything.
    let (server, db) = trapped(Major::V15);
    let before = server.psql(&db, "SELECT count(*) FROM mark");
    for attack in ["EXPLAIN SELECT * FROM t WHERE a = evil(1)", "EXPLAIN SELECT * FROM v", "EXPLAIN SELECT * FROM t WHERE a = wrapper(1)"] {
        server.psql(&db, &format!("BEGIN READ ONLY; {attack}; ROLLBACK"));
    }
    assert_eq!(before, "0");
    assert!(server.psql(&db, "SELECT count(*) FROM mark").parse::<u32>().unwrap() >= 3);
}

#[test]
fn what_writes_by_a_function_is_refused_beforehand() {
    for version in Major::tested() {
        let (server, db) = trapped(version);
        let (url, before) = (server.url_of(&db), state(&server, &db));
        for (sql, said) in FUNCTIONS {
            for request in [running(), Request::default()] {
                let why = refused(&url, sql, &request);
                assert!(why.contains(said), "{version:?} {sql}\n{why}");
            }
            assert_eq!(state(&server, &db), before, "{version:?} {sql}");
        }
    }
}

#[test]
fn what_has_no_plan_never_runs() {
    for version in Major::tested() {
        let (server, db) = trapped(version);
        let (url, before) = (server.url_of(&db), state(&server, &db));
        for sql in NO_PLAN {
            refused(&url, sql, &running());
            assert_eq!(state(&server, &db), before, "{version:?} {sql}");
        }
        assert!(!std::path::Path::new("/tmp/obsctl-was-here").exists());
    }
}

#[test]
fn what_writes_rows_is_planned_and_not_run() {
    for version in Major::tested() {
        let (server, db) = trapped(version);
        let (url, before) = (server.url_of(&db), state(&server, &db));
        for sql in WRITES {
            let explained = explain(&url, sql, &running()).unwrap_or_else(|e| panic!("{version:?} {sql}\n{}", e.says()));
            assert!(explained.writes && matches!(explained.analysis, Analysis::Withheld(_)), "{sql}: {:?}", explained.analysis);
            assert_eq!(state(&server, &db), before, "{version:?} {sql}");
        }
    }
}

#[test]
fn a_rule_that_makes_two_statements_of_one_is_refused() {
    let (server, db) = trapped(Major::V15);
    let before = state(&server, &db);
    assert!(refused(&server.url_of(&db), "UPDATE ruled SET a = 1", &running()).contains("rule"));
    assert_eq!(state(&server, &db), before);
}

#[test]
fn row_policies_are_screened_for_those_whom_they_hold() {
    let (server, db) = trapped(Major::V15);
    let before = state(&server, &db);
    let app = server.url_for("app", "pw", &db);
    assert!(refused(&app, "SELECT * FROM policed", &running()).contains("public.evil"));
    assert_eq!(state(&server, &db), before);
}

#[test]
fn a_search_path_leads_nobody_astray() {
    for version in Major::tested() {
        let (server, db) = trapped(version);
        server.psql(&db, &format!("ALTER ROLE app IN DATABASE \"{db}\" SET search_path = evil, pg_catalog, public"));
        let (app, before) = (server.url_for("app", "pw", &db), state(&server, &db));
        for sql in ["SELECT lower('A')", "SELECT * FROM t WHERE a = 1", "SELECT * FROM pg_proc", "SELECT current_setting('work_mem')"] {
            let why = refused(&app, sql, &running());
            // 14 shows its trees in a way that such a path could reach, and is not asked at all.
            let expected = if version == Major::V14 { "not safe to use" } else { "evil" };
            assert!(why.contains(expected), "{version:?} {sql}\n{why}");
            assert_eq!(state(&server, &db), before, "{version:?} {sql}");
        }
        if version == Major::V14 {
            continue;
        }
        let explained = explain(&app, "SELECT upper(b) FROM public.t", &running()).unwrap();
        assert!(matches!(explained.analysis, Analysis::Ran(_)), "{:?}", explained.analysis);
        assert_eq!(explained.server.search_path.as_str(), "evil, pg_catalog, public");
        assert_eq!(state(&server, &db), before, "{version:?}");
    }
}

#[test]
fn vouching_does_not_reach_what_acts_outside() {
    let (server, db) = trapped(Major::V15);
    let (url, before) = (server.url_of(&db), state(&server, &db));
    let all = ["evil", "wrapper", "opens", "definer", "pg_reload_conf", "dblink_exec", "evil_op", "box2_int", "checks"];
    let vouched = Request { vouched: Vouched::new(all.map(str::to_owned)), ..running() };
    for (sql, said) in [
        ("SELECT evil(1)", "dblink"),
        ("SELECT wrapper(1)", "dblink"),
        ("SELECT definer(1)", "SECURITY DEFINER"),
        ("SELECT pg_reload_conf()", "pg_reload_conf"),
        ("SELECT dblink_exec('', '')", "dblink"),
        ("SELECT 1 #!# 1", "dblink"),
        ("SELECT 1::guarded_int", "dblink"),
    ] {
        let why = refused(&url, sql, &vouched);
        assert!(why.contains(said), "{sql}\n{why}");
        assert_eq!(state(&server, &db), before, "{sql}");
    }
    // It may be tried, and the transaction itself does not let it write.
    let vouched = Request { vouched: Vouched::new(["opens", "writer"].map(str::to_owned)), ..running() };
    for sql in ["SELECT opens()", "SELECT writer()"] {
        let explained = explain(&url, sql, &vouched).unwrap();
        assert!(matches!(&explained.analysis, Analysis::Failed(why) if why.contains("read")), "{:?}", explained.analysis);
        assert_eq!(state(&server, &db), before, "{sql}");
    }
}

#[test]
fn values_stay_values() {
    let (server, db) = trapped(Major::V15);
    let (url, before) = (server.url_of(&db), state(&server, &db));
    for value in ["'); DELETE FROM t; --", "\\'); DELETE FROM t; --", "$1", "x\\", "' || evil(1) || '"] {
        let values = Values { list: vec![Some(value.to_owned())], ..Values::default() };
        let explained = explain(&url, "SELECT * FROM t WHERE b = %s", &Request { values, ..running() }).unwrap();
        assert!(matches!(explained.analysis, Analysis::Ran(_)), "{value}: {:?}", explained.analysis);
        assert_eq!(state(&server, &db), before, "{value}");
    }
}

#[test]
fn a_superuser_runs_nothing_unless_that_is_allowed() {
    let (server, db) = trapped(Major::V15);
    let request = Request { analyze: true, ..Request::default() };
    let explained = explain(&server.url_of(&db), "SELECT 1", &request).unwrap();
    assert!(matches!(&explained.analysis, Analysis::Withheld(why) if why.contains("superuser")), "{:?}", explained.analysis);
    server.role("files", "pw", "GRANT pg_read_server_files TO files");
    let explained = explain(&server.url_for("files", "pw", &db), "SELECT 1", &request).unwrap();
    assert!(matches!(&explained.analysis, Analysis::Withheld(why) if why.contains("pg_read_server_files")), "{:?}", explained.analysis);
}

#[test]
fn a_write_that_was_asked_for_is_rolled_back() {
    let (server, db) = trapped(Major::V15);
    let app = server.url_for("app", "pw", &db);
    let request = Request { write_and_roll_back: true, ..running() };
    for sql in ["UPDATE t SET a = a + 1", "INSERT INTO t (a) VALUES (1)", "SELECT * FROM t FOR UPDATE"] {
        let explained = explain(&app, sql, &request).unwrap_or_else(|e| panic!("{sql}\n{}", e.says()));
        assert!(matches!(explained.analysis, Analysis::Ran(_)), "{:?}", explained.analysis);
    }
    assert_eq!(server.psql(&db, "SELECT count(*), sum(a) FROM t"), "100|5050");
    server.psql(
        &db,
        "CREATE FUNCTION on_write() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM public.evil(1); RETURN NEW; END $$; \
         CREATE TRIGGER w BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION on_write()",
    );
    assert!(refused(&app, "UPDATE t SET a = a + 1", &request).contains("public.on_write"));
    assert_eq!(server.psql(&db, "SELECT count(*) FROM mark"), "0");
}

#[test]
fn the_session_is_left_as_it_was() {
    let (server, db) = trapped(Major::V18);
    let pg = open(&server.url_of(&db)).unwrap();
    super::RUNTIME.block_on(async {
        let redact = obsctl::text::Redactor::default();
        let explainer = obsctl::postgres::collect::Explainer::new(&pg, &redact).await.unwrap();
        let statement = obsctl::postgres::statement::Statement::read("SELECT * FROM t", true).unwrap();
        explainer.explain(&statement, &running()).await.unwrap();
        explainer.explain(&obsctl::postgres::statement::Statement::read("SELECT nope", true).unwrap(), &running()).await.unwrap_err();
        let left = "SELECT (SELECT count(*) FROM pg_prepared_statements)::text || current_setting('debug_print_rewritten') || \
                    current_setting('client_min_messages') || current_setting('search_path')";
        let rows = pg.rows("looking".into(), left, &[]).await.unwrap();
        assert_eq!(rows[0].get::<_, String>(0), "0offnotice\"$user\", public");
    });
}

#[test]
fn other_servers_and_files_are_not_asked_unasked() {
    let (server, db) = trapped(Major::V15);
    server.psql(
        &db,
        "CREATE EXTENSION file_fdw; CREATE SERVER files FOREIGN DATA WRAPPER file_fdw; \
         CREATE FOREIGN TABLE ran (a text) SERVER files OPTIONS (program 'touch /tmp/obsctl-was-here; echo 1'); \
         CREATE VIEW over_ran AS SELECT * FROM ran",
    );
    let (url, before) = (server.url_of(&db), state(&server, &db));
    for sql in ["SELECT * FROM ran", "SELECT * FROM over_ran"] {
        assert!(refused(&url, sql, &running()).contains("file_fdw_handler"), "{sql}");
    }
    assert_eq!(state(&server, &db), before);
    assert!(!std::path::Path::new("/tmp/obsctl-was-here").exists());
}

#[test]
fn a_prepared_text_cannot_break_out_of_its_frame() {
    let (server, db) = trapped(Major::V15);
    let (url, before) = (server.url_of(&db), state(&server, &db));
    for sql in [
        "(int) AS DELETE FROM t",
        "SELECT 1) AS x",
        "AS DELETE FROM t",
        "DELETE FROM t RETURNING 1; --",
        "SELECT 1\u{2028}; DELETE FROM t",
        "SELECT 1 \\; DELETE FROM t",
    ] {
        if let Ok(explained) = explain(&url, sql, &running()) {
            assert!(explained.writes && matches!(explained.analysis, Analysis::Withheld(_)), "{sql}");
        }
        assert_eq!(state(&server, &db), before, "{sql}");
    }
}

#[test]
fn a_change_between_screening_and_running_is_noticed() {
    // The tree is compared again inside of the transaction that runs it; a view that is replaced in between has another one.
    let (server, db) = trapped(Major::V15);
    server.psql(&db, "CREATE VIEW harmless AS SELECT id FROM t");
    let pg = open(&server.url_of(&db)).unwrap();
    let redact = obsctl::text::Redactor::default();
    let statement = obsctl::postgres::statement::Statement::read("SELECT * FROM harmless", true).unwrap();
    super::RUNTIME.block_on(async {
        let explainer = obsctl::postgres::collect::Explainer::new(&pg, &redact).await.unwrap();
        explainer.explain(&statement, &running()).await.unwrap();
        server.psql(&db, "CREATE OR REPLACE VIEW harmless AS SELECT id FROM t WHERE a = evil(1)");
        let error = explainer.without_seq_scans(&statement, &running()).await.unwrap_err();
        assert!(error.says().contains("changed"), "{}", error.says());
    });
    assert_eq!(server.psql(&db, "SELECT count(*) FROM mark"), "0");
}
