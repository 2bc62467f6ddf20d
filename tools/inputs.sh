# inputs.sh is read by scripts that take values from users or workflows. They call it first: a wrong value is refused
# before anything is built or run. The functions need the variable step, the name of what was called.

needs() { # NAME=EXAMPLE...: report all missing values, with a command that has them
    missing=
    for value in "$@"; do
        eval "[ -n \"\${${value%%=*}:-}\" ]" || missing="$missing ${value%%=*}"
    done
    [ -n "$missing" ] || return 0
    if [ -n "${MAKELEVEL:-}" ]; then
        set -- make "$step" "$@"
    else
        set -- "$@" "$0"
        [ "$(basename "$0" .sh)" = "$step" ] || set -- "$@" "$step"
    fi
    echo "$step needs$missing, for example: $*" >&2
    exit 2
}

takes() { # NAME ERE RULE: refuse a value that is not of the form; an empty one is no value
    eval "value=\${$1:-}"
    [ -n "$value" ] || return 0
    case $(printf %s. "$value" | LC_ALL=C tr '[:cntrl:]\200-\377' '\n') in
    *'
'*) ;; # grep would look at each line alone
    *) ! printf '%s\n' "$value" | LC_ALL=C grep -qxE -e "$2" || return 0 ;;
    esac
    # On one line of plain text: a workflow takes lines of its log for commands.
    printf '%s: %s must be %s, not "%s"\n' "$step" "$1" "$3" \
        "$(printf %s "$value" | LC_ALL=C tr -c '[:print:]' '?' | cut -c 1-200)" >&2
    exit 2
}

takes_one_of() { # NAME WORDS: refuse a value that is not one of the words
    # shellcheck disable=SC2086 # WORDS are several
    takes "$1" "$(echo $2 | tr ' ' '|')" "$(echo $2 | sed 's/ /, /g; s/\(.*\),/\1 or/')"
}

revision='[A-Za-z0-9]([A-Za-z0-9_/~^-]|\.[A-Za-z0-9_/~^-]){0,199}' # of git, without options and ranges
