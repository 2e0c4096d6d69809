"""Configurations of VMware's machines, of the shape that each product writes. All are our own.

What the real ones look like: Workstation 12 to 17 and Player sort nothing and quote everything; Packer and Vagrant
write names in lower case, sorted; ESXi adds `networkName` and addresses of vCenter's; people leave comments, tabs,
values without quotes.
"""

from __future__ import annotations

WORKSTATION_12 = """#!/usr/bin/vmware
.encoding = "windows-1252"
config.version = "8"
virtualHW.version = "12"
vcpu.hotadd = "TRUE"
scsi0.present = "TRUE"
scsi0.virtualDev = "lsilogic"
memsize = "1024"
scsi0:0.present = "TRUE"
scsi0:0.fileName = "Debian 9 caf\xe9.vmdk"
ethernet0.present = "TRUE"
ethernet0.connectionType = "nat"
ethernet0.virtualDev = "vmxnet3"
ethernet0.wakeOnPcktRcv = "FALSE"
ethernet0.addressType = "generated"
displayName = "Debian 9 caf\xe9"
guestOS = "debian9-64"
nvram = "Debian 9 caf\xe9.nvram"
annotation = "said |22hello|22|0D|0Aand left"
uuid.location = "56 4d 10 6b b0 ff 56 dd-bd 74 a4 03 97 2b f3 37"
uuid.bios = "56 4d 10 6b b0 ff 56 dd-bd 74 a4 03 97 2b f3 37"
ethernet0.generatedAddress = "00:0c:29:2b:f3:37"
ethernet0.generatedAddressOffset = "0"
ethernet0.pciSlotNumber = "160"
cleanShutdown = "TRUE"
""".encode("windows-1252")

WORKSTATION_15 = b""".encoding = "UTF-8"
config.version = "8"
virtualHW.version = "16"
mks.enable3d = "TRUE"
displayName = "web"
guestOS = "debian10-64"
memsize = "2048"
nvme0.present = "TRUE"
nvme0:0.fileName = "web.vmdk"
nvme0:0.present = "TRUE"
ethernet0.connectionType = "bridged"
ethernet0.addressType = "generated"
ethernet0.virtualDev = "e1000"
ethernet0.present = "TRUE"
ethernet1.connectionType = "custom"
ethernet1.addressType = "static"
ethernet1.vnet = "/dev/vmnet3"
ethernet1.address = "00:50:56:12:34:56"
ethernet1.virtualDev = "e1000"
ethernet1.present = "TRUE"
ethernet1.linkStatePropagation.enable = "TRUE"
ethernet2.connectionType = "pvn"
ethernet2.pvnID = "52 a1 9c 5e 1c 5a 34 3d-0a 55 2e 31 6a 7b 88 01"
ethernet2.present = "FALSE"
checkpoint.vmState = ""
"""

WORKSTATION_17 = """.encoding = "UTF-8"
config.version = "8"
virtualHW.version = "20"
encryption.encryptedKey = "vmware:key/list/(pair/(phrase/a"
encryption.data = "R2FyYmFnZSBvZiBvdXIgb3du"
managedVM.autoAddVTPM = "software"
vtpm.present = "TRUE"
firmware = "efi"
displayName = "Büro |7C Fenster 11"
guestOS = "windows11-64"
ethernet0.connectionType = "hostonly"
ethernet0.addressType = "generated"
ethernet0.virtualDev = "e1000e"
ethernet0.present = "TRUE"
ethernet0.generatedAddress = "00:0C:29:AA:BB:CC"
""".encode()

PLAYER_ON_WINDOWS = WORKSTATION_15.replace(b"\n", b"\r\n").replace(b'"web"', b'"player"')

PLAYER_MINIMAL = b'guestOS = "other"\nconfig.version = "8"\nvirtualHW.version = "4"'

PACKER = b""".encoding = "UTF-8"
bios.bootorder = "hdd,CDROM"
checkpoint.vmstate = ""
cleanshutdown = "TRUE"
config.version = "8"
displayname = "packer-debian-12"
ethernet0.addresstype = "generated"
ethernet0.bsdname = "en0"
ethernet0.connectiontype = "nat"
ethernet0.displayname = "Ethernet"
ethernet0.linkstatepropagation.enable = "FALSE"
ethernet0.pcislotnumber = "33"
ethernet0.present = "TRUE"
ethernet0.virtualdev = "e1000"
ethernet0.wakeonpcktrcv = "FALSE"
guestos = "debian12-64"
memsize = "1024"
scsi0:0.filename = "disk.vmdk"
virtualhw.version = "19"
"""

