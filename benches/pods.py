#!/usr/bin/env python3
"""pods.py OBSCTL LAB   Logs of 50 pods through a real API server: obsctl beside curl, stern and kubectl, interleaved; medians and spread.

LAB is the lab's binary. Two clusters are started one after the other and ended: one whose files do not rotate (50 containers of 10 MiB),
and one as the tests have it, whose files do (--rotated). Elapsed time is held against raw GETs by curl, for the servers are the limit;
what is obsctl's own is its CPU and its memory. A broken promise is an exit status.
"""

import base64, json, os, pty, re, select, shutil, statistics, subprocess, sys, tempfile, threading, time

PODS = int(os.environ.get("BENCH_PODS", "50"))
LINES = int(os.environ.get("BENCH_LINES", "52000"))  # some 200 bytes each: 10 MiB
RUNS = int(os.environ.get("BENCH_RUNS", "3"))
failed = False


def say(name, figure, limit=None, held=None):
    global failed
    verdict = "" if held is None else f"  (at most {limit}): {'ok' if held else 'FAILED'}"
    failed |= held is False
    print(f"{name:<66} {figure:>20}{verdict}", flush=True)


class Ran:
    """What a command took: seconds, CPU seconds, MiB at most, its output."""

    def __init__(self, words, env=None, keep=False, stdin=None):
        out = subprocess.PIPE if keep else subprocess.DEVNULL
        begun = time.monotonic()
        process = subprocess.Popen(words, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.PIPE)
        said = []
        threads = [threading.Thread(target=lambda: said.append(process.stderr.read()))]
        kept = []
        if keep:
            threads.append(threading.Thread(target=lambda: kept.append(process.stdout.read())))
        for thread in threads:
            thread.start()
        _, status, usage = os.wait4(process.pid, 0)
        for thread in threads:
            thread.join()
        self.seconds = time.monotonic() - begun
        self.status = os.waitstatus_to_exitcode(status)
        process.returncode = self.status
        self.cpu = usage.ru_utime + usage.ru_stime
        self.mib = usage.ru_maxrss / 1024
        self.out = kept[0].decode(errors="replace") if kept else ""
        self.err = said[0].decode(errors="replace")


def first_line(words, env, needle, terminal):
    """Seconds until the needle is seen, and until the end. obsctl shows its preview where somebody watches: on a terminal."""
    begun = time.monotonic()
    if terminal:
        ours, theirs = pty.openpty()
    else:
        ours, theirs = os.pipe()
    process = subprocess.Popen(words, env=env, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs)
    os.close(theirs)
    seen, text = None, b""
    while True:
        try:
            some = os.read(ours, 1 << 16)
        except OSError:
            break
        if not some:
            break
        text += some
        if seen is None and needle.encode() in text:
            seen = time.monotonic() - begun
    process.wait()
    os.close(ours)
    return seen, time.monotonic() - begun, text.decode(errors="replace")


def spread(values):
    return f"{statistics.median(values):.2f} [{min(values):.2f}–{max(values):.2f}]"


def stern():
    cache = os.path.join(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "obsctl-lab", "tools", "bin")
    binary = os.environ.get("OBSCTL_STERN", os.path.join(cache, "stern"))
    if not os.path.exists(binary):
        subprocess.run([os.path.abspath(sys.argv[2]), "bench", "stern"], check=True)
    return binary


class Cluster:
    def __init__(self, lab, log_size, folder):
        self.lab, self.folder = lab, folder
        env = {**os.environ, "OBSCTL_LAB_LOG_SIZE": log_size}
        up = subprocess.run([lab, "cluster", "up", folder], env=env, check=True, capture_output=True, text=True).stdout
        self.kubeconfig = re.search(r"KUBECONFIG=(\S+)", up)[1]
        kubes = os.path.join(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "obsctl-lab")
        self.kubectl = sorted((os.path.join(kubes, d, "kubectl") for d in os.listdir(kubes) if re.fullmatch(r"kube-[0-9a-f]+", d)), key=os.path.getmtime)[-1]
        self.env = {**os.environ, "KUBECONFIG": self.kubeconfig}

    def down(self):
        subprocess.run([self.lab, "cluster", "down", self.folder], check=False, capture_output=True)

    def kube(self, *words, given=None):
        ran = subprocess.run([self.kubectl, *words], env=self.env, check=True, capture_output=True, text=True, input=given)
        return ran.stdout

    def credentials(self, folder):
        config = json.loads(self.kube("config", "view", "--raw", "-o", "json"))
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        for name, of, key in (("ca", cluster, "certificate-authority"), ("cert", user, "client-certificate"), ("key", user, "client-key")):
            with open(os.path.join(folder, name), "wb") as file:
                file.write(base64.b64decode(of[key + "-data"]) if key + "-data" in of else open(of[key], "rb").read())
        return cluster["server"]


