#!/usr/bin/env bash
# Installs the packages of the named sections of packages.txt that are missing: deploy/install-packages.sh build test
# As root or with sudo; asks apt for nothing when all are there.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

wanted=$(awk -v sections=" $* " '
  /^\[/ { inside = index(sections, " " substr($1, 2, length($1) - 2) " ") > 0; next }
  inside && !/^#/ && NF { print $1 }' "$here/packages.txt")

missing=()
for package in $wanted; do
  status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
  [[ $status == installed ]] || missing+=("$package")
done
((${#missing[@]})) || exit 0

echo "Installing ${missing[*]}" >&2
as_root=()
if ((EUID != 0)); then
  if ! command -v sudo >/dev/null; then
    echo "Installing packages needs root or sudo. As root: apt-get install ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi
"${as_root[@]}" apt-get update -q >&2
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "${missing[@]}" >&2
