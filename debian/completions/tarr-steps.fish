# fish completion for tarr-steps(1)

function __tarr_steps_segments
    # Segments that are configured have a file, those that are up a VDE switch.
    begin
        for path in /etc/vdenet/*.toml
            basename $path .toml
        end
        for path in /run/vdenet/*/switch
            basename (dirname $path)
        end
    end | string match -v policy | sort -u
end

function __tarr_steps_virtualbox
    # The names of the user's machines.
    VBoxManage -q list vms 2>/dev/null | string replace -rf '^"(.*)" \{.*' '$1'
end

function __tarr_steps_lxc
    # The names of the user's containers.
    lxc-ls -1 2>/dev/null
end

function __tarr_steps_libvirt
    # The names of the user's domains, and of the system's.
    virsh --quiet --connect qemu:///session list --all --name 2>/dev/null
    virsh --quiet --readonly --connect qemu:///system list --all --name 2>/dev/null
end

function __tarr_steps_incus
    # The names of the instances of the user's project.
    incus list --columns=n --format=csv 2>/dev/null
end

function __tarr_steps_vmware
    # The machines that VMware has noted down, and files.
    sed -n 's/^vmlist[0-9]*\.DisplayName = "\(..*\)".*/\1/Ip' ~/.vmware/inventory.vmls 2>/dev/null
    __fish_complete_suffix .vmx
end

function __tarr_steps_podman
    # The names of the user's containers that run.
    podman ps --format='{{.Names}}' 2>/dev/null
end

function __tarr_steps_docker
    # The names of the containers that run.
    docker ps --format='{{.Names}}' 2>/dev/null
end

function __tarr_steps_nspawn
    # The names of the images of containers.
    machinectl list-images --no-legend 2>/dev/null | string replace -r ' .*' ''
end

function __tarr_steps_before_command
    not contains -- -- (commandline -opc)
end

function __tarr_steps_command
    # What stands behind --, completed as if it stood alone.
    set -l words (commandline -opc) (commandline -ct)
    set -l dashes (contains -i -- -- $words)
    complete -C (string join ' ' -- $words[(math $dashes + 1)..-1])
end

set -l verbs start stop reload check list ip join leave plan apply segment export import
set -l none "__tarr_steps_before_command; and not __fish_seen_subcommand_from $verbs"
set -l join "__tarr_steps_before_command; and __fish_seen_subcommand_from join"
set -l virtualbox "__fish_seen_subcommand_from virtualbox"
set -l adapters "__fish_seen_subcommand_from virtualbox lxc libvirt incus vmware"
set -l existing "__fish_seen_subcommand_from virtualbox lxc libvirt incus vmware podman docker nspawn"
set -l kinds "__fish_seen_subcommand_from join leave; and not __fish_seen_subcommand_from qemu run virtualbox lxc libvirt incus vmware podman docker nspawn"

complete -c tarr-steps -n __tarr_steps_before_command -f

complete -c tarr-steps -n $none -a start -d 'bring the segment up'
complete -c tarr-steps -n $none -a stop -d 'take it down until the next start or boot'
complete -c tarr-steps -n $none -a reload -d 'apply the configuration to the running segment'
complete -c tarr-steps -n $none -a check -d 'verify every part, and say how to mend what is wrong'
complete -c tarr-steps -n $none -a list -d 'show the segments, their addresses and guests'
complete -c tarr-steps -n $none -a ip -d 'show the address of the segment, or change it'
complete -c tarr-steps -n $none -a join -d 'put a guest on the segment'
complete -c tarr-steps -n $none -a leave -d 'take a guest off the segment'
complete -c tarr-steps -n $none -a plan -d 'show what apply would change'
complete -c tarr-steps -n $none -a apply -d 'make the segment as a file, or its configuration, wants it'
complete -c tarr-steps -n $none -a segment -d 'create, delete and show segments'
complete -c tarr-steps -n $none -a export -d 'print the configuration of the segment'
complete -c tarr-steps -n $none -a import -d 'make a configuration of another program\'s'
complete -c tarr-steps -n $none -l version -d 'show the version'
complete -c tarr-steps -n $none -o st -l start -d 'bring the segment up'
complete -c tarr-steps -n $none -o sp -l stop -d 'take the segment down'
complete -c tarr-steps -n $none -s r -l reload -d 'apply the configuration'
complete -c tarr-steps -n $none -s c -l check -d 'verify every part'
complete -c tarr-steps -n $none -s l -l list -d 'show the segments and guests'
complete -c tarr-steps -n $none -o ip -l ip -d 'show or change the address'

complete -c tarr-steps -n __tarr_steps_before_command -l segment -x -a '(__tarr_steps_segments)' -d 'the segment to work on'
complete -c tarr-steps -n __tarr_steps_before_command -l json -d 'one JSON document on standard output'
complete -c tarr-steps -n __tarr_steps_before_command -s q -l quiet -d 'no remarks'
complete -c tarr-steps -n __tarr_steps_before_command -s h -l help -d 'show help'

