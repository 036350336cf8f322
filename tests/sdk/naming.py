"""One version of nacos-sdk-python against a running node: what an application does with it, step by step.

    naming.py HOST:PORT

Run by run.py inside a venv that holds the SDK; the same steps serve 0.1.14 (form bodies, also on DELETE; beats sent by
the application) and 0.1.17 (query strings, a heartbeat thread, login). Prints one line a step and `N passed, N failed`.
States are awaited up to a deadline; nothing waits for a fixed time. The wire is never spoken here, only the SDK.
"""

import json
import logging
import sys
import tempfile
import threading
import time
import traceback
import urllib.error
import urllib.parse
import urllib.request

import nacos
import nacos.client
from nacos.listener import SubscribeListener

VERSION = nacos.client.VERSION
HAS_HEARTBEAT_THREAD = hasattr(nacos.NacosClient, "get_access_token")  # both came with 0.1.15
SERVER = sys.argv[1]
RUN = f"{VERSION}-{time.time_ns()}"  # names of this run, so that one node can serve many runs
IP = "10.11.12.13"
DEADLINE_S = 10
SUBSCRIBE_INTERVAL_S = 0.2
STEPS = []
logging.disable(logging.WARNING)  # 0.1.14 logs every request and answer to stderr


def step(function):
    STEPS.append(function)
    return function


def client(**kwargs):
    return nacos.NacosClient(f"http://{SERVER}", logDir=LOGS, **kwargs)


def until(what, probe, deadline_s=DEADLINE_S):
    """The first truthy value of `probe`, or a failure that shows the last value."""
    end = time.monotonic() + deadline_s
    while True:
        value = probe()
        if value:
            return value
        assert time.monotonic() < end, f"not within {deadline_s} s: {what}"
        time.sleep(0.05)


def equal(got, want, what):
    assert got == want, f"{what}: want {want!r}, got {got!r}"


def hosts(naming, service, **ask):
    answer = naming.list_naming_instance(service, **ask)
    return {(host["ip"], host["port"]): host for host in answer["hosts"]}


def last_beat_ms(service, port, cluster):
    """When the node last heard the instance; the SDK has no call for it, so one plain request."""
    query = urllib.parse.urlencode({"serviceName": service, "clusterName": cluster, "pageNo": 1, "pageSize": 100})
    url = f"http://{SERVER}/nacos/v1/ns/catalog/instances?{query}"
    with urllib.request.urlopen(url, timeout=5) as answer:
        listed = json.load(answer)["list"]
    return next(one["lastBeat"] for one in listed if one["port"] == port)


@step
def an_instance_with_metadata_is_listed_at_once():
    naming, service = client(), f"sdk.register.{RUN}"
    tags = {"version": "1.2", "zone": "a b", "note": "ä/&=%"}
    assert naming.add_naming_instance(service, IP, 8001, "c1", weight=2.5, metadata=tags)
    host = hosts(naming, service)[(IP, 8001)]
    equal(host["weight"], 2.5, "weight")
    equal(host["metadata"], tags, "metadata")
    equal(host["clusterName"], "c1", "clusterName")
    equal((host["healthy"], host["enabled"], host["ephemeral"]), (True, True, True), "healthy, enabled, ephemeral")
    one = naming.get_naming_instance(service, IP, 8001, "c1")
    equal((one["ip"], one["port"], one["weight"], one["metadata"]), (IP, 8001, 2.5, tags), "the instance alone")


@step
def lists_follow_cluster_group_and_namespace():
    service = f"sdk.places.{RUN}"
    public, other = client(), client(namespace=f"ns{time.time_ns()}")
    assert public.add_naming_instance(service, IP, 8001, "c1")
    assert public.add_naming_instance(service, IP, 8002, "c2")
    assert public.add_naming_instance(service, IP, 8003, "c1", group_name="g2")
    assert other.add_naming_instance(service, IP, 8004, "c1")
    equal(sorted(port for _, port in hosts(public, service)), [8001, 8002], "default group")
    equal(sorted(port for _, port in hosts(public, service, clusters="c2")), [8002], "cluster c2")
    equal(sorted(port for _, port in hosts(public, service, clusters="c1,c2")), [8001, 8002], "clusters c1,c2")
    equal(sorted(port for _, port in hosts(public, service, group_name="g2")), [8003], "group g2")
    equal(sorted(port for _, port in hosts(other, service)), [8004], "another namespace")


