"""What config/ has for Prometheus and Grafana names only metrics that there are, and docs/metrics.md names them all."""

import json
import re
import subprocess

import pytest

from debian import program
from node import REPO
from replication import connect, replicate
from util import send, signed

TOKEN = "a-token-for-scrapers"
CONFIG = REPO / "config"
# A histogram is told as these.
SUFFIXES = ("_bucket", "_sum", "_count")


@pytest.fixture(scope="module")
def told():
    """The types of all metrics that a node tells after something of each kind has happened."""
    import node as nodes

    node = nodes.Node(METRICS_TOKEN=TOKEN, ENCRYPTION_ENABLED="true", KMS_ENABLED="true")
    try:
        node.start()
        s3 = node.client()
        s3.create_bucket(Bucket="measured")
        s3.put_object(Bucket="measured", Key="k", Body=b"x")
        assert send(node.endpoint, "GET", "/measured/absent")[0] == 403
        s3.create_bucket(Bucket="copies")
        replicate(node, "measured", connect(node, node.endpoint, (nodes.ACCESS, nodes.SECRET)), "copies")
        assert signed(node, "PUT", "/measured?quota", json.dumps({"max_bytes": 1000}).encode())[0] == 200
        status, _, text = send(node.endpoint, "GET", "/_myfsio/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
        assert status == 200
        return dict(re.findall(r"^# TYPE (\S+) (\S+)$", text.decode(), re.M))
    finally:
        node.close()


@pytest.fixture(scope="module")
def named():
    """The names that docs/metrics.md tells: some metrics are there only once something has gone wrong."""
    names = set()
    for line in (REPO / "docs" / "metrics.md").read_text().splitlines():
        if not line.startswith("| `"):
            continue
        cell = line.split("|")[1]
        full = re.findall(r"`((?:myfsio|process)_[a-z_]+)", cell)
        names.update(full)
        # `…_bytes` stands for the same beginning as the name before it.
        for short in re.findall(r"`…(_[a-z_]+)", cell):
            names.update(f"{'_'.join(full[0].split('_')[:number])}{short}" for number in range(2, 4))
    return names


def kind_of(name, told):
    """The type of a metric, by the name of one of its series."""
    for suffix in ("", *SUFFIXES):
        if kind := told.get(name.removesuffix(suffix)):
            return kind
    return "counter" if name.endswith("_total") else None


def names_in(expression):
    return set(re.findall(r"\b(?:myfsio|process)_[a-z0-9_]+", expression))


def expressions(value):
    """All queries of a dashboard, wherever they stand."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name in ("expr", "definition") or (name == "query" and isinstance(inner, str)):
                yield inner
            else:
                yield from expressions(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from expressions(inner)


def check(names, told, named):
    for name in sorted(names):
        assert kind_of(name, told) == "histogram" or name in told or name in named, f"{name} is no metric of the node"


def test_the_dashboard(told, named):
    dashboard = json.loads((CONFIG / "grafana-dashboard.json").read_text())
    queries = list(expressions(dashboard))
    panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    assert all(panel["targets"] and names_in(target["expr"]) for panel in panels for target in panel["targets"])
    check(set().union(*map(names_in, queries)), told, named)
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
    # Rates of what only grows, and of nothing else.
    for query in queries:
        for name in re.findall(r"\brate\((\w+)", query):
            assert kind_of(name, told) in ("counter", "histogram"), query


def test_the_alerts(told, named):
    text = (CONFIG / "alerts.yml").read_text()
    rules = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("- name:"))
    check(names_in(rules), told, named)


def test_the_document_names_what_there_is(told, named):
    missing = [name for name in told if name.startswith("myfsio_") and name not in named]
    assert not missing, f"docs/metrics.md does not name {missing}"


# What is measured, and which alerts that must raise after an hour and a half, with the labels that tell them apart.
TRIALS = {
    "MyfsioDown": ['up{job="myfsio", instance="n"}', "0x120"],
    "MyfsioFailed": ['myfsio_healthy{job="myfsio", instance="n"}', "1x5 0x115"],
    "MyfsioDegraded": ['myfsio_degraded{job="myfsio", instance="n"}', "1x120"],
    "MyfsioErrors": ['myfsio_requests_total{job="myfsio", instance="n", operation="PutObject", status="500"}', "0+5x120"],
    "MyfsioBusy": ['myfsio_requests_under_way{job="myfsio", instance="n"}', "1000x120"],
    "MyfsioSlowCommits": ['myfsio_commit_duration_seconds_bucket{job="myfsio", instance="n", le="1"}', "0+100x120"],
    "MyfsioDamage": ['myfsio_scrub_damaged_total{job="myfsio", instance="n", damage="checksum-mismatch"}', "0x60 2x60"],
    "MyfsioDamage": ['myfsio_scrub_damaged_total{job="myfsio", instance="n", damage="bytes"}', "0x60 1x60"],
    "MyfsioReplicationLags": ['myfsio_replication_lag_seconds{job="myfsio", instance="n", bucket="b"}', "1000x120"],
    "MyfsioReplicationRefused": ['myfsio_replication_changes{job="myfsio", instance="n", bucket="b", tray="parked"}', "2x120"],
    "MyfsioDeviceFull": ['myfsio_device_bytes{job="myfsio", instance="n", kind="free"}', "3x120"],
    "MyfsioAuditLost": ['myfsio_audit_entries{job="myfsio", instance="n", state="lost"}', "0x60 7x60"],
    "MyfsioCertificateEndsSoon": ['myfsio_certificate_expiry_seconds{job="myfsio", instance="n"}', "600000x120"],
    "MyfsioOpenFiles": ['process_open_fds{job="myfsio", instance="n"}', "950x120"],
}
# What is there beside, and all that is there where all is well.
CALM = {
    'up{job="myfsio", instance="n"}': "1x120",
    'myfsio_healthy{job="myfsio", instance="n"}': "1x120",
    'myfsio_degraded{job="myfsio", instance="n"}': "0x120",
    'myfsio_requests_total{job="myfsio", instance="n", operation="GetObject", status="200"}': "0+100x120",
    'myfsio_requests_under_way{job="myfsio", instance="n"}': "3x120",
    'myfsio_requests_max{job="myfsio", instance="n"}': "1024x120",
    'myfsio_commit_duration_seconds_bucket{job="myfsio", instance="n", le="0.01"}': "0+0x120",
    'myfsio_commit_duration_seconds_bucket{job="myfsio", instance="n", le="1"}': "0+1x120",
    'myfsio_commit_duration_seconds_bucket{job="myfsio", instance="n", le="+Inf"}': "0+1x120",
    'myfsio_scrub_damaged_total{job="myfsio", instance="n", damage="checksum-mismatch"}': "0x120",
    'myfsio_scrub_damaged_total{job="myfsio", instance="n", damage="bytes"}': "0x120",
    'myfsio_replication_lag_seconds{job="myfsio", instance="n", bucket="b"}': "2x120",
    'myfsio_replication_changes{job="myfsio", instance="n", bucket="b", tray="parked"}': "0x120",
    'myfsio_device_bytes{job="myfsio", instance="n", kind="free"}': "60x120",
    'myfsio_device_bytes{job="myfsio", instance="n", kind="total"}': "100x120",
    'myfsio_quota_used{job="myfsio", instance="n", scope="bucket", name="b", resource="bytes"}': "10x120",
    'myfsio_quota_limit{job="myfsio", instance="n", scope="bucket", name="b", resource="bytes"}': "100x120",
    'myfsio_audit_entries{job="myfsio", instance="n", state="lost"}': "0x120",
    'myfsio_certificate_expiry_seconds{job="myfsio", instance="n"}': "0x60 9000000000x60",
    'process_open_fds{job="myfsio", instance="n"}': "50x120",
    'process_max_fds{job="myfsio", instance="n"}': "1000x120",
}


def test_prometheus_takes_the_files(tmp_path):
    promtool = program("promtool", "usr/bin/promtool", "prometheus")
    for file in ("alerts.yml", "prometheus.yml"):
        text = (CONFIG / file).read_text().replace("/etc/prometheus/myfsio-token", str(tmp_path / "token"))
        (tmp_path / file).write_text(text)
    (tmp_path / "token").write_text(TOKEN)
    for command in (["check", "config", "prometheus.yml"], ["check", "rules", "alerts.yml"]):
        done = subprocess.run([promtool, *command], cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr


def test_alerts_are_raised_when_they_should_be(tmp_path):
    promtool = program("promtool", "usr/bin/promtool", "prometheus")
    alerts = (CONFIG / "alerts.yml").read_text()
    (tmp_path / "alerts.yml").write_text(alerts)
    # Each of its own, with whatever else is calm; of the calm commits none is slow, so `le="1"` is the class that is changed.
    raised = {name: {**CALM, series: values} for name, (series, values) in TRIALS.items()}
    raised["MyfsioSlowCommits"]['myfsio_commit_duration_seconds_bucket{job="myfsio", instance="n", le="+Inf"}'] = "0+100x120"
    calm = {**CALM, 'myfsio_commit_duration_seconds_bucket{job="myfsio", instance="n", le="0.01"}': "0+1x120"}
    for name, trial in raised.items():
        if name != "MyfsioSlowCommits":
            trial['myfsio_commit_duration_seconds_bucket{job="myfsio", instance="n", le="0.01"}'] = "0+1x120"
    trials = []
    for name in re.findall(r"alert: (\w+)", alerts):
        for series, wanted in [(calm, 0), *([(raised[name], 1)] if name in raised else [])]:
            trials.append({
                "interval": "1m", "input_series": [{"series": text, "values": values} for text, values in series.items()],
                "promql_expr_test": [{"expr": f'count(ALERTS{{alertname="{name}", alertstate="firing"}}) or vector(0)', "eval_time": "90m",
                                      "exp_samples": [{"labels": "{}", "value": wanted}]}]})
    # JSON is YAML.
    (tmp_path / "trials.yml").write_text(json.dumps({"rule_files": ["alerts.yml"], "evaluation_interval": "1m", "tests": trials}))
    done = subprocess.run([promtool, "test", "rules", "trials.yml"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
