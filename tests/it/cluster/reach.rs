//! Reaching a server through the cluster: a tunnel to a ready pod, a relay through the application's Python, values from Secrets,
//! ConfigMaps and workloads. The server is a real Redis in a pod, spoken to by hand.

use super::{QUICK, simple};
use crate::{brokers::RUNTIME, support::SOON};
use jiff::tz::TimeZone;
use lab::{
    Namespace, eventually, rule,
    sandbox::{PodSandbox, Profile},
};
use obsctl::{
    answer::Hint,
    config::{Inputs, Origin, SecretRef, Sourced, Vars, Via, load},
    connect::{
        broker::ResultBackend,
        kube::{Cluster, KubeAsk},
        route::{self, RelayHint, RelayPods, Route, Stream},
        secret::Secrets,
    },
    error::{Error, Kind},
    session::{Session, Stop},
    text::Redactor,
};
use secrecy::ExposeSecret;
use std::{fs, path::Path, sync::Arc};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn cluster(kubeconfig: &Path, namespace: &str) -> Arc<Cluster> {
    let ask = KubeAsk {
        context: None,
        namespace: Some(namespace.to_owned()),
        explicit: true,
        files: vec![kubeconfig.to_owned()],
        proxy: None,
        no_proxy: None,
    };
    Arc::new(RUNTIME.block_on(Cluster::connect(&ask, Redactor::default())).unwrap())
}

fn as_admin(ns: &Namespace) -> Arc<Cluster> {
    cluster(ns.cluster().kubeconfig(), ns.name())
}

/// The machine's own programs in a pod, at the same paths.
const PROGRAMS: &str = "volumeMounts: [{name: usr, mountPath: /usr, readOnly: true}, {name: lib, mountPath: /lib, readOnly: true}, \
    {name: lib64, mountPath: /lib64, readOnly: true}]";
const FOLDERS: &str =
    "volumes: [{name: usr, hostPath: {path: /usr}}, {name: lib, hostPath: {path: /lib}}, {name: lib64, hostPath: {path: /lib64}}]";

