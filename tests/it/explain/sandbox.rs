//! `obsctl explain` on the sandbox, as local processes and in pods behind tunnels: each of its database's faults is named as
//! `tests/sandbox/faults.json` says, and healthy again after.

use crate::cli_support::{Desk, OBSCTL, Seen};
use lab::sandbox::{PodSandbox, Profile, traffic::Traffic};
use serde_json::Value;
use std::path::Path;

struct Oncall {
    config: String,
    /// Of the cluster, where it runs in one.
    kubeconfig: Option<String>,
}

impl Oncall {
    fn new(config: &Path, kubeconfig: Option<&Path>) -> Self {
        Self { config: config.display().to_string(), kubeconfig: kubeconfig.map(|path| path.display().to_string()) }
    }

    fn run(&self, words: &[&str]) -> Seen {
        let desk = self.kubeconfig.iter().fold(Desk::new(), |desk, path| desk.var("KUBECONFIG", path));
        desk.start(OBSCTL, ["--config", &self.config].iter().chain(words).copied())
    }

    #[track_caller]
    fn ask(&self, words: &[&str]) -> Value {
        let seen = self.run(&[words, &["-o", "json"]].concat());
        assert_eq!(seen.status, 0, "{seen:#?}");
        serde_json::from_str(&seen.out).expect("an object")
    }

    /// The query ID of the statement of a view.
    #[track_caller]
    fn query_of(&self, view: &str) -> String {
        let slow = self.ask(&["db", "-d", "oncall", "slow", "--limit", "40"]);
        let statements = slow["facts"]["statements"].as_array().expect("a list");
        let found = statements.iter().find(|s| s.to_string().contains(view)).unwrap_or_else(|| panic!("no {view}: {slow:#}"));
        let id = &found["key"]["queryid"];
        id.as_str().map_or_else(|| id.to_string(), str::to_owned)
    }
}

#[test]
fn the_faults_of_the_sandbox_are_explained() {
    let lab = lab::hand::Lab::start().expect("a lab of our own: nobody else lives with the damage");
    let sandbox = lab.sandbox_local(Profile::A);
    let oncall = Oncall::new(&sandbox.config, None);
    every_fault_is_explained(&oncall, sandbox.traffic());
    lab.close().expect("an end");
}

#[test]
fn the_faults_of_the_sandbox_are_explained_in_pods_through_the_tunnel() {
    let cluster = lab::get().cluster();
    let sandbox = PodSandbox::start(&cluster, Profile::A).expect("a production of our own");
    let oncall = Oncall::new(&sandbox.config, Some(cluster.kubeconfig()));
    for (database, role, pod) in [("oncall", "primary", "postgres-"), ("replica", "replica", "postgres-replica-")] {
        let seen = oncall.run(&["explain", "-d", database, "SELECT 1"]);
        let first = seen.out.lines().take(3).flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ");
        assert!(seen.status == 0 && first.contains(role) && first.contains(&format!("tunnel to pod {pod}")), "{seen:#?}");
    }
    every_fault_is_explained(&oncall, sandbox.traffic());
}

fn every_fault_is_explained(oncall: &Oncall, traffic: &Traffic) {
    // A missing index, found on the primary, run on the replica with sampled values, proven by hypopg.
    traffic.fault("slow-report").expect("a fault");
    let slowest = ["explain", "-d", "oncall", "--on", "replica", "--slowest", "--analyze"];
    let told = oncall.run(&slowest);
    assert_eq!(told.status, 0, "{told:#?}");
    for part in [
        "replica",
        "one full read of shop_orderitem: no index leads with product_id",
        "CREATE INDEX CONCURRENTLY ON shop_orderitem (product_id);",
        "hypopg: cost",
        "ruled out",
        "replica lag",
    ] {
        assert!(told.out.contains(part), "{part}: {}", told.out);
    }
    // A session of the shop still has it as its last statement, with its literals; else its values are sampled.
    assert!(told.out.contains("last ran it") || told.out.contains("sampled from the statistics"), "{}", told.out);
    let object = oncall.ask(&slowest);
    assert!(object["findings"][0].to_string().contains("shop_orderitem"), "{:#}", object["findings"]);
    let first = &object["facts"]["advice"][0];
    assert_eq!(first["statement"], "CREATE INDEX CONCURRENTLY ON shop_orderitem (product_id);", "{first:#}");
    assert!(first["proof"].to_string().contains("hypopg"), "{first:#}");

    // One statement for each customer.
    traffic.fault("n-plus-one").expect("a fault");
    let many = oncall.ask(&["db", "-d", "oncall", "slow", "--by", "calls", "--limit", "3"]);
    let suspect = many["findings"].as_array().expect("a list").iter().find(|f| f["code"] == "n-plus-one-suspected");
    assert!(suspect.is_some_and(|f| f.to_string().contains("orders.views.customers")), "{many:#}");

    // A sort on disk.
    traffic.fault("disk-sort").expect("a fault");
    let id = oncall.query_of("orders.views.ranking");
    let told =
        oncall.run(&["explain", "-d", "oncall", "--on", "replica", "--queryid", &id, "--analyze", "--param", "21", "--param", "300000"]);
    assert!(told.status == 0 && told.out.contains("HIGH") && told.out.contains("disk"), "{told:#?}");

    // Statistics from when the table was empty, which the primary alone counts.
    let stale = traffic.harm("stale-statistics", &[]).expect("a harm");
    let sql = "SELECT count(*) FROM shop_pricelistentry WHERE supplier = 'Acme'";
    let names = |answer: &Value| answer["findings"].as_array().expect("findings").iter().any(|f| f["code"] == "stale-statistics");
    assert!(names(&oncall.ask(&["explain", "-d", "oncall", sql])));
    stale.restore().expect("well again");
    assert!(!names(&oncall.ask(&["explain", "-d", "oncall", sql])));

    // Writers that are blocked, not slow. The role only reads, and may not plan what they run.
    let harmed = traffic.harm("lock-pileup", &["--slow-seconds", "120"]).expect("a harm");
    let locks = oncall.ask(&["db", "-d", "oncall", "locks"]);
    let tree = &locks["facts"]["trees"][0];
    let (blocker, blocked) = (tree["who"]["pid"].to_string(), tree["blocks"][0]["who"]["pid"].to_string());
    let told = oncall.run(&["explain", "-d", "oncall", "--pid", &blocked]);
    let says = format!("{}{}", told.out, told.err);
    for part in
        ["it is not slow, it waits", &blocker, "products.import_prices", "idle in transaction", "shop_product", "obsctl db locks -d oncall"]
    {
        assert!(says.contains(part), "{part}: {says}");
    }
    harmed.restore().expect("well again");
    let well = oncall.ask(&["explain", "-d", "oncall", "SELECT stock FROM shop_product WHERE id = 7"]);
    assert!(well["facts"]["meaning"]["ruled_out"].to_string().contains("blocked (nobody waits for a lock)"), "{well:#}");
}
