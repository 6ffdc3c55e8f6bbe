# Sourced by quickstart.sh and test.sh: creates .venv in the project's folder and installs kerasrec into it, unless this
# is done already. Input: `extras`, the extras of setup.cfg to install, separated by commas. Sets `root`, the project's
# folder, and `venv`.

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." > /dev/null && pwd)
venv=$root/.venv
extras=${extras-}
stamp=$venv/installed-from # empty while an installation runs; afterwards its extras and its sources
sources=$(echo "$root" && cd -- "$root" && cat pyproject.toml setup.cfg run_scripts/constraints.txt run_scripts/environment.sh)

installed_extras() {
    local first=
    if [[ -s $stamp ]]; then read -r first < "$stamp"; fi
    echo "${first#extras:}"
}

is_installed() {
    local installed extra
    installed=$(installed_extras)
    for extra in ${extras//,/ }; do
        [[ ,$installed, == *,$extra,* ]] || return
    done
    [[ -s $stamp && "extras:$installed"$'\n'"$sources" == "$(< "$stamp")" ]] && works "$venv/bin/python" ''
}

works() { # PYTHON CODE
    "$1" -c "$2" &> /dev/null
}

find_python() {
    local python without_venv=
    for python in python3 python3.13 python3.12 python3.11 python3.10; do
        works "$python" 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' || continue
        if works "$python" 'import ensurepip, venv'; then
            echo "$python"
            return
        fi
        without_venv=$python
    done
    if [[ $without_venv ]]; then
        echo "$without_venv cannot create virtual environments: install its venv package (Debian, Ubuntu: apt-get install python3-venv)" >&2
    else
        echo "kerasrec needs Python 3.10 to 3.13, but there is no such python3 on the PATH" >&2
    fi
    return 2
}

install() {
    local python installed extra
    python=$(find_python)
    exec 9>> "$root/run_scripts/environment.sh" # the lock file; the lock ends when the process ends
    if ! works "$python" 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX | fcntl.LOCK_NB)'; then
        echo "waiting for another run that installs kerasrec into $venv"
        "$python" -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)'
    fi
    if ! is_installed; then # another run may have finished the installation while it held the lock
        installed=$(installed_extras)
        for extra in ${extras//,/ }; do # extras of earlier runs are kept
            [[ ,$installed, == *,$extra,* ]] || installed=${installed:+$installed,}$extra
        done
        if [[ -e $stamp && ! -s $stamp ]] || ! works "$venv/bin/python" ''; then
            rm -rf -- "$venv" # an interrupted installation, or one whose Python was removed
        fi
        mkdir -p -- "$venv"
        : > "$stamp"
        echo "installing kerasrec into $venv, which takes some minutes the first time"
        "$python" -m venv "$venv"
        "$venv/bin/python" -m pip install -c "$root/run_scripts/constraints.txt" -e "$root${installed:+[$installed]}"
        "$venv/bin/python" -m pip install --no-deps bert4keras==0.11.5
        printf 'extras:%s\n%s\n' "$installed" "$sources" > "$stamp"
    fi
    exec 9>&-
}

is_installed || install