complete -c tarr-steps -n '__fish_seen_subcommand_from start stop reload check' -a '(__tarr_steps_segments)'
complete -c tarr-steps -n '__fish_seen_subcommand_from segment' -a 'list create delete'
complete -c tarr-steps -n '__fish_seen_subcommand_from delete' -a '(__tarr_steps_segments)'
complete -c tarr-steps -n '__fish_seen_subcommand_from delete' -l force -d 'also while guests are on it'
complete -c tarr-steps -n '__fish_seen_subcommand_from create' -l address -x -d 'its address'
complete -c tarr-steps -n '__fish_seen_subcommand_from create' -l mode -x -a 'nat routed isolated' -d 'its mode'
complete -c tarr-steps -n '__fish_seen_subcommand_from plan apply create import' -F
complete -c tarr-steps -n '__fish_seen_subcommand_from apply' -l check -d 'change nothing, exit 1 if something would change'
complete -c tarr-steps -n '__fish_seen_subcommand_from apply' -l confirm -x -d 'take it back unless confirmed'
complete -c tarr-steps -n '__fish_seen_subcommand_from apply' -l confirmed -d 'keep the change that waits'
complete -c tarr-steps -n '__fish_seen_subcommand_from apply' -l rollback -d 'take the change that waits back'
complete -c tarr-steps -n '__fish_seen_subcommand_from export' -l canonical -d 'without comments and defaults'
complete -c tarr-steps -n '__fish_seen_subcommand_from import' -l from -x -a 'vde lxc-net libvirt' -d 'what it is'
complete -c tarr-steps -n '__fish_seen_subcommand_from import' -l address -x -d 'the address, where the file names none'
complete -c tarr-steps -n '__fish_seen_subcommand_from import' -l output -r -d 'write it there'
complete -c tarr-steps -n $kinds -a 'qemu run virtualbox lxc libvirt incus vmware podman docker nspawn'

complete -c tarr-steps -n $join -l name -x -d 'its name on the segment'
complete -c tarr-steps -n "$join; and __fish_seen_subcommand_from qemu run" -l mac -x -d 'its MAC address'
complete -c tarr-steps -n $join -l vlan -x -d 'into this VLAN'
complete -c tarr-steps -n "$join; and __fish_seen_subcommand_from qemu" -l model -x -a 'virtio-net-pci e1000 e1000e rtl8139' -d 'QEMU\'s network device'
complete -c tarr-steps -n "$join; and __fish_seen_subcommand_from qemu" -l print -d 'print the arguments for a NIC over VDE'
complete -c tarr-steps -n "$join; and __fish_seen_subcommand_from qemu" -l dry-run -d 'print the command'
complete -c tarr-steps -n "$join; and __fish_seen_subcommand_from qemu" -l tap -x -d 'keep a tap with a name and print its arguments'
complete -c tarr-steps -n "$virtualbox" -a '(__tarr_steps_virtualbox)'
complete -c tarr-steps -n "$join; and $virtualbox" -l via -x -a 'bridge vde udp' -d 'how to join'
complete -c tarr-steps -n "__fish_seen_subcommand_from lxc" -a '(__tarr_steps_lxc)'
complete -c tarr-steps -n "__fish_seen_subcommand_from libvirt" -a '(__tarr_steps_libvirt)'
complete -c tarr-steps -n "__fish_seen_subcommand_from libvirt" -l connect -x -a 'qemu:///session qemu:///system' -d 'which libvirt'
complete -c tarr-steps -n "__fish_seen_subcommand_from incus" -a '(__tarr_steps_incus)'
complete -c tarr-steps -n "__fish_seen_subcommand_from podman" -a '(__tarr_steps_podman)'
complete -c tarr-steps -n "__fish_seen_subcommand_from docker" -a '(__tarr_steps_docker)'
complete -c tarr-steps -n "__fish_seen_subcommand_from nspawn" -a '(__tarr_steps_nspawn)'
complete -c tarr-steps -n "__fish_seen_subcommand_from vmware" -a '(__tarr_steps_vmware)'
complete -c tarr-steps -n "$join; and $adapters" -l nic -x -d 'which of its adapters'
complete -c tarr-steps -n "$join; and $virtualbox" -l port -x -d 'which port of the VDE switch'
complete -c tarr-steps -n "$join; and $existing" -l dry-run -d 'change nothing'
complete -c tarr-steps -n '__fish_seen_subcommand_from leave' -l dry-run -d 'change nothing'
complete -c tarr-steps -n 'contains -- -- (commandline -opc)' -x -a '(__tarr_steps_command)'
