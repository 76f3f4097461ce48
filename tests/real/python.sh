# For the set_up scripts beside this: Python environments under target/, made once and kept.
# shellcheck shell=bash

say() { printf 'tests/real: %s\n' "$*" >&2; }

die() {
  say "$*"
  exit 1
}

# Runs a command as root, or fails where that cannot be.
as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    return 1
  fi
}

# Installs Debian packages: $1 says what for, the rest are their names.
install_packages() {
  local purpose=$1
  shift
  say "installing $* ($purpose)"
  if ! command -v apt-get >/dev/null; then
    die "$purpose: please install what Debian calls: $*"
  fi
  if ! { as_root apt-get update -q && as_root apt-get install -y -q --no-install-recommends "$@"; } >&2; then
    die "$purpose: please run as root: apt-get install $*"
  fi
}

# Prints the first Python that is new enough, `python3` before all others.
new_enough_python() {
  local name
  for name in python3 python3.11 python3.12 python3.13 python3.14; do
    if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$name"
      return
    fi
  done
  return 1
}

# Sets `python` and `python_version` (as in 3.11).
find_python() {
  if ! python=$(new_enough_python); then
    install_packages "Python 3.11 or newer" python3 python3-venv
    python=$(new_enough_python) || die "no Python 3.11 or newer was found"
  fi
  python_version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
}

# Makes an environment in the folder $1, and calls `fill` for what is to be in it.
environment() {
  if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    install_packages "virtual environments of Python" "python$python_version-venv"
  fi
  "$python" -m venv "$1"
  fill "$1"
}

# Brings `target/$1/current` to an environment made from the files $3…, by calling `fill FOLDER`.
# $2 is a prefix of its name.
keep_environment() {
  keep_folder environment "$@"
}

# The same for any folder, by calling `$1 FOLDER`. Environments cannot be moved once made, so a stamp,
# written last, marks a whole one; and a lock lets only one be made at a time.
keep_folder() {
  local make=$1 shelf=target/$2 prefix=$3
  shift 3
  local hash folder
  hash=$({ printf '%s\n' "${python:-}"; cat "$@" tests/real/python.sh; } | sha256sum | cut -c1-12)
  folder=$prefix-$hash
  if [ -e "$shelf/$folder/.whole" ] && [ "$(readlink "$shelf/current")" = "$folder" ]; then
    return
  fi
  mkdir -p "$shelf"
  exec 9>"$shelf/.lock"
  flock 9
  if [ ! -e "$shelf/$folder/.whole" ]; then
    say "making $shelf/$folder, once; this takes a minute"
    rm -rf "${shelf:?}/$folder"
    "$make" "$shelf/$folder"
    touch "$shelf/$folder/.whole"
  fi
  ln -sfn "$folder" "$shelf/.current"
  mv -T "$shelf/.current" "$shelf/current"
  exec 9>&-
}
