# bash completion for syslogd(8)

_syslogd() {
    local cur=$2 prev=$3
    local words="reopen rotate flush reload status cat grep pipe verify sign -f -c -h -v -version"
    [[ $prev == -f && ${COMP_WORDS[1]} == @(cat|grep) ]] && prev=
    case $prev in
        -f | -s | --config | --pub | --key | --signatures) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
        --output) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
        --timeout) mapfile -t COMPREPLY < <(compgen -W "10s 30s 5m" -- "$cur"); return ;;
    esac
    case ${COMP_WORDS[1]} in
        reopen | rotate | flush) words="-s --output --timeout" ;;
        reload) words="-s" ;;
        cat) words="-f --since --until --host --tag --severity --output --json --zone --slack --exact --config -H -c -m -h" ;;
        grep) words="-f --since --until --host --tag --severity --output --json --zone --slack --exact --config -H -i -v -F -c -m -h" ;;
        verify) words="-f --output --pub --signatures --json --kafka --timeout -h" ;;
        sign) words="--key --output -f -h" ;;
        pipe) words="--chain --size --every --keep --max-age --max-total --min-free --compress --numbered --mode --sync -h" ;;
        status) words="-s --json" ;;
        -*) words="-f -c -v -version -h" ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -F _syslogd syslogd
