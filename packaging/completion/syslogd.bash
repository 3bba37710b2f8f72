# bash completion for syslogd(8)

_syslogd() {
    local cur=$2 prev=$3
    local words="reopen rotate flush reload status -f -c -v -version"
    case $prev in
        -f | -s) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
        --output) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
        --timeout) mapfile -t COMPREPLY < <(compgen -W "10s 30s 5m" -- "$cur"); return ;;
    esac
    case ${COMP_WORDS[1]} in
        reopen | rotate | flush) words="-s --output --timeout" ;;
        reload) words="-s" ;;
        status) words="-s --json" ;;
        -*) words="-f -c -v -version" ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -F _syslogd syslogd
