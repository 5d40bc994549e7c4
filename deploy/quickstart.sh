#!/usr/bin/env bash
# plugind in a minute: installs what is missing (Debian 12), builds, runs the example plugins, calls one, kills it, and
# shows it come back. Leaves nothing running and nothing outside build/ and a temporary folder.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [[ -t 1 && -z ${NO_COLOR:-} ]]; then bold=$(printf '\033[1m') plain=$(printf '\033[0m'); else bold='' plain=''; fi
say() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }

say "Packages and build (the first time takes some minutes)"
deploy/install-packages.sh build run
mkdir -p build
cmake --preset release >build/quickstart.log || { cat build/quickstart.log; exit 1; }
grep 'SKIPPED: ' build/quickstart.log || true
cmake --build --preset release --target plugind plugind-keeper pluginctl examples

bin=$PWD/build/release/bin
dir=$(mktemp -d /tmp/plugind-XXXXXX)
export PLUGIND_SOCKET=$dir/run/plugind.sock
daemon=
finish() {
  if [[ -n $daemon ]] && kill -0 "$daemon" 2>/dev/null; then
    kill "$daemon"
    wait "$daemon" || true
  fi
  rm -rf "$dir"
}
trap finish EXIT

say "plugind starts with config/ and the example plugins"
mkdir -p "$dir/config" "$dir/run" "$dir/state"
# Where the Go example was left out, so is its configuration.
cp -r config/. "$dir/config/"
plugins=()
for file in "$dir"/config/plugins.d/*.toml; do
  name=$(basename "$file" .toml)
  sed -i "s|\.\./\.\./build/|$PWD/build/|" "$file"
  if [[ $name == kv && ! -x $bin/plugins/kv ]]; then
    rm "$file"
  else
    plugins+=("$name")
  fi
done
"$bin/plugind" --config "$dir/config/plugind.toml" --runtime-dir "$dir/run" --state-dir "$dir/state" 2>"$dir/log" &
daemon=$!
until [[ -S $PLUGIND_SOCKET ]]; do
  kill -0 "$daemon" 2>/dev/null || { cat "$dir/log"; exit 1; }
  sleep 0.05
done
for name in "${plugins[@]}"; do
  "$bin/pluginctl" wait "$name" --for READY --timeout 30s
done
"$bin/pluginctl" status

# call: Greet of the plugin greeter, through the gateway.
call() {
  "$bin/pluginctl" call greeter/greeter.v1.Greeter/Greet -d '{"name": "quickstart"}'
}
pid_of() {
  "$bin/pluginctl" status "$1" -o json |
    /usr/bin/python3 -c 'import json, sys; print(json.load(sys.stdin)["plugins"][0].get("pid", 0))'
}

say "A call of greeter"
call

pid=$(pid_of greeter)
say "kill -9 $pid: greeter dies, and plugind starts it again"
kill -9 "$pid"
while [[ $(pid_of greeter) == "$pid" ]]; do sleep 0.01; done
"$bin/pluginctl" wait greeter --for READY --timeout 30s
"$bin/pluginctl" events | grep greeter
call

say "Status"
"$bin/pluginctl" status

say "Stop"
kill "$daemon"
wait "$daemon"
daemon=
echo "plugind and its plugins have ended"
