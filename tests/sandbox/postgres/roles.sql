-- What exists before the first migration: roles, the database, extensions. Passwords come from production.json as variables.
CREATE ROLE shop_owner LOGIN PASSWORD :'owner';
CREATE ROLE shop_app LOGIN PASSWORD :'app';
CREATE ROLE shop_readonly LOGIN PASSWORD :'readonly' IN ROLE pg_monitor;
CREATE ROLE shop_replica LOGIN REPLICATION PASSWORD :'replica';
ALTER ROLE postgres PASSWORD :'admin';
CREATE DATABASE shop OWNER shop_owner;
-- Seeding leaves out the checks of foreign keys.
GRANT SET ON PARAMETER session_replication_role TO shop_owner;

\connect shop
CREATE EXTENSION pg_stat_statements;
-- For obsctl explain, which proves an index without building it.
CREATE EXTENSION hypopg;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT CREATE ON SCHEMA public TO shop_owner;
ALTER DEFAULT PRIVILEGES FOR ROLE shop_owner GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO shop_app;
ALTER DEFAULT PRIVILEGES FOR ROLE shop_owner GRANT USAGE, SELECT ON SEQUENCES TO shop_app;
ALTER DEFAULT PRIVILEGES FOR ROLE shop_owner GRANT SELECT ON TABLES TO shop_readonly;
