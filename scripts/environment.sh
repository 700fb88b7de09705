# Sourced by run.sh and test.sh: makes .venv in the checkout and installs rtrecon into it.
# Quick when nothing has changed since the last time.

say() { printf 'rtrecon: %s\n' "$*" >&2; }
fail() { say "error: $*"; exit 2; }

# The newest supported Python; PYTHON=... overrides.
find_python() {
  local candidate
  for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11; do
    if command -v "$candidate" >/dev/null 2>&1 &&
      "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
        >/dev/null 2>&1; then
      command -v "$candidate"
      return
    fi
  done
  fail "Python 3.11, 3.12 or 3.13 is needed and was not found; install it (Debian: apt-get install python3) or set PYTHON=/path/to/python3"
}

# Install Debian packages where we may, else name the command that does.
install_packages() {
  local packages="$*" command=""
  if ! command -v apt-get >/dev/null 2>&1; then
    fail "missing system packages; on Debian they are: $packages"
  fi
  if [ "$(id -u)" = 0 ]; then command=""; elif sudo -n true >/dev/null 2>&1; then command="sudo"; else
    fail "missing system packages; install them with: sudo apt-get install -y $packages"
  fi
  say "installing system packages: $packages"
  # shellcheck disable=SC2086
  { $command apt-get update -qq && DEBIAN_FRONTEND=noninteractive $command apt-get install -y -qq --no-install-recommends $packages; } >/dev/null ||
    fail "apt-get failed; try it by hand: apt-get install -y $packages"
}

# Libraries that OpenCV's and Open3D's wheels expect of the system.
check_system_libraries() {
  [ "$(uname -s)" = Linux ] || return 0
  local known missing="" entry
  known="$(ldconfig -p 2>/dev/null || /sbin/ldconfig -p 2>/dev/null || true)"
  for entry in libEGL.so.1:libegl1 libGL.so.1:libgl1 libusb-1.0.so.0:libusb-1.0-0 \
    libgthread-2.0.so.0:libglib2.0-0 libgomp.so.1:libgomp1 libX11.so.6:libx11-6; do
    grep -q "${entry%%:*}" <<<"$known" || missing="$missing ${entry##*:}"
  done
  # shellcheck disable=SC2086
  [ -z "$missing" ] || install_packages $missing
}

# set_up_environment EXTRA...: leaves the environment's python in $VENV_PYTHON. What is there
# already, from a script that needed more, is not installed again.
set_up_environment() {
  local python stamp key installed="" missing="" extra
  check_system_libraries
  if [ ! -x .venv/bin/python ]; then
    python="$(find_python)" || exit 2
    "$python" -c 'import ensurepip' >/dev/null 2>&1 || install_packages python3-venv
    say "making .venv with $("$python" --version)"
    "$python" -m venv .venv || fail "could not make .venv with $python"
  fi
  VENV_PYTHON="$PWD/.venv/bin/python"
  stamp=".venv/.rtrecon-installed"
  key="$(cksum <pyproject.toml) $("$VENV_PYTHON" --version) $PWD"
  # The stamp: what the environment was made from, then the extras that are in it.
  if [ "$(head -n 1 "$stamp" 2>/dev/null || true)" = "$key" ]; then
    installed=" $(tail -n 1 "$stamp") "
  fi
  for extra in "$@"; do
    case "$installed" in *" $extra "*) ;; *) missing="$missing,$extra" ;; esac
  done
  [ -n "$missing" ] || return 0
  missing="${missing#,}"
  say "installing rtrecon[$missing] (first time or changed; some minutes)"
  # Pairs that own the same files: never both.
  case ",$missing," in
    *,cuda,*) replace onnxruntime; installed="${installed/ cpu / }" ;;
    *,cpu,*) replace onnxruntime-gpu; installed="${installed/ cuda / }" ;;
  esac
  case ",$missing,$(uname -sm)" in *,window,*"Linux x86_64") replace open3d ;; esac
  "$VENV_PYTHON" -m pip install -q --disable-pip-version-check -e ".[$missing]" ||
    fail "installing failed (see above); is there a network, and 3 GB of free disk?"
  # shellcheck disable=SC2086
  printf '%s\n%s\n' "$key" "$(echo $installed ${missing//,/ })" >"$stamp"
}

# replace PACKAGE: takes it out where it is there, for one that owns the same files.
replace() { "$VENV_PYTHON" -m pip uninstall -y -q "$1" >/dev/null 2>&1 || true; }

# Which build of ONNX Runtime suits this machine.
runtime_extra() {
  if command -v nvidia-smi >/dev/null 2>&1 && nvidia-smi -L >/dev/null 2>&1; then
    echo cuda
  else
    echo cpu
  fi
}
