# Sourced by run: what is checked before anybody is killed.

PORTS=(8848 8858 8868)
NODES=(headcount-1 headcount-2 headcount-3)
IMAGE_BYTES_MAX=30000000
IDLE_MIB_MAX=20
HEALTHY_SECONDS_MAX=10

ports_are_free() {
    python3 - "${PORTS[@]}" <<'PYTHON'
import socket, sys
for port in sys.argv[1:]:
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("0.0.0.0", int(port)))
PYTHON
}

run_checks() {
    step "what the image holds"
    check_image
    step "the compose files"
    check_files
    step "three nodes"
    check_up
    check_user
    check_idle_memory
    check_down_and_up
    check_orders
    step "one node"
    check_single
    step "the lines of README.md"
    check_readme
}

check_image() {
    docker image inspect headcount >"$SCRATCH/image.json"
    docker save headcount >"$SCRATCH/image.tar"
    python3 - "$SCRATCH/image.json" "$SCRATCH/image.tar" "$IMAGE_BYTES_MAX" <<'PYTHON'
import json, sys, tarfile

image = json.load(open(sys.argv[1]))[0]
config = image["Config"]
faults = []

def want(what, is_, wanted):
    if is_ != wanted:
        faults.append(f"{what} is {is_!r}, not {wanted!r}")

want("the user", config["User"], "10001:10001")
want("the health check", config["Healthcheck"]["Test"], ["CMD", "/headcount", "health"])
want("the signal to stop", config.get("StopSignal"), "SIGTERM")
want("the ports", sorted(config["ExposedPorts"]), ["8848/tcp"])
want("the entry point", config["Entrypoint"], ["/headcount"])
want("the command", config["Cmd"], ["serve"])
want("the volumes", config.get("Volumes"), None)
want("the environment", sorted(name.split("=")[0] for name in config["Env"]), ["HEADCOUNT_CONFIG_DIR", "HEADCOUNT_DATA_DIR", "PATH"])
for label in ("title", "description", "licenses"):
    if not config["Labels"].get(f"org.opencontainers.image.{label}"):
        faults.append(f"no label {label}")
if image["Size"] > int(sys.argv[3]):
    faults.append(f"it has {image['Size']} bytes, over {sys.argv[3]}")

# Every layer, file by file: nothing that could be a secret, nothing that a later layer hides.
files = {}
with tarfile.open(sys.argv[2]) as saved:
    for name in json.load(saved.extractfile("manifest.json"))[0]["Layers"]:
        with tarfile.open(fileobj=saved.extractfile(name)) as layer:
            for entry in layer:
                path = "/" + entry.name.strip("./")
                if path in files and entry.isfile():
                    faults.append(f"{path} is in two layers")
                files[path] = "folder" if entry.isdir() else f"{entry.uid}:{entry.gid}"
files.pop("/", None)
want("what the layers hold", files, {"/headcount": "10001:10001", "/LICENSE": "10001:10001", "/data": "folder", "/config": "folder", "/secret": "folder"})

print(f"image: {image['Size'] / 1e6:.1f} MB; user {config['User']}; layers hold {', '.join(sorted(files))}")
for fault in faults:
    print("FAILED:", fault)
sys.exit(bool(faults))
PYTHON
    rm "$SCRATCH/image.tar"
}

# Without a `version:` the tool takes the Compose Specification's schema, which knows no field that it does not name.
check_files() {
    local file
    for file in docker/compose.yaml docker/compose.single.yaml; do
        ! grep -n '^version' "$file" || fail "$file names a version"
        "${COMPOSE[@]}" -f "$file" config --quiet || fail "$file is not valid"
        echo "$file is valid"
    done
}

# container SERVICE
container() {
    docker ps --all --quiet --filter "label=com.docker.compose.project=$PROJECT" --filter "label=com.docker.compose.service=$1"
}

now_ms() {
    echo $(($(date +%s%N) / 1000000))
}

# healthy SINCE_MS SERVICE…: waits until Docker calls all of them healthy. How long the tool and the engine took until the last
# of them ran is printed; what the nodes and their health checks then took is held to the bound.
healthy() {
    local since=$1 service state ran=0 at
    shift
    for service; do
        while state=$(docker inspect --format '{{.State.Health.Status}}' "$(container "$service")") && [ "$state" != healthy ]; do
            [ $(($(now_ms) - since)) -lt 120000 ] || { compose logs --tail 40; fail "$service is $state after 120 s"; }
            sleep 0.1
        done
    done
    local took=$(($(now_ms) - since))
    for service; do
        at=$(($(date -d "$(docker inspect --format '{{.State.StartedAt}}' "$(container "$service")")" +%s%N) / 1000000 - since))
        [ "$at" -le "$ran" ] || ran=$at
    done
    echo "healthy after $(seconds "$took"): $*; the containers ran after $(seconds "$ran"); load $(cut -d ' ' -f 1 /proc/loadavg)"
    [ $((took - ran)) -le $((HEALTHY_SECONDS_MAX * 1000)) ] || fail "that is over $HEALTHY_SECONDS_MAX s from running to healthy"
}

