//! Configuration: one YAML file, flags and variables become one typed environment, and every value knows where it came from. Resolves
//! nothing that needs a connection, runs nothing, prints nothing.
//!
//! `file` reads the YAML and `explain` words its errors, `trust` finds the file and says whether it may act, `merge` holds the variables
//! and the precedence, `build` and `value` make the typed `environment` of it, `endpoint` is the way to a database or a broker as data,
//! `broker` and `broker_url` are a Celery broker as its file and its URL describe it, `health` is how apps are asked,
//! `watch` and `notify` are when silence is wanted and who is told, `check` looks at a whole file.

mod broker;
mod broker_url;
mod build;
mod check;
mod endpoint;
mod environment;
mod explain;
mod file;
mod health;
mod merge;
mod nearest;
mod notify;
mod postgres_url;
mod reference;
mod trust;
mod value;
mod watch;

pub use broker::{Broker, QueueThresholds, Transport};
pub use broker_url::{BrokerAddress, BrokerUrl, UrlTls, Verify, host_port};
pub use check::{Check, Checked, check};
pub use endpoint::{Address, AddressParts, Endpoint, SecretRef, TlsSettings, Via};
pub use environment::{App, Environment, KubeTarget, LibpqFiles, LogGlob, Results, Setting};
pub use file::{At, Opt, Place, read_yaml, schema};
pub use health::{AppUrl, Dialect, HealthSettings};
pub use merge::{Inputs, Origin, Sourced, Vars, load, names};
pub use nearest::nearest;
pub use notify::{Channel, NotifySettings, RouteName};
pub use postgres_url::{PostgresUrl, SslMode, WantedHost};
pub use trust::{Action, TrustPlan, plan_trust, state_folder};
pub use watch::{WatchSettings, WindowSetting};

#[cfg(test)]
mod tests;
