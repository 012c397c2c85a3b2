//! How pods are asked: as their probes ask, with the Host that the world uses; and what is said of those that are starting, dying, refused
//! or not to be asked at all. The pods run the machine's own nginx, or busybox.

use super::{
    QUICK, admin,
    health::{deployment, namespace, probed, service, web},
    wrote,
};
use crate::support::{Ran, SOON, obsctl};
use lab::{
    Namespace, eventually, rule,
    web::{Act, Authority, Scripted, answer},
};
use std::{fs, path::Path, time::Duration};

const WELL: &str = r#"{"status":"healthy","db":"ok","redis":"ok"}"#;

/// Pods of nginx with this inside of `http`, and files beside it; `container` is further YAML of the container.
fn nginx(name: &str, replicas: u32, blocks: &str, files: &[(&str, String)], container: &str) -> String {
    let conf = format!(
        "daemon off; master_process off; pid /tmp/pid; error_log stderr;\nevents {{}}\nhttp {{ access_log off; {} {blocks} }}\n",
        {
            let kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
            kinds.map(|kind| format!("{kind}_temp_path /tmp/{kind};")).concat()
        }
    );
    let mut data = serde_json::Map::new();
    data.insert("nginx.conf".into(), conf.into());
    data.extend(files.iter().map(|(file, text)| ((*file).to_owned(), text.clone().into())));
    let data = serde_json::to_string(&data).unwrap();
    let host = |path: &str| format!("{{name: {0}, hostPath: {{path: /{0}, type: Directory}}}}", path);
    let mount = |path: &str| format!("{{name: {path}, mountPath: /{path}, readOnly: true}}");
    format!(
        "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {data}\n---\napiVersion: apps/v1\nkind: Deployment\n\
         metadata: {{name: {name}}}\nspec: {{replicas: {replicas}, selector: {{matchLabels: {{app: {name}}}}}, template: {{metadata: {{labels: {{app: {name}}}}}, \
         spec: {{{QUICK}, volumes: [{}, {}, {}, {{name: conf, configMap: {{name: {name}}}}}], containers: [{{name: web, image: \"lab.test/busybox:1\", \
         imagePullPolicy: Never, command: [/usr/sbin/nginx, -p, /tmp, -e, stderr, -c, /conf/nginx.conf], \
         volumeMounts: [{}, {}, {}, {{name: conf, mountPath: /conf}}], {container}}}]}}}}}}\n",
        host("usr"),
        host("lib"),
        host("lib64"),
        mount("usr"),
        mount("lib"),
        mount("lib64"),
    )
}