# The backlog, then a line a second, each with an ID of its own.
WRITER = r"""
awk -v host=$HOSTNAME -v lines=LINES 'BEGIN {
  split("DEBUG INFO INFO INFO INFO WARNING ERROR", level, " "); split("GET POST PUT PATCH DELETE", method, " ")
  for (i = 1; i <= lines; i++) printf "{\"timestamp\": \"2026-11-21T17:%02d:%02d.%03dZ\", \"level\": \"%s\", \"event\": \"request_finished\", \"request_id\": \"%s-%07d\", \"method\": \"%s\", \"path\": \"/api/orders/%d/\", \"code\": %d, \"duration_ms\": %d}\n", i / 60 % 60, i % 60, i % 1000, level[i % 7 + 1], host, i, method[i % 5 + 1], i, 200 + i % 5, i % 900
}'
n=0
while [ SECONDLY = 1 ]; do n=$((n + 1)); echo "{\"level\": \"INFO\", \"event\": \"request_finished\", \"request_id\": \"recent-$HOSTNAME-$n-ends\", \"code\": 200, \"path\": \"/\"}"; sleep 1; done
exec sleep 86400"""


def deployment(name, pods, lines, secondly):
    script = WRITER.replace("LINES", str(lines)).replace("SECONDLY", str(secondly))
    container = {"name": "web", "image": "lab.test/busybox:1", "imagePullPolicy": "Never", "command": ["sh", "-c", script]}
    template = {"metadata": {"labels": {"app": name}}, "spec": {"terminationGracePeriodSeconds": 1, "containers": [container]}}
    spec = {"replicas": pods, "selector": {"matchLabels": {"app": name}}, "template": template}
    return json.dumps({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec})


def whole_logs(obsctl, cluster, work):
    kube, env = cluster.kube, cluster.env
    kube("create", "namespace", "bench")
    kube("-n", "bench", "create", "-f", "-", given=deployment("bench", PODS, LINES, 1))
    kube("-n", "bench", "rollout", "status", "deployment/bench", "--timeout=600s")
    names = kube("-n", "bench", "get", "pods", "-o", "jsonpath={.items[*].metadata.name}").split()
    deadline = time.monotonic() + 600
    while not all("recent-" in kube("-n", "bench", "logs", name, "--tail=1") for name in names):
        if time.monotonic() > deadline:
            raise SystemExit("the pods have not written their backlog")
        time.sleep(2)
    server = cluster.credentials(work)
    with open(os.path.join(work, "urls"), "w") as file:
        for name in names:
            file.write(f'url = "{server}/api/v1/namespaces/bench/pods/{name}/log?container=web&timestamps=true"\noutput = "/dev/null"\n')
    wanted = f"{names[len(names) // 2]}-{LINES // 2:07d}"
    paths = {key: os.path.join(work, key) for key in ("ca", "cert", "key", "urls")}
    curl = ["curl", "--silent", "--fail", "--no-progress-meter", "--parallel", "--parallel-max", "16", "--cacert", paths["ca"], "--cert", paths["cert"], "--key", paths["key"], "-K", paths["urls"]]
    ways = {
        "curl, raw GETs, 16 at once": (curl, None),
        "obsctl logs -r ID": ([obsctl, "logs", "-n", "bench", "-r", wanted, "-o", "json"], wanted),
        "stern --no-follow -i ID": ([stern(), "-n", "bench", ".*", "--no-follow", "--tail", "-1", "--max-log-requests", "50", "-i", wanted, "--color", "never"], wanted),
        "kubectl logs -l app=bench --tail=-1": ([cluster.kubectl, "-n", "bench", "logs", "-l", "app=bench", "--tail=-1", "--max-log-requests", str(PODS)], None),
    }
    size = PODS * LINES * 197 / 2**20
    print(f"{PODS} containers × {size / PODS:.0f} MiB through the real API, {RUNS} interleaved runs: median [least–most]")
    took = {name: [] for name in ways}
    for _ in range(RUNS):
        for name, (words, needle) in ways.items():
            ran = Ran(words, env, keep=needle is not None)
            if ran.status != 0 or (needle and needle not in ran.out):
                raise SystemExit(f"{name} ended with {ran.status} and did not find it: {ran.err[-500:]} {ran.out[-500:]}")
            took[name].append(ran)
    for name, runs in took.items():
        say(f"  {name}: elapsed, s", spread([r.seconds for r in runs]))
        say("    client CPU, s", spread([r.cpu for r in runs]))
        say("    peak memory, MiB", spread([r.mib for r in runs]))
    middle = lambda key, name: statistics.median(getattr(r, key) for r in took[name])
    raw, ours, theirs, plain = ways
    ratio = statistics.median(a.seconds / b.seconds for a, b in zip(took[ours], took[raw]))
    say("  elapsed, of curl's", f"{ratio:.2f}", "1.15", ratio <= 1.15)
    for peer, name in (("stern", theirs), ("kubectl", plain)):
        ratio = middle("cpu", ours) / middle("cpu", name)
        say(f"  client CPU, of {peer}'s", f"{ratio:.2f}", "0.35", ratio <= 0.35)
    say("  peak memory, MiB", f"{middle('mib', ours):.0f}", "64", middle("mib", ours) <= 64)
    recent(obsctl, cluster, names)
    kube("delete", "namespace", "bench", "--wait=false")


