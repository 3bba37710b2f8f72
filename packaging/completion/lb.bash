# bash completion for lb(8)

_lb() {
    local cur=$2 prev=$3
    local verbs="reload diff canary status stop upgrade detach doctor top sessions errors version help"
    local options="-f -c -W -Ws -D -d -db -S -p -x -sf -st -n -C -q -V -v -vv -cc -L -dW -m -N -dM -dr -dS"
    case $prev in
        -f | -S | -s | -p | -x) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
        -C) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$cur"); return ;;
        -sf | -st) mapfile -t COMPREPLY < <(compgen -W "$(pgrep -x lb)" -- "$cur"); return ;;
        --timeout) mapfile -t COMPREPLY < <(compgen -W "10s 90s 5m 0" -- "$cur"); return ;;
        --canary) mapfile -t COMPREPLY < <(compgen -W "1% 5% 10% 25%" -- "$cur"); return ;;
        --for) mapfile -t COMPREPLY < <(compgen -W "60s 5m 1h" -- "$cur"); return ;;
        --abort-if) return ;;
        -n | -cc | -L | -m | -N) return ;;
    esac
    case ${COMP_WORDS[1]} in
        reload) options="-S --timeout --if-changed --canary --for --abort-if" verbs= ;;
        canary) options="-S"; verbs="status promote abort"; [ "$COMP_CWORD" = 2 ] || verbs=; mapfile -t COMPREPLY < <(compgen -W "$verbs $options" -- "$cur"); return ;;
        diff) options="-S -f --json --timeout" verbs= ;;
        upgrade) options="-S --timeout" verbs= ;;
        status | detach) options="-S" verbs= ;;
        stop) options="-S --now --or-detach --left-over --timeout" verbs= ;;
        top) options="-s --every --json --sort --filter" verbs= ;;
        sessions | errors) options="-s --json" verbs= ;;
        doctor) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
    esac
    [ "$COMP_CWORD" = 1 ] || verbs=
    mapfile -t COMPREPLY < <(compgen -W "$verbs $options" -- "$cur")
}
complete -F _lb lb
