//! The runbook as data: what is asserted over everything that obsctl can see, and what came of it. `spec` is one check, `kind` what it asks
//! and which figures it can compare, `threshold` and `range` are the comparisons, `file` reads them from YAML, `builtin` is the runbook for
//! whoever has no file, `kinds` turns what other analyses found into sightings, `evaluate` judges sightings, `history` and `baseline` know
//! earlier runs, `view` and `report` show the results.
//!
//! Opens no connection and reads no clock: looking is the business of `commands::check`. One evaluator serves a single run, `--wait` and
//! `obsctl watch FILE`.

pub mod baseline;
pub mod builtin;
pub mod evaluate;
pub mod file;
pub mod history;
pub mod init;
pub mod kind;
pub mod kinds;
pub mod model;
pub mod range;
pub mod report;
pub mod spec;
pub mod threshold;
pub mod view;
