# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# shellcheck disable=SC2034,SC2154 # read by the runner
# A machine that another product described finds itself as it was: addresses, slots that cards are named after, serials,
# UUID, and channels of VMBus.
variants='from=vmx from=libvirt from=proxmox from=hyperv'
kernel=6.1
timeout=240
case ${from:-} in
vmx) modules='vmxnet3' ;;
hyperv) modules='hv_vmbus hv_netvsc hv_storvsc sd_mod' ;;
*) modules='virtio_pci virtio_net virtio_blk' ;;
esac

describe_vmx()
{
    cat <<'END'
.encoding = "UTF-8"
virtualHW.version = "13"
displayName = "web one"
memsize = "256"
uuid.bios = "56 4d 17 83 79 92 52 5d-7e 16 32 9b 20 a5 b2 43"
vm.genid = "-81985529216486896"
vm.genidX = "81985529216486895"
ethernet0.present = "TRUE"
ethernet0.virtualDev = "vmxnet3"
ethernet0.address = "00:0c:29:01:02:03"
ethernet0.pciSlotNumber = "192"
END
}

describe_libvirt()
{
    cat <<'END'
<domain type='kvm'><name>web</name><uuid>564d1783-7992-525d-7e16-329b20a5b243</uuid>
<memory unit='MiB'>256</memory><sysinfo type='smbios'><system><entry name='serial'>web-serial</entry>
<entry name='sku'>web-sku</entry></system></sysinfo><os><type machine='pc-i440fx-7.2'>hvm</type></os><devices>
<disk type='file'><driver type='raw'/><source file='disk.img'/><target dev='vda' bus='virtio'/><serial>disk-serial</serial>
<address type='pci' bus='0' slot='9' function='0'/></disk>
<interface type='user'><mac address='00:0c:29:01:02:03'/><model type='virtio'/>
<address type='pci' bus='0' slot='7' function='0'/></interface></devices></domain>
END
}

describe_proxmox()
{
    cat <<'END'
name: web
memory: 256
net0: virtio=00:0C:29:01:02:03,bridge=vmbr0
smbios1: uuid=564d1783-7992-525d-7e16-329b20a5b243,serial=web-serial
virtio0: disk.img,format=raw,serial=disk-serial
ostype: l26
END
}

describe_hyperv()
{
    cat <<'END'
<configuration><properties><name>web</name><subtype>0</subtype></properties>
<global_settings><devices><generation_id>0123456789abcdeffedcba9876543210</generation_id></devices></global_settings>
<settings><processors><count>1</count></processors><memory><bank><size>256</size></bank></memory></settings>
<manifest><vdev001><device>d422512d-2bf2-4752-809d-7b82b5fcb1b4</device>
<instance>73e0f0c5-c0bc-4e16-a458-0e1c388bfee3</instance></vdev001>
<vdev002><device>2fc216b0-d2e2-4967-9b6d-b8a5c9ca2778</device>
<instance>1bc9500e-ad4b-426e-ad70-d04cbeb2033b</instance></vdev002></manifest>
<_73e0f0c5-c0bc-4e16-a458-0e1c388bfee3_>
<ChannelInstanceGuid>{7D6F884F-489B-48EB-991E-E04EA1219D12}</ChannelInstanceGuid>
<controller0><drive0><type>VHD</type><pathname>C:\VMs\disk.img</pathname></drive0></controller0>
</_73e0f0c5-c0bc-4e16-a458-0e1c388bfee3_>
<_1bc9500e-ad4b-426e-ad70-d04cbeb2033b_><MacAddress>00-0C-29-01-02-03</MacAddress>
<ChannelInstanceGuid>{a2afd1a7-69ec-4a37-973f-65db73163ff2}</ChannelInstanceGuid>
</_1bc9500e-ad4b-426e-ad70-d04cbeb2033b_>
<_ac6b8dc1-3257-4a70-b1b2-a9c9215659ad_><bios_guid>{564d1783-7992-525d-7e16-329b20a5b243}</bios_guid>
<bios_serial_number>web-serial</bios_serial_number></_ac6b8dc1-3257-4a70-b1b2-a9c9215659ad_></configuration>
END
}

host()
{
    local suffix
    case $from in
    vmx) suffix=vmx ;;
    proxmox) suffix=conf ;;
    *) suffix=xml ;;
    esac
    cd "$work" || exit
    export TMPDIR=$work
    truncate -s 1M disk.img
    "describe_$from" >"web.$suffix"
    append="from=$from" run "web.$suffix" </dev/null
}

# The kernel's own driver took it. What is written in these runs is thrown away, so the id is one of this run's own.
generation_id()
{
    local id
    [ -e "/sys/bus/acpi/drivers/vmgenid/$1:00" ] || failure "no generation id of the name $1: $(ls /sys/bus/acpi/drivers/vmgenid)"
    id=$(devmem 0xfed50000 64)
    case $id in
    0x0000000000000000 | 0xFEDCBA9876543210 | 0x0123456789ABCDEF) failure "the generation id is $id" ;;
    esac
}

guest()
{
    local from dmi=/sys/class/dmi/id card=/sys/class/net/eth0
    from=$(sed 's/.*from=\([a-z]*\).*/\1/' /proc/cmdline)
    want "the address" "$(cat $card/address)" 00:0c:29:01:02:03
    case $from in
    vmx) want "the UUID" "$(cat $dmi/product_uuid)" 83174d56-9279-5d52-7e16-329b20a5b243 ;;
    *) want "the UUID" "$(cat $dmi/product_uuid)" 564d1783-7992-525d-7e16-329b20a5b243 ;;
    esac
    case $from in
    vmx)
        want "the card's slot" "$(cat $card/device/firmware_node/sun)" 192
        generation_id VMGENID
        want "the serial" "$(cat $dmi/product_serial)" "VMware-56 4d 17 83 79 92 52 5d-7e 16 32 9b 20 a5 b2 43"
        ;;
    libvirt)
        want "the card's place" "$(basename "$(readlink -f $card/device/..)")" 0000:00:07.0
        want "the card's slot" "$(cat $card/device/../firmware_node/sun)" 7
        want "the disk's place" "$(basename "$(readlink -f /sys/block/vda/device/..)")" 0000:00:09.0
        want "the disk's serial" "$(cat /sys/block/vda/serial)" disk-serial
        want "the serial" "$(cat $dmi/product_serial)" web-serial
        want "the SKU" "$(cat $dmi/product_sku)" web-sku
        ;;
    proxmox)
        want "the card's slot" "$(cat $card/device/../firmware_node/sun)" 18
        want "the disk's place" "$(basename "$(readlink -f /sys/block/vda/device/..)")" 0000:00:0a.0
        want "the disk's serial" "$(cat /sys/block/vda/serial)" disk-serial
        ;;
    hyperv)
        want "the card's channel" "$(basename "$(readlink -f $card/device)")" a2afd1a7-69ec-4a37-973f-65db73163ff2
        [ -e /sys/bus/vmbus/devices/7d6f884f-489b-48eb-991e-e04ea1219d12 ] || failure "no controller of that channel"
        generation_id HYPER_V_GEN_COUNTER_V1
        want "the serial" "$(cat $dmi/product_serial)" web-serial
        ;;
    esac
    success
}