#[test]
fn as_a_probe_with_tls_a_named_port_headers_and_a_path_asks() {
    let ns = namespace("probe");
    let authority = Authority::new("nobody that is trusted").unwrap();
    // For another name, by an authority that nobody knows: the kubelet does not mind, and neither does obsctl in a pod.
    let signed = authority.sign("web", &["elsewhere.example"], -90..90).unwrap();
    let [certificate, key] = [&signed.certificate, &signed.key].map(|path| fs::read_to_string(path).unwrap());
    let blocks = "server { listen 8443 ssl default_server; ssl_certificate /conf/web.pem; ssl_certificate_key /conf/web.key; return 400 '<h1>Bad Request (400)</h1>'; }
        server { listen 8443 ssl; server_name app.example.org; ssl_certificate /conf/web.pem; ssl_certificate_key /conf/web.key; default_type application/json;
            location = /internal/readyz { if ($http_x_probe != 'letmein-3141592') { return 403; } if ($arg_full != '1') { return 404; }
                if ($http_x_forwarded_proto != 'https') { return 301 https://app.example.org$request_uri; }
                return 200 '{\"status\":\"ready\",\"checks\":{\"db\":\"ok\",\"seen\":\"ok: $http_x_probe\"},\"version\":\"0.57.0\"}'; } }";
    let probe = "ports: [{name: public, containerPort: 8000}, {name: admin, containerPort: 8443}], readinessProbe: {periodSeconds: 1, httpGet: {scheme: HTTPS, \
         port: admin, path: '/internal/readyz?full=1', httpHeaders: [{name: X-Probe, value: letmein-3141592}, {name: Host, value: app.example.org}, \
         {name: X-Forwarded-Proto, value: https}]}}";
    ns.apply(&nginx("web", 2, blocks, &[("web.pem", certificate), ("web.key", key)], probe));
    ns.wait("deploy/web", "condition=Available", SOON);
    let ran = admin(&ns, "health web -v --fail-on warn").run().ends(0);
    let ran = ran.shows(&["2 pods are well", "DB", "SEEN", "0.57.0", "port 8443 of its probe, Host app.example.org"]);
    // Path and Host of the flags in place of the probe's; its port and scheme stay.
    admin(&ns, "health web --path /nothing").run().ends(3).shows(&["there is no such path"]);
    // The headers of the probe are for its port.
    admin(&ns, "health web --port 8000").run().ends(1).shows(&["nothing listens on port 8000"]);
    ran.never_says(&["letmein"]);
}

#[test]
fn the_host_of_the_ingress_is_sent_to_pods_and_asked_from_outside() {
    let ns = namespace("ingress");
    // What the kubelet sees under the pod's own address is no health body; under the public name it is one.
    let blocks = "server { listen 8000 default_server; location / { return 200 'how nice that you are here'; } }
        server { listen 8000; server_name shop.example.test; default_type application/json; location /api/health/ { return 200 '{\"status\":\"ok\",\"db\":\"ok\"}'; } }";
    let probe = "ports: [{containerPort: 8000}], readinessProbe: {periodSeconds: 1, httpGet: {port: 8000, path: /api/health/}}";
    ns.apply(&nginx("shop", 1, blocks, &[], probe));
    ns.apply(&service("shop", "shop"));
    ns.wait("deploy/shop", "condition=Available", SOON);
    // Without an Ingress it is asked as the kubelet does it.
    admin(&ns, "health").run().ends(3).shows(&["with nothing that says how it is"]);
    ns.apply(
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: shop}\nspec: {rules: [{host: shop.example.test, http: {paths: [{path: /, \
         pathType: Prefix, backend: {service: {name: shop, port: {number: 80}}}}]}}]}\n",
    );
    let proxy = Scripted::start(|path| match path {
        "http://shop.example.test/api/health/" => Act::Say(answer("200 OK", "application/json", WELL)),
        _ => Act::Say(answer("404 Not Found", "text/plain", "no")),
    })
    .unwrap();
    let through = format!("http://127.0.0.1:{}", proxy.port());
    let ran = admin(&ns, "health -v --fail-on warn").var("http_proxy", &through).run().ends(0);
    ran.shows(&["1 URL and 1 pod are well", "http://shop.example.test/api/health/", "Host shop.example.test"]);
    assert!(proxy.asked().iter().any(|head| head.starts_with("get http://shop.example.test/metrics")), "{:?}", proxy.asked());
    // The name does not resolve here, and the pod is well: both are said.
    let ran = admin(&ns, "health").run().ends(1);
    ran.shows(&["its name was looked up: the host name does not resolve", "http://shop.example.test/api/health/", "ready"]);
}

#[test]
fn a_liveness_probe_that_looks_at_the_parts_is_named_and_one_that_does_not_is_not() {
    let ns = namespace("live");
    let own = probed(&web("200 OK", WELL));
    let looks = own.replace("livenessProbe: {tcpSocket: {port: 8000}}", "livenessProbe: {httpGet: {path: /api/health/, port: 8000}}");
    assert_ne!(own, looks);
    ns.apply(&deployment("good", 1, &own));
    ns.apply(&deployment("bad", 1, &looks));
    ns.wait("deploy/good", "condition=Available", SOON);
    ns.wait("deploy/bad", "condition=Available", SOON);
    admin(&ns, "health good --fail-on warn").run().ends(0).never_says(&["livenessProbe"]);
    let ran = admin(&ns, "health --fail-on warn").run().ends(4);
    let ran = ran.shows(&["livenessProbe of bad is /api/health/, which looks at db, redis", "makes Kubernetes restart every pod"]);
    assert_eq!(ran.count("livenessProbe of"), 1, "{}", ran.out);
}

