# Sourced by the scripts for daily use. Each script sets `verb`, the kerasrec command that it runs, and `words`, its
# arguments before the options of the command.

print_usage() {
    echo "usage: $(basename -- "$0") $words [options]"
    echo "options: see kerasrec $verb --help"
}

fail_with_usage() {
    print_usage >&2
    exit 2
}

is_word() { [[ ${1-} && $1 != -* ]]; }
is_all() { is_word "${1-}" && [[ $1 == *all ]]; }
is_number() { [[ ${1-} =~ ^[0-9]+$ ]]; }

run_kerasrec() { # prefers the installation in the project's .venv to the one on the PATH
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
