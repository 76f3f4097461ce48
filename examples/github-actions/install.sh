#!/usr/bin/env bash
# Installs appcred VERSION into the folder FOLDER: the released binary if its SHA-256 checksum is SHA256. Without
# SHA256 that is the one in the release's SHA256SUMS, and cargo builds where there is no release for this machine: it
# is for Linux with glibc 2.34 or newer.
set -euo pipefail

repository=https://github.com/appcred/appcred
releases=$repository/releases/download/v$VERSION
name=appcred-$VERSION-$(uname -m)-unknown-linux-gnu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Whether a released binary would start here.
is_for_this_machine() {
  local glibc
  glibc=$(getconf GNU_LIBC_VERSION 2>/dev/null) || return 1
  [ "$(printf '%s\n' 2.34 "${glibc#glibc }" | sort --version-sort | head -n 1)" = 2.34 ]
}

# Downloads $1 of the release. Fails with 44 where the release has no such file.
download() {
  local status
  status=$(curl --silent --show-error --location --retry 3 --write-out '%{http_code}' --output "$work/$1" "$releases/$1")
  case $status in
    200) ;;
    404) return 44 ;;
    *)
      echo "appcred: $releases/$1: the server answers $status" >&2
      return 1
      ;;
  esac
}

# Checks what was downloaded, and unpacks it.
unpack() {
  if [ -z "${SHA256:-}" ]; then
    if ! download SHA256SUMS; then
      echo "appcred: release $VERSION has no SHA256SUMS: it is not installed" >&2
      exit 1
    fi
    SHA256=$(awk -v file="$name.tar.gz" '$2 == file { print $1 }' "$work/SHA256SUMS")
  fi
  if ! echo "$SHA256  $work/$name.tar.gz" | sha256sum --check --status; then
    echo "appcred: $name.tar.gz does not have the SHA-256 checksum ${SHA256:-in SHA256SUMS}: it is not installed" >&2
    exit 1
  fi
  tar --extract --file "$work/$name.tar.gz" --directory "$work"
}

build() {
  # What a tag names can change, and no checksum would show it.
  if [ -n "${SHA256:-}" ]; then
    echo "appcred: there is no release $VERSION for this machine that SHA256 could be the checksum of: it is not installed" >&2
    exit 1
  fi
  echo "appcred: there is no release $VERSION for this machine; cargo builds it"
  cargo install --locked --git "$repository" --tag "v$VERSION" --root "$work/root" appcred
  mv "$work/root/bin" "$work/$name"
}

found=44
if is_for_this_machine; then
  found=0
  download "$name.tar.gz" || found=$?
fi
case $found in
  0) unpack ;;
  44) build ;;
  *) exit 1 ;;
esac
mkdir -p "$FOLDER"
install -m 755 "$work/$name/appcred" "$FOLDER/appcred"
