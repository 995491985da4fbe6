# shellcheck shell=bash
# Sourced by ./quickstart and ./test from the root of the repository: makes the virtual
# environment .venv on the first call, and activates it. No administrator's rights needed.
#
#   PYTHON   interpreter to use (default: python3.11, the tested one)
#
# Everything that pip itself reads from its environment (PIP_FIND_LINKS, ...) works here too.

PYTHON=${PYTHON:-python3.11}
VENV=.venv
STAMP=$VENV/.sensorfusion
# A sourced ROS adds another Python's packages, pytest plugins included, to every interpreter.
unset PYTHONPATH PYTHONHOME

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
fail() { # fail WHAT REMEDY...
    printf 'error: %s\n' "$1" >&2
    shift
    [ $# -eq 0 ] || printf '  %s\n' "$@" >&2
    exit 1
}

require_python() {
    command -v "$PYTHON" >/dev/null || fail "$PYTHON is not installed" \
        "on Debian 12: sudo apt-get install python3.11 python3.11-venv" \
        "elsewhere: install Python 3.11, or name another one: PYTHON=/path/to/python3 $0"
    "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "$("$PYTHON" --version) is too old: 3.11 or later is needed"
    "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null || fail "$PYTHON cannot make virtual environments" \
        "on Debian 12: sudo apt-get install python3.11-venv"
}

# What the environment was made from; another checkout, Python or requirement remakes it.
fingerprint() {
    printf '%s\n' "$PWD" "$("$PYTHON" -VV)"
    cat setup.cfg pyproject.toml constraints.txt requirements/*/pyproject.toml tools/environment.sh
}

install_packages() {
    local quiet=()
    [ -t 1 ] || quiet=(-qq)
    "$VENV/bin/python" -m pip install --disable-pip-version-check "${quiet[@]}" -c constraints.txt \
        ./requirements/opencv-python -e '.[test]' ||
        fail "the packages could not be installed; see above" \
            "running the same command again continues (about 2 GB of disk are needed, 8 GB with CUDA)"
}

compile_kernels() { # Numba keeps them beside the sources: a short run needs those of the main job
    local scratch
    scratch=$(mktemp -d)
    "$VENV/bin/python" tools/pretrain.py configs/quickstart.py --work-dir "$scratch/run" --cfg-options \
        train.epochs=1 "data.train.dataset.scenes=(0,)" data.train.dataset.every=9.0 >"$scratch/log" 2>&1 ||
        fail "the first short run failed" "$(tail -n 5 "$scratch/log")"
    rm -rf "$scratch"
}

make_environment() {
    require_python
    local wanted
    wanted=$(fingerprint | sha256sum)
    [ "$(cat "$STAMP" 2>/dev/null)" = "$wanted" ] && "$VENV/bin/python" -c '' 2>/dev/null && return
    [ ! -e "$VENV" ] || [ -e "$VENV/pyvenv.cfg" ] ||
        fail "$PWD/$VENV exists and is no virtual environment; move it away"
    say "Setting up $PWD/$VENV with $("$PYTHON" --version) (a few minutes, once)"
    rm -f "$STAMP"
    "$VENV/bin/python" -m pip --version 2>/dev/null | grep -qF "$PWD/$VENV/" ||
        "$PYTHON" -m venv --clear "$VENV"
    install_packages
    compile_kernels
    printf '%s\n' "$wanted" >"$STAMP"
}

{
    flock 9 # two commands started at once must not both install
    make_environment
} 9>.venv.lock
# shellcheck disable=SC1091
. "$VENV/bin/activate"
