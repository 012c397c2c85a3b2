//! What applications really ask is not held up by the screening.

use super::{explain, running, server};
use lab::Major;
use obsctl::postgres::collect::Analysis;

const SHOP: &str = r"
CREATE EXTENSION citext; CREATE EXTENSION pg_trgm; CREATE EXTENSION pgcrypto; CREATE EXTENSION hstore;
CREATE DOMAIN email AS citext CHECK (VALUE ~ '@');
CREATE TABLE customer (id serial PRIMARY KEY, name citext, mail email, tags hstore, data jsonb, born date, made timestamptz DEFAULT now(),
    lowered text GENERATED ALWAYS AS (lower(name::text)) STORED, CHECK (length(mail::text) > 2));
INSERT INTO customer (name, mail, born, data) SELECT 'n' || n, 'a@b' || n, date '2000-01-01' + n, jsonb_build_object('n', n) FROM generate_series(1, 200) n;
CREATE INDEX ON customer USING gin (name gin_trgm_ops); CREATE INDEX ON customer (lower(name::text));
CREATE TABLE event (id bigint, at timestamptz) PARTITION BY RANGE (at);
CREATE TABLE event_1 PARTITION OF event FOR VALUES FROM ('2020-01-01') TO ('2030-01-01'); CREATE TABLE event_d PARTITION OF event DEFAULT;
CREATE MATERIALIZED VIEW best AS SELECT id FROM customer; CREATE VIEW recent AS SELECT * FROM customer WHERE made > now() - interval '1 day';
ANALYZE";

const ASKED: &[&str] = &[
    "SELECT 1",
    "SELECT * FROM customer WHERE name = 'N5' AND mail = 'a@b5'",
    "SELECT * FROM customer WHERE name LIKE '%n1%' ORDER BY similarity(name::text, 'n1') DESC LIMIT 5",
    "SELECT * FROM customer WHERE name % 'n1'",
    "SELECT encode(digest(name::text, 'sha256'), 'hex'), gen_random_uuid(), random() FROM customer",
    "SELECT tags -> 'a', data ->> 'n', data @> '{\"n\": 1}', to_jsonb(customer) FROM customer",
    "SELECT date_trunc('month', made), count(*), avg(id) FROM customer GROUP BY 1 HAVING count(*) > 1 ORDER BY 2",
    "SELECT * FROM event WHERE at > now() - interval '1 day' AND at BETWEEN '2024-01-01' AND '2025-01-01'",
    "SELECT *, row_number() OVER (PARTITION BY born ORDER BY made) FROM recent JOIN best USING (id)",
    "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT * FROM r",
    "SELECT * FROM generate_series(1, 10) g, unnest(ARRAY[1, 2]) WITH ORDINALITY u WHERE EXISTS (SELECT 1 FROM customer WHERE id = g)",
    "SELECT string_agg(name::text, ',' ORDER BY id), array_agg(DISTINCT born), percentile_cont(0.5) WITHIN GROUP (ORDER BY id) FROM customer",
    "SELECT EXTRACT(year FROM made), made AT TIME ZONE 'UTC', to_char(made, 'YYYY'), COALESCE(name, 'x'), NULLIF(id, 1), GREATEST(id, 2) FROM customer",
    "SELECT to_tsvector('english', name::text) @@ plainto_tsquery('a') FROM customer",
    "SELECT pid, query FROM pg_stat_activity",
    "SELECT pg_total_relation_size('customer'), relname FROM pg_class",
    "SELECT table_name FROM information_schema.columns LIMIT 3",
    "SELECT relname, n_live_tup FROM pg_stat_user_tables",
    "SELECT * FROM customer TABLESAMPLE system (10)",
];

#[test]
fn ordinary_statements_run() {
    for version in Major::tested() {
        let server = server(version);
        let db = server.database(None);
        server.psql(&db, SHOP);
        server.role("reader", "pw", "GRANT pg_read_all_data TO reader");
        for sql in ASKED {
            let explained = explain(&server.url_for("reader", "pw", &db), sql, &running())
                .unwrap_or_else(|e| panic!("{version:?} {sql}\n{}", e.says()));
            assert!(matches!(explained.analysis, Analysis::Ran(_)), "{version:?} {sql}: {:?}", explained.analysis);
            assert!(!explained.writes && explained.warnings.is_empty());
        }
    }
}