# seconds MS
seconds() {
    echo "$(($1 / 1000)).$(($1 % 1000 / 100)) s"
}

check_up() {
    local since
    since=$(now_ms)
    compose up --detach >"$SCRATCH/up" 2>&1 || { cat "$SCRATCH/up"; fail "the cluster does not start"; }
    healthy "$since" "${NODES[@]}"
}

check_user() {
    local uid
    uid=$(docker top "$(container headcount-1)" -o pid,uid,args | sed -n 2p)
    [[ $uid =~ ^\ *[0-9]+\ +10001\  ]] || fail "the node runs as: $uid"
    echo "a node runs as user $uid"
}

# What `docker stats` says: the memory group's usage less its inactive page cache. Pages of the binary count for whichever group
# touched them first, so the process's resident set is held to the bound too.
check_idle_memory() {
    local usage resident
    for node in "${NODES[@]}"; do
        usage=$(docker stats --no-stream --format '{{.MemUsage}}' "$(container "$node")")
        resident=$(docker top "$(container "$node")" -o pid,rss | awk 'NR == 2 { print int($2 / 1024) }')
        echo "$node idles with $usage; resident $resident MiB"
        [[ $usage =~ ^([0-9]+)(\.[0-9]+)?MiB ]] && [ "${BASH_REMATCH[1]}" -lt "$IDLE_MIB_MAX" ] || fail "that is over $IDLE_MIB_MAX MiB"
        [ "$resident" -le "$IDLE_MIB_MAX" ] || fail "that is over $IDLE_MIB_MAX MiB"
    done
}

url() {
    echo "http://127.0.0.1:$1/nacos/v1/ns/instance"
}

# ask METHOD URL
ask() {
    python3 -c 'import sys, urllib.request as r; print(r.urlopen(r.Request(sys.argv[2], method=sys.argv[1]), timeout=5).read().decode())' "$@"
}

# An instance that needs no beats is on every node again when all containers were removed and made anew.
check_down_and_up() {
    local since port
    local hours='metadata=%7B%22preserved.heart.beat.timeout%22%3A%223600000%22%2C%22preserved.ip.delete.timeout%22%3A%227200000%22%7D'
    ask POST "$(url 8848)?serviceName=stays&ip=11.0.0.1&port=80&$hours" >/dev/null
    compose down >"$SCRATCH/down" 2>&1 || { cat "$SCRATCH/down"; fail "down failed"; }
    since=$(now_ms)
    compose up --detach >"$SCRATCH/up" 2>&1 || { cat "$SCRATCH/up"; fail "the cluster does not start again"; }
    healthy "$since" "${NODES[@]}"
    for port in "${PORTS[@]}"; do
        ask GET "$(url "$port")/list?serviceName=stays" | grep -q '"ip":"11.0.0.1"' || fail "the node on port $port has lost an instance"
    done
    echo "after down and up every node lists what was registered before"
    compose down --volumes >/dev/null 2>&1
}

check_orders() {
    local order node since
    for order in "3 1 2" "2 3 1"; do
        since=$(now_ms)
        for node in $order; do
            compose up --detach "headcount-$node" >"$SCRATCH/up" 2>&1 || { cat "$SCRATCH/up"; fail "headcount-$node does not start"; }
        done
        echo "started one by one: $order"
        healthy "$since" "${NODES[@]}"
        compose down --volumes >/dev/null 2>&1
    done
}

check_single() {
    local since
    FILE=docker/compose.single.yaml
    since=$(now_ms)
    compose up --detach >"$SCRATCH/up" 2>&1 || { cat "$SCRATCH/up"; fail "the single node does not start"; }
    healthy "$since" headcount
    compose down --volumes >/dev/null 2>&1
    FILE=docker/compose.yaml
}

# As printed, but for the name of the compose tool.
check_readme() {
    local lines
    lines=$(awk '$0 == "<!-- /ci:compose -->" { on = 0 } on && !/^```/ { print } $0 == "<!-- ci:compose -->" { on = 1 }' README.md)
    [ -n "$lines" ] || fail "README.md has no lines between <!-- ci:compose --> and <!-- /ci:compose -->"
    need curl curl
    printf 'silent\nshow-error\n' >"$SCRATCH/.curlrc"
    CURL_HOME=$SCRATCH bash -euxo pipefail -c "${lines//docker compose/${COMPOSE[*]}}" >"$SCRATCH/readme" 2>"$SCRATCH/readme.trace" ||
        { cat "$SCRATCH/readme" "$SCRATCH/readme.trace"; fail "a line of README.md fails"; }
    grep '^+' "$SCRATCH/readme.trace"
    [ "$(grep -o '"ip":"11\.11\.11\.11"' "$SCRATCH/readme" | wc -l)" = 2 ] || { cat "$SCRATCH/readme"; fail "the two lists do not both show the instance"; }
    echo "both lists show the instance"
}
