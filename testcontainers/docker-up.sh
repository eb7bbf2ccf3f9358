#!/usr/bin/env bash
# Makes Docker answer on a Debian or Ubuntu machine where one is root: installs it when it is missing, starts dockerd when it is down.
# Does nothing where Docker answers already. The daemon stays up; end it with: kill "$(cat /var/run/docker.pid)"
set -euo pipefail

answers() { timeout 10 docker info >/dev/null 2>&1; }
if answers; then
  echo "Docker answers"
  exit 0
fi
if [ -n "${DOCKER_HOST:-}" ]; then
  echo "Docker doesn't answer at DOCKER_HOST=$DOCKER_HOST; start it there, or unset DOCKER_HOST" >&2
  exit 1
fi
if [ "$(id -u)" != 0 ]; then
  echo "Docker doesn't answer; start it, or run this script as root" >&2
  exit 1
fi

packages=()
command -v dockerd >/dev/null || packages+=(docker.io)
command -v iptables >/dev/null || packages+=(iptables)
command -v busybox >/dev/null || packages+=(busybox-static)
if [ ${#packages[@]} -gt 0 ]; then
  started=$SECONDS
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
  echo "installed ${packages[*]} in $((SECONDS - started)) s"
fi

log=${TMPDIR:-/tmp}/headrace-dockerd.log
up() { # up [DRIVER]: starts dockerd and waits until it answers; without a driver it chooses its own
  setsid dockerd ${1:+--storage-driver "$1"} >"$log" 2>&1 </dev/null &
  local pid=$!
  for _ in $(seq 300); do
    if answers; then
      echo "dockerd answers (process $pid, storage $(docker info --format '{{.Driver}}'), log $log)"
      return 0
    fi
    kill -0 "$pid" 2>/dev/null || return 1
    sleep 0.1
  done
  kill "$pid"
  wait "$pid" || true
  return 1
}
up || up vfs || {
  tail -20 "$log" >&2
  echo "dockerd didn't start; its log is $log" >&2
  exit 1
}
