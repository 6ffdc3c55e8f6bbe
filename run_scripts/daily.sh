# Sourced by the scripts of daily use, which set `verb`, the command behind them, and `words`, what they take before the
# command's options.

print_usage() {
    echo "usage: $(basename -- "$0") $words [options]"
    echo "options: see kerasrec $verb --help"
}

wrong() {
    print_usage >&2
    exit 2
}

is_word() { [[ ${1-} && $1 != -* ]]; }
is_all() { is_word "${1-}" && [[ $1 == *all ]]; }
is_number() { [[ ${1-} =~ ^[0-9]+$ ]]; }

run_kerasrec() { # the project's own installation, else the one on the PATH
    local root kerasrec
    root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." > /dev/null && pwd)
    kerasrec=$root/.venv/bin/kerasrec
    if [[ ! -x $kerasrec ]] && ! kerasrec=$(type -P kerasrec); then
        echo "kerasrec is not installed: run 'bash $root/run_scripts/quickstart.sh' once" >&2
        exit 2
    fi
    exec "$kerasrec" "$@"
}

if [[ ${1-} == -h || ${1-} == --help ]]; then
    print_usage
    exit
fi