VAGRANT = PACKER.replace(b"packer-debian-12", b"vagrant: default_1700000000000_1234") + b"""\
ethernet1.addresstype = "generated"
ethernet1.connectiontype = "custom"
ethernet1.generatedaddress = "00:0c:29:10:20:34"
ethernet1.pcislotnumber = "36"
ethernet1.present = "TRUE"
ethernet1.virtualdev = "e1000"
ethernet1.vnet = "vmnet2"
"""

ESXI = b""".encoding = "UTF-8"
config.version = "8"
virtualHW.version = "14"
nvram = "appliance.nvram"
pciBridge0.present = "TRUE"
displayName = "appliance"
ethernet0.virtualDev = "vmxnet3"
ethernet0.networkName = "VM Network"
ethernet0.addressType = "vpx"
ethernet0.generatedAddress = "00:50:56:8f:01:02"
ethernet0.uptCompatibility = "TRUE"
ethernet0.present = "TRUE"
guestOS = "other4xlinux-64"
sched.cpu.units = "mhz"
sched.swap.derivedName = "/vmfs/volumes/5f/appliance/appliance-1.vswp"
"""

BY_HAND = b"""\xef\xbb\xbf# mine, since 2014
config.version=8
  displayName\t=\t"by hand"   # a name
VirtualHW.Version = 10

ethernet0.Present = true
Ethernet0.ConnectionType = nat # for now
ethernet0.vnet =
this line is none
ethernet1.present = "FALSE
"""

SHIFT_JIS = """.encoding = "Shift_JIS"
config.version = "8"
displayName = "ソフト表"
guestOS = "windows9-64"
""".encode("shift_jis")

DUPLICATES = b"""config.version = "8"
displayName = "twice"
ethernet0.present = "TRUE"
ethernet0.connectionType = "nat"
ethernet0.present = "TRUE"
ethernet1.vnet = "vmnet4"
ethernet1.connectionType = "custom"
ETHERNET1.VNET = "vmnet5"
"""

OLD_MAC = WORKSTATION_15.replace(b"\n", b"\r").replace(b'"web"', b'"classic"')

FULL = b'config.version = "8"\ndisplayName = "full"\n' + b"".join(
    b'ethernet%d.present = "TRUE"\nethernet%d.connectionType = "nat"\n' % (number, number) for number in range(10))

ENCRYPTED = b""".encoding = "UTF-8"
displayName = "secret"
encryption.keySafe = "vmware:key/list/(pair/(phrase/b"
encryption.data = "R2FyYmFnZSBvZiBvdXIgb3du"
"""

MACHINES = {
    "workstation-12": WORKSTATION_12, "workstation-15": WORKSTATION_15, "workstation-17": WORKSTATION_17,
    "player-windows": PLAYER_ON_WINDOWS, "player-minimal": PLAYER_MINIMAL, "packer": PACKER, "vagrant": VAGRANT,
    "esxi": ESXI, "by-hand": BY_HAND, "shift-jis": SHIFT_JIS, "duplicates": DUPLICATES, "old-mac": OLD_MAC}
"""Each can join with an adapter of its own."""

NETWORKING = b"""VERSION=1,0
answer VNET_1_DHCP yes
answer VNET_1_DHCP_CFG_HASH 0123456789ABCDEF0123456789ABCDEF01234567
answer VNET_1_HOSTONLY_NETMASK 255.255.255.0
answer VNET_1_HOSTONLY_SUBNET 172.16.61.0
answer VNET_1_VIRTUAL_ADAPTER yes
answer VNET_3_DHCP no
answer VNET_3_VIRTUAL_ADAPTER no
answer VNET_8_DHCP yes
answer VNET_8_HOSTONLY_NETMASK 255.255.255.0
answer VNET_8_HOSTONLY_SUBNET 192.168.87.0
answer VNET_8_NAT yes
answer VNET_8_VIRTUAL_ADAPTER yes
add_bridge_mapping eth0 0
add_bridge_mapping eth1 2
add_nat_portfwd 8 tcp 2222 192.168.87.128 22
"""
"""/etc/vmware/networking as Workstation for Linux has it."""
