# Makes and updates .venv; sourced by the scripts beside it, which have changed to the project's folder.
# shellcheck shell=bash

VENV=.venv
MINIMUM_PYTHON=3.11

say() { printf '%s\n' "$*" >&2; }
fail() { say "$(basename "$0"): $*"; exit 1; }

# apt_install PACKAGE REASON: as root install it; else say what to type and stop.
apt_install() {
  if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    fail "$2. Install it and start again:

    sudo apt-get update && sudo apt-get install -y $1"
  fi
  say "Installing the Debian package $1 ..."
  export DEBIAN_FRONTEND=noninteractive
  { apt-get update -qq && apt-get install -y -qq --no-install-recommends "$1"; } </dev/null >&2 ||
    fail "apt-get could not install $1; what it said is above"
}

# install_orthanc REASON: without its service.
install_orthanc() { apt_install_quietly orthanc "$1"; }

# apt_install_quietly PACKAGES REASON: without their services. Debian starts a service when it
# installs one; policy-rc.d asks it not to, for this installation.
apt_install_quietly() (
  policy=/usr/sbin/policy-rc.d
  if [ "$(id -u)" -eq 0 ] && [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
  fi
  apt_install "$1" "$2"
)

is_new_enough() {
  "$1" -c "import sys; sys.exit(sys.version_info < (${MINIMUM_PYTHON/./, }))" 2>/dev/null
}

# Prints the Python to make .venv with: $PYTHON if set, else the first that is new enough.
find_python() {
  local candidate found="" candidates=(python3 python3.14 python3.13 python3.12 python3.11)
  [ -z "${PYTHON:-}" ] || candidates=("$PYTHON")
  for candidate in "${candidates[@]}"; do
    command -v "$candidate" >/dev/null || continue
    is_new_enough "$candidate" && { command -v "$candidate"; return; }
    found="${found:-$("$candidate" --version 2>&1)}"
  done
  fail "mwl needs Python $MINIMUM_PYTHON or later; found: ${found:-none}.
Debian 12 and Ubuntu 24.04 have it: sudo apt-get install -y python3 python3-venv
Elsewhere name one: PYTHON=/path/to/python3.12 $0"
}

make_venv() {
  local python version
  python=$(find_python)
  version=$("$python" -c 'import sys; print("{}.{}".format(*sys.version_info))')
  # Debian and Ubuntu ship ensurepip, which venv needs, in a package of its own.
  "$python" -c 'import ensurepip, venv' 2>/dev/null ||
    apt_install "python$version-venv" "Python $version here cannot make virtual environments"
  say "Making $VENV with Python $version ..."
  "$python" -m venv --clear "$VENV" || fail "could not make $VENV; what Python said is above"
}

# What an installation was made from. When it is unchanged there is nothing to do.
fingerprint() {
  printf '%s\n' "$PWD"
  "$VENV/bin/python" --version
  cksum <pyproject.toml
}

pip_install() {
  "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --no-input "$@" </dev/null >&2 ||
    fail "pip could not install what mwl needs; what it said is above"
}

# prepare_environment user|developer: a developer's has the tests' and linters' packages as well.
prepare_environment() {
  # A folder that was moved or half made has a Python that does not run or has no pip.
  "$VENV/bin/python" -c 'import pip' 2>/dev/null || make_venv
  local stamp
  for stamp in "$VENV/mwl-developer" "$VENV/mwl-$1"; do
    [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(fingerprint)" ] && return
  done
  say "Installing mwl and what it needs into $VENV (only when that has changed) ..."
  rm -f "$VENV/mwl-user" "$VENV/mwl-developer"
  if [ "$1" = developer ]; then
    pip_install --upgrade 'pip>=25.1' # the first that knows --group
    pip_install --editable . --group dev
  else
    pip_install --editable .
    # Where there is no ready-made package it would need a compiler, and few sites have Lua scripts.
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --no-input \
      --only-binary lupa 'lupa>=2.5' </dev/null >/dev/null 2>&1 ||
      say "Lua scripts (LuaScripts) will not run: to have them, $VENV/bin/pip install 'lupa>=2.5'"
  fi
  fingerprint >"$VENV/mwl-$1"
}