@step
def without_a_cluster_name_the_sdk_says_none_and_its_beats_say_default():
    naming, service = client(), f"sdk.nocluster.{RUN}"
    assert naming.add_naming_instance(service, IP, 8001)
    equal([h["clusterName"] for h in naming.list_naming_instance(service)["hosts"]], ["None"], "clusters")
    naming.send_heartbeat(service, IP, 8001)
    listed = naming.list_naming_instance(service)["hosts"]
    equal(sorted(h["clusterName"] for h in listed), ["DEFAULT", "None"], "clusters after a beat")


@step
def an_unknown_service_is_an_empty_list():
    equal(hosts(client(), f"sdk.nobody.{RUN}"), {}, "hosts")


@step
def an_update_changes_weight_metadata_and_enabled():
    naming, service = client(), f"sdk.update.{RUN}"
    assert naming.add_naming_instance(service, IP, 8001, "c1", weight=1.0, metadata={"a": "1"})
    assert naming.modify_naming_instance(service, IP, 8001, "c1", weight=7.0, metadata={"a": "2", "b": "3"}, enable=True)
    host = until("the new weight", lambda: next((h for h in hosts(naming, service).values() if h["weight"] == 7.0), None))
    equal(host["metadata"], {"a": "2", "b": "3"}, "metadata")
    assert naming.modify_naming_instance(service, IP, 8001, "c1", weight=7.0, metadata={"a": "2"}, enable=False)
    until("a disabled instance leaves the list", lambda: (IP, 8001) not in hosts(naming, service))


@step
def a_deregistered_instance_leaves_the_list_and_the_other_stays():
    naming, service = client(), f"sdk.deregister.{RUN}"
    for port in (8001, 8002):
        assert naming.add_naming_instance(service, IP, port, "c1")
    assert naming.remove_naming_instance(service, IP, 8001, "c1")
    until("one is left", lambda: list(hosts(naming, service)) == [(IP, 8002)])
    assert naming.remove_naming_instance(service, IP, 8001, "c1"), "a second deregistration is ok too"


@step
def a_beat_answers_with_its_interval_and_moves_the_last_beat():
    naming, service = client(), f"sdk.beat.{RUN}"
    assert naming.add_naming_instance(service, IP, 8001, "c1", metadata={"a": "1"})
    before = last_beat_ms(service, 8001, "c1")

    def beat():
        answer = naming.send_heartbeat(service, IP, 8001, "c1", metadata={"a": "1"})
        equal(answer["clientBeatInterval"], 5000, "clientBeatInterval")
        return last_beat_ms(service, 8001, "c1") > before

    until("lastBeat moves", beat)
    equal(len(hosts(naming, service)), 1, "instances: a beat for a known one makes no second")


@step
def a_beat_brings_an_unknown_instance_in():
    naming, service = client(), f"sdk.beatfirst.{RUN}"
    naming.send_heartbeat(service, IP, 8001, "c1", weight=3.0, metadata={"from": "beat"})
    host = until("the instance", lambda: hosts(naming, service).get((IP, 8001)))
    equal((host["weight"], host["metadata"], host["clusterName"]), (3.0, {"from": "beat"}, "c1"), "what the beat said")


@step
def an_instance_that_beats_stays_and_a_silent_one_goes():
    naming, service = client(), f"sdk.silence.{RUN}"
    short = {"preserved.heart.beat.timeout": "2000", "preserved.ip.delete.timeout": "4000"}
    for port in (8001, 8002):
        assert naming.add_naming_instance(service, IP, port, "c1", metadata=short)

    def silent_one_is_gone():
        naming.send_heartbeat(service, IP, 8001, "c1", metadata=short)
        listed = hosts(naming, service)
        assert listed[(IP, 8001)]["healthy"], "the one that beats is healthy"
        return (IP, 8002) not in listed

    until("the silent one is gone", silent_one_is_gone, deadline_s=20)