def recent(obsctl, cluster, names):
    firsts, ends, stern_firsts, stern_ends = [], [], [], []
    for i in range(max(RUNS, 3)):
        line = cluster.kube("-n", "bench", "logs", names[i % len(names)], "--tail=20").splitlines()[0]
        wanted = json.loads(line)["request_id"]
        seen, end, text = first_line([obsctl, "logs", "-n", "bench", "-r", wanted], cluster.env, f"request_id={wanted}", True)
        if seen is None:
            raise SystemExit(f"obsctl did not find {wanted}: {text[-800:]}")
        firsts.append(seen)
        ends.append(end)
        _, end, text = first_line([obsctl, "logs", "-n", "bench", "-r", wanted, "--since", "2m"], cluster.env, wanted, True)
        since = ends_since.append(end)
        words = [stern(), "-n", "bench", ".*", "--no-follow", "--since", "2m", "--max-log-requests", "50", "-i", wanted, "--color", "never"]
        seen, end, text = first_line(words, cluster.env, wanted, False)
        if seen is None:
            raise SystemExit(f"stern did not find {wanted}: {text[-800:]}")
        stern_firsts.append(seen)
        stern_ends.append(end)
    print("a request of the last minute in the same")
    say("  obsctl logs -r ID: first lines, s", spread(firsts), "1.00", statistics.median(firsts) <= 1)
    say("    everything read, s", spread(ends))
    say("  obsctl logs -r ID --since 2m: to the end, s", spread(ends_since))
    say("  stern --since 2m -i ID: first line, s", spread(stern_firsts))
    say("    to the end, s", spread(stern_ends))
    slower = statistics.median(firsts) <= statistics.median(stern_firsts) and statistics.median(ends_since) <= statistics.median(stern_ends)
    say("  not slower than stern", "yes" if slower else "no", "stern's", slower)


ends_since = []


def rotated(obsctl, cluster):
    kube, env = cluster.kube, cluster.env
    pods = 10
    kube("create", "namespace", "rotated")
    kube("-n", "rotated", "create", "-f", "-", given=deployment("rotated", pods, 14000, 0))
    kube("-n", "rotated", "rollout", "status", "deployment/rotated", "--timeout=300s")
    # Every container's one file of 2.7 MiB is rotated; the one that the API gives is empty.
    deadline = time.monotonic() + 120
    names = kube("-n", "rotated", "get", "pods", "-o", "jsonpath={.items[*].metadata.name}").split()
    while any(kube("-n", "rotated", "logs", name, "--tail=1") for name in names):
        if time.monotonic() > deadline:
            raise SystemExit("the logs have not rotated")
        time.sleep(1)
    runs = [Ran([obsctl, "logs", "-n", "rotated", "--rotated", "--tail", "-1", "--raw"], env, keep=True) for _ in range(max(RUNS, 3))]
    lines = {len(set(r.out.splitlines())) for r in runs}
    print(f"--rotated: {pods} containers whose {pods * 14000} lines were rotated away")
    say("  lines shown, each once", str(min(lines)), str(pods * 14000), lines == {pods * 14000} and all(r.out.count("\n") == pods * 14000 for r in runs))
    say("  obsctl logs --rotated: elapsed, s", spread([r.seconds for r in runs]))
    say("    client CPU, s", spread([r.cpu for r in runs]))
    beside = [Ran([stern(), "-n", "rotated", ".*", "--no-follow", "--tail", "-1", "--max-log-requests", "50"], env, keep=True) for _ in range(3)]
    say("  stern --no-follow: elapsed, s", spread([r.seconds for r in beside]))
    say("    lines that it can show", str(max(r.out.count('"event"') for r in beside)))
    kube("delete", "namespace", "rotated", "--wait=false")


def main():
    obsctl, lab = (os.path.abspath(word) for word in sys.argv[1:3])
    work = tempfile.mkdtemp()
    try:
        for log_size, part in (("1Gi", lambda c: whole_logs(obsctl, c, work)), ("1Mi", lambda c: rotated(obsctl, c))):
            if part and os.environ.get("BENCH_PART", log_size) != log_size:
                continue
            cluster = Cluster(lab, log_size, os.path.join(work, "lab-" + log_size))
            try:
                part(cluster)
            finally:
                cluster.down()
    finally:
        shutil.rmtree(work, ignore_errors=True)
    sys.exit(failed)


main()
