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

# set_up_environment EXTRA...: leaves the environment's python in $VENV_PYTHON.
set_up_environment() {
  local extras python stamp wanted
  extras="$(IFS=,; echo "$*")"
  check_system_libraries
  if [ ! -x .venv/bin/python ]; then
    python="$(find_python)" || exit 2
    "$python" -c 'import ensurepip' >/dev/null 2>&1 || install_packages python3-venv
    say "making .venv with $("$python" --version)"
    "$python" -m venv .venv || fail "could not make .venv with $python"
  fi
  VENV_PYTHON="$PWD/.venv/bin/python"
  stamp=".venv/.rtrecon-installed"
  wanted="$extras $(cksum <pyproject.toml) $("$VENV_PYTHON" --version) $PWD"
  if [ "$(cat "$stamp" 2>/dev/null || true)" != "$wanted" ]; then
    say "installing rtrecon[$extras] (first time or changed; some minutes)"
    # onnxruntime and onnxruntime-gpu own the same files: never both.
    case ",$extras," in
      *,cuda,*) "$VENV_PYTHON" -m pip uninstall -y -q onnxruntime >/dev/null 2>&1 || true ;;
      *) "$VENV_PYTHON" -m pip uninstall -y -q onnxruntime-gpu >/dev/null 2>&1 || true ;;
    esac
    "$VENV_PYTHON" -m pip install -q --disable-pip-version-check -e ".[$extras]" ||
      fail "installing failed (see above); is there a network, and 3 GB of free disk?"
    printf '%s' "$wanted" >"$stamp"
  fi
}

# Which build of ONNX Runtime suits this machine.
runtime_extra() {
  if command -v nvidia-smi >/dev/null 2>&1 && nvidia-smi -L >/dev/null 2>&1; then
    echo cuda
  else
    echo cpu
  fi
}
