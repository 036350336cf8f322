# Sourced by run: what the images begin with, the image itself, and their removal.

# What the Dockerfile's build stage runs in.
RUST_TAG=rust:1.95-slim-bookworm
DEBIAN=http://deb.debian.org/debian
# Set to what was made here, and is to go.
MADE_RUST=
RUST_IMAGE=$RUST_TAG
BINARY=build

# need COMMAND PACKAGE: installs Debian's package when the command is missing and this is allowed to.
need() {
    command -v "$1" >/dev/null && return 0
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || fail "no $1 on this machine (Debian: $2)"
    { apt-get update -qq && apt-get install -y -qq "$2"; } >"$SCRATCH/apt.log" 2>&1
    command -v "$1" >/dev/null || fail "$2 cannot be installed: $(tail -n 1 "$SCRATCH/apt.log")"
}

prepare_image() {
    local started=$SECONDS
    if [ -n "$WHOLE_BUILD" ]; then
        make_rust_image
    else
        make_stand_in
    fi
    echo "prepared in $((SECONDS - started)) s"
    started=$SECONDS
    attended compose build >"$SCRATCH/build" 2>&1 || { tail -n 60 "$SCRATCH/build"; fail "the image cannot be built"; }
    echo "built with docker/Dockerfile in $((SECONDS - started)) s"
}

# A small Debian with gcc, and this machine's own Rust, under the name that the Dockerfile uses.
make_rust_image() {
    if docker image inspect "$RUST_TAG" >/dev/null 2>&1; then
        echo "$RUST_TAG was here"
        return
    fi
    need debootstrap debootstrap
    local root=$SCRATCH/root rust
    attended debootstrap --variant=minbase --include=gcc,libc6-dev,ca-certificates bookworm "$root" "$DEBIAN" >"$SCRATCH/debootstrap" 2>&1 ||
        { tail -n 20 "$SCRATCH/debootstrap"; fail "no Debian tree can be made"; }
    rust=$(rustc --print sysroot)
    mkdir -p "$root/usr/local/rust"
    tar -C "$rust" -c bin/cargo bin/rustc lib | tar -C "$root/usr/local/rust" -x
    # Whom this machine trusts when it fetches crates.
    cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
    rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* "$root"/usr/share/{doc,man,locale}
    MADE_RUST=yes
    tar -C "$root" -c . | docker import -c 'ENV PATH=/usr/local/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
        - "$RUST_TAG" >/dev/null
    rm -rf "$root"
}

# One image for both arguments. BuildKit takes the finished tree in /out and leaves the build stage out; the older builder runs
# that stage all the same, so there is a shell in it, and a cargo that makes nothing.
make_stand_in() {
    need busybox busybox-static
    local root=$SCRATCH/root host name
    host=$(rustc -vV | sed -n 's/^host: //p')
    RUSTFLAGS="-C target-feature=+crt-static" attended cargo build --locked --release --target "$host" --bin headcount
    mkdir -p "$root"/{bin,usr/bin,out/data,out/config,out/secret}
    cp "$(command -v busybox)" "$root/bin/busybox"
    for name in sh sed mkdir touch find rm mv cp; do
        ln -s busybox "$root/bin/$name"
    done
    printf '#!/bin/sh\necho "host: none"\n' >"$root/usr/bin/rustc"
    printf '#!/bin/sh\nmkdir -p target/none/release && : >target/none/release/headcount\n' >"$root/usr/bin/cargo"
    printf '#!/bin/sh\n' >"$root/usr/bin/strip"
    chmod 755 "$root"/usr/bin/*
    strip -o "$root/out/headcount" "${CARGO_TARGET_DIR:-target}/$host/release/headcount"
    cp LICENSE "$root/out/"
    RUST_IMAGE=$PROJECT-binary BINARY=$PROJECT-binary
    tar -C "$root" -c . | docker import -c 'ENV PATH=/usr/bin:/bin' - "$RUST_IMAGE" >/dev/null
    rm -rf "$root"
}

# Images that were not here before and come from ours: the builder keeps those of its steps.
remove_images() {
    local base pass
    base=$(docker images --quiet --no-trunc "$RUST_IMAGE")
    for pass in 1 2 3; do
        { docker images --all --quiet --no-trunc --filter label=org.opencontainers.image.title=headcount; descendants "$base"; } | sort -u |
            comm -23 - <(sed -n 's/^image \(sha256:[0-9a-f]*\).*/\1/p' "$SCRATCH/before" | sort -u) | xargs -r docker rmi --force
    done
    [ "$RUST_IMAGE" = "$RUST_TAG" ] && [ -z "$MADE_RUST" ] || docker rmi --force "$RUST_IMAGE"
    [ -z "$BEFORE_IMAGE" ] || docker tag "$BEFORE_IMAGE" headcount:latest
}

# descendants ID
descendants() {
    [ -n "$1" ] || return 0
    docker images --all --quiet --no-trunc | sort -u | xargs -r docker inspect --format '{{.Id}} {{.Parent}}' | python3 -c '
import sys
parents = dict((line.split() + [""])[:2] for line in sys.stdin)
def comes(image):
    return image != "" and (parents.get(image) == sys.argv[1] or comes(parents.get(image, "")))
print("\n".join(filter(comes, parents)))' "$1"
}