#[test]
fn a_pod_that_starts_has_its_time_and_one_that_took_too_long_has_not() {
    let ns = namespace("start");
    let ill = web("503 Service Unavailable", r#"{"status":"unhealthy","db":"error: starting"}"#);
    let with = |failures: u32| {
        let probe = "httpGet: {path: /api/health/, port: 8000}, periodSeconds: 1";
        ill.replacen(
            '{',
            &format!(
                "{{ports: [{{containerPort: 8000}}], readinessProbe: {{{probe}}}, startupProbe: {{{probe}, failureThreshold: {failures}}}, "
            ),
            1,
        )
    };
    ns.apply(&super::pod("slow", "", &[with(600)]));
    ns.wait("pod/slow", "jsonpath={.status.phase}=Running", SOON);
    let ran = admin(&ns, "health pod/slow --fail-on warn").run().ends(0);
    ran.shows(&["1 pod is well, 1 of them still starting", "503", "starting"]);
    ns.apply(&super::pod("never", "restartPolicy: Never", &[with(2)]));
    ns.wait("pod/never", "jsonpath={.status.phase}=Failed", SOON);
    let ran = admin(&ns, "health pod/never").run();
    assert_ne!(ran.status, 0, "{}", ran.out);
}

#[test]
fn a_pod_that_dies_while_it_is_asked_takes_no_other_with_it() {
    let ns = namespace("dying");
    ns.apply(&deployment("web", 2, &probed(&web("200 OK", WELL))));
    let hang = "exec nc -ll -p 8000 -e sh -c 'read -r line; echo asked > /proc/1/fd/1; exec sleep 3600'";
    let ports = "ports: [{containerPort: 8000}], ";
    let dying = super::container("main", hang).replacen('{', &format!("{{{ports}"), 1);
    ns.apply(&super::pod("dying", "", &[dying]).replace("labels: {app: dying}", "labels: {app: web}"));
    ns.wait("deploy/web", "condition=Available", SOON);
    ns.wait("pod/dying", "condition=Ready", SOON);
    let asking = admin(&ns, "health -l app=web --path /api/health/ --port 8000 --timeout 100s").start();
    wrote(&ns, "dying", "asked");
    ns.kubectl(&["delete", "pod", "dying", "--force", "--grace-period=0"]).unwrap();
    let ran = asking.end(SOON).ends(1);
    assert!(ran.took < Duration::from_secs(95), "{:?}", ran.took);
    let ran = ran.shows(&["dying gave no whole answer, while waiting for its answer"]);
    assert_eq!(ran.out.lines().filter(|l| l.starts_with("web-") && l.contains("  200 ")).count(), 2, "{}", ran.out);
    // Nobody misses what is gone.
    admin(&ns, "health deploy/web").run().ends(0).shows(&["2 pods are well"]);
}

#[test]
fn why_a_pod_is_not_ready_and_which_versions_run() {
    let ns = namespace("why");
    ns.apply(&super::simple("crash", "sleep 1; exit 3"));
    eventually(SOON, || {
        let state =
            ns.kubectl(&["get", "pod", "crash", "-ojsonpath={.status.containerStatuses[0].state.waiting.reason}"]).unwrap_or_default();
        if state.contains("CrashLoopBackOff") { Ok(()) } else { Err(state) }
    });
    let ran = admin(&ns, "health pod/crash --path / --port 80").run().ends(1);
    ran.shows(&["crash has not been ready", "waits: CrashLoopBackOff", "Error, status 3", "obsctl logs pod/crash --previous"]);
    let of = |version: &str| format!(r#"{{"status":"healthy","version":"{version}"}}"#);
    ns.apply(&deployment("api", 2, &probed(&web("200 OK", &of("0.57.0")))));
    ns.wait("deploy/api", "condition=Available", SOON);
    admin(&ns, "health api --fail-on warn").run().ends(0).shows(&["0.57.0"]).never_says(&["runs", "WARN"]);
    let old = probed(&web("200 OK", &of("0.56.2")));
    ns.apply(&super::pod("old", "", &[old]).replace("labels: {app: old}", "labels: {app: api}"));
    ns.wait("pod/old", "condition=Ready", SOON);
    admin(&ns, "health -l app=api --fail-on warn").run().ends(4).shows(&["api: 2 run 0.57.0, 1 runs 0.56.2"]);
}

#[test]
fn the_api_server_itself_by_its_own_authority_and_a_token() {
    let ns = namespace("apiserver");
    let view = |path: &str| ns.kubectl(&["config", "view", "--raw", "--flatten", &format!("-ojsonpath={path}")]).unwrap();
    let server = view("{.clusters[0].cluster.server}");
    let ca = process_base64(&view("{.clusters[0].cluster.certificate-authority-data}"));
    let token = ns.kubectl(&["create", "token", "default"]).unwrap();
    let desk = tempfile::tempdir().unwrap();
    for (name, text) in [("ca.pem", ca.as_str()), ("token", &format!("Bearer {}", token.trim()))] {
        fs::write(desk.path().join(name), text).unwrap();
    }
    let config = desk.path().join("c.yaml");
    let write = |health: &str| {
        fs::write(&config, format!("environments: {{lab: {{apps: {{api: {{url: '{server}', health: {health}}}}}}}}}")).unwrap();
    };
    let ask = |words: &str| obsctl(Path::new("/nonexistent"), "health").arg_all(words).arg("--config").arg(config.to_str().unwrap()).run();
    write("{path: '/readyz?verbose', ca: {file: ca.pem}, headers: {Authorization: {file: token}}}");
    let ran = ask("-o json").ends(0).never_says(&[token.trim()]);
    let body = &ran.json()["facts"]["targets"][0]["body"]["health"];
    assert_eq!((&body["dialect"], &body["condition"]), (&"kubernetes".into(), &"ok".into()), "{body}");
    assert!(body["components"].as_array().is_some_and(|all| all.len() > 10 && all.iter().any(|c| c["name"] == "etcd")), "{body}");
    // What is typed is asked as the file says, where its scheme, host and port are those of the file.
    ask(&format!("{server}/livez?verbose")).ends(0).shows(&["1 URL is well"]);
    // Without the authority it is refused; without the token the certificate is good, and it wants to know who asks, or is open to all.
    write("{path: '/readyz?verbose', headers: {Authorization: {file: token}}}");
    ask("").ends(1).shows(&["its certificate is refused"]).never_says(&[token.trim()]);
    write("{path: '/readyz?verbose', verify: false, headers: {Authorization: {file: token}}}");
    ask("--fail-on warn").ends(4).shows(&["its certificate was not verified, as asked"]);
    write("{path: /api/v1/secrets, ca: {file: ca.pem}}");
    ask("").ends(3).shows(&["it wants to know who asks"]);
}

fn process_base64(text: &str) -> String {
    let out = lab::process::Start::new("base64", "base64").args(["-d"]).input(text.trim().as_bytes()).output().unwrap();
    format!("{}\n", out.trim())
}

/// The authorizer learns of a new role some milliseconds later.
fn once(kubeconfig: &Path, ns: &Namespace, words: &str, still: &str) -> Ran {
    eventually(SOON, || {
        let ran = obsctl(kubeconfig, words).arg("--namespace").arg(ns.name()).run();
        if ran.err.contains(still) || ran.out.contains(still) { Err(format!("{still}: {ran:?}")) } else { Ok(ran) }
    })
}

#[test]
fn rights_that_are_missing_are_not_the_pods_fault() {
    let ns = namespace("norights");
    ns.apply(&deployment("web", 2, &probed(&web("200 OK", WELL))));
    ns.wait("deploy/web", "condition=Available", SOON);
    // Everything but tunnels: nothing is known of the pods, and the right is named once.
    let looker = ns.kubeconfig_for("looker", &[rule("get,list", "pods,services,events,deployments.apps,ingresses.networking.k8s.io")]);
    let ran = once(&looker, &ns, "health", "you may not list pods").ends(3);
    let ran = ran.shows(&["2 pods could not be asked", "pods/portforward", ns.name(), "grant"]).never_says(&["FAILED"]);
    assert_eq!(ran.count("could not be asked"), 1, "{}", ran.out);
    let json = once(&looker, &ns, "health -o json", "you may not list pods").ends(3).json();
    assert_eq!(json["facts"]["targets"][0]["exchange"]["fault"]["needs"]["resource"], "pods/portforward", "{json:#}");
    // Not even pods: an error with the Role, and where a URL is configured that one is asked all the same.
    let nobody = ns.kubeconfig_for("nobody", &[rule("list", "events")]);
    obsctl(&nobody, "health --namespace").arg(ns.name()).run().ends(3).warns(&["list on pods"]);
    let server = Scripted::start(|_| Act::Say(answer("200 OK", "application/json", WELL))).unwrap();
    let desk = tempfile::tempdir().unwrap();
    let config = desk.path().join("c.yaml");
    fs::write(
        &config,
        format!(
            "environments: {{lab: {{kube: {{namespace: {}}}, apps: {{web: {{selector: app=web, url: '{}', health: /api/health/}}}}}}}}",
            ns.name(),
            server.url("")
        ),
    )
    .unwrap();
    let ran = obsctl(&nobody, "health --config").arg(config.to_str().unwrap()).run().ends(3);
    ran.shows(&["the pods could not be looked at", "list on pods", "200", "/api/health/"]);
    // A cluster that cannot be reached at all: the VPN is off.
    let gone = desk.path().join("gone");
    let text = fs::read_to_string(ns.cluster().kubeconfig()).unwrap();
    let server_line = ns.kubectl(&["config", "view", "-ojsonpath={.clusters[0].cluster.server}"]).unwrap();
    fs::write(&gone, text.replace(server_line.trim(), "https://127.0.0.1:1")).unwrap();
    let ran = obsctl(&gone, "health --config").arg(config.to_str().unwrap()).run().ends(3);
    ran.shows(&["the pods could not be looked at", "200", "/api/health/"]);
    obsctl(&gone, "health").run().ends(3);
}

#[test]
fn nothing_to_ask_says_why() {
    let ns = namespace("empty");
    admin(&ns, "health").run().ends(3).shows(&["has no pod, or does not exist"]);
    ns.apply(&super::simple("bare", "exec sleep 3600"));
    ns.wait("pod/bare", "condition=Ready", SOON);
    admin(&ns, "health").run().ends(3).shows(&["no pod of namespace", "has an HTTP probe (there are 1)"]);
    admin(&ns, "health deploy/web").run().ends(2).warns(&["web"]);
}

#[test]
fn secrets_of_the_cluster_go_to_its_pods_and_to_no_address_of_a_file_that_nobody_trusted() {
    let ns = namespace("sent");
    ns.apply("---\napiVersion: v1\nkind: Secret\nmetadata: {name: probe}\nstringData: {token: zebra-crossing-77}\n");
    let blocks = "server { listen 8000; default_type application/json; location / { if ($http_x_odd != 'zebra-crossing-77') { return 403; } \
                  return 200 '{\"status\":\"ok\",\"db\":\"ok\",\"echo\":\"error: $http_x_odd is what I got\"}'; } }";
    ns.apply(&nginx("web", 1, blocks, &[], "ports: [{containerPort: 8000}]"));
    ns.wait("deploy/web", "condition=Available", SOON);
    let outside = Scripted::start(|_| Act::Say(answer("200 OK", "application/json", WELL))).unwrap();
    let file = format!(
        "environments:\n  lab:\n    kube: {{namespace: {}}}\n    apps:\n      web: {{selector: app=web, port: 8000, url: '{}', \
         health: {{path: /h, headers: {{X-Odd: {{secret: probe, key: token}}}}}}}}\n",
        ns.name(),
        outside.url("")
    );
    // Found in the working folder: not trusted. The pod gets the Secret, the URL does not.
    // A container without a probe is ready before its server listens.
    let ran = eventually(SOON, || {
        let ran = obsctl(ns.cluster().kubeconfig(), "health").file("obsctl.yaml", &file).run();
        if ran.out.contains("nothing listens on") { Err(ran.out) } else { Ok(ran.ends(1)) }
    });
    ran.shows(&["nobody trusted", "echo failed on web-"]).never_says(&["zebra"]);
    assert!(outside.asked().is_empty(), "{:?}", outside.asked());
    // Named on the command line: trusted. A secret under a name that nobody knows is blotted out of what comes back.
    let desk = tempfile::tempdir().unwrap();
    let config = desk.path().join("c.yaml");
    fs::write(&config, &file).unwrap();
    let ran = obsctl(ns.cluster().kubeconfig(), "health -v --config").arg(config.to_str().unwrap()).run().ends(1);
    ran.shows(&["echo failed on web-", "<sent> is what I got"]).never_says(&["zebra"]);
    assert!(outside.asked().iter().any(|head| head.contains("x-odd: zebra-crossing-77")), "{:?}", outside.asked());
    // `/metrics` is asked as the world would ask.
    assert!(outside.asked().iter().all(|head| !head.starts_with("get /metrics") || !head.contains("zebra")), "{:?}", outside.asked());
}