@step
def a_subscriber_sees_an_addition_a_change_and_a_removal():
    naming, watcher, service = client(), client(), f"sdk.subscribe.{RUN}"
    seen, lock = [], threading.Lock()

    def on_change(event, found):
        with lock:
            seen.append((event, found.instance["port"], found.instance["weight"]))

    def saw(*wanted):
        with lock:
            return seen[-len(wanted):] == list(wanted)

    assert naming.add_naming_instance(service, IP, 8001, "c1")
    watcher.subscribe(SubscribeListener(on_change, "steps"), SUBSCRIBE_INTERVAL_S, service)
    try:
        until("the first list", lambda: watcher.subscribed_local_manager.get_local_instances(service))
        assert naming.add_naming_instance(service, IP, 8002, "c1")
        until("ADDED", lambda: saw(("ADDED", 8002, 1.0)))
        assert naming.modify_naming_instance(service, IP, 8002, "c1", weight=5.0)
        until("MODIFIED", lambda: saw(("MODIFIED", 8002, 5.0)))
        assert naming.remove_naming_instance(service, IP, 8001, "c1")
        until("DELETED", lambda: saw(("DELETED", 8001, 1.0)))
        want = [("ADDED", 8002, 1.0), ("MODIFIED", 8002, 5.0), ("DELETED", 8001, 1.0)]
        equal(seen, want, "all that was seen: an unchanged service shows no change")
    finally:
        watcher.stop_subscribe()


@step
def a_name_and_password_are_accepted_while_authentication_is_off():
    naming, service = client(username="nacos", password="nacos"), f"sdk.login.{RUN}"
    if HAS_HEARTBEAT_THREAD:
        assert naming.token, "a login yields a token"
        assert naming.token_ttl > 0, "with a lifetime"
    assert naming.add_naming_instance(service, IP, 8001, "c1", metadata={"a": "1"})
    assert (IP, 8001) in hosts(naming, service)
    assert naming.remove_naming_instance(service, IP, 8001, "c1")


@step
def a_persistent_instance_is_refused():
    try:
        client().add_naming_instance(f"sdk.persistent.{RUN}", IP, 8001, "c1", ephemeral=False)
    except nacos.NacosException as refused:
        assert "400" in str(refused), refused
    else:
        raise AssertionError("it was taken")


if HAS_HEARTBEAT_THREAD:

    @step
    def the_heartbeat_thread_keeps_an_instance_until_it_is_removed():
        naming, service = client(username="nacos", password="nacos"), f"sdk.thread.{RUN}"
        short = {"preserved.heart.beat.timeout": "2000", "preserved.ip.delete.timeout": "4000"}
        assert naming.add_naming_instance(service, IP, 8001, "c1", metadata=short, heartbeat_interval=0.5)
        first = last_beat_ms(service, 8001, "c1")

        def outlived_its_timeout():
            assert hosts(naming, service)[(IP, 8001)]["healthy"], "healthy all along"
            return last_beat_ms(service, 8001, "c1") > first + 5000

        until("beats past the delete timeout", outlived_its_timeout, deadline_s=15)
        assert naming.remove_naming_instance(service, IP, 8001, "c1")
        until("the removed one is gone", lambda: (IP, 8001) not in hosts(naming, service))


def main():
    failed = 0
    for function in STEPS:
        name = function.__name__.replace("_", " ")
        started = time.monotonic()
        try:
            function()
            print(f"ok    {VERSION}  {name}  ({time.monotonic() - started:.1f} s)", flush=True)
        except Exception as fault:
            failed += 1
            print(f"FAIL  {VERSION}  {name}", flush=True)
            traceback.print_exception(fault, file=sys.stdout)
            if isinstance(fault, urllib.error.HTTPError):
                print(fault.read().decode("utf-8", "replace"))
    print(f"{len(STEPS) - failed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        LOGS = folder
        code = main()
    sys.exit(code)
