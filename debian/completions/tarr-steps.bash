# bash completion for tarr-steps(1)                                        -*- shell-script -*-

# Segments that are configured have a file, those that are up a VDE switch; their names are all that is asked for here.
__tarr_steps_segments()
{
    local path
    for path in /etc/vdenet/*.toml /run/vdenet/*/switch; do
        [[ -e $path ]] || continue
        path=${path%/switch} path=${path##*/} path=${path%.toml}
        [[ $path == policy ]] || printf '%s\n' "$path"
    done | sort -u
}

# The names of the user's guests of a kind, those without blanks.
__tarr_steps_guests()
{
    case $1 in
        virtualbox) VBoxManage -q list vms 2>/dev/null | sed -n 's/^"\([^ "]*\)" {.*/\1/p' ;;
        lxc) lxc-ls -1 2>/dev/null ;;
        libvirt)
            {
                virsh --quiet --connect qemu:///session list --all --name
                virsh --quiet --readonly --connect qemu:///system list --all --name
            } 2>/dev/null | sed '/ /d'
            ;;
        incus) incus list --columns=n --format=csv 2>/dev/null ;;
        podman | docker) "$1" ps --format='{{.Names}}' 2>/dev/null ;;
        nspawn) machinectl list-images --no-legend 2>/dev/null | cut -d ' ' -f 1 ;;
        vmware) sed -n 's/^vmlist[0-9]*\.DisplayName = "\([^ "|]*\)".*/\1/Ip' ~/.vmware/inventory.vmls 2>/dev/null ;;
    esac
}

_tarr_steps()
{
    local cur prev words cword
    if declare -F _init_completion >/dev/null; then
        _init_completion -n = || return
    else
        cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
        words=("${COMP_WORDS[@]}") cword=$COMP_CWORD
    fi

    local verbs="start stop reload check list ip join leave plan apply segment export import"
    local old="--start --stop --reload --check --list --ip"
    local common="--segment --json --quiet --help"
    local kinds="qemu run virtualbox lxc libvirt incus vmware podman docker nspawn"

    local at verb="" word="" values=0
    for ((at = 1; at < cword; at++)); do
        case ${words[at]} in
            --)
                # The guest's own command, completed as if it stood alone.
                if declare -F _command_offset >/dev/null; then
                    _command_offset $((at + 1))
                fi
                return
                ;;
            --segment | --name | --mac | --model | --tap | --via | --nic | --port | --vlan | --connect | --address | --mode | --confirm | --from | --output) ((at++)) ;;
            --start | -st | --stop | -sp | --reload | -r | --check | -c) verb=start ;;
            --list | --liste | -l) verb=list ;;
            --ip | -ip) verb=ip ;;
            -*) ;;
            *)
                if [[ -z $verb ]]; then
                    verb=${words[at]}
                else
                    ((values++))
                    word=${word:-${words[at]}}
                fi
                ;;
        esac
    done

    case $prev in
        --segment)
            mapfile -t COMPREPLY < <(compgen -W "$(__tarr_steps_segments)" -- "$cur")
            return
            ;;
        --model)
            mapfile -t COMPREPLY < <(compgen -W "virtio-net-pci e1000 e1000e rtl8139" -- "$cur")
            return
            ;;
        --via)
            mapfile -t COMPREPLY < <(compgen -W "bridge vde udp" -- "$cur")
            return
            ;;
        --connect)
            mapfile -t COMPREPLY < <(compgen -W "qemu:///session qemu:///system" -- "$cur")
            return
            ;;
        --mode)
            mapfile -t COMPREPLY < <(compgen -W "nat routed isolated" -- "$cur")
            return
            ;;
        --from)
            mapfile -t COMPREPLY < <(compgen -W "vde lxc-net libvirt" -- "$cur")
            return
            ;;
        --output)
            mapfile -t COMPREPLY < <(compgen -f -- "$cur")
            compopt -o filenames 2>/dev/null
            return
            ;;
        --address | --confirm | --name | --mac | --nic | --port | --tap | --vlan) return ;;
    esac

    local choice=""
    case $verb in
        "") choice="$verbs $old $common --version" ;;
        start | stop | reload | check)
            choice=$common
            ((values)) || choice+=" $(__tarr_steps_segments)"
            ;;
        join)
            case $word in
                "") choice="$kinds --help" ;;
                qemu) choice="$common --name --mac --vlan --model --print --tap --dry-run --" ;;
                virtualbox | lxc | libvirt | incus | vmware | podman | docker | nspawn)
                    choice="$common --name --vlan --dry-run"
                    [[ $word == podman || $word == docker || $word == nspawn ]] || choice+=" --nic"
                    [[ $word != virtualbox ]] || choice+=" --via --port"
                    [[ $word != libvirt ]] || choice+=" --connect"
                    ((values > 1)) || choice+=" $(__tarr_steps_guests "$word")"
                    ;;
                *) choice="$common --name --mac --vlan --" ;;
            esac
            ;;
        leave)
            choice="$common --dry-run"
            [[ -n $word && $word != libvirt ]] || choice+=" --connect"
            case $word:$values in
                :*) choice+=" $kinds" ;;
                *:1) choice+=" $(__tarr_steps_guests "$word")" ;;
            esac
            ;;
        plan | apply | import)
            choice=$common
            [[ $verb != apply ]] || choice+=" --check --confirm --confirmed --rollback"
            [[ $verb != import ]] || choice+=" --from --address --output"
            if [[ $cur != -* ]]; then
                mapfile -t COMPREPLY < <(compgen -f -- "$cur")
                compopt -o filenames 2>/dev/null
                return
            fi
            ;;
        export) choice="$common --canonical" ;;
        segment)
            choice=$common
            case $word in
                "") choice+=" list create delete" ;;
                create)
                    choice="--json --quiet --help --address --mode"
                    if ((values > 1)) && [[ $cur != -* ]]; then
                        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
                        compopt -o filenames 2>/dev/null
                        return
                    fi
                    ;;
                delete)
                    choice="--json --quiet --help --force"
                    ((values > 1)) || choice+=" $(__tarr_steps_segments)"
                    ;;
            esac
            ;;
        *) choice=$common ;;
    esac
    if [[ $cur != -* ]]; then
        # Options only where one was begun.
        local value="" each
        for each in $choice; do
            [[ $each == -?* && $each != -- ]] || value+=" $each"
        done
        choice=$value
    fi
    mapfile -t COMPREPLY < <(compgen -W "$choice" -- "$cur")
    # A machine of VMware's may also be named by its file.
    if [[ $word == vmware && $cur == */* ]]; then
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -d -- "$cur"; compgen -f -X '!*.vmx' -- "$cur")
    fi
}

complete -F _tarr_steps tarr-steps