fn with_programs(name: &str, app: &str, command: &str, more: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, labels: {{app: {app}}}}}\n\
         spec: {{{QUICK}, {FOLDERS}, containers: [{{name: main, image: \"lab.test/busybox:1\", imagePullPolicy: Never, \
         command: {command}, {PROGRAMS}{more}}}]}}\n"
    )
}

/// A Redis whose port has a name, as charts have it.
fn redis(name: &str) -> String {
    with_programs(
        name,
        "redis",
        "[/usr/bin/redis-server, --port, '6379', --save, '', --protected-mode, 'no']",
        ", ports: [{name: redis, containerPort: 6379}], readinessProbe: {tcpSocket: {port: 6379}, periodSeconds: 1}",
    )
}

fn python(name: &str) -> String {
    with_programs(name, "backend", "[/bin/sleep, '3600']", "")
}

const SERVICE: &str = "---\napiVersion: v1\nkind: Service\nmetadata: {name: redis}\nspec: {selector: {app: redis}, ports: [{port: 6380, targetPort: redis}]}\n\
    ---\napiVersion: v1\nkind: Service\nmetadata: {name: headless}\nspec: {clusterIP: None, selector: {app: redis}}\n\
    ---\napiVersion: v1\nkind: Service\nmetadata: {name: outside}\nspec: {type: ExternalName, externalName: redis.example.org}\n";

fn ask(stream: &mut Stream, command: &str) -> Result<String, std::io::Error> {
    RUNTIME.block_on(async {
        stream.write_all(format!("{command}\r\n").as_bytes()).await?;
        stream.flush().await?;
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.push(stream.read_u8().await?);
        }
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    })
}

fn hint(ns: &Namespace, apps: &[&str]) -> RelayHint {
    let pods = apps.iter().map(|app| RelayPods { name: obsctl::text::Safe::name(app), selector: format!("app={app}"), container: None });
    RelayHint { pods: pods.collect(), for_pods: true, namespace: ns.name().to_owned() }
}

fn choose(cluster: &Arc<Cluster>, via: Via, host: &str, port: u16, hint: &RelayHint) -> Result<Route, Error> {
    RUNTIME.block_on(route::choose(via, host, port, Some(cluster), hint))
}

fn dial(route: &Route, host: &str, port: u16) -> Result<Stream, Error> {
    RUNTIME.block_on(route.dial(host, port))
}

fn cluster_ip(ns: &Namespace) -> String {
    ns.kubectl(&["get", "service", "redis", "-ojsonpath={.spec.clusterIP}"]).unwrap()
}

#[test]
fn a_tunnel_leads_to_a_ready_pod_and_to_the_next_one_when_it_is_gone() {
    let ns = lab::get().cluster().namespace("tunnel");
    ns.apply(&format!("{SERVICE}{}", redis("redis-0")));
    ns.wait("pod/redis-0", "condition=Ready", SOON);
    let cluster = as_admin(&ns);
    let hint = hint(&ns, &[]);
    let full = format!("redis.{}.svc.cluster.local", ns.name());
    let pod = format!("redis-0.headless.{}", ns.name());
    let address = cluster_ip(&ns);
    for (host, port) in [("redis", 6380), (full.as_str(), 6380), (address.as_str(), 6380), ("headless", 6379), (pod.as_str(), 6379)] {
        let route = choose(&cluster, Via::Auto, host, port, &hint).unwrap();
        let mut stream = dial(&route, host, port).unwrap();
        assert_eq!(ask(&mut stream, "PING").unwrap(), "+PONG", "{host}");
        assert_eq!(route.says().as_str(), "tunnel to pod redis-0", "{host}");
    }
    let route = choose(&cluster, Via::Auto, "redis", 6380, &hint).unwrap();
    // Several connections at once, each its own.
    let mut streams: Vec<Stream> = (0..3).map(|_| dial(&route, "redis", 6380).unwrap()).collect();
    assert_eq!(ask(&mut streams[0], "INCR n").unwrap(), ":1");
    assert_eq!(ask(&mut streams[1], "INCR n").unwrap(), ":2");
    // The pod goes in the middle, another one comes.
    ns.apply(&redis("redis-1"));
    ns.wait("pod/redis-1", "condition=Ready", SOON);
    ns.kubectl(&["delete", "pod", "redis-0", "--now"]).unwrap();
    eventually(SOON, || match ask(&mut streams[2], "PING") {
        Err(_) => Ok(()),
        Ok(said) => Err(format!("the tunnel to a deleted pod answers {said}")),
    });
    let mut stream = dial(&route, "redis", 6380).unwrap();
    assert_eq!(ask(&mut stream, "GET n").unwrap(), "$-1");
    assert_eq!(route.says().as_str(), "tunnel to pod redis-1");
    // And none is left.
    ns.kubectl(&["delete", "pod", "redis-1", "--now"]).unwrap();
    let error = dial(&route, "redis", 6380).err().unwrap();
    assert_eq!((error.kind(), error.what_happened().as_str()), (Kind::Unreachable, "there is no pod behind it"));
}

#[test]
fn what_no_tunnel_leads_to_is_said() {
    let ns = lab::get().cluster().namespace("noway");
    ns.apply(&format!("{SERVICE}{}", simple("redis", "exec sleep 3600")));
    ns.wait("pod/redis", "condition=Ready", SOON);
    let cluster = as_admin(&ns);
    let hint = hint(&ns, &[]);
    for (via, host, port, kind, what) in [
        (Via::Auto, "outside", 6379, Kind::Unreachable, "Service outside stands for redis.example.org, outside the cluster"),
        (Via::Tunnel, "outside", 6379, Kind::Config, "Service outside stands for redis.example.org, outside the cluster"),
        (Via::Auto, "nowhere", 6379, Kind::Unreachable, "it does not resolve here, and nowhere is no Service of the cluster"),
        (Via::Tunnel, "10.96.200.200", 6379, Kind::Config, "has the address 10.96.200.200"),
    ] {
        let error = choose(&cluster, via, host, port, &hint).err().unwrap();
        assert!(error.what_happened().contains(what) && error.kind() == kind, "{host}: {error:?}");
        assert!(error.hints().iter().any(|h| matches!(h, Hint::Set(set) if set.contains("via: exec"))), "{:?}", error.hints());
    }
    // A pod, but nothing in it listens.
    let route = choose(&cluster, Via::Auto, "headless", 6379, &hint).unwrap();
    let error = ask(&mut dial(&route, "headless", 6379).unwrap(), "PING").unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (std::io::ErrorKind::ConnectionRefused, "nothing listens on port 6379 of pod redis")
    );
    let route = choose(&cluster, Via::Auto, "redis", 9999, &hint).unwrap();
    let error = dial(&route, "redis", 9999).err().unwrap();
    assert_eq!(error.what_happened().as_str(), "it has no port 9999: it has 6380");
}

#[test]
fn a_relay_through_the_application_s_python_ends_with_its_stream() {
    let ns = lab::get().cluster().namespace("relay");
    ns.apply(&format!("{SERVICE}{}{}{}", redis("redis-0"), python("backend-1"), simple("bare", "exec sleep 3600")));
    for pod in ["redis-0", "backend-1", "bare"] {
        ns.wait(&format!("pod/{pod}"), "condition=Ready", SOON);
    }
    let cluster = as_admin(&ns);
    let address = cluster_ip(&ns);
    let processes = || ns.kubectl(&["exec", "backend-1", "--", "/bin/busybox", "ps"]).unwrap();
    let relays = || processes().lines().filter(|line| line.contains("python") || line.contains("select")).count();
    assert_eq!(relays(), 0);
    // The first app has no Python: the next one does.
    let route = choose(&cluster, Via::Exec, &address, 6380, &hint(&ns, &["bare", "backend"])).unwrap();
    let mut stream = dial(&route, &address, 6380).unwrap();
    assert_eq!(ask(&mut stream, "PING").unwrap(), "+PONG");
    assert_eq!(route.says().as_str(), "exec through pod backend-1");
    assert_eq!(relays(), 1, "{}", processes());
    // Far more than any buffer, both ways.
    let (value, mut echoed) = ("x".repeat(3 << 20), vec![0u8; 3 << 20]);
    assert_eq!(ask(&mut stream, &format!("*3\r\n$3\r\nSET\r\n$1\r\nv\r\n${}\r\n{value}", value.len())).unwrap(), "+OK");
    assert_eq!(ask(&mut stream, "GET v").unwrap(), format!("${}", value.len()));
    RUNTIME.block_on(stream.read_exact(&mut echoed)).unwrap();
    assert!(echoed == value.as_bytes());
    // Nothing stays in the pod, whichever side ends it.
    drop(stream);
    eventually(SOON, || if relays() == 0 { Ok(()) } else { Err(processes()) });
    let mut stream = dial(&route, &address, 6380).unwrap();
    assert_eq!(ask(&mut stream, "QUIT").unwrap(), "+OK");
    eventually(SOON, || if relays() == 0 { Ok(()) } else { Err(processes()) });
    assert!(ask(&mut stream, "PING").is_err());
    // What fails in the pod is said as what it is.
    let refused = dial(&route, "127.0.0.1", 1).err().unwrap();
    assert_eq!(
        refused.says().as_str(),
        "connecting to 127.0.0.1:1 from pod backend-1 (kubernetes lab): it refuses connections: nothing listens there"
    );
    let unknown = dial(&route, "no-such-host", 1).err().unwrap();
    assert_eq!(unknown.what_happened().as_str(), "the host name does not resolve there");
    // No Python at all, no pod, no app.
    let bare = choose(&cluster, Via::Exec, &address, 6380, &hint(&ns, &["bare"])).unwrap();
    let error = dial(&bare, &address, 6380).err().unwrap();
    assert_eq!(error.what_happened().as_str(), "no Python in pod bare: the relay needs one");
    let error = dial(&choose(&cluster, Via::Exec, "h", 1, &hint(&ns, &["gone"])).unwrap(), "h", 1).err().unwrap();
    assert_eq!(error.what_happened().as_str(), "no pod of gone is ready");
    let error = dial(&choose(&cluster, Via::Exec, "h", 1, &hint(&ns, &[])).unwrap(), "h", 1).err().unwrap();
    assert_eq!(error.what_happened().as_str(), "no app is known whose pod could relay");
}

#[test]
fn rights_that_are_missing_are_named() {
    let ns = lab::get().cluster().namespace("reachrights");
    ns.apply(&format!("{SERVICE}{}", redis("redis-0")));
    ns.wait("pod/redis-0", "condition=Ready", SOON);
    let granted = |error: &Error| match error.hints().first() {
        Some(Hint::Grant(p)) => format!("{} {} {}", p.verb, p.resource, p.scope),
        other => format!("{other:?} {error:?}"),
    };
    let scope = format!("namespace {}", ns.name());
    let hint = hint(&ns, &["redis"]);
    let few = cluster(&ns.kubeconfig_for("few", &[rule("get,list", "pods,services")]), ns.name());
    // A role counts some milliseconds after it was made.
    let route = eventually(SOON, || choose(&few, Via::Auto, "redis", 6380, &hint).map_err(|e| e.to_string()));
    let error = dial(&route, "redis", 6380).err().unwrap();
    assert_eq!((error.kind(), granted(&error)), (Kind::Denied, format!("get pods/portforward {scope}")));
    let route = choose(&few, Via::Exec, "redis", 6380, &hint).unwrap();
    let error = dial(&route, "redis", 6380).err().unwrap();
    assert_eq!((error.kind(), granted(&error)), (Kind::Denied, format!("get pods/exec {scope}")));
    let none = cluster(&ns.kubeconfig_for("none", &[rule("get", "configmaps")]), ns.name());
    let error = choose(&none, Via::Auto, "redis", 6380, &hint).err().unwrap();
    assert_eq!((error.kind(), granted(&error)), (Kind::Denied, format!("get services {scope}")));
    let secrets = Secrets::new(Redactor::default());
    secrets.attach(none, ns.name().to_owned());
    let value = Sourced::new(SecretRef::Secret { name: "env".into(), key: "URL".into() }, Origin::Default);
    let error = RUNTIME.block_on(secrets.resolve(&value)).unwrap_err();
    assert_eq!((error.kind(), granted(&error)), (Kind::Denied, format!("get secrets {scope}")));
}

#[test]
fn values_come_from_where_the_application_has_them() {
    let ns = lab::get().cluster().namespace("values");
    ns.apply(
        "---\napiVersion: v1\nkind: Secret\nmetadata: {name: env}\nstringData: {PW: \"p@ss\\n\", EXTRA: x}\ndata: {RAW: /w==}\n\
         ---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: conf}\ndata: {HOST: redis}\n\
         ---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: backend}\nspec:\n  replicas: 0\n  selector: {matchLabels: {app: x}}\n  \
         template: {metadata: {labels: {app: x}}, spec: {containers: [\n    {name: side, image: x, env: [{name: A, value: b}]},\n    \
         {name: main, image: x, envFrom: [{secretRef: {name: env}}, {prefix: C_, configMapRef: {name: conf}}, {secretRef: {name: gone, optional: true}}],\n     \
         env: [{name: KEYED, valueFrom: {secretKeyRef: {name: env, key: EXTRA}}}, {name: URL, value: 'redis://:$(KEYED)@$(C_HOST)/0'}]}]}}\n",
    );
    let secrets = Secrets::new(Redactor::default());
    secrets.attach(as_admin(&ns), ns.name().to_owned());
    let resolve = |value: SecretRef| {
        let value = Sourced::new(value, Origin::Default);
        RUNTIME.block_on(secrets.resolve(&value)).map(|s| s.expose_secret().to_owned()).map_err(|e| e.what_happened().to_string())
    };
    let secret = |name: &str, key: &str| SecretRef::Secret { name: name.into(), key: key.into() };
    let of = |kind: &str, env: &str| SecretRef::Workload { kind: kind.into(), name: "backend".into(), env: env.into() };
    assert_eq!(resolve(secret("env", "PW")), Ok("p@ss".into()));
    assert_eq!(resolve(SecretRef::ConfigMap { name: "conf".into(), key: "HOST".into() }), Ok("redis".into()));
    let missing = format!("it has no key URL in namespace {}: it has EXTRA, PW, RAW", ns.name());
    assert_eq!(resolve(secret("env", "URL")), Err(missing));
    assert_eq!(resolve(secret("env", "RAW")), Err("its key RAW holds something that is no text".into()));
    assert_eq!(resolve(secret("gone", "URL")), Err("secrets \"gone\" not found (HTTP 404)".into()));
    assert_eq!(resolve(of("deploy", "URL")), Ok("redis://:x@redis/0".into()));
    assert_eq!(resolve(of("deployment", "PW")), Ok("p@ss".into()));
    assert_eq!(resolve(of("deployment", "NO")), Err("no container gets NO; its specification sets A, KEYED, URL".into()));
    assert!(resolve(of("service", "URL")).unwrap_err().starts_with("no kind with pods"));
}

/// A pod of the application: its variables name the broker, and it may have a Python.
fn app(name: &str, env: &str) -> String {
    with_programs(name, "backend", "[/bin/sleep, '3600']", &format!(", env: {env}"))
}

#[test]
fn a_queue_s_broker_is_found_without_a_line_of_configuration() {
    let ns = lab::get().cluster().namespace("nothing");
    let env =
        "[{name: PW, valueFrom: {secretKeyRef: {name: env, key: PW}}}, {name: CELERY_BROKER_URL, value: 'redis://:$(PW)@redis:6380/2'}]";
    ns.apply(&format!(
        "---\napiVersion: v1\nkind: Secret\nmetadata: {{name: env}}\nstringData: {{PW: hunter2}}\n{SERVICE}{}{}",
        redis("redis-0").replace("--save, ''", "--save, '', --requirepass, hunter2"),
        app("backend-1", env)
    ));
    for pod in ["redis-0", "backend-1"] {
        ns.wait(&format!("pod/{pod}"), "condition=Ready", SOON);
    }
    ns.kubectl(&["exec", "redis-0", "--", "/usr/bin/redis-cli", "-a", "hunter2", "-n", "2", "LPUSH", "celery", "{}"]).unwrap();
    let ran = super::admin(&ns, "queue depth --once -o json").run().never_says(&["hunter2"]);
    assert!(ran.out.contains("redis:6380 db 2 (tunnel to pod redis-0)"), "{ran:?}");
    assert_eq!(ran.json()["facts"]["server"]["databases"]["2"], 1, "{ran:?}");
    // The same in parts, relayed through the app's own pod; the pods of this cluster have no DNS, so the host is an address.
    let env = format!(
        "[{{name: REDIS_HOST, value: {}}}, {{name: REDIS_PORT, value: '6380'}}, {{name: REDIS_DB, value: '2'}}, \
         {{name: REDIS_PASSWORD, valueFrom: {{secretKeyRef: {{name: env, key: PW}}}}}}]",
        cluster_ip(&ns)
    );
    ns.apply(&app("worker-1", &env).replace("app: backend", "app: worker"));
    ns.wait("pod/worker-1", "condition=Ready", SOON);
    let text = format!(
        "environments: {{a: {{kube: {{namespace: {}}}, apps: {{worker: {{selector: app=worker}}}}, broker: {{via: exec, queues: [celery]}}}}}}",
        ns.name()
    );
    let ran =
        crate::support::obsctl(ns.cluster().kubeconfig(), "queue depth --once").file("obsctl.yaml", &text).run().never_says(&["hunter2"]);
    assert!(ran.out.contains("db 2 (exec through pod worker-1)"), "{ran:?}");
    // Who may read no Secret is told which right is missing.
    let few = ns.kubeconfig_for("noservice", &[rule("get,list", "pods,services")]);
    let right = format!("get on secrets in namespace {}", ns.name());
    eventually(SOON, || {
        let ran = crate::support::obsctl(&few, "queue depth --once").run();
        if ran.err.contains(&right) && ran.status == 3 { Ok(()) } else { Err(format!("{ran:?}")) }
    });
    // Nothing names a broker: said, with what would.
    let other = lab::get().cluster().namespace("nobroker");
    super::admin(&other, "queue depth --once")
        .run()
        .ends(2)
        .warns(&["none of CELERY_BROKER_URL", "broker: {url: {secret: NAME, key: KEY}}"]);
}

#[test]
fn the_shell_s_own_url_is_never_reached_through_a_cluster() {
    let ns = lab::get().cluster().namespace("shell");
    ns.apply(SERVICE);
    let ran = super::admin(&ns, "queue depth --once").var("CELERY_BROKER_URL", "redis://:hunter2@redis:6380/0").run();
    let ran = ran.ends(3).never_says(&["hunter2", "tunnel"]);
    assert!(ran.err.contains("does not resolve"), "{ran:?}");
}

#[test]
fn a_password_of_the_cluster_goes_to_no_host_that_an_untrusted_file_names() {
    let ns = lab::get().cluster().namespace("guard");
    ns.apply(&format!(
        "---\napiVersion: v1\nkind: Secret\nmetadata: {{name: env}}\nstringData: {{PW: hunter2, HOST: 127.0.0.1}}\n{SERVICE}{}",
        redis("redis-0").replace("--save, ''", "--save, '', --requirepass, hunter2")
    ));
    ns.wait("pod/redis-0", "condition=Ready", SOON);
    let run = |host: &str| {
        let password = "{secret: env, key: PW}";
        let broker = format!("{{host: {host}, port: 6380, password: {password}}}");
        let text = format!("environments: {{a: {{kube: {{namespace: {}}}, broker: {broker}}}}}", ns.name());
        crate::support::obsctl(ns.cluster().kubeconfig(), "queue depth --once").file("obsctl.yaml", &text).run().never_says(&["hunter2"])
    };
    let ran = run("127.0.0.1").ends(2);
    assert!(ran.err.contains("obsctl config trust"), "{ran:?}");
    // A Service is the cluster's own word.
    assert!(run("redis").out.contains("tunnel to pod redis-0"));
}

#[test]
fn the_sandbox_s_database_and_broker_are_reached_by_every_way() {
    let cluster = lab::get().cluster();
    let sandbox = PodSandbox::start(&cluster, Profile::A).unwrap();
    let text = fs::read_to_string(&sandbox.config).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let without = |line: &&str| {
        !["postgres:", "main:", "oncall:", "replica:", "broker:", "results:"].iter().any(|key| line.trim_start().starts_with(key))
    };
    for (name, text, way) in [
        ("auto", text.clone(), "tunnel to pod "),
        ("exec", text.replace("_URL}", "_URL}, via: exec"), "exec through pod backend-"),
        // Not a word of either: the variables of the apps say it.
        ("apps", text.lines().filter(without).collect::<Vec<_>>().join("\n"), "tunnel to pod "),
    ] {
        let config = folder.path().join(name);
        fs::write(&config, text).unwrap();
        let env = load(&Inputs { config: Some(config), vars: Vars::default(), cwd: "/".into(), ..Inputs::default() }).unwrap();
        let namespace = env.kube.as_ref().and_then(|kube| kube.namespace.as_ref()).map(|namespace| namespace.value.clone());
        let ask =
            KubeAsk { context: None, namespace, explicit: true, files: vec![cluster.kubeconfig().to_owned()], proxy: None, no_proxy: None };
        let session = Session::new(env, Some(ask), Redactor::default(), Stop::default(), TimeZone::UTC);
        RUNTIME.block_on(async {
            let link = session.postgres("main").await.unwrap();
            let database = link.open().await.unwrap_or_else(|e| panic!("{name}: {e:?}"));
            let sql = "SELECT name, last_run_at::text FROM django_celery_beat_periodictask";
            assert!(!database.rows("asking".into(), sql, &[]).await.unwrap().is_empty());
            assert!(database.route().starts_with(way), "{name}: {}", database.route());
            let link = session.broker().await.unwrap();
            let redis = link.open().await.unwrap_or_else(|e| panic!("{name}: {e:?}"));
            assert_eq!(redis.at().await.as_str(), "redis:6379");
            assert!(link.route().unwrap().starts_with(way), "{name}: {:?}", link.route());
            assert_eq!(link.from.says().starts_with("discovered: pod celery-"), name == "apps", "{}", link.from.says());
            let results = session.results().await.unwrap();
            assert!(matches!(results, ResultBackend::Django(database) if database == "main"), "{name}");
        });
    }
}
